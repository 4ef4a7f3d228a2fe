// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int8 rows in the tiles that aie::mmul reads and writes, so that it stands between two matrix products
// without a change of layout. Any row length, K = 1..4, all six outputs, masks.
//
// Layout: tiles of kTileRows x 8 elements, row after row within a tile; the tiles of kTileRows rows (a band) one after
// another, then the next band. kTileRows is 4 on AIE-ML (mmul<4, 8, 8>) and 8 on v2 (mmul<8, 8, 8>). A band is filled
// up to whole registers: to a multiple of 16 columns on AIE-ML, of 8 on v2. What is beside the rows may have any value
// in the logits and becomes 0 in the output. Both buffers have tiles_elements(rows, n, arch) elements, aligned to
// aie::vector_decl_align, and do not overlap. Bit masks: bit j of word w is element 32 w + j of that layout.
//
// Serves every head without a head_error(head, kKnees, n, kMask), check_aie, but `scaled` to int16 only for n up to
// kScaledWideLongest. Widths: below, row_factors.h.
//
// Blocks of 64 rows go through four passes, a file each. A block is eight leaves of eight rows; a leaf is a band on v2,
// two on AIE-ML.
//   1  tiles_maxima.h  the maxima of each leaf, eight lanes a row; of 64 rows, by shuffles that all of them share; the
//                      thresholds
//   2  tiles_sums.h    u_k of all positions, and their sums, by products with matrices that put the sums of 64
//                      rows into as many lanes
//   3  tiles_totals.h  Z and the factors of 64 rows
//   4  tiles_scale.h   the results
//
// With t_k = m - D_k and u_k = max(x - t_k, 0) = D_k - min(m - x, D_k), 0..127:
//
//   s = F + sum_k S_k * u_k                  F = B - sum_k S_k * D_k, the floor
//   Z = count * F + sum_k S_k * sum u_k      below 2^31, as n * B is
//
// t_k fits int8, and u_k is one instruction (maxdiff), unless a row's maximum is below D_K - 128. If a block has such a
// row, it takes the distances as bytes without a sign in two: u_k = max((255 - d) - (255 - D_k), 0), where 255 - d =
// x - m - 1 modulo 2^8.
//
// An invalid position counts as -128 in the maximum, has u = 0 in the sums and gets 0 in the end.
//
// Lengths cost copies: registers in which a row ends are read from a copy that has -128 where they are invalid, and
// registers beyond from one that has nothing else; their results are set to 0 at the end. Bit masks cost selects.
//
// All lanes of a register share one shift, and the rows of a band have different k = floor(log2 Z). With f the largest,
// and factors 2^(f-k) of the rows, pass 4 has two short forms, which need f <= 15 and rows of one count c of valid
// positions, so that k is at least floor(log2(B + (c-1) * F)):
//
//   clb u8    (255 * s) >> k is (255 * 2^(f-k) * s) >> f: products of u_k with 255 * 2^(f-k) * S_k, on top of
//             255 * 2^(f-k) * F. Needs 255 * 2^(f-k) * S_k < 2^16; then 255 * 2^(f-k) <= 255 * 2^7, and all sums are
//             below 255 * B * 2^7 < 2^31 (B <= Z < 2^16)
//   scaled    ((s * 2^(f-k)) * r + half) >> (f + 7) for the contract's (s * r + 2^(k+6)) >> (k + 7); int16: without the
//             7. Needs B * 2^(f-k) < 2^15; r has 15 bits
//
// Everything else goes the long way: scale() of tiles_scale.h.
#ifndef HCCS_AIE_KERNELS_TILES_H_
#define HCCS_AIE_KERNELS_TILES_H_

#include <type_traits>

#include "device.h"
#include "head.h"
#include "layout.h"
#include "masks.h"
#include "row_factors.h"
#include "row_groups.h"
#include "tiles_masked.h"
#include "tiles_maxima.h"
#include "tiles_scale.h"
#include "tiles_scratch.h"
#include "tiles_sums.h"
#include "tiles_totals.h"

