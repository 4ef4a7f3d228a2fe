// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int8 rows in the tiles that aie::mmul reads and writes, so that it stands between two matrix products
// without a change of layout. Any row length, K = 1..4, all six outputs, masks.
//
// Layout: tiles of kTileRows x 8 elements, row after row within a tile; the tiles of kTileRows rows (a band) one after
// another, then the next band. kTileRows is 4 on AIE-ML (mmul<4, 8, 8>) and 8 on v2 (mmul<8, 8, 8>). A band is filled
// up to whole registers: to a multiple of 16 columns on AIE-ML, of 8 on v2. What is beside the rows may have any value
// in the logits and becomes 0 in the output. Both buffers have tiles_elements(rows, n) elements, aligned to
// aie::vector_decl_align, and do not overlap. Bit masks: bit j of word w is element 32 w + j of that layout.
//
// Serves every head without a head_error(head, kKnees, n, kMask), check_aie, but `scaled` to int16 only for n up to
// kScaledWideLongest. Widths: below, row_factors.h.
#ifndef HCCS_AIE_KERNELS_TILES_H_
#define HCCS_AIE_KERNELS_TILES_H_

#include <type_traits>
#include <utility>

#include "hccs_head.h"
#include "row_factors.h"
#include "row_groups.h"

namespace hccs_kernels {

inline constexpr unsigned kTileRows = __AIE_ARCH__ == 20 ? 4 : 8;
inline constexpr unsigned kTileLanes = kTileRows * 8;
inline constexpr unsigned kVectorTiles = 64 / kTileLanes;     // tiles in a register
inline constexpr unsigned kVectorColumns = 8 * kVectorTiles;  // columns in a register

// Registers of a band.
constexpr unsigned tiles_vectors(unsigned n) { return (n + kVectorColumns - 1) / kVectorColumns; }
constexpr unsigned tiles_elements(unsigned rows, unsigned n) {
  return (rows + kTileRows - 1) / kTileRows * tiles_vectors(n) * 64;
}
// Where position i of a row is.
constexpr unsigned tiles_index(unsigned row, unsigned i, unsigned n) {
  const unsigned tile = row / kTileRows * tiles_vectors(n) * kVectorTiles + i / 8;
  return tile * kTileLanes + row % kTileRows * 8 + i % 8;
}

// Blocks of 64 rows go through five passes. A block is eight leaves of eight rows; a leaf is a band on v2, two on
// AIE-ML.
//   1  the maxima of each leaf, eight lanes a row; of 64 rows, by shuffles that all of them share; the thresholds
//   2  u_k of all positions, and their sums, by products with matrices that put the sums of 64 rows into as many lanes
//   3  Z and the factors of 64 rows
//   4  the results
//
// With t_k = m - D_k and u_k = max(x - t_k, 0) = D_k - min(m - x, D_k), 0..127:
//
//   s = F + sum_k S_k * u_k                  F = B - sum_k S_k * D_k, the floor
//   Z = count * F + sum_k S_k * sum u_k      below 2^31, as n * B is
//
// t_k fits int8, and u_k is one instruction (maxdiff), unless a row's maximum is below D_K - 128. If a block has such a
// row, it takes the distances as bytes without a sign in two: u_k = max((255 - d) - (255 - D_k), 0), where 255 - d =
// x - m - 1 modulo 2^8.
//
// An invalid position counts as -128 in the maximum, has u = 0 in the sums and gets 0 in the end.
//
// Limits cost copies: registers that a limit crosses are read from a copy that has -128 where they are invalid, and
// registers beyond it from one that has nothing else; their results are set to 0 at the end. Bit masks cost selects.
//
// All lanes of a register share one shift, and the rows of a band have different k = floor(log2 Z). With f the largest,
// and factors 2^(f-k) of the rows, pass 4 has two short forms, which need f <= 15 and rows of one count c of valid
// positions, so that k is at least floor(log2(B + (c-1) * F)):
//
//   clb u8    (255 * s) >> k is (255 * 2^(f-k) * s) >> f: products of u_k with 255 * 2^(f-k) * S_k, on top of
//             255 * 2^(f-k) * F. Needs 255 * 2^(f-k) * S_k < 2^16; then 255 * 2^(f-k) <= 255 * 2^7, and all sums are
//             below 255 * B * 2^7 < 2^31 (B <= Z < 2^16)
//   scaled    ((s * 2^(f-k)) * r + half) >> (f + 7) for the contract's (s * r + 2^(k+6)) >> (k + 7); int16: without the
//             7. Needs B * 2^(f-k) < 2^15; r has 15 bits
//
// Everything else goes the long way: scale() below.

inline constexpr unsigned kBlockRows = 64;
inline constexpr unsigned kLeafRows = 8;
inline constexpr unsigned kBlockLeaves = kBlockRows / kLeafRows;
inline constexpr unsigned kLeafBands = kLeafRows / kTileRows;

// What the passes leave for each other, for a block. One serves any number of rows.
template <unsigned kKnees>
struct alignas(64) TilesScratch {
  int8 maxima[kBlockLeaves][64];                 // eight lanes a row
  int8 thresholds[kKnees][kBlockLeaves][64];     // t_k, eight lanes a row; or in the first m + 1
  int8 columns[kKnees][8][64];                   // 8 x 8, AIE-ML 8 x 4: S_k in column l alone
  int8 ones[8][64];                              // ... 1: of bit masks
  int8 boundary[kBlockRows / kTileRows][2][64];  // registers of logits that are valid in part, masked
  int8 hidden[64];
  int16 first[kBlockLeaves][4 * kLeafRows];  // factors of the rows, four lanes each
  int16 second[kBlockLeaves][4 * kLeafRows];
};

// Registers that a pass of a loop takes of a band at the most.
constexpr unsigned tiles_segment(unsigned n) {
  unsigned segment = 16 / kVectorTiles;
  while (tiles_vectors(n) % segment != 0) segment /= 2;
  return segment;
}

// The logits of one head and which of them are valid. MaskKind::kNone promises whole tiles and registers, too. Nothing
// of a row that is not there is valid.
template <MaskKind kMask>
class MaskedTiles {
 public:
  MaskedTiles(const int8* logits, unsigned rows, unsigned n, const BlockMask& masks)
      : logits_(logits),
        bits_(masks.bits),
        rows_(rows),
        vectors_(tiles_vectors(n)),
        limit_(clamp(masks.valid_length, 0, static_cast<int32_t>(n))),
        first_limit_(masks.causal ? clamp(masks.causal_offset, -65537, 65536) + 1 : 65536),
        step_(masks.causal ? 1 : 0),
        band_row_(masks.causal || rows % kTileRows != 0 ? lane_number(kTileRows == 4 ? 0x18 : 0x38)
                                                        : aie::vector<int8, 64>()),
        band_column_(lane_number(kTileRows == 4 ? 0x27 : 0x07)) {}

