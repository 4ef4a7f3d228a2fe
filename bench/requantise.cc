// SPDX-License-Identifier: Apache-2.0
//
// Requantisation of int32 sums to int8 logits, as engines have it in front of an int8 softmax. The build compiles this
// file more than once, with other names and flags (HCCS_REQUANTISE), since what a compiler makes of it is what is
// timed.
#include <algorithm>
#include <cstdint>

#ifndef HCCS_REQUANTISE
#error "HCCS_REQUANTISE must name the function"
#endif

#ifdef HCCS_REQUANTISE_TWO_STEPS
namespace {

// The recipe of gemmlowp, TensorFlow Lite and those who follow them: a rounded high half of the doubled 32-bit product,
// then a rounded shift.
int32_t rounded_high_half(int32_t a, int32_t b) {
  const bool overflow = a == b && a == INT32_MIN;
  const int64_t product = int64_t{a} * b;
  const int32_t nudge = product >= 0 ? (1 << 30) : (1 - (1 << 30));
  const auto high = static_cast<int32_t>((product + nudge) / (int64_t{1} << 31));
  return overflow ? INT32_MAX : high;
}

int32_t rounded_shift(int32_t a, int32_t shift) {
  const auto mask = static_cast<int32_t>((int64_t{1} << shift) - 1);
  const int32_t remainder = a & mask;
  const int32_t threshold = (mask >> 1) + (a < 0 ? 1 : 0);
  return (a >> shift) + (remainder > threshold ? 1 : 0);
}

}  // namespace
#endif

// x[i] = a[i] * multiplier / 2^shift, rounded and clamped; 2^14 <= multiplier < 2^15, 15 <= shift <= 46.
extern "C" void HCCS_REQUANTISE(const int32_t* a, int64_t n, int32_t multiplier, int32_t shift, int8_t* x) {
#ifdef HCCS_REQUANTISE_TWO_STEPS
  const int32_t fraction = multiplier << 16;  // of 2^31
  for (int64_t i = 0; i < n; ++i) {
    const int32_t y = rounded_shift(rounded_high_half(a[i], fraction), shift - 15);
    x[i] = static_cast<int8_t>(std::clamp(y, -128, 127));
  }
#else
  const int64_t half = int64_t{1} << (shift - 1);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t y = (int64_t{a[i]} * multiplier + half) >> shift;
    x[i] = static_cast<int8_t>(std::clamp<int64_t>(y, -128, 127));
  }
#endif
}
