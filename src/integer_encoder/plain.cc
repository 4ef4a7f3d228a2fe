// SPDX-License-Identifier: Apache-2.0
#include "integer_encoder/plain.h"

#include <algorithm>
#include <cstring>

#include "integer_encoder/integer_math.h"
#include "integer_encoder/row_steps.h"

namespace hccs::internal {
namespace {

// bias - 128 * the sum of the weights of each output.
std::vector<int32_t> unsigned_bias(const IntLinear& linear) {
  std::vector<int32_t> bias;
  for (int64_t j = 0; j < linear.out; ++j) {
    int32_t sum = 0;
    for (int64_t i = 0; i < linear.in; ++i) sum += linear.weights[static_cast<size_t>(j * linear.in + i)];
    bias.push_back(linear.bias[static_cast<size_t>(j)] - 128 * sum);
  }
  return bias;
}

}  // namespace

// What one text is computed in; rows are tokens.
struct PlainEncoder::Work {
  Work(const IntegerModel& model, size_t tokens)
      : x(tokens * model.hidden),
        skip(tokens * model.hidden),
        query_key_value(tokens * model.hidden * 3),
        context(tokens * model.hidden),
        sums(tokens * static_cast<size_t>(std::max(3 * model.hidden, model.inner))),
        y(model.hidden),
        z(model.hidden),
        columns(tokens * kMaxInner),
        logits(tokens),
        weights(tokens) {}

  std::vector<uint8_t> x;  // the norm's int8 output + 128
  std::vector<int16_t> skip;
  std::vector<int8_t> query_key_value;  // [tokens, 3, heads, head dimension]
  std::vector<uint8_t> context;         // + 128
  std::vector<int32_t> sums;            // of a product
  std::vector<int32_t> y;
  std::vector<int16_t> z;
  std::vector<uint8_t> columns;  // GELU's codes
  std::vector<int32_t> logits;
  std::vector<int32_t> weights;
};

PlainEncoder::PlainEncoder(const IntegerModel& model) : model_(model) {
  for (const IntLayer& layer : model.layers) {
    Layer ready{.query_key_value_bias = unsigned_bias(layer.query_key_value),
                .attention_output_bias = unsigned_bias(layer.attention_output),
                .intermediate_bias = unsigned_bias(layer.intermediate),
                .weights = {}};
    for (const HeadParams& head : layer.heads) {
      std::array<int32_t, 128>& table = ready.weights.emplace_back();
      for (size_t d = 0; d < table.size(); ++d) {
        table[d] = static_cast<int32_t>(attention_weight(head, static_cast<int64_t>(d), model.weights));
      }
    }
    layers_.push_back(std::move(ready));
  }
}

void PlainEncoder::embed_tokens(std::span<const int32_t> ids, int64_t second_begin, Work* work) const {
  const int64_t hidden = model_.hidden;
  const int32_t half = model_.word_shift == 0 ? 0 : 1 << (model_.word_shift - 1);
  for (int64_t p = 0; p < std::ssize(ids); ++p) {
    const int64_t type = model_.types > 1 && p >= second_begin ? 1 : 0;
    const int64_t id = ids[static_cast<size_t>(p)];
    const int8_t* word = model_.words.data() + id * hidden;
    const int16_t* place = model_.position_rows.data() + (type * model_.positions + p) * hidden;
    const int32_t multiplier = model_.word_multipliers[static_cast<size_t>(id)];
    for (int64_t j = 0; j < hidden; ++j) {
      const int32_t y = ((word[j] * multiplier + half) >> model_.word_shift) + place[j] * 4;
      work->y[static_cast<size_t>(j)] = std::clamp(y, -kMaxSum, kMaxSum);
    }
    standardise(work->y, model_.embedding_norm.epsilon, work->z.data());
    scale_norm(model_.embedding_norm, work->z, &work->x[p * hidden], &work->skip[p * hidden]);
  }
}

void PlainEncoder::attend_head(const Layer& ready, const IntLayer& layer, size_t head, int64_t tokens,
                               Work* work) const {
  const int64_t dimension = model_.head_dimension();
  const int64_t stride = 3 * model_.hidden;
  const int8_t* query = work->query_key_value.data() + static_cast<int64_t>(head) * dimension;
  const int8_t* keys = query + model_.hidden;
  const int8_t* values = keys + model_.hidden;
  const Rescale rescale = layer.rescale[head];
  const std::array<int32_t, 128>& table = ready.weights[head];
  std::vector<int64_t> sums(static_cast<size_t>(dimension));
  for (int64_t t = 0; t < tokens; ++t, query += stride) {
    int32_t* logits = work->logits.data();
    multiply_signed(query, keys, stride, tokens, dimension, logits);
    const int32_t maximum = *std::max_element(logits, logits + tokens);
    int64_t total = 0;
    for (int64_t i = 0; i < tokens; ++i) {
      const int64_t distance = rounded_shift((int64_t{maximum} - logits[i]) * rescale.multiplier, rescale.shift);
      work->weights[static_cast<size_t>(i)] = table[static_cast<size_t>(std::min<int64_t>(distance, 127))];
      total += work->weights[static_cast<size_t>(i)];
    }
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t i = 0; i < tokens; ++i) {
      const int32_t weight = work->weights[static_cast<size_t>(i)];
      const int8_t* value = values + i * stride;
      for (int64_t j = 0; j < dimension; ++j) sums[static_cast<size_t>(j)] += weight * value[j];
    }
    uint8_t* out = work->context.data() + t * model_.hidden + static_cast<int64_t>(head) * dimension;
    for (int64_t j = 0; j < dimension; ++j) {
      out[j] = static_cast<uint8_t>(rounded_divide(sums[static_cast<size_t>(j)], total) + 128);
    }
  }
}

