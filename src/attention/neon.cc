// SPDX-License-Identifier: Apache-2.0
//
// Attention with NEON: elements are widened to 16 bits.
#if defined(__aarch64__)
#include "attention/neon.h"

#include <arm_neon.h>

#include "attention/simd.h"

namespace hccs::internal::attention_neon {

constexpr int64_t kId = kAttentionNeonId;

struct Isa : NeonRows {
  static constexpr int kRows = 4;
  static constexpr int kColumns = 2;
  static constexpr int kVectors = 8;
  static constexpr int kFinal = 2;
  static constexpr int64_t kTailSteps = 0;
  static constexpr int kLanes = 4;
  static constexpr bool kWords = true;
  static constexpr bool kKeysAreUnsigned = false;
  static constexpr bool kValuesAreUnsigned = false;
  using Element = int16_t;
  using Left = int16x4_t;
  using Right = int16x8_t;
  struct Sums {
    int32x4_t first, second;  // four parts of the sum of either lane
  };

  static HCCS_INLINE Left load_left(const Element* from) { return vld1_s16(from); }
  // Two lanes of four elements.
  static HCCS_INLINE Right load_right(const std::byte* from) {
    return vmovl_s8(vld1_s8(reinterpret_cast<const int8_t*>(from)));
  }
  static HCCS_INLINE Sums broadcast(int32_t x) { return {vdupq_n_s32(x), vdupq_n_s32(x)}; }
  static HCCS_INLINE Sums multiply_keys(Sums sums, Left a, Right b) {
    return {vmlal_s16(sums.first, vget_low_s16(b), a), vmlal_s16(sums.second, vget_high_s16(b), a)};
  }
  static HCCS_INLINE Sums multiply_values(Sums sums, Left a, Right b) { return multiply_keys(sums, a, b); }
  template <bool kAdd>
  static HCCS_INLINE void store_sums(int32_t* to, Sums low, Sums high) {
    const int32x4_t x = vpaddq_s32(vpaddq_s32(low.first, low.second), vpaddq_s32(high.first, high.second));
    vst1q_s32(to, kAdd ? vaddq_s32(x, vld1q_s32(to)) : x);
  }
  static HCCS_INLINE void maximum_of_four(const Sums* /*sums*/, int32_t* /*maxima*/) {}

  static HCCS_INLINE void store_weights(Element* to, Bytes weights) {
    vst1q_s16(to, vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(weights))));
    vst1q_s16(to + 8, vreinterpretq_s16_u16(vmovl_high_u8(weights)));
  }
  static HCCS_INLINE void store_wide(Element* to, Element* /*the same*/, Bytes low, Bytes high) {
    vst1q_s16(to, vreinterpretq_s16_u8(vzip1q_u8(low, high)));
    vst1q_s16(to + 8, vreinterpretq_s16_u8(vzip2q_u8(low, high)));
  }
  static HCCS_INLINE void finish(const int32_t* sums, int64_t count, int64_t /*sum*/, double inverse, int8_t* out) {
    for (int64_t j = 0; j < count; ++j) out[j] = rounded_mean(sums[j], inverse);
  }
};

#include "attention/multiply-inl.h"
#include "attention/tile-inl.h"

constexpr AttentionTarget kTarget = make_target("neon");

}  // namespace hccs::internal::attention_neon

namespace hccs::internal {
AttentionTarget neon_attention_target() noexcept { return attention_neon::kTarget; }
}  // namespace hccs::internal
#endif  // __aarch64__
