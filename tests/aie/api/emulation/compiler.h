// SPDX-License-Identifier: Apache-2.0
//
// Part 1: words of AMD's compilers that have no meaning for the values that come out: memory banks and streams of
// operands, hints for the scheduler, states of addressing.
#ifndef HCCS_TESTS_AIE_API_COMPILER_H_
#define HCCS_TESTS_AIE_API_COMPILER_H_

#include <type_traits>

#define restrict __restrict
#define chess_copy(x) x
#define chess_manifest(x) (__builtin_constant_p(x) && (x) != 0)
#define chess_storage(...)
#define chess_loop_range(...)
#define chess_prepare_for_pipelining
#define chess_separator_scheduler(...)
#define chess_separator_scheduler_local()
#define chess_separator()
#define chess_protect_access
#define chess_unroll_loop(...)
#define chess_flatten_loop
#define chess_no_hw_loop
#define chess_assert(x)
#define chess_dont_care(x) x()
#define chess_error(x)
#define chess_warning(x)
#define chess_const(x) __builtin_constant_p(x)
#define chess_memory_fence()
#define chess_dont_warn_dead(x)
#define property(x)
#define clobbers(...)
#define __aie_copy(x) x
#define __aie_register(x)
#define __aie_register_keep()

// Alignment of loads and stores, which aie::vector_decl_align is.
#if __AIE_ARCH__ == 20
#define AIE_VECTOR_LDST_ALIGN 32
#else
#define AIE_VECTOR_LDST_ALIGN 64
#endif

inline int get_coreid() { return 0; }

enum {
  OP_TERM_NEG_COMPLEX,
  OP_TERM_NEG_COMPLEX_CONJUGATE_X,
  OP_TERM_NEG_COMPLEX_CONJUGATE_Y,
  OP_TERM_NEG_COMPLEX_CONJUGATE_X_Y
};

using addr_t = unsigned;
struct dims_2d_t {
  unsigned num1;
  int inc1, inc2;
  unsigned count1;
};
struct dims_3d_t {
  unsigned num1;
  int inc1;
  unsigned num2;
  int inc2, inc3;
  unsigned count1, count2;
};
struct sparse_fifo_t {};
struct fifo_state_t {
  int pos;
  sparse_fifo_t fifo;
};

enum class aie_dm_resource { none, a, b, c, d, ab, ac, ad, bc, bd, cd, stack };
template <typename T>
using aie_dm_resource_remove_t = T;
template <typename T, aie_dm_resource>
using aie_dm_resource_set_t = T;
template <typename T>
inline constexpr aie_dm_resource aie_dm_resource_get_v = aie_dm_resource::none;
template <typename T, aie_dm_resource kResource>
inline constexpr bool aie_dm_resource_is_same_v = kResource == aie_dm_resource::none;
#define __aie_dm_resource_a
#define __aie_dm_resource_b
#define __aie_dm_resource_c
#define __aie_dm_resource_d
#define __aie_dm_resource_ab
#define __aie_dm_resource_ac
#define __aie_dm_resource_ad
#define __aie_dm_resource_bc
#define __aie_dm_resource_bd
#define __aie_dm_resource_cd
#define __aie_dm_resource_stack

enum class aie_stream_resource_in { none, a, b };
enum class aie_stream_resource_out { none, a, b };
template <typename T>
using aie_stream_resource_remove_t = T;
template <typename T, aie_stream_resource_in>
using aie_stream_resource_in_set_t = T;
template <typename T, aie_stream_resource_out>
using aie_stream_resource_out_set_t = T;
template <typename T>
inline constexpr aie_stream_resource_in aie_stream_resource_in_get_v = aie_stream_resource_in::none;
template <typename T>
inline constexpr aie_stream_resource_out aie_stream_resource_out_get_v = aie_stream_resource_out::none;
template <typename T, aie_stream_resource_in kResource>
inline constexpr bool aie_stream_resource_in_is_same_v = kResource == aie_stream_resource_in::none;
template <typename T, aie_stream_resource_out kResource>
inline constexpr bool aie_stream_resource_out_is_same_v = kResource == aie_stream_resource_out::none;

#endif  // HCCS_TESTS_AIE_API_COMPILER_H_
