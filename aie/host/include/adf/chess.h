// SPDX-License-Identifier: Apache-2.0
//
// Annotations that AMD's chess compiler understands without a header. They advise the scheduler and change no result.
#ifndef ADF_CHESS_H_
#define ADF_CHESS_H_

#ifndef chess_prepare_for_pipelining
#define chess_prepare_for_pipelining
#define chess_flatten_loop
#define chess_loop_range(...)
#define chess_loop_count(...)
#define chess_min_loop_count(...)
#define chess_max_loop_count(...)
#define chess_unroll_loop(...)
#define chess_separator()
#define chess_separator_scheduler(...)
#define chess_protect_access
#define chess_storage(...)
#endif

#endif  // ADF_CHESS_H_
