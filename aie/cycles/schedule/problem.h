// SPDX-License-Identifier: Apache-2.0
//
// Code that is to be scheduled: which instruction waits for which, and what that alone says of the schedule.
#ifndef HCCS_AIE_CYCLES_SCHEDULE_PROBLEM_H_
#define HCCS_AIE_CYCLES_SCHEDULE_PROBLEM_H_

#include <vector>

#include "aie/cycles/native.h"
#include "aie/cycles/schedule.h"

namespace aie_cycles {

// `to` issues at least `latency` cycles after `from`, of the pass that is `passes_ago` passes before.
struct Edge {
  int from = 0;
  int to = 0;
  int latency = 0;
  int passes_ago = 0;
};

// Both `code` and `machine` outlive it, and the code does not change.
struct Problem {
  Problem(const NativeCode& native, const Machine& device);

  std::size_t size() const { return code.instructions.size(); }
  Opcode opcode(std::size_t instruction) const { return code.instructions[instruction].opcode; }

  const NativeCode& code;
  const Machine& machine;
  std::vector<Edge> edges;
  std::vector<std::vector<Edge>> in, out;  // by instruction: those that end there, those that begin there
};

// The longest path from each instruction to the end; with an interval, over edges of earlier passes too. Empty if a
// cycle of edges needs a longer interval.
std::vector<int> heights(const Problem& problem, int interval);

// What each slot and port and the longest cycle of edges need at least.
Bounds find_bounds(const Problem& problem);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_SCHEDULE_PROBLEM_H_
