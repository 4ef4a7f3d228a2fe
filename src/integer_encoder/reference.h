// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_INTEGER_ENCODER_REFERENCE_H_
#define HCCS_SRC_INTEGER_ENCODER_REFERENCE_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "integer_encoder/model.h"

namespace hccs::internal {

// Sees the hidden states, [tokens, hidden] at the residual's scale: `layer` 0 is the embeddings' norm, l + 1 layer l.
using HiddenSink = std::function<void(int64_t layer, std::span<const int16_t> hidden)>;

// One text after the last norm: what the heads below begin with.
struct HiddenStates {
  std::vector<int16_t> skip;  // [tokens, hidden]
  std::vector<int8_t> int8;   // [tokens, hidden]
};

// The definition, docs/integer-encoder.md: slow and literal. The model is valid, 1 <= ids.size() <= positions, ids are
// in the vocabulary; tokens from `second_begin` on have type 1. Errors: those of attention_reference (none for a valid
// model).
Expected<HiddenStates> reference_forward(const IntegerModel& model, std::span<const int32_t> ids, int64_t second_begin,
                                         const HiddenSink& sink = {});

// The pooled vector with length 1, [hidden], in units of 2^-15. All 0 for a sum of 0.
std::vector<int16_t> reference_embedding(const IntegerModel& model, const HiddenStates& states);

// What reference_embedding makes of the sums over tokens, [hidden]: out, [hidden].
void reference_unit_vector(std::span<const int32_t> sums, int16_t* out);

// Logits in units of 2^-16, [labels]. The model has a classifier.
std::vector<int32_t> reference_logits(const IntegerModel& model, const HiddenStates& states);

// The same of the pooler's result, [hidden], before its tanh.
std::vector<int32_t> reference_logits_of_pooled(const IntegerModel& model, std::span<const int16_t> pooled);

// ---- Steps, for the quantiser and for tests
// --------------------------------------------------------------------------

// After the embeddings' norm.
HiddenStates reference_embedded_tokens(const IntegerModel& model, std::span<const int32_t> ids, int64_t second_begin);

// Output j of a product: `sum` is that of its weights and inputs, and `shift` is r.
int64_t reference_output(const IntLinear& linear, int64_t sum, size_t j, int shift);

// Appends both outputs of the norm of a row y, |y| <= kMaxSum, [hidden].
void reference_normalise(const IntNorm& norm, std::span<const int32_t> y, HiddenStates* out);

// GELU's codes of the arguments h, [inner], and the further columns of the channels that have some.
std::vector<uint8_t> reference_columns(const IntGelu& gelu, std::span<const int64_t> h);

// z of a row y, |y| <= kMaxSum, [hidden]: (y - mean) / deviation in units of 2^-10.
std::vector<int16_t> reference_standardised(std::span<const int32_t> y, int64_t epsilon);

// GELU of h at the unit 2^-fraction, at the same unit. -32767 <= h <= 32767, fraction 4..13.
int64_t reference_gelu(int64_t h, int fraction);

// tanh of x in units of 1 / kTanhSteps, in units of 1 / 127.
int64_t reference_tanh(int64_t x);

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_REFERENCE_H_
