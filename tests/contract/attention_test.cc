// SPDX-License-Identifier: Apache-2.0
//
// Attention with deferred normalisation: every step alone, exhaustively where feasible, then whole rows. (oracle_test
// and golden_test compare whole rows with independent implementations.)
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "hccs/reference.h"

namespace hccs {
namespace {

constexpr int64_t kMaxBelow = (int64_t{1} << 32) - 1;  // the largest difference of two int32

const HeadParams kParams[] = {
    {1, {{0, 1}}},
    {1, {{1, 1}}},
    {127, {{1, 127}}},
    {255, {{2, 126}}},
    {256, {{2, 126}}},
    {511, {{4, 127}}},
    {16129, {{127, 127}}},
    {32767, {{0, 127}}},
    {32767, {{127, 127}}},
    {620, {{20, 10}, {5, 40}, {1, 127}}},
    {32767, {{127, 126}}},
    {9439, {{15, 5}, {99, 50}, {4, 79}, {43, 86}}},
    {300, {{3, 50}, {1, 100}}},
};

std::vector<int8_t> attention(const HeadParams& params, Rescale rescale, std::span<const int8_t> q,
                              std::span<const int8_t> k, std::span<const int8_t> v, size_t dv,
                              const RowMask& mask = {}) {
  std::vector<int8_t> out(dv, int8_t{77});  // every element must be written
  const Status status = attention_reference(params, rescale, q, k, v, mask, out);
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

// ---- The steps ------------------------------------------------------------------------------

TEST(AttentionShift, IsTheSmallestForEveryOffset) {
  for (int32_t b = 1; b <= kMaxOffset; ++b) {
    const int h = attention_shift(b);
    ASSERT_LT(2 * int64_t{b}, int64_t{511} << h) << b;  // B / 2^h < 255.5
    if (h > 0) {
      ASSERT_GE(4 * int64_t{b}, int64_t{511} << h) << b;
    }
    ASSERT_LE(h, 8) << b;
    const int64_t heaviest = attention_weight({b, {{0, 1}}}, 0);
    ASSERT_LE(heaviest, 255) << b;
    ASSERT_GE(heaviest, h == 0 ? 1 : 128) << b;  // so W >= 1 wherever a position is valid
  }
  EXPECT_EQ(attention_shift(255), 0);
  EXPECT_EQ(attention_shift(256), 1);
  EXPECT_EQ(attention_shift(510), 1);
  EXPECT_EQ(attention_shift(511), 2);  // 255.5 would round to 256
  EXPECT_EQ(attention_shift(32767), 8);
}

TEST(AttentionWeight, IsTheRoundedScoreAtEveryDistance) {
  for (const HeadParams& params : kParams) {
    ASSERT_TRUE(validate(params).ok());
    const int64_t unit = int64_t{1} << attention_shift(params.offset);
    int64_t previous = 255;
    for (int64_t d = 0; d <= 255; ++d) {
      const int64_t w = attention_weight(params, d);
      // w - 1/2 <= s / 2^h < w + 1/2: round half up, and no other integer.
      ASSERT_LE((2 * w - 1) * unit, 2 * params.score(d)) << "B=" << params.offset << " d=" << d;
      ASSERT_GT((2 * w + 1) * unit, 2 * params.score(d)) << "B=" << params.offset << " d=" << d;
      ASSERT_LE(w, previous) << "B=" << params.offset << " d=" << d;
      previous = w;
      // No knee lies beyond 127: clamping the distance there loses nothing.
      if (d > 127) {
        ASSERT_EQ(w, attention_weight(params, 127)) << "B=" << params.offset << " d=" << d;
      }
    }
  }
}

TEST(AttentionWeight, WideIsTheScoreItself) {
  for (const HeadParams& params : kParams) {
    EXPECT_EQ(attention_shift(params.offset, AttentionWeights::kWide), 0);
    for (int64_t d = 0; d <= 255; ++d) {
      ASSERT_EQ(attention_weight(params, d, AttentionWeights::kWide), params.score(d)) << "d=" << d;
    }
  }
}

TEST(SumDistance, IsTheClampedRoundedProductForEveryShift) {
  for (int32_t shift = 0; shift <= kMaxRescaleShift; ++shift) {
    for (const int32_t multiplier : {1, 2, 3, 127, 16383, 16384, 16385, 32766, 32767}) {
      const Rescale rescale{multiplier, shift};
      std::vector<int64_t> below = {0, 1, 2, (int64_t{1} << 31) - 1, int64_t{1} << 31, kMaxBelow - 1, kMaxBelow};
      for (int64_t d = 0; d <= 128; ++d) {  // both sides of where the rounded product becomes d
        const int64_t edge = ((2 * d - 1) << shift) / (2 * multiplier);
        for (int64_t near = edge - 1; near <= edge + 1; ++near)
          below.push_back(std::clamp<int64_t>(near, 0, kMaxBelow));
      }
      std::sort(below.begin(), below.end());
      int64_t previous = 0;
      for (const int64_t t : below) {
        const int64_t d = sum_distance(rescale, t);
        const int64_t twice = 2 * t * multiplier;  // < 2^48
        ASSERT_LE(t * multiplier, int64_t{1} << 47);
        ASSERT_GE(d, previous) << "M=" << multiplier << " R=" << shift << " t=" << t;
        ASSERT_LE(d, 127) << "M=" << multiplier << " R=" << shift << " t=" << t;
        ASSERT_LE((2 * d - 1) << shift, twice) << "M=" << multiplier << " R=" << shift << " t=" << t;
        if (d < 127) {
          ASSERT_GT((2 * d + 1) << shift, twice) << "M=" << multiplier << " R=" << shift << " t=" << t;
        }
        previous = d;
      }
    }
  }
}

// t may be clamped first at any value that already gives 127.
TEST(SumDistance, EarlyClampChangesNothing) {
  for (int32_t shift = 0; shift <= kMaxRescaleShift; ++shift) {
    for (const int32_t multiplier : {1, 3, 16384, 32767}) {
      const int64_t clamp = ((int64_t{253} << shift) + 2 * multiplier - 1) / (2 * multiplier);  // t * M / 2^R >= 126.5
      if (clamp > kMaxBelow) {
        EXPECT_LT(sum_distance({multiplier, shift}, kMaxBelow), 127);
        continue;
      }
      EXPECT_EQ(sum_distance({multiplier, shift}, clamp), 127) << "M=" << multiplier << " R=" << shift;
      EXPECT_LT(sum_distance({multiplier, shift}, clamp - 1), 127) << "M=" << multiplier << " R=" << shift;
      EXPECT_EQ(sum_distance({multiplier, shift}, kMaxBelow), 127) << "M=" << multiplier << " R=" << shift;
    }
  }
}

// ---- Whole rows -----------------------------------------------------------------------------

// Two equal keys: o = (a + b)/2, halves rounded up, for every pair of values.
TEST(Attention, RoundsEveryMeanOfTwoValuesHalfUp) {
  const std::vector<int8_t> q = {3};
  const std::vector<int8_t> k = {5, 5};
  for (int a = -128; a <= 127; ++a) {
    std::vector<int8_t> v(512);  // [2, 256]: a against every b
    for (int b = -128; b <= 127; ++b) {
      v[b + 128] = static_cast<int8_t>(a);
      v[256 + b + 128] = static_cast<int8_t>(b);
    }
    const std::vector<int8_t> out = attention({300, {{2, 100}}}, {1, 0}, q, k, v, 256);
    for (int b = -128; b <= 127; ++b) ASSERT_EQ(out[b + 128], (a + b + 1) >> 1) << a << ' ' << b;
  }
}

TEST(Attention, OneValidPositionGivesItsValue) {
  const std::vector<int8_t> q = {1, -2};
  const std::vector<int8_t> k = {127, -128, 0, 0, -128, 127};
  const std::vector<int8_t> v = {-128, 127, 1, 2, 127, -128};
  for (const HeadParams& params : kParams) {
    for (uint8_t i = 0; i < 3; ++i) {
      const auto bits = static_cast<uint8_t>(1 << i);
      EXPECT_EQ(attention(params, {32767, 20}, q, k, v, 2, {.bits = &bits}),
                (std::vector<int8_t>{v[2 * i], v[2 * i + 1]}));
    }
    EXPECT_EQ(attention(params, {32767, 20}, q, k, v, 2, {.valid_length = 0}), (std::vector<int8_t>{0, 0}));
  }
}

// The widest products that the head dimension allows, at the ends of the rescale's range.
TEST(Attention, LargestProducts) {
  const std::vector<int8_t> q(kMaxHeadDimension, int8_t{-128});
  std::vector<int8_t> k(kMaxHeadDimension, int8_t{-128});
  k.resize(2 * kMaxHeadDimension, int8_t{127});
  const std::vector<int8_t> v = {100, -100};
  const int64_t t = kMaxHeadDimension * (128 * 128 + 128 * 127);
  const HeadParams params(255, {{2, 127}});  // w = 255 - 2 d
  for (const Rescale rescale :
       {Rescale{1, 0}, Rescale{32767, 0}, Rescale{32767, 46}, Rescale{1, 46}, Rescale{32767, 40}}) {
    const int64_t w = 255 - 2 * sum_distance(rescale, t);
    const int64_t numerator = 100 * (255 - w);
    EXPECT_EQ(attention(params, rescale, q, k, v, 1)[0], (2 * numerator + 255 + w) / (2 * (255 + w)));
  }
  EXPECT_EQ(sum_distance({32767, 40}, t), 64);  // 63.99..., so that the list above is not all clamped
}

// 65536 positions of the largest weight and value: the sums stay below 2^31.
TEST(Attention, LongestRow) {
  const std::vector<int8_t> q = {1};
  const std::vector<int8_t> k(kMaxRowLength, int8_t{0});
  for (const int8_t value : {-128, 127}) {
    const std::vector<int8_t> v(kMaxRowLength, value);
    EXPECT_EQ(attention({255, {{0, 1}}}, {1, 0}, q, k, v, 1)[0], value);
  }
  static_assert(kMaxRowLength * 255 * 128 < int64_t{1} << 31);
}

struct Row {
  HeadParams params;
  Rescale rescale;
  int n = 0;
  int dh = 0;
  int dv = 0;
  std::vector<int8_t> q, k, v;
  std::vector<uint8_t> bits;

  bool valid(int i) const { return (bits[i / 8] >> (i % 8) & 1) != 0; }
  RowMask mask() const { return {.bits = bits.data()}; }
};

void showValue(const Row& row, std::ostream& os) {
  os << "n=" << row.n << " dh=" << row.dh << " dv=" << row.dv << " B=" << row.params.offset
     << " M=" << row.rescale.multiplier << " R=" << row.rescale.shift;
}

rc::Gen<Row> any_row() {
  const auto draw_row = [] {
    Row row;
    row.params = *rc::gen::elementOf(std::vector<HeadParams>(std::begin(kParams), std::end(kParams)));
    row.n = *rc::gen::inRange(1, 80);
    row.dh = *rc::gen::inRange(1, 70);
    row.dv = *rc::gen::inRange(1, 6);
    // Mostly shifts that spread the distances over 0..127.
    const int shift =
        *rc::gen::weightedOneOf<int>({{3, rc::gen::inRange(20, 32)}, {1, rc::gen::inRange(0, kMaxRescaleShift + 1)}});
    row.rescale = {*rc::gen::inRange(1, kMaxRescaleMultiplier + 1), shift};
    const auto bytes = [](int count) {
      return *rc::gen::container<std::vector<int8_t>>(count, rc::gen::cast<int8_t>(rc::gen::inRange(-128, 128)));
    };
    row.q = bytes(row.dh);
    row.k = bytes(row.n * row.dh);
    row.v = bytes(row.n * row.dv);
    for (const int8_t byte : bytes((row.n + 7) / 8)) row.bits.push_back(static_cast<uint8_t>(byte));
    return row;
  };
  return rc::gen::resize(rc::kNominalSize, rc::gen::exec(draw_row));  // ranges are small at small sizes otherwise
}

std::vector<int8_t> attention(const Row& row) {
  return attention(row.params, row.rescale, row.q, row.k, row.v, row.dv, row.mask());
}

RC_GTEST_PROP(RandomAttention, IsAConvexCombinationOfTheValidValues, ()) {
  const Row row = *any_row();
  const std::vector<int8_t> out = attention(row);
  for (int j = 0; j < row.dv; ++j) {
    int low = 127;
    int high = -128;
    for (int i = 0; i < row.n; ++i) {
      if (!row.valid(i)) continue;
      low = std::min<int>(low, row.v[i * row.dv + j]);
      high = std::max<int>(high, row.v[i * row.dv + j]);
    }
    if (low > high) low = high = 0;  // empty mask
    RC_ASSERT(low <= out[j] && out[j] <= high);
  }
}

// s depends on the distance alone: 128 weights a head give the same output.
RC_GTEST_PROP(RandomAttention, EqualsATableOf128Weights, ()) {
  const Row row = *any_row();
  int64_t table[128];
  for (int64_t d = 0; d < 128; ++d) table[d] = attention_weight(row.params, d);
  std::vector<int64_t> a(row.n);
  int64_t m = INT64_MIN;
  for (int i = 0; i < row.n; ++i) {
    a[i] = std::inner_product(row.q.begin(), row.q.end(), row.k.begin() + i * row.dh, int64_t{0});
    if (row.valid(i)) m = std::max(m, a[i]);
  }
  const std::vector<int8_t> out = attention(row);
  for (int j = 0; j < row.dv; ++j) {
    int64_t sum = 0;
    int64_t weighted = 0;
    for (int i = 0; i < row.n; ++i) {
      if (!row.valid(i)) continue;
      const int64_t w = table[sum_distance(row.rescale, m - a[i])];
      sum += w;
      weighted += w * row.v[i * row.dv + j];
    }
    // o - 1/2 <= weighted / sum < o + 1/2
    if (sum == 0) {
      RC_ASSERT(out[j] == 0);
    } else {
      RC_ASSERT((2 * out[j] - 1) * sum <= 2 * weighted);
      RC_ASSERT((2 * out[j] + 1) * sum > 2 * weighted);
    }
  }
}

RC_GTEST_PROP(RandomAttention, MaskedPositionsDoNotMatter, ()) {
  const Row row = *any_row();
  Row other = row;
  for (int i = 0; i < row.n; ++i) {
    if (row.valid(i)) continue;
    std::fill_n(other.k.begin() + i * row.dh, row.dh, *rc::gen::element<int8_t>(-128, 127));
    std::fill_n(other.v.begin() + i * row.dv, row.dv, *rc::gen::element<int8_t>(-128, 127));
  }
  RC_ASSERT(attention(row) == attention(other));
}

RC_GTEST_PROP(RandomAttention, OrderOfPositionsDoesNotMatter, ()) {
  const Row row = *any_row();
  Row reversed = row;
  std::fill(reversed.bits.begin(), reversed.bits.end(), uint8_t{0});
  for (int i = 0; i < row.n; ++i) {
    const int to = row.n - 1 - i;
    std::copy_n(row.k.begin() + i * row.dh, row.dh, reversed.k.begin() + to * row.dh);
    std::copy_n(row.v.begin() + i * row.dv, row.dv, reversed.v.begin() + to * row.dv);
    if (row.valid(i)) reversed.bits[to / 8] |= static_cast<uint8_t>(1u << (to % 8));
  }
  RC_ASSERT(attention(row) == attention(reversed));
}

// ---- Arguments ------------------------------------------------------------------------------

struct Sizes {
  size_t q, k, v, out;
};

std::string refusal(const HeadParams& params, Rescale rescale, Sizes sizes) {
  const std::vector<int8_t> q(sizes.q), k(sizes.k), v(sizes.v);
  std::vector<int8_t> out(sizes.out);
  const Status status = attention_reference(params, rescale, q, k, v, {}, out);
  EXPECT_TRUE(status.ok() || status.code() == StatusCode::kInvalidArgument);
  return status.message();
}

TEST(AttentionArguments, AreChecked) {
  const HeadParams good(300, {{2, 100}});
  const Sizes sizes{2, 6, 12, 4};  // n = 3, dh = 2, dv = 4
  EXPECT_EQ(refusal(good, {1, 0}, sizes), "");
  EXPECT_EQ(refusal(good, {32767, 46}, sizes), "");
  EXPECT_EQ(refusal({300, {}}, {1, 0}, sizes), "head: 0 knees, but 1 <= K <= 4");
  EXPECT_EQ(refusal(good, {0, 0}, sizes), "rescale multiplier M = 0, but 1 <= M <= 32767");
  EXPECT_EQ(refusal(good, {32768, 0}, sizes), "rescale multiplier M = 32768, but 1 <= M <= 32767");
  EXPECT_EQ(refusal(good, {1, -1}, sizes), "rescale shift R = -1, but 0 <= R <= 46");
  EXPECT_EQ(refusal(good, {1, 47}, sizes), "rescale shift R = 47, but 0 <= R <= 46");
  EXPECT_EQ(refusal(good, {1, 0}, {0, 0, 0, 4}), "head dimension dh = 0, but 1 <= dh <= 65536");
  EXPECT_EQ(refusal(good, {1, 0}, {65536, 65536, 1, 1}), "");
  EXPECT_EQ(refusal(good, {1, 0}, {65537, 65537, 1, 1}), "head dimension dh = 65537, but 1 <= dh <= 65536");
  EXPECT_EQ(refusal(good, {1, 0}, {2, 6, 0, 0}), "value width dv = 0, but dv >= 1");
  EXPECT_EQ(refusal(good, {1, 0}, {2, 7, 12, 4}), "7 key elements, but a multiple of the head dimension 2 is needed");
  EXPECT_EQ(refusal(good, {1, 0}, {2, 0, 0, 4}), "row of 0 positions, but 1 <= n <= 65536");
  EXPECT_EQ(refusal(good, {1, 0}, {1, 65537, 65537, 1}), "row of 65537 positions, but 1 <= n <= 65536");
  EXPECT_EQ(refusal(good, {1, 0}, {2, 6, 11, 4}), "11 value elements, but 3 positions of width 4 are needed");
  EXPECT_EQ(refusal(good, {1, 0}, {2, 6, 15, 4}), "15 value elements, but 3 positions of width 4 are needed");
}

}  // namespace
}  // namespace hccs
