// SPDX-License-Identifier: Apache-2.0
//
// Attention in plain C++ on integers alone, for CPUs without a kernel of their own.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "attention/plan.h"

namespace hccs::internal {

uint64_t valid_positions(const TileRow& row, int64_t p) noexcept {
  uint64_t valid = positions_in_range(row, p);
  if (valid == 0) return 0;
  const int64_t from = p * kPage;
  const int64_t first = std::countr_zero(valid);
  const int64_t last = kPage - std::countl_zero(valid);
  if (row.bits != nullptr) {
    uint64_t word = 0;
    std::memcpy(&word, row.bits + from / 8, static_cast<size_t>((last + 7) / 8));
    static_assert(std::endian::native == std::endian::little);
    valid &= word;
  }
  if (row.bytes != nullptr) {
    const uint8_t* bytes = row.bytes + from;
    uint64_t word = 0;
    for (int64_t i = first; i < last; ++i) word |= uint64_t{bytes[i] != 0} << i;
    valid &= word;
  }
  return valid;
}

namespace {

void pack_keys(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page) {
  for (int64_t i = 0; i < keys.count; ++i) {
    const int8_t* key = keys.data + i * keys.stride;
    std::byte* to = page + (group_of(at + i) * layout.steps * 16 + lane_of(at + i)) * 4;
    for (int64_t j = 0; j < 4 * layout.steps; ++j) {
      to[j / 4 * 64 + j % 4] = j < layout.head_dimension ? static_cast<std::byte>(key[j]) : std::byte{0};
    }
  }
}

void pack_values(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page) {
  for (int64_t i = 0; i < values.count; ++i) {
    const int8_t* value = values.data + i * values.stride;
    std::byte* to = page + (at + i) / 4 * 64 + (at + i) % 4;
    for (int64_t j = 0; j < layout.value_dimension; ++j) {
      to[j / 16 * 16 * kPage + j % 16 * 4] = static_cast<std::byte>(value[j]);
    }
  }
}

int32_t* sums_of(const Tile& tile, int64_t r, int64_t p) {
  return tile.sums + r * tile.pitch + (p - tile.first_page) * kPage;
}
uint16_t* weights_of(const Tile& tile, int64_t r, int64_t p) {
  return reinterpret_cast<uint16_t*>(tile.row_weights) + r * tile.pitch + (p - tile.first_page) * kPage;
}

int64_t begin(Tile& tile) {
  const int64_t length = 4 * tile.layout.steps;
  std::memset(tile.queries, 0, static_cast<size_t>(tile.rows * length));
  for (int64_t r = 0; r < tile.rows; ++r) {
    std::memcpy(tile.queries + r * length, tile.row[r].query, static_cast<size_t>(tile.layout.head_dimension));
    tile.maxima[r][0] = std::numeric_limits<int32_t>::min();
    tile.weight_sums[r][0] = 0;
  }
  std::memset(tile.products, 0, static_cast<size_t>(tile.rows * 2 * 16 * tile.layout.panels) * sizeof(int32_t));
  return kAttentionPortableId;
}

void sums(Tile& tile, int64_t first, int64_t last) {
  const int64_t steps = tile.layout.steps;
  for (int64_t p = first; p < last; ++p) {
    const auto* page = reinterpret_cast<const int8_t*>(tile.key_page(p));
    for (int64_t r = 0; r < tile.rows; ++r) {
      const auto* query = reinterpret_cast<const int8_t*>(tile.queries) + r * 4 * steps;
      int32_t* row = sums_of(tile, r, p);
      const uint64_t valid = valid_positions(tile.row[r], p);
      for (int64_t i = 0; i < kPage; ++i) {
        const int8_t* key = page + (group_of(i) * steps * 16 + lane_of(i)) * 4;
        int32_t sum = 0;
        for (int64_t s = 0; s < steps; ++s) {
          for (int64_t e = 0; e < 4; ++e) sum += int32_t{query[4 * s + e]} * key[64 * s + e];
        }
        row[i] = sum;
        if (((valid >> i) & 1) != 0) tile.maxima[r][0] = std::max(tile.maxima[r][0], sum);
      }
    }
  }
}

void weigh(Tile& tile, int64_t r, int64_t p) {
  const TileRow& row = tile.row[r];
  const int32_t* sum = sums_of(tile, r, p);
  uint16_t* weight = weights_of(tile, r, p);
  const uint64_t valid = valid_positions(row, p);
  const Rescale rescale{static_cast<int32_t>(row.multiplier), row.shift};
  for (int64_t i = 0; i < kPage; ++i) {
    weight[i] = 0;
    if (((valid >> i) & 1) == 0) continue;
    const int64_t d = sum_distance(rescale, int64_t{tile.maxima[r][0]} - sum[i]);
    weight[i] = static_cast<uint16_t>(row.head->low[d] + 256 * row.head->high[d]);
    tile.weight_sums[r][0] += weight[i];
  }
}

// The products of the weights' low and high bytes: each fits 32 bits.
void multiply(Tile& tile, int64_t r, int64_t p) {
  const auto* page = reinterpret_cast<const int8_t*>(tile.value_page(p));
  const uint16_t* weight = weights_of(tile, r, p);
  const int64_t columns = 16 * tile.layout.panels;
  int32_t* low = tile.products + r * 2 * columns;
  int32_t* high = low + columns;
  for (int64_t i = 0; i < kPage; ++i) {
    if (weight[i] == 0) continue;
    for (int64_t j = 0; j < tile.layout.value_dimension; ++j) {
      const int32_t v = page[j / 16 * 16 * kPage + i / 4 * 64 + j % 16 * 4 + i % 4];
      low[j] += (weight[i] & 255) * v;
      high[j] += (weight[i] >> 8) * v;
    }
  }
}

void values(Tile& tile, int64_t first, int64_t last) {
  for (int64_t p = first; p < last; ++p) {
    for (int64_t r = 0; r < tile.rows; ++r) {
      weigh(tile, r, p);
      if (tile.row[r].out != nullptr) multiply(tile, r, p);
    }
  }
}

void write_weights(const Tile& tile, int64_t r) {
  const TileRow& row = tile.row[r];
  const int64_t first = std::min(tile.first_page * kPage, tile.keys);
  const int64_t last = std::min(tile.last_page * kPage, tile.keys);
  const uint16_t* weight = weights_of(tile, r, tile.first_page);
  if (row.weights != nullptr) {
    std::fill(row.weights, row.weights + first, uint8_t{0});
    for (int64_t i = first; i < last; ++i) row.weights[i] = static_cast<uint8_t>(weight[i - first]);
    std::fill(row.weights + last, row.weights + tile.keys, uint8_t{0});
  }
  if (row.wide_weights != nullptr) {
    std::fill(row.wide_weights, row.wide_weights + first, uint16_t{0});
    std::copy(weight, weight + (last - first), row.wide_weights + first);
    std::fill(row.wide_weights + last, row.wide_weights + tile.keys, uint16_t{0});
  }
}

void finish(Tile& tile) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    const TileRow& row = tile.row[r];
    const int64_t sum = tile.weight_sums[r][0];
    if (row.weight_sum != nullptr) *row.weight_sum = static_cast<int32_t>(sum);
    write_weights(tile, r);
    if (row.out == nullptr) continue;
    const int64_t columns = 16 * tile.layout.panels;
    const int32_t* low = tile.products + r * 2 * columns;
    for (int64_t j = 0; j < tile.layout.value_dimension; ++j) {
      if (sum == 0) {
        row.out[j] = 0;
        continue;
      }
      // floor((2 x + W) / (2 W)), which is round_half_up(x / W).
      const int64_t numerator = 2 * (low[j] + 256 * int64_t{low[columns + j]}) + sum;
      const int64_t quotient = numerator / (2 * sum);
      row.out[j] = static_cast<int8_t>(quotient - (numerator % (2 * sum) < 0 ? 1 : 0));
    }
  }
}

}  // namespace

AttentionTarget portable_attention_target() noexcept {
  return {.name = "portable",
          .id = kAttentionPortableId,
          .tile_rows = 4,
          .block_rows = 4,
          .query_bytes = 1,
          .weight_bytes = 2,
          .step_multiple = 1,
          .pack_keys = pack_keys,
          .pack_values = pack_values,
          .begin = begin,
          .sums = sums,
          .values = values,
          .finish = finish};
}

}  // namespace hccs::internal
