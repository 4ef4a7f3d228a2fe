// SPDX-License-Identifier: Apache-2.0
//
// Native instructions of a piece of code without branches, as a data-flow graph: what lower() makes of a trace and
// schedule.h schedules.
#ifndef HCCS_AIE_CYCLES_NATIVE_H_
#define HCCS_AIE_CYCLES_NATIVE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "aie/cycles/machine.h"
#include "aie_host/operations.h"

namespace aie_cycles {

using aie_host::Operation;

enum class RegisterFile : std::uint8_t { kVector, kAccumulator, kScalar };
inline constexpr unsigned kRegisterFileCount = 3;

// A register's content, written once. Vector registers count in units of 256 bits, accumulators of 512.
struct NativeValue {
  int producer = -1;  // the instruction; -1: there before the code begins
  RegisterFile file = RegisterFile::kVector;
  unsigned units = 0;
};

struct NativeUse {
  int value = -1;
  Role role = Role::kOperand;
  int passes_ago = 0;  // of a loop: the value that that pass produced
};

struct NativeInstruction {
  Opcode opcode = Opcode::kScalar;
  std::vector<NativeUse> uses;
  int result = -1;                     // the value; -1: none
  int source = -1;                     // the trace operation in its block that it belongs to; -1: none
  std::optional<Operation> operation;  // of the API, for people; none: a value that is loaded again
};

// The earliest issue of `to` in a pass is at least `distance` cycles after that of `from`, `passes_ago` passes before.
struct MemoryOrder {
  int from = 0;
  int to = 0;
  int passes_ago = 0;
};

struct NativeCode {
  std::vector<NativeInstruction> instructions;
  std::vector<NativeValue> values;
  std::vector<MemoryOrder> memory;
  std::vector<bool> live_out;  // by value: read after the code
};

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_NATIVE_H_
