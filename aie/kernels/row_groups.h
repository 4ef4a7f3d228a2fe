// SPDX-License-Identifier: Apache-2.0
//
// The steps on the way from many lanes a row to one lane for each of 16 rows.
//
// Kernels that work with u_k = D_k - min(d, D_k) (microtile.h) or with min(d, D_k) itself (interleaved.h) sum C + ...,
// with C = F, the floor, or B:
//
//   Z   = count * C + sum of the rest        below 2^31, as n * B is
//
// An empty row has Z = 0, which is replaced by a number that factors can be made of.
#ifndef HCCS_AIE_KERNELS_ROW_GROUPS_H_
#define HCCS_AIE_KERNELS_ROW_GROUPS_H_

#include "hccs_head.h"
#include "row_factors.h"

namespace hccs_kernels {

// Halves the lanes of each row: of two registers with rows of 2 * lanes each, one with all the rows, in order.
inline aie::vector<int8, 64> merge_max(const aie::vector<int8, 64>& a, const aie::vector<int8, 64>& b, unsigned lanes) {
  const auto [even, odd] = aie::interleave_unzip(a, b, lanes);
  return aie::max(even, odd);
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROW_GROUPS_H_
