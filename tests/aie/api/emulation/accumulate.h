// SPDX-License-Identifier: Apache-2.0
//
// Part 6: accumulators: to and from vectors (ups, srs), and sums.
#ifndef HCCS_TESTS_AIE_API_ACCUMULATE_H_
#define HCCS_TESTS_AIE_API_ACCUMULATE_H_

#include <cmath>

#include "lanes.h"

namespace emulated {

template <typename T>
concept Accumulated = std::is_same_v<T, acc32> || std::is_same_v<T, acc64>;

inline void check_shift(int shift) {
  if (shift < 0 || shift > 59) throw std::logic_error("a shift that the instruction does not have");
}

// Floats that are too small for the exponent count as 0.
inline float flush(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

// ---- Intrinsics whose names end with the type of their result, R.

template <typename R>
R ups_to(...) {
  missing("ups");
}
template <typename R, Integer T>
requires Accumulated<typename R::Type> R ups_to(const Register<T, R::kLanes>& v, int shift,
                                                bool is_signed = std::is_signed_v<T>) {
  check_shift(shift);
  return R::of([&](unsigned i) { return static_cast<uint64_t>(lane(v, i, is_signed)) << shift; });
}
template <typename R>
requires std::is_same_v<typename R::Type, accfloat> R ups_to(const Register<bfloat16, R::kLanes>& v) {
  return R::of([&](unsigned i) { return static_cast<float>(v[i]); });
}

template <typename R>
R srs_to(...) {
  missing("srs");
}
template <typename R, Accumulated A>
requires Integer<typename R::Type> R srs_to(const Register<A, R::kLanes>& v, int shift,
                                            bool is_signed = std::is_signed_v<typename R::Type>) {
  check_shift(shift);
  return R::of([&](unsigned i) { return saturate<typename R::Type>(shift_round(v[i], shift), is_signed); });
}
template <typename R>
requires std::is_same_v<typename R::Type, bfloat16> R srs_to(const Register<accfloat, R::kLanes>& v) {
  return R::of([&](unsigned i) { return round_to_bfloat16(flush(v[i])); });
}

// On AIE-ML v2 and XDNA 2 one name for both.
template <typename R>
R to(...) {
  missing("to_");
}
template <typename R, typename... Operands>
requires(!Integer<typename R::Type> && !std::is_same_v<typename R::Type, bfloat16>) R to(const Operands&... operands) {
  return ups_to<R>(operands...);
}
template <typename R, typename... Operands>
requires(Integer<typename R::Type> || std::is_same_v<typename R::Type, bfloat16>) R to(const Operands&... operands) {
  return srs_to<R>(operands...);
}

}  // namespace emulated

// ---- Sums. `zero` takes the first operand for 0.

template <emulated::Accumulated A, unsigned kLanes>
INTRINSIC emulated::Register<A, kLanes> add(emulated::Register<A, kLanes> a, emulated::Register<A, kLanes> b) {
  return emulated::Register<A, kLanes>::of([&](unsigned i) { return uint64_t(a[i]) + uint64_t(b[i]); });
}
template <emulated::Accumulated A, unsigned kLanes>
INTRINSIC emulated::Register<A, kLanes> sub(emulated::Register<A, kLanes> a, emulated::Register<A, kLanes> b) {
  return emulated::Register<A, kLanes>::of([&](unsigned i) { return uint64_t(a[i]) - uint64_t(b[i]); });
}
template <emulated::Accumulated A, unsigned kLanes>
INTRINSIC emulated::Register<A, kLanes> neg(emulated::Register<A, kLanes> a) {
  return emulated::Register<A, kLanes>::of([&](unsigned i) { return -uint64_t(a[i]); });
}
template <unsigned kLanes>
INTRINSIC emulated::Register<accfloat, kLanes> add(emulated::Register<accfloat, kLanes> a,
                                                   emulated::Register<accfloat, kLanes> b) {
  return emulated::Register<accfloat, kLanes>::of(
      [&](unsigned i) { return emulated::flush(emulated::flush(a[i]) + emulated::flush(b[i])); });
}
template <unsigned kLanes>
INTRINSIC emulated::Register<accfloat, kLanes> neg(emulated::Register<accfloat, kLanes> a) {
  return emulated::Register<accfloat, kLanes>::of([&](unsigned i) { return -a[i]; });
}
template <unsigned kLanes>
INTRINSIC emulated::Register<accfloat, kLanes> sub(emulated::Register<accfloat, kLanes> a,
                                                   emulated::Register<accfloat, kLanes> b) {
  return add(a, neg(b));
}
template <typename A, unsigned kLanes, typename... More>
INTRINSIC emulated::Register<A, kLanes> add_conf(emulated::Register<A, kLanes> a, emulated::Register<A, kLanes> b,
                                                 bool zero, More...) {
  return add(zero ? emulated::broadcast_zero_to<decltype(a)>() : a, b);
}
template <typename A, unsigned kLanes, typename... More>
INTRINSIC emulated::Register<A, kLanes> sub_conf(emulated::Register<A, kLanes> a, emulated::Register<A, kLanes> b,
                                                 bool zero, More...) {
  return sub(zero ? emulated::broadcast_zero_to<decltype(a)>() : a, b);
}

#endif  // HCCS_TESTS_AIE_API_ACCUMULATE_H_
