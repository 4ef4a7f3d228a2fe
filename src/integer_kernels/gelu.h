// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_INTEGER_KERNELS_GELU_H_
#define HCCS_SRC_INTEGER_KERNELS_GELU_H_

#include <array>
#include <cstdint>

namespace hccs::internal {

// Of the polynomial in x whose eighth power is 2 * Phi(-4 x), in units of 2^-15, the constant first. Compilers do not
// see the numbers: GCC 12 multiplies 16 bits by a constant of its own in 32.
extern const std::array<int16_t, 4> kGeluCoefficients;

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_KERNELS_GELU_H_
