// SPDX-License-Identifier: Apache-2.0
//
// Lanes that change their places: copies, which are mostly the register allocation's, and shuffles.
#include <algorithm>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {

void lower_shuffle(CodeBuilder& code, const Step& step) { elementwise(code, step, Opcode::kShuffle); }

void lower_insert_lane(CodeBuilder& code, const Step& step) {
  Native changed = code.native(step.inputs[0]);
  const unsigned lanes = 256 / bits_of(step.inputs[0].element);
  const auto lane = static_cast<unsigned>(step.immediates.empty() ? 0 : step.immediates[0]);
  const unsigned p = std::min<unsigned>(lane / lanes / 2, (static_cast<unsigned>(changed.vector.size()) - 1) / 2);
  const int value =
      code.emit_vector(Opcode::kInsert, joined(code.part(changed.vector, p), code.scalar_uses(step, Role::kControl)));
  for (unsigned i = 0; i < 2 && 2 * p + i < changed.vector.size(); ++i) changed.vector[2 * p + i] = {value, i};
  code.define(step.results[0], std::move(changed));
}

void lower_get(CodeBuilder& code, const Step& step) {
  const std::vector<Chunk> from = code.native(step.inputs[0]).vector;
  const unsigned lanes = 256 / bits_of(step.inputs[0].element);
  const std::size_t chunk = std::min<std::size_t>(
      static_cast<unsigned>(step.immediates.empty() ? 0 : step.immediates[0]) / lanes, from.size() - 1);
  code.define_scalar(
      step.results[0],
      code.emit_scalar(Opcode::kExtract, joined({{from[chunk].value}}, code.scalar_uses(step, Role::kControl))));
}

void lower_concat(CodeBuilder& code, const Step& step) {
  Native made;
  const bool narrow =
      step.inputs[0].kind == ValueKind::kVector && step.inputs[0].lanes * bits_of(step.inputs[0].element) < 256;
  if (narrow) {  // into one register by a shift for each part but the first
    std::vector<NativeUse> uses = code.part(code.native(step.inputs[0]).vector, 0);
    int value = -1;
    for (std::size_t i = 1; i < step.inputs.size(); ++i) {
      value = code.emit_vector(Opcode::kShuffle, joined(uses, code.part(code.native(step.inputs[i]).vector, 0)));
      uses = {{value}};
    }
    append(made.vector, value, chunks_of(step.results[0]));
    return code.define(step.results[0], std::move(made));
  }
  for (const Value& input : step.inputs) {
    if (input.kind == ValueKind::kAccum) {
      const Native& from = code.real_accum(input);
      made.accum.insert(made.accum.end(), from.accum.begin(), from.accum.end());
    } else {
      const Native& from = code.native(input);
      made.vector.insert(made.vector.end(), from.vector.begin(), from.vector.end());
    }
  }
  code.define(step.results[0], std::move(made));
}

void lower_extract(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  const auto index = static_cast<unsigned>(step.immediates[0]);
  if (result.kind == ValueKind::kAccum) {
    if (code.native(step.inputs[0]).is_zero) return code.define(result, {.is_zero = true});
    const Native from = code.real_accum(step.inputs[0]);
    const unsigned bits = result.lanes * bits_of(result.element);
    const std::size_t first = std::min<std::size_t>(index * bits / 512, from.accum.size() - 1);
    const std::size_t count = std::max(1u, bits / 512);
    if (bits < 512 && index * bits % 512 != 0) {
      return code.define_accum(result, {{code.emit_accum(Opcode::kMoveAccum, {{from.accum[first].value}}, 1), 0}});
    }
    return code.define_accum(result, {from.accum.begin() + static_cast<std::ptrdiff_t>(first),
                                      from.accum.begin() + static_cast<std::ptrdiff_t>(first + count)});
  }
  const std::vector<Chunk> from = code.native(step.inputs[0]).vector;
  const unsigned bits = result.lanes * bits_of(result.element);
  if (bits < 256) {
    const Chunk chunk = from[std::min<std::size_t>(index * bits / 256, from.size() - 1)];
    if (index * bits % 512 == 0) return code.define_vector(result, {chunk});
    return code.define_vector(result, {{code.emit_vector(Opcode::kShuffle, {{chunk.value}}), 0}});
  }
  const unsigned count = bits / 256;
  std::vector<Chunk> chunks;
  for (unsigned c = 0; c < count; ++c)
    chunks.push_back(from[std::min<std::size_t>(index * count + c, from.size() - 1)]);
  code.define_vector(result, std::move(chunks));
}

