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

struct Isa {
  using Element = int8_t;
  static constexpr int32_t kOffset = 0;
  static constexpr int32_t kColumnsOffset = -128;
  static constexpr int kRows = 6;
  static constexpr int64_t kColumns = 16;
  static constexpr int64_t kInputs = 4;
  static constexpr WeightLayout kLayout = {kColumns, kInputs};
  static constexpr int64_t kFurtherRows = 0;
  struct ProductScope {};
  static constexpr int kVectors = 4;
  using Left = int8x16_t;
  using Right = int8x16_t;
  using Sums = int32x4_t;

  static HCCS_INLINE Sums zero() { return vdupq_n_s32(0); }
  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t four;
    std::memcpy(&four, from, sizeof(four));
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static HCCS_INLINE Right load_right(const std::byte* from) { return vld1q_s8(reinterpret_cast<const int8_t*>(from)); }
  static HCCS_INLINE Sums multiply(Sums sums, Left a, Right b) { return vdotq_s32(sums, a, b); }
  static HCCS_INLINE void store(int32_t* to, Sums sums) { vst1q_s32(to, sums); }
};

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
