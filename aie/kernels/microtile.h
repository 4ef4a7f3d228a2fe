// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int8 rows in the tiles that aie::mmul reads and writes, so that it stands between two matrix products
// without a change of layout. Any row length, K = 1..4, all six outputs, masks.
//
// Layout: tiles of kTileRows x 8 elements, row after row within a tile; the tiles of kTileRows rows (a band) one after
// another, then the next band. kTileRows is 4 on AIE-ML (mmul<4, 8, 8>) and 8 on v2 (mmul<8, 8, 8>). A band is filled
// up to whole registers: to a multiple of 16 columns on AIE-ML, of 8 on v2. What is beside the rows may have any value
// in the logits and becomes 0 in the output. Both buffers have microtile_elements(rows, n) elements, aligned to
// aie::vector_decl_align, and do not overlap. Bit masks: bit j of word w is element 32 w + j of that layout.
//
// Serves every head without a head_error(head, kKnees, n, kMask), check_aie, but `scaled` to int16 only for n up to
// kScaledWideLongest. Widths: row_groups.h, row_factors.h.
#ifndef HCCS_AIE_KERNELS_MICROTILE_H_
#define HCCS_AIE_KERNELS_MICROTILE_H_

#include <type_traits>

#include "hccs_head.h"
#include "row_factors.h"
#include "row_groups.h"

namespace hccs_kernels {

inline constexpr unsigned kTileRows = __AIE_ARCH__ == 20 ? 4 : 8;
inline constexpr unsigned kTileLanes = kTileRows * 8;
inline constexpr unsigned kVectorTiles = 64 / kTileLanes;     // tiles in a register
inline constexpr unsigned kVectorColumns = 8 * kVectorTiles;  // columns in a register
inline constexpr unsigned kGroupBands = kGroupRows / kTileRows;

// Registers of a band.
constexpr unsigned microtile_vectors(unsigned n) { return (n + kVectorColumns - 1) / kVectorColumns; }
constexpr unsigned microtile_elements(unsigned rows, unsigned n) {
  return (rows + kTileRows - 1) / kTileRows * microtile_vectors(n) * 64;
}
// Where position i of a row is.
constexpr unsigned microtile_index(unsigned row, unsigned i, unsigned n) {
  const unsigned tile = row / kTileRows * microtile_vectors(n) * kVectorTiles + i / 8;
  return tile * kTileLanes + row % kTileRows * 8 + i % 8;
}

// What the passes leave for each other, for a group of 16 rows. In the last five lane 8 s + j is the group's row s.
template <unsigned kKnees>
struct alignas(64) MicrotileGroup {
  int8 maxima[kGroupBands][64];
  int16 constant[32];
  int32 count[kGroupRows];
  int32 tile_count[8 * kGroupRows];
  int32 tile_sum[8 * kGroupRows];
  int8 lane_threshold[kKnees][8 * kGroupRows];
  int16 lane_constant[8 * kGroupRows];
  int16 lane_first[8 * kGroupRows];
  int16 lane_second[8 * kGroupRows];
};

constexpr unsigned microtile_groups(unsigned rows) { return (rows + kGroupRows - 1) / kGroupRows; }

// The logits of one head and which of them are valid. MaskKind::kNone promises whole tiles and registers, too. Nothing
// of a row that is not there is valid.
template <MaskKind kMask>
class MicrotileRows {
 public:
  MicrotileRows(const int8* logits, unsigned rows, unsigned n, const RowMasks& masks)
      : logits_(logits),
        bits_(masks.bits),
        rows_(rows),
        vectors_(microtile_vectors(n)),
        limit_(clamp(masks.valid_length, 0, static_cast<int32_t>(n))),
        first_limit_(masks.causal ? clamp(masks.causal_offset, -65537, 65536) + 1 : 65536),
        step_(masks.causal ? 1 : 0),
        lane_row_(lane_number(kTileRows == 4 ? 0x18 : 0x38)),
        lane_column_(lane_number(kTileRows == 4 ? 0x27 : 0x07)) {}

