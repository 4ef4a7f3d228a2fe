// SPDX-License-Identifier: Apache-2.0
//
// Arrays of the caller: any that speaks DLPack or the buffer protocol and lies in the memory of this computer.
#ifndef HCCS_PYTHON_ARRAYS_H_
#define HCCS_PYTHON_ARRAYS_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hccs::python {

namespace nb = nanobind;

using Array = nb::ndarray<nb::ro>;

// Sizes or strides (in elements) of [batch, heads, queries, keys].
using Four = std::array<int64_t, 4>;

// Once, before anything else here: NumPy's C interface.
void import_numpy();

// "(2, 12, 64)".
std::string text_of(std::span<const int64_t> shape);
std::string dtype_name(nb::dlpack::dtype dtype);  // "int8"
std::vector<int64_t> shape_of(const Array& array);
inline bool same_shape(const Array& a, const Array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape_ptr(), a.shape_ptr() + a.ndim(), b.shape_ptr());
}

template <class T>
bool has_type(const Array& array) {
  return array.dtype() == nb::dtype<T>();
}

// The argument `name` as an array, without a copy, unless a stride is negative or, where `unit_last`, elements of the
// last axis are not contiguous: then a copy. TypeError for what is no array, ValueError for one on another device.
Array array_of(nb::handle object, std::string_view name, bool unit_last);

// The same for an array that is written to, which is never copied: ValueError where it would have to be, or is
// read-only.
Array writable_array_of(nb::handle object, std::string_view name);

// What such an array holds.
template <class T = void>
T* writable(const Array& array) {
  return static_cast<T*>(const_cast<void*>(static_cast<const void*>(array.data())));
}

// Integers of any type, or a sequence of them, or one, as int32; beyond its range the nearest that it has. int32 arrays
// are not copied.
Array int32_array_of(nb::handle object, std::string_view name);

// A new NumPy array, of at most 64 axes, of integers of 8, 16 or 32 bits, float, double or bool.
nb::object empty_array(std::span<const int64_t> shape, nb::dlpack::dtype dtype);
template <class T>
nb::object empty_array(std::span<const int64_t> shape) {
  return empty_array(shape, nb::dtype<T>());
}

// Shape and strides of an array of at most four axes as four, ones in front.
Four sizes_of(const Array& array, std::string_view name);
Four strides_of(const Array& array);

// Strides of `array` over `sizes` (the last of which are aligned with the array's last axis), 0 where it repeats. By
// the rules of NumPy; ValueError where they do not allow it.
std::vector<int64_t> broadcast(const Array& array, std::span<const int64_t> sizes, std::string_view name);

// Masks of bits, made of booleans: strides are in bytes, 0 where rows share bits.
struct PackedMask {
  std::vector<uint8_t> bits;
  std::array<int64_t, 3> strides{};  // of batch, heads, queries
};
// `mask`: booleans that broadcast to `sizes`.
PackedMask pack(const Array& mask, const Four& sizes);

}  // namespace hccs::python

#endif  // HCCS_PYTHON_ARRAYS_H_
