// SPDX-License-Identifier: Apache-2.0
//
// Schedules for people: as a table of bundles, and as a picture.
#ifndef HCCS_AIE_CYCLES_PRINT_H_
#define HCCS_AIE_CYCLES_PRINT_H_

#include <string>

#include "aie/cycles/cost.h"

namespace aie_cycles {

// A line for each bundle, a column for each slot: the instruction and the API call that it belongs to. Of a loop whose
// passes overlap the steady part, each instruction with its stage in brackets: how many passes ago its pass began.
// Then what binds, and what the schedule needs of slots and registers. Bundles that only wait share a line.
std::string bundle_table(const Piece& piece, Device device);

// The same as an SVG that needs nothing else: cycles across, slots down, a colour for each stage; one pass, and beside
// it the steady part in which the passes overlap.
std::string loop_svg(const Piece& piece, Device device);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_PRINT_H_
