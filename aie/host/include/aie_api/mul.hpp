// SPDX-License-Identifier: Apache-2.0
//
// Elementwise products into accumulators. Semantics: Xilinx/aie_api, aie.hpp, group arithmetic.
//
// Integer accumulators wrap at 32 or 64 bits. bfloat16 products are exact and each addition is rounded once to float;
// denormals count as zero. A device emulates float products by bfloat16 ones, with an accuracy that its build chooses;
// here they are float's own.
#ifndef AIE_API_MUL_HPP_
#define AIE_API_MUL_HPP_

#include <cstdint>
#include <type_traits>

#include "aie_api/accum.hpp"
#include "aie_api/lanes.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

namespace detail {

// Two vectors of as many lanes, or a vector and a scalar; the types may differ.
template <typename A, typename B>
struct product_traits {
  static constexpr bool valid = false;
};
template <Vector A, Vector B>
struct product_traits<A, B> {
  static constexpr bool valid = A::size() == B::size();
  static constexpr unsigned elems = A::size();
  using first = typename A::value_type;
  using second = typename B::value_type;
};
template <Vector A, Elem B>
struct product_traits<A, B> {
  static constexpr bool valid = true;
  static constexpr unsigned elems = A::size();
  using first = typename A::value_type;
  using second = operand_base_type_t<B>;
};
template <Elem A, Vector B>
struct product_traits<A, B> {
  static constexpr bool valid = true;
  static constexpr unsigned elems = B::size();
  using first = operand_base_type_t<A>;
  using second = typename B::value_type;
};

// Which accumulators a product of two operands can have (aie_api, mul_acc32.hpp, mul_acc64.hpp, mul_acc32_fp.hpp).
// 32 bits: up to 16 x 16 bits; AIE-ML has 32 x 16 bits too, in 32 lanes, with a number of 16 bits in 16. 64 bits: from
// 8 x 16 bits on, but not a vector of bytes by a number of 16 bits in this order. 8 x 32 bits have no product.
template <typename A, typename B, typename Tag>
constexpr bool is_product_supported() {
  using Traits = product_traits<A, B>;
  constexpr unsigned bits_a = type_bits_v<typename Traits::first>;
  constexpr unsigned bits_b = type_bits_v<typename Traits::second>;
  if (is_floating_point_v<typename Traits::first> || is_floating_point_v<typename Traits::second>) {
    return std::is_same_v<typename Traits::first, typename Traits::second> && std::is_same_v<Tag, accfloat>;
  }
  if (std::is_same_v<Tag, accfloat>) return false;
  if (accum_bits_v<Tag> == 32) {
    const bool is_short_number = (!Vector<A> && bits_a == 16) || (!Vector<B> && bits_b == 16);
    return (bits_a <= 16 && bits_b <= 16) ||
           (aie_host::kAieMl && bits_a + bits_b == 48 && Traits::elems <= (is_short_number ? 16 : 32));
  }
  return bits_a + bits_b != 16 && bits_a + bits_b != 40 && !(bits_a == 8 && bits_b == 16 && !Vector<B>);
}

template <typename Lane, typename A, typename B>
constexpr Lane product(A a, B b) {
  using U = std::make_unsigned_t<Lane>;
  return static_cast<Lane>(static_cast<U>(static_cast<Lane>(a)) * static_cast<U>(static_cast<Lane>(b)));
}

enum class Product { kMul, kNegMul, kMac, kMsc };

template <Product kind, typename Acc, typename A, typename B>
Acc multiply(aie_host::Operation operation, const Acc* acc, const A& a, const B& b) {
  using Lane = accum_lane_t<typename Acc::value_type>;
  using T1 = typename product_traits<A, B>::first;
  using T2 = typename product_traits<A, B>::second;
  static_assert(is_product_supported<A, B, typename Acc::value_type>(),
                "the device has no product of these types into this accumulator");
  constexpr bool minus = kind == Product::kNegMul || kind == Product::kMsc;
  const auto f = [](Lane c, T1 x, T2 y) -> Lane {
    if constexpr (std::is_same_v<Lane, float>) {
      const double p = static_cast<double>(flush(x)) * static_cast<double>(flush(y));
      return flush(static_cast<float>(static_cast<double>(flush(c)) + (minus ? -p : p)));
    } else {
      const Lane p = product<Lane>(x, y);
      return minus ? wrap_sub(c, p) : wrap_add(c, p);
    }
  };
  if constexpr (kind == Product::kMac || kind == Product::kMsc) {
    return map<Acc>(operation, {}, f, *acc, operand(a), operand(b));
  } else {
    return map<Acc>(
        operation, {}, [f](T1 x, T2 y) { return f(Lane{0}, x, y); }, operand(a), operand(b));
  }
}

template <typename Tag, typename A, typename B>
using product_accum_t =
    accum<std::conditional_t<
              std::is_same_v<Tag, accauto>,
              default_accum_tag_t<typename product_traits<A, B>::first, typename product_traits<A, B>::second>, Tag>,
          product_traits<A, B>::elems>;

}  // namespace detail

template <typename A, typename B>
concept ProductPair = detail::product_traits<A, B>::valid;

// a * b, in the accumulator Tag or the default one of the types.
template <typename Tag = accauto, typename A, typename B>
requires ProductPair<A, B>
auto mul(const A& a, const B& b) {
  using Acc = detail::product_accum_t<Tag, A, B>;
  return detail::multiply<detail::Product::kMul, Acc>(aie_host::Operation::kMul, nullptr, a, b);
}
// -(a * b)
template <typename Tag = accauto, typename A, typename B>
requires ProductPair<A, B>
auto negmul(const A& a, const B& b) {
  using Acc = detail::product_accum_t<Tag, A, B>;
  return detail::multiply<detail::Product::kNegMul, Acc>(aie_host::Operation::kNegmul, nullptr, a, b);
}
// acc + a * b
template <Accum Acc, typename A, typename B>
requires(ProductPair<A, B>&& detail::product_traits<A, B>::elems == Acc::size()) Acc
    mac(const Acc& acc, const A& a, const B& b) {
  return detail::multiply<detail::Product::kMac, Acc>(aie_host::Operation::kMac, &acc, a, b);
}
// acc - a * b
template <Accum Acc, typename A, typename B>
requires(ProductPair<A, B>&& detail::product_traits<A, B>::elems == Acc::size()) Acc
    msc(const Acc& acc, const A& a, const B& b) {
  return detail::multiply<detail::Product::kMsc, Acc>(aie_host::Operation::kMsc, &acc, a, b);
}
template <typename Tag = accauto, Vector V>
auto mul_square(const V& v) {
  return mul<Tag>(v, v);
}
template <Accum Acc, Vector V>
Acc mac_square(const Acc& acc, const V& v) {
  return mac(acc, v, v);
}
template <Accum Acc, Vector V>
Acc msc_square(const Acc& acc, const V& v) {
  return msc(acc, v, v);
}

}  // namespace aie

#endif  // AIE_API_MUL_HPP_
