// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "contract/exceptions.h"
#include "formats/model_folder_parts.h"
#include "hccs/params.h"

namespace hccs {

using internal::bad_data;
using internal::boolean_or;
using internal::in_quotes;
using internal::Json;
using internal::JsonFields;
using internal::mismatch;
using internal::shown;
using internal::unsupported;

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxSize = int64_t{1} << 20;  // far above any published model; keeps every product within int64
constexpr int64_t kMaxLayers = 1000;

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
  if (fields.has("hidden_act")) {
    HCCS_ASSIGN_OR_RETURN(const std::string value, fields.string("hidden_act"));
    if (value != "gelu" && value != "gelu_python") {  // two names of x/2 (1 + erf(x/sqrt 2))
      return unsupported(path, fmt::format("hidden_act {}, but only \"gelu\" is", in_quotes(value)));
    }
  }
  if (fields.has("position_embedding_type")) {
    HCCS_ASSIGN_OR_RETURN(const std::string value, fields.string("position_embedding_type"));
    if (value != "absolute") {
      return unsupported(path, fmt::format("position_embedding_type {}, but only \"absolute\" is", in_quotes(value)));
    }
  }
  // Weights that are not what they seem, and models with code of their own.
  for (const char* key : {"quantization_config", "compression_config", "auto_map"}) {
    if (fields.has(key) && !json[key].empty()) {
      return unsupported(path, fmt::format("{} {}, but only plain BERT models are", key, shown(json[key])));
    }
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

// ---- The classifier -----------------------------------------------------------------------------

// What another head does, in words.
std::string_view purpose_of(std::string_view architecture) {
  if (architecture == "BertForTokenClassification") return "it labels tokens, not texts";
  if (architecture == "BertForMultipleChoice") return "it chooses between texts, and gives none of them a class";
  if (architecture == "BertForQuestionAnswering") return "it marks answers in a text";
  if (architecture == "BertForNextSentencePrediction") return "it tells whether a text follows another";
  return "it has no classification head: train one with `hccs train`";
}

// Those of id2label, in the order of their numbers: {"0": "negative", "1": "positive"}; or Hugging Face's default
// names.
Expected<std::vector<std::string>> read_labels(const Json& config, const JsonFields& fields, const fs::path& path) {
  std::optional<int64_t> count;
  if (fields.has("num_labels")) {
    HCCS_ASSIGN_OR_RETURN(count, fields.integer("num_labels", 1, kMaxSize));
  }
  const auto it = config.find("id2label");
  if (it == config.end() || it->is_null()) {
    std::vector<std::string> labels;
    for (int64_t i = 0; i < count.value_or(2); ++i) labels.push_back(fmt::format("LABEL_{}", i));
    return labels;
  }
  const auto bad = [&](std::string_view rule) {
    return bad_data(path, fmt::format("id2label = {}, but {}", shown(*it), rule));
  };
  if (!it->is_object()) return bad("it is an object");
  std::vector<std::string> labels(it->size());
  std::set<std::string_view> distinct;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto label = it->find(std::to_string(i));
    if (label == it->end() || !label->is_string()) return bad("its names are 0, 1, ... and its values strings");
    labels[i] = label->get<std::string>();
    if (!distinct.insert(labels[i]).second) return bad(fmt::format("{} names two classes", in_quotes(labels[i])));
  }
  if (count && *count != std::ssize(labels)) {
    return mismatch(path, fmt::format("num_labels {}, but id2label has {} labels", *count, labels.size()));
  }
  const auto back = config.find("label2id");
  if (back == config.end() || !back->is_object()) return labels;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto id = back->find(labels[i]);
    if (id != back->end() && *id != i) {
      return mismatch(
          path, fmt::format("id2label has {} as class {}, but label2id as {}", in_quotes(labels[i]), i, shown(*id)));
    }
  }
  return labels;
}

// Ok if the configuration and the weights are those of a classifier of texts, one class each.
Status check_classifier(const Json& config, const fs::path& path, const ModelFolder& model,
                        std::vector<std::string>& labels) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(config, path.string()));
  constexpr std::string_view kClassifier = "BertForSequenceClassification";
  const auto& tensors = model.weights.tensors();
  const auto head = tensors.find("classifier.weight");
  if (model.architecture != kClassifier) {
    if (!model.architecture.empty()) {
      return unsupported(path,
                         fmt::format("the model is a {}: {}", model.architecture, purpose_of(model.architecture)));
    }
    return unsupported(path,
                       head == tensors.end()
                           ? "the model has no classification head: train one with `hccs train`"
                           : fmt::format("no architectures says what the head is for; if it classifies texts, add "
                                         "\"architectures\": [\"{}\"]",
                                         kClassifier));
  }
  if (fields.has("problem_type")) {
    HCCS_ASSIGN_OR_RETURN(const std::string problem, fields.string("problem_type"));
    if (problem == "multi_label_classification") {
      return unsupported(path, "problem_type \"multi_label_classification\": any number of classes a text, not one");
    }
    if (problem == "regression") return unsupported(path, "problem_type \"regression\": numbers, not classes");
    if (problem != "single_label_classification") {
      return unsupported(
          path, fmt::format("problem_type {}, but only \"single_label_classification\" is", in_quotes(problem)));
    }
  }
  HCCS_ASSIGN_OR_RETURN(labels, read_labels(config, fields, path));
  if (labels.size() < 2) {
    return unsupported(path,
                       fmt::format("{} class: a regression or a score, which is no classification", labels.size()));
  }
  const auto shape_of = [&](const std::string& name) -> Expected<std::vector<int64_t>> {
    const auto tensor = tensors.find(name);
    if (tensor != tensors.end()) return tensor->second.shape;
    return mismatch(model.weights.path(), fmt::format("tensor \"{}\" is missing, but a {} has it", name, kClassifier));
  };
  for (const char* name : {"pooler.dense.weight", "pooler.dense.bias"}) {
    HCCS_RETURN_IF_ERROR(shape_of(model.tensor_name(name)).status());
  }
  HCCS_RETURN_IF_ERROR(shape_of("classifier.bias").status());
  HCCS_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, shape_of("classifier.weight"));
  const std::vector<int64_t> wanted = {std::ssize(labels), model.config.hidden_size};
  if (shape != wanted) {
    return mismatch(model.weights.path(),
                    fmt::format("tensor \"classifier.weight\" has shape [{}], but config.json says [{}]: {} labels",
                                fmt::join(shape, ", "), fmt::join(wanted, ", "), labels.size()));
  }
  return {};
}

}  // namespace

Expected<BertConfig> internal::parse_bert_config(const Json& json, const fs::path& path) {
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

void internal::describe_classifier(const Json& config, const fs::path& path, ModelFolder& model) {
  std::vector<std::string> labels;
  model.classifier = check_classifier(config, path, model, labels);
  if (model.classifier.ok()) model.labels = std::move(labels);
}

Expected<BertConfig> read_bert_config(const fs::path& config_json) try {
  HCCS_ASSIGN_OR_RETURN(const Json json, internal::read_json(config_json));
  return internal::parse_bert_config(json, config_json);
} catch (...) {
  return internal::status_of_exception(config_json.native());
}

}  // namespace hccs
