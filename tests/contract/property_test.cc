// SPDX-License-Identifier: Apache-2.0
//
// The guarantees of the row softmax, for all six outputs. RapidCheck prints a seed and a minimal row when a property
// fails; RC_PARAMS="seed=N" repeats a run.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <ostream>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "hccs/reference.h"

namespace hccs {
namespace {

constexpr Normalisation kNormalisations[] = {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled};
constexpr OutputType kOutputs[] = {OutputType::kInt16, OutputType::kUint8};

// Slopes and positions at their limits, floors of 0 and of B, the paper's range, one to four knees.
const HeadParams kParams[] = {
    {1, {{0, 1}}},
    {2, {{1, 1}}},
    {127, {{1, 127}}},
    {255, {{2, 126}}},
    {255, {{23, 11}}},
    {16129, {{127, 127}}},
    {32767, {{0, 127}}},
    {32767, {{127, 127}}},
    {300, {{3, 50}, {1, 100}}},
    {32767, {{127, 125}, {3, 126}}},
    {620, {{20, 10}, {5, 40}, {1, 127}}},
    {9439, {{15, 5}, {99, 50}, {4, 79}, {43, 86}}},
    {16891, {{127, 1}, {127, 2}, {127, 3}, {127, 127}}},
};

template <class Out>
std::vector<int32_t> softmax_as(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> x,
                                const RowMask& mask) {
  std::vector<Out> p(x.size(), Out{77});  // every element must be written
  const Status status = softmax_reference(params, normalisation, x, mask, std::span<Out>(p));
  EXPECT_TRUE(status.ok()) << status.message();
  return {p.begin(), p.end()};
}

std::vector<int32_t> softmax(const HeadParams& params, Normalisation normalisation, OutputType output,
                             std::span<const int8_t> x, const RowMask& mask = {}) {
  return output == OutputType::kUint8 ? softmax_as<uint8_t>(params, normalisation, x, mask)
                                      : softmax_as<int16_t>(params, normalisation, x, mask);
}

// The six outputs one after another, so that a property of a row is one comparison.
std::vector<int32_t> softmax_all(const HeadParams& params, std::span<const int8_t> x, const RowMask& mask = {}) {
  std::vector<int32_t> all;
  for (const Normalisation normalisation : kNormalisations) {
    for (const OutputType output : kOutputs) {
      const std::vector<int32_t> p = softmax(params, normalisation, output, x, mask);
      all.insert(all.end(), p.begin(), p.end());
    }
  }
  return all;
}

std::vector<uint8_t> bits_of(const std::vector<bool>& valid) {
  std::vector<uint8_t> bits((valid.size() + 7) / 8);
  for (size_t i = 0; i < valid.size(); ++i) {
    if (valid[i]) bits[i / 8] |= static_cast<uint8_t>(1u << (i % 8));
  }
  return bits;
}

// What every row must satisfy; "" or what is broken.
std::string broken_guarantee(const HeadParams& params, std::span<const int8_t> x, const RowMask& mask) {
  const auto n = static_cast<int64_t>(x.size());
  int32_t m = -128;
  int64_t valid_count = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (mask.valid(i)) m = std::max<int32_t>(m, x[i]), ++valid_count;
  }
  int64_t z = 0;
  for (int64_t i = 0; i < n; ++i) z += mask.valid(i) ? params.score(m - x[i]) : 0;
  for (const Normalisation normalisation : kNormalisations) {
    for (const OutputType output : kOutputs) {
      const auto broken = [&](const char* what) {
        return std::string(what) + ": " + std::string(name(normalisation)) + ' ' + std::string(name(output));
      };
      const int64_t full_scale = output == OutputType::kInt16 ? 32767 : 255;
      const std::vector<int32_t> p = softmax(params, normalisation, output, x, mask);
      std::vector<int32_t> of_logit(256, -1);
      int64_t sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        if (p[i] < 0 || p[i] > full_scale) return broken("0 <= p <= T");
        if (!mask.valid(i)) {
          if (p[i] != 0) return broken("invalid positions are 0");
          continue;
        }
        int32_t& known = of_logit[x[i] + 128];
        if (known != -1 && known != p[i]) return broken("equal logits get equal p");
        known = p[i];
        sum += p[i];
        if (normalisation == Normalisation::kScaled) {
          const int64_t error = 2 * (p[i] * z - full_scale * params.score(m - x[i]));  // in 1/(2 Z)
          if (output == OutputType::kInt16 && (error > z || error <= -5 * z)) return broken("|p - T*s/Z| < 2.5");
          if (output == OutputType::kUint8 && (error > z || 32 * error <= -33 * z))
            return broken("|p - T*s/Z| < 33/64");
        }
      }
      int32_t previous = 0;
      for (const int32_t value : of_logit) {  // by rising logit
        if (value == -1) continue;
        if (value < previous) return broken("monotone");
        previous = value;
      }
      if (normalisation == Normalisation::kScaled && valid_count > 0) {
        const int64_t excess = sum - full_scale;
        if (2 * excess > valid_count) return broken("row sum <= T + n/2");
        if (output == OutputType::kInt16 && 2 * excess <= -(valid_count + 4)) return broken("row sum > T - n/2 - 2");
        if (output == OutputType::kUint8 && 64 * excess <= -(32 * valid_count + 1))
          return broken("row sum > T - n/2 - 1/64");
      }
    }
  }
  return "";
}

