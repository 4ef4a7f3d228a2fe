// SPDX-License-Identifier: Apache-2.0
//
// From operations of the AIE API to native instructions, per device. The sequences are those that the public headers of
// the AIE API (Xilinx/aie_api) write down; docs/cycle-model.md has the list.
#ifndef HCCS_AIE_CYCLES_LOWER_H_
#define HCCS_AIE_CYCLES_LOWER_H_

#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "aie/cycles/native.h"
#include "aie/cycles/trace.h"

namespace aie_cycles {

// How often each value is read in a whole trace.
using ReaderCounts = std::unordered_map<ValueId, unsigned>;
ReaderCounts count_readers(const Block& block);

// Straight code: operations of a block between two loops.
NativeCode lower_straight(std::span<const Item> items, const ReaderCounts& readers, Device device);

// A pass of a loop whose passes have the same operations and no loops in them.
NativeCode lower_pass(const Loop& loop, const ReaderCounts& readers, Device device);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_LOWER_H_
