// SPDX-License-Identifier: Apache-2.0
#include "hccs/model_folder.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <system_error>
#include <vector>

#include "contract/exceptions.h"
#include "formats/json.h"
#include "hccs/file.h"
#include "hccs/params.h"

namespace hccs {
namespace {

using internal::in_quotes;
using internal::Json;
using internal::JsonFields;
using internal::parse_json;
using internal::shown;

namespace fs = std::filesystem;

constexpr int64_t kMaxSize = int64_t{1} << 20;  // far above any published model; keeps every product within int64
constexpr int64_t kMaxLayers = 1000;

Status unsupported(const fs::path& path, std::string_view what) {
  return {StatusCode::kUnsupported, fmt::format("{}: {}", path.string(), what)};
}

Status mismatch(const fs::path& path, std::string_view what) {
  return {StatusCode::kMismatch, fmt::format("{}: {}", path.string(), what)};
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Expected<Json> read_json(const fs::path& path) {
  HCCS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse_json(text, path.string());
}

Expected<bool> boolean_or(const JsonFields& fields, std::string_view key, bool fallback) {
  return fields.has(key) ? fields.boolean(key) : fallback;
}

// Refuses by name what the encoder would compute wrongly.
Status check_architecture(const Json& json, const JsonFields& fields, const fs::path& path) {
  const bool has_type = fields.has("model_type");
  if (has_type) {
    HCCS_ASSIGN_OR_RETURN(const std::string type, fields.string("model_type"));
    if (type != "bert") return unsupported(path, fmt::format("model_type {}, but only \"bert\" is", in_quotes(type)));
  }
  if (fields.has("architectures")) {
    HCCS_ASSIGN_OR_RETURN(const Json* architectures, fields.array("architectures"));
    const bool bert = std::any_of(architectures->begin(), architectures->end(), [](const Json& a) {
      return a.is_string() && a.get_ref<const std::string&>().starts_with("Bert");
    });
    if (!bert) return unsupported(path, fmt::format("architectures {}, but only Bert* is", shown(*architectures)));
  } else if (!has_type) {
    return Status(StatusCode::kBadData,
                  fmt::format("{}: neither model_type nor architectures says what the model is; if it is BERT, add "
                              "\"model_type\": \"bert\"",
                              path.string()));
  }
  for (const auto& [key, only] : {std::pair{"hidden_act", "gelu"}, std::pair{"position_embedding_type", "absolute"}}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const std::string value, fields.string(key));
    if (value != only) return unsupported(path, fmt::format("{} {}, but only \"{}\" is", key, in_quotes(value), only));
  }
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    HCCS_ASSIGN_OR_RETURN(const bool value, boolean_or(fields, key, false));
    if (value) return unsupported(path, fmt::format("{} true, but only encoders are", key));
  }
  if (fields.has("pruned_heads") && !json["pruned_heads"].empty()) {
    return unsupported(path, fmt::format("pruned_heads {}, but only whole layers are", shown(json["pruned_heads"])));
  }
  return {};
}

// ---- Weights against the configuration --------------------------------------------------------

std::string name_in_file(const Safetensors& weights, std::string_view prefix, std::string_view name) {
  std::string full = fmt::format("{}{}", prefix, name);
  if (weights.tensors().contains(full)) return full;
  for (const auto& [now, before] : {std::pair{".weight", ".gamma"}, std::pair{".bias", ".beta"}}) {
    const std::string ending = std::string("LayerNorm") + now;
    if (!full.ends_with(ending)) continue;
    std::string old = full.substr(0, full.size() - std::string_view(now).size()) + before;
    if (weights.tensors().contains(old)) return old;
  }
  return full;
}

class WeightChecker {
 public:
  WeightChecker(const Safetensors& weights, std::string_view prefix) : weights_(weights), prefix_(prefix) {}

