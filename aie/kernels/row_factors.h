// SPDX-License-Identifier: Apache-2.0
//
// From the sums of rows to what each row's scores are multiplied with: the exact reciprocals of the contract.
//
// For a head without a head_error a row that has a valid position has 256 <= Z < 2^31, and B <= Z. Then every r below
// is at most 32767 and p is one shift-round-saturate of s * r, a 32-bit product:
//
//              r                        shift         rounding       bound of r
//   div  u8    (255 << 15) / Z          15            floor          32640
//   div  i16   32767 / Z                0             -              127
//   clb  u8    (255 << 15) >> k         15            floor          32640
//   clb  i16   32767 >> k               0             -              127
//   scaled u8  (32640 << k) / Z         k + 7         half up        32640
//   scaled i16 (32767 << k) / Z         k             half up        32767
//
// With k = floor(log2 Z). clb u8 needs no product with r: ((255 << 15) >> k) * s >> 15 is (255 * s) >> k up to k = 15,
// where nothing of 255 falls off.
#ifndef HCCS_AIE_KERNELS_ROW_FACTORS_H_
#define HCCS_AIE_KERNELS_ROW_FACTORS_H_

#include <type_traits>

#include "device.h"
#include "head.h"
#include "layout.h"

namespace hccs_kernels {

using RowSums = aie::vector<int32, kGroupRows>;
using RowReciprocals = aie::vector<int16, kGroupRows>;

// The reciprocals' numerator N: r of scaled is (N << k) / Z; r of div is that, shifted down by k - 8 and by k.
template <Normalisation kNormalisation, typename Out>
inline constexpr int16_t kNumerator = std::is_same_v<Out, int16> ? 32767 : 32640;

// What the tile must round like when results are stored.
template <Normalisation kNormalisation>
inline constexpr aie::rounding_mode kStoreRounding =
    kNormalisation == Normalisation::kScaled ? aie::rounding_mode::positive_inf : aie::rounding_mode::floor;

// The tile's modes that the factors below need: their shifts round down and pick bits. Where a number could be cut, its
// bound is given.
inline RoundingSaturation factor_modes() { return {aie::rounding_mode::floor, aie::saturation_mode::none}; }

// The bits of 2^23 as a float. Those of 2^23 + z are kFloatBits + z, for z < 2^23.
inline constexpr int32_t kFloatBits = 0x4b000000;

// The integer arithmetic of reciprocals, in lanes, under factor_modes().
namespace row_factors {

template <unsigned kRows>
using Floats = aie::accum<accfloat, kRows>;

// Z < 2^23 as floats, exactly: as the fraction of a float of 2^23 .. 2^24, from which 2^23 is taken. From kFloatBits +
// Z.
template <unsigned kRows>
inline Floats<kRows> from_float_bits(const aie::vector<int32, kRows>& bits) {
  return aie::sub(Floats<kRows>(bits.template cast_to<float>()),
                  Floats<kRows>(aie::broadcast<float, kRows>(8388608.0f)));
}
template <unsigned kRows>
inline Floats<kRows> to_floats(const aie::vector<int32, kRows>& z) {
  return from_float_bits(aie::add(z, kFloatBits));
}

// Bits `shift` .. `shift` + 15 of the floats.
template <unsigned kRows>
inline aie::vector<uint16, kRows> float_bits(const Floats<kRows>& z, int shift) {
  return z.template cast_to<acc32>().template to_vector<uint16>(shift);
}

// How many bits sums have.
enum class SumBits {
  k16,  // Z < 2^16: the lower half of a significand is 0 and not used
  k23,  // Z < 2^23
};

// M = Z * 2^(23-k), 24 bits with the leading one, as 256 * high + low.
template <SumBits kBits, unsigned kRows>
struct Significands {
  aie::vector<uint16, kRows> high;
  aie::vector<uint16, kRows> low;
};
template <SumBits kBits, unsigned kRows>
inline Significands<kBits, kRows> significands(const Floats<kRows>& z) {
  Significands<kBits, kRows> m;
  m.high = aie::bit_or(uint16{0x8000}, float_bits(z, 8));
  if constexpr (kBits == SumBits::k23) m.low = aie::bit_and(uint16{0xff}, float_bits(z, 0));
  return m;
}

// 2^(exponent - k), 0..2^15, for k of floats; where it is less than 1/2, 0, and where it is 1/2, 0 or 1 as float sums
// round. The upper half of a float of a power of two is a bfloat16, whose exponent changes its sign by a subtraction
// of the bits. Added to 1.5 * 2^23 the number is in the sum's lowest bits.
template <unsigned kRows>
inline aie::vector<uint16, kRows> powers(const Floats<kRows>& z, int exponent) {
  const auto power = aie::bit_and(uint16{0x7f80}, float_bits(z, 16));
  const auto turned = aie::sub(aie::broadcast<uint16, kRows>(static_cast<uint16>((254 + exponent) << 7)), power);
  const Floats<kRows> ones(aie::broadcast<float, kRows>(12582912.0f));
  return float_bits(aie::add(ones, Floats<kRows>(turned.template cast_to<bfloat16>())), 0);
}

// `value` * 2^shift in each lane.
template <unsigned kRows>
inline aie::accum<acc32, kRows> constant(int16_t value, int shift) {
  return aie::accum<acc32, kRows>(aie::broadcast<int16, kRows>(value), shift);
}

// An estimate of Q = N / x, x = M / 2^23 in 1 .. 2, by a cubic polynomial in t = 3 - 2x:
//
//   1/x ~ 32/577 * (3 - x) * (8 + t^2), off by at most 1/577 of it:
//   x times it is 1 - T_4(t)/577, T_4 a Chebyshev polynomial,
//
// with 3 - x = (3 + t)/2. Its factors have 14 bits or more, and all that is cut off is below 1/4000 of it. So it is off
// by less than 1/500 of Q (kEstimateError), and at most N, its value at x = 1.
inline constexpr int kEstimateError = 500;
template <unsigned kRows>
struct Estimate {
  aie::vector<int16, kRows> quotient;
  aie::vector<int16, kRows> high;  // quotient >> 8
};
template <int16_t kNumerator, unsigned kRows>
inline Estimate<kRows> estimate_quotients(const Floats<kRows>& z) {
  // Bits 7..22 are the upper 16 of the fraction x - 1: -t = 2(x - 1) - 1 as int16 with 15 bits.
  const auto t = aie::bit_xor(uint16{0x8000}, float_bits(z, 7)).template cast_to<int16>();
  const auto square = aie::mul(t, t).template to_vector<int16>(19);  // 11 bits: 0..2048
  // N * 128/577 * (3 + t), 3 + t in 2..4: 14481..29076
  constexpr int16_t kScale = (2 * 128 * kNumerator + 577) / (2 * 577);
  const auto line = aie::msc(constant<kRows>(3 * kScale, 15), t, aie::broadcast<int16, kRows>(kScale));
  const auto factor = line.template to_vector<int16>(15);
  // Times 8 + t^2, 8..9: below 2^15 * 9 * 2^11.
  const auto product = aie::mac(aie::mul(factor, aie::broadcast<int16, kRows>(8 << 11)), factor, square);
  return {product.template to_vector<int16>(14), product.template to_vector<int16>(22)};
}

// floor(Q), Q = N * 2^23 / M, from an estimate q that is off by at most Q / kEstimateError.
//
//   A = N * 2^15 - q * high      |A| < 2^21.1 + 2^15
//   R = A - low * (q >> 8)       is N * 2^15 - q * M / 256 within 256: |R| < 2^21.1 + 256
//   Q - q = R / (M / 256)        about (R / 2^7) * q / 2^23, as 256/M = Q / (N * 2^15): off by 1/500 of it as q is, and
//                                by 1/256 as N is of 2^15, with |Q - q| <= 65.6 by less than 0.4; and by 1/128 for what
//                                R and R / 2^7 are off by
//   rounded to the nearest       the next estimate is q' = floor(Q + 1/2 + e), |e| < 0.41: the quotient or one more
//   N * 2^23 - q' * M            the sign of this remainder tells which, |.| <= M < 2^24. With c = q' - q it is
//
//     256 * (A - c * high) - q' * low                        kNarrow: without the factor 256, the last term rounded up
//     256 * R - (q mod 256) * low - c * low - 256*c * high   kWide: below 2^29.3, as |c| <= 66; 256 * R is made of the
//                                                            upper and the lower bits of R while c is not yet known
//
// kNarrow takes fewer instructions, kWide is known some cycles earlier.
enum class Remainder { kNarrow, kWide };
template <int16_t kNumerator, Remainder kRemainder, SumBits kBits, unsigned kRows>
inline aie::vector<int16, kRows> exact_quotients(const Significands<kBits, kRows>& m, const Estimate<kRows>& estimate) {
  const auto difference = aie::msc(constant<kRows>(kNumerator, 15), estimate.quotient, m.high);
  auto remainder = difference;
  if constexpr (kBits == SumBits::k23) remainder = aie::msc(difference, estimate.high, m.low);
  const auto high_remainder = remainder.template to_vector<int16>(7);
  const auto corrections = aie::mac(constant<kRows>(1 << 14, 8), high_remainder, estimate.quotient);
  const auto correction = corrections.template to_vector<int16>(23);
  const auto next = aie::add(estimate.quotient, correction);
  if constexpr (kBits == SumBits::k23 && kRemainder == Remainder::kWide) {
    const auto low_remainder = aie::bit_and(int16{0x7f}, remainder.template to_vector<int16>(0));
    auto rest = aie::accum<acc32, kRows>(high_remainder, 15);
    rest = aie::mac(rest, low_remainder, aie::broadcast<int16, kRows>(1 << 8));
    rest = aie::msc(rest, aie::bit_and(int16{0xff}, estimate.quotient), m.low);
    rest = aie::msc(rest, correction, m.low);
    const auto high_correction = aie::bit_and(int16{-0x100}, corrections.template to_vector<int16>(15));
    rest = aie::msc(rest, high_correction, m.high);
    return aie::add(next, rest.template to_vector<int16>(25));
  } else {
    auto rest = aie::msc(difference, correction, m.high);
    if constexpr (kBits == SumBits::k23) {
      const auto product = aie::msc(aie::negmul(estimate.quotient, m.low), correction, m.low);
      rest = aie::mac(rest, product.template to_vector<int16>(8), aie::broadcast<int16, kRows>(1));
    }
    return aie::add(next, rest.template to_vector<int16>(17));
  }
}

// floor((N << k) / Z).
template <int16_t kNumerator, SumBits kBits, Remainder kRemainder = Remainder::kNarrow, unsigned kRows>
inline aie::vector<int16, kRows> scaled_quotients(const Floats<kRows>& z) {
  return exact_quotients<kNumerator, kRemainder>(significands<kBits>(z), estimate_quotients<kNumerator>(z));
}

// floor((N << k) / Z) for any Z. Where Z has 24 bits or more, it is that of Z >> 8 or one less: (N << (k-8)) / (Z >> 8)
// exceeds (N << k) / Z by less than 2^15 * 2^8 / Z <= 1. Again the sign of the remainder tells, which is -Z .. Z.
template <int16_t kNumerator, unsigned kRows>
inline aie::vector<int16, kRows> scaled_quotients_of_any(const aie::vector<int32, kRows>& z) {
  const auto large = aie::ge(z, int32{1 << 23});
  const auto floats = to_floats(aie::select(z, aie::downshift(z, 8), large));
  const auto quotient = scaled_quotients<kNumerator, SumBits::k23>(floats);
  // 2^k: the leading bit as a float of k < 23 alone, as the fraction of a float of 2^23 and more
  const auto leading = aie::bit_and(int32{0x7f800000}, floats.template to_vector<float>().template cast_to<int32>());
  const Floats<kRows> shifted = aie::add(Floats<kRows>(leading.template cast_to<float>()),
                                         Floats<kRows>(aie::broadcast<float, kRows>(8388608.0f)));
  const auto power = aie::bit_and(int32{0x7fffff}, shifted.template to_vector<float>().template cast_to<int32>());
  const auto p = aie::select(power, aie::upshift(power, 8), large);
  const auto numerator = aie::mul<acc64>(p, aie::broadcast<int16, kRows>(kNumerator));
  return aie::add(quotient, aie::msc(numerator, z, quotient).template to_vector<int16>(31));
}

}  // namespace row_factors

// k + `more` in each lane, of 1 <= Z < 2^23 as floats. Under floor rounding.
template <unsigned kRows>
inline aie::vector<int16, kRows> shifts_of_floats(const row_factors::Floats<kRows>& z, int more) {
  const auto exponents = row_factors::float_bits(z, 23);
  return aie::sub(exponents.template cast_to<int16>(), static_cast<int16>(127 - more));
}
// The same from kFloatBits + (Z >> 8), 256 <= Z: Z >> 8 as a float has k - 8 in its exponent. Under
// floor rounding.
template <unsigned kRows>
inline aie::vector<int16, kRows> shifts(const aie::vector<int32, kRows>& high_bits, int more) {
  return shifts_of_floats(row_factors::from_float_bits(high_bits), 8 + more);
}

// r of scaled, 256 <= Z <= largest < 2^23, from Z as floats.
template <typename Out, row_factors::Remainder kRemainder = row_factors::Remainder::kNarrow, unsigned kRows>
inline aie::vector<int16, kRows> scaled_reciprocals(const row_factors::Floats<kRows>& z, int32_t largest) {
  constexpr int16_t kN = kNumerator<Normalisation::kScaled, Out>;
  if (largest >= 1 << 16) return row_factors::scaled_quotients<kN, row_factors::SumBits::k23, kRemainder>(z);
  return row_factors::scaled_quotients<kN, row_factors::SumBits::k16>(z);
}

// r of div and scaled, 256 <= Z <= largest, in kRows lanes, under factor_modes(). The steps wait for each other and not
// for their slots: so do many rows at a time.
//
// div is made of the quotients of scaled, floor(floor(a) / 2^j) being floor(a / 2^j): T / Z is (N << k) / Z shifted
// down by k - 8 (T = N << 8, uint8) or k. From Z = 2^23 on, above T, it is 0, as it is for 2^23 - 1.
template <Normalisation kNormalisation, typename Out, unsigned kRows>
inline aie::vector<int16, kRows> row_reciprocals(const aie::vector<int32, kRows>& z, int32_t largest) {
  static_assert(kNormalisation != Normalisation::kClb);
  constexpr int16_t kN = kNumerator<kNormalisation, Out>;
  if constexpr (kNormalisation == Normalisation::kScaled) {
    if (largest >= 1 << 23) return row_factors::scaled_quotients_of_any<kN>(z);
    return scaled_reciprocals<Out>(row_factors::to_floats(z), largest);
  } else {
    const auto floats = row_factors::to_floats(aie::min(z, int32{(1 << 23) - 1}));
    const auto quotient = largest < 1 << 16 ? row_factors::scaled_quotients<kN, row_factors::SumBits::k16>(floats)
                                            : row_factors::scaled_quotients<kN, row_factors::SumBits::k23>(floats);
    // 2^(22-k), 8 <= k <= 22
    const auto power = row_factors::powers(floats, 22).template cast_to<int16>();
    return aie::mul(quotient, power).template to_vector<int16>(std::is_same_v<Out, int16> ? 22 : 14);
  }
}

// For kernels whose registers hold several rows, which one shift cannot serve: factors a lane, and shifts that are the
// same for all rows. With B * 2^e in 2^14 .. 2^15 - 1 (`magnitude` e) and s' = s * 2^e, the results are, with floors,
//
//   div     as above
//   clb     as above, with the r of each row (not fused)
//   scaled  u8   with j = k + e - 9: (a * 2^(15-j) + 2^14) >> 15 for a = (s' * r) >> 16, a < 2^14. That is the
//                contract's (s * r + 2^(k+6)) >> (k+7): 2^(k+e+6) is a multiple of 2^16, as B <= Z makes k + e >= 14.
//                From j = 15 on it is 0.
//   scaled  i16  (s' * r * 2^(28-k-e) + 2^27) >> 28, for k + e <= 28, by 32 x 16 bit products
//
// k + e <= 28 holds for rows of up to 8192 positions: Z * 2^e <= n * B * 2^e < 2^13 * 2^15.
inline constexpr int kScaledWideShift = 28;
static_assert(kScaledWideLongest == 8192);

// e: 0..14, and 0..6 for 256 <= B. S_k * 2^e < 2^15 too, as S_k <= S_k * D_k <= B.
inline int magnitude(const HccsHead& head) { return 14 - floor_log2(head.offset); }

template <unsigned kRows>
struct LaneFactors {
  aie::vector<int16, kRows> first;   // r
  aie::vector<int16, kRows> second;  // scaled only: 2^(15-j), 2^(28-k-e); of an empty row anything
};

// 256 <= Z <= largest, under factor_modes().
template <Normalisation kNormalisation, typename Out, unsigned kRows>
inline LaneFactors<kRows> lane_factors(const aie::vector<int32, kRows>& z, int32_t largest, int magnitude) {
  constexpr bool kWide = std::is_same_v<Out, int16>;
  if constexpr (kNormalisation == Normalisation::kDiv) {
    return {row_reciprocals<Normalisation::kDiv, Out>(z, largest), {}};
  } else {
    // k - 8 of Z >> 8, whatever Z
    const auto floats = row_factors::to_floats(aie::downshift(z, 8));
    if constexpr (kNormalisation == Normalisation::kClb) {
      // From 2^(23-k): 32767 * 2^(23-k) >> 23 and 255 * 2^(23-k) >> 8. Where that is 1 instead of 0, they are 0 too.
      const auto power = row_factors::powers(floats, 15);
      const auto full_scale = aie::broadcast<uint16, kRows>(kWide ? 32767 : 255);
      return {aie::mul(power, full_scale).template to_vector<int16>(kWide ? 23 : 8), {}};
    } else {
      // A second factor of 1 instead of 0 changes no uint8: a + 2^14 < 2^15. That of an int16 is 1 or more.
      const int exponent = kWide ? kScaledWideShift - magnitude : 24 - magnitude;
      return {row_reciprocals<Normalisation::kScaled, Out>(z, largest),
              row_factors::powers(floats, exponent - 8).template cast_to<int16>()};
    }
  }
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROW_FACTORS_H_
