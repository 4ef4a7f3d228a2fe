// SPDX-License-Identifier: Apache-2.0
//
// The attention of the C interface, compared with attention_reference.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "cpp_side.h"

enum { kTexts = 2, kKeyHeads = 2, kGroup = 2, kQueries = 4, kKeys = 150, kDimension = 24 };
enum { kHeads = kKeyHeads * kGroup, kRows = kTexts * kHeads * kQueries };

static int8_t q[kRows * kDimension], k[kTexts * kKeyHeads * kKeys * kDimension],
    v[kTexts * kKeyHeads * kKeys * kDimension];
static int8_t out[kRows * kDimension], again[kRows * kDimension];
static uint8_t bits[kRows * kKeys], bytes[kRows * kKeys], weights[kRows * kKeys];
static uint16_t wide_weights[kRows * kKeys];
static int32_t sums[kRows];

// Runs every piece, the last first, with the scratch that was told.
static void run_pieces(const hccs_attention_plan* plan, const hccs_attention_batch* batch) {
  hccs_status status;
  int64_t pieces = -1;
  size_t scratch_bytes = 0;
  CHECK(hccs_attention_pieces(plan, batch, &pieces, &status) == HCCS_OK && pieces > 0);
  CHECK(hccs_attention_scratch_bytes(plan, batch, &scratch_bytes, &status) == HCCS_OK && scratch_bytes > 0);
  void* scratch = malloc(scratch_bytes);
  for (int64_t piece = pieces - 1; piece >= 0; --piece) {
    CHECK(hccs_attention_run_piece(plan, batch, piece, scratch, scratch_bytes, &status) == HCCS_OK);
  }
  CHECK_FAILS(hccs_attention_run_piece(plan, batch, pieces, scratch, scratch_bytes, &status), HCCS_INVALID_ARGUMENT,
              "but the batch has");
  CHECK_FAILS(hccs_attention_run_piece(plan, batch, 0, scratch, scratch_bytes - 1, &status), HCCS_INVALID_ARGUMENT,
              "bytes of scratch");
  CHECK_FAILS(hccs_attention_run_piece(plan, batch, 0, NULL, scratch_bytes, &status), HCCS_INVALID_ARGUMENT,
              "scratch is NULL");
  free(scratch);
}

// Whether the batch's masks leave position i to a row.
static int is_valid(const hccs_attention_batch* b, int64_t text, int64_t row, int64_t query, int64_t i) {
  const int64_t own = query + (b->has_causal_offset ? b->causal_offset : 0);
  if (b->valid_lengths != NULL && i >= b->valid_lengths[text]) return 0;
  if (b->has_causal_offset && i > own) return 0;
  if (b->has_window && i <= own - b->window) return 0;
  if (b->mask_bits != NULL && (b->mask_bits[row * b->mask_bits_strides.position + i / 8] >> (i % 8) & 1) == 0) return 0;
  return b->mask_bytes == NULL || b->mask_bytes[row * b->mask_bytes_strides.position + i] != 0;
}

static void check_rows(const hccs_attention_batch* b, const hccs_head_params* heads, hccs_attention_weights kind) {
  const hccs_attention_shape* s = &b->shape;
  int wrong = 0;
  for (int64_t row = 0; row < s->texts * s->query_heads * s->queries; ++row) {
    const int64_t query = row % s->queries, head = row / s->queries % s->query_heads;
    const int64_t text = row / s->queries / s->query_heads;
    const int64_t key_head = text * s->key_heads + head / (s->query_heads / s->key_heads);
    uint8_t valid[(kKeys + 7) / 8] = {0};
    for (int64_t i = 0; i < s->keys; ++i) {
      if (is_valid(b, text, row, query, i)) valid[i / 8] |= (uint8_t)(1 << (i % 8));
    }
    int8_t expected[kDimension];
    uint16_t expected_weights[kKeys];
    int64_t sum = 0;
    cpp_attention_row(&heads[b->first_head + head], kind, b->rescales[head], q + row * s->head_dimension,
                      k + key_head * s->keys * s->head_dimension, v + key_head * s->keys * s->value_dimension, s->keys,
                      s->head_dimension, s->value_dimension, valid, expected, expected_weights, &sum);
    for (int64_t j = 0; j < s->value_dimension; ++j) wrong += out[row * s->value_dimension + j] != expected[j];
    for (int64_t i = 0; i < s->keys; ++i) {
      const int32_t weight =
          kind == HCCS_ATTENTION_WEIGHTS_WIDE ? wide_weights[row * s->keys + i] : weights[row * s->keys + i];
      wrong += weight != expected_weights[i];
    }
    wrong += sums[row] != sum;
  }
  if (wrong != 0) {
    printf("%d elements differ from attention_reference\n", wrong);
    ++failures;
  }
}

