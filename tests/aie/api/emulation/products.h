// SPDX-License-Identifier: Apache-2.0
//
// Part 7: products, which begin or go on with an accumulator.
#ifndef HCCS_TESTS_AIE_API_PRODUCTS_H_
#define HCCS_TESTS_AIE_API_PRODUCTS_H_

#include <array>
#include <tuple>
#include <utility>

#include "accumulate.h"

namespace emulated {

// What a multiplication adds to an accumulator of kLanes lanes of A.
template <typename A, unsigned kLanes>
struct Products {
  using Sum = Register<A, kLanes>;
  std::array<std::conditional_t<std::is_same_v<A, accfloat>, double, int64_t>, kLanes> lane;

  template <typename F>
  static Products of(F product) {
    Products products;
    for (unsigned i = 0; i < kLanes; ++i) products.lane[i] = product(i);
    return products;
  }
  Sum add_to(const Sum& start, bool zero, bool negate, bool negate_start) const {
    return Sum::of([&](unsigned i) {
      if constexpr (std::is_same_v<A, accfloat>) {
        const double sum = zero ? 0.0 : flush(start[i]);
        return flush(static_cast<float>((negate_start ? -sum : sum) + (negate ? -lane[i] : lane[i])));
      } else {
        const uint64_t sum = zero ? 0 : static_cast<uint64_t>(start[i]);
        const auto product = static_cast<uint64_t>(lane[i]);
        return (negate_start ? -sum : sum) + (negate ? -product : product);
      }
    });
  }
};

// Lane by lane.
template <typename A, unsigned kLanes, Integer T, Integer U, unsigned kA, unsigned kB>
auto lane_products(const Register<T, kA>& a, bool sa, const Register<U, kB>& b, bool sb) {
  return Products<A, kLanes>::of([&](unsigned i) { return lane(a, i, sa) * lane(b, i, sb); });
}
// A matrix of kRows x kInner by one of kInner x kColumns, each in the lowest lanes of its register, row after row.
template <typename A, unsigned kRows, unsigned kInner, unsigned kColumns, Integer T, Integer U, unsigned kA,
          unsigned kB>
auto matrix_products(const Register<T, kA>& a, bool sa, const Register<U, kB>& b, bool sb) {
  return Products<A, kRows * kColumns>::of([&](unsigned i) {
    int64_t sum = 0;
    for (unsigned k = 0; k < kInner; ++k) {
      sum += lane(a, i / kColumns * kInner + k, sa) * lane(b, k * kColumns + i % kColumns, sb);
    }
    return sum;
  });
}
// Of bf16 numbers. The device's are a little less exact, which the stated tolerances of the kernel that uses them leave
// room for.
inline double bf16_product(const Register<bfloat16, 32>& a, const Register<bfloat16, 32>& b, unsigned i) {
  return static_cast<double>(a[i]) * static_cast<double>(b[i]);
}

// ---- The shapes, by the names that intrinsics have for them. A flag beside an operand says whether it is signed.

template <typename T>
using Register8 = Register<T, 64>;
template <typename T>
using Register16 = Register<T, 32>;
template <typename T>
using Register32 = Register<T, 16>;
using Bf16Register = Register<bfloat16, 32>;

// Two registers of 32 bits on the left: the products of both are added.
struct elem_16_2 {
  template <IntegerOf<32> T, IntegerOf<16> U>
  static auto of(const Register32<T>& a, const Register32<T>& a2, bool sa, const Register16<U>& b, bool sb) {
    return Products<acc64, 16>::of(
        [&](unsigned i) { return lane(a, i, sa) * lane(b, i, sb) + lane(a2, i, sa) * lane(b, i + 16, sb); });
  }
  static auto of(const Bf16Register& a, const Bf16Register& b) {
    return Products<accfloat, 16>::of([&](unsigned i) { return bf16_product(a, b, i) + bf16_product(a, b, i + 16); });
  }
};

struct elem_32 {
  template <IntegerOf<16> T, IntegerOf<16> U>
  static auto of(const Register16<T>& a, bool sa, const Register16<U>& b, bool sb) {
    return lane_products<acc32, 32>(a, sa, b, sb);
  }
  // Two registers of 32 bits on the left: one after the other.
  template <IntegerOf<32> T, IntegerOf<16> U>
  static auto of(const Register32<T>& a, const Register32<T>& a2, bool sa, const Register16<U>& b, bool sb) {
    return Products<acc64, 32>::of([&](unsigned i) { return lane(i < 16 ? a : a2, i % 16, sa) * lane(b, i, sb); });
  }
  static auto of(const Bf16Register& a, bool, const Bf16Register& b, bool) {
    return Products<accfloat, 32>::of([&](unsigned i) { return bf16_product(a, b, i); });
  }
  static auto of(const Bf16Register& a, bool sa, const bfloat16& b, bool sb) {
    return of(a, sa, broadcast_to<Bf16Register>(b), sb);
  }
};

struct elem_32_2 {
  template <IntegerOf<8> T, IntegerOf<8> U>
  static auto of(const Register8<T>& a, bool sa, const Register8<U>& b, bool sb) {
    return Products<acc32, 32>::of(
        [&](unsigned i) { return lane(a, i, sa) * lane(b, i, sb) + lane(a, i + 32, sa) * lane(b, i + 32, sb); });
  }
};

struct elem_64 {
  template <Integer T, Integer U>
  requires(sizeof(T) == sizeof(U) && sizeof(T) <= 2) static auto of(const Register<T, 64>& a, bool sa,
                                                                    const Register<U, 64>& b, bool sb) {
    return lane_products<acc32, 64>(a, sa, b, sb);
  }
  template <Integer T, Integer U>
  requires(sizeof(T) == sizeof(U) && sizeof(T) <= 2) static auto of(const Register<T, 64>& a, bool sa, U b, bool sb) {
    return of(a, sa, broadcast_to<Register<U, 64>>(b), sb);
  }
};

struct matrix_4x8_8x8 {
  template <IntegerOf<8> T, IntegerOf<8> U>
  static auto of(const Register8<T>& a, bool sa, const Register8<U>& b, bool sb) {
    return matrix_products<acc32, 4, 8, 8>(a, sa, b, sb);
  }
  template <IntegerOf<16> T, IntegerOf<8> U>
  static auto of(const Register16<T>& a, bool sa, const Register8<U>& b, bool sb) {
    return matrix_products<acc64, 4, 8, 8>(a, sa, b, sb);
  }
};
struct matrix_8x8_8x8 {
  template <IntegerOf<8> T, IntegerOf<8> U>
  static auto of(const Register8<T>& a, bool sa, const Register8<U>& b, bool sb) {
    return matrix_products<acc32, 8, 8, 8>(a, sa, b, sb);
  }
};
struct matrix_4x8_8x4 {
  template <IntegerOf<16> T, IntegerOf<8> U>
  static auto of(const Register16<T>& a, bool sa, const Register8<U>& b, bool sb) {
    return matrix_products<acc64, 4, 8, 4>(a, sa, b, sb);
  }
};
struct matrix_4x4_4x8 {
  template <IntegerOf<16> T, IntegerOf<16> U>
  static auto of(const Register16<T>& a, bool sa, const Register16<U>& b, bool sb) {
    return matrix_products<acc64, 4, 4, 8>(a, sa, b, sb);
  }
};

// How many of the arguments are the shape's operands: a, b; a, b and whether they are signed; the same with two
// registers on the left; 0 if these are none.
template <typename Shape, size_t kCount, typename Arguments>
inline constexpr bool kTakes = false;
template <typename Shape, size_t kCount, typename... A>
requires(sizeof...(A) >= kCount) inline constexpr bool kTakes<Shape, kCount, std::tuple<A...>> = [
]<size_t... kI>(std::index_sequence<kI...>) {
  return requires(const std::tuple<A...>& a) { Shape::of(std::get<kI>(a)...); };
}
(std::make_index_sequence<kCount>());
template <typename Shape, typename Arguments>
inline constexpr size_t kOperands = kTakes<Shape, 5, Arguments>   ? 5
                                    : kTakes<Shape, 4, Arguments> ? 4
                                    : kTakes<Shape, 2, Arguments> ? 2
                                                                  : 0;

// The arguments after the operands: none; `negate`; the accumulator; the accumulator and `zero`, which takes it for 0,
// `negate` and `negate_start`; or these with a shift of it by 16, which is not here, after `zero`.
template <typename Shape, typename... A>
auto multiply(bool subtract, const A&... arguments) {
  const std::tuple<A...> all(arguments...);
  constexpr size_t kFirst = kOperands<Shape, std::tuple<A...>>;
  constexpr size_t kMore = sizeof...(A) - kFirst;
  const auto products = [&]<size_t... kI>(std::index_sequence<kI...>) { return Shape::of(std::get<kI>(all)...); }
  (std::make_index_sequence<kFirst>());
  using Sum = typename decltype(products)::Sum;
  if constexpr (kMore == 0) {
    return products.add_to(Sum(), true, subtract, false);
  } else if constexpr (kMore == 1) {
    const auto& last = std::get<kFirst>(all);
    if constexpr (std::is_same_v<std::decay_t<decltype(last)>, Sum>) {
      return products.add_to(last, false, subtract, false);
    } else {
      return products.add_to(Sum(), true, subtract != static_cast<bool>(last), false);
    }
  } else {
    static_assert(kMore == 4 || kMore == 5);
    if (kMore == 5 && std::get<kFirst + 2>(all) != 0) missing("product with a shift of its accumulator");
    const bool negate = std::get<kFirst + kMore - 2>(all) != 0;
    const bool negate_start = std::get<kFirst + kMore - 1>(all) != 0;
    return products.add_to(std::get<kFirst>(all), std::get<kFirst + 1>(all) != 0, subtract != negate, negate_start);
  }
}

}  // namespace emulated

