// SPDX-License-Identifier: Apache-2.0
//
// The few operations on integers that the encoder's definition names (docs/integer-encoder.md).
#ifndef HCCS_SRC_INTEGER_KERNELS_INTEGER_MATH_H_
#define HCCS_SRC_INTEGER_KERNELS_INTEGER_MATH_H_

#include <algorithm>
#include <bit>
#include <cstdint>

namespace hccs::internal {

// round_half_up(x / 2^shift), shift 0..62; x + 2^(shift - 1) must fit.
constexpr int64_t rounded_shift(int64_t x, int shift) {
  return shift == 0 ? x : (x + (int64_t{1} << (shift - 1))) >> shift;
}

// floor(a / b) for b > 0.
constexpr int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// round_half_up(a / b) for b > 0.
constexpr int64_t rounded_divide(int64_t a, int64_t b) { return floor_divide(2 * a + b, 2 * b); }

// floor(sqrt(x)) for 0 <= x < 4^(top_bit + 1), a bit at a time; top_bit <= 31.
constexpr int64_t integer_sqrt(int64_t x, int top_bit) {
  const auto square = static_cast<uint64_t>(x);
  uint64_t root = 0;
  for (int bit = top_bit; bit >= 0; --bit) {
    const uint64_t next = root | (uint64_t{1} << bit);
    if (next * next <= square) root = next;
  }
  return static_cast<int64_t>(root);
}
constexpr int64_t integer_sqrt(int64_t x) {
  return integer_sqrt(x, static_cast<int>(std::bit_width(static_cast<uint64_t>(x))) / 2);
}

// The reciprocal root of a layer norm: R * 2^-shift is 4096 / sqrt(variance), and 2^11 <= R <= 2^12.
struct ReciprocalRoot {
  int64_t multiplier = 0;  // R
  int shift = 0;           // 1..19
};

// 16 <= variance <= 2^39 + 2^4.
constexpr ReciprocalRoot reciprocal_root(int64_t variance) {
  // The smallest shift >= 1 with 4^(shift + 1) >= variance.
  const auto bits = static_cast<int>(std::bit_width(static_cast<uint64_t>(variance - 1)));
  const int shift = std::max(1, (bits + 1) / 2 - 1);
  const int64_t square = (int64_t{1} << (2 * shift + 24)) / variance;
  return {(integer_sqrt(4 * square, 12) + 1) >> 1, shift};  // square < 2^24
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_KERNELS_INTEGER_MATH_H_