// The same keys and values through caches that grew by random steps: the same bits.
static void check_caches(const hccs_attention_plan* plan, const hccs_attention_batch* dense) {
  hccs_attention_batch batch = *dense;
  const hccs_attention_shape* s = &dense->shape;
  hccs_kv_cache* caches[kTexts] = {NULL};
  hccs_status status;
  for (int64_t text = 0; text < s->texts; ++text) {
    CHECK(hccs_kv_cache_create(plan, s->key_heads, s->head_dimension, s->value_dimension, &caches[text], &status) ==
          HCCS_OK);
    for (int64_t done = 0; done < s->keys;) {
      const int64_t count = between(1, s->keys - done);
      const int64_t first = text * s->key_heads * s->keys + done;
      CHECK(hccs_kv_cache_append(caches[text], k + first * s->head_dimension, dense->key_strides,
                                 v + first * s->value_dimension, dense->value_strides, count, &status) == HCCS_OK);
      done += count;
    }
    // What was appended and taken back leaves no trace.
    CHECK(hccs_kv_cache_append(caches[text], k, dense->key_strides, v, dense->value_strides, 1, NULL) == HCCS_OK);
    CHECK(hccs_kv_cache_truncate(caches[text], s->keys, &status) == HCCS_OK);
    CHECK(hccs_kv_cache_length(caches[text]) == s->keys);
  }
  batch.keys = batch.values = NULL;
  batch.shape.keys = 0;
  batch.caches = (const hccs_kv_cache* const*)caches;
  if (batch.has_causal_offset) batch.causal_offset -= s->keys - s->queries;
  batch.out = again;
  batch.weights = NULL;
  batch.wide_weights = NULL;
  batch.weight_sums = NULL;
  if (batch.has_window == 0) {  // a window counts from another position there
    CHECK(hccs_attention_run(plan, &batch, &status) == HCCS_OK);
    const size_t size = (size_t)(s->texts * s->query_heads * s->queries * s->value_dimension);
    CHECK(memcmp(out, again, size) == 0);
  }
  batch.caches = NULL;
  CHECK(hccs_attention_run(plan, &batch, &status) == HCCS_INVALID_ARGUMENT);
  for (int64_t text = 0; text < s->texts; ++text) hccs_kv_cache_free(caches[text]);
}

static void test_batches(void) {
  for (int run = 0; run < 100; ++run) {
    hccs_head_params heads[kHeads + 1];
    for (int h = 0; h <= kHeads; ++h) heads[h] = draw_params();
    hccs_attention_options options = hccs_attention_options_default();
    options.weights = (hccs_attention_weights)between(0, 1);
    options.target = hccs_attention_target_name(between(0, hccs_attention_target_count() - 1));
    hccs_attention_plan* plan = NULL;
    hccs_status status;
    CHECK(hccs_attention_plan_of_heads(heads, kHeads + 1, &options, &plan, &status) == HCCS_OK);
    CHECK(hccs_attention_plan_heads(plan) == kHeads + 1);
    CHECK(strcmp(hccs_attention_plan_target(plan), options.target) == 0);
    hccs_attention_shape shape = {between(1, kTexts),    0,
                                  between(1, kKeyHeads), between(1, kQueries),
                                  between(1, kKeys),     between(1, kDimension),
                                  between(1, kDimension)};
    shape.query_heads = shape.key_heads * between(1, kGroup);
    for (size_t i = 0; i < sizeof(q); ++i) q[i] = (int8_t)between(-128, 127);
    for (size_t i = 0; i < sizeof(k); ++i) k[i] = (int8_t)between(-128, 127);
    for (size_t i = 0; i < sizeof(v); ++i) v[i] = (int8_t)between(-128, 127);
    for (size_t i = 0; i < sizeof(bits); ++i) {
      bits[i] = (uint8_t)draw();
      bytes[i] = (uint8_t)between(0, 2);
    }
    hccs_rescale rescales[kHeads];
    int32_t lengths[kTexts];
    for (int h = 0; h < kHeads; ++h) {
      rescales[h].multiplier = (int32_t)between(1, 32767);
      rescales[h].shift = (int32_t)between(15, 24);
    }
    for (int t = 0; t < kTexts; ++t) lengths[t] = (int32_t)between(0, shape.keys + 2);

    hccs_attention_batch batch = hccs_attention_batch_default(shape);
    batch.first_head = between(0, 1);
    batch.queries = q;
    batch.keys = k;
    batch.values = v;
    batch.out = out;
    batch.rescales = rescales;
    batch.rescale_count = shape.query_heads;
    batch.rescale_strides.text = batch.rescale_strides.position = 0;
    batch.rescale_strides.head = 1;
    if (options.weights == HCCS_ATTENTION_WEIGHTS_WIDE) batch.wide_weights = wide_weights;
    if (options.weights == HCCS_ATTENTION_WEIGHTS_UINT8) batch.weights = weights;
    batch.weight_sums = sums;
    batch.weight_strides = batch.wide_weight_strides = hccs_dense_strides(shape.query_heads, shape.queries, shape.keys);
    batch.weight_sum_strides = hccs_dense_strides(shape.query_heads, shape.queries, 1);
    if (between(0, 1) == 1) {
      batch.valid_lengths = lengths;
      batch.valid_length_count = shape.texts;
      batch.valid_strides.text = 1;
      batch.valid_strides.position = 0;
    }
    batch.has_causal_offset = between(0, 1);
    batch.causal_offset = between(-2, kKeys);
    batch.has_window = between(0, 3) == 3;
    batch.window = between(1, kKeys);
    if (between(0, 1) == 1) {
      batch.mask_bits = bits;
      batch.mask_bits_strides = hccs_dense_strides(shape.query_heads, shape.queries, (shape.keys + 7) / 8);
    }
    if (between(0, 1) == 1) {
      batch.mask_bytes = bytes;
      batch.mask_bytes_strides = hccs_dense_strides(shape.query_heads, shape.queries, shape.keys);
    }
    run_pieces(plan, &batch);
    check_rows(&batch, heads, options.weights);
    check_caches(plan, &batch);
    hccs_attention_plan_free(plan);
  }
}

