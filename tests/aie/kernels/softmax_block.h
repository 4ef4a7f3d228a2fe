// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the row softmax kernels share: blocks of rows of one head, drawn at random, and the comparison of a
// kernel's results with the contract's, tolerance 0.
#ifndef HCCS_TESTS_AIE_KERNELS_SOFTMAX_BLOCK_H_
#define HCCS_TESTS_AIE_KERNELS_SOFTMAX_BLOCK_H_

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "aie/kernels/device.h"
#include "aie/kernels/head.h"
#include "aie/kernels/layout.h"
#include "aie/kernels/masks.h"
#include "contract/golden_format.h"
#include "hccs/deployability.h"
#include "hccs/reference.h"

namespace kernel_test {

using hccs_kernels::HccsHead;

// The modes that a kernel may find on its tile.
inline constexpr aie::rounding_mode kRoundings[] = {
    aie::rounding_mode::floor,          aie::rounding_mode::ceil,          aie::rounding_mode::symmetric_floor,
    aie::rounding_mode::symmetric_ceil, aie::rounding_mode::negative_inf,  aie::rounding_mode::positive_inf,
    aie::rounding_mode::symmetric_zero, aie::rounding_mode::symmetric_inf, aie::rounding_mode::conv_even,
    aie::rounding_mode::conv_odd};
inline constexpr aie::saturation_mode kSaturations[] = {aie::saturation_mode::none, aie::saturation_mode::saturate,
                                                        aie::saturation_mode::symmetric};

// Elements whose end, rounded up to 64 bytes, is the end of readable memory, filled with a changing pattern.
template <typename T>
class GuardedArray {
 public:
  explicit GuardedArray(size_t count) : count_(count) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    usable_ = (bytes + page - 1) / page * page;
    mapped_ = usable_ + page;
    base_ = static_cast<uint8_t*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + usable_, page, PROT_NONE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(base_ + usable_ - bytes);
    for (size_t i = 0; i < usable_; ++i) base_[i] = static_cast<uint8_t>(0x5b + 37 * i);
  }
  ~GuardedArray() { munmap(base_, mapped_); }
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;
  T* data() { return data_; }
  size_t size() const { return count_; }
  T& operator[](size_t i) { return data_[i]; }
  void add_to(aie_host::Tile& tile, const std::string& name, bool writable) const {
    aie_host::add_region(tile, data_, count_ * sizeof(T), name, writable);
  }

 private:
  size_t count_, usable_ = 0, mapped_ = 0;
  uint8_t* base_ = nullptr;
  T* data_ = nullptr;
};

inline HccsHead kernel_head(const hccs::HeadParams& params) {
  HccsHead head;
  head.offset = static_cast<int16_t>(params.offset);
  head.knee_count = static_cast<int16_t>(params.knee_count);
  for (int k = 0; k < params.knee_count; ++k) {
    head.slope[k] = static_cast<int8_t>(params.knees[static_cast<size_t>(k)].slope);
    head.position[k] = static_cast<int8_t>(params.knees[static_cast<size_t>(k)].position);
  }
  return head;
}

class Random {
 public:
  explicit Random(uint64_t seed) : generator_(seed) {}
  int below(int bound) { return static_cast<int>(generator_() % static_cast<uint64_t>(bound)); }
  int between(int least, int most) { return least + below(most - least + 1); }
  bool one_in(int n) { return below(n) == 0; }

 private:
  std::mt19937_64 generator_;
};

// A seed of this run, or HCCS_SEED; printed when something fails.
inline uint64_t draw_seed() {
  const char* fixed = std::getenv("HCCS_SEED");
  return fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
}

