// SPDX-License-Identifier: Apache-2.0
//
// rows over plain pointers, as IRON and mlir-aie link it: hccs_rows_NORMALISATION_OUTPUT[_length | _bits]. Compile with
// HCCS_KNEES, the most knees that a head has (1 unless it is defined). head: kHeadWords words (head_to_words); scratch:
// rows_scratch_bytes(rows, n, HCCS_KNEES, __AIE_ARCH__) bytes, aligned to 64. A causal_offset of n or more is none. The
// layout: rows.h.
#include "rows.h"

#ifndef HCCS_KNEES
#define HCCS_KNEES 1
#endif

namespace {

template <hccs_kernels::Normalisation kNormalisation, hccs_kernels::MaskKind kMask, typename Out>
inline void run(const int8* logits, Out* out, int32 rows, int32 n, const int16* head, void* scratch,
                const hccs_kernels::BlockMask& masks) {
  hccs_kernels::softmax_rows<kNormalisation, Out, HCCS_KNEES, kMask>(
      logits, out, static_cast<unsigned>(rows), static_cast<unsigned>(n), hccs_kernels::head_from_words(head), masks,
      scratch);
}

}  // namespace

#define HCCS_ROWS(name, normalisation, type)                                                                          \
  extern "C" void name(const int8* logits, type* out, int32 rows, int32 n, const int16* head, void* scratch) {        \
    run<normalisation, hccs_kernels::MaskKind::kNone>(logits, out, rows, n, head, scratch, {});                       \
  }                                                                                                                   \
  extern "C" void name##_length(const int8* logits, type* out, int32 rows, int32 n, const int16* head, void* scratch, \
                                int32 valid_length, int32 causal_offset) {                                            \
    run<normalisation, hccs_kernels::MaskKind::kLength>(logits, out, rows, n, head, scratch,                          \
                                                        {valid_length, true, causal_offset, nullptr});                \
  }                                                                                                                   \
  extern "C" void name##_bits(const int8* logits, type* out, int32 rows, int32 n, const int16* head, void* scratch,   \
                              int32 valid_length, int32 causal_offset, const uint32* bits) {                          \
    run<normalisation, hccs_kernels::MaskKind::kBits>(logits, out, rows, n, head, scratch,                            \
                                                      {valid_length, true, causal_offset, bits});                     \
  }

HCCS_ROWS(hccs_rows_div_u8, hccs_kernels::Normalisation::kDiv, uint8)
HCCS_ROWS(hccs_rows_div_i16, hccs_kernels::Normalisation::kDiv, int16)
HCCS_ROWS(hccs_rows_clb_u8, hccs_kernels::Normalisation::kClb, uint8)
HCCS_ROWS(hccs_rows_clb_i16, hccs_kernels::Normalisation::kClb, int16)
HCCS_ROWS(hccs_rows_scaled_u8, hccs_kernels::Normalisation::kScaled, uint8)
HCCS_ROWS(hccs_rows_scaled_i16, hccs_kernels::Normalisation::kScaled, int16)
