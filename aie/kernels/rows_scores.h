// SPDX-License-Identifier: Apache-2.0
//
// Pass 3 of rows (rows.h) where scores wait for pass 5: the scores of every position, which wait for pass 5, and eight
// sums a row of each u_k.
//
// Scores are products of matrices. A product takes 64 bytes of u_k as its second operand, 8 x 8; its first operand has
// slopes on a diagonal:
//
//   AIE-ML  4 x 8: four lines of eight scores of eight lines of u_k. So it takes two knees at once: the logits of 32
//           positions are loaded twice, into both halves of a register, and one maxdiff makes u_k of one knee in one
//           half and of the next in the other. Of an odd K the farthest is by itself: 64 positions in a register, of
//           which two products take a half each.
//   v2      8 x 8: the scores of 64 positions, a knee at a time.
//
// The sums are products with lines of ones, or of S_k where a column's sum of all knees fits 16 bits: then there is one
// plane, which pass 4 need not weigh (ColumnSums). Two registers of u_k, each 127 at the most, are added as bytes
// without a sign before, which saves a product. Segments of 64 of v2 take two rows for it, a half of each in a
// register, so that one product has the sums of both.
//
// On AIE-ML pass 1 has left the logits of rows with lengths in the scratch, with -128 at invalid positions: there u_k
// is 0 where thresholds fit, and one select, to -128, remains for the farthest knee where it marks those positions
// (kMarksInvalid). Pairs of the same length are loaded as they came, with one select of u to 0; the slot that does it
// has room for it, since u of the second row comes twice into a register by a store and loads in place of a shuffle.
#ifndef HCCS_AIE_KERNELS_ROWS_SCORES_H_
#define HCCS_AIE_KERNELS_ROWS_SCORES_H_

#include <array>
#include <type_traits>

#include "rows_distances.h"
#include "rows_knees.h"
#include "rows_masked.h"
#include "rows_scratch.h"

namespace hccs_kernels::rows_passes {

// Makes the scores of all rows of a call.
template <Thresholds kThresholds, ColumnSums kColumnSums, unsigned kKnees, typename Rows, typename Out>
class ScoreRows {
 public:
  ScoreRows(const Rows& x, const Knees<kKnees>& knees, const Scratch<kKnees>& scratch, Out* out)
      : x_(x),
        farthest_(knees.farthest),
        scratch_(scratch),
        out_(out),
        floor_(aie::broadcast<int16, kScoreLanes>(knees.floor)),
        start_(floor_, 0),
        beyond_(aie::broadcast<uint8, 64>(static_cast<uint8>(255 - knees.farthest))),
        lines_{line(1, 0), line(1, 1)} {
    if constexpr (!kWeighted) pair_lines_[0] = {pair_line(1, 1, 0), pair_line(1, 1, 1)};
    for (unsigned j = 0; j < kPairs; ++j) {
      const unsigned k = 2 * j;
      if constexpr (kWeighted) {
        pair_lines_[j] = {pair_line(knees.slope[k], knees.slope[k + 1], 0),
                          pair_line(knees.slope[k], knees.slope[k + 1], 1)};
      }
      nearer_of_pair_[j] = aie::select(knees.nearer[k], aie::broadcast<int8, 64>(knees.nearer[k + 1]), upper_half());
      beyond_of_pair_[j] = aie::add(beyond_, nearer_of_pair_[j].template cast_to<uint8>());
      slopes_of_pair_[j] = aie::select(diagonal(knees.slope[k], 0),
                                       aie::broadcast<int8, kScoreLanes>(knees.slope[k + 1]), lanes(kDiagonal << 4));
    }
    for (unsigned i = 0; i < kSingles; ++i) {
      const unsigned k = 2 * kPairs + i;
      nearer_[i] = aie::broadcast<int8, 64>(knees.nearer[k]);
      weighted_lines_[i] = {line(knees.slope[k], 0), line(knees.slope[k], 1)};
      for (unsigned p = 0; p < kParts; ++p) slopes_[i][p] = diagonal(knees.slope[k], p);
    }
  }

