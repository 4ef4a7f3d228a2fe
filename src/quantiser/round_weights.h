// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_QUANTISER_ROUND_WEIGHTS_H_
#define HCCS_SRC_QUANTISER_ROUND_WEIGHTS_H_

#include <cstdint>
#include <span>
#include <vector>

namespace hccs::internal {

struct RoundedWeights {
  std::vector<int8_t> integers;  // [out, in], -127..127
  std::vector<double> scales;    // [out]: the greatest |w| of the row / 127; 1 for a row of zeros
};

// The upper triangle U with U^T U = (moments + d)^-1, where d is `damping` times the mean moment; moments, [in, in], of
// a product's inputs.
std::vector<double> inverse_factor(std::span<const double> moments, int64_t in, double damping);

// Adds missing * U^T U to the weights, [out, in]: with U of the inputs' covariance and with what ProductErrors::missing
// gives, the weights whose product with these inputs is nearest to the float model's. Throws dnnl::error.
void add_correction(std::span<const float> missing, std::span<const double> factor, std::vector<double>* weights);

// Each row of weights, [out, in], on a grid of its own. Without a factor to the nearest; with inverse_factor of the
// inputs by GPTQ (Frantar et al., arXiv 2210.17323): columns in their order, and what rounding one of them changes in
// the product is taken from those after it.
RoundedWeights round_weights(std::span<const double> weights, int64_t in, std::span<const double> factor, int threads);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_ROUND_WEIGHTS_H_
