// SPDX-License-Identifier: Apache-2.0
#include "integer_kernels/gelu.h"

namespace hccs::internal {

const std::array<int16_t, 4> kGeluCoefficients = {32734, -12351, -23228, 12196};

}  // namespace hccs::internal