  unsigned rows() const { return rows_; }
  unsigned bands() const { return (rows_ + kTileRows - 1) / kTileRows; }
  unsigned vectors() const { return vectors_; }
  int32_t limit() const { return limit_; }
  int32_t first_limit() const { return first_limit_; }
  bool causal() const { return step_ != 0; }

  // The band itself, or the last one for bands beyond it.
  unsigned existing(unsigned band) const { return band < bands() ? band : bands() - 1; }

  // Positions of the row below which validity is up to the bits alone.
  int32_t limit(unsigned row) const { return clamp(first_limit_ + static_cast<int32_t>(step_ * row), 0, limit_); }
  // Registers of a band that are valid as a whole, but for rows beyond the last; the boundary_vectors() after them are
  // valid in part at the most (limits do not fall from row to row), and those after them are not.
  unsigned whole_vectors(unsigned band) const {
    return static_cast<unsigned>(limit(band * kTileRows)) / kVectorColumns;
  }
  unsigned boundary_vectors() const {
    return step_ == 0 || static_cast<uint32_t>(first_limit_ - 1) % kTileRows == 0 ? 1 : 2;
  }

  const int8* place_of(unsigned band, unsigned vector) const { return logits_ + (band * vectors_ + vector) * 64; }

  // Tile `tile` of each of a leaf's bands with bit masks: eight rows of eight lanes, -128 for what is not valid. Rows
  // beyond the last have any maximum.
  aie::vector<int8, 64> load_valid_leaf(unsigned leaf, unsigned tile) const {
    const unsigned first = existing(leaf * kLeafBands);
    const unsigned last = existing(leaf * kLeafBands + kLeafBands - 1);
    const auto load = [&](unsigned band) { return aie::load_v<kTileLanes>(place_of(band, 0) + tile * kTileLanes); };
    auto valid = below_limits(leaf * kLeafRows, tile * 8, lane_number(0x38), lane_number(0x07));
    if constexpr (kLeafBands == 2) {
      valid = valid & words(first * vectors_ * 2 + tile, last * vectors_ * 2 + tile);
      return aie::select(static_cast<int8>(-128), aie::vector<int8, 64>(aie::concat(load(first), load(last))), valid);
    } else {
      valid = valid & words((first * vectors_ + tile) * 2, (first * vectors_ + tile) * 2 + 1);
      return aie::select(static_cast<int8>(-128), load(first), valid);
    }
  }

