// SPDX-License-Identifier: Apache-2.0
//
// Element types, accumulator tags and what is known about them at compile time. Names as in AMD's AIE API
// (Xilinx/aie_api: types.hpp, concepts.hpp), which puts the element types and the tags in the global namespace.
#ifndef AIE_API_TYPES_HPP_
#define AIE_API_TYPES_HPP_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "aie_host/arch.h"
#include "aie_host/observe.h"

using int8 = std::int8_t;
using int16 = std::int16_t;
using int32 = std::int32_t;
using uint8 = std::uint8_t;
using uint16 = std::uint16_t;
using uint32 = std::uint32_t;

// The upper half of a float. A scalar conversion from float rounds to nearest, ties to even, whatever the tile's
// rounding mode; vector conversions (accum::to_vector<bfloat16>) obey the mode.
struct bfloat16 {
  std::uint16_t bits;

  bfloat16() = default;
  constexpr bfloat16(float value) : bits(round_to_nearest_even(std::bit_cast<std::uint32_t>(value))) {}
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

  static constexpr bfloat16 from_bits(std::uint16_t value_bits) {
    bfloat16 result(0.0f);
    result.bits = value_bits;
    return result;
  }

 private:
  static constexpr std::uint16_t round_to_nearest_even(std::uint32_t value) {
    if ((value & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((value >> 16) | 0x40u);  // NaN stays one
    return static_cast<std::uint16_t>((value + 0x7fffu + ((value >> 16) & 1u)) >> 16);
  }
};

template <>
class std::numeric_limits<bfloat16> {
 public:
  static constexpr bool is_specialized = true;
  static constexpr bool is_signed = true;
  static constexpr bool is_integer = false;
  static constexpr bool has_infinity = true;
  static constexpr bfloat16 min() noexcept { return bfloat16::from_bits(0x0080); }
  static constexpr bfloat16 max() noexcept { return bfloat16::from_bits(0x7f7f); }
  static constexpr bfloat16 lowest() noexcept { return bfloat16::from_bits(0xff7f); }
  static constexpr bfloat16 epsilon() noexcept { return bfloat16::from_bits(0x3c00); }
  static constexpr bfloat16 infinity() noexcept { return bfloat16::from_bits(0x7f80); }
};

// Accumulator tags: at least so many bits a lane. These devices have 32-bit and 64-bit integer accumulators, so
// acc40 to acc64 are all 64 bits wide.
struct acc32 {};
struct acc40 {};
struct acc48 {};
struct acc56 {};
struct acc64 {};
struct accfloat {};
struct accauto {};  // "whatever the operands need"; not for users

namespace aie {

template <typename T, typename... Ts>
inline constexpr bool is_one_of_v = (std::is_same_v<T, Ts> || ...);

template <typename T>
concept ElemBaseType = is_one_of_v<T, int8, uint8, int16, uint16, int32, uint32, bfloat16, float>;

template <typename T>
concept AccumElemBaseType = is_one_of_v<T, acc32, acc40, acc48, acc56, acc64, accfloat>;

template <ElemBaseType T, unsigned Elems>
class vector;
template <AccumElemBaseType Tag, unsigned Elems>
class accum;
template <unsigned Elems>
class mask;
template <ElemBaseType T, unsigned Elems>
class vector_ref;
template <ElemBaseType T, unsigned Elems>
class vector_elem_ref;
template <ElemBaseType T, unsigned Elems>
class vector_elem_const_ref;

namespace detail {

template <typename T>
inline constexpr bool is_floating_point_v = is_one_of_v<T, bfloat16, float>;

template <typename T>
inline constexpr bool is_signed_v = is_floating_point_v<T> || std::is_signed_v<T>;

template <typename T>
inline constexpr unsigned type_bits_v = 8 * sizeof(T);

// What a lane of an accumulator is stored in.
template <typename Tag>
using accum_lane_t = std::conditional_t<std::is_same_v<Tag, accfloat>, float,
                                        std::conditional_t<std::is_same_v<Tag, acc32>, std::int32_t, std::int64_t>>;

template <typename Tag>
inline constexpr unsigned accum_bits_v = 8 * sizeof(accum_lane_t<Tag>);

// The accumulator of a product, if the user names none (aie_api, default_accum_bits).
template <typename A, typename B>
struct default_accum_tag {
  static_assert(is_floating_point_v<A> == is_floating_point_v<B>, "integers do not multiply with floats");
  static constexpr unsigned wide = type_bits_v<A> > type_bits_v<B> ? type_bits_v<A> : type_bits_v<B>;
  static constexpr unsigned narrow = type_bits_v<A> > type_bits_v<B> ? type_bits_v<B> : type_bits_v<A>;
  using type =
      std::conditional_t<is_floating_point_v<A>, accfloat,
                         std::conditional_t<(wide <= 16), acc32, std::conditional_t<(narrow <= 16), acc48, acc64>>>;
};
template <typename A, typename B>
using default_accum_tag_t = typename default_accum_tag<A, B>::type;

// The accumulator that holds values of one element type.
template <typename T>
using accum_tag_for_type_t = default_accum_tag_t<T, T>;

template <typename T>
constexpr aie_host::Element element() {
  using aie_host::Element;
  if constexpr (std::is_same_v<T, int8>) return Element::kInt8;
  if constexpr (std::is_same_v<T, uint8>) return Element::kUint8;
  if constexpr (std::is_same_v<T, int16>) return Element::kInt16;
  if constexpr (std::is_same_v<T, uint16>) return Element::kUint16;
  if constexpr (std::is_same_v<T, int32>) return Element::kInt32;
  if constexpr (std::is_same_v<T, uint32>) return Element::kUint32;
  if constexpr (std::is_same_v<T, std::int64_t>) return Element::kInt64;
  if constexpr (std::is_same_v<T, std::uint64_t>) return Element::kUint64;
  if constexpr (std::is_same_v<T, bfloat16>) return Element::kBfloat16;
  if constexpr (std::is_same_v<T, float>) return Element::kFloat;
  if constexpr (std::is_same_v<T, acc32>) return Element::kAcc32;
  if constexpr (is_one_of_v<T, acc40, acc48, acc56, acc64>) return Element::kAcc64;
  if constexpr (std::is_same_v<T, accfloat>) return Element::kAccFloat;
  if constexpr (std::is_same_v<T, bool>) return Element::kBit;
  return Element::kNone;
}

template <typename T>
struct vector_traits {
  static constexpr bool is_vector = false;
};
template <typename T, unsigned Elems>
struct vector_traits<vector<T, Elems>> {
  static constexpr bool is_vector = true;
};
template <typename T, unsigned Elems>
struct vector_traits<vector_ref<T, Elems>> {
  static constexpr bool is_vector = true;
};

template <typename T>
struct elem_ref_traits {
  static constexpr bool is_ref = false;
  using type = T;
};
template <typename T, unsigned Elems>
struct elem_ref_traits<vector_elem_ref<T, Elems>> {
  static constexpr bool is_ref = true;
  using type = T;
};
template <typename T, unsigned Elems>
struct elem_ref_traits<vector_elem_const_ref<T, Elems>> {
  static constexpr bool is_ref = true;
  using type = T;
};

template <typename T>
inline constexpr bool is_accum_v = false;
template <typename Tag, unsigned Elems>
inline constexpr bool is_accum_v<accum<Tag, Elems>> = true;

template <typename T>
inline constexpr bool is_mask_v = false;
template <unsigned Elems>
inline constexpr bool is_mask_v<mask<Elems>> = true;

}  // namespace detail

// A vector in a register, or one that an iterator refers to.
template <typename T>
concept Vector = detail::vector_traits<T>::is_vector;

template <typename T>
concept Accum = detail::is_accum_v<T>;

template <typename T>
concept Mask = detail::is_mask_v<T>;

// A scalar: a number or a reference to a vector's lane (v[i]).
template <typename T>
concept Elem = ElemBaseType<T> || detail::elem_ref_traits<T>::is_ref;

template <typename T>
using operand_base_type_t = typename detail::elem_ref_traits<T>::type;

// The API takes no implicit conversions: a scalar operand has the vector's element type.
template <typename E, typename T>
inline constexpr bool is_valid_elem_op_v = std::is_same_v<operand_base_type_t<E>, T>;

template <typename V1, typename V2>
inline constexpr bool is_same_vector_v =
    std::is_same_v<typename V1::value_type, typename V2::value_type>&& V1::size() == V2::size();

// Lanes of the vector registers: 512 bits (aie_api, native_vector_length).
template <typename T>
inline constexpr unsigned native_vector_length_v = 64 / sizeof(T);

}  // namespace aie

#endif  // AIE_API_TYPES_HPP_
