// SPDX-License-Identifier: Apache-2.0
#include "quantiser/integer_rows.h"

#include <algorithm>
#include <cmath>

#include "hccs/attention.h"
#include "quantiser/products.h"

namespace hccs::internal {
namespace {

// Inputs whose products a float adds up exactly: 512 * 127 * 255 < 2^24.
constexpr int64_t kExactInputs = 512;

// Of the weights and x, [rows, linear.in]: [rows, linear.out].
std::vector<int64_t> sums_of_products(const IntLinear& linear, std::span<const float> x) {
  const int64_t rows = std::ssize(x) / linear.in;
  const std::vector<float> weights(linear.weights.begin(), linear.weights.end());
  std::vector<int64_t> sums(static_cast<size_t>(rows * linear.out));
  std::vector<float> part(sums.size());
  for (int64_t begin = 0; begin < linear.in; begin += kExactInputs) {
    multiply_transposed(rows, linear.out, std::min(kExactInputs, linear.in - begin), x.data() + begin, linear.in,
                        weights.data() + begin, linear.in, part.data(), linear.out);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += std::llrint(part[i]);
  }
  return sums;
}

Status attend(const IntegerModel& model, const IntLayer& layer, const AttentionPlan& plan, std::span<const int8_t> qkv,
              int64_t tokens, int8_t* out) {
  const int64_t dimension = model.head_dimension();
  const int64_t pitch = 3 * model.hidden;
  AttentionBatch batch;
  batch.shape = {.texts = 1,
                 .query_heads = model.heads,
                 .key_heads = model.heads,
                 .queries = tokens,
                 .keys = tokens,
                 .head_dimension = dimension,
                 .value_dimension = dimension};
  batch.queries = {qkv.data(), 0, dimension, pitch};
  batch.keys = {qkv.data() + model.hidden, 0, dimension, pitch};
  batch.values = {qkv.data() + 2 * model.hidden, 0, dimension, pitch};
  batch.out = {out, 0, dimension, model.hidden};
  batch.with_rescales(layer.rescale);
  return plan.run(batch);
}

}  // namespace

std::vector<int8_t> integer_query_key_value(const IntLinear& linear, std::span<const int8_t> x) {
  const std::vector<int64_t> sums = sums_of_products(linear, std::vector<float>(x.begin(), x.end()));
  std::vector<int8_t> qkv;
  qkv.reserve(sums.size());
  for (size_t i = 0; i < sums.size(); ++i) {
    const int64_t v = reference_output(linear, sums[i], i % static_cast<size_t>(linear.out), kInt8Shift);
    qkv.push_back(static_cast<int8_t>(std::clamp<int64_t>(v, -127, 127)));
  }
  return qkv;
}

Expected<std::vector<int8_t>> integer_context(const IntegerModel& model, const IntLayer& layer,
                                              std::span<const Encoding> texts, std::span<const int8_t> x) {
  const IntLinear& linear = layer.query_key_value;
  const std::vector<int8_t> qkv = integer_query_key_value(linear, x);
  HCCS_ASSIGN_OR_RETURN(const AttentionPlan plan, AttentionPlan::hccs(layer.heads, model.weights));
  std::vector<int8_t> out(x.size());
  int64_t row = 0;
  for (const Encoding& text : texts) {
    HCCS_RETURN_IF_ERROR(attend(model, layer, plan, std::span(qkv).subspan(static_cast<size_t>(row * linear.out)),
                                std::ssize(text.ids), out.data() + row * model.hidden));
    row += std::ssize(text.ids);
  }
  return out;
}

HiddenStates integer_sum(const IntLinear& linear, std::span<const float> x, std::span<const int16_t> skip,
                         int skip_shift, const IntNorm& norm) {
  const std::vector<int64_t> sums = sums_of_products(linear, x);
  const auto hidden = static_cast<size_t>(linear.out);
  HiddenStates states;
  std::vector<int32_t> y(hidden);
  for (size_t row = 0; row < skip.size(); row += hidden) {
    for (size_t j = 0; j < hidden; ++j) {
      const int64_t product = reference_output(linear, sums[row + j], j, linear.out_shift[j]);
      const int64_t sum = (int64_t{skip[row + j]} << skip_shift) + product;
      y[j] = static_cast<int32_t>(std::clamp<int64_t>(sum, -kMaxSum, kMaxSum));
    }
    reference_normalise(norm, y, &states);
  }
  return states;
}

std::vector<uint8_t> integer_columns(const IntLayer& layer, std::span<const float> x) {
  const IntLinear& linear = layer.intermediate;
  const std::vector<int64_t> sums = sums_of_products(linear, x);
  const auto inner = static_cast<size_t>(linear.out);
  std::vector<uint8_t> columns;
  std::vector<int64_t> h(inner);
  for (size_t row = 0; row < sums.size(); row += inner) {
    for (size_t j = 0; j < inner; ++j) h[j] = reference_output(linear, sums[row + j], j, kGeluShift);
    const std::vector<uint8_t> codes = reference_columns(layer.gelu, h);
    columns.insert(columns.end(), codes.begin(), codes.end());
  }
  return columns;
}

}  // namespace hccs::internal
