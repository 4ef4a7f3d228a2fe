// SPDX-License-Identifier: Apache-2.0
//
// Attention with SSE4.2: elements are widened to 16 bits, whose products are exact (those of bytes saturate).
#if defined(__x86_64__)
#include <immintrin.h>

#include "attention/simd.h"

#define HCCS_TARGET_STRING "sse4.2"
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_sse4 {

constexpr int64_t kId = kAttentionSse4Id;

struct Isa {
  static constexpr int kRows = 6;
  static constexpr int kColumns = 2;
  static constexpr int kVectors = 8;
  static constexpr int kFinal = 2;
  static constexpr int64_t kTailSteps = 0;
  static constexpr int kLanes = 4;
  static constexpr bool kWords = true;
  static constexpr bool kKeysAreUnsigned = false;
  static constexpr bool kValuesAreUnsigned = false;
  using Element = int16_t;
  using Left = __m128i;
  using Right = __m128i;
  using Sums = __m128i;
  using Bytes = __m128i;
  using Total = __m128i;

  static HCCS_INLINE __m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
  static HCCS_INLINE void store(void* to, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(to), v); }

  static HCCS_INLINE Left load_left(const Element* from) {
    int64_t four;
    std::memcpy(&four, from, sizeof(four));
    return _mm_set1_epi64x(four);
  }
  // Two lanes of four elements.
  static HCCS_INLINE Right load_right(const std::byte* from) {
    return _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
  static HCCS_INLINE Sums broadcast(int32_t x) { return _mm_set1_epi32(x); }
  static HCCS_INLINE Sums multiply_keys(Sums sums, Left a, Right b) {
    return _mm_add_epi32(sums, _mm_madd_epi16(a, b));
  }
  static HCCS_INLINE Sums multiply_values(Sums sums, Left a, Right b) { return multiply_keys(sums, a, b); }
  // Each of the four lanes has its sum in two halves.
  template <bool kAdd>
  static HCCS_INLINE void store_sums(int32_t* to, Sums low, Sums high) {
    const __m128i x = _mm_hadd_epi32(low, high);
    store(to, kAdd ? _mm_add_epi32(x, load(to)) : x);
  }
  static int32_t sum_bias(const Tile& /*tile*/) { return 0; }

  static HCCS_INLINE void maximum(const int32_t* sums, int32_t* maxima) {
    __m128i m = load(maxima);
    HCCS_UNROLL for (int i = 0; i < 64; i += 4) m = _mm_max_epi32(m, load(sums + i));
    store(maxima, m);
  }
  static HCCS_INLINE void maximum_of_valid(int32_t* sums, uint64_t valid, int32_t* maxima) {
    drop_invalid(sums, valid);
    maximum(sums, maxima);
  }
  static HCCS_INLINE void maximum_of_four(const Sums* /*sums*/, int32_t* /*maxima*/) {}
  static HCCS_INLINE int32_t greatest(const Tile::Lanes& lanes) {
    return *std::max_element(lanes.begin(), lanes.end());
  }

  struct Row {
    int32_t maximum;
    int32_t limit;
    int32_t multiplier;
    int32_t shift;
    int64_t half;
  };
  static Row make_row(const Tile& /*tile*/, const TileRow& row, int32_t maximum) {
    return {maximum, static_cast<int32_t>(distance_limit(row)), static_cast<int32_t>(row.multiplier), row.shift,
            row.shift == 0 ? 0 : int64_t{1} << (row.shift - 1)};
  }
  // (t * M + 2^(R-1)) >> R of t clamped where it is 127 anyway, in 64 bits.
  static HCCS_INLINE Bytes distances(const int32_t* sums, const Row& row) {
    const __m128i maximum = _mm_set1_epi32(row.maximum);
    const __m128i limit = _mm_set1_epi32(row.limit);
    const __m128i multiplier = _mm_set1_epi32(row.multiplier);
    const __m128i shift = _mm_cvtsi32_si128(row.shift);
    const __m128i half = _mm_set1_epi64x(row.half);
    __m128i d[4];
    HCCS_UNROLL for (int g = 0; g < 4; ++g) {
      const __m128i t = _mm_min_epu32(limit, _mm_sub_epi32(maximum, load(sums + 16 * g)));
      const __m128i even = _mm_srl_epi64(_mm_add_epi64(_mm_mul_epu32(t, multiplier), half), shift);
      const __m128i odd = _mm_srl_epi64(_mm_add_epi64(_mm_mul_epu32(_mm_srli_epi64(t, 32), multiplier), half), shift);
      d[g] = _mm_or_si128(even, _mm_slli_epi64(odd, 32));
    }
    return _mm_packs_epi16(_mm_packs_epi32(d[0], d[1]), _mm_packs_epi32(d[2], d[3]));
  }
  static HCCS_INLINE Bytes look_up(const AttentionHead::Bytes& /*table*/, const AttentionHead::Bytes& steps, Bytes d) {
    const __m128i sixteen = _mm_set1_epi8(16);
    __m128i w = _mm_setzero_si128();
    // A look-up gives 0 where the index is negative.
    HCCS_UNROLL for (int i = 0; i < 8; ++i) {
      w = _mm_xor_si128(w, _mm_shuffle_epi8(load(steps.data() + 16 * i), d));
      d = _mm_sub_epi8(d, sixteen);
    }
    return w;
  }
  static HCCS_INLINE Bytes mask(Bytes weights, uint64_t valid) {
    const __m128i bits = _mm_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    const __m128i spread = _mm_set_epi64x(0x0101010101010101, 0);
    const __m128i bytes = _mm_shuffle_epi8(_mm_cvtsi32_si128(static_cast<int32_t>(valid)), spread);
    return _mm_and_si128(weights, _mm_cmpeq_epi8(_mm_and_si128(bytes, bits), bits));
  }
  static HCCS_INLINE void store_weights(Element* to, Bytes weights) {
    store(to, _mm_unpacklo_epi8(weights, _mm_setzero_si128()));
    store(to + 8, _mm_unpackhi_epi8(weights, _mm_setzero_si128()));
  }
  static HCCS_INLINE void store_wide(Element* to, Element* /*the same*/, Bytes low, Bytes high) {
    store(to, _mm_unpacklo_epi8(low, high));
    store(to + 8, _mm_unpackhi_epi8(low, high));
  }
  static HCCS_INLINE Total load_total(const Tile::Lanes& from) { return load(from.data()); }
  static HCCS_INLINE void store_total(Total total, Tile::Lanes& to) { store(to.data(), total); }
  static HCCS_INLINE Total add(Total total, Bytes weights) {
    return _mm_add_epi32(total, _mm_sad_epu8(weights, _mm_setzero_si128()));
  }
  static HCCS_INLINE int64_t sum(const Tile::Lanes& lanes) { return int64_t{lanes[0]} + lanes[2]; }
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

constexpr AttentionTarget kTarget = make_target("sse4");

}  // namespace hccs::internal::attention_sse4
HCCS_END_TARGET

namespace hccs::internal {
AttentionTarget sse4_attention_target() noexcept { return attention_sse4::kTarget; }
}  // namespace hccs::internal
#endif  // __x86_64__