  unsigned rows() const { return rows_; }
  unsigned bands() const { return (rows_ + kTileRows - 1) / kTileRows; }
  unsigned vectors() const { return vectors_; }

  // The band in a place of a group. Places beyond the bands repeat the last one.
  unsigned band(unsigned group, unsigned place) const {
    const unsigned b = group * kGroupBands + place;
    return b < bands() ? b : bands() - 1;
  }

  // Positions of the row below which validity is up to the bits alone. A row beyond the last has none.
  int32_t limit(unsigned row) const {
    if (row >= rows_) return 0;
    return clamp(first_limit_ + static_cast<int32_t>(step_ * row), 0, limit_);
  }

  // The registers of a band that are valid as a whole, and those that have a valid position at all. Limits do not fall
  // from row to row.
  unsigned whole_vectors(unsigned band) const {
    if constexpr (kMask == MaskKind::kNone) return vectors_;
    if constexpr (kMask == MaskKind::kBits) return 0;
    if ((band + 1) * kTileRows > rows_) return 0;
    return static_cast<unsigned>(limit(band * kTileRows)) / kVectorColumns;
  }
  unsigned live_vectors(unsigned band) const {
    if constexpr (kMask == MaskKind::kNone) return vectors_;
    const unsigned end = (band + 1) * kTileRows < rows_ ? (band + 1) * kTileRows : rows_;
    return (static_cast<unsigned>(limit(end - 1)) + kVectorColumns - 1) / kVectorColumns;
  }

  aie::mask<64> valid(unsigned band, unsigned vector) const {
    const unsigned row = band * kTileRows;
    const auto column = static_cast<int32_t>(vector * kVectorColumns);
    // Numbers beyond what a register's columns can tell apart are cut to int8.
    const auto causal = static_cast<int8>(clamp(first_limit_ + static_cast<int32_t>(step_ * row) - column, -100, 100));
    const auto length = static_cast<int8>(clamp(limit_ - column, 0, 100));
    auto valid = aie::lt(lane_column_, aie::min(aie::add(lane_row_, causal), length));
    if (row + kTileRows > rows_) valid = valid & aie::lt(lane_row_, static_cast<int8>(rows_ - row));
    if constexpr (kMask == MaskKind::kBits) {
      const uint32_t* words = bits_ + (band * vectors_ + vector) * 2;
      valid = valid & aie::mask<64>::from_uint32(words[0], words[1]);
    }
    return valid;
  }

  aie::vector<int8, 64> load(unsigned band, unsigned vector) const {
    return aie::load_v<64>(logits_ + (band * vectors_ + vector) * 64);
  }
  // ... with -128 for what is not valid.
  aie::vector<int8, 64> load_valid(unsigned band, unsigned vector) const {
    return aie::select(static_cast<int8>(-128), load(band, vector), valid(band, vector));
  }

 private:
  static constexpr int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

  // The bits of the lane's index that are set in `which`, moved together, in each lane.
  static aie::vector<int8, 64> lane_number(unsigned which) {
    constexpr uint64_t kLanesWithBit[6] = {0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc, 0xf0f0f0f0f0f0f0f0,
                                           0xff00ff00ff00ff00, 0xffff0000ffff0000, 0xffffffff00000000};
    auto number = aie::zeros<int8, 64>();
    int8 weight = 1;
    for (unsigned bit = 0; bit < 6; ++bit) {
      if ((which >> bit & 1) == 0) continue;
      number = aie::select(number, aie::add(number, weight), aie::mask<64>::from_uint64(kLanesWithBit[bit]));
      weight = static_cast<int8>(2 * weight);
    }
    return number;
  }

