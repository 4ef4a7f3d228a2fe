// SPDX-License-Identifier: Apache-2.0
#include "quantiser/statistics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "encoder/single_threaded.h"

namespace hccs::internal {
namespace {

constexpr int64_t kBatchTokens = 512;

}  // namespace

float ChannelStatistics::magnitude(size_t channel) const { return std::max(greatest[channel], -least[channel]); }

float ChannelStatistics::magnitude() const {
  float largest = 0;
  for (size_t c = 0; c < least.size(); ++c) largest = std::max(largest, magnitude(c));
  return largest;
}

void ChannelStatistics::add(std::span<const float> values, int64_t width) {
  const auto channels = static_cast<size_t>(width);
  if (rows == 0) {
    least.assign(channels, std::numeric_limits<float>::max());
    greatest.assign(channels, std::numeric_limits<float>::lowest());
  }
  rows += std::ssize(values) / width;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t c = i % channels;
    least[c] = std::min(least[c], values[i]);
    greatest[c] = std::max(greatest[c], values[i]);
  }
}

std::vector<std::span<const Encoding>> batches_of(std::span<const Encoding> texts) {
  std::vector<std::span<const Encoding>> batches;
  for (size_t begin = 0; begin < texts.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < texts.size() && (end == begin || tokens + std::ssize(texts[end].ids) <= kBatchTokens)) {
      tokens += std::ssize(texts[end++].ids);
    }
    batches.push_back(texts.subspan(begin, end - begin));
    begin = end;
  }
  return batches;
}

Expected<Statistics> observe(const FloatBert& model, std::span<const Encoding> texts, const Progress& progress) {
  const SingleThreaded single_threaded;
  Statistics statistics;
  std::span<const Encoding> batch;
  const PlaceSink sink = [&](Place place, int64_t layer, std::span<const float> rows, int64_t width) {
    const bool is_output = place == Place::kInput && layer == model.config.layers;
    statistics.places[{place, layer}].add(rows, width);
    if (!is_output) return;
    for (const Encoding& text : batch) {
      statistics.first_tokens.add(rows.first(static_cast<size_t>(width)), width);
      rows = rows.subspan(text.ids.size() * static_cast<size_t>(width));
    }
  };
  for (const std::span<const Encoding> next : batches_of(texts)) {
    batch = next;
    model.run(batch, sink);
    for (const Encoding& text : batch) statistics.tokens += std::ssize(text.ids);
    statistics.texts += std::ssize(batch);
    if (progress && !progress(statistics.texts, std::ssize(texts))) {
      return Status(StatusCode::kCancelled,
                    fmt::format("cancelled after {} of {} texts", statistics.texts, texts.size()));
    }
  }
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
