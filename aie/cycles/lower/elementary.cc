// SPDX-License-Identifier: Apache-2.0
//
// Conversions between integers and floats, elementary functions, look-ups, scalars.
#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {
namespace {

// 16 lanes at a time. int32 to float: both halves up, an integer sum that makes floats of them, three float sums.
int to_float_lanes(CodeBuilder& code, const std::vector<NativeUse>& uses) {
  std::array<int, 2> half{};
  for (int& h : half) {
    const int bits = code.emit_vector(Opcode::kShuffle, uses);
    h = code.sum_of(Opcode::kAddFloat, code.sum_of(Opcode::kAddAccum, code.emit_accum(Opcode::kUpshift, {{bits}})), -1,
                    1);
  }
  return code.emit_vector(Opcode::kMoveAccum, {{code.sum_of(Opcode::kAddFloat, half[0], half[1], 1)}});
}

// 16 lanes of a float or bf16 vector from `lane` on, in an accumulator.
int floats_in_accum(CodeBuilder& code, const Value& from, unsigned lane) {
  const unsigned bits = bits_of(from.element);
  auto uses = code.half_or_part(from, lane * bits / 256, 16 * bits);
  return bits == 16 ? code.emit_accum(Opcode::kConvertUp, std::move(uses), 1) : code.move_to_accum(std::move(uses));
}

// 16 floats to int32: the high part by a float sum, an integer difference and a shift; what it leaves in the same way;
// both joined in 64 bits. A call of 16 lanes sums 32 on AIE-ML, in two instructions.
int to_fixed_lanes(CodeBuilder& code, int x, bool is_alone) {
  const auto float_sum = [&](int a, int b = -1) {
    if (is_alone && !code.is_wide()) {
      code.sum_of(Opcode::kAddFloat, a, b, 1);
      code.keep_last();
    }
    return code.sum_of(Opcode::kAddFloat, a, b, 1);
  };
  const auto shift = [&](int accum) { return code.emit_vector(Opcode::kShift, {{accum}}); };
  const int high = shift(code.sum_of(Opcode::kAddAccum, float_sum(x)));
  const int back = float_sum(code.sum_of(Opcode::kAddAccum, code.emit_accum(Opcode::kUpshift, {{high}})));
  const int rest = float_sum(float_sum(x, back));
  const int difference = code.sum_of(Opcode::kAddAccum, rest);
  const int low = shift(difference);
  const int negative = shift(code.sum_of(Opcode::kAddAccum, difference));
  const int wide = code.sum_of(Opcode::kAddAccum, code.emit_accum(Opcode::kUpshift, {{high}}),
                               code.emit_accum(Opcode::kUpshift, {{low}}));
  return shift(code.sum_of(Opcode::kAddAccum, wide, code.emit_accum(Opcode::kUpshift, {{negative}})));
}

// int16 to float: up, an integer sum that makes floats of them, a float difference.
int short_to_float_lanes(CodeBuilder& code, const std::vector<NativeUse>& uses) {
  const int bits = code.sum_of(Opcode::kAddAccum, code.emit_accum(Opcode::kUpshift, uses, 1), -1, 1);
  return code.emit_vector(Opcode::kMoveAccum, {{code.sum_of(Opcode::kAddFloat, bits, -1, 1)}});
}

// 32 lanes from `lane` on, or 16 if there are no more, to 16 or 8 bits: a float sum, an integer difference, a shift.
// AIE-ML sums 16 floats at a time, but never less than 32.
int to_short_lanes(CodeBuilder& code, const Value& from, unsigned lane, unsigned units) {
  const bool is_half = lane + 16u >= from.lanes;
  int first = -1;
  int second = -1;
  if (code.is_wide() && from.element == Element::kBfloat16 && !is_half) {  // in one instruction
    first = code.emit_accum(Opcode::kConvertUp, code.half_or_part(from, lane / 16, 512));
  } else {
    first = floats_in_accum(code, from, lane);
    if (!is_half) second = floats_in_accum(code, from, lane + 16);
  }
  if (code.is_wide()) {
    first = code.sum_of(Opcode::kAddFloat, first, second);
    second = -1;
  } else if (is_half) {
    code.sum_of(Opcode::kAddFloat, first, -1, 1);
    code.keep_last();
    first = code.sum_of(Opcode::kAddFloat, first, -1, 1);
  } else {
    first = code.sum_of(Opcode::kAddFloat, first, -1, 1);
    second = code.sum_of(Opcode::kAddFloat, second, -1, 1);
  }
  return code.emit_vector(Opcode::kShift, {{code.sum_of(Opcode::kAddAccum, first, second)}}, units);
}

}  // namespace

