// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int8 rows, many rows at a time: reductions of 16 rows share their shuffles, the sums of four rows share a
// matrix product, and 16 reciprocals are made together. Any row length, K = 1..4, all six outputs, masks.
//
// Layout: row r begins at element r * interleaved_pitch(n); what lies between the rows may have any value in the logits
// and becomes 0 in the output. Both buffers have interleaved_elements(rows, n) elements, aligned to
// aie::vector_decl_align, and do not overlap. Bit masks: interleaved_pitch(n) / 32 words a row, position i of a row in
// bit i % 32 of its word i / 32.
//
// Serves every head without a head_error(head, kKnees, n, kMask): check_aie. Widths: row_groups.h, row_factors.h.
#ifndef HCCS_AIE_KERNELS_INTERLEAVED_H_
#define HCCS_AIE_KERNELS_INTERLEAVED_H_

#include <type_traits>

#include "hccs_head.h"
#include "row_factors.h"
#include "row_groups.h"

namespace hccs_kernels {

constexpr unsigned interleaved_pitch(unsigned n) { return n <= 32 ? 32 : (n + 63) / 64 * 64; }
constexpr unsigned interleaved_elements(unsigned rows, unsigned n) {
  return (rows * interleaved_pitch(n) + 63) / 64 * 64;
}

// What the passes leave for each other, for a group of 16 rows. Lane s, or 16 j + s, is the group's row s.
template <unsigned kKnees>
struct alignas(64) InterleavedGroup {
  int8 maxima[4][64];  // of four rows each, 16 lanes a row
  int8 threshold[kKnees][64];
  int16 constant[32];
  int32 count[kGroupRows];
  int32 partial_count[4][kGroupRows];  // of four rows each, four lanes a row
  int32 partial_sum[4][kGroupRows];
  int32 sum[kGroupRows];
  alignas(64) int16 reciprocal[kGroupRows];
};

constexpr unsigned interleaved_groups(unsigned rows) { return (rows + kGroupRows - 1) / kGroupRows; }

// Bytes of scratch that a call needs, aligned to 64: the groups, and the distances of rows that fit a register.
template <unsigned kKnees>
constexpr unsigned interleaved_scratch(unsigned rows, unsigned n) {
  const unsigned distances = n <= 64 ? kGroupRows * interleaved_pitch(n) * kKnees : 0;
  return interleaved_groups(rows) * (static_cast<unsigned>(sizeof(InterleavedGroup<kKnees>)) + distances);
}

// kPaired: n <= 32, a register holds two rows. kSingle: n <= 64, one. kLong: a row takes several registers.
enum class RowShape { kPaired, kSingle, kLong };
constexpr RowShape row_shape(unsigned n) {
  return n <= 32 ? RowShape::kPaired : n <= 64 ? RowShape::kSingle : RowShape::kLong;
}

// The logits of one head and which of them are valid.
// MaskKind::kNone promises that n is the pitch, too. Nothing of a row that is not there is valid.
template <MaskKind kMask, RowShape kShape>
class InterleavedRows {
 public:
  static constexpr bool kPaired = kShape == RowShape::kPaired;
  static constexpr bool kShort = kShape != RowShape::kLong;
  static constexpr unsigned kVectorRows = kPaired ? 2 : 1;  // rows in 64 lanes
  static constexpr unsigned kRowLanes = kPaired ? 32 : 64;  // lanes of one row

  InterleavedRows(const int8* logits, unsigned rows, unsigned n, const RowMasks& masks)
      : logits_(logits),
        bits_(masks.bits),
        rows_(rows),
        pitch_(interleaved_pitch(n)),
        limit_(clamp(masks.valid_length, 0, static_cast<int32_t>(n))),
        first_limit_(masks.causal ? clamp(masks.causal_offset, -65537, 65536) + 1 : 65536),
        step_(masks.causal ? 1 : 0) {}

  unsigned rows() const { return rows_; }
  unsigned pitch() const { return pitch_; }
  unsigned blocks() const { return kShort ? 1 : pitch_ / 64; }

