// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int8 rows, many rows at a time: reductions of 16 rows share their shuffles, sums are matrix products, and
// 16 reciprocals are made together. Any row length, K = 1..4, all six outputs, masks.
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

// Five passes over a block of rows:
//   1  the maxima of pairs of rows, 32 lanes a row. The halves of a register are loaded from two rows, so that the
//   first
//      step from 64 lanes to 32 is one maximum for two rows. Rows of 32 are pairs already.
//   2  from 32 lanes to one for each of 16 rows, by shuffles that all of them share
//   3  u_k = max(x - t_k, 0) for t_k = m - D_k, and their sums: a product of a row's u_k as an 8 x 8 matrix with a line
//      of ones leaves eight sums a row
//   4  Z of 16 rows: the product of those sums with columns of S_k; reciprocals and shifts
//   5  the results
// With m - x = d, u_k = D_k - min(d, D_k), 0..127, and with F = B - sum_k S_k * D_k, the floor,
//
//   s   = F + sum_k S_k * u_k
//   Z   = count * F + sum_k S_k * sum u_k        below 2^31, as n * B is
//   u_k = max(u - (D - D_k), 0)                  from u = max(x - (m - D), 0) of the farthest knee D
//
// u waits for pass 5 in the output buffer, one byte each, where the results then take its place. Where results have two
// bytes it is in the upper half of the row's room, which pass 5 reads before it writes there.
//
// m - D fits int8, and u is one instruction (maxdiff), unless a row's maximum is below D - 128. A call with such a row
// takes the distances as bytes without a sign in two: u = max((255 - d) - (255 - D), 0), 255 - d = x - (m + 1) modulo
// 2^8.
//
// An invalid position counts as -128 in the maximum, has u = 0 in the sums and gets 0 in the end.

// What the passes leave for each other, for a group of 16 rows. Row s of the group is in lane interleaved_slot(s) of
// the last three.
template <unsigned kKnees>
struct alignas(64) InterleavedGroup {
  int8 maximum[64];  // of row s in lane s
  int32 count[kGroupRows];
  int32 sum[kGroupRows];
  alignas(64) int16 shift[kGroupRows];  // k, for scaled the shift of the results
  alignas(64) int16 reciprocal[kGroupRows];
};

constexpr unsigned interleaved_groups(unsigned rows) { return (rows + kGroupRows - 1) / kGroupRows; }
constexpr unsigned interleaved_slot(unsigned s) { return s % 2 * 8 + s / 2; }

// Blocks of 64 positions that a pass of a loop takes of a row, its segment: 1, 2, 4 or 8. 0: rows of up to 32
// positions, two to a register.
constexpr unsigned interleaved_segment(unsigned n) {
  const unsigned blocks = interleaved_pitch(n) / 64;
  return blocks == 0 ? 0 : blocks % 8 == 0 ? 8 : blocks % 4 == 0 ? 4 : blocks % 2 == 0 ? 2 : 1;
}
constexpr unsigned interleaved_segments(unsigned n) {
  return n <= 32 ? 1 : interleaved_pitch(n) / 64 / interleaved_segment(n);
}

namespace interleaved {

// The scratch of a call: groups; the maxima of pass 1; sums of pass 3, eight a row, for each knee and with bit masks
// for the count; the columns of pass 4.
template <unsigned kKnees>
struct Scratch {
  static constexpr unsigned kPlanes = kKnees + 1;
  static constexpr unsigned bytes(unsigned rows, unsigned segments) {
    return interleaved_groups(rows) *
               (static_cast<unsigned>(sizeof(InterleavedGroup<kKnees>)) + segments * (8 * 64 + kPlanes * 256)) +
           kPlanes * 8 * 32;
  }
  Scratch(void* scratch, unsigned rows, unsigned row_segments)
      : groups(static_cast<InterleavedGroup<kKnees>*>(scratch)),
        segments(row_segments),
        maxima_(reinterpret_cast<int8*>(groups + interleaved_groups(rows))),
        sums_(reinterpret_cast<int16*>(maxima_ + interleaved_groups(rows) * segments * 8 * 64)),
        columns_(reinterpret_cast<int8*>(sums_ + interleaved_groups(rows) * segments * kPlanes * 128)) {}

