// SPDX-License-Identifier: Apache-2.0
//
// A Hugging Face model folder of the BertModel architecture: config.json, model.safetensors, vocab.txt.
#ifndef HCCS_MODEL_FOLDER_H_
#define HCCS_MODEL_FOLDER_H_

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

// A place in the model whose activations have a scale of their own.
struct ActivationPlace {
  enum Kind {
    kInput,  // of a layer, so also the embeddings' norm's output
    kQuery,  // after the bias
    kKey,
    kValue,
    kContext,       // the heads' outputs
    kAttention,     // the attention's norm's output
    kIntermediate,  // after GELU
    kOutput,        // the last layer's norm's output
    kPooled,        // after tanh
  };
  int64_t layer = 0;  // 0 for kOutput and kPooled, which a model has once
  Kind kind = kInput;

  // Where the hidden states enter layer `layer` or, for the number of layers, leave the last.
  static constexpr ActivationPlace hidden(int64_t layer, int64_t layers) noexcept {
    return layer < layers ? ActivationPlace{layer, kInput} : ActivationPlace{0, kOutput};
  }
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison for a null pointer.
  friend constexpr auto operator<=>(const ActivationPlace&, const ActivationPlace&) = default;
};

// The int8 scales (real value of one unit, finite, > 0) of the activations of a model that was trained for integer
// arithmetic: x becomes scale * clamp(round_half_to_even(x / scale), -127, 127). One scale a place; docs/formats.md.
struct ActivationScales {
  struct Layer {
    double input = 0;
    double query = 0;
    double key = 0;
    double value = 0;
    double context = 0;
    double attention = 0;
    double intermediate = 0;
  };
  std::vector<Layer> layers;
  double output = 0;
  double pooled = 0;

  // The scale of a place, in one of `layers`.
  double& at(const ActivationPlace& place) noexcept;
  double at(const ActivationPlace& place) const noexcept { return const_cast<ActivationScales*>(this)->at(place); }
};
inline constexpr const char* kActivationScalesFile = "activation_scales.json";

// The text of an activation_scales.json.
std::string to_json(const ActivationScales& scales);

// None if there is no such file. Errors: kIo; kBadData for a missing, mistyped or out-of-range field; kUnsupported for
// another version; kMismatch for another number of layers.
Expected<std::optional<ActivationScales>> read_activation_scales(const std::filesystem::path& path, int64_t layers);

struct ModelFolder {
  std::string name;  // config.json's _name_or_path, or the folder's own name
  BertConfig config;
  Safetensors weights;
  WordPieceTokenizer tokenizer;
  // "" or "bert.": what precedes "embeddings." and "encoder." in the tensor names (task models nest the encoder).
  std::string tensor_prefix;
  bool lower_case = true;  // whether the tokeniser makes letters lower case
  // tokenizer_config.json's model_max_length, if that is an integer below config.max_positions, else the latter: how
  // many tokens of a text a classifier takes.
  int64_t max_length = 0;
  // Of a classifier: config.json's id2label, in the order of the classes, or Hugging Face's default names. Empty if
  // there is no classifier.
  std::vector<std::string> labels{};
  // activation_scales.json, if the folder has one.
  std::optional<ActivationScales> activation_scales{};

  // The name in the file of what Hugging Face's BertModel calls `name`, such as "encoder.layer.0.output.dense.bias":
  // with tensor_prefix, and with the "LayerNorm.gamma" and "LayerNorm.beta" of older checkpoints (bert-base-uncased)
  // where the file has those. The file need not hold such a tensor.
  std::string tensor_name(std::string_view name) const;
};

// Reads config.json. Errors: kIo; kBadData for a missing, mistyped or out-of-range field; kUnsupported, by name, for
// what the encoder would compute wrongly: model_type / architectures other than BERT, hidden_act other than "gelu",
// position_embedding_type other than "absolute", is_decoder, add_cross_attention.
Expected<BertConfig> read_bert_config(const std::filesystem::path& config_json);

// Opens the three files and checks the weights against the configuration: every tensor that the encoder needs exists
// with the shape that the configuration says (kMismatch, naming the tensor and both shapes), and the vocabulary fits.
// Sentence models are mean-pooled; a folder whose 1_Pooling/config.json asks for another pooling is refused
// (kUnsupported). tokenizer_config.json's do_lower_case is honoured. A classifier's id2label must number its labels
// 0, 1, ... (kBadData); activation_scales.json must fit the layers (kMismatch).
Expected<ModelFolder> open_model_folder(const std::filesystem::path& folder);

}  // namespace hccs

#endif  // HCCS_MODEL_FOLDER_H_