  // What is valid of register `vector` of a band, by the limits alone and but for rows beyond the last; and at all.
  aie::mask<64> valid_columns(unsigned band, unsigned vector) const {
    return below_limits(band * kTileRows, vector * kVectorColumns, band_row_, band_column_);
  }
  aie::mask<64> valid(unsigned band, unsigned vector) const {
    auto valid = valid_columns(band, vector);
    if ((band + 1) * kTileRows > rows_) valid = valid & existing_rows();
    if constexpr (kMask == MaskKind::kBits) {
      valid = valid & words((band * vectors_ + vector) * 2, (band * vectors_ + vector) * 2 + 1);
    }
    return valid;
  }
  // Of the last band, the rows that there are.
  aie::mask<64> existing_rows() const {
    return aie::lt(band_row_, static_cast<int8>(rows_ - (bands() - 1) * kTileRows));
  }

 private:
  static constexpr int32_t clamp(int32_t x, int32_t low, int32_t high) { return x < low ? low : x > high ? high : x; }

  aie::mask<64> words(unsigned low, unsigned high) const { return load_mask(bits_ + low, bits_ + high); }
  // Of a register whose first lane is (row, column): numbers beyond what its lanes can tell apart are cut to int8.
  aie::mask<64> below_limits(unsigned row, unsigned column, const aie::vector<int8, 64>& lane_row,
                             const aie::vector<int8, 64>& lane_column) const {
    const auto length = static_cast<int8>(clamp(limit_ - static_cast<int32_t>(column), 0, 100));
    if (step_ == 0) return aie::lt(lane_column, length);
    const auto causal = static_cast<int8>(
        clamp(first_limit_ + static_cast<int32_t>(step_ * row) - static_cast<int32_t>(column), -100, 100));
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
  int32_t limit_, first_limit_;
  uint32_t step_;
  // Of a register of a band: row in the band, where it is of use; column.
  aie::vector<int8, 64> band_row_, band_column_;
};

namespace tiles_passes {

// A block of rows: its first leaf, and its bands.
struct Block {
  unsigned first_leaf = 0;
  unsigned leaves = 0, bands = 0;

