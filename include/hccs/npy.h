// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npy arrays (format versions 1.0, 2.0, 3.0). Files of either byte order and of either memory order are read;
// in memory an array always has this machine's byte order and C order.
// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#ifndef HCCS_NPY_H_
#define HCCS_NPY_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/status.h"

namespace hccs {

enum class NpyType {
  kInt8,
  kUint8,
  kInt16,
  kInt32,
  kFloat32,
  kUint16,
  kUint32,
  kInt64,
  kUint64,
  kFloat16,
  kFloat64,
  kBool,  // a byte, 0 or 1
};

std::string_view name(NpyType type) noexcept;  // "int8", ...
size_t size_of(NpyType type) noexcept;         // bytes an element

template <class T>
constexpr NpyType npy_type_of();
template <>
constexpr NpyType npy_type_of<int8_t>() {
  return NpyType::kInt8;
}
template <>
constexpr NpyType npy_type_of<uint8_t>() {
  return NpyType::kUint8;
}
template <>
constexpr NpyType npy_type_of<int16_t>() {
  return NpyType::kInt16;
}
template <>
constexpr NpyType npy_type_of<int32_t>() {
  return NpyType::kInt32;
}
template <>
constexpr NpyType npy_type_of<float>() {
  return NpyType::kFloat32;
}
template <>
constexpr NpyType npy_type_of<uint16_t>() {
  return NpyType::kUint16;
}
template <>
constexpr NpyType npy_type_of<uint32_t>() {
  return NpyType::kUint32;
}
template <>
constexpr NpyType npy_type_of<int64_t>() {
  return NpyType::kInt64;
}
template <>
constexpr NpyType npy_type_of<uint64_t>() {
  return NpyType::kUint64;
}
template <>
constexpr NpyType npy_type_of<double>() {
  return NpyType::kFloat64;
}

struct NpyArray {
  NpyType type = NpyType::kFloat32;
  std::vector<int64_t> shape;   // empty: a scalar
  std::vector<std::byte> data;  // product(shape) elements, the last index fastest

  int64_t element_count() const noexcept;

  // The elements. Precondition: npy_type_of<T>() == type.
  template <class T>
  std::span<const T> as() const noexcept {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

// Errors: kIo; kBadData for a wrong magic, header or size; kUnsupported for other types or an unknown version. Each
// names the path, the value and the rule.
Expected<NpyArray> read_npy(const std::filesystem::path& path);

// Whether the elements are floats of any width, or integers of any (bool is neither).
bool is_float(NpyType type) noexcept;
bool is_integer(NpyType type) noexcept;

// The elements of a float array as float32. A float64 is rounded to the nearest; one beyond float32's range gives the
// largest finite value of its sign, so that what was finite stays so. Errors: kInvalidArgument for a type that is no
// float; kOutOfMemory.
Expected<std::vector<float>> to_float32(const NpyArray& array);

// The elements of an integer array as int64; a uint64 above 2^63 - 1 gives 2^63 - 1. Errors: kInvalidArgument for a
// type that is no integer; kOutOfMemory.
Expected<std::vector<int64_t>> to_int64(const NpyArray& array);

// Writes version 1.0, atomically: headers of up to 64 dimensions fit it. `data` holds product(shape) elements of
// `type`.
Status write_npy(const std::filesystem::path& path, NpyType type, std::span<const int64_t> shape,
                 std::span<const std::byte> data);

// The same as the text of a file.
Expected<std::string> npy_text(NpyType type, std::span<const int64_t> shape, std::span<const std::byte> data);

template <class T>
Expected<std::string> npy_text(std::span<const int64_t> shape, std::span<const T> elements) {
  return npy_text(npy_type_of<T>(), shape, std::as_bytes(elements));
}

template <class T>
Status write_npy(const std::filesystem::path& path, std::span<const int64_t> shape, std::span<const T> elements) {
  return write_npy(path, npy_type_of<T>(), shape, std::as_bytes(elements));
}

}  // namespace hccs

#endif  // HCCS_NPY_H_
