// SPDX-License-Identifier: Apache-2.0
//
// Making and taking apart vectors and accumulators: broadcast, zeros, concat, casts, pack, unpack, from_vector,
// to_vector. Semantics: Xilinx/aie_api, aie.hpp.
#ifndef AIE_API_CONVERT_HPP_
#define AIE_API_CONVERT_HPP_

#include <array>
#include <cstdint>
#include <tuple>
#include <utility>

#include "aie_api/accum.hpp"
#include "aie_api/lanes.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

// `a` in every lane. broadcast<int16, 32>(x) converts a number x to int16 first.
template <Elem E, unsigned Elems = native_vector_length_v<operand_base_type_t<E>>>
vector<operand_base_type_t<E>, Elems> broadcast(E a) {
  using T = operand_base_type_t<E>;
  return detail::map<vector<T, Elems>>(
      aie_host::Operation::kBroadcast, {}, [](T x) { return x; }, detail::operand(a));
}

template <ElemBaseType T, unsigned Elems = native_vector_length_v<T>>
vector<T, Elems> zeros() {
  vector<T, Elems> result;
  detail::Access::lanes(result).value.fill(T(0));
  detail::Access::lanes(result).defined = detail::DefinedLanes<Elems>::all();
  detail::note(aie_host::Operation::kZeros, result, {});
  return result;
}
template <AccumElemBaseType Tag, unsigned Elems = 1024 / detail::accum_bits_v<Tag>>
accum<Tag, Elems> zeros() {
  accum<Tag, Elems> result;
  detail::Access::lanes(result).defined = detail::DefinedLanes<Elems>::all();
  detail::note(aie_host::Operation::kZeros, result, {});
  return result;
}

namespace detail {
template <typename R, typename... Parts>
R concat_parts(const Parts&... parts) {
  R result;
  auto& out = Access::lanes(result);
  unsigned index = 0;
  const auto put = [&](const auto& part) {
    const auto& from = Access::lanes(part);
    constexpr unsigned kSize = std::remove_cvref_t<decltype(part)>::size();
    for (unsigned i = 0; i < kSize; ++i) out.value[kSize * index + i] = from.value[i];
    out.defined.insert(index++, from.defined);
  };
  (put(parts), ...);
  note(aie_host::Operation::kConcat, result, {}, parts...);
  return result;
}
}  // namespace detail

// The vectors one after another, the first in the lowest lanes.
template <Vector V, Vector... Vs>
requires(is_same_vector_v<V, Vs>&&...) auto concat(const V& v, const Vs&... vs) {
  return detail::concat_parts<vector<typename V::value_type, V::size() * (1 + sizeof...(Vs))>>(detail::operand(v),
                                                                                               detail::operand(vs)...);
}
template <Accum A, Accum... As>
requires(std::is_same_v<A, As>&&...) auto concat(const A& a, const As&... as) {
  return detail::concat_parts<accum<typename A::value_type, A::size() * (1 + sizeof...(As))>>(a, as...);
}
template <typename V, std::size_t N>
auto concat(const std::array<V, N>& parts) {
  return std::apply([](const auto&... part) { return concat(part...); }, parts);
}

template <ElemBaseType To, Vector V>
auto vector_cast(const V& v) {
  const auto& x = detail::operand(v);
  return x.template cast_to<To>();
}
// Between the registers of both kinds, bits unchanged.
template <ElemBaseType To, Accum A>
auto vector_cast(const A& a) {
  return detail::reinterpret<vector<To, A::bits() / detail::type_bits_v<To>>>(a);
}
template <AccumElemBaseType Tag, Vector V>
auto vector_cast(const V& v) {
  using Plain = vector<typename V::value_type, V::size()>;
  return detail::reinterpret<accum<Tag, Plain::bits() / detail::accum_bits_v<Tag>>>(detail::operand(v));
}

template <Vector V, typename To = typename detail::packed_type<typename V::value_type>::type>
vector<To, V::size()> pack(const V& v) {
  const auto& x = detail::operand(v);
  return x.template pack<To>();
}
template <Vector V, typename To = typename detail::unpacked_type<typename V::value_type>::type>
vector<To, V::size()> unpack(const V& v) {
  const auto& x = detail::operand(v);
  return x.template unpack<To>();
}

template <ElemBaseType To, Accum A>
vector<To, A::size()> to_vector(const A& a, int shift = 0) {
  return a.template to_vector<To>(shift);
}
template <AccumElemBaseType Tag, Vector V>
accum<Tag, V::size()> from_vector(const V& v, int shift = 0) {
  accum<Tag, V::size()> result;
  result.from_vector(detail::operand(v), shift);
  return result;
}

}  // namespace aie

#endif  // AIE_API_CONVERT_HPP_
