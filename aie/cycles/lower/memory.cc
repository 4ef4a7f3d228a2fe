// SPDX-License-Identifier: Apache-2.0
//
// Loads and stores, streams and the cascade.
#include <algorithm>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {

void lower_load(CodeBuilder& code, const Step& step) {
  std::vector<Chunk> chunks;
  for (unsigned at = 0; at < step.bytes; at += code.machine().load_bytes()) {
    const unsigned units = std::max(1u, std::min(code.machine().load_bytes(), step.bytes - at) / 32);
    append(chunks, code.emit_vector(Opcode::kLoad, {}, units), units);
  }
  code.define_vector(step.results[0], std::move(chunks));
}

// Two aligned loads around each register, and a shift.
void lower_load_unaligned(CodeBuilder& code, const Step& step) {
  std::vector<Chunk> chunks;
  for (unsigned at = 0; at < step.bytes; at += 64) {
    std::vector<NativeUse> uses;
    for (unsigned i = 0; i < 64 / code.machine().load_bytes() + 1; ++i)
      uses.push_back({code.emit_vector(Opcode::kLoad, {}, 1)});
    append(chunks, code.emit_vector(Opcode::kShuffle, uses), 2);
  }
  code.define_vector(step.results[0], std::move(chunks));
}

void lower_load_scalar(CodeBuilder& code, const Step& step) {
  code.define_scalar(step.results[0], code.emit_scalar(Opcode::kLoadScalar, {}));
}

void lower_load_mask(CodeBuilder& code, const Step& step) {
  Native mask;
  mask.scalars.push_back(code.emit_scalar(Opcode::kLoadScalar, {}));
  code.define(step.results[0], std::move(mask));
}

void lower_store(CodeBuilder& code, const Step& step) {
  const std::vector<Chunk> chunks = code.native(step.inputs[0]).vector;
  for (unsigned at = 0; at < step.bytes; at += code.machine().load_bytes()) {
    const bool is_half = std::min(code.machine().load_bytes(), step.bytes - at) <= 32;
    const Chunk& half = chunks[std::min<std::size_t>(at / 32, chunks.size() - 1)];
    std::vector<NativeUse> uses{{half.value}};
    if (!is_half) uses = code.part(chunks, at / 64);
    code.emit_effect(Opcode::kStore, std::move(uses));
  }
}

void lower_store_scalar(CodeBuilder& code, const Step& step) {
  code.emit_effect(Opcode::kStoreScalar, code.scalar_uses(step));
}

// A stream moves a word of 32 bits a cycle: each goes through a scalar register into its lane.
void lower_read_stream(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  const unsigned words = std::max(1u, result.lanes * bits_of(result.element) / 32);
  constexpr unsigned kRegisterWords = 16;
  std::vector<Chunk> chunks;
  for (unsigned first = 0; first < words; first += kRegisterWords) {
    const unsigned count = std::min(kRegisterWords, words - first);
    int value = -1;
    for (unsigned w = 0; w < count; ++w) {
      std::vector<NativeUse> uses{{code.emit_scalar(Opcode::kReadStream, {}), Role::kControl}};
      if (value >= 0) uses.push_back({value});
      value = code.emit_vector(Opcode::kInsert, std::move(uses));
    }
    append(chunks, value, std::max(1u, count / 8));
  }
  code.define_vector(result, std::move(chunks));
}

void lower_write_stream(CodeBuilder& code, const Step& step) {
  const Value& v = step.inputs[0];
  const std::vector<Chunk> chunks = code.native(v).vector;
  for (unsigned w = 0; w < v.lanes * bits_of(v.element) / 32; ++w) {
    const Chunk& chunk = chunks[std::min<std::size_t>(w / 8, chunks.size() - 1)];
    code.emit_effect(Opcode::kWriteStream, {{code.emit_scalar(Opcode::kExtract, {{chunk.value}})}});
  }
}

// The cascade moves 512 bits a cycle, of vectors and of accumulators.
void lower_read_cascade(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  const bool is_accum = result.kind == ValueKind::kAccum;
  Native made;
  for (unsigned u = 0; u < accum_units_of(result); ++u) {
    if (is_accum) {
      append(made.accum, code.emit_accum(Opcode::kReadCascade, {}, 1), 1);
    } else {
      append(made.vector, code.emit_vector(Opcode::kReadCascade, {}), std::min(2u, chunks_of(result)));
    }
    code.keep_last();  // the words leave the cascade, whoever reads them
  }
  code.define(result, std::move(made));
}

void lower_write_cascade(CodeBuilder& code, const Step& step) {
  const Value& v = step.inputs[0];
  for (unsigned u = 0; u < accum_units_of(v); ++u) {
    code.emit_effect(Opcode::kWriteCascade, v.kind == ValueKind::kAccum
                                                ? as_operands(code.accum_uses(code.real_accum(v), u, 1))
                                                : code.part(code.native(v).vector, u));
  }
}

}  // namespace aie_cycles
