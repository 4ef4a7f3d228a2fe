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

  // Errors: those of Safetensors::read_float.
  static Expected<FloatBert> load(const ModelFolder& folder);

  // Shows every place of texts, whose tokens stand one after another. Single-threaded, so that the result is the same
  // everywhere that the kernels are. Throws dnnl::error.
  void run(std::span<const Encoding> texts, const PlaceSink& sink) const;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_FLOAT_BERT_H_
