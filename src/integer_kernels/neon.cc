// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps with NEON, which every 64-bit Arm processor has: compilers use it for plain C++.
#if defined(__aarch64__)
#include <algorithm>
#include <array>
#include <cstring>

#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

namespace hccs::internal::kernels_neon {

#include "integer_kernels/plain_isa-inl.h"

constexpr int64_t kId = kAttentionNeonId;

#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_plain-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("neon");

}  // namespace hccs::internal::kernels_neon

namespace hccs::internal {
IntegerKernels neon_integer_kernels() noexcept { return kernels_neon::kKernels; }
}  // namespace hccs::internal
#endif  // __aarch64__
