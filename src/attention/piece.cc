// SPDX-License-Identifier: Apache-2.0
//
// A piece of a batch: some query rows of one text and key head. It cuts them into tiles, packs the keys and values
// which they share, and calls the target's kernel.
#include "attention/piece.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/batch.h"
#include "attention/kv_cache.h"

namespace hccs::internal {
namespace {

// Rows of a piece: enough that packing keys and values, which each piece does for itself, costs about 1 %.
constexpr int64_t kPieceRows = 384;
// What is packed at once of keys, and as much of values. Longer texts are packed in parts, again for every kMaxTiles
// tiles.
constexpr int64_t kPackedBytes = int64_t{2} << 20;
// Of sums and weights of the tiles that go through the parts together.
constexpr int64_t kSumsBytes = int64_t{8} << 20;
constexpr int64_t kMaxTiles = 8;

// The scratch of a piece, from its beginning aligned to kAlignment.
struct ScratchLayout {
  int64_t tile_rows;
  int64_t tiles;       // that go through the parts of a text together
  int64_t part_pages;  // of a part
  int64_t pitch;       // Tile::pitch
  int64_t queries;     // bytes of a tile, as the next three
  int64_t sums;
  int64_t row_weights;
  int64_t products;
  int64_t packed_keys;  // bytes of a part, as the next
  int64_t packed_values;

  int64_t tile() const noexcept { return queries + sums + row_weights + products; }
  int64_t bytes() const noexcept { return tiles * tile() + packed_keys + packed_values; }
};

ScratchLayout scratch_layout(const AttentionPlan::Impl& plan, const AttentionShape& shape, int64_t longest,
                             bool cached) noexcept {
  const AttentionTarget& target = plan.target;
  const PageLayout layout = target.layout(shape.head_dimension, shape.value_dimension);
  const int64_t pages = (longest + kPage - 1) / kPage;
  ScratchLayout s{};
  // One page more than there are, so that rows do not lie a multiple of 4 KiB apart.
  s.pitch = (pages + 1) * kPage;
  const int64_t weight_bytes = target.weight_bytes == 2 || plan.weights == AttentionWeights::kWide ? 2 : 1;
  const int64_t row_bytes = s.pitch * (4 + weight_bytes);
  const int64_t block = target.block_rows;
  s.tile_rows = std::clamp(kSumsBytes / row_bytes / block * block, block, target.tile_rows);
  s.part_pages = cached ? 0 : std::min(pages, kPackedBytes / std::max(layout.key_bytes(), layout.value_bytes()));
  const bool in_parts = !cached && s.part_pages < pages;
  s.tiles = in_parts ? std::clamp<int64_t>(kSumsBytes / (s.tile_rows * row_bytes), 1, kMaxTiles) : 1;
  s.queries = round_up(s.tile_rows * 4 * layout.steps * target.query_bytes, kAlignment);
  s.sums = s.tile_rows * s.pitch * 4;
  s.row_weights = s.tile_rows * s.pitch * weight_bytes;
  s.products = s.tile_rows * 2 * 16 * layout.panels * 4;
  s.packed_keys = s.part_pages * layout.key_bytes();
  s.packed_values = s.part_pages * layout.value_bytes();
  return s;
}

// Beyond +-2^47 an offset says the same as there, and its sum with a position does not overflow.
int64_t clamped(int64_t offset) { return std::clamp<int64_t>(offset, -(int64_t{1} << 47), int64_t{1} << 47); }

template <class T>
T* row_of(const AttentionRows<T>& rows, int64_t text, int64_t head, int64_t position) {
  if (rows.data == nullptr) return nullptr;
  return rows.data + text * rows.text_stride + head * rows.head_stride + position * rows.position_stride;
}

class Piece {
 public:
  // Piece number `piece` of a batch whose texts and key heads have `cuts` pieces each.
  Piece(const AttentionPlan::Impl& plan, const AttentionBatch& batch, int64_t piece, int64_t cuts, std::byte* scratch,
        Work work)
      : work_(work),
        plan_(plan),
        target_(plan.target),
        batch_(batch),
        shape_(batch.shape),
        group_(shape_.query_heads / shape_.key_heads),
        layout_(target_.layout(shape_.head_dimension, shape_.value_dimension)),
        ranges_differ_(batch.causal_offset || batch.window ||
                       (!batch.valid_lengths.empty() && batch.valid_query_stride != 0)),
        row_step_(batch) {
    text_ = piece / cuts / shape_.key_heads;
    key_head_ = piece / cuts % shape_.key_heads;
    const int64_t rows = group_ * shape_.queries;
    const int64_t share = round_up((rows + cuts - 1) / cuts, target_.tile_rows);
    first_row_ = std::min(piece % cuts * share, rows);
    last_row_ = std::min(first_row_ + share, rows);
    if (!batch.caches.empty()) cache_ = &batch.caches[static_cast<size_t>(text_)]->impl();
    keys_ = cache_ != nullptr ? cache_->length : shape_.keys;
    const auto unaligned = reinterpret_cast<uintptr_t>(scratch);
    scratch_ = scratch + (round_up(static_cast<int64_t>(unaligned % kAlignment), kAlignment) -
                          static_cast<int64_t>(unaligned % kAlignment));
    sizes_ = scratch_layout(plan, shape_, longest_text(batch), cache_ != nullptr);
    packed_keys_ = scratch_ + sizes_.tiles * sizes_.tile();
    packed_values_ = packed_keys_ + sizes_.packed_keys;
  }

