// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/lower/builder.h"

#include <algorithm>

#include "aie/cycles/lower/peephole.h"

namespace aie_cycles {

void CodeBuilder::begin(const Step& step, int source) {
  source_ = source;
  operation_ = step.operation;
}

void CodeBuilder::end(const Step& step) {
  for (const Value& input : step.inputs) ++read_here_[input.id];
}

NativeCode CodeBuilder::finish() {
  clear_zeros();
  mark_live_out();
  link_carried();
  const std::set<int> fused = fuse_with_memory(code_);
  drop_unread(code_, fused, keep_);
  return std::move(code_);
}

void CodeBuilder::define_zeros(const Value& v) {
  zeros_[v.id] = v;
  define(v, {.is_zero = true});
}

int CodeBuilder::new_value(RegisterFile file, unsigned units, int producer) {
  code_.values.push_back({producer, file, units});
  return static_cast<int>(code_.values.size()) - 1;
}

int CodeBuilder::emit(Opcode opcode, std::vector<NativeUse> uses, RegisterFile file, unsigned units) {
  const int index = static_cast<int>(code_.instructions.size());
  const int result = units == 0 ? -1 : new_value(file, units, index);
  code_.instructions.push_back({opcode, std::move(uses), result, source_, operation_});
  return result;
}

int CodeBuilder::sum_of(Opcode opcode, int a, int b, unsigned units) {
  std::vector<NativeUse> uses{{a, Role::kAccumulator}};
  if (b >= 0) uses.push_back({b, Role::kAccumulator});
  return emit(opcode, std::move(uses), RegisterFile::kAccumulator, units);
}

int CodeBuilder::shift_register(int scalar) {
  const auto [it, fresh] = shifts_.try_emplace(scalar, -1);
  if (fresh) it->second = emit_scalar(Opcode::kMoveScalar, {{scalar}});
  return it->second;
}

const Native& CodeBuilder::native(const Value& v) {
  if (v.id != 0) {
    if (const auto it = known_.find(v.id); it != known_.end()) return it->second;
  }
  // From before this code, from an earlier pass, or a constant.
  Native made;
  if (v.kind == ValueKind::kAccum) {
    for (unsigned unit = 0; unit < accum_units_of(v); ++unit) {
      made.accum.push_back({new_value(RegisterFile::kAccumulator, 1, -1), 0});
    }
  } else if (v.kind == ValueKind::kMask || v.kind == ValueKind::kScalar) {
    made.scalars.push_back(scalar_from_before());
  } else {
    for (unsigned c = 0; c < chunks_of(v); c += 2) {
      const unsigned chunks = std::min(2u, chunks_of(v) - c);
      append(made.vector, new_value(RegisterFile::kVector, chunks, -1), chunks);
    }
  }
  if (v.kind == ValueKind::kScalar && v.id == 0) {
    return known_constants_.try_emplace({static_cast<int>(v.element), v.bits}, std::move(made)).first->second;
  }
  // What is undefined has number 0, whatever its lanes: it is made anew each time.
  return known_.insert_or_assign(v.id, std::move(made)).first->second;
}

const Native& CodeBuilder::real_accum(const Value& v) {
  const Native& from = native(v);
  if (!from.is_zero) return from;
  Native made;
  const unsigned step = accum_step(v);
  const Opcode clear = is_float(v.element) ? Opcode::kMultiplyFloat : Opcode::kMultiply;  // VCLR is as they are
  for (unsigned u = 0; u < accum_units_of(v); u += step) {
    const unsigned units = std::min(step, accum_units_of(v) - u);
    const int value = emit(clear, {}, RegisterFile::kAccumulator, units);
    for (unsigned i = 0; i < units; ++i) made.accum.push_back({value, i});
  }
  return known_[v.id] = std::move(made);
}

unsigned CodeBuilder::accum_step(const Value& v) const {
  return !is_wide() && is_float(v.element) ? 1 : machine_.accumulator_lanes() * 32 / 512;
}

// Of a lane operand, whose lanes say 1: the vector that it is a lane of.
const std::vector<Chunk>& CodeBuilder::known_vector(const Value& v) {
  if (const auto it = known_.find(v.id); it != known_.end()) return it->second.vector;
  Value whole = v;
  whole.lanes = static_cast<std::uint16_t>(512 / bits_of(v.element));
  return native(whole).vector;
}

Chunk CodeBuilder::at_half(const Chunk& chunk, unsigned half) {
  const bool flexible = code_.values[static_cast<std::size_t>(chunk.value)].units == 1;
  if (flexible) {
    const auto [it, fresh] = place_.try_emplace(chunk.value, half);
    if (fresh || it->second == half) return chunk;
  } else if (chunk.unit % 2 == half) {
    return chunk;
  }
  const auto [it, fresh] = moved_.try_emplace({chunk.value, chunk.unit, half}, Chunk{});
  if (fresh) {
    it->second = {emit_vector(Opcode::kMove, {{chunk.value}}, 1), 0};
    place_[it->second.value] = half;
  }
  return it->second;
}

NativeUse CodeBuilder::padded(const Chunk& chunk) {
  if (is_before(chunk)) return {chunk.value};
  const auto [it, fresh] = padded_.try_emplace({chunk.value, chunk.unit}, -1);
  if (fresh) it->second = emit_vector(Opcode::kMove, {{chunk.value}});
  return {it->second};
}

std::vector<NativeUse> CodeBuilder::part(const std::vector<Chunk>& vector, unsigned index) {
  const Chunk low = vector[std::min<std::size_t>(2 * index, vector.size() - 1)];
  if (2 * index + 1 >= vector.size()) return {low_half(low)};
  const Chunk high = vector[2 * index + 1];
  if (low.value == high.value && low.unit % 2 == 0 && high.unit == low.unit + 1) return {{low.value}};
  const Chunk a = at_half(low, 0);
  const Chunk b = at_half(high, 1);
  if (a.value == b.value) return {{a.value}};
  // Results of 256 bits go into one register; halves of two others are brought together by a move.
  const auto units = [&](const Chunk& c) { return code_.values[static_cast<std::size_t>(c.value)].units; };
  if (units(a) > 1 && units(b) > 1) return {{emit_vector(Opcode::kMove, {{a.value}, {b.value}})}};
  return {{a.value}, {b.value}};
}

std::vector<NativeUse> CodeBuilder::operand_part(const Value& v, unsigned index) {
  if (v.kind == ValueKind::kScalar) return {{broadcast(v)}};
  if (v.lanes == 1) return {{broadcast_lane(v)}};
  return part(native(v).vector, index);
}

std::vector<NativeUse> CodeBuilder::half_or_part(const Value& v, unsigned chunk, unsigned bits) {
  if (v.kind == ValueKind::kScalar || v.lanes == 1) return operand_part(v, 0);
  const std::vector<Chunk>& vector = native(v).vector;
  if (bits <= 256) return {{vector[std::min<std::size_t>(chunk, vector.size() - 1)].value}};
  return part(vector, chunk / 2);
}

int CodeBuilder::broadcast(const Value& v) {
  if (v.id == 0) {  // a constant: its register is filled once, before
    const auto [it, fresh] = constant_vectors_.try_emplace({static_cast<int>(v.element), v.bits}, -1);
    if (fresh) it->second = new_value(RegisterFile::kVector, 2, -1);
    return it->second;
  }
  const auto [it, fresh] = broadcasts_.try_emplace({v.id, static_cast<int>(v.element)}, -1);
  if (fresh) it->second = emit_vector(Opcode::kBroadcast, {{native(v).scalars[0]}});
  return it->second;
}

// As the API's source has it, over a scalar register; whether a compiler makes one VEXTBCST of it is not known.
int CodeBuilder::broadcast_lane(const Value& v) {
  const auto& from = known_vector(v);
  const auto lane_chunk = static_cast<std::size_t>(v.bits) * bits_of(v.element) / 256;
  const int lane = emit_scalar(Opcode::kExtract, {{from[std::min(lane_chunk, from.size() - 1)].value}});
  return emit_vector(Opcode::kBroadcast, {{lane}});
}

std::vector<NativeUse> CodeBuilder::accum_uses(const Native& from, unsigned first, unsigned count) const {
  std::vector<NativeUse> uses;
  for (unsigned u = first; u < first + count && u < from.accum.size(); ++u) {
    const int value = from.accum[u].value;
    const bool seen = std::any_of(uses.begin(), uses.end(), [&](const NativeUse& use) { return use.value == value; });
    if (!seen) uses.push_back({value, Role::kAccumulator});
  }
  return uses;
}

std::vector<NativeUse> CodeBuilder::scalar_uses(const Step& step, Role role) {
  std::vector<NativeUse> uses;
  for (const Value& v : step.inputs) {
    if (v.kind != ValueKind::kScalar && v.kind != ValueKind::kMask) continue;
    if (v.kind == ValueKind::kScalar && v.id == 0) continue;
    for (const int s : native(v).scalars) uses.push_back({s, role});
  }
  return uses;
}

// Zeros that are read after this code need their register.
void CodeBuilder::clear_zeros() {
  std::vector<Value> zeros;
  for (const auto& [id, zero] : zeros_) {
    const auto known = known_.find(id);
    if (known != known_.end() && known->second.is_zero && is_read_later(id)) zeros.push_back(zero);
  }
  for (const Value& zero : zeros) real_accum(zero);
}

bool CodeBuilder::is_read_later(ValueId id) const {
  const auto total = readers_.find(id);
  const auto here = read_here_.find(id);
  return total != readers_.end() && total->second > (here == read_here_.end() ? 0 : here->second);
}

void CodeBuilder::mark_live_out() {
  code_.live_out.assign(code_.values.size(), false);
  for (const auto& [id, native] : known_) {
    if (!is_read_later(id)) continue;
    for (const Chunk& c : native.vector) code_.live_out[static_cast<std::size_t>(c.value)] = true;
    for (const Chunk& c : native.accum) code_.live_out[static_cast<std::size_t>(c.value)] = true;
    for (const int s : native.scalars) code_.live_out[static_cast<std::size_t>(s)] = true;
  }
}

// Uses of an earlier pass's value become uses of this pass's, that many passes ago.
void CodeBuilder::link_carried() {
  std::map<int, NativeUse> replacement;
  for (const auto& entry : carried_) {
    const auto& carried = entry.second;
    const auto used = known_.find(entry.first);
    const auto made = known_.find(carried.id);
    if (used == known_.end() || made == known_.end()) continue;
    const auto link = [&](const std::vector<Chunk>& from, const std::vector<Chunk>& to) {
      for (std::size_t i = 0; i < from.size() && i < to.size(); ++i) {
        replacement[from[i].value] = {to[i].value, Role::kOperand, carried.passes_ago};
      }
    };
    link(used->second.vector, made->second.vector);
    link(used->second.accum, made->second.accum);
    for (std::size_t i = 0; i < used->second.scalars.size() && i < made->second.scalars.size(); ++i) {
      replacement[used->second.scalars[i]] = {made->second.scalars[i], Role::kOperand, carried.passes_ago};
    }
  }
  for (NativeInstruction& instruction : code_.instructions) {
    for (NativeUse& use : instruction.uses) {
      if (const auto it = replacement.find(use.value); it != replacement.end()) {
        use.value = it->second.value;
        use.passes_ago = it->second.passes_ago;
      }
    }
  }
}

}  // namespace aie_cycles
