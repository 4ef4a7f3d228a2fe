// SPDX-License-Identifier: Apache-2.0
//
// Attention with AVX2 and a 256-bit VNNI: AVX-VNNI, as client processors without AVX-512 have it.
#if defined(__x86_64__)
#include <immintrin.h>

#include "attention/simd.h"
#include "attention/x86_modes.h"

// The tests build this file for the same instruction of AVX-512 too, so that a processor without AVX-VNNI runs the
// rest.
#if defined(HCCS_EMULATE_INSTRUCTIONS)
#define HCCS_TARGET_STRING "avx512f,avx512vl,avx512vnni,avx2,fma,bmi,bmi2"
#define HCCS_DPBUSD _mm256_dpbusd_epi32
#else
#define HCCS_TARGET_STRING "avxvnni,avx2,fma,bmi,bmi2"
#define HCCS_DPBUSD _mm256_dpbusd_avx_epi32
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_avx2_vnni {

constexpr int64_t kId = kAttentionAvxVnniId;

#include "attention/avx2_isa-inl.h"

struct Isa : Avx2Isa {
  static constexpr int kVectors = 2;
  static constexpr int kFinal = 1;
  static constexpr int64_t kTailSteps = 0;
  static constexpr bool kWords = false;
  static constexpr bool kKeysAreUnsigned = true;
  using Element = int8_t;

  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t four;
    std::memcpy(&four, from, sizeof(four));
    return _mm256_set1_epi32(four);
  }
  static HCCS_INLINE Right load_right(const std::byte* from) { return load(from); }
  // Keys are unsigned, queries signed; weights unsigned, values signed.
  static HCCS_INLINE Sums multiply_keys(Sums sums, Left a, Right b) { return HCCS_DPBUSD(sums, b, a); }
  static HCCS_INLINE Sums multiply_values(Sums sums, Left a, Right b) { return HCCS_DPBUSD(sums, a, b); }
  template <bool kAdd>
  static HCCS_INLINE void store_sums(int32_t* to, Sums sums, Sums /*the same*/) {
    store(to, kAdd ? _mm256_add_epi32(sums, load(to)) : sums);
  }
  // Sums are those of keys with 128 added to each element, which changes no difference within a row; |sum| < 2^24.
  static int32_t sum_bias(const Tile& /*tile*/) { return 0; }

  static HCCS_INLINE void store_weights(Element* to, Bytes weights) { store(to, weights); }
  static HCCS_INLINE void store_wide(Element* low_to, Element* high_to, Bytes low, Bytes high) {
    store(low_to, low);
    store(high_to, high);
  }
  static HCCS_INLINE Total add(Total total, Bytes weights) { return HCCS_DPBUSD(total, weights, _mm256_set1_epi8(1)); }
  static HCCS_INLINE int64_t sum(const Tile::Lanes& lanes) {
    int64_t sum = 0;
    for (int i = 0; i < 8; ++i) sum += lanes[i];
    return sum;
  }
};

#include "attention/multiply-inl.h"
#include "attention/tile-inl.h"

constexpr AttentionTarget kTarget = make_target("avx2-vnni");

}  // namespace hccs::internal::attention_avx2_vnni
HCCS_END_TARGET

namespace hccs::internal {
AttentionTarget avx2_vnni_attention_target() noexcept { return attention_avx2_vnni::kTarget; }
}  // namespace hccs::internal
#endif  // __x86_64__
