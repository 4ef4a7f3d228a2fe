// SPDX-License-Identifier: Apache-2.0
//
// Rows of int32 sums as rows of logits: -d for each distance d = min(127, (t * M + 2^(R-1)) >> R), t = maximum - a.
#if defined(HCCS_SRC_SOFTMAX_SUM_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HCCS_SRC_SOFTMAX_SUM_ROWS_INL_H_
#undef HCCS_SRC_SOFTMAX_SUM_ROWS_INL_H_
#else
#define HCCS_SRC_SOFTMAX_SUM_ROWS_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "softmax/row_block-inl.h"

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
HWY_BEFORE_NAMESPACE();
namespace hccs::internal::HWY_NAMESPACE {

using D32 = hn::ScalableTag<int32_t>;
using V32 = hn::Vec<D32>;

inline constexpr int64_t kQuarter = kLanes / 4;  // 32-bit lanes of a vector

// kLanes sums in order.
struct Sums {
  V32 v[4];
};

HWY_INLINE Sums load(const int32_t* sums) {
  const D32 d;
  return {hn::LoadU(d, sums), hn::LoadU(d, sums + kQuarter), hn::LoadU(d, sums + 2 * kQuarter),
          hn::LoadU(d, sums + 3 * kQuarter)};
}

// The first `count` elements, 0 <= count, and INT32_MIN in the lanes beyond; reads no other memory.
HWY_INLINE V32 load_first(const int32_t* sums, int64_t count) {
  const D32 d;
  const V32 lowest = hn::Set(d, std::numeric_limits<int32_t>::min());
#if HWY_MAX_BYTES >= 32
  const auto inside = hn::FirstN(d, static_cast<size_t>(std::min(count, kQuarter)));
  return hn::IfThenElse(inside, hn::MaskedLoad(inside, d, sums), lowest);
#else
  if (count >= kQuarter) return hn::LoadU(d, sums);
  HWY_ALIGN int32_t lanes[kQuarter];
  hn::Store(lowest, d, lanes);
  for (int64_t i = 0; i < count; ++i) lanes[i] = sums[i];
  return hn::Load(d, lanes);
#endif
}
HWY_INLINE Sums load_first_sums(const int32_t* sums, int64_t count) {
  const auto part = [&](int64_t i) HWY_ATTR { return load_first(sums + i, std::max<int64_t>(count - i, 0)); };
  return {part(0), part(kQuarter), part(2 * kQuarter), part(3 * kQuarter)};
}

// One row's rescale. All forms are exact; exact() takes what the others do not, down to M = 1 and R = 46.
//
// kNarrow, where 65535 M 2^-R >= 126.5: t is clamped at 65535, whose distance is at least 127. With M shifted left to
// 15
//   bits and R raised by as much, which changes nothing, h = t M >> 16 < 2^15, and since 2^(R-1) is a multiple of 2^16,
//   d = (h + 2^(R-17)) >> (R-16), a rounding multiplication by 2^(31-R) in 16 bits for R >= 17.
//
// kFloat, on AVX-512 where M 2^-R <= 1/2 and 2^24 M 2^-R >= 126.5: a fused multiply-add t * (M 2^-R) + 1/2, rounded
//   towards zero, and truncated to an integer. t < 2^24 is exact as a float, and truncation to 24 significant bits
//   never passes an integer below 2^24, so the integer part is the contract's. A larger t, itself rounded towards zero,
//   is still at least 2^24, whose distance is at least 127; and the result stays below 2^31, since t < 2^32.
//
// Saturating packs make the minimum with 127.
class SumDistances {
 public:
  explicit HWY_INLINE SumDistances(Rescale rescale) : rescale_(rescale) {
    const int64_t multiplier = rescale.multiplier;
    const int up = std::countl_zero(static_cast<uint16_t>(multiplier)) - 1;
    const int shift = rescale.shift + up;
    if (shift >= 17 && int64_t{131070} * multiplier >= int64_t{253} << rescale.shift) {  // so shift is at most 24
      form_ = Form::kNarrow;
      multiplier_ = static_cast<uint16_t>(multiplier << up);
      second_ = static_cast<int16_t>(1 << (31 - shift));
      return;
    }
#if HWY_TARGET == HWY_AVX3
    if (2 * multiplier <= int64_t{1} << rescale.shift && multiplier << 25 >= int64_t{253} << rescale.shift) {
      form_ = Form::kFloat;
      scale_ = static_cast<float>(rescale.multiplier) * std::bit_cast<float>((127 - rescale.shift) << 23);
      return;
    }
#endif
    // The least t whose distance is 127 or more, if there is one.
    const int64_t numerator = rescale.shift == 0 ? 127 : int64_t{253} << (rescale.shift - 1);
    const int64_t least = (numerator + multiplier - 1) / multiplier;
    most_ = static_cast<uint32_t>(std::min<int64_t>(least, std::numeric_limits<uint32_t>::max()));
  }