  // The row in slot s of a group. Slots beyond the rows repeat the last one, or the last pair.
  unsigned row(unsigned group, unsigned s) const {
    const unsigned vector = (group * kGroupRows + s) / kVectorRows;
    const unsigned last = (rows_ - 1) / kVectorRows;
    return (vector < last ? vector : last) * kVectorRows + s % kVectorRows;
  }

  // Positions of the row below which validity is up to the bits alone. A row beyond the last has none.
  int32_t limit(unsigned row) const {
    if (row >= rows_) return 0;
    return clamp(first_limit_ + static_cast<int32_t>(step_ * row), 0, limit_);
  }

  // The blocks of kRowLanes positions that are valid as a whole, and those that have a valid position at all.
  unsigned whole_blocks(unsigned row) const {
    if constexpr (kMask == MaskKind::kNone) return blocks();
    if constexpr (kMask == MaskKind::kBits) return 0;
    return static_cast<unsigned>(limit(row)) / kRowLanes;
  }
  unsigned live_blocks(unsigned row) const {
    if constexpr (kMask == MaskKind::kNone) return blocks();
    return (static_cast<unsigned>(limit(row)) + kRowLanes - 1) / kRowLanes;
  }

  // Which positions of a block of a row are valid.
  aie::mask<kRowLanes> valid(unsigned row, unsigned block) const {
    if constexpr (kPaired) {
      return aie::mask<32>::from_uint32(word(row, 0));
    } else {
      return aie::mask<64>::from_uint32(word(row, 2 * block), word(row, 2 * block + 1));
    }
  }
  // ... of the 64 lanes that begin with the row.
  aie::mask<64> valid_vector(unsigned row, unsigned block) const {
    if constexpr (kPaired) {
      return aie::mask<64>::from_uint32(word(row, 0), word(row + 1, 0));
    } else {
      return valid(row, block);
    }
  }

  aie::vector<int8, kRowLanes> load(unsigned row, unsigned block) const {
    return aie::load_v<kRowLanes>(logits_ + row * pitch_ + block * 64);
  }
  aie::vector<int8, 64> load_vector(unsigned row, unsigned block) const {
    return aie::load_v<64>(logits_ + row * pitch_ + block * 64);
  }
  // ... with -128 for what is not valid.
  aie::vector<int8, 64> load_valid(unsigned row, unsigned block) const {
    return aie::select(static_cast<int8>(-128), load_vector(row, block), valid_vector(row, block));
  }

 private:
  static constexpr int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

  uint32_t word(unsigned row, unsigned index) const {
    const int32_t left = limit(row) - static_cast<int32_t>(32 * index);
    const uint32_t below = left >= 32 ? ~uint32_t{0} : left <= 0 ? 0 : (uint32_t{1} << left) - 1;
    if constexpr (kMask != MaskKind::kBits) return below;
    return below == 0 ? 0 : below & bits_[row * (pitch_ / 32) + index];
  }

