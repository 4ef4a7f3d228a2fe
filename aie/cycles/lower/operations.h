// SPDX-License-Identifier: Apache-2.0
//
// What makes native instructions of the operations, one function for each group of operations that are lowered alike.
// Which operation goes to which function: lowering_of.
#ifndef HCCS_AIE_CYCLES_LOWER_OPERATIONS_H_
#define HCCS_AIE_CYCLES_LOWER_OPERATIONS_H_

#include <vector>

#include "aie/cycles/lower/builder.h"

namespace aie_cycles {

using Lowering = void (*)(CodeBuilder& code, const Step& step);

// Null if there is no such operation.
Lowering lowering_of(Operation operation);

// memory.cc
void lower_load(CodeBuilder& code, const Step& step);
void lower_load_unaligned(CodeBuilder& code, const Step& step);
void lower_load_scalar(CodeBuilder& code, const Step& step);
void lower_load_mask(CodeBuilder& code, const Step& step);
void lower_store(CodeBuilder& code, const Step& step);
void lower_store_scalar(CodeBuilder& code, const Step& step);
void lower_read_stream(CodeBuilder& code, const Step& step);
void lower_write_stream(CodeBuilder& code, const Step& step);
void lower_read_cascade(CodeBuilder& code, const Step& step);
void lower_write_cascade(CodeBuilder& code, const Step& step);

// elementwise.cc
void lower_arithmetic(CodeBuilder& code, const Step& step);
void lower_negate(CodeBuilder& code, const Step& step);
void lower_select(CodeBuilder& code, const Step& step);
void lower_compare(CodeBuilder& code, const Step& step);
void lower_bound_and_compare(CodeBuilder& code, const Step& step);
void lower_mask_operation(CodeBuilder& code, const Step& step);
void lower_mask_from_uint(CodeBuilder& code, const Step& step);
void lower_mask_from_masks(CodeBuilder& code, const Step& step);
void lower_mask_part(CodeBuilder& code, const Step& step);

// rearrange.cc
void lower_shuffle(CodeBuilder& code, const Step& step);
void lower_insert_lane(CodeBuilder& code, const Step& step);
void lower_get(CodeBuilder& code, const Step& step);
void lower_concat(CodeBuilder& code, const Step& step);
void lower_extract(CodeBuilder& code, const Step& step);
void lower_insert(CodeBuilder& code, const Step& step);
void lower_grow(CodeBuilder& code, const Step& step);
void lower_broadcast(CodeBuilder& code, const Step& step);
void lower_zeros(CodeBuilder& code, const Step& step);
void lower_list(CodeBuilder& code, const Step& step);
void lower_interleave(CodeBuilder& code, const Step& step);
void lower_filter(CodeBuilder& code, const Step& step);
void lower_transpose(CodeBuilder& code, const Step& step);

// convert.cc
void lower_from_vector(CodeBuilder& code, const Step& step);
void lower_to_vector(CodeBuilder& code, const Step& step);
void lower_pack(CodeBuilder& code, const Step& step);
void lower_unpack(CodeBuilder& code, const Step& step);
void lower_shift_lanes(CodeBuilder& code, const Step& step);

// products.cc
void lower_multiply(CodeBuilder& code, const Step& step);
void lower_matrix_multiply(CodeBuilder& code, const Step& step);

// reduce.cc
void lower_reduce(CodeBuilder& code, const Step& step);
void lower_reduce_to_lanes(CodeBuilder& code, const Step& step);

// elementary.cc
void lower_to_float(CodeBuilder& code, const Step& step);
void lower_to_fixed(CodeBuilder& code, const Step& step);
void lower_to_fixed_floor(CodeBuilder& code, const Step& step);
void lower_inverse(CodeBuilder& code, const Step& step);
void lower_exp2(CodeBuilder& code, const Step& step);
void lower_parallel_lookup(CodeBuilder& code, const Step& step);
void lower_scalar(CodeBuilder& code, const Step& step);
void lower_divide(CodeBuilder& code, const Step& step);
void lower_set_mode(CodeBuilder& code, const Step& step);

// --- Steps that several of them share ---

// An instruction for each register of the result, over the same part of all operands (elementwise.cc).
void elementwise(CodeBuilder& code, const Step& step, Opcode opcode);

// A vector in the lanes of an accumulator; in lanes of twice the width (convert.cc).
std::vector<AccumUnit> upshifted(CodeBuilder& code, const Value& input, const Value& result);
std::vector<Chunk> unpacked(CodeBuilder& code, const Value& from);

// A float as three bf16, and the product of two such; -1 for `sum`: none (products.cc).
std::vector<NativeUse> bf16_pieces(CodeBuilder& code, const std::vector<NativeUse>& uses);
int multiply_pieces(CodeBuilder& code, const std::vector<NativeUse>& a, const std::vector<NativeUse>& b, int sum);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_LOWER_OPERATIONS_H_
