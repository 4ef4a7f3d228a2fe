// SPDX-License-Identifier: Apache-2.0
//
// A Hugging Face model folder of the BertModel architecture: config.json, model.safetensors, vocab.txt.
#ifndef HCCS_MODEL_FOLDER_H_
#define HCCS_MODEL_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "hccs/safetensors.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs {

struct BertConfig {
  int64_t vocabulary_size = 0;
  int64_t hidden_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t intermediate_size = 0;
  int64_t max_positions = 0;
  int64_t type_vocabulary_size = 0;
  double layer_norm_epsilon = 1e-12;

  int64_t head_dimension() const noexcept { return hidden_size / heads; }
};

struct ModelFolder {
  std::string name;  // config.json's _name_or_path, or the folder's own name
  BertConfig config;
  Safetensors weights;
  WordPieceTokenizer tokenizer;
  // "" or "bert.": what precedes "embeddings." and "encoder." in the tensor names (task models nest the encoder).
  std::string tensor_prefix;
};

// Reads config.json. Errors: kIo; kBadData for a missing, mistyped or out-of-range field; kUnsupported, by name, for
// what the encoder would compute wrongly: model_type / architectures other than BERT, hidden_act other than "gelu",
// position_embedding_type other than "absolute", is_decoder, add_cross_attention.
Expected<BertConfig> read_bert_config(const std::filesystem::path& config_json);

// Opens the three files and checks the weights against the configuration: every tensor that the encoder needs exists
// with the shape that the configuration says (kMismatch, naming the tensor and both shapes), and the vocabulary fits.
// Sentence models are mean-pooled; a folder whose 1_Pooling/config.json asks for another pooling is refused
// (kUnsupported). tokenizer_config.json's do_lower_case is honoured.
Expected<ModelFolder> open_model_folder(const std::filesystem::path& folder);

}  // namespace hccs

#endif  // HCCS_MODEL_FOLDER_H_
