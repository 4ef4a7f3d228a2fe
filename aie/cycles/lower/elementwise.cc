// SPDX-License-Identifier: Apache-2.0
//
// One register in, one out: arithmetic lane by lane, sums of accumulators, comparisons, masks.
#include <algorithm>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {
namespace {

// An instruction for each register of the result, over the same part of all operands.
std::vector<Chunk> elementwise_chunks(CodeBuilder& code, const Step& step, Opcode opcode) {
  const unsigned count = chunks_of(step.results[0]);
  const unsigned registers = ceil_divide(count, 2);
  std::vector<Chunk> chunks;
  for (unsigned r = 0; r < registers; ++r) {
    std::vector<NativeUse> uses;
    for (const Value& input : step.inputs) {
      if (input.kind == ValueKind::kMask) continue;
      uses = joined(std::move(uses), code.operand_part(input, r));
    }
    for (const Value& input : step.inputs) {
      if (input.kind != ValueKind::kMask) continue;
      const std::vector<int>& words = code.native(input).scalars;
      const std::size_t first = std::min(r * words.size() / registers, words.size() - 1);
      const std::size_t end = std::max(first + 1, (r + 1) * words.size() / registers);
      for (std::size_t w = first; w < end; ++w) uses.push_back({words[w], Role::kControl});
    }
    append(chunks, code.emit_vector(opcode, std::move(uses)), std::min(2u, count - 2 * r));
  }
  return chunks;
}

// Sums of float vectors through accumulators: up and down again by the lanes that a conversion takes, added by those of
// a sum.
std::vector<Chunk> float_sums(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  const bool is_bf16 = result.element == Element::kBfloat16;
  const unsigned sum_lanes = std::min<unsigned>(code.is_wide() ? 64 : 16, result.lanes);
  const unsigned move_lanes = std::min(is_bf16 && code.is_wide() ? 32u : 16u, sum_lanes);
  std::vector<Chunk> chunks;
  for (unsigned lane = 0; lane < result.lanes; lane += sum_lanes) {
    std::vector<NativeUse> uses;
    for (const Value& input : step.inputs) {
      const unsigned bits = bits_of(input.element);
      for (unsigned at = lane; at < lane + sum_lanes; at += move_lanes) {
        const auto from = code.half_or_part(input, at * bits / 256, move_lanes * bits);
        const Opcode up = is_bf16 ? Opcode::kConvertUp : Opcode::kMoveToAccum;
        uses.push_back({code.emit_accum(up, from, move_lanes / 16), Role::kAccumulator});
      }
    }
    const int sum = code.emit_accum(Opcode::kAddFloat, std::move(uses), sum_lanes / 16);
    for (unsigned at = lane; at < lane + sum_lanes; at += move_lanes) {
      const unsigned count = std::max(1u, move_lanes * bits_of(result.element) / 256);
      append(chunks, code.emit_vector(is_bf16 ? Opcode::kConvertDown : Opcode::kMoveAccum, {{sum}}, count), count);
    }
  }
  return chunks;
}

// Bounds of floats: compare and select; maxdiff between the difference and zeros.
std::vector<Chunk> float_bounds(CodeBuilder& code, const Step& step) {
  const unsigned count = chunks_of(step.results[0]);
  std::vector<Chunk> difference;
  if (step.operation == Operation::kMaxdiff) difference = float_sums(code, step);
  std::vector<Chunk> chunks;
  for (unsigned r = 0; r < ceil_divide(count, 2); ++r) {
    const auto uses = joined(code.operand_part(step.inputs[0], r), code.operand_part(step.inputs[1], r));
    const int mask = code.emit_scalar(Opcode::kCompare, uses);
    auto selected = difference.empty() ? uses : code.part(difference, r);
    append(chunks, code.emit_vector(Opcode::kSelect, joined(std::move(selected), {{mask, Role::kControl}})),
           std::min(2u, count - 2 * r));
  }
  return chunks;
}

std::vector<Chunk> arithmetic_chunks(CodeBuilder& code, const Step& step) {
  const Element element = step.results[0].element;
  const bool is_bound = step.operation == Operation::kMax || step.operation == Operation::kMin;
  if (!is_float(element) || (is_bound && element == Element::kBfloat16)) {
    return elementwise_chunks(code, step, Opcode::kElementwise);
  }
  if (is_bound || step.operation == Operation::kMaxdiff) return float_bounds(code, step);
  return float_sums(code, step);
}

void add_accums(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  std::vector<const Native*> operands;
  for (const Value& input : step.inputs) {
    if (code.native(input).is_zero && step.operation == Operation::kAdd) continue;
    operands.push_back(&code.real_accum(input));
  }
  if (operands.size() == 1) return code.define(result, *operands[0]);
  const Opcode opcode = is_float(result.element) ? Opcode::kAddFloat : Opcode::kAddAccum;
  const unsigned units = accum_units_of(result);
  const unsigned each = code.accum_step(result);
  std::vector<AccumUnit> made;
  for (unsigned u = 0; u < units; u += each) {
    const unsigned count = std::min(each, units - u);
    std::vector<NativeUse> uses;
    for (const Native* operand : operands) uses = joined(std::move(uses), code.accum_uses(*operand, u, count));
    append(made, code.emit_accum(opcode, std::move(uses), count), count);
  }
  code.define_accum(result, std::move(made));
}

}  // namespace

