// SPDX-License-Identifier: Apache-2.0
//
// Pass 3 of attention (attention.h): o, from products of v with the weights and a division.
#ifndef HCCS_AIE_KERNELS_ATTENTION_OUTPUTS_H_
#define HCCS_AIE_KERNELS_ATTENTION_OUTPUTS_H_

#include "attention_block.h"
#include "attention_quotient.h"
#include "row_factors.h"

namespace hccs_kernels::attention {

using ValueProduct = aie::mmul<kTile, 8, 8, int8, uint8>;

// kTiles tiles of 8 columns of o, which are made as columns x rows.
template <unsigned kValueDim, unsigned kTiles>
void make_columns(const uint8* weights, const int8* v, const Lanes& half, const Divisors& divisors,
                  const Visible& visible, int8* o) {
  constexpr unsigned kParts = 8 / kTile;
  ValueProduct sums[kTiles * kParts];
  const aie::accum<acc32, kLanes> start(spread<kLanes>(half));
  for (ValueProduct& sum : sums) sum = ValueProduct(start);
  HCCS_LOOP(block, visible.any / kPositions, "attention.values", 0) {
    const auto w = aie::load_v<64>(weights + block * kPositions * kRows);
    for (unsigned c = 0; c < kTiles; ++c) {
      const auto values = aie::transpose(load_rows<8, kValueDim>(v + block * kPositions * kValueDim, c), 8, 8);
      for (unsigned i = 0; i < kParts; ++i) sums[c * kParts + i].mac(values.template extract<8 * kTile>(i), w);
    }
  }
  for (unsigned c = 0; c < kTiles; ++c) {
    const auto divide = [&](unsigned first) {  // four columns
      const auto sum = sums[c * kParts + first / kTile].to_accum();
      return divisors.divide(sum.template extract<32>(first % kTile / 4));
    };
    const auto rows = aie::transpose(aie::concat(divide(0), divide(4)), 8, 8);
    aie::store_v(o + 32 * c, rows.template extract<32>(0));
    aie::store_v(o + 4 * kValueDim + 32 * c, rows.template extract<32>(1));
  }
}

// o = round_half_up(sum w * v / W), 0 for rows without a position, which have sums of 0.
template <unsigned kValueDim>
void make_outputs(const uint8* weights, const int8* v, const Lanes& sums, const Visible& visible, int8* o) {
  const auto divisors = [&] {
    const auto modes = factor_modes();
    return Divisors(sums);
  }();
  const Lanes half = aie::downshift(sums, 1);
  unsigned column = 0;
  for (; column + 4 <= kValueDim / 8; column += 4) {
    make_columns<kValueDim, 4>(weights, v + 32 * column, half, divisors, visible, o + 32 * column);
  }
  if constexpr (kValueDim / 8 % 4 != 0) {
    make_columns<kValueDim, kValueDim / 8 % 4>(weights, v + 32 * column, half, divisors, visible, o + 32 * column);
  }
}

}  // namespace hccs_kernels::attention

#endif  // HCCS_AIE_KERNELS_ATTENTION_OUTPUTS_H_