  const int8* logits_;
  const uint32_t* bits_;
  unsigned rows_, pitch_;
  int32_t limit_, first_limit_;
  uint32_t step_;
};

namespace interleaved {

// Four registers of four rows, four lanes a row, to one lane a row.
inline RowSums merge_sums(const int32 (&partial)[4][kGroupRows]) {
  const auto load = [&](unsigned i) { return aie::load_v<kGroupRows>(partial[i]); };
  return merge_add(merge_add(load(0), load(1), 2), merge_add(load(2), load(3), 2), 1);
}
// Four rows of eight sums to four lanes a row.
inline RowSums fold(const aie::accum<acc32, 32>& sums) {
  const auto lanes = sums.template to_vector<int32>();
  return merge_add(lanes.template extract<16>(0), lanes.template extract<16>(1), 4);
}

// Blocks that are whole in all four rows of a quad, and that are live in any.
struct QuadBlocks {
  unsigned whole, live;
};
template <typename Rows>
QuadBlocks quad_blocks(const Rows& x, const unsigned (&row)[4]) {
  QuadBlocks blocks{x.blocks(), 0};
  for (const unsigned r : row) {
    blocks.whole = x.whole_blocks(r) < blocks.whole ? x.whole_blocks(r) : blocks.whole;
    blocks.live = x.live_blocks(r) > blocks.live ? x.live_blocks(r) : blocks.live;
  }
  return blocks;
}

// Pass 1: the maxima of four rows, 16 lanes a row.
template <typename Rows, typename Group>
void find_maxima(const Rows& x, Group* groups) {
  constexpr unsigned kVectors = 4 / Rows::kVectorRows;
  HCCS_LOOP(quad, 4 * interleaved_groups(x.rows()), "interleaved.maxima", 4) {
    unsigned row[4];
    for (unsigned i = 0; i < 4; ++i) row[i] = x.row(quad / 4, quad % 4 * 4 + i);
    const QuadBlocks blocks = quad_blocks(x, row);
    aie::vector<int8, 64> maxima[kVectors];
    for (unsigned i = 0; i < kVectors; ++i) {
      const unsigned r = row[i * Rows::kVectorRows];
      maxima[i] = blocks.whole > 0 ? x.load_vector(r, 0) : x.load_valid(r, 0);
    }
    if (blocks.whole > 1) {
      HCCS_LOOP(b, blocks.whole - 1, "interleaved.maxima.blocks", 1) {
        for (unsigned i = 0; i < kVectors; ++i) maxima[i] = aie::max(maxima[i], x.load_vector(row[i], b + 1));
      }
    }
    for (unsigned b = blocks.whole > 1 ? blocks.whole : 1; b < blocks.live; ++b) {
      for (unsigned i = 0; i < kVectors; ++i) maxima[i] = aie::max(maxima[i], x.load_valid(row[i], b));
    }
    int8* to = groups[quad / 4].maxima[quad % 4];
    if constexpr (Rows::kVectorRows == 2) {
      aie::store_v(to, merge_max(maxima[0], maxima[1], 16));
    } else {
      aie::store_v(to, merge_max(merge_max(maxima[0], maxima[1], 32), merge_max(maxima[2], maxima[3], 32), 16));
    }
  }
}

// The distances u_k of rows that fit a register go from pass 3 to pass 5 through memory; of pairs, pass 2 leaves the
// thresholds in the same place. `vector` counts the registers of all groups.
template <unsigned kKnees, typename Rows>
int8* distances(const Rows& x, InterleavedGroup<kKnees>* groups, unsigned vector, unsigned k) {
  return reinterpret_cast<int8*>(groups + interleaved_groups(x.rows())) + (vector * kKnees + k) * 64;
}

// From one lane for each of 16 rows, four times, to 32 lanes a row: two rows to each of eight registers.
template <typename Store>
void spread_pairs(const aie::vector<int8, 64>& rows, Store store) {
  const auto twice = [](const aie::vector<int8, 64>& v) { return aie::interleave_zip(v, v, 1); };
  const auto eight = twice(twice(twice(rows).first).first);
  const auto spread = [&](const aie::vector<int8, 64>& eight_rows, unsigned first) {
    const auto sixteen = twice(eight_rows);
    const auto low = twice(sixteen.first);
    const auto high = twice(sixteen.second);
    store(first, low.first);
    store(first + 1, low.second);
    store(first + 2, high.first);
    store(first + 3, high.second);
  };
  spread(eight.first, 0);
  spread(eight.second, 4);
}

// Pass 2: the thresholds and the constant of 16 rows.
template <unsigned kKnees, typename Rows>
void set_thresholds(const Rows& x, const HccsHead& head, InterleavedGroup<kKnees>* groups) {
  HCCS_LOOP(g, interleaved_groups(x.rows()), "interleaved.thresholds", 1) {
    InterleavedGroup<kKnees>& group = groups[g];
    const auto load = [&](unsigned i) { return aie::load_v<64>(group.maxima[i]); };
    const auto maxima = merge_rows(merge_max(load(0), load(1), 8), merge_max(load(2), load(3), 8));
    aie::accum<acc32, 32> constant(aie::broadcast<int16, 32>(head.offset));
    for (unsigned k = 0; k < kKnees; ++k) {
      const auto threshold = row_threshold(maxima, head.position[k]);
      if constexpr (Rows::kPaired) {
        spread_pairs(threshold, [&](unsigned i, const aie::vector<int8, 64>& pair) {
          aie::store_v(distances(x, groups, 8 * g + i, k), pair);
        });
      } else {
        aie::store_v(group.threshold[k], threshold);
      }
      constant = subtract_drop(constant, maxima, threshold, head.slope[k]);
    }
    aie::store_v(group.constant, constant.template to_vector<int16>(0));
  }
}

// Pass 3: the sums of S_k * u_k of four rows, and with bit masks the valid positions. A block is an 8 x 8 matrix whose
// columns are summed, by a product with a matrix that is S_k in the rows' own lines.
template <MaskKind kMask, unsigned kKnees, typename Rows>
void add_up(const Rows& x, const HccsHead& head, InterleavedGroup<kKnees>* groups) {
  using Product = aie::mmul<4, 8, 8, int8, int8>;
  constexpr unsigned kVectors = 4 / Rows::kVectorRows;
  const auto line = [](int8 value, unsigned i) {
    const uint32_t lanes = Rows::kVectorRows == 2 ? 0xf00fu << (16 * i) : 0xffu << (8 * i);
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 32>(value), aie::mask<32>::from_uint32(lanes));
  };
  aie::vector<int8, 32> slope[kKnees][kVectors];
  aie::vector<int8, 32> one[kVectors];
  for (unsigned i = 0; i < kVectors; ++i) {
    for (unsigned k = 0; k < kKnees; ++k) slope[k][i] = line(head.slope[k], i);
    one[i] = line(1, i);
  }
  HCCS_LOOP(quad, 4 * interleaved_groups(x.rows()), "interleaved.sums", 4) {
    InterleavedGroup<kKnees>& group = groups[quad / 4];
    unsigned row[4];
    for (unsigned i = 0; i < 4; ++i) row[i] = x.row(quad / 4, quad % 4 * 4 + i);
    const QuadBlocks blocks = quad_blocks(x, row);
    aie::vector<int8, 64> threshold[kKnees][kVectors];
    for (unsigned k = 0; k < kKnees; ++k) {
      for (unsigned i = 0; i < kVectors; ++i) {
        if constexpr (Rows::kPaired) {
          threshold[k][i] = aie::load_v<64>(distances(x, groups, quad * kVectors + i, k));
        } else {
          threshold[k][i] = aie::broadcast<int8, 64>(group.threshold[k][quad % 4 * 4 + i]);
        }
      }
    }
    // Two accumulators, so that no product waits for the one before.
    Product sums[2];
    for (Product& s : sums) s = Product(aie::zeros<acc32, 32>());
    const auto add_block = [&](unsigned i, const aie::vector<int8, 64>& block) {
      for (unsigned k = 0; k < kKnees; ++k) {
        const auto u = aie::maxdiff(block, threshold[k][i]);
        sums[i % 2].mac(slope[k][i], u);
        if constexpr (Rows::kShort) aie::store_v(distances(x, groups, quad * kVectors + i, k), u);
      }
    };
    HCCS_LOOP(b, blocks.whole, "interleaved.sums.blocks", 0) {
      for (unsigned i = 0; i < kVectors; ++i) add_block(i, x.load_vector(row[i * Rows::kVectorRows], b));
    }
    Product count(aie::zeros<acc32, 32>());
    for (unsigned b = blocks.whole; b < blocks.live; ++b) {
      for (unsigned i = 0; i < kVectors; ++i) {
        const unsigned r = row[i * Rows::kVectorRows];
        add_block(i, x.load_valid(r, b));
        if constexpr (kMask == MaskKind::kBits) {
          count.mac(one[i], aie::select(static_cast<int8>(0), aie::broadcast<int8, 64>(1), x.valid_vector(r, b)));
        }
      }
    }
    aie::store_v(group.partial_sum[quad % 4], fold(aie::add(sums[0].to_accum(), sums[1].to_accum())));
    if constexpr (kMask == MaskKind::kBits) {
      aie::store_v(group.partial_count[quad % 4], fold(count.to_accum()));
    } else {
      for (unsigned i = 0; i < 4; ++i) group.count[quad % 4 * 4 + i] = x.limit(row[i]);
    }
  }
}

// Pass 4: Z and r of 16 rows.
template <Normalisation kNormalisation, typename Out, MaskKind kMask, unsigned kKnees>
void make_factors(unsigned rows, InterleavedGroup<kKnees>* groups) {
  HCCS_LOOP(g, interleaved_groups(rows), "interleaved.factors", 1) {
    InterleavedGroup<kKnees>& group = groups[g];
    RowSums count;
    if constexpr (kMask == MaskKind::kBits) {
      count = merge_sums(group.partial_count);
    } else {
      count = aie::load_v<kGroupRows>(group.count);
    }
    const RowSums sum = row_sums(merge_sums(group.partial_sum), count, aie::load_v<kGroupRows>(group.constant));
    aie::store_v(group.sum, sum);
    if constexpr (kNormalisation != Normalisation::kClb) {
      aie::store_v(group.reciprocal, row_reciprocals<kNormalisation, Out>(sum));
    }
  }
}

// Pass 5: the results, row by row. kFixed promises n * B < 2^16, so that clb to uint8 has the same factor in all rows.
template <Normalisation kNormalisation, typename Out, MaskKind kMask, bool kFixed, unsigned kKnees, typename Rows>
void scale_rows(const Rows& x, const HccsHead& head, InterleavedGroup<kKnees>* groups, Out* out) {
  constexpr unsigned kLanes = Rows::kRowLanes;
  constexpr bool kEachRow = kFused<kNormalisation, Out> && !kFixed;  // does each row have a factor of its own?
  const auto broadcast = [](int value) { return aie::broadcast<int16, kLanes>(static_cast<int16>(value)); };
  const int16 common = kFixed ? 255 : 1;
  const auto common_factor = broadcast(common);
  aie::vector<int16, kLanes> common_slope[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) common_slope[k] = broadcast(head.slope[k] * common);

  const unsigned padded_rows = (x.rows() + Rows::kVectorRows - 1) / Rows::kVectorRows * Rows::kVectorRows;
  HCCS_LOOP(row, padded_rows, "interleaved.scale", 1) {
    const InterleavedGroup<kKnees>& group = groups[row / kGroupRows];
    const unsigned s = row % kGroupRows;
    const int16 reciprocal = kNormalisation == Normalisation::kClb ? int16{0} : group.reciprocal[s];
    const RowScale scale = row_scale<kNormalisation, Out>(group.sum[s], reciprocal);
    const auto constant = aie::mul(broadcast(group.constant[s]), kEachRow ? broadcast(scale.factor) : common_factor);
    aie::vector<int16, kLanes> factor;
    if constexpr (!kFused<kNormalisation, Out>) factor = broadcast(reciprocal);
    aie::vector<int8, kLanes> threshold[kKnees];
    aie::vector<int16, kLanes> slope[kKnees];
    for (unsigned k = 0; k < kKnees; ++k) {
      if constexpr (!Rows::kShort) threshold[k] = aie::broadcast<int8, kLanes>(group.threshold[k][s]);
      slope[k] = kEachRow ? broadcast(head.slope[k] * scale.factor) : common_slope[k];
    }
    const auto results = [&](unsigned block) {
      auto sum = constant;
      for (unsigned k = 0; k < kKnees; ++k) {
        aie::vector<int8, kLanes> u;
        if constexpr (Rows::kShort) {
          const int8* from = distances(x, groups, row / Rows::kVectorRows, k) + row % Rows::kVectorRows * kLanes;
          u = aie::load_v<kLanes>(from);
        } else {
          u = aie::maxdiff(x.load(row, block), threshold[k]);
        }
        sum = aie::mac(sum, u.template unpack<int16>(), slope[k]);
      }
      if constexpr (kFused<kNormalisation, Out>) {
        return sum.template to_vector<Out>(scale.shift);
      } else {
        return aie::mul(sum.template to_vector<int16>(0), factor).template to_vector<Out>(scale.shift);
      }
    };
    Out* to = out + row * x.pitch();
    const unsigned whole = x.whole_blocks(row);
    const unsigned live = x.live_blocks(row);
    HCCS_LOOP(b, whole, "interleaved.scale.blocks", 0) { aie::store_v(to + b * 64, results(b)); }
    if constexpr (kMask != MaskKind::kNone) {
      for (unsigned b = whole; b < live; ++b) {
        aie::store_v(to + b * 64, aie::select(Out{0}, results(b), x.valid(row, b)));
      }
      for (unsigned b = live; b < x.blocks(); ++b) aie::store_v(to + b * 64, aie::zeros<Out, kLanes>());
    }
  }
}

}  // namespace interleaved

