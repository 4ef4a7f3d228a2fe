// SPDX-License-Identifier: Apache-2.0
//
// What the kernels that take many rows together, rows and tiles, share: a step on the way from many lanes a row to one
// lane a row, and how distances are taken.
#ifndef HCCS_AIE_KERNELS_ROW_GROUPS_H_
#define HCCS_AIE_KERNELS_ROW_GROUPS_H_

#include "device.h"

namespace hccs_kernels {

// Do the thresholds m - D_k of a call's or block's rows fit int8? What follows makes u_k = max(x - (m - D_k), 0) of
// them.
enum class Thresholds {
  kFit,   // yes: u_k is one instruction
  kWrap,  // not those of a row whose maximum m is below D - 128: u_k is two, by bytes without a sign, 255 - d = x - (m
          // + 1)
};

// Halves the lanes of each row: of two registers with rows of 2 * lanes each, one with all the rows, in order.
inline aie::vector<int8, 64> merge_max(const aie::vector<int8, 64>& a, const aie::vector<int8, 64>& b, unsigned lanes) {
  const auto [even, odd] = aie::interleave_unzip(a, b, lanes);
  return aie::max(even, odd);
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROW_GROUPS_H_
