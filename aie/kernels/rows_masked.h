// SPDX-License-Identifier: Apache-2.0
//
// The rows of a call and which of their positions are valid, for the passes of rows (rows.h).
#ifndef HCCS_AIE_KERNELS_ROWS_MASKED_H_
#define HCCS_AIE_KERNELS_ROWS_MASKED_H_

#include <type_traits>

#include "device.h"
#include "layout.h"
#include "masks.h"
#include "row_factors.h"

namespace hccs_kernels::rows_passes {

// Mask words: word i has the first i - (kPositions - 32) of 32 positions. Those of a row are 32 entries apart. They are
// a table, as the scalar unit would need four instructions for each of them, in two passes.
template <unsigned kPositions>
struct RowsPrefixes {
  static constexpr unsigned kEmpty = kPositions - 32;
  static constexpr unsigned kFull = 2 * kPositions - 32;
  constexpr RowsPrefixes() {
    for (unsigned i = kEmpty + 1; i <= kFull; ++i) {
      word[i] = i - kEmpty < 32 ? (uint32_t{1} << (i - kEmpty)) - 1 : ~uint32_t{0};
    }
  }
  uint32_t word[rows_prefix_entries(kPositions)]{};
};
template <unsigned kPositions>
inline constexpr RowsPrefixes<kPositions> kRowsPrefixes;

// Which positions of a segment of a row are valid.
struct RowsValid {
  const uint32_t* prefix = nullptr;  // of its first 32 positions; the next ones' are 32 entries before
  const uint32_t* bits = nullptr;    // null: all below the row's length

  // The valid ones of 64 positions.
  aie::mask<64> block(unsigned index) const {
    auto mask = load_mask(prefix - 64 * index, prefix - 64 * index - 32);
    if (bits != nullptr) mask &= load_mask(bits + 2 * index, bits + 2 * index + 1);
    return mask;
  }
  // The valid ones of 32 positions.
  aie::mask<32> half(unsigned index) const {
    auto mask = load_mask(prefix - 32 * index);
    if (bits != nullptr) mask &= load_mask(bits + index);
    return mask;
  }
  // The valid ones of 32 positions of two rows.
  static aie::mask<64> halves(const RowsValid& a, const RowsValid& b, unsigned index) {
    auto mask = load_mask(a.prefix - 32 * index, b.prefix - 32 * index);
    if (a.bits != nullptr) mask &= load_mask(a.bits + index, b.bits + index);
    return mask;
  }
};

// The same where all rows have the same valid positions: the masks stay in registers.
struct SameValid {
  aie::mask<64> positions;

  aie::mask<64> block(unsigned /*index*/) const { return positions; }
  aie::mask<32> half(unsigned index) const { return index == 0 ? positions.extract<32>(0) : positions.extract<32>(1); }
  static aie::mask<64> halves(const SameValid& a, const SameValid& /*b*/, unsigned index) {
    return aie::mask<64>::from_masks(a.half(index), a.half(index));
  }
};

// Whether rows with lengths have one each, or all of a call the same. That is worth code of its own for rows of one
// segment of 64 or 32 positions, whose passes have little else to do than to load masks.
enum class RowLengths { kEach, kSame };

// The logits of one head and which of them are valid. MaskKind::kNone promises that n is the pitch, too. Nothing of a
// row that is not there is valid. RowLengths::kSame: what has_same_lengths promises.
template <MaskKind kMask_, RowsSegment kSegment, RowLengths kLengths = RowLengths::kEach>
class MaskedRows {
 public:
  static constexpr MaskKind kMask = kMask_;
  static constexpr bool kMasked = kMask != MaskKind::kNone;
  static constexpr bool kSameLength = kLengths == RowLengths::kSame;
  using Valid = std::conditional_t<kSameLength, SameValid, RowsValid>;
  static constexpr bool kPaired = kSegment == RowsSegment::kPairs;
  static constexpr unsigned kBlocks = segment_registers(kSegment);  // blocks of 64 lanes in a segment
  static constexpr unsigned kRowLanes = kPaired ? 32 : 64;          // lanes of one row in a register
  static constexpr unsigned kPositions = kBlocks * 64;
  using Prefixes = RowsPrefixes<kPositions>;
  // Whether pass 4 makes the rows' shifts, in lanes: the scalar unit would take longer for them than a short pass 5.
  static constexpr bool kLaneShifts = kPaired || (!is_aie_ml(kArch) && kSegment == RowsSegment::k64);

  // `prefixes`: room for a number of each row, of whole blocks of 64 rows.
  MaskedRows(const int8* logits, unsigned rows, unsigned n, const BlockMask& masks, int32* prefixes)
      : logits_(logits), bits_(masks.bits), rows_(rows), pitch_(rows_pitch(n)), prefixes_(prefixes) {
    if constexpr (kSameLength) {
      length_ = clamp(masks.valid_length, 0, static_cast<int32_t>(n));
      same_.positions = RowsValid{kRowsPrefixes<kPositions>.word + Prefixes::kEmpty + length_}.block(0);
    } else if constexpr (kMasked) {
      set_lengths(n, masks);
    }
  }

