// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <vector>

#include "hccs/calibration.h"

namespace hccs {
namespace {

// KL(softmax(logits) || q / sum q) for the q that `score` gives each int8 logit's distance from the row's maximum.
template <class Score>
double kl_of_int8(std::span<const float> logits, double step, const Score& score) {
  std::vector<int8_t> x(logits.size());
  quantise_logits(logits, step, x);
  const int quantised_maximum = *std::max_element(x.begin(), x.end());
  const double maximum = *std::max_element(logits.begin(), logits.end());
  double p_sum = 0;
  double q_sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    p_sum += std::exp(logits[i] - maximum);
    q_sum += score(quantised_maximum - x[i]);
  }
  double kl = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double log_p = logits[i] - maximum - std::log(p_sum);
    const double log_q = std::log(score(quantised_maximum - x[i]) / q_sum);
    kl += std::exp(log_p) * (log_p - log_q);
  }
  return std::max(kl, 0.0);
}

}  // namespace

void quantise_logits(std::span<const float> logits, double step, std::span<int8_t> x) noexcept {
  const double inverse = 1.0 / step;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double scaled = logits[i] * inverse;
    x[i] = std::isnan(scaled) ? int8_t{0} : static_cast<int8_t>(std::nearbyint(std::clamp(scaled, -128.0, 127.0)));
  }
}

double row_kl(std::span<const float> logits, double step, const HeadParams& params) {
  const auto floor = params.floor();
  const double extra = charged_floor(params.offset, floor) - static_cast<double>(floor);
  return kl_of_int8(logits, step, [&](int d) { return static_cast<double>(params.score(d)) + extra; });
}

double row_kl_int8_exact(std::span<const float> logits, double step) {
  return kl_of_int8(logits, step, [step](int d) { return std::exp(-d * step); });
}

}  // namespace hccs
