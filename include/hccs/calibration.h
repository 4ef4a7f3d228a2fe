// SPDX-License-Identifier: Apache-2.0
//
// Rows of float logits in, one head's integers out. Knows no model and no file.
#ifndef HCCS_CALIBRATION_H_
#define HCCS_CALIBRATION_H_

#include <cstdint>
#include <span>

namespace hccs {

// x = clamp(round_half_to_even(logit / step), -128, 127): how a float logit becomes the contract's int8. step > 0,
// finite; NaN gives 0. `logits` and `x` have the same size.
void quantise_logits(std::span<const float> logits, double step, std::span<int8_t> x) noexcept;

}  // namespace hccs

#endif  // HCCS_CALIBRATION_H_
