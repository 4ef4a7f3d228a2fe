// SPDX-License-Identifier: Apache-2.0
//
// The steps on the way from many lanes a row to one lane for each of 16 rows, and what follows from the rows' maxima.
//
// With the row's maximum m and t_k = max(m - D_k, -128), the kernels compute
//
//   u_k = max(x - t_k, 0)                    0..127: x <= m <= t_k + D_k, so int8 does not wrap
//   s   = C + sum_k S_k * u_k                C = B - sum_k S_k * (m - t_k) is B - sum_k S_k * D_k, the floor, unless
//                                            m - D_k < -128, and within 0..B in any case
//   Z   = count * C + sum_k S_k * sum u_k    below 2^31, as n * B is; S_k * u_k <= S_k * D_k <= B
//
// An invalid position counts as x = -128 in the maximum, has u = 0 in the sums and gets 0 in the end. An empty row has
// Z = 0, which is replaced by a number that factors can be made of.
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
inline RowSums merge_add(const RowSums& a, const RowSums& b, unsigned lanes) {
  const auto [even, odd] = aie::interleave_unzip(a, b, lanes);
  return aie::add(even, odd);
}
// The last steps for maxima: of two registers with eight rows of eight lanes each, 16 rows of one lane, four times.
inline aie::vector<int8, 64> merge_rows(const aie::vector<int8, 64>& a, const aie::vector<int8, 64>& b) {
  auto rows = merge_max(a, b, 4);
  rows = merge_max(rows, rows, 2);
  return merge_max(rows, rows, 1);
}

// t_k of the rows' maxima.
inline aie::vector<int8, 64> row_threshold(const aie::vector<int8, 64>& maxima, int8 position) {
  return aie::sub(aie::max(maxima, static_cast<int8>(position - 128)), position);
}

// constant - S_k * (m - t_k), of the first 32 lanes.
inline aie::accum<acc32, 32> subtract_drop(const aie::accum<acc32, 32>& constant, const aie::vector<int8, 64>& maxima,
                                           const aie::vector<int8, 64>& threshold, int8 slope) {
  return aie::msc(constant, aie::broadcast<int8, 32>(slope), aie::sub(maxima, threshold).template extract<32>(0));
}

// Z of 16 rows from the sums of S_k * u_k, the rows' valid positions and C; at least 256, which changes empty rows
// only (head_error).
inline RowSums row_sums(const RowSums& slopes, const RowSums& count, const aie::vector<int16, kGroupRows>& constant) {
  const aie::accum<acc64, kGroupRows> start(slopes);
  return aie::max(aie::mac(start, count, constant).template to_vector<int32>(0), static_cast<int32>(256));
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROW_GROUPS_H_
