// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "encoder/bert_model.h"

namespace hccs {

using internal::Linear;
using internal::LinearOutput;

Expected<BertEncoder::Model> BertEncoder::Model::load(const ModelFolder& folder) {
  Model model;
  model.config = folder.config;
  const int64_t hidden = folder.config.hidden_size;
  const int64_t inner = folder.config.intermediate_size;
  const auto read = [&](const std::string& tensor, std::initializer_list<int64_t> shape) {
    return folder.weights.read_float(folder.tensor_name(tensor), std::span(shape.begin(), shape.size()));
  };
  const auto read_norm = [&](const std::string& tensor) -> Expected<internal::LayerNorm> {
    internal::LayerNorm norm;
    HCCS_ASSIGN_OR_RETURN(norm.scale, read(tensor + ".weight", {hidden}));
    HCCS_ASSIGN_OR_RETURN(norm.shift, read(tensor + ".bias", {hidden}));
    norm.epsilon = static_cast<float>(folder.config.layer_norm_epsilon);
    return norm;
  };
  const auto read_linear = [&](const std::string& tensor, int64_t in, int64_t out,
                               LinearOutput output) -> Expected<Linear> {
    HCCS_ASSIGN_OR_RETURN(const std::vector<float> weights, read(tensor + ".weight", {out, in}));
    HCCS_ASSIGN_OR_RETURN(const std::vector<float> bias, read(tensor + ".bias", {out}));
    return Linear(model.engine, in, out, weights, bias, output);
  };
  const auto read_query_key_value = [&](const std::string& tensor) -> Expected<Linear> {
    std::vector<float> weights;
    std::vector<float> bias;
    for (const char* part : {".query", ".key", ".value"}) {
      HCCS_ASSIGN_OR_RETURN(const std::vector<float> w, read(tensor + part + ".weight", {hidden, hidden}));
      HCCS_ASSIGN_OR_RETURN(const std::vector<float> b, read(tensor + part + ".bias", {hidden}));
      weights.insert(weights.end(), w.begin(), w.end());
      bias.insert(bias.end(), b.begin(), b.end());
    }
    return Linear(model.engine, hidden, 3 * hidden, weights, bias, LinearOutput::kStore);
  };

  HCCS_ASSIGN_OR_RETURN(model.word_embeddings,
                        read("embeddings.word_embeddings.weight", {folder.config.vocabulary_size, hidden}));
  HCCS_ASSIGN_OR_RETURN(model.position_embeddings,
                        read("embeddings.position_embeddings.weight", {folder.config.max_positions, hidden}));
  HCCS_ASSIGN_OR_RETURN(const std::vector<float> types,
                        read("embeddings.token_type_embeddings.weight", {folder.config.type_vocabulary_size, hidden}));
  const size_t one_type = model.position_embeddings.size();
  if (folder.config.type_vocabulary_size > 1) {
    model.position_embeddings.resize(2 * one_type);
    std::copy_n(model.position_embeddings.begin(), one_type, model.position_embeddings.begin() + one_type);
  }
  for (size_t i = 0; i < model.position_embeddings.size(); ++i) {
    model.position_embeddings[i] += types[i / one_type * hidden + i % hidden];
  }
  HCCS_ASSIGN_OR_RETURN(model.embedding_norm, read_norm("embeddings.LayerNorm"));
  for (int64_t l = 0; l < folder.config.layers; ++l) {
    const std::string name = fmt::format("encoder.layer.{}.", l);
    HCCS_ASSIGN_OR_RETURN(Linear query_key_value, read_query_key_value(name + "attention.self"));
    HCCS_ASSIGN_OR_RETURN(Linear attention_output,
                          read_linear(name + "attention.output.dense", hidden, hidden, LinearOutput::kAdd));
    HCCS_ASSIGN_OR_RETURN(internal::LayerNorm attention_norm, read_norm(name + "attention.output.LayerNorm"));
    HCCS_ASSIGN_OR_RETURN(Linear intermediate,
                          read_linear(name + "intermediate.dense", hidden, inner, LinearOutput::kGelu));
    HCCS_ASSIGN_OR_RETURN(Linear output, read_linear(name + "output.dense", inner, hidden, LinearOutput::kAdd));
    HCCS_ASSIGN_OR_RETURN(internal::LayerNorm output_norm, read_norm(name + "output.LayerNorm"));
    model.layers.push_back({std::move(query_key_value), std::move(attention_output), std::move(attention_norm),
                            std::move(intermediate), std::move(output), std::move(output_norm)});
  }
  model.scales = folder.activation_scales;

  model.sentence = folder.sentence;
  HCCS_RETURN_IF_ERROR(model.load_head(folder));
  if (model.sentence.embeds.ok()) model.sentence.embeds = model.load_dense();
  return model;
}

// The classifier of texts, where the folder has one. Its tensors keep the names of BertForSequenceClassification.
Status BertEncoder::Model::load_head(const ModelFolder& folder) {
  no_classifier = folder.classifier;
  if (!no_classifier.ok()) return {};
  const int64_t hidden = config.hidden_size;
  const auto classes = std::ssize(folder.labels);
  pooler.in = classifier.in = hidden;
  HCCS_ASSIGN_OR_RETURN(
      pooler.weights, folder.weights.read_float(folder.tensor_name("pooler.dense.weight"), std::array{hidden, hidden}));
  HCCS_ASSIGN_OR_RETURN(pooler.bias,
                        folder.weights.read_float(folder.tensor_name("pooler.dense.bias"), std::array{hidden}));
  HCCS_ASSIGN_OR_RETURN(classifier.weights,
                        folder.weights.read_float("classifier.weight", std::array{classes, hidden}));
  HCCS_ASSIGN_OR_RETURN(classifier.bias, folder.weights.read_float("classifier.bias", std::array{classes}));
  return {};
}

Status BertEncoder::Model::load_dense() {
  for (const SentenceModule& module : sentence.modules) {
    if (module.kind != SentenceModule::kDense) continue;
    HCCS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::open(module.weights));
    internal::SmallLinear layer{.in = module.inputs, .weights = {}, .bias = {}};
    HCCS_ASSIGN_OR_RETURN(layer.weights, file.read_float("linear.weight", std::array{module.outputs, module.inputs}));
    layer.bias.assign(static_cast<size_t>(module.outputs), 0.0F);
    if (module.bias) {
      HCCS_ASSIGN_OR_RETURN(layer.bias, file.read_float("linear.bias", std::array{module.outputs}));
    }
    dense.push_back(std::move(layer));
  }
  return {};
}

}  // namespace hccs
