// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "hccs/calibration.h"

namespace hccs {

void quantise_logits(std::span<const float> logits, double step, std::span<int8_t> x) noexcept {
  const double inverse = 1.0 / step;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double scaled = logits[i] * inverse;
    x[i] = std::isnan(scaled) ? int8_t{0} : static_cast<int8_t>(std::nearbyint(std::clamp(scaled, -128.0, 127.0)));
  }
}

}  // namespace hccs
