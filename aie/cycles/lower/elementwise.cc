// SPDX-License-Identifier: Apache-2.0
//
// One register in, one out: arithmetic lane by lane, sums of accumulators, comparisons, masks.
#include <algorithm>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {

void elementwise(CodeBuilder& code, const Operation& op, Opcode opcode) {
  const Value& result = op.results[0];
  std::vector<Chunk> chunks;
  const unsigned count = chunks_of(result);
  for (unsigned p = 0; p < ceil_divide(count, 2); ++p) {
    std::vector<NativeUse> uses;
    for (const Value& input : op.inputs) {
      if (input.kind == ValueKind::kMask) continue;
      uses = joined(std::move(uses), code.operand_part(input, p));
    }
    for (const Value& input : op.inputs) {
      if (input.kind != ValueKind::kMask) continue;
      const std::vector<int>& words = code.native(input).scalars;
      const std::size_t parts = ceil_divide(count, 2);
      const std::size_t first = std::min(p * words.size() / parts, words.size() - 1);
      for (std::size_t w = first; w < std::max(first + 1, (p + 1) * words.size() / parts); ++w) {
        uses.push_back({words[w], Role::kControl});
      }
    }
    append(chunks, code.emit_vector(opcode, std::move(uses)), std::min(2u, count - 2 * p));
  }
  code.define_vector(result, std::move(chunks));
}

