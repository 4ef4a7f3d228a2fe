// SPDX-License-Identifier: Apache-2.0
//
// Pass 5 of rows (rows.h): the results, from u and the rows' factors.
#ifndef HCCS_AIE_KERNELS_ROWS_SCALE_H_
#define HCCS_AIE_KERNELS_ROWS_SCALE_H_

#include <type_traits>

#include "rows_knees.h"
#include "rows_masked.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// How results of invalid positions become 0.
enum class Invalid {
  kNone,    // there are none, or their scores are 0 or less and unsigned results saturate
  kSelect,  // by selects
};

// Makes the results of all rows of a call.
template <Normalisation kNormalisation, typename Out, ScoreProduct kProduct, Invalid kInvalid, unsigned kKnees,
          typename Rows>
class ScaleRows {
 public:
  ScaleRows(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, Out* out)
      : x_(x),
        scratch_(scratch),
        out_(out),
        floor_(aie::mul(aie::broadcast<int16, kPart>(knees.floor), aie::broadcast<int16, kPart>(kScale))) {
    for (unsigned k = 0; k < kKnees; ++k) {
      slope_[k] = aie::broadcast<int16, kPart>(static_cast<int16>(knees.slope[k] * kScale));
      nearer_[k] = aie::broadcast<int8, kPart>(knees.nearer[k]);
    }
  }

  void run() const {
    constexpr unsigned kPassBlocks = pass_blocks();
    constexpr unsigned kPasses = Rows::kBlocks / kPassBlocks;  // of a segment
    const unsigned padded_rows = Rows::kPaired ? (x_.rows() + 1) / 2 * 2 : x_.rows();
    unsigned row = 0;
    unsigned segment = 0;
    unsigned pass = 0;
    HCCS_LOOP(i, padded_rows * scratch_.segments * kPasses, "rows.scale", 2) {
      const Factor factor = factor_of(row);
      RowsValid valid;
      if constexpr (kSelects) valid = x_.valid(row, segment);
      for (unsigned b = 0; b < kPassBlocks; ++b) {
        const unsigned in_segment = pass * kPassBlocks + b;
        const unsigned block = segment * Rows::kBlocks + in_segment;
        auto results = results_of(parked(x_, out_, row, block), factor);
        if constexpr (kSelects && Rows::kPaired) {
          results = aie::select(Out{0}, results, valid.half(0));
        } else if constexpr (kSelects) {
          results = aie::select(Out{0}, results, valid.block(in_segment));
        }
        aie::store_v(out_ + row * x_.pitch() + block * 64, results);
      }
      if (++pass == kPasses) {
        pass = 0;
        if (++segment == scratch_.segments) {
          segment = 0;
          ++row;
        }
      }
    }
  }

 private:
  static constexpr bool kFused = kProduct == ScoreProduct::kFused;
  static constexpr bool kSelects = kInvalid == Invalid::kSelect;
  static constexpr bool kWide = std::is_same_v<Out, int16>;
  static constexpr bool kClbWide = kWide && kNormalisation == Normalisation::kClb;
  static_assert(!Rows::kMasked || kSelects || !kClbWide);
  static constexpr unsigned kLanes = Rows::kRowLanes;
  // AIE-ML multiplies 32 lanes at a time: constants of 64 would need two registers each.
  static constexpr unsigned kPart = is_aie_ml(kArch) ? 32 : kLanes;
  static constexpr int16 kScale = kFused ? 255 : 1;

  struct Factor {
    int shift = 0;                          // of the last product
    aie::vector<int16, kPart> factor = {};  // of the scores
  };

  // Blocks of a segment that a pass takes.
  static constexpr unsigned pass_blocks() {
    constexpr bool kAieMl = is_aie_ml(kArch);
    constexpr unsigned kOfProduct = kFused ? 0 : kAieMl ? 4 : 3;
    constexpr unsigned kOfMask = !kSelects ? 0 : kAieMl ? 5 : 4;
    constexpr unsigned kOfFactor = 8;  // the row's shift and factor, and the addresses
    return registers_of_pass(Rows::kBlocks, (kAieMl ? 6 : 4) * kKnees + kOfProduct + kOfMask, kOfFactor);
  }

  Factor factor_of(unsigned row) const {
    const RowsFactors& factors = scratch_.factors[row / (2 * kGroupRows)];
    const unsigned slot = rows_slot(row % (2 * kGroupRows));
    Factor of_row;
    of_row.shift = kWide ? 0 : 15;
    if constexpr (kNormalisation != Normalisation::kDiv) {
      int k;
      if constexpr (Rows::kLaneShifts) {
        k = load_scalar(factors.shift + slot);
      } else {
        k = floor_log2(load_scalar(factors.sum + slot));
        if constexpr (kNormalisation == Normalisation::kScaled && !kWide) k = scalar(k + 7, k);
      }
      if constexpr (kFused || kNormalisation == Normalisation::kScaled) {
        of_row.shift = k;
      } else {
        of_row.factor = aie::broadcast<int16, kPart>(scalar(static_cast<int16>((kWide ? 32767 : 255 << 15) >> k), k));
      }
    }
    if constexpr (kNormalisation != Normalisation::kClb) {
      of_row.factor = aie::broadcast<int16, kPart>(load_scalar(factors.reciprocal + slot));
    }
    return of_row;
  }

  aie::vector<Out, kLanes> results_of(const int8* u, const Factor& factor) const {
    if constexpr (kPart == kLanes) {
      return part_of(u, factor);
    } else {
      return aie::concat(part_of(u, factor), part_of(u + kPart, factor));
    }
  }

  aie::vector<Out, kPart> part_of(const int8* from, const Factor& factor) const {
    const auto u = aie::load_v<kPart>(from);
    auto sum = floor_;
    for (unsigned k = 0; k < kKnees; ++k) {
      const auto u_k = k == kKnees - 1 ? u : aie::maxdiff(u, nearer_[k]);
      sum = aie::mac(sum, u_k.template unpack<int16>(), slope_[k]);
    }
    // A negative score becomes 0; clb's int16 needs its upper limit.
    using Unsigned = std::conditional_t<kClbWide, Out, std::make_unsigned_t<Out>>;
    if constexpr (kFused) return sum.template to_vector<Unsigned>(factor.shift);
    const auto product = aie::mul(sum.template to_vector<int16>(0), factor.factor);
    return product.template to_vector<Unsigned>(factor.shift).template cast_to<Out>();
  }

  const Rows& x_;
  const Scratch<kKnees>& scratch_;
  Out* out_;
  aie::accum<acc32, kPart> floor_;
  aie::vector<int16, kPart> slope_[kKnees];
  aie::vector<int8, kPart> nearer_[kKnees];
};

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_SCALE_H_
