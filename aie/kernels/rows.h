// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int8 rows, many rows at a time: reductions of 16 rows share their shuffles, sums are matrix products, and
// 16 reciprocals are made together. Any row length, K = 1..4, all six outputs, masks.
//
// Layout: row r begins at element r * rows_pitch(n); what lies between the rows may have any value in the logits
// and becomes 0 in the output. Both buffers have rows_elements(rows, n) elements, aligned to
// aie::vector_decl_align, and do not overlap. Bit masks: rows_pitch(n) / 32 words a row, position i of a row in
// bit i % 32 of its word i / 32.
//
// Serves every head without a head_error(head, kKnees, n, kMask): check_aie. Widths: row_factors.h.
#ifndef HCCS_AIE_KERNELS_ROWS_H_
#define HCCS_AIE_KERNELS_ROWS_H_

#include <type_traits>

#include "hccs_head.h"
#include "row_factors.h"
#include "row_groups.h"

namespace hccs_kernels {

constexpr unsigned rows_pitch(unsigned n) { return n <= 32 ? 32 : (n + 63) / 64 * 64; }
constexpr unsigned rows_elements(unsigned rows, unsigned n) { return (rows * rows_pitch(n) + 63) / 64 * 64; }

// Five passes over a block of rows:
//   1  the maxima of pairs of rows, 32 lanes a row. The halves of a register are loaded from two rows, so that the step
//      from 64 lanes to 32 is one maximum for two rows. Rows of 32 are pairs already.
//   2  from 32 lanes to one for each of 64 rows, by shuffles that all of them share; on v2 partly by products
//   3  u_k = max(x - t_k, 0) for t_k = m - D_k, and their sums: a product of a row's u_k as an 8 x 8 matrix with a line
//      of ones leaves eight sums a row
//   4  Z of 32 rows: products of those sums with columns of S_k; reciprocals and shifts
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
// An invalid position counts as -128 in the maximum and waits as u = -128, which no other has. Where F <= 128 * S of
// the farthest knee its score is then 0 or less, and the conversion to unsigned results makes 0 of it; for other heads,
// whose floor is above almost all of their line, and clb's int16, which must saturate, pass 5 selects 0. In the sums it
// counts as -128 * S:
//
//   Z   = count * (F - 128 * S) + lanes of a row * 128 * S + sum_k S_k * sum u_k
//
// The words of the masks come from a constant table of prefixes (RowsPrefixes): computed, they would cost the
// scalar unit four instructions for each 32 positions in two passes.

// What pass 4 leaves for pass 5, for two groups of 16 rows. Row s of the two is in lane rows_slot(s).
struct alignas(64) RowsFactors {
  int32 sum[2 * kGroupRows];
  int16 shift[2 * kGroupRows];  // k, for scaled the shift of the results
  int16 reciprocal[2 * kGroupRows];
};

constexpr unsigned rows_groups(unsigned rows) { return (rows + kGroupRows - 1) / kGroupRows; }
// Blocks of four groups, 64 rows, whose maxima are one register.
constexpr unsigned rows_blocks(unsigned rows) { return (rows + 4 * kGroupRows - 1) / (4 * kGroupRows); }
// As the products of pass 4 have them: four rows after each other, in columns.
constexpr unsigned rows_slot(unsigned s) {
  return __AIE_ARCH__ == 20 ? s / 16 * 16 + s % 4 * 4 + s % 16 / 4 : s % 4 * 8 + s / 4;
}

// Blocks of 64 positions that a pass of a loop takes of a row, its segment: 1, 2, 4 or 8. 0: rows of up to 32
// positions, two to a register. As many as a compiler overlaps with the next pass's, some 60 instructions.
constexpr unsigned rows_segment(unsigned n, unsigned knees, bool masked) {
  const unsigned blocks = rows_pitch(n) / 64;
  unsigned segment = knees == 1 && !masked ? 8 : knees + (masked ? 1 : 0) <= 3 ? 4 : 2;
  if (blocks == 0) return 0;
  while (blocks % segment != 0) segment /= 2;
  return segment;
}
constexpr unsigned rows_segments(unsigned n, unsigned knees, bool masked) {
  return n <= 32 ? 1 : rows_pitch(n) / 64 / rows_segment(n, knees, masked);
}

namespace rows_passes {

// The scratch of a call: numbers of the rows' limits; factors; the maxima of pass 1; sums of pass 3, eight a row, for
// each knee and with bit masks for the count; the columns of pass 4; the rows' maxima, and for pairs their levels.
template <unsigned kKnees>
struct Scratch {
  static constexpr unsigned kPlanes = kKnees + 1;
  static constexpr unsigned kColumns = __AIE_ARCH__ == 20 ? 4 : 8;
  static constexpr unsigned bytes(unsigned rows, unsigned segments) {
    return rows_groups(rows) * segments * (8 * 64 + kPlanes * 256) + rows_blocks(rows) * 4 * kGroupRows * 4 +
           (rows_groups(rows) + 1) / 2 * static_cast<unsigned>(sizeof(RowsFactors)) +
           kPlanes * kColumns * kColumns * 8 + rows_blocks(rows) * 192;
  }
  Scratch(void* scratch, unsigned rows, unsigned row_segments)
      : factors(reinterpret_cast<RowsFactors*>(static_cast<int32*>(scratch) + rows_blocks(rows) * 4 * kGroupRows)),
        segments(row_segments),
        maxima_(reinterpret_cast<int8*>(factors + (rows_groups(rows) + 1) / 2)),
        sums_(reinterpret_cast<int16*>(maxima_ + rows_groups(rows) * segments * 8 * 64)),
        columns_(reinterpret_cast<int8*>(sums_ + rows_groups(rows) * segments * kPlanes * 128)),
        row_maxima_(columns_ + kPlanes * kColumns * kColumns * 8),
        levels_(reinterpret_cast<int16*>(row_maxima_ + rows_blocks(rows) * 64)) {}

