// SPDX-License-Identifier: Apache-2.0
//
// Moving lanes: shuffles up and down, reverse, interleave, filter, transpose. Semantics: Xilinx/aie_api, aie.hpp,
// group reshape.
#ifndef AIE_API_SHUFFLE_HPP_
#define AIE_API_SHUFFLE_HPP_

#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "aie_api/convert.hpp"
#include "aie_api/lanes.hpp"
#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

namespace aie {

namespace detail {

template <Vector V>
using plain_vector_t = vector<typename V::value_type, V::size()>;

// The devices shift across at most two registers (detail/aie2/shuffle.hpp).
template <Vector V>
constexpr bool is_shuffle_supported() {
  return plain_vector_t<V>::bits() <= 1024;
}

template <Vector V, typename F>
auto move_lanes(aie_host::Operation operation, const V& v, unsigned n, F source) {
  static_assert(is_shuffle_supported<V>(), "the API shuffles vectors of at most 1024 bits");
  require(n <= V::size(), "shuffle: n is larger than the vector");
  const auto& x = operand(v);
  plain_vector_t<V> result;
  permute(result, x, source);
  note(operation, result, {static_cast<std::int64_t>(n)}, x);
  return result;
}

template <Vector V, typename F>
auto move_lanes(aie_host::Operation operation, const V& v, const V& fill, unsigned n, F source) {
  static_assert(is_shuffle_supported<V>(), "the API shuffles vectors of at most 1024 bits");
  require(n <= V::size(), "shuffle: n is larger than the vector");
  const auto& x = operand(v);
  const auto& y = operand(fill);
  plain_vector_t<V> result;
  auto& out = Access::lanes(result);
  for (unsigned i = 0; i < V::size(); ++i) {
    const unsigned s = source(i);  // counted through v and then fill
    const auto& from = Access::lanes(s < V::size() ? x : y);
    out.value[i] = from.value[s % V::size()];
    out.defined.set(i, from.defined.test(s % V::size()));
  }
  note(operation, result, {static_cast<std::int64_t>(n)}, x, y);
  return result;
}

inline void require_chunk(unsigned chunk, unsigned elems) {
  require(chunk <= elems && std::has_single_bit(chunk), "interleave: the chunk must be a power of two in the vector");
}

// The two halves of what `source` picks from v (0 .. Elems-1) and w (Elems .. 2 Elems-1).
template <Vector V, Vector W, typename F>
auto interleave(aie_host::Operation operation, const V& v, const W& w, unsigned chunk, F source) {
  require_chunk(chunk, V::size());
  const auto& x = operand(v);
  const auto& y = operand(w);
  constexpr unsigned kElems = V::size();
  std::pair<plain_vector_t<V>, plain_vector_t<V>> result;
  const bool all = Access::lanes(x).defined.is_all() && Access::lanes(y).defined.is_all();
  const auto fill = [&](auto& out, unsigned first) {
    if (all) out.defined = DefinedLanes<kElems>::all();
    for (unsigned i = 0; i < kElems; ++i) {
      const unsigned s = source(first + i);
      const auto& from = Access::lanes(s < kElems ? x : y);
      out.value[i] = from.value[s % kElems];
      if (!all) out.defined.set(i, from.defined.test(s % kElems));
    }
  };
  fill(Access::lanes(result.first), 0);
  fill(Access::lanes(result.second), kElems);
  note_pair(operation, result.first, result.second, {static_cast<std::int64_t>(chunk)}, x, y);
  return result;
}

}  // namespace detail

// Lane i + n. The upper n lanes are undefined.
template <Vector V>
auto shuffle_down(const V& v, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleDown, v, n, [n](unsigned i) { return i + n; });
}
// Lane i - n. The lower n lanes are undefined.
template <Vector V>
auto shuffle_up(const V& v, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleUp, v, n, [n](unsigned i) { return i - n; });
}
// shuffle_down and shuffle_up with the lanes that fall off coming in at the other end.
template <Vector V>
auto shuffle_down_rotate(const V& v, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleDownRotate, v, n,
                            [n](unsigned i) { return (i + n) % V::size(); });
}
template <Vector V>
auto shuffle_up_rotate(const V& v, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleUpRotate, v, n,
                            [n](unsigned i) { return (i + V::size() - n) % V::size(); });
}
// shuffle_down with the last lane repeated, and shuffle_up with the first.
template <Vector V>
auto shuffle_down_replicate(const V& v, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleDownReplicate, v, n,
                            [n](unsigned i) { return i + n < V::size() ? i + n : V::size() - 1; });
}
template <Vector V>
auto shuffle_up_replicate(const V& v, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleUpReplicate, v, n,
                            [n](unsigned i) { return i < n ? 0 : i - n; });
}
// shuffle_down with the lower lanes of `fill` coming in at the top, and shuffle_up with the upper ones at the bottom.
template <Vector V>
auto shuffle_down_fill(const V& v, const V& fill, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleDownFill, v, fill, n, [n](unsigned i) { return i + n; });
}
template <Vector V>
auto shuffle_up_fill(const V& v, const V& fill, unsigned n) {
  return detail::move_lanes(aie_host::Operation::kShuffleUpFill, v, fill, n,
                            [n](unsigned i) { return i < n ? 2 * V::size() + i - n : i - n; });
}
template <Vector V>
auto reverse(const V& v) {
  return detail::move_lanes(aie_host::Operation::kReverse, v, 0, [](unsigned i) { return V::size() - 1 - i; });
}

