// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/lower.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>

namespace aie_cycles {
namespace {

unsigned bits_of(Element element) {
  switch (element) {
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
    case Element::kBit:
      return 1;
    default:
      return 32;
  }
}

bool is_float(Element element) {
  return element == Element::kBfloat16 || element == Element::kFloat || element == Element::kAccFloat;
}

unsigned ceil_divide(unsigned a, unsigned b) { return (a + b - 1) / b; }

// 256 bits of a vector: a value and which of its units.
struct Chunk {
  int value = -1;
  unsigned unit = 0;
};

// 512 bits of an accumulator.
using AccumUnit = Chunk;

// A trace value in registers.
struct Native {
  std::vector<Chunk> vector;
  std::vector<AccumUnit> accum;
  std::vector<int> scalars;  // a scalar, or a mask in parts
  bool is_zero = false;      // an accumulator of zeros that no register holds yet
};

class Lowerer {
 public:
  Lowerer(const Machine& machine, const ReaderCounts& readers) : machine_(machine), readers_(readers) {}

  // A value of an earlier pass of the loop that is being lowered: the one that `id` names in this pass.
  void add_carried(ValueId earlier, ValueId id, int passes_ago) { carried_[earlier] = {id, passes_ago}; }

  void lower(const Operation& op, int source) {
    source_ = source;
    call_ = std::string(op.name);
    const auto& handlers = table();
    const auto handler = handlers.find(op.name);
    if (handler == handlers.end()) {
      throw std::invalid_argument("the cycle model knows no operation '" + call_ + "' of the AIE API");
    }
    (this->*handler->second)(op);
    for (const Value& input : op.inputs) ++read_here_[input.id];
  }

  NativeCode finish() {
    clear_zeros();
    mark_live_out();
    link_carried();
    fuse();
    drop_unread();
    return std::move(code_);
  }

 private:
  using Handler = void (Lowerer::*)(const Operation&);
  struct Carried {
    ValueId id;
    int passes_ago;
  };

  static constexpr ValueId kTemporary = ~ValueId{0} - 1;  // within a handler

  bool is_v2() const { return machine_.device() == Device::kAieMlV2; }

  // --- Instructions and registers ---

  int new_value(RegisterFile file, unsigned units, int producer) {
    code_.values.push_back({producer, file, units});
    return static_cast<int>(code_.values.size()) - 1;
  }

  int emit(Opcode opcode, std::vector<NativeUse> uses, RegisterFile file, unsigned units) {
    const int index = static_cast<int>(code_.instructions.size());
    const int result = units == 0 ? -1 : new_value(file, units, index);
    code_.instructions.push_back({opcode, std::move(uses), result, source_, call_});
    return result;
  }
  int emit_vector(Opcode opcode, std::vector<NativeUse> uses, unsigned units = 2) {
    return emit(opcode, std::move(uses), RegisterFile::kVector, units);
  }
  int emit_scalar(Opcode opcode, std::vector<NativeUse> uses) {
    return emit(opcode, std::move(uses), RegisterFile::kScalar, 1);
  }