static void test_errors(void) {
  hccs_status status;
  hccs_attention_plan* plan = NULL;
  const hccs_head_params heads[2] = {draw_params(), draw_params()};
  const double steps[2] = {0.1, 0.2};
  hccs_attention_options options = hccs_attention_options_default();
  options.weights = 2;
  CHECK_FAILS(hccs_attention_plan_of_heads(heads, 2, &options, &plan, &status), HCCS_INVALID_ARGUMENT, "weights = 2");
  options = hccs_attention_options_default();
  options.unused = 1;
  CHECK_FAILS(hccs_attention_plan_of_heads(heads, 2, &options, &plan, &status), HCCS_INVALID_ARGUMENT, "unused = 1");
  options = hccs_attention_options_default();
  options.target = "avx1024";
  CHECK_FAILS(hccs_attention_plan_of_heads(heads, 2, &options, &plan, &status), HCCS_UNSUPPORTED, "'avx1024'");
  CHECK_FAILS(hccs_attention_plan_of_heads(heads, 0, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "0 heads");
  CHECK_FAILS(hccs_attention_plan_of_heads(NULL, 2, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "heads is NULL");
  CHECK_FAILS(hccs_attention_plan_of_layer(NULL, 0, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "file is NULL");
  CHECK_FAILS(hccs_attention_plan_of_exponentials(NULL, 2, NULL, &plan, &status), HCCS_INVALID_ARGUMENT,
              "steps is NULL");
  CHECK_FAILS(hccs_attention_plan_of_exponentials(steps, 2, NULL, NULL, &status), HCCS_INVALID_ARGUMENT,
              "plan is NULL");
  CHECK(plan == NULL);
  CHECK(hccs_attention_plan_of_exponentials(steps, 2, NULL, &plan, &status) == HCCS_OK);
  hccs_attention_plan_free(plan);
  CHECK(hccs_attention_plan_of_heads(heads, 2, NULL, &plan, &status) == HCCS_OK);

  const hccs_attention_shape shape = {2, 2, 1, 2, 4, 8, 8};
  const hccs_rescale rescale = {1, 8};
  const int32_t lengths[2] = {3, 4};
  hccs_attention_batch good = hccs_attention_batch_default(shape);
  good.queries = q;
  good.keys = k;
  good.values = v;
  good.out = out;
  good.rescales = &rescale;
  good.rescale_count = 1;
  good.rescale_strides.text = good.rescale_strides.head = good.rescale_strides.position = 0;
  hccs_attention_batch batch;
  memset(out, 77, sizeof(out));
#define CHECK_RUN_FAILS(change, text)                                                    \
  do {                                                                                   \
    batch = good;                                                                        \
    change;                                                                              \
    CHECK_FAILS(hccs_attention_run(plan, &batch, &status), HCCS_INVALID_ARGUMENT, text); \
    int64_t pieces = -5;                                                                 \
    CHECK(hccs_attention_pieces(plan, &batch, &pieces, NULL) == HCCS_INVALID_ARGUMENT);  \
    CHECK(pieces == -5 && out[0] == 77);                                                 \
  } while (0)
  CHECK_RUN_FAILS(batch.struct_size = 0, "batch: struct_size = 0");
  CHECK_RUN_FAILS(batch.shape.keys = 0, "keys");
  CHECK_RUN_FAILS(batch.shape.head_dimension = 513, "513");
  CHECK_RUN_FAILS(batch.queries = NULL, "null");
  CHECK_RUN_FAILS(batch.values = NULL, "null");
  CHECK_RUN_FAILS(batch.out = NULL, "null");
  CHECK_RUN_FAILS(batch.first_head = 1, "head");
  CHECK_RUN_FAILS(batch.rescales = NULL, "rescale_count = 1, but the array is NULL");
  CHECK_RUN_FAILS(batch.rescale_count = -1, "rescale_count = -1");
  CHECK_RUN_FAILS(batch.rescale_count = 2, "2 rescales");
  CHECK_RUN_FAILS(batch.rescale_strides.head = HCCS_NO_STRIDE,
                  "rescale_strides.head is not set, but there are 2 query heads");
  CHECK_RUN_FAILS(batch.query_strides.text = HCCS_NO_STRIDE, "query_strides.text is not set, but there are 2 texts");
  CHECK_RUN_FAILS(batch.key_strides.position = HCCS_NO_STRIDE, "key_strides.position is not set, but there are 4 keys");
  CHECK_RUN_FAILS(batch.out_strides.position = -8, "out_strides.position = -8");
  CHECK_RUN_FAILS((batch.valid_lengths = lengths, batch.valid_length_count = 2), "valid_strides.text is not set");
  CHECK_RUN_FAILS((batch.valid_lengths = lengths, batch.valid_strides.text = batch.valid_strides.position = 0),
                  "valid_length_count = 0");
  CHECK_RUN_FAILS(batch.mask_bits = bits, "mask_bits_strides.text is not set");
  CHECK_RUN_FAILS(batch.mask_bytes = bytes, "mask_bytes_strides.text is not set");
  CHECK_RUN_FAILS(batch.weights = weights, "weight_strides.text is not set");
  CHECK_FAILS(hccs_attention_run(NULL, &good, &status), HCCS_INVALID_ARGUMENT, "plan is NULL");
  CHECK_FAILS(hccs_attention_run(plan, NULL, &status), HCCS_INVALID_ARGUMENT, "batch is NULL");
  CHECK_FAILS(hccs_attention_pieces(plan, &good, NULL, &status), HCCS_INVALID_ARGUMENT, "pieces is NULL");
  CHECK_FAILS(hccs_attention_scratch_bytes(plan, &good, NULL, &status), HCCS_INVALID_ARGUMENT, "bytes is NULL");

  hccs_kv_cache* cache = NULL;
  CHECK_FAILS(hccs_kv_cache_create(NULL, 1, 8, 8, &cache, &status), HCCS_INVALID_ARGUMENT, "plan is NULL");
  CHECK_FAILS(hccs_kv_cache_create(plan, 1, 8, 8, NULL, &status), HCCS_INVALID_ARGUMENT, "cache is NULL");
  CHECK_FAILS(hccs_kv_cache_create(plan, 0, 8, 8, &cache, &status), HCCS_INVALID_ARGUMENT, "0 key heads");
  CHECK(cache == NULL && hccs_kv_cache_length(NULL) == 0);
  CHECK(hccs_kv_cache_create(plan, 1, 8, 8, &cache, &status) == HCCS_OK);
  const hccs_strides dense = hccs_dense_strides(1, 4, 8);
  CHECK_FAILS(hccs_kv_cache_append(cache, NULL, dense, v, dense, 1, &status), HCCS_INVALID_ARGUMENT, "null");
  CHECK_FAILS(hccs_kv_cache_append(cache, k, dense, v, dense, -1, &status), HCCS_INVALID_ARGUMENT, "-1 positions");
  CHECK_FAILS(hccs_kv_cache_append(NULL, k, dense, v, dense, 1, &status), HCCS_INVALID_ARGUMENT, "cache is NULL");
  CHECK_FAILS(hccs_kv_cache_truncate(cache, 1, &status), HCCS_INVALID_ARGUMENT, "length 1");
  CHECK_FAILS(hccs_kv_cache_truncate(NULL, 0, &status), HCCS_INVALID_ARGUMENT, "cache is NULL");
  const hccs_kv_cache* caches[2] = {cache, NULL};
  CHECK_RUN_FAILS((batch.caches = caches, batch.keys = batch.values = NULL, batch.shape.keys = 0), "text 1");
  hccs_kv_cache_free(cache);
  hccs_kv_cache_free(NULL);
  hccs_attention_plan_free(plan);
  hccs_attention_plan_free(NULL);
  CHECK(hccs_attention_plan_heads(NULL) == 0 && hccs_attention_plan_target(NULL) == NULL);
  CHECK(hccs_attention_target_name(-1) == NULL);
  CHECK(strcmp(hccs_attention_target_name(hccs_attention_target_count() - 1), "portable") == 0);
}

void test_attention(void) {
  test_batches();
  test_errors();
}
