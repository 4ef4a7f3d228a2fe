// SPDX-License-Identifier: Apache-2.0
//
// What open_model_folder() is made of. Each part reads the files of one concern and refuses by name what it would get
// wrong.
#ifndef HCCS_FORMATS_MODEL_FOLDER_PARTS_H_
#define HCCS_FORMATS_MODEL_FOLDER_PARTS_H_

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/json.h"
#include "hccs/model_folder.h"
#include "hccs/safetensors.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs::internal {

// "PATH: WHAT".
Status unsupported(const std::filesystem::path& path, std::string_view what);
Status mismatch(const std::filesystem::path& path, std::string_view what);
Status bad_data(const std::filesystem::path& path, std::string_view what);

Expected<Json> read_json(const std::filesystem::path& path);

// None if there is no such file, in the sense of is_present().
Expected<std::optional<Json>> read_json_if_present(const std::filesystem::path& path);

Expected<bool> boolean_or(const JsonFields& fields, std::string_view key, bool fallback);

// ---- bert_config.cc: config.json --------------------------------------------------------------

Expected<BertConfig> parse_bert_config(const Json& json, const std::filesystem::path& path);

// Whether the folder classifies texts, one class each: what `architectures`, `problem_type` and `id2label` or
// `num_labels` say, and whether the weights agree. Fills architecture, classifier and labels of `model`.
void describe_classifier(const Json& config, const std::filesystem::path& path, ModelFolder& model);

// ---- bert_weights.cc: model.safetensors -------------------------------------------------------

// Opens the weights. `architecture`: what transformers calls the model's class, for advice; may be empty.
Expected<Safetensors> open_bert_weights(const std::filesystem::path& folder, const std::string& architecture);

// "" or "bert.": what precedes "embeddings.".
Expected<std::string> find_tensor_prefix(const Safetensors& weights);

// `name` with its prefix, or its older name where the file has that.
std::string name_in_file(const Safetensors& weights, std::string_view prefix, std::string_view name);

// Every tensor of the encoder exists with the shape that the configuration says, and there is no further layer.
Status check_bert_weights(const Safetensors& weights, std::string_view prefix, const BertConfig& config);

// ---- tokenizer_files.cc: vocab.txt, tokenizer.json, tokenizer_config.json, ... ----------------

struct TokenizerFiles {
  WordPieceTokenizer tokenizer;
  bool lower_case = true;
  std::optional<int64_t> max_length;  // model_max_length, where it is a limit
  std::vector<std::string> names;     // of the files that are there
};
// `config`: config.json, which may name a tokeniser too.
Expected<TokenizerFiles> read_tokenizer_files(const std::filesystem::path& folder, const Json& config,
                                              int64_t type_vocabulary_size);

// ---- sentence_pipeline.cc: modules.json, 1_Pooling/config.json, ... ---------------------------

// Where sentence-transformers puts what.
struct SentenceLayout {
  std::filesystem::path root;         // of modules.json
  std::filesystem::path transformer;  // of config.json, the weights and the tokeniser: the root or a folder in it
  std::optional<Json> modules;        // modules.json
};
// Of a model's folder or of the Transformer's folder in it. Errors: kIo, kBadData, kUnsupported for a modules.json from
// which the Transformer cannot be told.
Expected<SentenceLayout> find_sentence_layout(const std::filesystem::path& folder);

// All but max_length's default and prompt_tokens. What only embeddings depend on is told by `embeds`.
Expected<SentencePipeline> read_sentence_pipeline(const SentenceLayout& layout, int64_t hidden_size);

// Files of the pipeline that are there, with the names that they have where the Transformer lies in the root.
Expected<std::vector<ModelFile>> list_sentence_files(const SentenceLayout& layout, const SentencePipeline& pipeline);

}  // namespace hccs::internal

#endif  // HCCS_FORMATS_MODEL_FOLDER_PARTS_H_
