// SPDX-License-Identifier: Apache-2.0
#include "quantiser/places.h"

#include <algorithm>
#include <cmath>

namespace hccs::internal {

ProductInput input_of(const ChannelStatistics& statistics, const FloatLinear& linear) {
  const auto in = static_cast<size_t>(linear.in);
  std::vector<float> largest_weights(in);
  for (size_t i = 0; i < linear.weights.size(); ++i) {
    float& largest = largest_weights[i % in];
    largest = std::max(largest, std::abs(linear.weights[i]));
  }
  ProductInput input;
  double scale = 0;
  for (size_t c = 0; c < in; ++c) {
    const double half = std::max(1e-5, (double{statistics.greatest[c]} - statistics.least[c]) / 2);
    const double weight = std::max(1e-5, double{largest_weights[c]});
    input.centres.push_back(statistics.centre(c));
    input.scales.push_back(std::pow(half, kBalance) / std::pow(weight, 1 - kBalance));
    scale = std::max(scale, half / input.scales[c] / 127);
  }
  for (double& factor : input.scales) factor *= scale;
  return input;
}

double sum_scale(const Statistics& statistics, Place place, int64_t layer) {
  double largest = std::max(1e-6, double{statistics.at(place, layer).magnitude()});
  if (place != Place::kEmbeddingSum) {
    const Place product = place == Place::kAttentionSum ? Place::kAttentionProduct : Place::kOutputProduct;
    largest = std::max(largest, double{statistics.at(product, layer).magnitude()});
  }
  return largest * kSumHeadroom / kMaxSum;
}

std::vector<double> magnitudes(const ChannelStatistics& statistics) {
  std::vector<double> out;
  for (size_t c = 0; c < statistics.least.size(); ++c) out.push_back(statistics.magnitude(c));
  return out;
}

}  // namespace hccs::internal
