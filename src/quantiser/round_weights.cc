// SPDX-License-Identifier: Apache-2.0
#include "quantiser/round_weights.h"

#include <algorithm>
#include <cmath>

#include "quantiser/parallel.h"
#include "quantiser/products.h"

namespace hccs::internal {
namespace {

double nearest(double x) { return std::clamp(std::nearbyint(x), -127.0, 127.0); }

}  // namespace

// With moments + damping = R R^T, R upper triangular, U is R^-1.
std::vector<double> inverse_factor(std::span<const double> moments, int64_t in, double damping) {
  const auto n = static_cast<size_t>(in);
  std::vector<double> r(moments.begin(), moments.end());
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += r[i * n + i];
  const double added = trace > 0 ? damping * trace / static_cast<double>(n) : 1.0;
  for (size_t i = 0; i < n; ++i) r[i * n + i] += added;
  // From the last column on; each updates the rows above it.
  for (size_t k = n; k-- > 0;) {
    const double root = std::sqrt(r[k * n + k]);
    // Column k of R, from the symmetric row k.
    double* row = &r[k * n];
    for (size_t i = 0; i < k; ++i) row[i] /= root;
    row[k] = root;
    for (size_t i = 0; i < k; ++i) {
      const double factor = row[i];
      double* to = &r[i * n];
      for (size_t j = 0; j <= i; ++j) to[j] -= factor * row[j];
    }
  }
  // Row k of r is column k of R: r is R^T, lower triangular. Its inverse is U^T.
  std::vector<double> u(n * n);
  for (size_t i = 0; i < n; ++i) {  // row i of (R^T)^-1
    double* row = &u[i * n];
    row[i] = 1;
    for (size_t k = 0; k < i; ++k) {
      const double factor = r[i * n + k];
      const double* earlier = &u[k * n];
      for (size_t j = 0; j <= k; ++j) row[j] -= factor * earlier[j];
    }
    const double inverse = 1 / r[i * n + i];
    for (size_t j = 0; j <= i; ++j) row[j] *= inverse;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) std::swap(u[i * n + j], u[j * n + i]);
  }
  return u;
}

void add_correction(std::span<const float> missing, std::span<const double> factor, std::vector<double>* weights) {
  const auto in = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(factor.size()))));
  const int64_t out = std::ssize(missing) / in;
  const std::vector<float> u(factor.begin(), factor.end());
  std::vector<float> first(missing.size());
  multiply_transposed(out, in, in, missing.data(), in, u.data(), in, first.data(), in);
  std::vector<float> change(missing.size());
  multiply(out, in, in, first.data(), in, u.data(), in, change.data(), in);
  for (size_t i = 0; i < change.size(); ++i) (*weights)[i] += change[i];
}

RoundedWeights round_weights(std::span<const double> weights, int64_t in, std::span<const double> factor, int threads) {
  const auto n = static_cast<size_t>(in);
  const size_t out = weights.size() / n;
  RoundedWeights rounded{.integers = std::vector<int8_t>(weights.size()), .scales = std::vector<double>(out)};
  parallel_for(threads, out, [&](size_t j) {
    std::vector<double> row(n);
    std::copy_n(weights.begin() + static_cast<int64_t>(j * n), n, row.begin());
    double largest = 0;
    for (const double w : row) largest = std::max(largest, std::abs(w));
    const double scale = rounded.scales[j] = largest > 0 ? largest / 127 : 1.0;
    for (size_t i = 0; i < n; ++i) {
      const double integer = nearest(row[i] / scale);
      rounded.integers[j * n + i] = static_cast<int8_t>(integer);
      if (factor.empty()) continue;
      const double* u = &factor[i * n];
      const double error = (row[i] - integer * scale) / u[i];
      for (size_t k = i + 1; k < n; ++k) row[k] -= error * u[k];
    }
  });
  return rounded;
}

}  // namespace hccs::internal
