// SPDX-License-Identifier: Apache-2.0
//
// Pass 2 of tiles (tiles.h): u_k of all positions, and their sums, by products with matrices that put the sums of 64
// rows into as many lanes.
#ifndef HCCS_AIE_KERNELS_TILES_SUMS_H_
#define HCCS_AIE_KERNELS_TILES_SUMS_H_

#include <type_traits>
#include <utility>

#include "head.h"
#include "row_factors.h"
#include "tiles_distances.h"
#include "tiles_masked.h"
#include "tiles_scratch.h"

namespace hccs_kernels::tiles_passes {

// Sums of 64 rows in int32 lanes; kLaneWeights says of which row. A pass is of one band; kMatrices of them are added
// with weights of their own.
//
// v2: a product of a tile with a matrix that has a weight in column l, and 0 elsewhere, adds the sums of the tile's
// rows into column l, that of band l.
//
// AIE-ML: in two steps. A register is the second operand of a product that adds rows of its two tiles, which leaves
// eight sums a row at the end of a pass, below 2^15, as a pass takes at most 16 tiles of 0..127. A product of those
// with such a matrix puts their sum into column b / 4 of the accumulator b % 4, of band b. A pass goes to the
// accumulator after that of the pass before.
template <unsigned kMatrices, bool kTwoSteps = kTileRows == 4>
class BlockSums {
 public:
  static constexpr unsigned kColumns = kTwoSteps ? 4 : 8;
  static constexpr unsigned kParts = 4;
  using Column = aie::vector<int8, 8 * kColumns>;

  // All sums begin at `start`.
  explicit BlockSums(int32_t start) : start_(start) {
    using Sums = typename Part::accum_type;
    for (Part& part : parts_) {
      if constexpr (kTwoSteps) {
        part = Part(Sums(aie::broadcast<int32, Sums::size()>(start)));
      } else {
        part = Part(aie::zeros<typename Sums::value_type, Sums::size()>());
      }
    }
  }

  // Adds register `vector` of the pass to sum `matrix`.
  void add(unsigned matrix, const aie::vector<int8, 64>& tiles, unsigned vector, const Column& column) {
    if constexpr (kTwoSteps) {
      pass_[matrix].mac(selector(), tiles);
    } else {
      parts_[vector % 2].mac(tiles, column);
    }
  }
  // Ends the pass.
  void end(const Column (&columns)[kMatrices]) {
    if constexpr (kTwoSteps) {
      Part part = parts_[0];
      for (unsigned m = 0; m < kMatrices; ++m) {
        part.mac(pass_[m].to_accum().template to_vector<int16>(0), columns[m]);
        pass_[m] = Pass();
      }
      for (unsigned i = 0; i + 1 < kParts; ++i) parts_[i] = parts_[i + 1];
      parts_[kParts - 1] = part;
    } else {
      // Two accumulators for every other pass each, so that four chains of sums run side by side.
      std::swap(parts_[0], parts_[2]);
      std::swap(parts_[1], parts_[3]);
    }
  }

  aie::accum<acc32, kBlockRows> total() const {
    if constexpr (kTwoSteps) {
      return aie::accum<acc32, kBlockRows>(aie::concat(of(0), of(1), of(2), of(3)));
    } else {
      const aie::accum<acc32, kBlockRows> start(aie::broadcast<int32, kBlockRows>(start_));
      return aie::add(aie::add(aie::add(parts_[0].to_accum(), parts_[1].to_accum()),
                               aie::add(parts_[2].to_accum(), parts_[3].to_accum())),
                      start);
    }
  }
  RowSums of(unsigned i) const {
    if constexpr (kTwoSteps) {
      return parts_[i].template to_vector<int32>(0);
    } else {
      return total().template extract<kGroupRows>(i).template to_vector<int32>();
    }
  }

 private:
  using Pass = aie::mmul<4, 8, 8, int8, int8>;
  using Narrow = std::conditional_t<kTwoSteps, int16, int8>;
  using Part = aie::mmul<kTwoSteps ? 4 : 8, 8, kColumns, Narrow, int8>;

  // Line i of 4 x 8 adds rows i and i + 4.
  static aie::vector<int8, 32> selector() {
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 32>(1), aie::mask<32>::from_uint32(0x88442211u));
  }

  int32_t start_;
  Part parts_[kParts];
  Pass pass_[kMatrices];
};

// Which row a lane of BlockSums is of: the sum of these numbers for the bits that are set in the lane's number.
inline constexpr unsigned kLaneWeights[6] = {kTileRows == 4 ? 16 : 8, kTileRows == 4 ? 32 : 16, kTileRows == 4 ? 1 : 32,
                                             kTileRows == 4 ? 2 : 1,  kTileRows == 4 ? 4 : 2,   kTileRows == 4 ? 8 : 4};
