// SPDX-License-Identifier: Apache-2.0
//
// What the passes of attention (attention.h) share: a block of eight query rows, what its rows see, and products with
// k.
#ifndef HCCS_AIE_KERNELS_ATTENTION_BLOCK_H_
#define HCCS_AIE_KERNELS_ATTENTION_BLOCK_H_

#include "device.h"
#include "layout.h"
#include "masks.h"

namespace hccs_kernels::attention {

inline constexpr unsigned kRows = kAttentionBlockRows;
inline constexpr unsigned kTile = is_aie_ml(kArch) ? 4 : 8;  // lines of a product: positions or columns
inline constexpr unsigned kPositions = 8;                    // of a pass
inline constexpr unsigned kLanes = kTile * kRows;

using Lanes = aie::vector<int32, 2 * kRows>;
using Mask = aie::mask<64>;
using LogitProduct = aie::mmul<kTile, 8, 8, int8, int8>;

// The lanes of eight rows repeated, so that every position or column of kLanes lanes has its row's.
template <unsigned kLanes, typename T>
aie::vector<T, kLanes> spread(const aie::vector<T, 2 * kRows>& rows) {
  return rows.template grow_replicate<kLanes>();
}

// Brings the lanes of positions together in each row's.
template <typename F, typename Vector>
Lanes fold(const Vector& lanes, F f) {
  if constexpr (Vector::size() == 2 * kRows) {
    return f(lanes, aie::shuffle_down_rotate(lanes, kRows));
  } else {
    constexpr unsigned kHalf = Vector::size() / 2;
    return fold(f(lanes.template extract<kHalf>(0), lanes.template extract<kHalf>(1)), f);
  }
}

// Which positions the rows of a block see: row r those below length[r] whose bits are set.
struct Visible {
  Visible(const BlockMask& masks, unsigned first_row, unsigned rows, unsigned n)
      : bits(masks.bits), words(attention_mask_pitch(n)), first_word(first_row * words) {
    for (unsigned r = 0; r < kRows; ++r) length[r] = row_length(first_row + r, rows, n, masks);
    int32_t least = length[0];
    int32_t most = length[0];
    for (unsigned r = 1; r < kRows; ++r) {
      least = length[r] < least ? length[r] : least;
      most = length[r] > most ? length[r] : most;
    }
    all = bits != nullptr ? 0 : static_cast<unsigned>(least) / kPositions * kPositions;
    any = round_up(static_cast<unsigned>(most), kPositions);
  }

  // The positions of a row below which validity is up to the bits alone. A row of padding has none.
  static int32_t row_length(unsigned row, unsigned rows, unsigned n, const BlockMask& masks) {
    if (row >= rows) return 0;
    const auto positions = static_cast<int32_t>(n);
    int32_t length = masks.valid_length < positions ? masks.valid_length : positions;
    if (masks.causal && masks.causal_offset < length) {
      const int32_t causal = masks.causal_offset + static_cast<int32_t>(row) + 1;
      length = causal < length ? causal : length;
    }
    return length > 0 ? length : 0;
  }

  // The lanes (position, row) of 8 positions that are not valid.
  Mask hidden(unsigned position) const {
    uint64_t lanes = 0;  // (row, position)
    for (unsigned r = 0; r < kRows; ++r) {
      const int32_t left = length[r] - static_cast<int32_t>(position);
      uint32_t row = left <= 0 ? 255u : left >= 8 ? 0u : 255u << left & 255u;
      if (bits != nullptr && left > 0) {
        const uint32_t word = bits[first_word + r * words + position / 32];
        row |= ~(word >> (position % 32)) & 255u;
      }
      lanes |= uint64_t{row} << (8 * r);
    }
    const auto rows = aie::select(int8{0}, aie::broadcast<int8, 64>(1), Mask::from_uint64(lanes));
    return aie::gt(aie::transpose(rows, 8, 8), int8{0});
  }

  const uint32_t* bits;  // null: all are set
  unsigned words;        // of a row
  unsigned first_word;   // of the block's first row
  int32_t length[kRows];
  unsigned all = 0;  // positions below it, a multiple of kPositions, are seen by every row
  unsigned any = 0;  // positions from it on, a multiple of kPositions, by none
};

// A block of kCount x 8 of a matrix with kColumns columns: tile `column` of the tiles from `rows` on.
template <unsigned kCount, unsigned kColumns>
aie::vector<int8, 8 * kCount> load_rows(const int8* rows, unsigned column) {
  const auto first = aie::load_v<32>(rows + 32 * column);
  if constexpr (kCount == 4) {
    return first;
  } else {
    return aie::concat(first, aie::load_v<32>(rows + 4 * kColumns + 32 * column));
  }
}

// q of eight rows as kHeadDim x 8, in blocks of 8 x 8.
template <unsigned kHeadDim>
void turn_queries(const int8* q, int8* queries) {
  for (unsigned d = 0; d < kHeadDim / 8; ++d) {
    aie::store_v(queries + 64 * d, aie::transpose(load_rows<8, kHeadDim>(q, d), 8, 8));
  }
}

// k . q of kTile positions with eight rows, kTiles times, added to `products` if there is something in them.
template <unsigned kHeadDim, unsigned kTiles>
void multiply_keys(const int8* queries, const int8* keys, LogitProduct (&products)[kTiles]) {
  for (unsigned d = 0; d < kHeadDim / 8; ++d) {
    const auto query = aie::load_v<64>(queries + 64 * d);
    for (unsigned i = 0; i < kTiles; ++i) {
      products[i].mac(load_rows<kTile, kHeadDim>(keys + i * kTile * kHeadDim, d), query);
    }
  }
}

}  // namespace hccs_kernels::attention

#endif  // HCCS_AIE_KERNELS_ATTENTION_BLOCK_H_
