// SPDX-License-Identifier: Apache-2.0
//
// The logits of a call and which of them are valid, for the passes of tiles (tiles.h).
#ifndef HCCS_AIE_KERNELS_TILES_MASKED_H_
#define HCCS_AIE_KERNELS_TILES_MASKED_H_

#include "device.h"
#include "layout.h"
#include "masks.h"
#include "tiles_scratch.h"

namespace hccs_kernels::tiles_passes {

// The logits of one head and which of them are valid. MaskKind::kNone promises whole tiles and registers, too. Nothing
// of a row that is not there is valid.
template <MaskKind kMask>
class MaskedTiles {
 public:
  MaskedTiles(const int8* logits, unsigned rows, unsigned n, const BlockMask& masks)
      : logits_(logits),
        bits_(masks.bits),
        rows_(rows),
        vectors_(tiles_vectors(n, kArch)),
        length_(clamp(masks.valid_length, 0, static_cast<int32_t>(n))),
        first_length_(masks.causal ? clamp(masks.causal_offset, -65537, 65536) + 1 : 65536),
        step_(masks.causal ? 1 : 0),
        band_row_(masks.causal || rows % kTileRows != 0 ? lane_number(kTileRows == 4 ? 0x18 : 0x38)
                                                        : aie::vector<int8, 64>()),
        band_column_(lane_number(kTileRows == 4 ? 0x27 : 0x07)) {}

  unsigned rows() const { return rows_; }
  unsigned bands() const { return tiles_bands(rows_, kArch); }
  unsigned vectors() const { return vectors_; }
  // Valid positions of each row, under a causal mask the most.
  int32_t length() const { return length_; }
  // Positions that the causal mask leaves row 0; each row sees one more than the row before. Without one, more than
  // any.
  int32_t first_length() const { return first_length_; }
  bool causal() const { return step_ != 0; }

  // The band itself, or the last one for bands beyond it.
  unsigned existing(unsigned band) const { return band < bands() ? band : bands() - 1; }

  // Positions of the row below which validity is up to the bits alone.
  int32_t row_length(unsigned row) const {
    return clamp(first_length_ + static_cast<int32_t>(step_ * row), 0, length_);
  }
  // Registers of a band that are valid as a whole, but for rows beyond the last; the boundary_vectors() after them are
  // valid in part at the most (lengths do not fall from row to row), and those after them are not.
  unsigned whole_vectors(unsigned band) const {
    return static_cast<unsigned>(row_length(band * kTileRows)) / kVectorColumns;
  }
  unsigned boundary_vectors() const {
    return step_ == 0 || static_cast<uint32_t>(first_length_ - 1) % kTileRows == 0 ? 1 : 2;
  }

  const int8* place_of(unsigned band, unsigned vector) const { return logits_ + (band * vectors_ + vector) * 64; }

  // Tile `tile` of each of a leaf's bands with bit masks: eight rows of eight lanes, -128 for what is not valid. Rows
  // beyond the last have any maximum.
  aie::vector<int8, 64> load_valid_leaf(unsigned leaf, unsigned tile) const {
    const unsigned first = existing(leaf * kLeafBands);
    const unsigned last = existing(leaf * kLeafBands + kLeafBands - 1);
    const auto load = [&](unsigned band) { return aie::load_v<kTileLanes>(place_of(band, 0) + tile * kTileLanes); };
    auto valid = below_lengths(leaf * kLeafRows, tile * 8, lane_number(0x38), lane_number(0x07));
    if constexpr (kLeafBands == 2) {
      valid = valid & words(first * vectors_ * 2 + tile, last * vectors_ * 2 + tile);
      return aie::select(static_cast<int8>(-128), aie::vector<int8, 64>(aie::concat(load(first), load(last))), valid);
    } else {
      valid = valid & words((first * vectors_ + tile) * 2, (first * vectors_ + tile) * 2 + 1);
      return aie::select(static_cast<int8>(-128), load(first), valid);
    }
  }

  // What is valid of register `vector` of a band, by the lengths alone and but for rows beyond the last.
  aie::mask<64> valid_columns(unsigned band, unsigned vector) const {
    return below_lengths(band * kTileRows, vector * kVectorColumns, band_row_, band_column_);
  }
  // What is valid of register `vector` of a band.
  aie::mask<64> valid(unsigned band, unsigned vector) const {
    auto valid = valid_columns(band, vector);
    if ((band + 1) * kTileRows > rows_) valid = valid & existing_rows();
    if constexpr (kMask == MaskKind::kBits) {
      valid = valid & words((band * vectors_ + vector) * 2, (band * vectors_ + vector) * 2 + 1);
    }
    return valid;
  }
  // The lanes of the last band whose rows exist.
  aie::mask<64> existing_rows() const {
    return aie::lt(band_row_, static_cast<int8>(rows_ - (bands() - 1) * kTileRows));
  }