  unsigned first_band() const { return first_leaf * kLeafBands; }
};

// Registers, of a band's `segment`, that a pass takes: as many as a compiler overlaps with the next pass's, which is
// some 60 instructions.
constexpr unsigned pass_vectors(unsigned segment, unsigned instructions_each, unsigned instructions) {
  constexpr unsigned kMostInstructions = 60;
  while (segment > 1 && segment * instructions_each + instructions > kMostInstructions) segment /= 2;
  return segment;
}

// Tiles of a band up to which the passes of a whole block are one piece of code: loops of so few passes would not
// overlap.
inline constexpr unsigned kUnrolledTiles = kTileRows == 4 ? 8 : 16;

// Of 64 rows that have a lane: eight lanes a row.
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
// Of 64 rows as BlockSums has them: four lanes a row. Returns the first eight rows of it.
inline aie::vector<int16, 4 * kLeafRows> store_four_lanes(const aie::vector<int16, 64>& rows,
                                                          int16 (&lanes)[kBlockLeaves][4 * kLeafRows]) {
  aie::vector<int16, 4 * kLeafRows> first;
  const auto in_order = aie::transpose(rows, kTileRows == 4 ? 16 : 8, kTileRows == 4 ? 4 : 8);
  for (unsigned i = 0; i < 2; ++i) {
    const auto half = in_order.template extract<32>(i);
    const auto two = aie::interleave_zip(half, half, 1);
    const aie::vector<int16, 32> quarters[2] = {two.first, two.second};
    for (unsigned j = 0; j < 2; ++j) {
      const auto four = aie::interleave_zip(quarters[j], quarters[j], 1);
      if (i == 0 && j == 0) first = four.first;
      aie::store_v(lanes[4 * i + 2 * j], four.first);
      aie::store_v(lanes[4 * i + 2 * j + 1], four.second);
    }
  }
  return first;
}
// The eight lanes a row of a band, from four.
inline aie::vector<int16, kTileLanes> eight_lanes(const aie::vector<int16, kTileLanes / 2>& four) {
  const auto eight = aie::interleave_zip(four, four, 1);
  return aie::concat(eight.first, eight.second);
}
inline aie::vector<int16, kTileLanes> load_factors(const int16 (&lanes)[kBlockLeaves][4 * kLeafRows], unsigned band) {
  return eight_lanes(aie::load_v<kTileLanes / 2>(lanes[band / kLeafBands] + band % kLeafBands * (kTileLanes / 2)));
}

// The logits with -128 for what limits hide: registers that limits cross are copies in the scratch, those beyond are
// all one. Bit masks are not looked at.
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

// Pass 1: the maxima of each leaf.
template <unsigned kSegment, MaskKind kMask, unsigned kKnees>
void find_maxima(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                 TilesScratch<kKnees>& scratch) {
  constexpr unsigned kTiles = (kMask != MaskKind::kBits ? kSegment : pass_vectors(kSegment, 20, 0)) * kVectorTiles;
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

// ... of 64 rows, and their thresholds. True if the thresholds fit.
template <unsigned kKnees>
bool set_thresholds(const Block& block, const HccsHead& head, TilesScratch<kKnees>& scratch) {
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
  return fit;
}

// What turns logits into u_k. kFit: the thresholds do.
template <bool kFit, unsigned kKnees>
class Distances {
 public:
  Distances(const HccsHead& head, const TilesScratch<kKnees>& scratch, unsigned band) {
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
  aie::vector<int8, 64> lanes_[kKnees];
  uint8 beyond_[kKnees];
};

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

  // Each `start`.
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

// What the bits of a lane's number stand for in its row's.
inline constexpr unsigned kLaneWeights[6] = {kTileRows == 4 ? 16 : 8, kTileRows == 4 ? 32 : 16, kTileRows == 4 ? 1 : 32,
                                             kTileRows == 4 ? 2 : 1,  kTileRows == 4 ? 4 : 2,   kTileRows == 4 ? 8 : 4};
// Matrices of BlockSums, and which a band's is.
inline constexpr unsigned kColumns = BlockSums<1>::kColumns;
constexpr unsigned column_of(unsigned place) { return kTileRows == 4 ? place / 4 : place; }

// The matrices of pass 2.
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

// Pass 2: the sums of S_k * u_k, on `sums`, and with bit masks of the valid positions.
template <unsigned kSegment, bool kFit, MaskKind kMask, unsigned kKnees>
void add_up(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block, const HccsHead& head,
            const TilesScratch<kKnees>& scratch, BlockSums<kKnees>& sums, BlockSums<1>& count) {
  // Where thresholds fit, -128 has u = 0.
  constexpr bool kMasked = kMask == MaskKind::kBits || (kMask == MaskKind::kLength && !kFit);
  constexpr unsigned kEach = kVectorTiles + 2 * kKnees + (kMask == MaskKind::kBits ? 20 : kMasked ? 10 : 0);
  constexpr unsigned kVectors = pass_vectors(kSegment, kEach, kVectorTiles * (1 + 2 * kKnees));
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
    const Distances<kFit, kKnees> distances(head, scratch, place);
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

// How pass 4 makes results.
enum class Form {
  kFused,    // one product, a shift for all
  kShifted,  // scores times 2^(f-k), then by r, a shift for all
  kPlain,    // see scale()
};

// k is most - range .. most, for rows of `count` valid positions.
struct Exponents {
  Exponents(const HccsHead& head, int32_t count)
      : most(floor_log2(count * head.offset)), range(most - floor_log2(head.offset + (count - 1) * head_floor(head))) {}
  int most, range;
};

// The shortest form that serves the head.
template <Normalisation kNormalisation, typename Out>
Form form_of(const HccsHead& head, const Exponents& exponents) {
  if (exponents.most > 15) return Form::kPlain;
  if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
    int32_t slope = 1;
    for (unsigned k = 0; k < kMaxKnees; ++k) slope = head.slope[k] > slope ? head.slope[k] : slope;
    if ((255 * slope) << exponents.range < 1 << 16) return Form::kFused;
  }
  if constexpr (kNormalisation == Normalisation::kScaled) {
    if (head.offset << exponents.range < 1 << 15) return Form::kShifted;
  }
  return Form::kPlain;
}

// floor(2^(most-k)) of 64 rows, or floor(255 * 2^(most-k)), from kFloatBits + Z, Z < 2^23. The upper half of Z as a
// float has k + 127 above seven bits of its significand, from which the bits of the result as a bf16 follow: (most - k)
// + 127, and 7 more with a significand of 255 / 128. The difference may wrap in int16; what is left is 0..2^15 - 1, as
// most <= 15 and 8 <= k. Rows without a valid position, or that are not there, may give anything.
inline aie::vector<int16, kBlockRows> powers(const aie::accum<acc32, kBlockRows>& sums, int most, bool times_255) {
  const aie::accum<accfloat, kBlockRows> bias(aie::broadcast<float, kBlockRows>(8388608.0f));
  const auto z = aie::sub(sums.template cast_to<accfloat>(), bias).template cast_to<acc32>();
  const auto exponents = aie::bit_and(z.template to_vector<int16>(16), int16{0x7f80});
  const auto first = static_cast<int16>(times_255 ? (261 + most) * 128 + 127 : (254 + most) * 128);
  const auto bits = aie::sub(aie::broadcast<int16, kBlockRows>(first), exponents);
  return aie::to_fixed<int16>(bits.template cast_to<bfloat16>());
}

// Valid positions of 64 rows below the limits.
template <MaskKind kMask>
class RowLimits {
 public:
  RowLimits(const MaskedTiles<kMask>& x, const Block& block) : limit_(x.limit()), causal_(x.causal()) {
    if (!causal_) return;
    rows_ = aie::broadcast<int32, 16>(x.first_limit() + static_cast<int32_t>(block.first_leaf * kLeafRows));
    constexpr uint32_t kLanesWithBit[4] = {0xaaaa, 0xcccc, 0xf0f0, 0xff00};
    for (unsigned bit = 0; bit < 4; ++bit) {
      rows_ = aie::select(rows_, aie::add(rows_, static_cast<int32_t>(kLaneWeights[bit])),
                          aie::mask<16>::from_uint32(kLanesWithBit[bit]));
    }
  }
  RowSums of(unsigned i) const {
    const auto all = aie::broadcast<int32, 16>(limit_);
    if (!causal_) return all;
    return aie::min(aie::max(aie::add(rows_, static_cast<int32>(kLaneWeights[4] * i)), static_cast<int32>(0)), all);
  }

 private:
  aie::vector<int32, 16> rows_;
  int32_t limit_;
  bool causal_;
};

// Pass 3: the factors of 64 rows. Returns the powers of the first eight, four lanes each, if the form has powers.
template <Form kForm, Normalisation kNormalisation, typename Out, MaskKind kMask, unsigned kKnees>
aie::vector<int16, 4 * kLeafRows> make_factors(const MaskedTiles<kMask>& x, const Block& block, const HccsHead& head,
                                               const Exponents& exponents, const BlockSums<kKnees>& sums,
                                               const BlockSums<1>& count, TilesScratch<kKnees>& scratch) {
  if constexpr (kForm == Form::kFused) {
    return store_four_lanes(powers(sums.total(), exponents.most, true), scratch.first);
  }
  // Z of 16 rows; at least 256, which changes rows without a valid position only (head_error).
  const auto row_sum = [&](unsigned i) -> RowSums {
    if constexpr (kMask == MaskKind::kNone) return aie::max(sums.of(i), static_cast<int32>(256));
    RowSums valid;
    if constexpr (kMask == MaskKind::kBits) {
      valid = count.of(i);
    } else {
      valid = RowLimits<kMask>(x, block).of(i);
    }
    const auto z = aie::mac(aie::accum<acc64, kGroupRows>(sums.of(i)), valid,
                            aie::broadcast<int16, kGroupRows>(static_cast<int16>(head_floor(head))));
    return aie::max(z.template to_vector<int32>(0), static_cast<int32>(256));
  };
  aie::vector<int16, 4 * kLeafRows> first_powers;
  if constexpr (kForm == Form::kPlain && kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
    if (exponents.most < 23) {  // r is 255 * 2^(15-k), with a floor
      aie::vector<int32, kBlockRows> z;
      for (unsigned i = 0; i < kBlockRows / kGroupRows; ++i) z.insert(i, aie::add(row_sum(i), kFloatBits));
      return store_four_lanes(powers(aie::accum<acc32, kBlockRows>(z), 15, true), scratch.first);
    }
  }
  if constexpr (kForm == Form::kShifted) {
    first_powers = store_four_lanes(powers(sums.total(), exponents.most, false), scratch.second);
  }
  aie::vector<int16, kBlockRows> first, second;
  const auto modes = factor_modes();
  const int32_t largest = exponents.most >= 30 ? INT32_MAX : (2 << exponents.most) - 1;
  for (unsigned i = 0; i < kBlockRows / kGroupRows; i += 2) {
    if constexpr (kForm == Form::kShifted) {
      const auto z = [&](unsigned group) {
        return aie::max(aie::sub(sums.of(group), kFloatBits), static_cast<int32>(256));
      };
      first.insert(i / 2, row_reciprocals<kNormalisation, Out>(aie::concat(z(i), z(i + 1)), largest));
    } else {
      const auto z = aie::concat(row_sum(i), row_sum(i + 1));
      const auto factors = lane_factors<kNormalisation, Out>(z, largest, magnitude(head));
      first.insert(i / 2, factors.first);
      if constexpr (kNormalisation == Normalisation::kScaled) second.insert(i / 2, factors.second);
    }
  }
  store_four_lanes(first, scratch.first);
  if constexpr (kForm == Form::kPlain && kNormalisation == Normalisation::kScaled) {
    store_four_lanes(second, scratch.second);
  }
  return first_powers;
}

// The results of s' = s * 2^magnitude: row_factors.h has the forms.
template <Normalisation kNormalisation, typename Out>
aie::vector<Out, kTileLanes> scale(const aie::vector<int16, kTileLanes>& scores,
                                   const aie::vector<int16, kTileLanes>& first,
                                   const aie::vector<int16, kTileLanes>& second) {
  const auto product = aie::mul(scores, first);
  if constexpr (kNormalisation != Normalisation::kScaled) {
    return product.template to_vector<Out>(std::is_same_v<Out, int16> ? 0 : 15);
  } else if constexpr (std::is_same_v<Out, uint8>) {
    const aie::accum<acc32, kTileLanes> half(aie::broadcast<int16, kTileLanes>(1 << 14));
    return aie::mac(half, product.template to_vector<int16>(16), second).template to_vector<uint8>(15);
  } else {
    const aie::accum<acc64, 32> half(aie::broadcast<int32, 32>(1 << (kScaledWideShift - 1)));
    const auto part = [&](unsigned i) {
      const auto wide = product.template extract<32>(i).template to_vector<int32>();
      return aie::mac(half, wide, second.template extract<32>(i)).template to_vector<int16>(kScaledWideShift);
    };
    if constexpr (kTileLanes == 32) {
      return part(0);
    } else {
      return aie::concat(part(0), part(1));
    }
  }
}

// Instructions of pass 4 for a register.
template <Form kForm, Normalisation kNormalisation, typename Out, MaskKind kMask>
constexpr unsigned scale_instructions(unsigned knees) {
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr bool kScaled = kNormalisation == Normalisation::kScaled;
  const unsigned loads_and_stores = (kWide ? 3 : 2) * kVectorTiles;
  const unsigned scores = knees * (1 + 2 * kVectorTiles);
  const unsigned more = kForm == Form::kFused                       ? 0
                        : kForm == Form::kPlain && kScaled && kWide ? 30
                        : kForm == Form::kPlain && kScaled          ? 2 * (kVectorTiles + 2)
                                                                    : kVectorTiles + 2;
  const unsigned masks = kMask == MaskKind::kBits ? 16 : 0;
  return loads_and_stores + scores + more + masks;
}

// Pass 4: the results.
template <unsigned kSegment, Form kForm, bool kFit, Normalisation kNormalisation, typename Out, MaskKind kMask,
          unsigned kKnees>
void scale_bands(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                 const HccsHead& head, const Exponents& exponents, const TilesScratch<kKnees>& scratch,
                 const aie::vector<int16, 4 * kLeafRows>& first_powers, Out* out) {
  // More knees' slopes leave few registers.
  constexpr unsigned kMost = kKnees == 1 || kSegment < 2 ? kSegment : 2;
  constexpr unsigned kVectors = pass_vectors(kMost, scale_instructions<kForm, kNormalisation, Out, kMask>(kKnees),
                                             4 * kKnees + (kForm == Form::kFused ? 5 : 8));
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr bool kPlainScaled = kForm == Form::kPlain && kNormalisation == Normalisation::kScaled;
  const unsigned segments = x.vectors() / kVectors;
  const auto floor = static_cast<int16>(head_floor(head));
  const int scale_up = kPlainScaled ? magnitude(head) : 0;
  // What a band's lanes start from, and its slopes: uniform, or times the rows' factors.
  aie::accum<acc32, kTileLanes> constant(aie::broadcast<int16, kTileLanes>(floor), scale_up);
  using Slope = std::conditional_t<kForm == Form::kFused, uint16, int16>;
  aie::vector<Slope, kTileLanes> slope[kKnees];
  for (unsigned k = 0; k < kKnees; ++k) {
    slope[k] = aie::broadcast<Slope, kTileLanes>(static_cast<Slope>(head.slope[k] << scale_up));
  }
  const auto set_factors = [&](const aie::vector<int16, kTileLanes>& power) {
    if constexpr (kForm != Form::kPlain) {
      constant = aie::mul(power, floor);
      for (unsigned k = 0; k < kKnees; ++k) {
        slope[k] = aie::mul(power, int16{head.slope[k]}).template to_vector<Slope>(0);
      }
    }
  };
  if constexpr (kForm != Form::kPlain) {
    set_factors(eight_lanes(first_powers.template extract<kTileLanes / 2>(0)));
  }
  unsigned place = 0;
  unsigned segment = 0;
  HCCS_LOOP(i, block.bands * segments, "tiles.scale", 1) {
    const Distances<kFit, kKnees> distances(head, scratch, place);
    aie::vector<int16, kTileLanes> first, second;
    if constexpr (kForm != Form::kFused) first = load_factors(scratch.first, place);
    if constexpr (kPlainScaled) second = load_factors(scratch.second, place);
    const auto results = [&](const aie::vector<int8, 64>(&u)[kKnees], unsigned t) {
      auto sum = constant;
      for (unsigned k = 0; k < kKnees; ++k) {
        sum = aie::mac(sum, u[k].template extract<kTileLanes>(t).template unpack<int16>(), slope[k]);
      }
      if constexpr (kForm == Form::kFused) {
        return sum.template to_vector<Out>(exponents.most);
      } else if constexpr (kForm == Form::kShifted) {
        return aie::mul(sum.template to_vector<int16>(0), first)
            .template to_vector<Out>(exponents.most + (kWide ? 0 : 7));
      } else {
        return scale<kNormalisation, Out>(sum.template to_vector<int16>(0), first, second);
      }
    };
    const unsigned band = block.first_band() + place;
    for (unsigned v = segment * kVectors; v < (segment + 1) * kVectors; ++v) {
      aie::vector<int8, 64> u[kKnees];
      distances.of(logits.load(place, v), u);
      Out* to = out + (band * x.vectors() + v) * 64;
      for (unsigned t = 0; t < kVectorTiles; ++t) {
        auto result = results(u, t);
        if constexpr (kMask == MaskKind::kBits) {
          result = aie::select(Out{0}, result, x.valid(band, v).template extract<kTileLanes>(t));
        }
        aie::store_v(to + t * kTileLanes, result);
      }
    }
    if (++segment == segments) {
      segment = 0;
      if (place + 1 < block.bands) ++place;
    }
    // Of the next pass: a long way before the products that wait for them.
    if constexpr (kForm != Form::kPlain) {
      set_factors(load_factors(kForm == Form::kFused ? scratch.first : scratch.second, place));
    }
  }
}

// What limits hide, and the rows beyond the last, becomes 0.
template <MaskKind kMask, unsigned kKnees, typename Out>
void clear_invalid(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                   TilesScratch<kKnees>& scratch, Out* out) {
  const auto keep = [&](Out* to, const aie::mask<64>& valid) {
    aie::store_v(to, aie::select(Out{0}, aie::load_v<64>(to), valid));
  };
  const auto place_of = [&](unsigned band, unsigned vector) { return out + (band * x.vectors() + vector) * 64; };
  logits.for_boundary([&](unsigned place, unsigned, unsigned vector) {
    const unsigned band = block.first_band() + place;
    // Where there is no register the copies, which are read no more, take its place.
    Out* const copies = reinterpret_cast<Out*>(scratch.boundary[place][0]);
    keep(vector < x.vectors() ? place_of(band, vector) : copies, x.valid_columns(band, vector));
  });
  const auto shown = [&](unsigned band) { return x.whole_vectors(band) + x.boundary_vectors(); };
  unsigned hidden = 0;
  for (unsigned place = 0; place < block.bands; ++place) {
    const unsigned first = shown(block.first_band() + place);
    hidden += first < x.vectors() ? x.vectors() - first : 0;
  }
  unsigned band = block.first_band();
  unsigned vector = shown(band);
  HCCS_LOOP(i, hidden, "tiles.hidden", 0) {
    while (vector >= x.vectors()) vector = shown(++band);
    aie::store_v(place_of(band, vector), aie::zeros<Out, 64>());
    ++vector;
  }
  if (x.rows() % kTileRows != 0 && block.first_band() + block.bands == x.bands()) {
    HCCS_LOOP(v, x.vectors(), "tiles.last_rows", 1) { keep(place_of(x.bands() - 1, v), x.existing_rows()); }
  }
}

// Passes 2 to 4 of a block.
template <unsigned kSegment, Form kForm, bool kFit, Normalisation kNormalisation, typename Out, MaskKind kMask,
          unsigned kKnees>
void finish_block(const MaskedTiles<kMask>& x, const Logits<kMask, kKnees>& logits, const Block& block,
                  const HccsHead& head, int32_t counted, const Exponents& exponents, TilesScratch<kKnees>& scratch,
                  Out* out) {
  // All rows have the same count, or the plain form adds F for each.
  const int32_t floors = kForm == Form::kPlain && kMask != MaskKind::kNone ? 0 : counted * head_floor(head);
  BlockSums<kKnees> sums((kForm == Form::kPlain ? 0 : kFloatBits) + floors);
  BlockSums<1> count(0);
  add_up<kSegment, kFit>(x, logits, block, head, scratch, sums, count);
  const auto first_powers = make_factors<kForm, kNormalisation, Out>(x, block, head, exponents, sums, count, scratch);
  if constexpr (kForm == Form::kShifted) aie::set_rounding(aie::rounding_mode::positive_inf);
  scale_bands<kSegment, kForm, kFit, kNormalisation>(x, logits, block, head, exponents, scratch, first_powers, out);
  if constexpr (kForm == Form::kShifted) aie::set_rounding(aie::rounding_mode::floor);
  if constexpr (kMask == MaskKind::kLength) clear_invalid(x, logits, block, scratch, out);
}

}  // namespace tiles_passes

// `rows` rows of n logits of one head whose masks are of kind kMask; kSegment is tiles_segment(n). kNone needs
// whole tiles and registers (n a multiple of kVectorColumns, rows one of kTileRows).
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask, unsigned kSegment>
inline void softmax_tile_segments(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                                  const HccsHead& head, const BlockMask& masks,
                                  TilesScratch<kKnees>& __restrict scratch) {
  using tiles_passes::Form;
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
  const MaskedTiles<kMask> x(logits, rows, n, masks);
  // Valid positions of each row, or the most.
  const int32_t counted = kMask == MaskKind::kLength && x.limit() > 0 ? x.limit() : static_cast<int32_t>(n);
  const tiles_passes::Exponents exponents(head, counted);
  // Rows of many counts have more exponents.
  const bool uniform = kMask == MaskKind::kNone || (kMask == MaskKind::kLength && !x.causal());
  const Form form = uniform ? tiles_passes::form_of<kNormalisation, Out>(head, exponents) : Form::kPlain;
  tiles_passes::set_columns<kMask>(head, scratch);
  for (unsigned row = 0; row < rows; row += kBlockRows) {
    const unsigned left = rows - row < kBlockRows ? rows - row : kBlockRows;
    const tiles_passes::Block block{row / kLeafRows, (left + kLeafRows - 1) / kLeafRows,
                                    (left + kTileRows - 1) / kTileRows};
    const tiles_passes::Logits<kMask, kKnees> limited(x, block, scratch);
    tiles_passes::find_maxima<kSegment>(x, limited, block, scratch);
    const bool fit = tiles_passes::set_thresholds(block, head, scratch);
    const auto finish = [&]<Form kForm>() {
      if (fit) {
        tiles_passes::finish_block<kSegment, kForm, true, kNormalisation>(x, limited, block, head, counted, exponents,
                                                                          scratch, out);
      } else {
        tiles_passes::finish_block<kSegment, kForm, false, kNormalisation>(x, limited, block, head, counted, exponents,
                                                                           scratch, out);
      }
    };
    if constexpr (kMask != MaskKind::kBits) {
      if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
        if (form == Form::kFused) {
          finish.template operator()<Form::kFused>();
          continue;
        }
      }
      if constexpr (kNormalisation == Normalisation::kScaled) {
        if (form == Form::kShifted) {
          finish.template operator()<Form::kShifted>();
          continue;
        }
      }
    }
    finish.template operator()<Form::kPlain>();
  }
}

// ... of any size.
template <Normalisation kNormalisation, typename Out, unsigned kKnees, MaskKind kMask>
inline void softmax_tiles(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                          const HccsHead& head, const BlockMask& masks, TilesScratch<kKnees>& __restrict scratch) {
  // What is beside the rows is masked by a length.
  constexpr MaskKind kPadded = kMask == MaskKind::kNone ? MaskKind::kLength : kMask;
  if (rows == 0) return;
  const bool whole = n % kVectorColumns == 0 && rows % kTileRows == 0;
  const auto run = [&]<unsigned kSegment>() {
    if (whole) {
      softmax_tile_segments<kNormalisation, Out, kKnees, kMask, kSegment>(logits, out, rows, n, head, masks, scratch);
    } else {
      softmax_tile_segments<kNormalisation, Out, kKnees, kPadded, kSegment>(logits, out, rows, n, head, masks, scratch);
    }
  };
  switch (tiles_segment(n)) {
    case 1:
      return run.template operator()<1>();
    case 2:
      return run.template operator()<2>();
    case 4:
      return run.template operator()<4>();
    case 8:
      return run.template operator()<8>();
    default:
      return run.template operator()<16>();
  }
}

// The kernel for blocks of kRows rows of kN logits: what HeadSoftmax (head_softmax.h) runs.
template <Normalisation kNormalisation, typename Out_, unsigned kN, unsigned kRows, unsigned kKnees = 1,
          MaskKind kMask_ = MaskKind::kNone>
struct TilesKernel {
  static_assert(kNormalisation != Normalisation::kScaled || std::is_same_v<Out_, uint8> || kN <= kScaledWideLongest,
                "tiles serves scaled to int16 for n up to 8192");
  using Out = Out_;
  using Scratch = TilesScratch<kKnees>;
  static constexpr MaskKind kMask = kMask_;
  static constexpr unsigned kElements = tiles_elements(kRows, kN);  // of one head
  static constexpr unsigned kMaskWords = kElements / 32;

  static void run(const int8* __restrict logits, Out* __restrict out, const HccsHead& head, const BlockMask& masks,
                  Scratch& scratch) {
    constexpr bool kWhole = kN % kVectorColumns == 0 && kRows % kTileRows == 0;
    constexpr MaskKind kKind = kMask == MaskKind::kNone && !kWhole ? MaskKind::kLength : kMask;
    softmax_tile_segments<kNormalisation, Out, kKnees, kKind, tiles_segment(kN)>(logits, out, kRows, kN, head, masks,
                                                                                 scratch);
  }
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_TILES_H_
