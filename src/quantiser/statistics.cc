// SPDX-License-Identifier: Apache-2.0
#include "quantiser/statistics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "encoder/single_threaded.h"
#include "quantiser/products.h"

namespace hccs::internal {
namespace {

constexpr int64_t kBatchTokens = 512;

bool needs_moments(Place place) {
  return place == Place::kInput || place == Place::kContext || place == Place::kAttention || place == Place::kActivated;
}

}  // namespace

float ChannelStatistics::magnitude(size_t channel) const { return std::max(greatest[channel], -least[channel]); }

float ChannelStatistics::magnitude() const {
  float largest = 0;
  for (size_t c = 0; c < least.size(); ++c) largest = std::max(largest, magnitude(c));
  return largest;
}

void ChannelStatistics::add(std::span<const float> values, int64_t width, bool with_moments) {
  const auto channels = static_cast<size_t>(width);
  if (rows == 0) {
    least.assign(channels, std::numeric_limits<float>::max());
    greatest.assign(channels, std::numeric_limits<float>::lowest());
    sums.assign(channels, 0);
    if (with_moments) moments.assign(channels * channels, 0);
  }
  const int64_t count = std::ssize(values) / width;
  rows += count;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t c = i % channels;
    least[c] = std::min(least[c], values[i]);
    greatest[c] = std::max(greatest[c], values[i]);
    sums[c] += values[i];
  }
  if (with_moments) add_gram(count, width, values.data(), moments.data());
}

std::vector<double> ChannelStatistics::moments_of(std::span<const int64_t> channels, std::span<const double> centres,
                                                  std::span<const double> scales) const {
  const size_t n = channels.size();
  std::vector<double> out(n * n);
  for (size_t a = 0; a < n; ++a) {
    const auto i = static_cast<size_t>(channels[a]);
    for (size_t b = 0; b < n; ++b) {
      const auto j = static_cast<size_t>(channels[b]);
      const double moment = moments[i * least.size() + j] - centres[a] * sums[j] - centres[b] * sums[i] +
                            static_cast<double>(rows) * centres[a] * centres[b];
      out[a * n + b] = moment / (scales[a] * scales[b]);
    }
  }
  return out;
}

Expected<Statistics> observe(const FloatBert& model, std::span<const Encoding> texts, const Progress& progress) {
  const SingleThreaded single_threaded;
  Statistics statistics;
  std::span<const Encoding> batch;
  const PlaceSink sink = [&](Place place, int64_t layer, std::span<const float> rows, int64_t width) {
    const bool is_output = place == Place::kInput && layer == model.config.layers;
    statistics.places[{place, layer}].add(rows, width, needs_moments(place) && !is_output);
    if (!is_output) return;
    for (const Encoding& text : batch) {
      statistics.first_tokens.add(rows.first(static_cast<size_t>(width)), width, model.pooler.has_value());
      rows = rows.subspan(text.ids.size() * static_cast<size_t>(width));
    }
  };
  for (size_t begin = 0; begin < texts.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < texts.size() && (end == begin || tokens + std::ssize(texts[end].ids) <= kBatchTokens)) {
      tokens += std::ssize(texts[end++].ids);
    }
    batch = texts.subspan(begin, end - begin);
    model.run(batch, sink);
    statistics.tokens += tokens;
    begin = end;
    if (progress && !progress(static_cast<int64_t>(end), std::ssize(texts))) {
      return Status(StatusCode::kCancelled, fmt::format("cancelled after {} of {} texts", end, texts.size()));
    }
  }
  statistics.texts = std::ssize(texts);
  for (const auto& [place, channels] : statistics.places) {
    if (!std::isfinite(channels.magnitude())) {
      return Status(StatusCode::kBadData, fmt::format("layer {}: an activation is not finite: the model's weights are "
                                                      "not, or its activations overflow",
                                                      place.second));
    }
  }
  return statistics;
}

}  // namespace hccs::internal