  // Of a pair of rows, 32 lanes each.
  int8* maxima(unsigned pair, unsigned segment) const { return maxima_ + (pair * segments + segment) * 64; }
  // Of 16 rows, eight a row.
  int16* sums(unsigned group, unsigned plane, unsigned segment) const {
    return sums_ + ((group * kPlanes + plane) * segments + segment) * 128;
  }
  int8* column(unsigned plane, unsigned pair) const { return columns_ + (plane * 8 + pair) * 32; }

  InterleavedGroup<kKnees>* groups;
  unsigned segments;

 private:
  int8* maxima_;
  int16* sums_;
  int8* columns_;
};

}  // namespace interleaved

// Bytes of scratch that a call needs, aligned to 64.
template <unsigned kKnees>
constexpr unsigned interleaved_scratch(unsigned rows, unsigned n) {
  return interleaved::Scratch<kKnees>::bytes(rows, interleaved_segments(n));
}

// The logits of one head and which of them are valid.
// MaskKind::kNone promises that n is the pitch, too. Nothing of a row that is not there is valid.
template <MaskKind kMask, unsigned kBlocks>
class InterleavedRows {
 public:
  static constexpr bool kPaired = kBlocks == 0;
  static constexpr unsigned kSegment = kPaired ? 1 : kBlocks;
  static constexpr unsigned kRowLanes = kPaired ? 32 : 64;  // lanes of one row in a register
  static constexpr bool kMasked = kMask != MaskKind::kNone;
  // Does pass 4 make the rows' shifts in lanes, for a pass 5 so short that the scalar unit would be what it waits for?
  static constexpr bool kLaneShifts = kPaired || (__AIE_ARCH__ > 20 && kBlocks == 1);

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
  unsigned segments() const { return kPaired ? 1 : pitch_ / 64 / kSegment; }

  // The first row of a pair. Pairs beyond the rows repeat the last one.
  unsigned pair_row(unsigned pair) const {
    const unsigned last = (rows_ - 1) / 2;
    return (pair < last ? pair : last) * 2;
  }
  // The row itself, or one that stands for it: of the last pair, and beside an odd last row that row again.
  unsigned existing(unsigned row) const {
    const unsigned stands_in = pair_row(row / 2) + row % 2;
    return stands_in < rows_ ? stands_in : rows_ - 1;
  }

  // Positions of the row below which validity is up to the bits alone. A row beyond the last has none.
  int32_t limit(unsigned row) const {
    if (row >= rows_) return 0;
    return clamp(first_limit_ + static_cast<int32_t>(step_ * row), 0, limit_);
  }

  // Which of 32 positions of each of two rows are valid, or of 64 of one row.
  aie::mask<64> valid_pair(unsigned row, unsigned half) const {
    return aie::mask<64>::from_uint32(word(row, half), word(kPaired ? row + 1 : existing(row + 1), half));
  }
  aie::mask<64> valid_block(unsigned row, unsigned block) const {
    return aie::mask<64>::from_uint32(word(row, 2 * block), word(row, 2 * block + 1));
  }
  aie::mask<kRowLanes> valid(unsigned row, unsigned block) const {
    if constexpr (kPaired) {
      return aie::mask<32>::from_uint32(word(row, 0));
    } else {
      return valid_block(row, block);
    }
  }

  aie::vector<int8, 64> load(unsigned row, unsigned block) const {
    return aie::load_v<64>(logits_ + row * pitch_ + block * 64);
  }
  // 32 positions of two rows.
  aie::vector<int8, 64> load_pair(unsigned row, unsigned half) const {
    if constexpr (kPaired) return load(row, 0);
    return aie::concat(aie::load_v<32>(logits_ + row * pitch_ + half * 32),
                       aie::load_v<32>(logits_ + existing(row + 1) * pitch_ + half * 32));
  }
  // ... with -128 for what is not valid.
  aie::vector<int8, 64> load_valid_pair(unsigned row, unsigned half) const {
    const auto logits = load_pair(row, half);
    if constexpr (!kMasked) return logits;
    return aie::select(static_cast<int8>(-128), logits, valid_pair(row, half));
  }

