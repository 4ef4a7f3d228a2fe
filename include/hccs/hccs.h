// SPDX-License-Identifier: Apache-2.0
//
// The C interface: parameter files and row softmax for programs in C99, and in languages that call C. It does what the
// C++ headers beside it do, with the same bits and the same messages. docs/c-interface.md has a whole program.
//
//   hccs_status status;
//   hccs_param_file* file = NULL;
//   hccs_softmax_plan* plan = NULL;
//   if (hccs_param_file_read("params.json", &file, &status) != HCCS_OK ||
//       hccs_softmax_plan_of_layer(file, 0, NULL, &plan, &status) != HCCS_OK) {
//     fprintf(stderr, "%s\n", status.message);
//   }
//
// - Errors: a function that can fail returns a code, HCCS_OK being 0, and writes it with a message that has the value
//   and the rule into *status, which is the caller's and may be NULL. On an error nothing else is written. Nothing here
//   prints, exits, throws, or has state that threads share.
// - Handles (hccs_param_file, hccs_softmax_plan) are made by a function whose name says so, and freed by hccs_..._free,
//   which takes NULL. They do not change, so that any number of threads may use one at once.
// - Structures that may grow begin with struct_size, which the hccs_..._default functions of this header set. Whoever
//   fills one by hand sets that to the structure's size and all other bytes to 0. A library that is older than its
//   caller refuses fields that it does not know, unless they are 0.
// - Arrays are the caller's and are read or written during the call alone.
#ifndef HCCS_HCCS_H_
#define HCCS_HCCS_H_

#include <stddef.h>
#include <stdint.h>

#include "hccs/export.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Errors ------------------------------------------------------------------------------------------------------

typedef int32_t hccs_code;
enum {
  HCCS_OK = 0,
  HCCS_INVALID_ARGUMENT = 1,  // the caller passed a value that breaks a documented rule
  HCCS_BAD_DATA = 2,          // a file's content breaks its format
  HCCS_MISMATCH = 3,          // two valid inputs do not belong together
  HCCS_UNSUPPORTED = 4,       // valid, but outside what this library, or this CPU, does
  HCCS_IO = 5,                // the operating system refused
  HCCS_CANCELLED = 6,
  HCCS_OUT_OF_MEMORY = 7
};

// The outcome of a call. The message is empty after HCCS_OK; otherwise it is text in UTF-8 that ends with a 0 byte. A
// message that is too long has "..." in its middle.
typedef struct hccs_status {
  hccs_code code;
  char message[1020];
} hccs_status;

// "ok", "invalid argument", ...; "unknown" for a number that is no code. Never NULL.
HCCS_API const char* hccs_code_name(hccs_code code);

// The library's version, such as "0.1.0".
HCCS_API const char* hccs_version(void);

// ---- Parameters of a head ----------------------------------------------------------------------------------------

enum { HCCS_MAX_KNEES = 4 };

// One clipped line: slope S, 0..127, until the distance reaches the position D, 1..127.
typedef struct hccs_knee {
  int32_t slope;
  int32_t position;
} hccs_knee;

// s(d) = B - sum of S_k * min(d, D_k), d the distance from the row's maximum.
typedef struct hccs_head_params {
  int32_t offset;                   // B, 1..32767
  int32_t knee_count;               // K, 1..4
  hccs_knee knees[HCCS_MAX_KNEES];  // K of them, positions strictly increasing
} hccs_head_params;

// HCCS_OK, or HCCS_INVALID_ARGUMENT with the value and the rule of the contract that it breaks.
HCCS_API hccs_code hccs_head_params_validate(const hccs_head_params* params, hccs_status* status);

// int8 logits from the float model's: x[i] = clamp(round_half_to_even(logits[i] / step), -128, 127); a NaN gives 0.
// `step` is the head's, finite and above 0; both arrays have `count` >= 0 elements.
HCCS_API hccs_code hccs_quantise_logits(const float* logits, int64_t count, double step, int8_t* x,
                                        hccs_status* status);

// ---- Parameter files ---------------------------------------------------------------------------------------------

