// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "quantiser/make_layer.h"
#include "quantiser/places.h"
#include "quantiser/requantise.h"

namespace hccs::internal {
namespace {

int64_t epsilon_of(double epsilon, double sum_scale) {
  const double units = std::nearbyint(16 * epsilon / (sum_scale * sum_scale));
  return static_cast<int64_t>(std::clamp(units, 16.0, static_cast<double>(kMaxEpsilon)));
}

IntNorm make_norm(const FloatNorm& norm, int64_t epsilon, const ProductInput& int8, double skip_scale) {
  const size_t n = norm.gamma.size();
  return {.epsilon = epsilon,
          .int8 = make_affine(norm, int8.scales, int8.centres),
          .skip = make_affine(norm, std::vector<double>(n, skip_scale), std::vector<double>(n))};
}

// The smallest shift at which 16 bits on the sum's grid hold the hidden states.
int32_t skip_shift(const ChannelStatistics& states, double sum_scale) {
  int32_t shift = 0;
  while (shift < kMaxSkipShift && states.magnitude() * kSkipHeadroom > std::ldexp(32767 * sum_scale, shift)) ++shift;
  return shift;
}

// Where the last norm's output goes: to the pooler, or nowhere.
ProductInput last_input(const FloatBert& source, const Statistics& statistics) {
  if (source.pooler) return input_of(statistics.first_tokens, *source.pooler);
  const auto n = static_cast<size_t>(source.config.hidden_size);
  const double scale = std::max(1e-6F, statistics.at(Place::kInput, source.config.layers).magnitude()) / 127;
  return {.scales = std::vector<double>(n, scale), .centres = std::vector<double>(n)};
}

}  // namespace

std::shared_ptr<const void> set_embeddings(const FloatBert& source, const Statistics& statistics, IntegerModel* model) {
  const double unit = sum_scale(statistics, Place::kEmbeddingSum, 0);
  const auto hidden = static_cast<size_t>(model->hidden);
  std::vector<double> scales;
  double largest = 0;
  for (int64_t id = 0; id < model->vocabulary; ++id) {
    const float* row = source.words.data() + id * model->hidden;
    float magnitude = 0;
    for (size_t j = 0; j < hidden; ++j) magnitude = std::max(magnitude, std::abs(row[j]));
    scales.push_back(magnitude / 127.0);
    largest = std::max(largest, scales.back() / unit);
  }
  model->word_shift = largest > 0 ? std::clamp(static_cast<int>(std::floor(std::log2(32767 / largest))), 0, 24) : 0;
  auto words = std::make_shared<std::vector<int8_t>>();
  for (size_t id = 0; id < scales.size(); ++id) {
    const double multiplier = std::nearbyint(std::ldexp(scales[id] / unit, model->word_shift));
    model->word_multipliers.push_back(static_cast<int16_t>(std::clamp(multiplier, 0.0, 32767.0)));
    for (size_t j = 0; j < hidden; ++j) {
      const double word = scales[id] > 0 ? source.words[id * hidden + j] / scales[id] : 0;
      words->push_back(static_cast<int8_t>(std::clamp(std::nearbyint(word), -127.0, 127.0)));
    }
  }
  model->words = *words;
  for (const float place : source.positions) {
    const double rounded = std::clamp(std::nearbyint(place / (4 * unit)), -32767.0, 32767.0);
    model->position_rows.push_back(static_cast<int16_t>(rounded));
  }
  return words;
}

void set_norms(const FloatBert& source, const Statistics& statistics, IntegerModel* model) {
  const double epsilon = source.config.layer_norm_epsilon;
  const int64_t layers = source.config.layers;
  // The norm before layer `index`: its outputs go to q, k, v and to the attention's residual.
  const auto make_hidden_norm = [&](const FloatNorm& norm, double sum, int64_t index) {
    const ChannelStatistics& states = statistics.at(Place::kInput, index);
    if (index == layers) {
      const double scale = std::max(1e-6F, states.magnitude()) * kSkipHeadroom / 32767;
      return make_norm(norm, epsilon_of(epsilon, sum), last_input(source, statistics), scale);
    }
    const double next = sum_scale(statistics, Place::kAttentionSum, index);
    IntLayer& layer = model->layers[static_cast<size_t>(index)];
    layer.attention_skip = skip_shift(states, next);
    const FloatLinear& linear = source.layers[static_cast<size_t>(index)].query_key_value;
    return make_norm(norm, epsilon_of(epsilon, sum), input_of(states, linear), std::ldexp(next, layer.attention_skip));
  };
  model->embedding_norm = make_hidden_norm(source.embedding_norm, sum_scale(statistics, Place::kEmbeddingSum, 0), 0);
  for (int64_t l = 0; l < layers; ++l) {
    const FloatLayer& from = source.layers[static_cast<size_t>(l)];
    IntLayer& layer = model->layers[static_cast<size_t>(l)];
    const ChannelStatistics& states = statistics.at(Place::kAttention, l);
    const double sum = sum_scale(statistics, Place::kAttentionSum, l);
    const double next = sum_scale(statistics, Place::kOutputSum, l);
    layer.output_skip = skip_shift(states, next);
    layer.attention_norm = make_norm(from.attention_norm, epsilon_of(epsilon, sum), input_of(states, from.intermediate),
                                     std::ldexp(next, layer.output_skip));
    layer.output_norm = make_hidden_norm(from.output_norm, next, l + 1);
  }
}

Storage set_classifier(const FloatBert& source, const Statistics& statistics, const ProductErrors* errors, int threads,
                       const std::vector<std::string>& labels, IntegerModel* model) {
  IntClassifier& head = model->classifier.emplace();
  head.labels = labels;
  const ProductInput input = input_of(statistics.first_tokens, *source.pooler);
  Product pooler = make_product(*source.pooler, input, errors, threads);
  finish_int16(&pooler, 1.0 / kTanhSteps);
  const auto n = static_cast<size_t>(model->hidden);
  const ProductInput pooled{.scales = std::vector<double>(n, 1.0 / 127), .centres = std::vector<double>(n)};
  Product logits = make_product(*source.classifier, pooled, nullptr, threads);
  finish_logits(&logits, std::ldexp(1.0, -kLogitFraction));
  head.pooler = std::move(pooler.linear);
  head.logits = std::move(logits.linear);
  return {pooler.storage, logits.storage};
}

}  // namespace hccs::internal
