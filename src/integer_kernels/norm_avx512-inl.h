// SPDX-License-Identifier: Apache-2.0
//
// row_sums() and scale_row() with AVX-512 F and BW. Included between the pragmas that choose the instruction set, after
// norm-inl.h; no header guard.

HCCS_INLINE __mmask16 lanes_from(int64_t j, int64_t n) {
  return static_cast<__mmask16>(n - j >= 16 ? 65535 : (1 << (n - j)) - 1);
}

HCCS_INLINE RowSums row_sums(const int32_t* y, int64_t n) {
  __m512i sum = _mm512_setzero_si512();
  __m512i even = _mm512_setzero_si512();
  __m512i odd = _mm512_setzero_si512();
  for (int64_t j = 0; j < n; j += 16) {
    const __m512i v = _mm512_maskz_loadu_epi32(lanes_from(j, n), y + j);
    const __m512i high = _mm512_srli_epi64(v, 32);
    sum = _mm512_add_epi32(sum, v);
    even = _mm512_add_epi64(even, _mm512_mul_epi32(v, v));
    odd = _mm512_add_epi64(odd, _mm512_mul_epi32(high, high));
  }
  return {_mm512_reduce_add_epi32(sum), _mm512_reduce_add_epi64(_mm512_add_epi64(even, odd))};
}

HCCS_INLINE __m512i affine(const AffineStep& step, int64_t j, __mmask16 lanes, __m512i z) {
  const __m512i scaled = _mm512_mullo_epi32(z, _mm512_maskz_loadu_epi32(lanes, step.scale + j));
  const __m512i sum = _mm512_add_epi32(scaled, _mm512_maskz_loadu_epi32(lanes, step.bias + j));
  return _mm512_sra_epi32(sum, _mm_cvtsi32_si128(step.shift));
}

HCCS_INLINE __m512i within(__m512i v, int32_t limit) {
  return _mm512_max_epi32(_mm512_min_epi32(v, _mm512_set1_epi32(limit)), _mm512_set1_epi32(-limit));
}

HCCS_INLINE void scale_row(const NormStep& norm, const RowScale& scale, const int32_t* y, Element* x, int16_t* skip) {
  const __m512i mean = _mm512_set1_epi32(scale.mean);
  const __m512i multiplier = _mm512_set1_epi32(scale.multiplier);
  const __m512i half = _mm512_set1_epi32(scale.half);
  const __m128i shift = _mm_cvtsi32_si128(scale.shift);
  for (int64_t j = 0; j < norm.hidden; j += 16) {
    const __mmask16 lanes = lanes_from(j, norm.hidden);
    const __m512i c = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(lanes, y + j), mean);
    const __m512i sum = _mm512_add_epi32(_mm512_mullo_epi32(c, multiplier), half);
    const __m512i z = within(_mm512_sra_epi32(sum, shift), kWordMax);
    const __m512i v = _mm512_add_epi32(within(affine(norm.int8, j, lanes, z), 127), _mm512_set1_epi32(Isa::kOffset));
    if constexpr (sizeof(Element) == 1) {
      _mm512_mask_cvtepi32_storeu_epi8(x + j, lanes, v);
    } else {
      _mm512_mask_cvtepi32_storeu_epi16(x + j, lanes, v);
    }
    _mm512_mask_cvtepi32_storeu_epi16(skip + j, lanes, within(affine(norm.skip, j, lanes, z), kWordMax));
  }
}
