// SPDX-License-Identifier: Apache-2.0
#include "call.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace hccs::ort {
namespace {

static_assert(std::endian::native == std::endian::little);

// Bit i % 8 of byte i / 8: whether byte i of the row is not 0. The bits are 0 before.
void pack_row(const uint8_t* row, int64_t keys, uint8_t* bits) {
  int64_t i = 0;
  for (; i + 8 <= keys; i += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, row + i, 8);
    constexpr uint64_t kLow = 0x7F7F7F7F7F7F7F7F;
    const uint64_t set = ((((eight & kLow) + kLow) | eight) >> 7) & 0x0101010101010101;
    // The product's highest byte gathers the eight bits, the first byte's lowest.
    bits[i / 8] = static_cast<uint8_t>((set * 0x0102040810204080) >> 56);
  }
  for (; i < keys; ++i) bits[i / 8] |= static_cast<uint8_t>((row[i] != 0) << (i % 8));
}

int32_t value_of(const Tensor& input, int64_t head) {
  const int64_t at = elements(input.shape) == 1 ? 0 : head;
  return static_cast<const int32_t*>(input.data)[at];
}

}  // namespace

std::string text_of(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

int64_t elements(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

Expected<std::vector<HeadParams>> heads_of(std::span<const Tensor> inputs) {
  int64_t heads = 1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<int64_t>& shape = inputs[i].shape;
    const int64_t count = elements(shape);
    if (count == 1) continue;
    const bool of_heads = shape.size() == 3 && shape[1] == 1 && shape[2] == 1;
    if (!of_heads || count == 0 || (heads != 1 && count != heads)) {
      const std::string name = i == 0 ? "b" : fmt::format("{}_{}", i % 2 == 1 ? "s" : "d", (i - 1) / 2);
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("{} has shape {}, but one value or [{}, 1, 1] is needed", name, text_of(shape),
                                heads == 1 ? "heads" : std::to_string(heads)));
    }
    heads = count;
  }
  std::vector<HeadParams> result;
  for (int64_t h = 0; h < heads; ++h) {
    std::vector<Knee> knees;
    for (size_t i = 1; i < inputs.size(); i += 2) {
      if (const int32_t slope = value_of(inputs[i], h); slope != 0) {
        knees.push_back({slope, value_of(inputs[i + 1], h)});
      }
    }
    if (knees.empty()) knees.push_back({0, 1});
    result.emplace_back(value_of(inputs[0], h), knees);
  }
  return result;
}

Expected<Masks> Masks::of(const Tensor& mask, std::span<const int64_t> shape) {
  const size_t axes = shape.size();
  const size_t missing = axes - std::min(axes, mask.shape.size());
  bool fits = mask.shape.size() <= axes;
  std::vector<int64_t> sizes(axes, 1);  // the mask's, with ones in front
  for (size_t i = missing; fits && i < axes; ++i) {
    sizes[i] = mask.shape[i - missing];
    fits = sizes[i] == shape[i] || sizes[i] == 1;
  }
  if (!fits) {
    return Status(StatusCode::kInvalidArgument, fmt::format("mask has shape {}, which does not broadcast to x's {}",
                                                            text_of(mask.shape), text_of(shape)));
  }
  const auto* values = static_cast<const uint8_t*>(mask.data);
  const int64_t count = elements(sizes);
  Masks masks;
  if (std::all_of(values, values + count, [](uint8_t v) { return v != 0; })) return masks;

  const int64_t keys = shape[axes - 1];
  const int64_t bytes = (keys + 7) / 8;
  const int64_t rows = count / sizes[axes - 1];
  masks.bits_.resize(static_cast<size_t>(rows * bytes));
  for (int64_t row = 0; row < rows; ++row) {
    uint8_t* bits = masks.bits_.data() + row * bytes;
    if (sizes[axes - 1] == keys) {
      pack_row(values + row * keys, keys, bits);
    } else {
      std::fill_n(bits, bytes, values[row] != 0 ? 0xFF : 0);
    }
  }
  std::vector<int64_t> strides(axes - 1, 0);
  int64_t stride = bytes;
  for (size_t i = axes - 1; i-- > 0; stride *= sizes[i]) strides[i] = sizes[i] == 1 ? 0 : stride;
  masks.batch_sizes_.assign(shape.begin(), shape.end() - 3);
  masks.batch_strides_.assign(strides.begin(), strides.end() - 2);
  masks.head_stride_ = strides[axes - 3];
  masks.query_stride_ = strides[axes - 2];
  return masks;
}

int64_t Masks::offset(int64_t batch) const {
  int64_t offset = 0;
  for (size_t i = batch_sizes_.size(); i-- > 0; batch /= batch_sizes_[i]) {
    offset += batch % batch_sizes_[i] * batch_strides_[i];
  }
  return offset;
}

}  // namespace hccs::ort
