// SPDX-License-Identifier: Apache-2.0
#include "hccs/model_folder.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "contract/exceptions.h"
#include "formats/bert_normaliser.h"
#include "formats/model_folder_parts.h"
#include "hccs/file.h"

namespace hccs {

using internal::Json;
using internal::JsonFields;
using internal::SentenceLayout;
using internal::TokenizerFiles;

namespace fs = std::filesystem;

namespace internal {

Status unsupported(const fs::path& path, std::string_view what) {
  return {StatusCode::kUnsupported, fmt::format("{}: {}", path.string(), what)};
}

Status mismatch(const fs::path& path, std::string_view what) {
  return {StatusCode::kMismatch, fmt::format("{}: {}", path.string(), what)};
}

Status bad_data(const fs::path& path, std::string_view what) {
  return {StatusCode::kBadData, fmt::format("{}: {}", path.string(), what)};
}

Expected<Json> read_json(const fs::path& path) {
  HCCS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse_json(text, path.string());
}

Expected<std::optional<Json>> read_json_if_present(const fs::path& path) {
  HCCS_ASSIGN_OR_RETURN(const bool there, is_present(path));
  if (!there) return std::optional<Json>();
  HCCS_ASSIGN_OR_RETURN(Json json, read_json(path));
  return std::optional(std::move(json));
}

Expected<bool> boolean_or(const JsonFields& fields, std::string_view key, bool fallback) {
  return fields.has(key) ? fields.boolean(key) : fallback;
}

}  // namespace internal

namespace {

// huggingface_hub's cache: models--MAKER--NAME/snapshots/COMMIT.
std::string name_of_repository(const fs::path& folder) {
  constexpr std::string_view kModels = "models--";
  constexpr std::string_view kSeparator = "--";
  std::error_code error;
  const fs::path full = fs::canonical(folder, error);
  if (error || full.parent_path().filename() != "snapshots") return {};
  std::string name = full.parent_path().parent_path().filename().string();
  if (!name.starts_with(kModels)) return {};
  name.erase(0, kModels.size());
  if (const size_t separator = name.find(kSeparator); separator != std::string::npos) {
    name.replace(separator, kSeparator.size(), "/");
  }
  return name;
}

std::string model_name(const fs::path& folder, const Json& config) {
  const auto it = config.find("_name_or_path");
  if (it != config.end() && it->is_string() && !it->get_ref<const std::string&>().empty()) {
    return it->get<std::string>();
  }
  std::string repository = name_of_repository(folder);
  return repository.empty() ? folder_name(folder) : repository;
}

std::string architecture_of(const Json& config) {
  const auto it = config.find("architectures");
  if (it == config.end() || !it->is_array() || it->empty() || !it->front().is_string()) return {};
  return it->front().get<std::string>();
}

}  // namespace

std::string ModelFolder::tensor_name(std::string_view tensor) const {
  return internal::name_in_file(weights, tensor_prefix, tensor);
}

std::string SentencePipeline::prepared(std::string_view text) const {
  std::string prompted = prompt + std::string(text);
  return lower_case ? internal::lower_cased(prompted) : prompted;
}

Expected<ModelFolder> open_model_folder(const fs::path& folder) try {
  HCCS_ASSIGN_OR_RETURN(const SentenceLayout layout, internal::find_sentence_layout(folder));
  const fs::path config_path = layout.transformer / "config.json";
  HCCS_ASSIGN_OR_RETURN(const Json json, internal::read_json(config_path));
  HCCS_ASSIGN_OR_RETURN(const BertConfig config, internal::parse_bert_config(json, config_path));
  std::string architecture = architecture_of(json);
  HCCS_ASSIGN_OR_RETURN(Safetensors weights, internal::open_bert_weights(layout.transformer, architecture));
  HCCS_ASSIGN_OR_RETURN(std::string prefix, internal::find_tensor_prefix(weights));
  HCCS_RETURN_IF_ERROR(internal::check_bert_weights(weights, prefix, config));

  HCCS_ASSIGN_OR_RETURN(TokenizerFiles tokenizer,
                        internal::read_tokenizer_files(layout.transformer, json, config.type_vocabulary_size));
  if (tokenizer.tokenizer.vocabulary_size() > config.vocabulary_size) {
    return internal::mismatch(layout.transformer / tokenizer.names.front(),
                              fmt::format("{} tokens, with those added, but the configuration has vocab_size {}",
                                          tokenizer.tokenizer.vocabulary_size(), config.vocabulary_size));
  }
  ModelFolder model{.name = model_name(layout.root, json),
                    .config = config,
                    .weights = std::move(weights),
                    .tokenizer = std::move(tokenizer.tokenizer),
                    .tensor_prefix = std::move(prefix),
                    .lower_case = tokenizer.lower_case,
                    .max_length = std::min(tokenizer.max_length.value_or(config.max_positions), config.max_positions),
                    .architecture = std::move(architecture)};
  internal::describe_classifier(json, config_path, model);

  HCCS_ASSIGN_OR_RETURN(model.sentence, internal::read_sentence_pipeline(layout, config.hidden_size));
  SentencePipeline& sentence = model.sentence;
  sentence.max_length =
      sentence.max_length > 0 ? std::min(sentence.max_length, config.max_positions) : model.max_length;
  if (sentence.prompt_tokens > 0) {  // how many they are, the tokeniser says; without [SEP]
    sentence.prompt_tokens = model.tokenizer.encode(sentence.prepared(""), config.max_positions).untruncated_size - 1;
  }
  HCCS_ASSIGN_OR_RETURN(model.activation_scales,
                        read_activation_scales(layout.transformer / kActivationScalesFile, config.layers));
  for (const std::string& name : tokenizer.names) model.files.push_back({name, layout.transformer / name});
  HCCS_ASSIGN_OR_RETURN(const std::vector<ModelFile> files, internal::list_sentence_files(layout, sentence));
  model.files.insert(model.files.end(), files.begin(), files.end());
  return model;
} catch (...) {
  return internal::status_of_exception(folder.native());
}

}  // namespace hccs
