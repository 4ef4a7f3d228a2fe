// SPDX-License-Identifier: Apache-2.0
#include "arrays.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <nanobind/stl/string.h>
#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#include <numpy/arrayobject.h>

#include <algorithm>
#include <bit>
#include <cstring>

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

struct NumpyType {
  nb::dlpack::dtype dtype;
  int number;  // NumPy's own
};

constexpr NumpyType kNumpyTypes[] = {
    {nb::dtype<int8_t>(), NPY_INT8},     {nb::dtype<uint8_t>(), NPY_UINT8},   {nb::dtype<bool>(), NPY_BOOL},
    {nb::dtype<int16_t>(), NPY_INT16},   {nb::dtype<uint16_t>(), NPY_UINT16}, {nb::dtype<int32_t>(), NPY_INT32},
    {nb::dtype<uint32_t>(), NPY_UINT32}, {nb::dtype<int64_t>(), NPY_INT64},   {nb::dtype<uint64_t>(), NPY_UINT64},
    {nb::dtype<float>(), NPY_FLOAT32},   {nb::dtype<double>(), NPY_FLOAT64}};

// NumPy's arrays are read as they are, in a tenth of the time that its DLPack takes: a call of a small plan takes less
// than that. None for what has another type, byte order or alignment, or is no array of NumPy.
std::optional<Array> numpy_array(nb::handle object, bool writable) {
  if (!PyArray_Check(object.ptr())) return std::nullopt;
  auto* array = reinterpret_cast<PyArrayObject*>(object.ptr());
  if (!PyArray_ISALIGNED(array) || !PyArray_ISNOTSWAPPED(array) || (writable && !PyArray_ISWRITEABLE(array))) {
    return std::nullopt;
  }
  const auto* type = std::find_if(std::begin(kNumpyTypes), std::end(kNumpyTypes),
                                  [&](const NumpyType& t) { return t.number == PyArray_TYPE(array); });
  if (type == std::end(kNumpyTypes)) return std::nullopt;
  const auto axes = static_cast<size_t>(PyArray_NDIM(array));
  const int64_t bytes = type->dtype.bits / 8;
  std::array<size_t, NPY_MAXDIMS> shape;
  std::array<int64_t, NPY_MAXDIMS> strides;
  for (size_t i = 0; i < axes; ++i) {
    shape[i] = static_cast<size_t>(PyArray_DIMS(array)[i]);
    strides[i] = PyArray_STRIDES(array)[i] / bytes;
    if (strides[i] * bytes != PyArray_STRIDES(array)[i]) return std::nullopt;
  }
  return Array(PyArray_DATA(array), axes, shape.data(), object, strides.data(), type->dtype);
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
  shape.reserve(array.ndim());
  for (size_t i = 0; i < array.ndim(); ++i) shape.push_back(static_cast<int64_t>(array.shape(i)));
  return shape;
}

void import_numpy() {
  if (_import_array() < 0) nb::raise_python_error();
}

Array array_of(nb::handle object, std::string_view name, bool unit_last) {
  Array array;
  if (auto known = numpy_array(object, false)) {
    array = *std::move(known);
  } else if (!nb::try_cast(object, array, false)) {
    if (!PyArray_Check(object.ptr())) {
      refuse_type(
          fmt::format("{} must be an array (NumPy, or whatever speaks DLPack), not {}", name, name_of_type(object)));
    }
    // Parts of structures have strides that DLPack cannot say.
    auto copy = numpy_array(numpy("ascontiguousarray")(object), false);
    if (!copy) {
      refuse_type(fmt::format("{} has dtype {}, but numbers in this computer's byte order are needed", name,
                              nb::cast<std::string>(object.attr("dtype").attr("str"))));
    }
    array = *std::move(copy);
  }
  check_device(array.device_type(), name);
  if (!needs_copy(array, unit_last)) return array;
  return array_of(numpy("ascontiguousarray")(object), name, false);
}

Array writable_array_of(nb::handle object, std::string_view name) {
  nb::ndarray<> writable;
  if (auto known = numpy_array(object, true)) {
    if (!needs_copy(*known, true)) return *std::move(known);
  }
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
  if (auto known = numpy_array(object, false); known && has_type<int32_t>(*known)) {
    return array_of(object, name, false);
  }
  if (!PyArray_Check(object.ptr()) && nb::ndarray_check(object)) {
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
  return array_of(numpy("ascontiguousarray")(clipped.attr("astype")("int32")).attr("reshape")(values.attr("shape")),
                  name, false);
}

nb::object empty_array(std::span<const int64_t> shape, nb::dlpack::dtype dtype) {
  const auto* type = std::find_if(std::begin(kNumpyTypes), std::end(kNumpyTypes),
                                  [&](const NumpyType& t) { return t.dtype == dtype; });
  static_assert(sizeof(npy_intp) == sizeof(int64_t));
  std::array<npy_intp, NPY_MAXDIMS> sizes;
  std::copy(shape.begin(), shape.end(), sizes.begin());
  PyObject* array = PyArray_SimpleNew(static_cast<int>(shape.size()), sizes.data(), type->number);
  if (array == nullptr) nb::raise_python_error();
  return nb::steal(array);
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
