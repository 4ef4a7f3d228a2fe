// SPDX-License-Identifier: Apache-2.0
//
// When the instructions of a piece of code issue: list scheduling of straight code, modulo scheduling of a loop's pass.
#ifndef HCCS_AIE_CYCLES_SCHEDULE_H_
#define HCCS_AIE_CYCLES_SCHEDULE_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "aie/cycles/native.h"

namespace aie_cycles {

struct Placement {
  int cycle = 0;  // of issue, in the schedule of one pass
  Slot slot = Slot::kScalar;
};

// What keeps a loop from a shorter initiation interval.
struct Bounds {
  std::array<int, kSlotCount>
      slot{};           // the interval that each slot's instructions need alone; lda and ldb share theirs
  int resource = 1;     // ResMII: the most of them, and of the ports
  int recurrence = 1;   // RecMII: of the values and the memory that passes hand on
  std::string binding;  // the slot's name, "recurrence", or what the search says beside
};

struct Schedule {
  std::vector<Placement> placements;  // by instruction
  int length = 0;                     // bundles of one pass, with those that wait for a result which is read afterwards
  int interval = 0;                   // between passes; 0: they do not overlap
  int stages = 1;
  Bounds bounds;
  std::array<unsigned, kRegisterFileCount> live{};  // the most that are live at once, in units (NativeValue)
  unsigned spills = 0;                              // values that go to the stack and back

  // Cycles of `passes` passes.
  long cycles(long passes) const { return interval == 0 ? passes * length : (passes - 1) * interval + length; }
  // Copies of the pass in the steady part, so that a value outlives an interval without a move.
  int copies = 1;
};

// Straight code.
Schedule schedule_straight(const NativeCode& code, Device device);

// A pass of a loop that makes at least `least_passes` passes: the smallest interval whose stages are no more than these
// and whose values fit the registers. No interval below the length of the straight schedule: that one, with
// interval 0. Values that do not fit are loaded again in each pass: `code` gets these loads.
Schedule schedule_loop(NativeCode& code, Device device, long least_passes);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_SCHEDULE_H_