  Status check(const BertConfig& config) const {
    const int64_t hidden = config.hidden_size;
    HCCS_RETURN_IF_ERROR(tensor("embeddings.word_embeddings.weight", {config.vocabulary_size, hidden}));
    HCCS_RETURN_IF_ERROR(tensor("embeddings.position_embeddings.weight", {config.max_positions, hidden}));
    HCCS_RETURN_IF_ERROR(tensor("embeddings.token_type_embeddings.weight", {config.type_vocabulary_size, hidden}));
    HCCS_RETURN_IF_ERROR(layer_norm("embeddings.LayerNorm", hidden));
    for (int64_t i = 0; i < config.layers; ++i) {
      const std::string layer = fmt::format("encoder.layer.{}.", i);
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.self.query", hidden, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.self.key", hidden, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.self.value", hidden, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.output.dense", hidden, hidden));
      HCCS_RETURN_IF_ERROR(layer_norm(layer + "attention.output.LayerNorm", hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "intermediate.dense", config.intermediate_size, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "output.dense", hidden, config.intermediate_size));
      HCCS_RETURN_IF_ERROR(layer_norm(layer + "output.LayerNorm", hidden));
    }
    return no_further_layer(config.layers);
  }

 private:
  Status dense(const std::string& name, int64_t outputs, int64_t inputs) const {
    HCCS_RETURN_IF_ERROR(tensor(name + ".weight", {outputs, inputs}));
    return tensor(name + ".bias", {outputs});
  }

  Status layer_norm(const std::string& name, int64_t size) const {
    HCCS_RETURN_IF_ERROR(tensor(name + ".weight", {size}));
    return tensor(name + ".bias", {size});
  }

  Status tensor(const std::string& name, std::initializer_list<int64_t> shape) const {
    const std::string full = name_in_file(weights_, prefix_, name);
    const auto it = weights_.tensors().find(full);
    if (it == weights_.tensors().end()) {
      return mismatch(weights_.path(), fmt::format("tensor \"{}\" is missing; the configuration wants it of shape [{}]",
                                                   full, fmt::join(shape, ", ")));
    }
    const std::vector<int64_t>& found = it->second.shape;
    if (!std::equal(found.begin(), found.end(), shape.begin(), shape.end())) {
      return mismatch(weights_.path(), fmt::format("tensor \"{}\" has shape [{}], but the configuration wants [{}]",
                                                   full, fmt::join(found, ", "), fmt::join(shape, ", ")));
    }
    return {};
  }

  // A configuration with too few layers would run, and be wrong.
  Status no_further_layer(int64_t layers) const {
    const std::string stem = prefix_ + "encoder.layer.";
    for (auto it = weights_.tensors().lower_bound(stem); it != weights_.tensors().end() && it->first.starts_with(stem);
         ++it) {
      int64_t layer = 0;
      const char* const digits = it->first.data() + stem.size();
      const auto parsed = std::from_chars(digits, it->first.data() + it->first.size(), layer);
      if (parsed.ec == std::errc() && layer >= layers) {
        return mismatch(weights_.path(),
                        fmt::format("tensor {} belongs to layer {}, but the configuration has {} layers",
                                    in_quotes(it->first), layer, layers));
      }
    }
    return {};
  }

  const Safetensors& weights_;
  std::string prefix_;
};

Expected<Safetensors> open_weights(const fs::path& folder) {
  const fs::path path = folder / "model.safetensors";
  if (!is_there(path)) {
    for (const char* other : {"model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
      if (is_there(folder / other)) {
        return unsupported(folder, fmt::format("{} without model.safetensors: convert it with transformers' "
                                               "BertModel.from_pretrained(folder).save_pretrained(folder, "
                                               "safe_serialization=True, max_shard_size=\"100GB\")",
                                               other));
      }
    }
  }
  return Safetensors::open(path);
}

Expected<std::string> find_prefix(const Safetensors& weights) {
  constexpr std::string_view kFirst = "embeddings.word_embeddings.weight";
  for (const char* prefix : {"", "bert."}) {
    if (weights.tensors().contains(fmt::format("{}{}", prefix, kFirst))) return std::string(prefix);
  }
  return mismatch(weights.path(), fmt::format("neither tensor \"{}\" nor \"bert.{}\" exists", kFirst, kFirst));
}

// ---- What the folder says about sentence embeddings and the tokeniser --------------------------

// sentence-transformers lists what follows the encoder.
Status check_modules(const fs::path& path) {
  if (!is_there(path)) return {};
  HCCS_ASSIGN_OR_RETURN(const Json modules, read_json(path));
  if (!modules.is_array()) {
    return {StatusCode::kBadData, fmt::format("{}: {}, but it is an array", path.string(), shown(modules))};
  }
  for (const Json& module : modules) {
    HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(module, path.string()));
    HCCS_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
    const std::string_view kind = std::string_view(type).substr(type.rfind('.') + 1);
    if (kind != "Transformer" && kind != "Pooling" && kind != "Normalize") {
      return unsupported(path,
                         fmt::format("module {}, but only Transformer, Pooling and Normalize are", in_quotes(type)));
    }
  }
  return {};
}

