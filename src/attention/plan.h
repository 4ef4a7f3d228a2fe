// SPDX-License-Identifier: Apache-2.0
//
// What the driver (piece.cc) hands to a target's kernel: pages of packed keys and values, and tiles of query rows.
//
// A page is 64 positions of one key head. Packed keys are four groups of 16 lanes, and of each group [steps][16
// lanes][4 bytes]: 4 elements of a key side by side, a step after the other. Packed values are panels of 16 columns,
// and of each panel [16 steps][16 columns][4 bytes]: 4 positions of a column side by side. So both products are the
// same loop, in which 4 bytes of a row of the left operand meet a vector of the right one.
//
// Position i of a page is lane 4 * (i / 16) + i % 4 of group i / 4 % 4: narrowing 32-bit lanes of the four groups to
// bytes, within blocks of 128 bits, then gives the positions in order.
#ifndef HCCS_SRC_ATTENTION_PLAN_H_
#define HCCS_SRC_ATTENTION_PLAN_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "hccs/attention.h"
#include "hccs/params.h"
#include "hccs/reference.h"

namespace hccs::internal {

inline constexpr int64_t kPage = KvCache::kBlockPositions;
static_assert(kPage == 64);
inline constexpr int64_t kMaxTileRows = 32;
inline constexpr size_t kAlignment = 64;

constexpr int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

constexpr int64_t group_of(int64_t position) { return position / 4 % 4; }
constexpr int64_t lane_of(int64_t position) { return 4 * (position % kPage / 16) + position % 4; }

// The weights of a head by distance: w = low + 256 * high; high is 0 unless the plan is wide.
struct alignas(kAlignment) AttentionHead {
  using Bytes = std::array<uint8_t, 128>;
  Bytes low;
  Bytes high;
  // For look-ups in 16 bytes: entry d is XORed with entry d - 16, but for the first 16, so that the XOR of entries d %
  // 16, d % 16 + 16, ..., d gives back the byte.
  Bytes low_steps;
  Bytes high_steps;
};

// Sizes of packed pages, in bytes.
struct PageLayout {
  int64_t head_dimension;
  int64_t value_dimension;
  int64_t steps;   // of 4 elements, of a packed key
  int64_t panels;  // of 16 columns, of a packed value

  int64_t key_bytes() const noexcept { return kPage * 4 * steps; }
  int64_t value_bytes() const noexcept { return kPage * 16 * panels; }
};

// One query row.
struct TileRow {
  const AttentionHead* head;
  const int8_t* query;
  int64_t multiplier;    // M
  int32_t shift;         // R
  int64_t first, last;   // positions outside [first, last) are invalid
  const uint8_t* bits;   // null: no such mask
  const uint8_t* bytes;  // null: no such mask
  int8_t* out;           // null: not wanted, as the next three
  uint8_t* weights;
  uint16_t* wide_weights;
  int32_t* weight_sum;
};

// A tile: query rows of one text and key head, which go through a kernel together.
struct Tile {
  std::array<TileRow, kMaxTileRows> row;
  int64_t rows;
  int64_t keys;
  PageLayout layout;
  bool wide;
  // Pages outside [first_page, last_page) have no valid position in any row; in pages [first_full_page, last_full_page)
  // all positions are valid in all rows.
  int64_t first_page, last_page;
  int64_t first_full_page, last_full_page;
  int64_t last;        // from this position on none is valid in any row
  bool has_one_range;  // all rows have the same first and last

  // Page p is blocks[p] + block_offset or, without blocks, at (p - packed_from) * size of packed_keys or packed_values.
  const std::byte* const* blocks;
  int64_t block_offset;
  const std::byte* packed_keys;
  const std::byte* packed_values;
  int64_t packed_from;

  // Between rows of queries in memory, in elements; 0 where there is no such distance. The kernel puts its own copies,
  // where it makes any, and their distance into `left` and query_pitch.
  int64_t query_pitch;
  const std::byte* left;

  // Scratch, aligned to 64 bytes, of a format that the kernel chooses:
  std::byte* queries;      // Target::query_bytes a row
  int32_t* sums;           // [rows][pitch]: q . k of each position from first_page on
  std::byte* row_weights;  // [rows][pitch] of Target::weight_bytes each
  int32_t* products;       // [rows][2][16 * panels]
  int64_t pitch;           // positions: (last_page - first_page) * 64 or more
  int64_t finished_rows;   // so many first rows of `out` are written; the kernel's own
  // What passes from one call to the next: lanes of each row's maximum and of its weights' sum, as the kernel likes
  // them.
  using Lanes = std::array<int32_t, 16>;
  alignas(kAlignment) std::array<Lanes, kMaxTileRows> maxima;
  alignas(kAlignment) std::array<Lanes, kMaxTileRows> weight_sums;
  alignas(kAlignment) std::array<Lanes, kMaxTileRows> high_weight_sums;

