// SPDX-License-Identifier: Apache-2.0
//
// What a kernel does not serve by its shape must not compile. At the kernels' limits this must compile; with
// HCCS_BEYOND = a case, which is one past a limit, it must fail with the rule (see CMakeLists.txt).
#include "aie/kernels/attention.h"
#include "aie/kernels/microtile.h"
#include "aie/kernels/row_major.h"

#define NONE 0
#define MICROTILE_WIDE 1
#define ROW_MAJOR_SCALED 2
#define ATTENTION_HEAD_DIM 3
#define ATTENTION_VALUE_DIM 4
#define ROW_MAJOR_LENGTH 5

namespace hccs_kernels {

constexpr unsigned kLongest = kScaledWideLongest + (HCCS_BEYOND == MICROTILE_WIDE);
constexpr Normalisation kNormalisation = HCCS_BEYOND == ROW_MAJOR_SCALED ? Normalisation::kScaled : Normalisation::kClb;
constexpr unsigned kHeadDim = HCCS_BEYOND == ATTENTION_HEAD_DIM ? 9 : 8;
constexpr unsigned kValueDim = HCCS_BEYOND == ATTENTION_VALUE_DIM ? 17 : 16;

static_assert(MicrotileKernel<Normalisation::kScaled, int16, kLongest, 1>::kElements > 0);
static_assert(sizeof(AttentionHead<kMaxKnees, kHeadDim, kValueDim>) > 0);
template void softmax_row_major<kNormalisation>(const int8*, int16*, unsigned, unsigned, const HccsHead&, int16*);
#if HCCS_BEYOND == ROW_MAJOR_LENGTH
static_assert(sizeof(RowMajorSoftmax<Normalisation::kDiv, int16, 33, 1>) > 0);
#endif

}  // namespace hccs_kernels
