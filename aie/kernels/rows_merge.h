// SPDX-License-Identifier: Apache-2.0
//
// Pass 2 of rows (rows.h): from 32 lanes a row to one for each of 64 rows, by shuffles that all of them share; on v2
// partly by products.
#ifndef HCCS_AIE_KERNELS_ROWS_MERGE_H_
#define HCCS_AIE_KERNELS_ROWS_MERGE_H_

#include <type_traits>

#include "row_groups.h"
#include "rows_masked.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// The maxima of four rows, 16 lanes a row, from 32 lanes a row, by products with unit matrices instead of shuffles. Of
// each line of eight lanes they pick four, those of the next row into the upper half: the next step has to join lanes
// that are 16 apart.
struct MergeByProducts {
  using Product = aie::mmul<8, 8, 8, int8, int8>;
  // Line k of the matrix has its 1 in column k + `shift`, for the four lines from `first` on.
  static aie::vector<int8, 64> pick(unsigned first, int shift) {
    const uint64_t lanes = uint64_t{0x08040201} << (static_cast<int>(9 * first) + shift);
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 64>(1), aie::mask<64>::from_uint64(lanes));
  }
  template <typename TwoRows>
  aie::vector<int8, 64> operator()(const TwoRows& two_rows, unsigned row) const {
    const auto a = two_rows(row, row + 2);
    const auto b = two_rows(row + 1, row + 3);
    const auto half = [&](unsigned i) {
      Product lanes;
      lanes.mul(a, to_lower[i]);
      lanes.mac(b, to_upper[i]);
      return lanes.template to_vector<int8>(0);
    };
    return aie::max(half(0), half(1));
  }
  // Matrices that pick the first four and the last four lanes of a line.
  aie::vector<int8, 64> to_lower[2] = {pick(0, 0), pick(4, -4)};
  aie::vector<int8, 64> to_upper[2] = {pick(0, 4), pick(4, 0)};
};

// The maxima of 64 rows at a time. Returns whether the threshold m - D of the farthest knee fits int8 in all of them.
template <typename Rows, unsigned kKnees>
Thresholds merge_maxima(const Rows& x, int8 farthest, const Scratch<kKnees>& scratch) {
  // 32 lanes for each of two rows.
  const auto two_rows = [&](unsigned a, unsigned b) -> aie::vector<int8, 64> {
    const unsigned row[] = {x.existing(a), x.existing(b)};
    if constexpr (Rows::kPaired) {
      const auto logits = x.load_halves(row[0], row[1]);
      if constexpr (!Rows::kMasked) return logits;
      return aie::select(int8{-128}, logits, RowsValid::halves(x.valid(row[0], 0), x.valid(row[1], 0), 0));
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
  constexpr bool kProducts = !is_aie_ml(kArch);
  const std::conditional_t<kProducts, MergeByProducts, int> by_products{};
  // Four lanes for each of 16 rows. Groups beyond the last repeat it.
  const unsigned last = rows_groups(x.rows()) - 1;
  const auto of_group = [&](unsigned group) {
    const unsigned first = kGroupRows * (group < last ? group : last);
    // v2 has the same by products, of whose results the rest is made while mv merges the other half.
    if constexpr (kProducts) {
      const auto four = [&](unsigned i) { return by_products(two_rows, first + 4 * i); };
      if (group % 4 >= 2) return merge_max(merge_max(four(0), four(1), 16), merge_max(four(2), four(3), 16), 8);
    }
    const auto eight = [&](unsigned r) {
      return merge_max(merge_max(two_rows(r, r + 1), two_rows(r + 2, r + 3), 16),
                       merge_max(two_rows(r + 4, r + 5), two_rows(r + 6, r + 7), 16), 8);
    };
    return merge_max(eight(first), eight(first + 8), 4);
  };
  const auto of_two = [&](unsigned g) { return merge_max(of_group(g), of_group(g + 1), 2); };
  auto least = aie::broadcast<int8, 64>(127);
  HCCS_LOOP(i, rows_blocks(x.rows()), "rows.merge", 1) {
    const auto first = of_two(4 * i);
    const auto maxima = merge_max(first, 4 * i + 2 <= last ? of_two(4 * i + 2) : first, 1);
    aie::store_v(scratch.row_maxima() + 64 * i, maxima);
    if constexpr (Rows::kPaired) scratch.store_levels(i, aie::sub(maxima, farthest));
    least = aie::min(least, maxima);
  }
  const bool fit = aie::lt(least, static_cast<int8>(farthest - 128)).empty();
  return fit ? Thresholds::kFit : Thresholds::kWrap;
}

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_MERGE_H_