void lower_to_float(CodeBuilder& code, const Step& step) {
  const Value& from = step.inputs[0];
  const Value& result = step.results[0];
  if (result.kind == ValueKind::kScalar) return lower_scalar(code, step);
  std::vector<Chunk> chunks;
  for (unsigned lane = 0; lane < result.lanes; lane += 16) {
    const auto uses = code.half_or_part(from, lane * bits_of(from.element) / 256, 16 * bits_of(from.element));
    append(chunks, bits_of(from.element) == 16 ? short_to_float_lanes(code, uses) : to_float_lanes(code, uses), 2);
  }
  code.define_vector(result, std::move(chunks));
}

// The constants of the sums are there before.
void lower_to_fixed(CodeBuilder& code, const Step& step) {
  const Value& from = step.inputs[0];
  const Value& result = step.results[0];
  if (result.kind == ValueKind::kScalar) return lower_scalar(code, step);
  for (unsigned i = 0; i < 3; ++i) code.emit_effect(Opcode::kMoveScalar, {});  // the saturation mode, there and back
  std::vector<Chunk> chunks;
  const unsigned out_bits = bits_of(result.element);
  for (unsigned lane = 0; lane < result.lanes; lane += out_bits == 32 ? 16 : 32) {
    if (out_bits == 32) {
      append(chunks, to_fixed_lanes(code, floats_in_accum(code, from, lane), result.lanes <= 16), 2);
    } else {
      const unsigned units = std::max(1u, std::min(32u, result.lanes - lane) * out_bits / 256);
      append(chunks, to_short_lanes(code, from, lane, units), units);
    }
  }
  code.define_vector(result, std::move(chunks));
}

// bf16 rounded down, 16 lanes an instruction; 16-bit results are shuffled together from two.
void lower_to_fixed_floor(CodeBuilder& code, const Step& step) {
  const Value& from = step.inputs[0];
  const Value& result = step.results[0];
  std::vector<Chunk> chunks;
  std::vector<NativeUse> floored;
  for (unsigned lane = 0; lane < result.lanes; lane += 16) {
    const int value = code.emit_vector(Opcode::kFloor, code.half_or_part(from, lane / 16, 256));
    if (bits_of(result.element) == 32) {
      append(chunks, value, 2);
      continue;
    }
    floored.push_back({value});
    if (floored.size() == 2 || lane + 16u >= result.lanes) {
      append(chunks, code.emit_vector(Opcode::kShuffle, floored), static_cast<unsigned>(floored.size()));
      floored.clear();
    }
  }
  code.define_vector(result, std::move(chunks));
}

namespace {

// 1 / x of 16 bf16: a seed from the bits, two Newton steps.
int inverse_bf16(CodeBuilder& code, const std::vector<NativeUse>& uses) {
  const auto narrow = [&](int accum) { return code.emit_vector(Opcode::kConvertDown, {{accum}}, 1); };
  const auto product = [&](int a, int b) { return code.emit_accum(Opcode::kMultiplyFloat, {{a}, {b}}, 1); };
  const auto beside_zeros = [&](const std::vector<NativeUse>& of) {
    return code.is_wide() ? of[0].value : code.emit_vector(Opcode::kMove, of);
  };
  const int x = beside_zeros(uses);
  const int seed = beside_zeros({{code.emit_vector(Opcode::kElementwise, uses)}});
  const int first = narrow(code.sum_of(Opcode::kAddFloat, product(x, seed), -1, 1));
  const int y = narrow(product(first, seed));
  const int second = narrow(product(x, y));
  const int step = narrow(code.emit_accum(Opcode::kMultiplyAddFloat, {{second}, {y}}, 1));
  return narrow(product(step, y));
}

// 1 / x of 16 floats: the steps of inverse_bf16 in five products of floats.
int inverse_float(CodeBuilder& code, const std::vector<NativeUse>& uses) {
  const auto vector_of = [&](int accum) { return code.emit_vector(Opcode::kMoveAccum, {{accum}}); };
  const auto x = bf16_pieces(code, uses);
  const int seed = code.emit_vector(Opcode::kElementwise, uses);
  const auto seeds = bf16_pieces(code, {{seed}});
  const int first = vector_of(code.sum_of(Opcode::kAddFloat, multiply_pieces(code, x, seeds, -1), -1, 1));
  const int y = vector_of(multiply_pieces(code, bf16_pieces(code, {{first}}), seeds, -1));
  const auto ys = bf16_pieces(code, {{y}});
  const int second = vector_of(multiply_pieces(code, x, ys, -1));
  const auto seconds = bf16_pieces(code, {{second}});
  const int step = vector_of(multiply_pieces(code, seconds, ys, -1));
  return vector_of(multiply_pieces(code, bf16_pieces(code, {{step}}), ys, -1));
}

int broadcast_of(CodeBuilder& code, const Value& v) {
  return v.id == 0 ? code.emit_vector(Opcode::kBroadcast, {}) : code.broadcast(v);
}

}  // namespace