void PlainEncoder::attend(const IntLayer& layer, const Layer& ready, int64_t tokens, Work* work) const {
  const int64_t hidden = model_.hidden;
  multiply_unsigned(work->x.data(), tokens, hidden, layer.query_key_value.weights.data(), 3 * hidden,
                    work->sums.data());
  for (int64_t t = 0; t < tokens; ++t) {
    requantise_to_int8(layer.query_key_value, ready.query_key_value_bias, &work->sums[t * 3 * hidden],
                       &work->query_key_value[t * 3 * hidden]);
  }
  for (size_t head = 0; head < layer.heads.size(); ++head) attend_head(ready, layer, head, tokens, work);
  multiply_unsigned(work->context.data(), tokens, hidden, layer.attention_output.weights.data(), hidden,
                    work->sums.data());
  for (int64_t t = 0; t < tokens; ++t) {
    add_to_residual(layer.attention_output, ready.attention_output_bias, &work->sums[t * hidden],
                    &work->skip[t * hidden], layer.attention_skip, work->y.data());
    standardise(work->y, layer.attention_norm.epsilon, work->z.data());
    scale_norm(layer.attention_norm, work->z, &work->x[t * hidden], &work->skip[t * hidden]);
  }
}

void PlainEncoder::feed_forward(const IntLayer& layer, const Layer& ready, int64_t tokens, Work* work) const {
  const int64_t hidden = model_.hidden;
  const int64_t columns = layer.output.in;
  multiply_unsigned(work->x.data(), tokens, hidden, layer.intermediate.weights.data(), model_.inner, work->sums.data());
  for (int64_t t = 0; t < tokens; ++t) {
    activate(layer.intermediate, ready.intermediate_bias, layer.gelu, &work->sums[t * model_.inner],
             &work->columns[t * columns]);
  }
  multiply_unsigned(work->columns.data(), tokens, columns, layer.output.weights.data(), hidden, work->sums.data());
  for (int64_t t = 0; t < tokens; ++t) {
    add_to_residual(layer.output, layer.output.bias, &work->sums[t * hidden], &work->skip[t * hidden],
                    layer.output_skip, work->y.data());
    standardise(work->y, layer.output_norm.epsilon, work->z.data());
    scale_norm(layer.output_norm, work->z, &work->x[t * hidden], &work->skip[t * hidden]);
  }
}

HiddenStates PlainEncoder::forward(std::span<const int32_t> ids, int64_t second_begin, const HiddenSink& sink) const {
  const auto tokens = std::ssize(ids);
  Work work(model_, ids.size());
  embed_tokens(ids, second_begin, &work);
  if (sink) sink(0, work.skip);
  for (size_t l = 0; l < model_.layers.size(); ++l) {
    attend(model_.layers[l], layers_[l], tokens, &work);
    feed_forward(model_.layers[l], layers_[l], tokens, &work);
    if (sink) sink(static_cast<int64_t>(l) + 1, work.skip);
  }
  HiddenStates states{.skip = std::move(work.skip), .int8 = {}};
  for (const uint8_t x : work.x) states.int8.push_back(static_cast<int8_t>(x - 128));
  return states;
}

}  // namespace hccs::internal
