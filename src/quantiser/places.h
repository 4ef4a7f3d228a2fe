// SPDX-License-Identifier: Apache-2.0
//
// The scales of places: what one integer there is worth.
#ifndef HCCS_SRC_QUANTISER_PLACES_H_
#define HCCS_SRC_QUANTISER_PLACES_H_

#include <vector>

#include "quantiser/requantise.h"
#include "quantiser/statistics.h"

namespace hccs::internal {

// How far the channels' scales follow the activations rather than the weights, and the values' their own channel's
// range rather than the head's.
inline constexpr double kBalance = 0.8;
inline constexpr double kValueBalance = 0.8;
inline constexpr double kValueHeadroom = 1.05;
inline constexpr double kSumHeadroom = 1.5;
inline constexpr double kSkipHeadroom = 1.25;

// The inputs of a product: each channel around its centre, channels balanced with the weights.
ProductInput input_of(const ChannelStatistics& statistics, const FloatLinear& linear);

// Of y, before the norm that follows `place`.
double sum_scale(const Statistics& statistics, Place place, int64_t layer);

std::vector<double> magnitudes(const ChannelStatistics& statistics);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_PLACES_H_
