// SPDX-License-Identifier: Apache-2.0
//
// Pass 1 of tiles (tiles.h): the maxima of each leaf, eight lanes a row; of 64 rows, by shuffles that all of them
// share; the thresholds.
#ifndef HCCS_AIE_KERNELS_TILES_MAXIMA_H_
#define HCCS_AIE_KERNELS_TILES_MAXIMA_H_

#include "head.h"
#include "row_groups.h"
#include "tiles_masked.h"
#include "tiles_scratch.h"

namespace hccs_kernels::tiles_passes {

// Stores eight lanes a row of 64 rows that have a lane each.
inline void store_eight_lanes(const aie::vector<int8, 64>& rows, int8 (&lanes)[kBlockLeaves][64]) {
  const auto twice = [](const aie::vector<int8, 64>& x) { return aie::interleave_zip(x, x, 1); };
  const auto two = twice(rows);
  const aie::vector<int8, 64> halves[2] = {two.first, two.second};
  for (unsigned i = 0; i < 2; ++i) {
    const auto four = twice(halves[i]);
    const aie::vector<int8, 64> quarters[2] = {four.first, four.second};
    for (unsigned j = 0; j < 2; ++j) {
      const auto eight = twice(quarters[j]);
      aie::store_v(lanes[4 * i + 2 * j], eight.first);
      aie::store_v(lanes[4 * i + 2 * j + 1], eight.second);
    }
  }
}

// The maxima of each leaf of a block.
template <unsigned kSegment, MaskKind kMask, unsigned kKnees>
void find_maxima(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                 TilesScratch<kKnees>& scratch) {
  constexpr unsigned kTiles = (kMask != MaskKind::kBits ? kSegment : registers_of_pass(kSegment, 20, 0)) * kVectorTiles;
  const unsigned segments = x.vectors() * kVectorTiles / kTiles;
  const auto maxima_of = [&](unsigned leaf, unsigned first) {
    auto maxima = logits.load_leaf(leaf, first);
    for (unsigned t = 1; t < kTiles; ++t) maxima = aie::max(maxima, logits.load_leaf(leaf, first + t));
    return maxima;
  };
  if (segments == 1) {
    if constexpr (kTiles <= 8 && kMask != MaskKind::kBits) {
      for (unsigned leaf = 0; leaf < kBlockLeaves; ++leaf) {
        aie::store_v(scratch.maxima[leaf], maxima_of(leaf < block.leaves ? leaf : block.leaves - 1, 0));
      }
    } else {
      HCCS_LOOP(leaf, block.leaves, "tiles.maxima", 1) { aie::store_v(scratch.maxima[leaf], maxima_of(leaf, 0)); }
    }
    return;
  }
  unsigned leaf = 0;
  unsigned segment = 0;
  auto running = aie::broadcast<int8, 64>(-128);
  HCCS_LOOP(i, block.leaves * segments, "tiles.maxima", 2) {
    const uint32_t later = scalar(segment > 0 ? ~uint32_t{0} : 0u, segment);
    running = aie::select(static_cast<int8>(-128), running, aie::mask<64>::from_uint32(later, later));
    running = aie::max(running, maxima_of(leaf, segment * kTiles));
    aie::store_v(scratch.maxima[leaf], running);
    if (++segment == segments) {
      segment = 0;
      ++leaf;
    }
  }
}

// The maxima of 64 rows, and their thresholds.
template <unsigned kKnees>
Thresholds set_thresholds(const Block& block, const HccsHead& head, TilesScratch<kKnees>& scratch) {
  // For leaves that are not there, the last one.
  const auto load = [&](unsigned leaf) {
    return aie::load_v<64>(scratch.maxima[leaf < block.leaves ? leaf : block.leaves - 1]);
  };
  const auto two = [&](unsigned i) { return merge_max(load(i), load(i + 1), 4); };
  const auto maxima = merge_max(merge_max(two(0), two(2), 2), merge_max(two(4), two(6), 2), 1);
  int8 last = 1;
  for (unsigned k = 0; k < kKnees; ++k) last = head.position[k] > last ? head.position[k] : last;
  const bool fit = aie::lt(maxima, static_cast<int8>(last - 128)).empty();
  if (fit) {
    for (unsigned k = 0; k < kKnees; ++k) {
      store_eight_lanes(aie::sub(maxima, head.position[k]), scratch.thresholds[k]);
    }
  } else {
    store_eight_lanes(aie::add(maxima, static_cast<int8>(1)), scratch.thresholds[0]);
  }
  return fit ? Thresholds::kFit : Thresholds::kWrap;
}

}  // namespace hccs_kernels::tiles_passes

#endif  // HCCS_AIE_KERNELS_TILES_MAXIMA_H_
