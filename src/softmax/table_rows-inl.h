// SPDX-License-Identifier: Apache-2.0
//
// Row softmax for CPUs that look up 128 bytes at once (AVX-512 VBMI). A score depends on the distance to the maximum
// alone, so the 128 scores of a head are two byte tables, and so are the probabilities of a row: its normalisation is
// done for 128 distances instead of n positions, and output is one look-up for 64 of them. One knee or four, or an
// exact exponential: the same instructions.
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

#if HWY_TARGET == HWY_AVX3
// Highway 1.0.3 has no target with just these: its AVX3_DL asks for AVX-VNNI too, which Ice Lake lacks.
#define HCCS_VBMI_TARGET HWY_TARGET_STR ",avx512vbmi,avx512vnni"
#define HCCS_VBMI_ATTR __attribute__((target(HCCS_VBMI_TARGET)))
HWY_PUSH_ATTRIBUTES(HCCS_VBMI_TARGET)
namespace hccs::softmax::HWY_NAMESPACE::vbmi {

// The first n bits, 0 <= n <= 64.
HWY_INLINE uint64_t first_bits(int64_t n) { return n >= 64 ? ~uint64_t{0} : ~(~uint64_t{0} << n); }

// One row. Every vector but the last is full; the last has 0 to 64 positions. Bytes of masked-out positions are neither
// read nor written.
template <bool kBits>
struct RowView {
  const int8_t* logits;
  const uint8_t* bits;
  int64_t last;        // where the last vector starts
  uint64_t last_mask;  // its valid positions

  HWY_INLINE void open(const VisibleRow& row) {
    logits = row.logits;
    bits = row.bits;
    last = row.length == 0 ? 0 : (row.length - 1) / 64 * 64;
    const int64_t rest = row.length - last;
    last_mask = first_bits(rest);
    if (kBits) {
      uint64_t word = 0;
      std::memcpy(&word, bits + last / 8, static_cast<size_t>((rest + 7) / 8));
      last_mask &= word;
    }
  }
  // Valid positions of a full vector.
  HWY_INLINE __mmask64 mask(int64_t i) const {
    uint64_t word = ~uint64_t{0};
    if (kBits) std::memcpy(&word, bits + i / 8, sizeof(word));
    return word;
  }
  HWY_INLINE __m512i load(int64_t i) const { return _mm512_loadu_si512(logits + i); }
  HWY_INLINE __m512i load_last() const { return _mm512_maskz_loadu_epi8(last_mask, logits + last); }
};

// A byte for each distance 0..127, or 0..255 of a wide head: an exponential whose step is so small that it goes on.
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
  // The table ignores a distance's bit 7 unless wide; distance() saturates at 127 for it.
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

template <bool kBits>
HWY_INLINE __m512i row_maximum(const RowView<kBits>& row) {
  const __m512i lowest = _mm512_set1_epi8(-128);
  __m512i maximum = _mm512_mask_loadu_epi8(lowest, row.last_mask, row.logits + row.last);
  for (int64_t i = 0; i < row.last; i += 64) {
    const __m512i x = row.load(i);
    maximum = kBits ? _mm512_mask_max_epi8(maximum, row.mask(i), maximum, x) : _mm512_max_epi8(maximum, x);
  }
  return maximum;
}

// Lanes that add up to the sum of the valid positions' scores.
template <bool kBits, bool kWide>
HWY_INLINE __m512i row_sum(const RowView<kBits>& row, __m512i maximum, const ByteTable<kWide>& low,
                           const ByteTable<kWide>& high) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i low_sum = _mm512_setzero_si512();
  __m512i high_sum = _mm512_setzero_si512();
  const auto add = [&](__m512i x, __m512i weights) HCCS_VBMI_ATTR {
    const __m512i d = low.distance(maximum, x);
    low_sum = _mm512_dpbusd_epi32(low_sum, low[d], weights);
    high_sum = _mm512_dpbusd_epi32(high_sum, high[d], weights);
  };
  for (int64_t i = 0; i < row.last; i += 64) {
    add(row.load(i), kBits ? _mm512_maskz_mov_epi8(row.mask(i), ones) : ones);
  }
  add(row.load_last(), _mm512_maskz_mov_epi8(row.last_mask, ones));
  return _mm512_add_epi32(low_sum, _mm512_slli_epi32(high_sum, 8));
}

