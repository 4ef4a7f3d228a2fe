// SPDX-License-Identifier: Apache-2.0
//
// Attention with NEON and its dot products of bytes (FEAT_DotProd). Those of one signed and one unsigned operand came
// later, so both are signed for the sums, and for the values both are unsigned: o is then 128 too large.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "attention/neon.h"
#include "attention/simd.h"

#if defined(__clang__)
#define HCCS_TARGET_STRING "dotprod"
#else
#define HCCS_TARGET_STRING "arch=armv8.2-a+dotprod"
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_neon_dotprod {

constexpr int64_t kId = kAttentionNeonDotId;

struct Isa : NeonRows {
  static constexpr int kRows = 6;
  static constexpr int kColumns = 4;
  static constexpr int kVectors = 4;
  static constexpr int kFinal = 1;
  static constexpr int64_t kTailSteps = 0;
  static constexpr int kLanes = 4;
  static constexpr bool kWords = false;
  static constexpr bool kKeysAreUnsigned = false;
  static constexpr bool kValuesAreUnsigned = true;
  using Element = int8_t;
  using Left = int8x16_t;
  using Right = int8x16_t;
  using Sums = int32x4_t;

  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t four;
    std::memcpy(&four, from, sizeof(four));
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static HCCS_INLINE Right load_right(const std::byte* from) { return vld1q_s8(reinterpret_cast<const int8_t*>(from)); }
  static HCCS_INLINE Sums broadcast(int32_t x) { return vdupq_n_s32(x); }
  static HCCS_INLINE Sums multiply_keys(Sums sums, Left a, Right b) { return vdotq_s32(sums, a, b); }
  static HCCS_INLINE Sums multiply_values(Sums sums, Left a, Right b) {
    return vreinterpretq_s32_u32(
        vdotq_u32(vreinterpretq_u32_s32(sums), vreinterpretq_u8_s8(a), vreinterpretq_u8_s8(b)));
  }
  template <bool kAdd>
  static HCCS_INLINE void store_sums(int32_t* to, Sums sums, Sums /*the same*/) {
    vst1q_s32(to, kAdd ? vaddq_s32(sums, vld1q_s32(to)) : sums);
  }
  static HCCS_INLINE void maximum_of_four(const Sums* /*sums*/, int32_t* /*maxima*/) {}

  static HCCS_INLINE void store_weights(Element* to, Bytes weights) { vst1q_s8(to, vreinterpretq_s8_u8(weights)); }
  static HCCS_INLINE void store_wide(Element* low_to, Element* high_to, Bytes low, Bytes high) {
    store_weights(low_to, low);
    store_weights(high_to, high);
  }
  static HCCS_INLINE void finish(const int32_t* /*sums*/, int64_t /*count*/, int64_t /*sum*/, double /*inverse*/,
                                 int8_t* /*out*/) {}
};

#include "attention/multiply-inl.h"
#include "attention/tile-inl.h"

constexpr AttentionTarget kTarget = make_target("neon-dotprod");

}  // namespace hccs::internal::attention_neon_dotprod
HCCS_END_TARGET

namespace hccs::internal {
AttentionTarget neon_dotprod_attention_target() noexcept { return attention_neon_dotprod::kTarget; }
}  // namespace hccs::internal
#endif  // __aarch64__
