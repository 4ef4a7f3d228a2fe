// SPDX-License-Identifier: Apache-2.0
//
// c_interface_test FOLDER: the C interface as a C99 program sees it, compared with the C++ one. HCCS_SEED repeats a
// run.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "cpp_side.h"
#include "hccs/hccs.h"

int failures = 0;
uint64_t state = 0;

enum { kMaxHeads = 3, kMaxQueries = 4, kMaxKeys = 130, kPad = 5, kRow = kMaxKeys + kPad };

// Random rows with padding between them, every mask, every target: the bits of softmax_reference, and none beside them.
static void test_rows(void) {
  static int8_t logits[kMaxHeads * kMaxQueries * kRow];
  static uint8_t out8[kMaxHeads * kMaxQueries * kRow], bits[kMaxHeads * kMaxQueries * kRow];
  static int16_t out16[kMaxHeads * kMaxQueries * kRow];
  static int32_t sums[kMaxHeads * kMaxQueries * kRow];
  hccs_rescale rescales[kMaxHeads * kMaxQueries];
  int32_t lengths[kMaxHeads * kMaxQueries], expected[kMaxKeys];
  for (int run = 0; run < 300; ++run) {
    hccs_head_params heads[kMaxHeads];
    for (int h = 0; h < kMaxHeads; ++h) heads[h] = draw_params();
    hccs_softmax_options options = hccs_softmax_options_default();
    options.normalisation = (hccs_normalisation)between(0, 2);
    options.output = (hccs_output_type)between(0, 1);
    options.target = hccs_softmax_target_name(between(0, hccs_softmax_target_count() - 1));
    hccs_softmax_plan* plan = NULL;
    hccs_status status;
    CHECK(hccs_softmax_plan_of_heads(heads, kMaxHeads, &options, &plan, &status) == HCCS_OK);
    CHECK(status.code == HCCS_OK && status.message[0] == '\0');
    CHECK(hccs_softmax_plan_heads(plan) == kMaxHeads);
    CHECK(strcmp(hccs_softmax_plan_target(plan), options.target) == 0);

    const int64_t row = between(1, kPad);  // elements between the ends of rows
    hccs_softmax_batch batch = hccs_softmax_batch_default(between(1, 2), between(1, kMaxQueries), between(1, kMaxKeys));
    batch.first_head = between(0, kMaxHeads - batch.heads);
    batch.logits_query_stride = batch.out_query_stride = batch.keys + row;
    batch.logits_head_stride = batch.out_head_stride = batch.queries * batch.out_query_stride;
    const int64_t is_sums = between(0, 1);
    if (is_sums) {
      batch.sums = sums;
      batch.rescales = rescales;
      batch.rescale_query_stride = between(0, 1);
      batch.rescale_head_stride = between(0, 1) * batch.queries;
      for (size_t i = 0; i < sizeof(rescales) / sizeof(*rescales); ++i) {
        rescales[i].multiplier = (int32_t)between(1, 32767);
        rescales[i].shift = (int32_t)between(20, 30);
      }
    } else {
      batch.logits = logits;
    }
    if (options.output == HCCS_OUTPUT_UINT8) batch.out_uint8 = out8;
    if (options.output == HCCS_OUTPUT_INT16) batch.out_int16 = out16;
    for (size_t i = 0; i < sizeof(logits); ++i) {
      logits[i] = (int8_t)between(-128, 127);
      sums[i] = (int32_t)between(-1000000, 1000000);
      bits[i] = (uint8_t)draw();
      out8[i] = 77;
      out16[i] = 7777;
    }
    if (between(0, 1) == 1) {
      for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); ++i) lengths[i] = (int32_t)between(0, kMaxKeys + 5);
      batch.valid_lengths = lengths;
      batch.valid_head_stride = between(0, 1) * batch.queries;
      batch.valid_query_stride = between(0, 1);
    }
    if (between(0, 1) == 1) {
      batch.has_causal_offset = 1;
      batch.causal_offset = between(-3, kMaxKeys);
    }
    if (between(0, 1) == 1) {
      batch.mask_bits = bits;
      batch.mask_query_stride = between(0, 1) * ((batch.keys + 7) / 8);
      batch.mask_head_stride = between(0, 1) * batch.queries * batch.mask_query_stride;
    }
    CHECK(hccs_softmax_run(plan, &batch, &status) == HCCS_OK);
    int wrong = 0;
    for (int64_t h = 0; h < batch.heads; ++h) {
      for (int64_t q = 0; q < batch.queries; ++q) {
        const int64_t begin = h * batch.out_head_stride + q * batch.out_query_stride;
        int64_t length = -1;
        if (batch.valid_lengths != NULL) length = lengths[h * batch.valid_head_stride + q * batch.valid_query_stride];
        int64_t last = -2;
        if (batch.has_causal_offset) last = q + batch.causal_offset < -1 ? -1 : q + batch.causal_offset;
        const uint8_t* row_bits =
            batch.mask_bits == NULL ? NULL : bits + h * batch.mask_head_stride + q * batch.mask_query_stride;
        if (is_sums) {
          cpp_row_of_sums(&heads[batch.first_head + h], options.normalisation, options.output,
                          rescales[h * batch.rescale_head_stride + q * batch.rescale_query_stride], sums + begin,
                          batch.keys, length, last, row_bits, expected);
        } else {
          cpp_row(&heads[batch.first_head + h], options.normalisation, options.output, logits + begin, batch.keys,
                  length, last, row_bits, expected);
        }
        for (int64_t i = 0; i < batch.keys + row; ++i) {
          const int is_int16 = options.output == HCCS_OUTPUT_INT16;
          const int32_t got = is_int16 ? out16[begin + i] : out8[begin + i];
          wrong += got != (i < batch.keys ? expected[i] : is_int16 ? 7777 : 77);
        }
      }
    }
    if (wrong != 0) {
      printf("run %d: %d elements differ from softmax_reference or were written beside the rows\n", run, wrong);
      ++failures;
    }
    hccs_softmax_plan_free(plan);
  }
}

