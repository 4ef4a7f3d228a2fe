// SPDX-License-Identifier: Apache-2.0
//
// Where the values of a trace are in registers: a vector in pieces of 256 bits, an accumulator in pieces of 512,
// scalars and the words of a mask.
#ifndef HCCS_AIE_CYCLES_LOWER_VALUES_H_
#define HCCS_AIE_CYCLES_LOWER_VALUES_H_

#include <algorithm>
#include <utility>
#include <vector>

#include "aie/cycles/native.h"
#include "aie/cycles/trace.h"

namespace aie_cycles {

// 256 bits of a vector: a native value, and which of its units.
struct Chunk {
  int value = -1;
  unsigned unit = 0;
};

// 512 bits of an accumulator.
using AccumUnit = Chunk;

// A value of the trace in registers. One of the lists is used.
struct Native {
  std::vector<Chunk> vector;
  std::vector<AccumUnit> accum;
  std::vector<int> scalars;  // a scalar, or the words of a mask
  bool is_zero = false;      // an accumulator of zeros that no register holds yet
};

constexpr unsigned bits_of(Element element) {
  switch (element) {
    case Element::kBit:
      return 1;
    case Element::kInt4:
    case Element::kUint4:
      return 4;
    case Element::kInt8:
    case Element::kUint8:
      return 8;
    case Element::kInt16:
    case Element::kUint16:
    case Element::kBfloat16:
      return 16;
    case Element::kInt64:
    case Element::kUint64:
    case Element::kAcc64:
      return 64;
    default:
      return 32;
  }
}

constexpr bool is_float(Element element) {
  return element == Element::kBfloat16 || element == Element::kFloat || element == Element::kAccFloat;
}

constexpr unsigned ceil_divide(unsigned a, unsigned b) { return (a + b - 1) / b; }

// How many units of a register file a value takes.
inline unsigned chunks_of(const Value& v) { return std::max(1u, v.lanes * bits_of(v.element) / 256); }
inline unsigned accum_units_of(const Value& v) { return std::max(1u, v.lanes * bits_of(v.element) / 512); }

// Adds the first `chunks` units of a native value.
inline void append(std::vector<Chunk>& to, int value, unsigned chunks) {
  for (unsigned unit = 0; unit < chunks; ++unit) to.push_back({value, unit});
}

inline std::vector<NativeUse> joined(std::vector<NativeUse> a, const std::vector<NativeUse>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Accumulators that an instruction reads as an operand, not as the sum that it adds to.
inline std::vector<NativeUse> as_operands(std::vector<NativeUse> uses) {
  for (NativeUse& use : uses) use.role = Role::kOperand;
  return uses;
}

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_LOWER_VALUES_H_
