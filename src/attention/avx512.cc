// SPDX-License-Identifier: Apache-2.0
//
// Attention with AVX-512 F, BW, DQ and VL alone: elements are widened to 16 bits, whose products are exact.
#if defined(__x86_64__)
#include <immintrin.h>

#include "attention/simd.h"

#define HCCS_TARGET_STRING "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2"
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_avx512 {

constexpr int64_t kId = kAttentionAvx512Id;

struct Isa {
  static constexpr int kRows = 6;
  static constexpr int kColumns = 4;
  static constexpr int kVectors = 2;
  static constexpr int kFinal = 2;
  static constexpr int64_t kTailSteps = 0;
  static constexpr int kLanes = 16;
  static constexpr bool kWords = true;
  static constexpr bool kValuesAreUnsigned = false;
  static constexpr bool kKeysAreUnsigned = false;
  using Element = int16_t;
  using Left = __m512i;
  using Right = __m512i;
  using Sums = __m512i;
  using Bytes = __m512i;
  using Total = __m512i;

  static HCCS_INLINE __m512i load(const void* from) { return _mm512_loadu_si512(from); }

  static HCCS_INLINE Left load_left(const Element* from) {
    int64_t four;
    std::memcpy(&four, from, sizeof(four));
    return _mm512_set1_epi64(four);
  }
  // Eight lanes of four elements.
  static HCCS_INLINE Right load_right(const std::byte* from) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static HCCS_INLINE Sums broadcast(int32_t x) { return _mm512_set1_epi32(x); }
  static HCCS_INLINE Sums multiply_keys(Sums sums, Left a, Right b) {
    return _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
  }
  static HCCS_INLINE Sums multiply_values(Sums sums, Left a, Right b) { return multiply_keys(sums, a, b); }
  // Each of the 16 lanes has its sum in two halves.
  template <bool kAdd>
  static HCCS_INLINE void store_sums(int32_t* to, Sums low, Sums high) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const __m512i x =
        _mm512_add_epi32(_mm512_permutex2var_epi32(low, even, high), _mm512_permutex2var_epi32(low, odd, high));
    _mm512_storeu_si512(to, kAdd ? _mm512_add_epi32(x, load(to)) : x);
  }
  static int32_t sum_bias(const Tile& /*tile*/) { return 0; }

  static HCCS_INLINE void maximum(const int32_t* sums, int32_t* maxima) {
    const __m512i m = _mm512_max_epi32(_mm512_max_epi32(load(sums), load(sums + 16)),
                                       _mm512_max_epi32(load(sums + 32), load(sums + 48)));
    _mm512_storeu_si512(maxima, _mm512_max_epi32(m, load(maxima)));
  }
  static HCCS_INLINE void maximum_of_valid(int32_t* sums, uint64_t valid, int32_t* maxima) {
    __m512i m = load(maxima);
    HCCS_UNROLL for (int g = 0; g < 4; ++g) {
      const auto lanes = static_cast<__mmask16>(_pext_u64(valid, uint64_t{0x000F000F000F000F} << (4 * g)));
      m = _mm512_mask_max_epi32(m, lanes, m, load(sums + 16 * g));
    }
    _mm512_storeu_si512(maxima, m);
  }
  static HCCS_INLINE void maximum_of_four(const Sums* /*sums*/, int32_t* /*maxima*/) {}
  static HCCS_INLINE int32_t greatest(const Tile::Lanes& lanes) { return _mm512_reduce_max_epi32(load(lanes.data())); }

  struct Row {
    float maximum;
    float scale;
  };
  static Row make_row(const Tile& /*tile*/, const TileRow& row, int32_t maximum) {
    return {static_cast<float>(maximum), float_scale(row)};
  }
  // floor(t * scale + 1/2), saturated at 127: |sum| < 2^24 and t < 2^24 are exact, and so is the product in a fused
  // multiply-add; rounding the sum towards zero leaves its integer part.
  static HCCS_INLINE Bytes distances(const int32_t* sums, const Row& row) {
    const __m512 maximum = _mm512_set1_ps(row.maximum);
    const __m512 scale = _mm512_set1_ps(row.scale);
    const __m512 half = _mm512_set1_ps(0.5F);
    __m512i d[4];
    HCCS_UNROLL for (int g = 0; g < 4; ++g) {
      const __m512 t = _mm512_sub_ps(maximum, _mm512_cvtepi32_ps(load(sums + 16 * g)));
      d[g] = _mm512_cvttps_epi32(_mm512_fmadd_round_ps(t, scale, half, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
    }
    return _mm512_packs_epi16(_mm512_packs_epi32(d[0], d[1]), _mm512_packs_epi32(d[2], d[3]));
  }
  static HCCS_INLINE Bytes look_up(const AttentionHead::Bytes& /*table*/, const AttentionHead::Bytes& steps, Bytes d) {
    const __m512i sixteen = _mm512_set1_epi8(16);
    __m512i w = _mm512_setzero_si512();
    // A look-up gives 0 where the index is negative.
    HCCS_UNROLL for (int i = 0; i < 8; ++i) {
      const __m512i part =
          _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(steps.data() + 16 * i)));
      w = _mm512_xor_si512(w, _mm512_shuffle_epi8(part, d));
      d = _mm512_sub_epi8(d, sixteen);
    }
    return w;
  }
  static HCCS_INLINE Bytes mask(Bytes weights, uint64_t valid) { return _mm512_maskz_mov_epi8(valid, weights); }
  static HCCS_INLINE __m512i words(Bytes bytes, int half) {
    return _mm512_cvtepu8_epi16(half == 0 ? _mm512_castsi512_si256(bytes) : _mm512_extracti64x4_epi64(bytes, 1));
  }
  static HCCS_INLINE void store_weights(Element* to, Bytes weights) {
    _mm512_storeu_si512(to, words(weights, 0));
    _mm512_storeu_si512(to + 32, words(weights, 1));
  }
  static HCCS_INLINE void store_wide(Element* to, Element* /*the same*/, Bytes low, Bytes high) {
    HCCS_UNROLL for (int i = 0; i < 2; ++i) {
      _mm512_storeu_si512(to + 32 * i, _mm512_or_si512(words(low, i), _mm512_slli_epi16(words(high, i), 8)));
    }
  }
  static HCCS_INLINE Total load_total(const Tile::Lanes& from) { return load(from.data()); }
  static HCCS_INLINE void store_total(Total total, Tile::Lanes& to) { _mm512_storeu_si512(to.data(), total); }
  static HCCS_INLINE Total add(Total total, Bytes weights) {
    return _mm512_add_epi32(total, _mm512_sad_epu8(weights, _mm512_setzero_si512()));
  }
  static HCCS_INLINE int64_t sum(const Tile::Lanes& lanes) { return _mm512_reduce_add_epi32(load(lanes.data())); }
  static HCCS_INLINE void finish(const int32_t* sums, int64_t count, int64_t /*sum*/, double inverse, int8_t* out) {
    for (int64_t j = 0; j < count; ++j) out[j] = rounded_mean(sums[j], inverse);
  }
  struct SumsScope {
    explicit SumsScope(const Tile& /*tile*/) {}
  };
  using ValuesScope = SumsScope;
};

#include "attention/multiply-inl.h"
#include "attention/tile-inl.h"

constexpr AttentionTarget kTarget = make_target("avx512");

}  // namespace hccs::internal::attention_avx512
HCCS_END_TARGET

namespace hccs::internal {
AttentionTarget avx512_attention_target() noexcept { return attention_avx512::kTarget; }
}  // namespace hccs::internal
#endif  // __x86_64__