Status check_pooling(const fs::path& path, int64_t hidden_size) {
  if (!is_there(path)) return {};
  HCCS_ASSIGN_OR_RETURN(const Json json, read_json(path));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, path.string()));
  constexpr std::string_view kMean = "pooling_mode_mean_tokens";
  for (const auto& [key, value] : json.items()) {
    if (!key.starts_with("pooling_mode_") || key == kMean) continue;
    HCCS_ASSIGN_OR_RETURN(const bool asked, boolean_or(fields, key, false));
    if (asked) return unsupported(path, fmt::format("{} true, but only {} is", key, kMean));
  }
  HCCS_ASSIGN_OR_RETURN(const bool mean, boolean_or(fields, kMean, false));
  if (!mean) return unsupported(path, fmt::format("{} is not true, but no other pooling is", kMean));
  if (fields.has("word_embedding_dimension")) {
    HCCS_ASSIGN_OR_RETURN(const int64_t dimension, fields.integer("word_embedding_dimension", 1, kMaxSize));
    if (dimension != hidden_size) {
      return mismatch(path, fmt::format("word_embedding_dimension {}, but hidden_size is {}", dimension, hidden_size));
    }
  }
  return {};
}

struct TokenizerConfig {
  TokenizerOptions options;
  int64_t max_length = 0;
};

Expected<TokenizerConfig> read_tokenizer_config(const fs::path& path, int64_t positions) {
  TokenizerConfig config{.options = {}, .max_length = positions};
  TokenizerOptions& options = config.options;
  if (!is_there(path)) return config;
  HCCS_ASSIGN_OR_RETURN(const Json json, read_json(path));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, path.string()));
  if (fields.has("tokenizer_class")) {
    HCCS_ASSIGN_OR_RETURN(const std::string kind, fields.string("tokenizer_class"));
    if (kind != "BertTokenizer" && kind != "BertTokenizerFast") {
      return unsupported(
          path,
          fmt::format("tokenizer_class {}, but only \"BertTokenizer\" and \"BertTokenizerFast\" are", in_quotes(kind)));
    }
  }
  HCCS_ASSIGN_OR_RETURN(options.lower_case, boolean_or(fields, "do_lower_case", true));
  HCCS_ASSIGN_OR_RETURN(const bool strip_accents, boolean_or(fields, "strip_accents", options.lower_case));
  if (strip_accents != options.lower_case) {
    return unsupported(path, fmt::format("strip_accents {} with do_lower_case {}, but only equal values are",
                                         strip_accents, options.lower_case));
  }
  HCCS_ASSIGN_OR_RETURN(const bool chinese, boolean_or(fields, "tokenize_chinese_chars", true));
  if (!chinese) return unsupported(path, "tokenize_chinese_chars false, but only true is");
  // Files also hold 1e30 or 2^64 for "none".
  const auto longest = json.find("model_max_length");
  if (longest != json.end() && longest->is_number_unsigned()) {
    const auto value = longest->get<uint64_t>();
    if (value >= 3 && value < static_cast<uint64_t>(positions)) config.max_length = static_cast<int64_t>(value);
  }
  return config;
}

std::string model_name(const fs::path& folder, const Json& config) {
  const auto it = config.find("_name_or_path");
  if (it != config.end() && it->is_string() && !it->get_ref<const std::string&>().empty()) {
    return it->get<std::string>();
  }
  return folder_name(folder);
}

