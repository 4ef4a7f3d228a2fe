// SPDX-License-Identifier: Apache-2.0
//
// What the calibration texts say of each place: the range of every channel.
#ifndef HCCS_SRC_QUANTISER_STATISTICS_H_
#define HCCS_SRC_QUANTISER_STATISTICS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "hccs/progress.h"
#include "quantiser/float_bert.h"

namespace hccs::internal {

struct ChannelStatistics {
  int64_t rows = 0;
  std::vector<float> least;     // of each channel
  std::vector<float> greatest;  // of each channel

  float magnitude(size_t channel) const;  // the greatest |x|
  float magnitude() const;                // of all channels
  float centre(size_t channel) const { return (least[channel] + greatest[channel]) / 2; }

  void add(std::span<const float> values, int64_t width);
};

struct Statistics {
  std::map<std::pair<Place, int64_t>, ChannelStatistics> places;
  ChannelStatistics first_tokens;  // of the last layer's output
  int64_t texts = 0;
  int64_t tokens = 0;

  const ChannelStatistics& at(Place place, int64_t layer) const { return places.at({place, layer}); }
};

// The texts in parts of some hundred tokens, which are computed together.
std::vector<std::span<const Encoding>> batches_of(std::span<const Encoding> texts);

// Throws dnnl::error. Error: kCancelled.
Expected<Statistics> observe(const FloatBert& model, std::span<const Encoding> texts, const Progress& progress);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_STATISTICS_H_
