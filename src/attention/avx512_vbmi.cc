// SPDX-License-Identifier: Apache-2.0
//
// Attention with AVX-512 VNNI, which multiplies 64 pairs of bytes in an instruction, and VBMI, which looks up 128
// bytes.
#if defined(__x86_64__)
#include <immintrin.h>

#include "attention/simd.h"

#define HCCS_TARGET_STRING "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx2,fma,bmi,bmi2"
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_vbmi {

constexpr int64_t kId = kAttentionVbmiId;

#include "attention/vbmi_isa-inl.h"

using Isa = VbmiIsa;

#include "attention/multiply-inl.h"
#include "attention/tile-inl.h"
#include "attention/vbmi_pack-inl.h"

constexpr AttentionTarget kTarget = packing_by_vectors(make_target("avx512-vbmi"));

}  // namespace hccs::internal::attention_vbmi
HCCS_END_TARGET

namespace hccs::internal {
AttentionTarget vbmi_attention_target() noexcept { return attention_vbmi::kTarget; }
}  // namespace hccs::internal
#endif  // __x86_64__
