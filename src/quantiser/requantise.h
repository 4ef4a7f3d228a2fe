// SPDX-License-Identifier: Apache-2.0
//
// From real scales to the multipliers and shifts of an integer model.
#ifndef HCCS_SRC_QUANTISER_REQUANTISE_H_
#define HCCS_SRC_QUANTISER_REQUANTISE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "integer_encoder/model.h"
#include "quantiser/float_bert.h"
#include "quantiser/product_errors.h"
#include "quantiser/round_weights.h"

namespace hccs::internal {

// What an integer is worth.
struct Factor {
  int32_t multiplier = 0;
  int32_t shift = 0;
};

// multiplier * 2^-shift nearest to x > 0, where 2^14 <= multiplier < 2^15; the shift may have any sign.
Factor factor_of(double x);

// The product of one place: inputs whose channel i is worth scales[i] and whose 0 stands for centres[i].
struct ProductInput {
  std::vector<double> scales;
  std::vector<double> centres;
};

// A product's weights and bias in integers, without what makes outputs of its sums.
struct Product {
  IntLinear linear;
  std::shared_ptr<const void> storage;  // of the weights
  std::vector<double> units;            // [out]: what one unit of the sum is worth
  std::vector<double> bias;             // [out]: the real bias, that of the centres included
};

// Rounds the weights of `linear` for these inputs: to the nearest without errors, otherwise so that the product of the
// integer model's inputs, on the texts, comes out as in the float model, as nearly as GPTQ can. Throws dnnl::error.
Product make_product(const FloatLinear& linear, const ProductInput& input, const ProductErrors* errors, int threads);

// Outputs at int8: round((sum * unit + bias - centre) / scale). scale[j] >= smallest_scale(units[j]).
double smallest_int8_scale(double unit);
void finish_int8(Product* product, std::span<const double> scales, std::span<const double> centres);

// int16 outputs in units of `scale`, which is at least each of the product's units.
void finish_int16(Product* product, double scale);

// Outputs on the sum's grid, in units of `scale`; magnitudes[j] is the greatest |output| of the texts.
void finish_residual(Product* product, double scale, std::span<const double> magnitudes);

// The same without a headroom: the sum is not shifted.
void finish_logits(Product* product, double scale);

// round((z / 1024 * gamma[j] + beta[j] - centres[j]) / scales[j]).
IntAffine make_affine(const FloatNorm& norm, std::span<const double> scales, std::span<const double> centres);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_REQUANTISE_H_
