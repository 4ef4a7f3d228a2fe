// SPDX-License-Identifier: Apache-2.0
//
// Rounding and saturation: the tile's modes, and the arithmetic that obeys them. The modes are control registers of
// the tile: they persist from kernel to kernel and start at floor and none (UG1603, "Data Accuracy and Rounding").
#ifndef AIE_API_MODES_HPP_
#define AIE_API_MODES_HPP_

#include <bit>
#include <cstdint>
#include <limits>
#include <string>

#include "aie_api/lanes.hpp"
#include "aie_api/types.hpp"
#include "aie_host/stop.h"
#include "aie_host/tile.h"

namespace aie {

// With the device's codes. The first four round whenever something is cut off; the others round to nearest and differ
// in ties.
enum class rounding_mode : unsigned {
  floor = 0,            // towards minus infinity
  ceil = 1,             // towards plus infinity
  symmetric_floor = 2,  // towards zero
  symmetric_ceil = 3,   // away from zero
  negative_inf = 8,     // ties towards minus infinity
  positive_inf = 9,     // ties towards plus infinity
  symmetric_zero = 10,  // ties towards zero
  symmetric_inf = 11,   // ties away from zero
  conv_even = 12,       // ties to even
  conv_odd = 13,        // ties to odd
};

enum class saturation_mode : unsigned {
  none = 0,       // keep the low bits
  saturate = 1,   // clamp
  symmetric = 3,  // clamp, to minus the maximum at the lower end
};

namespace detail {

// What to add to x >> shift, given the bits that fell off.
constexpr bool rounds_up(rounding_mode mode, bool negative, bool odd, bool guard, bool sticky) {
  switch (mode) {
    case rounding_mode::floor:
      return false;
    case rounding_mode::ceil:
      return guard || sticky;
    case rounding_mode::symmetric_floor:
      return negative && (guard || sticky);
    case rounding_mode::symmetric_ceil:
      return !negative && (guard || sticky);
    case rounding_mode::negative_inf:
      return guard && sticky;
    case rounding_mode::positive_inf:
      return guard;
    case rounding_mode::symmetric_zero:
      return guard && (sticky || negative);
    case rounding_mode::symmetric_inf:
      return guard && (sticky || !negative);
    case rounding_mode::conv_even:
      return guard && (sticky || odd);
    case rounding_mode::conv_odd:
      return guard && (sticky || !odd);
  }
  return false;
}

inline constexpr int kMinShift = -4;
inline constexpr int kMaxShift = 59;

// x / 2^shift, rounded; shift > 0.
constexpr std::int64_t shift_round(std::int64_t x, int shift, rounding_mode mode) {
  const std::int64_t quotient = x >> shift;
  const bool guard = (x >> (shift - 1) & 1) != 0;
  const bool sticky = (x & ((std::int64_t{1} << (shift - 1)) - 1)) != 0;
  return quotient + rounds_up(mode, x < 0, (quotient & 1) != 0, guard, sticky);
}

// Clamps to the limits of T, taken as signed or unsigned, or keeps the low bits, as the mode says.
template <typename T>
constexpr T clamp_or_wrap(std::int64_t x, saturation_mode mode, bool is_signed) {
  if (mode != saturation_mode::none) {
    constexpr std::int64_t kSigned = std::numeric_limits<std::make_signed_t<T>>::max();
    constexpr auto kUnsigned =
        static_cast<std::int64_t>(std::numeric_limits<std::make_unsigned_t<T>>::max() >> (sizeof(T) == 8));
    const std::int64_t high = is_signed ? kSigned : kUnsigned;
    const std::int64_t low = !is_signed ? 0 : mode == saturation_mode::symmetric ? -high : -high - 1;
    x = x > high ? high : x < low ? low : x;
  }
  return static_cast<T>(x);
}

// x * 2^shift, clamped or cut.
template <typename T>
constexpr T shift_up(std::int64_t x, int shift, saturation_mode mode, bool is_signed) {
  const auto shifted = static_cast<std::int64_t>(static_cast<std::uint64_t>(x) << shift);
  const bool overflow = shifted >> shift != x;
  const std::int64_t limit =
      x < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
  return clamp_or_wrap<T>(overflow && mode != saturation_mode::none ? limit : shifted, mode, is_signed);
}

// An accumulator to a lane (SRS): x / 2^shift, rounded, then clamped or cut. A negative shift multiplies.
template <typename T>
constexpr T shift_round_saturate(std::int64_t x, int shift, bool is_signed, rounding_mode rounding,
                                 saturation_mode saturation) {
  return shift > 0 ? clamp_or_wrap<T>(shift_round(x, shift, rounding), saturation, is_signed)
                   : shift_up<T>(x, -shift, saturation, is_signed);
}

// float to bfloat16 under a rounding mode: the same rules on the sign and magnitude. Denormals become zero.
constexpr bfloat16 round_to_bfloat16(float value, rounding_mode mode) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  if (magnitude < 0x00800000u) return bfloat16::from_bits(sign);
  if (magnitude > 0x7f800000u) return bfloat16::from_bits(static_cast<std::uint16_t>(bits >> 16 | 0x40u));
  const bool negative = sign != 0;
  const auto kept = static_cast<std::uint16_t>(magnitude >> 16);
  const bool guard = (magnitude & 0x8000u) != 0;
  const bool sticky = (magnitude & 0x7fffu) != 0;
  // A directed mode on a negative number is its mirror on the magnitude; the symmetric ones are direct.
  rounding_mode on_magnitude = mode;
  switch (mode) {
    case rounding_mode::floor:
      on_magnitude = negative ? rounding_mode::ceil : rounding_mode::floor;
      break;
    case rounding_mode::ceil:
      on_magnitude = negative ? rounding_mode::floor : rounding_mode::ceil;
      break;
    case rounding_mode::negative_inf:
      on_magnitude = negative ? rounding_mode::positive_inf : rounding_mode::negative_inf;
      break;
    case rounding_mode::positive_inf:
      on_magnitude = negative ? rounding_mode::negative_inf : rounding_mode::positive_inf;
      break;
    default:
      break;
  }
  const bool up = magnitude != 0x7f800000u && rounds_up(on_magnitude, false, (kept & 1u) != 0, guard, sticky);
  return bfloat16::from_bits(static_cast<std::uint16_t>(sign | (kept + up)));
}

inline rounding_mode current_rounding() { return static_cast<rounding_mode>(aie_host::current_tile().rounding); }
inline saturation_mode current_saturation() {
  return static_cast<saturation_mode>(aie_host::current_tile().saturation);
}

inline void note_mode(aie_host::Operation operation, unsigned mode) {
  if (aie_host::observed()) [[unlikely]]
    aie_host::report(operation, {}, {}, {static_cast<std::int64_t>(mode)});
}

}  // namespace detail

