// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/encoder.h"
#include "hccs/quantise.h"
#include "hccs/softmax.h"

namespace hccs {
namespace {

using SoftmaxPointer = std::unique_ptr<AttentionSoftmax>;

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

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
Expected<size_t> index_of(const AttentionBlock& block, int64_t heads, size_t entries) {
  const auto index = static_cast<size_t>(block.layer * heads + block.head);
  if (block.head >= heads || index >= entries) {
    return Status(StatusCode::kMismatch, fmt::format("{}: the softmax has {} entries, {} a layer",
                                                     head_name(block.layer, block.head), entries, heads));
  }
  return index;
}

Status check_step(double step, int64_t index, int64_t heads) {
  if (step > 0 && std::isfinite(step)) return {};
  return invalid(fmt::format("{}: step {}, but a logit step is positive and finite",
                             head_name(index / heads, index % heads), step));
}

// Calls row(logits, probabilities) for each query of the block.
template <class Row>
void for_each_row(const AttentionBlock& block, float* probabilities, const Row& row) {
  const auto n = static_cast<size_t>(block.length);
  for (size_t q = 0; q < n; ++q) row(std::span(block.logits + q * n, n), std::span(probabilities + q * n, n));
}

class ExactSoftmax final : public AttentionSoftmax {
 public:
  Status apply(const AttentionBlock& block, float* probabilities) const override {
    for_each_row(block, probabilities, exact_row);
    return {};
  }
};

class Int8ExactSoftmax final : public AttentionSoftmax {
 public:
  // Steps that are positive and finite.
  Int8ExactSoftmax(std::span<const double> steps, int64_t heads) : steps_(steps.begin(), steps.end()), heads_(heads) {}

  Status apply(const AttentionBlock& block, float* probabilities) const override try {
    HCCS_ASSIGN_OR_RETURN(const size_t head, index_of(block, heads_, steps_.size()));
    const double step = steps_[head];
    std::vector<int8_t> x(static_cast<size_t>(block.length));
    for_each_row(block, probabilities, [&](std::span<const float> logits, std::span<float> row) {
      quantise_logits(logits, step, x);
      std::transform(x.begin(), x.end(), row.begin(), [&](int8_t v) { return static_cast<float>(step * v); });
      exact_row(row, row);
    });
    return {};
  } catch (...) {
    return internal::status_of_exception("int8-exact softmax");
  }

 private:
  std::vector<double> steps_;
  int64_t heads_;
};

class HccsSoftmax final : public AttentionSoftmax {
 public:
  // `params` has valid entries, and `plan` is of them.
  HccsSoftmax(const ParamFile& params, SoftmaxPlan plan)
      : entries_(params.entries), heads_(params.heads), plan_(std::move(plan)) {}

  Status apply(const AttentionBlock& block, float* probabilities) const override try {
    HCCS_ASSIGN_OR_RETURN(const size_t head, index_of(block, heads_, entries_.size()));
    return plan_.output() == OutputType::kUint8 ? run<uint8_t>(block, head, kFullScaleUint8, probabilities)
                                                : run<int16_t>(block, head, kFullScaleInt16, probabilities);
  } catch (...) {
    return internal::status_of_exception("HCCS softmax");
  }

 private:
  template <class Out>
  Status run(const AttentionBlock& block, size_t head, int64_t full_scale, float* probabilities) const {
    const auto count = static_cast<size_t>(block.length * block.length);
    std::vector<int8_t> x(count);
    std::vector<Out> p(count);
    quantise_logits({block.logits, count}, entries_[head].step, x);
    auto batch = SoftmaxBatch<Out>::dense(x.data(), p.data(), {.queries = block.length, .keys = block.length});
    batch.first_head = static_cast<int64_t>(head);
    HCCS_RETURN_IF_ERROR(plan_.run(batch));
    const auto scale = static_cast<float>(full_scale);
    std::transform(p.begin(), p.end(), probabilities, [&](Out v) { return static_cast<float>(v) / scale; });
    return {};
  }

  std::vector<HeadEntry> entries_;
  int64_t heads_;
  SoftmaxPlan plan_;
};

class CapturingSoftmax final : public AttentionSoftmax {
 public:
  CapturingSoftmax(std::unique_ptr<AttentionSoftmax> inner, AttentionSink sink)
      : inner_(std::move(inner)), sink_(std::move(sink)) {}

  Status apply(const AttentionBlock& block, float* probabilities) const override try {
    HCCS_RETURN_IF_ERROR(sink_(block));  // first: the probabilities may overwrite the logits
    return inner_->apply(block, probabilities);
  } catch (...) {
    return internal::status_of_exception("attention sink");
  }

 private:
  std::unique_ptr<AttentionSoftmax> inner_;
  AttentionSink sink_;
};

}  // namespace

std::unique_ptr<AttentionSoftmax> make_exact_softmax() { return std::make_unique<ExactSoftmax>(); }

Expected<std::unique_ptr<AttentionSoftmax>> make_int8_exact_softmax(std::span<const double> steps, int64_t heads) try {
  if (heads < 1 || steps.empty() || std::ssize(steps) % heads != 0) {
    return invalid(fmt::format("{} steps are not a positive multiple of {} heads a layer", steps.size(), heads));
  }
  for (int64_t i = 0; i < std::ssize(steps); ++i) HCCS_RETURN_IF_ERROR(check_step(steps[i], i, heads));
  return SoftmaxPointer(std::make_unique<Int8ExactSoftmax>(steps, heads));
} catch (...) {
  return internal::status_of_exception("int8-exact softmax");
}

Expected<std::unique_ptr<AttentionSoftmax>> make_hccs_softmax(const ParamFile& params, Normalisation normalisation,
                                                              OutputType output) try {
  const auto count = std::ssize(params.entries);
  if (params.layers < 1 || params.heads < 1 || count % params.heads != 0 || count / params.heads != params.layers) {
    return invalid(fmt::format("{} entries, but {} layers of {} heads", count, params.layers, params.heads));
  }
  std::vector<HeadParams> heads;
  for (int64_t i = 0; i < count; ++i) {
    const HeadEntry& entry = params.entries[i];
    HCCS_RETURN_IF_ERROR(check_step(entry.step, i, params.heads));
    HCCS_RETURN_IF_ERROR(validate(entry.params, head_name(i / params.heads, i % params.heads)));
    heads.push_back(entry.params);
  }
  HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::hccs(heads, normalisation, output));
  return SoftmaxPointer(std::make_unique<HccsSoftmax>(params, std::move(plan)));
} catch (...) {
  return internal::status_of_exception("HCCS softmax");
}

Expected<std::unique_ptr<AttentionSoftmax>> make_capturing_softmax(std::unique_ptr<AttentionSoftmax> inner,
                                                                   AttentionSink sink) try {
  if (inner == nullptr || !sink) return invalid("a capturing softmax needs a sink and a softmax to apply");
  return SoftmaxPointer(std::make_unique<CapturingSoftmax>(std::move(inner), std::move(sink)));
} catch (...) {
  return internal::status_of_exception("capturing softmax");
}

}  // namespace hccs