 private:
  aie::mask<64> words(unsigned low, unsigned high) const { return load_mask(bits_ + low, bits_ + high); }
  // The valid lanes of a register that begins at (row, column). Numbers beyond what lanes can tell apart are clamped.
  aie::mask<64> below_lengths(unsigned row, unsigned column, const aie::vector<int8, 64>& lane_row,
                              const aie::vector<int8, 64>& lane_column) const {
    const auto length = static_cast<int8>(clamp(length_ - static_cast<int32_t>(column), 0, 100));
    if (step_ == 0) return aie::lt(lane_column, length);
    const auto causal = static_cast<int8>(
        clamp(first_length_ + static_cast<int32_t>(step_ * row) - static_cast<int32_t>(column), -100, 100));
    return aie::lt(lane_column, aie::min(aie::add(lane_row, causal), length));
  }

  // The bits of the lane's index that are set in `which`, moved together, in each lane.
  static aie::vector<int8, 64> lane_number(unsigned which) {
    constexpr uint64_t kLanesWithBit[6] = {0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc, 0xf0f0f0f0f0f0f0f0,
                                           0xff00ff00ff00ff00, 0xffff0000ffff0000, 0xffffffff00000000};
    auto number = aie::zeros<int8, 64>();
    int8 weight = 1;
    for (unsigned bit = 0; bit < 6; ++bit) {
      if ((which >> bit & 1) == 0) continue;
      number = aie::select(number, aie::add(number, weight), aie::mask<64>::from_uint64(kLanesWithBit[bit]));
      weight = static_cast<int8>(2 * weight);
    }
    return number;
  }

  const int8* logits_;
  const uint32_t* bits_;
  unsigned rows_, vectors_;
  int32_t length_, first_length_;
  uint32_t step_;
  // For each lane of a register of a band, its row in the band, where that is of use, and its column.
  aie::vector<int8, 64> band_row_, band_column_;
};

// The logits of a block with -128 beyond the rows' lengths: registers in which a row ends are copies in the scratch,
// those beyond are all one. Bit masks are not looked at.
template <MaskKind kMask, unsigned kKnees>
class Logits {
 public:
  Logits(const MaskedTiles<kMask>& x, const Block& block, TilesScratch<kKnees>& scratch)
      : x_(x), block_(block), scratch_(scratch) {
    if constexpr (kMask == MaskKind::kLength) {
      aie::store_v(scratch.hidden, aie::broadcast<int8, 64>(-128));
      for_boundary([&](unsigned place, unsigned i, unsigned vector) {
        const unsigned band = block_.first_band() + place;
        const auto logits = aie::load_v<64>(x_.place_of(band, vector < x_.vectors() ? vector : 0));
        aie::store_v(scratch_.boundary[place][i],
                     aie::select(static_cast<int8>(-128), logits, x_.valid_columns(band, vector)));
      });
    }
  }

  // Calls f(place of the band in the block, which boundary register, register). A register beyond the band's stands for
  // none.
  template <typename F>
  void for_boundary(F f) const {
    const unsigned each = x_.boundary_vectors();
    unsigned place = 0;
    unsigned i = 0;
    HCCS_LOOP(p, block_.bands * each, "tiles.boundary", 1) {
      f(place, i, x_.whole_vectors(block_.first_band() + place) + i);
      if (++i == each) {
        i = 0;
        ++place;
      }
    }
  }

  const int8* place_of(unsigned place, unsigned vector) const {
    const unsigned band = x_.existing(block_.first_band() + place);
    if constexpr (kMask == MaskKind::kLength) {
      const unsigned whole = x_.whole_vectors(band);
      if (vector >= whole + x_.boundary_vectors()) return scratch_.hidden;
      if (vector >= whole) return scratch_.boundary[band - block_.first_band()][vector - whole];
    }
    return x_.place_of(band, vector);
  }
  // Register `vector` of a band.
  aie::vector<int8, 64> load(unsigned place, unsigned vector) const { return aie::load_v<64>(place_of(place, vector)); }
  // Tile `tile` of each of a leaf's bands: eight rows of eight lanes.
  aie::vector<int8, 64> load_leaf(unsigned leaf, unsigned tile) const {
    if constexpr (kMask == MaskKind::kBits) {
      return x_.load_valid_leaf(block_.first_leaf + leaf, tile);
    } else if constexpr (kLeafBands == 1) {
      return load(leaf, tile);
    } else {
      const unsigned at = tile % kVectorTiles * kTileLanes;
      return aie::concat(aie::load_v<32>(place_of(2 * leaf, tile / kVectorTiles) + at),
                         aie::load_v<32>(place_of(2 * leaf + 1, tile / kVectorTiles) + at));
    }
  }

 private:
  const MaskedTiles<kMask>& x_;
  const Block& block_;
  TilesScratch<kKnees>& scratch_;
};

}  // namespace hccs_kernels::tiles_passes

#endif  // HCCS_AIE_KERNELS_TILES_MASKED_H_
