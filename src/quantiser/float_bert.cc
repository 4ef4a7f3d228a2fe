// SPDX-License-Identifier: Apache-2.0
#include "quantiser/float_bert.h"

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <dnnl.hpp>
#include <numbers>
#include <string>

#include "encoder/single_threaded.h"
#include "quantiser/products.h"

namespace hccs::internal {

void apply(const FloatLinear& linear, std::span<const float> x, std::vector<float>* out) {
  const int64_t rows = std::ssize(x) / linear.in;
  out->resize(static_cast<size_t>(rows * linear.out));
  multiply_transposed(rows, linear.out, linear.in, x.data(), linear.in, linear.weights.data(), linear.in, out->data(),
                      linear.out);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < linear.out; ++j) (*out)[r * linear.out + j] += linear.bias[j];
  }
}

void normalise(const FloatNorm& norm, double epsilon, std::span<float> x) {
  const size_t width = norm.gamma.size();
  for (auto row = x.begin(); row != x.end(); row += static_cast<int64_t>(width)) {
    double sum = 0;
    for (size_t i = 0; i < width; ++i) sum += row[i];
    const double mean = sum / static_cast<double>(width);
    double squares = 0;
    for (size_t i = 0; i < width; ++i) squares += (row[i] - mean) * (row[i] - mean);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(width) + epsilon);
    for (size_t i = 0; i < width; ++i) {
      row[i] = static_cast<float>((row[i] - mean) * inverse * norm.gamma[i] + norm.beta[i]);
    }
  }
}

namespace {

void softmax(std::span<float> row) {
  const float maximum = *std::max_element(row.begin(), row.end());
  float sum = 0;
  for (float& x : row) sum += x = std::exp(x - maximum);
  for (float& x : row) x /= sum;
}

// The probabilities that the head gives for these logits.
void normalise_scores(const HeadEntry& head, std::span<float> row) {
  const float maximum = *std::max_element(row.begin(), row.end());
  float sum = 0;
  for (float& x : row) {
    const double distance = std::min(127.0, std::nearbyint((maximum - x) / head.step));
    sum += x = static_cast<float>(head.params.score(static_cast<int64_t>(distance)));
  }
  for (float& x : row) x /= sum;
}

}  // namespace

std::vector<float> attend(const FloatBert& model, int64_t layer, std::span<const Encoding> texts,
                          std::span<const float> qkv) {
  const BertConfig& config = model.config;
  const int64_t hidden = config.hidden_size;
  const int64_t dimension = config.head_dimension();
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dimension)));
  std::vector<float> context(qkv.size() / 3);
  std::vector<float> logits;
  int64_t row = 0;
  for (const Encoding& text : texts) {
    const auto n = std::ssize(text.ids);
    logits.resize(static_cast<size_t>(n * n));
    for (int64_t head = 0; head < config.heads; ++head) {
      const float* q = qkv.data() + row * 3 * hidden + head * dimension;
      multiply_transposed(n, n, dimension, q, 3 * hidden, q + hidden, 3 * hidden, logits.data(), n);
      for (float& x : logits) x *= scale;
      for (int64_t t = 0; t < n; ++t) {
        const auto logits_of_query = std::span(logits).subspan(t * n, n);
        if (model.trained_heads.empty()) {
          softmax(logits_of_query);
        } else {
          normalise_scores(model.trained_heads[static_cast<size_t>(layer * config.heads + head)], logits_of_query);
        }
      }
      multiply(n, dimension, n, logits.data(), n, q + 2 * hidden, 3 * hidden,
               context.data() + row * hidden + head * dimension, hidden);
    }
    row += n;
  }
  return context;
}

void activate(std::span<float> x) {
  for (float& v : x) v = 0.5F * v * (1 + std::erf(v * (std::numbers::sqrt2_v<float> / 2)));
}

void add(std::span<const float> x, std::span<float> to) {
  std::transform(x.begin(), x.end(), to.begin(), to.begin(), std::plus<>());
}

std::vector<float> embedding_sums(const FloatBert& model, std::span<const Encoding> texts) {
  const int64_t hidden = model.config.hidden_size;
  std::vector<float> sums;
  for (const Encoding& text : texts) {
    for (int64_t p = 0; p < std::ssize(text.ids); ++p) {
      const int64_t type = model.types > 1 && p >= text.second_begin.value_or(std::ssize(text.ids)) ? 1 : 0;
      const float* word = model.words.data() + text.ids[p] * hidden;
      const float* place = model.positions.data() + (type * model.config.max_positions + p) * hidden;
      for (int64_t j = 0; j < hidden; ++j) sums.push_back(word[j] + place[j]);
    }
  }
  return sums;
}

void FloatBert::run(std::span<const Encoding> texts, const PlaceSink& sink) const {
  const SingleThreaded single_threaded;
  const int64_t hidden = config.hidden_size;
  std::vector<float> x = embedding_sums(*this, texts);
  sink(Place::kEmbeddingSum, 0, x, hidden);
  normalise(embedding_norm, config.layer_norm_epsilon, x);
  std::vector<float> wide;
  std::vector<float> product;
  for (int64_t l = 0; l < std::ssize(layers); ++l) {
    const FloatLayer& layer = layers[static_cast<size_t>(l)];
    sink(Place::kInput, l, x, hidden);
    apply(layer.query_key_value, x, &wide);
    sink(Place::kQueryKeyValue, l, wide, 3 * hidden);
    const std::vector<float> context = attend(*this, l, texts, wide);
    sink(Place::kContext, l, context, hidden);
    apply(layer.attention_output, context, &product);
    sink(Place::kAttentionProduct, l, product, hidden);
    add(product, x);
    sink(Place::kAttentionSum, l, x, hidden);
    normalise(layer.attention_norm, config.layer_norm_epsilon, x);
    sink(Place::kAttention, l, x, hidden);
    apply(layer.intermediate, x, &wide);
    sink(Place::kInner, l, wide, config.intermediate_size);
    activate(wide);
    sink(Place::kActivated, l, wide, config.intermediate_size);
    apply(layer.output, wide, &product);
    sink(Place::kOutputProduct, l, product, hidden);
    add(product, x);
    sink(Place::kOutputSum, l, x, hidden);
    normalise(layer.output_norm, config.layer_norm_epsilon, x);
  }
  sink(Place::kInput, std::ssize(layers), x, hidden);
}

