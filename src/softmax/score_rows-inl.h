// SPDX-License-Identifier: Apache-2.0
//
// Row softmax for targets without look-ups in 128 bytes: scores are computed, B - sum S_k * min(d, D_k), in 16-bit
// lanes; the exact exponential, which has no such formula, is looked up 16 entries at a time.
#if defined(HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_
#undef HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_
#else
#define HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_
#endif

#include <bit>

#include "softmax/row_block-inl.h"
#include "softmax/row_factors.h"
#include "softmax/sum_rows-inl.h"

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
HWY_BEFORE_NAMESPACE();
namespace hccs::internal::HWY_NAMESPACE {

using VU8 = hn::Vec<DU8>;
using VU64 = hn::Vec<DU64>;
using M8 = hn::Mask<D8>;

// Two vectors of 16-bit lanes: those of positions 0..kLanes/2, and the rest.
struct Pair16 {
  VU16 lower, upper;
};

HWY_INLINE Pair16 widen(VU8 v) {
  const hn::Half<DU8> half;
  return {hn::PromoteTo(DU16(), hn::LowerHalf(half, v)), hn::PromoteTo(DU16(), hn::UpperHalf(half, v))};
}

// min(255, .) of each 16-bit lane, which must be below 2^15, as bytes in order.
HWY_INLINE VU8 narrow(const Pair16& p) {
#if HWY_TARGET == HWY_AVX2
  return VU8{_mm256_permute4x64_epi64(_mm256_packus_epi16(p.lower.raw, p.upper.raw), 0xD8)};
#elif HWY_TARGET == HWY_SSE4
  return VU8{_mm_packus_epi16(p.lower.raw, p.upper.raw)};
#else
  const hn::Half<DU8> half;
  const D16 d;
  return hn::Combine(DU8(), hn::DemoteTo(half, hn::BitCast(d, p.upper)), hn::DemoteTo(half, hn::BitCast(d, p.lower)));
#endif
}

// Scores of a head with kKnees knees.
template <int kKnees>
class KneeScores {
 public:
  // For each knee, lanes that add up to the sum of min(d, D_k) so far.
  struct Sums {
    VU64 of_knee[kKnees];
  };

  explicit HWY_INLINE KneeScores(const PreparedHead& head) {
    offset_ = hn::Set(DU16(), static_cast<uint16_t>(head.offset << head.prescale));
    HWY_UNROLL(4)
    for (int k = 0; k < kKnees; ++k) {
      const Knee& knee = head.params.knees[static_cast<size_t>(k)];
      position_[k] = hn::Set(DU8(), static_cast<uint8_t>(knee.position));
      slope_[k] = hn::Set(DU16(), static_cast<uint16_t>(knee.slope << head.prescale));
      total_slope_[k] = hn::Set(DU32(), static_cast<uint32_t>(knee.slope));
    }
  }

  // The distance, saturated at 127: no D_k is larger, so no score changes beyond.
  static HWY_INLINE VU8 distance(V8 maximum, V8 x) { return hn::BitCast(DU8(), hn::SaturatedSub(maximum, x)); }

  HWY_INLINE void clear(Sums& sums) const {
    for (VU64& sum : sums.of_knee) sum = hn::Zero(DU64());
  }
  HWY_INLINE void add(Sums& sums, VU8 d) const {
    HWY_UNROLL(4)
    for (int k = 0; k < kKnees; ++k) {
      sums.of_knee[k] = hn::Add(sums.of_knee[k], hn::SumsOf8(hn::Min(d, position_[k])));
    }
  }
  // Lanes that add up to the sum of B - s; no lane or sum of lanes exceeds n * B < 2^31.
  HWY_INLINE VU32 deficit(const Sums& sums) const {
    const DU32 d32;
    VU32 deficit = hn::Zero(d32);
    HWY_UNROLL(4)
    for (int k = 0; k < kKnees; ++k) {
      deficit = hn::Add(deficit, hn::Mul(hn::BitCast(d32, sums.of_knee[k]), total_slope_[k]));
    }
    return deficit;
  }
  HWY_INLINE Pair16 prescaled(VU8 d) const {
    Pair16 s = {offset_, offset_};
    HWY_UNROLL(4)
    for (int k = 0; k < kKnees; ++k) {
      const Pair16 clipped = widen(hn::Min(d, position_[k]));
      s.lower = hn::Sub(s.lower, hn::Mul(clipped.lower, slope_[k]));
      s.upper = hn::Sub(s.upper, hn::Mul(clipped.upper, slope_[k]));
    }
    return s;
  }