  const std::byte* key_page(int64_t p) const noexcept {
    return blocks != nullptr ? blocks[p] + block_offset : packed_keys + (p - packed_from) * layout.key_bytes();
  }
  const std::byte* value_page(int64_t p) const noexcept {
    return blocks != nullptr ? blocks[p] + block_offset + layout.key_bytes()
                             : packed_values + (p - packed_from) * layout.value_bytes();
  }
  bool page_is_full(int64_t p) const noexcept { return p >= first_full_page && p < last_full_page; }
};

// `count` rows of int8, `stride` elements apart.
struct Int8Rows {
  const int8_t* data;
  int64_t stride;
  int64_t count;
};

struct AttentionTarget {
  std::string_view name;
  int64_t id;             // one of those below
  int64_t tile_rows;      // rows of a full tile
  int64_t block_rows;     // rows of a tile are a multiple of this but for the last ones
  int64_t query_bytes;    // of each of the 4 * steps elements of a row of Tile::queries
  int64_t weight_bytes;   // of a weight in Tile::row_weights; two rows of 1 byte if wide, one of 2 bytes otherwise
  int64_t step_multiple;  // heads of more than 64 elements have a multiple of this many steps

  // Packs up to 64 keys or values into positions at, at + 1, ... of a page. Nothing else in the page is written.
  void (*pack_keys)(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page);
  void (*pack_values)(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page);

  // In this order, on each tile: begin(), sums() on all pages, values() on all pages, finish(). Pages come in order and
  // may come in several calls, [first, last) each.
  // begin() returns the id that the code which ran was compiled with, so that a test can tell that it did.
  int64_t (*begin)(Tile& tile);
  void (*sums)(Tile& tile, int64_t first, int64_t last);
  void (*values)(Tile& tile, int64_t first, int64_t last);
  void (*finish)(Tile& tile);

  // For measurements: after begin(), instead of the rest, the two products alone. Null where they are not apart.
  void (*multiply_keys_alone)(Tile& tile, int64_t first, int64_t last) = nullptr;
  void (*multiply_values_alone)(Tile& tile, int64_t first, int64_t last) = nullptr;

  int64_t steps(int64_t head_dimension) const noexcept {
    const int64_t steps = (head_dimension + 3) / 4;
    return steps <= 16 ? steps : round_up(steps, step_multiple);
  }
  PageLayout layout(int64_t head_dimension, int64_t value_dimension) const noexcept {
    return {head_dimension, value_dimension, steps(head_dimension), (value_dimension + 15) / 16};
  }
};
inline constexpr int64_t kAttentionPortableId = 0;
inline constexpr int64_t kAttentionSse4Id = 1;
inline constexpr int64_t kAttentionAvx2Id = 2;
inline constexpr int64_t kAttentionAvxVnniId = 3;
inline constexpr int64_t kAttentionAvx512Id = 4;
inline constexpr int64_t kAttentionVbmiId = 5;
inline constexpr int64_t kAttentionAmxId = 6;
inline constexpr int64_t kAttentionNeonId = 7;
inline constexpr int64_t kAttentionNeonDotId = 8;
inline constexpr int64_t kAttentionNeonI8mmId = 9;

template <class T>
class TargetList;
const TargetList<AttentionTarget>& attention_target_list();

AttentionTarget portable_attention_target() noexcept;

// The bits of the positions of page p in a row's range.
inline uint64_t positions_in_range(const TileRow& row, int64_t p) noexcept {
  const int64_t first = std::max<int64_t>(row.first - p * kPage, 0);
  const int64_t last = std::min<int64_t>(row.last - p * kPage, kPage);
  return first < last ? (~uint64_t{0} >> (kPage - last)) & (~uint64_t{0} << first) : 0;
}
// The bits of the valid positions of page p in a row; 0 where the page has none.
uint64_t valid_positions(const TileRow& row, int64_t p) noexcept;

}  // namespace hccs::internal

namespace hccs {

struct AttentionPlan::Impl {
  AttentionWeights weights;
  std::vector<internal::AttentionHead> heads;
  internal::AttentionTarget target;
};

}  // namespace hccs

#endif  // HCCS_SRC_ATTENTION_PLAN_H_