  const int8* logits_;
  const uint32_t* bits_;
  unsigned rows_, vectors_;
  int32_t limit_, first_limit_;
  uint32_t step_;
  aie::vector<int8, 64> lane_row_, lane_column_;  // of a register: row in the band, column
};

namespace microtile {

// The product that sums the rows of a tile, eight times over.
using RowProduct = aie::mmul<kTileRows, 8, 8, int8, int8>;

// One lane of each row's eight.
inline RowSums row_lanes(const int32 (&lanes)[8 * kGroupRows]) {
  const auto pick = [](const RowSums& a, const RowSums& b, unsigned chunk) {
    return aie::interleave_unzip(a, b, chunk).first;
  };
  RowSums part[4];
  for (unsigned i = 0; i < 4; ++i) {
    part[i] = pick(aie::load_v<16>(lanes + 32 * i), aie::load_v<16>(lanes + 32 * i + 16), 4);
  }
  return pick(pick(part[0], part[1], 2), pick(part[2], part[3], 2), 1);
}

// Eight lanes a row of 16 rows that have one. The register has them again and again.
template <typename T>
inline void store_lanes(const aie::vector<T, 64 / sizeof(T)>& rows, T (&lanes)[8 * kGroupRows]) {
  constexpr unsigned kElems = 64 / sizeof(T);
  const auto twice = aie::interleave_zip(rows, rows, 1).first;
  const auto four = aie::interleave_zip(twice, twice, 1);
  if constexpr (sizeof(T) == 1) {
    const auto eight = aie::interleave_zip(four.first, four.first, 1);
    aie::store_v(lanes, eight.first);
    aie::store_v(lanes + kElems, eight.second);
  } else {
    const auto low = aie::interleave_zip(four.first, four.first, 1);
    const auto high = aie::interleave_zip(four.second, four.second, 1);
    aie::store_v(lanes, low.first);
    aie::store_v(lanes + kElems, low.second);
    aie::store_v(lanes + 2 * kElems, high.first);
    aie::store_v(lanes + 3 * kElems, high.second);
  }
}

// A band's thresholds for a register.
inline aie::vector<int8, 64> load_threshold(const int8 (&lanes)[8 * kGroupRows], unsigned place) {
  const int8* from = lanes + place * kTileLanes;
  if constexpr (kVectorTiles == 2) {
    return aie::concat(aie::load_v<32>(from), aie::load_v<32>(from));
  } else {
    return aie::load_v<64>(from);
  }
}

// Pass 1: the maxima of each band, in all of its columns' lanes.
template <MaskKind kMask, typename Group>
void find_maxima(const MicrotileRows<kMask>& x, Group* groups) {
  HCCS_LOOP(i, kGroupBands * microtile_groups(x.rows()), "microtile.maxima", kGroupBands) {
    const unsigned band = x.band(i / kGroupBands, i % kGroupBands);
    const unsigned whole = x.whole_vectors(band);
    auto maxima = whole > 0 ? x.load(band, 0) : x.load_valid(band, 0);
    if (whole > 1) {
      HCCS_LOOP(v, whole - 1, "microtile.maxima.vectors", 1) { maxima = aie::max(maxima, x.load(band, v + 1)); }
    }
    for (unsigned v = whole > 1 ? whole : 1; v < x.live_vectors(band); ++v) {
      maxima = aie::max(maxima, x.load_valid(band, v));
    }
    aie::store_v(groups[i / kGroupBands].maxima[i % kGroupBands], maxima);
  }
}

// Pass 2: the thresholds and the constant of 16 rows.
template <unsigned kKnees>
void set_thresholds(const HccsHead& head, unsigned rows, MicrotileGroup<kKnees>* groups) {
  HCCS_LOOP(g, microtile_groups(rows), "microtile.thresholds", 1) {
    MicrotileGroup<kKnees>& group = groups[g];
    const auto load = [&](unsigned i) { return aie::load_v<64>(group.maxima[i]); };
    aie::vector<int8, 64> maxima;
    if constexpr (kGroupBands == 4) {
      maxima = merge_rows(merge_max(load(0), load(1), 32), merge_max(load(2), load(3), 32));
    } else {
      maxima = merge_rows(load(0), load(1));
    }
    aie::accum<acc32, 32> constant(aie::broadcast<int16, 32>(head.offset));
    for (unsigned k = 0; k < kKnees; ++k) {
      const auto threshold = row_threshold(maxima, head.position[k]);
      store_lanes(threshold, group.lane_threshold[k]);
      constant = subtract_drop(constant, maxima, threshold, head.slope[k]);
    }
    const auto constants = constant.template to_vector<int16>(0);
    aie::store_v(group.constant, constants);
    store_lanes(constants, group.lane_constant);
  }
}

// Pass 3: the sums of S_k * u_k of each band, and with bit masks the valid positions, by products with a matrix that is
// S_k everywhere.
template <MaskKind kMask, unsigned kKnees>
void add_up(const MicrotileRows<kMask>& x, const HccsHead& head, MicrotileGroup<kKnees>* groups) {
  aie::vector<int8, 64> slope[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) slope[k] = aie::broadcast<int8, 64>(head.slope[k]);
  const auto ones = aie::broadcast<int8, 64>(1);
  const auto accumulate = [](RowProduct(&sums)[kVectorTiles], const aie::vector<int8, 64>& tiles,
                             const aie::vector<int8, 64>& factors) {
    for (unsigned t = 0; t < kVectorTiles; ++t) sums[t].mac(tiles.template extract<kTileLanes>(t), factors);
  };
  const auto store = [](int32* to, const RowProduct(&sums)[kVectorTiles]) {
    auto total = sums[0].to_accum();
    for (unsigned t = 1; t < kVectorTiles; ++t) total = aie::add(total, sums[t].to_accum());
    aie::store_v(to, total.template to_vector<int32>());
  };
  HCCS_LOOP(i, kGroupBands * microtile_groups(x.rows()), "microtile.sums", kGroupBands) {
    MicrotileGroup<kKnees>& group = groups[i / kGroupBands];
    const unsigned place = i % kGroupBands;
    const unsigned band = x.band(i / kGroupBands, place);
    aie::vector<int8, 64> threshold[kKnees];
    for (unsigned k = 0; k < kKnees; ++k) threshold[k] = load_threshold(group.lane_threshold[k], place);
    RowProduct sums[kVectorTiles];
    RowProduct count[kVectorTiles];
    for (unsigned t = 0; t < kVectorTiles; ++t) {
      sums[t] = RowProduct(aie::zeros<acc32, kTileLanes>());
      count[t] = RowProduct(aie::zeros<acc32, kTileLanes>());
    }
    const unsigned whole = x.whole_vectors(band);
    HCCS_LOOP(v, whole, "microtile.sums.vectors", 0) {
      const auto logits = x.load(band, v);
      for (unsigned k = 0; k < kKnees; ++k) accumulate(sums, aie::maxdiff(logits, threshold[k]), slope[k]);
    }
    for (unsigned v = whole; v < x.live_vectors(band); ++v) {
      const auto logits = x.load_valid(band, v);
      for (unsigned k = 0; k < kKnees; ++k) accumulate(sums, aie::maxdiff(logits, threshold[k]), slope[k]);
      if constexpr (kMask == MaskKind::kBits) {
        accumulate(count, aie::select(static_cast<int8>(0), ones, x.valid(band, v)), ones);
      }
    }
    store(group.tile_sum + place * kTileLanes, sums);
    if constexpr (kMask == MaskKind::kBits) {
      store(group.tile_count + place * kTileLanes, count);
    } else {
      for (unsigned r = 0; r < kTileRows; ++r) group.count[place * kTileRows + r] = x.limit(band * kTileRows + r);
    }
  }
}

// Pass 4: the factors of 16 rows.
template <Normalisation kNormalisation, typename Out, MaskKind kMask, unsigned kKnees>
void make_factors(const HccsHead& head, unsigned rows, unsigned n, MicrotileGroup<kKnees>* groups) {
  const auto modes = factor_modes();
  const auto largest = static_cast<int32_t>(n) * head.offset;
  HCCS_LOOP(g, microtile_groups(rows), "microtile.factors", 1) {
    MicrotileGroup<kKnees>& group = groups[g];
    RowSums count;
    if constexpr (kMask == MaskKind::kBits) {
      count = row_lanes(group.tile_count);
    } else {
      count = aie::load_v<kGroupRows>(group.count);
    }
    const RowSums sum = row_sums(row_lanes(group.tile_sum), count, aie::load_v<kGroupRows>(group.constant));
    const auto factors = lane_factors<kNormalisation, Out>(sum, largest, magnitude(head));
    store_lanes(factors.first.template grow_replicate<32>(), group.lane_first);
    if constexpr (kNormalisation == Normalisation::kScaled) {
      store_lanes(factors.second.template grow_replicate<32>(), group.lane_second);
    }
  }
}

// The results of s' = s * 2^magnitude: row_factors.h has the forms.
template <Normalisation kNormalisation, typename Out>
aie::vector<Out, kTileLanes> scale(const aie::vector<int16, kTileLanes>& scores,
                                   const aie::vector<int16, kTileLanes>& first,
                                   const aie::vector<int16, kTileLanes>& second) {
  const auto product = aie::mul(scores, first);
  if constexpr (kNormalisation != Normalisation::kScaled) {
    return product.template to_vector<Out>(std::is_same_v<Out, int16> ? 0 : 15);
  } else if constexpr (std::is_same_v<Out, uint8>) {
    const aie::accum<acc32, kTileLanes> half(aie::broadcast<int16, kTileLanes>(1 << 14));
    return aie::mac(half, product.template to_vector<int16>(16), second).template to_vector<uint8>(15);
  } else {
    const aie::accum<acc64, 32> half(aie::broadcast<int32, 32>(1 << (kScaledWideShift - 1)));
    const auto part = [&](unsigned i) {
      const auto wide = product.template extract<32>(i).template to_vector<int32>();
      return aie::mac(half, wide, second.template extract<32>(i)).template to_vector<int16>(kScaledWideShift);
    };
    if constexpr (kTileLanes == 32) {
      return part(0);
    } else {
      return aie::concat(part(0), part(1));
    }
  }
}

// Pass 5: the results, tile by tile.
template <Normalisation kNormalisation, typename Out, MaskKind kMask, unsigned kKnees>
void scale_bands(const MicrotileRows<kMask>& x, const HccsHead& head, const MicrotileGroup<kKnees>* groups, Out* out) {
  const int shift = kNormalisation == Normalisation::kScaled ? magnitude(head) : 0;
  aie::vector<int16, kTileLanes> slope[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) {
    slope[k] = aie::broadcast<int16, kTileLanes>(static_cast<int16>(head.slope[k] << shift));
  }
  HCCS_LOOP(band, x.bands(), "microtile.scale", 1) {
    const MicrotileGroup<kKnees>& group = groups[band / kGroupBands];
    const unsigned place = band % kGroupBands;
    aie::vector<int8, 64> threshold[kKnees];
    for (unsigned k = 0; k < kKnees; ++k) threshold[k] = load_threshold(group.lane_threshold[k], place);
    const aie::accum<acc32, kTileLanes> constant(aie::load_v<kTileLanes>(group.lane_constant + place * kTileLanes),
                                                 shift);
    const auto first = aie::load_v<kTileLanes>(group.lane_first + place * kTileLanes);
    aie::vector<int16, kTileLanes> second;
    if constexpr (kNormalisation == Normalisation::kScaled) {
      second = aie::load_v<kTileLanes>(group.lane_second + place * kTileLanes);
    }
    const auto results = [&](const aie::vector<int8, 64>(&u)[kKnees], unsigned t) {
      auto sum = constant;
      for (unsigned k = 0; k < kKnees; ++k) {
        sum = aie::mac(sum, u[k].template extract<kTileLanes>(t).template unpack<int16>(), slope[k]);
      }
      return scale<kNormalisation, Out>(sum.template to_vector<int16>(0), first, second);
    };
    const auto distances = [&](unsigned v, aie::vector<int8, 64>(&u)[kKnees]) {
      const auto logits = x.load(band, v);
      for (unsigned k = 0; k < kKnees; ++k) u[k] = aie::maxdiff(logits, threshold[k]);
    };
    Out* to = out + band * x.vectors() * 64;
    const unsigned whole = x.whole_vectors(band);
    const unsigned live = x.live_vectors(band);
    HCCS_LOOP(v, whole, "microtile.scale.vectors", 0) {
      aie::vector<int8, 64> u[kKnees];
      distances(v, u);
      for (unsigned t = 0; t < kVectorTiles; ++t) aie::store_v(to + v * 64 + t * kTileLanes, results(u, t));
    }
    if constexpr (kMask != MaskKind::kNone) {
      for (unsigned v = whole; v < live; ++v) {
        aie::vector<int8, 64> u[kKnees];
        distances(v, u);
        const auto valid = x.valid(band, v);
        for (unsigned t = 0; t < kVectorTiles; ++t) {
          aie::store_v(to + v * 64 + t * kTileLanes,
                       aie::select(Out{0}, results(u, t), valid.template extract<kTileLanes>(t)));
        }
      }
      for (unsigned v = live; v < x.vectors(); ++v) aie::store_v(to + v * 64, aie::zeros<Out, 64>());
    }
  }
}

}  // namespace microtile

// `rows` rows of n logits of one head whose masks are of kind kMask; microtile_groups(rows) groups of scratch. kNone
// needs whole tiles and registers (n a multiple of kVectorColumns, rows one of kTileRows).
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_microtile_rows(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                   const HccsHead& head, const RowMasks& masks,
                                   MicrotileGroup<kKnees>* __restrict groups) {
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
  const MicrotileRows<kMask> x(logits, rows, n, masks);
  microtile::find_maxima(x, groups);
  microtile::set_thresholds(head, rows, groups);
  microtile::add_up(x, head, groups);
  microtile::make_factors<kNormalisation, Out, kMask>(head, rows, n, groups);
  microtile::scale_bands<kNormalisation, Out>(x, head, groups, out);
}

// ... of any size.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_microtile(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                              const HccsHead& head, const RowMasks& masks, MicrotileGroup<kKnees>* __restrict groups) {
  // What is beside the rows is masked by a length.
  constexpr MaskKind kPadded = kMask == MaskKind::kNone ? MaskKind::kLimits : kMask;
  if (rows == 0) return;
  if (n % kVectorColumns == 0 && rows % kTileRows == 0) {
    softmax_microtile_rows<kNormalisation, Out, kKnees, kMask>(logits, out, rows, n, head, masks, groups);
  } else {
    softmax_microtile_rows<kNormalisation, Out, kKnees, kPadded>(logits, out, rows, n, head, masks, groups);
  }
}

