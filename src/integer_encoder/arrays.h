// SPDX-License-Identifier: Apache-2.0
//
// The arrays of a model, one after another, with their names in a file and their shapes: what writing, reading and
// checking have in common.
#ifndef HCCS_SRC_INTEGER_ENCODER_ARRAYS_H_
#define HCCS_SRC_INTEGER_ENCODER_ARRAYS_H_

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <vector>

#include "integer_encoder/model.h"

namespace hccs::internal {

using Shape = std::vector<int64_t>;

template <class Linear, class Visit>
Status visit_linear(const std::string& name, Linear& linear, bool residual, Visit& visit) {
  HCCS_RETURN_IF_ERROR(visit(name + ".weights", linear.weights, Shape{linear.out, linear.in}));
  HCCS_RETURN_IF_ERROR(visit(name + ".bias", linear.bias, Shape{linear.out}));
  HCCS_RETURN_IF_ERROR(visit(name + ".shift", linear.shift, Shape{linear.out}));
  HCCS_RETURN_IF_ERROR(visit(name + ".multiplier", linear.multiplier, Shape{linear.out}));
  if (residual) HCCS_RETURN_IF_ERROR(visit(name + ".out_shift", linear.out_shift, Shape{linear.out}));
  return {};
}

template <class Norm, class Visit>
Status visit_norm(const std::string& name, Norm& norm, int64_t hidden, Visit& visit) {
  HCCS_RETURN_IF_ERROR(visit(name + ".int8.scale", norm.int8.scale, Shape{hidden}));
  HCCS_RETURN_IF_ERROR(visit(name + ".int8.bias", norm.int8.bias, Shape{hidden}));
  HCCS_RETURN_IF_ERROR(visit(name + ".skip.scale", norm.skip.scale, Shape{hidden}));
  HCCS_RETURN_IF_ERROR(visit(name + ".skip.bias", norm.skip.bias, Shape{hidden}));
  return {};
}

// Calls visit(name, array, shape) for each array of the model, whose sizes are set. `array` is a vector or a span. Ends
// at the first error and returns it.
template <class Model, class Visit>
Status visit_arrays(Model& model, Visit visit) {
  const int64_t hidden = model.hidden;
  HCCS_RETURN_IF_ERROR(visit("embeddings.words", model.words, Shape{model.vocabulary, hidden}));
  HCCS_RETURN_IF_ERROR(visit("embeddings.word_multipliers", model.word_multipliers, Shape{model.vocabulary}));
  HCCS_RETURN_IF_ERROR(visit("embeddings.positions", model.position_rows, Shape{model.types, model.positions, hidden}));
  HCCS_RETURN_IF_ERROR(visit_norm("embeddings.norm", model.embedding_norm, hidden, visit));
  for (size_t l = 0; l < model.layers.size(); ++l) {
    auto& layer = model.layers[l];
    const std::string name = fmt::format("layer.{}.", l);
    HCCS_RETURN_IF_ERROR(visit_linear(name + "query_key_value", layer.query_key_value, false, visit));
    HCCS_RETURN_IF_ERROR(visit_linear(name + "attention_output", layer.attention_output, true, visit));
    HCCS_RETURN_IF_ERROR(visit_norm(name + "attention_norm", layer.attention_norm, hidden, visit));
    HCCS_RETURN_IF_ERROR(visit_linear(name + "intermediate", layer.intermediate, false, visit));
    HCCS_RETURN_IF_ERROR(visit_linear(name + "output", layer.output, true, visit));
    HCCS_RETURN_IF_ERROR(visit_norm(name + "output_norm", layer.output_norm, hidden, visit));
  }
  if (model.classifier) {
    HCCS_RETURN_IF_ERROR(visit_linear("classifier.pooler", model.classifier->pooler, false, visit));
    HCCS_RETURN_IF_ERROR(visit_linear("classifier.logits", model.classifier->logits, true, visit));
  }
  return {};
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_ARRAYS_H_
