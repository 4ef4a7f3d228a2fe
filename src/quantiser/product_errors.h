// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_QUANTISER_PRODUCT_ERRORS_H_
#define HCCS_SRC_QUANTISER_PRODUCT_ERRORS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace hccs::internal {

// What the texts say of a product's inputs in the integer model: the integers x, and the errors d, which is what the
// float model has in their place, in the same units, less x. Where the product is added to a residual, also the errors
// e of that: the float model's hidden states less the integer model's, real.
struct ProductErrors {
  int64_t in = 0;
  int64_t out = 0;  // of the residual; 0 without one
  int64_t rows = 0;
  std::vector<double> sums;             // [in], of x
  std::vector<double> error_sums;       // [in], of d
  std::vector<double> residual_sums;    // [out], of e
  std::vector<float> moments;           // [in, in], of x x^T
  std::vector<float> error_moments;     // [in, in], of d x^T
  std::vector<float> residual_moments;  // [out, in], of e x^T

  ProductErrors(int64_t inputs, int64_t outputs);

  // Rows of x and d, [rows, in], and of e, [rows, out]. Throws dnnl::error.
  void add(std::span<const float> x, std::span<const float> d, std::span<const float> e);

  // About the means: the sum of (x - mean) (x - mean)^T, [in, in].
  std::vector<double> covariance() const;
  // What the product with the weights, [out, in], would have to add to come out as in float: the sum of (W d + e)
  // (x - mean)^T, [out, in].
  std::vector<float> missing(std::span<const double> weights) const;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_PRODUCT_ERRORS_H_
