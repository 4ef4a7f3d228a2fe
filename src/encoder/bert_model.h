// SPDX-License-Identifier: Apache-2.0
//
// BERT's weights in the form that the encoder computes with, and its forward pass (Devlin et al., arXiv 1810.04805).
// The tokens of a batch stand one after another without padding: linear layers and layer norms see rows, attention sees
// one text and head at a time.
#ifndef HCCS_SRC_ENCODER_BERT_MODEL_H_
#define HCCS_SRC_ENCODER_BERT_MODEL_H_

#include <cstdint>
#include <dnnl.hpp>
#include <optional>
#include <span>
#include <vector>

#include "encoder/linear.h"
#include "hccs/encoder.h"

namespace hccs::internal {

struct LayerNorm {
  std::vector<float> scale;
  std::vector<float> shift;
  float epsilon = 0;

  // x: [rows, size], in place.
  void run(int64_t rows, float* x) const;
};

struct Layer {
  Linear query_key_value;  // one product: a row of its output is q, k, v
  Linear attention_output;
  LayerNorm attention_norm;
  Linear intermediate;
  Linear output;
  LayerNorm output_norm;
};

// A layer of a few rows, in plain loops: the classification head, the Dense modules of a sentence pipeline.
struct SmallLinear {
  int64_t in = 0;
  std::vector<float> weights;  // [out, in]
  std::vector<float> bias;     // [out]

  void run(const float* x, float* out) const;
};

struct Batch {
  std::span<const size_t> texts;  // indices in the caller's list
  int64_t tokens = 0;
};

// One text's tokens, [tokens, hidden], as one vector: appends to `out` what each of the poolings makes of them. The
// first `left_out` tokens count for none but kFirst and kLast.
void pool_tokens(std::span<const Pooling> poolings, std::span<const float> tokens, int64_t hidden, int64_t left_out,
                 std::vector<double>& out);

// x / |x|, or 0 for 0.
void normalise(std::span<double> x);

// The least multiple of kLinearBlockRows.
constexpr int64_t round_up_to_blocks(int64_t rows) {
  return (rows + kLinearBlockRows - 1) / kLinearBlockRows * kLinearBlockRows;
}

// What one worker computes in; rows is a multiple of kLinearBlockRows.
struct Workspace {
  Workspace(const BertConfig& config, const dnnl::engine& engine, int64_t rows, int64_t longest)
      : stream(engine),
        hidden(rows * config.hidden_size),
        query_key_value(rows * config.hidden_size * 3),
        context(rows * config.hidden_size),
        intermediate(kLinearBlockRows * config.intermediate_size),
        logits(longest * longest) {}

  dnnl::stream stream;
  std::vector<float> hidden;           // [rows, hidden_size]
  std::vector<float> query_key_value;  // [rows, 3, heads, head dimension]
  std::vector<float> context;          // [rows, heads, head dimension]
  std::vector<float> intermediate;     // [kLinearBlockRows, intermediate_size]
  std::vector<float> logits;           // [longest, longest], then probabilities
};

}  // namespace hccs::internal

namespace hccs {

struct BertEncoder::Model {
  using Batch = internal::Batch;
  using Workspace = internal::Workspace;

  BertConfig config;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::vector<float> word_embeddings;  // [vocabulary_size, hidden_size]
  // [1 or 2 token types, max_positions, hidden_size], the type's embedding added.
  std::vector<float> position_embeddings;
  internal::LayerNorm embedding_norm;
  std::vector<internal::Layer> layers;
  std::optional<ActivationScales> scales;
  Status no_classifier;          // ok: there is one
  internal::SmallLinear pooler;  // empty: no classifier
  internal::SmallLinear classifier;
  SentencePipeline sentence;
  std::vector<internal::SmallLinear> dense;  // of sentence.modules, in their order

  int64_t classes() const { return std::ssize(classifier.bias); }

  // Throws dnnl::error. Errors: those of Safetensors::read_float.
  static Expected<Model> load(const ModelFolder& folder);

  // Writes the rows `batch.texts` of `out`: embeddings, logits or, with no output, a sum of the hidden states. Throws
  // dnnl::error. Errors: those of the softmax.
  Status run(std::span<const Encoding> texts, const Batch& batch, const AttentionSoftmax& softmax, Workspace& work,
             Output output, std::span<float> out) const;

 private:
  Status load_head(const ModelFolder& folder);
  Status load_dense();
  void embed_tokens(std::span<const Encoding> texts, const Batch& batch, int64_t rows, Workspace& work) const;
  Status attend(int64_t layer, std::span<const Encoding> texts, const Batch& batch, const AttentionSoftmax& softmax,
                Workspace& work) const;
  void round_query_key_value(const ActivationScales::Layer& scale, int64_t tokens, std::span<float> rows) const;
  void sum_up(std::span<const Encoding> texts, const Batch& batch, const Workspace& work, std::span<float> sums) const;
  void embed(std::span<const Encoding> texts, const Batch& batch, const Workspace& work,
             std::span<float> embeddings) const;
  void classify(std::span<const Encoding> texts, const Batch& batch, const Workspace& work,
                std::span<float> logits) const;
  // The scale of what enters layer l, or leaves the last.
  void round_hidden(int64_t layer, int64_t rows, float* x) const {
    if (!scales) return;
    const double scale = scales->at(ActivationPlace::hidden(layer, config.layers));
    round_to_int8_grid(static_cast<float>(scale), {x, static_cast<size_t>(rows * config.hidden_size)});
  }
};

}  // namespace hccs

#endif  // HCCS_SRC_ENCODER_BERT_MODEL_H_
