// SPDX-License-Identifier: Apache-2.0
#include "arrays.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "status.h"

namespace hccs::python {
namespace {

static_assert(std::endian::native == std::endian::little);

nb::object numpy(const char* name) { return nb::module_::import_("numpy").attr(name); }

std::string name_of_type(nb::handle object) { return nb::cast<std::string>(object.type().attr("__name__")); }

bool needs_copy(const Array& array, bool unit_last) {
  if (array.size() == 0) return false;
  const auto axes = static_cast<int64_t>(array.ndim());
  for (int64_t i = 0; i < axes; ++i) {
    if (array.stride(i) < 0 && array.shape(i) > 1) return true;
  }
  return unit_last && axes > 0 && array.shape(axes - 1) > 1 && array.stride(axes - 1) != 1;
}

// Bit i % 8 of byte i / 8: whether byte i * stride of the row is not 0. The bits are 0 before.
void pack_row(const uint8_t* row, int64_t stride, int64_t keys, uint8_t* bits) {
  int64_t i = 0;
  for (; stride == 1 && i + 8 <= keys; i += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, row + i, 8);
    constexpr uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
    const uint64_t set = ((((eight & kLow) + kLow) | eight) >> 7) & 0x0101010101010101;
    // The product's highest byte gathers the eight bits, the first byte's lowest.
    bits[i / 8] = static_cast<uint8_t>((set * 0x0102040810204080) >> 56);
  }
  for (; i < keys; ++i) bits[i / 8] |= static_cast<uint8_t>((row[i * stride] != 0) << (i % 8));
}

void check_device(int32_t type, std::string_view name) {
  if (type != nb::device::cpu::value) {
    refuse(fmt::format("{} is not in the memory of this computer (DLPack device type {}): copy it there", name, type));
  }
}

}  // namespace

