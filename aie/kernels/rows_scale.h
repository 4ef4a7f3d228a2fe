// SPDX-License-Identifier: Apache-2.0
//
// Pass 5 of rows (rows.h): the results, from the scores or from u, and the rows' factors.
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
    for (unsigned k = 0; k < kKnees && !kScores; ++k) {
      slope_[k] = aie::broadcast<int16, kPart>(static_cast<int16>(knees.slope[k] * kScale));
      nearer_[k] = aie::broadcast<int8, kPart>(knees.nearer[k]);
    }
  }

  void run() const {
    constexpr unsigned kOfSegment = pass_blocks(Rows::kBlocks);
    // Two segments at a time where the code is short and nothing is of a segment.
    constexpr unsigned kOfTwo = pass_blocks(2 * Rows::kBlocks);
    if constexpr (kScores && !kSelects && !Rows::kPaired && kOfTwo > kOfSegment) {
      if (scratch_.segments % 2 == 0) return run_passes<kOfTwo>();
    }
    run_passes<kOfSegment>();
  }

 private:
  static constexpr bool kScores = kScoresWait<kNormalisation, Out, kKnees, Rows>;
  static constexpr bool kFused = kProduct == ScoreProduct::kFused;
  static constexpr bool kSelects = kInvalid == Invalid::kSelect;
  static constexpr bool kWide = std::is_same_v<Out, int16>;
  static constexpr bool kClbWide = kWide && kNormalisation == Normalisation::kClb;
  static_assert(!kMarksInvalid<kScores, Rows> || kSelects || !kClbWide);
  static constexpr unsigned kLanes = Rows::kRowLanes;
  // AIE-ML multiplies 32 lanes at a time: constants of 64 would need two registers each.
  static constexpr unsigned kPart = is_aie_ml(kArch) ? 32 : kLanes;
  static constexpr int16 kScale = kFused ? 255 : 1;

  static constexpr bool kPacked = kPacksFactors<kNormalisation, Out, kKnees, Rows>;
  // Whether every second row's factors are loaded by parts: on v2 loads and the scalar unit then share the work of
  // pairs.
  static constexpr bool kAlternates = kPacked && Rows::kPaired && !is_aie_ml(kArch);
  // A number is a factor that v2 need not broadcast. One that may be 0 or 1 is broadcast, since the host's observer
  // would take it for a constant.
  using Multiplier = std::conditional_t<kPacked, int16, aie::vector<int16, kPart>>;
  struct Factor {
    int shift = 0;           // of the last product
    Multiplier factor = {};  // of the scores
  };

  // Blocks that a pass takes, of `most`.
  static constexpr unsigned pass_blocks(unsigned most) {
    constexpr bool kAieMl = is_aie_ml(kArch);
    constexpr unsigned kOfScores = kScores ? (kAieMl ? 4 : 2) : (kAieMl ? 6 : 4) * kKnees;
    constexpr unsigned kOfProduct = kFused ? 0 : kAieMl ? 4 : 3;
    constexpr unsigned kOfMask = !kSelects ? 0 : kAieMl ? 5 : 4;
    constexpr unsigned kOfFactor = 8;  // the row's shift and factor, and the addresses
    return registers_of_pass(most, kOfScores + kOfProduct + kOfMask, kOfFactor);
  }

  template <unsigned kPassBlocks>
  void run_passes() const {
    // Rows that a pass takes: two where their code is short. Beside an odd last row of more than 32 is that row again,
    // so that no result is stored before all of a pass are made.
    constexpr bool kTwoRows =
        kScores && !kSelects && (!Rows::kPaired || kAlternates) && pass_blocks(2 * kPassBlocks) > kPassBlocks;
    constexpr unsigned kPassRows = kTwoRows ? 2 : 1;
    const unsigned padded_rows = Rows::kPaired ? (x_.rows() + 1) / 2 * 2 : x_.rows();
    const unsigned passes = Rows::kPaired ? 1 : x_.pitch() / 64 / kPassBlocks;  // of a row
    unsigned row = 0;
    unsigned pass = 0;
    HCCS_LOOP(i, (padded_rows + kPassRows - 1) / kPassRows * passes, "rows.scale", 1) {
      const unsigned first = pass * kPassBlocks;
      aie::vector<Out, kLanes> results[kPassRows][kPassBlocks];
      for (unsigned r = 0; r < kPassRows; ++r) {
        const unsigned of = row_of_pass<kPassRows>(row, r);
        const Factor factor = factor_of(of, kAlternates && r == 1);
        typename Rows::Valid valid;
        if constexpr (kSelects) valid = x_.valid(of, first / Rows::kBlocks);
        for (unsigned b = 0; b < kPassBlocks; ++b) {
          results[r][b] = results_of(of, first + b, factor);
          if constexpr (kSelects && Rows::kPaired) {
            results[r][b] = aie::select(Out{0}, results[r][b], valid.half(0));
          } else if constexpr (kSelects) {
            results[r][b] = aie::select(Out{0}, results[r][b], valid.block((first + b) % Rows::kBlocks));
          }
        }
      }
      for (unsigned r = 0; r < kPassRows; ++r) {
        Out* to = out_ + row_of_pass<kPassRows>(row, r) * x_.pitch() + first * 64;
        for (unsigned b = 0; b < kPassBlocks; ++b) aie::store_v(to + b * 64, results[r][b]);
      }
      if (++pass == passes) {
        pass = 0;
        row += kPassRows;
      }
    }
  }

  template <unsigned kPassRows>
  unsigned row_of_pass(unsigned row, unsigned r) const {
    return kPassRows == 1 || Rows::kPaired ? row + r : x_.existing(row + r);
  }

  // by_parts: packed factors are loaded by two loads and not taken apart by the scalar unit.
  Factor factor_of(unsigned row, bool by_parts) const {
    const RowsFactors& factors = scratch_.factors[row / (2 * kGroupRows)];
    const unsigned slot = rows_slot(row % (2 * kGroupRows));
    Factor of_row;
    of_row.shift = kWide ? 0 : 15;
    if constexpr (kPacked) {
      if (by_parts) {
        const auto* parts = reinterpret_cast<const int16*>(factors.word + slot);
        of_row.factor = load_scalar(parts);
        of_row.shift = load_scalar(parts + 1);
        return of_row;
      }
      const int32 word = load_scalar(factors.word + slot);
      of_row.shift = scalar(word >> 16, word);
      of_row.factor = scalar(static_cast<int16>(word), word);
    } else if constexpr (kNormalisation != Normalisation::kDiv) {
      int k;
      if constexpr (Rows::kLaneShifts) {
        k = load_scalar(factors.shift + slot);
      } else {
        k = floor_log2(load_scalar(factors.word + slot));
        if constexpr (kNormalisation == Normalisation::kScaled && !kWide) k = scalar(k + 7, k);
      }
      if constexpr (kFused || kNormalisation == Normalisation::kScaled) {
        of_row.shift = k;
      } else {
        of_row.factor = aie::broadcast<int16, kPart>(scalar(static_cast<int16>((kWide ? 32767 : 255 << 15) >> k), k));
      }
    }
    if constexpr (!kPacked && kNormalisation != Normalisation::kClb) {
      of_row.factor = aie::broadcast<int16, kPart>(load_scalar(factors.reciprocal + slot));
    }
    return of_row;
  }

  aie::vector<Out, kLanes> results_of(unsigned row, unsigned block, const Factor& factor) const {
    if constexpr (!kScores) {
      const int8* u = parked(x_, out_, row, block);
      if constexpr (kPart == kLanes) {
        return part_of(aie::load_v<kPart>(u), factor);
      } else {
        return aie::concat(part_of(aie::load_v<kPart>(u), factor), part_of(aie::load_v<kPart>(u + kPart), factor));
      }
    } else if constexpr (Rows::kPaired) {
      return product_of(aie::load_v<32>(scores_at(x_, scratch_, out_, row / 2 * 2, 0, row % 2)), factor);
    } else {
      const auto first = aie::load_v<32>(scores_at(x_, scratch_, out_, row, block, 0));
      const auto second = aie::load_v<32>(scores_at(x_, scratch_, out_, row, block, 1));
      if constexpr (kPart == kLanes) {
        return product_of(aie::concat(first, second), factor);
      } else {
        return aie::concat(product_of(first, factor), product_of(second, factor));
      }
    }
  }

  // A negative score becomes 0; clb's int16 needs its upper limit.
  using Unsigned = std::conditional_t<kClbWide, Out, std::make_unsigned_t<Out>>;

  aie::vector<Out, kPart> part_of(const aie::vector<int8, kPart>& u, const Factor& factor) const {
    auto scores = floor_;
    for (unsigned k = 0; k < kKnees; ++k) {
      const auto u_k = k == kKnees - 1 ? u : aie::maxdiff(u, nearer_[k]);
      scores = aie::mac(scores, u_k.template unpack<int16>(), slope_[k]);
    }
    if constexpr (kFused) return scores.template to_vector<Unsigned>(factor.shift);
    return product_of(scores.template to_vector<int16>(0), factor);
  }

  aie::vector<Out, kPart> product_of(const aie::vector<int16, kPart>& scores, const Factor& factor) const {
    return aie::mul(scores, factor.factor).template to_vector<Unsigned>(factor.shift).template cast_to<Out>();
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
