// SPDX-License-Identifier: Apache-2.0
//
// Comparisons into masks, select, and max and min with the mask of the choice. Semantics: Xilinx/aie_api, aie.hpp,
// group compare. A comparison of an undefined lane stops: its bit would be undefined.
#ifndef AIE_API_COMPARE_HPP_
#define AIE_API_COMPARE_HPP_

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "aie_api/arith.hpp"
#include "aie_api/lanes.hpp"
#include "aie_api/mask.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

namespace detail {

template <typename T>
struct is_scalar_operand : std::false_type {};
template <typename T>
struct is_scalar_operand<Scalar<T>> : std::true_type {};

template <typename X>
void require_comparable(aie_host::Operation operation, const X& x) {
  if constexpr (!is_scalar_operand<X>::value) require_defined(operation, x);
}

template <unsigned Elems, typename X, typename Y, typename F>
mask<Elems> compare_lanes(const X& x, const Y& y, F f) {
  mask<Elems> result;
  for (unsigned i = 0; i < Elems; ++i) {
    if (f(lane(x, i), lane(y, i))) Access::lanes(result).words[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  return result;
}

template <typename A, typename B, typename F>
auto compare(aie_host::Operation operation, const A& a, const B& b, F f) {
  const auto& x = operand(a);
  const auto& y = operand(b);
  require_comparable(operation, x);
  require_comparable(operation, y);
  auto result = compare_lanes<pair_vector_t<A, B>::size()>(x, y, f);
  note(operation, result, {}, x, y);
  return result;
}

}  // namespace detail

template <typename A, typename B>
requires ElementwisePair<A, B>
auto lt(const A& a, const B& b) {
  return detail::compare(aie_host::Operation::kLt, a, b, [](auto x, auto y) { return x < y; });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto gt(const A& a, const B& b) {
  return detail::compare(aie_host::Operation::kGt, a, b, [](auto x, auto y) { return x > y; });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto le(const A& a, const B& b) {
  return detail::compare(aie_host::Operation::kLe, a, b, [](auto x, auto y) { return x <= y; });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto ge(const A& a, const B& b) {
  return detail::compare(aie_host::Operation::kGe, a, b, [](auto x, auto y) { return x >= y; });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto eq(const A& a, const B& b) {
  return detail::compare(aie_host::Operation::kEq, a, b, [](auto x, auto y) { return x == y; });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto neq(const A& a, const B& b) {
  return detail::compare(aie_host::Operation::kNeq, a, b, [](auto x, auto y) { return x != y; });
}
template <typename A, typename B>
requires ElementwisePair<A, B>
bool equal(const A& a, const B& b) { return eq(a, b).full(); }
template <typename A, typename B>
requires ElementwisePair<A, B>
bool not_equal(const A& a, const B& b) { return !equal(a, b); }
template <Elem E, Vector V>
requires ElementwisePair<E, V>
bool contains(const E& e, const V& v) { return !eq(e, v).empty(); }

// Lane i from `a` where the mask's bit is 0, from `b` where it is 1.
template <typename A, typename B, Mask M>
requires(ElementwisePair<A, B>&& detail::pair_vector_t<A, B>::size() == M::size()) auto select(const A& a, const B& b,
                                                                                               const M& m) {
  const auto& x = detail::operand(a);
  const auto& y = detail::operand(b);
  detail::pair_vector_t<A, B> result;
  auto& out = detail::Access::lanes(result);
  const auto& words = detail::Access::lanes(m).words;
  const auto& x_defined = detail::defined<M::size()>(x);
  const auto& y_defined = detail::defined<M::size()>(y);
  const bool all = x_defined.is_all() && y_defined.is_all();
  if (all) out.defined = detail::DefinedLanes<M::size()>::all();
  for (unsigned i = 0; i < M::size(); ++i) {
    const bool second = (words[i / 64] >> (i % 64) & 1) != 0;
    out.value[i] = second ? detail::lane(y, i) : detail::lane(x, i);
    if (!all) out.defined.set(i, second ? y_defined.test(i) : x_defined.test(i));
  }
  detail::note(aie_host::Operation::kSelect, result, {}, x, y, m);
  return result;
}
template <Elem A, Elem B, Mask M>
requires is_valid_elem_op_v<A, operand_base_type_t<B>>
auto select(const A& a, const B& b, const M& m) { return select(broadcast<A, M::size()>(a), b, m); }

// max with the mask a < b, min with the mask a >= b (VMAX_LT, VMIN_GE).
template <Vector A, Vector B>
requires is_same_vector_v<A, B>
auto max_cmp(const A& a, const B& b) {
  const auto& x = detail::operand(a);
  const auto& y = detail::operand(b);
  using T = typename A::value_type;
  detail::require_defined(aie_host::Operation::kMaxCmp, x);
  detail::require_defined(aie_host::Operation::kMaxCmp, y);
  vector<T, A::size()> result;
  for (unsigned i = 0; i < A::size(); ++i) {
    detail::Access::lanes(result).value[i] = std::max<T>(detail::lane(x, i), detail::lane(y, i));
  }
  detail::Access::lanes(result).defined = detail::DefinedLanes<A::size()>::all();
  auto chosen = detail::compare_lanes<A::size()>(x, y, [](T p, T q) { return p < q; });
  detail::note_pair(aie_host::Operation::kMaxCmp, result, chosen, {}, x, y);
  return std::make_tuple(result, chosen);
}
template <Vector A, Vector B>
requires is_same_vector_v<A, B>
auto min_cmp(const A& a, const B& b) {
  const auto& x = detail::operand(a);
  const auto& y = detail::operand(b);
  using T = typename A::value_type;
  detail::require_defined(aie_host::Operation::kMinCmp, x);
  detail::require_defined(aie_host::Operation::kMinCmp, y);
  vector<T, A::size()> result;
  for (unsigned i = 0; i < A::size(); ++i) {
    detail::Access::lanes(result).value[i] = std::min<T>(detail::lane(x, i), detail::lane(y, i));
  }
  detail::Access::lanes(result).defined = detail::DefinedLanes<A::size()>::all();
  auto chosen = detail::compare_lanes<A::size()>(x, y, [](T p, T q) { return p >= q; });
  detail::note_pair(aie_host::Operation::kMinCmp, result, chosen, {}, x, y);
  return std::make_tuple(result, chosen);
}

}  // namespace aie

#endif  // AIE_API_COMPARE_HPP_
