// SPDX-License-Identifier: Apache-2.0
//
// The C interface: parameter files, row softmax and attention for programs in C99, and in languages that call C. It
// does what the C++ headers beside it do, with the same bits and the same messages. docs/c-interface.md has a whole
// program.
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
// - Handles (hccs_param_file, hccs_softmax_plan, ...) are made by a function whose last but one argument is a pointer
// to
//   one, and freed by hccs_..._free, which takes NULL. But for hccs_kv_cache they do not change, so that any number of
//   threads may use one at once.
// - Structures that may grow begin with struct_size, which the hccs_..._default functions of this header set. Whoever
//   fills one by hand sets that to the structure's size and all other bytes to 0. A library that is older than its
//   caller refuses fields that it does not know, unless they are 0.
// - Arrays are the caller's and are read or written during the call alone.
#ifndef HCCS_HCCS_H_
#define HCCS_HCCS_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
  hccs_param_file_info info;
  memset(&info, 0, sizeof(info));
  info.struct_size = sizeof(info);
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
  hccs_softmax_options options;
  memset(&options, 0, sizeof(options));
  options.struct_size = sizeof(options);
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

// What one unit of q . k is worth in logit steps of the head: M * 2^-R, M 1..32767, R 0..46. It is q's scale times k's
// over the square root of the head dimension over the step.
typedef struct hccs_rescale {
  int32_t multiplier;  // M
  int32_t shift;       // R
} hccs_rescale;

// A stride that is not set. One that is needed and not set is an error: a forgotten stride never means 0. It is not
// needed where there is but one head, or one query.
#define HCCS_NO_STRIDE INT64_MIN

// The stride of `count` things of this stride, one after another. HCCS_NO_STRIDE if no memory holds so many.
static inline int64_t hccs_dense_stride(int64_t count, int64_t stride) {
  if (count < 0 || stride < 0 || (stride > 0 && count > INT64_MAX / stride)) return HCCS_NO_STRIDE;
  return count * stride;
}

