// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_QUANTISE_H_
#define HCCS_QUANTISE_H_

#include <cstdint>
#include <span>

#include "hccs/export.h"

namespace HCCS_API hccs {

// How float logits become the contract's int8 logits: x = clamp(round_half_to_even(logit / step), -128, 127), computed
// in double. `step` is the head's logit step, the real value of one int8 unit: finite, > 0. A NaN gives 0. `logits` and
// `x` have the same size.
void quantise_logits(std::span<const float> logits, double step, std::span<int8_t> x) noexcept;
void quantise_logits(std::span<const double> logits, double step, std::span<int8_t> x) noexcept;

}  // namespace hccs

#endif  // HCCS_QUANTISE_H_
