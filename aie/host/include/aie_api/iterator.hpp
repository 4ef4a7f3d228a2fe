// SPDX-License-Identifier: Apache-2.0
//
// Loads, stores and the iterators over arrays of vectors. Semantics: Xilinx/aie_api, aie.hpp (load_v, store_v, ...) and
// iterator.hpp. A device ignores the low bits of a misaligned address; here it stops.
#ifndef AIE_API_ITERATOR_HPP_
#define AIE_API_ITERATOR_HPP_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <tuple>
#include <type_traits>

#include "aie_api/types.hpp"
#include "aie_api/vector.hpp"

// Memory banks that a load or store is promised to use; only timing depends on them.
enum class aie_dm_resource { none, a, b, c, d, stack };

namespace aie {

inline constexpr std::size_t dynamic_extent = std::numeric_limits<std::size_t>::max();

template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, ElemBaseType T>
vector<T, Elems> load_v(const T* address) {
  vector<T, Elems> result;
  result.load(address);
  return result;
}
template <aie_dm_resource Resource = aie_dm_resource::none, ElemBaseType T>
vector<T, native_vector_length_v<T>> load_v(const T* address) {
  return load_v<native_vector_length_v<T>>(address);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, ElemBaseType T>
vector<T, Elems> load_unaligned_v(const T* address, unsigned aligned_elems = 1) {
  vector<T, Elems> result;
  result.load_unaligned(address, aligned_elems);
  return result;
}
// From the address with its low bits cleared: rounded down to `bytes`, a power of two.
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, ElemBaseType T>
vector<T, Elems> load_floor_bytes_v(const T* address, std::size_t bytes) {
  detail::require(std::has_single_bit(bytes), "load_floor_bytes_v: bytes must be a power of two");
  const auto past = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(address) & (bytes - 1));
  return load_v<Elems>(reinterpret_cast<const T*>(reinterpret_cast<const char*>(address) - past));
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, ElemBaseType T>
vector<T, Elems> load_floor_v(const T* address, unsigned n = Elems) {
  return load_floor_bytes_v<Elems>(address, n * sizeof(T));
}
template <aie_dm_resource Resource = aie_dm_resource::none, ElemBaseType T, unsigned Elems>
T* store_v(T* address, const vector<T, Elems>& v) {
  v.store(address);
  return address;
}
template <aie_dm_resource Resource = aie_dm_resource::none, ElemBaseType T, unsigned Elems>
T* store_unaligned_v(T* address, const vector<T, Elems>& v, unsigned aligned_elems = 1) {
  v.store_unaligned(address, aligned_elems);
  return address;
}

namespace detail {

// An iterator over vectors: T is const for a read-only one. Size is the extent of a circular one, in vectors;
// Alignment in bytes.
template <typename T, unsigned Elems, unsigned Alignment>
class VectorIteratorBase {
 public:
  using elem_type = std::remove_const_t<T>;
  using value_type = vector<elem_type, Elems>;
  using difference_type = std::ptrdiff_t;
  using reference = std::conditional_t<std::is_const_v<T>, value_type, vector_ref<elem_type, Elems>>;

 protected:
  static reference dereference(T* address) {
    if constexpr (!std::is_const_v<T>) {
      return reference(address, Alignment);
    } else if constexpr (Alignment >= vector_ldst_align_v<elem_type, Elems>) {
      return load_v<Elems>(address);
    } else {
      return load_unaligned_v<Elems>(address, Alignment / sizeof(T));
    }
  }
};

template <typename T, unsigned Elems, unsigned Alignment>
class VectorIterator : public VectorIteratorBase<T, Elems, Alignment> {
  using base = VectorIteratorBase<T, Elems, Alignment>;

 public:
  using iterator_category = std::random_access_iterator_tag;
  using typename base::difference_type;
  using typename base::reference;

  VectorIterator() = default;
  explicit VectorIterator(T* address) : address_(address) {}

  reference operator*() const { return base::dereference(address_); }
  reference operator[](difference_type n) const { return *(*this + n); }
  VectorIterator& operator++() { return *this += 1; }
  VectorIterator operator++(int) {
    const VectorIterator before = *this;
    ++*this;
    return before;
  }
  VectorIterator& operator--() { return *this -= 1; }
  VectorIterator operator--(int) {
    const VectorIterator before = *this;
    --*this;
    return before;
  }
  VectorIterator& operator+=(difference_type n) {
    address_ += n * static_cast<difference_type>(Elems);
    return *this;
  }
  VectorIterator& operator-=(difference_type n) { return *this += -n; }
  friend VectorIterator operator+(VectorIterator it, difference_type n) { return it += n; }
  friend VectorIterator operator+(difference_type n, VectorIterator it) { return it += n; }
  friend VectorIterator operator-(VectorIterator it, difference_type n) { return it -= n; }
  friend difference_type operator-(const VectorIterator& a, const VectorIterator& b) {
    return (a.address_ - b.address_) / static_cast<difference_type>(Elems);
  }
  friend bool operator==(const VectorIterator&, const VectorIterator&) = default;

 private:
  T* address_ = nullptr;
};

// Wraps around at the end of `vectors` vectors. Only the random form moves by more than one.
template <typename T, unsigned Elems>
class CircularVectorIterator : public VectorIteratorBase<T, Elems, vector_ldst_align_v<std::remove_const_t<T>, Elems>> {
  using base = VectorIteratorBase<T, Elems, vector_ldst_align_v<std::remove_const_t<T>, Elems>>;

 public:
  using iterator_category = std::forward_iterator_tag;
  using typename base::difference_type;
  using typename base::reference;

  CircularVectorIterator() = default;
  CircularVectorIterator(T* first, std::size_t elems)
      : first_(first), vectors_(static_cast<difference_type>(elems / Elems)) {
    require(elems % Elems == 0 && elems > 0, "begin_vector_circular: the array must hold whole vectors");
  }

  reference operator*() const { return base::dereference(first_ + index_ * static_cast<difference_type>(Elems)); }
  reference operator[](difference_type n) const { return *(*this + n); }
  CircularVectorIterator& operator++() { return *this += 1; }
  CircularVectorIterator operator++(int) {
    const CircularVectorIterator before = *this;
    ++*this;
    return before;
  }
  CircularVectorIterator& operator+=(difference_type n) {
    index_ = ((index_ + n) % vectors_ + vectors_) % vectors_;
    return *this;
  }
  CircularVectorIterator& operator-=(difference_type n) { return *this += -n; }
  friend CircularVectorIterator operator+(CircularVectorIterator it, difference_type n) { return it += n; }
  friend CircularVectorIterator operator-(CircularVectorIterator it, difference_type n) { return it -= n; }
  friend bool operator==(const CircularVectorIterator&, const CircularVectorIterator&) = default;

 private:
  T* first_ = nullptr;
  difference_type vectors_ = 1;
  difference_type index_ = 0;
};

template <typename T, unsigned Elems>
using AlignedVectorIterator = VectorIterator<T, Elems, vector_ldst_align_v<std::remove_const_t<T>, Elems>>;

}  // namespace detail

template <typename T, unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none>
using vector_iterator = detail::AlignedVectorIterator<T, Elems>;
template <typename T, unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none>
using const_vector_iterator = detail::AlignedVectorIterator<const T, Elems>;
template <typename T, unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none>
using restrict_vector_iterator = detail::AlignedVectorIterator<T, Elems>;
template <typename T, unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none>
using const_restrict_vector_iterator = detail::AlignedVectorIterator<const T, Elems>;

// Iterators over an array of whole, aligned vectors. Const arrays give iterators that only load.
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto begin_vector(T* base) {
  return detail::AlignedVectorIterator<T, Elems>(base);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto cbegin_vector(const T* base) {
  return detail::AlignedVectorIterator<const T, Elems>(base);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto begin_restrict_vector(T* base) {
  return detail::AlignedVectorIterator<T, Elems>(base);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto cbegin_restrict_vector(const T* base) {
  return detail::AlignedVectorIterator<const T, Elems>(base);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename... Ts>
auto begin_vectors(Ts*... bases) {
  return std::make_tuple(begin_vector<Elems>(bases)...);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename... Ts>
auto cbegin_vectors(const Ts*... bases) {
  return std::make_tuple(cbegin_vector<Elems>(bases)...);
}
// Iterators over vectors that are only aligned to their elements.
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto begin_unaligned_vector(T* base) {
  return detail::VectorIterator<T, Elems, sizeof(T)>(base);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto cbegin_unaligned_vector(const T* base) {
  return detail::VectorIterator<const T, Elems, sizeof(T)>(base);
}
// Iterators over `n` elements that start again at the end.
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto begin_vector_circular(T* base, std::size_t n) {
  return detail::CircularVectorIterator<T, Elems>(base, n);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto cbegin_vector_circular(const T* base, std::size_t n) {
  return detail::CircularVectorIterator<const T, Elems>(base, n);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto begin_vector_random_circular(T* base, std::size_t n) {
  return detail::CircularVectorIterator<T, Elems>(base, n);
}
template <unsigned Elems, aie_dm_resource Resource = aie_dm_resource::none, typename T>
auto cbegin_vector_random_circular(const T* base, std::size_t n) {
  return detail::CircularVectorIterator<const T, Elems>(base, n);
}

}  // namespace aie

#endif  // AIE_API_ITERATOR_HPP_