  // Of a pair of rows, 32 lanes each.
  int8* maxima(unsigned pair, unsigned segment) const { return maxima_ + (pair * segments + segment) * 64; }
  // Of 16 rows, eight a row.
  int16* sums(unsigned group, unsigned plane, unsigned segment) const {
    return sums_ + ((group * kPlanes + plane) * segments + segment) * 128;
  }
  int8* column(unsigned plane, unsigned index) const { return columns_ + (plane * kColumns + index) * kColumns * 8; }
  // Of each row.
  int8* row_maxima() const { return row_maxima_; }
  // ... what pass 3 takes from its logits, in both bytes.
  int16* levels() const { return levels_; }

  RowsFactors* factors;
  unsigned segments;

 private:
  int8* maxima_;
  int16* sums_;
  int8* columns_;
  int8* row_maxima_;
  int16* levels_;
};

}  // namespace rows_passes

// Bytes of scratch that a call needs, aligned to 64.
template <unsigned kKnees>
constexpr unsigned rows_scratch(unsigned rows, unsigned n) {
  return rows_passes::Scratch<kKnees>::bytes(rows, rows_segments(n, kKnees, true));
}

// Mask words: word i has the first i - (kPositions - 32) of 32 positions. Those of a row are 32 entries apart.
template <unsigned kPositions>
struct RowsPrefixes {
  static constexpr unsigned kEmpty = kPositions - 32;
  static constexpr unsigned kFull = 2 * kPositions - 32;
  constexpr RowsPrefixes() {
    for (unsigned i = kEmpty + 1; i <= kFull; ++i) {
      word[i] = i - kEmpty < 32 ? (uint32_t{1} << (i - kEmpty)) - 1 : ~uint32_t{0};
    }
  }
  uint32_t word[kFull + 1]{};
};
template <unsigned kPositions>
inline constexpr RowsPrefixes<kPositions> kRowsPrefixes;

// Which positions of a segment of a row are valid.
struct RowsValid {
  const uint32_t* prefix = nullptr;  // of its first 32 positions; the next ones' are 32 entries before
  const uint32_t* bits = nullptr;    // null: all below the limit

  // Of 64 positions.
  aie::mask<64> block(unsigned index) const {
    auto mask = load_mask(prefix - 64 * index, prefix - 64 * index - 32);
    if (bits != nullptr) mask &= load_mask(bits + 2 * index, bits + 2 * index + 1);
    return mask;
  }
  // Of 32 positions.
  aie::mask<32> half(unsigned index) const {
    auto mask = load_mask(prefix - 32 * index);
    if (bits != nullptr) mask &= load_mask(bits + index);
    return mask;
  }
  // ... of two rows.
  static aie::mask<64> halves(const RowsValid& a, const RowsValid& b, unsigned index) {
    auto mask = load_mask(a.prefix - 32 * index, b.prefix - 32 * index);
    if (a.bits != nullptr) mask &= load_mask(a.bits + index, b.bits + index);
    return mask;
  }
};

// The logits of one head and which of them are valid.
// MaskKind::kNone promises that n is the pitch, too. Nothing of a row that is not there is valid.
template <MaskKind kMask, unsigned kBlocks>
class MaskedRows {
 public:
  static constexpr bool kPaired = kBlocks == 0;
  static constexpr unsigned kSegment = kPaired ? 1 : kBlocks;
  static constexpr unsigned kRowLanes = kPaired ? 32 : 64;  // lanes of one row in a register
  static constexpr unsigned kPositions = kSegment * 64;
  using Prefixes = RowsPrefixes<kPositions>;
  static constexpr bool kMasked = kMask != MaskKind::kNone;
  // Does pass 4 make the rows' shifts in lanes, for a pass 5 so short that the scalar unit would be what it waits for?
  static constexpr bool kLaneShifts = kPaired || (__AIE_ARCH__ > 20 && kBlocks == 1);

  // `prefixes`: room for a number of each row, of whole blocks of 64 rows.
  MaskedRows(const int8* logits, unsigned rows, unsigned n, const BlockMask& masks, int32* prefixes)
      : logits_(logits), bits_(masks.bits), rows_(rows), pitch_(rows_pitch(n)), prefixes_(prefixes) {
    if constexpr (kMasked) set_limits(n, masks);
  }

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

  // Positions of 16 rows below which validity is up to the bits alone, plus Prefixes::kEmpty.
  RowSums limits(unsigned group) const { return aie::load_v<kGroupRows>(prefixes_ + group * kGroupRows); }

