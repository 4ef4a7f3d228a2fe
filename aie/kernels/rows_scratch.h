// SPDX-License-Identifier: Apache-2.0
//
// What the passes of rows (rows.h) leave for each other.
#ifndef HCCS_AIE_KERNELS_ROWS_SCRATCH_H_
#define HCCS_AIE_KERNELS_ROWS_SCRATCH_H_

#include "device.h"
#include "head.h"
#include "layout.h"
#include "masks.h"

namespace hccs_kernels::rows_passes {

// Where row s of two groups of 16 rows is in RowsFactors: as the products of pass 4 leave them, four rows after each
// other in columns.
constexpr unsigned rows_slot(unsigned s) {
  return is_aie_ml(kArch) ? s / 16 * 16 + s % 4 * 4 + s % 16 / 4 : s % 4 * 8 + s / 4;
}

// What pass 4 leaves for pass 5, for two groups of 16 rows. Row s of the two is in lane rows_slot(s).
struct alignas(64) RowsFactors {
  int32 word[2 * kGroupRows];   // Z, or where factors are packed the reciprocal and, from bit 16 on, the shift
  int16 shift[2 * kGroupRows];  // k, for scaled the shift of the results
  int16 reciprocal[2 * kGroupRows];
};
static_assert(sizeof(RowsFactors) == RowsScratchParts::kFactorsBytes);

// Whether pass 3 makes the scores, which then wait for pass 5, or leaves it u of the farthest knee. Scores are faster
// but for one knee, for two where pass 5 needs no score between u and its results, or 32 positions fill a pass, and
// under bit masks for more in long rows of AIE-ML, where a pass of scores has no room for a segment's masks and counts.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, typename Rows>
inline constexpr bool kScoresWait =
    kKnees > 2 ? !is_aie_ml(kArch) || Rows::kMask != MaskKind::kBits || Rows::kBlocks == 1
               : kKnees == 2 && !Rows::kPaired && (kNormalisation != Normalisation::kClb || sizeof(Out) == 2);

// Whether u of the farthest knee is -128 at invalid positions. Where all rows have the same ones and pass 3 makes
// scores, these are 0 there in another way.
template <bool kScores, typename Rows>
inline constexpr bool kMarksInvalid = Rows::kMasked && !(kScores && Rows::kSameLength);

// Whether pass 3 takes two rows together, 32 positions of each in a register: rows of 32, and of 64 where a product of
// v2 then sums two rows. It needs their levels side by side.
template <bool kScores, unsigned kKnees, typename Rows>
inline constexpr bool kTakesTwoRows = Rows::kPaired || (kScores && !is_aie_ml(kArch) && Rows::kBlocks == 1 &&
                                                        kKnees <= 3 && Rows::kMask != MaskKind::kBits);

// Whether a row's reciprocal and shift are one word, so that pass 5 loads once. It is worth its shuffles where the
// loads bind pass 5, which they do beside scores.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, typename Rows>
inline constexpr bool kPacksFactors =
    kNormalisation == Normalisation::kScaled&& kScoresWait<kNormalisation, Out, kKnees, Rows>;

// What the eight sums of a row are that pass 3 leaves with the scores, each of every eighth position.
enum class ColumnSums {
  kOfKnees,   // of each u_k: a plane for each knee, and pass 4 multiplies by S_k
  kWeighted,  // of S_k * u_k of all knees: one plane. Where they fit 16 bits (Knees::sums_fit) and count is known
};

// What pass 4 finds for pass 5: how results are made of scores.
enum class ScoreProduct {
  kFactor,  // the scores times each row's factor
  kFused,   // clb to uint8 where all Z < 2^16: (255 * s) >> k, the 255 being in the slopes
};

// The scratch of a call: RowsScratchParts as pointers.
template <unsigned kKnees>
struct Scratch {
  static constexpr unsigned kPlanes = kKnees + 1;
  static constexpr unsigned kColumns = is_aie_ml(kArch) ? 4 : 8;

  Scratch(void* scratch, unsigned rows, unsigned n, unsigned row_segments)
      : Scratch(static_cast<int8*>(scratch),
                RowsScratchParts(rows, n, row_segments, kKnees, kArch, rows_park(n, kKnees, false))) {}

