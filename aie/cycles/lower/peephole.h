// SPDX-License-Identifier: Apache-2.0
//
// What a compiler does with neighbouring instructions once they are there.
#ifndef HCCS_AIE_CYCLES_LOWER_PEEPHOLE_H_
#define HCCS_AIE_CYCLES_LOWER_PEEPHOLE_H_

#include <set>

#include "aie/cycles/native.h"

namespace aie_cycles {

// Makes one instruction of a load and the conversion of what it loads, and of a conversion and the stores of its
// result. Gives the instructions that are no longer needed, which are still in the code.
std::set<int> fuse_with_memory(NativeCode& code);

// Takes the `dead` instructions out of the code, and those whose result nobody reads, unless they are in `keep`.
void drop_unread(NativeCode& code, std::set<int> dead, const std::set<int>& keep);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_LOWER_PEEPHOLE_H_