Expected<BertConfig> parse_config(const Json& json, const fs::path& path) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, path.string()));
  HCCS_RETURN_IF_ERROR(check_architecture(json, fields, path));
  BertConfig config;
  HCCS_ASSIGN_OR_RETURN(config.vocabulary_size, fields.integer("vocab_size", 1, kMaxSize));
  HCCS_ASSIGN_OR_RETURN(config.hidden_size, fields.integer("hidden_size", 1, kMaxSize));
  HCCS_ASSIGN_OR_RETURN(config.layers, fields.integer("num_hidden_layers", 1, kMaxLayers));
  HCCS_ASSIGN_OR_RETURN(config.heads, fields.integer("num_attention_heads", 1, kMaxSize));
  HCCS_ASSIGN_OR_RETURN(config.intermediate_size, fields.integer("intermediate_size", 1, kMaxSize));
  HCCS_ASSIGN_OR_RETURN(config.max_positions, fields.integer("max_position_embeddings", 1, kMaxRowLength));
  // The two defaults of Hugging Face's BertConfig that files do leave out.
  config.type_vocabulary_size = 2;
  if (fields.has("type_vocab_size")) {
    HCCS_ASSIGN_OR_RETURN(config.type_vocabulary_size, fields.integer("type_vocab_size", 1, kMaxSize));
  }
  if (fields.has("layer_norm_eps")) {
    HCCS_ASSIGN_OR_RETURN(config.layer_norm_epsilon, fields.number("layer_norm_eps", 0, 1));
  }
  if (config.layer_norm_epsilon == 0) return fields.bad("layer_norm_eps", "it is above 0");
  if (config.hidden_size % config.heads != 0) {
    return fields.bad("hidden_size", fmt::format("it is a multiple of num_attention_heads = {}", config.heads));
  }
  return config;
}

// id2label: {"0": "negative", "1": "positive"}.
Expected<std::vector<std::string>> read_labels(const Json& config, const fs::path& path) {
  const auto it = config.find("id2label");
  if (it == config.end() || it->is_null()) return std::vector<std::string>();
  const auto bad = [&](std::string_view rule) {
    return Status(StatusCode::kBadData, fmt::format("{}: id2label = {}, but {}", path.string(), shown(*it), rule));
  };
  if (!it->is_object()) return bad("it is an object");
  std::vector<std::string> labels(it->size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto label = it->find(std::to_string(i));
    if (label == it->end() || !label->is_string()) return bad("its names are 0, 1, ... and its values strings");
    labels[i] = label->get<std::string>();
  }
  return labels;
}

// ---- Activation scales ---------------------------------------------------------------------------

constexpr std::string_view kScalesFormat = "hccs-activation-scales";
constexpr int64_t kScalesVersion = 1;
constexpr std::array kLayerScales = {std::pair{"input", &ActivationScales::Layer::input},
                                     std::pair{"query", &ActivationScales::Layer::query},
                                     std::pair{"key", &ActivationScales::Layer::key},
                                     std::pair{"value", &ActivationScales::Layer::value},
                                     std::pair{"context", &ActivationScales::Layer::context},
                                     std::pair{"attention", &ActivationScales::Layer::attention},
                                     std::pair{"intermediate", &ActivationScales::Layer::intermediate}};

Expected<double> read_scale(const JsonFields& fields, std::string_view key) {
  HCCS_ASSIGN_OR_RETURN(const double scale, fields.number(key, 0, 1e30));
  if (static_cast<float>(scale) <= 0) return fields.bad(key, "it is above 0, also in float32");
  return scale;
}

}  // namespace

Expected<std::optional<ActivationScales>> read_activation_scales(const fs::path& path, int64_t layers) try {
  if (!is_there(path)) return std::optional<ActivationScales>();
  HCCS_ASSIGN_OR_RETURN(const Json json, read_json(path));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, path.string()));
  HCCS_ASSIGN_OR_RETURN(const std::string format, fields.string("format"));
  if (format != kScalesFormat) return fields.bad("format", fmt::format("it is \"{}\"", kScalesFormat));
  HCCS_ASSIGN_OR_RETURN(const int64_t version, fields.integer("version", 0, INT64_MAX));
  if (version != kScalesVersion) {
    return unsupported(path, fmt::format("version {}, but only {} is known", version, kScalesVersion));
  }
  ActivationScales scales;
  HCCS_ASSIGN_OR_RETURN(scales.output, read_scale(fields, "output"));
  HCCS_ASSIGN_OR_RETURN(scales.pooled, read_scale(fields, "pooled"));
  HCCS_ASSIGN_OR_RETURN(const Json* entries, fields.array("layers"));
  if (std::ssize(*entries) != layers) {
    return mismatch(path, fmt::format("scales of {} layers, but the model has {}", entries->size(), layers));
  }
  for (const Json& entry : *entries) {
    HCCS_ASSIGN_OR_RETURN(const JsonFields layer_fields,
                          JsonFields::of(entry, fmt::format("{}: layer {}", path.string(), scales.layers.size())));
    ActivationScales::Layer layer;
    for (const auto& [key, member] : kLayerScales) {
      HCCS_ASSIGN_OR_RETURN(layer.*member, read_scale(layer_fields, key));
    }
    scales.layers.push_back(layer);
  }
  return std::optional(std::move(scales));
} catch (...) {
  return internal::status_of_exception(path.native());
}

