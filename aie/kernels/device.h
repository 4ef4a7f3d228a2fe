// SPDX-License-Identifier: Apache-2.0
//
// What the kernels need of a device beside the AIE API: the mark of a loop, the modes of the tile, and the operations
// of the scalar unit, which are plain C++ and which the host's observer would not see otherwise.
#ifndef HCCS_AIE_KERNELS_DEVICE_H_
#define HCCS_AIE_KERNELS_DEVICE_H_

#include <aie_api/aie.hpp>
#include <cstdint>

// HCCS_LOOP(i, count, site, min) { ... }: i = 0 .. count-1, a loop that is worth a software pipeline and makes at least
// `min` passes. For the two compilers of devices, chess and Peano, it becomes their pragma, which a third one, such as
// that of AMD's x86 simulator, may refuse; on the host the passes are reported to the observer under the name `site`, a
// string literal.
#if __has_include(<aie_host/observe.h>)
#include <aie_host/observe.h>

#include <array>
#include <tuple>
#define HCCS_LOOP(i, count, site, min)             \
  if (::aie_host::Loop hccs_loop_##i(site); true)  \
    for (unsigned i = 0, hccs_count_##i = (count); \
         i < hccs_count_##i && (static_cast<void>(hccs_loop_##i.iteration()), true); ++i)
#elif defined(__chess__)
#define HCCS_LOOP(i, count, site, min)                                    \
  for (unsigned i = 0, hccs_count_##i = (count); i < hccs_count_##i; ++i) \
  chess_prepare_for_pipelining chess_loop_range((min), )
#elif defined(__PEANO__)
#define HCCS_PRAGMA(text) _Pragma(#text)
#define HCCS_LOOP(i, count, site, min)             \
  HCCS_PRAGMA(clang loop min_iteration_count(min)) \
  for (unsigned i = 0, hccs_count_##i = (count); i < hccs_count_##i; ++i)
#else
#define HCCS_LOOP(i, count, site, min) for (unsigned i = 0, hccs_count_##i = (count); i < hccs_count_##i; ++i)
#endif

namespace hccs_kernels {

// The device that is compiled for, as layout.h takes it.
inline constexpr int kArch = __AIE_ARCH__;

// Sets the tile's modes, and restores those that it found.
class RoundingSaturation {
 public:
  RoundingSaturation(aie::rounding_mode rounding, aie::saturation_mode saturation)
      : rounding_(aie::swap_rounding(rounding)), saturation_(aie::swap_saturation(saturation)) {}
  ~RoundingSaturation() {
    aie::set_rounding(rounding_);
    aie::set_saturation(saturation_);
  }
  RoundingSaturation(const RoundingSaturation&) = delete;
  RoundingSaturation& operator=(const RoundingSaturation&) = delete;

 private:
  aie::rounding_mode rounding_;
  aie::saturation_mode saturation_;
};

// `value`, which plain C++ made of `inputs` by one instruction of the scalar unit. The host's observer, which does not
// see plain C++, sees it as "scalar".
template <typename T, typename... In>
inline T scalar(T value, [[maybe_unused]] In... inputs) {
#if __has_include(<aie_host/observe.h>)
  aie::detail::note(aie_host::Operation::kScalar, value, {}, inputs...);
#endif
  return value;
}

// *from, and *to = value, by the scalar unit, for the observer too.
template <typename T>
inline T load_scalar(const T* from) {
  T value = *from;
#if __has_include(<aie_host/observe.h>)
  aie::detail::note_scalar_access(aie_host::Operation::kLoadScalar, value, from);
#endif
  return value;
}
template <typename T>
inline void store_scalar(T* to, T value) {
  *to = value;
#if __has_include(<aie_host/observe.h>)
  aie::detail::note_scalar_access(aie_host::Operation::kStoreScalar, value, to);
#endif
}

// The mask whose words of 32 lanes are at these places, loaded by the scalar unit, for the observer too.
template <typename... Words>
inline aie::mask<32 * sizeof...(Words)> load_mask(const Words*... words) {
  using Mask = aie::mask<32 * sizeof...(Words)>;
#if __has_include(<aie_host/observe.h>)
  if (aie_host::observed()) {  // a load a word
    const auto load = [](const uint32* word) {
      auto mask = aie::mask<32>::from_uint32(*word);
      aie::detail::note_mask_load(mask, word);
      return mask;
    };
    const std::array loaded{load(words)...};
    return std::apply([](const auto&... masks) { return Mask::from_masks(masks...); }, loaded);
  }
#endif
  return Mask::from_uint32(*words...);
}

// bfloat16 * 2^shift to the next lower integers, which must fit, with any API: by aie::to_fixed_floor, which is looked
// up by its argument; where there is none, up to the API of 2024.2, aie::to_fixed rounds down.
template <typename Lanes>
inline auto floor_to_int16(const Lanes& lanes, int shift) {
  if constexpr (requires { to_fixed_floor<int16>(lanes, shift); }) {
    return to_fixed_floor<int16>(lanes, shift);
  } else {
    return aie::to_fixed<int16>(lanes, shift);
  }
}

constexpr int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

// floor(log2 z), z > 0.
inline int floor_log2(int32_t z) {
  const int zeros = ::clb(static_cast<int>(z));
  return scalar(31 - zeros, zeros);
}

// floor(a / b), a >= 0, b > 0, by the scalar unit: a routine of 32 dependent steps on a device. The host's observer
// sees it as "divide".
inline int32_t divide(int32_t a, int32_t b) {
  int32_t quotient = a / b;
#if __has_include(<aie_host/observe.h>)
  aie::detail::note(aie_host::Operation::kDivide, quotient, {}, a, b);
#endif
  return quotient;
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_DEVICE_H_
