// SPDX-License-Identifier: Apache-2.0
//
// Self-attention over a batch of texts packed one after another, forward and backward, one text and head at a time. No
// padding, so no mask: what a text's attention computes does not depend on its batch.
#ifndef HCCS_TRAINING_ATTENTION_H_
#define HCCS_TRAINING_ATTENTION_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "training/random.h"
#include "training/softmax.h"

namespace hccs::training {

struct AttentionShape {
  int64_t layer = 0;
  int64_t heads = 0;
  int64_t dimension = 0;               // of a head
  std::span<const int64_t> offsets{};  // text t has the tokens [offsets[t], offsets[t + 1])
  int64_t hidden() const { return heads * dimension; }
};

// Sees the logits of each (text, head): [length, length], row-major. An error ends the pass.
using LogitSink = std::function<Status(int64_t layer, int64_t head, int64_t text, int64_t length, const float* logits)>;

// What the forward leaves for the backward.
struct AttentionTape {
  std::vector<float> logits;         // each (text, head)'s [length, length] in turn
  std::vector<float> probabilities;  // before dropout
};

// query_key_value: [tokens, 3 * hidden], a row is q, k, v, each [heads, dimension]. context: [tokens, hidden].
// Dropout acts on the probabilities. Errors: those of TrainingSoftmax::forward and of the sink. Throws dnnl::error and
// std::bad_alloc.
Status attention_forward(const AttentionShape& shape, const TrainingSoftmax& softmax, const Dropout& dropout,
                         const float* query_key_value, float* context, AttentionTape* tape, const LogitSink& sink = {});

// From the derivative by the context that by query_key_value. head_gradients: null, or [layers * heads], added to.
// Throws dnnl::error and std::bad_alloc.
void attention_backward(const AttentionShape& shape, const TrainingSoftmax& softmax, const Dropout& dropout,
                        const float* query_key_value, const AttentionTape& tape, const float* grad_context,
                        float* grad_query_key_value, HeadGradient* head_gradients);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_ATTENTION_H_
