// SPDX-License-Identifier: Apache-2.0
#include "quantiser/fit_heads.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "quantiser/requantise.h"

namespace hccs::internal {

HeadRows::HeadRows(std::span<const float> metric, std::span<const double> scales, std::span<const double> centres)
    : dimension_(scales.size()), scales_(scales.begin(), scales.end()), centres_(centres.begin(), centres.end()) {
  const size_t d = dimension_;
  factor_.resize(d * d);
  for (size_t i = 0; i < d; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = 0;
      for (size_t r = 0; r < metric.size(); r += d) sum += double{metric[r + i]} * metric[r + j];
      if (i == j) sum = sum * (1 + 1e-6) + 1e-12;
      for (size_t k = 0; k < j; ++k) sum -= factor_[i * d + k] * factor_[j * d + k];
      factor_[i * d + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / factor_[j * d + j];
    }
  }
}

std::vector<float> HeadRows::transformed(const std::vector<double>& x) const {
  const size_t d = dimension_;
  std::vector<float> out(d);
  for (size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (size_t i = j; i < d; ++i) sum += factor_[i * d + j] * x[i];
    out[j] = static_cast<float>(sum);
  }
  return out;
}

void HeadRows::add_text(const int8_t* queries, const int8_t* keys, const int8_t* values, int64_t pitch,
                        const float* exact, int64_t exact_pitch, int64_t tokens, int64_t first, int64_t every) {
  if (first >= tokens) return;
  const auto d = static_cast<int64_t>(dimension_);
  const size_t values_begin = values_.size();
  std::vector<double> x(dimension_);
  const auto append = [&](std::vector<float>* to) {
    const std::vector<float> y = transformed(x);
    to->insert(to->end(), y.begin(), y.end());
  };
  for (int64_t t = 0; t < tokens; ++t) {
    for (size_t c = 0; c < dimension_; ++c) x[c] = scales_[c] * values[t * pitch + static_cast<int64_t>(c)];
    append(&values_);
  }
  for (int64_t q = first; q < tokens; q += every) {
    rows_.push_back({distances_.size(), values_begin, tokens});
    std::vector<int32_t> sums;
    for (int64_t t = 0; t < tokens; ++t) {
      int32_t sum = 0;
      for (int64_t c = 0; c < d; ++c) sum += queries[q * pitch + c] * keys[t * pitch + c];
      sums.push_back(sum);
    }
    const int32_t greatest = *std::max_element(sums.begin(), sums.end());
    for (const int32_t sum : sums) distances_.push_back(greatest - sum);
    for (size_t c = 0; c < dimension_; ++c) x[c] = exact[q * exact_pitch + static_cast<int64_t>(c)] - centres_[c];
    append(&targets_);
  }
}

double HeadRows::cost(const HeadParams& params, Rescale rescale, AttentionWeights weights) const {
  std::array<float, 128> table{};
  for (size_t d = 0; d < table.size(); ++d) {
    table[d] = static_cast<float>(attention_weight(params, static_cast<int64_t>(d), weights));
  }
  const int64_t half = rescale.shift > 0 ? int64_t{1} << (rescale.shift - 1) : 0;
  std::vector<float> sum(dimension_);
  double cost = 0;
  for (size_t r = 0; r < rows_.size(); ++r) {
    const Row& row = rows_[r];
    std::fill(sum.begin(), sum.end(), 0.0F);
    float total = 0;
    const float* v = values_.data() + row.values;
    for (int64_t i = 0; i < row.length; ++i, v += dimension_) {
      const int64_t d =
          (int64_t{distances_[row.distances + static_cast<size_t>(i)]} * rescale.multiplier + half) >> rescale.shift;
      const float w = table[static_cast<size_t>(std::min<int64_t>(d, 127))];
      total += w;
      for (size_t c = 0; c < dimension_; ++c) sum[c] += w * v[c];
    }
    const float* target = targets_.data() + r * dimension_;
    for (size_t c = 0; c < dimension_; ++c) {
      const float error = sum[c] / total - target[c];
      cost += double{error} * error;
    }
  }
  return rows_.empty() ? 0 : cost / static_cast<double>(rows_.size());
}

namespace {

constexpr double kLeastGain = 1e-4;  // of the cost

// Moves one of F, S_1..S_K, D_1..D_K and the step as long as that lowers the cost.
class Descent {
 public:
  Descent(const HeadRows& rows, const FittedHead& start, AttentionWeights weights)
      : rows_(rows), weights_(weights), best_(start), cost_(rows.cost(start.params, start.rescale, weights)) {}

  FittedHead run() {
    for (const int size : {8, 4, 2, 1}) {
      for (bool again = true; again;) again = sweep(size);
    }
    return best_;
  }

 private:
  static constexpr int kStep = -1;  // a variable; others count F, slopes, positions

  bool sweep(int size) {
    bool improved = false;
    const int knees = best_.params.knee_count;
    for (int variable = kStep; variable <= 2 * knees; ++variable) {
      for (const int sign : {-1, 1}) {
        while (improve(moved(variable, sign * size))) improved = true;
      }
    }
    return improved;
  }

  FittedHead moved(int variable, int by) const {
    FittedHead to = best_;
    const int knees = to.params.knee_count;
    if (variable == kStep) {
      const double factor = std::ldexp(to.rescale.multiplier, -to.rescale.shift) * (1 + by * 0.01);
      const Factor rounded = factor_of(factor);
      if (rounded.shift >= 0 && rounded.shift <= kMaxRescaleShift) to.rescale = {rounded.multiplier, rounded.shift};
      return to;
    }
    int64_t floor = to.params.floor();
    if (variable == 0) {
      floor += by * std::max<int64_t>(1, floor / 50);
    } else if (variable <= knees) {
      to.params.knees[static_cast<size_t>(variable - 1)].slope += by;
    } else {
      to.params.knees[static_cast<size_t>(variable - 1 - knees)].position += by;
    }
    for (const Knee& knee : to.params.active_knees()) floor += int64_t{knee.slope} * knee.position;
    to.params.offset = static_cast<int32_t>(std::clamp<int64_t>(floor, -1, kMaxOffset + 1));
    return to;
  }

  bool improve(const FittedHead& candidate) {
    if (candidate.params == best_.params && candidate.rescale.multiplier == best_.rescale.multiplier &&
        candidate.rescale.shift == best_.rescale.shift) {
      return false;
    }
    if (!validate(candidate.params).ok()) return false;
    const double cost = rows_.cost(candidate.params, candidate.rescale, weights_);
    if (cost >= cost_ * (1 - kLeastGain)) return false;
    best_ = candidate;
    cost_ = cost;
    return true;
  }

  const HeadRows& rows_;
  AttentionWeights weights_;
  FittedHead best_;
  double cost_;
};

}  // namespace

FittedHead fit_head(const HeadRows& rows, const FittedHead& start, AttentionWeights weights) {
  return Descent(rows, start, weights).run();
}

}  // namespace hccs::internal
