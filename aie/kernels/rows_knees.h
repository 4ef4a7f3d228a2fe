// SPDX-License-Identifier: Apache-2.0
//
// A head as the passes of rows (rows.h) need it.
#ifndef HCCS_AIE_KERNELS_ROWS_KNEES_H_
#define HCCS_AIE_KERNELS_ROWS_KNEES_H_

#include "device.h"
#include "head.h"

namespace hccs_kernels::rows_passes {

// The knees with the farthest as the last one. Those that are not in use have slope 0, wherever they are.
template <unsigned kKnees>
struct Knees {
  explicit Knees(const HccsHead& head)
      : floor(static_cast<int16>(head_floor(head))), height(static_cast<int16>(head.offset - head_floor(head))) {
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
  // Does the sum of all S_k * u_k of so many positions fit 16 bits? Those have a sign where -128 marks positions.
  bool sums_fit(int32 positions, bool marked) const {
    const int32 largest = positions * height;
    return marked ? largest <= 32767 && positions * hidden() <= 32768 : largest <= 65535;
  }

  int16 floor;          // F
  int16 height;         // B - F, the largest sum of S_k * u_k
  int8 farthest;        // D
  int8 slope[kKnees];   // S_k
  int8 nearer[kKnees];  // D - D_k, 0 for the last
};

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_KNEES_H_
