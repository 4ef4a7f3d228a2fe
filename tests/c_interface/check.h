// SPDX-License-Identifier: Apache-2.0
//
// What the C tests share: checks that count failures, and random numbers.
#ifndef HCCS_TESTS_C_INTERFACE_CHECK_H_
#define HCCS_TESTS_C_INTERFACE_CHECK_H_

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hccs/hccs.h"

extern int failures;

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) {                                              \
      printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                    \
    }                                                                \
  } while (0)

// The call fails with the code, and its message has the text.
#define CHECK_FAILS(call, expected, text)                                                                          \
  do {                                                                                                             \
    memset(&status, 1, sizeof(status));                                                                            \
    const hccs_code got = (call);                                                                                  \
    if (got != (expected) || status.code != got || strstr(status.message, text) == NULL) {                         \
      printf("%s:%d: %s: code %d, message \"%s\", but expected %d, \"%s\"\n", __FILE__, __LINE__, #call, (int)got, \
             status.message, (int)(expected), text);                                                               \
      ++failures;                                                                                                  \
    }                                                                                                              \
  } while (0)

extern uint64_t state;  // of the random numbers, not 0

static inline uint64_t draw(void) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * UINT64_C(2685821657736338717);
}
static inline int64_t between(int64_t low, int64_t high) {
  return low + (int64_t)(draw() % (uint64_t)(high - low + 1));
}

static inline hccs_head_params draw_params(void) {
  hccs_head_params params;
  do {
    memset(&params, 0, sizeof(params));
    params.offset = (int32_t)between(1, 32767);
    params.knee_count = (int32_t)between(1, HCCS_MAX_KNEES);
    int32_t position = 0;
    for (int k = 0; k < params.knee_count; ++k) {
      position += (int32_t)between(1, 30);
      params.knees[k].slope = (int32_t)between(0, 127);
      params.knees[k].position = position;
    }
  } while (hccs_head_params_validate(&params, NULL) != HCCS_OK);
  return params;
}

// c_attention_test.c
void test_attention(void);

#endif  // HCCS_TESTS_C_INTERFACE_CHECK_H_
