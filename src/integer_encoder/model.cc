// SPDX-License-Identifier: Apache-2.0
#include "integer_encoder/model.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "integer_encoder/arrays.h"

namespace hccs::internal {
namespace {

Status bad(const std::string& message) { return {StatusCode::kBadData, message}; }

Status check_range(const std::string& what, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return bad(fmt::format("{} is {}, but it is within {}..{}", what, value, low, high));
}

// Every element within low..high.
template <class Array>
Status check_elements(const std::string& name, const Array& array, int64_t low, int64_t high) {
  const auto outside = std::find_if(array.begin(), array.end(), [&](int64_t v) { return v < low || v > high; });
  if (outside == array.end()) return {};
  return check_range(fmt::format("{}[{}]", name, outside - array.begin()), *outside, low, high);
}

// The same of bytes within -127..127, of which a model has millions: -128 is all that is not.
Status check_bytes(const std::string& name, std::span<const int8_t> bytes) {
  const auto* outside = bytes.empty() ? nullptr : std::memchr(bytes.data(), 0x80, bytes.size());
  if (outside == nullptr) return {};
  return check_range(fmt::format("{}[{}]", name, static_cast<const int8_t*>(outside) - bytes.data()), -128, -127, 127);
}

Status check_linear(const std::string& name, const IntLinear& linear, bool residual) {
  HCCS_RETURN_IF_ERROR(check_bytes(name + ".weights", linear.weights));
  HCCS_RETURN_IF_ERROR(check_elements(name + ".bias", linear.bias, -kMaxBias, kMaxBias));
  HCCS_RETURN_IF_ERROR(check_elements(name + ".shift", linear.shift, 0, 24));
  HCCS_RETURN_IF_ERROR(check_elements(name + ".multiplier", linear.multiplier, 1 << 14, 32767));
  return residual ? check_elements(name + ".out_shift", linear.out_shift, 0, 30) : Status();
}

Status check_affine(const std::string& name, const IntAffine& affine) {
  HCCS_RETURN_IF_ERROR(check_elements(name + ".scale", affine.scale, -32767, 32767));
  HCCS_RETURN_IF_ERROR(check_elements(name + ".bias", affine.bias, -kMaxNormBias, kMaxNormBias));
  return check_range(name + ".shift", affine.shift, 1, 24);
}

Status check_norm(const std::string& name, const IntNorm& norm) {
  HCCS_RETURN_IF_ERROR(check_range(name + ".epsilon", norm.epsilon, 16, kMaxEpsilon));
  HCCS_RETURN_IF_ERROR(check_affine(name + ".int8", norm.int8));
  return check_affine(name + ".skip", norm.skip);
}

Status check_gelu(const std::string& name, const IntGelu& gelu, int64_t inner, int64_t inputs) {
  HCCS_RETURN_IF_ERROR(check_range(name + ".fraction", gelu.fraction, 4, 13));
  HCCS_RETURN_IF_ERROR(check_range(name + ".multiplier", gelu.multiplier, 1, 32767));
  HCCS_RETURN_IF_ERROR(check_range(name + ".zero", gelu.zero, 0, 255));
  HCCS_RETURN_IF_ERROR(check_range(name + ".splits", std::ssize(gelu.splits), 0, 127));
  HCCS_RETURN_IF_ERROR(check_elements(name + ".splits", gelu.splits, 1, inner));
  if (!std::is_sorted(gelu.splits.rbegin(), gelu.splits.rend())) {
    return bad(fmt::format("{}.splits rise, but each level has at most as many channels as the one before", name));
  }
  const int64_t columns = std::accumulate(gelu.splits.begin(), gelu.splits.end(), inner);
  if (columns == inputs) return {};
  return bad(fmt::format("{} makes {} columns, but the product after it has {} inputs", name, columns, inputs));
}

Status check_layer(const std::string& name, const IntLayer& layer, const IntegerModel& model) {
  HCCS_RETURN_IF_ERROR(check_linear(name + ".query_key_value", layer.query_key_value, false));
  HCCS_RETURN_IF_ERROR(check_linear(name + ".attention_output", layer.attention_output, true));
  HCCS_RETURN_IF_ERROR(check_linear(name + ".intermediate", layer.intermediate, false));
  HCCS_RETURN_IF_ERROR(check_linear(name + ".output", layer.output, true));
  HCCS_RETURN_IF_ERROR(check_norm(name + ".attention_norm", layer.attention_norm));
  HCCS_RETURN_IF_ERROR(check_norm(name + ".output_norm", layer.output_norm));
  HCCS_RETURN_IF_ERROR(check_gelu(name + ".gelu", layer.gelu, model.inner, layer.output.in));
  HCCS_RETURN_IF_ERROR(check_range(name + ".attention_skip", layer.attention_skip, 0, kMaxSkipShift));
  HCCS_RETURN_IF_ERROR(check_range(name + ".output_skip", layer.output_skip, 0, kMaxSkipShift));
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    const std::string head = fmt::format("{}, head {}", name, h);
    for (const Status& status : {validate(layer.heads[h], head), validate(layer.rescale[h])}) {
      if (!status.ok()) return bad(fmt::format("{}: {}", head, status.message()));
    }
  }
  return {};
}

}  // namespace

