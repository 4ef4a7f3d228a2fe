// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps where attention takes products of matrices (FEAT_I8MM): those of neon-dotprod, whose
// layout of weights has 4 elements side by side where these products want 8.
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
#define HCCS_TARGET_STRING "dotprod,i8mm"
#else
#define HCCS_TARGET_STRING "arch=armv8.2-a+dotprod+i8mm"
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::kernels_neon_i8mm {

constexpr int64_t kId = kAttentionNeonI8mmId;

#include "integer_kernels/neon_dotprod_isa-inl.h"

using Isa = DotprodIsa;

#include "integer_kernels/blocks-inl.h"
#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_plain-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("neon-i8mm");

}  // namespace hccs::internal::kernels_neon_i8mm
HCCS_END_TARGET

namespace hccs::internal {
IntegerKernels neon_i8mm_integer_kernels() noexcept { return kernels_neon_i8mm::kKernels; }
}  // namespace hccs::internal
#endif  // __aarch64__
