// SPDX-License-Identifier: Apache-2.0
#include "training/weights.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "hccs/file.h"
#include "hccs/safetensors.h"
#include "training/random.h"

namespace hccs::training {
namespace {

constexpr double kInitialDeviation = 0.02;
constexpr std::string_view kPrefix = "bert.";

bool is_head(const Tensor& tensor) { return tensor.name.starts_with("classifier."); }
bool is_bias(const Tensor& tensor) { return tensor.name.ends_with(".bias"); }
bool is_norm(const Tensor& tensor) { return tensor.name.find("LayerNorm") != std::string::npos; }

// Normal by Box and Muller, from two numbers that depend on the place alone.
double normal(uint64_t seed, uint64_t i) {
  const double u = (static_cast<double>(mix(seed, 2 * i) >> 11) + 0.5) * 0x1p-53;
  const double v = static_cast<double>(mix(seed, 2 * i + 1) >> 11) * 0x1p-53;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

void initialise(Tensor& tensor, uint64_t seed) {
  if (is_norm(tensor) || is_bias(tensor)) {
    std::fill(tensor.values.begin(), tensor.values.end(), is_norm(tensor) && !is_bias(tensor) ? 1.0F : 0.0F);
    return;
  }
  uint64_t tensor_seed = seed;
  for (const char c : tensor.name) tensor_seed = mix(tensor_seed, static_cast<uint8_t>(c));
  for (size_t i = 0; i < tensor.values.size(); ++i) {
    tensor.values[i] = static_cast<float>(kInitialDeviation * std::clamp(normal(tensor_seed, i), -2.0, 2.0));
  }
}

}  // namespace

const Tensor& Weights::at(std::string_view name) const {
  return *std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
}

void Weights::remove_classifier() { std::erase_if(tensors, is_head); }

int64_t Weights::parameters() const {
  int64_t count = 0;
  for (const Tensor& tensor : tensors) count += std::ssize(tensor.values);
  return count;
}

Weights empty_weights(const BertConfig& config, std::span<const std::string> labels) {
  Weights weights{config, {labels.begin(), labels.end()}, {}};
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t size = 1;
    for (const int64_t s : shape) size *= s;
    weights.tensors.push_back({name, std::move(shape), std::vector<float>(static_cast<size_t>(size))});
  };
  const auto add_linear = [&](const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  const int64_t hidden = config.hidden_size;
  const auto add_norm = [&](const std::string& name) {
    add(name + ".weight", {hidden});
    add(name + ".bias", {hidden});
  };
  add("bert.embeddings.word_embeddings.weight", {config.vocabulary_size, hidden});
  add("bert.embeddings.position_embeddings.weight", {config.max_positions, hidden});
  add("bert.embeddings.token_type_embeddings.weight", {config.type_vocabulary_size, hidden});
  add_norm("bert.embeddings.LayerNorm");
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string layer = fmt::format("bert.encoder.layer.{}.", l);
    for (const char* part : {"query", "key", "value"}) add_linear(layer + "attention.self." + part, hidden, hidden);
    add_linear(layer + "attention.output.dense", hidden, hidden);
    add_norm(layer + "attention.output.LayerNorm");
    add_linear(layer + "intermediate.dense", config.intermediate_size, hidden);
    add_linear(layer + "output.dense", hidden, config.intermediate_size);
    add_norm(layer + "output.LayerNorm");
  }
  add_linear("bert.pooler.dense", hidden, hidden);
  add_linear("classifier", std::ssize(labels), hidden);
  return weights;
}

Weights random_weights(const BertConfig& config, std::span<const std::string> labels, uint64_t seed) {
  Weights weights = empty_weights(config, labels);
  for (Tensor& tensor : weights.tensors) initialise(tensor, seed);
  return weights;
}

Expected<Weights> read_weights(const ModelFolder& folder, std::span<const std::string> labels,
                               std::optional<int64_t> take_layers, uint64_t seed) {
  BertConfig config = folder.config;
  if (take_layers) {
    if (*take_layers < 1 || *take_layers > config.layers) {
      return Status(StatusCode::kMismatch, fmt::format("{}: the first {} layers, but the model has {}",
                                                       folder.weights.path().string(), *take_layers, config.layers));
    }
    config.layers = *take_layers;
  }
  Weights weights = empty_weights(config, labels);
  const auto& found = folder.weights.tensors();
  const bool same_labels = std::equal(labels.begin(), labels.end(), folder.labels.begin(), folder.labels.end());
  for (Tensor& tensor : weights.tensors) {
    std::string name = tensor.name;
    if (name.starts_with(kPrefix)) name = folder.tensor_name(name.substr(kPrefix.size()));
    const bool optional = is_head(tensor) || tensor.name.find("pooler") != std::string::npos;
    if (optional && (!found.contains(name) || (is_head(tensor) && !same_labels))) {
      initialise(tensor, seed);
      continue;
    }
    HCCS_ASSIGN_OR_RETURN(tensor.values, folder.weights.read_float(name, tensor.shape));
  }
  return weights;
}

bool is_int8_matrix(const Tensor& tensor) { return tensor.shape.size() == 2; }

void round_rows_to_int8_grid(int64_t columns, std::span<const float> weights, float* out) {
  for (size_t begin = 0; begin < weights.size(); begin += columns) {
    const std::span<const float> row = weights.subspan(begin, columns);
    float largest = 0;
    for (const float w : row) largest = std::max(largest, std::abs(w));
    const float scale = largest / 127.0F;
    const float inverse = largest > 0 ? 127.0F / largest : 0.0F;
    for (size_t i = 0; i < row.size(); ++i) out[begin + i] = scale * std::nearbyint(row[i] * inverse);
  }
}

Status write_weights(const std::filesystem::path& path, const Weights& weights, bool int8) {
  std::vector<std::vector<float>> rounded;
  rounded.reserve(weights.tensors.size());
  std::vector<TensorToWrite> tensors;
  for (const Tensor& tensor : weights.tensors) {
    const std::vector<float>* values = &tensor.values;
    if (int8 && is_int8_matrix(tensor)) {
      rounded.emplace_back(values->size());
      round_rows_to_int8_grid(tensor.shape[1], *values, rounded.back().data());
      values = &rounded.back();
    }
    tensors.push_back({tensor.name, "F32", tensor.shape, std::as_bytes(std::span(*values))});
  }
  return write_safetensors(path, tensors, {{"format", "pt"}});
}

namespace {

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string config_json(const Weights& weights, const std::string& model_name) {
  constexpr const char* kClassifier = "BertForSequenceClassification";
  const BertConfig& config = weights.config;
  nlohmann::ordered_json json = {{"_name_or_path", model_name},
                                 {"architectures", {weights.labels.empty() ? "BertModel" : kClassifier}},
                                 {"model_type", "bert"},
                                 {"vocab_size", config.vocabulary_size},
                                 {"hidden_size", config.hidden_size},
                                 {"num_hidden_layers", config.layers},
                                 {"num_attention_heads", config.heads},
                                 {"intermediate_size", config.intermediate_size},
                                 {"max_position_embeddings", config.max_positions},
                                 {"type_vocab_size", config.type_vocabulary_size},
                                 {"layer_norm_eps", config.layer_norm_epsilon},
                                 {"hidden_act", "gelu"},
                                 {"position_embedding_type", "absolute"},
                                 {"torch_dtype", "float32"}};
  for (size_t i = 0; i < weights.labels.size(); ++i) {
    json["id2label"][std::to_string(i)] = weights.labels[i];
    json["label2id"][weights.labels[i]] = i;
  }
  return dump(json);
}

}  // namespace

Status write_model_files(const std::filesystem::path& folder, const Weights& weights, const std::string& model_name,
                         std::span<const ModelFile> files, int64_t max_length) {
  constexpr std::string_view kTokenizerConfig = "tokenizer_config.json";
  nlohmann::ordered_json tokenizer = {{"tokenizer_class", "BertTokenizer"}};
  const bool described =
      std::any_of(files.begin(), files.end(), [](const ModelFile& f) { return f.name == "tokenizer.json"; });
  if (!described) tokenizer["do_lower_case"] = true;  // as without a tokenizer_config.json
  for (const ModelFile& file : files) {
    HCCS_ASSIGN_OR_RETURN(std::string content, read_file(file.path));
    if (file.name == kTokenizerConfig) {
      tokenizer = nlohmann::ordered_json::parse(content);
      continue;
    }
    if (file.name == "modules.json") {
      nlohmann::ordered_json modules = nlohmann::ordered_json::parse(content);
      modules[0]["path"] = "";
      content = dump(modules);
    }
    const std::filesystem::path target = folder / file.name;
    std::error_code error;
    std::filesystem::create_directories(target.parent_path(), error);
    HCCS_RETURN_IF_ERROR(write_file_atomically(target, {content}));
  }
  tokenizer["model_max_length"] = max_length;
  HCCS_RETURN_IF_ERROR(write_file_atomically(folder / kTokenizerConfig, {dump(tokenizer)}));
  return write_file_atomically(folder / "config.json", {config_json(weights, model_name)});
}

}  // namespace hccs::training