// The probabilities of a row by distance.
template <Form kForm, bool kWide>
class RowTable {
 public:
  HWY_INLINE RowTable(const PreparedHead& head, const RowFactors& f) {
    const __m512i multiplier = _mm512_set1_epi16(static_cast<int16_t>(f.multiplier));
    if constexpr (kForm == Form::kRound8) {
      const __m512i rounding = _mm512_set1_epi16(static_cast<int16_t>(f.rounding));
      const __m128i shift = _mm_cvtsi32_si128(f.shift);
      const auto normalise = [&](const uint16_t* s) HCCS_VBMI_ATTR {
        const __m512i product = _mm512_mulhi_epu16(_mm512_load_si512(s), multiplier);
        return _mm512_srl_epi16(_mm512_add_epi16(product, rounding), shift);
      };
      HWY_UNROLL(4)
      for (int i = 0; i < ByteTable<kWide>::kParts; ++i) {
        const uint16_t* s = head.prescaled_for_pack.data() + 64 * i;
        low_.part[i] = _mm512_packus_epi16(normalise(s), normalise(s + 32));
      }
    } else {
      // 16 >> nothing: counts of 16 and more give 0, so that one of the product's halves drops out by itself.
      const __m128i high_left = _mm_cvtsi32_si128(std::max(17 - f.shift, 0));
      const __m128i high_right = _mm_cvtsi32_si128(std::max(f.shift - 17, 0));
      const __m128i low_right = _mm_cvtsi32_si128(f.shift - 1);
      const auto normalise = [&](const uint16_t* s) HCCS_VBMI_ATTR {
        const __m512i score = _mm512_load_si512(s);
        const __m512i low_product = _mm512_mullo_epi16(score, multiplier);
        if constexpr (kForm == Form::kProduct16) return _mm512_min_epu16(low_product, _mm512_set1_epi16(32767));
        const __m512i high_product = _mm512_mulhi_epu16(score, multiplier);
        const __m512i high = _mm512_srl_epi16(_mm512_sll_epi16(high_product, high_left), high_right);
        const __m512i low = _mm512_srl_epi16(low_product, low_right);
        return _mm512_avg_epu16(_mm512_or_si512(high, low), _mm512_setzero_si512());
      };
      const __m512i low_bytes = _mm512_load_si512(kEvenBytes);
      const __m512i high_bytes = _mm512_add_epi8(low_bytes, _mm512_set1_epi8(1));
      HWY_UNROLL(4)
      for (int i = 0; i < ByteTable<kWide>::kParts; ++i) {
        const uint16_t* s = head.prescaled.data() + 64 * i;
        const __m512i first = normalise(s);
        const __m512i second = normalise(s + 32);
        low_.part[i] = _mm512_permutex2var_epi8(first, low_bytes, second);
        high_.part[i] = _mm512_permutex2var_epi8(first, high_bytes, second);
      }
    }
  }

  // 64 probabilities.
  HWY_INLINE void store(__m512i d, uint8_t* out) const { _mm512_storeu_si512(out, low_[d]); }
  HWY_INLINE void store(__m512i d, int16_t* out) const {
    const auto [first, second] = words(d);
    _mm512_storeu_si512(out, first);
    _mm512_storeu_si512(out + 32, second);
  }
  // The same, 0 where `valid` is 0, of which only the positions in `inside` are written.
  HWY_INLINE void store(__m512i d, __mmask64 valid, __mmask64 inside, uint8_t* out) const {
    _mm512_mask_storeu_epi8(out, inside, _mm512_maskz_mov_epi8(valid, low_[d]));
  }
  HWY_INLINE void store(__m512i d, __mmask64 valid, __mmask64 inside, int16_t* out) const {
    const auto [first, second] = words(d);
    _mm512_mask_storeu_epi16(out, static_cast<__mmask32>(inside),
                             _mm512_maskz_mov_epi16(static_cast<__mmask32>(valid), first));
    _mm512_mask_storeu_epi16(out + 32, static_cast<__mmask32>(inside >> 32),
                             _mm512_maskz_mov_epi16(static_cast<__mmask32>(valid >> 32), second));
  }

 private:
  struct Words {
    __m512i first, second;
  };
  // Positions in order: unpacking takes 8 bytes of each 128-bit lane.
  HWY_INLINE Words words(__m512i d) const {
    const __m512i apart = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), d);
    const __m512i low = low_[apart];
    const __m512i high = high_[apart];
    return {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
  }

  alignas(64) static constexpr uint8_t kEvenBytes[64] = {
      0,  2,  4,  6,  8,  10, 12,  14,  16,  18,  20,  22,  24,  26,  28,  30,  32,  34,  36,  38, 40, 42,
      44, 46, 48, 50, 52, 54, 56,  58,  60,  62,  64,  66,  68,  70,  72,  74,  76,  78,  80,  82, 84, 86,
      88, 90, 92, 94, 96, 98, 100, 102, 104, 106, 108, 110, 112, 114, 116, 118, 120, 122, 124, 126};

  ByteTable<kWide> low_;   // the probabilities' low bytes
  ByteTable<kWide> high_;  // int16: their high bytes
};