void lower_insert(CodeBuilder& code, const Step& step) {
  const Value& in = step.inputs[1];
  Native changed = code.native(step.inputs[0]);
  const auto index = static_cast<unsigned>(step.immediates[0]);
  if (in.kind == ValueKind::kAccum) {
    changed = code.real_accum(step.inputs[0]);
    const Native& from = code.real_accum(in);
    const unsigned units = static_cast<unsigned>(from.accum.size());
    for (unsigned u = 0; u < units && index * units + u < changed.accum.size(); ++u)
      changed.accum[index * units + u] = from.accum[u];
    return code.define(step.results[0], std::move(changed));
  }
  const unsigned bits = in.lanes * bits_of(in.element);
  const std::vector<Chunk> from = code.native(in).vector;
  if (bits < 256) {
    const unsigned p = std::min<unsigned>(index * bits / 512, (static_cast<unsigned>(changed.vector.size()) - 1) / 2);
    const int value = code.emit_vector(Opcode::kShuffle, joined(code.part(changed.vector, p), code.part(from, 0)));
    for (unsigned i = 0; i < 2 && 2 * p + i < changed.vector.size(); ++i) changed.vector[2 * p + i] = {value, i};
  } else {
    const unsigned count = bits / 256;
    for (unsigned c = 0; c < count && index * count + c < changed.vector.size(); ++c)
      changed.vector[index * count + c] = from[c];
  }
  code.define(step.results[0], std::move(changed));
}

void lower_grow(CodeBuilder& code, const Step& step) {
  Native made = code.native(step.inputs[0]);
  const Value& result = step.results[0];
  if (result.kind == ValueKind::kAccum) {
    made = code.real_accum(step.inputs[0]);
    while (made.accum.size() < accum_units_of(result)) made.accum.push_back(made.accum[0]);
  } else {
    const bool replicate = step.operation == Operation::kGrowReplicate;
    if (replicate && made.vector.size() == 1 && chunks_of(result) >= 2) {
      const int value = code.emit_vector(Opcode::kShuffle, {{made.vector[0].value}});
      made.vector = {{value, 0}, {value, 1}};
    }
    const std::size_t count = made.vector.size();
    while (made.vector.size() < chunks_of(result)) {
      made.vector.push_back(replicate ? made.vector[made.vector.size() - count]
                                      : Chunk{made.vector[0].value, static_cast<unsigned>(made.vector.size() % 2)});
    }
  }
  code.define(result, std::move(made));
}

void lower_broadcast(CodeBuilder& code, const Step& step) {
  const Value& input = step.inputs[0];
  int value = -1;
  if (input.kind == ValueKind::kVector) {
    value = code.broadcast_lane(input);
  } else {
    // Here a constant costs its instruction: simplify() has moved it out of loops.
    value = input.id == 0 ? code.emit_vector(Opcode::kBroadcast, {}) : code.broadcast(input);
  }
  std::vector<Chunk> chunks;
  for (unsigned c = 0; c < chunks_of(step.results[0]); ++c) chunks.push_back({value, c % 2});
  code.define_vector(step.results[0], std::move(chunks));
}

void lower_zeros(CodeBuilder& code, const Step& step) {
  if (step.results[0].kind == ValueKind::kAccum) {
    return code.define_zeros(step.results[0]);
  }
  const int value = code.emit_vector(Opcode::kBroadcast, {});
  std::vector<Chunk> chunks;
  for (unsigned c = 0; c < chunks_of(step.results[0]); ++c) chunks.push_back({value, c % 2});
  code.define_vector(step.results[0], std::move(chunks));
}

void lower_list(CodeBuilder& code, const Step& step) {  // a push for each value
  int value = -1;
  for (std::size_t i = 0; i < step.inputs.size(); ++i) {
    std::vector<NativeUse> uses;
    if (value >= 0) uses.push_back({value});
    if (step.inputs[i].id != 0) uses.push_back({code.native(step.inputs[i]).scalars[0], Role::kControl});
    value = code.emit_vector(Opcode::kInsert, std::move(uses));
  }
  if (value < 0) value = code.emit_vector(Opcode::kBroadcast, {});
  std::vector<Chunk> chunks;
  append(chunks, value, chunks_of(step.results[0]));
  code.define_vector(step.results[0], std::move(chunks));
}

