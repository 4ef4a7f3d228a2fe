// SPDX-License-Identifier: Apache-2.0
//
// What tile-inl.h needs of AVX-512 VNNI, which multiplies 64 pairs of bytes in an instruction, and of VBMI, which looks
// up 128 bytes. Included inside a namespace, between the pragmas that choose the instruction set; no header guard.

struct VbmiIsa {
  static constexpr int kRows = 6;
  static constexpr int kBlocks = 4;
  static constexpr int kColumns = 4;
  static constexpr int kVectors = 1;
  static constexpr int kFinal = 1;
  static constexpr int64_t kTailSteps = 8;
  static constexpr int kLanes = 16;
  static constexpr bool kWords = false;
  static constexpr bool kKeysAreUnsigned = true;
  static constexpr bool kValuesAreUnsigned = false;
  using Element = int8_t;
  using Left = __m512i;
  using Right = __m512i;
  using Sums = __m512i;
  using Bytes = __m512i;
  using Total = __m512i;

  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t four;
    std::memcpy(&four, from, sizeof(four));
    return _mm512_set1_epi32(four);
  }
  static HCCS_INLINE Right load_right(const std::byte* from) {
    Right x = _mm512_loadu_si512(from);
    asm("" : "+v"(x));  // GCC 12 would load it again for each row
    return x;
  }
  static HCCS_INLINE Sums zero() { return _mm512_setzero_si512(); }
  static HCCS_INLINE Sums broadcast(int32_t x) { return _mm512_set1_epi32(x); }
  static HCCS_INLINE Sums load_sums(const int32_t* from) { return _mm512_loadu_si512(from); }
  // sums + a . b, a unsigned and b signed. GCC 12 copies the sums around the intrinsic, and stores them.
  static HCCS_INLINE Sums multiply(Sums sums, __m512i a, __m512i b) {
#if defined(__clang__)
    return _mm512_dpbusd_epi32(sums, a, b);
#else
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    return sums;
#endif
  }
  // Keys are unsigned, queries signed; weights unsigned, values signed.
  static HCCS_INLINE Sums multiply_keys(Sums sums, Left a, Right b) { return multiply(sums, b, a); }
  static HCCS_INLINE Sums multiply_values(Sums sums, Left a, Right b) { return multiply(sums, a, b); }
  template <bool kAdd>
  static HCCS_INLINE void store_sums(int32_t* to, Sums sums, Sums /*the same*/) {
    _mm512_storeu_si512(to, kAdd ? _mm512_add_epi32(sums, load_sums(to)) : sums);
  }

  // Sums are those of keys with 128 added to each element, which changes no difference within a row; |sum| < 2^24.
  // Those of up to 128 products lie within 2^22: 1.5 * 2^23 as a float's bits, plus such a sum, are the bits of the
  // float 1.5 * 2^23 + sum. So they need no conversion, and are in order as integers too.
  static bool has_float_sums(const Tile& tile) { return tile.layout.steps <= 32; }
  static int32_t sum_bias(const Tile& tile) { return has_float_sums(tile) ? 0x4B400000 : 0; }

  static HCCS_INLINE void maximum(const int32_t* sums, int32_t* maxima) {
    const __m512i m = _mm512_max_epi32(_mm512_max_epi32(load_sums(sums), load_sums(sums + 16)),
                                       _mm512_max_epi32(load_sums(sums + 32), load_sums(sums + 48)));
    _mm512_storeu_si512(maxima, _mm512_max_epi32(m, load_sums(maxima)));
  }

  static HCCS_INLINE void maximum_of_valid(int32_t* sums, uint64_t valid, int32_t* maxima) {
    __m512i m = load_sums(maxima);
    HCCS_UNROLL for (int g = 0; g < 4; ++g) {
      const auto lanes = static_cast<__mmask16>(_pext_u64(valid, uint64_t{0x000F000F000F000F} << (4 * g)));
      m = _mm512_mask_max_epi32(m, lanes, m, load_sums(sums + 16 * g));
    }
    _mm512_storeu_si512(maxima, m);
  }
  static HCCS_INLINE void maximum_of_four(const Sums* sums, int32_t* maxima) {
    const __m512i m = _mm512_max_epi32(_mm512_max_epi32(sums[0], sums[1]), _mm512_max_epi32(sums[2], sums[3]));
    _mm512_storeu_si512(maxima, _mm512_max_epi32(m, load_sums(maxima)));
  }

  struct AddLanes {
    HCCS_INLINE __m512i operator()(__m512i a, __m512i b) const { return _mm512_add_epi32(a, b); }
  };
  struct GreatestLanes {
    HCCS_INLINE __m512i operator()(__m512i a, __m512i b) const { return _mm512_max_epi32(a, b); }
  };
  // Each of eight rows of 16 lanes to one lane: the eight of them, twice.
  template <class Combine>
  static HCCS_INLINE __m512i reduce_eight(const Tile::Lanes* rows, const Combine& combine) {
    __m512i x[8];
    HCCS_UNROLL for (int i = 0; i < 8; ++i) x[i] = _mm512_load_si512(rows[i].data());
    HCCS_UNROLL for (int i = 0; i < 4; ++i) {
      x[i] = combine(_mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]));
    }
    HCCS_UNROLL for (int i = 0; i < 2; ++i) {
      x[i] = combine(_mm512_unpacklo_epi64(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_epi64(x[2 * i], x[2 * i + 1]));
    }
    const __m512i halves = combine(_mm512_shuffle_i32x4(x[0], x[1], 0x88), _mm512_shuffle_i32x4(x[0], x[1], 0xDD));
    return combine(_mm512_shuffle_i32x4(halves, halves, 0x88), _mm512_shuffle_i32x4(halves, halves, 0xDD));
  }

  struct Row {
    float maximum;
    float scale;
    bool has_float_sums;
  };
  static HCCS_INLINE void make_rows(const Tile& tile, Row* rows) {
    const bool floats = has_float_sums(tile);
    const TileRow* before = nullptr;
    for (int64_t r = 0; r < tile.rows; r += 8) {
      alignas(32) std::array<float, 8> maxima;
      const __m256i greatest = _mm512_castsi512_si256(reduce_eight(tile.maxima.data() + r, GreatestLanes{}));
      _mm256_store_ps(maxima.data(), floats ? _mm256_castsi256_ps(greatest) : _mm256_cvtepi32_ps(greatest));
      for (int64_t i = r; i < std::min(r + 8, tile.rows); ++i) {
        const TileRow& row = tile.row[i];
        const bool same = before != nullptr && row.multiplier == before->multiplier && row.shift == before->shift;
        rows[i] = {maxima[i - r], same ? rows[i - 1].scale : float_scale(row), floats};
        before = &row;
      }
    }
  }
  // floor(t * scale + 1/2), saturated at 127. t < 2^24 is exact, and so is the product in a fused multiply-add;
  // rounding the sum towards zero leaves its integer part. Beyond 127 * 2^24 no distance is: the conversion does not
  // overflow.
  static HCCS_INLINE Bytes distances(const int32_t* sums, const Row& row) {
    const __m512 maximum = _mm512_set1_ps(row.maximum);
    const __m512 scale = _mm512_set1_ps(row.scale);
    const __m512 half = _mm512_set1_ps(0.5F);
    __m512i d[4];
    HCCS_UNROLL for (int g = 0; g < 4; ++g) {
      const __m512i sum = load_sums(sums + 16 * g);
      const __m512 a = row.has_float_sums ? _mm512_castsi512_ps(sum) : _mm512_cvtepi32_ps(sum);
      d[g] = _mm512_cvttps_epi32(
          _mm512_fmadd_round_ps(_mm512_sub_ps(maximum, a), scale, half, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
    }
    return _mm512_packs_epi16(_mm512_packs_epi32(d[0], d[1]), _mm512_packs_epi32(d[2], d[3]));
  }
  static HCCS_INLINE Bytes look_up(const AttentionHead::Bytes& table, const AttentionHead::Bytes& /*steps*/, Bytes d) {
    return _mm512_permutex2var_epi8(_mm512_load_si512(table.data()), d, _mm512_load_si512(table.data() + 64));
  }
  static HCCS_INLINE Bytes mask(Bytes weights, uint64_t valid) { return _mm512_maskz_mov_epi8(valid, weights); }
  static HCCS_INLINE void store_weights(Element* to, Bytes weights) { _mm512_storeu_si512(to, weights); }
  static HCCS_INLINE void store_wide(Element* low_to, Element* high_to, Bytes low, Bytes high) {
    store_weights(low_to, low);
    store_weights(high_to, high);
  }
  static HCCS_INLINE Total load_total(const Tile::Lanes& from) { return _mm512_load_si512(from.data()); }
  static HCCS_INLINE void store_total(Total total, Tile::Lanes& to) { _mm512_store_si512(to.data(), total); }
  static HCCS_INLINE Total add(Total total, Bytes weights) {
    return _mm512_dpbusd_epi32(total, weights, _mm512_set1_epi8(1));
  }
  static HCCS_INLINE int64_t sum(const Tile::Lanes& lanes) {
    return _mm512_reduce_add_epi32(_mm512_load_si512(lanes.data()));
  }

  // round_half_up(x / W), given W up to 16,320, that of 64 weights of 255. x / W has an error below 2^-17 in a product
  // by 1 / W, and rounding the sum adds 2^-17 at most. So much added to half a unit, a tie is not rounded down; what is
  // less than a tie is less by 1 / (2 W) or more, which is more than twice that, and is rounded down.
  static constexpr float kFewWeights = 64 * 255;
  struct MeansOfFew {
    MeansOfFew(float /*weights*/, float inverse) : factor(_mm512_set1_ps(inverse)) {}
    HCCS_INLINE __m512i operator()(__m512i sums) const {
      const __m512 more_than_half = _mm512_set1_ps(0.5F + 0x1p-16F + 0x1p-24F);
      const __m512 mean = _mm512_fmadd_round_ps(_mm512_cvtepi32_ps(sums), factor, more_than_half,
                                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      return _mm512_cvt_roundps_epi32(mean, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    }
    __m512 factor;
  };
  // The same, given W below 2^17: sums of products are within 2^24, so that floats have them exactly. x / W
  // has an error below 2^-14 in any rounding mode: with that much less than half a unit added, what is rounded down is
  // the mean or one less. It is one less if the remainder, an integer and exact in a fused multiply-add, is half of W
  // or more.
  struct FloatMeans {
    FloatMeans(float sum, float inverse)
        : factor(_mm512_set1_ps(inverse)), weights(_mm512_set1_ps(sum)), half_of_weights(_mm512_set1_ps(0.5F * sum)) {}
    HCCS_INLINE __m512i operator()(__m512i sums) const {
      const __m512 almost_half = _mm512_set1_ps(0.5F - 0x1p-14F);
      const __m512 x = _mm512_cvtepi32_ps(sums);
      const __m512 mean = _mm512_roundscale_ps(_mm512_fmadd_ps(x, factor, almost_half), _MM_FROUND_FLOOR);
      const __mmask16 up = _mm512_cmp_ps_mask(_mm512_fnmadd_ps(mean, weights, x), half_of_weights, _CMP_GE_OQ);
      const __m512i whole = _mm512_cvttps_epi32(mean);
      return _mm512_mask_add_epi32(whole, up, whole, _mm512_set1_epi32(1));
    }
    __m512 factor, weights, half_of_weights;
  };
  // The same of any W. The low byte of a mean is the same without the 256.
  struct DoubleMeans {
    explicit DoubleMeans(double inverse) : factor(_mm512_set1_pd(inverse)) {}
    HCCS_INLINE __m256i half(__m256i sums) const {
      return _mm512_cvttpd_epi32(_mm512_fmadd_pd(_mm512_cvtepi32_pd(sums), factor, _mm512_set1_pd(256.5 + 0x1p-40)));
    }
    HCCS_INLINE __m512i operator()(__m512i sums) const {
      const __m512i means = _mm512_inserti64x4(_mm512_castsi256_si512(half(_mm512_castsi512_si256(sums))),
                                               half(_mm512_extracti64x4_epi64(sums, 1)), 1);
      return _mm512_sub_epi32(means, _mm512_set1_epi32(256));
    }
    __m512d factor;
  };
  template <class MeansOf>
  static HCCS_INLINE void write_64(__m512i a, __m512i b, __m512i c, __m512i d, const MeansOf& means, int8_t* out) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i low = _mm512_packs_epi32(means(a), means(b));
    const __m512i high = _mm512_packs_epi32(means(c), means(d));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high)));
  }
  static HCCS_INLINE Sums add_sums(Sums sums, const int32_t* to) { return _mm512_add_epi32(sums, load_sums(to)); }
  template <class MeansOf>
  static HCCS_INLINE void write_32(__m512i a, __m512i b, const MeansOf& means, int8_t* out) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 4, 8, 12, 1, 5, 9, 13);
    const __m512i words = _mm512_packs_epi32(means(a), means(b));
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(words, words));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(bytes));
  }
  template <int kC, class MeansOf>
  static HCCS_INLINE void write_means(const Sums* sums, const MeansOf& means, int8_t* out) {
    if constexpr (kC == 4) {
      write_64(sums[0], sums[1], sums[2], sums[3], means, out);
    } else {
      static_assert(kC == 2);
      write_32(sums[0], sums[1], means, out);
    }
  }
  template <int kC>
  static HCCS_INLINE void write_means(const Sums* sums, const Means& means, int64_t r, int64_t column) {
    int8_t* out = means.out[r] + column;
    if (means.weights[r] <= kFewWeights) {
      write_means<kC>(sums, MeansOfFew(means.weights[r], means.inverse[r]), out);
    } else {
      write_means<kC>(sums, FloatMeans(means.weights[r], means.inverse[r]), out);
    }
  }
  // False if a row has means that floats have not.
  static HCCS_INLINE bool make_means(const Tile::Lanes* weight_sums, int64_t rows, Means& means) {
    const __m256i sums = _mm512_castsi512_si256(reduce_eight(weight_sums, AddLanes{}));
    const auto lanes = static_cast<__mmask8>((1 << rows) - 1);
    const __m256i less_one = _mm256_sub_epi32(sums, _mm256_set1_epi32(1));
    if (_mm256_mask_cmpge_epu32_mask(lanes, less_one, _mm256_set1_epi32((1 << 17) - 1)) != 0) return false;
    const __m256 weights = _mm256_cvtepi32_ps(sums);
    _mm256_storeu_ps(means.weights.data(), weights);
    _mm256_storeu_ps(means.inverse.data(), _mm256_maskz_div_ps(lanes, _mm256_set1_ps(1), weights));
    return true;
  }
  template <class MeansOf>
  static HCCS_INLINE void write_row(const int32_t* sums, int64_t count, const MeansOf& means, int8_t* out) {
    int64_t j = 0;
    for (; j + 64 <= count; j += 64) {
      write_64(load_sums(sums + j), load_sums(sums + j + 16), load_sums(sums + j + 32), load_sums(sums + j + 48), means,
               out + j);
    }
    for (; j < count; j += 16) {
      const __m128i bytes = _mm512_cvtepi32_epi8(means(load_sums(sums + j)));
      if (count - j >= 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j), bytes);
      } else {
        _mm_mask_storeu_epi8(out + j, static_cast<__mmask16>(_bzhi_u32(65535, static_cast<uint32_t>(count - j))),
                             bytes);
      }
    }
  }
  static HCCS_INLINE void finish(const int32_t* sums, int64_t count, int64_t sum, double inverse, int8_t* out) {
    const auto weights = static_cast<float>(sum);
    if (sum <= static_cast<int64_t>(kFewWeights)) {
      write_row(sums, count, MeansOfFew(weights, static_cast<float>(inverse)), out);
    } else if (sum < 1 << 17) {
      write_row(sums, count, FloatMeans(weights, static_cast<float>(inverse)), out);
    } else {
      write_row(sums, count, DoubleMeans(inverse), out);
    }
  }

  // Rounding modes are part of the instructions.
  struct SumsScope {
    explicit SumsScope(const Tile& /*tile*/) {}
  };
  using ValuesScope = SumsScope;
};
