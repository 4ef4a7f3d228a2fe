// SPDX-License-Identifier: Apache-2.0
//
// From logits to u = max(x - (m - D), 0), for pass 3 of rows (rows.h).
#ifndef HCCS_AIE_KERNELS_ROWS_DISTANCES_H_
#define HCCS_AIE_KERNELS_ROWS_DISTANCES_H_

#include "row_groups.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// What is taken from a row's logits, its level: m - D, or m + 1 if m - D may not fit int8.
template <Thresholds kThresholds>
struct RowLevel {
  static constexpr bool kFit = kThresholds == Thresholds::kFit;

  // Of a row.
  template <unsigned kKnees>
  static aie::vector<int8, 64> of(const Scratch<kKnees>& scratch, unsigned row) {
    return aie::broadcast<int8, 64>(load_scalar(scratch.row_levels() + row));
  }
  // Of a pair of rows, 32 lanes each.
  template <unsigned kKnees>
  static aie::vector<int8, 64> of_pair(const Scratch<kKnees>& scratch, unsigned row) {
    // Lanes of 16 bits of the two rows in turns; the transpose puts each row's together.
    const auto* levels = reinterpret_cast<const int32*>(scratch.pair_levels() + row);
    const auto turns = aie::broadcast<int32, 16>(load_scalar(levels)).template cast_to<int16>();
    return aie::transpose(turns, 16, 2).template cast_to<int8>();
  }
  // Makes the levels of those that pass 2 has left, m - D modulo 2^8.
  template <bool kPaired, unsigned kKnees>
  static void prepare(const Scratch<kKnees>& scratch, unsigned rows, int8 farthest) {
    if constexpr (!kFit) {
      HCCS_LOOP(i, rows_blocks(rows), "rows.levels", 1) {
        const auto levels = aie::add(aie::load_v<64>(scratch.row_levels() + 64 * i), static_cast<int8>(farthest + 1));
        scratch.template store_levels<kPaired>(i, levels);
      }
    }
  }

  // u of logits; beyond: 255 - D.
  static aie::vector<int8, 64> take(const aie::vector<int8, 64>& logits, const aie::vector<int8, 64>& level,
                                    const aie::vector<uint8, 64>& beyond) {
    if constexpr (kFit) return aie::maxdiff(logits, level);
    return aie::maxdiff(aie::sub(logits, level).template cast_to<uint8>(), beyond).template cast_to<int8>();
  }
};

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_DISTANCES_H_