 private:
  VU16 offset_;
  VU8 position_[kKnees];
  VU16 slope_[kKnees];
  VU32 total_slope_[kKnees];
};

// Scores that have no formula: an exact exponential's 128 entries, or 256 of a wide head, looked up 16 at a time.
template <bool kWide>
class TableScores {
 public:
  // Lanes that add up to the sums of the deficits' low bytes and of their high bytes.
  struct Sums {
    VU64 low, high;
  };

  explicit HWY_INLINE TableScores(const PreparedHead& head) : head_(head) {}

  // The distance, saturated at 127 unless wide: the table's entries are equal from there on.
  static HWY_INLINE VU8 distance(V8 maximum, V8 x) {
    return hn::BitCast(DU8(), kWide ? hn::Sub(maximum, x) : hn::SaturatedSub(maximum, x));
  }

  HWY_INLINE void clear(Sums& sums) const { sums.low = sums.high = hn::Zero(DU64()); }
  HWY_INLINE void add(Sums& sums, VU8 d) const {
    const Pair8 deficit = look_up(head_.deficit_low_steps, head_.deficit_high_steps, d);
    sums.low = hn::Add(sums.low, hn::SumsOf8(deficit.low));
    sums.high = hn::Add(sums.high, hn::SumsOf8(deficit.high));
  }
  HWY_INLINE VU32 deficit(const Sums& sums) const {
    return hn::BitCast(DU32(), hn::Add(sums.low, hn::ShiftLeft<8>(sums.high)));
  }
  HWY_INLINE Pair16 prescaled(VU8 d) const {
    const Pair8 bytes = look_up(head_.prescaled_low_steps, head_.prescaled_high_steps, d);
    const Pair16 low = widen(bytes.low);
    const Pair16 high = widen(bytes.high);
    return {hn::Or(low.lower, hn::ShiftLeft<8>(high.lower)), hn::Or(low.upper, hn::ShiftLeft<8>(high.upper))};
  }

 private:
  struct Pair8 {
    VU8 low, high;
  };

  // Looks up distances 0..127 in a table of 128 bytes: XORs the steps of every block of 16 up to the distance's own.
  // For the blocks beyond, the index has its top bit set, and such a look-up gives 0.
  static HWY_INLINE Pair8 look_up_128(const uint8_t* low_steps, const uint8_t* high_steps, VU8 d) {
    const DU8 d8;
    Pair8 bytes = {hn::Zero(d8), hn::Zero(d8)};
    VU8 index = d;
    HWY_UNROLL(8)
    for (int i = 0; i < 128; i += 16) {
#if HWY_ARCH_X86
      const VU8 in_block = index;  // the instruction itself takes the low four bits
#else
      const VU8 in_block = hn::And(index, hn::Set(d8, uint8_t{0x8F}));
#endif
      bytes.low = hn::Xor(bytes.low, hn::TableLookupBytesOr0(hn::LoadDup128(d8, low_steps + i), in_block));
      bytes.high = hn::Xor(bytes.high, hn::TableLookupBytesOr0(hn::LoadDup128(d8, high_steps + i), in_block));
      index = hn::Sub(index, hn::Set(d8, uint8_t{16}));
    }
    return bytes;
  }
  static HWY_INLINE Pair8 look_up(const PreparedHead::Bytes& low_steps, const PreparedHead::Bytes& high_steps, VU8 d) {
    if constexpr (!kWide) return look_up_128(low_steps.data(), high_steps.data(), d);
    const DU8 d8;
    const VU8 within = hn::And(d, hn::Set(d8, uint8_t{127}));
    const Pair8 near = look_up_128(low_steps.data(), high_steps.data(), within);
    const Pair8 far = look_up_128(low_steps.data() + 128, high_steps.data() + 128, within);
    const auto is_far = hn::Gt(d, hn::Set(d8, uint8_t{127}));
    return {hn::IfThenElse(is_far, far.low, near.low), hn::IfThenElse(is_far, far.high, near.high)};
  }