// A head with `knees` knees that check_aie accepts for masked rows: steep and flat ones, with floors from 0.
inline hccs::HeadParams draw_head(Random& random, int knees) {
  for (;;) {
    hccs::HeadParams params;
    params.knee_count = knees;
    int position = 0;
    int drop = 0;
    const int steepest = random.one_in(2) ? 127 : random.between(1, 127);
    for (int k = 0; k < knees; ++k) {
      position =
          random.between(position + 1, std::min(127 - (knees - 1 - k), position + (random.one_in(2) ? 20 : 127)));
      const int slope = random.between(0, steepest);
      drop += slope * position;
      params.knees[static_cast<size_t>(k)] = {slope, position};
    }
    const int floor = random.one_in(3) ? 0 : random.one_in(2) ? random.below(300) : random.below(32768);
    params.offset = std::max(drop + floor, 256);
    if (hccs::check_aie(params, 1, hccs::AieRows::kMasked).ok()) return params;
  }
}

// A head with B < 256 that check_aie accepts for full rows of n >= 2 positions, half of them only just.
inline hccs::HeadParams draw_low_head(Random& random, int knees, unsigned n) {
  for (;;) {
    hccs::HeadParams params;
    params.knee_count = knees;
    int position = 0;
    int drop = 0;
    for (int k = 0; k < knees; ++k) {
      position = random.between(position + 1, std::min(127 - (knees - 1 - k), position + (random.one_in(2) ? 4 : 127)));
      const int slope = random.between(0, 254 / position);
      drop += slope * position;
      params.knees[static_cast<size_t>(k)] = {slope, position};
    }
    const int least_floor = (255 - drop + static_cast<int>(n)) / static_cast<int>(n);
    if (drop > 254 || drop + least_floor > 255) continue;
    params.offset = drop + (random.one_in(2) ? least_floor : random.between(least_floor, 255 - drop));
    if (hccs::check_aie(params, n, hccs::AieRows::kFull).ok()) return params;
  }
}

// Heads for full rows of n positions: with B + (n-1)*F = 256, and the largest that the paper's limits leave long rows.
struct FullRows {
  hccs::HeadParams params;
  unsigned n;
};
inline const FullRows kLeastFullRows[] = {{{128, {{0, 1}}}, 2},   {{255, {{2, 127}}}, 2},
                                          {{136, {{8, 16}}}, 16}, {{132, {{4, 32}}}, 32},
                                          {{80, {{2, 38}}}, 45},  {{132, {{1, 1}, {1, 2}, {0, 3}, {1, 127}}}, 63},
                                          {{58, {{1, 56}}}, 100}, {{129, {{1, 1}, {1, 127}}}, 128},
                                          {{1, {{0, 1}}}, 256}};
inline const FullRows kPaperLongRows[] = {{{255, {{23, 11}}}, 128}, {{127, {{1, 126}}}, 256}, {{63, {{2, 31}}}, 512}};

// Rows whose sums are the least and the largest of a head: one maximum above the last knee, at each end of the row; all
// logits equal.
inline std::vector<std::vector<int8_t>> extreme_rows(unsigned n) {
  std::vector<std::vector<int8_t>> rows(3, std::vector<int8_t>(n, -128));
  rows[0].front() = 127;
  rows[1].back() = 127;
  return rows;
}

// Rows as a model makes them, and rows that look for trouble.
inline std::vector<int8_t> draw_row(Random& random, unsigned n) {
  std::vector<int8_t> row(n);
  const int kind = random.below(6);
  const int centre = random.between(-128, 127);
  const int width = random.between(1, 60);
  for (int8_t& x : row) {
    int v = centre;
    switch (kind) {
      case 0:
        v = random.between(-128, 127);
        break;
      case 1:
        v += (random.between(-width, width) + random.between(-width, width) + random.between(-width, width)) / 2;
        break;
      case 2:
        v = -128 + random.below(20);
        break;
      case 3:
        v += random.one_in(2) ? width : -width;
        break;
      case 4:
        v = random.one_in(2) ? 127 : -128;
        break;
      default:
        break;
    }
    x = static_cast<int8_t>(std::clamp(v, -128, 127));
  }
  if (kind == 2) row[static_cast<size_t>(random.below(static_cast<int>(n)))] = 127;
  return row;
}