  // Writes -d of each of a row's `length` sums, full vectors to `logits` and what is left to `tail`, a full vector; of
  // a sum above the maximum, which only an invalid position can have, anything in -127..0. Reads nothing beyond the
  // row.
  HWY_INLINE void measure(V32 maximum, const int32_t* row, int64_t length, int8_t* logits, int8_t* tail) const {
    if (form_ == Form::kNarrow) {
      for_each_vector(row, length, logits, tail, [&](const Sums& s) HWY_ATTR { return by_16_bits(maximum, s); });
#if HWY_TARGET == HWY_AVX3
    } else if (form_ == Form::kFloat) {
      for_each_vector(row, length, logits, tail, [&](const Sums& s) HWY_ATTR { return by_float(maximum, s); });
#endif
    } else {
      measure_exactly(maximum, row, length, logits, tail);
    }
  }

 private:
  enum class Form { kNarrow, kFloat, kExact };

  template <class Distances>
  static HWY_INLINE void for_each_vector(const int32_t* row, int64_t length, int8_t* logits, int8_t* tail,
                                         const Distances& distances) {
    const D8 d8;
    const int64_t full = length / kLanes * kLanes;
    for (int64_t i = 0; i < full; i += kLanes) {
      hn::StoreU(hn::Sub(hn::Zero(d8), distances(load(row + i))), d8, logits + i);
    }
    if (full < length) {
      hn::Store(hn::Sub(hn::Zero(d8), distances(load_first_sums(row + full, length - full))), d8, tail);
    }
  }

  HWY_NOINLINE void measure_exactly(V32 maximum, const int32_t* row, int64_t length, int8_t* logits,
                                    int8_t* tail) const {
    for_each_vector(row, length, logits, tail, [&](const Sums& s) HWY_ATTR { return exact(maximum, s); });
  }

  HWY_INLINE V8 by_16_bits(V32 maximum, const Sums& sums) const {
    const D32 d32;
    const DU16 d16;
    // The least sum whose t is not clamped; a lower one than INT32_MIN does not exist.
    const V32 least = hn::Max(hn::Set(d32, std::numeric_limits<int32_t>::min() + 65535), maximum);
    const V32 lowest = hn::Sub(least, hn::Set(d32, 65535));
    const auto below = [&](int i) HWY_ATTR { return hn::Sub(maximum, hn::Max(sums.v[i], lowest)); };
    const auto distance = [&](VU16 t) HWY_ATTR {
      const VU16 high = hn::MulHigh(t, hn::Set(d16, multiplier_));
      return hn::MulFixedPoint15(hn::BitCast(D16(), high), hn::Set(D16(), second_));
    };
    return pack16(distance(pack32(below(0), below(1))), distance(pack32(below(2), below(3))));
  }

#if HWY_TARGET == HWY_AVX3
  HWY_INLINE V8 by_float(V32 maximum, const Sums& sums) const {
    constexpr int kTowardsZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    const __m512 scale = _mm512_set1_ps(scale_);
    const __m512 half = _mm512_set1_ps(0.5F);
    const auto distance = [&](int i) HWY_ATTR {
      const __m512i t = _mm512_sub_epi32(maximum.raw, sums.v[i].raw);
      const __m512 product =
          _mm512_fmadd_round_ps(_mm512_cvt_roundepu32_ps(t, kTowardsZero), scale, half, kTowardsZero);
      return V32{_mm512_cvtt_roundps_epi32(product, _MM_FROUND_NO_EXC)};
    };
    return pack(distance(0), distance(1), distance(2), distance(3));
  }
#endif

