// SPDX-License-Identifier: Apache-2.0
//
// Row softmax for targets without look-ups in 128 bytes: scores are computed, B - sum S_k * min(d, D_k), in 16-bit
// lanes; the exact exponential, which has no such formula, is looked up entry by entry.
#if defined(HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_
#undef HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_
#else
#define HCCS_SRC_SOFTMAX_SCORE_ROWS_INL_H_
#endif

#include <bit>
#include <cstring>

#include "softmax/row_block-inl.h"
#include "softmax/row_factors.h"

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
HWY_BEFORE_NAMESPACE();
namespace hccs::softmax::HWY_NAMESPACE {

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
  // Per knee, the sums of min(d, D_k) so far.
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

  // Saturates at 127, the largest D_k: nothing changes beyond.
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

// Scores that have no formula.
class TableScores {
 public:
  struct Sums {
    uint32_t deficit;
  };

  explicit HWY_INLINE TableScores(const PreparedHead& head) : head_(head) {}

  static HWY_INLINE VU8 distance(V8 maximum, V8 x) { return hn::BitCast(DU8(), hn::Sub(maximum, x)); }

  HWY_INLINE void clear(Sums& sums) const { sums.deficit = 0; }
  HWY_INLINE void add(Sums& sums, VU8 d) const {
    HWY_ALIGN uint8_t index[kLanes];
    hn::Store(d, DU8(), index);
    uint32_t total[4] = {};
    for (int64_t i = 0; i < kLanes; i += 4) {
      for (int64_t j = 0; j < 4; ++j) total[j] += head_.deficit[index[i + j]];
    }
    sums.deficit += total[0] + total[1] + total[2] + total[3];
  }
  HWY_INLINE VU32 deficit(const Sums& sums) const {
    const DU32 d32;
    return hn::IfThenElseZero(hn::FirstN(d32, 1), hn::Set(d32, sums.deficit));
  }
  HWY_INLINE Pair16 prescaled(VU8 d) const {
    HWY_ALIGN uint8_t index[kLanes];
    HWY_ALIGN uint16_t score[kLanes];
    hn::Store(d, DU8(), index);
    for (int64_t i = 0; i < kLanes; ++i) score[i] = head_.prescaled[index[i]];
    return {hn::Load(DU16(), score), hn::Load(DU16(), score + kLanes / 2)};
  }

 private:
  const PreparedHead& head_;
};

// A row's probabilities from prescaled scores, in 16-bit lanes.
template <Form kForm>
class Normaliser {
 public:
  explicit HWY_INLINE Normaliser(const RowFactors& f) : multiplier_(hn::Set(DU16(), f.multiplier)) {
    if constexpr (kForm == Form::kRound8) {
      right_ = f.shift;
      addend_ = hn::Set(DU16(), f.rounding);
    } else if constexpr (kForm == Form::kRound16) {
      // (s * multiplier) >> (shift - 1) out of the product's two halves; from a shift of 17 on, the lower has no part.
      left_ = std::max(17 - f.shift, 0);
      right_ = std::max(f.shift - 17, 0);
      low_right_ = std::min(f.shift - 1, 15);
      addend_ = hn::Set(DU16(), static_cast<uint16_t>(f.shift <= 16 ? 0xFFFF : 0));
    }
  }

  HWY_INLINE VU16 operator()(VU16 s) const {
    const DU16 d;
    if constexpr (kForm == Form::kRound8) {
      return hn::ShiftRightSame(hn::Add(hn::MulHigh(s, multiplier_), addend_), right_);
    } else if constexpr (kForm == Form::kProduct16) {
      return hn::Min(hn::Mul(s, multiplier_), hn::Set(d, uint16_t{32767}));
    } else {
      const VU16 high = hn::ShiftRightSame(hn::ShiftLeftSame(hn::MulHigh(s, multiplier_), left_), right_);
      const VU16 low = hn::ShiftRightSame(hn::And(hn::Mul(s, multiplier_), addend_), low_right_);
      return hn::AverageRound(hn::Or(high, low), hn::Zero(d));
    }
  }
  HWY_INLINE Pair16 operator()(const Pair16& s) const { return {(*this)(s.lower), (*this)(s.upper)}; }