  static std::vector<NativeUse> joined(std::vector<NativeUse> a, const std::vector<NativeUse>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  // Chunks of a new vector value of `units`, the first `chunks` of them.
  static void append(std::vector<Chunk>& to, int value, unsigned chunks) {
    for (unsigned unit = 0; unit < chunks; ++unit) to.push_back({value, unit});
  }

  static unsigned chunks_of(const Value& v) { return std::max(1u, v.lanes * bits_of(v.element) / 256); }
  static unsigned accum_units_of(const Value& v) { return std::max(1u, v.lanes * bits_of(v.element) / 512); }

  // --- Operands ---

  const Native& native(const Value& v) {
    if (v.id != 0) {
      if (const auto it = known_.find(v.id); it != known_.end()) return it->second;
    }
    // From before this code, from an earlier pass, or a constant.
    const ValueId key = v.id;
    Native made;
    switch (v.kind) {
      case ValueKind::kAccum:
        for (unsigned unit = 0; unit < accum_units_of(v); ++unit) {
          made.accum.push_back({new_value(RegisterFile::kAccumulator, 1, -1), 0});
        }
        break;
      case ValueKind::kMask:
        made.scalars.push_back(new_value(RegisterFile::kScalar, 1, -1));
        break;
      case ValueKind::kScalar:
        made.scalars.push_back(new_value(RegisterFile::kScalar, 1, -1));
        break;
      default: {
        const unsigned chunks = chunks_of(v);
        for (unsigned c = 0; c < chunks; c += 2) {
          const int value = new_value(RegisterFile::kVector, std::min(2u, chunks - c), -1);
          append(made.vector, value, std::min(2u, chunks - c));
        }
      }
    }
    if (v.kind == ValueKind::kScalar && v.id == 0) {
      return known_constants_.try_emplace({static_cast<int>(v.element), v.bits}, std::move(made)).first->second;
    }
    return known_.try_emplace(key, std::move(made)).first->second;
  }

  bool is_before(const Chunk& chunk) const { return code_.values[static_cast<std::size_t>(chunk.value)].producer < 0; }

  // A chunk where an instruction wants 256 bits in the lower half of a register; a move if it is in an upper half.
  NativeUse low_half(const Chunk& chunk) { return {at_half(chunk, 0).value}; }

  Chunk at_half(const Chunk& chunk, unsigned half) {
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

  // 512 bits of a vector as an operand.
  std::vector<NativeUse> part(const std::vector<Chunk>& vector, unsigned index) {
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

  // A vector operand; a scalar one is broadcast, once a value.
  std::vector<NativeUse> operand_part(const Value& v, unsigned index) {
    if (v.kind == ValueKind::kScalar) return {{broadcast(v)}};
    if (v.lanes == 1) return {{broadcast_lane(v)}};
    return part(native(v).vector, index);
  }

  int broadcast(const Value& v) {
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
  int broadcast_lane(const Value& v) {
    const auto& from = known_vector(v);
    const auto lane_chunk = static_cast<std::size_t>(v.bits) * bits_of(v.element) / 256;
    const int lane = emit_scalar(Opcode::kExtract, {{from[std::min(lane_chunk, from.size() - 1)].value}});
    return emit_vector(Opcode::kBroadcast, {{lane}});
  }

  // Of a lane operand, whose lanes say 1: the vector that it is a lane of.
  const std::vector<Chunk>& known_vector(const Value& v) {
    if (const auto it = known_.find(v.id); it != known_.end()) return it->second.vector;
    Value whole = v;
    whole.lanes = static_cast<std::uint16_t>(512 / bits_of(v.element));
    return native(whole).vector;
  }

  std::vector<NativeUse> accum_uses(const Native& from, unsigned first, unsigned count) {
    std::vector<NativeUse> uses;
    for (unsigned u = first; u < first + count && u < from.accum.size(); ++u) {
      const int value = from.accum[u].value;
      const bool seen = std::any_of(uses.begin(), uses.end(), [&](const NativeUse& use) { return use.value == value; });
      if (!seen) uses.push_back({value, Role::kAccumulator});
    }
    return uses;
  }
  static std::vector<NativeUse> as_operands(std::vector<NativeUse> uses) {
    for (NativeUse& use : uses) use.role = Role::kOperand;
    return uses;
  }
  // An accumulator that an instruction reads; zeros are made where they are no mere start of a sum.
  const Native& real_accum(const Value& v) {
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

  void define(const Value& v, Native native) {
    if (v.id != 0) known_[v.id] = std::move(native);
  }
  void define_vector(const Value& v, std::vector<Chunk> chunks) { define(v, {.vector = std::move(chunks)}); }
  void define_accum(const Value& v, std::vector<AccumUnit> units) { define(v, {.accum = std::move(units)}); }
  void define_scalar(const Value& v, int value) { define(v, {.scalars = {value}}); }

  std::vector<NativeUse> scalar_uses(const Operation& op, Role role = Role::kOperand) {
    std::vector<NativeUse> uses;
    for (const Value& v : op.inputs) {
      if (v.kind != ValueKind::kScalar && v.kind != ValueKind::kMask) continue;
      if (v.kind == ValueKind::kScalar && v.id == 0) continue;
      for (const int s : native(v).scalars) uses.push_back({s, role});
    }
    return uses;
  }

  // --- Memory ---

  void load(const Operation& op) {
    std::vector<Chunk> chunks;
    for (unsigned at = 0; at < op.bytes; at += machine_.load_bytes()) {
      const unsigned units = std::max(1u, std::min(machine_.load_bytes(), op.bytes - at) / 32);
      append(chunks, emit_vector(Opcode::kLoad, {}, units), units);
    }
    define_vector(op.results[0], std::move(chunks));
  }
  // Two aligned loads around each register, and a shift.
  void load_unaligned(const Operation& op) {
    std::vector<Chunk> chunks;
    for (unsigned at = 0; at < op.bytes; at += 64) {
      std::vector<NativeUse> uses;
      for (unsigned i = 0; i < 64 / machine_.load_bytes() + 1; ++i) uses.push_back({emit_vector(Opcode::kLoad, {}, 1)});
      append(chunks, emit_vector(Opcode::kShuffle, uses), 2);
    }
    define_vector(op.results[0], std::move(chunks));
  }
  void load_scalar(const Operation& op) { define_scalar(op.results[0], emit_scalar(Opcode::kLoadScalar, {})); }

  void store(const Operation& op) {
    const Value& v = op.inputs[0];
    if (v.kind == ValueKind::kAccum) {
      const Native& from = real_accum(v);
      for (unsigned at = 0; at < op.bytes; at += machine_.load_bytes()) {
        emit(Opcode::kStoreAccum, as_operands(accum_uses(from, at / 64, 1)), RegisterFile::kVector, 0);
      }
      return;
    }
    const std::vector<Chunk> chunks = native(v).vector;
    for (unsigned at = 0; at < op.bytes; at += machine_.load_bytes()) {
      std::vector<NativeUse> uses;
      if (machine_.load_bytes() == 32) {
        uses = {{chunks[std::min<std::size_t>(at / 32, chunks.size() - 1)].value}};
      } else if (op.bytes - at <= 32) {
        uses = {{chunks[std::min<std::size_t>(at / 32, chunks.size() - 1)].value}};
      } else {
        uses = part(chunks, at / 64);
      }
      emit(Opcode::kStore, std::move(uses), RegisterFile::kVector, 0);
      code_.instructions.back().result = -1;
    }
  }
  void store_scalar(const Operation& op) { emit(Opcode::kStoreScalar, scalar_uses(op), RegisterFile::kScalar, 0); }

  // --- One register in, one out ---

  void elementwise(const Operation& op, Opcode opcode) {
    const Value& result = op.results[0];
    std::vector<Chunk> chunks;
    const unsigned count = chunks_of(result);
    for (unsigned p = 0; p < ceil_divide(count, 2); ++p) {
      std::vector<NativeUse> uses;
      for (const Value& input : op.inputs) {
        if (input.kind == ValueKind::kMask) continue;
        uses = joined(std::move(uses), operand_part(input, p));
      }
      for (const Value& input : op.inputs) {
        if (input.kind != ValueKind::kMask) continue;
        const std::vector<int>& words = native(input).scalars;
        const std::size_t parts = ceil_divide(count, 2);
        const std::size_t first = std::min(p * words.size() / parts, words.size() - 1);
        for (std::size_t w = first; w < std::max(first + 1, (p + 1) * words.size() / parts); ++w) {
          uses.push_back({words[w], Role::kControl});
        }
      }
      append(chunks, emit_vector(opcode, std::move(uses)), std::min(2u, count - 2 * p));
    }
    define_vector(result, std::move(chunks));
  }
  void vector_arithmetic(const Operation& op) {
    const Element element = op.results[0].element;
    const bool is_bound = op.name == "max" || op.name == "min";
    if (op.results[0].kind == ValueKind::kAccum) return add_accums(op);
    if (is_float(element) && !(is_bound && element == Element::kBfloat16)) return float_arithmetic(op);
    elementwise(op, Opcode::kElementwise);
  }
  void select(const Operation& op) { elementwise(op, Opcode::kSelect); }
  void shuffle(const Operation& op) { elementwise(op, Opcode::kShuffle); }
  void insert_lane(const Operation& op) {
    Native changed = native(op.inputs[0]);
    const unsigned lanes = 256 / bits_of(op.inputs[0].element);
    const auto lane = static_cast<unsigned>(op.immediates.empty() ? 0 : op.immediates[0]);
    const unsigned p = std::min<unsigned>(lane / lanes / 2, (static_cast<unsigned>(changed.vector.size()) - 1) / 2);
    const int value = emit_vector(Opcode::kInsert, joined(part(changed.vector, p), scalar_uses(op, Role::kControl)));
    for (unsigned i = 0; i < 2 && 2 * p + i < changed.vector.size(); ++i) changed.vector[2 * p + i] = {value, i};
    define(op.results[0], std::move(changed));
  }

  // Units of an accumulator that a sum takes at a time. AIE-ML's floats are 16 lanes.
  unsigned accum_step(const Value& v) const {
    return !is_v2() && is_float(v.element) ? 1 : machine_.accumulator_lanes() * 32 / 512;
  }
  // Float sums go through accumulators.
  void float_arithmetic(const Operation& op) {
    const Value& result = op.results[0];
    if (op.name == "max" || op.name == "min" || op.name == "maxdiff") {
      // Compare and select; maxdiff between the difference and zeros.
      std::vector<Chunk> difference;
      if (op.name == "maxdiff") difference = float_sums(op, result);
      std::vector<Chunk> chunks;
      for (unsigned p = 0; p < ceil_divide(chunks_of(result), 2); ++p) {
        const auto uses = joined(operand_part(op.inputs[0], p), operand_part(op.inputs[1], p));
        const int mask = emit_scalar(Opcode::kCompare, uses);
        auto selected = difference.empty() ? uses : part(difference, p);
        append(chunks, emit_vector(Opcode::kSelect, joined(std::move(selected), {{mask, Role::kControl}})),
               std::min(2u, chunks_of(result) - 2 * p));
      }
      return define_vector(result, std::move(chunks));
    }
    define_vector(result, float_sums(op, result));
  }
  // Of vectors through accumulators: up and down again by the lanes that a conversion takes, added by those of a sum.
  std::vector<Chunk> float_sums(const Operation& op, const Value& result) {
    const bool is_bf16 = result.element == Element::kBfloat16;
    const unsigned sum_lanes = std::min<unsigned>(is_v2() ? 64 : 16, result.lanes);
    const unsigned move_lanes = std::min(is_bf16 && is_v2() ? 32u : 16u, sum_lanes);
    std::vector<Chunk> chunks;
    for (unsigned lane = 0; lane < result.lanes; lane += sum_lanes) {
      std::vector<NativeUse> uses;
      for (const Value& input : op.inputs) {
        for (unsigned at = lane; at < lane + sum_lanes; at += move_lanes) {
          const auto from = half_or_part(input, at * bits_of(input.element) / 256, move_lanes * bits_of(input.element));
          uses.push_back({emit(is_bf16 ? Opcode::kConvertUp : Opcode::kMoveToAccum, from, RegisterFile::kAccumulator,
                               move_lanes / 16),
                          Role::kAccumulator});
        }
      }
      const int sum = emit(Opcode::kAddFloat, std::move(uses), RegisterFile::kAccumulator, sum_lanes / 16);
      for (unsigned at = lane; at < lane + sum_lanes; at += move_lanes) {
        const unsigned count = std::max(1u, move_lanes * bits_of(result.element) / 256);
        append(chunks, emit_vector(is_bf16 ? Opcode::kConvertDown : Opcode::kMoveAccum, {{sum}}, count), count);
      }
    }
    return chunks;
  }
  // The bits of a vector from a chunk on as an operand: 256 in any half, or a register.
  std::vector<NativeUse> half_or_part(const Value& v, unsigned chunk, unsigned bits) {
    if (v.kind == ValueKind::kScalar || v.lanes == 1) return operand_part(v, 0);
    const std::vector<Chunk>& vector = native(v).vector;
    if (bits <= 256) return {{vector[std::min<std::size_t>(chunk, vector.size() - 1)].value}};
    return part(vector, chunk / 2);
  }

  void add_accums(const Operation& op) {
    const Value& result = op.results[0];
    const bool real = is_float(result.element);
    const unsigned units = accum_units_of(result);
    const unsigned step = accum_step(result);
    std::vector<const Native*> operands;
    std::vector<Native> converted;
    converted.reserve(op.inputs.size());
    for (const Value& input : op.inputs) {
      if (input.kind == ValueKind::kAccum) {
        if (native(input).is_zero && op.name == "add") continue;
        operands.push_back(&real_accum(input));
      } else {
        converted.push_back({.accum = upshifted(input, result)});
        operands.push_back(&converted.back());
      }
    }
    if (operands.size() == 1) return define(result, *operands[0]);
    std::vector<AccumUnit> made;
    for (unsigned u = 0; u < units; u += step) {
      const unsigned count = std::min(step, units - u);
      std::vector<NativeUse> uses;
      for (const Native* operand : operands) uses = joined(std::move(uses), accum_uses(*operand, u, count));
      const int value =
          emit(real ? Opcode::kAddFloat : Opcode::kAddAccum, std::move(uses), RegisterFile::kAccumulator, count);
      for (unsigned i = 0; i < count; ++i) made.push_back({value, i});
    }
    define_accum(result, std::move(made));
  }

  void compare(const Operation& op) {
    const Value& input =
        op.inputs[0].kind == ValueKind::kVector && op.inputs[0].lanes > 1 ? op.inputs[0] : op.inputs[1];
    Native mask;
    for (unsigned p = 0; p < ceil_divide(chunks_of(input), 2); ++p) {
      auto uses = joined(operand_part(op.inputs[0], p), operand_part(op.inputs[1], p));
      if (op.name == "eq" || op.name == "neq") uses = {{emit_vector(Opcode::kElementwise, std::move(uses))}};
      int word = emit_scalar(Opcode::kCompare, std::move(uses));
      if (op.name == "neq") word = emit_scalar(Opcode::kScalar, {{word}});
      mask.scalars.push_back(word);
    }
    define(op.results[0], std::move(mask));
  }
  // max_cmp, min_cmp: one instruction gives both.
  void bound_and_compare(const Operation& op) {
    elementwise(op, Opcode::kElementwise);
    compare(op);
    if (op.results.size() > 1) define(op.results[1], known_[op.results[0].id]);
  }

  void mask_operation(const Operation& op) {
    const unsigned words = std::max(1u, ceil_divide(op.inputs.empty() ? 32u : op.inputs[0].lanes, 32));
    int value = -1;
    for (unsigned w = 0; w < words; ++w) value = emit_scalar(Opcode::kScalar, scalar_uses(op));
    define_scalar(op.results[0], value);
  }
  // A constant, a scalar that was computed, or one from memory.
  void mask_from_uint(const Operation& op) {
    const auto uses = scalar_uses(op);
    if (uses.empty()) return define_scalar(op.results[0], new_value(RegisterFile::kScalar, 1, -1));
    define_scalar(op.results[0], uses[0].value);
  }
  void load_mask(const Operation& op) {
    Native mask;
    for (unsigned w = 0; w < ceil_divide(op.results[0].lanes, 32); ++w) {
      mask.scalars.push_back(emit_scalar(Opcode::kLoadScalar, {}));
    }
    define(op.results[0], std::move(mask));
  }
  void mask_part(const Operation& op) {
    const Native& from = native(op.inputs[0]);
    const std::size_t count = from.scalars.size();
    const auto index = static_cast<std::size_t>(op.immediates.empty() ? 0 : op.immediates[0]);
    define_scalar(op.results[0], from.scalars[std::min(index, count - 1)]);
  }

  // --- Copies: what register allocation does without an instruction, and where a half must move ---

  void concat(const Operation& op) {
    Native made;
    const bool narrow =
        op.inputs[0].kind == ValueKind::kVector && op.inputs[0].lanes * bits_of(op.inputs[0].element) < 256;
    if (narrow) {  // into one register by a shift for each part but the first
      std::vector<NativeUse> uses = part(native(op.inputs[0]).vector, 0);
      int value = -1;
      for (std::size_t i = 1; i < op.inputs.size(); ++i) {
        value = emit_vector(Opcode::kShuffle, joined(uses, part(native(op.inputs[i]).vector, 0)));
        uses = {{value}};
      }
      append(made.vector, value, chunks_of(op.results[0]));
      return define(op.results[0], std::move(made));
    }
    for (const Value& input : op.inputs) {
      if (input.kind == ValueKind::kAccum) {
        const Native& from = real_accum(input);
        made.accum.insert(made.accum.end(), from.accum.begin(), from.accum.end());
      } else {
        const Native& from = native(input);
        made.vector.insert(made.vector.end(), from.vector.begin(), from.vector.end());
      }
    }
    define(op.results[0], std::move(made));
  }
  void extract(const Operation& op) {
    const Value& result = op.results[0];
    const auto index = static_cast<unsigned>(op.immediates[0]);
    if (result.kind == ValueKind::kAccum) {
      if (native(op.inputs[0]).is_zero) return define(result, {.is_zero = true});
      const Native from = real_accum(op.inputs[0]);
      const unsigned bits = result.lanes * bits_of(result.element);
      const std::size_t first = std::min<std::size_t>(index * bits / 512, from.accum.size() - 1);
      const std::size_t count = std::max(1u, bits / 512);
      if (bits < 512 && index * bits % 512 != 0) {
        return define_accum(
            result, {{emit(Opcode::kMoveAccum, {{from.accum[first].value}}, RegisterFile::kAccumulator, 1), 0}});
      }
      return define_accum(result, {from.accum.begin() + static_cast<std::ptrdiff_t>(first),
                                   from.accum.begin() + static_cast<std::ptrdiff_t>(first + count)});
    }
    const std::vector<Chunk> from = native(op.inputs[0]).vector;
    const unsigned bits = result.lanes * bits_of(result.element);
    if (bits < 256) {
      const Chunk chunk = from[std::min<std::size_t>(index * bits / 256, from.size() - 1)];
      if (index * bits % 512 == 0) return define_vector(result, {chunk});
      return define_vector(result, {{emit_vector(Opcode::kShuffle, {{chunk.value}}), 0}});
    }
    const unsigned count = bits / 256;
    std::vector<Chunk> chunks;
    for (unsigned c = 0; c < count; ++c)
      chunks.push_back(from[std::min<std::size_t>(index * count + c, from.size() - 1)]);
    define_vector(result, std::move(chunks));
  }
  void insert(const Operation& op) {
    const Value& in = op.inputs[1];
    Native changed = native(op.inputs[0]);
    const auto index = static_cast<unsigned>(op.immediates[0]);
    if (in.kind == ValueKind::kAccum) {
      changed = real_accum(op.inputs[0]);
      const Native& from = real_accum(in);
      const unsigned units = static_cast<unsigned>(from.accum.size());
      for (unsigned u = 0; u < units && index * units + u < changed.accum.size(); ++u)
        changed.accum[index * units + u] = from.accum[u];
      return define(op.results[0], std::move(changed));
    }
    const unsigned bits = in.lanes * bits_of(in.element);
    const std::vector<Chunk> from = native(in).vector;
    if (bits < 256) {
      const unsigned p = std::min<unsigned>(index * bits / 512, (static_cast<unsigned>(changed.vector.size()) - 1) / 2);
      const int value = emit_vector(Opcode::kShuffle, joined(part(changed.vector, p), part(from, 0)));
      for (unsigned i = 0; i < 2 && 2 * p + i < changed.vector.size(); ++i) changed.vector[2 * p + i] = {value, i};
    } else {
      const unsigned count = bits / 256;
      for (unsigned c = 0; c < count && index * count + c < changed.vector.size(); ++c)
        changed.vector[index * count + c] = from[c];
    }
    define(op.results[0], std::move(changed));
  }
  void grow(const Operation& op) {
    Native made = native(op.inputs[0]);
    const Value& result = op.results[0];
    if (result.kind == ValueKind::kAccum) {
      made = real_accum(op.inputs[0]);
      while (made.accum.size() < accum_units_of(result)) made.accum.push_back(made.accum[0]);
    } else {
      const bool replicate = op.name == "grow_replicate";
      if (replicate && made.vector.size() == 1 && chunks_of(result) >= 2) {
        const int value = emit_vector(Opcode::kShuffle, {{made.vector[0].value}});
        made.vector = {{value, 0}, {value, 1}};
      }
      const std::size_t count = made.vector.size();
      while (made.vector.size() < chunks_of(result)) {
        made.vector.push_back(replicate ? made.vector[made.vector.size() - count]
                                        : Chunk{made.vector[0].value, static_cast<unsigned>(made.vector.size() % 2)});
      }
    }
    define(result, std::move(made));
  }
  void broadcast_call(const Operation& op) {
    const Value& input = op.inputs[0];
    int value = -1;
    if (input.kind == ValueKind::kVector) {
      value = broadcast_lane(input);
    } else {
      // Here a constant costs its instruction: simplify() has moved it out of loops.
      value = input.id == 0 ? emit_vector(Opcode::kBroadcast, {}) : broadcast(input);
    }
    std::vector<Chunk> chunks;
    for (unsigned c = 0; c < chunks_of(op.results[0]); ++c) chunks.push_back({value, c % 2});
    define_vector(op.results[0], std::move(chunks));
  }
  void zeros(const Operation& op) {
    if (op.results[0].kind == ValueKind::kAccum) {
      zeros_[op.results[0].id] = op.results[0];
      return define(op.results[0], {.is_zero = true});
    }
    const int value = emit_vector(Opcode::kBroadcast, {});
    std::vector<Chunk> chunks;
    for (unsigned c = 0; c < chunks_of(op.results[0]); ++c) chunks.push_back({value, c % 2});
    define_vector(op.results[0], std::move(chunks));
  }
  void list(const Operation& op) {  // a push for each value
    int value = -1;
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      std::vector<NativeUse> uses;
      if (value >= 0) uses.push_back({value});
      if (op.inputs[i].id != 0) uses.push_back({native(op.inputs[i]).scalars[0], Role::kControl});
      value = emit_vector(Opcode::kInsert, std::move(uses));
    }
    if (value < 0) value = emit_vector(Opcode::kBroadcast, {});
    std::vector<Chunk> chunks;
    append(chunks, value, chunks_of(op.results[0]));
    define_vector(op.results[0], std::move(chunks));
  }
  void get(const Operation& op) {
    const std::vector<Chunk> from = native(op.inputs[0]).vector;
    const unsigned lanes = 256 / bits_of(op.inputs[0].element);
    const std::size_t chunk = std::min<std::size_t>(
        static_cast<unsigned>(op.immediates.empty() ? 0 : op.immediates[0]) / lanes, from.size() - 1);
    define_scalar(op.results[0],
                  emit_scalar(Opcode::kExtract, joined({{from[chunk].value}}, scalar_uses(op, Role::kControl))));
  }

  // --- Between vectors and accumulators ---

  std::vector<AccumUnit> upshifted(const Value& input, const Value& result) {
    std::vector<AccumUnit> units;
    std::vector<Chunk> vector = native(input).vector;
    const unsigned out_bits = bits_of(result.element);
    unsigned in_bits = bits_of(input.element);
    if (in_bits == 8 && out_bits == 64) {  // over 16 bits
      vector = unpacked(input);
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
      lanes = is_v2() ? 32 : 16;
      opcode = Opcode::kConvertUp;
    } else if (is_v2() && out_bits == 4 * in_bits) {
      lanes *= 2;
    }
    lanes = std::min<unsigned>(lanes, result.lanes);
    for (unsigned lane = 0; lane < result.lanes; lane += lanes) {
      std::vector<NativeUse> uses;
      const unsigned chunk = lane * in_bits / 256;
      if (lanes * in_bits <= 256) {
        uses = {{vector[std::min<std::size_t>(chunk, vector.size() - 1)].value}};
      } else {
        uses = part(vector, chunk / 2);
      }
      const unsigned count = std::max(1u, lanes * out_bits / 512);
      const int value = emit(opcode, std::move(uses), RegisterFile::kAccumulator, count);
      for (unsigned i = 0; i < count; ++i) units.push_back({value, i});
    }
    return units;
  }
  // As many float lanes of a vector in accumulators as an instruction adds.
  int move_to_accum(std::vector<NativeUse> uses) {
    return emit(Opcode::kMoveToAccum, std::move(uses), RegisterFile::kAccumulator, 1);
  }
  void from_vector(const Operation& op) {
    if (op.inputs[0].kind == ValueKind::kAccum) return define(op.results[0], real_accum(op.inputs[0]));
    define_accum(op.results[0], upshifted(op.inputs[0], op.results[0]));
  }

  void to_vector(const Operation& op) {
    const Value& from = op.inputs[0];
    const Value& result = op.results[0];
    const Native accum = real_accum(from);
    const unsigned in_bits = bits_of(from.element);
    const unsigned out_bits = bits_of(result.element);
    std::vector<NativeUse> shift = scalar_uses(op, Role::kControl);
    if (!shift.empty()) shift = {{shift_register(shift[0].value), Role::kControl}};
    Opcode opcode = Opcode::kShift;
    unsigned lanes = 1024 / in_bits;  // a cm register
    if (is_float(from.element)) {
      opcode = out_bits == 16 ? Opcode::kConvertDown : Opcode::kMoveAccum;
      lanes = out_bits == 16 && is_v2() ? 32 : 16;
    } else if (in_bits == 32 && out_bits == 32) {
      lanes = 16;
      opcode = Opcode::kMoveAccum;
      shift.clear();
    } else if (in_bits == 64 && out_bits == 32) {
      lanes = 16;
    } else if (is_v2() && in_bits == 64 && out_bits == 16) {
      lanes = 32;
    } else if (is_v2() && out_bits == 8) {
      lanes = 64;
    }
    const bool packs = in_bits == 64 && out_bits == 8;  // over 16 bits
    if (packs) lanes = is_v2() ? 32 : 16;
    lanes = std::min<unsigned>(lanes, result.lanes);
    std::vector<Chunk> chunks;
    for (unsigned lane = 0; lane < result.lanes; lane += lanes) {
      const unsigned units = std::max(1u, lanes * in_bits / 512);
      auto uses = as_operands(accum_uses(accum, lane * in_bits / 512, units));
      const unsigned count = std::max(1u, lanes * (packs ? 16 : out_bits) / 256);
      const int value = emit_vector(opcode, joined(std::move(uses), shift), count);
      const unsigned kept = std::max(1u, lanes * out_bits / 256);
      append(chunks, packs ? emit_vector(Opcode::kPack, {{value}}, kept) : value, kept);
    }
    define_vector(result, std::move(chunks));
  }
  int shift_register(int scalar) {
    const auto [it, fresh] = shifts_.try_emplace(scalar, -1);
    if (fresh) it->second = emit_scalar(Opcode::kMoveScalar, {{scalar}});
    return it->second;
  }

  void pack(const Operation& op) {
    const Value& from = op.inputs[0];
    const std::vector<Chunk> vector = native(from).vector;
    std::vector<Chunk> chunks;
    if (bits_of(from.element) == 32) {  // through an accumulator
      for (unsigned lane = 0; lane < from.lanes; lane += 16) {
        const int accum = move_to_accum(part(vector, lane / 16));
        append(chunks, emit_vector(Opcode::kShift, {{accum}}, 1), 1);
      }
    } else {
      const unsigned lanes = is_v2() && from.lanes >= 64 ? 64 : 32;
      for (unsigned lane = 0; lane < from.lanes; lane += lanes) {
        auto uses = part(vector, lane / 32);
        if (lanes == 64) uses = joined(std::move(uses), part(vector, lane / 32 + 1));
        append(chunks, emit_vector(Opcode::kPack, std::move(uses), lanes / 32), lanes / 32);
      }
    }
    define_vector(op.results[0], std::move(chunks));
  }
  std::vector<Chunk> unpacked(const Value& from) {
    const std::vector<Chunk> vector = native(from).vector;
    std::vector<Chunk> chunks;
    if (bits_of(from.element) != 8) {  // 16 to 32 bits: through an accumulator
      for (unsigned lane = 0; lane < from.lanes; lane += 16) {
        const int accum = emit(Opcode::kUpshift, {{vector[std::min<std::size_t>(lane / 16, vector.size() - 1)].value}},
                               RegisterFile::kAccumulator, 1);
        append(chunks, emit_vector(Opcode::kMoveAccum, {{accum}}), 2);
      }
      return chunks;
    }
    const unsigned lanes = is_v2() && from.lanes >= 64 ? 64 : 32;
    for (unsigned lane = 0; lane < from.lanes; lane += lanes) {
      std::vector<NativeUse> uses{{vector[std::min<std::size_t>(lane / 32, vector.size() - 1)].value}};
      if (lanes == 64) uses = part(vector, lane / 64);
      const unsigned units = std::max(1u, lanes * 16 / 256);
      append(chunks, emit_vector(Opcode::kUnpack, std::move(uses), units), units);
    }
    return chunks;
  }
  void unpack(const Operation& op) { define_vector(op.results[0], unpacked(op.inputs[0])); }
  void shift_lanes(const Operation& op) {  // up to an accumulator and down again
    const Value& from = op.inputs[0];
    Value accum = from;
    accum.kind = ValueKind::kAccum;
    accum.element = bits_of(from.element) == 32 ? Element::kAcc64 : Element::kAcc32;
    accum.id = kTemporary;
    define_accum(accum, upshifted(from, accum));
    Operation down;
    down.inputs = {accum};
    down.results = op.results;
    to_vector(down);
    known_.erase(kTemporary);
  }

  // --- Products ---

  void multiply(const Operation& op) {
    const Value& result = op.results[0];
    const bool accumulates = op.name == "mac" || op.name == "msc";
    const std::size_t first = accumulates ? 1 : 0;
    Value a = op.inputs[first];
    Value b = op.inputs[first + 1];
    const bool adds = accumulates && !native(op.inputs[0]).is_zero;
    if (a.element == Element::kFloat || b.element == Element::kFloat) return multiply_floats(op, a, b, adds);
    const unsigned a_bits = bits_of(a.element);
    const unsigned b_bits = bits_of(b.element);
    const bool real = is_float(a.element);
    const bool bytes = a_bits == 8 && b_bits == 8;
    // Lanes of an instruction.
    unsigned lanes = is_v2() ? 64 : 32;
    unsigned products = 1;  // of 16 bits that one of 32 bits takes
    if ((real && !is_v2()) || a_bits == 32 || b_bits == 32 || bits_of(result.element) == 64) lanes /= 2;
    if (a_bits == 32) products *= 2;
    if (b_bits == 32) products *= 2;
    lanes = std::min<unsigned>(lanes, result.lanes);
    const unsigned units = std::max(1u, lanes * bits_of(result.element) / 512);
    // AIE-ML's products of bytes, of bf16 and to 64 bits are sums of two: the upper half of the first operand (of both
    // for bf16) is set to zero.
    const bool pads = !is_v2() && products == 1 && (bytes || real || bits_of(result.element) == 64);
    // Where the widths differ the bytes are widened first.
    const auto widened = [&](const Value& v, unsigned other) -> std::vector<Chunk> {
      if (v.kind == ValueKind::kScalar || v.lanes == 1) return {};
      if (bits_of(v.element) == 8 && other > 8) return unpacked(v);
      return native(v).vector;
    };
    const std::vector<Chunk> a_vector = widened(a, b_bits);
    const std::vector<Chunk> b_vector = widened(b, a_bits);
    const auto uses_of = [&](const Value& v, const std::vector<Chunk>& vector, unsigned lane, unsigned bits) {
      if (vector.empty()) return multiplicand(v, real);
      std::vector<NativeUse> uses;
      const unsigned from = lane * bits / 256;
      const unsigned count = std::max(1u, lanes * bits / 256);
      if (count == 1) {
        const Chunk& chunk = vector[std::min<std::size_t>(from, vector.size() - 1)];
        return std::vector<NativeUse>{pads && (&v == &a || real) ? padded(chunk) : low_half(chunk)};
      }
      for (unsigned c = 0; c < count; c += 2) uses = joined(std::move(uses), part(vector, (from + c) / 2));
      return uses;
    };
    std::vector<AccumUnit> made;
    for (unsigned lane = 0; lane < result.lanes; lane += lanes) {
      auto a_uses = uses_of(a, a_vector, lane, std::max(a_bits, std::min(b_bits, 16u)));
      auto b_uses = uses_of(b, b_vector, lane, std::max(b_bits, std::min(a_bits, 16u)));
      if (products > 1) {
        // The halves of 32 bits are brought apart; beside zeros, where a product sums two.
        const auto halves = [&](std::vector<NativeUse>& uses) {
          const auto whole = uses;
          uses = {{emit_vector(Opcode::kShuffle, whole)}, {emit_vector(Opcode::kShuffle, whole)}};
        };
        if (a_bits == 32) halves(a_uses);
        if (b_bits == 32) halves(b_uses);
      }
      int value = -1;
      for (unsigned r = 0; r < products; ++r) {
        auto all = joined(a_uses, b_uses);
        if (r > 0) {
          all.push_back({value, Role::kAccumulator});
        }
        if (adds && r + 1 == products) {
          all = joined(std::move(all), accum_uses(native(op.inputs[0]), lane * bits_of(result.element) / 512, units));
        }
        const bool plain = r == 0 && !(adds && products == 1);
        const Opcode opcode = real ? (plain ? Opcode::kMultiplyFloat : Opcode::kMultiplyAddFloat)
                                   : (plain ? Opcode::kMultiply : Opcode::kMultiplyAdd);
        value = emit(opcode, std::move(all), RegisterFile::kAccumulator, units);
      }
      for (unsigned i = 0; i < units; ++i) made.push_back({value, i});
    }
    define_accum(result, std::move(made));
  }
  // A scalar operand: AIE-ML v2 multiplies integers by a scalar register.
  std::vector<NativeUse> multiplicand(const Value& v, bool real) {
    if (is_v2() && v.kind == ValueKind::kScalar && !real && bits_of(v.element) <= 16) {
      if (v.id == 0) return {};
      return {{native(v).scalars[0]}};
    }
    return operand_part(v, 0);
  }
  // 256 bits in the lower half of a register whose upper half is zero: a move, once a value; none if it is from before.
  NativeUse padded(const Chunk& chunk) {
    if (is_before(chunk)) return {chunk.value};
    const auto [it, fresh] = padded_.try_emplace({chunk.value, chunk.unit}, -1);
    if (fresh) it->second = emit_vector(Opcode::kMove, {{chunk.value}});
    return {it->second};
  }

  // A float in three pieces of bf16: what is left after each is a product with ones. The operand is 16 floats (32 on
  // v2).
  std::vector<NativeUse> bf16_pieces(const std::vector<NativeUse>& uses) {
    int rest = move_to_accum(uses);
    std::vector<NativeUse> pieces;
    for (unsigned i = 0; i < 3; ++i) {
      const int piece = emit_vector(Opcode::kConvertDown, {{rest}}, 1);
      pieces.push_back({piece});
      if (i < 2)
        rest = emit(Opcode::kMultiplyAddFloat, {{piece}, {rest, Role::kAccumulator}}, RegisterFile::kAccumulator, 1);
    }
    if (!is_v2()) {
      for (NativeUse& piece : pieces) piece = {emit_vector(Opcode::kMove, {piece})};  // beside zeros
    }
    return pieces;
  }
  // The sum of the nine products of pieces, the small ones first: one chain on AIE-ML, to which `sum` comes last; v2
  // makes products and adds them up.
  int multiply_pieces(const std::vector<NativeUse>& a, const std::vector<NativeUse>& b, int sum) {
    int chain = -1;
    for (unsigned small = 5; small-- > 0;) {
      for (unsigned i = std::min(small, 2u) + 1; i-- > 0;) {
        const unsigned j = small - i;
        if (j > 2) continue;
        std::vector<NativeUse> uses{a[i], b[j]};
        if (!is_v2() && chain >= 0) uses.push_back({chain, Role::kAccumulator});
        if (!is_v2() && sum >= 0 && small == 0) uses.push_back({sum, Role::kAccumulator});
        const bool adds = uses.size() > 2;
        const int product = emit(adds ? Opcode::kMultiplyAddFloat : Opcode::kMultiplyFloat, std::move(uses),
                                 RegisterFile::kAccumulator, 1);
        chain = is_v2() && chain >= 0 ? sum_of(Opcode::kAddFloat, chain, product, 1) : product;
      }
    }
    return is_v2() && sum >= 0 ? sum_of(Opcode::kAddFloat, chain, sum, 1) : chain;
  }
  void multiply_floats(const Operation& op, const Value& a, const Value& b, bool adds) {
    const unsigned registers = is_v2() && op.results[0].lanes > 16 ? 2 : 1;  // of 16 lanes
    const auto pieces = [&](const Value& v, unsigned index) {
      auto uses = operand_part(v, index);
      if (registers == 2 && v.kind != ValueKind::kScalar && v.lanes > 16)
        uses = joined(std::move(uses), operand_part(v, index + 1));
      return bf16_pieces(uses);
    };
    std::vector<AccumUnit> made;
    for (unsigned unit = 0; unit < op.results[0].lanes / 16u; unit += registers) {
      const int sum = adds ? accum_uses(native(op.inputs[0]), unit, 1)[0].value : -1;
      const int value = multiply_pieces(pieces(a, unit), pieces(b, unit), sum);
      for (unsigned i = 0; i < registers; ++i) made.push_back({value, i});
    }
    define_accum(op.results[0], std::move(made));
  }

  void matrix_multiply(const Operation& op) {
    const Value& result = op.results[0];
    const bool accumulates = op.name == "mmul_mac";
    const std::size_t first = accumulates ? 1 : 0;
    const Value& a = op.inputs[first];
    const Value& b = op.inputs[first + 1];
    const bool adds = accumulates && !native(op.inputs[0]).is_zero;
    const bool real = is_float(a.element);
    const std::int64_t macs = op.immediates[0] * op.immediates[1] * op.immediates[2];
    std::int64_t rate = is_v2() ? 512 : 256;
    if (real || bits_of(a.element) + bits_of(b.element) == 24) rate /= 2;
    if (bits_of(a.element) + bits_of(b.element) == 32 && !real) rate /= 4;
    if (bits_of(a.element) + bits_of(b.element) == 48) rate /= 8;
    const auto count = static_cast<unsigned>(std::max<std::int64_t>(1, (macs + rate - 1) / rate));
    const unsigned units = accum_units_of(result);
    const unsigned each = std::max(1u, units / count);
    const auto all_parts = [&](const Value& v) {
      std::vector<NativeUse> uses;
      const std::vector<Chunk>& vector = native(v).vector;
      for (unsigned p = 0; p < ceil_divide(static_cast<unsigned>(vector.size()), 2); ++p)
        uses = joined(std::move(uses), part(vector, p));
      return uses;
    };
    const auto operands = joined(all_parts(a), all_parts(b));
    std::vector<AccumUnit> made;
    for (unsigned i = 0; i < count && made.size() < units; ++i) {
      auto uses = operands;
      if (i > 0 && !is_v2()) {  // the next rows of the first operand come to the front
        uses = joined({{emit_vector(Opcode::kShuffle, all_parts(a))}}, all_parts(b));
      }
      if (adds) uses = joined(std::move(uses), accum_uses(native(op.inputs[0]), i * each, each));
      const Opcode opcode = real ? (adds ? Opcode::kMultiplyAddFloat : Opcode::kMultiplyFloat)
                                 : (adds ? Opcode::kMultiplyAdd : Opcode::kMultiply);
      const int value = emit(opcode, std::move(uses), RegisterFile::kAccumulator, each);
      for (unsigned u = 0; u < each; ++u) made.push_back({value, u});
    }
    define_accum(result, std::move(made));
  }

  void negate(const Operation& op) {
    if (op.results[0].kind != ValueKind::kAccum) return elementwise(op, Opcode::kElementwise);
    const Native& from = real_accum(op.inputs[0]);
    std::vector<AccumUnit> made;
    const auto count = static_cast<unsigned>(from.accum.size());
    const unsigned step = std::min(accum_step(op.results[0]), count);
    const Opcode opcode = is_float(op.results[0].element) ? Opcode::kAddFloat : Opcode::kAddAccum;
    for (unsigned u = 0; u < count; u += step) {
      const int value = emit(opcode, accum_uses(from, u, step), RegisterFile::kAccumulator, step);
      for (unsigned i = 0; i < step; ++i) made.push_back({value, i});
    }
    define_accum(op.results[0], std::move(made));
  }

  // --- Rearrangements ---

  void interleave(const Operation& op) {
    const unsigned chunks = chunks_of(op.inputs[0]);
    const std::vector<Chunk> a = native(op.inputs[0]).vector;
    const std::vector<Chunk> b = native(op.inputs[1]).vector;
    // Chunks as long as the vectors are the vectors.
    if (!op.immediates.empty() && op.immediates[0] == op.inputs[0].lanes) {
      define(op.results[0], native(op.inputs[0]));
      define(op.results[1], native(op.inputs[1]));
      return;
    }
    if (op.inputs[0].lanes * bits_of(op.inputs[0].element) <= 256) {
      if (op.name == "interleave_zip") {  // both results are in one register
        const int value = emit_vector(Opcode::kShuffle, {low_half(a[0]), low_half(b[0])});
        define_vector(op.results[0], {{value, 0}});
        define_vector(op.results[1], {{value, 1}});
        return;
      }
      std::vector<NativeUse> both{low_half(a[0])};
      if (const Chunk high = at_half(b[0], 1); high.value != both[0].value) both.push_back({high.value});
      for (std::size_t r = 0; r < 2; ++r) {
        if (op.results[r].id != 0) define_vector(op.results[r], {{emit_vector(Opcode::kShuffle, both), 0}});
      }
      return;
    }
    for (std::size_t r = 0; r < 2; ++r) {
      if (op.results[r].id == 0) continue;
      std::vector<Chunk> made;
      for (unsigned p = 0; p < ceil_divide(chunks, 2); ++p) {
        append(made, emit_vector(Opcode::kShuffle, joined(part(a, p), part(b, p))), 2);
      }
      define_vector(op.results[r], std::move(made));
    }
  }
  void filter(const Operation& op) {
    const std::vector<Chunk> from = native(op.inputs[0]).vector;
    std::vector<Chunk> made;
    for (unsigned p = 0; p < ceil_divide(chunks_of(op.results[0]), 2); ++p) {
      std::vector<NativeUse> uses = part(from, std::min<unsigned>(2 * p, (static_cast<unsigned>(from.size()) - 1) / 2));
      if (from.size() > 4 * p + 2) uses = joined(std::move(uses), part(from, 2 * p + 1));
      append(made, emit_vector(Opcode::kShuffle, std::move(uses)), std::min(2u, chunks_of(op.results[0]) - 2 * p));
    }
    define_vector(op.results[0], std::move(made));
  }
  void transpose(const Operation& op) {
    const std::vector<Chunk> from = native(op.inputs[0]).vector;
    const unsigned registers = ceil_divide(static_cast<unsigned>(from.size()), 2);
    const unsigned bits = bits_of(op.inputs[0].element);
    const auto least = static_cast<unsigned>(std::min(op.immediates[0], op.immediates[1]));
    const auto rows = static_cast<unsigned>(op.immediates[0]);
    unsigned shuffles = registers;
    if (registers == 1) {  // one that has a mode for it
      const bool one = bits == 8 ? op.inputs[0].lanes >= 32 && least >= 4 : bits == 16 || is_v2() || least == 4;
      shuffles = one ? 1 : 2;
    } else if (least > 2 && bits == 8) {
      shuffles = 2 * registers;
    } else if (bits == 16 && !is_v2() && rows == 8 && least == 8) {
      shuffles = 2 * registers;
    }
    // In steps over all registers.
    std::vector<Chunk> made = from;
    for (unsigned step = 0; step < shuffles / registers; ++step) {
      std::vector<NativeUse> uses;
      for (unsigned p = 0; p < registers; ++p) uses = joined(std::move(uses), part(made, p));
      made.clear();
      const unsigned chunks = std::min(2u, static_cast<unsigned>(from.size()));
      for (unsigned p = 0; p < registers; ++p) append(made, emit_vector(Opcode::kShuffle, uses), chunks);
    }
    define_vector(op.results[0], std::move(made));
  }

  // --- Reductions and elementary functions ---

  void reduce(const Operation& op) {
    const Value& v = op.inputs[0];
    const std::vector<Chunk> from = native(v).vector;
    const bool adds = op.name == "reduce_add";
    std::vector<NativeUse> uses = part(from, 0);
    for (unsigned p = 1; p < ceil_divide(static_cast<unsigned>(from.size()), 2); ++p) {
      uses = {{emit_vector(Opcode::kElementwise, joined(std::move(uses), part(from, p)))}};
    }
    const unsigned lanes = std::min<unsigned>(v.lanes, 512 / bits_of(v.element));
    if (adds && v.element == Element::kBfloat16) return reduce_bf16(op, from);
    if (adds && is_float(v.element)) return reduce_floats(op, uses, lanes);
    if (adds && bits_of(v.element) <= 16) return reduce_narrow(op, uses, lanes);
    for (unsigned n = lanes; n > 1; n /= 2) {
      const int shifted = emit_vector(Opcode::kShuffle, uses);
      uses = {{emit_vector(Opcode::kElementwise, joined(uses, {{shifted}}))}};
    }
    define_scalar(op.results[0], emit_scalar(Opcode::kExtract, uses));
  }
  // Sums of bytes or of 16 bits: halves on each other until a matrix product with ones takes the rest in two steps.
  void reduce_narrow(const Operation& op, std::vector<NativeUse> uses, unsigned lanes) {
    for (const unsigned last = bits_of(op.inputs[0].element) == 8 ? 16u : 8u; lanes > last; lanes /= 2) {
      const int shifted = emit_vector(Opcode::kShuffle, uses);
      uses = {{emit_vector(Opcode::kElementwise, joined(uses, {{shifted}}))}};
    }
    const int product = emit(Opcode::kMultiply, uses, RegisterFile::kAccumulator, 2);
    const int shifted = emit_vector(Opcode::kShuffle, uses);
    const int sum =
        emit(Opcode::kMultiplyAdd, {{shifted}, {product, Role::kAccumulator}}, RegisterFile::kAccumulator, 2);
    const int vector = emit_vector(Opcode::kShift, {{sum}});
    define_scalar(op.results[0], emit_scalar(Opcode::kExtract, {{vector}}));
  }
  // Of bf16: a matrix product with ones sums rows of 8; what is left over a shuffle and a sum for each halving.
  void reduce_bf16(const Operation& op, const std::vector<Chunk>& from) {
    int sum = -1;
    for (unsigned p = 0; p < ceil_divide(static_cast<unsigned>(from.size()), 2); ++p) {
      auto uses = part(from, p);
      if (sum >= 0) uses.push_back({sum, Role::kAccumulator});
      sum = emit(sum < 0 ? Opcode::kMultiplyFloat : Opcode::kMultiplyAddFloat, std::move(uses),
                 RegisterFile::kAccumulator, 2);
    }
    const unsigned lanes = op.inputs[0].lanes;
    const auto halve = [&](bool in_place) {
      int other = sum;
      if (!in_place) {
        const int vector = emit_vector(Opcode::kMoveAccum, {{sum}});
        other = move_to_accum({{emit_vector(Opcode::kShuffle, {{vector}})}});
      }
      sum = sum_of(Opcode::kAddFloat, sum, other == sum ? -1 : other, 1);
    };
    if (lanes > 16) halve(is_v2());  // v2: the halves of the result are registers of their own
    if (lanes > 8) halve(false);
    const int vector = emit_vector(Opcode::kConvertDown, {{sum}}, 1);
    define_scalar(op.results[0], emit_scalar(Opcode::kExtract, {{vector}}));
  }
  void reduce_floats(const Operation& op, const std::vector<NativeUse>& from, unsigned lanes) {
    int sum = move_to_accum(from);
    int vector = -1;
    for (unsigned n = lanes; n > 1; n /= 2) {
      vector = emit_vector(Opcode::kMoveAccum, {{sum}});
      const int shifted = emit_vector(Opcode::kShuffle, {{vector}});
      const int moved = move_to_accum({{shifted}});
      sum = emit(Opcode::kAddFloat, {{sum, Role::kAccumulator}, {moved, Role::kAccumulator}},
                 RegisterFile::kAccumulator, 1);
    }
    vector = emit_vector(Opcode::kMoveAccum, {{sum}});
    define_scalar(op.results[0], emit_scalar(Opcode::kExtract, {{vector}}));
  }

  int accum_of(const std::vector<NativeUse>& uses, Opcode opcode, unsigned units = 2) {
    return emit(opcode, uses, RegisterFile::kAccumulator, units);
  }
  int sum_of(Opcode opcode, int a, int b = -1, unsigned units = 2) {
    std::vector<NativeUse> uses{{a, Role::kAccumulator}};
    if (b >= 0) uses.push_back({b, Role::kAccumulator});
    return emit(opcode, std::move(uses), RegisterFile::kAccumulator, units);
  }

  // 16 lanes at a time. int32 to float: both halves up, an integer sum that makes floats of them, three float sums.
  int to_float_lanes(const std::vector<NativeUse>& uses) {
    std::array<int, 2> half{};
    for (int& h : half) {
      const int bits = emit_vector(Opcode::kShuffle, uses);
      h = sum_of(Opcode::kAddFloat, sum_of(Opcode::kAddAccum, accum_of({{bits}}, Opcode::kUpshift)), -1, 1);
    }
    return emit_vector(Opcode::kMoveAccum, {{sum_of(Opcode::kAddFloat, half[0], half[1], 1)}});
  }
  // float to int32: the high part by a float sum, an integer difference and a shift; what it leaves in the same way;
  // both joined in 64 bits.
  int to_fixed_lanes(const std::vector<NativeUse>& uses) {
    for (unsigned i = 0; i < 3; ++i) emit(Opcode::kMoveScalar, {}, RegisterFile::kScalar, 0);  // the saturation mode
    // Float sums of 32 lanes, of which 16 are wanted, take two instructions on AIE-ML.
    const auto float_sum = [&](int a, int b = -1) {
      if (!is_v2()) sum_of(Opcode::kAddFloat, a, b, 1);
      const int low = sum_of(Opcode::kAddFloat, a, b, 1);
      if (!is_v2()) keep_.insert(static_cast<int>(code_.instructions.size()) - 2);
      return low;
    };
    const auto shift = [&](int accum) { return emit_vector(Opcode::kShift, {{accum}}); };
    const int x = move_to_accum(uses);
    const int high = shift(sum_of(Opcode::kAddAccum, float_sum(x)));
    const int back = float_sum(sum_of(Opcode::kAddAccum, accum_of({{high}}, Opcode::kUpshift)));
    const int rest = float_sum(float_sum(x, back));
    const int difference = sum_of(Opcode::kAddAccum, rest);
    const int low = shift(difference);
    const int negative = shift(sum_of(Opcode::kAddAccum, difference));
    const int wide =
        sum_of(Opcode::kAddAccum, accum_of({{high}}, Opcode::kUpshift), accum_of({{low}}, Opcode::kUpshift));
    return shift(sum_of(Opcode::kAddAccum, wide, accum_of({{negative}}, Opcode::kUpshift)));
  }
  // int16 to float: up, an integer sum that makes floats of them, a float difference.
  int short_to_float_lanes(const std::vector<NativeUse>& uses) {
    const int bits = sum_of(Opcode::kAddAccum, accum_of(uses, Opcode::kUpshift, 1), -1, 1);
    return emit_vector(Opcode::kMoveAccum, {{sum_of(Opcode::kAddFloat, bits, -1, 1)}});
  }
  // float to int16: a float sum, an integer difference, a shift.
  int to_short_lanes(const std::vector<NativeUse>& uses) {
    const int sum = sum_of(Opcode::kAddFloat, move_to_accum(uses), -1, 1);
    return emit_vector(Opcode::kShift, {{sum_of(Opcode::kAddAccum, sum, -1, 1)}}, 1);
  }
  void convert_number(const Operation& op) {
    const Value& from = op.inputs[0];
    const Value& result = op.results[0];
    if (result.kind == ValueKind::kScalar) return scalar(op);
    std::vector<Chunk> chunks;
    const unsigned out_bits = bits_of(result.element);
    if (from.element == Element::kBfloat16) {  // 16 lanes each; 16-bit results are shuffled together from two
      std::vector<NativeUse> floored;
      for (unsigned lane = 0; lane < result.lanes; lane += 16) {
        const int value = emit_vector(Opcode::kFloor, half_or_part(from, lane / 16, 256));
        if (out_bits == 32) append(chunks, value, 2);
        floored.push_back({value});
        if (out_bits == 16 && (floored.size() == 2 || lane + 16u >= result.lanes)) {
          append(chunks, emit_vector(Opcode::kShuffle, floored), static_cast<unsigned>(floored.size()));
          floored.clear();
        }
      }
      return define_vector(result, std::move(chunks));
    }
    for (unsigned lane = 0; lane < result.lanes; lane += 16) {
      const auto uses = half_or_part(from, lane * bits_of(from.element) / 256, 16 * bits_of(from.element));
      if (op.name == "to_float") {
        append(chunks, bits_of(from.element) == 16 ? short_to_float_lanes(uses) : to_float_lanes(uses), 2);
      } else if (out_bits == 16) {
        append(chunks, to_short_lanes(uses), 1);
      } else {
        append(chunks, to_fixed_lanes(uses), 2);
      }
    }
    define_vector(result, std::move(chunks));
  }

  // 1 / x of 16 bf16: a seed from the bits, two Newton steps.
  int inverse_bf16(const std::vector<NativeUse>& uses) {
    const auto narrow = [&](int accum) { return emit_vector(Opcode::kConvertDown, {{accum}}, 1); };
    const auto product = [&](int a, int b) {
      return emit(Opcode::kMultiplyFloat, {{a}, {b}}, RegisterFile::kAccumulator, 1);
    };
    const auto beside_zeros = [&](const std::vector<NativeUse>& of) {
      return is_v2() ? of[0].value : emit_vector(Opcode::kMove, of);
    };
    const int x = beside_zeros(uses);
    const int seed = beside_zeros({{emit_vector(Opcode::kElementwise, uses)}});
    const int first = narrow(sum_of(Opcode::kAddFloat, product(x, seed), -1, 1));
    const int y = narrow(product(first, seed));
    const int second = narrow(product(x, y));
    const int step = narrow(emit(Opcode::kMultiplyAddFloat, {{second}, {y}}, RegisterFile::kAccumulator, 1));
    return narrow(product(step, y));
  }
  // ... of 16 floats: the same steps in five products of floats.
  int inverse_float(const std::vector<NativeUse>& uses) {
    const auto vector_of = [&](int accum) { return emit_vector(Opcode::kMoveAccum, {{accum}}); };
    const auto x = bf16_pieces(uses);
    const int seed = emit_vector(Opcode::kElementwise, uses);
    const auto seeds = bf16_pieces({{seed}});
    const int first = vector_of(sum_of(Opcode::kAddFloat, multiply_pieces(x, seeds, -1), -1, 1));
    const int y = vector_of(multiply_pieces(bf16_pieces({{first}}), seeds, -1));
    const auto ys = bf16_pieces({{y}});
    const int second = vector_of(multiply_pieces(x, ys, -1));
    const auto seconds = bf16_pieces({{second}});
    const int step = vector_of(multiply_pieces(seconds, ys, -1));
    return vector_of(multiply_pieces(bf16_pieces({{step}}), ys, -1));
  }
  // 1 / x bit by bit without a float unit: as long as a division.
  void inverse(const Operation& op) {
    const Value& v = op.inputs[0];
    const Value& result = op.results[0];
    if (v.kind == ValueKind::kScalar) {
      if (v.element == Element::kBfloat16) {
        const int vector = inverse_bf16({{broadcast_of(v)}});
        return define_scalar(result, emit_scalar(Opcode::kExtract, {{vector}}));
      }
      return define_scalar(result, emit_scalar(is_v2() ? Opcode::kScalarInverse : Opcode::kDivide, scalar_uses(op)));
    }
    std::vector<Chunk> chunks;
    for (unsigned lane = 0; lane < result.lanes; lane += 16) {
      const auto uses = operand_part(v, lane * bits_of(v.element) / 512);
      if (v.element == Element::kBfloat16) {
        append(chunks, inverse_bf16(uses), 1);
      } else if (is_v2()) {  // lane by lane through the scalar unit
        int made = -1;
        for (unsigned i = 0; i < 16; ++i) {
          const int one = emit_scalar(Opcode::kScalarInverse, {{emit_scalar(Opcode::kExtract, uses)}});
          std::vector<NativeUse> all{{one, Role::kControl}};
          if (made >= 0) all.push_back({made});
          made = emit_vector(Opcode::kInsert, std::move(all));
        }
        append(chunks, made, 2);
      } else {
        append(chunks, inverse_float(uses), 2);
      }
    }
    define_vector(result, std::move(chunks));
  }
  int broadcast_of(const Value& v) { return v.id == 0 ? emit_vector(Opcode::kBroadcast, {}) : broadcast(v); }

  void exp2(const Operation& op) {
    std::vector<Chunk> chunks;
    // The lanes come from an accumulator. A result of 256 bits goes into its half of a register.
    const bool wide = op.results[0].element == Element::kFloat;
    for (unsigned lane = 0; lane < op.results[0].lanes; lane += 16) {
      const int accum = move_to_accum(operand_part(op.inputs[0], lane / 16));
      append(chunks, emit_vector(Opcode::kExp2, {{accum}}, wide ? 2 : 1), wide ? 2 : 1);
    }
    define_vector(op.results[0], std::move(chunks));
  }

  // 16 at a time: the index over an accumulator to a place in the table (with the policy for indices beyond it, if
  // there can be any), the table's address added, four instructions of four look-ups, the results shuffled together.
  void parallel_lookup(const Operation& op) {
    const Value& result = op.results[0];
    const Value& index = op.inputs[0];
    const unsigned value_bytes = bits_of(result.element) == 32 ? 4 : 2;
    const std::uint64_t entries = op.bytes / (2 * value_bytes);
    const bool covered = entries << op.immediates[0] == std::uint64_t{1} << bits_of(index.element);
    const unsigned chunks_each = std::max(1u, 16 * bits_of(result.element) / 256);
    std::vector<Chunk> chunks;
    for (unsigned lane = 0; lane < result.lanes; lane += 16) {
      const auto lanes = half_or_part(index, lane * bits_of(index.element) / 256, 16 * bits_of(index.element));
      int place = emit_vector(Opcode::kShift, {{accum_of(lanes, Opcode::kUpshift)}});
      if (!covered) place = emit_vector(Opcode::kElementwise, {{place}});
      place = emit_vector(Opcode::kElementwise, {{place}});
      std::vector<NativeUse> gathered;
      for (unsigned i = 0; i < 4; ++i) gathered.push_back({emit_vector(Opcode::kGather, {{place}}, 1)});
      append(chunks, emit_vector(Opcode::kShuffle, std::move(gathered)), chunks_each);
    }
    if (chunks_each == 1 && chunks.size() == 2) {
      const int both = emit_vector(Opcode::kShuffle, {{chunks[0].value}, {chunks[1].value}});
      chunks = {{both, 0}, {both, 1}};
    }
    define_vector(result, std::move(chunks));
  }

  void scalar(const Operation& op) { define_scalar(op.results[0], emit_scalar(Opcode::kScalar, scalar_uses(op))); }
  void scalar_multiply(const Operation& op) {
    define_scalar(op.results[0], emit_scalar(Opcode::kScalarMultiply, scalar_uses(op)));
  }
  void divide(const Operation& op) { define_scalar(op.results[0], emit_scalar(Opcode::kDivide, scalar_uses(op))); }
  void set_mode(const Operation&) { emit(Opcode::kMoveScalar, {}, RegisterFile::kScalar, 0); }

  static const std::map<std::string_view, Handler>& table() {
    static const std::map<std::string_view, Handler> kTable = [] {
      std::map<std::string_view, Handler> t;
      const auto set = [&](Handler handler, std::initializer_list<std::string_view> names) {
        for (const std::string_view name : names) t.emplace(name, handler);
      };
      set(&Lowerer::load, {"load"});
      set(&Lowerer::load_unaligned, {"load_unaligned"});
      set(&Lowerer::load_scalar, {"load_scalar"});
      set(&Lowerer::store, {"store", "store_unaligned"});
      set(&Lowerer::store_scalar, {"store_scalar"});
      set(&Lowerer::vector_arithmetic, {"add", "sub", "max", "min", "maxdiff", "bit_and", "bit_or", "bit_xor",
                                        "bit_not", "abs", "saturating_add", "saturating_sub"});
      set(&Lowerer::select, {"select"});
      set(&Lowerer::shuffle,
          {"shuffle_down", "shuffle_up", "shuffle_down_rotate", "shuffle_up_rotate", "shuffle_down_fill",
           "shuffle_up_fill", "shuffle_down_replicate", "shuffle_up_replicate", "reverse"});
      set(&Lowerer::insert_lane, {"set", "push"});
      set(&Lowerer::compare, {"lt", "gt", "le", "ge", "eq", "neq"});
      set(&Lowerer::bound_and_compare, {"max_cmp", "min_cmp"});
      set(&Lowerer::mask_operation,
          {"mask_and", "mask_or", "mask_xor", "mask_not", "mask_shift", "mask_count", "mask_empty", "mask_full",
           "mask_test", "mask_clz", "mask_equal", "mask_set", "mask_clear"});
      set(&Lowerer::mask_from_uint, {"mask_from_uint"});
      set(&Lowerer::load_mask, {"load_mask"});
      set(&Lowerer::mask_part, {"mask_extract", "mask_to_uint", "mask_from_masks", "mask_insert"});
      set(&Lowerer::concat, {"concat"});
      set(&Lowerer::extract, {"extract"});
      set(&Lowerer::insert, {"insert"});
      set(&Lowerer::grow, {"grow", "grow_replicate"});
      set(&Lowerer::broadcast_call, {"broadcast"});
      set(&Lowerer::zeros, {"zeros"});
      set(&Lowerer::list, {"vector"});
      set(&Lowerer::get, {"get"});
      set(&Lowerer::from_vector, {"from_vector"});
      set(&Lowerer::to_vector, {"to_vector"});
      set(&Lowerer::pack, {"pack"});
      set(&Lowerer::unpack, {"unpack"});
      set(&Lowerer::shift_lanes, {"upshift", "downshift", "logical_downshift"});
      set(&Lowerer::multiply, {"mul", "negmul", "mac", "msc"});
      set(&Lowerer::matrix_multiply, {"mmul_mul", "mmul_mac"});
      set(&Lowerer::negate, {"neg"});
      set(&Lowerer::interleave, {"interleave_zip", "interleave_unzip"});
      set(&Lowerer::filter, {"filter_even", "filter_odd"});
      set(&Lowerer::transpose, {"transpose"});
      set(&Lowerer::reduce, {"reduce_max", "reduce_min", "reduce_add"});
      set(&Lowerer::convert_number, {"to_float", "to_fixed"});
      set(&Lowerer::inverse, {"inv", "invsqrt"});
      set(&Lowerer::exp2, {"exp2", "tanh"});
      set(&Lowerer::parallel_lookup, {"parallel_lookup"});
      set(&Lowerer::scalar, {"clb", "scalar"});
      set(&Lowerer::scalar_multiply, {"scalar_multiply"});
      set(&Lowerer::divide, {"divide"});
      set(&Lowerer::set_mode, {"set_rounding", "set_saturation"});
      return t;
    }();
    return kTable;
  }

  // --- The end ---

  // Zeros that are read after this code need their register.
  void clear_zeros() {
    std::vector<Value> zeros;
    for (const auto& [id, zero] : zeros_) {
      const auto known = known_.find(id);
      if (known != known_.end() && known->second.is_zero && is_read_later(id)) zeros.push_back(zero);
    }
    for (const Value& zero : zeros) real_accum(zero);
  }
  bool is_read_later(ValueId id) const {
    const auto total = readers_.find(id);
    const auto here = read_here_.find(id);
    return total != readers_.end() && total->second > (here == read_here_.end() ? 0 : here->second);
  }

  void mark_live_out() {
    code_.live_out.assign(code_.values.size(), false);
    for (const auto& [id, native] : known_) {
      if (!is_read_later(id)) continue;
      for (const Chunk& c : native.vector) code_.live_out[static_cast<std::size_t>(c.value)] = true;
      for (const Chunk& c : native.accum) code_.live_out[static_cast<std::size_t>(c.value)] = true;
      for (const int s : native.scalars) code_.live_out[static_cast<std::size_t>(s)] = true;
    }
  }

  // Uses of an earlier pass's value become uses of this pass's, that many passes ago.
  void link_carried() {
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

  // The instructions that do two steps at once.
  void fuse() {
    auto& all = code_.instructions;
    std::vector<std::vector<int>> users(code_.values.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (const NativeUse& use : all[i].uses) {
        auto& list = users[static_cast<std::size_t>(use.value)];
        // A value of an earlier pass stays in its register.
        if (list.empty() || list.back() != static_cast<int>(i)) list.push_back(static_cast<int>(i));
        if (use.passes_ago > 0) list.push_back(-1);
      }
    }
    const auto producer = [&](int value) { return code_.values[static_cast<std::size_t>(value)].producer; };
    const auto only_user = [&](int value, int user) {
      const auto& list = users[static_cast<std::size_t>(value)];
      return list.size() == 1 && list[0] == user && !code_.live_out[static_cast<std::size_t>(value)];
    };
    for (std::size_t i = 0; i < all.size(); ++i) {
      NativeInstruction& second = all[i];
      if (second.uses.empty()) continue;
      const int value = second.uses[0].value;
      const int first_index = producer(value);
      if (first_index < 0 || second.uses[0].passes_ago > 0) continue;
      NativeInstruction& first = all[static_cast<std::size_t>(first_index)];
      const int user = static_cast<int>(i);
      // Load and widen.
      if (first.opcode == Opcode::kLoad && second.uses.size() == 1 && only_user(value, user)) {
        Opcode fused = Opcode::kLoad;
        if (second.opcode == Opcode::kUnpack) fused = Opcode::kLoadUnpack;
        if (second.opcode == Opcode::kUpshift) fused = Opcode::kLoadUpshift;
        if (second.opcode == Opcode::kConvertUp) fused = Opcode::kLoadConvert;
        if (second.opcode == Opcode::kMoveToAccum) fused = Opcode::kLoadAccum;
        if (fused != Opcode::kLoad) {
          second.opcode = fused;
          second.uses.clear();
          second.source = first.source;
          dead_.insert(first_index);
          continue;
        }
      }
      if (second.opcode != Opcode::kStore || second.uses.size() != 1) continue;
      Opcode fused = Opcode::kStore;
      if (first.opcode == Opcode::kShift) fused = Opcode::kStoreShift;
      if (first.opcode == Opcode::kPack) fused = Opcode::kStorePack;
      if (first.opcode == Opcode::kConvertDown) fused = Opcode::kStoreConvert;
      if (first.opcode == Opcode::kMoveAccum) fused = Opcode::kStoreAccum;
      if (fused == Opcode::kStore || code_.live_out[static_cast<std::size_t>(value)]) continue;
      // All readers of the value must be such stores; each then takes its part of the accumulator.
      const auto& list = users[static_cast<std::size_t>(value)];
      const bool stored = std::all_of(list.begin(), list.end(), [&](int u) {
        return u >= 0 &&
               (all[static_cast<std::size_t>(u)].opcode == Opcode::kStore ||
                all[static_cast<std::size_t>(u)].opcode == fused) &&
               !all[static_cast<std::size_t>(u)].uses.empty() &&
               (all[static_cast<std::size_t>(u)].opcode == fused ||
                all[static_cast<std::size_t>(u)].uses[0].value == value);
      });
      if (!stored) continue;
      second.opcode = fused;
      second.uses = first.uses;
      dead_.insert(first_index);
    }
  }

  void drop_unread() {
    auto& all = code_.instructions;
    for (bool changed = true; changed;) {
      changed = false;
      std::vector<bool> read(code_.values.size());
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (dead_.contains(static_cast<int>(i))) continue;
        for (const NativeUse& use : all[i].uses) read[static_cast<std::size_t>(use.value)] = true;
      }
      for (std::size_t i = 0; i < all.size(); ++i) {
        const int result = all[i].result;
        if (result < 0 || dead_.contains(static_cast<int>(i))) continue;
        const auto r = static_cast<std::size_t>(result);
        // A scalar may be read by plain C++.
        const bool scalar = code_.values[r].file == RegisterFile::kScalar && all[i].opcode != Opcode::kCompare &&
                            all[i].opcode != Opcode::kMoveScalar && all[i].opcode != Opcode::kLoadScalar;
        if (read[r] || code_.live_out[r] || scalar || keep_.contains(static_cast<int>(i))) continue;
        dead_.insert(static_cast<int>(i));
        changed = true;
      }
    }
    std::vector<int> place(all.size(), -1);
    std::vector<NativeInstruction> kept;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (dead_.contains(static_cast<int>(i))) continue;
      place[i] = static_cast<int>(kept.size());
      kept.push_back(std::move(all[i]));
    }
    all = std::move(kept);
    for (NativeValue& v : code_.values) {
      if (v.producer >= 0) v.producer = place[static_cast<std::size_t>(v.producer)];
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].result >= 0) code_.values[static_cast<std::size_t>(all[i].result)].producer = static_cast<int>(i);
    }
  }

  const Machine& machine_;
  const ReaderCounts& readers_;
  NativeCode code_;
  int source_ = -1;
  std::string call_;
  std::unordered_map<ValueId, Native> known_;
  std::map<std::pair<int, std::int64_t>, Native> known_constants_;
  std::map<std::pair<int, std::int64_t>, int> constant_vectors_;
  std::map<std::pair<ValueId, int>, int> broadcasts_;
  std::unordered_map<int, unsigned> place_;  // the half that a value of 256 bits was given
  std::map<std::tuple<int, unsigned, unsigned>, Chunk> moved_;
  std::map<std::pair<int, unsigned>, int> padded_;
  std::unordered_map<int, int> shifts_;
  std::unordered_map<ValueId, Carried> carried_;
  std::unordered_map<ValueId, unsigned> read_here_;
  std::map<ValueId, Value> zeros_;  // accumulators, in the order of their making
  std::set<int> dead_;
  std::set<int> keep_;  // instructions whose result nobody reads, which a compiler does not see
};

bool overlap(const Operation& a, const Operation& b) {
  return a.address != 0 && b.address != 0 && a.address < b.address + b.bytes && b.address < a.address + a.bytes;
}

// Instructions that access memory, by the operation that they belong to.
std::vector<std::vector<int>> memory_instructions(const NativeCode& code, std::size_t operations, Device device) {
  std::vector<std::vector<int>> by_source(operations);
  for (std::size_t i = 0; i < code.instructions.size(); ++i) {
    const NativeInstruction& instruction = code.instructions[i];
    if (instruction.source < 0 || Machine::of(device)[instruction.opcode].memory == 0) continue;
    by_source[static_cast<std::size_t>(instruction.source)].push_back(static_cast<int>(i));
  }
  return by_source;
}

void order(NativeCode& code, const std::vector<int>& first, const std::vector<int>& second, int passes_ago) {
  for (const int from : first) {
    for (const int to : second) code.memory.push_back({from, to, passes_ago});
  }
}

}  // namespace

ReaderCounts count_readers(const Block& block) {
  ReaderCounts counts;
  const auto visit = [&](const auto& self, const Block& b) -> void {
    for (const Item& item : b) {
      if (item.loop != nullptr) {
        for (const Block& pass : item.loop->passes) self(self, pass);
      } else {
        for (const Value& input : item.operation.inputs) ++counts[input.id];
      }
    }
  };
  visit(visit, block);
  return counts;
}

NativeCode lower_straight(std::span<const Item> items, const ReaderCounts& readers, Device device) {
  Lowerer lowerer(Machine::of(device), readers);
  for (std::size_t i = 0; i < items.size(); ++i) lowerer.lower(items[i].operation, static_cast<int>(i));
  NativeCode code = lowerer.finish();
  const auto accesses = memory_instructions(code, items.size(), device);
  for (std::size_t b = 0; b < items.size(); ++b) {
    if (accesses[b].empty()) continue;
    for (std::size_t a = 0; a < b; ++a) {
      if (accesses[a].empty()) continue;
      const Operation& first = items[a].operation;
      const Operation& second = items[b].operation;
      if ((first.is_store() || second.is_store()) && overlap(first, second)) order(code, accesses[a], accesses[b], 0);
    }
  }
  return code;
}

NativeCode lower_pass(const Loop& loop, const ReaderCounts& readers, Device device) {
  // A pass in the middle: it has passes before it, whose values it reads, and after it.
  const std::size_t middle = loop.passes.size() / 2;
  const Block& pass = loop.passes[middle];
  Lowerer lowerer(Machine::of(device), readers);
  for (std::size_t p = 0; p < middle; ++p) {
    for (std::size_t i = 0; i < pass.size(); ++i) {
      const auto& earlier = loop.passes[p][i].operation.results;
      for (std::size_t r = 0; r < earlier.size(); ++r) {
        lowerer.add_carried(earlier[r].id, pass[i].operation.results[r].id, static_cast<int>(middle - p));
      }
    }
  }
  for (std::size_t i = 0; i < pass.size(); ++i) lowerer.lower(pass[i].operation, static_cast<int>(i));
  NativeCode code = lowerer.finish();

  // Memory order within a pass and between near passes, from the addresses of all passes.
  constexpr std::size_t kReach = 16;
  const auto accesses = memory_instructions(code, pass.size(), device);
  for (std::size_t a = 0; a < pass.size(); ++a) {
    if (accesses[a].empty()) continue;
    for (std::size_t b = 0; b < pass.size(); ++b) {
      if (accesses[b].empty()) continue;
      if (!loop.passes[0][a].operation.is_store() && !loop.passes[0][b].operation.is_store()) continue;
      for (std::size_t ago = a < b ? 0 : 1; ago <= kReach; ++ago) {
        bool found = false;
        for (std::size_t p = 0; p + ago < loop.passes.size() && !found; ++p) {
          found = overlap(loop.passes[p][a].operation, loop.passes[p + ago][b].operation);
        }
        if (!found) continue;
        order(code, accesses[a], accesses[b], static_cast<int>(ago));
        break;
      }
    }
  }
  return code;
}

}  // namespace aie_cycles