// Rows of one head with their masks.
struct Block {
  hccs::HeadParams params;
  unsigned n = 0;
  std::vector<std::vector<int8_t>> rows;
  int32_t valid_length = INT32_MAX;
  bool causal = false;
  int32_t causal_offset = 0;
  std::vector<std::vector<uint8_t>> bits;  // (n + 7) / 8 bytes a row, as RowMask has them; empty: none

  hccs::RowMask mask(size_t row) const {
    hccs::RowMask mask;
    if (valid_length != INT32_MAX) mask.valid_length = valid_length;
    if (causal) mask.last_visible = static_cast<int64_t>(row) + causal_offset;
    if (!bits.empty()) mask.bits = bits[row].data();
    return mask;
  }
  std::string describe() const {
    std::string text =
        "n " + std::to_string(n) + ", " + std::to_string(rows.size()) + " rows, B " + std::to_string(params.offset);
    for (const hccs::Knee& k : params.active_knees()) {
      text += ", " + std::to_string(k.slope) + ":" + std::to_string(k.position);
    }
    if (valid_length != INT32_MAX) text += ", valid length " + std::to_string(valid_length);
    if (causal) text += ", causal offset " + std::to_string(causal_offset);
    if (!bits.empty()) text += ", bits";
    return text;
  }
};

inline Block draw_block(Random& random, int knees, unsigned rows, unsigned n) {
  Block block{draw_head(random, knees), n, {}};
  for (unsigned r = 0; r < rows; ++r) block.rows.push_back(draw_row(random, n));
  return block;
}

// A draw of every kind of mask, also such as leave no position.
inline void draw_masks(Random& random, Block& block) {
  const int n = static_cast<int>(block.n);
  if (random.one_in(2)) block.valid_length = random.one_in(10) ? INT32_MIN : random.between(-1, n + 1);
  if (random.one_in(2)) {
    constexpr int32_t kExtremes[] = {INT32_MIN, INT32_MAX};
    block.causal = true;
    block.causal_offset = random.one_in(10) ? kExtremes[random.below(2)] : random.between(-5, n);
  }
  if (random.one_in(2)) {
    const int density = random.below(4);  // none, few, many, all
    for (size_t r = 0; r < block.rows.size(); ++r) {
      block.bits.emplace_back((block.n + 7) / 8);
      for (uint8_t& byte : block.bits.back()) {
        const int a = random.below(256);
        const int b = random.below(256);
        byte = static_cast<uint8_t>(density == 0 ? 0 : density == 1 ? a & b & 17 : density == 2 ? a | b : 255);
      }
    }
  }
}

inline hccs::Normalisation contract_normalisation(hccs_kernels::Normalisation normalisation) {
  switch (normalisation) {
    case hccs_kernels::Normalisation::kDiv:
      return hccs::Normalisation::kDiv;
    case hccs_kernels::Normalisation::kClb:
      return hccs::Normalisation::kClb;
    default:
      return hccs::Normalisation::kScaled;
  }
}

// Where a layout puts position i of a row, and how many elements its buffers have. Bit j of mask word w is element
// 32 w + j.
struct Layout {
  std::function<size_t(unsigned row, unsigned i)> index;
  size_t elements;
  size_t scratch;  // bytes that the kernel may use
};