// The kernel for blocks of kRows rows of kN logits: what HeadSoftmax (head_softmax.h) runs.
template <Normalisation kNormalisation, typename Out_, unsigned kN, unsigned kRows, unsigned kKnees = 1,
          MaskKind kMask_ = MaskKind::kNone>
struct MicrotileKernel {
  static_assert(kNormalisation != Normalisation::kScaled || std::is_same_v<Out_, uint8> || kN <= kScaledWideLongest,
                "microtile serves scaled to int16 for n up to 8192");
  using Out = Out_;
  struct Scratch {
    MicrotileGroup<kKnees> groups[microtile_groups(kRows)];
  };
  static constexpr MaskKind kMask = kMask_;
  static constexpr unsigned kElements = microtile_elements(kRows, kN);  // of one head
  static constexpr unsigned kMaskWords = kElements / 32;

  static void run(const int8* __restrict logits, Out* __restrict out, const HccsHead& head, const RowMasks& masks,
                  Scratch& scratch) {
    constexpr bool kWhole = kN % kVectorColumns == 0 && kRows % kTileRows == 0;
    constexpr MaskKind kKind = kMask == MaskKind::kNone && !kWhole ? MaskKind::kLimits : kMask;
    softmax_microtile_rows<kNormalisation, Out, kKnees, kKind>(logits, out, kRows, kN, head, masks, scratch.groups);
  }
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_MICROTILE_H_
