// SPDX-License-Identifier: Apache-2.0
#include "hccs/quantise.h"

#include <algorithm>
#include <cmath>

namespace hccs {
namespace {

template <class Logit>
void quantise(std::span<const Logit> logits, double step, std::span<int8_t> x) noexcept {
  for (size_t i = 0; i < logits.size(); ++i) {
    const double scaled = logits[i] / step;
    x[i] = std::isnan(scaled) ? int8_t{0} : static_cast<int8_t>(std::nearbyint(std::clamp(scaled, -128.0, 127.0)));
  }
}

}  // namespace

void quantise_logits(std::span<const float> logits, double step, std::span<int8_t> x) noexcept {
  quantise(logits, step, x);
}

void quantise_logits(std::span<const double> logits, double step, std::span<int8_t> x) noexcept {
  quantise(logits, step, x);
}

}  // namespace hccs