  // The maxima of a pair of rows, 32 lanes a row.
  int8* maxima(unsigned pair, unsigned segment) const { return maxima_ + (pair * segments + segment) * 64; }
  // The sums of 16 rows, eight a row.
  int16* sums(unsigned group, unsigned plane, unsigned segment) const {
    return sums_ + ((group * kPlanes + plane) * segments + segment) * 128;
  }
  int8* column(unsigned plane, unsigned index) const { return columns_ + (plane * kColumns + index) * kColumns * 8; }
  // What pass 3 takes from the logits of each row, m - D or m + 1; for pairs in both bytes.
  int8* row_levels() const { return row_levels_; }
  int16* pair_levels() const { return pair_levels_; }
  // For several knees: a byte for each element, as in the logits' layout.
  int8* parked() const { return parked_; }

  // Stores the levels of block `block` of 64 rows.
  template <bool kPaired>
  void store_levels(unsigned block, const aie::vector<int8, 64>& rows) const {
    aie::store_v(row_levels_ + 64 * block, rows);
    if constexpr (kPaired) {
      const auto [low, high] = aie::interleave_zip(rows, rows, 1);
      aie::store_v(pair_levels_ + 64 * block, low.template cast_to<int16>());
      aie::store_v(pair_levels_ + 64 * block + 32, high.template cast_to<int16>());
    }
  }

  RowsFactors* factors;
  unsigned segments;

 private:
  Scratch(int8* scratch, const RowsScratchParts& parts)
      : factors(reinterpret_cast<RowsFactors*>(scratch + parts.factors)),
        segments(parts.segments),
        maxima_(scratch + parts.maxima),
        sums_(reinterpret_cast<int16*>(scratch + parts.sums)),
        columns_(scratch + parts.column_matrices),
        row_levels_(scratch + parts.row_levels),
        pair_levels_(reinterpret_cast<int16*>(scratch + parts.pair_levels)),
        parked_(scratch + parts.parked) {}

  int8* maxima_;
  int16* sums_;
  int8* columns_;
  int8* row_levels_;
  int16* pair_levels_;
  int8* parked_;
};

// Whether pass 1 leaves the logits, -128 at invalid positions, in the scratch: where pass 3 makes scores and loads them
// more than once. Under bit masks pass 1 has no room for it.
template <typename Rows>
inline constexpr bool kParksLogits = is_aie_ml(kArch) && Rows::kMask == MaskKind::kLength && !Rows::kPaired;

// Whether products hide the invalid positions of pairs of rows that all have the same: selects are in the slot that
// bounds pass 2, so that its products begin so low there that results saturate.
template <bool kScores, typename Rows>
inline constexpr bool kProductsHide = is_aie_ml(kArch) && kScores && (Rows::kPaired && Rows::kSameLength);

// Where 32 scores of a block wait for pass 5: in the room of their results, if these have one byte the second 32 in the
// scratch. Of a pair of rows, whose block the even row has, each has 32.
template <typename Rows, unsigned kKnees, typename Out>
int16* scores_at(const Rows& x, const Scratch<kKnees>& scratch, Out* out, unsigned row, unsigned block, unsigned half) {
  const unsigned at = row * x.pitch() + block * 64;
  if constexpr (sizeof(Out) == 2) return reinterpret_cast<int16*>(out) + at + 32 * half;
  return reinterpret_cast<int16*>(half == 0 ? reinterpret_cast<int8*>(out + at) : scratch.parked() + at);
}

// Where u of a block of a row waits for pass 5: in the room of its results, if these have two bytes in the
// upper half.
template <typename Rows, typename Out>
int8* parked(const Rows& x, Out* out, unsigned row, unsigned block) {
  auto* room = reinterpret_cast<int8*>(out + row * x.pitch());
  if constexpr (Rows::kPaired && sizeof(Out) == 2)
    room = reinterpret_cast<int8*>(out + row / 2 * 64) + 64 + row % 2 * 32;
  if constexpr (!Rows::kPaired && sizeof(Out) == 2) room += x.pitch();
  return room + block * 64;
}

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_SCRATCH_H_