#define HCCS_PRODUCT(name, Shape, subtract)                                                                     \
  template <typename... A>                                                                                      \
  requires(emulated::kOperands<emulated::Shape, std::tuple<A...>> != 0 && !(emulated::HoldsRegister<A> || ...)) \
      INTRINSIC auto                                                                                            \
      name(const A&... a) {                                                                                     \
    return emulated::multiply<emulated::Shape>(subtract, a...);                                                 \
  }
#define HCCS_PRODUCTS(name, Shape)                \
  HCCS_PRODUCT(mul_##name, Shape, false)          \
  HCCS_PRODUCT(mul_##name##_conf, Shape, false)   \
  HCCS_PRODUCT(negmul_##name, Shape, true)        \
  HCCS_PRODUCT(negmul_##name##_conf, Shape, true) \
  HCCS_PRODUCT(mac_##name, Shape, false)          \
  HCCS_PRODUCT(mac_##name##_conf, Shape, false)   \
  HCCS_PRODUCT(msc_##name, Shape, true)           \
  HCCS_PRODUCT(msc_##name##_conf, Shape, true)
HCCS_PRODUCTS(elem_16_2, elem_16_2)
HCCS_PRODUCTS(elem_32, elem_32)
HCCS_PRODUCTS(elem_32_2, elem_32_2)
HCCS_PRODUCTS(elem_64, elem_64)
HCCS_PRODUCTS(4x8_8x8, matrix_4x8_8x8)
HCCS_PRODUCTS(8x8_8x8, matrix_8x8_8x8)
HCCS_PRODUCTS(4x8_8x4, matrix_4x8_8x4)
HCCS_PRODUCTS(4x4_4x8, matrix_4x4_4x8)

#endif  // HCCS_TESTS_AIE_API_PRODUCTS_H_
