// SPDX-License-Identifier: Apache-2.0
//
// Elementwise arithmetic on vectors and accumulators without products: add, sub, their saturating forms, max, min,
// maxdiff, abs, neg, bits, shifts. Semantics: Xilinx/aie_api, aie.hpp, groups arithmetic, compare, bitwise.
#ifndef AIE_API_ARITH_HPP_
#define AIE_API_ARITH_HPP_

#include <cstdint>
#include <type_traits>

#include "aie_api/accum.hpp"
#include "aie_api/convert.hpp"
#include "aie_api/lanes.hpp"
#include "aie_api/modes.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

namespace detail {

// Two vector operands, or a vector and a scalar of its element type: what elementwise operations take.
template <typename A, typename B>
struct pair_traits {
  static constexpr bool valid = false;
};
template <Vector A, Vector B>
struct pair_traits<A, B> {
  static constexpr bool valid = is_same_vector_v<A, B>;
  using type = vector<typename A::value_type, A::size()>;
};
template <Vector A, Elem B>
struct pair_traits<A, B> {
  static constexpr bool valid = is_valid_elem_op_v<B, typename A::value_type>;
  using type = vector<typename A::value_type, A::size()>;
};
template <Elem A, Vector B>
struct pair_traits<A, B> {
  static constexpr bool valid = is_valid_elem_op_v<A, typename B::value_type>;
  using type = vector<typename B::value_type, B::size()>;
};

}  // namespace detail

template <typename A, typename B>
concept ElementwisePair = detail::pair_traits<A, B>::valid;

// Two vectors of integers, or an integer and a vector: the API has no bit operation whose second operand is a number.
template <typename A, typename B>
concept BitwisePair = ElementwisePair<A, B> && Vector<B> && std::is_integral_v<typename B::value_type>;

// A vector or a scalar that an accumulator can take up: floats into accfloat, integers into the others.
template <typename A, typename T>
concept AccumTakes = Accum<A> && ElemBaseType<T> && A::is_floating_point()
== detail::is_floating_point_v<T>;

namespace detail {

template <typename A, typename B>
using pair_vector_t = typename pair_traits<A, B>::type;

template <typename A, typename B, typename F>
auto elementwise(aie_host::Operation operation, const A& a, const B& b, F f) {
  return map<pair_vector_t<A, B>>(operation, {}, f, operand(a), operand(b));
}

// Float vectors are added in accumulators: bfloat16 results are rounded as the tile says.
template <typename T>
struct Plus {
  rounding_mode rounding = current_rounding();
  bool minus = false;
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, float>) {
      return flush(minus ? flush(a) - flush(b) : flush(a) + flush(b));
    } else if constexpr (std::is_same_v<T, bfloat16>) {
      return round_to_bfloat16(minus ? flush(a) - flush(b) : flush(a) + flush(b), rounding);
    } else {
      return minus ? wrap_sub(a, b) : wrap_add(a, b);
    }
  }
};

}  // namespace detail

// a + b, a - b: integers wrap.
template <typename A, typename B>
requires ElementwisePair<A, B>
auto add(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kAdd, a, b, detail::Plus<T>{});
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto sub(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kSub, a, b, detail::Plus<T>{.minus = true});
}

