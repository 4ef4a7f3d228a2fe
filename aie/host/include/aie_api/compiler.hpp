// SPDX-License-Identifier: Apache-2.0
//
// Words of AMD's compilers in kernel sources that promise something about loops, memory banks and event traces. They
// change no result and mean nothing to this machine's compiler.
#ifndef AIE_API_COMPILER_HPP_
#define AIE_API_COMPILER_HPP_

#include "adf/chess.h"

#define __aie_dm_resource_a
#define __aie_dm_resource_b
#define __aie_dm_resource_c
#define __aie_dm_resource_d
#define __aie_dm_resource_stack

inline void event0() {}
inline void event1() {}

#endif  // AIE_API_COMPILER_HPP_
