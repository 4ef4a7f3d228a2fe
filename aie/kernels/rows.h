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
//
// Five passes over a block of rows, a file each:
//   1  rows_maxima.h  the maxima of pairs of rows, 32 lanes a row. The halves of a register are loaded from two rows,
//                     so that the step from 64 lanes to 32 is one maximum for two rows. Rows of 32 are pairs already.
//   2  rows_merge.h   from 32 lanes to one for each of 64 rows, by shuffles that all of them share, and partly by
//                     products
//   3  rows_sums.h    u_k = max(x - t_k, 0) for t_k = m - D_k, and their sums: a product of a row's u_k as an 8 x 8
//                     matrix with a line of ones leaves eight sums a row
//      rows_scores.h  for more knees the scores too, which are products of u_k with a diagonal of S_k (kScoresWait)
//   4  rows_totals.h  Z of 32 rows: products of those sums with columns of S_k; reciprocals and shifts
//   5  rows_scale.h   the results
// With m - x = d, u_k = D_k - min(d, D_k), 0..127, and with F = B - sum_k S_k * D_k, the floor,
//
//   s   = F + sum_k S_k * u_k
//   Z   = count * F + sum_k S_k * sum u_k        below 2^31, as n * B is
//
// What waits for pass 5 takes the room of the results: u of the farthest knee, one byte each, or the scores, two bytes
// each. u has the upper half of a row's room where results have two bytes, which pass 5 reads before it writes there;
// half of the scores are in the scratch where results have one.
//
// m - D fits int8, and u is one instruction (maxdiff), unless a row's maximum is below D - 128, D the farthest knee. A
// call with such a row takes the distances as bytes without a sign in two: u = max((255 - d) - (255 - D), 0), 255 - d =
// x - (m + 1) modulo 2^8.
//
// An invalid position counts as -128 in the maximum, and u of the farthest knee is -128, which no other has; those of
// nearer knees are 0. Where F <= 128 * S of the farthest knee its score is then 0 or less, and the conversion to
// unsigned results makes 0 of it; for other heads, whose floor is above almost all of their line, and clb's int16,
// which must saturate, pass 5 selects 0. In the sums it counts as -128 * S:
//
//   Z   = count * (F - 128 * S) + lanes of a row * 128 * S + sum_k S_k * sum u_k
//
// Rows of one segment of 64 positions or less that all have the same length (RowLengths::kSame) need no such mark where
// pass 3 makes scores: every u_k is 0 at invalid positions, and their scores begin with 0 in place of F. count * F is
// then a constant.
#ifndef HCCS_AIE_KERNELS_ROWS_H_
#define HCCS_AIE_KERNELS_ROWS_H_

#include <type_traits>

#include "device.h"
#include "head.h"
#include "layout.h"
#include "masks.h"
#include "row_factors.h"
#include "rows_maxima.h"
#include "rows_merge.h"
#include "rows_scale.h"
#include "rows_scores.h"
#include "rows_sums.h"
#include "rows_totals.h"

namespace hccs_kernels {

// The longest segment, and the segment of rows of n positions. Two knees whose scores do not wait take longer ones than
// layout.h has, which need less scratch.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
struct RowsSegments {
  static constexpr bool kMasked = kMask != MaskKind::kNone;
  static constexpr bool kTwoKnees =
      kKnees == 2 && !kMasked && kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>;
  static constexpr RowsSegment kLongest = kTwoKnees ? RowsSegment::k256 : longest_rows_segment(kKnees, kMasked);
  static constexpr RowsSegment of(unsigned n) {
    return kTwoKnees && rows_pitch(n) % 256 == 0 ? RowsSegment::k256 : rows_segment(n, kKnees, kMasked);
  }
};

// The five passes over rows that are a MaskedRows (rows_masked.h).
template <Normalisation kNormalisation, typename Out, unsigned kKnees, typename Rows>
inline void softmax_masked_rows(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                const HccsHead& head, const BlockMask& masks, void* __restrict scratch_bytes) {
  using namespace rows_passes;
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  const RoundingSaturation modes(kStoreRounding<kNormalisation>, aie::saturation_mode::saturate);
  const Rows x(logits, rows, n, masks, static_cast<int32*>(scratch_bytes));
  const Scratch<kKnees> scratch(scratch_bytes, rows, n, x.segments());
  const Knees<kKnees> knees(head);
  constexpr bool kScores = kScoresWait<kNormalisation, Out, kKnees, Rows>;
  constexpr bool kMarks = kMarksInvalid<kScores, Rows>;
  if constexpr (!Rows::kPaired) find_maxima<kScores>(x, scratch);
  // The sums of scores are weighted where they fit.
  constexpr bool kMayWeigh = kScores && Rows::kMask != MaskKind::kBits;
  const bool weighted = kMayWeigh && knees.sums_fit(Rows::kPaired ? 4 : 8 * Rows::kBlocks, kMarks);
  const auto sum = [&]<Thresholds kThresholds>() {
    if constexpr (kScores) {
      if constexpr (kMayWeigh) {
        if (weighted) {
          return ScoreRows<kThresholds, ColumnSums::kWeighted, kKnees, Rows, Out>(x, knees, scratch, out).run();
        }
      }
      ScoreRows<kThresholds, ColumnSums::kOfKnees, kKnees, Rows, Out>(x, knees, scratch, out).run();
    } else {
      SumRows<kThresholds, kKnees, Rows, Out>(x, knees, scratch, out).run();
    }
  };
  if (merge_maxima<kScores>(x, knees.farthest, scratch) == Thresholds::kFit) {
    sum.template operator()<Thresholds::kFit>();
  } else {
    sum.template operator()<Thresholds::kWrap>();
  }
  const int32 largest_sum = static_cast<int32>(n) * head.offset;
  const auto make_factors = [&]<ColumnSums kColumnSums>() {
    return MakeFactors<kNormalisation, Out, kColumnSums, kKnees, Rows>(x, knees, scratch, n, largest_sum).run();
  };
  const ScoreProduct product = [&] {
    if constexpr (kMayWeigh) {
      if (weighted) return make_factors.template operator()<ColumnSums::kWeighted>();
    }
    return make_factors.template operator()<ColumnSums::kOfKnees>();
  }();
  const auto scale = [&]<ScoreProduct kProduct>() {
    if constexpr (!kMarks || kNormalisation != Normalisation::kClb || !std::is_same_v<Out, int16>) {
      if (!kMarks || knees.hides()) {
        return ScaleRows<kNormalisation, Out, kProduct, Invalid::kNone, kKnees, Rows>(x, knees, scratch, out).run();
      }
    }
    if constexpr (kMarks) {
      ScaleRows<kNormalisation, Out, kProduct, Invalid::kSelect, kKnees, Rows>(x, knees, scratch, out).run();
    }
  };
  if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8> && !kScores) {
    if (product == ScoreProduct::kFused) return scale.template operator()<ScoreProduct::kFused>();
  }
  scale.template operator()<ScoreProduct::kFactor>();
}

