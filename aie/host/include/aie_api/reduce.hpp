// SPDX-License-Identifier: Apache-2.0
//
// Reductions of a vector to one number of its type. Semantics: Xilinx/aie_api, aie.hpp, group reduce, and
// detail/aie2/add_reduce.hpp. All lanes must be defined.
#ifndef AIE_API_REDUCE_HPP_
#define AIE_API_REDUCE_HPP_

#include <array>

#include "aie_api/lanes.hpp"
#include "aie_api/modes.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

namespace detail {

// Sums floats as the devices do, in accumulators, in pairs half the vector apart.
template <std::size_t Elems>
float sum_pairwise(std::array<float, Elems> x) {
  for (std::size_t half = Elems / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) x[i] = flush(flush(x[i]) + flush(x[i + half]));
  }
  return x[0];
}

// AIE-ML sums bfloat16 by products of 4 x 8 blocks with ones: four sums of lanes 8 r to 8 r + 7, over all blocks.
template <std::size_t Elems>
float sum_blocks(const std::array<float, Elems>& x) {
  std::array<float, 4> rows{};
  for (unsigned block = 0; block < Elems; block += 32) {
    for (unsigned r = 0; r < 4 && block + 8 * r < Elems; ++r) {
      double sum = rows[r];
      for (unsigned i = 0; i < 8; ++i) sum += static_cast<double>(flush(x[block + 8 * r + i]));
      rows[r] = flush(static_cast<float>(sum));
    }
  }
  return sum_pairwise(rows);
}

}  // namespace detail

template <Vector V>
typename V::value_type reduce_max(const V& v) {
  using T = typename V::value_type;
  const auto& x = detail::operand(v);
  detail::require_defined(aie_host::Operation::kReduceMax, x);
  T result = detail::lane(x, 0);
  for (unsigned i = 1; i < V::size(); ++i) result = result < detail::lane(x, i) ? detail::lane(x, i) : result;
  detail::note(aie_host::Operation::kReduceMax, result, {}, x);
  return result;
}

template <Vector V>
typename V::value_type reduce_min(const V& v) {
  using T = typename V::value_type;
  const auto& x = detail::operand(v);
  detail::require_defined(aie_host::Operation::kReduceMin, x);
  T result = detail::lane(x, 0);
  for (unsigned i = 1; i < V::size(); ++i) result = detail::lane(x, i) < result ? detail::lane(x, i) : result;
  detail::note(aie_host::Operation::kReduceMin, result, {}, x);
  return result;
}

// The sum in T. 32-bit sums wrap. 8- and 16-bit ones wrap too unless the tile saturates: the lanes are first added in T
// down to 16 (8-bit) or 8 (16-bit) partial sums, each of which wraps; those are added in an accumulator, and its value
// becomes T as to_vector does it. bfloat16 is added in float and rounded once at the end.
template <Vector V>
typename V::value_type reduce_add(const V& v) {
  using T = typename V::value_type;
  const auto& x = detail::operand(v);
  detail::require_defined(aie_host::Operation::kReduceAdd, x);
  T result{};
  if constexpr (detail::is_floating_point_v<T>) {
    std::array<float, V::size()> lanes;
    for (unsigned i = 0; i < V::size(); ++i) lanes[i] = detail::lane(x, i);
    if constexpr (std::is_same_v<T, float>) {
      result = detail::sum_pairwise(lanes);
    } else {
      const float sum = aie_host::kAieMl ? detail::sum_blocks(lanes) : detail::sum_pairwise(lanes);
      result = detail::round_to_bfloat16(sum, detail::current_rounding());
    }
  } else if constexpr (sizeof(T) == 4) {
    for (unsigned i = 0; i < V::size(); ++i) result = detail::wrap_add(result, detail::lane(x, i));
  } else {
    constexpr unsigned kPartial = 16 / sizeof(T);
    static_assert(V::size() >= kPartial);
    std::array<T, kPartial> partial{};
    for (unsigned i = 0; i < V::size(); ++i) {
      partial[i % kPartial] = detail::wrap_add(partial[i % kPartial], detail::lane(x, i));
    }
    std::int64_t sum = 0;
    for (const T p : partial) sum += p;
    result = detail::clamp_or_wrap<T>(sum, detail::current_saturation(), detail::is_signed_v<T>);
  }
  detail::note(aie_host::Operation::kReduceAdd, result, {}, x);
  return result;
}

// The sums of up to four vectors, in lanes 0 to 3; the other lanes are undefined. Integers wrap.
template <Vector V, Vector... Vs>
requires(is_same_vector_v<V, Vs>&&...) auto reduce_add_v(const V& v, const Vs&... vs) {
  using T = typename V::value_type;
  static_assert(sizeof...(vs) < 4, "reduce_add_v sums at most four vectors");
  vector<T, V::size()> result;
  auto& out = detail::Access::lanes(result);
  unsigned index = 0;
  const auto sum = [&](const auto& x) {
    detail::require_defined(aie_host::Operation::kReduceAddV, x);
    T total{};
    if constexpr (detail::is_floating_point_v<T>) {
      std::array<float, V::size()> lanes;
      for (unsigned i = 0; i < V::size(); ++i) lanes[i] = detail::lane(x, i);
      const float exact = detail::sum_pairwise(lanes);
      if constexpr (std::is_same_v<T, float>) {
        total = exact;
      } else {
        total = detail::round_to_bfloat16(exact, detail::current_rounding());
      }
    } else {
      for (unsigned i = 0; i < V::size(); ++i) total = detail::wrap_add(total, detail::lane(x, i));
    }
    out.value[index] = total;
    out.defined.set(index++, true);
  };
  sum(detail::operand(v));
  (sum(detail::operand(vs)), ...);
  detail::note(aie_host::Operation::kReduceAddV, result, {}, detail::operand(v), detail::operand(vs)...);
  return result;
}

}  // namespace aie

#endif  // AIE_API_REDUCE_HPP_
