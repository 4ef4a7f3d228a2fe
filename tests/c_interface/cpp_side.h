// SPDX-License-Identifier: Apache-2.0
//
// What the C interface is compared with, computed by the C++ one.
#ifndef HCCS_TESTS_C_INTERFACE_CPP_SIDE_H_
#define HCCS_TESTS_C_INTERFACE_CPP_SIDE_H_

#include "hccs/hccs.h"

#ifdef __cplusplus
extern "C" {
#endif

// One row by softmax_reference. valid_length < 0, last_visible < -1, bits NULL: no such mask. `out` has `keys`
// elements.
void cpp_row(const hccs_head_params* params, hccs_normalisation normalisation, hccs_output_type output,
             const int8_t* logits, int64_t keys, int64_t valid_length, int64_t last_visible, const uint8_t* bits,
             int32_t* out);

// The same of sums.
void cpp_row_of_sums(const hccs_head_params* params, hccs_normalisation normalisation, hccs_output_type output,
                     hccs_rescale rescale, const int32_t* sums, int64_t keys, int64_t valid_length,
                     int64_t last_visible, const uint8_t* bits, int32_t* out);

// A dense row of uint8 by SoftmaxPlan::exact_lut.
void cpp_exact_row(double step, const int8_t* logits, int64_t keys, uint8_t* out);

// One row by attention_reference: q [dh], k [keys, dh], v [keys, dv], out [dv]; and its weights, [keys], with their
// sum. `bits`: the valid positions.
void cpp_attention_row(const hccs_head_params* params, hccs_attention_weights kind, hccs_rescale rescale,
                       const int8_t* q, const int8_t* k, const int8_t* v, int64_t keys, int64_t dh, int64_t dv,
                       const uint8_t* bits, int8_t* out, uint16_t* weights, int64_t* sum);

// The message of validate(), empty if there is none. Valid until the next call.
const char* cpp_validate(const hccs_head_params* params);

// The message of read_param_file().
const char* cpp_read_error(const char* path);

// A file of 2 layers of 3 heads, by write_param_file(). Returns 0 for success.
int cpp_write_param_file(const char* path);
void cpp_head_of_file(int64_t layer, int64_t head, hccs_head_params* params, double* step);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // HCCS_TESTS_C_INTERFACE_CPP_SIDE_H_
