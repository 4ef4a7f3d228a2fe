// SPDX-License-Identifier: Apache-2.0
#include "training/softmax.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "hccs/quantise.h"

namespace hccs::training {
namespace {

bool valid(const SoftmaxBlock& block, int64_t i) {
  return block.mask_bits == nullptr || ((block.mask_bits[i >> 3] >> (i & 7)) & 1) != 0;
}

void exact_row(const SoftmaxBlock& block, const float* logits, float* p) {
  float maximum = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < block.keys; ++i) {
    if (valid(block, i)) maximum = std::max(maximum, logits[i]);
  }
  double sum = 0;
  for (int64_t i = 0; i < block.keys; ++i) {
    p[i] = valid(block, i) ? std::exp(logits[i] - maximum) : 0.0F;
    sum += p[i];
  }
  const float inverse = sum > 0 ? static_cast<float>(1.0 / sum) : 0.0F;
  for (int64_t i = 0; i < block.keys; ++i) p[i] *= inverse;
}

// Whether l / step lies within int8's range: where clamp has a derivative. NaN counts as cut off.
bool inside(float logit, double step) {
  const double t = logit / step;
  return t >= -128.0 && t <= 127.0;
}

Status check_step(double step, size_t head) {
  if (step > 0 && std::isfinite(step)) return {};
  return {StatusCode::kInvalidArgument,
          fmt::format("head {}: step {}, but a logit step is positive and finite", head, step)};
}

}  // namespace

HeadGradient& HeadGradient::operator+=(const HeadGradient& other) {
  offset += other.offset;
  step += other.step;
  for (size_t k = 0; k < slope.size(); ++k) {
    slope[k] += other.slope[k];
    position[k] += other.position[k];
  }
  return *this;
}

double HeadGradient::size() const {
  double sum = std::abs(offset) + std::abs(step);
  for (int k = 0; k < kMaxKnees; ++k) sum += std::abs(slope[k]) + std::abs(position[k]);
  return sum;
}

TrainingSoftmax TrainingSoftmax::exact() { return TrainingSoftmax(SoftmaxKind::kExact); }

Expected<TrainingSoftmax> TrainingSoftmax::int8_exact(std::span<const double> steps) {
  if (steps.empty()) return Status(StatusCode::kInvalidArgument, "0 steps, but a softmax needs one a head");
  TrainingSoftmax softmax(SoftmaxKind::kInt8Exact);
  for (const double step : steps) {
    HCCS_RETURN_IF_ERROR(check_step(step, softmax.heads_.size()));
    softmax.heads_.push_back({.step = step});
  }
  return softmax;
}

Expected<TrainingSoftmax> TrainingSoftmax::hccs(std::span<const HeadEntry> heads, Normalisation normalisation,
                                                OutputType output) {
  TrainingSoftmax softmax(SoftmaxKind::kHccs);
  std::vector<HeadParams> params;
  for (const HeadEntry& entry : heads) {
    params.push_back(entry.params);
    HCCS_RETURN_IF_ERROR(check_step(entry.step, softmax.heads_.size()));
    HCCS_RETURN_IF_ERROR(validate(entry.params, fmt::format("head {}", softmax.heads_.size())));
    Head head{.step = entry.step, .params = entry.params};
    for (int d = 0; d < 256; ++d) {
      head.score[d] = static_cast<float>(entry.params.score(d));
      for (const Knee& knee : entry.params.active_knees()) {
        if (d < knee.position) head.slope[d] += static_cast<float>(knee.slope);
      }
    }
    softmax.heads_.push_back(head);
  }
  HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::hccs(params, normalisation, output));
  softmax.plan_ = std::make_shared<const SoftmaxPlan>(std::move(plan));
  return softmax;
}

Status TrainingSoftmax::check_head(const SoftmaxBlock& block) const {
  if (kind_ == SoftmaxKind::kExact || (block.head >= 0 && block.head < std::ssize(heads_))) return {};
  return {StatusCode::kMismatch, fmt::format("head {}, but the softmax has {}", block.head, heads_.size())};
}

template <class Out>
Status TrainingSoftmax::forward_hccs(const SoftmaxBlock& block, const float* logits, float full_scale, float* p) const {
  const auto count = static_cast<size_t>(block.rows * block.keys);
  thread_local std::vector<int8_t> x;
  thread_local std::vector<Out> integers;
  x.resize(count);
  integers.resize(count);
  quantise_logits({logits, count}, heads_[block.head].step, x);
  auto batch = SoftmaxBatch<Out>::dense(x.data(), integers.data(), {.queries = block.rows, .keys = block.keys});
  batch.first_head = block.head;
  batch.mask_bits = block.mask_bits;
  batch.mask_query_stride = 0;  // the same for every row
  HCCS_RETURN_IF_ERROR(plan_->run(batch));
  std::transform(integers.begin(), integers.end(), p, [&](Out v) { return static_cast<float>(v) / full_scale; });
  return {};
}