  // Which positions of a segment of a row are valid.
  RowsValid valid(unsigned row, unsigned segment) const {
    int32_t prefix = load_scalar(prefixes_ + row);
    if (segments() > 1) {
      // Each bound is a comparison and a selection.
      prefix = scalar(prefix - static_cast<int32_t>(segment * kPositions), prefix);
      constexpr int32_t kEmpty = Prefixes::kEmpty;
      prefix = scalar(prefix < kEmpty ? kEmpty : prefix, prefix, scalar(prefix < kEmpty, prefix));
      constexpr int32_t kFull = Prefixes::kFull;
      prefix = scalar(prefix > kFull ? kFull : prefix, prefix, scalar(prefix > kFull, prefix));
    }
    const uint32_t* words = kRowsPrefixes<kPositions>.word + scalar(prefix, prefix);
    if constexpr (kMask != MaskKind::kBits) return {words, nullptr};
    // The limit of a row that is not there hides its bits.
    return {words, bits_ + (row < rows_ ? row : 0) * (pitch_ / 32) + segment * (kPositions / 32)};
  }
  // Of pairs: which positions of two rows are valid.
  aie::mask<64> valid_pair(unsigned row) const { return RowsValid::halves(valid(row, 0), valid(row + 1, 0), 0); }

  aie::vector<int8, 64> load(unsigned row, unsigned block) const {
    return aie::load_v<64>(logits_ + row * pitch_ + block * 64);
  }
  // 32 positions of two rows.
  aie::vector<int8, 64> load_halves(unsigned a, unsigned b, unsigned half = 0) const {
    return aie::concat(aie::load_v<32>(logits_ + a * pitch_ + half * 32),
                       aie::load_v<32>(logits_ + b * pitch_ + half * 32));
  }

 private:
  static constexpr int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

  void set_limits(unsigned n, const BlockMask& masks) {
    constexpr auto kEmpty = static_cast<int32>(Prefixes::kEmpty);
    const int32 length = kEmpty + clamp(masks.valid_length, 0, static_cast<int32_t>(n));
    auto limits = aie::broadcast<int32, kGroupRows>(length);
    bool clamps = false;
    if (masks.causal) {
      // The lanes' numbers, bit by bit.
      const auto bit = [](int32 value, uint32_t lanes) {
        return aie::select(int32{0}, aie::broadcast<int32, kGroupRows>(value),
                           aie::mask<kGroupRows>::from_uint32(lanes));
      };
      const auto lanes = aie::add(aie::add(bit(1, 0xaaaa), bit(2, 0xcccc)), aie::add(bit(4, 0xf0f0), bit(8, 0xff00)));
      const int32 first = kEmpty + clamp(masks.causal_offset, -65537, 65536) + 1;
      limits = aie::add(lanes, first);
      clamps = first < kEmpty || first + static_cast<int32>(rows_) - 1 > length;
    }
    const int32 step = masks.causal ? kGroupRows : 0;
    // Four groups at a time; there is room for as many.
    HCCS_LOOP(i, (rows_groups(rows_) + 3) / 4, "rows.limits", 1) {
      for (unsigned g = 4 * i; g < 4 * i + 4; ++g) {
        aie::store_v(prefixes_ + g * kGroupRows, clamps ? aie::min(aie::max(limits, kEmpty), length) : limits);
        limits = aie::add(limits, step);
      }
    }
    // Beside an odd last row is none. Other rows of its group that are not there have the sums of those that stand for
    // them, and so have their limits.
    unsigned row = rows_;
    if (row % 2 != 0) store_scalar(prefixes_ + row++, kEmpty);
    for (; row % kGroupRows != 0; ++row)
      store_scalar(prefixes_ + row, load_scalar(prefixes_ + pair_row(row / 2) + row % 2));
  }

