// SPDX-License-Identifier: Apache-2.0
//
// Row softmax for CPUs that look up 128 bytes at once (AVX-512 VBMI). A score depends on the distance to the maximum
// alone, so the 128 scores of a head are two byte tables. For uint8 output the probabilities of a row are a table, too:
// its normalisation is done for 128 distances instead of n positions, and output is one look-up for 64 of them. For
// int16 output the scores that the sum looks up are kept, prescaled, in the output's memory or beside it, and
// normalised. One knee, four knees and an exact exponential take the same instructions.
#if defined(HCCS_SRC_SOFTMAX_TABLE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HCCS_SRC_SOFTMAX_TABLE_ROWS_INL_H_
#undef HCCS_SRC_SOFTMAX_TABLE_ROWS_INL_H_
#else
#define HCCS_SRC_SOFTMAX_TABLE_ROWS_INL_H_
#endif

#include <bit>
#include <cstring>
#include <type_traits>

#include "softmax/row_block-inl.h"
#include "softmax/row_factors.h"
#include "softmax/sum_rows-inl.h"

#if HWY_TARGET == HWY_AVX3
// Highway 1.0.3 has no target with just these: its AVX3_DL asks for AVX-VNNI too, which Ice Lake lacks.
#define HCCS_VBMI_TARGET HWY_TARGET_STR ",avx512cd,avx512vbmi,avx512vnni"
#define HCCS_VBMI_ATTR __attribute__((target(HCCS_VBMI_TARGET)))
HWY_PUSH_ATTRIBUTES(HCCS_VBMI_TARGET)
namespace hccs::internal::HWY_NAMESPACE::vbmi {

// The first n bits, n in 0..255; all from 64 on.
HWY_INLINE uint64_t first_bits(int64_t n) { return _bzhi_u64(~uint64_t{0}, static_cast<uint64_t>(n)); }

// One row. Every vector but the last is full; the last has 0 to 64 positions. What lies beyond is neither read nor
// written.
template <MaskKind kMask>
struct RowView {
  static constexpr bool kBits = kMask == MaskKind::kBits;

  const int8_t* logits;
  const int8_t* last_logits;  // those of the last vector
  const uint8_t* bits;
  int64_t last;         // where the last vector starts
  uint64_t last_valid;  // bits of the last vector's valid positions

  // Bits of the valid positions of the full vector at i.
  HWY_INLINE __mmask64 valid(int64_t i) const {
    uint64_t word = ~uint64_t{0};
    if (kBits) std::memcpy(&word, bits + i / 8, sizeof(word));
    return word;
  }
  HWY_INLINE __m512i load(int64_t i) const { return _mm512_loadu_si512(logits + i); }
  HWY_INLINE __m512i load_last() const { return _mm512_maskz_loadu_epi8(last_valid, last_logits); }
};

// Where the last vector of a row starts.
HWY_INLINE int64_t last_vector(int64_t length) { return (std::max<int64_t>(length, 1) - 1) & ~int64_t{63}; }

template <MaskKind kMask>
HWY_INLINE uint64_t last_vector_valid(const uint8_t* bits, int64_t length) {
  const int64_t last = last_vector(length);
  const uint64_t inside = first_bits(length - last);
  if constexpr (kMask != MaskKind::kBits) return inside;
  const auto bytes = static_cast<__mmask16>(first_bits((length - last + 7) / 8));
  return inside & static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_maskz_loadu_epi8(bytes, bits + last / 8)));
}

// A byte for each distance 0..127, or of a wide head 0..255. A head is wide if its exponential has so small a step that
// scores still change beyond a distance of 127.
template <bool kWide>
struct ByteTable {
  static constexpr int kParts = kWide ? 4 : 2;
  __m512i part[kParts];

