// SPDX-License-Identifier: Apache-2.0
//
// A BERT classifier's weights in memory: made at random, read from a folder, written to one.
#ifndef HCCS_TRAINING_WEIGHTS_H_
#define HCCS_TRAINING_WEIGHTS_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hccs/model_folder.h"
#include "hccs/status.h"

namespace hccs::training {

struct Tensor {
  std::string name;  // as in Hugging Face's BertForSequenceClassification, "bert." included
  std::vector<int64_t> shape;
  std::vector<float> values;
};

struct Weights {
  BertConfig config;
  std::vector<std::string> labels;  // empty: what is written is the encoder alone
  std::vector<Tensor> tensors;      // [0] is the word embeddings

  const Tensor& at(std::string_view name) const;  // it exists
  void remove_classifier();
  int64_t parameters() const;
};
inline constexpr size_t kWordEmbeddings = 0;

// Names and shapes, values 0. The order is the order of every list of tensors in training.
Weights empty_weights(const BertConfig& config, std::span<const std::string> labels);

// As BERT is initialised: normal with deviation 0.02, cut at two deviations, biases 0, norms 1.
Weights random_weights(const BertConfig& config, std::span<const std::string> labels, uint64_t seed);

// A folder's weights; only the first `take_layers` layers if that is set. The classification head is the folder's if it
// has one for the same labels, in the same order; otherwise the classifier (and the pooler, if missing) is random.
// Errors: Safetensors::read_float's; kMismatch for take_layers outside 1..layers, pairs of texts but one token type.
Expected<Weights> read_weights(const ModelFolder& folder, std::span<const std::string> labels,
                               std::optional<int64_t> take_layers, uint64_t seed);

// Whether a tensor is a matrix that an integer engine holds in int8: linear layers and embeddings, no biases or norms.
bool is_int8_matrix(const Tensor& tensor);

// Each row of [rows, columns] on its own int8 grid: scale = max |w| / 127, w = scale * round(w / scale).
void round_rows_to_int8_grid(int64_t columns, std::span<const float> weights, float* out);

// Writes model.safetensors; with `int8`, is_int8_matrix() tensors are rounded to their grids. Atomic.
Status write_weights(const std::filesystem::path& path, const Weights& weights, bool int8);

// Writes the other files of a Hugging Face folder: config.json, and copies of `files` (the tokeniser's and those of the
// sentence pipeline), of which tokenizer_config.json gets model_max_length and modules.json a Transformer in the root.
Status write_model_files(const std::filesystem::path& folder, const Weights& weights, const std::string& model_name,
                         std::span<const ModelFile> files, int64_t max_length);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_WEIGHTS_H_
