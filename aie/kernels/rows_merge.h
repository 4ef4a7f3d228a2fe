// SPDX-License-Identifier: Apache-2.0
//
// Pass 2 of rows (rows.h): from 32 lanes a row to one for each of 64 rows, by products and by shuffles that all of
// them share. Which rows go by products is what the cycle model found best.
#ifndef HCCS_AIE_KERNELS_ROWS_MERGE_H_
#define HCCS_AIE_KERNELS_ROWS_MERGE_H_

#include "row_groups.h"
#include "rows_masked.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// Lanes for the products of pairs of rows of `length` positions, 8..32: four lines of eight positions, of which those
// before `whole` are valid and the next one may be in a part.
struct MergeLanes {
  constexpr MergeLanes() {
    for (unsigned length = 8; length <= 32; ++length) {
      const unsigned whole = length / 8;
      const auto two_lines = [](unsigned a, unsigned b) { return 0x00100001u << a | 0x10000100u << b; };
      // A line that is not valid is replaced by one that is.
      pick[length][0] = two_lines(0, whole > 1 ? 1 : 0);
      pick[length][1] = two_lines(whole > 2 ? 2 : whole - 1, whole > 3 ? 3 : whole);
      valid[length] = whole > 3 ? ~0u : 0x00ff00ffu | ((1u << length % 8) - 1) * 0x01000100u;
    }
  }
  uint32_t pick[33][2]{};  // of the first operands: lines 0 and 1 of each row's maximum, and lines 2 and 3
  uint32_t valid[33]{};    // of the second product's results
};
inline constexpr MergeLanes kMergeLanes;

// merge_max(a, b, 16) by products instead of shuffles: first operands that pick lines of eight lanes, two of every
// four, out of 64 lanes. AIE-ML makes 32 lanes at a time, v2 64. kHides, of AIE-ML: rows of the same length; they pick
// valid lines, and the products of the last line begin so low beyond the length that -128 comes out.
template <bool kHides>
class MergeByProducts {
 public:
  template <typename Rows>
  explicit MergeByProducts(const Rows& x) {
    if constexpr (kHides) hide(x.same_length());
  }

  aie::vector<int8, 64> operator()(const aie::vector<int8, 64>& a, const aie::vector<int8, 64>& b) const {
    return aie::max(lines(a, b, 0), lines(a, b, 1));
  }

 private:
  static constexpr unsigned kLines = is_aie_ml(kArch) ? 4 : 8;
  using Pick = aie::vector<int8, 8 * kLines>;
  using Product = aie::mmul<kLines, 8, 8, int8, int8>;
  using Start = typename Product::accum_type;

  template <unsigned kCount = kLines>
  void hide(int32_t length) {
    constexpr int16 kHidden = -1024;
    const auto ones = aie::broadcast<int8, 8 * kCount>(1);
    for (unsigned odd = 0; odd < 2; ++odd) {
      of_first_[odd] = aie::select(static_cast<int8>(0), ones, load_mask(kMergeLanes.pick[length] + odd));
    }
    start_ = Start(aie::select(kHidden, aie::zeros<int16, 8 * kCount>(), load_mask(kMergeLanes.valid + length)), 0);
  }

  // Lines 0, 1, 4, 5 of 64 lanes, or those behind them: as the first four lines, or, of v2, as the last four.
  static Pick pick(unsigned odd, unsigned to) {
    const uint64_t lanes = uint64_t{0x20100201} << (2 * odd + 32 * to);
    const auto mask = [&] {
      if constexpr (kLines == 4) return aie::mask<32>::from_uint32(static_cast<uint32_t>(lanes));
      if constexpr (kLines == 8) return aie::mask<64>::from_uint64(lanes);
    }();
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 8 * kLines>(1), mask);
  }
  template <unsigned kCount = kLines>
  aie::vector<int8, 64> lines(const aie::vector<int8, 64>& a, const aie::vector<int8, 64>& b, unsigned odd) const {
    const auto product = [&](const aie::vector<int8, 64>& rows) {
      aie::mmul<kCount, 8, 8, int8, int8> made;
      if (kHides && odd == 1) {
        made = Product(start_);
        made.mac(of_first_[odd], rows);
      } else {
        made.mul(of_first_[odd], rows);
      }
      return made;
    };
    auto first = product(a);
    if constexpr (kCount == 8) {
      first.mac(of_second_[odd], b);
      return first.template to_vector<int8>(0);
    } else {
      return aie::concat(first.template to_vector<int8>(0), product(b).template to_vector<int8>(0));
    }
  }

  Pick of_first_[2] = {pick(0, 0), pick(1, 0)};
  Pick of_second_[2] = {pick(0, kLines / 8), pick(1, kLines / 8)};
  Start start_;  // of the second product
};