  static HWY_INLINE ByteTable load(const uint8_t* table) {
    ByteTable t;
    HWY_UNROLL(4)
    for (int i = 0; i < kParts; ++i) t.part[i] = _mm512_loadu_si512(table + 64 * i);
    return t;
  }
  // The distance, saturated at 127 unless wide, since the table of 128 entries ignores bit 7 of its index.
  static HWY_INLINE __m512i distance(__m512i maximum, __m512i x) {
    return kWide ? _mm512_sub_epi8(maximum, x) : _mm512_subs_epi8(maximum, x);
  }
  HWY_INLINE __m512i operator[](__m512i d) const {
    const __m512i below_128 = _mm512_permutex2var_epi8(part[0], d, part[1]);
    if constexpr (kWide) {
      const __m512i from_128 = _mm512_permutex2var_epi8(part[2], d, part[3]);
      return _mm512_mask_blend_epi8(_mm512_movepi8_mask(d), below_128, from_128);
    }
    return below_128;
  }
};

template <MaskKind kMask>
HWY_INLINE __m512i row_maximum(const RowView<kMask>& row) {
  __m512i maximum = _mm512_mask_loadu_epi8(_mm512_set1_epi8(-128), row.last_valid, row.last_logits);
  for (int64_t i = 0; i < row.last; i += 64) {
    const __m512i x = row.load(i);
    maximum = row.kBits ? _mm512_mask_max_epi8(maximum, row.valid(i), maximum, x) : _mm512_max_epi8(maximum, x);
  }
  return maximum;
}

// The order of 64 bytes in which unpacking two vectors to words gives the words in order.
HWY_INLINE __m512i ordered_to_unpack(__m512i v) {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), v);
}

// Stores 64 scores; uint8 output keeps none.
HWY_INLINE void keep_scores(uint8_t*, __m512i, __m512i) {}
HWY_INLINE void keep_scores(int16_t* to, __m512i low, __m512i high) {
  _mm512_storeu_si512(to, _mm512_unpacklo_epi8(low, high));
  _mm512_storeu_si512(to + 32, _mm512_unpackhi_epi8(low, high));
}

// Lanes that add up to the sum of the valid positions' scores, as the tables have them. Vectors alternate between two
// sets of sums: a dot product's latency is several cycles. For int16 output the scores are kept, those of invalid
// positions too: of full vectors in `scores`, of the last in `last_scores`.
template <MaskKind kMask, bool kWide, class Out>
HWY_INLINE __m512i row_sum(const RowView<kMask>& row, __m512i maximum, const ByteTable<kWide>& low,
                           const ByteTable<kWide>& high, Out* scores, Out* last_scores) {
  const __m512i ones = _mm512_set1_epi8(1);
  const auto ordered = [](__m512i v) HCCS_VBMI_ATTR { return sizeof(Out) == 1 ? v : ordered_to_unpack(v); };
  const auto weights = [&](int64_t i) HCCS_VBMI_ATTR {
    return row.kBits ? ordered(_mm512_maskz_mov_epi8(row.valid(i), ones)) : ones;
  };
  __m512i even_low = _mm512_setzero_si512();
  __m512i even_high = _mm512_setzero_si512();
  __m512i odd_low = _mm512_setzero_si512();
  __m512i odd_high = _mm512_setzero_si512();
  const auto distances = [&](__m512i x) HCCS_VBMI_ATTR { return ordered(low.distance(maximum, x)); };
  const auto add = [&](__m512i& low_sum, __m512i& high_sum, Out* to, __m512i d, __m512i w) HCCS_VBMI_ATTR {
    const __m512i low_bytes = low[d];
    const __m512i high_bytes = high[d];
    low_sum = _mm512_dpbusd_epi32(low_sum, low_bytes, w);
    high_sum = _mm512_dpbusd_epi32(high_sum, high_bytes, w);
    keep_scores(to, low_bytes, high_bytes);
  };
  int64_t i = 0;
  for (; i + 64 < row.last; i += 128) {
    const __m512i d[2] = {distances(row.load(i)), distances(row.load(i + 64))};
    const __m512i low_bytes[2] = {low[d[0]], low[d[1]]};
    const __m512i high_bytes[2] = {high[d[0]], high[d[1]]};
    const __m512i w[2] = {weights(i), weights(i + 64)};
    even_low = _mm512_dpbusd_epi32(even_low, low_bytes[0], w[0]);
    odd_low = _mm512_dpbusd_epi32(odd_low, low_bytes[1], w[1]);
    even_high = _mm512_dpbusd_epi32(even_high, high_bytes[0], w[0]);
    odd_high = _mm512_dpbusd_epi32(odd_high, high_bytes[1], w[1]);
    keep_scores(scores + i, low_bytes[0], high_bytes[0]);
    keep_scores(scores + i + 64, low_bytes[1], high_bytes[1]);
  }
  if (i < row.last) add(even_low, even_high, scores + i, distances(row.load(i)), weights(i));
  add(odd_low, odd_high, last_scores, distances(row.load_last()), ordered(_mm512_maskz_mov_epi8(row.last_valid, ones)));
  const __m512i high_sum = _mm512_add_epi32(even_high, odd_high);
  return _mm512_add_epi32(_mm512_add_epi32(even_low, odd_low), _mm512_slli_epi32(high_sum, 8));
}

