// SPDX-License-Identifier: Apache-2.0
//
// Native code while it is made: its instructions, and the registers in which the trace's values are.
#ifndef HCCS_AIE_CYCLES_LOWER_BUILDER_H_
#define HCCS_AIE_CYCLES_LOWER_BUILDER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "aie/cycles/lower.h"
#include "aie/cycles/lower/values.h"

namespace aie_cycles {

class CodeBuilder {
 public:
  CodeBuilder(const Machine& machine, const ReaderCounts& readers) : machine_(machine), readers_(readers) {}

  const Machine& machine() const { return machine_; }
  // Registers of 512 and 2048 bits in one access and one product: AIE-ML v2 and XDNA 2.
  bool is_wide() const { return machine_.device() != Device::kAieMl; }

  // A value of an earlier pass of the loop that is being lowered: the one that `id` names in this pass.
  void add_carried(ValueId earlier, ValueId id, int passes_ago) { carried_[earlier] = {id, passes_ago}; }

  // The step, number `source` of its block, to which the next instructions belong; and its end.
  void begin(const Step& step, int source);
  void end(const Step& step);

  // The code, once all operations are lowered.
  NativeCode finish();

  // --- Instructions. Each gives the native value that is its result; -1 if `units` is 0 ---

  int emit(Opcode opcode, std::vector<NativeUse> uses, RegisterFile file, unsigned units);
  int emit_vector(Opcode opcode, std::vector<NativeUse> uses, unsigned units = 2) {
    return emit(opcode, std::move(uses), RegisterFile::kVector, units);
  }
  int emit_accum(Opcode opcode, std::vector<NativeUse> uses, unsigned units = 2) {
    return emit(opcode, std::move(uses), RegisterFile::kAccumulator, units);
  }
  int emit_scalar(Opcode opcode, std::vector<NativeUse> uses) {
    return emit(opcode, std::move(uses), RegisterFile::kScalar, 1);
  }
  // One that only reads: a store, or what sets a mode.
  void emit_effect(Opcode opcode, std::vector<NativeUse> uses) {
    emit(opcode, std::move(uses), RegisterFile::kScalar, 0);
  }
  // The last instruction stays, although nobody reads its result.
  void keep_last() { keep_.insert(static_cast<int>(code_.instructions.size()) - 1); }

  // 16 float lanes from a vector register to an accumulator.
  int move_to_accum(std::vector<NativeUse> uses) { return emit_accum(Opcode::kMoveToAccum, std::move(uses), 1); }
  // A sum of one or two accumulators.
  int sum_of(Opcode opcode, int a, int b = -1, unsigned units = 2);
  // The register that shifts a result by this scalar: one move for each scalar.
  int shift_register(int scalar);
  // A scalar that is there before the code begins.
  int scalar_from_before() { return new_value(RegisterFile::kScalar, 1, -1); }

  // --- Operands ---

  // Where a value is. One that this code has not made is from before, from an earlier pass, or a constant.
  const Native& native(const Value& v);
  // An accumulator that an instruction reads; zeros are made where they are no mere start of a sum.
  const Native& real_accum(const Value& v);
  // Units of an accumulator that a sum takes at a time.
  unsigned accum_step(const Value& v) const;

  // A chunk where an instruction wants 256 bits in the lower half of a register; a move if it is in an upper half.
  NativeUse low_half(const Chunk& chunk) { return {at_half(chunk, 0).value}; }
  Chunk at_half(const Chunk& chunk, unsigned half);
  // 256 bits in the lower half of a register whose upper half is zero: a move, once a value; none if it is from before.
  NativeUse padded(const Chunk& chunk);
  // 512 bits of a vector as an operand.
  std::vector<NativeUse> part(const std::vector<Chunk>& vector, unsigned index);
  // A vector operand; a scalar one is broadcast, once a value.
  std::vector<NativeUse> operand_part(const Value& v, unsigned index);
  // The bits of a vector from a chunk on as an operand: 256 in any half, or a register.
  std::vector<NativeUse> half_or_part(const Value& v, unsigned chunk, unsigned bits);
  // The native values of `count` units of an accumulator, each once.
  std::vector<NativeUse> accum_uses(const Native& from, unsigned first, unsigned count) const;
  // The scalars and masks among the inputs, without constants.
  std::vector<NativeUse> scalar_uses(const Step& step, Role role = Role::kOperand);

  int broadcast(const Value& v);
  int broadcast_lane(const Value& v);

  // --- Results ---

  void define(const Value& v, Native native) {
    if (v.id != 0) known_[v.id] = std::move(native);
  }
  void define_vector(const Value& v, std::vector<Chunk> chunks) { define(v, {.vector = std::move(chunks)}); }
  void define_accum(const Value& v, std::vector<AccumUnit> units) { define(v, {.accum = std::move(units)}); }
  void define_scalar(const Value& v, int value) { define(v, {.scalars = {value}}); }
  // An accumulator of zeros: an instruction only where something other than a sum reads it.
  void define_zeros(const Value& v);

 private:
  struct Carried {
    ValueId id;
    int passes_ago;
  };

  int new_value(RegisterFile file, unsigned units, int producer);
  const std::vector<Chunk>& known_vector(const Value& v);
  bool is_before(const Chunk& chunk) const { return code_.values[static_cast<std::size_t>(chunk.value)].producer < 0; }
  bool is_read_later(ValueId id) const;
  void clear_zeros();
  void mark_live_out();
  void link_carried();

  const Machine& machine_;
  const ReaderCounts& readers_;
  NativeCode code_;
  int source_ = -1;
  std::optional<Operation> operation_;
  std::unordered_map<ValueId, Native> known_;
  std::map<std::pair<int, std::int64_t>, Native> known_constants_;  // scalars, by element and bits
  std::map<std::pair<int, std::int64_t>, int> constant_vectors_;    // their broadcasts
  std::map<std::pair<ValueId, int>, int> broadcasts_;               // by value and element
  std::unordered_map<int, unsigned> place_;                         // the half that a value of 256 bits was given
  std::map<std::tuple<int, unsigned, unsigned>, Chunk> moved_;      // by value, unit and half
  std::map<std::pair<int, unsigned>, int> padded_;                  // by value and unit
  std::unordered_map<int, int> shifts_;                             // shift registers by scalar
  std::unordered_map<ValueId, Carried> carried_;
  std::unordered_map<ValueId, unsigned> read_here_;
  std::map<ValueId, Value> zeros_;  // accumulators, in the order of their making
  std::set<int> keep_;              // instructions whose result nobody reads, which a compiler does not see
};

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_LOWER_BUILDER_H_
