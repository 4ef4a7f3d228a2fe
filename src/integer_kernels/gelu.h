// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_INTEGER_KERNELS_GELU_H_
#define HCCS_SRC_INTEGER_KERNELS_GELU_H_

#include <array>
#include <cstdint>

namespace hccs::internal {

// Of the polynomial in x whose eighth power is 2 * Phi(-4 x), in units of 2^-15, the constant first.
inline constexpr std::array<int16_t, 4> kGeluCoefficients = {32734, -12351, -23228, 12196};

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_KERNELS_GELU_H_