// row_factors() of kBlock rows at once.
struct BlockFactors {
  alignas(64) uint32_t multiplier[kBlock];
  alignas(64) uint32_t second[kBlock];
  alignas(64) uint32_t shift[kBlock];
};

// floor(numerator / z), lane by lane; see exact_quotient().
HWY_INLINE __m512i quotient(__m512i numerator_unit, double numerator_scale, __m512i z) {
  const auto half = [&](__m256i n, __m256i d) HCCS_VBMI_ATTR {
    const __m512d numerator = _mm512_mul_pd(_mm512_cvtepi32_pd(n), _mm512_set1_pd(numerator_scale));
    return _mm512_cvttpd_epi32(_mm512_div_pd(numerator, _mm512_cvtepi32_pd(d)));
  };
  return _mm512_inserti64x4(
      _mm512_castsi256_si512(half(_mm512_castsi512_si256(numerator_unit), _mm512_castsi512_si256(z))),
      half(_mm512_extracti64x4_epi64(numerator_unit, 1), _mm512_extracti64x4_epi64(z, 1)), 1);
}

template <Form kForm>
HWY_INLINE void block_factors(Normalisation normalisation, const PreparedHead& head, __m512i sums, BlockFactors& f) {
  const __m512i one = _mm512_set1_epi32(1);
  const __m512i e = _mm512_set1_epi32(head.magnitude);
  // A row without a valid position may have any sum: its output is masked.
  const __m512i z = _mm512_max_epi32(sums, _mm512_set1_epi32(head.offset));
  const __m512i k = _mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(z));
  const bool clb = normalisation == Normalisation::kClb;
  __m512i multiplier;
  __m512i shift = _mm512_setzero_si512();
  if constexpr (kForm == Form::kScale8 || kForm == Form::kScale16) {
    multiplier = quotient(_mm512_sllv_epi32(one, k), kForm == Form::kScale8 ? 32640 : 32767, z);
    shift = _mm512_add_epi32(k, e);
  } else if constexpr (kForm == Form::kFloor8) {
    if (clb) {
      const __mmask16 exact = _mm512_cmple_epi32_mask(k, _mm512_set1_epi32(15));
      multiplier = _mm512_slli_epi32(_mm512_srlv_epi32(_mm512_set1_epi32(255 << 15), k), 1);
      multiplier = _mm512_mask_mov_epi32(multiplier, exact, _mm512_set1_epi32(1020));
      shift = _mm512_mask_add_epi32(e, exact, e, _mm512_sub_epi32(k, _mm512_set1_epi32(14)));
    } else {
      const __mmask16 small = _mm512_cmplt_epi32_mask(z, _mm512_set1_epi32(128));
      const __m512i t =
          _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), small, z, kSmallSumShift.data(), sizeof(int32_t));
      multiplier = _mm512_srlv_epi32(quotient(one, 255 << 15, z), t);
      shift = _mm512_sub_epi32(e, t);
    }
  } else {
    multiplier = clb ? _mm512_srlv_epi32(_mm512_set1_epi32(32767), k) : quotient(one, 32767, z);
  }
  _mm512_store_si512(f.multiplier, multiplier);
  _mm512_store_si512(f.shift, shift);
  if constexpr (kForm == Form::kScale8) {
    const __m512i j = _mm512_min_epi32(_mm512_sub_epi32(shift, _mm512_set1_epi32(9)), _mm512_set1_epi32(15));
    _mm512_store_si512(f.second, _mm512_sllv_epi32(one, _mm512_sub_epi32(_mm512_set1_epi32(15), j)));
  }
}

