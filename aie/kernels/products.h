// SPDX-License-Identifier: Apache-2.0
//
// The matrix products before and after a softmax in micro tiles (kernels/tiles.h), for n a multiple of 16 and rows
// a multiple of the tile's: small, to show that nothing stands between mmul and the softmax. They are not tuned.
//
// Layout: q, the logits, p and o in tiles of tile_rows(arch) x 8, the tiles of a band of so many rows one after
// another; k and v, of n rows each, in tiles of 8 x 8, likewise.
//
// graph/three_tiles.h declares both.
#ifndef HCCS_AIE_KERNELS_PRODUCTS_H_
#define HCCS_AIE_KERNELS_PRODUCTS_H_

#include <adf.h>

#include "device.h"
#include "layout.h"

namespace hccs_kernels {

// q . k of every row and position, divided by 2^kShift half up and clamped to int8.
template <unsigned kRows, unsigned kN, unsigned kHeadDim, int kShift>
void logits_of_head(adf::input_buffer<int8, adf::extents<kRows * kHeadDim>>& q,
                    adf::input_buffer<int8, adf::extents<kN * kHeadDim>>& k,
                    adf::output_buffer<int8, adf::extents<kRows * kN>>& logits) {
  constexpr unsigned kTileRows = tile_rows(kArch);
  constexpr unsigned kTileLanes = 8 * kTileRows;
  static_assert(kRows % kTileRows == 0 && kN % 16 == 0 && kHeadDim % 8 == 0, "whole tiles only");
  constexpr unsigned kDepth = kHeadDim / 8;
  const RoundingSaturation modes(aie::rounding_mode::positive_inf, aie::saturation_mode::saturate);
  const int8* keys = k.data();
  int8* to = logits.data();
  HCCS_LOOP(band, kRows / kTileRows, "products.logits", 1) {
    const int8* queries = q.data() + band * kTileRows * kHeadDim;
    HCCS_LOOP(tile, kN / 8, "products.logits.tiles", 2) {
      aie::mmul<kTileRows, 8, 8, int8, int8> product;
      for (unsigned d = 0; d < kDepth; ++d) {
        const auto query = aie::load_v<kTileLanes>(queries + d * kTileLanes);
        const auto key = aie::transpose(aie::load_v<64>(keys + (tile * kDepth + d) * 64), 8, 8);
        if (d == 0) {
          product.mul(query, key);
        } else {
          product.mac(query, key);
        }
      }
      aie::store_v(to + (band * (kN / 8) + tile) * kTileLanes, product.template to_vector<int8>(kShift));
    }
  }
}

// sum p * v of every row and column, divided by 256 half up and clamped to int8: with p from 0 to 255, 255/256 of what
// the probabilities stand for.
template <unsigned kRows, unsigned kN, unsigned kValueDim>
void values_of_head(adf::input_buffer<uint8, adf::extents<kRows * kN>>& p,
                    adf::input_buffer<int8, adf::extents<kN * kValueDim>>& v,
                    adf::output_buffer<int8, adf::extents<kRows * kValueDim>>& o) {
  constexpr unsigned kTileRows = tile_rows(kArch);
  constexpr unsigned kTileLanes = 8 * kTileRows;
  static_assert(kRows % kTileRows == 0 && kN % 16 == 0 && kValueDim % 8 == 0, "whole tiles only");
  constexpr unsigned kColumns = kValueDim / 8;
  const RoundingSaturation modes(aie::rounding_mode::positive_inf, aie::saturation_mode::saturate);
  const int8* values = v.data();
  int8* to = o.data();
  HCCS_LOOP(band, kRows / kTileRows, "products.values", 1) {
    const uint8* weights = p.data() + band * kTileRows * kN;
    HCCS_LOOP(column, kColumns, "products.values.tiles", 1) {
      aie::mmul<kTileRows, 8, 8, uint8, int8> sum;
      for (unsigned tile = 0; tile < kN / 8; ++tile) {
        const auto weight = aie::load_v<kTileLanes>(weights + tile * kTileLanes);
        const auto value = aie::load_v<64>(values + (tile * kColumns + column) * 64);
        if (tile == 0) {
          sum.mul(weight, value);
        } else {
          sum.mac(weight, value);
        }
      }
      aie::store_v(to + (band * kColumns + column) * kTileLanes, sum.template to_vector<int8>(8));
    }
  }
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_PRODUCTS_H_
