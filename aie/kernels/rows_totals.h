// SPDX-License-Identifier: Apache-2.0
//
// Pass 4 of rows (rows.h): Z of 32 rows, by products of their sums with columns of S_k; reciprocals and shifts.
#ifndef HCCS_AIE_KERNELS_ROWS_TOTALS_H_
#define HCCS_AIE_KERNELS_ROWS_TOTALS_H_

#include <array>
#include <type_traits>

#include "row_factors.h"
#include "rows_knees.h"
#include "rows_masked.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// Makes the factors of all rows of a call.
template <Normalisation kNormalisation, typename Out, ColumnSums kColumnSums, unsigned kKnees, typename Rows>
class MakeFactors {
 public:
  // `largest_sum`: n * B.
  MakeFactors(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, unsigned n, int32 largest_sum)
      : x_(x),
        scratch_(scratch),
        last_(rows_groups(x.rows()) - 1),
        of_valid_(knees.floor - (kMarks ? knees.hidden() : 0)),
        largest_sum_(largest_sum),
        bits_(kPacked && largest_sum < 1 << 23 ? kFloatBits : 0) {
    set_columns(knees);
    int32 least_sum = kMarks ? static_cast<int32>(x.pitch()) * knees.hidden() : 0;
    if constexpr (!Rows::kMasked) {
      least_sum += static_cast<int32>(n) * of_valid_;
    } else if constexpr (Rows::kSameLength) {
      least_sum += x.same_length() * of_valid_;
    } else if constexpr (Rows::kMask == MaskKind::kLength) {
      least_sum -= static_cast<int32>(Rows::Prefixes::kEmpty) * of_valid_;
    }
    const auto least = aie::broadcast<int32, kLanes>(least_sum + bits_);
    if constexpr (kHighAlone) {
      start_ = aie::mac(Accum(aie::broadcast<int32, kLanes>(kFloatBits), 8), least, aie::broadcast<int16, kLanes>(1));
    } else {
      start_ = Accum(least);
    }
  }

  // Returns which product pass 5 takes.
  ScoreProduct run() const {
    // One product needs all Z < 2^16. Where n * B does not promise that, the sums are looked at. Scores that are there
    // already take one product anyway.
    constexpr bool kMayFuse = kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8> &&
                              !kScoresWait<kNormalisation, Out, kKnees, Rows>;
    constexpr int32 kTooLarge = kHighAlone ? kFloatBits + (1 << 8) : 1 << 16;
    const bool known = static_cast<unsigned>(largest_sum_) < 1u << 16;
    auto largest = aie::zeros<int32, 2 * kGroupRows>();
    const auto make_all = [&] {
      // Four groups at a time, in pairs; pairs beyond the last repeat it.
      HCCS_LOOP(i, last_ / 4 + 1, "rows.factors", 1) {
        const Totals totals = totals_of(4 * i);
        for (unsigned pair = 0; pair < 2; ++pair) {
          const PairSums sums = kHighAlone ? sums_of(totals, pair, 8, kFloatBits) : sums_of(totals, pair, 0, bits_);
          if (kMayFuse && !known) largest = aie::max(largest, sums);
          store(totals, pair, sums, scratch_.factors[group(4 * i + 2 * pair) / 2]);
        }
      }
    };
    if constexpr (kNormalisation == Normalisation::kClb) {
      make_all();
    } else {
      const auto modes = factor_modes();
      make_all();
    }
    const bool fuse = kMayFuse && (known || aie::ge(largest, kTooLarge).empty());
    return fuse ? ScoreProduct::kFused : ScoreProduct::kFactor;
  }

 private:
  // The first operand is four rows of eight sums; the second puts their totals into a column.
  static constexpr unsigned kColumns = Scratch<kKnees>::kColumns;
  static constexpr bool kWeighted = kColumnSums == ColumnSums::kWeighted;
  static constexpr unsigned kWeightPlanes = kWeighted ? 1 : kKnees;
  static constexpr unsigned kPlanes = kWeightPlanes + (Rows::kMask == MaskKind::kBits ? 1 : 0);
  static constexpr unsigned kLanes = 4 * kColumns;
  static constexpr bool kPacked = kPacksFactors<kNormalisation, Out, kKnees, Rows>;
  static constexpr bool kShifts = kPacked || (kNormalisation != Normalisation::kDiv && Rows::kLaneShifts);
  // clb needs no more of Z than Z >> 8: its products begin with kFloatBits above it.
  static constexpr bool kHighAlone = kShifts && kNormalisation == Normalisation::kClb;
  static constexpr bool kMarks = kMarksInvalid<kScoresWait<kNormalisation, Out, kKnees, Rows>, Rows>;
  using Term = std::conditional_t<kWeighted && !kMarks, uint16, int16>;
  using Product = aie::mmul<4, 8, kColumns, Term, int8>;
  using Column = aie::vector<int8, 8 * kColumns>;
  using Accum = aie::accum<acc64, kLanes>;
  using PairSums = aie::vector<int32, 2 * kGroupRows>;
  // Parts of kLanes rows, of two groups and of four.
  static constexpr unsigned kPairParts = 2 * kGroupRows / kLanes;
  static constexpr unsigned kParts = 2 * kPairParts;
  using Totals = std::array<Accum, kParts>;