void elementwise(CodeBuilder& code, const Step& step, Opcode opcode) {
  code.define_vector(step.results[0], elementwise_chunks(code, step, opcode));
}

void lower_arithmetic(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  if (result.kind == ValueKind::kAccum) return add_accums(code, step);
  if (result.kind == ValueKind::kScalar) {  // floats, in a vector whose first lane is the number
    Step lanes = step;
    lanes.results[0].kind = ValueKind::kVector;
    lanes.results[0].lanes = 16;
    const int value = arithmetic_chunks(code, lanes)[0].value;
    return code.define_scalar(result, code.emit_scalar(Opcode::kExtract, {{value}}));
  }
  code.define_vector(result, arithmetic_chunks(code, step));
}

void lower_negate(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  if (result.kind != ValueKind::kAccum) return elementwise(code, step, Opcode::kElementwise);
  const Native& from = code.real_accum(step.inputs[0]);
  const auto units = static_cast<unsigned>(from.accum.size());
  const unsigned each = std::min(code.accum_step(result), units);
  const Opcode opcode = is_float(result.element) ? Opcode::kAddFloat : Opcode::kAddAccum;
  std::vector<AccumUnit> made;
  for (unsigned u = 0; u < units; u += each) {
    append(made, code.emit_accum(opcode, code.accum_uses(from, u, each), each), each);
  }
  code.define_accum(result, std::move(made));
}

void lower_select(CodeBuilder& code, const Step& step) { elementwise(code, step, Opcode::kSelect); }

namespace {

// A word for each register.
Native compared(CodeBuilder& code, const Step& step) {
  const bool is_first = step.inputs[0].kind == ValueKind::kVector && step.inputs[0].lanes > 1;
  const Value& vector = step.inputs[is_first ? 0 : 1];
  const bool is_equality = step.operation == Operation::kEq || step.operation == Operation::kNeq;
  Native mask;
  for (unsigned r = 0; r < ceil_divide(chunks_of(vector), 2); ++r) {
    auto uses = joined(code.operand_part(step.inputs[0], r), code.operand_part(step.inputs[1], r));
    if (is_equality) uses = {{code.emit_vector(Opcode::kElementwise, std::move(uses))}};
    int word = code.emit_scalar(Opcode::kCompare, std::move(uses));
    if (step.operation == Operation::kNeq) word = code.emit_scalar(Opcode::kScalar, {{word}});
    mask.scalars.push_back(word);
  }
  return mask;
}

}  // namespace

void lower_compare(CodeBuilder& code, const Step& step) { code.define(step.results[0], compared(code, step)); }

// The bound and its mask, by an instruction each.
void lower_bound_and_compare(CodeBuilder& code, const Step& step) {
  elementwise(code, step, Opcode::kElementwise);
  code.define(step.results[1], compared(code, step));
}

void lower_mask_operation(CodeBuilder& code, const Step& step) {
  const unsigned words = std::max(1u, ceil_divide(step.inputs.empty() ? 32u : step.inputs[0].lanes, 32));
  int value = -1;
  for (unsigned w = 0; w < words; ++w) value = code.emit_scalar(Opcode::kScalar, code.scalar_uses(step));
  code.define_scalar(step.results[0], value);
}

// A constant, a scalar that was computed, or one from memory.
void lower_mask_from_uint(CodeBuilder& code, const Step& step) {
  const auto uses = code.scalar_uses(step);
  if (uses.empty()) return code.define_scalar(step.results[0], code.scalar_from_before());
  code.define_scalar(step.results[0], uses[0].value);
}

void lower_mask_from_masks(CodeBuilder& code, const Step& step) {
  Native joined;
  for (const Value& part : step.inputs) {
    const Native& from = code.native(part);
    joined.scalars.insert(joined.scalars.end(), from.scalars.begin(), from.scalars.end());
  }
  code.define(step.results[0], std::move(joined));
}

void lower_mask_part(CodeBuilder& code, const Step& step) {
  const Native& from = code.native(step.inputs[0]);
  const std::size_t count = from.scalars.size();
  const auto index = static_cast<std::size_t>(step.immediates.empty() ? 0 : step.immediates[0]);
  code.define_scalar(step.results[0], from.scalars[std::min(index, count - 1)]);
}

}  // namespace aie_cycles
