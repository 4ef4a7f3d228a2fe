// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's definition as code, section by section of docs/integer-encoder.md. Everything is an integer.
#include "integer_encoder/reference.h"

#include <algorithm>
#include <array>
#include <limits>

#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"

namespace hccs::internal {
namespace {

// The smallest |x| in units of 1 / kTanhSteps with round(127 * tanh(x)) >= k, for k = 1..127.
constexpr std::array<int16_t, 127> kTanhThresholds = {
    2,   4,   6,   8,   10,  12,  14,  16,  18,  20,  22,  24,  26,  28,  30,  32,  34,  36,  38,  40,  42,  44,
    46,  48,  51,  53,  55,  57,  59,  61,  63,  65,  68,  70,  72,  74,  76,  78,  81,  83,  85,  87,  90,  92,
    94,  96,  99,  101, 103, 106, 108, 111, 113, 116, 118, 120, 123, 125, 128, 131, 133, 136, 138, 141, 144, 147,
    149, 152, 155, 158, 161, 164, 167, 170, 173, 176, 179, 182, 185, 189, 192, 195, 199, 202, 206, 210, 213, 217,
    221, 225, 229, 233, 237, 242, 246, 251, 255, 260, 265, 270, 276, 281, 287, 293, 299, 305, 312, 319, 326, 334,
    342, 350, 359, 369, 380, 391, 403, 416, 431, 448, 466, 488, 514, 547, 591, 657, 798};

constexpr int64_t kInt8Max = 127;
constexpr int64_t kInt16Max = 32767;

int64_t clamp(int64_t x, int64_t limit) { return std::clamp(x, -limit, limit); }

// round_half_up(a * b / 2^15).
int64_t multiply_q15(int64_t a, int64_t b) { return rounded_shift(a * b, 15); }

template <class Input>
int64_t sum_of_products(const IntLinear& linear, std::span<const Input> x, size_t j) {
  int64_t sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += int64_t{x[i]} * linear.weights[j * x.size() + i];
  return sum;
}

template <class Input>
std::vector<int64_t> apply(const IntLinear& linear, std::span<const Input> x, int shift) {
  std::vector<int64_t> out;
  for (size_t j = 0; j < linear.bias.size(); ++j) {
    out.push_back(reference_output(linear, sum_of_products(linear, x, j), j, shift));
  }
  return out;
}

// y = skip * 2^k + the product, on the sum's grid.
template <class Input>
std::vector<int32_t> add_to_residual(const IntLinear& linear, std::span<const Input> x, std::span<const int16_t> skip,
                                     int skip_shift) {
  std::vector<int32_t> sum;
  for (size_t j = 0; j < linear.bias.size(); ++j) {
    const int64_t product = reference_output(linear, sum_of_products(linear, x, j), j, linear.out_shift[j]);
    sum.push_back(static_cast<int32_t>(clamp((int64_t{skip[j]} << skip_shift) + product, kMaxSum)));
  }
  return sum;
}

int64_t apply(const IntAffine& affine, int64_t z, size_t j, int64_t limit) {
  return clamp(rounded_shift(z * affine.scale[j] + affine.bias[j], affine.shift), limit);
}

// q, k and v of all heads, then the heads' outputs: [tokens, hidden], at the values' scales.
Expected<std::vector<int8_t>> attend(const IntegerModel& model, const IntLayer& layer, std::span<const int8_t> x) {
  const auto hidden = static_cast<size_t>(model.hidden);
  const auto dimension = static_cast<size_t>(model.head_dimension());
  const size_t tokens = x.size() / hidden;
  // [3 * heads][tokens, head dimension]
  std::vector<std::vector<int8_t>> parts(3 * layer.heads.size());
  for (size_t t = 0; t < tokens; ++t) {
    const std::vector<int64_t> row = apply(layer.query_key_value, x.subspan(t * hidden, hidden), kInt8Shift);
    for (size_t j = 0; j < row.size(); ++j) {
      parts[j / dimension].push_back(static_cast<int8_t>(clamp(row[j], kInt8Max)));
    }
  }
  std::vector<int8_t> out(tokens * hidden);
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    const std::span<const int8_t> queries = parts[h];
    for (size_t t = 0; t < tokens; ++t) {
      HCCS_RETURN_IF_ERROR(
          attention_reference(layer.heads[h], layer.rescale[h], queries.subspan(t * dimension, dimension),
                              parts[layer.heads.size() + h], parts[2 * layer.heads.size() + h], {},
                              std::span(out).subspan(t * hidden + h * dimension, dimension), model.weights));
    }
  }
  return out;
}

}  // namespace

