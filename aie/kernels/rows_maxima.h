// SPDX-License-Identifier: Apache-2.0
//
// Pass 1 of rows (rows.h): the maxima of pairs of rows, 32 lanes a row.
#ifndef HCCS_AIE_KERNELS_ROWS_MAXIMA_H_
#define HCCS_AIE_KERNELS_ROWS_MAXIMA_H_

#include "rows_masked.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// kScores: pass 3 makes scores.
template <bool kScores, typename Rows, unsigned kKnees>
void find_maxima(const Rows& x, const Scratch<kKnees>& scratch) {
  unsigned pair = 0;
  unsigned segment = 0;
  HCCS_LOOP(i, 8 * rows_groups(x.rows()) * scratch.segments, "rows.maxima", 8) {
    const unsigned row = x.pair_row(pair);
    typename Rows::Valid valid[2];
    if constexpr (Rows::kMasked) {
      valid[0] = x.valid(row, segment);
      valid[1] = x.valid(x.existing(row + 1), segment);
    }
    const auto load = [&](unsigned half) {
      const unsigned in_row = segment * Rows::kBlocks * 2 + half;
      auto logits = x.load_halves(row, x.existing(row + 1), in_row);
      if constexpr (Rows::kMasked) {
        logits = aie::select(int8{-128}, logits, Rows::Valid::halves(valid[0], valid[1], half));
      }
      if constexpr (kScores && kParksLogits<Rows>) {
        const auto park = [&](unsigned r, const aie::vector<int8, 32>& of_row) {
          aie::store_v(scratch.parked() + r * x.pitch() + in_row * 32, of_row);
        };
        park(row, logits.template extract<32>(0));
        park(x.existing(row + 1), logits.template extract<32>(1));
      }
      return logits;
    };
    auto maxima = load(0);
    for (unsigned half = 1; half < 2 * Rows::kBlocks; ++half) maxima = aie::max(maxima, load(half));
    aie::store_v(scratch.maxima(pair, segment), maxima);
    if (++segment == scratch.segments) {
      segment = 0;
      ++pair;
    }
  }
}

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_MAXIMA_H_