// `rows` rows of n logits of one head whose masks are of kind kMask; kShape is row_shape(n). kNone needs rows that fill
// their pitch, pairs of them if kPaired.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask, RowShape kShape>
inline void softmax_interleaved_rows(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                     const HccsHead& head, const RowMasks& masks, void* __restrict scratch) {
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  const RoundingSaturation modes(kStoreRounding<kNormalisation>, aie::saturation_mode::saturate);
  auto* groups = static_cast<InterleavedGroup<kKnees>*>(scratch);
  const InterleavedRows<kMask, kShape> x(logits, rows, n, masks);
  interleaved::find_maxima(x, groups);
  interleaved::set_thresholds(x, head, groups);
  interleaved::add_up<kMask>(x, head, groups);
  interleaved::make_factors<kNormalisation, Out, kMask>(rows, groups);
  if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
    if (n * static_cast<unsigned>(head.offset) < 1u << 16) {
      return interleaved::scale_rows<kNormalisation, Out, kMask, true>(x, head, groups, out);
    }
  }
  interleaved::scale_rows<kNormalisation, Out, kMask, false>(x, head, groups, out);
}

// ... of any size; interleaved_scratch<kKnees>(rows, n) bytes of scratch, aligned to 64.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_interleaved(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                const HccsHead& head, const RowMasks& masks, void* __restrict scratch) {
  // A row that does not fill its pitch is one with a valid length; the row beside an odd last one is one of length 0.
  constexpr MaskKind kPadded = kMask == MaskKind::kNone ? MaskKind::kLimits : kMask;
  if (rows == 0) return;
  const bool whole = n == interleaved_pitch(n) && (n > 32 || rows % 2 == 0);
  const auto run = [&]<RowShape kShape>() {
    if (whole) {
      softmax_interleaved_rows<kNormalisation, Out, kKnees, kMask, kShape>(logits, out, rows, n, head, masks, scratch);
    } else {
      softmax_interleaved_rows<kNormalisation, Out, kKnees, kPadded, kShape>(logits, out, rows, n, head, masks,
                                                                             scratch);
    }
  };
  if (row_shape(n) == RowShape::kPaired) {
    run.template operator()<RowShape::kPaired>();
  } else if (row_shape(n) == RowShape::kSingle) {
    run.template operator()<RowShape::kSingle>();
  } else {
    run.template operator()<RowShape::kLong>();
  }
}