 private:
  static constexpr int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

  uint32_t word(unsigned row, unsigned index) const {
    const int32_t left = scalar(limit(row) - static_cast<int32_t>(32 * index), row);
    const uint32_t ones = scalar(left > 0 ? ~uint32_t{0} : 0, left);
    const uint32_t beyond = scalar(left < 32 && left > 0 ? ~uint32_t{0} << left : 0, left);
    const uint32_t below = scalar(ones & ~beyond, ones, beyond);
    if constexpr (kMask != MaskKind::kBits) return below;
    if (row >= rows_) return 0;
    const uint32_t bits = load_scalar(bits_ + row * (pitch_ / 32) + index);
    return scalar(below & bits, below, bits);
  }

  const int8* logits_;
  const uint32_t* bits_;
  unsigned rows_, pitch_;
  int32_t limit_, first_limit_;
  uint32_t step_;
};

namespace interleaved {

// The knees with the farthest as the last one. Those that are not in use have slope 0, wherever they are.
template <unsigned kKnees>
struct Knees {
  explicit Knees(const HccsHead& head) : floor(static_cast<int16>(head_floor(head))) {
    unsigned last = 0;
    for (unsigned k = 1; k < kKnees; ++k) last = head.position[k] > head.position[last] ? k : last;
    farthest = head.position[last];
    for (unsigned k = 0; k < kKnees; ++k) {
      const unsigned from = k == kKnees - 1 ? last : k == last ? kKnees - 1 : k;
      slope[k] = head.slope[from];
      nearer[k] = static_cast<int8>(farthest - head.position[from]);
    }
  }
  int16 floor;          // F
  int8 farthest;        // D
  int8 slope[kKnees];   // S_k
  int8 nearer[kKnees];  // D - D_k, 0 for the last
};

// Where u of a block of a row waits.
template <typename Rows, typename Out>
int8* parked(const Rows& x, Out* out, unsigned row, unsigned block) {
  auto* room = reinterpret_cast<int8*>(out + row * x.pitch());
  if constexpr (Rows::kPaired && sizeof(Out) == 2)
    room = reinterpret_cast<int8*>(out + row / 2 * 64) + 64 + row % 2 * 32;
  if constexpr (!Rows::kPaired && sizeof(Out) == 2) room += x.pitch();
  return room + block * 64;
}

// Pass 1: the maxima of pairs of rows.
template <typename Rows, unsigned kKnees>
void find_maxima(const Rows& x, const Scratch<kKnees>& scratch) {
  unsigned pair = 0;
  unsigned segment = 0;
  HCCS_LOOP(i, 8 * interleaved_groups(x.rows()) * scratch.segments, "interleaved.maxima", 8) {
    const unsigned row = x.pair_row(pair);
    const unsigned first = segment * Rows::kSegment * 2;
    auto maxima = x.load_valid_pair(row, first);
    for (unsigned half = 1; half < 2 * Rows::kSegment; ++half)
      maxima = aie::max(maxima, x.load_valid_pair(row, first + half));
    aie::store_v(scratch.maxima(pair, segment), maxima);
    if (++segment == scratch.segments) {
      segment = 0;
      ++pair;
    }
  }
}

// Pass 2: the maxima of 16 rows. Returns whether m - D fits int8 in all of them.
template <typename Rows, unsigned kKnees>
bool merge_maxima(const Rows& x, int8 farthest, const Scratch<kKnees>& scratch) {
  auto least = aie::broadcast<int8, 64>(127);
  HCCS_LOOP(g, interleaved_groups(x.rows()), "interleaved.merge", 1) {
    InterleavedGroup<kKnees>& group = scratch.groups[g];
    aie::vector<int8, 64> pairs[8];
    for (unsigned i = 0; i < 8; ++i) {
      const unsigned pair = 8 * g + i;
      if constexpr (Rows::kPaired) {
        pairs[i] = x.load_valid_pair(x.pair_row(pair), 0);
      } else {
        pairs[i] = aie::load_v<64>(scratch.maxima(pair, 0));
        for (unsigned segment = 1; segment < scratch.segments; ++segment) {
          pairs[i] = aie::max(pairs[i], aie::load_v<64>(scratch.maxima(pair, segment)));
        }
      }
    }
    const auto four = [&](unsigned i) {
      return merge_max(merge_max(pairs[i], pairs[i + 1], 16), merge_max(pairs[i + 2], pairs[i + 3], 16), 8);
    };
    const auto maximum = merge_rows(four(0), four(4));
    aie::store_v(group.maximum, maximum);
    least = aie::min(least, maximum);
  }
  return aie::lt(least, static_cast<int8>(farthest - 128)).empty();
}

// Pass 3: u, and eight sums a row of each u_k. kFit: m - D fits int8.
template <bool kFit, MaskKind kMask, unsigned kKnees, typename Rows, typename Out>
void add_up(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, Out* out) {
  using Product = aie::mmul<4, 8, 8, int8, int8>;
  // Rows that a pass takes: two where their code is short.
  constexpr unsigned kPassRows = Rows::kPaired || Rows::kSegment <= 2 ? 2 : 1;
  constexpr bool kCounts = kMask == MaskKind::kBits;
  // Line i of the first operand sums the row that goes to line i; of pairs, one row is in the upper half of the lines.
  const auto line = [](uint32_t lanes) {
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 32>(1), aie::mask<32>::from_uint32(lanes));
  };
  const aie::vector<int8, 32> lines[2] = {line(Rows::kPaired ? 0xf00fu : 0xffu), line(0xff00u)};
  const auto beyond = aie::broadcast<uint8, 64>(static_cast<uint8>(255 - knees.farthest));
  aie::vector<int8, 64> nearer[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) nearer[k] = aie::broadcast<int8, 64>(knees.nearer[k]);