HWY_INLINE void clear_bytes(void* from, int64_t count) {
  auto* out = static_cast<uint8_t*>(from);
  for (; count >= 64; count -= 64, out += 64) _mm512_storeu_si512(out, _mm512_setzero_si512());
  _mm512_mask_storeu_epi8(out, first_bits(count), _mm512_setzero_si512());
}

template <Form kForm, bool kBits, bool kWide>
HWY_INLINE void write_row(const RowView<kBits>& row, __m512i maximum, const RowTable<kForm, kWide>& table,
                          int64_t length, int64_t keys, void* to) {
  using Out = std::conditional_t<kForm == Form::kRound8, uint8_t, int16_t>;
  auto* out = static_cast<Out*>(to);
  for (int64_t i = 0; i < row.last; i += 64) {
    const __m512i d = ByteTable<kWide>::distance(maximum, row.load(i));
    if constexpr (kBits) {
      table.store(d, row.mask(i), ~uint64_t{0}, out + i);
    } else {
      table.store(d, out + i);
    }
  }
  const __m512i d = ByteTable<kWide>::distance(maximum, row.load_last());
  table.store(d, row.last_mask, first_bits(length - row.last), out + row.last);
  if (length < keys) clear_bytes(out + length, (keys - length) * static_cast<int64_t>(sizeof(Out)));
}

template <Form kForm, bool kBits, bool kWide>
void run_head(const Plan& plan, const Rows& rows, int64_t h) {
  using Out = std::conditional_t<kForm == Form::kRound8, uint8_t, int16_t>;
  const PreparedHead& head = plan.heads[static_cast<size_t>(rows.first_head + h)];
  const auto low = ByteTable<kWide>::load(head.score_low.data());
  const auto high = ByteTable<kWide>::load(head.score_high.data());
  const int64_t step = block_rows(rows.keys);
  RowView<kBits> view[kBlock];
  VisibleRow row[kBlock];
  VU32 part[kBlock];
  for (VU32& v : part) v = hn::Zero(DU32());
  alignas(64) int32_t maxima[kBlock];
  alignas(64) int32_t sums[kBlock];
  for (int64_t first = 0; first < rows.queries; first += step) {
    const int64_t count = std::min(step, rows.queries - first);
    for (int64_t r = 0; r < count; ++r) {
      row[r] = visible_row<Out>(rows, h, first + r);
      view[r].open(row[r]);
      part[r].raw = row_maximum(view[r]);
    }
    _mm512_store_si512(maxima, block_maxima(part).raw);
    for (int64_t r = 0; r < count; ++r) {
      part[r].raw = row_sum(view[r], _mm512_set1_epi32(maxima[r]), low, high);
    }
    _mm512_store_si512(sums, block_sums(part).raw);
    for (int64_t r = 0; r < count; ++r) {
      // A row without a valid position may have any sum: its output is masked.
      const RowFactors factors = row_factors<kForm>(plan.normalisation, head, std::max(sums[r], head.offset));
      const RowTable<kForm, kWide> table(head, factors);
      write_row(view[r], _mm512_set1_epi32(maxima[r]), table, row[r].length, rows.keys, row[r].out);
    }
  }
}

template <Form kForm>
void run_form(const Plan& plan, const Rows& rows) {
  for (int64_t h = 0; h < rows.heads; ++h) {
    const bool wide = plan.heads[static_cast<size_t>(rows.first_head + h)].wide;
    if (rows.mask_bits == nullptr) {
      wide ? run_head<kForm, false, true>(plan, rows, h) : run_head<kForm, false, false>(plan, rows, h);
    } else {
      wide ? run_head<kForm, true, true>(plan, rows, h) : run_head<kForm, true, false>(plan, rows, h);
    }
  }
}

inline void run_rows(const Plan& plan, const Rows& rows) {
  switch (plan.form) {
    case Form::kRound8:
      run_form<Form::kRound8>(plan, rows);
      break;
    case Form::kProduct16:
      run_form<Form::kProduct16>(plan, rows);
      break;
    case Form::kRound16:
      run_form<Form::kRound16>(plan, rows);
      break;
  }
}

}  // namespace hccs::softmax::HWY_NAMESPACE::vbmi
HWY_POP_ATTRIBUTES
#undef HCCS_VBMI_ATTR
#undef HCCS_VBMI_TARGET
#endif  // HWY_TARGET

#endif  // toggle