  void run() {
    if (batch_.window) first_page_ = keys_;
    for (int64_t row = first_row_; batch_.window && row < last_row_; ++row) {
      const auto [first, last] = valid_range(row % shape_.queries);
      if (first < last) first_page_ = std::min(first_page_, first / kPage);
    }
    for (int64_t row = first_row_; row < last_row_; row += sizes_.tiles * sizes_.tile_rows) run_tiles(row);
  }

 private:
  struct Positions {
    int64_t first, last;
  };
  // Outside of these all positions are invalid for query q.
  Positions valid_range(int64_t q) const {
    Positions valid{0, keys_};
    if (!batch_.valid_lengths.empty()) {
      const int64_t at = text_ * batch_.valid_text_stride + q * batch_.valid_query_stride;
      valid.last = std::min<int64_t>(valid.last, batch_.valid_lengths[static_cast<size_t>(at)]);
    }
    int64_t position = q + clamped(batch_.causal_offset.value_or(0));
    if (cache_ != nullptr) position += keys_ - shape_.queries;
    if (batch_.causal_offset) valid.last = std::min(valid.last, position + 1);
    if (batch_.window) valid.first = std::max<int64_t>(0, position - clamped(*batch_.window) + 1);
    if (valid.last <= valid.first) return {0, 0};
    return valid;
  }

  const Rescale& rescale_of(int64_t head, int64_t q) const {
    return batch_.rescales[static_cast<size_t>(text_ * batch_.rescale_text_stride + head * batch_.rescale_head_stride +
                                               q * batch_.rescale_query_stride)];
  }

  TileRow tile_row(int64_t head, int64_t q) const {
    const Rescale& rescale = rescale_of(head, q);
    const Positions valid = valid_range(q);
    return {.head = &plan_.heads[static_cast<size_t>(batch_.first_head + head)],
            .query = row_of(batch_.queries, text_, head, q),
            .multiplier = rescale.multiplier,
            .shift = rescale.shift,
            .first = valid.first,
            .last = valid.last,
            .bits = row_of(batch_.mask_bits, text_, head, q),
            .bytes = row_of(batch_.mask_bytes, text_, head, q),
            .out = row_of(batch_.out, text_, head, q),
            .weights = row_of(batch_.weights, text_, head, q),
            .wide_weights = row_of(batch_.wide_weights, text_, head, q),
            .weight_sum = row_of(batch_.weight_sums, text_, head, q)};
  }

  // From a row to that of the next query of the same head.
  struct RowStep {
    explicit RowStep(const AttentionBatch& batch)
        : query(batch.queries.position_stride),
          bits(step(batch.mask_bits)),
          bytes(step(batch.mask_bytes)),
          out(step(batch.out)),
          weights(step(batch.weights)),
          wide_weights(step(batch.wide_weights)),
          weight_sum(step(batch.weight_sums)) {}