inline constexpr int min_shift = detail::kMinShift;
inline constexpr int max_shift = detail::kMaxShift;

inline rounding_mode get_rounding() { return detail::current_rounding(); }
inline void set_rounding(rounding_mode mode) {
  aie_host::current_tile().rounding = static_cast<std::uint8_t>(mode);
  detail::note_mode(aie_host::Operation::kSetRounding, static_cast<unsigned>(mode));
}
// Sets the mode and returns the one before.
inline rounding_mode swap_rounding(rounding_mode mode) {
  const rounding_mode before = get_rounding();
  set_rounding(mode);
  return before;
}

inline saturation_mode get_saturation() { return detail::current_saturation(); }
inline void set_saturation(saturation_mode mode) {
  aie_host::current_tile().saturation = static_cast<std::uint8_t>(mode);
  detail::note_mode(aie_host::Operation::kSetSaturation, static_cast<unsigned>(mode));
}
inline saturation_mode swap_saturation(saturation_mode mode) {
  const saturation_mode before = get_saturation();
  set_saturation(mode);
  return before;
}

// The tile that the kernel runs on, as the API names it.
class tile {
 public:
  static tile current() { return tile(); }
  void set_rounding(rounding_mode mode) { aie::set_rounding(mode); }
  rounding_mode get_rounding() const { return aie::get_rounding(); }
  void set_saturation(saturation_mode mode) { aie::set_saturation(mode); }
  saturation_mode get_saturation() const { return aie::get_saturation(); }

 private:
  tile() = default;
};

}  // namespace aie

#endif  // AIE_API_MODES_HPP_
