// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps with NEON and the dot products of Armv8.2, of signed bytes: GELU's columns are 128 less.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

#if defined(__clang__)
#define HCCS_TARGET_STRING "dotprod"
#else
#define HCCS_TARGET_STRING "arch=armv8.2-a+dotprod"
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::kernels_neon_dotprod {

constexpr int64_t kId = kAttentionNeonDotId;

#include "integer_kernels/neon_dotprod_isa-inl.h"

using Isa = DotprodIsa;

#include "integer_kernels/blocks-inl.h"
#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_plain-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("neon-dotprod");

}  // namespace hccs::internal::kernels_neon_dotprod
HCCS_END_TARGET

namespace hccs::internal {
IntegerKernels neon_dotprod_integer_kernels() noexcept { return kernels_neon_dotprod::kKernels; }
}  // namespace hccs::internal
#endif  // __aarch64__