  void run() const {
    Level::template prepare<kTwoRows>(scratch_, x_.rows(), farthest_);
    run_blocks<0>();
    if constexpr (kPassBlocks < Rows::kBlocks) run_blocks<kPassBlocks>();
  }

 private:
  using Level = RowLevel<kThresholds>;
  using Bytes = aie::vector<int8, 64>;
  static constexpr bool kFit = Level::kFit;
  static constexpr bool kCounts = Rows::kMask == MaskKind::kBits;
  static constexpr bool kWeighted = kColumnSums == ColumnSums::kWeighted;
  static_assert(!kWeighted || !kCounts);
  static constexpr bool kAieMl = is_aie_ml(kArch);
  static constexpr bool kParked = kParksLogits<Rows>;
  static constexpr bool kMarks = kMarksInvalid<true, Rows>;
  static constexpr int8 kInvalid = kMarks ? -128 : 0;    // u of the farthest knee at invalid positions
  static constexpr bool kZeroAlready = kFit && kParked;  // u_k of others is 0 at invalid positions
  // Whether u of the second row is stored and loaded twice.
  static constexpr bool kReloads = kProductsHide<true, Rows>;
  static constexpr bool kTwoRows = kTakesTwoRows<true, kKnees, Rows>;
  static constexpr unsigned kRegisters = Rows::kPaired ? 1 : 2;  // of two rows and a segment
  // Rows that a pass takes, two where their code is short, and blocks of a segment, where it is long half of them.
  static constexpr unsigned kPassRows = Rows::kPaired || (Rows::kBlocks == 1 && kKnees <= 3 && !kCounts) ? 2 : 1;
  static constexpr bool kLong = kCounts || (Rows::kMasked && kKnees == 4);
  static constexpr unsigned kPassBlocks = kLong && Rows::kBlocks == 2 ? 1 : Rows::kBlocks;

  // Pairs of knees that share products; the other knees. The farthest is the last.
  static constexpr unsigned kPairs = kAieMl ? kKnees / 2 : 0;
  static constexpr unsigned kSingles = kKnees - 2 * kPairs;
  static constexpr bool kFarthestInPair = kSingles == 0;
  // A product makes so many of the kParts parts of 64 scores.
  static constexpr unsigned kScoreRows = kAieMl ? 4 : 8;
  static constexpr unsigned kParts = 8 / kScoreRows;
  static constexpr unsigned kScoreLanes = 8 * kScoreRows;
  static constexpr uint64_t kDiagonal = kAieMl ? 0x08040201 : 0x8040201008040201;
  using ScoreProduct = aie::mmul<kScoreRows, 8, 8, int8, int8>;
  using Start = typename ScoreProduct::accum_type;
  using Slopes = aie::vector<int8, kScoreLanes>;

  // Sums of u_k of 0..127, which no invalid position marks, are of bytes without a sign, so that two of a row can be
  // added before: of a pair of knees, the halves of 64 positions, and of a single knee, the blocks of a segment. Where
  // a pass has two rows and their masks, one of them does so, since each sum takes the slot that masks take.
  static constexpr bool kMarksPair = kMarks && kFarthestInPair;
  using PairTerm = std::conditional_t<kMarksPair, int8, uint8>;
  static constexpr bool adds_halves(unsigned r) {
    return !kMarksPair && !Rows::kPaired && !(kMarks && kPassRows == 2 && r == 1);
  }
  static constexpr bool adds_blocks(unsigned knee) {
    if (kTwoRows) return !Rows::kPaired && (!kMarks || knee == 0);
    return kPassBlocks % 2 == 0;
  }
  template <typename T>
  using SumProduct = aie::mmul<4, 8, 8, int8, T>;
  using Line = aie::vector<int8, 32>;
  struct Sums {
    aie::accum<acc32, 32> weighted = aie::zeros<acc32, 32>();
    std::array<SumProduct<PairTerm>, kPairs> of_pair;
    std::array<SumProduct<uint8>, kSingles> of_nearer;  // but for the farthest
    SumProduct<int8> of_farthest;
    SumProduct<int8> count;
    std::array<Bytes, kSingles> waiting;  // of the even blocks
  };
  // 64 positions of a row: all, and the first and the last 32 of them twice.
  struct Logits {
    Bytes all;
    Bytes twice[2];
  };
  // What is taken from the logits of a row.
  struct Levels {
    Bytes farthest;
    std::array<Bytes, kPairs> of_pair;
  };