// { v[0:c], w[0:c], v[c:2c], w[c:2c], ... }, lower and upper half.
template <Vector V, Vector W>
requires is_same_vector_v<V, W>
auto interleave_zip(const V& v, const W& w, unsigned chunk_size) {
  const unsigned c = chunk_size;
  return detail::interleave(aie_host::Operation::kInterleaveZip, v, w, c, [c](unsigned i) {
    const unsigned chunk = i / c;
    return chunk / 2 * c + i % c + (chunk % 2) * V::size();
  });
}
// The even chunks of v and w, and the odd ones: undoes interleave_zip.
template <Vector V, Vector W>
requires is_same_vector_v<V, W>
auto interleave_unzip(const V& v, const W& w, unsigned chunk_size) {
  const unsigned c = chunk_size;
  return detail::interleave(aie_host::Operation::kInterleaveUnzip, v, w, c, [c](unsigned i) {
    const unsigned half = i / V::size();
    const unsigned j = i % V::size();
    return (2 * (j / c) + half) * c + j % c;
  });
}

// The even chunks of v; the odd ones.
template <Vector V>
auto filter_even(const V& v, unsigned chunk_size = 1) {
  detail::require_chunk(chunk_size, V::size() / 2);
  const auto& x = detail::operand(v);
  vector<typename V::value_type, V::size() / 2> result;
  detail::permute(result, x, [c = chunk_size](unsigned i) { return 2 * (i / c) * c + i % c; });
  detail::note(aie_host::Operation::kFilterEven, result, {static_cast<std::int64_t>(chunk_size)}, x);
  return result;
}
template <Vector V>
auto filter_odd(const V& v, unsigned chunk_size = 1) {
  detail::require_chunk(chunk_size, V::size() / 2);
  const auto& x = detail::operand(v);
  vector<typename V::value_type, V::size() / 2> result;
  detail::permute(result, x, [c = chunk_size](unsigned i) { return (2 * (i / c) + 1) * c + i % c; });
  detail::note(aie_host::Operation::kFilterOdd, result, {static_cast<std::int64_t>(chunk_size)}, x);
  return result;
}

// The lanes as a rows x columns matrix, row after row, to columns x rows.
template <Vector V>
auto transpose(const V& v, unsigned rows, unsigned columns) {
  static_assert(detail::is_shuffle_supported<V>(), "the API transposes vectors of at most 1024 bits");
  detail::require(rows * columns == V::size(), "transpose: rows * columns must be the vector's size");
  const auto& x = detail::operand(v);
  detail::plain_vector_t<V> result;
  detail::permute(result, x, [=](unsigned i) { return i % rows * columns + i / rows; });
  detail::note(aie_host::Operation::kTranspose, result, {rows, columns}, x);
  return result;
}

}  // namespace aie

#endif  // AIE_API_SHUFFLE_HPP_