 private:
  VU16 multiplier_;
  VU16 addend_;  // kRound16: a mask of the product's lower half
  int left_ = 0;
  int right_ = 0;
  int low_right_ = 0;
};

// One row during its three passes. The positions after the last full vector are copied aside once: a full vector is
// then read from the copy, never from beyond the row.
template <bool kBits>
class RowReader {
 public:
  HWY_INLINE void open(const VisibleRow& row) {
    row_ = row;
    full_ = row.length / kLanes * kLanes;
    const int64_t rest = row.length - full_;
    if (rest > 0) std::memcpy(tail_, row.logits + full_, static_cast<size_t>(rest));
    if (kBits && rest > 0) std::memcpy(tail_bits_, row.bits + full_ / 8, static_cast<size_t>((rest + 7) / 8));
  }
  const VisibleRow& row() const { return row_; }
  int64_t full() const { return full_; }
  int64_t tail_length() const { return row_.length - full_; }

  HWY_INLINE V8 logits(int64_t i) const { return hn::LoadU(D8(), row_.logits + i); }
  HWY_INLINE V8 tail() const { return hn::Load(D8(), tail_); }
  HWY_INLINE M8 mask(int64_t i) const { return hn::LoadMaskBits(D8(), row_.bits + i / 8); }
  HWY_INLINE M8 tail_mask() const {
    const M8 first = hn::FirstN(D8(), static_cast<size_t>(tail_length()));
    return kBits ? hn::And(first, hn::LoadMaskBits(D8(), tail_bits_)) : first;
  }