HWY_INLINE __m512i broadcast16(uint32_t v) { return _mm512_set1_epi16(static_cast<int16_t>(v)); }

// The uint8 probabilities of a row by distance.
template <Form kForm, bool kWide>
class RowTable {
 public:
  HWY_INLINE RowTable(const PreparedHead& head, const BlockFactors& f, int64_t row) {
    const __m512i multiplier = broadcast16(f.multiplier[row]);
    const __m512i second = broadcast16(f.second[row]);
    const __m128i right = _mm_cvtsi32_si128(static_cast<int32_t>(f.shift[row]));
    const auto normalise = [&](const uint16_t* s) HCCS_VBMI_ATTR {
      const __m512i product = _mm512_mulhi_epu16(_mm512_load_si512(s), multiplier);
      return kForm == Form::kScale8 ? _mm512_mulhrs_epi16(product, second) : _mm512_srl_epi16(product, right);
    };
    HWY_UNROLL(4)
    for (int i = 0; i < ByteTable<kWide>::kParts; ++i) {
      const uint16_t* s = head.prescaled_for_pack.data() + 64 * i;
      table_.part[i] = _mm512_packus_epi16(normalise(s), normalise(s + 32));
    }
  }

  HWY_INLINE __m512i operator[](__m512i d) const { return table_[d]; }

 private:
  ByteTable<kWide> table_;
};

// The int16 probabilities of a row from its prescaled scores, which are below 2^15.
//   kScale16, shift k + e >= 16: ((s r >> (shift - 1)) + 1) >> 1, from the high half of s * 2r
//   shift 15: (s r + 2^14) >> 15, a rounding multiplication
//   shift 14: (s r + 2^13) >> 14 = s + ((s (2r - 2^15) + 2^14) >> 15)
template <Form kForm>
class WordNormaliser {
 public:
  HWY_INLINE WordNormaliser(const BlockFactors& f, int64_t row) {
    const uint32_t r = f.multiplier[row];
    const uint32_t shift = f.shift[row];
    is_peaked_ = kForm == Form::kScale16 && shift < 16;
    if (kForm == Form::kProduct16) {
      multiplier_ = broadcast16(r);
    } else if (is_peaked_) {
      multiplier_ = broadcast16(shift == 15 ? r : 2 * r - 32768);
      keep_ = _mm512_set1_epi16(shift == 15 ? 0 : -1);
    } else {
      multiplier_ = broadcast16(2 * r);
      right_ = _mm_cvtsi32_si128(static_cast<int32_t>(shift - 16));
    }
  }

  HWY_INLINE __m512i operator()(__m512i s) const {
    if constexpr (kForm == Form::kProduct16) {
      return _mm512_min_epu16(_mm512_mullo_epi16(s, multiplier_), _mm512_set1_epi16(32767));
    }
    if (is_peaked_) return _mm512_add_epi16(_mm512_and_si512(s, keep_), _mm512_mulhrs_epi16(s, multiplier_));
    const __m512i twice = _mm512_srl_epi16(_mm512_mulhi_epu16(s, multiplier_), right_);
    return _mm512_avg_epu16(twice, _mm512_setzero_si512());
  }

