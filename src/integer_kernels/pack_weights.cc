// SPDX-License-Identifier: Apache-2.0
#include "integer_kernels/pack_weights.h"

#include <algorithm>
#include <cstring>

namespace hccs::internal {
namespace {

// A group of columns, `count` of them with weights. kInputs and kColumns are the layout's.
template <int64_t kColumns, int64_t kInputs>
void pack_group(const int8_t* weights, int64_t in, int64_t count, int64_t steps, std::byte* to) {
  for (int64_t c = 0; c < kColumns; ++c) {
    const int8_t* column = weights + c * in;
    std::byte* at = to + c * kInputs;
    const int64_t whole = c < count ? in / kInputs : 0;
    for (int64_t s = 0; s < whole; ++s) std::memcpy(at + s * kColumns * kInputs, column + s * kInputs, kInputs);
    for (int64_t s = whole; s < steps; ++s) {
      std::byte* step = at + s * kColumns * kInputs;
      std::memset(step, 0, kInputs);
      if (c < count && s * kInputs < in) std::memcpy(step, column + s * kInputs, static_cast<size_t>(in - s * kInputs));
    }
  }
}

template <int64_t kColumns, int64_t kInputs>
bool pack_if(const WeightLayout& layout, const int8_t* weights, int64_t in, int64_t out, std::byte* packed) {
  if (layout.columns != kColumns || layout.inputs != kInputs) return false;
  const int64_t steps = layout.steps(in);
  const int64_t columns = (out + kPanel - 1) / kPanel * kPanel;
  for (int64_t c = 0; c < columns; c += kColumns, packed += steps * kColumns * kInputs) {
    pack_group<kColumns, kInputs>(weights + std::min(c, out) * in, in, std::clamp<int64_t>(out - c, 0, kColumns), steps,
                                  packed);
  }
  return true;
}

}  // namespace

void pack_weights(const WeightLayout& layout, const int8_t* weights, int64_t in, int64_t out, std::byte* packed) {
  if (!(pack_if<64, 4>(layout, weights, in, out, packed) || pack_if<16, 4>(layout, weights, in, out, packed) ||
        pack_if<64, 2>(layout, weights, in, out, packed) || pack_if<16, 2>(layout, weights, in, out, packed) ||
        pack_if<8, 2>(layout, weights, in, out, packed) || pack_if<1, 16>(layout, weights, in, out, packed))) {
    __builtin_trap();  // a target with a layout that is not in the list above
  }
}

}  // namespace hccs::internal
