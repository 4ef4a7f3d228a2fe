// SPDX-License-Identifier: Apache-2.0
//
// paper_rows over plain pointers, as IRON and mlir-aie link it. head: kHeadWords words (head_to_words); scores:
// paper_rows_scratch_bytes(n) bytes of scratch; see paper_rows.h for the rest.
#include "paper_rows.h"

#define HCCS_PAPER_ROWS(name, normalisation, type)                                                               \
  extern "C" void name(const int8* logits, type* out, int32 rows, int32 n, const int16* head, int16* scores) {   \
    hccs_kernels::softmax_paper_rows<hccs_kernels::Normalisation::normalisation>(                                \
        logits, out, static_cast<unsigned>(rows), static_cast<unsigned>(n), hccs_kernels::head_from_words(head), \
        scores);                                                                                                 \
  }

HCCS_PAPER_ROWS(hccs_paper_rows_div_u8, kDiv, uint8)
HCCS_PAPER_ROWS(hccs_paper_rows_div_i16, kDiv, int16)
HCCS_PAPER_ROWS(hccs_paper_rows_clb_u8, kClb, uint8)
HCCS_PAPER_ROWS(hccs_paper_rows_clb_i16, kClb, int16)
