// SPDX-License-Identifier: Apache-2.0
//
// A BERT in float32 whose every intermediate result can be seen: what the quantiser finds its scales by.
#ifndef HCCS_SRC_QUANTISER_FLOAT_BERT_H_
#define HCCS_SRC_QUANTISER_FLOAT_BERT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "hccs/model_folder.h"
#include "hccs/param_file.h"

namespace hccs::internal {

struct FloatLinear {
  int64_t in = 0;
  int64_t out = 0;
  std::vector<float> weights;  // [out, in]
  std::vector<float> bias;     // [out]
};

struct FloatNorm {
  std::vector<float> gamma;
  std::vector<float> beta;
};

struct FloatLayer {
  FloatLinear query_key_value;
  FloatLinear attention_output;
  FloatNorm attention_norm;
  FloatLinear intermediate;
  FloatLinear output;
  FloatNorm output_norm;
};

// Where rows can be seen. Of layer 0 where a model has one alone.
enum class Place {
  kEmbeddingSum,
  kInput,          // of a layer; of the number of layers: the last layer's output
  kQueryKeyValue,  // [tokens, 3 * hidden]
  kContext,
  kAttentionProduct,  // after the bias, before the residual is added
  kAttentionSum,
  kAttention,  // the attention's norm's output
  kInner,      // GELU's argument
  kActivated,  // its value
  kOutputProduct,
  kOutputSum,
};

// Rows of one place: [tokens, width].
using PlaceSink = std::function<void(Place place, int64_t layer, std::span<const float> rows, int64_t width)>;

struct FloatBert {
  BertConfig config;
  std::vector<float> words;      // [vocabulary, hidden]
  std::vector<float> positions;  // [types used, positions, hidden]: the type's embedding added
  int64_t types = 1;
  FloatNorm embedding_norm;
  std::vector<FloatLayer> layers;
  std::optional<FloatLinear> pooler;  // and
  std::optional<FloatLinear> classifier;
  // [layers * heads]: of a model whose weights were trained with these in place of the exponential; otherwise empty.
  std::vector<HeadEntry> trained_heads;

  // Errors: those of Safetensors::read_float.
  static Expected<FloatBert> load(const ModelFolder& folder);

  // Shows every place of texts, whose tokens stand one after another. Single-threaded, so that the result is the same
  // everywhere that the kernels are. Throws dnnl::error.
  void run(std::span<const Encoding> texts, const PlaceSink& sink) const;
};

// ---- Steps of run(), on rows one after another. Throw dnnl::error.
// ---------------------------------------------------

// Words and places: [tokens, hidden].
std::vector<float> embedding_sums(const FloatBert& model, std::span<const Encoding> texts);
// out is made [rows, linear.out].
void apply(const FloatLinear& linear, std::span<const float> x, std::vector<float>* out);
void normalise(const FloatNorm& norm, double epsilon, std::span<float> x);
// The context of all heads, [tokens, hidden]; query_key_value is [tokens, 3 * hidden].
std::vector<float> attend(const FloatBert& model, int64_t layer, std::span<const Encoding> texts,
                          std::span<const float> query_key_value);
// GELU.
void activate(std::span<float> x);
// to[i] += x[i].
void add(std::span<const float> x, std::span<float> to);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_FLOAT_BERT_H_