namespace hccs_kernels {
namespace tiles_passes {

// Passes 2 to 4 of a block.
template <unsigned kSegment, Form kForm, Thresholds kThresholds, Normalisation kNormalisation, typename Out,
          MaskKind kMask, unsigned kKnees>
void finish_block(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                  const HccsHead& head, int32_t counted, const Exponents& exponents, TilesScratch<kKnees>& scratch,
                  Out* out) {
  // All rows have the same count, or the plain form adds F for each.
  const int32_t floors = kForm == Form::kPlain && kMask != MaskKind::kNone ? 0 : counted * head_floor(head);
  BlockSums<kKnees> sums((kForm == Form::kPlain ? 0 : kFloatBits) + floors);
  BlockSums<1> count(0);
  add_up<kSegment, kThresholds>(x, logits, block, head, scratch, sums, count);
  const auto first_powers = make_factors<kForm, kNormalisation, Out>(x, block, head, exponents, sums, count, scratch);
  if constexpr (kForm == Form::kShifted) aie::set_rounding(aie::rounding_mode::positive_inf);
  scale_bands<kSegment, kForm, kThresholds, kNormalisation>(x, logits, block, head, exponents, scratch, first_powers,
                                                            out);
  if constexpr (kForm == Form::kShifted) aie::set_rounding(aie::rounding_mode::floor);
  if constexpr (kMask == MaskKind::kLength) clear_invalid(x, logits, block, scratch, out);
}

}  // namespace tiles_passes

// `rows` rows of n logits of one head whose masks are of kind kMask; kSegment is tiles_segment(n, kArch). kNone needs
// whole tiles and registers (n a multiple of kVectorColumns, rows one of kTileRows).
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask, unsigned kSegment>
inline void softmax_tile_segments(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                  const HccsHead& head, const BlockMask& masks,
                                  TilesScratch<kKnees>& __restrict scratch) {
  using namespace tiles_passes;
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  static_assert(sizeof(TilesScratch<kKnees>) == tiles_scratch_bytes(kKnees, kArch));
  const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
  const MaskedTiles<kMask> x(logits, rows, n, masks);
  // Valid positions of each row, or the most.
  const int32_t counted = kMask == MaskKind::kLength && x.length() > 0 ? x.length() : static_cast<int32_t>(n);
  const Exponents exponents(head, counted);
  // Rows of many counts have more exponents.
  const bool uniform = kMask == MaskKind::kNone || (kMask == MaskKind::kLength && !x.causal());
  const Form form = uniform ? form_of<kNormalisation, Out>(head, exponents) : Form::kPlain;
  set_columns<kMask>(head, scratch);
  for (unsigned row = 0; row < rows; row += kBlockRows) {
    const unsigned left = rows - row < kBlockRows ? rows - row : kBlockRows;
    const Block block{row / kLeafRows, (left + kLeafRows - 1) / kLeafRows, (left + kTileRows - 1) / kTileRows};
    const Logits<kMask, kKnees> block_logits(x, block, scratch);
    find_maxima<kSegment>(x, block_logits, block, scratch);
    const Thresholds thresholds = set_thresholds(block, head, scratch);
    const auto finish = [&]<Form kForm>() {
      if (thresholds == Thresholds::kFit) {
        finish_block<kSegment, kForm, Thresholds::kFit, kNormalisation>(x, block_logits, block, head, counted,
                                                                        exponents, scratch, out);
      } else {
        finish_block<kSegment, kForm, Thresholds::kWrap, kNormalisation>(x, block_logits, block, head, counted,
                                                                         exponents, scratch, out);
      }
    };
    if constexpr (kMask != MaskKind::kBits) {
      if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
        if (form == Form::kFused) {
          finish.template operator()<Form::kFused>();
          continue;
        }
      }
      if constexpr (kNormalisation == Normalisation::kScaled) {
        if (form == Form::kShifted) {
          finish.template operator()<Form::kShifted>();
          continue;
        }
      }
    }
    finish.template operator()<Form::kPlain>();
  }
}

// `rows` rows of n logits of one head, whatever their number.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_tiles(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                          const HccsHead& head, const BlockMask& masks, TilesScratch<kKnees>& __restrict scratch) {
  // What is beside the rows is masked by a length.
  constexpr MaskKind kPadded = kMask == MaskKind::kNone ? MaskKind::kLength : kMask;
  if (rows == 0) return;
  const bool whole = n % kVectorColumns == 0 && rows % kTileRows == 0;
  const auto run = [&]<unsigned kSegment>() {
    if (whole) {
      softmax_tile_segments<kNormalisation, Out, kKnees, kMask, kSegment>(logits, out, rows, n, head, masks, scratch);
    } else {
      softmax_tile_segments<kNormalisation, Out, kKnees, kPadded, kSegment>(logits, out, rows, n, head, masks, scratch);
    }
  };
  switch (tiles_segment(n, kArch)) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 4:
      return run.template operator()<4>();
    case 8:
      return run.template operator()<8>();
    default:
      return run.template operator()<16>();
  }
}

// The kernel for blocks of kRows rows of kN logits: what HeadSoftmax (head_softmax.h) runs.
template <Normalisation kNormalisation, typename Out_, unsigned kN, unsigned kRows, unsigned kKnees = 1,
          MaskKind kMask_ = MaskKind::kNone>
struct TilesKernel {
  static_assert(kNormalisation != Normalisation::kScaled || std::is_same_v<Out_, uint8> || kN <= kScaledWideLongest,
                "tiles serves scaled to int16 for n up to 8192");
  using Out = Out_;
  using Scratch = TilesScratch<kKnees>;
  static constexpr MaskKind kMask = kMask_;
  static constexpr unsigned kElements = tiles_elements(kRows, kN, kArch);  // of one head
  static constexpr unsigned kMaskWords = tiles_mask_words(kRows, kN, kArch);

  static void run(const int8* __restrict logits, Out* __restrict out, const HccsHead& head, const BlockMask& masks,
                  Scratch& scratch) {
    constexpr bool kWhole = kN % kVectorColumns == 0 && kRows % kTileRows == 0;
    constexpr MaskKind kKind = kMask == MaskKind::kNone && !kWhole ? MaskKind::kLength : kMask;
    softmax_tile_segments<kNormalisation, Out, kKnees, kKind, tiles_segment(kN, kArch)>(logits, out, kRows, kN, head,
                                                                                        masks, scratch);
  }
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_TILES_H_