  static auto lanes(uint64_t bits) {
    if constexpr (kAieMl) {
      return aie::mask<32>::from_uint32(static_cast<uint32_t>(bits));
    } else {
      return aie::mask<64>::from_uint64(bits);
    }
  }
  // Line i has the slope at column i, on AIE-ML for the second part of the scores at column i + 4.
  static Slopes diagonal(int8 slope, unsigned part) {
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, kScoreLanes>(slope), lanes(kDiagonal << 4 * part));
  }
  static aie::mask<64> upper_half() { return aie::mask<64>::from_uint64(uint64_t{0xffffffff} << 32); }
  // The first operands of the sums of row r of a pass: those of a pair of knees go to lines r and r + 2, or if weighted
  // to line r, those of a single one to line r. Two rows in a register have a half of the lines each.
  static Line pair_line(int8 first, int8 second, unsigned r) {
    const Line one = aie::select(static_cast<int8>(0), aie::broadcast<int8, 32>(first),
                                 aie::mask<32>::from_uint32((kWeighted ? 0xfu : 0x00f0000fu) << 8 * r));
    if constexpr (!kWeighted) return one;
    return aie::select(one, aie::broadcast<int8, 32>(second), aie::mask<32>::from_uint32(0xf0u << 8 * r));
  }
  static Line line(int8 weight, unsigned r) {
    return aie::select(static_cast<int8>(0), aie::broadcast<int8, 32>(weight),
                       aie::mask<32>::from_uint32(kTwoRows ? 0xf00fu : 0xffu << 8 * r));
  }

  // Adds the sums of u, of lines of a pass, to those of its knees or to those of all.
  template <typename T>
  static void add(Sums& sums, SumProduct<T>& of_knees, const Line& lines, const aie::vector<T, 64>& u) {
    if constexpr (kWeighted) {
      SumProduct<T> product(sums.weighted);
      product.mac(lines, u);
      sums.weighted = product.to_accum();
    } else {
      of_knees.mac(lines, u);
    }
  }
  const Line& pair_lines(unsigned j, unsigned r) const { return pair_lines_[kWeighted ? j : 0][r]; }
  const Line& single_line(unsigned i, unsigned r) const { return kWeighted ? weighted_lines_[i][r] : lines_[r]; }

  // Those of all rows' blocks, in their segments, from number kFirst on.
  template <unsigned kFirst>
  void run_blocks() const {
    unsigned row = 0;
    unsigned segment = 0;
    HCCS_LOOP(i, (x_.rows() + kPassRows - 1) / kPassRows * scratch_.segments, "rows.scores", 1) {
      Sums sums;
      if constexpr (kTwoRows) {
        add_two_rows(row, segment, sums);
      } else {
        add_rows(row, segment, kFirst, sums);
      }
      store<(kFirst > 0)>(sums, row, segment);
      if (++segment == scratch_.segments) {
        segment = 0;
        row += kPassRows;
      }
    }
  }

