// SPDX-License-Identifier: Apache-2.0
//
// What the passes of tiles (tiles.h) leave for each other.
#ifndef HCCS_AIE_KERNELS_TILES_SCRATCH_H_
#define HCCS_AIE_KERNELS_TILES_SCRATCH_H_

#include "device.h"
#include "head.h"
#include "layout.h"

namespace hccs_kernels {

// The sizes of layout.h on this device.
inline constexpr unsigned kTileRows = tile_rows(kArch);
inline constexpr unsigned kTileLanes = tile_lanes(kArch);
inline constexpr unsigned kVectorTiles = 64 / kTileLanes;          // tiles in a register
inline constexpr unsigned kVectorColumns = vector_columns(kArch);  // columns in a register
inline constexpr unsigned kBlockBands = kTilesBlockRows / kTileRows;
inline constexpr unsigned kLeafBands = kTilesLeafRows / kTileRows;

// The scratch of a call, whatever the number of its rows: what the passes of a block leave for each other.
template <unsigned kKnees>
struct alignas(64) TilesScratch {
  int8 maxima[kTilesBlockLeaves][64];              // eight lanes a row
  int8 thresholds[kKnees][kTilesBlockLeaves][64];  // t_k, eight lanes a row; or in the first m + 1
  int8 columns[kKnees][8][64];                     // matrices of 8 x 8, AIE-ML 8 x 4: S_k in column l alone
  int8 ones[8][64];                                // matrices with 1 in column l alone, which count the bits of masks
  int8 boundary[kBlockBands][2][64];               // registers of logits that are valid in part, masked
  int8 hidden[64];
  int16 first[kTilesBlockLeaves][4 * kTilesLeafRows];  // factors of the rows, four lanes each
  int16 second[kTilesBlockLeaves][4 * kTilesLeafRows];
};

namespace tiles_passes {

// Blocks of 64 rows, in leaves of eight.
inline constexpr unsigned kBlockRows = kTilesBlockRows;
inline constexpr unsigned kLeafRows = kTilesLeafRows;
inline constexpr unsigned kBlockLeaves = kTilesBlockLeaves;

// A block of rows: its first leaf, and its bands.
struct Block {
  unsigned first_leaf = 0;
  unsigned leaves = 0, bands = 0;

  unsigned first_band() const { return first_leaf * kLeafBands; }
};

}  // namespace tiles_passes
}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_TILES_SCRATCH_H_