 private:
  __m512i multiplier_;
  __m512i keep_ = _mm512_setzero_si512();
  __m128i right_ = _mm_setzero_si128();
  bool is_peaked_;
};

// Writes zeros, 64 bytes at a time; the last store may overlap the one before. Unlike a call of memset(), this does not
// spill the tables that the next rows need.
HWY_INLINE void clear_bytes(void* from, int64_t count) {
  auto* out = static_cast<uint8_t*>(from);
  const __m512i zero = _mm512_setzero_si512();
  if (count < 64) {
    _mm512_mask_storeu_epi8(out, first_bits(std::max<int64_t>(count, 0)), zero);
    return;
  }
  for (int64_t i = 0; i < count - 64; i += 64) _mm512_storeu_si512(out + i, zero);
  _mm512_storeu_si512(out + count - 64, zero);
}

// Writes the row's probabilities up to the end of its last vector.
template <Form kForm, MaskKind kMask, bool kWide>
HWY_INLINE void write_row(const RowView<kMask>& row, __m512i maximum, const RowTable<kForm, kWide>& table, uint8_t* out,
                          int64_t keys) {
  for (int64_t i = 0; i < row.last; i += 64) {
    const __m512i p = table[ByteTable<kWide>::distance(maximum, row.load(i))];
    _mm512_storeu_si512(out + i, row.kBits ? _mm512_maskz_mov_epi8(row.valid(i), p) : p);
  }
  const __m512i p = table[ByteTable<kWide>::distance(maximum, row.load_last())];
  const __m512i valid_p = _mm512_maskz_mov_epi8(row.last_valid, p);
  if (keys - row.last >= 64) {  // a store without a mask is faster
    _mm512_storeu_si512(out + row.last, valid_p);
  } else {
    _mm512_mask_storeu_epi8(out + row.last, first_bits(keys - row.last), valid_p);
  }
}

// Writes the row's probabilities up to the end of its last vector. `scores` of full vectors may be `out`.
template <Form kForm, MaskKind kMask>
HWY_INLINE void write_row(const RowView<kMask>& row, const WordNormaliser<kForm>& normalise, const int16_t* scores,
                          const int16_t* last_scores, int16_t* out, int64_t keys) {
  for (int64_t i = 0; i < row.last; i += 32) {
    const __m512i p = normalise(_mm512_loadu_si512(scores + i));
    if constexpr (kMask == MaskKind::kBits) {
      const auto valid = static_cast<__mmask32>(row.valid(i & ~int64_t{63}) >> (i & 32));
      _mm512_storeu_si512(out + i, _mm512_maskz_mov_epi16(valid, p));
    } else {
      _mm512_storeu_si512(out + i, p);
    }
  }
  const uint64_t inside = first_bits(std::min<int64_t>(keys - row.last, 64));
  for (int64_t i = 0; i < 64; i += 32) {
    const auto valid = static_cast<__mmask32>(row.last_valid >> i);
    const __m512i p = _mm512_maskz_mov_epi16(valid, normalise(_mm512_load_si512(last_scores + i)));
    const auto part = static_cast<__mmask32>(inside >> i);
    if (part == ~__mmask32{0}) {  // a store without a mask is faster
      _mm512_storeu_si512(out + row.last + i, p);
    } else if (part != 0) {
      _mm512_mask_storeu_epi16(out + row.last + i, part, p);
    }
  }
}

// The rows of one head, up to kBlock of them at a time.
template <Form kForm, MaskKind kMask, bool kWide>
class Head {
 public:
  HWY_INLINE Head(const Plan& plan, const Rows& rows, int64_t h)
      : head_(plan.heads[static_cast<size_t>(rows.first_head + h)]),
        normalisation_(plan.normalisation),
        rows_(rows, h),
        low_(ByteTable<kWide>::load(head_.score_low.data())),
        high_(ByteTable<kWide>::load(head_.score_high.data())) {}

