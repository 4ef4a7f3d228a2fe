// SPDX-License-Identifier: Apache-2.0
//
// How passes 2 and 4 of tiles (tiles.h) make u_k of logits.
#ifndef HCCS_AIE_KERNELS_TILES_DISTANCES_H_
#define HCCS_AIE_KERNELS_TILES_DISTANCES_H_

#include "head.h"
#include "row_groups.h"
#include "tiles_scratch.h"

namespace hccs_kernels::tiles_passes {

// What turns the logits of a band into u_k.
template <Thresholds kThresholds, unsigned kKnees>
class Distances {
 public:
  Distances(const HccsHead& head, const TilesScratch<kKnees>& scratch, unsigned band) {
    // NOLINTNEXTLINE(bugprone-branch-clone): with one knee both are the same.
    for (unsigned k = 0; k < (kFit ? kKnees : 1u); ++k) {
      const int8* from = scratch.thresholds[k][band / kLeafBands] + band % kLeafBands * kTileLanes;
      if constexpr (kVectorTiles == 2) {
        lanes_[k] = aie::concat(aie::load_v<32>(from), aie::load_v<32>(from));
      } else {
        lanes_[k] = aie::load_v<64>(from);
      }
    }
    for (unsigned k = 0; k < kKnees; ++k) beyond_[k] = static_cast<uint8>(255 - head.position[k]);
  }
  void of(const aie::vector<int8, 64>& logits, aie::vector<int8, 64> (&u)[kKnees]) const {
    if constexpr (kFit) {
      for (unsigned k = 0; k < kKnees; ++k) u[k] = aie::maxdiff(logits, lanes_[k]);
    } else {
      const auto rest = aie::sub(logits, lanes_[0]).template cast_to<uint8>();
      for (unsigned k = 0; k < kKnees; ++k) {
        u[k] = aie::maxdiff(rest, aie::broadcast<uint8, 64>(beyond_[k])).template cast_to<int8>();
      }
    }
  }

 private:
  static constexpr bool kFit = kThresholds == Thresholds::kFit;
  aie::vector<int8, 64> lanes_[kKnees];
  uint8 beyond_[kKnees];
};

}  // namespace hccs_kernels::tiles_passes

#endif  // HCCS_AIE_KERNELS_TILES_DISTANCES_H_
