// SPDX-License-Identifier: Apache-2.0
//
// What a kernel does not serve by its shape must not compile. At the kernels' limits this must compile; with
// HCCS_BEYOND = a case, which is one past a limit, it must fail with the rule (see CMakeLists.txt).
#include "aie/kernels/attention.h"
#include "aie/kernels/paper_rows.h"
#include "aie/kernels/tiles.h"

#define NONE 0
#define TILES_WIDE 1
#define PAPER_ROWS_SCALED 2
#define ATTENTION_HEAD_DIM 3
#define ATTENTION_VALUE_DIM 4
#define PAPER_ROWS_LENGTH 5

namespace hccs_kernels {

constexpr unsigned kLongest = kScaledWideLongest + (HCCS_BEYOND == TILES_WIDE);
constexpr Normalisation kNormalisation =
    HCCS_BEYOND == PAPER_ROWS_SCALED ? Normalisation::kScaled : Normalisation::kClb;
constexpr unsigned kHeadDim = HCCS_BEYOND == ATTENTION_HEAD_DIM ? 9 : 8;
constexpr unsigned kValueDim = HCCS_BEYOND == ATTENTION_VALUE_DIM ? 17 : 16;

static_assert(TilesKernel<Normalisation::kScaled, int16, kLongest, 1>::kElements > 0);
static_assert(sizeof(AttentionHead<kMaxKnees, kHeadDim, kValueDim>) > 0);
template void softmax_paper_rows<kNormalisation>(const int8*, int16*, unsigned, unsigned, const HccsHead&, int16*);
#if HCCS_BEYOND == PAPER_ROWS_LENGTH
static_assert(sizeof(PaperRowsSoftmax<Normalisation::kDiv, int16, 33, 1>) > 0);
#endif

}  // namespace hccs_kernels