  void run(int64_t queries) {
    constexpr size_t kKeptBytes = is_uint8(kForm) ? 0 : sizeof(int16_t);  // scores in the output's memory
    const int64_t step =
        block_rows(rows_.keys(), (rows_.sums() != nullptr ? sizeof(int32_t) : sizeof(int8_t)) + kKeptBytes);
    alignas(64) int32_t length[kBlock];
    std::fill(length, length + kBlock, static_cast<int32_t>(rows_.keys()));
    for (int64_t first = 0; first < queries; first += step) {
      const int64_t count = std::min(step, queries - first);
      if constexpr (kMask == MaskKind::kNone) {
        run_block<Lengths::kEqual>(first, count, length);
        continue;
      }
      rows_.lengths(first, count, length);
      const auto alike = [count](__m512i v) HCCS_VBMI_ATTR {
        return _mm512_mask_cmpneq_epi32_mask(static_cast<__mmask16>(first_bits(count)), v,
                                             _mm512_broadcastd_epi32(_mm512_castsi512_si128(v))) == 0;
      };
      const __m512i lengths = _mm512_load_si512(length);
      const __m512i one = _mm512_set1_epi32(1);
      const __m512i last = _mm512_srli_epi32(_mm512_sub_epi32(_mm512_max_epi32(lengths, one), one), 6);
      if (kMask == MaskKind::kLength && alike(lengths)) {
        run_block<Lengths::kEqual>(first, count, length);
      } else if (alike(last)) {
        run_block<Lengths::kEqualLast>(first, count, length);
      } else {
        run_block<Lengths::kAny>(first, count, length);
      }
    }
  }

 private:
  // What the lengths of a block's rows have in common: with equal padding all of it, in most blocks of causal rows the
  // position of the last vector.
  enum class Lengths { kEqual, kEqualLast, kAny };
  // As many as the rows of a block have, of up to 5,461 positions (block_rows()).
  static constexpr int64_t kKeptScores = is_uint8(kForm) ? 1 : 5504;

  template <Lengths kLengths>
  HWY_INLINE void run_block(int64_t first, int64_t count, const int32_t* length) const {
    rows_.sums() != nullptr ? run_rows_of_block<kLengths, true>(first, count, length)
                            : run_rows_of_block<kLengths, false>(first, count, length);
  }

