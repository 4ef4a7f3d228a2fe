// SPDX-License-Identifier: Apache-2.0
//
// Pass 3 of rows (rows.h) where scores do not wait: u of every position, which waits in the output buffer, and eight
// sums a row.
#ifndef HCCS_AIE_KERNELS_ROWS_SUMS_H_
#define HCCS_AIE_KERNELS_ROWS_SUMS_H_

#include "rows_distances.h"
#include "rows_knees.h"
#include "rows_masked.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// Sums the rows of a head. One object serves one call.
template <Thresholds kThresholds, unsigned kKnees, typename Rows, typename Out>
class SumRows {
 public:
  SumRows(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, Out* out)
      : x_(x),
        farthest_(knees.farthest),
        scratch_(scratch),
        out_(out),
        lines_{line(Rows::kPaired ? 0xf00fu : 0xffu), line(0xff00u)},
        beyond_(aie::broadcast<uint8, 64>(static_cast<uint8>(255 - knees.farthest))) {
    for (unsigned k = 0; k < kKnees; ++k) nearer_[k] = aie::broadcast<int8, 64>(knees.nearer[k]);
  }

  void run() const {
    Level::template prepare<Rows::kPaired>(scratch_, x_.rows(), farthest_);
    unsigned row = 0;
    unsigned segment = 0;
    HCCS_LOOP(i, kGroupRows / kPassRows * rows_groups(x_.rows()) * scratch_.segments, "rows.sums", 8) {
      Sums sums;
      if constexpr (Rows::kPaired) {
        add_pair(row, sums);
      } else {
        for (unsigned r = 0; r < kPassRows; ++r) add_row(row + r, segment, r, sums);
      }
      for (unsigned k = 0; k < kKnees; ++k) store(sums.of_knee[k], row, segment, k);
      if constexpr (kCounts) store(sums.count, row, segment, kKnees);
      if (++segment == scratch_.segments) {
        segment = 0;
        row += kPassRows;
      }
    }
  }

 private:
  using Product = aie::mmul<4, 8, 8, int8, int8>;
  struct Sums {
    Product of_knee[kKnees];
    Product count;
  };
  using Level = RowLevel<kThresholds>;
  static constexpr bool kCounts = Rows::kMask == MaskKind::kBits;
  // Rows that a pass takes: two where their code is short.
  static constexpr bool kTwoRows = Rows::kBlocks == 1 || (Rows::kBlocks == 2 && kKnees + (Rows::kMasked ? 1 : 0) <= 3);
  static constexpr unsigned kPassRows = kTwoRows ? 2 : 1;

  static aie::vector<int8, 32> line(uint32_t lanes) {
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 32>(1), aie::mask<32>::from_uint32(lanes));
  }

  void add_pair(unsigned row, Sums& sums) const {
    const unsigned first = x_.pair_row(row / 2);
    add_block(
        first, 0, Level::of_pair(scratch_, row), [&] { return x_.valid_pair(first); }, 0, sums);
  }

  // A segment of a row, into line `to_line` of the sums.
  void add_row(unsigned row, unsigned segment, unsigned to_line, Sums& sums) const {
    const auto level = Level::of(scratch_, row);
    const unsigned stands_in = x_.existing(row);
    typename Rows::Valid valid;
    if constexpr (Rows::kMasked) valid = x_.valid(stands_in, segment);
    for (unsigned b = 0; b < Rows::kBlocks; ++b) {
      add_block(
          stands_in, segment * Rows::kBlocks + b, level, [&] { return valid.block(b); }, to_line, sums);
    }
  }

  // 64 lanes. `level`: m - D, or m + 1. valid_block(): which of them are valid.
  template <typename ValidBlock>
  void add_block(unsigned row, unsigned block, const aie::vector<int8, 64>& level, ValidBlock valid_block,
                 unsigned to_line, Sums& sums) const {
    const auto logits = x_.load(row, block);
    aie::mask<64> valid;
    if constexpr (Rows::kMasked) {
      valid = valid_block();
      if constexpr (kCounts) {
        sums.count.mac(lines_[to_line], aie::select(static_cast<int8>(0), aie::broadcast<int8, 64>(1), valid));
      }
    }
    auto u = Level::take(logits, level, beyond_);
    if constexpr (Rows::kMasked) u = aie::select(int8{-128}, u, valid);
    aie::store_v(parked(x_, out_, row, block), u);
    for (unsigned k = 0; k < kKnees; ++k) {
      sums.of_knee[k].mac(lines_[to_line], k == kKnees - 1 ? u : aie::maxdiff(u, nearer_[k]));
    }
  }

  void store(const Product& product, unsigned row, unsigned segment, unsigned plane) const {
    const auto rows = product.to_accum().template extract<16>(0).template to_vector<int16>(0);
    int16* to = scratch_.sums(row / kGroupRows, plane, segment) + row % kGroupRows * 8;
    if constexpr (kPassRows == 2) {
      aie::store_v(to, rows);
    } else {
      aie::store_v(to, rows.template extract<8>(0));
    }
  }

  const Rows& x_;
  int8 farthest_;
  const Scratch<kKnees>& scratch_;
  Out* out_;
  // The first operands of the products: line i sums the row that goes to line i. Of pairs, one row is in the upper half
  // of the lines.
  aie::vector<int8, 32> lines_[2];
  aie::vector<uint8, 64> beyond_;
  aie::vector<int8, 64> nearer_[kKnees];
};

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_SUMS_H_
