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

// Each row of weights, [out, in], on a grid of its own. Without moments to the nearest; with the inputs' second
// moments, [in, in], by GPTQ (Frantar et al., arXiv 2210.17323): columns in their order, and what rounding one of them
// changes in the product is taken from those after it.
RoundedWeights round_weights(std::span<const double> weights, int64_t in, std::span<const double> moments);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_ROUND_WEIGHTS_H_
