// SPDX-License-Identifier: Apache-2.0
//
// attention over plain pointers, as IRON and mlir-aie link it: hccs_attention_kK_dD[_bits] serves heads of up to K
// knees with head and value dimension D. head: kHeadWords words (head_to_words); scratch:
// attention_scratch_bytes(n, D) bytes, aligned to 64; see attention.h for the rest.
#include "attention.h"

#define HCCS_ATTENTION(knees, dim)                                                                                     \
  extern "C" void hccs_attention_k##knees##_d##dim(const int8* q, const int8* k, const int8* v, const int16* rescales, \
                                                   int8* o, int32 rows, int32 n, int32 valid_length, int32 causal,     \
                                                   int32 causal_offset, const int16* head, void* scratch) {            \
    hccs_kernels::AttentionHead<knees, dim, dim>(hccs_kernels::head_from_words(head))                                  \
        .run(q, k, v, rescales, o, static_cast<unsigned>(rows), static_cast<unsigned>(n),                              \
             {valid_length, causal != 0, causal_offset, nullptr}, scratch);                                            \
  }                                                                                                                    \
  extern "C" void hccs_attention_k##knees##_d##dim##_bits(                                                             \
      const int8* q, const int8* k, const int8* v, const int16* rescales, int8* o, int32 rows, int32 n,                \
      int32 valid_length, int32 causal, int32 causal_offset, const int16* head, const uint32* bits, void* scratch) {   \
    hccs_kernels::AttentionHead<knees, dim, dim>(hccs_kernels::head_from_words(head))                                  \
        .run(q, k, v, rescales, o, static_cast<unsigned>(rows), static_cast<unsigned>(n),                              \
             {valid_length, causal != 0, causal_offset, bits}, scratch);                                               \
  }

HCCS_ATTENTION(1, 32)
HCCS_ATTENTION(2, 32)
HCCS_ATTENTION(3, 32)
HCCS_ATTENTION(4, 32)
HCCS_ATTENTION(1, 64)
HCCS_ATTENTION(2, 64)
HCCS_ATTENTION(3, 64)
HCCS_ATTENTION(4, 64)