// What `hccs calibrate` writes (docs/formats.md).
typedef struct hccs_param_file hccs_param_file;

// Reads the file at `path` into a new handle, *file. Errors: HCCS_IO, HCCS_BAD_DATA, HCCS_UNSUPPORTED (version).
HCCS_API hccs_code hccs_param_file_read(const char* path, hccs_param_file** file, hccs_status* status);
HCCS_API void hccs_param_file_free(hccs_param_file* file);

typedef struct hccs_param_file_info {
  size_t struct_size;
  int64_t layers;
  int64_t heads;            // of each layer
  int64_t head_dimension;   // 0: unknown
  int64_t sequence_length;  // the longest row of the calibration
  int64_t knees;            // no head has more
  const char* model;        // strings live as long as the handle
  const char* data_digest;
  const char* weights_digest;  // empty: unknown
} hccs_param_file_info;
static inline hccs_param_file_info hccs_param_file_info_default(void) {
  hccs_param_file_info info = {sizeof(hccs_param_file_info), 0, 0, 0, 0, 0, NULL, NULL, NULL};
  return info;
}

// Fills as much of *info as its struct_size says.
HCCS_API hccs_code hccs_param_file_describe(const hccs_param_file* file, hccs_param_file_info* info,
                                            hccs_status* status);

// The parameters and the logit step of a head, counted from 0. `params` and `step` may be NULL.
HCCS_API hccs_code hccs_param_file_head(const hccs_param_file* file, int64_t layer, int64_t head,
                                        hccs_head_params* params, double* step, hccs_status* status);

// HCCS_MISMATCH if the file was made for another model: layers and heads are always compared, head_dimension where both
// are above 0. The weights' digest decides where both are known; without it (NULL or empty) the name does.
HCCS_API hccs_code hccs_param_file_check_model(const hccs_param_file* file, const char* model, int64_t layers,
                                               int64_t heads, int64_t head_dimension, const char* weights_digest,
                                               hccs_status* status);

// ---- Instruction sets --------------------------------------------------------------------------------------------

// The targets of row softmax that this library has and this CPU runs, best first: target 0 is the one that a plan takes
// unless it, or the environment variable HCCS_TARGET, names another. NULL for an index outside 0..count - 1.
HCCS_API int64_t hccs_softmax_target_count(void);
HCCS_API const char* hccs_softmax_target_name(int64_t index);

// ---- Row softmax -------------------------------------------------------------------------------------------------

// How a row of scores becomes probabilities.
typedef int32_t hccs_normalisation;
enum { HCCS_NORMALISATION_SCALED = 0, HCCS_NORMALISATION_DIV = 1, HCCS_NORMALISATION_CLB = 2 };

// uint8: p / 255 is the probability; int16: p / 32767.
typedef int32_t hccs_output_type;
enum { HCCS_OUTPUT_UINT8 = 0, HCCS_OUTPUT_INT16 = 1 };

typedef struct hccs_softmax_options {
  size_t struct_size;
  hccs_normalisation normalisation;
  hccs_output_type output;
  const char* target;  // NULL or "": the default
} hccs_softmax_options;
static inline hccs_softmax_options hccs_softmax_options_default(void) {
  hccs_softmax_options options = {sizeof(hccs_softmax_options), HCCS_NORMALISATION_SCALED, HCCS_OUTPUT_UINT8, NULL};
  return options;
}

// A softmax that is ready to run.
typedef struct hccs_softmax_plan hccs_softmax_plan;

// A new plan, *plan, with one parameter set for each of `count` heads. `options` may be NULL: the defaults.
// Errors: HCCS_INVALID_ARGUMENT (head, value and rule); HCCS_UNSUPPORTED for a target that the library or the CPU
// lacks; HCCS_OUT_OF_MEMORY.
HCCS_API hccs_code hccs_softmax_plan_of_heads(const hccs_head_params* heads, int64_t count,
                                              const hccs_softmax_options* options, hccs_softmax_plan** plan,
                                              hccs_status* status);
