// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "hccs/calibration.h"

namespace hccs {
namespace {

// KL(softmax(logits) || q / sum q), where log_q gives log q for each int8 logit's distance from the row's maximum:
// the logarithm, because q itself may underflow.
template <class LogQ>
double kl_of_int8(std::span<const float> logits, double step, const LogQ& log_q) noexcept {
  const auto quantised = [step](float logit) {
    int8_t x = 0;
    quantise_logits({&logit, 1}, step, {&x, 1});
    return int{x};
  };
  const double maximum = *std::max_element(logits.begin(), logits.end());
  const int quantised_maximum = quantised(static_cast<float>(maximum));  // rounding keeps the order
  double p_sum = 0;
  double q_sum = 0;
  for (const float logit : logits) {
    p_sum += std::exp(logit - maximum);
    q_sum += std::exp(log_q(quantised_maximum - quantised(logit)));
  }
  const double shift = std::log(q_sum) - std::log(p_sum);
  double kl = 0;
  for (const float logit : logits) {
    const double log_weight = logit - maximum;
    kl += std::exp(log_weight) * (log_weight - log_q(quantised_maximum - quantised(logit)) + shift);
  }
  return std::max(kl / p_sum, 0.0);
}

}  // namespace

double row_kl(std::span<const float> logits, double step, const HeadParams& params) noexcept {
  const auto floor = params.floor();
  const double extra = charged_floor(params.offset, floor) - static_cast<double>(floor);
  return kl_of_int8(logits, step, [&](int d) { return std::log(static_cast<double>(params.score(d)) + extra); });
}

double row_kl_int8_exact(std::span<const float> logits, double step) noexcept {
  return kl_of_int8(logits, step, [step](int d) { return -d * step; });
}

}  // namespace hccs
