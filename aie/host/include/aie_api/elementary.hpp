// SPDX-License-Identifier: Apache-2.0
//
// Numbers to floats and back, reciprocals, exp2. Semantics: Xilinx/aie_api, aie.hpp, group elementary, and the
// algorithms of detail/aie2/elementary.hpp and detail/aie2p/elementary.hpp, step by step.
#ifndef AIE_API_ELEMENTARY_HPP_
#define AIE_API_ELEMENTARY_HPP_

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "aie_api/arith.hpp"
#include "aie_api/lanes.hpp"
#include "aie_api/modes.hpp"
#include "aie_api/mul.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

// The run of equal bits from the top, sign included (UG1583): of x > 0, 31 - clb(x) is floor(log2 x). clb(0) = 32.
inline int clb(int x) {
  int result = std::countl_zero(static_cast<std::uint32_t>(x < 0 ? ~x : x));
  aie::detail::note(aie_host::Operation::kClb, result, {}, x);
  return result;
}
// The run of zeros from the top.
inline int clb(unsigned x) {
  int result = std::countl_zero(x);
  aie::detail::note(aie_host::Operation::kClb, result, {}, x);
  return result;
}

namespace aie {

namespace detail {

template <typename TR, typename T>
TR lane_to_float(T x, int shift, rounding_mode rounding) {
  const float value = std::ldexp(static_cast<float>(x), -shift);
  if constexpr (std::is_same_v<TR, float>) {
    return value;
  } else {
    return round_to_bfloat16(value, rounding);
  }
}

// A number * 2^shift to the nearest integer, ties to even, clamped: the scalar unit's conversion.
template <typename TR>
TR number_to_fixed(float x, int shift) {
  constexpr auto kLow = static_cast<double>(std::numeric_limits<TR>::min());
  constexpr auto kHigh = static_cast<double>(std::numeric_limits<TR>::max());
  const double scaled = std::ldexp(static_cast<double>(x), shift);
  if (!(scaled < kHigh)) return std::numeric_limits<TR>::max();
  if (scaled <= kLow) return std::numeric_limits<TR>::min();
  return static_cast<TR>(scaled - std::remainder(scaled, 1.0));  // remainder rounds the quotient to even
}

// The upper half of a float whose units are 2^(16 - shift) (`high`) or 2^-shift: x + that has x in its lowest bits.
inline float fixed_magic(bool high, int shift) {
  const auto upper = static_cast<std::uint16_t>((high ? 0x5301 : 0x4b01) - 128 * shift);
  return std::bit_cast<float>(static_cast<std::uint32_t>(upper) << 16);
}

// x + magic, and what that has more in its bits than `magic`, in 32 bits.
inline std::int32_t bits_above(float x, float magic) {
  const float sum = flush(flush(x) + flush(magic));
  return wrap_sub(std::bit_cast<std::int32_t>(sum), std::bit_cast<std::int32_t>(magic));
}

// Whether to_fixed of a float vector saturates as a signed result, whatever TR is. AIE-ML does from the API of 2025.1
// on, so that 200 becomes 127 of uint8; before, and on the other devices, the result's type decides.
template <typename TR>
constexpr bool is_fixed_saturated_signed() {
  return is_signed_v<TR> || (aie_host::kAieMl && aie_host::kApiVersion >= 20251);
}

// A lane * 2^shift to the nearest integer, ties to even, saturated. As the API does it: in sums with numbers of which
// only the integer part fits, for 32 bits first of the upper half, then of what is left. The sums of integers wrap.
template <typename TR>
TR lane_to_fixed(float x, int shift) {
  constexpr auto kSaturate = saturation_mode::saturate;
  const float magic = fixed_magic(false, shift);
  if constexpr (sizeof(TR) < 4) {
    return clamp_or_wrap<TR>(bits_above(x, magic), kSaturate, is_fixed_saturated_signed<TR>());
  } else {
    using Upper = std::conditional_t < std::is_signed_v<TR> || aie_host::kApiVersion<20251, int16, uint16>;
    const float high = fixed_magic(true, shift);
    const auto upper = clamp_or_wrap<Upper>(bits_above(x, high), kSaturate, is_signed_v<Upper>);
    const auto upper_bits = wrap_add(static_cast<std::int32_t>(upper), std::bit_cast<std::int32_t>(high));
    const float back = flush(flush(std::bit_cast<float>(upper_bits)) - high);
    const std::int32_t lower = bits_above(flush(flush(x) - back), magic);
    const auto plus = clamp_or_wrap<uint16>(lower, kSaturate, false);
    const auto minus = clamp_or_wrap<uint16>(wrap_sub(0, lower), kSaturate, false);
    const std::int64_t sum = static_cast<std::int64_t>(upper) * 65536 + plus - minus;
    return clamp_or_wrap<TR>(sum, kSaturate, is_fixed_saturated_signed<TR>());
  }
}

// A lane * 2^shift to the next lower integer, clamped to 32 bits, of which int16 keeps the low half (VFLOOR).
template <typename TR>
TR lane_to_fixed_floor(bfloat16 x, int shift) {
  const double floor = std::floor(std::ldexp(static_cast<double>(flush(x)), shift));
  constexpr double kHigh = 2147483647.0;
  return static_cast<TR>(static_cast<int32>(floor >= kHigh ? kHigh : floor > -kHigh ? floor : -kHigh - 1));
}

template <typename TR>
inline constexpr bool is_floored_v = is_one_of_v<TR, int16, int32>;

template <typename TR, Vector V>
auto floor_to_fixed(const V& v, int shift) {
  return map<vector<TR, V::size()>>(
      aie_host::Operation::kToFixedFloor, {shift}, [shift](bfloat16 x) { return lane_to_fixed_floor<TR>(x, shift); },
      operand(v));
}

// Moves an accumulated value to a vector, between the steps of an algorithm.
template <typename T>
T store_lane(double x, rounding_mode rounding) {
  const float rounded = flush(static_cast<float>(x));
  if constexpr (std::is_same_v<T, float>) {
    return rounded;
  } else {
    return round_to_bfloat16(rounded, rounding);
  }
}

// Product in an accumulator, plus a constant; each rounded to float.
inline float multiply_lane(float a, float b) {
  return flush(static_cast<float>(static_cast<double>(flush(a)) * static_cast<double>(flush(b))));
}
inline double multiply_add_lane(float a, float b, float c) {
  return static_cast<double>(flush(a)) * static_cast<double>(flush(b)) + static_cast<double>(c);
}

// 1 / x: a seed from the bits and two refinements.
template <typename T>
T reciprocal_lane(T x, rounding_mode rounding) {
  T y{};
  if constexpr (std::is_same_v<T, float>) {
    y = std::bit_cast<float>(0x7eb53567u - std::bit_cast<std::uint32_t>(x));
  } else {
    y = bfloat16::from_bits(static_cast<std::uint16_t>(0x7eb5u - x.bits));
  }
  const T k1(1.9395974f);
  T t = store_lane<T>(static_cast<double>(flush(-multiply_lane(x, y))) + 1.436142f, rounding);
  t = store_lane<T>(multiply_lane(t, y), rounding);
  y = store_lane<T>(-multiply_lane(t, k1), rounding);  // minus the estimate
  t = store_lane<T>(multiply_add_lane(y, x, 2.0f), rounding);
  return store_lane<T>(-multiply_lane(y, t), rounding);
}

// 1 / sqrt(x): a seed from the bits and one refinement.
template <typename T>
T inverse_square_root_lane(T x, rounding_mode rounding) {
  constexpr float kC2 = 0.703952253f;
  constexpr float kC3 = 2.38924456f;
  const T x2 = store_lane<T>(multiply_lane(x, T(kC2)), rounding);
  const auto bits = static_cast<std::int64_t>(std::bit_cast<std::int32_t>(flush(x)));
  const auto half = static_cast<std::uint32_t>(shift_round(bits, 1, rounding));
  const T y = store_lane<T>(std::bit_cast<float>(0x5f1ffff9u - half), rounding);
  const T yy = store_lane<T>(multiply_lane(y, y), rounding);
  const T x2yy = store_lane<T>(multiply_add_lane(-flush(x2), yy, kC2 * kC3), rounding);
  return store_lane<T>(multiply_lane(y, x2yy), rounding);
}

}  // namespace detail

// Integers / 2^shift to float, to nearest with ties to even; bfloat16 rounds that as the tile says.
template <typename TR = float, Vector V>
requires(!detail::is_floating_point_v<typename V::value_type> &&
         is_one_of_v<TR, float, bfloat16>) auto to_float(const V& v, int shift = 0) {
  using T = typename V::value_type;
  const rounding_mode rounding = detail::current_rounding();
  return detail::map<vector<TR, V::size()>>(
      aie_host::Operation::kToFloat, {shift}, [=](T x) { return detail::lane_to_float<TR>(x, shift, rounding); },
      detail::operand(v));
}
template <typename TR = float>
TR to_float(int a, int shift = 0) {
  TR result = detail::lane_to_float<TR>(a, shift, detail::current_rounding());
  detail::note(aie_host::Operation::kToFloat, result, {shift}, a);
  return result;
}

// Floats * 2^shift to the nearest integers, ties to even, saturated, whatever the tile's modes are. Of bfloat16 to
// int16 and int32 the API up to 2024.2 rounds down, as to_fixed_floor does.
template <typename TR = int32, Vector V>
requires(detail::is_floating_point_v<typename V::value_type>&&
             is_one_of_v<TR, int8, uint8, int16, uint16, int32, uint32>) auto to_fixed(const V& v, int shift = 0) {
  constexpr bool floors =
      std::is_same_v<typename V::value_type, bfloat16> && aie_host::kApiVersion < 20251 && detail::is_floored_v<TR>;
  if constexpr (floors) {
    return detail::floor_to_fixed<TR>(v, shift);
  } else {
    static_assert(!aie_host::kAieMl || V::size() <= (sizeof(TR) == 4 ? 32 : 64),
                  "AIE-ML's to_fixed takes 64 lanes, of 32-bit results 32");
    return detail::map<vector<TR, V::size()>>(
        aie_host::Operation::kToFixed, {shift}, [shift](float x) { return detail::lane_to_fixed<TR>(x, shift); },
        detail::operand(v));
  }
}
template <typename TR = int32, Accum A>
requires(aie_host::kApiVersion >= 20251 &&
         std::is_same_v<typename A::value_type, accfloat>) auto to_fixed(const A& a, int shift = 0) {
  return to_fixed<TR>(a.template to_vector<float>(), shift);
}
template <typename TR = int32>
requires is_one_of_v<TR, int8, int16, int32> TR to_fixed(float a, int shift = 0) {
  TR result = detail::number_to_fixed<TR>(a, shift);
  detail::note(aie_host::Operation::kToFixed, result, {shift}, a);
  return result;
}
// bfloat16 * 2^shift to the next lower integers, clamped to 32 bits; int16 keeps the low halves. From 2025.1 on.
template <typename TR = int32, Vector V>
requires(aie_host::kApiVersion >= 20251 && detail::is_floored_v<TR> &&
         std::is_same_v<typename V::value_type, bfloat16>) auto to_fixed_floor(const V& v, int shift = 0) {
  return detail::floor_to_fixed<TR>(v, shift);
}

// An approximation of 1 / x: the API's algorithm, whose float products a device emulates (see mul.hpp).
template <Vector V>
requires detail::is_floating_point_v<typename V::value_type>
auto inv(const V& v) {
  using T = typename V::value_type;
  const rounding_mode rounding = detail::current_rounding();
  return detail::map<vector<T, V::size()>>(
      aie_host::Operation::kInv, {}, [=](T x) { return detail::reciprocal_lane(x, rounding); }, detail::operand(v));
}
// Of a float, by division on AIE-ML and by an instruction on v2, which is taken to round correctly.
template <Elem E>
requires detail::is_floating_point_v<operand_base_type_t<E>> operand_base_type_t<E> inv(const E& e) {
  using T = operand_base_type_t<E>;
  const auto x = detail::operand(e);
  T result{};
  if constexpr (std::is_same_v<T, float>) {
    result = 1.0f / x.value;
  } else {
    result = detail::reciprocal_lane(x.value, detail::current_rounding());
  }
  detail::note(aie_host::Operation::kInv, result, {}, x);
  return result;
}

// An approximation of 1 / sqrt(x), like inv.
template <Vector V>
requires detail::is_floating_point_v<typename V::value_type>
auto invsqrt(const V& v) {
  using T = typename V::value_type;
  const rounding_mode rounding = detail::current_rounding();
  return detail::map<vector<T, V::size()>>(
      aie_host::Operation::kInvsqrt, {}, [=](T x) { return detail::inverse_square_root_lane(x, rounding); },
      detail::operand(v));
}
template <Elem E>
requires detail::is_floating_point_v<operand_base_type_t<E>> operand_base_type_t<E> invsqrt(const E& e) {
  using T = operand_base_type_t<E>;
  const auto x = detail::operand(e);
  T result{};
  if constexpr (std::is_same_v<T, float>) {
    result = 1.0f / std::sqrt(x.value);
  } else {
    result = detail::inverse_square_root_lane(x.value, detail::current_rounding());
  }
  detail::note(aie_host::Operation::kInvsqrt, result, {}, x);
  return result;
}

// a * inv(b)
template <Vector A, typename B>
requires(ProductPair<A, B>&& detail::is_floating_point_v<typename A::value_type>) auto div(const A& a, const B& b) {
  return mul(a, inv(b));
}
inline float div(float a, float b) { return a / b; }

// 2^x and tanh(x) of float lanes: instructions of AIE2P and AIE-ML v2 alone. Their error is not published; here the
// exact value is rounded as the tile says. float results only on AIE-ML v2.
template <typename TR = bfloat16, Vector V>
requires(aie_host::kAieMlV2&& std::is_same_v<typename V::value_type, float> &&
         (std::is_same_v<TR, bfloat16> || (std::is_same_v<TR, float> && aie_host::kArch == 22))) auto exp2(const V& v) {
  const rounding_mode rounding = detail::current_rounding();
  return detail::map<vector<TR, V::size()>>(
      aie_host::Operation::kExp2, {},
      [=](float x) { return detail::store_lane<TR>(std::exp2(detail::flush(x)), rounding); }, detail::operand(v));
}
template <typename TR = bfloat16, Vector V>
requires(aie_host::kAieMlV2&& std::is_same_v<typename V::value_type, float>&& std::is_same_v<TR, bfloat16>) auto tanh(
    const V& v) {
  const rounding_mode rounding = detail::current_rounding();
  return detail::map<vector<TR, V::size()>>(
      aie_host::Operation::kTanh, {},
      [=](float x) { return detail::store_lane<TR>(std::tanh(detail::flush(x)), rounding); }, detail::operand(v));
}

}  // namespace aie

#endif  // AIE_API_ELEMENTARY_HPP_