  // Rows of a segment. All logits of a block are loaded before its scores are stored: beside an odd last row is that
  // row again.
  void add_rows(unsigned row, unsigned segment, unsigned first, Sums& sums) const {
    unsigned existing[kPassRows];
    Levels levels[kPassRows];
    typename Rows::Valid valid[kPassRows];
    for (unsigned r = 0; r < kPassRows; ++r) {
      existing[r] = x_.existing(row + r);
      levels[r].farthest = Level::of(scratch_, existing[r]);
      for (unsigned j = 0; j < kPairs; ++j) {
        levels[r].of_pair[j] = kFit ? aie::add(levels[r].farthest, nearer_of_pair_[j]) : levels[r].farthest;
      }
      if constexpr (Rows::kMasked) valid[r] = x_.valid(existing[r], segment);
    }
    for (unsigned b = first; b < first + kPassBlocks; ++b) {
      const unsigned block = segment * Rows::kBlocks + b;
      Logits logits[kPassRows];
      for (unsigned r = 0; r < kPassRows; ++r) logits[r] = load(existing[r], block);
      for (unsigned r = 0; r < kPassRows; ++r) {
        aie::mask<64> valid_here;
        if constexpr (Rows::kMasked) valid_here = valid[r].block(b);
        std::array<ScoreProduct, kParts> scores = floors(valid_here);
        add_pairs(logits[r], levels[r], r, valid_here, scores, sums);
        if constexpr (!kFarthestInPair) {
          auto u = Level::take(logits[r].all, levels[r].farthest, beyond_);
          if constexpr (kMarks || (Rows::kMasked && !kZeroAlready)) u = aie::select(kInvalid, u, valid_here);
          add_singles(u, r, b, scores, sums);
        }
        if constexpr (kCounts) count(valid_here, r, sums);
        store(scores, existing[r], block);
      }
    }
  }

  Logits load(unsigned row, unsigned block) const {
    const int8* from = kParked ? scratch_.parked() + row * x_.pitch() + block * 64 : x_.at(row, block);
    Logits logits;
    if constexpr (!kFarthestInPair) logits.all = aie::load_v<64>(from);
    if constexpr (kPairs > 0) {
      for (unsigned h = 0; h < 2; ++h) {
        logits.twice[h] = aie::concat(aie::load_v<32>(from + 32 * h), aie::load_v<32>(from + 32 * h));
      }
    }
    return logits;
  }

  // The pairs of knees for 64 positions of row r of a pass.
  void add_pairs(const Logits& logits, const Levels& levels, unsigned r, const aie::mask<64>& valid,
                 std::array<ScoreProduct, kParts>& scores, Sums& sums) const {
    for (unsigned j = 0; j < kPairs; ++j) {
      Bytes u[2];
      for (unsigned h = 0; h < 2; ++h) {
        u[h] = Level::take(logits.twice[h], levels.of_pair[j], beyond_of_pair_[j]);
        if constexpr (Rows::kMasked) u[h] = hide(u[h], j, valid, h);
        scores[h % kParts].mac(slopes_of_pair_[j], u[h]);
      }
      const auto term = [&](unsigned h) { return u[h].template cast_to<PairTerm>(); };
      if (adds_halves(r)) {
        add(sums, sums.of_pair[j], pair_lines(j, r), aie::add(term(0), term(1)));
      } else {
        for (unsigned h = 0; h < 2; ++h) add(sums, sums.of_pair[j], pair_lines(j, r), term(h));
      }
    }
  }

  // u_k of pair j for a half of 64 positions: those of invalid positions become 0, and -128 for the farthest knee.
  Bytes hide(const Bytes& u, unsigned j, const aie::mask<64>& valid, unsigned half) const {
    const auto twice = [&] {
      const aie::mask<32> positions = valid.template extract<32>(half);
      return aie::mask<64>::from_masks(positions, positions);
    };
    if (kMarksPair && j == kPairs - 1) {
      return aie::select(aie::select(int8{0}, aie::broadcast<int8, 64>(-128), upper_half()), u, twice());
    }
    return kZeroAlready ? u : aie::select(int8{0}, u, twice());
  }

