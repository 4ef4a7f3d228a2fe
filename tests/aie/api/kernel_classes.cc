// SPDX-License-Identifier: Apache-2.0
//
// The ADF kernels, classes and functions, which are compiled and not run.
#include "aie/kernels/attention.h"
#include "aie/kernels/exp_bf16.h"
#include "aie/kernels/head_softmax.h"
#include "aie/kernels/paper_rows.h"
#include "aie/kernels/products.h"
#include "aie/kernels/rows.h"
#include "aie/kernels/tiles.h"

namespace hccs_kernels {

template class PaperRowsSoftmax<Normalisation::kClb, uint8, 64, 4, 2>;
template class HeadSoftmax<RowsKernel<Normalisation::kScaled, uint8, 100, 12, 3>, 2>;
template class HeadSoftmax<RowsKernel<Normalisation::kScaled, int16, 100, 12, 3, MaskKind::kLength>, 2>;
template class HeadSoftmax<RowsKernel<Normalisation::kDiv, uint8, 128, 16, 1, MaskKind::kBits>>;
template class HeadSoftmax<TilesKernel<Normalisation::kScaled, uint8, 100, 12, 3>, 2>;
template class HeadSoftmax<TilesKernel<Normalisation::kScaled, int16, 100, 12, 3, MaskKind::kLength>, 2>;
template class HeadSoftmax<TilesKernel<Normalisation::kDiv, uint8, 128, 16, 1, MaskKind::kBits>>;
template class Attention<2, 32, 32, 12, 20, MaskKind::kLength>;
template class Attention<2, 32, 48, 12, 20, MaskKind::kBits>;
template class ExpBf16Softmax<Exponential::kBits, 64, 4>;
template void logits_of_head<16, 64, 32, 7>(adf::input_buffer<int8, adf::extents<16 * 32>>&,
                                            adf::input_buffer<int8, adf::extents<64 * 32>>&,
                                            adf::output_buffer<int8, adf::extents<16 * 64>>&);
template void values_of_head<16, 64, 32>(adf::input_buffer<uint8, adf::extents<16 * 64>>&,
                                         adf::input_buffer<int8, adf::extents<64 * 32>>&,
                                         adf::output_buffer<int8, adf::extents<16 * 32>>&);

}  // namespace hccs_kernels