void lower_interleave(CodeBuilder& code, const Step& step) {
  const unsigned chunks = chunks_of(step.inputs[0]);
  const std::vector<Chunk> a = code.native(step.inputs[0]).vector;
  const std::vector<Chunk> b = code.native(step.inputs[1]).vector;
  // Chunks as long as the vectors are the vectors.
  if (!step.immediates.empty() && step.immediates[0] == step.inputs[0].lanes) {
    code.define(step.results[0], code.native(step.inputs[0]));
    code.define(step.results[1], code.native(step.inputs[1]));
    return;
  }
  if (step.inputs[0].lanes * bits_of(step.inputs[0].element) <= 256) {
    if (step.operation == Operation::kInterleaveZip) {  // both results are in one register
      const int value = code.emit_vector(Opcode::kShuffle, {code.low_half(a[0]), code.low_half(b[0])});
      code.define_vector(step.results[0], {{value, 0}});
      code.define_vector(step.results[1], {{value, 1}});
      return;
    }
    std::vector<NativeUse> both{code.low_half(a[0])};
    if (const Chunk high = code.at_half(b[0], 1); high.value != both[0].value) both.push_back({high.value});
    for (std::size_t r = 0; r < 2; ++r) {
      if (step.results[r].id != 0) code.define_vector(step.results[r], {{code.emit_vector(Opcode::kShuffle, both), 0}});
    }
    return;
  }
  for (std::size_t r = 0; r < 2; ++r) {
    if (step.results[r].id == 0) continue;
    std::vector<Chunk> made;
    for (unsigned p = 0; p < ceil_divide(chunks, 2); ++p) {
      append(made, code.emit_vector(Opcode::kShuffle, joined(code.part(a, p), code.part(b, p))), 2);
    }
    code.define_vector(step.results[r], std::move(made));
  }
}

void lower_filter(CodeBuilder& code, const Step& step) {
  const std::vector<Chunk> from = code.native(step.inputs[0]).vector;
  std::vector<Chunk> made;
  for (unsigned p = 0; p < ceil_divide(chunks_of(step.results[0]), 2); ++p) {
    std::vector<NativeUse> uses =
        code.part(from, std::min<unsigned>(2 * p, (static_cast<unsigned>(from.size()) - 1) / 2));
    if (from.size() > 4 * p + 2) uses = joined(std::move(uses), code.part(from, 2 * p + 1));
    append(made, code.emit_vector(Opcode::kShuffle, std::move(uses)), std::min(2u, chunks_of(step.results[0]) - 2 * p));
  }
  code.define_vector(step.results[0], std::move(made));
}

void lower_transpose(CodeBuilder& code, const Step& step) {
  const std::vector<Chunk> from = code.native(step.inputs[0]).vector;
  const unsigned registers = ceil_divide(static_cast<unsigned>(from.size()), 2);
  const unsigned bits = bits_of(step.inputs[0].element);
  const auto least = static_cast<unsigned>(std::min(step.immediates[0], step.immediates[1]));
  const auto rows = static_cast<unsigned>(step.immediates[0]);
  unsigned shuffles = registers;
  if (registers == 1) {  // one that has a mode for it
    const bool one = bits == 8 ? step.inputs[0].lanes >= 32 && least >= 4 : bits == 16 || code.is_wide() || least == 4;
    shuffles = one ? 1 : 2;
  } else if ((least > 2 && bits == 8) || (bits == 16 && !code.is_wide() && rows == 8 && least == 8)) {
    shuffles = 2 * registers;
  }
  // In rounds over all registers.
  std::vector<Chunk> made = from;
  for (unsigned round = 0; round < shuffles / registers; ++round) {
    std::vector<NativeUse> uses;
    for (unsigned p = 0; p < registers; ++p) uses = joined(std::move(uses), code.part(made, p));
    made.clear();
    const unsigned chunks = std::min(2u, static_cast<unsigned>(from.size()));
    for (unsigned p = 0; p < registers; ++p) append(made, code.emit_vector(Opcode::kShuffle, uses), chunks);
  }
  code.define_vector(step.results[0], std::move(made));
}

}  // namespace aie_cycles