  template <Lengths kLengths, bool kSums>
  HWY_NOINLINE void run_rows_of_block(int64_t first, int64_t count, const int32_t* length) const {
    constexpr bool kSameLast = kLengths != Lengths::kAny;
    constexpr bool kSameValid = kLengths == Lengths::kEqual;
    // Copies, so that the compiler knows that writing uint8 output changes none of them. One of rows_ as a whole would
    // lie in memory, where narrow loads of what was just stored wait for all the stores before it.
    const int8_t* const logits = rows_.logits(first);
    const int64_t logits_stride = rows_.logits_stride();
    const uint8_t* const bits = rows_.bits(first);
    const int64_t bits_stride = rows_.bits_stride();
    Output<kForm>* const out = rows_.out(first);
    const int64_t out_stride = rows_.out_stride();
    const int64_t keys = rows_.keys();
    const auto low = low_;
    const auto high = high_;
    VU32 part[kBlock];
    for (int64_t r = count; r < kBlock; ++r) part[r] = hn::Zero(DU32());
    alignas(64) int8_t tails[64 * kBlock];  // of sums: the logits of each row's last vector, if it is not full
    uint64_t valid[kBlock];                 // bits of the valid positions of each row's last vector
    const int64_t same_last = last_vector(length[0]);
    const uint64_t same_valid = first_bits(length[0] - same_last);
    const auto row_bits = [&](int64_t r)
                              HCCS_VBMI_ATTR { return kMask == MaskKind::kBits ? bits + r * bits_stride : nullptr; };
    const auto view = [&](int64_t r) HCCS_VBMI_ATTR {
      const int64_t last = kSameLast ? same_last : last_vector(length[r]);
      const int8_t* row = logits + r * logits_stride;
      const bool apart = kSums && length[kSameValid ? 0 : r] % 64 != 0;
      return RowView<kMask>{row, apart ? tails + 64 * r : row + last, row_bits(r), last,
                            kSameValid ? same_valid : valid[r]};
    };
    for (int64_t r = 0; r < count && !kSameValid; ++r) {
      valid[r] = last_vector_valid<kMask>(row_bits(r), length[r]);
    }
    alignas(64) int32_t maximum[kBlock] = {};
    if constexpr (kSums) {
      measure_block<kMask>(rows_, first, count, length, tails);
    } else {
      for (int64_t r = 0; r < count; ++r) part[r].raw = row_maximum(view(r));
      _mm512_store_si512(maximum, block_maxima(part).raw);
    }
    // Scores of int16 output: of each row's last vector, and of its full ones if rows end within 32 positions. In the
    // output, where they lie otherwise, the masked store of a row's end would make loads of the next row's scores wait.
    alignas(64) Output<kForm> last_scores[64 * kBlock];
    alignas(64) Output<kForm> full_scores[kKeptScores];
    const int64_t full_size = kSameLast ? same_last : (keys - 1) / 64 * 64;
    const bool fits = !is_uint8(kForm) && keys % 32 != 0 && count * full_size <= kKeptScores;
    Output<kForm>* const scores = fits ? full_scores : out;
    const int64_t scores_stride = fits ? full_size : out_stride;
    for (int64_t r = 0; r < count; ++r) {
      part[r].raw =
          row_sum(view(r), _mm512_set1_epi32(maximum[r]), low, high, scores + r * scores_stride, last_scores + 64 * r);
    }
    __m512i sums = block_sums(part).raw;
    // The tables of int16 output have prescaled scores.
    if (!is_uint8(kForm)) sums = _mm512_srl_epi32(sums, _mm_cvtsi32_si128(head_.prescale));
    BlockFactors factors;
    block_factors<kForm>(normalisation_, head_, sums, factors);
    for (int64_t r = 0; r < count; ++r) {
      if constexpr (is_uint8(kForm)) {
        const RowTable<kForm, kWide> table(head_, factors, r);
        write_row(view(r), _mm512_set1_epi32(maximum[r]), table, out + r * out_stride, keys);
      } else {
        write_row(view(r), WordNormaliser<kForm>(factors, r), scores + r * scores_stride, last_scores + 64 * r,
                  out + r * out_stride, keys);
      }
    }
    if (kMask == MaskKind::kNone) return;
    for (int64_t r = 0; r < count; ++r) {
      const int64_t written = (kSameLast ? same_last : last_vector(length[r])) + 64;
      clear_bytes(out + r * out_stride + written, (keys - written) * static_cast<int64_t>(sizeof(Output<kForm>)));
    }
  }

  const PreparedHead& head_;
  const Normalisation normalisation_;
  const HeadRows<kMask, Output<kForm>> rows_;
  const ByteTable<kWide> low_;
  const ByteTable<kWide> high_;
};

template <Form kForm, MaskKind kMask, bool kWide>
void run_head(const Plan& plan, const Rows& rows, int64_t h) {
  Head<kForm, kMask, kWide>(plan, rows, h).run(rows.queries);
}

inline int64_t run_rows(const Plan& plan, const Rows& rows) {
  visit_form_and_mask(plan, rows, [&]<Form kForm, MaskKind kMask>() {
    for (int64_t h = 0; h < rows.heads; ++h) {
      plan.heads[static_cast<size_t>(rows.first_head + h)].wide ? run_head<kForm, kMask, true>(plan, rows, h)
                                                                : run_head<kForm, kMask, false>(plan, rows, h);
    }
  });
  return kVbmiId;
}

}  // namespace hccs::internal::HWY_NAMESPACE::vbmi
HWY_POP_ATTRIBUTES
#undef HCCS_VBMI_ATTR
#undef HCCS_VBMI_TARGET
#endif  // HWY_TARGET

#endif  // toggle
