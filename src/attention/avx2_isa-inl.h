// SPDX-License-Identifier: Apache-2.0
//
// What tile-inl.h needs of AVX2 whichever way elements are multiplied: avx2.cc and avx2_vnni.cc add the products and
// the form of their operands. Included inside a namespace, between the pragmas that choose the instruction set; no
// header guard.

struct Avx2Isa {
  static constexpr int kRows = 6;
  static constexpr int kColumns = 2;
  static constexpr int kLanes = 8;
  static constexpr bool kValuesAreUnsigned = false;
  using Left = __m256i;
  using Right = __m256i;
  using Sums = __m256i;
  using Bytes = __m256i;
  using Total = __m256i;

  static HCCS_INLINE __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  static HCCS_INLINE void store(void* to, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }
  static HCCS_INLINE Sums broadcast(int32_t x) { return _mm256_set1_epi32(x); }

  static HCCS_INLINE void maximum(const int32_t* sums, int32_t* maxima) {
    __m256i m = load(maxima);
    HCCS_UNROLL for (int i = 0; i < 64; i += 8) m = _mm256_max_epi32(m, load(sums + i));
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
    float maximum;
    float scale;
  };
  static Row make_row(const Tile& /*tile*/, const TileRow& row, int32_t maximum) {
    return {static_cast<float>(maximum), float_scale(row)};
  }
  // floor(t * scale + 1/2), saturated at 127, in the rounding mode of ValuesScope: |sum| < 2^24 and t < 2^24 are
  // exact, and so is the product in a fused multiply-add; rounding the sum towards zero leaves its integer part.
  static HCCS_INLINE Bytes distances(const int32_t* sums, const Row& row) {
    const __m256 maximum = _mm256_set1_ps(row.maximum);
    const __m256 scale = _mm256_set1_ps(row.scale);
    const __m256 half = _mm256_set1_ps(0.5F);
    __m256i d[4];
    HCCS_UNROLL for (int g = 0; g < 4; ++g) {
      const __m256 t = _mm256_sub_ps(maximum, _mm256_cvtepi32_ps(load(sums + 16 * g)));
      d[g] = _mm256_cvttps_epi32(_mm256_fmadd_ps(t, scale, half));
    }
    return _mm256_packs_epi16(_mm256_packs_epi32(d[0], d[1]), _mm256_packs_epi32(d[2], d[3]));
  }
  static HCCS_INLINE Bytes look_up(const AttentionHead::Bytes& /*table*/, const AttentionHead::Bytes& steps, Bytes d) {
    const __m256i sixteen = _mm256_set1_epi8(16);
    __m256i w = _mm256_setzero_si256();
    // A look-up gives 0 where the index is negative.
    HCCS_UNROLL for (int i = 0; i < 8; ++i) {
      const __m256i part =
          _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(steps.data() + 16 * i)));
      w = _mm256_xor_si256(w, _mm256_shuffle_epi8(part, d));
      d = _mm256_sub_epi8(d, sixteen);
    }
    return w;
  }
  static HCCS_INLINE Bytes mask(Bytes weights, uint64_t valid) {
    const __m256i bits = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int32_t>(valid)), spread);
    return _mm256_and_si256(weights, _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bits), bits));
  }
  static HCCS_INLINE Total load_total(const Tile::Lanes& from) { return load(from.data()); }
  static HCCS_INLINE void store_total(Total total, Tile::Lanes& to) { store(to.data(), total); }
  static HCCS_INLINE void finish(const int32_t* sums, int64_t count, int64_t /*sum*/, double inverse, int8_t* out) {
    for (int64_t j = 0; j < count; ++j) out[j] = rounded_mean(sums[j], inverse);
  }
  struct SumsScope {
    explicit SumsScope(const Tile& /*tile*/) {}
  };
  struct ValuesScope : MxcsrRoundTowardsZero {
    explicit ValuesScope(const Tile& /*tile*/) {}
  };
};