// ---- Exhaustive -----------------------------------------------------------------------------

TEST(Guarantees, EveryPairOfLogits) {
  for (const HeadParams& params : kParams) {
    ASSERT_TRUE(validate(params).ok());
    for (int a = -128; a <= 127; ++a) {
      for (int b = -128; b <= 127; ++b) {
        const int8_t pair[] = {static_cast<int8_t>(a), static_cast<int8_t>(b)};
        const std::vector<int32_t> all = softmax_all(params, pair);
        for (size_t i = 0; i < all.size(); i += 2) {
          ASSERT_TRUE(a >= b ? all[i] >= all[i + 1] : all[i] <= all[i + 1]) << a << ' ' << b << " output " << i / 2;
          ASSERT_TRUE(a != b || all[i] == all[i + 1]) << a << " output " << i / 2;
        }
      }
    }
  }
}

// All 256 logits in one row, so that every pair meets, at sums from small to large.
TEST(Guarantees, EveryLogitInOneRow) {
  std::vector<int8_t> x(256);
  std::iota(x.begin(), x.end(), int8_t{-128});
  for (const HeadParams& params : kParams) {
    for (const size_t repeats : {0, 1, 50, 1000}) {
      x.resize(256);
      for (const int8_t filler : {-128, -1, 127}) {
        x.resize(256 + repeats, filler);
        ASSERT_EQ(broken_guarantee(params, x, {}), "") << "B=" << params.offset << " repeats=" << repeats;
        x.resize(256);
      }
    }
  }
}

TEST(Guarantees, EveryLengthTo300) {
  const uint32_t seed = std::random_device{}();
  std::mt19937 generator(seed);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator); };
  for (int n = 1; n <= 300; ++n) {
    std::vector<int8_t> bimodal(n);
    std::vector<int8_t> peaky(n, int8_t{-100});
    const std::vector<int8_t> flat(n, static_cast<int8_t>(draw(-128, 127)));
    std::vector<int8_t> any(n);
    for (int8_t& x : bimodal) x = static_cast<int8_t>((draw(0, 1) != 0 ? 90 : -90) + draw(-8, 8));
    for (int8_t& x : any) x = static_cast<int8_t>(draw(-128, 127));
    peaky[draw(0, n - 1)] = 127;
    const auto valid_length = RowMask{.valid_length = draw(0, n)};
    for (const HeadParams& params : kParams) {
      for (const auto& x : {bimodal, peaky, flat, any}) {
        ASSERT_EQ(broken_guarantee(params, x, {}), "") << "seed " << seed << " n=" << n << " B=" << params.offset;
        ASSERT_EQ(broken_guarantee(params, x, valid_length), "")
            << "seed " << seed << " n=" << n << " B=" << params.offset;
      }
    }
  }
}