double& ActivationScales::at(const ActivationPlace& place) noexcept {
  switch (place.kind) {
    case ActivationPlace::kInput:
      return layers[place.layer].input;
    case ActivationPlace::kQuery:
      return layers[place.layer].query;
    case ActivationPlace::kKey:
      return layers[place.layer].key;
    case ActivationPlace::kValue:
      return layers[place.layer].value;
    case ActivationPlace::kContext:
      return layers[place.layer].context;
    case ActivationPlace::kAttention:
      return layers[place.layer].attention;
    case ActivationPlace::kIntermediate:
      return layers[place.layer].intermediate;
    case ActivationPlace::kOutput:
      return output;
    case ActivationPlace::kPooled:
      break;
  }
  return pooled;
}

std::string to_json(const ActivationScales& scales) {
  Json json = {{"format", kScalesFormat},
               {"version", kScalesVersion},
               {"layers", Json::array()},
               {"output", scales.output},
               {"pooled", scales.pooled}};
  for (const ActivationScales::Layer& layer : scales.layers) {
    Json entry;
    for (const auto& [key, member] : kLayerScales) entry[key] = layer.*member;
    json["layers"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

std::string ModelFolder::tensor_name(std::string_view tensor) const {
  return name_in_file(weights, tensor_prefix, tensor);
}

Expected<BertConfig> read_bert_config(const fs::path& config_json) try {
  HCCS_ASSIGN_OR_RETURN(const Json json, read_json(config_json));
  return parse_config(json, config_json);
} catch (...) {
  return internal::status_of_exception(config_json.native());
}

Expected<ModelFolder> open_model_folder(const fs::path& folder) try {
  const fs::path config_path = folder / "config.json";
  HCCS_ASSIGN_OR_RETURN(const Json json, read_json(config_path));
  HCCS_ASSIGN_OR_RETURN(const BertConfig config, parse_config(json, config_path));
  HCCS_RETURN_IF_ERROR(check_modules(folder / "modules.json"));
  HCCS_RETURN_IF_ERROR(check_pooling(folder / "1_Pooling" / "config.json", config.hidden_size));

  HCCS_ASSIGN_OR_RETURN(Safetensors weights, open_weights(folder));
  HCCS_ASSIGN_OR_RETURN(std::string prefix, find_prefix(weights));
  HCCS_RETURN_IF_ERROR(WeightChecker(weights, prefix).check(config));

  HCCS_ASSIGN_OR_RETURN(const TokenizerConfig tokenizer_config,
                        read_tokenizer_config(folder / "tokenizer_config.json", config.max_positions));
  const fs::path vocabulary_path = folder / "vocab.txt";
  HCCS_ASSIGN_OR_RETURN(WordPieceTokenizer tokenizer,
                        WordPieceTokenizer::load(vocabulary_path, tokenizer_config.options));
  if (tokenizer.vocabulary_size() > config.vocabulary_size) {
    return mismatch(vocabulary_path, fmt::format("{} tokens, but the configuration has vocab_size {}",
                                                 tokenizer.vocabulary_size(), config.vocabulary_size));
  }
  HCCS_ASSIGN_OR_RETURN(std::vector<std::string> labels, read_labels(json, config_path));
  const auto classifier = weights.tensors().find("classifier.weight");
  if (labels.empty() && classifier != weights.tensors().end() && classifier->second.shape.size() == 2 &&
      classifier->second.shape[1] == config.hidden_size) {  // else a tensor without data could have any number of rows
    // Hugging Face leaves its default names out of the file.
    for (int64_t i = 0; i < classifier->second.shape[0]; ++i) labels.push_back(fmt::format("LABEL_{}", i));
  }
  HCCS_ASSIGN_OR_RETURN(std::optional<ActivationScales> scales,
                        read_activation_scales(folder / kActivationScalesFile, config.layers));
  return ModelFolder{model_name(folder, json),
                     config,
                     std::move(weights),
                     std::move(tokenizer),
                     std::move(prefix),
                     tokenizer_config.options.lower_case,
                     tokenizer_config.max_length,
                     std::move(labels),
                     std::move(scales)};
} catch (...) {
  return internal::status_of_exception(folder.native());
}

}  // namespace hccs
