// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_INTEGER_KERNELS_PACK_WEIGHTS_H_
#define HCCS_SRC_INTEGER_KERNELS_PACK_WEIGHTS_H_

#include <cstddef>
#include <cstdint>

#include "integer_kernels/kernels.h"

namespace hccs::internal {

// weights: [out, in]. Writes all panels, panel_bytes(in) each; what has no weight becomes 0.
void pack_weights(const WeightLayout& layout, const int8_t* weights, int64_t in, int64_t out, std::byte* packed);

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_KERNELS_PACK_WEIGHTS_H_
