// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps with AVX-512 VNNI, which multiplies 64 pairs of bytes in an instruction.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

#define HCCS_TARGET_STRING "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx2,fma,bmi,bmi2"
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::kernels_vbmi {

#include "integer_kernels/vnni_isa-inl.h"

constexpr int64_t kId = kAttentionVbmiId;

#include "integer_kernels/blocks-inl.h"
#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_avx512-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("avx512-vbmi");

}  // namespace hccs::internal::kernels_vbmi
HCCS_END_TARGET

namespace hccs::internal {
IntegerKernels vbmi_integer_kernels() noexcept { return kernels_vbmi::kKernels; }
}  // namespace hccs::internal
#endif  // __x86_64__