  void set_columns(const Knees<kKnees>& knees) {
    for (unsigned plane = 0; plane < kPlanes; ++plane) {
      const bool is_count = kWeighted || plane == kKnees;
      const auto weight = aie::broadcast<int8, 8 * kColumns>(is_count ? int8{1} : knees.slope[plane % kKnees]);
      for (unsigned c = 0; c < kColumns; ++c) {
        const auto lanes = [&] {
          if constexpr (kColumns == 4) return aie::mask<32>::from_uint32(0x11111111u << c);
          if constexpr (kColumns == 8) return aie::mask<64>::from_uint64(uint64_t{0x0101010101010101} << c);
        }();
        columns_[c] = aie::select(static_cast<int8>(0), weight, lanes);
        if constexpr (kPlanes > 1) aie::store_v(scratch_.column(plane, c), columns_[c]);
      }
    }
  }
  Column column(unsigned plane, unsigned c) const {
    if constexpr (kPlanes > 1) return aie::load_v<8 * kColumns>(scratch_.column(plane, c));
    return columns_[c];
  }

  // Group g, or one that stands for it: of the last pair of groups, and in it of the last group.
  unsigned group(unsigned g) const {
    const unsigned in_pairs = 2 * (g / 2 < last_ / 2 ? g / 2 : last_ / 2) + g % 2;
    return in_pairs < last_ ? in_pairs : last_;
  }

  // Adds the sums of four groups from `first` on.
  void add(std::array<Product, kParts>& products, unsigned first, unsigned plane) const {
    for (unsigned c = 0; c < kColumns; ++c) {
      const Column weights = column(plane, c);
      for (unsigned part = 0; part < kParts; ++part) {
        const unsigned from = group(first + part * (kLanes / kGroupRows) + c / 4);
        for (unsigned segment = 0; segment < scratch_.segments; ++segment) {
          const auto* sums = reinterpret_cast<const Term*>(scratch_.sums(from, plane, segment));
          products[part].mac(aie::load_v<32>(sums + c % 4 * 32), weights);
        }
      }
    }
  }

  // Z of four groups, of a masked row that is empty 0.
  Totals totals_of(unsigned first) const {
    std::array<Product, kParts> slopes;
    slopes.fill(Product(start_));
    for (unsigned plane = 0; plane < kWeightPlanes; ++plane) add(slopes, first, plane);
    std::array<Product, kParts> counted;
    if constexpr (Rows::kMask == MaskKind::kBits) add(counted, first, kKnees);
    Totals totals;
    for (unsigned part = 0; part < kParts; ++part) {
      totals[part] = slopes[part].to_accum();
      if constexpr (Rows::kMasked && !Rows::kSameLength) {
        aie::vector<int32, kLanes> count;
        if constexpr (Rows::kMask == MaskKind::kBits) {
          count = counted[part].template to_vector<int32>();
        } else {
          constexpr unsigned kGroups = kLanes / kGroupRows;
          for (unsigned g = 0; g < kGroups; ++g) count.insert(g, x_.lengths(group(first + part * kGroups + g)));
          count = aie::transpose(count, kLanes / 4, 4);
        }
        const auto of_valid = aie::broadcast<int16, kLanes>(static_cast<int16>(of_valid_));
        totals[part] = aie::mac(totals[part], count, of_valid);
      }
    }
    return totals;
  }

  // Z >> down of a pair of groups, with `bits` above it; of an empty row as of Z = 256, so that factors can be made of
  // it (head_error).
  static PairSums sums_of(const Totals& totals, unsigned pair, int down, int32 bits) {
    PairSums sums;
    for (unsigned t = 0; t < kPairParts; ++t) {
      sums.insert(t, totals[pair * kPairParts + t].template to_vector<int32>(down));
    }
    return Rows::kMasked ? aie::max(sums, bits + (256 >> down)) : sums;
  }

  void store(const Totals& totals, unsigned pair, const PairSums& sums, RowsFactors& to) const {
    using Lanes = aie::vector<int16, 2 * kGroupRows>;
    constexpr int kMore = kNormalisation == Normalisation::kScaled && std::is_same_v<Out, uint8> ? 7 : 0;
    const auto shifts_of_high = [&] {
      return shifts(kHighAlone ? sums : aie::add(sums_of(totals, pair, 8, 0), kFloatBits), kMore);
    };
    Lanes shift;
    if constexpr (kPacked) {
      Lanes reciprocal;
      if (bits_ != 0) {
        const auto floats = row_factors::from_float_bits(sums);
        shift = shifts_of_floats(floats, kMore);
        reciprocal = scaled_reciprocals<Out, row_factors::Remainder::kWide>(floats, largest_sum_);
      } else {
        shift = shifts_of_high();
        reciprocal = row_reciprocals<kNormalisation, Out>(sums, largest_sum_);
      }
      const auto [low, high] = aie::interleave_zip(reciprocal, shift, 1);
      aie::store_v(reinterpret_cast<int16*>(to.word), low);
      aie::store_v(reinterpret_cast<int16*>(to.word) + 2 * kGroupRows, high);
    } else {
      if constexpr (kShifts) shift = shifts_of_high();
      if constexpr (kShifts) {
        aie::store_v(to.shift, shift);
      } else {
        aie::store_v(to.word, sums);
      }
      if constexpr (kNormalisation != Normalisation::kClb) {
        aie::store_v(to.reciprocal, row_reciprocals<kNormalisation, Out>(sums, largest_sum_));
      }
    }
  }

  const Rows& x_;
  const Scratch<kKnees>& scratch_;
  unsigned last_;   // group
  int32 of_valid_;  // what a valid position adds to Z beside its u_k: F, or where others are marked F - 128 * S
  int32 largest_sum_;
  int32 bits_;                // above Z: kFloatBits where factors are packed and Z < 2^23, else 0
  Column columns_[kColumns];  // of one plane, which stay in registers; of more, in the scratch
  Accum start_;
};

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_TOTALS_H_