// One call's rows. Row (h, q) reads `keys` logits at logits + h * logits_head_stride + q * logits_query_stride and
// writes as many probabilities at out + h * out_head_stride + q * out_query_stride. Strides count elements and are >=
// 0. No alignment is asked. Rows of `out` must not overlap; for uint8 from logits, `out` may be the logits' own memory
// with the same strides.
//
// In place of logits there may be sums, the int32 q . k of an integer engine, of any values, at the same strides. Row
// (h, q) then has rescales[h * rescale_head_stride + q * rescale_query_stride].
//
// Masks combine by intersection; what is not set masks nothing. A masked position, and every position of a row that has
// no valid one, gets 0.
typedef struct hccs_softmax_batch {
  size_t struct_size;
  int64_t heads;       // 0 or more
  int64_t queries;     // of each head, 0 or more
  int64_t keys;        // of each row, 1..65536
  int64_t first_head;  // head h of the batch has the plan's parameters first_head + h

  const int8_t* logits;  // one of the two
  const int32_t* sums;
  int64_t logits_head_stride;  // of either
  int64_t logits_query_stride;
  const hccs_rescale* rescales;  // of sums
  int64_t rescale_head_stride;
  int64_t rescale_query_stride;

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

// Contiguous [heads, queries, keys] in and out, without masks. Set logits, or sums and rescales with their strides, and
// one of out_uint8 and out_int16.
static inline hccs_softmax_batch hccs_softmax_batch_default(int64_t heads, int64_t queries, int64_t keys) {
  hccs_softmax_batch batch;
  memset(&batch, 0, sizeof(batch));
  batch.struct_size = sizeof(batch);
  batch.heads = heads;
  batch.queries = queries;
  batch.keys = keys;
  batch.logits_query_stride = batch.out_query_stride = keys;
  batch.logits_head_stride = batch.out_head_stride = hccs_dense_stride(queries, keys);
  batch.rescale_head_stride = batch.rescale_query_stride = HCCS_NO_STRIDE;
  batch.valid_head_stride = batch.valid_query_stride = HCCS_NO_STRIDE;
  batch.mask_head_stride = batch.mask_query_stride = HCCS_NO_STRIDE;
  return batch;
}

// Computes the batch. Errors, before anything is written: HCCS_INVALID_ARGUMENT with the value and the rule. Does not
// allocate unless it fails.
HCCS_API hccs_code hccs_softmax_run(const hccs_softmax_plan* plan, const hccs_softmax_batch* batch,
                                    hccs_status* status);

// ---- Attention ---------------------------------------------------------------------------------------------------
//
// int8 queries, keys and values in, int8 out, with deferred normalisation, as hccs/attention.h has it.

// The targets of attention, as those of row softmax above.
HCCS_API int64_t hccs_attention_target_count(void);
HCCS_API const char* hccs_attention_target_name(int64_t index);

// Of the product with the values: 8 bits, or up to 15 for the last of the accuracy.
typedef int32_t hccs_attention_weights;
enum { HCCS_ATTENTION_WEIGHTS_UINT8 = 0, HCCS_ATTENTION_WEIGHTS_WIDE = 1 };

typedef struct hccs_attention_options {
  size_t struct_size;
  const char* target;  // NULL or "": the default
  hccs_attention_weights weights;
  int32_t unused;  // 0
} hccs_attention_options;
static inline hccs_attention_options hccs_attention_options_default(void) {
  hccs_attention_options options;
  memset(&options, 0, sizeof(options));
  options.struct_size = sizeof(options);
  return options;
}

// Attention that is ready to run. One parameter set for each query head; arguments and errors are those of
// hccs_softmax_plan_of_....
typedef struct hccs_attention_plan hccs_attention_plan;
HCCS_API hccs_code hccs_attention_plan_of_heads(const hccs_head_params* heads, int64_t count,
                                                const hccs_attention_options* options, hccs_attention_plan** plan,
                                                hccs_status* status);
HCCS_API hccs_code hccs_attention_plan_of_layer(const hccs_param_file* file, int64_t layer,
                                                const hccs_attention_options* options, hccs_attention_plan** plan,
                                                hccs_status* status);
HCCS_API hccs_code hccs_attention_plan_of_exponentials(const double* steps, int64_t count,
                                                       const hccs_attention_options* options,
                                                       hccs_attention_plan** plan, hccs_status* status);
HCCS_API void hccs_attention_plan_free(hccs_attention_plan* plan);
HCCS_API int64_t hccs_attention_plan_heads(const hccs_attention_plan* plan);
HCCS_API const char* hccs_attention_plan_target(const hccs_attention_plan* plan);

// In elements, >= 0: element 0 of a row is at data + text * strides.text + head * strides.head + position *
// strides.position; the elements of a row are contiguous.
typedef struct hccs_strides {
  int64_t text;
  int64_t head;
  int64_t position;
} hccs_strides;

// Those of contiguous [texts, heads, positions, dimension].
static inline hccs_strides hccs_dense_strides(int64_t heads, int64_t positions, int64_t dimension) {
  hccs_strides strides;
  strides.position = dimension;
  strides.head = hccs_dense_stride(positions, dimension);
  strides.text = hccs_dense_stride(heads, strides.head);
  return strides;
}

// Keys and values of one text, kept for decoding. Appending and attending must not happen at once.
typedef struct hccs_kv_cache hccs_kv_cache;

// An empty cache for plans of the plan's target. Dimensions are 1..512, key_heads is 1 or more.
HCCS_API hccs_code hccs_kv_cache_create(const hccs_attention_plan* plan, int64_t key_heads, int64_t head_dimension,
                                        int64_t value_dimension, hccs_kv_cache** cache, hccs_status* status);
// Appends `positions` >= 0 positions, at most 65536 in all; strides.text is not used. On an error nothing is appended.
HCCS_API hccs_code hccs_kv_cache_append(hccs_kv_cache* cache, const int8_t* keys, hccs_strides key_strides,
                                        const int8_t* values, hccs_strides value_strides, int64_t positions,
                                        hccs_status* status);
// Keeps the first `length` positions.
HCCS_API hccs_code hccs_kv_cache_truncate(hccs_kv_cache* cache, int64_t length, hccs_status* status);
HCCS_API int64_t hccs_kv_cache_length(const hccs_kv_cache* cache);  // 0 for NULL
HCCS_API void hccs_kv_cache_free(hccs_kv_cache* cache);

// Query head h reads key head h / (query_heads / key_heads).
typedef struct hccs_attention_shape {
  int64_t texts;            // 0 or more
  int64_t query_heads;      // a multiple of key_heads
  int64_t key_heads;        // 1 or more
  int64_t queries;          // of each text and head, 0 or more
  int64_t keys;             // of each text, 1..65536; 0 in a batch over caches
  int64_t head_dimension;   // 1..512
  int64_t value_dimension;  // 1..512
} hccs_attention_shape;

// One call's rows. hccs/attention.h says what each array is; what is NULL is not there. Masks combine by intersection,
// and a row without a valid position gives zeros.
typedef struct hccs_attention_batch {
  size_t struct_size;
  hccs_attention_shape shape;
  int64_t first_head;  // query head h of the batch has the plan's parameters first_head + h

  const int8_t* queries;  // [texts, query_heads, queries, head_dimension]
  hccs_strides query_strides;
  const int8_t* keys;  // [texts, key_heads, keys, head_dimension]
  hccs_strides key_strides;
  const int8_t* values;  // [texts, key_heads, keys, value_dimension]
  hccs_strides value_strides;
  int8_t* out;  // [texts, query_heads, queries, value_dimension]; NULL: weights alone
  hccs_strides out_strides;

  // In place of keys and values: the cache of each text. For at most 64 texts a run does not allocate for them.
  const hccs_kv_cache* const* caches;

  // M and R of row (text, head, query): as many as the strides reach.
  const hccs_rescale* rescales;
  int64_t rescale_count;
  hccs_strides rescale_strides;

  // Row (text, any head, query) has the valid positions i < its length, of any value; as many as the strides reach, of
  // which that of heads is not used.
  const int32_t* valid_lengths;
  int64_t valid_length_count;
  hccs_strides valid_strides;

  // With p = query + causal_offset (+ cache length - queries over caches; offset 0 where it is not set): the positions
  // i <= p, and i > p - window. Set where has_... is not 0.
  int64_t has_causal_offset;
  int64_t causal_offset;
  int64_t has_window;
  int64_t window;

  const uint8_t* mask_bits;  // a bit a position, the least significant first; (keys + 7) / 8 bytes a row
  hccs_strides mask_bits_strides;
  const uint8_t* mask_bytes;  // a byte a position, 0 for invalid
  hccs_strides mask_bytes_strides;

  // For engines that multiply by the values themselves: the weights, those of the plan's kind, and their row sums.
  uint8_t* weights;
  hccs_strides weight_strides;
  uint16_t* wide_weights;
  hccs_strides wide_weight_strides;
  int32_t* weight_sums;  // [texts, query_heads, queries]
  hccs_strides weight_sum_strides;
} hccs_attention_batch;

// Queries, keys, values and out contiguous; no other stride set. Set the arrays and the rescales.
static inline hccs_attention_batch hccs_attention_batch_default(hccs_attention_shape shape) {
  const hccs_strides none = {HCCS_NO_STRIDE, HCCS_NO_STRIDE, HCCS_NO_STRIDE};
  hccs_attention_batch batch;
  memset(&batch, 0, sizeof(batch));
  batch.struct_size = sizeof(batch);
  batch.shape = shape;
  batch.query_strides = hccs_dense_strides(shape.query_heads, shape.queries, shape.head_dimension);
  batch.key_strides = hccs_dense_strides(shape.key_heads, shape.keys, shape.head_dimension);
  batch.value_strides = hccs_dense_strides(shape.key_heads, shape.keys, shape.value_dimension);
  batch.out_strides = hccs_dense_strides(shape.query_heads, shape.queries, shape.value_dimension);
  batch.rescale_strides = none;
  batch.valid_strides = none;
  batch.mask_bits_strides = none;
  batch.mask_bytes_strides = none;
  batch.weight_strides = none;
  batch.wide_weight_strides = none;
  batch.weight_sum_strides = none;
  return batch;
}

// Threads are the caller's: *pieces is into how many parts the batch is cut, which write different rows and may run at
// once, in any order; 0 for an empty batch. Errors: HCCS_INVALID_ARGUMENT; HCCS_MISMATCH for a cache of another target.
HCCS_API hccs_code hccs_attention_pieces(const hccs_attention_plan* plan, const hccs_attention_batch* batch,
                                         int64_t* pieces, hccs_status* status);
// Bytes of scratch memory that each piece which runs at a time needs.
HCCS_API hccs_code hccs_attention_scratch_bytes(const hccs_attention_plan* plan, const hccs_attention_batch* batch,
                                                size_t* bytes, hccs_status* status);
// Runs piece 0..pieces - 1. `scratch`, of `scratch_bytes` bytes, needs no alignment and no initialisation. Errors,
// before anything is written: as above, and for another piece or too little scratch. Does not allocate unless it fails.
HCCS_API hccs_code hccs_attention_run_piece(const hccs_attention_plan* plan, const hccs_attention_batch* batch,
                                            int64_t piece, void* scratch, size_t scratch_bytes, hccs_status* status);
// All pieces, one after the other; allocates the scratch.
HCCS_API hccs_code hccs_attention_run(const hccs_attention_plan* plan, const hccs_attention_batch* batch,
                                      hccs_status* status);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // HCCS_HCCS_H_