  // Whether kSameLength serves a call: no row is longer than a segment, and none that is not there is beside another.
  // Of pairs, each has eight positions or more (MergeLanes).
  static bool has_same_lengths(unsigned rows, unsigned n, const BlockMask& masks) {
    if constexpr (kMask != MaskKind::kLength || kBlocks > 1) return false;
    if (masks.causal || rows_pitch(n) > 64) return false;
    return !kPaired || (rows % 2 == 0 && n >= 8 && masks.valid_length >= 8);
  }

  unsigned rows() const { return rows_; }
  unsigned pitch() const { return pitch_; }
  unsigned segments() const { return kPaired ? 1 : pitch_ / 64 / kBlocks; }

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

  // The lengths of 16 rows, plus Prefixes::kEmpty: below them validity is up to the bits alone.
  RowSums lengths(unsigned group) const { return aie::load_v<kGroupRows>(prefixes_ + group * kGroupRows); }

  // The length of all rows, if they have the same.
  int32_t same_length() const { return length_; }

  // Which positions of a segment of a row are valid.
  Valid valid(unsigned row, unsigned segment) const {
    if constexpr (kSameLength) {
      return same_;
    } else {
      return valid_of_row(row, segment);
    }
  }
  // Which positions of a pair of rows are valid.
  aie::mask<64> valid_pair(unsigned row) const { return Valid::halves(valid(row, 0), valid(row + 1, 0), 0); }

  const int8* at(unsigned row, unsigned block) const { return logits_ + row * pitch_ + block * 64; }
  aie::vector<int8, 64> load(unsigned row, unsigned block) const { return aie::load_v<64>(at(row, block)); }
  // 32 positions of two rows.
  aie::vector<int8, 64> load_halves(unsigned a, unsigned b, unsigned half = 0) const {
    return aie::concat(aie::load_v<32>(logits_ + a * pitch_ + half * 32),
                       aie::load_v<32>(logits_ + b * pitch_ + half * 32));
  }

 private:
  RowsValid valid_of_row(unsigned row, unsigned segment) const {
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
    // The length of a row that is not there is 0, which hides its bits.
    return {words, bits_ + (row < rows_ ? row : 0) * (pitch_ / 32) + segment * (kPositions / 32)};
  }
  void set_lengths(unsigned n, const BlockMask& masks) {
    constexpr auto kEmpty = static_cast<int32>(Prefixes::kEmpty);
    const int32 longest = kEmpty + clamp(masks.valid_length, 0, static_cast<int32_t>(n));
    auto lengths = aie::broadcast<int32, kGroupRows>(longest);
    bool clamps = false;
    if (masks.causal) {
      // The lanes' numbers, bit by bit.
      const auto bit = [](int32 value, uint32_t lanes) {
        return aie::select(int32{0}, aie::broadcast<int32, kGroupRows>(value),
                           aie::mask<kGroupRows>::from_uint32(lanes));
      };
      const auto lanes = aie::add(aie::add(bit(1, 0xaaaa), bit(2, 0xcccc)), aie::add(bit(4, 0xf0f0), bit(8, 0xff00)));
      const int32 first = kEmpty + clamp(masks.causal_offset, -65537, 65536) + 1;
      lengths = aie::add(lanes, first);
      clamps = first < kEmpty || first + static_cast<int32>(rows_) - 1 > longest;
    }
    const int32 step = masks.causal ? kGroupRows : 0;
    // Four groups at a time; there is room for as many.
    HCCS_LOOP(i, (rows_groups(rows_) + 3) / 4, "rows.lengths", 1) {
      for (unsigned g = 4 * i; g < 4 * i + 4; ++g) {
        aie::store_v(prefixes_ + g * kGroupRows, clamps ? aie::min(aie::max(lengths, kEmpty), longest) : lengths);
        lengths = aie::add(lengths, step);
      }
    }
    // Beside an odd last row is none. Other rows of its group that are not there have the sums of those that stand for
    // them, and so have their lengths.
    unsigned row = rows_;
    if (row % 2 != 0) store_scalar(prefixes_ + row++, kEmpty);
    for (; row % kGroupRows != 0; ++row)
      store_scalar(prefixes_ + row, load_scalar(prefixes_ + pair_row(row / 2) + row % 2));
  }

  const int8* logits_;
  const uint32_t* bits_;
  unsigned rows_, pitch_;
  int32* prefixes_;  // of each row, the number of its first word's entry in kRowsPrefixes
  int32_t length_ = 0;
  SameValid same_;
};

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_MASKED_H_
