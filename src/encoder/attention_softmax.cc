// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "hccs/calibration.h"
#include "hccs/encoder.h"

namespace hccs {
namespace {

// logits and probabilities may be the same row.
void exact_row(std::span<const float> logits, std::span<float> probabilities) {
  const float maximum = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    probabilities[i] = std::exp(logits[i] - maximum);
    sum += probabilities[i];
  }
  const auto inverse = static_cast<float>(1.0 / sum);
  for (float& p : probabilities) p *= inverse;
}

// A block's place in a table of layers x heads entries.
size_t index_of(const AttentionBlock& block, int64_t heads, size_t entries) {
  const auto index = static_cast<size_t>(block.layer * heads + block.head);
  if (block.head >= heads || index >= entries) {
    throw std::invalid_argument(
        fmt::format("{}: the softmax has {} entries, {} a layer", head_name(block.layer, block.head), entries, heads));
  }
  return index;
}

// Calls row(logits, probabilities) for each query of the block.
template <class Row>
void for_each_row(const AttentionBlock& block, float* probabilities, const Row& row) {
  const auto n = static_cast<size_t>(block.length);
  for (size_t q = 0; q < n; ++q) row(std::span(block.logits + q * n, n), std::span(probabilities + q * n, n));
}

class ExactSoftmax final : public AttentionSoftmax {
 public:
  void apply(const AttentionBlock& block, float* probabilities) const override {
    for_each_row(block, probabilities, exact_row);
  }
};

class Int8ExactSoftmax final : public AttentionSoftmax {
 public:
  Int8ExactSoftmax(std::span<const double> steps, int64_t heads) : steps_(steps.begin(), steps.end()), heads_(heads) {}

  void apply(const AttentionBlock& block, float* probabilities) const override {
    const double step = steps_[index_of(block, heads_, steps_.size())];
    std::vector<int8_t> x(static_cast<size_t>(block.length));
    for_each_row(block, probabilities, [&](std::span<const float> logits, std::span<float> row) {
      quantise_logits(logits, step, x);
      std::transform(x.begin(), x.end(), row.begin(), [&](int8_t v) { return static_cast<float>(step * v); });
      exact_row(row, row);
    });
  }

 private:
  std::vector<double> steps_;
  int64_t heads_;
};

class HccsSoftmax final : public AttentionSoftmax {
 public:
  HccsSoftmax(const ParamFile& params, Normalisation normalisation, OutputType output)
      : params_(params), normalisation_(normalisation), output_(output), scores_(params.entries.size()) {
    for (size_t head = 0; head < scores_.size(); ++head) {
      for (int64_t d = 0; d < 256; ++d) scores_[head][d] = params.entries[head].params.score(d);
    }
  }

  // softmax_reference, its scores tabulated.
  void apply(const AttentionBlock& block, float* probabilities) const override {
    const size_t head = index_of(block, params_.heads, params_.entries.size());
    const Status valid = validate(params_.entries[head].params, head_name(block.layer, block.head));
    if (!valid.ok()) throw std::invalid_argument(valid.message());
    const auto full_scale = static_cast<float>(output_ == OutputType::kUint8 ? kFullScaleUint8 : kFullScaleInt16);
    std::vector<int8_t> x(static_cast<size_t>(block.length));
    std::vector<int64_t> s(x.size());
    for_each_row(block, probabilities, [&](std::span<const float> logits, std::span<float> row) {
      quantise_logits(logits, params_.entries[head].step, x);
      const int maximum = *std::max_element(x.begin(), x.end());
      std::transform(x.begin(), x.end(), s.begin(), [&](int8_t v) { return scores_[head][maximum - v]; });
      const int64_t sum = std::accumulate(s.begin(), s.end(), int64_t{0});
      std::transform(s.begin(), s.end(), row.begin(), [&](int64_t score) {
        return static_cast<float>(probability(normalisation_, output_, score, sum)) / full_scale;
      });
    });
  }

 private:
  ParamFile params_;
  Normalisation normalisation_;
  OutputType output_;
  std::vector<std::array<int64_t, 256>> scores_;  // of each head, by the distance to the row's maximum
};

class CapturingSoftmax final : public AttentionSoftmax {
 public:
  CapturingSoftmax(std::unique_ptr<AttentionSoftmax> inner, std::function<void(const AttentionBlock&)> sink)
      : inner_(std::move(inner)), sink_(std::move(sink)) {}

  void apply(const AttentionBlock& block, float* probabilities) const override {
    sink_(block);  // first: the probabilities may overwrite the logits
    inner_->apply(block, probabilities);
  }

 private:
  std::unique_ptr<AttentionSoftmax> inner_;
  std::function<void(const AttentionBlock&)> sink_;
};

}  // namespace

std::unique_ptr<AttentionSoftmax> make_exact_softmax() { return std::make_unique<ExactSoftmax>(); }

std::unique_ptr<AttentionSoftmax> make_int8_exact_softmax(std::span<const double> steps, int64_t heads) {
  return std::make_unique<Int8ExactSoftmax>(steps, heads);
}

std::unique_ptr<AttentionSoftmax> make_hccs_softmax(const ParamFile& params, Normalisation normalisation,
                                                    OutputType output) {
  return std::make_unique<HccsSoftmax>(params, normalisation, output);
}

std::unique_ptr<AttentionSoftmax> make_capturing_softmax(std::unique_ptr<AttentionSoftmax> inner,
                                                         std::function<void(const AttentionBlock&)> sink) {
  return std::make_unique<CapturingSoftmax>(std::move(inner), std::move(sink));
}

}  // namespace hccs
