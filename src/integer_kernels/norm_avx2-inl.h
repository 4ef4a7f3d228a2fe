// SPDX-License-Identifier: Apache-2.0
//
// row_sums() and scale_row() with AVX2. Included between the pragmas that choose the instruction set, after norm-inl.h;
// no header guard.

HCCS_INLINE __m256i load8(const int32_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

HCCS_INLINE RowSums row_sums(const int32_t* y, int64_t n) {
  __m256i sum = _mm256_setzero_si256();
  __m256i even = _mm256_setzero_si256();
  __m256i odd = _mm256_setzero_si256();
  int64_t j = 0;
  for (; j + 8 <= n; j += 8) {
    const __m256i v = load8(y + j);
    const __m256i high = _mm256_srli_epi64(v, 32);
    sum = _mm256_add_epi32(sum, v);
    even = _mm256_add_epi64(even, _mm256_mul_epi32(v, v));
    odd = _mm256_add_epi64(odd, _mm256_mul_epi32(high, high));
  }
  alignas(32) int32_t sums[8];
  alignas(32) int64_t squares[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums), sum);
  _mm256_store_si256(reinterpret_cast<__m256i*>(squares), _mm256_add_epi64(even, odd));
  RowSums all = plain_row_sums(y + j, n - j);
  for (const int32_t s : sums) all.sum += s;
  for (const int64_t q : squares) all.squares += q;
  return all;
}

HCCS_INLINE __m256i affine(const AffineStep& step, int64_t j, __m256i z) {
  const __m256i sum = _mm256_add_epi32(_mm256_mullo_epi32(z, load8(step.scale + j)), load8(step.bias + j));
  return _mm256_sra_epi32(sum, _mm_cvtsi32_si128(step.shift));
}

HCCS_INLINE __m256i within(__m256i v, int32_t limit) {
  return _mm256_max_epi32(_mm256_min_epi32(v, _mm256_set1_epi32(limit)), _mm256_set1_epi32(-limit));
}

// Sixteen lanes of two vectors, which fit 16 bits.
HCCS_INLINE __m256i words_of(__m256i low, __m256i high) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
}

HCCS_INLINE __m256i standardised(const RowScale& scale, const int32_t* y) {
  const __m256i c = _mm256_sub_epi32(load8(y), _mm256_set1_epi32(scale.mean));
  const __m256i product = _mm256_mullo_epi32(c, _mm256_set1_epi32(scale.multiplier));
  const __m256i sum = _mm256_add_epi32(product, _mm256_set1_epi32(scale.half));
  return within(_mm256_sra_epi32(sum, _mm_cvtsi32_si128(scale.shift)), kWordMax);
}

HCCS_INLINE void scale_row(const NormStep& norm, const RowScale& scale, const int32_t* y, Element* x, int16_t* skip) {
  int64_t j = 0;
  for (; j + 16 <= norm.hidden; j += 16) {
    const __m256i low = standardised(scale, y + j);
    const __m256i high = standardised(scale, y + j + 8);
    const __m256i words = words_of(within(affine(norm.int8, j, low), 127), within(affine(norm.int8, j + 8, high), 127));
    const __m256i elements = _mm256_add_epi16(words, _mm256_set1_epi16(Isa::kOffset));
    if constexpr (sizeof(Element) == 1) {
      const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(elements), _mm256_extracti128_si256(elements, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(x + j), bytes);
    } else {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(x + j), elements);
    }
    const __m256i skips =
        words_of(within(affine(norm.skip, j, low), kWordMax), within(affine(norm.skip, j + 8, high), kWordMax));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(skip + j), skips);
  }
  plain_scale_row(norm, scale, j, y, x, skip);
}
