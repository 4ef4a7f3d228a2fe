// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "hccs/quantise.h"
#include "hccs/encoder.h"
#include "hccs/softmax.h"

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
      : entries_(params.entries), heads_(params.heads), plan_(make_plan(params, normalisation, output)) {}

  void apply(const AttentionBlock& block, float* probabilities) const override {
    const size_t head = index_of(block, heads_, entries_.size());
    if (!plan_.ok()) throw std::invalid_argument(plan_.status().message());
    if (plan_->output() == OutputType::kUint8) {
      run<uint8_t>(block, head, kFullScaleUint8, probabilities);
    } else {
      run<int16_t>(block, head, kFullScaleInt16, probabilities);
    }
  }

 private:
  static Expected<SoftmaxPlan> make_plan(const ParamFile& params, Normalisation normalisation, OutputType output) {
    std::vector<HeadParams> heads;
    for (const HeadEntry& entry : params.entries) {
      const auto index = std::ssize(heads);
      heads.push_back(entry.params);
      HCCS_RETURN_IF_ERROR(validate(entry.params, head_name(index / params.heads, index % params.heads)));
    }
    return SoftmaxPlan::hccs(heads, normalisation, output);
  }

  template <class Out>
  void run(const AttentionBlock& block, size_t head, int64_t full_scale, float* probabilities) const {
    const auto count = static_cast<size_t>(block.length * block.length);
    std::vector<int8_t> x(count);
    std::vector<Out> p(count);
    quantise_logits({block.logits, count}, entries_[head].step, x);
    auto batch = SoftmaxBatch<Out>::dense(x.data(), p.data(), {.queries = block.length, .keys = block.length});
    batch.first_head = static_cast<int64_t>(head);
    const Status status = plan_->run(batch);
    if (!status.ok()) throw std::invalid_argument(status.message());
    const auto scale = static_cast<float>(full_scale);
    std::transform(p.begin(), p.end(), probabilities, [&](Out v) { return static_cast<float>(v) / scale; });
  }

  std::vector<HeadEntry> entries_;
  int64_t heads_;
  Expected<SoftmaxPlan> plan_;
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