  // The single knees for 64 lanes of u, of row r of a pass or of two rows.
  void add_singles(const Bytes& u, unsigned r, unsigned b, std::array<ScoreProduct, kParts>& scores, Sums& sums) const {
    for (unsigned i = 0; i < kSingles; ++i) {
      const auto u_k = i == kSingles - 1 ? u : aie::maxdiff(u, nearer_[i]);
      for (unsigned p = 0; p < kParts; ++p) scores[p].mac(slopes_[i][p], u_k);
      const auto bytes = u_k.template cast_to<uint8>();
      if (i == kSingles - 1) {
        add(sums, sums.of_farthest, single_line(i, r), u_k);
      } else if (!adds_blocks(i)) {
        add(sums, sums.of_nearer[i], single_line(i, r), bytes);
      } else if (b % 2 == 0) {
        sums.waiting[i] = u_k;
      } else {
        add(sums, sums.of_nearer[i], single_line(i, r), aie::add(sums.waiting[i].template cast_to<uint8>(), bytes));
      }
    }
  }

  // Two rows, whose registers have 32 positions of each: rows of 32, or the halves of a segment of 64.
  void add_two_rows(unsigned row, unsigned segment, Sums& sums) const {
    const unsigned first = x_.existing(row);
    const unsigned second = x_.existing(row + 1);
    const auto level = Level::of_pair(scratch_, row);
    typename Rows::Valid valid[2];
    if constexpr (Rows::kMasked) {
      valid[0] = x_.valid(row, segment);
      // Beside an odd last row of 64 positions and more is that row again; the results of a shorter one must be 0.
      valid[1] = x_.valid(Rows::kPaired ? row + 1 : second, segment);
    }
    for (unsigned r = 0; r < kRegisters; ++r) {
      auto u = Level::take(x_.load_halves(first, second, segment * kRegisters + r), level, beyond_);
      aie::mask<64> valid_here;
      if constexpr (Rows::kMasked) valid_here = Rows::Valid::halves(valid[0], valid[1], r);
      if constexpr (kMarks || (Rows::kMasked && !kZeroAlready)) u = aie::select(kInvalid, u, valid_here);
      std::array<ScoreProduct, kParts> scores = floors(valid_here);
      if constexpr (kReloads) aie::store_v(scratch_.parked() + second * x_.pitch(), u.template extract<32>(1));
      if constexpr (kPairs > 0) add_pairs_of_two_rows(first, u, valid_here, scores, sums);
      if constexpr (kSingles > 0) add_singles(u, 0, r, scores, sums);
      if constexpr (kCounts) count(valid_here, 0, sums);
      if constexpr (Rows::kPaired) {
        store(scores, row, 0);
      } else {
        const auto all = scores[0].template to_vector<int16>(0);
        aie::store_v(scores_at(x_, scratch_, out_, first, segment, r), all.template extract<32>(0));
        aie::store_v(scores_at(x_, scratch_, out_, second, segment, r), all.template extract<32>(1));
      }
    }
  }

  void add_pairs_of_two_rows(unsigned row, const Bytes& u, const aie::mask<64>& valid,
                             std::array<ScoreProduct, kParts>& scores, Sums& sums) const {
    for (unsigned h = 0; h < 2; ++h) {
      const Bytes twice = [&] {
        if constexpr (kReloads) {
          if (h == 1) {
            const int8* from = scratch_.parked() + (row + 1) * x_.pitch();
            return aie::concat(aie::load_v<32>(from), aie::load_v<32>(from));
          }
        }
        return (h == 0 ? u.template extract<32>(0) : u.template extract<32>(1)).template grow_replicate<64>();
      }();
      for (unsigned j = 0; j < kPairs; ++j) {
        auto u_k = aie::maxdiff(twice, nearer_of_pair_[j]);
        if constexpr (kMarksPair) {
          if (j == kPairs - 1) u_k = hide(u_k, j, valid, h);
        }
        scores[h % kParts].mac(slopes_of_pair_[j], u_k);
        add(sums, sums.of_pair[j], pair_lines(j, h), u_k.template cast_to<PairTerm>());
      }
    }
  }

  void count(const aie::mask<64>& valid, unsigned r, Sums& sums) const {
    sums.count.mac(lines_[r], aie::select(static_cast<int8>(0), aie::broadcast<int8, 64>(1), valid));
  }

