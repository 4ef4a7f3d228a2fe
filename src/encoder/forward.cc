// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "encoder/bert_model.h"

namespace hccs {
namespace {

using internal::kLinearBlockRows;

// Row-major out[m, n] = alpha * a[m, k] * b, b [k, n] or, transposed, [n, k].
void multiply(int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t a_stride, const float* b,
              int64_t b_stride, bool b_transposed, float* out, int64_t out_stride) {
  dnnl::error::wrap_c_api(
      dnnl_sgemm('N', b_transposed ? 'T' : 'N', m, n, k, alpha, a, a_stride, b, b_stride, 0.0F, out, out_stride),
      "sgemm");
}

}  // namespace

void internal::LayerNorm::run(int64_t rows, float* x) const {
  const size_t size = scale.size();
  for (int64_t row = 0; row < rows; ++row, x += size) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < size; ++i) sum += x[i];
    const float mean = sum / static_cast<float>(size);
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (size_t i = 0; i < size; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const float inverse = 1.0F / std::sqrt(squares / static_cast<float>(size) + epsilon);
#pragma omp simd
    for (size_t i = 0; i < size; ++i) x[i] = (x[i] - mean) * inverse * scale[i] + shift[i];
  }
}

void internal::SmallLinear::run(const float* x, float* out) const {
  const float* weight = weights.data();
  for (size_t o = 0; o < bias.size(); ++o, weight += in) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < in; ++i) sum += weight[i] * x[i];
    out[o] = sum + bias[o];
  }
}

void BertEncoder::Model::embed_tokens(std::span<const Encoding> texts, const Batch& batch, int64_t rows,
                                      Workspace& work) const {
  const int64_t hidden = config.hidden_size;
  float* row = work.hidden.data();
  for (const size_t t : batch.texts) {
    int64_t first_size = std::ssize(texts[t].ids);
    if (config.type_vocabulary_size > 1) first_size = texts[t].second_begin.value_or(first_size);
    const float* position = position_embeddings.data();
    int64_t index = 0;
    for (const int32_t id : texts[t].ids) {
      if (index++ == first_size) position += config.max_positions * hidden;  // token type 1
      const float* word = word_embeddings.data() + id * hidden;
      std::transform(word, word + hidden, position, row, std::plus<>());
      row += hidden;
      position += hidden;
    }
  }
  // The rest of the last block belongs to no text; zeros keep its arithmetic finite and fast.
  std::fill(row, work.hidden.data() + rows * hidden, 0.0F);
  std::fill_n(work.context.data() + batch.tokens * hidden, (rows - batch.tokens) * hidden, 0.0F);
  embedding_norm.run(batch.tokens, work.hidden.data());
  round_hidden(0, batch.tokens, work.hidden.data());
}

void BertEncoder::Model::round_query_key_value(const ActivationScales::Layer& scale, int64_t tokens,
                                               std::span<float> rows) const {
  const auto hidden = static_cast<size_t>(config.hidden_size);
  for (int64_t token = 0; token < tokens; ++token) {
    for (const double place : {scale.query, scale.key, scale.value}) {
      round_to_int8_grid(static_cast<float>(place), rows.first(hidden));
      rows = rows.subspan(hidden);
    }
  }
}