static void test_exponentials(void) {
  const double steps[2] = {0.05, 0.2};
  int8_t logits[100];
  uint8_t p[100], expected[50];
  for (size_t i = 0; i < 100; ++i) logits[i] = (int8_t)between(-128, 127);
  hccs_softmax_plan* plan = NULL;
  hccs_status status;
  CHECK(hccs_softmax_plan_of_exponentials(steps, 2, NULL, &plan, &status) == HCCS_OK);
  hccs_softmax_batch batch = hccs_softmax_batch_default(2, 1, 50);
  batch.logits = logits;
  batch.out_uint8 = p;
  CHECK(hccs_softmax_run(plan, &batch, NULL) == HCCS_OK);
  for (int h = 0; h < 2; ++h) {
    cpp_exact_row(steps[h], logits + 50 * h, 50, expected);
    CHECK(memcmp(p + 50 * h, expected, 50) == 0);
  }
  hccs_softmax_plan_free(plan);
}

static void test_quantise(void) {
  const float logits[4] = {0.05F, 1e30F, -1e30F, -0.15F};
  int8_t x[4];
  hccs_status status;
  CHECK(hccs_quantise_logits(logits, 4, 0.1, x, NULL) == HCCS_OK);
  CHECK(x[1] == 127 && x[2] == -128);
  CHECK(hccs_quantise_logits(NULL, 0, 0.1, NULL, NULL) == HCCS_OK);
  CHECK_FAILS(hccs_quantise_logits(logits, -1, 0.1, x, &status), HCCS_INVALID_ARGUMENT, "-1 logits");
  CHECK_FAILS(hccs_quantise_logits(logits, 4, 0, x, &status), HCCS_INVALID_ARGUMENT, "step 0");
  CHECK_FAILS(hccs_quantise_logits(NULL, 4, 0.1, x, &status), HCCS_INVALID_ARGUMENT, "logits is NULL");
  CHECK_FAILS(hccs_quantise_logits(logits, 4, 0.1, NULL, &status), HCCS_INVALID_ARGUMENT, "x is NULL");
}