TEST(Guarantees, LongestRowOfTheLargestScores) {
  std::vector<int8_t> x(kMaxRowLength, int8_t{127});
  EXPECT_EQ(broken_guarantee({32767, {{0, 127}}}, x, {}), "");  // Z = 65536 * 32767
  for (size_t i = 0; i < x.size(); i += 3) x[i] = static_cast<int8_t>(i % 256 - 128);
  for (const HeadParams& params : kParams) EXPECT_EQ(broken_guarantee(params, x, {}), "") << "B=" << params.offset;
}

TEST(Guarantees, OnePositionHasItAll) {
  for (int32_t b = 1; b <= kMaxOffset; ++b) {
    const int8_t x[] = {-128};
    const HeadParams params(b, {{0, 1}});
    ASSERT_EQ(softmax(params, Normalisation::kScaled, OutputType::kUint8, x)[0], 255) << b;
    ASSERT_GE(softmax(params, Normalisation::kScaled, OutputType::kInt16, x)[0], 32765) << b;
    ASSERT_EQ(softmax(params, Normalisation::kDiv, OutputType::kInt16, x)[0], b * (32767 / b)) << b;
  }
}

TEST(Guarantees, EmptyMaskGivesZeros) {
  const std::vector<int8_t> x = {127, -128, 0, 5, 5, 6, 7, 8, 9};
  const uint8_t no_bits[] = {0, 0xfe};  // the set bits are past the row's end
  for (const HeadParams& params : kParams) {
    for (const RowMask& mask :
         {RowMask{.valid_length = 0}, RowMask{.valid_length = -3}, RowMask{.last_visible = -1},
          RowMask{.bits = no_bits}, RowMask{.valid_length = INT64_MIN, .last_visible = INT64_MAX}}) {
      EXPECT_EQ(softmax_all(params, x, mask), std::vector<int32_t>(6 * x.size(), 0));
    }
  }
}

TEST(Mask, SourcesCombineByIntersection) {
  const uint8_t bits[] = {0b1011'0110, 0b0000'0011};  // positions 1 2 4 5 7 8 9
  for (int64_t length = -1; length <= 11; ++length) {
    for (int64_t last = -2; last <= 11; ++last) {
      for (int64_t i = 0; i < 10; ++i) {
        const bool bit = i == 1 || i == 2 || i == 4 || i == 5 || i >= 7;
        EXPECT_TRUE(RowMask{}.valid(i));
        EXPECT_EQ((RowMask{.valid_length = length}.valid(i)), i < length);
        EXPECT_EQ((RowMask{.last_visible = last}.valid(i)), i <= last);
        EXPECT_EQ((RowMask{.bits = bits}.valid(i)), bit);
        EXPECT_EQ((RowMask{.valid_length = length, .last_visible = last, .bits = bits}.valid(i)),
                  i < length && i <= last && bit);
      }
    }
  }
}

// ---- Random rows ----------------------------------------------------------------------------

struct Row {
  HeadParams params;
  std::vector<int8_t> x;
  std::vector<bool> valid;
};

void showValue(const Row& row, std::ostream& os) {
  os << "B=" << row.params.offset << " knees";
  for (const Knee& knee : row.params.active_knees()) os << ' ' << knee.slope << ':' << knee.position;
  os << " x";
  for (size_t i = 0; i < row.x.size(); ++i) os << ' ' << int{row.x[i]} << (row.valid[i] ? "" : "(masked)");
}

