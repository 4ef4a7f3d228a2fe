// SPDX-License-Identifier: Apache-2.0
//
// C++ operators on vectors, accumulators and masks, for who asks: `using namespace aie::operators;` (Xilinx/aie_api,
// operators.hpp).
#ifndef AIE_API_OPERATORS_HPP_
#define AIE_API_OPERATORS_HPP_

#include "aie_api/arith.hpp"
#include "aie_api/compare.hpp"
#include "aie_api/types.hpp"

namespace aie::operators {

template <typename T>
concept Negatable = Vector<T> || Accum<T>;

template <typename A, typename B>
concept Addable = ElementwisePair<A, B> ||(Accum<A> && (Accum<B> || Vector<B> || Elem<B>));

template <Negatable T>
auto operator-(const T& a) {
  return aie::neg(a);
}
template <typename A, typename B>
requires Addable<A, B>
auto operator+(const A& a, const B& b) { return aie::add(a, b); }
template <typename A, typename B>
requires Addable<A, B>
auto operator-(const A& a, const B& b) { return aie::sub(a, b); }
template <typename A, typename B>
requires Addable<A, B> A& operator+=(A& a, const B& b) { return a = aie::add(a, b); }
template <typename A, typename B>
requires Addable<A, B> A& operator-=(A& a, const B& b) { return a = aie::sub(a, b); }
template <typename A, typename B>
requires BitwisePair<A, B>
auto operator&(const A& a, const B& b) { return aie::bit_and(a, b); }
template <typename A, typename B>
requires BitwisePair<A, B>
auto operator|(const A& a, const B& b) { return aie::bit_or(a, b); }
template <typename A, typename B>
requires BitwisePair<A, B>
auto operator^(const A& a, const B& b) { return aie::bit_xor(a, b); }
template <Vector V>
auto operator~(const V& v) {
  return aie::bit_not(v);
}
template <Vector V>
auto operator<<(const V& v, unsigned shift) {
  return aie::upshift(v, shift);
}
template <Vector V>
auto operator>>(const V& v, unsigned shift) {
  return aie::downshift(v, shift);
}
template <typename A, typename B>
requires ElementwisePair<A, B>
auto operator<(const A& a, const B& b) { return aie::lt(a, b); }
template <typename A, typename B>
requires ElementwisePair<A, B>
auto operator<=(const A& a, const B& b) { return aie::le(a, b); }
template <typename A, typename B>
requires ElementwisePair<A, B>
auto operator>(const A& a, const B& b) { return aie::gt(a, b); }
template <typename A, typename B>
requires ElementwisePair<A, B>
auto operator>=(const A& a, const B& b) { return aie::ge(a, b); }
template <typename A, typename B>
requires ElementwisePair<A, B>
auto operator==(const A& a, const B& b) { return aie::eq(a, b); }
template <typename A, typename B>
requires ElementwisePair<A, B>
auto operator!=(const A& a, const B& b) { return aie::neq(a, b); }

}  // namespace aie::operators

#endif  // AIE_API_OPERATORS_HPP_