// The maxima of 64 rows at a time. Returns whether the threshold m - D of the farthest knee fits int8 in all of them.
template <bool kScores, typename Rows, unsigned kKnees>
Thresholds merge_maxima(const Rows& x, int8 farthest, const Scratch<kKnees>& scratch) {
  constexpr bool kHides = kProductsHide<kScores, Rows>;
  // 32 lanes for each of two rows; `raw`: what invalid positions have is left.
  const auto two_rows = [&](unsigned a, unsigned b, bool raw) -> aie::vector<int8, 64> {
    const unsigned row[] = {x.existing(a), x.existing(b)};
    if constexpr (Rows::kPaired) {
      const auto logits = x.load_halves(row[0], row[1]);
      if constexpr (!Rows::kMasked) return logits;
      if (raw) return logits;
      const auto valid = Rows::Valid::halves(x.valid(row[0], 0), x.valid(row[1], 0), 0);
      return aie::select(int8{-128}, logits, valid);
    } else {
      const auto load = [&](unsigned segment) {
        const auto of = [&](unsigned r) { return aie::load_v<32>(scratch.maxima(r / 2, segment) + r % 2 * 32); };
        return aie::concat(of(row[0]), of(row[1]));
      };
      auto maxima = load(0);
      for (unsigned segment = 1; segment < scratch.segments; ++segment) maxima = aie::max(maxima, load(segment));
      return maxima;
    }
  };
  const MergeByProducts<kHides> by_products(x);
  // Four lanes for each of 16 rows. Groups beyond the last repeat it.
  const unsigned last = rows_groups(x.rows()) - 1;
  const auto of_group = [&](unsigned group) {
    const unsigned first = kGroupRows * (group < last ? group : last);
    // The products of some rows are made while mv merges others.
    const auto multiplies = [&](unsigned r) {
      if (!kScores) return group % 4 >= 2;
      return Rows::kPaired ? r % kGroupRows >= 4 : r % kGroupRows < 8;
    };
    const auto four = [&](unsigned r) {
      const bool raw = kHides && multiplies(r);
      const auto a = two_rows(r, r + 1, raw);
      const auto b = two_rows(r + 2, r + 3, raw);
      return multiplies(r) ? by_products(a, b) : merge_max(a, b, 16);
    };
    const auto eight = [&](unsigned r) { return merge_max(four(r), four(r + 4), 8); };
    return merge_max(eight(first), eight(first + 8), 4);
  };
  const auto of_two = [&](unsigned g) { return merge_max(of_group(g), of_group(g + 1), 2); };
  auto least = aie::broadcast<int8, 64>(127);
  HCCS_LOOP(i, rows_blocks(x.rows()), "rows.merge", 1) {
    const auto first = of_two(4 * i);
    const auto maxima = merge_max(first, 4 * i + 2 <= last ? of_two(4 * i + 2) : first, 1);
    scratch.template store_levels<kTakesTwoRows<kScores, kKnees, Rows>>(i, aie::sub(maxima, farthest));
    least = aie::min(least, maxima);
  }
  const bool fit = aie::lt(least, static_cast<int8>(farthest - 128)).empty();
  return fit ? Thresholds::kFit : Thresholds::kWrap;
}

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_MERGE_H_