  HWY_INLINE V8 exact(V32 maximum, const Sums& sums) const {
    const DU32 d32;
    const DU64 d64;
    const VU32 multiplier = hn::Set(d32, static_cast<uint32_t>(rescale_.multiplier));
    const auto half = hn::Set(d64, rescale_.shift == 0 ? 0 : uint64_t{1} << (rescale_.shift - 1));
    const auto distance = [&](int i) HWY_ATTR {
      const VU32 t = hn::Min(hn::BitCast(d32, hn::Sub(maximum, sums.v[i])), hn::Set(d32, most_));
      const auto odd = hn::ShiftRight<32>(hn::BitCast(d64, t));
      const auto scaled = [&](VU32 v) HWY_ATTR {
        return hn::ShiftRightSame(hn::Add(hn::MulEven(v, multiplier), half), rescale_.shift);
      };
      // Each is below 2^16: at most the distance of most_, which is below 127 + M.
      const auto both = hn::Or(scaled(t), hn::ShiftLeft<32>(scaled(hn::BitCast(d32, odd))));
      return hn::BitCast(D32(), both);
    };
    return pack(distance(0), distance(1), distance(2), distance(3));
  }

  // min(127, .) of lanes in 0..2^31, as bytes in order.
  static HWY_INLINE V8 pack(V32 a, V32 b, V32 c, V32 d);
  // Lanes in 0..65535, halved in width, in the order that pack16() expects.
  static HWY_INLINE VU16 pack32(V32 a, V32 b);
  // min(127, .) of lanes in 0..2^15, as bytes in order.
  static HWY_INLINE V8 pack16(hn::Vec<D16> a, hn::Vec<D16> b);

  Rescale rescale_;
  Form form_ = Form::kExact;
  uint32_t most_ = 0;
  uint16_t multiplier_ = 0;
  int16_t second_ = 0;
  float scale_ = 0;
};

#if HWY_TARGET == HWY_AVX3
// Packing leaves 4 positions of each of four vectors in each 128-bit block.
HWY_INLINE VU16 SumDistances::pack32(V32 a, V32 b) { return VU16{_mm512_packus_epi32(a.raw, b.raw)}; }
HWY_INLINE V8 SumDistances::pack16(hn::Vec<D16> a, hn::Vec<D16> b) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return V8{_mm512_permutexvar_epi32(order, _mm512_packs_epi16(a.raw, b.raw))};
}
HWY_INLINE V8 SumDistances::pack(V32 a, V32 b, V32 c, V32 d) {
  return pack16(hn::Vec<D16>{_mm512_packs_epi32(a.raw, b.raw)}, hn::Vec<D16>{_mm512_packs_epi32(c.raw, d.raw)});
}
#elif HWY_TARGET == HWY_AVX2
HWY_INLINE VU16 SumDistances::pack32(V32 a, V32 b) { return VU16{_mm256_packus_epi32(a.raw, b.raw)}; }
HWY_INLINE V8 SumDistances::pack16(hn::Vec<D16> a, hn::Vec<D16> b) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  return V8{_mm256_permutevar8x32_epi32(_mm256_packs_epi16(a.raw, b.raw), order)};
}
HWY_INLINE V8 SumDistances::pack(V32 a, V32 b, V32 c, V32 d) {
  return pack16(hn::Vec<D16>{_mm256_packs_epi32(a.raw, b.raw)}, hn::Vec<D16>{_mm256_packs_epi32(c.raw, d.raw)});
}
#elif HWY_TARGET == HWY_SSE4
HWY_INLINE VU16 SumDistances::pack32(V32 a, V32 b) { return VU16{_mm_packus_epi32(a.raw, b.raw)}; }
HWY_INLINE V8 SumDistances::pack16(hn::Vec<D16> a, hn::Vec<D16> b) { return V8{_mm_packs_epi16(a.raw, b.raw)}; }
HWY_INLINE V8 SumDistances::pack(V32 a, V32 b, V32 c, V32 d) {
  return pack16(hn::Vec<D16>{_mm_packs_epi32(a.raw, b.raw)}, hn::Vec<D16>{_mm_packs_epi32(c.raw, d.raw)});
}
#else
HWY_INLINE VU16 SumDistances::pack32(V32 a, V32 b) {
  const hn::Half<DU16> half;
  return hn::Combine(DU16(), hn::DemoteTo(half, b), hn::DemoteTo(half, a));
}
HWY_INLINE V8 SumDistances::pack16(hn::Vec<D16> a, hn::Vec<D16> b) {
  const hn::Half<D8> half;
  return hn::Combine(D8(), hn::DemoteTo(half, b), hn::DemoteTo(half, a));
}
HWY_INLINE V8 SumDistances::pack(V32 a, V32 b, V32 c, V32 d) {
  const hn::Half<D16> half;
  const D16 d16;
  return pack16(hn::Combine(d16, hn::DemoteTo(half, b), hn::DemoteTo(half, a)),
                hn::Combine(d16, hn::DemoteTo(half, d), hn::DemoteTo(half, c)));
}
#endif

