// SPDX-License-Identifier: Apache-2.0
//
// A step on the way from many lanes a row to one lane a row, for several rows together.
#ifndef HCCS_AIE_KERNELS_ROW_GROUPS_H_
#define HCCS_AIE_KERNELS_ROW_GROUPS_H_

#include "hccs_head.h"

namespace hccs_kernels {

// Halves the lanes of each row: of two registers with rows of 2 * lanes each, one with all the rows, in order.
inline aie::vector<int8, 64> merge_max(const aie::vector<int8, 64>& a, const aie::vector<int8, 64>& b, unsigned lanes) {
  const auto [even, odd] = aie::interleave_unzip(a, b, lanes);
  return aie::max(even, odd);
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROW_GROUPS_H_