std::string text_of(std::span<const int64_t> shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

std::string dtype_name(nb::dlpack::dtype dtype) {
  using nb::dlpack::dtype_code;
  const auto code = static_cast<dtype_code>(dtype.code);
  if (code == dtype_code::Bool) return "bool";
  const char* kind = code == dtype_code::Int      ? "int"
                     : code == dtype_code::UInt   ? "uint"
                     : code == dtype_code::Float  ? "float"
                     : code == dtype_code::Bfloat ? "bfloat"
                                                  : "type of ";
  return fmt::format("{}{}", kind, static_cast<int>(dtype.bits));
}

std::vector<int64_t> shape_of(const Array& array) {
  std::vector<int64_t> shape;
  for (size_t i = 0; i < array.ndim(); ++i) shape.push_back(static_cast<int64_t>(array.shape(i)));
  return shape;
}

Array array_of(nb::handle object, std::string_view name, bool unit_last) {
  Array array;
  if (!nb::try_cast(object, array, false)) {
    refuse_type(
        fmt::format("{} must be an array (NumPy, or whatever speaks DLPack), not {}", name, name_of_type(object)));
  }
  check_device(array.device_type(), name);
  if (!needs_copy(array, unit_last)) return array;
  return nb::cast<Array>(numpy("ascontiguousarray")(object), false);
}

Array writable_array_of(nb::handle object, std::string_view name) {
  nb::ndarray<> writable;
  if (!nb::try_cast(object, writable, false)) {
    Array read_only;
    if (nb::try_cast(object, read_only, false)) refuse(fmt::format("{} is read-only", name));
    refuse_type(
        fmt::format("{} must be an array (NumPy, or whatever speaks DLPack), not {}", name, name_of_type(object)));
  }
  check_device(writable.device_type(), name);
  Array array(writable.handle());
  if (needs_copy(array, true)) {
    refuse(fmt::format("{} has negative strides, or the elements of its last axis are not contiguous", name));
  }
  return array;
}

Array int32_array_of(nb::handle object, std::string_view name) {
  if (nb::ndarray_check(object)) {
    Array array = array_of(object, name, false);
    if (has_type<int32_t>(array)) return array;
  }
  const nb::object values = numpy("asarray")(object);
  const auto kind = nb::cast<std::string>(values.attr("dtype").attr("kind"));
  const bool no_values = nb::cast<int64_t>(values.attr("size")) == 0;
  if (kind != "i" && kind != "u" && !no_values) {
    refuse_type(
        fmt::format("{} must be integers, not {}", name, nb::cast<std::string>(values.attr("dtype").attr("name"))));
  }
  const nb::object clipped = numpy("clip")(values, INT32_MIN, INT32_MAX);
  return nb::cast<Array>(
      numpy("ascontiguousarray")(clipped.attr("astype")("int32")).attr("reshape")(values.attr("shape")), false);
}

nb::object empty_array(std::span<const int64_t> shape, const char* dtype) {
  // Looked up once: a call of a small plan takes less time than that. They live as long as the process.
  static const nb::handle empty = numpy("empty").release();
  static std::map<std::string_view, nb::handle> types;
  nb::handle& type = types[dtype];
  if (!type.is_valid()) type = numpy("dtype")(dtype).release();
  nb::object sizes = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
  for (size_t i = 0; i < shape.size(); ++i) {
    PyTuple_SetItem(sizes.ptr(), static_cast<Py_ssize_t>(i), PyLong_FromLongLong(shape[i]));
  }
  return empty(sizes, type);
}

Four sizes_of(const Array& array, std::string_view name) {
  if (array.ndim() < 1 || array.ndim() > 4) {
    refuse(
        fmt::format("{} has shape {}, but 1 to 4 axes are needed: [batch, heads, queries, keys] or the last of these",
                    name, text_of(shape_of(array))));
  }
  Four sizes = {1, 1, 1, 1};
  for (size_t i = 0; i < array.ndim(); ++i) sizes[4 - array.ndim() + i] = static_cast<int64_t>(array.shape(i));
  return sizes;
}

Four strides_of(const Array& array) {
  Four strides = {0, 0, 0, 0};
  for (size_t i = 0; i < array.ndim(); ++i) strides[4 - array.ndim() + i] = array.shape(i) > 1 ? array.stride(i) : 0;
  return strides;
}

std::vector<int64_t> broadcast(const Array& array, std::span<const int64_t> sizes, std::string_view name) {
  std::vector<int64_t> strides(sizes.size(), 0);
  bool fits = array.ndim() <= sizes.size();
  for (size_t i = 0; fits && i < array.ndim(); ++i) {
    const size_t axis = sizes.size() - array.ndim() + i;
    const auto size = static_cast<int64_t>(array.shape(i));
    fits = size == sizes[axis] || size == 1;
    strides[axis] = size == 1 ? 0 : array.stride(i);
  }
  if (!fits) {
    refuse(
        fmt::format("{} has shape {}, which does not broadcast to {}", name, text_of(shape_of(array)), text_of(sizes)));
  }
  return strides;
}

PackedMask pack(const Array& mask, const Four& sizes) {
  const std::vector<int64_t> strides = broadcast(mask, sizes, "mask");
  const int64_t keys = sizes[3];
  const int64_t bytes = (keys + 7) / 8;
  PackedMask packed;
  std::array<int64_t, 3> rows{};  // that have bits of their own
  for (size_t axis = 0; axis < 3; ++axis)
    rows[axis] = strides[axis] == 0 ? std::min<int64_t>(sizes[axis], 1) : sizes[axis];
  packed.bits.resize(static_cast<size_t>(rows[0] * rows[1] * rows[2] * bytes));
  const int64_t of_axis[] = {rows[1] * rows[2] * bytes, rows[2] * bytes, bytes};
  for (size_t axis = 0; axis < 3; ++axis) packed.strides[axis] = strides[axis] == 0 ? 0 : of_axis[axis];
  const auto* values = static_cast<const uint8_t*>(mask.data());
  uint8_t* bits = packed.bits.data();
  for (int64_t b = 0; b < rows[0]; ++b) {
    for (int64_t h = 0; h < rows[1]; ++h) {
      for (int64_t q = 0; q < rows[2]; ++q, bits += bytes) {
        const uint8_t* row = values + b * strides[0] + h * strides[1] + q * strides[2];
        pack_row(row, strides[3], keys, bits);
      }
    }
  }
  return packed;
}

}  // namespace hccs::python