// All heads of a layer of a parameter file, which the plan does not need afterwards.
HCCS_API hccs_code hccs_softmax_plan_of_layer(const hccs_param_file* file, int64_t layer,
                                              const hccs_softmax_options* options, hccs_softmax_plan** plan,
                                              hccs_status* status);
// For comparison: the exact exponential, as a table a head, of logits whose unit is steps[h] nats, finite and above 0.
HCCS_API hccs_code hccs_softmax_plan_of_exponentials(const double* steps, int64_t count,
                                                     const hccs_softmax_options* options, hccs_softmax_plan** plan,
                                                     hccs_status* status);
HCCS_API void hccs_softmax_plan_free(hccs_softmax_plan* plan);

// The number of heads, and the target's name; 0 and NULL for NULL.
HCCS_API int64_t hccs_softmax_plan_heads(const hccs_softmax_plan* plan);
HCCS_API const char* hccs_softmax_plan_target(const hccs_softmax_plan* plan);

// A stride that is not set. One that is needed and not set is an error: a forgotten stride never means 0. It is not
// needed where there is but one head, or one query.
#define HCCS_NO_STRIDE INT64_MIN

// One call's rows. Row (h, q) reads `keys` logits at logits + h * logits_head_stride + q * logits_query_stride and
// writes as many probabilities at out + h * out_head_stride + q * out_query_stride. Strides count elements and are >=
// 0. No alignment is asked. Rows of `out` must not overlap; for uint8, `out` may be the logits' own memory with the
// same strides.
//
// Masks combine by intersection; what is not set masks nothing. A masked position, and every position of a row that has
// no valid one, gets 0.
typedef struct hccs_softmax_batch {
  size_t struct_size;
  int64_t heads;       // 0 or more
  int64_t queries;     // of each head, 0 or more
  int64_t keys;        // of each row, 1..65536
  int64_t first_head;  // head h of the batch has the plan's parameters first_head + h

  const int8_t* logits;
  int64_t logits_head_stride;
  int64_t logits_query_stride;

  uint8_t* out_uint8;  // the one that is the plan's type; the other is NULL
  int16_t* out_int16;
  int64_t out_head_stride;
  int64_t out_query_stride;

  // Row (h, q) has the valid positions i < valid_lengths[h * valid_head_stride + q * valid_query_stride], a number of
  // any value. NULL: no such mask.
  const int32_t* valid_lengths;
  int64_t valid_head_stride;
  int64_t valid_query_stride;

  // Unless has_causal_offset is 0, row (h, q) has the valid positions i <= q + causal_offset, of any value.
  int64_t has_causal_offset;
  int64_t causal_offset;

  // Row (h, q) has the valid positions whose bit is 1: bit i % 8, the least significant first, of byte i / 8 from
  // mask_bits + h * mask_head_stride + q * mask_query_stride, in bytes. NULL: no such mask.
  const uint8_t* mask_bits;
  int64_t mask_head_stride;
  int64_t mask_query_stride;
} hccs_softmax_batch;

// Contiguous [heads, queries, keys] in and out, without masks. Set logits and one of out_uint8 and out_int16.
static inline hccs_softmax_batch hccs_softmax_batch_default(int64_t heads, int64_t queries, int64_t keys) {
  const int64_t head = keys > 0 && queries >= 0 && queries <= INT64_MAX / keys ? queries * keys : HCCS_NO_STRIDE;
  hccs_softmax_batch batch = {sizeof(hccs_softmax_batch),
                              heads,
                              queries,
                              keys,
                              0,
                              NULL,
                              head,
                              keys,
                              NULL,
                              NULL,
                              head,
                              keys,
                              NULL,
                              HCCS_NO_STRIDE,
                              HCCS_NO_STRIDE,
                              0,
                              0,
                              NULL,
                              HCCS_NO_STRIDE,
                              HCCS_NO_STRIDE};
  return batch;
}

// Computes the batch. Errors, before anything is written: HCCS_INVALID_ARGUMENT with the value and the rule. Does not
// allocate unless it fails.
HCCS_API hccs_code hccs_softmax_run(const hccs_softmax_plan* plan, const hccs_softmax_batch* batch,
                                    hccs_status* status);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // HCCS_HCCS_H_
