// SPDX-License-Identifier: Apache-2.0
//
// Pass 1 of attention (attention.h): products of k with the rows' q, of which the maxima alone are kept.
#ifndef HCCS_AIE_KERNELS_ATTENTION_MAXIMA_H_
#define HCCS_AIE_KERNELS_ATTENTION_MAXIMA_H_

#include "attention_block.h"

namespace hccs_kernels::attention {

// Each row's maximum, INT32_MIN if it has no position.
template <unsigned kHeadDim>
Lanes find_maxima(const int8* queries, const int8* k, const Visible& visible) {
  auto maxima = aie::broadcast<int32, kLanes>(INT32_MIN);
  HCCS_LOOP(block, visible.all / kPositions, "attention.maxima", 0) {
    LogitProduct products[kPositions / kTile];
    multiply_keys<kHeadDim>(queries, k + block * kPositions * kHeadDim, products);
    for (const LogitProduct& product : products) {
      maxima = aie::max(maxima, product.template to_vector<int32>());
    }
  }
  for (unsigned position = visible.all; position < visible.any; position += kPositions) {
    const Mask none = visible.hidden(position);
    LogitProduct products[kPositions / kTile];
    multiply_keys<kHeadDim>(queries, k + position * kHeadDim, products);
    for (unsigned i = 0; i < kPositions / kTile; ++i) {
      maxima = aie::max(maxima, aie::select(products[i].template to_vector<int32>(), int32{INT32_MIN},
                                            none.template extract<kLanes>(i)));
    }
  }
  return fold(maxima, [](const auto& a, const auto& b) { return aie::max(a, b); });
}

}  // namespace hccs_kernels::attention

#endif  // HCCS_AIE_KERNELS_ATTENTION_MAXIMA_H_