  unsigned row = 0;
  unsigned segment = 0;
  HCCS_LOOP(i, kGroupRows / kPassRows * interleaved_groups(x.rows()) * scratch.segments, "interleaved.sums", 8) {
    const InterleavedGroup<kKnees>& group = scratch.groups[row / kGroupRows];
    Product sums[kKnees];
    Product count;
    const auto add = [&](unsigned line_number, const aie::vector<int8, 64>& level, unsigned r, unsigned block) {
      auto logits = x.load(r, block);
      aie::mask<64> valid;
      if constexpr (Rows::kMasked) {
        valid = Rows::kPaired ? x.valid_pair(r, 0) : x.valid_block(r, block);
        if constexpr (kFit) logits = aie::select(int8{-128}, logits, valid);
        if constexpr (kCounts) {
          count.mac(lines[line_number], aie::select(static_cast<int8>(0), aie::broadcast<int8, 64>(1), valid));
        }
      }
      aie::vector<int8, 64> u;
      if constexpr (kFit) {
        u = aie::maxdiff(logits, level);
      } else {
        u = aie::maxdiff(aie::sub(logits, level).template cast_to<uint8>(), beyond).template cast_to<int8>();
        if constexpr (Rows::kMasked) u = aie::select(int8{0}, u, valid);
      }
      aie::store_v(parked(x, out, r, block), u);
      for (unsigned k = 0; k < kKnees; ++k) {
        sums[k].mac(lines[line_number], k == kKnees - 1 ? u : aie::maxdiff(u, nearer[k]));
      }
    };
    // m - D, or m + 1.
    const auto level_of = [&](unsigned r) {
      const int8 maximum = load_scalar(group.maximum + (row + r) % kGroupRows);
      return aie::broadcast<int8, 64>(
          scalar(static_cast<int8>(kFit ? maximum - knees.farthest : maximum + 1), maximum));
    };
    if constexpr (Rows::kPaired) {
      const auto levels = aie::concat(level_of(0).template extract<32>(0), level_of(1).template extract<32>(1));
      add(0, levels, x.pair_row(row / 2), 0);
    } else {
      for (unsigned r = 0; r < kPassRows; ++r) {
        const auto level = level_of(r);
        for (unsigned b = 0; b < Rows::kSegment; ++b) add(r, level, x.existing(row + r), segment * Rows::kSegment + b);
      }
    }
    const auto store = [&](const Product& product, unsigned plane) {
      const auto rows = product.to_accum().template extract<16>(0).template to_vector<int16>(0);
      int16* to = scratch.sums(row / kGroupRows, plane, segment) + row % kGroupRows * 8;
      if constexpr (kPassRows == 2) {
        aie::store_v(to, rows);
      } else {
        aie::store_v(to, rows.template extract<8>(0));
      }
    };
    for (unsigned k = 0; k < kKnees; ++k) store(sums[k], k);
    if constexpr (kCounts) store(count, kKnees);
    if (++segment == scratch.segments) {
      segment = 0;
      row += kPassRows;
    }
  }
}