Status check_sizes(const IntegerModel& model) {
  HCCS_RETURN_IF_ERROR(check_range("hidden", model.hidden, 1, kMaxHidden));
  HCCS_RETURN_IF_ERROR(check_range("heads", model.heads, 1, model.hidden));
  if (model.hidden % model.heads != 0) {
    return bad(fmt::format("hidden is {}, but it is a multiple of the {} heads", model.hidden, model.heads));
  }
  HCCS_RETURN_IF_ERROR(check_range("inner", model.inner, 1, kMaxInner));
  HCCS_RETURN_IF_ERROR(check_range("vocabulary", model.vocabulary, 1, int64_t{1} << 24));
  HCCS_RETURN_IF_ERROR(check_range("positions", model.positions, 2, kMaxRowLength));
  // The squares of a pooled sum add up to less than 2^63.
  HCCS_RETURN_IF_ERROR(
      check_range("positions^2 * hidden", model.positions * model.positions * model.hidden, 1, int64_t{1} << 33));
  HCCS_RETURN_IF_ERROR(check_range("types", model.types, 1, 2));
  HCCS_RETURN_IF_ERROR(check_range("layers", std::ssize(model.layers), 1, 1000));
  HCCS_RETURN_IF_ERROR(check_range("max_length", model.max_length, 2, model.positions));
  HCCS_RETURN_IF_ERROR(check_range("classifier_max_length", model.classifier_max_length, 2, model.positions));
  HCCS_RETURN_IF_ERROR(check_range("prompt_tokens", model.prompt_tokens, 0, model.positions));
  for (const IntLayer& layer : model.layers) {
    HCCS_RETURN_IF_ERROR(check_range("the inputs of a layer's output", layer.output.in, model.inner, kMaxInner));
  }
  return model.classifier ? check_range("labels", std::ssize(model.classifier->labels), 1, 1 << 20) : Status();
}

Status validate(const IntegerModel& model) {
  HCCS_RETURN_IF_ERROR(check_sizes(model));
  HCCS_RETURN_IF_ERROR(check_bytes("embeddings.words", model.words));
  HCCS_RETURN_IF_ERROR(check_elements("embeddings.word_multipliers", model.word_multipliers, 0, 32767));
  HCCS_RETURN_IF_ERROR(check_elements("embeddings.positions", model.position_rows, -32767, 32767));
  HCCS_RETURN_IF_ERROR(check_range("embeddings.word_shift", model.word_shift, 0, 24));
  HCCS_RETURN_IF_ERROR(check_norm("embeddings.norm", model.embedding_norm));
  for (size_t l = 0; l < model.layers.size(); ++l) {
    HCCS_RETURN_IF_ERROR(check_layer(fmt::format("layer.{}", l), model.layers[l], model));
  }
  if (!model.classifier) return {};
  HCCS_RETURN_IF_ERROR(check_linear("classifier.pooler", model.classifier->pooler, false));
  return check_linear("classifier.logits", model.classifier->logits, true);
}

}  // namespace hccs::internal