int64_t reference_output(const IntLinear& linear, int64_t sum, size_t j, int shift) {
  const int64_t a = std::clamp(rounded_shift(sum + linear.bias[j], linear.shift[j]), -kInt16Max - 1, kInt16Max);
  return rounded_shift(a * linear.multiplier[j], shift);
}

void reference_normalise(const IntNorm& norm, std::span<const int32_t> y, HiddenStates* out) {
  const std::vector<int16_t> z = reference_standardised(y, norm.epsilon);
  for (size_t j = 0; j < z.size(); ++j) {
    out->int8.push_back(static_cast<int8_t>(apply(norm.int8, z[j], j, kInt8Max)));
    out->skip.push_back(static_cast<int16_t>(apply(norm.skip, z[j], j, kInt16Max)));
  }
}

HiddenStates reference_embedded_tokens(const IntegerModel& model, std::span<const int32_t> ids, int64_t second_begin) {
  HiddenStates states;
  const auto hidden = static_cast<size_t>(model.hidden);
  for (size_t p = 0; p < ids.size(); ++p) {
    const int64_t type = model.types > 1 && static_cast<int64_t>(p) >= second_begin ? 1 : 0;
    const size_t position = static_cast<size_t>(type * model.positions) + p;
    const auto id = static_cast<size_t>(ids[p]);
    std::vector<int32_t> y;
    for (size_t j = 0; j < hidden; ++j) {
      const int64_t word =
          rounded_shift(int64_t{model.words[id * hidden + j]} * model.word_multipliers[id], model.word_shift);
      const int64_t place = int64_t{model.position_rows[position * hidden + j]} * 4;
      y.push_back(static_cast<int32_t>(clamp(word + place, kMaxSum)));
    }
    reference_normalise(model.embedding_norm, y, &states);
  }
  return states;
}

std::vector<uint8_t> reference_columns(const IntGelu& gelu, std::span<const int64_t> h) {
  std::vector<int64_t> codes;
  for (const int64_t v : h) {
    codes.push_back(multiply_q15(reference_gelu(clamp(v, kInt16Max), gelu.fraction), gelu.multiplier) + gelu.zero);
  }
  std::vector<uint8_t> columns;
  columns.reserve(codes.size());
  for (const int64_t code : codes) columns.push_back(static_cast<uint8_t>(std::clamp<int64_t>(code, 0, 255)));
  int64_t carried = 0;
  for (const int32_t channels : gelu.splits) {
    carried += 255;
    for (int32_t c = 0; c < channels; ++c) {
      columns.push_back(static_cast<uint8_t>(std::clamp<int64_t>(codes[static_cast<size_t>(c)] - carried, 0, 255)));
    }
  }
  return columns;
}

std::vector<int16_t> reference_standardised(std::span<const int32_t> y, int64_t epsilon) {
  const auto n = static_cast<int64_t>(y.size());
  int64_t sum = 0;
  for (const int32_t v : y) sum += v;
  const int64_t mean = rounded_divide(sum, n);
  int64_t squares = 0;
  for (const int32_t v : y) squares += (v - mean) * (v - mean);
  const ReciprocalRoot root = reciprocal_root(16 * squares / n + epsilon);
  std::vector<int16_t> z;
  for (const int32_t v : y) {
    z.push_back(static_cast<int16_t>(clamp(rounded_shift((v - mean) * root.multiplier, root.shift), kInt16Max)));
  }
  return z;
}

int64_t reference_gelu(int64_t h, int fraction) {
  // x is |h| / 4 in units of 2^-15, below 1. What GELU takes from max(h, 0) is r = 2 * x * (2 * Phi(-4 x)), and the
  // polynomial's eighth power is 2 * Phi(-4 x).
  const int64_t magnitude = std::min(std::abs(h), (int64_t{4} << fraction) - 1);
  const int64_t x = magnitude << (13 - fraction);
  int64_t p = kGeluCoefficients[3];
  for (const int i : {2, 1, 0}) p = multiply_q15(p, x) + kGeluCoefficients[i];
  for (int i = 0; i < 3; ++i) p = multiply_q15(p, p);
  const int64_t r = multiply_q15(p, x);  // in units of 2^-14
  return std::max<int64_t>(h, 0) - rounded_shift(r, 14 - fraction);
}

