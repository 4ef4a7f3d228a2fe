// SPDX-License-Identifier: Apache-2.0
//
// Reductions of a vector to a number.
#include <algorithm>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {
namespace {

// Sums of bytes or of 16 bits: halves on each other until a matrix product with ones takes the rest in two steps.
int reduce_narrow(CodeBuilder& code, Element element, std::vector<NativeUse> uses, unsigned lanes) {
  for (const unsigned last = bits_of(element) == 8 ? 16u : 8u; lanes > last; lanes /= 2) {
    const int shifted = code.emit_vector(Opcode::kShuffle, uses);
    uses = {{code.emit_vector(Opcode::kElementwise, joined(uses, {{shifted}}))}};
  }
  const int product = code.emit_accum(Opcode::kMultiply, uses, 2);
  const int shifted = code.emit_vector(Opcode::kShuffle, uses);
  const int sum = code.emit_accum(Opcode::kMultiplyAdd, {{shifted}, {product, Role::kAccumulator}}, 2);
  const int vector = code.emit_vector(Opcode::kShift, {{sum}});
  return code.emit_scalar(Opcode::kExtract, {{vector}});
}

// Of bf16: a matrix product with ones sums rows of 8; what is left over a shuffle and a sum for each halving.
int reduce_bf16(CodeBuilder& code, const std::vector<Chunk>& from, unsigned lanes) {
  int sum = -1;
  for (unsigned p = 0; p < ceil_divide(static_cast<unsigned>(from.size()), 2); ++p) {
    auto uses = code.part(from, p);
    if (sum >= 0) uses.push_back({sum, Role::kAccumulator});
    sum = code.emit_accum(sum < 0 ? Opcode::kMultiplyFloat : Opcode::kMultiplyAddFloat, std::move(uses), 2);
  }
  const auto halve = [&](bool in_place) {
    int other = sum;
    if (!in_place) {
      const int vector = code.emit_vector(Opcode::kMoveAccum, {{sum}});
      other = code.move_to_accum({{code.emit_vector(Opcode::kShuffle, {{vector}})}});
    }
    sum = code.sum_of(Opcode::kAddFloat, sum, other == sum ? -1 : other, 1);
  };
  if (lanes > 16) halve(code.is_wide());  // v2: the halves of the result are registers of their own
  if (lanes > 8) halve(false);
  const int vector = code.emit_vector(Opcode::kConvertDown, {{sum}}, 1);
  return code.emit_scalar(Opcode::kExtract, {{vector}});
}

int reduce_floats(CodeBuilder& code, const std::vector<NativeUse>& from, unsigned lanes) {
  int sum = code.move_to_accum(from);
  int vector = -1;
  for (unsigned n = lanes; n > 1; n /= 2) {
    vector = code.emit_vector(Opcode::kMoveAccum, {{sum}});
    const int shifted = code.emit_vector(Opcode::kShuffle, {{vector}});
    const int moved = code.move_to_accum({{shifted}});
    sum = code.emit_accum(Opcode::kAddFloat, {{sum, Role::kAccumulator}, {moved, Role::kAccumulator}}, 1);
  }
  vector = code.emit_vector(Opcode::kMoveAccum, {{sum}});
  return code.emit_scalar(Opcode::kExtract, {{vector}});
}

// The scalar that is left of a vector.
int reduced(CodeBuilder& code, const Value& v, bool adds) {
  const std::vector<Chunk> from = code.native(v).vector;
  std::vector<NativeUse> uses = code.part(from, 0);
  for (unsigned p = 1; p < ceil_divide(static_cast<unsigned>(from.size()), 2); ++p) {
    uses = {{code.emit_vector(Opcode::kElementwise, joined(std::move(uses), code.part(from, p)))}};
  }
  const unsigned lanes = std::min<unsigned>(v.lanes, 512 / bits_of(v.element));
  if (adds && v.element == Element::kBfloat16) return reduce_bf16(code, from, v.lanes);
  if (adds && is_float(v.element)) return reduce_floats(code, uses, lanes);
  if (adds && bits_of(v.element) <= 16) return reduce_narrow(code, v.element, uses, lanes);
  for (unsigned n = lanes; n > 1; n /= 2) {
    const int shifted = code.emit_vector(Opcode::kShuffle, uses);
    uses = {{code.emit_vector(Opcode::kElementwise, joined(uses, {{shifted}}))}};
  }
  return code.emit_scalar(Opcode::kExtract, uses);
}

}  // namespace

void lower_reduce(CodeBuilder& code, const Step& step) {
  code.define_scalar(step.results[0], reduced(code, step.inputs[0], step.operation == Operation::kReduceAdd));
}

// A sum for each vector, each put into its lane.
void lower_reduce_to_lanes(CodeBuilder& code, const Step& step) {
  int made = -1;
  for (const Value& v : step.inputs) {
    std::vector<NativeUse> uses;
    if (made >= 0) uses.push_back({made});
    uses.push_back({reduced(code, v, true), Role::kControl});
    made = code.emit_vector(Opcode::kInsert, std::move(uses));
  }
  const unsigned chunks = chunks_of(step.results[0]);
  std::vector<Chunk> lanes;
  for (unsigned c = 0; c < chunks; ++c) lanes.push_back({made, c % 2});
  code.define_vector(step.results[0], std::move(lanes));
}

}  // namespace aie_cycles