    template <class T>
    static int64_t step(const AttentionRows<T>& rows) {
      return rows.data == nullptr ? 0 : rows.position_stride;
    }

    int64_t query, bits, bytes, out, weights, wide_weights, weight_sum;
  };

  // `row` is the row before that of query q of a head.
  void go_to_next(TileRow& row, int64_t head, int64_t q) const {
    row.query += row_step_.query;
    row.bits += row_step_.bits;
    row.bytes += row_step_.bytes;
    row.out += row_step_.out;
    row.weights += row_step_.weights;
    row.wide_weights += row_step_.wide_weights;
    row.weight_sum += row_step_.weight_sum;
    if (batch_.rescale_query_stride != 0) {
      const Rescale& rescale = rescale_of(head, q);
      row.multiplier = rescale.multiplier;
      row.shift = rescale.shift;
    }
    if (ranges_differ_) {
      const Positions valid = valid_range(q);
      row.first = valid.first;
      row.last = valid.last;
    }
  }

  void make_tile(int64_t first_row, std::byte* scratch, Tile& tile) const {
    tile.rows = std::min(sizes_.tile_rows, last_row_ - first_row);
    tile.keys = keys_;
    tile.layout = layout_;
    tile.wide = plan_.weights == AttentionWeights::kWide;
    tile.first_page = keys_;
    tile.first_full_page = 0;
    tile.last = 0;
    tile.last_full_page = batch_.mask_bits.data != nullptr || batch_.mask_bytes.data != nullptr ? 0 : keys_;
    int64_t head = key_head_ * group_ + first_row / shape_.queries;
    int64_t q = first_row % shape_.queries;
    const bool one_head = q + tile.rows <= shape_.queries;
    TileRow row{};
    for (int64_t r = 0; r < tile.rows; ++r) {
      if (r == 0 || q == 0) {
        row = tile_row(head, q);
      } else {
        go_to_next(row, head, q);
      }
      tile.row[r] = row;
      if (++q == shape_.queries) {
        q = 0;
        ++head;
      }
      if (r > 0 && !ranges_differ_) continue;
      tile.first_full_page = std::max(tile.first_full_page, (row.first + kPage - 1) / kPage);
      tile.last_full_page = std::min(tile.last_full_page, row.last / kPage);
      if (row.first == row.last) continue;
      tile.first_page = std::min(tile.first_page, row.first / kPage);
      tile.last = std::max(tile.last, row.last);
    }
    tile.has_one_range = !ranges_differ_;
    tile.last_page = (tile.last + kPage - 1) / kPage;
    tile.first_page = std::min(tile.first_page, tile.last_page);
    tile.blocks = cache_ != nullptr ? cache_->table.data() : nullptr;
    tile.block_offset = cache_ != nullptr ? key_head_ * cache_->head_bytes() : 0;
    tile.packed_keys = packed_keys_;
    tile.packed_values = packed_values_;
    tile.query_pitch = one_head ? batch_.queries.position_stride : 0;
    tile.queries = scratch;
    tile.sums = reinterpret_cast<int32_t*>(tile.queries + sizes_.queries);
    tile.row_weights = tile.queries + sizes_.queries + sizes_.sums;
    tile.products = reinterpret_cast<int32_t*>(tile.row_weights + sizes_.row_weights);
    tile.pitch = sizes_.pitch;
  }

  // Pages [from, until) of keys or of values are packed.
  struct Packed {
    int64_t from = 0;
    int64_t until = 0;
  };

  // Packs what is not yet of pages up to `last`, of the part that begins at page `from`.
  void pack(Packed& packed, int64_t from, int64_t last, bool keys) {
    if (packed.from != from || packed.until < from) packed = {from, from};
    const AttentionRows<const int8_t>& rows = keys ? batch_.keys : batch_.values;
    const int64_t bytes = keys ? layout_.key_bytes() : layout_.value_bytes();
    for (; packed.until < last; ++packed.until) {
      std::byte* page = (keys ? packed_keys_ : packed_values_) + (packed.until - from) * bytes;
      const int64_t at = packed.until * kPage;
      const int64_t count = std::min(kPage, keys_ - at);
      if (count < kPage) std::memset(page, 0, static_cast<size_t>(bytes));
      (keys ? target_.pack_keys : target_.pack_values)(
          layout_, {row_of(rows, text_, key_head_, at), rows.position_stride, count}, 0, page);
    }
  }