// Pass 4: Z, r and shifts of 16 rows.
template <Normalisation kNormalisation, typename Out, MaskKind kMask, unsigned kKnees, typename Rows>
void make_factors(const Rows& x, const HccsHead& head, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch,
                  unsigned n) {
  // The first operand is two rows of eight sums as 4 x 4; the second puts their total into the pair's column.
  using Product = aie::mmul<4, 4, 8, int16, int8>;
  constexpr unsigned kPlanes = kMask == MaskKind::kBits ? kKnees + 1 : kKnees;
  // One plane's columns stay in registers.
  aie::vector<int8, 32> columns[8];
  for (unsigned plane = 0; plane < kPlanes; ++plane) {
    const auto weight = aie::broadcast<int8, 32>(plane < kKnees ? knees.slope[plane % kKnees] : int8{1});
    for (unsigned pair = 0; pair < 8; ++pair) {
      columns[pair] = aie::select(static_cast<int8>(0), weight, aie::mask<32>::from_uint32(0x01010101u << pair));
      if constexpr (kPlanes > 1) aie::store_v(scratch.column(plane, pair), columns[pair]);
    }
  }
  const auto column = [&](unsigned plane, unsigned pair) -> aie::vector<int8, 32> {
    if constexpr (kPlanes > 1) return aie::load_v<32>(scratch.column(plane, pair));
    return columns[pair];
  };
  // Two halves of each row: lanes as interleaved_slot has them.
  const auto row_lanes = [](const Product& product) {
    const auto lanes = product.to_accum().template to_vector<int32>();
    return merge_add(lanes.template extract<16>(0), lanes.template extract<16>(1), 8);
  };
  const auto full_sum = aie::broadcast<int32, kGroupRows>(static_cast<int32>(n) * knees.floor);
  const auto sum_of = [&](unsigned g) -> RowSums {
    InterleavedGroup<kKnees>& group = scratch.groups[g];
    const auto add = [&](Product& product, unsigned plane) {
      for (unsigned segment = 0; segment < scratch.segments; ++segment) {
        const int16* sums = scratch.sums(g, plane, segment);
        for (unsigned pair = 0; pair < 8; ++pair) {
          product.mac(aie::load_v<16>(sums + 16 * pair), column(plane, pair));
        }
      }
    };
    Product slopes;
    for (unsigned k = 0; k < kKnees; ++k) add(slopes, k);
    const RowSums sum = row_lanes(slopes);
    if constexpr (kMask == MaskKind::kNone) return aie::add(sum, full_sum);
    RowSums count;
    if constexpr (kMask == MaskKind::kBits) {
      Product counted;
      add(counted, kKnees);
      count = row_lanes(counted);
    } else {
      for (unsigned s = 0; s < kGroupRows; ++s) {
        store_scalar(group.count + interleaved_slot(s), x.limit(g * kGroupRows + s));
      }
      count = aie::load_v<kGroupRows>(group.count);
    }
    return row_sums(sum, count, aie::broadcast<int16, kGroupRows>(knees.floor));
  };
  constexpr bool kShifts = kNormalisation != Normalisation::kDiv && Rows::kLaneShifts;
  const auto run = [&] {
    // Four groups at a time, in pairs; groups beyond the last repeat it.
    const unsigned last = interleaved_groups(x.rows()) - 1;
    HCCS_LOOP(i, last / 4 + 1, "interleaved.factors", 1) {
      for (unsigned pair = 4 * i; pair < 4 * i + 4; pair += 2) {
        const unsigned group[] = {pair < last ? pair : last, pair + 1 < last ? pair + 1 : last};
        const auto sums = aie::concat(sum_of(group[0]), sum_of(group[1]));
        aie::vector<int16, 2 * kGroupRows> shift, reciprocal;
        if constexpr (kShifts) {
          shift = shifts(sums, kNormalisation == Normalisation::kScaled && std::is_same_v<Out, uint8> ? 7 : 0);
        }
        if constexpr (kNormalisation != Normalisation::kClb) {
          reciprocal = row_reciprocals<kNormalisation, Out>(sums, static_cast<int32_t>(n) * head.offset);
        }
        for (unsigned j = 0; j < 2; ++j) {
          InterleavedGroup<kKnees>& to = scratch.groups[group[j]];
          if constexpr (kShifts) {
            aie::store_v(to.shift, shift.template extract<kGroupRows>(j));
          } else {
            aie::store_v(to.sum, sums.template extract<kGroupRows>(j));
          }
          if constexpr (kNormalisation != Normalisation::kClb) {
            aie::store_v(to.reciprocal, reciprocal.template extract<kGroupRows>(j));
          }
        }
      }
    }
  };
  if constexpr (kNormalisation == Normalisation::kClb) {
    run();
  } else {
    const auto modes = factor_modes();
    run();
  }
}

