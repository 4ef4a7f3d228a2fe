// SPDX-License-Identifier: Apache-2.0
#include "training/activation_ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "training/shards.h"

namespace hccs::training {
namespace {

constexpr size_t kObservedBatches = 16;

// Values of one place: every n-th, so that all texts count.
class ActivationSample {
 public:
  void add(std::span<const float> values) {
    constexpr size_t kPerCall = 2048;
    const size_t stride = std::max<size_t>(1, values.size() / kPerCall);
    for (size_t i = 0; i < values.size(); i += stride) values_.push_back(values[i]);
    for (const float v : values) largest_ = std::max(largest_, std::abs(v));
  }

  // The scale with the least squared error, among ranges from a fifth of the largest value up to it.
  double best_scale() const {
    if (largest_ == 0) return 1.0;
    double best = 0;
    double least = std::numeric_limits<double>::infinity();
    std::vector<float> rounded;
    for (int i = 10; i <= 50; ++i) {
      const float scale = largest_ * static_cast<float>(i) / 50.0F / 127.0F;
      rounded = values_;
      round_to_int8_grid(scale, rounded);
      double error = 0;
      for (size_t v = 0; v < rounded.size(); ++v) error += std::pow(double{rounded[v]} - values_[v], 2);
      if (error < least) {
        least = error;
        best = scale;
      }
    }
    return best;
  }

 private:
  std::vector<float> values_;
  float largest_ = 0;
};

}  // namespace

Expected<ActivationScales> observe_activations(BertPass& pass, int64_t layers, std::span<const Encoding> texts,
                                               std::span<const std::vector<int32_t>> batches,
                                               const Progress& progress) {
  std::map<ActivationPlace, ActivationSample> samples;
  const ActivationSink sink = [&](const ActivationPlace& place, std::span<const float> values) -> Status {
    samples[place].add(values);
    return {};
  };
  use_one_thread();
  const auto observed = batches.first(std::min(batches.size(), kObservedBatches));
  for (size_t b = 0; b < observed.size(); ++b) {
    HCCS_RETURN_IF_ERROR(
        pass.logits(pack(observed[b], texts), TrainingSoftmax::exact(), {.int8_weights = true}, {}, sink).status());
    if (progress && !progress(static_cast<int64_t>(b) + 1, std::ssize(observed))) {
      return Status(StatusCode::kCancelled, "stopped before the first step");
    }
  }
  ActivationScales scales;
  scales.layers.resize(static_cast<size_t>(layers));
  for (const auto& [place, sample] : samples) scales.at(place) = sample.best_scale();
  return scales;
}

}  // namespace hccs::training