// `rows` rows of n logits of one head whose masks are of kind kMask; kSegment is that of RowsSegments. kNone
// needs rows that fill their pitch, pairs of them if n <= 32.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask, RowsSegment kSegment>
inline void softmax_row_segments(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                 const HccsHead& head, const BlockMask& masks, void* __restrict scratch) {
  using namespace rows_passes;
  using Rows = MaskedRows<kMask, kSegment>;
  if constexpr (kMask == MaskKind::kLength && Rows::kBlocks == 1) {
    if (Rows::has_same_lengths(rows, n, masks)) {
      using SameLength = MaskedRows<kMask, kSegment, RowLengths::kSame>;
      return softmax_masked_rows<kNormalisation, Out, kKnees, SameLength>(logits, out, rows, n, head, masks, scratch);
    }
  }
  softmax_masked_rows<kNormalisation, Out, kKnees, Rows>(logits, out, rows, n, head, masks, scratch);
}

// `rows` rows of n logits of one head, whatever their number; rows_scratch_bytes(rows, n, kKnees, kArch) bytes of
// scratch.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_rows(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                         const HccsHead& head, const BlockMask& masks, void* __restrict scratch) {
  // A row that does not fill its pitch is one with a valid length; the row beside an odd last one is one of length 0.
  constexpr MaskKind kPadded = kMask == MaskKind::kNone ? MaskKind::kLength : kMask;
  if (rows == 0) return;
  const bool whole = n == rows_pitch(n) && (n > 32 || rows % 2 == 0);
  // NOLINTBEGIN(bugprone-branch-clone): with some parameters several branches run the same.
  const auto with = [&]<MaskKind kKind>() {
    const auto run = [&]<RowsSegment kSegment>() {
      softmax_row_segments<kNormalisation, Out, kKnees, kKind, kSegment>(logits, out, rows, n, head, masks, scratch);
    };
    using Segments = RowsSegments<kNormalisation, Out, kKnees, kKind>;
    constexpr RowsSegment kLongest = Segments::kLongest;
    switch (Segments::of(n)) {
      case RowsSegment::kPairs:
        return run.template operator()<RowsSegment::kPairs>();
      case RowsSegment::k64:
        return run.template operator()<RowsSegment::k64>();
      case RowsSegment::k128:
        return run.template operator()<RowsSegment::k128>();
      case RowsSegment::k256:
        return run.template operator() < kLongest < RowsSegment::k256 ? kLongest : RowsSegment::k256 > ();
      case RowsSegment::k512:
        return run.template operator()<kLongest>();
    }
  };
  if (whole) {
    with.template operator()<kMask>();
  } else {
    with.template operator()<kPadded>();
  }
  // NOLINTEND(bugprone-branch-clone)
}

// The kernel for blocks of kRows rows of kN logits: what HeadSoftmax (head_softmax.h) runs.
template <Normalisation kNormalisation, typename Out_, unsigned kN, unsigned kRows, unsigned kKnees = 1,
          MaskKind kMask_ = MaskKind::kNone>
struct RowsKernel {
  using Out = Out_;
  struct alignas(64) Scratch {
    int8 bytes[rows_scratch_bytes(kRows, kN, kKnees, kArch,
                                  kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>)];
  };
  static constexpr MaskKind kMask = kMask_;
  static constexpr unsigned kElements = rows_elements(kRows, kN);  // of one head
  static constexpr unsigned kMaskWords = rows_mask_words(kRows, kN);

  static void run(const int8* __restrict logits, Out* __restrict out, const HccsHead& head, const BlockMask& masks,
                  Scratch& scratch) {
    constexpr bool kWhole = kN == rows_pitch(kN) && (kN > 32 || kRows % 2 == 0);
    constexpr MaskKind kKind = kMask == MaskKind::kNone && !kWhole ? MaskKind::kLength : kMask;
    softmax_row_segments<kNormalisation, Out, kKnees, kKind, RowsSegments<kNormalisation, Out, kKnees, kKind>::of(kN)>(
        logits, out, kRows, kN, head, masks, scratch.bytes);
  }
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROWS_H_
