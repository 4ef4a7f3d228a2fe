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

// merge_max(a, b, 16) by products instead of shuffles: first operands that pick lines of eight lanes, two of every
// four, out of 64 lanes. AIE-ML makes 32 lanes at a time, v2 64.
class MergeByProducts {
 public:
  aie::vector<int8, 64> operator()(const aie::vector<int8, 64>& a, const aie::vector<int8, 64>& b) const {
    return aie::max(lines(a, b, 0), lines(a, b, 1));
  }

 private:
  static constexpr unsigned kLines = is_aie_ml(kArch) ? 4 : 8;
  using Pick = aie::vector<int8, 8 * kLines>;

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
    aie::mmul<kCount, 8, 8, int8, int8> first;
    first.mul(of_first_[odd], a);
    if constexpr (kCount == 8) {
      first.mac(of_second_[odd], b);
      return first.template to_vector<int8>(0);
    } else {
      aie::mmul<kCount, 8, 8, int8, int8> second;
      second.mul(of_first_[odd], b);
      return aie::concat(first.template to_vector<int8>(0), second.template to_vector<int8>(0));
    }
  }

  Pick of_first_[2] = {pick(0, 0), pick(1, 0)};
  Pick of_second_[2] = {pick(0, kLines / 8), pick(1, kLines / 8)};
};

// The maxima of 64 rows at a time. Returns whether the threshold m - D of the farthest knee fits int8 in all of them.
template <bool kScores, typename Rows, unsigned kKnees>
Thresholds merge_maxima(const Rows& x, int8 farthest, const Scratch<kKnees>& scratch) {
  constexpr bool kParks = Rows::kPaired && kScores && kParksLogits<Rows>;
  // 32 lanes for each of two rows.
  const auto two_rows = [&](unsigned a, unsigned b) -> aie::vector<int8, 64> {
    const unsigned row[] = {x.existing(a), x.existing(b)};
    if constexpr (Rows::kPaired) {
      const auto logits = x.load_halves(row[0], row[1]);
      if constexpr (!Rows::kMasked) return logits;
      const auto valid = Rows::Valid::halves(x.valid(row[0], 0), x.valid(row[1], 0), 0);
      const auto hidden = aie::select(int8{-128}, logits, valid);
      if constexpr (kParks) aie::store_v(scratch.parked() + row[0] * x.pitch(), hidden);
      return hidden;
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
  const MergeByProducts by_products;
  // Four lanes for each of 16 rows. Groups beyond the last repeat it.
  const unsigned last = rows_groups(x.rows()) - 1;
  const auto of_group = [&](unsigned group) {
    const unsigned first = kGroupRows * (group < last ? group : last);
    // The products of some rows are made while mv merges others, if they need not wait for logits that are parked.
    const auto four = [&](unsigned r) {
      const auto a = two_rows(r, r + 1);
      const auto b = two_rows(r + 2, r + 3);
      return !kParks && (Rows::kPaired ? r % kGroupRows >= 4 : r % kGroupRows < 8) ? by_products(a, b)
                                                                                   : merge_max(a, b, 16);
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
