// SPDX-License-Identifier: Apache-2.0
#include "quantiser/requantise.h"

#include <algorithm>
#include <cmath>

#include "quantiser/parallel.h"

namespace hccs::internal {
namespace {

constexpr int kLargestShift = 24;
// Of the mean moment: as in GPTQ's paper, and what keeps the corrections of weights from following the texts' noise.
constexpr double kRoundingDamping = 0.01;
constexpr double kCorrectionDamping = 1;
// What a channel's product may grow to beyond the texts' before a, of 16 bits, saturates.
constexpr double kResidualHeadroom = 8;

int32_t rounded(double x, double limit) { return static_cast<int32_t>(std::nearbyint(std::clamp(x, -limit, limit))); }

// The bias in the sum's units, less what the inputs' zero adds.
void set_bias(Product* product, std::span<const double> centres) {
  IntLinear& linear = product->linear;
  linear.bias.clear();
  for (size_t j = 0; j < product->units.size(); ++j) {
    linear.bias.push_back(rounded((product->bias[j] - centres[j]) / product->units[j], kMaxBias));
  }
}

// The bias becomes the mean of the product in the float model...
void add_mean_errors(const ProductErrors& errors, std::span<const double> weights, std::vector<double>* bias) {
  const auto in = static_cast<size_t>(errors.in);
  const auto rows = static_cast<double>(errors.rows);
  for (size_t j = 0; j < bias->size(); ++j) {
    double& mean = (*bias)[j];
    for (size_t i = 0; i < in; ++i) mean += weights[j * in + i] * (errors.sums[i] + errors.error_sums[i]) / rows;
    if (errors.out > 0) mean += errors.residual_sums[j] / rows;
  }
}

// ... and then a bias again, for rounded weights.
void take_products_of_means(const ProductErrors& errors, const RoundedWeights& rounded, std::vector<double>* bias) {
  const auto in = static_cast<size_t>(errors.in);
  for (size_t j = 0; j < bias->size(); ++j) {
    double product = 0;
    for (size_t i = 0; i < in; ++i) product += rounded.integers[j * in + i] * errors.sums[i];
    (*bias)[j] -= rounded.scales[j] * product / static_cast<double>(errors.rows);
  }
}

}  // namespace

Factor factor_of(double x) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);  // 0.5..1
  auto multiplier = static_cast<int32_t>(std::nearbyint(std::ldexp(fraction, 15)));
  if (multiplier == 1 << 15) {
    multiplier = 1 << 14;
    ++exponent;
  }
  return {multiplier, 15 - exponent};
}

Product make_product(const FloatLinear& linear, const ProductInput& input, const ProductErrors* errors, int threads) {
  const auto in = static_cast<size_t>(linear.in);
  std::vector<double> weights(linear.weights.size());
  Product product;
  for (size_t j = 0; j < linear.bias.size(); ++j) {
    double bias = linear.bias[j];
    for (size_t i = 0; i < in; ++i) {
      const double w = linear.weights[j * in + i];
      weights[j * in + i] = w * input.scales[i];
      bias += w * input.centres[i];
    }
    product.bias.push_back(bias);
  }
  std::vector<double> factor;
  if (errors != nullptr) {
    add_mean_errors(*errors, weights, &product.bias);
    const std::vector<double> covariance = errors->covariance();
    std::vector<double> correction;
    parallel_for(threads, 2, [&](size_t i) {
      (i == 0 ? factor : correction) =
          inverse_factor(covariance, linear.in, i == 0 ? kRoundingDamping : kCorrectionDamping);
    });
    add_correction(errors->missing(weights), correction, &weights);
  }
  RoundedWeights rounded = round_weights(weights, linear.in, factor, threads);
  if (errors != nullptr) take_products_of_means(*errors, rounded, &product.bias);
  product.linear = {.in = linear.in, .out = linear.out};
  auto owned = std::make_shared<const std::vector<int8_t>>(std::move(rounded.integers));
  product.linear.weights = *owned;
  product.storage = owned;
  product.units = std::move(rounded.scales);
  return product;
}

// The shift of a sum is 0 or more: the multiplier at most 2^15 - 1.
double smallest_int8_scale(double unit) { return unit * std::ldexp(1.001, kInt8Shift - 15); }

void finish_int8(Product* product, std::span<const double> scales, std::span<const double> centres) {
  set_bias(product, centres);
  for (size_t j = 0; j < scales.size(); ++j) {
    const Factor factor = factor_of(product->units[j] / scales[j]);
    product->linear.multiplier.push_back(static_cast<int16_t>(factor.multiplier));
    product->linear.shift.push_back(static_cast<uint8_t>(std::clamp(factor.shift - kInt8Shift, 0, kLargestShift)));
  }
}

void finish_int16(Product* product, double scale) {
  set_bias(product, std::vector<double>(product->units.size()));
  for (const double unit : product->units) {
    const Factor factor = factor_of(unit / scale);
    product->linear.multiplier.push_back(static_cast<int16_t>(factor.multiplier));
    product->linear.shift.push_back(static_cast<uint8_t>(std::clamp(factor.shift - kGeluShift, 0, kLargestShift)));
  }
}

void finish_residual(Product* product, double scale, std::span<const double> magnitudes) {
  set_bias(product, std::vector<double>(product->units.size()));
  for (size_t j = 0; j < product->units.size(); ++j) {
    const double unit = product->units[j];
    const double largest = std::max(kResidualHeadroom * magnitudes[j] / unit, 1.0);
    const int wanted = std::max(0, static_cast<int>(std::ceil(std::log2(largest / 32767))));
    const Factor factor = factor_of(unit / scale);
    // unit / scale = multiplier * 2^-(shift of the sum + shift of the product)
    const int shift = std::clamp(wanted, std::max(0, factor.shift - 30), kLargestShift);
    product->linear.multiplier.push_back(static_cast<int16_t>(factor.multiplier));
    product->linear.shift.push_back(static_cast<uint8_t>(shift));
    product->linear.out_shift.push_back(static_cast<uint8_t>(std::clamp(factor.shift - shift, 0, 30)));
  }
}

void finish_logits(Product* product, double scale) {
  set_bias(product, std::vector<double>(product->units.size()));
  for (const double unit : product->units) {
    const Factor factor = factor_of(unit / scale);
    product->linear.multiplier.push_back(static_cast<int16_t>(factor.multiplier));
    product->linear.shift.push_back(0);
    product->linear.out_shift.push_back(static_cast<uint8_t>(std::clamp(factor.shift, 0, 30)));
  }
}

IntAffine make_affine(const FloatNorm& norm, std::span<const double> scales, std::span<const double> centres) {
  const size_t n = norm.gamma.size();
  double largest = 1e-30;  // such that both fit at shift 0
  for (size_t j = 0; j < n; ++j) {
    largest = std::max(largest, std::abs(norm.gamma[j]) / 1024 / scales[j] / 32767);
    largest = std::max(largest, std::abs(norm.beta[j] - centres[j]) / scales[j] / kMaxNormBias);
  }
  IntAffine affine{
      .scale = {}, .bias = {}, .shift = std::clamp(static_cast<int>(std::floor(-std::log2(largest))), 1, 24)};
  const double one = std::ldexp(1.0, affine.shift);
  for (size_t j = 0; j < n; ++j) {
    affine.scale.push_back(static_cast<int16_t>(rounded(norm.gamma[j] / 1024 / scales[j] * one, 32767)));
    affine.bias.push_back(rounded((norm.beta[j] - centres[j]) / scales[j] * one, kMaxNormBias));
  }
  return affine;
}

}  // namespace hccs::internal