namespace {

// Of vectors through accumulators: up and down again by the lanes that a conversion takes, added by those of a sum.
std::vector<Chunk> float_sums(CodeBuilder& code, const Operation& op, const Value& result) {
  const bool is_bf16 = result.element == Element::kBfloat16;
  const unsigned sum_lanes = std::min<unsigned>(code.is_v2() ? 64 : 16, result.lanes);
  const unsigned move_lanes = std::min(is_bf16 && code.is_v2() ? 32u : 16u, sum_lanes);
  std::vector<Chunk> chunks;
  for (unsigned lane = 0; lane < result.lanes; lane += sum_lanes) {
    std::vector<NativeUse> uses;
    for (const Value& input : op.inputs) {
      for (unsigned at = lane; at < lane + sum_lanes; at += move_lanes) {
        const auto from =
            code.half_or_part(input, at * bits_of(input.element) / 256, move_lanes * bits_of(input.element));
        uses.push_back({code.emit_accum(is_bf16 ? Opcode::kConvertUp : Opcode::kMoveToAccum, from, move_lanes / 16),
                        Role::kAccumulator});
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

// Float sums go through accumulators.
void float_arithmetic(CodeBuilder& code, const Operation& op) {
  const Value& result = op.results[0];
  if (op.name == "max" || op.name == "min" || op.name == "maxdiff") {
    // Compare and select; maxdiff between the difference and zeros.
    std::vector<Chunk> difference;
    if (op.name == "maxdiff") difference = float_sums(code, op, result);
    std::vector<Chunk> chunks;
    for (unsigned p = 0; p < ceil_divide(chunks_of(result), 2); ++p) {
      const auto uses = joined(code.operand_part(op.inputs[0], p), code.operand_part(op.inputs[1], p));
      const int mask = code.emit_scalar(Opcode::kCompare, uses);
      auto selected = difference.empty() ? uses : code.part(difference, p);
      append(chunks, code.emit_vector(Opcode::kSelect, joined(std::move(selected), {{mask, Role::kControl}})),
             std::min(2u, chunks_of(result) - 2 * p));
    }
    return code.define_vector(result, std::move(chunks));
  }
  code.define_vector(result, float_sums(code, op, result));
}

void add_accums(CodeBuilder& code, const Operation& op) {
  const Value& result = op.results[0];
  const bool real = is_float(result.element);
  const unsigned units = accum_units_of(result);
  const unsigned step = code.accum_step(result);
  std::vector<const Native*> operands;
  std::vector<Native> converted;
  converted.reserve(op.inputs.size());
  for (const Value& input : op.inputs) {
    if (input.kind == ValueKind::kAccum) {
      if (code.native(input).is_zero && op.name == "add") continue;
      operands.push_back(&code.real_accum(input));
    } else {
      converted.push_back({.accum = upshifted(code, input, result)});
      operands.push_back(&converted.back());
    }
  }
  if (operands.size() == 1) return code.define(result, *operands[0]);
  std::vector<AccumUnit> made;
  for (unsigned u = 0; u < units; u += step) {
    const unsigned count = std::min(step, units - u);
    std::vector<NativeUse> uses;
    for (const Native* operand : operands) uses = joined(std::move(uses), code.accum_uses(*operand, u, count));
    const int value = code.emit_accum(real ? Opcode::kAddFloat : Opcode::kAddAccum, std::move(uses), count);
    for (unsigned i = 0; i < count; ++i) made.push_back({value, i});
  }
  code.define_accum(result, std::move(made));
}

}  // namespace

void lower_arithmetic(CodeBuilder& code, const Operation& op) {
  const Element element = op.results[0].element;
  const bool is_bound = op.name == "max" || op.name == "min";
  if (op.results[0].kind == ValueKind::kAccum) return add_accums(code, op);
  if (is_float(element) && !(is_bound && element == Element::kBfloat16)) return float_arithmetic(code, op);
  elementwise(code, op, Opcode::kElementwise);
}

void lower_negate(CodeBuilder& code, const Operation& op) {
  if (op.results[0].kind != ValueKind::kAccum) return elementwise(code, op, Opcode::kElementwise);
  const Native& from = code.real_accum(op.inputs[0]);
  std::vector<AccumUnit> made;
  const auto count = static_cast<unsigned>(from.accum.size());
  const unsigned step = std::min(code.accum_step(op.results[0]), count);
  const Opcode opcode = is_float(op.results[0].element) ? Opcode::kAddFloat : Opcode::kAddAccum;
  for (unsigned u = 0; u < count; u += step) {
    const int value = code.emit_accum(opcode, code.accum_uses(from, u, step), step);
    for (unsigned i = 0; i < step; ++i) made.push_back({value, i});
  }
  code.define_accum(op.results[0], std::move(made));
}

void lower_select(CodeBuilder& code, const Operation& op) { elementwise(code, op, Opcode::kSelect); }

void lower_compare(CodeBuilder& code, const Operation& op) {
  const Value& input = op.inputs[0].kind == ValueKind::kVector && op.inputs[0].lanes > 1 ? op.inputs[0] : op.inputs[1];
  Native mask;
  for (unsigned p = 0; p < ceil_divide(chunks_of(input), 2); ++p) {
    auto uses = joined(code.operand_part(op.inputs[0], p), code.operand_part(op.inputs[1], p));
    if (op.name == "eq" || op.name == "neq") uses = {{code.emit_vector(Opcode::kElementwise, std::move(uses))}};
    int word = code.emit_scalar(Opcode::kCompare, std::move(uses));
    if (op.name == "neq") word = code.emit_scalar(Opcode::kScalar, {{word}});
    mask.scalars.push_back(word);
  }
  code.define(op.results[0], std::move(mask));
}

// One instruction gives the bound and the mask.
void lower_bound_and_compare(CodeBuilder& code, const Operation& op) {
  elementwise(code, op, Opcode::kElementwise);
  lower_compare(code, op);
  if (op.results.size() > 1) code.define(op.results[1], code.native(op.results[0]));
}

void lower_mask_operation(CodeBuilder& code, const Operation& op) {
  const unsigned words = std::max(1u, ceil_divide(op.inputs.empty() ? 32u : op.inputs[0].lanes, 32));
  int value = -1;
  for (unsigned w = 0; w < words; ++w) value = code.emit_scalar(Opcode::kScalar, code.scalar_uses(op));
  code.define_scalar(op.results[0], value);
}

// A constant, a scalar that was computed, or one from memory.
void lower_mask_from_uint(CodeBuilder& code, const Operation& op) {
  const auto uses = code.scalar_uses(op);
  if (uses.empty()) return code.define_scalar(op.results[0], code.scalar_from_before());
  code.define_scalar(op.results[0], uses[0].value);
}

void lower_mask_part(CodeBuilder& code, const Operation& op) {
  const Native& from = code.native(op.inputs[0]);
  const std::size_t count = from.scalars.size();
  const auto index = static_cast<std::size_t>(op.immediates.empty() ? 0 : op.immediates[0]);
  code.define_scalar(op.results[0], from.scalars[std::min(index, count - 1)]);
}

}  // namespace aie_cycles