  const PreparedHead& head_;
};

// A row's probabilities from prescaled scores, in 16-bit lanes.
template <Form kForm>
class Normaliser {
 public:
  explicit HWY_INLINE Normaliser(const RowFactors& f)
      : multiplier_(hn::Set(DU16(), f.multiplier)), second_(hn::Set(D16(), static_cast<int16_t>(f.second))) {
    if constexpr (kForm == Form::kFloor8) {
      right_ = f.shift;
    } else if constexpr (kForm == Form::kScale16) {
      // (s * multiplier) >> (shift - 1) out of the product's two halves; from a shift of 17 on, the lower adds nothing.
      left_ = std::max(17 - f.shift, 0);
      right_ = std::max(f.shift - 17, 0);
      low_right_ = std::min(f.shift - 1, 15);
      low_mask_ = hn::Set(DU16(), static_cast<uint16_t>(f.shift <= 16 ? 0xFFFF : 0));
    }
  }

  HWY_INLINE VU16 operator()(VU16 s) const {
    const DU16 d;
    if constexpr (kForm == Form::kScale8) {
      return hn::BitCast(d, hn::MulFixedPoint15(hn::BitCast(D16(), hn::MulHigh(s, multiplier_)), second_));
    } else if constexpr (kForm == Form::kFloor8) {
      return hn::ShiftRightSame(hn::MulHigh(s, multiplier_), right_);
    } else if constexpr (kForm == Form::kScale16) {
      const VU16 high = hn::ShiftRightSame(hn::ShiftLeftSame(hn::MulHigh(s, multiplier_), left_), right_);
      const VU16 low = hn::ShiftRightSame(hn::And(hn::Mul(s, multiplier_), low_mask_), low_right_);
      return hn::AverageRound(hn::Or(high, low), hn::Zero(d));
    } else {
      return hn::Min(hn::Mul(s, multiplier_), hn::Set(d, uint16_t{32767}));
    }
  }
  HWY_INLINE Pair16 operator()(const Pair16& s) const { return {(*this)(s.lower), (*this)(s.upper)}; }

 private:
  VU16 multiplier_;
  hn::Vec<D16> second_;
  VU16 low_mask_;
  int left_ = 0;
  int right_ = 0;
  int low_right_ = 0;
};

// One row during its three passes. The positions after the last full vector are copied aside once: a full vector is
// then read from the copy, never from beyond the row.
template <MaskKind kMask>
class RowReader {
 public:
  static constexpr bool kBits = kMask == MaskKind::kBits;

  // `tail`: what is left after the last full vector, as a full vector, or null: it follows the others.
  HWY_INLINE void open(const int8_t* logits, const uint8_t* bits, int64_t length, const int8_t* tail) {
    logits_ = logits;
    bits_ = bits;
    full_ = length / kLanes * kLanes;
    rest_ = length - full_;
    if (tail != nullptr) {
      hn::Store(hn::Load(D8(), tail), D8(), tail_);
    } else {
      copy_short<kLanes>(logits + full_, tail_, rest_);
    }
    if (kBits) copy_short<kLanes / 8>(bits + full_ / 8, tail_bits_, (rest_ + 7) / 8);
  }
  int64_t full() const { return full_; }
  int64_t rest() const { return rest_; }  // positions after the last full vector

  HWY_INLINE V8 logits(int64_t i) const { return hn::LoadU(D8(), logits_ + i); }
  HWY_INLINE V8 tail() const { return hn::Load(D8(), tail_); }
  HWY_INLINE M8 valid(int64_t i) const { return hn::LoadMaskBits(D8(), bits_ + i / 8); }
  HWY_INLINE M8 tail_valid() const {
    const M8 first = hn::FirstN(D8(), static_cast<size_t>(rest_));
    return kBits ? hn::And(first, hn::LoadMaskBits(D8(), tail_bits_)) : first;
  }

