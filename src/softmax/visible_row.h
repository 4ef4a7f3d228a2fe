// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_SOFTMAX_VISIBLE_ROW_H_
#define HCCS_SRC_SOFTMAX_VISIBLE_ROW_H_

#include <algorithm>
#include <cstdint>

#include "softmax/plan.h"

namespace hccs::softmax {

// One row, its length and causal masks resolved.
struct VisibleRow {
  const int8_t* logits;
  void* out;
  const uint8_t* bits;  // null: no bit mask
  int64_t length;       // positions from here on are invalid, 0..keys
};

template <class Out>
inline VisibleRow visible_row(const Rows& rows, int64_t head, int64_t query) noexcept {
  int64_t length = rows.keys;
  if (rows.valid_lengths != nullptr) {
    length =
        std::min<int64_t>(length, rows.valid_lengths[head * rows.valid_head_stride + query * rows.valid_query_stride]);
  }
  if (rows.causal_offset != kNoCausalOffset) length = std::min(length, query + rows.causal_offset + 1);
  const uint8_t* bits = rows.mask_bits;
  if (bits != nullptr) bits += head * rows.mask_head_stride + query * rows.mask_query_stride;
  return {rows.logits + head * rows.logits_head_stride + query * rows.logits_query_stride,
          static_cast<Out*>(rows.out) + head * rows.out_head_stride + query * rows.out_query_stride, bits,
          std::max<int64_t>(length, 0)};
}

}  // namespace hccs::softmax

#endif  // HCCS_SRC_SOFTMAX_VISIBLE_ROW_H_
