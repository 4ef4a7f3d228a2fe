// SPDX-License-Identifier: Apache-2.0
//
// The definition in loops that a compiler can vectorise: equal to the reference bit for bit.
#ifndef HCCS_SRC_INTEGER_ENCODER_PLAIN_H_
#define HCCS_SRC_INTEGER_ENCODER_PLAIN_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "integer_encoder/model.h"
#include "integer_encoder/reference.h"

namespace hccs::internal {

// A model, and what its products and heads can have ready. Immutable, so safe to share between threads.
class PlainEncoder {
 public:
  // The model is valid and outlives this object.
  explicit PlainEncoder(const IntegerModel& model);

  // As reference_forward.
  HiddenStates forward(std::span<const int32_t> ids, int64_t second_begin, const HiddenSink& sink = {}) const;

 private:
  struct Work;
  struct Layer {
    // The bias of a product of x + 128, which is not negative: 128 times the sum of the weights less.
    std::vector<int32_t> query_key_value_bias;
    std::vector<int32_t> attention_output_bias;
    std::vector<int32_t> intermediate_bias;
    // [heads][128]: the weight of a distance, and the 127 distance's first t.
    std::vector<std::array<int32_t, 128>> weights;
  };

  void embed_tokens(std::span<const int32_t> ids, int64_t second_begin, Work* work) const;
  void attend(const IntLayer& layer, const Layer& ready, int64_t tokens, Work* work) const;
  void attend_head(const Layer& ready, const IntLayer& layer, size_t head, int64_t tokens, Work* work) const;
  void feed_forward(const IntLayer& layer, const Layer& ready, int64_t tokens, Work* work) const;

  const IntegerModel& model_;
  std::vector<Layer> layers_;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_PLAIN_H_
