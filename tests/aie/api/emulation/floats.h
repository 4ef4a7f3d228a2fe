// SPDX-License-Identifier: Apache-2.0
//
// Part 8: what only the bf16 kernel comes to, lane by lane.
#ifndef HCCS_TESTS_AIE_API_FLOATS_H_
#define HCCS_TESTS_AIE_API_FLOATS_H_

#include "accumulate.h"

namespace emulated {

template <typename T>
concept Float = std::is_same_v<T, bfloat16> || std::is_same_v<T, float>;

}  // namespace emulated

template <emulated::Float T, unsigned kLanes>
INTRINSIC emulated::Register<T, kLanes> max(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b) {
  return emulated::Register<T, kLanes>::of(
      [&](unsigned i) { return static_cast<float>(a[i]) < static_cast<float>(b[i]) ? b[i] : a[i]; });
}
template <emulated::Float T, unsigned kLanes>
INTRINSIC emulated::Mask<kLanes> lt(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b) {
  return static_cast<emulated::Mask<kLanes>>(
      emulated::lanes_where(a, [&](T x, unsigned i) { return static_cast<float>(x) < static_cast<float>(b[i]); }));
}

// The integers below bfloat16 numbers times 2^shift.
INTRINSIC emulated::Register<int32, 16> bfloat16_to_int(emulated::Register<bfloat16, 16> v, int shift) {
  return emulated::Register<int32, 16>::of([&](unsigned i) {
    const double x = std::floor(std::ldexp(emulated::flush(v[i]), shift));
    return static_cast<int32>(std::clamp(x, -2147483648.0, 2147483647.0));
  });
}

#if __AIE_ARCH__ != 20
// 2^x, exact but for its rounding.
INTRINSIC emulated::Register<bfloat16, 16> exp2(emulated::Register<accfloat, 16> v) {
  return emulated::Register<bfloat16, 16>::of([&](unsigned i) { return emulated::round_to_bfloat16(std::exp2(v[i])); });
}
#endif

#endif  // HCCS_TESTS_AIE_API_FLOATS_H_
