// SPDX-License-Identifier: Apache-2.0
//
// From the sums of 16 rows to what each row's scores are multiplied with: the exact reciprocals of the contract.
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
// With k = floor(log2 Z). Three of them are small enough to go into the slopes (`fused`): r * S_k and the products with
// distances below 128 fit the accumulator. clb u8 is one, as ((255 << 15) >> k) * s >> 15 is (255 * s) >> k up to k =
// 15, where nothing of 255 falls off, and (255 >> (k - 15)) * s >> 15 beyond.
#ifndef HCCS_AIE_KERNELS_ROW_FACTORS_H_
#define HCCS_AIE_KERNELS_ROW_FACTORS_H_

#include <type_traits>

#include "hccs_head.h"

namespace hccs_kernels {

inline constexpr unsigned kGroupRows = 16;  // rows whose reciprocals are made together: 32-bit lanes of a register

using RowSums = aie::vector<int32, kGroupRows>;
using RowReciprocals = aie::vector<int16, kGroupRows>;

// The reciprocals' numerator is kNumerator<...> * P: P is 2^k for scaled, else a constant.
template <Normalisation kNormalisation, typename Out>
inline constexpr int16_t kNumerator = std::is_same_v<Out, int16>                 ? 32767
                                      : kNormalisation == Normalisation::kScaled ? 32640
                                                                                 : 255;

// Does r go into the slopes? Else the score is made, narrowed to int16 and multiplied with r.
template <Normalisation kNormalisation, typename Out>
inline constexpr bool kFused = kNormalisation == Normalisation::kClb ||
                               (kNormalisation == Normalisation::kDiv && std::is_same_v<Out, int16>);

// What the tile must round like when results are stored.
template <Normalisation kNormalisation>
inline constexpr aie::rounding_mode kStoreRounding =
    kNormalisation == Normalisation::kScaled ? aie::rounding_mode::positive_inf : aie::rounding_mode::floor;

// 2^floor(log2 Z) in each lane, Z >= 128: the exponent of Z as a float. Without its low 7 bits Z has 24 significant
// bits, which a float holds exactly, and the same leading bit.
inline aie::vector<float, kGroupRows> leading_bits(const RowSums& sums) {
  const auto kept = aie::bit_and(sums, static_cast<int32>(~127));
  const auto bits = aie::to_float(kept).template cast_to<int32>();
  return aie::bit_and(bits, static_cast<int32>(0x7f800000)).template cast_to<float>();
}

// floor(numerator * P / Z) exactly, from a `seed` that is off by 2 at most: the remainder in 64 bits tells, twice,
// whether to move by one. Needs quotients of at most 32767 and a tile that saturates: a remainder beyond 32 bits, which
// is a wrong one, keeps its sign and does not pass for a right one.
inline RowReciprocals exact_quotients(int16_t numerator, const RowSums& p, const RowSums& z, RowReciprocals seed) {
  const auto numerators = aie::mul<acc64>(p, aie::broadcast<int16, kGroupRows>(numerator));
  const auto none = aie::zeros<int16, kGroupRows>();
  const auto one = aie::broadcast<int16, kGroupRows>(1);
  for (unsigned step = 0; step < 2; ++step) {
    const RowSums remainder = aie::msc(numerators, z, seed).template to_vector<int32>(0);
    const auto above = aie::lt(remainder, aie::zeros<int32, kGroupRows>());  // the seed is
    const auto below = aie::ge(remainder, z);
    seed = aie::add(aie::sub(seed, aie::select(none, one, above)), aie::select(none, one, below));
  }
  return seed;
}

// r of div and scaled for 16 rows, 256 <= Z. `inverse` is about 1 / Z: its relative error may be 4e-5, as the seed is
// then off by less than 32767 * 4e-5 + 1/2 from the quotient and so by 2 from its floor.
template <Normalisation kNormalisation, typename Out>
inline RowReciprocals row_reciprocals(const RowSums& z, const aie::vector<float, kGroupRows>& inverse) {
  constexpr int16_t numerator = kNumerator<kNormalisation, Out>;
  constexpr int32_t kConstant = std::is_same_v<Out, int16> ? 1 : 1 << 15;
  RowSums p;
  aie::vector<float, kGroupRows> p_float;
  if constexpr (kNormalisation == Normalisation::kScaled) {
    p_float = leading_bits(z);
    p = aie::to_fixed<int32>(p_float);
  } else {
    p = aie::broadcast<int32, kGroupRows>(kConstant);
    p_float = aie::broadcast<float, kGroupRows>(static_cast<float>(kConstant));
  }
  const auto scale = aie::mul(p_float, static_cast<float>(numerator)).template to_vector<float>();
  const auto seed = aie::to_fixed<int32>(aie::mul(inverse, scale).template to_vector<float>());
  return exact_quotients(numerator, p, z, seed.template pack<int16>());
}

// ... with the float reciprocal, whose error is about 1.3e-7: the only float steps of the kernels.
template <Normalisation kNormalisation, typename Out>
inline RowReciprocals row_reciprocals(const RowSums& z) {
  return row_reciprocals<kNormalisation, Out>(z, aie::inv(aie::to_float(z)));
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
inline constexpr unsigned kScaledWideLongest = 8192;

// e: 0..14, and 0..6 for 256 <= B. S_k * 2^e < 2^15 too, as S_k <= S_k * D_k <= B.
inline int magnitude(const HccsHead& head) { return 14 - floor_log2(head.offset); }

struct LaneFactors {
  RowReciprocals first;   // r
  RowReciprocals second;  // scaled only: 2^(15-j), 2^(28-k-e)
};

template <Normalisation kNormalisation, typename Out>
inline LaneFactors lane_factors(const RowSums& z, int magnitude) {
  constexpr bool kWide = std::is_same_v<Out, int16>;
  if constexpr (kNormalisation == Normalisation::kDiv) {
    return {row_reciprocals<Normalisation::kDiv, Out>(z), {}};
  } else {
    // 2^-k: the exponent of a power of two changes its sign by a subtraction of the bits.
    const auto power = leading_bits(z).template cast_to<int32>();
    const auto inverse = aie::sub(aie::broadcast<int32, kGroupRows>(254 << 23), power).template cast_to<float>();
    if constexpr (kNormalisation == Normalisation::kClb) {
      // T * 2^(30-k) >> 30 and 255 * 2^(31-k) >> 16, with floors; 8 <= k.
      const auto shifted = aie::to_fixed<int32>(inverse, kWide ? 30 : 31);
      const auto full_scale = aie::broadcast<int16, kGroupRows>(kWide ? 32767 : 255);
      return {aie::mul<acc64>(shifted, full_scale).template to_vector<int16>(kWide ? 30 : 16), {}};
    } else {
      const int shift = kWide ? kScaledWideShift - magnitude : 24 - magnitude;
      return {row_reciprocals<Normalisation::kScaled, Out>(z),
              aie::to_fixed<int32>(inverse, shift).template pack<int16>()};
    }
  }
}

// What a row's results need as scalars.
struct RowScale {
  int16_t factor;  // what multiplies the slopes and the constant: r if fused, else 1
  int shift;       // of the result
};

// `sum`: the row's Z; `reciprocal`: its r (not used by clb).
template <Normalisation kNormalisation, typename Out>
inline RowScale row_scale(int32_t sum, int16_t reciprocal) {
  constexpr bool kWide = std::is_same_v<Out, int16>;
  if constexpr (kNormalisation == Normalisation::kDiv) {
    return {kWide ? reciprocal : int16_t{1}, kWide ? 0 : 15};
  } else {
    const int k = floor_log2(sum);
    if constexpr (kNormalisation == Normalisation::kScaled) {
      return {1, kWide ? k : k + 7};
    } else if constexpr (kWide) {
      return {static_cast<int16_t>(32767 >> k), 0};
    } else {
      return {static_cast<int16_t>(k <= 15 ? 255 : 255 >> (k - 15)), k <= 15 ? k : 15};
    }
  }
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_ROW_FACTORS_H_
