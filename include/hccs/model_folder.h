// SPDX-License-Identifier: Apache-2.0
//
// A Hugging Face or sentence-transformers model folder of the BertModel architecture, with everything in it that
// changes what the model computes. docs/formats.md lists every file and item, applied or refused.
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

// ---- From tokens to a sentence's vector, as sentence-transformers does it
// --------------------------------------------

enum class Pooling {
  kFirst,  // the first token, [CLS]
  kMax,    // of each component
  kMean,
  kMeanSqrt,      // the sum over the root of the number of tokens
  kWeightedMean,  // token i, from 1, counts i times
  kLast,          // the last token, [SEP]
};

enum class Activation { kIdentity, kTanh, kRelu, kGelu, kSigmoid };

// What follows the pooling: a fully connected layer, or division by the vector's length.
struct SentenceModule {
  enum Kind { kDense, kNormalise } kind = kNormalise;
  int64_t inputs = 0;  // of kDense, as all that follows
  int64_t outputs = 0;
  bool bias = true;
  Activation activation = Activation::kIdentity;
  std::filesystem::path weights{};  // model.safetensors with "linear.weight" [outputs, inputs], "linear.bias" [outputs]
};

struct SentencePipeline {
  // Before the tokeniser: the default prompt goes in front, and the text becomes lower case (also where the tokeniser
  // keeps capitals).
  std::string prompt{};
  bool lower_case = false;
  int64_t max_length = 0;  // tokens of a text, special ones included

  std::vector<Pooling> pooling = {Pooling::kMean};  // one after another in the vector
  int64_t prompt_tokens = 0;                        // the first ones, which all but kFirst and kLast leave out
  std::vector<SentenceModule> modules{};
  int64_t embedding_size = 0;  // components of the vector
  // Ok, or why no embedding can be had: a module or a pooling that is not supported, by name. All else is not affected.
  Status embeds{};

  std::string prepared(std::string_view text) const;  // prompt and lower case applied
};

// ---- The folder -----------------------------------------------------------------------------------------------------

// A file that says something about the model, and its name in a folder whose Transformer lies in the root.
struct ModelFile {
  std::string name;
  std::filesystem::path path;
};

struct ModelFolder {
  std::string name;  // config.json's _name_or_path, the repository of a Hugging Face cache, or the folder's own name
  BertConfig config;
  Safetensors weights;
  WordPieceTokenizer tokenizer;
  // "" or "bert.": what precedes "embeddings." and "encoder." in the tensor names (task models nest the encoder).
  std::string tensor_prefix{};
  bool lower_case = true;  // whether the tokeniser makes letters lower case
  // tokenizer_config.json's model_max_length, if that is below config.max_positions, else the latter: how many tokens
  // of a text a classifier takes.
  int64_t max_length = 0;
  // What config.json's architectures has first: "BertModel", "BertForTokenClassification", ...; empty if it is absent.
  std::string architecture{};
  // Ok if the model is a classifier of texts, one of several classes each, which `labels` then names in the order of
  // the classes. Otherwise why it is none: what its head is for, or what in the folder does not agree.
  Status classifier{};
  std::vector<std::string> labels{};
  SentencePipeline sentence{};
  // activation_scales.json, if the folder has one.
  std::optional<ActivationScales> activation_scales{};
  // Those of the tokeniser and of the sentence pipeline.
  std::vector<ModelFile> files{};

  // The name in the file of what Hugging Face's BertModel calls `name`, such as "encoder.layer.0.output.dense.bias":
  // with tensor_prefix, and with the "LayerNorm.gamma" and "LayerNorm.beta" of older checkpoints (bert-base-uncased)
  // where the file has those. The file need not hold such a tensor.
  std::string tensor_name(std::string_view name) const;
};

// Reads config.json. Errors: kIo; kBadData for a missing, mistyped or out-of-range field; kUnsupported, by name, for
// what the encoder would compute wrongly: model_type / architectures other than BERT, hidden_act other than "gelu" and
// "gelu_python", position_embedding_type other than "absolute", is_decoder, add_cross_attention, pruned_heads,
// quantization_config, compression_config, auto_map.
Expected<BertConfig> read_bert_config(const std::filesystem::path& config_json);

// Reads the folder: a model's, or that of the Transformer in it. Checks what every use needs: the configuration, that
// each tensor of the encoder has the shape that it says (kMismatch, naming the tensor and both shapes), the tokeniser
// and its vocabulary's size. What one use alone needs is told by `classifier` and `sentence.embeds`. Errors: kIo, also
// for links that lead nowhere; kBadData; kUnsupported, by name, for what would give other results; kMismatch for files
// that contradict each other, with both values.
Expected<ModelFolder> open_model_folder(const std::filesystem::path& folder);

}  // namespace hccs

#endif  // HCCS_MODEL_FOLDER_H_