// Matrices of BlockSums, and which a band's is.
inline constexpr unsigned kColumns = BlockSums<1>::kColumns;
constexpr unsigned column_of(unsigned place) { return kTileRows == 4 ? place / 4 : place; }

// Tiles of a band up to which the passes of a whole block are one piece of code: loops of so few passes would not
// overlap.
inline constexpr unsigned kUnrolledTiles = kTileRows == 4 ? 8 : 16;

// The matrices by which sums are added up.
template <MaskKind kMask, unsigned kKnees>
void set_columns(const HccsHead& head, TilesScratch<kKnees>& scratch) {
  const auto set = [](int8 weight, int8(&columns)[8][64]) {
    for (unsigned column = 0; column < kColumns; ++column) {
      constexpr unsigned kLanes = 8 * kColumns;
      const uint32_t lanes = (kColumns == 4 ? 0x11111111u : 0x01010101u) << column;
      const auto mask = aie::mask<64>::from_uint32(lanes, lanes).template extract<kLanes>(0);
      aie::store_v(columns[column], aie::select(static_cast<int8>(0), aie::broadcast<int8, kLanes>(weight), mask));
    }
  };
  for (unsigned k = 0; k < kKnees; ++k) set(head.slope[k], scratch.columns[k]);
  if constexpr (kMask == MaskKind::kBits) set(1, scratch.ones);
}

// The sums of S_k * u_k of a block, on `sums`; with bit masks, of the valid positions on `count`.
template <unsigned kSegment, Thresholds kThresholds, MaskKind kMask, unsigned kKnees>
void add_up(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block, const HccsHead& head,
            const TilesScratch<kKnees>& scratch, BlockSums<kKnees>& sums, BlockSums<1>& count) {
  // Where thresholds fit, invalid positions, which are -128, have u = 0 without a mask.
  constexpr bool kMasked = kMask == MaskKind::kBits || (kMask == MaskKind::kLength && kThresholds != Thresholds::kFit);
  constexpr unsigned kEach = kVectorTiles + 2 * kKnees + (kMask == MaskKind::kBits ? 20 : kMasked ? 10 : 0);
  constexpr unsigned kVectors = registers_of_pass(kSegment, kEach, kVectorTiles * (1 + 2 * kKnees));
  // The passes of AIE-ML go through four bands at a time.
  constexpr unsigned kTogether = kTileRows == 4 ? 4 : 1;
  const unsigned segments = x.vectors() / kVectors;
  const auto ones = aie::broadcast<int8, 64>(1);
  unsigned first = 0;
  unsigned segment = 0;
  unsigned next = 0;
  const auto pass = [&] {
    const unsigned place = first + next;
    const unsigned band = x.existing(block.first_band() + place);
    const Distances<kThresholds, kKnees> distances(head, scratch, place);
    constexpr unsigned kLanes = 8 * kColumns;
    aie::vector<int8, kLanes> columns[kKnees], counts[1];
    for (unsigned k = 0; k < kKnees; ++k) columns[k] = aie::load_v<kLanes>(scratch.columns[k][column_of(place)]);
    if constexpr (kMask == MaskKind::kBits) counts[0] = aie::load_v<kLanes>(scratch.ones[column_of(place)]);
    for (unsigned v = 0; v < kVectors; ++v) {
      aie::vector<int8, 64> u[kKnees];
      distances.of(logits.load(place, segment * kVectors + v), u);
      if constexpr (kMasked) {
        const auto valid = x.valid(band, segment * kVectors + v);
        for (unsigned k = 0; k < kKnees; ++k) u[k] = aie::select(static_cast<int8>(0), u[k], valid);
        if constexpr (kMask == MaskKind::kBits) {
          count.add(0, aie::select(static_cast<int8>(0), ones, valid), v, counts[0]);
        }
      }
      for (unsigned k = 0; k < kKnees; ++k) sums.add(k, u[k], v, columns[k]);
    }
    sums.end(columns);
    if constexpr (kMask == MaskKind::kBits) count.end(counts);
    if (++next == kTogether) {
      next = 0;
      if (++segment == segments) {
        segment = 0;
        first += kTogether;
      }
    }
  };
  if constexpr (!kMasked && kSegment * kVectorTiles <= kUnrolledTiles) {
    if (segments == 1 && block.leaves == kBlockLeaves) {
      for (unsigned i = 0; i < kBlockLeaves * kLeafBands; ++i) pass();
      return;
    }
  }
  const unsigned passes = (block.bands + kTogether - 1) / kTogether * kTogether * segments;
  HCCS_LOOP(i, passes, "tiles.sums", kTogether) { pass(); }
}

}  // namespace hccs_kernels::tiles_passes

#endif  // HCCS_AIE_KERNELS_TILES_SUMS_H_
