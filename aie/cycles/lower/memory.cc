// SPDX-License-Identifier: Apache-2.0
//
// Loads and stores.
#include <algorithm>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {

void lower_load(CodeBuilder& code, const Operation& op) {
  std::vector<Chunk> chunks;
  for (unsigned at = 0; at < op.bytes; at += code.machine().load_bytes()) {
    const unsigned units = std::max(1u, std::min(code.machine().load_bytes(), op.bytes - at) / 32);
    append(chunks, code.emit_vector(Opcode::kLoad, {}, units), units);
  }
  code.define_vector(op.results[0], std::move(chunks));
}

// Two aligned loads around each register, and a shift.
void lower_load_unaligned(CodeBuilder& code, const Operation& op) {
  std::vector<Chunk> chunks;
  for (unsigned at = 0; at < op.bytes; at += 64) {
    std::vector<NativeUse> uses;
    for (unsigned i = 0; i < 64 / code.machine().load_bytes() + 1; ++i)
      uses.push_back({code.emit_vector(Opcode::kLoad, {}, 1)});
    append(chunks, code.emit_vector(Opcode::kShuffle, uses), 2);
  }
  code.define_vector(op.results[0], std::move(chunks));
}

void lower_load_scalar(CodeBuilder& code, const Operation& op) {
  code.define_scalar(op.results[0], code.emit_scalar(Opcode::kLoadScalar, {}));
}

void lower_load_mask(CodeBuilder& code, const Operation& op) {
  Native mask;
  for (unsigned w = 0; w < ceil_divide(op.results[0].lanes, 32); ++w) {
    mask.scalars.push_back(code.emit_scalar(Opcode::kLoadScalar, {}));
  }
  code.define(op.results[0], std::move(mask));
}

void lower_store(CodeBuilder& code, const Operation& op) {
  const Value& v = op.inputs[0];
  if (v.kind == ValueKind::kAccum) {
    const Native& from = code.real_accum(v);
    for (unsigned at = 0; at < op.bytes; at += code.machine().load_bytes()) {
      code.emit_effect(Opcode::kStoreAccum, as_operands(code.accum_uses(from, at / 64, 1)));
    }
    return;
  }
  const std::vector<Chunk> chunks = code.native(v).vector;
  for (unsigned at = 0; at < op.bytes; at += code.machine().load_bytes()) {
    std::vector<NativeUse> uses;
    if (code.machine().load_bytes() == 32) {
      uses = {{chunks[std::min<std::size_t>(at / 32, chunks.size() - 1)].value}};
    } else if (op.bytes - at <= 32) {
      uses = {{chunks[std::min<std::size_t>(at / 32, chunks.size() - 1)].value}};
    } else {
      uses = code.part(chunks, at / 64);
    }
    code.emit_effect(Opcode::kStore, std::move(uses));
  }
}

void lower_store_scalar(CodeBuilder& code, const Operation& op) {
  code.emit_effect(Opcode::kStoreScalar, code.scalar_uses(op));
}

}  // namespace aie_cycles