Status BertEncoder::Model::attend(int64_t layer, std::span<const Encoding> texts, const Batch& batch,
                                  const AttentionSoftmax& softmax, Workspace& work) const {
  const int64_t hidden = config.hidden_size;
  const int64_t dimension = config.head_dimension();
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dimension)));
  if (scales) round_query_key_value(scales->layers[layer], batch.tokens, work.query_key_value);
  const float* query = work.query_key_value.data();
  float* context = work.context.data();
  for (const size_t t : batch.texts) {
    const auto n = static_cast<int64_t>(texts[t].ids.size());
    for (int64_t head = 0; head < config.heads; ++head) {
      const float* q = query + head * dimension;
      const float* k = q + hidden;
      const float* v = k + hidden;
      float* logits = work.logits.data();
      multiply(n, n, dimension, scale, q, 3 * hidden, k, 3 * hidden, true, logits, n);
      HCCS_RETURN_IF_ERROR(
          softmax.apply({layer, head, static_cast<int64_t>(t), n, logits, q, k, v, 3 * hidden}, logits));
      multiply(n, dimension, n, 1.0F, logits, n, v, 3 * hidden, false, context + head * dimension, hidden);
    }
    query += n * 3 * hidden;
    context += n * hidden;
  }
  if (scales) {
    round_to_int8_grid(static_cast<float>(scales->layers[layer].context),
                       {work.context.data(), static_cast<size_t>(batch.tokens * hidden)});
  }
  return {};
}

void BertEncoder::Model::classify(std::span<const Encoding> texts, const Batch& batch, const Workspace& work,
                                  std::span<float> logits) const {
  const float* first_token = work.hidden.data();
  std::vector<float> pooled(pooler.bias.size());
  for (const size_t t : batch.texts) {
    pooler.run(first_token, pooled.data());
    for (float& x : pooled) x = std::tanh(x);
    if (scales) round_to_int8_grid(static_cast<float>(scales->pooled), pooled);
    classifier.run(pooled.data(), logits.data() + t * classes());
    first_token += std::ssize(texts[t].ids) * config.hidden_size;
  }
}

void BertEncoder::Model::sum_up(std::span<const Encoding> texts, const Batch& batch, const Workspace& work,
                                std::span<float> sums) const {
  const float* first = work.hidden.data();
  for (const size_t t : batch.texts) {
    const float* const end = first + std::ssize(texts[t].ids) * config.hidden_size;
    sums[t] = std::accumulate(first, end, 0.0F);
    first = end;
  }
}

Status BertEncoder::Model::run(std::span<const Encoding> texts, const Batch& batch, const AttentionSoftmax& softmax,
                               Workspace& work, Output output, std::span<float> out) const {
  const int64_t hidden = config.hidden_size;
  const int64_t rows = internal::round_up_to_blocks(batch.tokens);
  embed_tokens(texts, batch, rows, work);
  for (size_t l = 0; l < layers.size(); ++l) {
    const internal::Layer& layer = layers[l];
    layer.query_key_value.run(work.stream, rows, work.hidden.data(), work.query_key_value.data());
    HCCS_RETURN_IF_ERROR(attend(static_cast<int64_t>(l), texts, batch, softmax, work));
    // Block by block, so that the intermediate layer stays in the cache. The residuals are the kAdd of the layers.
    for (int64_t row = 0; row < rows; row += kLinearBlockRows) {
      float* x = work.hidden.data() + row * hidden;
      layer.attention_output.run(work.stream, kLinearBlockRows, work.context.data() + row * hidden, x);
      layer.attention_norm.run(kLinearBlockRows, x);
      if (scales) {
        round_to_int8_grid(static_cast<float>(scales->layers[l].attention),
                           {x, static_cast<size_t>(kLinearBlockRows * hidden)});
      }
      layer.intermediate.run(work.stream, kLinearBlockRows, x, work.intermediate.data());
      if (scales) round_to_int8_grid(static_cast<float>(scales->layers[l].intermediate), work.intermediate);
      layer.output.run(work.stream, kLinearBlockRows, work.intermediate.data(), x);
      layer.output_norm.run(kLinearBlockRows, x);
      round_hidden(static_cast<int64_t>(l) + 1, kLinearBlockRows, x);
    }
  }
  switch (output) {
    case Output::kNothing:
      sum_up(texts, batch, work, out);
      break;
    case Output::kEmbedding:
      embed(texts, batch, work, out);
      break;
    case Output::kLogits:
      classify(texts, batch, work, out);
      break;
  }
  return {};
}

}  // namespace hccs