namespace {

// Reads tensors by the names of Hugging Face's BertModel.
class WeightReader {
 public:
  explicit WeightReader(const ModelFolder& folder) : folder_(folder) {}

  Expected<std::vector<float>> read(const std::string& name, std::vector<int64_t> shape) const {
    return folder_.weights.read_float(folder_.tensor_name(name), shape);
  }
  Expected<FloatNorm> norm(const std::string& name) const {
    FloatNorm norm;
    HCCS_ASSIGN_OR_RETURN(norm.gamma, read(name + ".weight", {folder_.config.hidden_size}));
    HCCS_ASSIGN_OR_RETURN(norm.beta, read(name + ".bias", {folder_.config.hidden_size}));
    return norm;
  }
  // One layer after another, as one.
  Expected<FloatLinear> linear(const std::vector<std::string>& names, int64_t in, int64_t out) const {
    FloatLinear linear{.in = in, .out = out * std::ssize(names)};
    for (const std::string& name : names) {
      HCCS_ASSIGN_OR_RETURN(const std::vector<float> weights, read(name + ".weight", {out, in}));
      HCCS_ASSIGN_OR_RETURN(const std::vector<float> bias, read(name + ".bias", {out}));
      linear.weights.insert(linear.weights.end(), weights.begin(), weights.end());
      linear.bias.insert(linear.bias.end(), bias.begin(), bias.end());
    }
    return linear;
  }

 private:
  const ModelFolder& folder_;
};

Expected<FloatLayer> load_layer(const WeightReader& reader, const BertConfig& config, int64_t index) {
  const std::string name = fmt::format("encoder.layer.{}.", index);
  const std::string self = name + "attention.self.";
  const int64_t hidden = config.hidden_size;
  FloatLayer layer;
  HCCS_ASSIGN_OR_RETURN(layer.query_key_value,
                        reader.linear({self + "query", self + "key", self + "value"}, hidden, hidden));
  HCCS_ASSIGN_OR_RETURN(layer.attention_output, reader.linear({name + "attention.output.dense"}, hidden, hidden));
  HCCS_ASSIGN_OR_RETURN(layer.attention_norm, reader.norm(name + "attention.output.LayerNorm"));
  HCCS_ASSIGN_OR_RETURN(layer.intermediate,
                        reader.linear({name + "intermediate.dense"}, hidden, config.intermediate_size));
  HCCS_ASSIGN_OR_RETURN(layer.output, reader.linear({name + "output.dense"}, config.intermediate_size, hidden));
  HCCS_ASSIGN_OR_RETURN(layer.output_norm, reader.norm(name + "output.LayerNorm"));
  return layer;
}

}  // namespace

Expected<FloatBert> FloatBert::load(const ModelFolder& folder) {
  FloatBert model{.config = folder.config};
  const BertConfig& config = folder.config;
  const int64_t hidden = config.hidden_size;
  const WeightReader reader(folder);
  HCCS_ASSIGN_OR_RETURN(model.words,
                        reader.read("embeddings.word_embeddings.weight", {config.vocabulary_size, hidden}));
  HCCS_ASSIGN_OR_RETURN(const std::vector<float> positions,
                        reader.read("embeddings.position_embeddings.weight", {config.max_positions, hidden}));
  HCCS_ASSIGN_OR_RETURN(const std::vector<float> types,
                        reader.read("embeddings.token_type_embeddings.weight", {config.type_vocabulary_size, hidden}));
  model.types = std::min<int64_t>(config.type_vocabulary_size, 2);
  for (int64_t type = 0; type < model.types; ++type) {
    for (size_t i = 0; i < positions.size(); ++i) {
      model.positions.push_back(positions[i] + types[static_cast<size_t>(type * hidden) + i % hidden]);
    }
  }
  HCCS_ASSIGN_OR_RETURN(model.embedding_norm, reader.norm("embeddings.LayerNorm"));
  for (int64_t l = 0; l < config.layers; ++l) {
    HCCS_ASSIGN_OR_RETURN(FloatLayer layer, load_layer(reader, config, l));
    model.layers.push_back(std::move(layer));
  }
  if (!folder.classifier.ok()) return model;
  HCCS_ASSIGN_OR_RETURN(model.pooler, reader.linear({"pooler.dense"}, hidden, hidden));
  const auto labels = std::ssize(folder.labels);
  FloatLinear& classifier = model.classifier.emplace(FloatLinear{.in = hidden, .out = labels});
  HCCS_ASSIGN_OR_RETURN(classifier.weights, folder.weights.read_float("classifier.weight", std::array{labels, hidden}));
  HCCS_ASSIGN_OR_RETURN(classifier.bias, folder.weights.read_float("classifier.bias", std::array{labels}));
  return model;
}

}  // namespace hccs::internal