static void test_param_files(const char* folder) {
  char path[4096], wrong[4096];
  snprintf(path, sizeof(path), "%s/c_interface_params.json", folder);
  snprintf(wrong, sizeof(wrong), "%s/c_interface_wrong.json", folder);
  CHECK(cpp_write_param_file(path) == 0);
  hccs_param_file* file = NULL;
  hccs_status status;
  CHECK(hccs_param_file_read(path, &file, &status) == HCCS_OK);
  hccs_param_file_info info = hccs_param_file_info_default();
  CHECK(hccs_param_file_describe(file, &info, &status) == HCCS_OK);
  CHECK(info.struct_size == sizeof(info) && info.layers == 2 && info.heads == 3 && info.head_dimension == 32 &&
        info.sequence_length == 64 && info.knees == 3);
  CHECK(strcmp(info.model, "made up") == 0 && strcmp(info.data_digest, "none") == 0);
  CHECK(strcmp(info.weights_digest, "") == 0);
  for (int64_t layer = 0; layer < 2; ++layer) {
    for (int64_t head = 0; head < 3; ++head) {
      hccs_head_params params, expected;
      double step = 0, expected_step = 1;
      CHECK(hccs_param_file_head(file, layer, head, &params, &step, &status) == HCCS_OK);
      CHECK(hccs_param_file_head(file, layer, head, NULL, NULL, &status) == HCCS_OK);
      cpp_head_of_file(layer, head, &expected, &expected_step);
      CHECK(memcmp(&params, &expected, sizeof(params)) == 0 && step == expected_step);
    }
  }
  CHECK_FAILS(hccs_param_file_head(file, 2, 0, NULL, NULL, &status), HCCS_INVALID_ARGUMENT, "layer 2");
  CHECK_FAILS(hccs_param_file_head(file, -1, 0, NULL, NULL, &status), HCCS_INVALID_ARGUMENT, "layer -1");
  CHECK_FAILS(hccs_param_file_head(file, 1, 3, NULL, NULL, &status), HCCS_INVALID_ARGUMENT, "layer 1, head 3");
  CHECK(hccs_param_file_check_model(file, "made up", 2, 3, 0, NULL, &status) == HCCS_OK);
  CHECK_FAILS(hccs_param_file_check_model(file, "other", 2, 3, 0, "", &status), HCCS_MISMATCH, "\"other\"");
  CHECK_FAILS(hccs_param_file_check_model(file, NULL, 2, 3, 0, "", &status), HCCS_INVALID_ARGUMENT, "model is NULL");

  // A plan of a layer outlives its file, and has the parameters of that layer.
  hccs_softmax_plan* plan = NULL;
  CHECK(hccs_softmax_plan_of_layer(file, 1, NULL, &plan, &status) == HCCS_OK);
  CHECK_FAILS(hccs_softmax_plan_of_layer(file, 2, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "layer 2");
  hccs_param_file_free(file);
  int8_t logits[3 * 9];
  uint8_t p[3 * 9];
  for (size_t i = 0; i < sizeof(logits); ++i) logits[i] = (int8_t)between(-128, 127);
  hccs_softmax_batch batch = hccs_softmax_batch_default(3, 1, 9);
  batch.logits = logits;
  batch.out_uint8 = p;
  CHECK(hccs_softmax_run(plan, &batch, &status) == HCCS_OK);
  for (int64_t head = 0; head < 3; ++head) {
    hccs_head_params params;
    double step;
    int32_t expected[9];
    cpp_head_of_file(1, head, &params, &step);
    cpp_row(&params, 0, 0, logits + 9 * head, 9, -1, -2, NULL, expected);
    for (int64_t i = 0; i < 9; ++i) CHECK(p[9 * head + i] == expected[i]);
  }
  hccs_softmax_plan_free(plan);

  // The same errors as in C++; a handle is not touched.
  FILE* stream = fopen(wrong, "w");
  fputs("{\"format\": \"hccs-params\", \"version\": 2}", stream);
  fclose(stream);
  hccs_param_file* const untouched = (hccs_param_file*)&status;
  file = untouched;
  CHECK_FAILS(hccs_param_file_read(wrong, &file, &status), HCCS_UNSUPPORTED, "version = 2");
  CHECK(strcmp(status.message, cpp_read_error(wrong)) == 0);
  CHECK_FAILS(hccs_param_file_read(folder, &file, &status), HCCS_IO, folder);
  CHECK(strcmp(status.message, cpp_read_error(folder)) == 0);
  CHECK(file == untouched);
  CHECK_FAILS(hccs_param_file_read(NULL, &file, &status), HCCS_INVALID_ARGUMENT, "path is NULL");
  CHECK_FAILS(hccs_param_file_read(path, NULL, &status), HCCS_INVALID_ARGUMENT, "file is NULL");
  CHECK_FAILS(hccs_param_file_describe(NULL, &info, &status), HCCS_INVALID_ARGUMENT, "file is NULL");

  // A message that is too long keeps its beginning and its end.
  memset(wrong, 'x', sizeof(wrong));
  memcpy(wrong, "beginning", 9);
  wrong[sizeof(wrong) - 1] = '\0';
  CHECK_FAILS(hccs_param_file_read(wrong, &file, &status), HCCS_IO, "xxx...xxx");
  const char* whole = cpp_read_error(wrong);
  CHECK(strlen(status.message) == sizeof(status.message) - 1 && strlen(whole) > 4000);
  CHECK(strncmp(status.message, "beginning", 9) == 0);
  CHECK(strcmp(status.message + sizeof(status.message) - 20, whole + strlen(whole) - 19) == 0);
}

static void test_errors_of_plans(void) {
  hccs_status status;
  hccs_softmax_plan* plan = NULL;
  hccs_head_params params = draw_params();
  CHECK_FAILS(hccs_softmax_plan_of_heads(NULL, 1, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "heads is NULL");
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 0, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "0 heads");
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, -1, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "-1 heads");
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 1, NULL, NULL, &status), HCCS_INVALID_ARGUMENT, "plan is NULL");
  CHECK_FAILS(hccs_softmax_plan_of_layer(NULL, 0, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "file is NULL");
  CHECK_FAILS(hccs_softmax_plan_of_exponentials(NULL, 1, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "steps is NULL");
  const double step = -1;
  CHECK_FAILS(hccs_softmax_plan_of_exponentials(&step, 1, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "step -1");

  // Parameters: the message of C++.
  const hccs_head_params wrong[] = {{0, 1, {{1, 1}}},   {32768, 1, {{1, 1}}}, {9, 0, {{1, 1}}},
                                    {9, 5, {{1, 1}}},   {9, -1, {{1, 1}}},    {9, 1, {{128, 1}}},
                                    {9, 1, {{1, 128}}}, {9, 1, {{10, 10}}},   {900, 2, {{1, 5}, {1, 5}}}};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); ++i) {
    CHECK_FAILS(hccs_head_params_validate(&wrong[i], &status), HCCS_INVALID_ARGUMENT, cpp_validate(&wrong[i]));
    CHECK_FAILS(hccs_softmax_plan_of_heads(&wrong[i], 1, NULL, &plan, &status), HCCS_INVALID_ARGUMENT, "head 0");
  }
  CHECK_FAILS(hccs_head_params_validate(NULL, &status), HCCS_INVALID_ARGUMENT, "params is NULL");

  hccs_softmax_options options = hccs_softmax_options_default();
  options.normalisation = 3;
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 1, &options, &plan, &status), HCCS_INVALID_ARGUMENT,
              "normalisation = 3");
  options.normalisation = -1;
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 1, &options, &plan, &status), HCCS_INVALID_ARGUMENT,
              "normalisation = -1");
  options = hccs_softmax_options_default();
  options.output = 2;
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 1, &options, &plan, &status), HCCS_INVALID_ARGUMENT, "output = 2");
  options = hccs_softmax_options_default();
  options.target = "avx1024";
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 1, &options, &plan, &status), HCCS_UNSUPPORTED, "'avx1024'");
  CHECK(plan == NULL);

  // Structures of other versions.
  options = hccs_softmax_options_default();
  options.struct_size = 0;
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 1, &options, &plan, &status), HCCS_INVALID_ARGUMENT,
              "struct_size = 0");
  struct {
    hccs_softmax_options known;
    int64_t later;
  } newer = {hccs_softmax_options_default(), 0};
  newer.known.struct_size = sizeof(newer);
  CHECK(hccs_softmax_plan_of_heads(&params, 1, &newer.known, &plan, &status) == HCCS_OK);
  hccs_softmax_plan_free(plan);
  newer.later = 1;
  CHECK_FAILS(hccs_softmax_plan_of_heads(&params, 1, &newer.known, &plan, &status), HCCS_UNSUPPORTED, "is set");
}