// 1 / x bit by bit without a float unit: as long as a division.
void lower_inverse(CodeBuilder& code, const Step& step) {
  const Value& v = step.inputs[0];
  const Value& result = step.results[0];
  if (v.kind == ValueKind::kScalar) {
    if (v.element == Element::kBfloat16) {
      const int vector = inverse_bf16(code, {{broadcast_of(code, v)}});
      return code.define_scalar(result, code.emit_scalar(Opcode::kExtract, {{vector}}));
    }
    return code.define_scalar(
        result, code.emit_scalar(code.is_wide() ? Opcode::kScalarInverse : Opcode::kDivide, code.scalar_uses(step)));
  }
  std::vector<Chunk> chunks;
  for (unsigned lane = 0; lane < result.lanes; lane += 16) {
    const auto uses = code.operand_part(v, lane * bits_of(v.element) / 512);
    if (v.element == Element::kBfloat16) {
      append(chunks, inverse_bf16(code, uses), 1);
    } else if (code.is_wide()) {  // lane by lane through the scalar unit
      int made = -1;
      for (unsigned i = 0; i < 16; ++i) {
        const int one = code.emit_scalar(Opcode::kScalarInverse, {{code.emit_scalar(Opcode::kExtract, uses)}});
        std::vector<NativeUse> all{{one, Role::kControl}};
        if (made >= 0) all.push_back({made});
        made = code.emit_vector(Opcode::kInsert, std::move(all));
      }
      append(chunks, made, 2);
    } else {
      append(chunks, inverse_float(code, uses), 2);
    }
  }
  code.define_vector(result, std::move(chunks));
}

void lower_exp2(CodeBuilder& code, const Step& step) {
  std::vector<Chunk> chunks;
  // The lanes come from an accumulator. A result of 256 bits goes into its half of a register.
  const bool wide = step.results[0].element == Element::kFloat;
  for (unsigned lane = 0; lane < step.results[0].lanes; lane += 16) {
    const int accum = code.move_to_accum(code.operand_part(step.inputs[0], lane / 16));
    append(chunks, code.emit_vector(Opcode::kExp2, {{accum}}, wide ? 2 : 1), wide ? 2 : 1);
  }
  code.define_vector(step.results[0], std::move(chunks));
}

// 16 at a time: the index over an accumulator to a place in the table (with the policy for indices beyond it, if
// there can be any), the table's address added, four instructions of four look-ups, the results shuffled together.
void lower_parallel_lookup(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  const Value& index = step.inputs[0];
  const unsigned value_bytes = bits_of(result.element) == 32 ? 4 : 2;
  const std::uint64_t entries = step.bytes / (2 * value_bytes);
  const unsigned index_bits = bits_of(index.element);
  const bool covered = index_bits < 64 && entries << step.immediates[0] == std::uint64_t{1} << index_bits;
  const unsigned chunks_each = std::max(1u, 16 * bits_of(result.element) / 256);
  std::vector<Chunk> chunks;
  for (unsigned lane = 0; lane < result.lanes; lane += 16) {
    const auto lanes = code.half_or_part(index, lane * bits_of(index.element) / 256, 16 * bits_of(index.element));
    int place = code.emit_vector(Opcode::kShift, {{code.emit_accum(Opcode::kUpshift, lanes)}});
    if (!covered) place = code.emit_vector(Opcode::kElementwise, {{place}});
    place = code.emit_vector(Opcode::kElementwise, {{place}});
    std::vector<NativeUse> gathered;
    for (unsigned i = 0; i < 4; ++i) gathered.push_back({code.emit_vector(Opcode::kGather, {{place}}, 1)});
    append(chunks, code.emit_vector(Opcode::kShuffle, std::move(gathered)), chunks_each);
  }
  if (chunks_each == 1 && chunks.size() == 2) {
    const int both = code.emit_vector(Opcode::kShuffle, {{chunks[0].value}, {chunks[1].value}});
    chunks = {{both, 0}, {both, 1}};
  }
  code.define_vector(result, std::move(chunks));
}

void lower_scalar(CodeBuilder& code, const Step& step) {
  code.define_scalar(step.results[0], code.emit_scalar(Opcode::kScalar, code.scalar_uses(step)));
}

void lower_divide(CodeBuilder& code, const Step& step) {
  code.define_scalar(step.results[0], code.emit_scalar(Opcode::kDivide, code.scalar_uses(step)));
}

void lower_set_mode(CodeBuilder& code, const Step&) { code.emit_effect(Opcode::kMoveScalar, {}); }

}  // namespace aie_cycles