 private:
  const int8_t* logits_ = nullptr;
  const uint8_t* bits_ = nullptr;
  int64_t full_ = 0;
  int64_t rest_ = 0;
  HWY_ALIGN int8_t tail_[kLanes] = {};
  uint8_t tail_bits_[8] = {};
};

template <MaskKind kMask>
HWY_INLINE VU32 row_maximum(const RowReader<kMask>& r) {
  const D8 d;
  const V8 lowest = hn::Set(d, int8_t{-128});
  V8 maximum = lowest;
  for (int64_t i = 0; i < r.full(); i += kLanes) {
    const V8 x = r.logits(i);
    if constexpr (kMask == MaskKind::kBits) {
      maximum = hn::Max(maximum, hn::IfThenElse(r.valid(i), x, lowest));
    } else {
      maximum = hn::Max(maximum, x);
    }
  }
  if (r.rest() > 0) maximum = hn::Max(maximum, hn::IfThenElse(r.tail_valid(), r.tail(), lowest));
  return hn::BitCast(DU32(), maximum);
}

// Lanes that add up to the sum of B - s over the valid positions; adds their number to `valid`.
template <MaskKind kMask, class Scores>
HWY_INLINE VU32 row_deficit(const RowReader<kMask>& r, const Scores& scores, V8 maximum, int64_t& valid) {
  const D8 d8;
  const DU8 du8;
  typename Scores::Sums sums;
  scores.clear(sums);
  const auto add_valid = [&](VU8 d, M8 mask) HWY_ATTR {
    scores.add(sums, hn::BitCast(du8, hn::IfThenElseZero(mask, hn::BitCast(d8, d))));
    valid += static_cast<int64_t>(hn::CountTrue(d8, mask));
  };
  for (int64_t i = 0; i < r.full(); i += kLanes) {
    const VU8 d = scores.distance(maximum, r.logits(i));
    if constexpr (kMask == MaskKind::kBits) {
      add_valid(d, r.valid(i));
    } else {
      scores.add(sums, d);
    }
  }
  if (!r.kBits) valid += r.full();
  if (r.rest() > 0) add_valid(scores.distance(maximum, r.tail()), r.tail_valid());
  return scores.deficit(sums);
}

// Stores kLanes probabilities in order.
HWY_INLINE void store(const Pair16& p, uint8_t* out) { hn::StoreU(narrow(p), DU8(), out); }
HWY_INLINE void store(const Pair16& p, int16_t* out) {
  const D16 d;
  hn::StoreU(hn::BitCast(d, p.lower), d, out);
  hn::StoreU(hn::BitCast(d, p.upper), d, out + kLanes / 2);
}
// Stores kLanes probabilities in order, 0 where `valid` is false.
HWY_INLINE void store(const Pair16& p, M8 valid, uint8_t* out) {
  hn::StoreU(hn::BitCast(DU8(), hn::IfThenElseZero(valid, hn::BitCast(D8(), narrow(p)))), DU8(), out);
}
HWY_INLINE void store(const Pair16& p, M8 valid, int16_t* out) {
  const D16 d;
  const hn::Half<D8> half;
  const V8 keep = hn::VecFromMask(D8(), valid);
  hn::StoreU(hn::And(hn::BitCast(d, p.lower), hn::PromoteTo(d, hn::LowerHalf(half, keep))), d, out);
  hn::StoreU(hn::And(hn::BitCast(d, p.upper), hn::PromoteTo(d, hn::UpperHalf(half, keep))), d, out + kLanes / 2);
}

template <MaskKind kMask, Form kForm, class Scores>
HWY_INLINE void write_row(const RowReader<kMask>& r, const Scores& scores, const Normaliser<kForm>& normalise,
                          V8 maximum, Output<kForm>* out) {
  for (int64_t i = 0; i < r.full(); i += kLanes) {
    const Pair16 p = normalise(scores.prescaled(scores.distance(maximum, r.logits(i))));
    if constexpr (kMask == MaskKind::kBits) {
      store(p, r.valid(i), out + i);
    } else {
      store(p, out + i);
    }
  }
  if (r.rest() > 0) {
    HWY_ALIGN Output<kForm> tail[kLanes];
    const Pair16 p = normalise(scores.prescaled(scores.distance(maximum, r.tail())));
    store(p, r.tail_valid(), tail);
    const int64_t lower = std::min(r.rest(), kLanes / 2);
    constexpr auto kSize = static_cast<int64_t>(sizeof(*out));
    copy_short<kLanes>(tail, out + r.full(), lower * kSize);
    copy_short<kLanes>(tail + lower, out + r.full() + lower, (r.rest() - lower) * kSize);
  }
}

template <Form kForm, MaskKind kMask, class Scores>
void run_head(const Plan& plan, const Rows& all_rows, int64_t h) {
  const PreparedHead& head = plan.heads[static_cast<size_t>(all_rows.first_head + h)];
  const HeadRows<kMask, Output<kForm>> rows(all_rows, h);
  const Scores scores(head);
  const bool is_sums = rows.sums() != nullptr;
  const int64_t step = block_rows(rows.keys(), is_sums ? sizeof(int32_t) : sizeof(int8_t));
  HWY_ALIGN int8_t tails[kBlock * kLanes];
  RowReader<kMask> row[kBlock];
  VU32 part[kBlock];
  for (VU32& v : part) v = hn::Zero(DU32());
  HWY_ALIGN uint32_t maximum[kBlock];
  HWY_ALIGN uint32_t deficit[kBlock];
  int64_t valid[kBlock];
  int32_t length[kBlock];
  RowFactors factors[kBlock];
  for (int64_t first = 0; first < all_rows.queries; first += step) {
    const int64_t count = std::min(step, all_rows.queries - first);
    const auto broadcast_maximum = [&](int64_t r) HWY_ATTR { return hn::BitCast(D8(), hn::Set(DU32(), maximum[r])); };
    rows.lengths(first, count, length);
    // All rows are opened before the first is read: the narrow stores that copied its tail have then left the store
    // buffer when the tail is loaded as one vector.
    if (is_sums) measure_block<kMask>(rows, first, count, length, tails);
    for (int64_t r = 0; r < count; ++r) {
      row[r].open(rows.logits(first + r), rows.bits(first + r), length[r], is_sums ? tails + kLanes * r : nullptr);
    }
    if (is_sums) {
      std::fill(maximum, maximum + count, 0);
    } else {
      for (int64_t r = 0; r < count; ++r) part[r] = row_maximum(row[r]);
      hn::Store(block_maxima(part), DU32(), maximum);
    }
    for (int64_t r = 0; r < count; ++r) {
      valid[r] = 0;
      part[r] = row_deficit(row[r], scores, broadcast_maximum(r), valid[r]);
    }
    hn::Store(block_sums(part), DU32(), deficit);
    for (int64_t r = 0; r < count; ++r) {
      // A row without a valid position may have any sum: its output is masked.
      const auto sum = static_cast<int32_t>(std::max<int64_t>(valid[r], 1) * head.offset - deficit[r]);
      factors[r] = row_factors<kForm>(plan.normalisation, head, sum);
    }
    for (int64_t r = 0; r < count; ++r) {
      const Normaliser<kForm> normalise(factors[r]);
      Output<kForm>* out = rows.out(first + r);
      write_row(row[r], scores, normalise, broadcast_maximum(r), out);
      std::fill(out + row[r].full() + row[r].rest(), out + rows.keys(), Output<kForm>{0});
    }
  }
}

inline int64_t run_rows(const Plan& plan, const Rows& rows) {
  visit_form_and_mask(plan, rows, [&]<Form kForm, MaskKind kBatchMask>() {
    // These kernels run about as fast with a length as without a mask: kNone needs no code of its own.
    constexpr MaskKind kMask = kBatchMask == MaskKind::kNone ? MaskKind::kLength : kBatchMask;
    for (int64_t h = 0; h < rows.heads; ++h) {
      switch (plan.heads[static_cast<size_t>(rows.first_head + h)].params.knee_count) {
        case 1:
          run_head<kForm, kMask, KneeScores<1>>(plan, rows, h);
          break;
        case 2:
          run_head<kForm, kMask, KneeScores<2>>(plan, rows, h);
          break;
        case 3:
          run_head<kForm, kMask, KneeScores<3>>(plan, rows, h);
          break;
        case 4:
          run_head<kForm, kMask, KneeScores<4>>(plan, rows, h);
          break;
        default:
          if (plan.heads[static_cast<size_t>(rows.first_head + h)].wide) {
            run_head<kForm, kMask, TableScores<true>>(plan, rows, h);
          } else {
            run_head<kForm, kMask, TableScores<false>>(plan, rows, h);
          }
      }
    }
  });
  return HWY_TARGET;
}

}  // namespace hccs::internal::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET

#endif  // toggle