static void test_errors_of_runs(void) {
  hccs_status status;
  hccs_softmax_plan* plan = NULL;
  hccs_head_params params[2] = {draw_params(), draw_params()};
  CHECK(hccs_softmax_plan_of_heads(params, 2, NULL, &plan, &status) == HCCS_OK);
  int8_t logits[24] = {0};
  uint8_t out[24], bits[4] = {255, 255, 255, 255};
  int16_t out16[24];
  const int32_t lengths[4] = {1, 2, 3, 4}, sums[24] = {0};
  const hccs_rescale rescale = {1, 8}, wrong = {32768, 8};
  memset(out, 77, sizeof(out));
  hccs_softmax_batch good = hccs_softmax_batch_default(2, 2, 6);
  good.logits = logits;
  good.out_uint8 = out;
  hccs_softmax_batch batch;
#define CHECK_RUN_FAILS(change, text)                                                     \
  do {                                                                                    \
    batch = good;                                                                         \
    change;                                                                               \
    CHECK_FAILS(hccs_softmax_run(plan, &batch, &status), HCCS_INVALID_ARGUMENT, text);    \
    CHECK(out[0] == 77 && hccs_softmax_run(plan, &batch, NULL) == HCCS_INVALID_ARGUMENT); \
  } while (0)
  CHECK_RUN_FAILS(batch.struct_size = 8, "batch: struct_size = 8");
  CHECK_RUN_FAILS(batch.heads = 3, "3 heads");
  CHECK_RUN_FAILS(batch.heads = -1, "-1 heads");
  CHECK_RUN_FAILS(batch.first_head = 1, "from head 1");
  CHECK_RUN_FAILS(batch.keys = 0, "0 keys");
  CHECK_RUN_FAILS(batch.keys = 65537, "65537 keys");
  CHECK_RUN_FAILS(batch.logits = NULL, "null");
  CHECK_RUN_FAILS(batch.sums = sums, "both logits and sums");
  CHECK_RUN_FAILS(batch.rescales = &rescale, "rescales go with sums");
  CHECK_RUN_FAILS((batch.logits = NULL, batch.sums = sums), "rescale");
  CHECK_RUN_FAILS((batch.logits = NULL, batch.sums = sums, batch.rescales = &rescale),
                  "rescale_head_stride is not set");
  CHECK_RUN_FAILS((batch.logits = NULL, batch.sums = sums, batch.rescales = &wrong, batch.rescale_head_stride = 0,
                   batch.rescale_query_stride = 0),
                  "32768");
  CHECK_RUN_FAILS(batch.out_uint8 = NULL, "null");
  CHECK_RUN_FAILS(batch.out_int16 = out16, "both");
  CHECK_RUN_FAILS((batch.out_uint8 = NULL, batch.out_int16 = out16), "out_int16 is set");
  CHECK_RUN_FAILS(batch.logits_head_stride = -1, "logits_head_stride -1");
  CHECK_RUN_FAILS(batch.out_query_stride = 5, "overlap");
  CHECK_RUN_FAILS(batch.logits_query_stride = HCCS_NO_STRIDE, "logits_query_stride is not set, but there are 2 rows");
  CHECK_RUN_FAILS(batch.out_head_stride = HCCS_NO_STRIDE, "out_head_stride is not set, but there are 2 rows");
  CHECK_RUN_FAILS(batch.valid_lengths = lengths, "valid_head_stride is not set");
  CHECK_RUN_FAILS((batch.valid_lengths = lengths, batch.valid_head_stride = 2), "valid_query_stride is not set");
  CHECK_RUN_FAILS(batch.mask_bits = bits, "mask_head_stride is not set");
  CHECK_RUN_FAILS((batch.mask_bits = bits, batch.mask_head_stride = 2), "mask_query_stride is not set");
  CHECK_FAILS(hccs_softmax_run(NULL, &good, &status), HCCS_INVALID_ARGUMENT, "plan is NULL");
  CHECK_FAILS(hccs_softmax_run(plan, NULL, &status), HCCS_INVALID_ARGUMENT, "batch is NULL");

  // What multiplies 0 alone need not be set; an empty batch touches nothing.
  batch = hccs_softmax_batch_default(1, 1, 6);
  batch.logits = logits;
  batch.out_uint8 = out;
  batch.valid_lengths = lengths;
  batch.logits_head_stride = batch.logits_query_stride = HCCS_NO_STRIDE;
  batch.out_head_stride = batch.out_query_stride = HCCS_NO_STRIDE;
  CHECK(hccs_softmax_run(plan, &batch, &status) == HCCS_OK);
  CHECK(out[0] == 255 && out[1] == 0 && out[5] == 0 && out[6] == 77);
  batch = hccs_softmax_batch_default(0, 2, 6);
  CHECK(hccs_softmax_run(plan, &batch, &status) == HCCS_OK);
  hccs_softmax_plan_free(plan);
}

