// SPDX-License-Identifier: Apache-2.0
#include "quantiser/product_errors.h"

#include "quantiser/products.h"

namespace hccs::internal {
namespace {

void add_rows(std::span<const float> rows, int64_t width, std::vector<double>* sums) {
  for (size_t i = 0; i < rows.size(); ++i) (*sums)[i % static_cast<size_t>(width)] += rows[i];
}

}  // namespace

ProductErrors::ProductErrors(int64_t inputs, int64_t outputs) : in(inputs), out(outputs) {
  sums.resize(static_cast<size_t>(in));
  error_sums.resize(static_cast<size_t>(in));
  residual_sums.resize(static_cast<size_t>(out));
  moments.resize(static_cast<size_t>(in * in));
  error_moments.resize(static_cast<size_t>(in * in));
  residual_moments.resize(static_cast<size_t>(out * in));
}

void ProductErrors::add(std::span<const float> x, std::span<const float> d, std::span<const float> e) {
  const int64_t count = std::ssize(x) / in;
  rows += count;
  add_rows(x, in, &sums);
  add_rows(d, in, &error_sums);
  add_gram(count, in, x.data(), moments.data());
  add_cross(count, in, in, d.data(), x.data(), error_moments.data());
  if (out == 0) return;
  add_rows(e, out, &residual_sums);
  add_cross(count, out, in, e.data(), x.data(), residual_moments.data());
}

std::vector<double> ProductErrors::covariance() const {
  std::vector<double> result(moments.begin(), moments.end());
  const auto n = static_cast<size_t>(in);
  for (size_t i = 0; i < n; ++i) {
    const double mean = sums[i] / static_cast<double>(rows);
    for (size_t j = 0; j < n; ++j) result[i * n + j] -= mean * sums[j];
  }
  return result;
}

std::vector<float> ProductErrors::missing(std::span<const double> weights) const {
  const auto n = static_cast<size_t>(in);
  const size_t outputs = weights.size() / n;
  std::vector<float> errors(n * n);  // about the means
  for (size_t i = 0; i < n; ++i) {
    const double mean = error_sums[i] / static_cast<double>(rows);
    for (size_t j = 0; j < n; ++j) errors[i * n + j] = static_cast<float>(error_moments[i * n + j] - mean * sums[j]);
  }
  const std::vector<float> w(weights.begin(), weights.end());
  std::vector<float> result(outputs * n);
  multiply(static_cast<int64_t>(outputs), in, in, w.data(), in, errors.data(), in, result.data(), in);
  for (size_t j = 0; j < static_cast<size_t>(out); ++j) {
    const double mean = residual_sums[j] / static_cast<double>(rows);
    for (size_t i = 0; i < n; ++i) {
      result[j * n + i] += static_cast<float>(residual_moments[j * n + i] - mean * sums[i]);
    }
  }
  return result;
}

}  // namespace hccs::internal
