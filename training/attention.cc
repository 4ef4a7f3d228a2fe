// SPDX-License-Identifier: Apache-2.0
#include "training/attention.h"

#include <cmath>
#include <dnnl.hpp>

namespace hccs::training {
namespace {

// Row-major out[m, n] = alpha * op(a) * op(b); op(a) is [m, k], op(b) [k, n].
void multiply(bool a_transposed, bool b_transposed, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
              int64_t a_stride, const float* b, int64_t b_stride, float* out, int64_t out_stride) {
  dnnl::error::wrap_c_api(dnnl_sgemm(a_transposed ? 'T' : 'N', b_transposed ? 'T' : 'N', m, n, k, alpha, a, a_stride, b,
                                     b_stride, 0.0F, out, out_stride),
                          "sgemm");
}

float logit_scale(int64_t dimension) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(dimension))); }

// A text's tokens in one head.
struct Block {
  int64_t text = 0;
  int64_t head = 0;
  int64_t length = 0;
  int64_t begin = 0;  // the text's first token
  size_t place = 0;   // of its [length, length] in the tape
};

// Text by text, head by head.
std::vector<Block> blocks_of(const AttentionShape& shape) {
  std::vector<Block> blocks;
  size_t place = 0;
  for (size_t text = 0; text + 1 < shape.offsets.size(); ++text) {
    const int64_t begin = shape.offsets[text];
    const int64_t length = shape.offsets[text + 1] - begin;
    for (int64_t head = 0; head < shape.heads; ++head) {
      blocks.push_back({static_cast<int64_t>(text), head, length, begin, place});
      place += static_cast<size_t>(length * length);
    }
  }
  return blocks;
}

// out = in with dropout; the stream's element i is the tape's.
void apply(const Dropout& dropout, size_t place, size_t count, const float* in, float* out) {
  for (size_t i = 0; i < count; ++i) out[i] = in[i] * dropout.factor(static_cast<uint32_t>(place + i));
}

}  // namespace

Status attention_forward(const AttentionShape& shape, const TrainingSoftmax& softmax, const Dropout& dropout,
                         const float* query_key_value, float* context, AttentionTape* tape, const LogitSink& sink) {
  const std::vector<Block> blocks = blocks_of(shape);
  const size_t size = blocks.empty() ? 0 : blocks.back().place + blocks.back().length * blocks.back().length;
  tape->logits.resize(size);
  tape->probabilities.resize(size);
  const int64_t hidden = shape.hidden();
  const float scale = logit_scale(shape.dimension);
  thread_local std::vector<float> dropped;
  for (const auto& [text, head, length, begin, place] : blocks) {
    const float* q = query_key_value + begin * 3 * hidden + head * shape.dimension;
    const float* k = q + hidden;
    const float* v = k + hidden;
    float* logits = tape->logits.data() + place;
    float* p = tape->probabilities.data() + place;
    multiply(false, true, length, length, shape.dimension, scale, q, 3 * hidden, k, 3 * hidden, logits, length);
    if (sink) HCCS_RETURN_IF_ERROR(sink(shape.layer, head, text, length, logits));
    HCCS_RETURN_IF_ERROR(
        softmax.forward({.head = shape.layer * shape.heads + head, .rows = length, .keys = length}, logits, p));
    if (dropout.active()) {
      dropped.resize(length * length);
      apply(dropout, place, dropped.size(), p, dropped.data());
      p = dropped.data();
    }
    multiply(false, false, length, shape.dimension, length, 1.0F, p, length, v, 3 * hidden,
             context + begin * hidden + head * shape.dimension, hidden);
  }
  return {};
}

void attention_backward(const AttentionShape& shape, const TrainingSoftmax& softmax, const Dropout& dropout,
                        const float* query_key_value, const AttentionTape& tape, const float* grad_context,
                        float* grad_query_key_value, HeadGradient* head_gradients) {
  const int64_t hidden = shape.hidden();
  const float scale = logit_scale(shape.dimension);
  thread_local std::vector<float> dropped;
  thread_local std::vector<float> grad;
  for (const auto& [text, head, length, begin, place] : blocks_of(shape)) {
    const int64_t offset = begin * 3 * hidden + head * shape.dimension;
    const float* q = query_key_value + offset;
    const float* k = q + hidden;
    const float* v = k + hidden;
    float* grad_q = grad_query_key_value + offset;
    float* grad_k = grad_q + hidden;
    float* grad_v = grad_k + hidden;
    const float* grad_out = grad_context + begin * hidden + head * shape.dimension;
    const float* logits = tape.logits.data() + place;
    const float* p = tape.probabilities.data() + place;
    const float* used = p;
    const auto count = static_cast<size_t>(length * length);
    grad.resize(count);
    if (dropout.active()) {
      dropped.resize(count);
      apply(dropout, place, count, p, dropped.data());
      used = dropped.data();
    }
    multiply(true, false, length, shape.dimension, length, 1.0F, used, length, grad_out, hidden, grad_v, 3 * hidden);
    multiply(false, true, length, length, shape.dimension, 1.0F, grad_out, hidden, v, 3 * hidden, grad.data(), length);
    if (dropout.active()) apply(dropout, place, count, grad.data(), grad.data());
    const int64_t index = shape.layer * shape.heads + head;
    softmax.backward({.head = index, .rows = length, .keys = length}, logits, p, grad.data(), grad.data(),
                     head_gradients == nullptr ? nullptr : head_gradients + index);
    multiply(false, false, length, shape.dimension, length, scale, grad.data(), length, k, 3 * hidden, grad_q,
             3 * hidden);
    multiply(true, false, length, shape.dimension, length, scale, grad.data(), length, q, 3 * hidden, grad_k,
             3 * hidden);
  }
}

}  // namespace hccs::training
