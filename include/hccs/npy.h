// SPDX-License-Identifier: Apache-2.0
//
// NumPy's .npy arrays (format versions 1.0, 2.0, 3.0), C order, little endian.
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

enum class NpyType { kInt8, kUint8, kInt16, kInt32, kFloat32 };

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

struct NpyArray {
  NpyType type = NpyType::kFloat32;
  std::vector<int64_t> shape;   // empty: a scalar
  std::vector<std::byte> data;  // product(shape) elements

  int64_t element_count() const noexcept;

  // The elements. Precondition: npy_type_of<T>() == type.
  template <class T>
  std::span<const T> as() const noexcept {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

// Errors: kIo; kBadData for a wrong magic, header or size; kUnsupported for other types, Fortran order, big endian or
// an unknown version. Each names the path, the value and the rule.
Expected<NpyArray> read_npy(const std::filesystem::path& path);

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