  const int8* logits_;
  const uint32_t* bits_;
  unsigned rows_, pitch_;
  int32* prefixes_;  // of each row, the number of its first word's entry in kRowsPrefixes
};

namespace rows_passes {

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
  // 128 * S of the farthest knee; is the score of u = -128 at most 0?
  int32 hidden() const { return 128 * slope[kKnees - 1]; }
  bool hides() const { return floor <= hidden(); }

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
  HCCS_LOOP(i, 8 * rows_groups(x.rows()) * scratch.segments, "rows.maxima", 8) {
    const unsigned row = x.pair_row(pair);
    RowsValid valid[2];
    if constexpr (Rows::kMasked) {
      valid[0] = x.valid(row, segment);
      valid[1] = x.valid(x.existing(row + 1), segment);
    }
    const auto load = [&](unsigned half) {
      const auto logits = x.load_halves(row, x.existing(row + 1), segment * Rows::kSegment * 2 + half);
      if constexpr (!Rows::kMasked) return logits;
      return aie::select(int8{-128}, logits, RowsValid::halves(valid[0], valid[1], half));
    };
    auto maxima = load(0);
    for (unsigned half = 1; half < 2 * Rows::kSegment; ++half) maxima = aie::max(maxima, load(half));
    aie::store_v(scratch.maxima(pair, segment), maxima);
    if (++segment == scratch.segments) {
      segment = 0;
      ++pair;
    }
  }
}

// The levels of 64 rows.
template <unsigned kKnees>
void store_levels(const aie::vector<int8, 64>& levels, unsigned block, const Scratch<kKnees>& scratch) {
  const auto [low, high] = aie::interleave_zip(levels, levels, 1);
  aie::store_v(scratch.levels() + 64 * block, low.template cast_to<int16>());
  aie::store_v(scratch.levels() + 64 * block + 32, high.template cast_to<int16>());
}

// The maxima of four rows, 16 lanes a row, from 32 lanes a row, by products with unit matrices instead of shuffles. Of
// each line of eight lanes they pick four, those of the next row into the upper half: the next step has to join lanes
// that are 16 apart.
struct MergeByProducts {
  using Product = aie::mmul<8, 8, 8, int8, int8>;
  // Line k of the matrix has its 1 in column k + `shift`, for the four lines from `first` on.
  static aie::vector<int8, 64> pick(unsigned first, int shift) {
    const uint64_t lanes = uint64_t{0x08040201} << (static_cast<int>(9 * first) + shift);
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 64>(1), aie::mask<64>::from_uint64(lanes));
  }
  template <typename TwoRows>
  aie::vector<int8, 64> operator()(const TwoRows& two_rows, unsigned row) const {
    const auto a = two_rows(row, row + 2);
    const auto b = two_rows(row + 1, row + 3);
    const auto half = [&](unsigned i) {
      Product lanes;
      lanes.mul(a, to_lower[i]);
      lanes.mac(b, to_upper[i]);
      return lanes.template to_vector<int8>(0);
    };
    return aie::max(half(0), half(1));
  }
  // Of the first four and the last four lanes.
  aie::vector<int8, 64> to_lower[2] = {pick(0, 0), pick(4, -4)};
  aie::vector<int8, 64> to_upper[2] = {pick(0, 4), pick(4, 0)};
};

// Pass 2: the maxima of 64 rows. Returns whether m - D fits int8 in all of them.
template <typename Rows, unsigned kKnees>
bool merge_maxima(const Rows& x, int8 farthest, const Scratch<kKnees>& scratch) {
  // 32 lanes for each of two rows.
  const auto two_rows = [&](unsigned a, unsigned b) -> aie::vector<int8, 64> {
    const unsigned row[] = {x.existing(a), x.existing(b)};
    if constexpr (Rows::kPaired) {
      const auto logits = x.load_halves(row[0], row[1]);
      if constexpr (!Rows::kMasked) return logits;
      return aie::select(int8{-128}, logits, RowsValid::halves(x.valid(row[0], 0), x.valid(row[1], 0), 0));
    } else {
      const auto load = [&](unsigned segment) {
        const auto of = [&](unsigned r) { return aie::load_v<32>(scratch.maxima(r / 2, segment) + r % 2 * 32); };
        return aie::concat(of(row[0]), of(row[1]));
      };
      auto maxima = load(0);
      for (unsigned segment = 1; segment < scratch.segments; ++segment) maxima = aie::max(maxima, load(segment));
      return maxima;
    }
  };
  constexpr bool kProducts = __AIE_ARCH__ > 20;
  const std::conditional_t<kProducts, MergeByProducts, int> by_products{};
  // Four lanes for each of 16 rows. Groups beyond the last repeat it.
  const unsigned last = rows_groups(x.rows()) - 1;
  const auto of_group = [&](unsigned group) {
    const unsigned first = kGroupRows * (group < last ? group : last);
    // v2 has the same by products, of whose results the rest is made while mv merges the other half.
    if constexpr (kProducts) {
      const auto four = [&](unsigned i) { return by_products(two_rows, first + 4 * i); };
      if (group % 4 >= 2) return merge_max(merge_max(four(0), four(1), 16), merge_max(four(2), four(3), 16), 8);
    }
    const auto eight = [&](unsigned r) {
      return merge_max(merge_max(two_rows(r, r + 1), two_rows(r + 2, r + 3), 16),
                       merge_max(two_rows(r + 4, r + 5), two_rows(r + 6, r + 7), 16), 8);
    };
    return merge_max(eight(first), eight(first + 8), 4);
  };
  const auto of_two = [&](unsigned g) { return merge_max(of_group(g), of_group(g + 1), 2); };
  auto least = aie::broadcast<int8, 64>(127);
  HCCS_LOOP(i, rows_blocks(x.rows()), "rows.merge", 1) {
    const auto first = of_two(4 * i);
    const auto maxima = merge_max(first, 4 * i + 2 <= last ? of_two(4 * i + 2) : first, 1);
    aie::store_v(scratch.row_maxima() + 64 * i, maxima);
    if constexpr (Rows::kPaired) store_levels(aie::sub(maxima, farthest), i, scratch);
    least = aie::min(least, maxima);
  }
  return aie::lt(least, static_cast<int8>(farthest - 128)).empty();
}

