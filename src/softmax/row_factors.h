// SPDX-License-Identifier: Apache-2.0
//
// The contract's normalisation of one row as a 16-bit multiplier and shifts, the same for every score of the row.
//
// Notation: s the score, 0 <= s <= min(Z, 32767); B = s(0) <= Z; e with 2^14 <= B * 2^e < 2^15; k = floor(log2 Z), so
// that k + e >= 14. Every kernel multiplies prescaled scores, s' = s * 2^prescale, in 16 bits. Floors of floors
// compose: floor(floor(a / 2^i) / 2^j) = floor(a / 2^(i+j)).
//
//   kFloor8 (uint8 clb, div): (s' * multiplier >> 16) >> shift, then min(255, .)
//     clb   (s r) >> 15, r = (255 << 15) >> k. Up to k = 15, where r loses nothing, that is (255 s) >> k =
//           (1020 s 2^e / 2^16) >> (k + e - 14); beyond, (2 r s 2^e / 2^16) >> e
//     div   (s r) >> 15 = (s 2^(e+1) r / 2^16) >> e, where r < 2^16, that is Z >= 128. Below, the multiplier is r >> t
//     with
//           the t that kSmallSumShift lists, found by trying every s
//   kScale8 (uint8 scaled): (s r + 2^(k+6)) >> (k+7). Times 2^e and divided by 2^16, both exactly, as 2^(k+e+6) is a
//           multiple of 2^16: (a + 2^(j-1)) >> j with a = s' r >> 16 < 2^14 and j = k + e - 9 >= 5, which is
//           (a * 2^(15-j) + 2^14) >> 15, the rounding 16-bit multiply of x86 and Arm. From j = 15 on both are 0
//   kProduct16 (int16 div, clb): s * multiplier, then min(32767, .); s < 2^(k+1) and 32767 >> k < 2^(15-k): below 2^16
//   kScale16 (int16 scaled): (s r + 2^(k-1)) >> k = ((s' r >> (k+e-1)) + 1) >> 1, with k + e - 1 in 13..29
#ifndef HCCS_SRC_SOFTMAX_ROW_FACTORS_H_
#define HCCS_SRC_SOFTMAX_ROW_FACTORS_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "softmax/plan.h"

namespace hccs::internal {

struct RowFactors {
  uint16_t multiplier;
  uint16_t second;  // kScale8 only
  int32_t shift;    // kFloor8, kScale16
};

// Is floor(s * (r >> t) / 2^(15-t)) the contract's floor(s * r / 2^15) for every score of a row with sum z?
constexpr bool small_sum_shift_is_exact(int32_t z, int32_t t) {
  const int32_t r = (255 << 15) / z;
  if ((r >> t) > 65535) return false;
  for (int32_t s = 0; s <= z; ++s) {
    if ((s * (r >> t)) >> (15 - t) != (static_cast<int64_t>(s) * r) >> 15) return false;
  }
  return true;
}

// t by Z, for Z < 128: the smallest that is exact.
inline constexpr std::array<int32_t, 128> kSmallSumShift = [] {
  std::array<int32_t, 128> shifts{};
  for (int32_t z = 1; z < 128; ++z) {
    while (shifts[z] < 8 && !small_sum_shift_is_exact(z, shifts[z])) ++shifts[z];
  }
  return shifts;
}();
static_assert(*std::max_element(kSmallSumShift.begin(), kSmallSumShift.end()) <= 7);

// floor(numerator / z) for numerator < 2^46 and z < 2^31. A quotient that is not an integer is at least 1 / z from one,
// more than a double's rounding of it in any rounding mode: the truncation is exact. Six times as fast as a 64-bit
// divide on many cores.
inline int32_t exact_quotient(int64_t numerator, int32_t z) noexcept {
  return static_cast<int32_t>(static_cast<double>(numerator) / static_cast<double>(z));
}

// The factors of a row whose scores sum to z, head.offset <= z < 2^31.
template <Form kForm>
inline RowFactors row_factors(Normalisation normalisation, const PreparedHead& head, int32_t z) noexcept {
  const int32_t k = 31 - std::countl_zero(static_cast<uint32_t>(z));
  const int32_t e = head.magnitude;
  const bool clb = normalisation == Normalisation::kClb;
  // NOLINTBEGIN(clang-analyzer-core.UndefinedBinaryOperatorResult): z >= 1, so k >= 0.
  if constexpr (kForm == Form::kScale8) {
    const int32_t reciprocal = exact_quotient(int64_t{32640} << k, z);
    return {static_cast<uint16_t>(reciprocal), static_cast<uint16_t>(1 << (15 - std::min(k + e - 9, 15))), 0};
  } else if constexpr (kForm == Form::kFloor8) {
    if (clb && k <= 15) return {1020, 0, k + e - 14};
    if (clb) return {static_cast<uint16_t>(2 * ((255 << 15) >> k)), 0, e};
    const int32_t t = z < 128 ? kSmallSumShift[static_cast<size_t>(z)] : 0;
    return {static_cast<uint16_t>(exact_quotient(255 << 15, z) >> t), 0, e - t};
  } else if constexpr (kForm == Form::kScale16) {
    return {static_cast<uint16_t>(exact_quotient(int64_t{32767} << k, z)), 0, k + e};
  } else {
    return {static_cast<uint16_t>(clb ? 32767 >> std::min(k, 16) : exact_quotient(32767, z)), 0, 0};
  }
  // NOLINTEND(clang-analyzer-core.UndefinedBinaryOperatorResult)
}

// The forms, for one score: what every kernel computes in 16-bit lanes.
template <Form kForm>
inline int32_t normalised(const RowFactors& f, uint32_t prescaled) {
  const uint32_t product = prescaled * f.multiplier;
  if constexpr (kForm == Form::kScale8) {
    return static_cast<int32_t>(((product >> 16) * f.second + 16384) >> 15);
  } else if constexpr (kForm == Form::kFloor8) {
    return static_cast<int32_t>(std::min<uint32_t>(255, (product >> 16) >> f.shift));
  } else if constexpr (kForm == Form::kScale16) {
    return static_cast<int32_t>(((product >> (f.shift - 1)) + 1) >> 1);
  } else {
    return static_cast<int32_t>(std::min<uint32_t>(32767, product));
  }
}

// The value that PreparedHead::prescale must have.
constexpr int32_t prescale_of(Form form, Normalisation normalisation, int32_t magnitude) noexcept {
  if (form == Form::kProduct16) return 0;
  return form == Form::kFloor8 && normalisation == Normalisation::kDiv ? magnitude + 1 : magnitude;
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_SOFTMAX_ROW_FACTORS_H_