HWY_INLINE V32 maximum_of(const Sums& s) { return hn::Max(hn::Max(s.v[0], s.v[1]), hn::Max(s.v[2], s.v[3])); }

// The same, INT32_MIN where a position's bit is 0; kLanes bits.
HWY_INLINE Sums where_valid(const Sums& s, const uint8_t* bits) {
  const D32 d;
  const V32 lowest = hn::Set(d, std::numeric_limits<int32_t>::min());
  const auto part = [&](int64_t i) HWY_ATTR {
    const uint8_t* from = bits + i * kQuarter / 8;
    const auto upper_half = static_cast<uint8_t>(*from >> 4);  // of vectors of four, every other one starts there
    const auto valid = hn::LoadMaskBits(d, kQuarter * i % 8 == 0 ? from : &upper_half);
    return hn::IfThenElse(valid, s.v[i], lowest);
  };
  return {part(0), part(1), part(2), part(3)};
}

// Writes the logits of `count` rows from `first` on, each up to its length: full vectors to its room, what is left to
// tails + kLanes * r, a vector a row. Those of invalid positions may be any. Reads nothing beyond the rows.
template <MaskKind kMask, class HeadRows>
HWY_NOINLINE void measure_block(const HeadRows& all_rows, int64_t first, int64_t count, const int32_t* length,
                                int8_t* tails) {
  const HeadRows rows = all_rows;  // a copy, so that the compiler knows that writing logits changes none of its members
  const HeadSums sums = *rows.sums();
  VU32 part[kBlock];
  for (int64_t r = count; r < kBlock; ++r) part[r] = hn::Zero(DU32());
  for (int64_t r = 0; r < count; ++r) {
    const int32_t* row = sums.row(first + r);
    const uint8_t* bits = rows.bits(first + r);
    const int64_t full = length[r] / kLanes * kLanes;
    const auto valid = [](const Sums& s, const uint8_t* b)
                           HWY_ATTR { return kMask == MaskKind::kBits ? where_valid(s, b) : s; };
    V32 maximum = hn::Set(D32(), std::numeric_limits<int32_t>::min());
    for (int64_t i = 0; i < full; i += kLanes) {
      // Without a mask of bits there is no pointer to advance.
      const uint8_t* vector_bits = kMask == MaskKind::kBits ? bits + i / 8 : nullptr;
      maximum = hn::Max(maximum, maximum_of(valid(load(row + i), vector_bits)));
    }
    if (const int64_t rest = length[r] - full; rest > 0) {
      uint8_t last_bits[8] = {};
      if (kMask == MaskKind::kBits) copy_short<kLanes / 8>(bits + full / 8, last_bits, (rest + 7) / 8);
      maximum = hn::Max(maximum, maximum_of(valid(load_first_sums(row + full, rest), last_bits)));
    }
    part[r] = hn::BitCast(DU32(), maximum);
  }
  HWY_ALIGN uint32_t maxima[kBlock];
  hn::Store(block_maxima32(part), DU32(), maxima);
  SumDistances distances(sums.rescale(first));
  for (int64_t r = 0; r < count; ++r) {
    if (sums.rescale_stride != 0 && r > 0) distances = SumDistances(sums.rescale(first + r));
    distances.measure(hn::Set(D32(), static_cast<int32_t>(maxima[r])), sums.row(first + r), length[r],
                      rows.room(first + r), tails + kLanes * r);
  }
}

}  // namespace hccs::internal::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET

#endif  // toggle