Status TrainingSoftmax::forward(const SoftmaxBlock& block, const float* logits, float* p) const {
  HCCS_RETURN_IF_ERROR(check_head(block));
  if (kind_ == SoftmaxKind::kHccs) {
    return plan_->output() == OutputType::kUint8
               ? forward_hccs<uint8_t>(block, logits, static_cast<float>(kFullScaleUint8), p)
               : forward_hccs<int16_t>(block, logits, static_cast<float>(kFullScaleInt16), p);
  }
  thread_local std::vector<int8_t> x;
  thread_local std::vector<float> rounded;
  for (int64_t row = 0; row < block.rows; ++row, logits += block.keys, p += block.keys) {
    const float* in = logits;
    if (kind_ == SoftmaxKind::kInt8Exact) {
      const double step = heads_[block.head].step;
      x.resize(block.keys);
      rounded.resize(block.keys);
      quantise_logits({logits, static_cast<size_t>(block.keys)}, step, x);
      for (int64_t i = 0; i < block.keys; ++i) rounded[i] = static_cast<float>(step * x[i]);
      in = rounded.data();
    }
    exact_row(block, in, p);
  }
  return {};
}

void TrainingSoftmax::backward(const SoftmaxBlock& block, const float* logits, const float* p, const float* grad_p,
                               float* grad_logits, HeadGradient* parameters) const {
  if (kind_ == SoftmaxKind::kHccs) {
    backward_hccs(block, logits, grad_p, grad_logits, parameters);
    return;
  }
  for (int64_t row = 0; row < block.rows; ++row) {
    double mean = 0;
    for (int64_t i = 0; i < block.keys; ++i) mean += double{p[i]} * grad_p[i];
    const auto centre = static_cast<float>(mean);
    for (int64_t i = 0; i < block.keys; ++i) {
      const bool passes = kind_ == SoftmaxKind::kExact || inside(logits[i], heads_[block.head].step);
      grad_logits[i] = passes ? p[i] * (grad_p[i] - centre) : 0.0F;
    }
    logits += block.keys;
    p += block.keys;
    grad_p += block.keys;
    grad_logits += block.keys;
  }
}

void TrainingSoftmax::backward_hccs(const SoftmaxBlock& block, const float* logits, const float* grad_p,
                                    float* grad_logits, HeadGradient* parameters) const {
  const Head& head = heads_[block.head];
  const auto n = static_cast<size_t>(block.keys);
  const auto inverse_step = static_cast<float>(1.0 / head.step);
  thread_local std::vector<int8_t> x;
  thread_local std::vector<float> grad_score;
  x.resize(n);
  grad_score.resize(n);
  for (int64_t row = 0; row < block.rows; ++row, logits += n, grad_p += n, grad_logits += n) {
    quantise_logits({logits, n}, head.step, x);
    int64_t top = -1;  // the first position of the row's maximum
    for (size_t i = 0; i < n; ++i) {
      if (valid(block, static_cast<int64_t>(i)) && (top < 0 || x[i] > x[top])) top = static_cast<int64_t>(i);
    }
    if (top < 0) {
      std::fill_n(grad_logits, n, 0.0F);
      continue;
    }
    float sum = 0;
    float dot = 0;
    for (size_t i = 0; i < n; ++i) {
      const bool in = valid(block, static_cast<int64_t>(i));
      const float s = in ? head.score[x[top] - x[i]] : 0.0F;
      sum += s;
      dot += in ? s * grad_p[i] : 0.0F;
    }
    // dp_i / ds_j = ([i = j] - p_i) / Z
    const float mean = dot / sum;
    float grad_maximum = 0;
    for (size_t i = 0; i < n; ++i) {
      const bool in = valid(block, static_cast<int64_t>(i));
      grad_score[i] = in ? (grad_p[i] - mean) / sum : 0.0F;
      // ds_i / dx_i is the slope; ds_i / dmax its negative. At i = top the two cancel.
      const float grad_x = in ? grad_score[i] * head.slope[x[top] - x[i]] : 0.0F;
      grad_logits[i] = grad_x;
      grad_maximum -= grad_x;
    }
    grad_logits[top] += grad_maximum;
    double grad_step = 0;
    for (size_t i = 0; i < n; ++i) {
      if (!inside(logits[i], head.step)) {  // not finite either, so it must not be multiplied by
        grad_logits[i] = 0;
        continue;
      }
      grad_logits[i] *= inverse_step;
      grad_step -= double{grad_logits[i]} * logits[i];  // dt / dstep = -l / step^2
    }
    if (parameters == nullptr) continue;
    parameters->step += grad_step * inverse_step;
    const std::span<const Knee> knees = head.params.active_knees();
    for (size_t i = 0; i < n; ++i) {
      if (grad_score[i] == 0) continue;
      const int d = x[top] - x[i];
      parameters->offset += grad_score[i];
      for (size_t k = 0; k < knees.size(); ++k) {
        parameters->slope[k] -= grad_score[i] * static_cast<float>(std::min(d, knees[k].position));
        if (d > knees[k].position) parameters->position[k] -= grad_score[i] * static_cast<float>(knees[k].slope);
      }
    }
  }
}

}  // namespace hccs::training
