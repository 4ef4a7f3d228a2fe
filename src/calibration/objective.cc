// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <vector>

#include "hccs/calibration.h"

namespace hccs {
namespace {

// KL(softmax(logits) || q / sum q), where log_q gives log q for each int8 logit's distance from the row's maximum:
// the logarithm, because q itself may underflow.
template <class LogQ>
double kl_of_int8(std::span<const float> logits, double step, const LogQ& log_q) {
  std::vector<int8_t> x(logits.size());
  quantise_logits(logits, step, x);
  const int quantised_maximum = *std::max_element(x.begin(), x.end());
  const double maximum = *std::max_element(logits.begin(), logits.end());
  std::vector<double> logs(logits.size());
  double p_sum = 0;
  double q_sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    logs[i] = log_q(quantised_maximum - x[i]);
    p_sum += std::exp(logits[i] - maximum);
    q_sum += std::exp(logs[i]);
  }
  const double shift = std::log(q_sum) - std::log(p_sum);
  double kl = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double log_weight = logits[i] - maximum;
    kl += std::exp(log_weight) * (log_weight - logs[i] + shift);
  }
  return std::max(kl / p_sum, 0.0);
}

}  // namespace

double row_kl(std::span<const float> logits, double step, const HeadParams& params) {
  const auto floor = params.floor();
  const double extra = charged_floor(params.offset, floor) - static_cast<double>(floor);
  return kl_of_int8(logits, step, [&](int d) { return std::log(static_cast<double>(params.score(d)) + extra); });
}

double row_kl_int8_exact(std::span<const float> logits, double step) {
  return kl_of_int8(logits, step, [step](int d) { return -d * step; });
}

}  // namespace hccs