// The kernel for blocks of kRows rows of kN logits: what HeadSoftmax (head_softmax.h) runs.
template <Normalisation kNormalisation, typename Out_, unsigned kN, unsigned kRows, unsigned kKnees = 1,
          MaskKind kMask_ = MaskKind::kNone>
struct InterleavedKernel {
  using Out = Out_;
  struct alignas(64) Scratch {
    int8 bytes[interleaved_scratch<kKnees>(kRows, kN)];
  };
  static constexpr MaskKind kMask = kMask_;
  static constexpr unsigned kElements = interleaved_elements(kRows, kN);  // of one head
  static constexpr unsigned kMaskWords = kRows * interleaved_pitch(kN) / 32;

  static void run(const int8* __restrict logits, Out* __restrict out, const HccsHead& head, const RowMasks& masks,
                  Scratch& scratch) {
    constexpr RowShape kShape = row_shape(kN);
    constexpr bool kWhole = kN == interleaved_pitch(kN) && (kShape != RowShape::kPaired || kRows % 2 == 0);
    constexpr MaskKind kKind = kMask == MaskKind::kNone && !kWhole ? MaskKind::kLimits : kMask;
    softmax_interleaved_rows<kNormalisation, Out, kKnees, kKind, kShape>(logits, out, kRows, kN, head, masks,
                                                                         scratch.bytes);
  }
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_INTERLEAVED_H_
