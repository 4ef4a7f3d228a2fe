// SPDX-License-Identifier: Apache-2.0
//
// Words of AMD's compilers in kernel sources that promise something about loops, registers, memory banks and event
// traces. They change no result and mean nothing to this machine's compiler.
#ifndef AIE_API_COMPILER_HPP_
#define AIE_API_COMPILER_HPP_

#define chess_prepare_for_pipelining
#define chess_flatten_loop
#define chess_keep_sw_loop
#define chess_no_hw_loop
#define chess_loop_range(...)
#define chess_loop_count(...)
#define chess_min_loop_count(...)
#define chess_max_loop_count(...)
#define chess_unroll_loop(...)
#define chess_separator()
#define chess_separator_scheduler(...)
#define chess_protect_access
#define chess_storage(...)

#define __aie_dm_resource_a
#define __aie_dm_resource_b
#define __aie_dm_resource_c
#define __aie_dm_resource_d
#define __aie_dm_resource_stack

inline void event0() {}
inline void event1() {}

#endif  // AIE_API_COMPILER_HPP_
