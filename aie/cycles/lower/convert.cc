// SPDX-License-Identifier: Apache-2.0
//
// Between vectors and accumulators, and between widths.
#include <algorithm>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {

// A vector in the lanes of an accumulator.
std::vector<AccumUnit> upshifted(CodeBuilder& code, const Value& input, const Value& result) {
  std::vector<AccumUnit> units;
  std::vector<Chunk> vector = code.native(input).vector;
  const unsigned out_bits = bits_of(result.element);
  unsigned in_bits = bits_of(input.element);
  if (in_bits == 8 && out_bits == 64) {  // over 16 bits
    vector = unpacked(code, input);
    in_bits = 16;
  }
  // Lanes of an instruction: what it fills, 1024 bits of accumulator on AIE-ML; v2 fills 2048 with four times the
  // bits.
  unsigned lanes = 1024 / out_bits;
  Opcode opcode = Opcode::kUpshift;
  if (in_bits == 32 && out_bits == 32) {
    lanes = 16;
    opcode = Opcode::kMoveToAccum;
  } else if (is_float(input.element)) {
    lanes = code.is_wide() ? 32 : 16;
    opcode = Opcode::kConvertUp;
  } else if (code.is_wide() && out_bits == 4 * in_bits) {
    lanes *= 2;
  }
  lanes = std::min<unsigned>(lanes, result.lanes);
  for (unsigned lane = 0; lane < result.lanes; lane += lanes) {
    std::vector<NativeUse> uses;
    const unsigned chunk = lane * in_bits / 256;
    if (lanes * in_bits <= 256) {
      uses = {{vector[std::min<std::size_t>(chunk, vector.size() - 1)].value}};
    } else {
      uses = code.part(vector, chunk / 2);
    }
    const unsigned count = std::max(1u, lanes * out_bits / 512);
    const int value = code.emit_accum(opcode, std::move(uses), count);
    for (unsigned i = 0; i < count; ++i) units.push_back({value, i});
  }
  return units;
}

void lower_from_vector(CodeBuilder& code, const Step& step) {
  code.define_accum(step.results[0], upshifted(code, step.inputs[0], step.results[0]));
}

namespace {

// An accumulator in lanes of the result's width. `shift` is the scalar to shift by, if it is not a constant.
std::vector<Chunk> downshifted(CodeBuilder& code, const Native& accum, Element element, const Value& result,
                               std::vector<NativeUse> shift) {
  const unsigned in_bits = bits_of(element);
  const unsigned out_bits = bits_of(result.element);
  Opcode opcode = Opcode::kShift;
  unsigned lanes = 1024 / in_bits;  // a cm register
  if (is_float(element)) {
    opcode = out_bits == 16 ? Opcode::kConvertDown : Opcode::kMoveAccum;
    lanes = out_bits == 16 && code.is_wide() ? 32 : 16;
  } else if (in_bits == 32 && out_bits == 32) {
    lanes = 16;
    opcode = Opcode::kMoveAccum;
    shift.clear();
  } else if (in_bits == 64 && out_bits == 32) {
    lanes = 16;
  } else if (code.is_wide() && in_bits == 64 && out_bits == 16) {
    lanes = 32;
  } else if (code.is_wide() && out_bits == 8) {
    lanes = 64;
  }
  const bool packs = in_bits == 64 && out_bits == 8;  // over 16 bits
  if (packs) lanes = code.is_wide() ? 32 : 16;
  lanes = std::min<unsigned>(lanes, result.lanes);
  std::vector<Chunk> chunks;
  for (unsigned lane = 0; lane < result.lanes; lane += lanes) {
    const unsigned units = std::max(1u, lanes * in_bits / 512);
    auto uses = as_operands(code.accum_uses(accum, lane * in_bits / 512, units));
    const unsigned count = std::max(1u, lanes * (packs ? 16 : out_bits) / 256);
    const int value = code.emit_vector(opcode, joined(std::move(uses), shift), count);
    const unsigned kept = std::max(1u, lanes * out_bits / 256);
    append(chunks, packs ? code.emit_vector(Opcode::kPack, {{value}}, kept) : value, kept);
  }
  return chunks;
}

}  // namespace

void lower_to_vector(CodeBuilder& code, const Step& step) {
  const Native accum = code.real_accum(step.inputs[0]);
  std::vector<NativeUse> shift = code.scalar_uses(step, Role::kControl);
  if (!shift.empty()) shift = {{code.shift_register(shift[0].value), Role::kControl}};
  code.define_vector(step.results[0],
                     downshifted(code, accum, step.inputs[0].element, step.results[0], std::move(shift)));
}

void lower_pack(CodeBuilder& code, const Step& step) {
  const Value& from = step.inputs[0];
  const std::vector<Chunk> vector = code.native(from).vector;
  std::vector<Chunk> chunks;
  if (bits_of(from.element) == 32) {  // through an accumulator
    for (unsigned lane = 0; lane < from.lanes; lane += 16) {
      const int accum = code.move_to_accum(code.part(vector, lane / 16));
      append(chunks, code.emit_vector(Opcode::kShift, {{accum}}, 1), 1);
    }
  } else {
    const unsigned lanes = code.is_wide() && from.lanes >= 64 ? 64 : 32;
    for (unsigned lane = 0; lane < from.lanes; lane += lanes) {
      auto uses = code.part(vector, lane / 32);
      if (lanes == 64) uses = joined(std::move(uses), code.part(vector, lane / 32 + 1));
      append(chunks, code.emit_vector(Opcode::kPack, std::move(uses), lanes / 32), lanes / 32);
    }
  }
  code.define_vector(step.results[0], std::move(chunks));
}

// A vector in lanes of twice the width.
std::vector<Chunk> unpacked(CodeBuilder& code, const Value& from) {
  const std::vector<Chunk> vector = code.native(from).vector;
  std::vector<Chunk> chunks;
  if (bits_of(from.element) != 8) {  // 16 to 32 bits: through an accumulator
    for (unsigned lane = 0; lane < from.lanes; lane += 16) {
      const int accum =
          code.emit_accum(Opcode::kUpshift, {{vector[std::min<std::size_t>(lane / 16, vector.size() - 1)].value}}, 1);
      append(chunks, code.emit_vector(Opcode::kMoveAccum, {{accum}}), 2);
    }
    return chunks;
  }
  const unsigned lanes = code.is_wide() && from.lanes >= 64 ? 64 : 32;
  for (unsigned lane = 0; lane < from.lanes; lane += lanes) {
    std::vector<NativeUse> uses{{vector[std::min<std::size_t>(lane / 32, vector.size() - 1)].value}};
    if (lanes == 64) uses = code.part(vector, lane / 64);
    const unsigned units = std::max(1u, lanes * 16 / 256);
    append(chunks, code.emit_vector(Opcode::kUnpack, std::move(uses), units), units);
  }
  return chunks;
}

void lower_unpack(CodeBuilder& code, const Step& step) {
  code.define_vector(step.results[0], unpacked(code, step.inputs[0]));
}

// Shifts within a vector: up to an accumulator and down again.
void lower_shift_lanes(CodeBuilder& code, const Step& step) {
  const Value& from = step.inputs[0];
  Value accum = from;
  accum.kind = ValueKind::kAccum;
  accum.element = bits_of(from.element) == 32 ? Element::kAcc64 : Element::kAcc32;
  const Native up{.accum = upshifted(code, from, accum)};
  code.define_vector(step.results[0], downshifted(code, up, accum.element, step.results[0], {}));
}

}  // namespace aie_cycles
