// SPDX-License-Identifier: Apache-2.0
//
// What a recorded kernel call costs on a core.
#ifndef HCCS_AIE_CYCLES_COST_H_
#define HCCS_AIE_CYCLES_COST_H_

#include <array>
#include <string>
#include <vector>

#include "aie/cycles/schedule.h"
#include "aie/cycles/trace.h"

namespace aie_cycles {

// The most native instructions of a loop's pass that a compiler overlaps with the next one. No source states it: it is
// fitted to the published cycles of the paper's kernel, whose rows of 32 and 64 positions overlap and whose rows of 128
// do not. Kernels that want their loops overlapped keep their passes as short.
inline constexpr unsigned kPipelinedInstructions = 60;

// What is known of control flow. Sources: docs/cycle-model.md.
struct ControlCosts {
  int call = 32;       // locks, pointers and the call itself: "tens of cycles" (UG1603)
  int loop_setup = 6;  // registers of a zero-overhead loop ahead of its first pass
  int branch = 6;  // at the end of a pass of another loop: the branch and its delay slots, which its last code can fill
  unsigned pipelined_instructions = kPipelinedInstructions;
};

// A piece of the call: straight code, or a loop without a loop in it, with all that was alike.
struct Piece {
  std::string name;  // the loop's site; "straight" or "straight in SITE"
  long times = 0;    // how often it was entered
  long passes = 0;   // of the loop, in all
  long cycles = 0;   // in all, with its set-up
  bool is_loop = false;
  NativeCode code;
  Schedule schedule;
};

struct CallCost {
  long cycles = 0;
  std::vector<Piece> pieces;
  std::array<long, kSlotCount> slot_use{};  // instructions issued in each slot
  long program_bytes = 0;                   // an estimate: full bundles
  unsigned spills = 0;

  // The piece that takes most of the time; null if there is none.
  const Piece* hottest() const;
};

// Where a call's cycles are: all = one_slot + other_slots + intervals + latency + the call itself.
struct Breakdown {
  Slot busiest = Slot::kScalar;  // of the whole call; kLoadA stands for both loads
  long one_slot = 0;             // what its instructions need: no schedule of these instructions is shorter
  long other_slots = 0;          // more, as another slot is the busiest in some piece, and pieces do not overlap
  long intervals = 0;            // of loops, above what their pieces' busiest slots need
  long latency = 0;              // straight code that waits for results; loops' first and last passes, and their set-up
};
Breakdown breakdown(const CallCost& cost, const ControlCosts& control = {});

// `call` as recorded; simplify() is applied.
CallCost cost_of_call(Block call, Device device, const ControlCosts& control = {});

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_COST_H_
