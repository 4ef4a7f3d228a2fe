// SPDX-License-Identifier: Apache-2.0
//
// row_sums() and scale_row() with AVX-512 F and BW. Included between the pragmas that choose the instruction set, after
// norm-inl.h; no header guard.

HCCS_INLINE RowSums row_sums(const int32_t* y, int64_t n) {
  __m512i sum = _mm512_setzero_si512();
  __m512i even = _mm512_setzero_si512();
  __m512i odd = _mm512_setzero_si512();
  const auto add = [&](__m512i v) {
    const __m512i high = _mm512_srli_epi64(v, 32);
    sum = _mm512_add_epi32(sum, v);
    even = _mm512_add_epi64(even, _mm512_mul_epi32(v, v));
    odd = _mm512_add_epi64(odd, _mm512_mul_epi32(high, high));
  };
  int64_t j = 0;
  for (; j + 16 <= n; j += 16) add(_mm512_loadu_si512(y + j));
  if (j < n) add(_mm512_maskz_loadu_epi32(static_cast<__mmask16>((1 << (n - j)) - 1), y + j));
  return {_mm512_reduce_add_epi32(sum), _mm512_reduce_add_epi64(_mm512_add_epi64(even, odd))};
}

HCCS_INLINE __m512i affine(__m512i z, const int32_t* scale, const int32_t* bias, __m128i shift) {
  const __m512i scaled = _mm512_mullo_epi32(z, _mm512_loadu_si512(scale));
  return _mm512_sra_epi32(_mm512_add_epi32(scaled, _mm512_loadu_si512(bias)), shift);
}

// 32 words, in each lane of 128 bits four of `low` and four of `high`, at least `least`.
HCCS_INLINE __m512i words_of(__m512i low, __m512i high, int16_t least) {
  return _mm512_max_epi16(_mm512_packs_epi32(low, high), _mm512_set1_epi16(least));
}

// The quarters of each lane of 128 bits, in the order of the vectors that they were packed from.
HCCS_INLINE __m512i in_order_of_quarters(__m512i v) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}
HCCS_INLINE __m512i in_order_of_halves(__m512i v) {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), v);
}

// Words clamp by packing: what is left is their least value.
template <bool kClampsZ>
HCCS_INLINE int64_t scale_whole_panels(const NormStep& norm, const RowScale& scale, const int32_t* y, Element* x,
                                       int16_t* skip) {
  const __m512i multiplier = _mm512_set1_epi32(scale.multiplier);
  // (y - mean) * R + half: |y| and |mean| are below 2^17, R is at most 2^12.
  const __m512i constant = _mm512_set1_epi32(scale.half - scale.mean * scale.multiplier);
  const __m128i shift = _mm_cvtsi32_si128(scale.shift);
  // Copies, which stores of bytes cannot change.
  const AffineStep int8 = norm.int8;
  const AffineStep wide = norm.skip;
  const __m128i int8_shift = _mm_cvtsi32_si128(int8.shift);
  const __m128i wide_shift = _mm_cvtsi32_si128(wide.shift);
  const int64_t n = norm.hidden;
  int64_t j = 0;
  for (; j + kPanel <= n; j += kPanel) {
    __m512i v[4];
    __m512i s[4];
    HCCS_UNROLL for (int i = 0; i < 4; ++i) {
      const int64_t at = j + 16 * i;
      const __m512i product = _mm512_mullo_epi32(multiplier, _mm512_loadu_si512(y + at));
      __m512i z = _mm512_sra_epi32(_mm512_add_epi32(product, constant), shift);
      if constexpr (kClampsZ) {
        z = _mm512_max_epi32(_mm512_min_epi32(z, _mm512_set1_epi32(kWordMax)), _mm512_set1_epi32(-kWordMax));
      }
      v[i] = affine(z, int8.scale + at, int8.bias + at, int8_shift);
      s[i] = affine(z, wide.scale + at, wide.bias + at, wide_shift);
    }
    const __m512i offset = _mm512_set1_epi16(Isa::kOffset);
    const __m512i low = words_of(v[0], v[1], -127);
    const __m512i high = words_of(v[2], v[3], -127);
    if constexpr (sizeof(Element) == 1) {
      const __m512i bytes = _mm512_packus_epi16(_mm512_adds_epi16(low, offset), _mm512_adds_epi16(high, offset));
      _mm512_storeu_si512(x + j, in_order_of_quarters(bytes));
    } else {
      const __m512i most = _mm512_set1_epi16(127);
      _mm512_storeu_si512(x + j, _mm512_add_epi16(in_order_of_halves(_mm512_min_epi16(low, most)), offset));
      _mm512_storeu_si512(x + j + 32, _mm512_add_epi16(in_order_of_halves(_mm512_min_epi16(high, most)), offset));
    }
    _mm512_storeu_si512(skip + j, in_order_of_halves(words_of(s[0], s[1], -kWordMax)));
    _mm512_storeu_si512(skip + j + 32, in_order_of_halves(words_of(s[2], s[3], -kWordMax)));
  }
  return j;
}

HCCS_INLINE void scale_row(const NormStep& norm, const RowScale& scale, const int32_t* y, Element* x, int16_t* skip) {
  static_assert(sizeof(Element) == 2 || Isa::kOffset == 128);  // packing bytes clamps at 127 + 128
  // Of shorter rows z fits 16 bits as it is (docs/integer-encoder.md).
  const int64_t done = norm.hidden < 1024 ? scale_whole_panels<false>(norm, scale, y, x, skip)
                                          : scale_whole_panels<true>(norm, scale, y, x, skip);
  plain_scale_row(norm, scale, done, y, x, skip);
}
