// SPDX-License-Identifier: Apache-2.0
//
// Attention with AVX2 and FMA: elements are widened to 16 bits, whose products are exact (those of bytes saturate).
#if defined(__x86_64__)
#include <immintrin.h>

#include "attention/simd.h"
#include "attention/x86_modes.h"

#define HCCS_TARGET_STRING "avx2,fma,bmi,bmi2"
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_avx2 {

constexpr int64_t kId = kAttentionAvx2Id;

#include "attention/avx2_isa-inl.h"

struct Isa : Avx2Isa {
  static constexpr int kVectors = 4;
  static constexpr int kFinal = 2;
  static constexpr int64_t kTailSteps = 0;
  static constexpr bool kWords = true;
  static constexpr bool kKeysAreUnsigned = false;
  using Element = int16_t;

  static HCCS_INLINE Left load_left(const Element* from) {
    int64_t four;
    std::memcpy(&four, from, sizeof(four));
    return _mm256_set1_epi64x(four);
  }
  // Four lanes of four elements.
  static HCCS_INLINE Right load_right(const std::byte* from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static HCCS_INLINE Sums multiply_keys(Sums sums, Left a, Right b) {
    return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
  }
  static HCCS_INLINE Sums multiply_values(Sums sums, Left a, Right b) { return multiply_keys(sums, a, b); }
  // Each of the eight lanes has its sum in two halves.
  template <bool kAdd>
  static HCCS_INLINE void store_sums(int32_t* to, Sums low, Sums high) {
    const __m256i x = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), 0xD8);
    store(to, kAdd ? _mm256_add_epi32(x, load(to)) : x);
  }
  static int32_t sum_bias(const Tile& /*tile*/) { return 0; }

  static HCCS_INLINE __m256i words(Bytes bytes, int half) {
    return _mm256_cvtepu8_epi16(half == 0 ? _mm256_castsi256_si128(bytes) : _mm256_extracti128_si256(bytes, 1));
  }
  static HCCS_INLINE void store_weights(Element* to, Bytes weights) {
    store(to, words(weights, 0));
    store(to + 16, words(weights, 1));
  }
  static HCCS_INLINE void store_wide(Element* to, Element* /*the same*/, Bytes low, Bytes high) {
    HCCS_UNROLL for (int i = 0; i < 2; ++i) {
      store(to + 16 * i, _mm256_or_si256(words(low, i), _mm256_slli_epi16(words(high, i), 8)));
    }
  }
  static HCCS_INLINE Total add(Total total, Bytes weights) {
    return _mm256_add_epi32(total, _mm256_sad_epu8(weights, _mm256_setzero_si256()));
  }
  static HCCS_INLINE int64_t sum(const Tile::Lanes& lanes) {
    return int64_t{lanes[0]} + lanes[2] + lanes[4] + lanes[6];
  }
};

#include "attention/multiply-inl.h"
#include "attention/tile-inl.h"

constexpr AttentionTarget kTarget = make_target("avx2");

}  // namespace hccs::internal::attention_avx2
HCCS_END_TARGET

namespace hccs::internal {
AttentionTarget avx2_attention_target() noexcept { return attention_avx2::kTarget; }
}  // namespace hccs::internal
#endif  // __x86_64__