// a + b, a - b: clamped or wrapped as the saturation mode says.
template <typename A, typename B>
requires ElementwisePair<A, B>
auto saturating_add(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  static_assert(!detail::is_floating_point_v<T>, "saturating_add is for integers");
  const saturation_mode mode = detail::current_saturation();
  return detail::elementwise(aie_host::Operation::kSaturatingAdd, a, b, [mode](T x, T y) {
    return detail::clamp_or_wrap<T>(static_cast<std::int64_t>(x) + static_cast<std::int64_t>(y), mode,
                                    detail::is_signed_v<T>);
  });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto saturating_sub(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  static_assert(!detail::is_floating_point_v<T>, "saturating_sub is for integers");
  const saturation_mode mode = detail::current_saturation();
  return detail::elementwise(aie_host::Operation::kSaturatingSub, a, b, [mode](T x, T y) {
    return detail::clamp_or_wrap<T>(static_cast<std::int64_t>(x) - static_cast<std::int64_t>(y), mode,
                                    detail::is_signed_v<T>);
  });
}

template <typename A, typename B>
requires ElementwisePair<A, B>
auto max(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kMax, a, b, [](T x, T y) { return x < y ? y : x; });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto min(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kMin, a, b, [](T x, T y) { return y < x ? y : x; });
}
// a > b ? a - b : 0. The difference wraps in T: 127 - (-128) in int8 is -1.
template <typename A, typename B>
requires ElementwisePair<A, B>
auto maxdiff(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kMaxdiff, a, b,
                             [minus = detail::Plus<T>{.minus = true}](T x, T y) { return y < x ? minus(x, y) : T(0); });
}
namespace detail {
// The bits of an operand as another type of the same width.
template <typename T, typename X>
auto operand_as(const X& x) {
  if constexpr (Vector<X>) {
    return vector_cast<T>(x);
  } else {
    return static_cast<T>(operand_base_type_t<X>(x));
  }
}
}  // namespace detail
// max and min of the lanes taken as signed or unsigned numbers, whatever their type says.
template <typename A, typename B>
requires(ElementwisePair<A, B>&& std::is_integral_v<typename detail::pair_vector_t<A, B>::value_type>) auto max(
    const A& a, const B& b, bool sign) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  using S = std::make_signed_t<T>;
  using U = std::make_unsigned_t<T>;
  return sign ? max(detail::operand_as<S>(a), detail::operand_as<S>(b)).template cast_to<T>()
              : max(detail::operand_as<U>(a), detail::operand_as<U>(b)).template cast_to<T>();
}
template <typename A, typename B>
requires(ElementwisePair<A, B>&& std::is_integral_v<typename detail::pair_vector_t<A, B>::value_type>) auto min(
    const A& a, const B& b, bool sign) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  using S = std::make_signed_t<T>;
  using U = std::make_unsigned_t<T>;
  return sign ? min(detail::operand_as<S>(a), detail::operand_as<S>(b)).template cast_to<T>()
              : min(detail::operand_as<U>(a), detail::operand_as<U>(b)).template cast_to<T>();
}
template <Vector V, typename Lo, typename Hi>
requires ElementwisePair<V, Lo> && ElementwisePair<V, Hi>
auto clamp(const V& v, const Lo& lo, const Hi& hi) { return min(max(v, lo), hi); }

// |x|, -x: of the lowest integer, itself.
template <Vector V>
auto abs(const V& v) {
  using T = typename V::value_type;
  return detail::map<vector<T, V::size()>>(
      aie_host::Operation::kAbs, {},
      [](T x) {
        if constexpr (std::is_same_v<T, bfloat16>) {
          return bfloat16::from_bits(x.bits & 0x7fffu);
        } else if constexpr (std::is_same_v<T, float>) {
          return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffu);
        } else if constexpr (std::is_signed_v<T>) {
          return x < 0 ? detail::wrap_sub(T(0), x) : x;
        } else {
          return x;
        }
      },
      detail::operand(v));
}
template <Vector V>
auto neg(const V& v) {
  using T = typename V::value_type;
  return detail::map<vector<T, V::size()>>(
      aie_host::Operation::kNeg, {},
      [](T x) {
        if constexpr (std::is_same_v<T, bfloat16>) {
          return bfloat16::from_bits(x.bits ^ 0x8000u);
        } else if constexpr (std::is_same_v<T, float>) {
          return -x;
        } else if constexpr (std::is_signed_v<T>) {
          return detail::wrap_sub(T(0), x);
        } else {
          return x;  // as the API defines it
        }
      },
      detail::operand(v));
}

template <typename A, typename B>
requires BitwisePair<A, B>
auto bit_and(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kBitAnd, a, b, [](T x, T y) { return static_cast<T>(x & y); });
}
template <typename A, typename B>
requires BitwisePair<A, B>
auto bit_or(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kBitOr, a, b, [](T x, T y) { return static_cast<T>(x | y); });
}
template <typename A, typename B>
requires BitwisePair<A, B>
auto bit_xor(const A& a, const B& b) {
  using T = typename detail::pair_vector_t<A, B>::value_type;
  return detail::elementwise(aie_host::Operation::kBitXor, a, b, [](T x, T y) { return static_cast<T>(x ^ y); });
}
template <Vector V>
requires std::is_integral_v<typename V::value_type>
auto bit_not(const V& v) {
  using T = typename V::value_type;
  return detail::map<vector<T, V::size()>>(
      aie_host::Operation::kBitNot, {}, [](T x) { return static_cast<T>(~x); }, detail::operand(v));
}

