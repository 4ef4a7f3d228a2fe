// SPDX-License-Identifier: Apache-2.0
//
// Part 3: the tile's rounding and saturation, and the shift that both act on (srs: shift, round, saturate).
#ifndef HCCS_TESTS_AIE_API_MODES_H_
#define HCCS_TESTS_AIE_API_MODES_H_

#include "register.h"

// By the numbers of the control register (AM020, UG1603; aie_api/aie_types.hpp takes them by these names).
enum {
  rnd_floor = 0,
  rnd_ceil = 1,
  rnd_sym_floor = 2,
  rnd_sym_ceil = 3,
  rnd_neg_inf = 8,
  rnd_pos_inf = 9,
  rnd_sym_zero = 10,
  rnd_sym_inf = 11,
  rnd_conv_even = 12,
  rnd_conv_odd = 13
};

namespace emulated {

inline unsigned rounding = rnd_floor;
inline unsigned saturation = 0;  // 0 none, 1 to the type's ends, 3 to plus and minus its largest number

// x / 2^shift as the tile rounds.
inline __int128 shift_round(__int128 x, int shift) {
  if (shift <= 0) return x << -shift;
  const __int128 down = x >> shift;
  const bool half = (x >> (shift - 1) & 1) != 0;
  const bool more = (x & ((static_cast<__int128>(1) << (shift - 1)) - 1)) != 0;
  const bool negative = x < 0;
  const bool odd = (down & 1) != 0;
  switch (rounding) {
    case rnd_floor:
      return down;
    case rnd_ceil:
      return down + (half || more);
    case rnd_sym_floor:
      return down + (negative && (half || more));
    case rnd_sym_ceil:
      return down + (!negative && (half || more));
    case rnd_neg_inf:
      return down + (half && more);
    case rnd_pos_inf:
      return down + half;
    case rnd_sym_zero:
      return down + (half && (more || negative));
    case rnd_sym_inf:
      return down + (half && (more || !negative));
    case rnd_conv_even:
      return down + (half && (more || odd));
    case rnd_conv_odd:
      return down + (half && (more || !odd));
    default:
      throw std::logic_error("no such rounding mode");
  }
}

// x as T, which is taken for signed or not as the tile's intrinsics are told.
template <typename T>
T saturate(__int128 x, bool is_signed) {
  constexpr int kBits = 8 * sizeof(T);
  if (saturation != 0) {
    const __int128 highest = (static_cast<__int128>(1) << (is_signed ? kBits - 1 : kBits)) - 1;
    const __int128 lowest = !is_signed ? 0 : saturation == 3 ? -highest : -highest - 1;
    x = std::clamp(x, lowest, highest);
  }
  return static_cast<T>(x);
}

// A number of a float's 32 bits, as the tile rounds: floats of one sign are ordered as their bits are.
inline bfloat16 round_to_bfloat16(float x) {
  const auto word = std::bit_cast<uint32_t>(x);
  const auto magnitude = static_cast<int64_t>(word & 0x7fffffff);
  const auto rounded = static_cast<int64_t>(shift_round(word >> 31 != 0 ? -magnitude : magnitude, 16));
  return bfloat16::from_bits(
      static_cast<uint16_t>((word >> 31 << 15) | static_cast<uint32_t>(rounded < 0 ? -rounded : rounded)));
}

}  // namespace emulated

INTRINSIC void set_rnd(unsigned mode) { emulated::rounding = mode; }
INTRINSIC unsigned get_rnd() { return emulated::rounding; }
INTRINSIC void set_satmode(unsigned mode) { emulated::saturation = mode; }
INTRINSIC unsigned get_satmode() { return emulated::saturation; }

#endif  // HCCS_TESTS_AIE_API_MODES_H_