 private:
  VisibleRow row_;
  int64_t full_;
  HWY_ALIGN int8_t tail_[kLanes];
  uint8_t tail_bits_[8];
};

template <bool kBits>
HWY_INLINE VU32 row_maximum(const RowReader<kBits>& r) {
  const D8 d;
  const V8 lowest = hn::Set(d, int8_t{-128});
  V8 maximum = lowest;
  for (int64_t i = 0; i < r.full(); i += kLanes) {
    const V8 x = r.logits(i);
    maximum = hn::Max(maximum, kBits ? hn::IfThenElse(r.mask(i), x, lowest) : x);
  }
  if (r.tail_length() > 0) maximum = hn::Max(maximum, hn::IfThenElse(r.tail_mask(), r.tail(), lowest));
  return hn::BitCast(DU32(), maximum);
}

// Lanes that add up to the sum of B - s over the valid positions; adds their number to `valid`.
template <bool kBits, class Scores>
HWY_INLINE VU32 row_deficit(const RowReader<kBits>& r, const Scores& scores, V8 maximum, int64_t& valid) {
  const D8 d8;
  const DU8 du8;
  typename Scores::Sums sums;
  scores.clear(sums);
  for (int64_t i = 0; i < r.full(); i += kLanes) {
    VU8 d = scores.distance(maximum, r.logits(i));
    if constexpr (kBits) {
      const M8 mask = r.mask(i);
      d = hn::BitCast(du8, hn::IfThenElseZero(mask, hn::BitCast(d8, d)));
      valid += static_cast<int64_t>(hn::CountTrue(d8, mask));
    } else {
      valid += kLanes;
    }
    scores.add(sums, d);
  }
  if (r.tail_length() > 0) {
    const M8 mask = r.tail_mask();
    const VU8 d = scores.distance(maximum, r.tail());
    scores.add(sums, hn::BitCast(du8, hn::IfThenElseZero(mask, hn::BitCast(d8, d))));
    valid += kBits ? static_cast<int64_t>(hn::CountTrue(d8, mask)) : r.tail_length();
  }
  return scores.deficit(sums);
}

// kLanes probabilities, 0 where `mask`, used if kMasked, is false.
template <bool kMasked>
HWY_INLINE void store(const Pair16& p, M8 mask, uint8_t* out) {
  VU8 bytes = narrow(p);
  if constexpr (kMasked) bytes = hn::BitCast(DU8(), hn::IfThenElseZero(mask, hn::BitCast(D8(), bytes)));
  hn::StoreU(bytes, DU8(), out);
}
template <bool kMasked>
HWY_INLINE void store(const Pair16& p, M8 mask, int16_t* out) {
  const D16 d;
  auto lower = hn::BitCast(d, p.lower);
  auto upper = hn::BitCast(d, p.upper);
  if constexpr (kMasked) {
    const hn::Half<D8> half;
    const V8 keep = hn::VecFromMask(D8(), mask);
    lower = hn::And(lower, hn::PromoteTo(d, hn::LowerHalf(half, keep)));
    upper = hn::And(upper, hn::PromoteTo(d, hn::UpperHalf(half, keep)));
  }
  hn::StoreU(lower, d, out);
  hn::StoreU(upper, d, out + kLanes / 2);
}

template <bool kBits, Form kForm, class Out, class Scores>
HWY_INLINE void write_row(const RowReader<kBits>& r, const Scores& scores, const Normaliser<kForm>& normalise,
                          V8 maximum, int64_t keys) {
  auto* out = static_cast<Out*>(r.row().out);
  for (int64_t i = 0; i < r.full(); i += kLanes) {
    const Pair16 p = normalise(scores.prescaled(scores.distance(maximum, r.logits(i))));
    store<kBits>(p, kBits ? r.mask(i) : M8(), out + i);
  }
  if (r.tail_length() > 0) {
    HWY_ALIGN Out tail[kLanes];
    const Pair16 p = normalise(scores.prescaled(scores.distance(maximum, r.tail())));
    store<kBits>(p, kBits ? r.tail_mask() : M8(), tail);
    std::memcpy(out + r.full(), tail, static_cast<size_t>(r.tail_length()) * sizeof(Out));
  }
  const int64_t hidden = keys - r.row().length;
  if (hidden > 0) std::memset(out + r.row().length, 0, static_cast<size_t>(hidden) * sizeof(Out));
}

template <Form kForm, bool kBits, class Scores>
void run_head(const Plan& plan, const Rows& rows, int64_t h) {
  using Out = std::conditional_t<kForm == Form::kRound8, uint8_t, int16_t>;
  const PreparedHead& head = plan.heads[static_cast<size_t>(rows.first_head + h)];
  const Scores scores(head);
  const int64_t step = block_rows(rows.keys);
  RowReader<kBits> row[kBlock];
  VU32 part[kBlock];
  for (VU32& v : part) v = hn::Zero(DU32());
  HWY_ALIGN uint32_t maxima[kBlock];
  HWY_ALIGN uint32_t deficits[kBlock];
  int64_t valid[kBlock];
  for (int64_t first = 0; first < rows.queries; first += step) {
    const int64_t count = std::min(step, rows.queries - first);
    for (int64_t r = 0; r < count; ++r) {
      row[r].open(visible_row<Out>(rows, h, first + r));
      part[r] = row_maximum(row[r]);
    }
    hn::Store(block_maxima(part), DU32(), maxima);
    for (int64_t r = 0; r < count; ++r) {
      valid[r] = 0;
      part[r] = row_deficit(row[r], scores, hn::BitCast(D8(), hn::Set(DU32(), maxima[r])), valid[r]);
    }
    hn::Store(block_sums(part), DU32(), deficits);
    for (int64_t r = 0; r < count; ++r) {
      // A row without a valid position has any sum: its output is masked.
      const auto sum = static_cast<int32_t>(std::max<int64_t>(valid[r], 1) * head.offset - deficits[r]);
      const Normaliser<kForm> normalise(row_factors<kForm>(plan.normalisation, head, sum));
      write_row<kBits, kForm, Out>(row[r], scores, normalise, hn::BitCast(D8(), hn::Set(DU32(), maxima[r])), rows.keys);
    }
  }
}

template <Form kForm, bool kBits>
void run_heads(const Plan& plan, const Rows& rows) {
  for (int64_t h = 0; h < rows.heads; ++h) {
    switch (plan.heads[static_cast<size_t>(rows.first_head + h)].params.knee_count) {
      case 1:
        run_head<kForm, kBits, KneeScores<1>>(plan, rows, h);
        break;
      case 2:
        run_head<kForm, kBits, KneeScores<2>>(plan, rows, h);
        break;
      case 3:
        run_head<kForm, kBits, KneeScores<3>>(plan, rows, h);
        break;
      case 4:
        run_head<kForm, kBits, KneeScores<4>>(plan, rows, h);
        break;
      default:
        run_head<kForm, kBits, TableScores>(plan, rows, h);
    }
  }
}

template <Form kForm>
void run_form(const Plan& plan, const Rows& rows) {
  rows.mask_bits == nullptr ? run_heads<kForm, false>(plan, rows) : run_heads<kForm, true>(plan, rows);
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

}  // namespace hccs::softmax::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET

#endif  // toggle