int64_t reference_tanh(int64_t x) {
  const auto reached = std::upper_bound(kTanhThresholds.begin(), kTanhThresholds.end(), std::abs(x));
  const int64_t magnitude = reached - kTanhThresholds.begin();
  return x < 0 ? -magnitude : magnitude;
}

Expected<HiddenStates> reference_forward(const IntegerModel& model, std::span<const int32_t> ids, int64_t second_begin,
                                         const HiddenSink& sink) {
  const auto hidden = static_cast<size_t>(model.hidden);
  HiddenStates states = reference_embedded_tokens(model, ids, second_begin);
  if (sink) sink(0, states.skip);
  for (size_t l = 0; l < model.layers.size(); ++l) {
    const IntLayer& layer = model.layers[l];
    HCCS_ASSIGN_OR_RETURN(const std::vector<int8_t> context, attend(model, layer, states.int8));
    HiddenStates next;
    for (size_t t = 0; t < ids.size(); ++t) {
      const std::span<const int16_t> skip(&states.skip[t * hidden], hidden);
      HiddenStates middle;
      const std::span<const int8_t> o(&context[t * hidden], hidden);
      reference_normalise(layer.attention_norm, add_to_residual(layer.attention_output, o, skip, layer.attention_skip),
                          &middle);
      const std::vector<int64_t> h = apply(layer.intermediate, std::span<const int8_t>(middle.int8), kGeluShift);
      const std::vector<uint8_t> g = reference_columns(layer.gelu, h);
      reference_normalise(layer.output_norm,
                          add_to_residual(layer.output, std::span<const uint8_t>(g), middle.skip, layer.output_skip),
                          &next);
    }
    states = std::move(next);
    if (sink) sink(static_cast<int64_t>(l) + 1, states.skip);
  }
  return states;
}

void reference_unit_vector(std::span<const int32_t> sums, int16_t* out) {
  int64_t squares = 0;
  for (const int64_t sum : sums) squares += sum * sum;
  const int64_t length = std::max<int64_t>(integer_sqrt(squares), 1);
  for (const int64_t sum : sums) *out++ = static_cast<int16_t>(clamp(rounded_divide(sum * 32768, length), kInt16Max));
}

std::vector<int16_t> reference_embedding(const IntegerModel& model, const HiddenStates& states) {
  const auto hidden = static_cast<size_t>(model.hidden);
  const size_t tokens = states.skip.size() / hidden;
  size_t first = 0;
  size_t end = 1;
  if (model.pooling == IntPooling::kMean) {
    first = std::min(static_cast<size_t>(model.prompt_tokens), tokens - 1);
    end = tokens;
  }
  std::vector<int32_t> sums(hidden);  // below 2^31
  for (size_t t = first; t < end; ++t) {
    for (size_t j = 0; j < hidden; ++j) sums[j] += states.skip[t * hidden + j];
  }
  std::vector<int16_t> embedding(hidden);
  reference_unit_vector(sums, embedding.data());
  return embedding;
}

std::vector<int32_t> reference_logits(const IntegerModel& model, const HiddenStates& states) {
  const std::span<const int8_t> first(states.int8.data(), static_cast<size_t>(model.hidden));
  std::vector<int16_t> pooled;
  for (const int64_t x : apply(model.classifier->pooler, first, kGeluShift)) {
    pooled.push_back(static_cast<int16_t>(clamp(x, kInt16Max)));
  }
  return reference_logits_of_pooled(model, pooled);
}

std::vector<int32_t> reference_logits_of_pooled(const IntegerModel& model, std::span<const int16_t> pooled) {
  const IntLinear& linear = model.classifier->logits;
  std::vector<int64_t> y;
  y.reserve(pooled.size());
  for (const int16_t x : pooled) y.push_back(reference_tanh(x));
  std::vector<int32_t> logits;
  for (size_t j = 0; j < linear.bias.size(); ++j) {
    int64_t sum = linear.bias[j];
    for (size_t i = 0; i < y.size(); ++i) sum += y[i] * linear.weights[j * y.size() + i];
    const int64_t logit = rounded_shift(sum * linear.multiplier[j], linear.out_shift[j]);
    logits.push_back(static_cast<int32_t>(clamp(logit, std::numeric_limits<int32_t>::max())));
  }
  return logits;
}

}  // namespace hccs::internal
