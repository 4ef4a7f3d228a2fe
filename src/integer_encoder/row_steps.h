// SPDX-License-Identifier: Apache-2.0
//
// The steps of PlainEncoder on rows. Signed inputs of products are kept + 128, so that every product is of unsigned
// with signed bytes, and 128 times the sum of the weights is taken from the bias. All of it is exact: the widths are
// those of docs/integer-encoder.md.
#ifndef HCCS_SRC_INTEGER_ENCODER_ROW_STEPS_H_
#define HCCS_SRC_INTEGER_ENCODER_ROW_STEPS_H_

#include <cstdint>
#include <span>

#include "integer_encoder/model.h"

namespace hccs::internal {

// sums[r][j] = sum_i x[r][i] * weights[j][i]; x: [rows, in], weights: [out, in].
void multiply_unsigned(const uint8_t* x, int64_t rows, int64_t in, const int8_t* weights, int64_t out, int32_t* sums);

// sums[i] = x . rows[i]; rows: [count, in], `stride` elements apart.
void multiply_signed(const int8_t* x, const int8_t* rows, int64_t stride, int64_t count, int64_t in, int32_t* sums);

// Of one row of sums, with this bias in place of the linear's.
void requantise_to_int8(const IntLinear& linear, std::span<const int32_t> bias, const int32_t* sums, int8_t* out);
void add_to_residual(const IntLinear& linear, std::span<const int32_t> bias, const int32_t* sums, const int16_t* skip,
                     int skip_shift, int32_t* y);
// columns: [linear.out and the splits'].
void activate(const IntLinear& linear, std::span<const int32_t> bias, const IntGelu& gelu, const int32_t* sums,
              uint8_t* columns);

// z of y, [hidden].
void standardise(std::span<const int32_t> y, int64_t epsilon, int16_t* z);
// The norm's outputs; `x` is the int8 one + 128.
void scale_norm(const IntNorm& norm, std::span<const int16_t> z, uint8_t* x, int16_t* skip);

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_ROW_STEPS_H_