  // Calls step(tile, first, last) with the tiles' pages, part after part.
  template <class Step>
  void for_each_part(int64_t tiles, Packed& packed, bool keys, const Step& step) {
    int64_t last_page = 0;
    for (int64_t t = 0; t < tiles; ++t) last_page = std::max(last_page, tiles_[t].last_page);
    const int64_t part = cache_ != nullptr ? last_page : sizes_.part_pages;
    for (int64_t from = cache_ != nullptr ? 0 : first_page_; from < last_page; from += part) {
      const int64_t until = std::min(from + part, last_page);
      bool is_packed = cache_ != nullptr;
      for (int64_t t = 0; t < tiles; ++t) {
        Tile& tile = tiles_[t];
        const int64_t first = std::max(from, tile.first_page);
        const int64_t last = std::min(until, tile.last_page);
        if (first >= last) continue;
        if (!is_packed) pack(packed, from, until, keys);
        is_packed = true;
        tile.packed_from = from;
        step(tile, first, last);
      }
    }
  }

  void run_tiles(int64_t first_row) {
    int64_t tiles = 0;
    for (; tiles < sizes_.tiles && first_row + tiles * sizes_.tile_rows < last_row_; ++tiles) {
      make_tile(first_row + tiles * sizes_.tile_rows, scratch_ + tiles * sizes_.tile(), tiles_[tiles]);
      target_.begin(tiles_[tiles]);
    }
    const bool all = work_ == Work::kAll;
    for_each_part(tiles, keys_packed_, true, all ? target_.sums : target_.multiply_keys_alone);
    for_each_part(tiles, values_packed_, false, all ? target_.values : target_.multiply_values_alone);
    if (!all) return;
    for (int64_t t = 0; t < tiles; ++t) target_.finish(tiles_[t]);
  }

  Work work_;
  const AttentionPlan::Impl& plan_;
  const AttentionTarget& target_;
  const AttentionBatch& batch_;
  const AttentionShape& shape_;
  int64_t group_;  // query heads of a key head
  PageLayout layout_;
  bool ranges_differ_;  // a row's valid positions depend on its query
  RowStep row_step_;
  int64_t text_;
  int64_t key_head_;
  int64_t first_row_;  // rows of the group's query heads, one head after the other
  int64_t last_row_;
  const KvCache::Impl* cache_ = nullptr;
  int64_t keys_;
  int64_t first_page_ = 0;  // before it no row has a valid position
  std::byte* scratch_;
  ScratchLayout sizes_;
  std::byte* packed_keys_;
  std::byte* packed_values_;
  Packed keys_packed_;
  Packed values_packed_;
  std::array<Tile, kMaxTiles> tiles_;
};

}  // namespace

int64_t piece_count(const AttentionShape& shape) noexcept {
  if (shape.query_heads == 0) return 0;
  const int64_t rows = shape.query_heads / shape.key_heads * shape.queries;
  return shape.texts * shape.key_heads * ((rows + kPieceRows - 1) / kPieceRows);
}

int64_t scratch_bytes(const AttentionPlan::Impl& plan, const AttentionShape& shape, int64_t longest) noexcept {
  const bool cached = shape.keys == 0;
  return scratch_layout(plan, shape, longest, cached).bytes() + static_cast<int64_t>(kAlignment);
}

void run_piece(const AttentionPlan::Impl& plan, const AttentionBatch& batch, int64_t piece, std::byte* scratch,
               Work work) {
  const AttentionShape& shape = batch.shape;
  Piece(plan, batch, piece, std::max<int64_t>(1, piece_count(shape) / (shape.texts * shape.key_heads)), scratch, work)
      .run();
}

void run_batch(const AttentionPlan::Impl& plan, const AttentionBatch& batch, std::byte* scratch, Work work) {
  if (piece_count(batch.shape) == 0) return;
  const int64_t key_heads = batch.shape.texts * batch.shape.key_heads;
  for (int64_t i = 0; i < key_heads; ++i) Piece(plan, batch, i, 1, scratch, work).run();
}

}  // namespace hccs::internal
