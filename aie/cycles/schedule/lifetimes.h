// SPDX-License-Identifier: Apache-2.0
//
// How long values live in a schedule, and how many registers they need at once.
#ifndef HCCS_AIE_CYCLES_SCHEDULE_LIFETIMES_H_
#define HCCS_AIE_CYCLES_SCHEDULE_LIFETIMES_H_

#include <array>
#include <vector>

#include "aie/cycles/schedule.h"
#include "aie/cycles/schedule/problem.h"

namespace aie_cycles {

using Placements = std::vector<Placement>;                    // by instruction
using UnitCounts = std::array<unsigned, kRegisterFileCount>;  // by register file

inline constexpr std::array<RegisterFile, kRegisterFileCount> kFiles{RegisterFile::kVector, RegisterFile::kAccumulator,
                                                                     RegisterFile::kScalar};

// Units that a register file has.
unsigned registers(const Machine& machine, RegisterFile file);
// How many of the units that are live it does not have.
unsigned excess(const UnitCounts& live, const Machine& machine, RegisterFile file);
bool fits(const UnitCounts& live, const Machine& machine);

// Cycles until everything that is read after the code is there.
int drained_length(const Problem& problem, const Placements& placements);

// The most units of each register file that are live in one cycle. `copies`: of the steady part, see Schedule.
UnitCounts pressure(const Problem& problem, const Placements& placements, int interval, int length,
                    int* copies = nullptr);

// Moves instructions within their slack where that makes values live shorter.
void shorten_lifetimes(const Problem& problem, int interval, Placements& placements);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_SCHEDULE_LIFETIMES_H_