// Pass 5: the results, segment by segment. kFused: clb to uint8 with n * B < 2^16, where the result is (255 * s) >> k.
template <Normalisation kNormalisation, typename Out, bool kFused, unsigned kKnees, typename Rows>
void scale_rows(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, Out* out) {
  constexpr unsigned kLanes = Rows::kRowLanes;
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr int16 kScale = kFused ? 255 : 1;
  const aie::accum<acc32, kLanes> floor =
      aie::mul(aie::broadcast<int16, kLanes>(knees.floor), aie::broadcast<int16, kLanes>(kScale));
  aie::vector<int16, kLanes> slope[kKnees];
  aie::vector<int8, kLanes> nearer[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) {
    slope[k] = aie::broadcast<int16, kLanes>(static_cast<int16>(knees.slope[k] * kScale));
    nearer[k] = aie::broadcast<int8, kLanes>(knees.nearer[k]);
  }
  const unsigned padded_rows = Rows::kPaired ? (x.rows() + 1) / 2 * 2 : x.rows();
  unsigned row = 0;
  unsigned segment = 0;
  HCCS_LOOP(i, padded_rows * scratch.segments, "interleaved.scale", 2) {
    const InterleavedGroup<kKnees>& group = scratch.groups[row / kGroupRows];
    const unsigned slot = interleaved_slot(row % kGroupRows);
    int shift = kWide ? 0 : 15;
    aie::vector<int16, kLanes> factor;
    if constexpr (kNormalisation != Normalisation::kDiv) {
      int k;
      if constexpr (Rows::kLaneShifts) {
        k = load_scalar(group.shift + slot);
      } else {
        k = floor_log2(load_scalar(group.sum + slot));
        if constexpr (kNormalisation == Normalisation::kScaled && !kWide) k = scalar(k + 7, k);
      }
      if constexpr (kFused || kNormalisation == Normalisation::kScaled) {
        shift = k;
      } else {
        factor = aie::broadcast<int16, kLanes>(scalar(static_cast<int16>((kWide ? 32767 : 255 << 15) >> k), k));
      }
    }
    if constexpr (kNormalisation != Normalisation::kClb) {
      factor = aie::broadcast<int16, kLanes>(load_scalar(group.reciprocal + slot));
    }
    for (unsigned b = 0; b < Rows::kSegment; ++b) {
      const unsigned block = segment * Rows::kSegment + b;
      const auto u = aie::load_v<kLanes>(parked(x, out, row, block));
      auto sum = floor;
      for (unsigned k = 0; k < kKnees; ++k) {
        const auto u_k = k == kKnees - 1 ? u : aie::maxdiff(u, nearer[k]);
        sum = aie::mac(sum, u_k.template unpack<int16>(), slope[k]);
      }
      aie::vector<Out, kLanes> results;
      if constexpr (kFused) {
        results = sum.template to_vector<Out>(shift);
      } else {
        results = aie::mul(sum.template to_vector<int16>(0), factor).template to_vector<Out>(shift);
      }
      if constexpr (Rows::kMasked) results = aie::select(Out{0}, results, x.valid(row, block));
      aie::store_v(out + row * x.pitch() + block * 64, results);
    }
    if (++segment == scratch.segments) {
      segment = 0;
      ++row;
    }
  }
}

}  // namespace interleaved