  // F, what scores begin with, and 0 at invalid positions that are not marked.
  std::array<ScoreProduct, kParts> floors(const aie::mask<64>& valid) const {
    std::array<ScoreProduct, kParts> scores;
    scores.fill(ScoreProduct(start_));
    for (unsigned p = 0; Rows::kMasked && !kMarks && p < kParts; ++p) {
      const auto floor = aie::select(int16{0}, floor_, valid.template extract<kScoreLanes>(kReloads ? 0 : p));
      scores[p] = ScoreProduct(Start(floor, 0));
    }
    return scores;
  }

  // 64 scores: of a row, or 32 of two rows each.
  void store(const std::array<ScoreProduct, kParts>& scores, unsigned row, unsigned block) const {
    const auto to = [&](unsigned half) { return scores_at(x_, scratch_, out_, row, block, half); };
    if constexpr (kParts == 2) {
      for (unsigned h = 0; h < 2; ++h) aie::store_v(to(h), scores[h].template to_vector<int16>(0));
    } else {
      const auto all = scores[0].template to_vector<int16>(0);
      aie::store_v(to(0), all.template extract<32>(0));
      aie::store_v(to(1), all.template extract<32>(1));
    }
  }

  // kMore: added to the sums that are there.
  template <bool kMore>
  void store(const Sums& sums, unsigned row, unsigned segment) const {
    if constexpr (kWeighted) return store_plane<kMore>(sums.weighted, 0, row, segment, 0);
    for (unsigned j = 0; j < kPairs; ++j) {
      for (unsigned k = 0; k < 2; ++k) store_plane<kMore>(sums.of_pair[j].to_accum(), k, row, segment, 2 * j + k);
    }
    for (unsigned i = 0; i + 1 < kSingles; ++i) {
      store_plane<kMore>(sums.of_nearer[i].to_accum(), 0, row, segment, 2 * kPairs + i);
    }
    if constexpr (!kFarthestInPair) store_plane<kMore>(sums.of_farthest.to_accum(), 0, row, segment, kKnees - 1);
    if constexpr (kCounts) store_plane<kMore>(sums.count.to_accum(), 0, row, segment, kKnees);
  }
  // Lines 2 * half and 2 * half + 1: the sums of the rows of a pass.
  template <bool kMore>
  void store_plane(const aie::accum<acc32, 32>& sums, unsigned half, unsigned row, unsigned segment,
                   unsigned plane) const {
    using Stored = std::conditional_t<kWeighted && !kMarks, uint16, int16>;
    const auto rows = sums.template extract<16>(half).template to_vector<Stored>(0).template cast_to<int16>();
    int16* to = scratch_.sums(row / kGroupRows, plane, segment) + row % kGroupRows * 8;
    constexpr unsigned kLanes = 8 * kPassRows;
    auto of_pass = rows.template extract<kLanes>(0);
    if constexpr (kMore) of_pass = aie::add(of_pass, aie::load_v<kLanes>(to));
    aie::store_v(to, of_pass);
  }

  const Rows& x_;
  int8 farthest_;
  const Scratch<kKnees>& scratch_;
  Out* out_;
  aie::vector<int16, kScoreLanes> floor_;
  Start start_;
  aie::vector<uint8, 64> beyond_;
  std::array<std::array<Line, 2>, kWeighted ? kPairs : 1> pair_lines_;
  Line lines_[2];
  std::array<std::array<Line, 2>, kSingles> weighted_lines_;
  std::array<Bytes, kPairs> nearer_of_pair_;
  std::array<aie::vector<uint8, 64>, kPairs> beyond_of_pair_;
  std::array<Slopes, kPairs> slopes_of_pair_;
  std::array<Bytes, kSingles> nearer_;
  std::array<std::array<Slopes, kParts>, kSingles> slopes_;
};

}  // namespace hccs_kernels::rows_passes

#endif  // HCCS_AIE_KERNELS_ROWS_SCORES_H_