// Runs `kernel(logits, out, masks)` on a block in the layout, and compares. Buffers end at inaccessible memory and are
// all that the kernel may touch beside `scratch`; what no position owns is filled with a pattern before, and must be 0
// after. `mode` picks the modes that the kernel finds, which it must leave as they were.
template <typename Out, typename Kernel>
void expect_equals_contract(const Block& block, hccs_kernels::Normalisation normalisation, const Layout& layout,
                            unsigned mode, Kernel kernel) {
  GuardedArray<int8_t> logits(layout.elements);
  GuardedArray<Out> out(layout.elements);
  GuardedArray<uint32_t> words(block.bits.empty() ? 1 : (layout.elements + 31) / 32);
  GuardedArray<int8_t> scratch(layout.scratch);
  for (unsigned r = 0; r < block.rows.size(); ++r) {
    for (unsigned i = 0; i < block.n; ++i) {
      const size_t at = layout.index(r, i);
      logits[at] = block.rows[r][i];
      if (block.bits.empty()) continue;
      const uint32_t bit = uint32_t{1} << (at % 32);
      const bool valid = (block.bits[r][i / 8] >> (i % 8) & 1) != 0;
      words[at / 32] = valid ? words[at / 32] | bit : words[at / 32] & ~bit;
    }
  }
  hccs_kernels::BlockMask masks;
  masks.valid_length = block.valid_length;
  masks.causal = block.causal;
  masks.causal_offset = block.causal_offset;
  masks.bits = block.bits.empty() ? nullptr : words.data();

  aie_host::Tile tile("tested");
  logits.add_to(tile, "logits", false);
  out.add_to(tile, "out", true);
  scratch.add_to(tile, "scratch", true);
  tile.rounding = static_cast<uint8_t>(kRoundings[mode % std::size(kRoundings)]);
  tile.saturation = static_cast<uint8_t>(kSaturations[mode / std::size(kRoundings) % std::size(kSaturations)]);
  const auto before = std::pair(tile.rounding, tile.saturation);
  {
    const aie_host::TileScope scope(tile);
    try {
      kernel(static_cast<const int8*>(logits.data()), out.data(), masks, scratch.data());
    } catch (const aie_host::Error& error) {
      ADD_FAILURE() << error.what() << "\n" << block.describe();
      return;
    }
  }
  EXPECT_EQ(std::pair(tile.rounding, tile.saturation), before) << block.describe();

  std::vector<Out> expected(layout.elements, Out{0});
  std::vector<Out> p(block.n);
  for (unsigned r = 0; r < block.rows.size(); ++r) {
    const hccs::Status status = hccs::softmax_reference(block.params, contract_normalisation(normalisation),
                                                        block.rows[r], block.mask(r), std::span<Out>(p));
    ASSERT_TRUE(status.ok()) << status.message();
    for (unsigned i = 0; i < block.n; ++i) expected[layout.index(r, i)] = p[i];
  }
  const std::vector<Out> got(out.data(), out.data() + out.size());
  if (got == expected) return;
  for (unsigned r = 0; r < block.rows.size(); ++r) {
    for (unsigned i = 0; i < block.n; ++i) {
      const size_t at = layout.index(r, i);
      ASSERT_EQ(int{got[at]}, int{expected[at]}) << "row " << r << ", position " << i << ", " << block.describe();
    }
  }
  FAIL() << "not 0 beside the rows: " << block.describe();
}

// The golden rows that `serves` accepts, as blocks of one row each.
inline std::vector<Block> golden_blocks(const std::function<bool(const hccs::HeadParams&, unsigned n)>& serves) {
  std::vector<Block> blocks;
  for (const nlohmann::json& row : hccs::golden_rows("softmax.jsonl")) {
    const auto x = row.at("x").get<std::vector<int8_t>>();
    const hccs::HeadParams params = hccs::golden_params(row);
    const auto n = static_cast<unsigned>(x.size());
    const auto valid = row.at("valid").get<std::vector<int>>();
    const bool full = std::count(valid.begin(), valid.end(), 1) == static_cast<std::ptrdiff_t>(n);
    const auto rows = full ? hccs::AieRows::kFull : hccs::AieRows::kMasked;
    if (!hccs::check_aie(params, n, rows).ok() || !serves(params, n)) continue;
    Block block{params, n, {x}};
    if (!full) {
      block.bits.emplace_back((n + 7) / 8);
      for (unsigned i = 0; i < n; ++i) {
        block.bits[0][i / 8] = static_cast<uint8_t>(block.bits[0][i / 8] | valid[i] << (i % 8));
      }
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace kernel_test

#endif  // HCCS_TESTS_AIE_KERNELS_SOFTMAX_BLOCK_H_
