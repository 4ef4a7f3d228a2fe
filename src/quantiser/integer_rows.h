// SPDX-License-Identifier: Apache-2.0
//
// The steps of an integer model on many rows at once: the definition's (integer_encoder/reference.h), bit for bit, with
// products by oneDNN in floating point, where every sum is exact.
#ifndef HCCS_SRC_QUANTISER_INTEGER_ROWS_H_
#define HCCS_SRC_QUANTISER_INTEGER_ROWS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "hccs/status.h"
#include "hccs/tokenizer.h"
#include "integer_encoder/model.h"
#include "integer_encoder/reference.h"

namespace hccs::internal {

// q, k and v of x, [tokens, 3 * hidden].
std::vector<int8_t> integer_query_key_value(const IntLinear& linear, std::span<const int8_t> x);

// The context of all heads, [tokens, hidden]. x is the last norm's int8 output for the texts' tokens, [tokens, hidden].
// Errors: those of attention. Throws dnnl::error.
Expected<std::vector<int8_t>> integer_context(const IntegerModel& model, const IntLayer& layer,
                                              std::span<const Encoding> texts, std::span<const int8_t> x);

// Both outputs of the norm of what the product of x, [rows, linear.in], and the residual, [rows, hidden], add up to.
HiddenStates integer_sum(const IntLinear& linear, std::span<const float> x, std::span<const int16_t> skip,
                         int skip_shift, const IntNorm& norm);

// GELU's columns, [rows, layer.output.in], of the feed-forward layers' inputs, [rows, hidden].
std::vector<uint8_t> integer_columns(const IntLayer& layer, std::span<const float> x);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_INTEGER_ROWS_H_