static void test_names(void) {
  CHECK(strcmp(hccs_code_name(HCCS_OK), "ok") == 0 && strcmp(hccs_code_name(HCCS_OUT_OF_MEMORY), "out of memory") == 0);
  CHECK(strcmp(hccs_code_name(99), "unknown") == 0 && strcmp(hccs_code_name(-1), "unknown") == 0);
  CHECK(strlen(hccs_version()) >= 5);
  const int64_t count = hccs_softmax_target_count();
  CHECK(count >= 1 && strcmp(hccs_softmax_target_name(count - 1), "portable") == 0);
  CHECK(hccs_softmax_target_name(count) == NULL && hccs_softmax_target_name(-1) == NULL);
  CHECK(hccs_softmax_plan_heads(NULL) == 0 && hccs_softmax_plan_target(NULL) == NULL);
  hccs_softmax_plan_free(NULL);
  hccs_param_file_free(NULL);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    printf("usage: c_interface_test FOLDER\n");
    return 2;
  }
  const char* seed = getenv("HCCS_SEED");
  const uint64_t number = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
  printf("HCCS_SEED=%llu\n", (unsigned long long)number);
  state = number * 2 + 1;
  for (int i = 0; i < 8; ++i) draw();
  test_names();
  test_quantise();
  test_rows();
  test_exponentials();
  test_param_files(argv[1]);
  test_errors_of_plans();
  test_errors_of_runs();
  test_attention();
  printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
