// SPDX-License-Identifier: Apache-2.0
//
// Vectors from lists and lists from vectors, for tests of the AIE API.
#ifndef HCCS_TESTS_AIE_HOST_LANES_H_
#define HCCS_TESTS_AIE_HOST_LANES_H_

#include <aie_api/aie.hpp>
#include <array>
#include <string>
#include <vector>

// Lane i is list[i mod its length].
template <typename T, unsigned Elems>
aie::vector<T, Elems> vec(const std::vector<T>& list) {
  alignas(64) std::array<T, Elems> lanes;
  for (unsigned i = 0; i < Elems; ++i) lanes[i] = list[i % list.size()];
  return aie::load_unaligned_v<Elems>(lanes.data());
}

// Lane i is f(i).
template <typename T, unsigned Elems, typename F>
aie::vector<T, Elems> generate(F f) {
  alignas(64) std::array<T, Elems> lanes;
  for (unsigned i = 0; i < Elems; ++i) lanes[i] = static_cast<T>(f(i));
  return aie::load_unaligned_v<Elems>(lanes.data());
}

// As doubles, which hold every lane exactly and print as numbers.
template <typename T, unsigned Elems>
std::vector<double> lanes(const aie::vector<T, Elems>& v) {
  std::vector<double> result;
  for (unsigned i = 0; i < Elems; ++i) result.push_back(static_cast<double>(v.get(i)));
  return result;
}

// The lanes of an accumulator, as they are.
template <typename Tag, unsigned Elems>
std::vector<double> lanes(const aie::accum<Tag, Elems>& a) {
  if constexpr (std::is_same_v<Tag, accfloat>) {
    return lanes(a.template to_vector<float>());
  } else if constexpr (aie::accum<Tag, Elems>::accum_bits() == 32) {
    return lanes(a.template to_vector<int32>());
  } else {
    // Halves of 64-bit lanes through 32-bit ones, with the modes of the test left alone.
    const auto rounding = aie::swap_rounding(aie::rounding_mode::floor);
    const auto saturation = aie::swap_saturation(aie::saturation_mode::none);
    const auto high = lanes(a.template to_vector<int32>(32));
    const auto low = lanes(a.template to_vector<uint32>(0));
    aie::set_rounding(rounding);
    aie::set_saturation(saturation);
    std::vector<double> result;
    for (unsigned i = 0; i < Elems; ++i) result.push_back(high[i] * 4294967296.0 + low[i]);
    return result;
  }
}

template <unsigned Elems>
std::string bits(const aie::mask<Elems>& m) {
  std::string result;
  for (unsigned i = 0; i < Elems; ++i) result += m.test(i) ? '1' : '0';
  return result;
}

// The message of the stop that `action` runs into.
template <typename F>
std::string message_of(F action) {
  try {
    action();
  } catch (const aie_host::Error& error) {
    return error.what();
  }
  return "no stop";
}

#endif  // HCCS_TESTS_AIE_HOST_LANES_H_
