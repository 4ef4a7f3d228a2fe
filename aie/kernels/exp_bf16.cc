// SPDX-License-Identifier: Apache-2.0
//
// exp_bf16 over plain pointers, as IRON and mlir-aie link it; see exp_bf16.h.
#include "exp_bf16.h"

#define HCCS_EXP_BF16(name, exponential)                                                                             \
  extern "C" void name(const bfloat16* logits, bfloat16* out, int32 rows, int32 n) {                                 \
    hccs_kernels::softmax_exp_bf16<hccs_kernels::Exponential::exponential>(logits, out, static_cast<unsigned>(rows), \
                                                                           static_cast<unsigned>(n));                \
  }

#if __AIE_ARCH__ == 20
HCCS_EXP_BF16(hccs_exp_bf16_tables, kTables)
#else
HCCS_EXP_BF16(hccs_exp_bf16_exp2, kExp2)
#endif
HCCS_EXP_BF16(hccs_exp_bf16_bits, kBits)