rc::Gen<HeadParams> any_params() {
  return rc::gen::exec([] {
    const int knee_count = *rc::gen::inRange(1, kMaxKnees + 1);
    auto positions = *rc::gen::unique<std::vector<int>>(knee_count, rc::gen::inRange(1, kMaxKneePosition + 1));
    std::sort(positions.begin(), positions.end());
    std::vector<Knee> knees;
    int budget = kMaxOffset;  // so that F >= 0 is possible
    for (const int position : positions) {
      const int slope = *rc::gen::inRange(0, std::min(kMaxSlope, budget / position) + 1);
      knees.push_back({slope, position});
      budget -= slope * position;
    }
    const int lowest = std::max(1, kMaxOffset - budget);
    return HeadParams(*rc::gen::inRange(lowest, kMaxOffset + 1), knees);
  });
}

// Bimodal, peaky, flat or any logits in low..high; no, some or all positions masked.
rc::Gen<Row> any_row() {
  const auto draw_row = [] {
    Row row{*any_params(), {}, {}};
    const int n = *rc::gen::inRange(1, 301);
    const int low = *rc::gen::inRange(-128, 128);
    const int high = *rc::gen::inRange(low, 128);
    const int kind = *rc::gen::inRange(0, 4);
    const auto logit = kind == 0   ? rc::gen::element(low, high)
                       : kind == 1 ? rc::gen::weightedElement<int>({{20, low}, {1, high}})
                       : kind == 2 ? rc::gen::just(low)
                                   : rc::gen::inRange(low, high + 1);
    row.x = *rc::gen::container<std::vector<int8_t>>(n, rc::gen::cast<int8_t>(logit));
    const int masked_in_8 = *rc::gen::element(0, 1, 4, 7, 8);
    for (const int draw : *rc::gen::container<std::vector<int>>(n, rc::gen::inRange(0, 8))) {
      row.valid.push_back(draw >= masked_in_8);
    }
    return row;
  };
  return rc::gen::resize(rc::kNominalSize, rc::gen::exec(draw_row));  // ranges are small at small sizes otherwise
}

RC_GTEST_PROP(RandomRows, HoldEveryGuarantee, ()) {
  const Row row = *any_row();
  const std::vector<uint8_t> bits = bits_of(row.valid);
  const std::string broken = broken_guarantee(row.params, row.x, {.bits = bits.data()});
  if (!broken.empty()) RC_FAIL(broken);
}

RC_GTEST_PROP(RandomRows, ShiftChangesNothing, ()) {
  const Row row = *any_row();
  const auto [low, high] = std::minmax_element(row.x.begin(), row.x.end());
  const int shift = *rc::gen::inRange(-128 - *low, 127 - *high + 1);
  std::vector<int8_t> shifted = row.x;
  for (int8_t& x : shifted) x = static_cast<int8_t>(x + shift);
  const std::vector<uint8_t> bits = bits_of(row.valid);
  RC_ASSERT(softmax_all(row.params, row.x, {.bits = bits.data()}) ==
            softmax_all(row.params, shifted, {.bits = bits.data()}));
}

RC_GTEST_PROP(RandomRows, PermutingTheRowPermutesTheOutput, ()) {
  const Row row = *any_row();
  const size_t n = row.x.size();
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(*rc::gen::arbitrary<uint32_t>()));
  std::vector<int8_t> x(n);
  std::vector<bool> valid(n);
  for (size_t i = 0; i < n; ++i) {
    x[i] = row.x[order[i]];
    valid[i] = row.valid[order[i]];
  }
  const std::vector<int32_t> p = softmax_all(row.params, row.x, {.bits = bits_of(row.valid).data()});
  const std::vector<int32_t> permuted = softmax_all(row.params, x, {.bits = bits_of(valid).data()});
  for (size_t i = 0; i < permuted.size(); ++i) RC_ASSERT(permuted[i] == p[i / n * n + order[i % n]]);
}