// `rows` rows of n logits of one head whose masks are of kind kMask; kBlocks is interleaved_segment(n). kNone needs
// rows that fill their pitch, pairs of them if n <= 32.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask, unsigned kBlocks>
inline void softmax_interleaved_rows(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                     const HccsHead& head, const RowMasks& masks, void* __restrict scratch_bytes) {
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  const RoundingSaturation modes(kStoreRounding<kNormalisation>, aie::saturation_mode::saturate);
  const InterleavedRows<kMask, kBlocks> x(logits, rows, n, masks);
  const interleaved::Scratch<kKnees> scratch(scratch_bytes, rows, x.segments());
  const interleaved::Knees<kKnees> knees(head);
  const auto run = [&]<bool kFused>() {
    if constexpr (kBlocks > 0) interleaved::find_maxima(x, scratch);
    if (interleaved::merge_maxima(x, knees.farthest, scratch)) {
      interleaved::add_up<true, kMask>(x, knees, scratch, out);
    } else {
      interleaved::add_up<false, kMask>(x, knees, scratch, out);
    }
    interleaved::make_factors<kNormalisation, Out, kMask>(x, head, knees, scratch, n);
    interleaved::scale_rows<kNormalisation, Out, kFused>(x, knees, scratch, out);
  };
  if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
    if (n * static_cast<unsigned>(head.offset) < 1u << 16) return run.template operator()<true>();
  }
  run.template operator()<false>();
}

// ... of any size; interleaved_scratch<kKnees>(rows, n) bytes of scratch, aligned to 64.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_interleaved(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                const HccsHead& head, const RowMasks& masks, void* __restrict scratch) {
  // A row that does not fill its pitch is one with a valid length; the row beside an odd last one is one of length 0.
  constexpr MaskKind kPadded = kMask == MaskKind::kNone ? MaskKind::kLimits : kMask;
  if (rows == 0) return;
  const bool whole = n == interleaved_pitch(n) && (n > 32 || rows % 2 == 0);
  const auto run = [&]<unsigned kBlocks>() {
    if (whole) {
      softmax_interleaved_rows<kNormalisation, Out, kKnees, kMask, kBlocks>(logits, out, rows, n, head, masks, scratch);
    } else {
      softmax_interleaved_rows<kNormalisation, Out, kKnees, kPadded, kBlocks>(logits, out, rows, n, head, masks,
                                                                              scratch);
    }
  };
  switch (interleaved_segment(n)) {
    case 0:
      return run.template operator()<0>();
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 4:
      return run.template operator()<4>();
    default:
      return run.template operator()<8>();
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
    constexpr bool kWhole = kN == interleaved_pitch(kN) && (kN > 32 || kRows % 2 == 0);
    constexpr MaskKind kKind = kMask == MaskKind::kNone && !kWhole ? MaskKind::kLimits : kMask;
    softmax_interleaved_rows<kNormalisation, Out, kKnees, kKind, interleaved_segment(kN)>(logits, out, kRows, kN, head,
                                                                                          masks, scratch.bytes);
  }
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_INTERLEAVED_H_
