// SPDX-License-Identifier: Apache-2.0
//
// One call of an operator, without ONNX Runtime: tensors of any number of axes in, heads and masks for SoftmaxPlan out.
// The rules are those of the function that hccs.onnx.function() makes, so that one file runs as either.
#ifndef HCCS_ORT_CALL_H_
#define HCCS_ORT_CALL_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hccs/params.h"
#include "hccs/softmax.h"
#include "hccs/status.h"

namespace hccs::ort {

// Dense, the last axis contiguous.
struct Tensor {
  const void* data = nullptr;
  std::vector<int64_t> shape;
};

std::string text_of(std::span<const int64_t> shape);  // "[2, 12, 64]"
int64_t elements(std::span<const int64_t> shape);     // 1 for no axes

// The heads that the inputs b, s_0, d_0, ..., s_(K-1), d_(K-1) say, each int32 [heads, 1, 1] or one value for all
// heads: `heads` of them, or one where all are one value. Knees of slope 0 change nothing and are left out.
// Errors: kInvalidArgument for other shapes; the values themselves SoftmaxPlan checks.
Expected<std::vector<HeadParams>> heads_of(std::span<const Tensor> inputs);

// A mask of booleans as bits: of each row of the mask, which rows of the logits share.
class Masks {
 public:
  // Masks nothing.
  Masks() = default;
  // `mask` broadcasts to `shape`, the logits': [..., heads, queries, keys].
  // Errors: kInvalidArgument where it does not.
  static Expected<Masks> of(const Tensor& mask, std::span<const int64_t> shape);

  // Puts the bits of rows (batch, head, query...) into a batch of softmax. `batch` counts all axes before the heads.
  template <class Out>
  void set(SoftmaxBatch<Out>& rows, int64_t batch, int64_t head, int64_t query) const {
    if (bits_.empty()) return;
    rows.mask_bits = bits_.data() + offset(batch) + head * head_stride_ + query * query_stride_;
    rows.mask_head_stride = head_stride_;
    rows.mask_query_stride = query_stride_;
  }

 private:
  int64_t offset(int64_t batch) const;  // bytes

  std::vector<uint8_t> bits_;  // empty: everything is valid
  std::vector<int64_t> batch_sizes_, batch_strides_;
  int64_t head_stride_ = 0, query_stride_ = 0;
};

}  // namespace hccs::ort

#endif  // HCCS_ORT_CALL_H_