// Pass 3: u, and eight sums a row of each u_k. kFit: m - D fits int8.
template <bool kFit, MaskKind kMask, unsigned kKnees, typename Rows, typename Out>
void add_up(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, Out* out) {
  using Product = aie::mmul<4, 8, 8, int8, int8>;
  // Rows that a pass takes: two where their code is short.
  constexpr bool kTwoRows = Rows::kSegment == 1 || (Rows::kSegment == 2 && kKnees + (Rows::kMasked ? 1 : 0) <= 3);
  constexpr unsigned kPassRows = kTwoRows ? 2 : 1;
  constexpr bool kCounts = kMask == MaskKind::kBits;
  // Line i of the first operand sums the row that goes to line i; of pairs, one row is in the upper half of the lines.
  const auto line = [](uint32_t lanes) {
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 32>(1), aie::mask<32>::from_uint32(lanes));
  };
  const aie::vector<int8, 32> lines[2] = {line(Rows::kPaired ? 0xf00fu : 0xffu), line(0xff00u)};
  const auto beyond = aie::broadcast<uint8, 64>(static_cast<uint8>(255 - knees.farthest));
  aie::vector<int8, 64> nearer[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) nearer[k] = aie::broadcast<int8, 64>(knees.nearer[k]);

  if constexpr (Rows::kPaired && !kFit) {
    HCCS_LOOP(i, rows_blocks(x.rows()), "rows.levels", 1) {
      const auto maxima = aie::load_v<64>(scratch.row_maxima() + 64 * i);
      store_levels(aie::add(maxima, static_cast<int8>(1)), i, scratch);
    }
  }
  unsigned row = 0;
  unsigned segment = 0;
  HCCS_LOOP(i, kGroupRows / kPassRows * rows_groups(x.rows()) * scratch.segments, "rows.sums", 8) {
    Product sums[kKnees];
    Product count;
    const auto add = [&](unsigned line_number, const aie::vector<int8, 64>& level, unsigned r, unsigned block,
                         auto valid_block) {
      const auto logits = x.load(r, block);
      aie::mask<64> valid;
      if constexpr (Rows::kMasked) {
        valid = valid_block();
        if constexpr (kCounts) {
          count.mac(lines[line_number], aie::select(static_cast<int8>(0), aie::broadcast<int8, 64>(1), valid));
        }
      }
      aie::vector<int8, 64> u;
      if constexpr (kFit) {
        u = aie::maxdiff(logits, level);
      } else {
        u = aie::maxdiff(aie::sub(logits, level).template cast_to<uint8>(), beyond).template cast_to<int8>();
      }
      if constexpr (Rows::kMasked) u = aie::select(int8{-128}, u, valid);
      aie::store_v(parked(x, out, r, block), u);
      for (unsigned k = 0; k < kKnees; ++k) {
        sums[k].mac(lines[line_number], k == kKnees - 1 ? u : aie::maxdiff(u, nearer[k]));
      }
    };
    // m - D, or m + 1.
    const auto level_of = [&](unsigned r) {
      const int8 maximum = load_scalar(scratch.row_maxima() + row + r);
      return aie::broadcast<int8, 64>(
          scalar(static_cast<int8>(kFit ? maximum - knees.farthest : maximum + 1), maximum));
    };
    if constexpr (Rows::kPaired) {
      // Lanes of 16 bits of the two rows in turns; the transpose puts each row's together.
      const auto both = aie::broadcast<int32, 16>(load_scalar(reinterpret_cast<const int32*>(scratch.levels() + row)));
      const auto levels = aie::transpose(both.template cast_to<int16>(), 16, 2).template cast_to<int8>();
      const unsigned first = x.pair_row(row / 2);
      add(0, levels, first, 0, [&] { return x.valid_pair(first); });
    } else {
      for (unsigned r = 0; r < kPassRows; ++r) {
        const auto level = level_of(r);
        const unsigned stands_in = x.existing(row + r);
        RowsValid valid;
        if constexpr (Rows::kMasked) valid = x.valid(stands_in, segment);
        for (unsigned b = 0; b < Rows::kSegment; ++b) {
          add(r, level, stands_in, segment * Rows::kSegment + b, [&] { return valid.block(b); });
        }
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

// Pass 4: Z, r and shifts of 32 rows. Returns whether all Z < 2^16, which is looked at for clb to uint8 alone.
template <Normalisation kNormalisation, typename Out, MaskKind kMask, unsigned kKnees, typename Rows>
bool make_factors(const Rows& x, const HccsHead& head, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch,
                  unsigned n) {
  // The first operand is four rows of eight sums; the second puts their totals into a column.
  constexpr unsigned kColumns = Scratch<kKnees>::kColumns;
  using Product = aie::mmul<4, 8, kColumns, int16, int8>;
  using Column = aie::vector<int8, 8 * kColumns>;
  constexpr unsigned kPlanes = kMask == MaskKind::kBits ? kKnees + 1 : kKnees;
  constexpr unsigned kLanes = 4 * kColumns;
  using Accum = aie::accum<acc64, kLanes>;
  // One plane's columns stay in registers.
  Column columns[kColumns];
  for (unsigned plane = 0; plane < kPlanes; ++plane) {
    const auto weight = aie::broadcast<int8, 8 * kColumns>(plane < kKnees ? knees.slope[plane % kKnees] : int8{1});
    for (unsigned c = 0; c < kColumns; ++c) {
      const auto lanes = [&] {
        if constexpr (kColumns == 4) return aie::mask<32>::from_uint32(0x11111111u << c);
        if constexpr (kColumns == 8) return aie::mask<64>::from_uint64(uint64_t{0x0101010101010101} << c);
      }();
      columns[c] = aie::select(static_cast<int8>(0), weight, lanes);
      if constexpr (kPlanes > 1) aie::store_v(scratch.column(plane, c), columns[c]);
    }
  }
  const auto column = [&](unsigned plane, unsigned c) -> Column {
    if constexpr (kPlanes > 1) return aie::load_v<8 * kColumns>(scratch.column(plane, c));
    return columns[c];
  };
  const unsigned last = rows_groups(x.rows()) - 1;
  // Of kLanes rows, from this group on; groups beyond the last repeat it.
  const auto add = [&](Product& product, unsigned first, unsigned plane) {
    for (unsigned c = 0; c < kColumns; ++c) {
      const unsigned group = first + c / 4 < last ? first + c / 4 : last;
      for (unsigned segment = 0; segment < scratch.segments; ++segment) {
        product.mac(aie::load_v<32>(scratch.sums(group, plane, segment) + c % 4 * 32), column(plane, c));
      }
    }
  };
  constexpr bool kShifts = kNormalisation != Normalisation::kDiv && Rows::kLaneShifts;
  // clb needs no more of Z than Z >> 8: its products begin with kFloatBits above it.
  constexpr bool kHighAlone = kShifts && kNormalisation == Normalisation::kClb;
  const int32 of_valid = knees.floor - knees.hidden();
  int32 least_sum = static_cast<int32>(n) * knees.floor;
  if constexpr (Rows::kMasked) least_sum = static_cast<int32>(x.pitch()) * knees.hidden();
  if constexpr (kMask == MaskKind::kLength) least_sum -= static_cast<int32>(Rows::Prefixes::kEmpty) * of_valid;
  const auto least = aie::broadcast<int32, kLanes>(least_sum);
  Accum start;
  if constexpr (kHighAlone) {
    start = aie::mac(Accum(aie::broadcast<int32, kLanes>(kFloatBits), 8), least, aie::broadcast<int16, kLanes>(1));
  } else {
    start = Accum(least);
  }
  // Z, of a masked row that is empty 0.
  const auto total = [&](unsigned first) -> Accum {
    Product slopes(start);
    for (unsigned k = 0; k < kKnees; ++k) add(slopes, first, k);
    if constexpr (kMask == MaskKind::kNone) return slopes.to_accum();
    aie::vector<int32, kLanes> count;
    if constexpr (kMask == MaskKind::kBits) {
      Product counted;
      add(counted, first, kKnees);
      count = counted.template to_vector<int32>();
    } else {
      for (unsigned g = 0; g < kLanes / kGroupRows; ++g) {
        count.insert(g, x.limits(first + g < last ? first + g : last));
      }
      count = aie::transpose(count, kLanes / 4, 4);
    }
    return aie::mac(slopes.to_accum(), count, aie::broadcast<int16, kLanes>(static_cast<int16>(of_valid)));
  };
  constexpr bool kLooks = kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>;
  const bool known = n * static_cast<unsigned>(head.offset) < 1u << 16;
  auto largest = aie::zeros<int32, 2 * kGroupRows>();
  const auto run = [&] {
    // Four groups at a time, in pairs; pairs beyond the last repeat it.
    HCCS_LOOP(i, last / 4 + 1, "rows.factors", 1) {
      for (unsigned pair = 2 * i; pair < 2 * i + 2; ++pair) {
        const unsigned first = 2 * (pair < last / 2 ? pair : last / 2);
        Accum totals[2 * kGroupRows / kLanes];
        totals[0] = total(first);
        if constexpr (kLanes == kGroupRows) totals[1] = total(first < last ? first + 1 : last);
        // Z >> down, with `bits` above it; of an empty row as of Z = 256, so that factors can be made of it
        // (head_error).
        const auto sums_of = [&](int down, int32 bits) {
          aie::vector<int32, 2 * kGroupRows> sums;
          for (unsigned t = 0; t < 2 * kGroupRows / kLanes; ++t) {
            sums.insert(t, totals[t].template to_vector<int32>(down));
          }
          return Rows::kMasked ? aie::max(sums, bits + (256 >> down)) : sums;
        };
        aie::vector<int32, 2 * kGroupRows> sums;
        if constexpr (kHighAlone) {
          sums = sums_of(8, kFloatBits);
        } else {
          sums = sums_of(0, 0);
        }
        if (kLooks && !known) largest = aie::max(largest, sums);
        RowsFactors& to = scratch.factors[first / 2];
        if constexpr (kShifts) {
          constexpr int kMore = kNormalisation == Normalisation::kScaled && std::is_same_v<Out, uint8> ? 7 : 0;
          aie::store_v(to.shift, shifts(kHighAlone ? sums : aie::add(sums_of(8, 0), kFloatBits), kMore));
        } else {
          aie::store_v(to.sum, sums);
        }
        if constexpr (kNormalisation != Normalisation::kClb) {
          aie::store_v(to.reciprocal,
                       row_reciprocals<kNormalisation, Out>(sums, static_cast<int32_t>(n) * head.offset));
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
  constexpr int32 kLimit = kHighAlone ? kFloatBits + (1 << 8) : 1 << 16;
  return kLooks && (known || aie::ge(largest, kLimit).empty());
}

// Blocks of a segment that a pass of pass 5 takes: as rows_segment, by the instructions of a block.
template <typename Rows, unsigned kKnees, bool kFused, bool kSelects>
constexpr unsigned scale_blocks() {
  constexpr bool kAieMl = __AIE_ARCH__ == 20;
  constexpr unsigned kProduct = kFused ? 0 : kAieMl ? 4 : 3;
  constexpr unsigned kMask = !kSelects ? 0 : kAieMl ? 5 : 4;
  constexpr unsigned kInstructions = (kAieMl ? 6 : 4) * kKnees + kProduct + kMask;
  unsigned blocks = Rows::kSegment;
  while (blocks > 1 && blocks * kInstructions > 52) blocks /= 2;
  return blocks;
}

// Pass 5: the results. kFused: clb to uint8 where all Z < 2^16, so that the result is (255 * s) >> k. kSelects: of rows
// with masks whose invalid scores are not below 0.
template <Normalisation kNormalisation, typename Out, bool kFused, bool kSelects, unsigned kKnees, typename Rows>
void scale_rows(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, Out* out) {
  constexpr unsigned kLanes = Rows::kRowLanes;
  // AIE-ML multiplies 32 lanes at a time: constants of 64 would need two registers each.
  constexpr unsigned kPart = __AIE_ARCH__ == 20 ? 32 : kLanes;
  constexpr unsigned kBlocks = scale_blocks<Rows, kKnees, kFused, kSelects>();
  constexpr unsigned kPasses = Rows::kSegment / kBlocks;  // of a segment
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr bool kClbWide = kWide && kNormalisation == Normalisation::kClb;
  static_assert(!Rows::kMasked || kSelects || !kClbWide);
  constexpr int16 kScale = kFused ? 255 : 1;
  const aie::accum<acc32, kPart> floor =
      aie::mul(aie::broadcast<int16, kPart>(knees.floor), aie::broadcast<int16, kPart>(kScale));
  aie::vector<int16, kPart> slope[kKnees];
  aie::vector<int8, kPart> nearer[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) {
    slope[k] = aie::broadcast<int16, kPart>(static_cast<int16>(knees.slope[k] * kScale));
    nearer[k] = aie::broadcast<int8, kPart>(knees.nearer[k]);
  }
  const unsigned padded_rows = Rows::kPaired ? (x.rows() + 1) / 2 * 2 : x.rows();
  unsigned row = 0;
  unsigned segment = 0;
  unsigned pass = 0;
  HCCS_LOOP(i, padded_rows * scratch.segments * kPasses, "rows.scale", 2) {
    const RowsFactors& factors = scratch.factors[row / (2 * kGroupRows)];
    const unsigned slot = rows_slot(row % (2 * kGroupRows));
    int shift = kWide ? 0 : 15;
    aie::vector<int16, kPart> factor;
    if constexpr (kNormalisation != Normalisation::kDiv) {
      int k;
      if constexpr (Rows::kLaneShifts) {
        k = load_scalar(factors.shift + slot);
      } else {
        k = floor_log2(load_scalar(factors.sum + slot));
        if constexpr (kNormalisation == Normalisation::kScaled && !kWide) k = scalar(k + 7, k);
      }
      if constexpr (kFused || kNormalisation == Normalisation::kScaled) {
        shift = k;
      } else {
        factor = aie::broadcast<int16, kPart>(scalar(static_cast<int16>((kWide ? 32767 : 255 << 15) >> k), k));
      }
    }
    if constexpr (kNormalisation != Normalisation::kClb) {
      factor = aie::broadcast<int16, kPart>(load_scalar(factors.reciprocal + slot));
    }
    RowsValid valid;
    if constexpr (kSelects) valid = x.valid(row, segment);
    for (unsigned b = 0; b < kBlocks; ++b) {
      const unsigned in_segment = pass * kBlocks + b;
      const unsigned block = segment * Rows::kSegment + in_segment;
      const auto scaled = [&](unsigned part) -> aie::vector<Out, kPart> {
        const auto u = aie::load_v<kPart>(parked(x, out, row, block) + part * kPart);
        auto sum = floor;
        for (unsigned k = 0; k < kKnees; ++k) {
          const auto u_k = k == kKnees - 1 ? u : aie::maxdiff(u, nearer[k]);
          sum = aie::mac(sum, u_k.template unpack<int16>(), slope[k]);
        }
        // A negative score becomes 0; clb's int16 needs its upper limit.
        using Unsigned = std::conditional_t<kClbWide, Out, std::make_unsigned_t<Out>>;
        if constexpr (kFused) return sum.template to_vector<Unsigned>(shift);
        const auto product = aie::mul(sum.template to_vector<int16>(0), factor);
        return product.template to_vector<Unsigned>(shift).template cast_to<Out>();
      };
      aie::vector<Out, kLanes> results;
      if constexpr (kPart == kLanes) {
        results = scaled(0);
      } else {
        results = aie::concat(scaled(0), scaled(1));
      }
      if constexpr (kSelects && Rows::kPaired) {
        results = aie::select(Out{0}, results, valid.half(0));
      } else if constexpr (kSelects) {
        results = aie::select(Out{0}, results, valid.block(in_segment));
      }
      aie::store_v(out + row * x.pitch() + block * 64, results);
    }
    if (++pass == kPasses) {
      pass = 0;
      if (++segment == scratch.segments) {
        segment = 0;
        ++row;
      }
    }
  }
}

}  // namespace rows_passes

// `rows` rows of n logits of one head whose masks are of kind kMask; kBlocks is rows_segment(n, kKnees, masked).
// kNone needs rows that fill their pitch, pairs of them if n <= 32.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask, unsigned kBlocks>
inline void softmax_row_blocks(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                               const HccsHead& head, const BlockMask& masks, void* __restrict scratch_bytes) {
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  const RoundingSaturation modes(kStoreRounding<kNormalisation>, aie::saturation_mode::saturate);
  const MaskedRows<kMask, kBlocks> x(logits, rows, n, masks, static_cast<int32*>(scratch_bytes));
  const rows_passes::Scratch<kKnees> scratch(scratch_bytes, rows, x.segments());
  const rows_passes::Knees<kKnees> knees(head);
  if constexpr (kBlocks > 0) rows_passes::find_maxima(x, scratch);
  if (rows_passes::merge_maxima(x, knees.farthest, scratch)) {
    rows_passes::add_up<true, kMask>(x, knees, scratch, out);
  } else {
    rows_passes::add_up<false, kMask>(x, knees, scratch, out);
  }
  const bool fuse = rows_passes::make_factors<kNormalisation, Out, kMask>(x, head, knees, scratch, n);
  const auto scale = [&]<bool kFused>() {
    constexpr bool kMasked = kMask != MaskKind::kNone;
    if constexpr (!kMasked || kNormalisation != Normalisation::kClb || !std::is_same_v<Out, int16>) {
      if (!kMasked || knees.hides()) {
        return rows_passes::scale_rows<kNormalisation, Out, kFused, false>(x, knees, scratch, out);
      }
    }
    if constexpr (kMasked) rows_passes::scale_rows<kNormalisation, Out, kFused, true>(x, knees, scratch, out);
  };
  if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
    if (fuse) return scale.template operator()<true>();
  }
  scale.template operator()<false>();
}

// ... of any size; rows_scratch<kKnees>(rows, n) bytes of scratch, aligned to 64.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_rows(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                         const HccsHead& head, const BlockMask& masks, void* __restrict scratch) {
  // A row that does not fill its pitch is one with a valid length; the row beside an odd last one is one of length 0.
  constexpr MaskKind kPadded = kMask == MaskKind::kNone ? MaskKind::kLength : kMask;
  if (rows == 0) return;
  const bool whole = n == rows_pitch(n) && (n > 32 || rows % 2 == 0);
  const auto with = [&]<MaskKind kKind>() {
    const auto run = [&]<unsigned kBlocks>() {
      softmax_row_blocks<kNormalisation, Out, kKnees, kKind, kBlocks>(logits, out, rows, n, head, masks, scratch);
    };
    constexpr bool kMasked = kKind != MaskKind::kNone;
    constexpr unsigned kMost = rows_segment(512, kKnees, kMasked);
    constexpr unsigned kFour = kMost < 4 ? kMost : 4;
    switch (rows_segment(n, kKnees, kMasked)) {
      case 0:
        return run.template operator()<0>();
      case 1:
        return run.template operator()<1>();
      case 2:
        return run.template operator()<2>();
      case 4:
        return run.template operator()<kFour>();
      default:
        return run.template operator()<kMost>();
    }
  };
  if (whole) {
    with.template operator()<kMask>();
  } else {
    with.template operator()<kPadded>();
  }
}

// The kernel for blocks of kRows rows of kN logits: what HeadSoftmax (head_softmax.h) runs.
template <Normalisation kNormalisation, typename Out_, unsigned kN, unsigned kRows, unsigned kKnees = 1,
          MaskKind kMask_ = MaskKind::kNone>
struct RowsKernel {
  using Out = Out_;
  struct alignas(64) Scratch {
    int8 bytes[rows_scratch<kKnees>(kRows, kN)];
  };
  static constexpr MaskKind kMask = kMask_;
  static constexpr unsigned kElements = rows_elements(kRows, kN);  // of one head
  static constexpr unsigned kMaskWords = kRows * rows_pitch(kN) / 32;

  static void run(const int8* __restrict logits, Out* __restrict out, const HccsHead& head, const BlockMask& masks,
                  Scratch& scratch) {
    constexpr bool kWhole = kN == rows_pitch(kN) && (kN > 32 || kRows % 2 == 0);
    constexpr MaskKind kKind = kMask == MaskKind::kNone && !kWhole ? MaskKind::kLength : kMask;
    softmax_row_blocks<kNormalisation, Out, kKnees, kKind, rows_segment(kN, kKnees, kKind != MaskKind::kNone)>(
        logits, out, kRows, kN, head, masks, scratch.bytes);
  }
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROWS_H_