namespace detail {
// Shifts go through an accumulator and back: the modes apply to what falls off at either end. `Through` is the type
// whose signedness counts.
template <typename Through, typename V>
auto shift_lanes(aie_host::Operation operation, const V& v, unsigned up, unsigned down) {
  using T = typename V::value_type;
  static_assert(!is_floating_point_v<T>, "shifts are for integers");
  require(up <= kMaxShift && down <= kMaxShift, "shift beyond aie::max_shift");
  using Acc = accum_lane_t<accum_tag_for_type_t<T>>;
  const rounding_mode rounding = current_rounding();
  const saturation_mode saturation = current_saturation();
  return map<vector<T, V::size()>>(
      operation, {static_cast<std::int64_t>(up + down)},
      [=](T x) {
        const std::int64_t acc =
            shift_up<Acc>(static_cast<std::int64_t>(static_cast<Through>(x)), static_cast<int>(up), saturation, true);
        return static_cast<T>(
            shift_round_saturate<Through>(acc, static_cast<int>(down), is_signed_v<Through>, rounding, saturation));
      },
      operand(v));
}
}  // namespace detail

// v * 2^shift, v / 2^shift: rounded and saturated as the tile's modes say.
template <Vector V>
auto upshift(const V& v, unsigned shift) {
  return detail::shift_lanes<typename V::value_type>(aie_host::Operation::kUpshift, v, shift, 0);
}
template <Vector V>
auto downshift(const V& v, unsigned shift) {
  return detail::shift_lanes<typename V::value_type>(aie_host::Operation::kDownshift, v, 0, shift);
}
// v as unsigned, / 2^shift.
template <Vector V>
auto logical_downshift(const V& v, unsigned shift) {
  return detail::shift_lanes<std::make_unsigned_t<typename V::value_type>>(aie_host::Operation::kLogicalDownshift, v, 0,
                                                                           shift);
}

// --- Scalars: floats as in one lane of a vector, the rest as in C++ ---

template <typename T>
requires detail::is_floating_point_v<T> T max(T a, T b) {
  T result = a < b ? b : a;
  detail::note(aie_host::Operation::kMax, result, {}, a, b);
  return result;
}
template <typename T>
requires detail::is_floating_point_v<T> T min(T a, T b) {
  T result = b < a ? b : a;
  detail::note(aie_host::Operation::kMin, result, {}, a, b);
  return result;
}
template <typename T>
requires detail::is_floating_point_v<T> T add(T a, T b) {
  T result = detail::Plus<T>{}(a, b);
  detail::note(aie_host::Operation::kAdd, result, {}, a, b);
  return result;
}
template <typename T>
requires detail::is_floating_point_v<T> T sub(T a, T b) {
  T result = detail::Plus<T>{.minus = true}(a, b);
  detail::note(aie_host::Operation::kSub, result, {}, a, b);
  return result;
}

// --- Accumulators ---

namespace detail {
template <typename A, typename B>
A accumulate(aie_host::Operation operation, const A& a, const B& b, bool minus) {
  using Lane = accum_lane_t<typename A::value_type>;
  return map<A>(
      operation, {},
      [minus](Lane x, Lane y) {
        if constexpr (std::is_same_v<Lane, float>) {
          return flush(minus ? flush(x) - flush(y) : flush(x) + flush(y));
        } else {
          return minus ? wrap_sub(x, y) : wrap_add(x, y);
        }
      },
      a, b);
}
}  // namespace detail

template <Accum A>
A add(const A& a, const A& b) {
  return detail::accumulate(aie_host::Operation::kAdd, a, b, false);
}
template <Accum A>
A sub(const A& a, const A& b) {
  return detail::accumulate(aie_host::Operation::kSub, a, b, true);
}
// A vector or a scalar is widened first, as from_vector does.
template <Accum A, Vector V>
requires(A::size() == V::size() && AccumTakes<A, typename V::value_type>) A add(const A& a, const V& v) {
  return add(a, A(vector<typename V::value_type, V::size()>(v)));
}
template <Accum A, Vector V>
requires(A::size() == V::size() && AccumTakes<A, typename V::value_type>) A sub(const A& a, const V& v) {
  return sub(a, A(vector<typename V::value_type, V::size()>(v)));
}
template <Accum A, Elem E>
requires AccumTakes<A, operand_base_type_t<E>> A add(const A& a, E e) { return add(a, A(broadcast<E, A::size()>(e))); }
template <Accum A, Elem E>
requires AccumTakes<A, operand_base_type_t<E>> A sub(const A& a, E e) { return sub(a, A(broadcast<E, A::size()>(e))); }
template <Accum A>
A neg(const A& a) {
  using Lane = detail::accum_lane_t<typename A::value_type>;
  return detail::map<A>(
      aie_host::Operation::kNeg, {},
      [](Lane x) {
        if constexpr (std::is_same_v<Lane, float>) {
          return -x;
        } else {
          return detail::wrap_sub(Lane{0}, x);
        }
      },
      a);
}

}  // namespace aie

#endif  // AIE_API_ARITH_HPP_