// A masked position is as good as absent: the row without it has the same outputs, and its logit does not matter.
RC_GTEST_PROP(RandomRows, MaskedPositionsAreAsGoodAsAbsent, ()) {
  const Row row = *any_row();
  const size_t n = row.x.size();
  const std::vector<uint8_t> bits = bits_of(row.valid);
  const std::vector<int32_t> p = softmax_all(row.params, row.x, {.bits = bits.data()});
  std::vector<int8_t> present;
  std::vector<int8_t> other = row.x;
  for (size_t i = 0; i < n; ++i) {
    if (row.valid[i]) {
      present.push_back(row.x[i]);
    } else {
      other[i] = *rc::gen::element<int8_t>(-128, 127);
    }
  }
  RC_ASSERT(softmax_all(row.params, other, {.bits = bits.data()}) == p);
  if (present.empty()) return;
  const std::vector<int32_t> compact = softmax_all(row.params, present);
  size_t next = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    if (row.valid[i % n]) RC_ASSERT(compact[next++] == p[i]);
  }
}

// A prefix can be masked by its length, as the past of a query, or by bits.
RC_GTEST_PROP(RandomRows, ThreeWaysToMaskAPrefix, ()) {
  const Row row = *any_row();
  const auto n = static_cast<int64_t>(row.x.size());
  const int64_t length = *rc::gen::inRange<int64_t>(0, n + 1);
  std::vector<bool> prefix(n);
  std::fill_n(prefix.begin(), length, true);
  const std::vector<uint8_t> bits = bits_of(prefix);
  const std::vector<int32_t> p = softmax_all(row.params, row.x, {.valid_length = length});
  RC_ASSERT(softmax_all(row.params, row.x, {.last_visible = length - 1}) == p);
  RC_ASSERT(softmax_all(row.params, row.x, {.bits = bits.data()}) == p);
}

// ---- Arguments ------------------------------------------------------------------------------

Status run(const HeadParams& params, size_t n, size_t out) {
  const std::vector<int8_t> x(n);
  std::vector<uint8_t> p8(out);
  std::vector<int16_t> p16(out);
  const Status narrow = softmax_reference(params, Normalisation::kScaled, x, {}, std::span<uint8_t>(p8));
  const Status wide = softmax_reference(params, Normalisation::kScaled, x, {}, std::span<int16_t>(p16));
  EXPECT_EQ(narrow.message(), wide.message());
  return narrow;
}

TEST(Arguments, AreChecked) {
  const HeadParams good(300, {{2, 100}});
  EXPECT_TRUE(run(good, 1, 1).ok());
  EXPECT_TRUE(run(good, 65536, 65536).ok());
  EXPECT_EQ(run(good, 0, 0).message(), "row of 0 positions, but 1 <= n <= 65536");
  EXPECT_EQ(run(good, 65537, 65537).message(), "row of 65537 positions, but 1 <= n <= 65536");
  EXPECT_EQ(run(good, 4, 3).message(), "output of 3 elements, but the row has 4 positions");
  EXPECT_EQ(run(good, 4, 5).message(), "output of 5 elements, but the row has 4 positions");
  EXPECT_EQ(run({0, {{2, 100}}}, 4, 4).message(), "head: offset B = 0, but 1 <= B <= 32767");
  EXPECT_EQ(run(good, 0, 0).code(), StatusCode::kInvalidArgument);
}

TEST(Names, RoundTrip) {
  for (const Normalisation normalisation : kNormalisations)
    EXPECT_EQ(parse_normalisation(name(normalisation)), normalisation);
  for (const OutputType output : kOutputs) EXPECT_EQ(parse_output_type(name(output)), output);
  EXPECT_EQ(parse_normalisation("Scaled"), std::nullopt);
  EXPECT_EQ(parse_normalisation(""), std::nullopt);
  EXPECT_EQ(parse_output_type("int8"), std::nullopt);
  EXPECT_EQ(name(Normalisation::kClb), "clb");
  EXPECT_EQ(name(OutputType::kInt16), "int16");
}

}  // namespace
}  // namespace hccs
