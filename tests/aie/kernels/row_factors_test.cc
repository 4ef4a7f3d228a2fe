// SPDX-License-Identifier: Apache-2.0
//
// The factors that normalise a row: exact for every sum that the kernels serve, whatever the first estimate is off by.
#include "aie/kernels/row_factors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/softmax_block.h"

namespace {

using namespace hccs_kernels;

constexpr unsigned kRows = 32;  // at a time

// Sums around every power of two and spread over all of them, from the least that is served to the largest.
std::vector<int32_t> sums(kernel_test::Random& random) {
  std::vector<int32_t> z;
  for (int32_t x = 256; x < 20000; ++x) z.push_back(x);
  for (int k = 14; k <= 30; ++k) {
    for (int i = -20; i <= 20; ++i) z.push_back((1 << k) + i);
    for (int i = 0; i < 200; ++i) z.push_back((1 << k) + random.below((1 << k) - 1));
  }
  for (int i = 0; i < 40; ++i) z.push_back(INT32_MAX - i);
  for (const int numerator : {32767, 32640, 255 << 15}) {
    for (int q = 1; q <= 32767; q += random.between(1, 40)) {
      for (int i = -1; i <= 1; ++i) z.push_back(std::max(256, numerator / q + i));
    }
  }
  z.push_back(65536 * 32767);
  z.resize((z.size() + kRows - 1) / kRows * kRows, 256);
  return z;
}

using Sums = aie::vector<int32, kRows>;

Sums group(const std::vector<int32_t>& z, size_t first) {
  Sums v;
  v.load_unaligned(z.data() + first);
  return v;
}

// kRows consecutive sums.
Sums sums_from(int32_t first) {
  std::vector<int32_t> z(kRows);
  std::iota(z.begin(), z.end(), first);
  return group(z, 0);
}

int leading_bit(int32_t z) { return std::bit_width(static_cast<uint32_t>(z)) - 1; }

template <Normalisation kNormalisation, typename Out>
int64_t exact(int32_t z) {
  const int64_t full = std::is_same_v<Out, int16> ? 32767 : kNormalisation == Normalisation::kDiv ? 255 << 15 : 32640;
  const int k = std::bit_width(static_cast<uint32_t>(z)) - 1;
  return kNormalisation == Normalisation::kDiv ? full / z : (full << k) / z;
}

template <Normalisation kNormalisation, typename Out>
void expect_exact_reciprocals() {
  const uint64_t seed = kernel_test::draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  kernel_test::Random random(seed);
  std::vector<int32_t> z = sums(random);
  // What is known to be short takes other ways.
  for (const int bits : {31, 23, 16}) {
    std::erase_if(z, [&](int32_t x) { return x >= int64_t{1} << bits; });
    z.resize(z.size() / kRows * kRows);
    const int32_t largest = *std::max_element(z.begin(), z.end());
    const auto modes = factor_modes();
    for (size_t first = 0; first < z.size(); first += kRows) {
      const auto r = row_reciprocals<kNormalisation, Out>(group(z, first), largest);
      for (unsigned i = 0; i < kRows; ++i) {
        const int64_t expected = exact<kNormalisation, Out>(z[first + i]);
        ASSERT_EQ(r.get(i), expected) << "Z " << z[first + i];
      }
    }
  }
}

TEST(RowFactors, ReciprocalsAreExact) {
  expect_exact_reciprocals<Normalisation::kDiv, uint8>();
  expect_exact_reciprocals<Normalisation::kDiv, int16>();
  expect_exact_reciprocals<Normalisation::kScaled, uint8>();
  expect_exact_reciprocals<Normalisation::kScaled, int16>();
}

// Quotients and estimates of all sums in a range.
template <int16_t kNumerator, row_factors::SumBits kBits>
void expect_exact_quotients(int32_t from, int32_t to) {
  const auto modes = factor_modes();
  for (int32_t first = from; first < to; first += static_cast<int32_t>(kRows)) {
    const auto floats = row_factors::to_floats(sums_from(first));
    const auto estimate = row_factors::estimate_quotients<kNumerator>(floats);
    const auto m = row_factors::significands<kBits>(floats);
    const auto q = row_factors::exact_quotients<kNumerator, row_factors::Remainder::kNarrow>(m, estimate);
    const auto wide = row_factors::exact_quotients<kNumerator, row_factors::Remainder::kWide>(m, estimate);
    for (unsigned i = 0; i < kRows; ++i) {
      const int32_t z = first + static_cast<int32_t>(i);
      const int64_t numerator = int64_t{kNumerator} << leading_bit(z);
      ASSERT_EQ(q.get(i), numerator / z) << "Z " << z;
      ASSERT_EQ(wide.get(i), numerator / z) << "Z " << z;
      const double exact_quotient = static_cast<double>(numerator) / z;
      ASSERT_LE(std::abs(estimate.quotient.get(i) - exact_quotient) * row_factors::kEstimateError, exact_quotient)
          << "Z " << z;
    }
  }
}

TEST(RowFactors, EverySumOfSixteenBits) {
  expect_exact_quotients<32640, row_factors::SumBits::k16>(256, 1 << 16);
  expect_exact_quotients<32767, row_factors::SumBits::k16>(256, 1 << 16);
}

// The quotients depend on the significand alone, which a smaller sum shares with a larger one that has zeros behind:
// the sums of 23 bits are all there are.
TEST(RowFactors, EverySignificand) {
  expect_exact_quotients<32640, row_factors::SumBits::k23>(1 << 22, 1 << 23);
  expect_exact_quotients<32767, row_factors::SumBits::k23>(1 << 22, 1 << 23);
}

// An estimate that is off by what it may be still gives the quotient; one that is off by three times as much does not,
// so that the test could fail.
TEST(RowFactors, WrongEstimateChangesNothing) {
  const uint64_t seed = kernel_test::draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  kernel_test::Random random(seed);
  const auto modes = factor_modes();
  std::vector<int32_t> z = sums(random);
  std::erase_if(z, [](int32_t x) { return x >= 1 << 23; });
  z.resize(z.size() / kRows * kRows);
  bool too_wrong_shows = false;
  for (const double error : {-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0}) {
    for (size_t first = 0; first < z.size(); first += kRows) {
      row_factors::Estimate<kRows> estimate;
      for (unsigned i = 0; i < kRows; ++i) {
        const double q = std::ldexp(32640.0, leading_bit(z[first + i])) / z[first + i];
        const double off = q * (1 + error / row_factors::kEstimateError);
        const auto wrong = static_cast<int16>(std::min(32767.0, error < 0 ? std::ceil(off) : std::floor(off)));
        estimate.quotient.set(wrong, i);
        estimate.high.set(static_cast<int16>(wrong >> 8), i);
      }
      const auto floats = row_factors::to_floats(group(z, first));
      using enum row_factors::Remainder;
      const auto m = row_factors::significands<row_factors::SumBits::k23>(floats);
      const auto q = row_factors::exact_quotients<32640, kNarrow>(m, estimate);
      const auto q_wide = row_factors::exact_quotients<32640, kWide>(m, estimate);
      const auto q_short = row_factors::exact_quotients<32640, kNarrow>(
          row_factors::significands<row_factors::SumBits::k16>(floats), estimate);
      for (unsigned i = 0; i < kRows; ++i) {
        const auto expected = exact<Normalisation::kScaled, uint8>(z[first + i]);
        if (std::abs(error) <= 1) {
          ASSERT_EQ(q.get(i), expected) << "Z " << z[first + i] << ", error " << error;
          ASSERT_EQ(q_wide.get(i), expected) << "Z " << z[first + i] << ", error " << error;
          ASSERT_TRUE(z[first + i] >= 1 << 16 || q_short.get(i) == expected) << "Z " << z[first + i];
        } else {
          too_wrong_shows |= q.get(i) != expected;
        }
      }
    }
  }
  EXPECT_TRUE(too_wrong_shows);
}

TEST(RowFactors, FloatsOfEverySum) {
  const auto modes = factor_modes();
  for (int32_t first = 0; first < 1 << 23; first += 977 * static_cast<int32_t>(kRows)) {
    const auto floats = row_factors::to_floats(sums_from(first)).to_vector<float>();
    for (unsigned i = 0; i < kRows; ++i) ASSERT_EQ(floats.get(i), static_cast<float>(first + static_cast<int32_t>(i)));
  }
}

TEST(RowFactors, Powers) {
  const auto modes = factor_modes();
  kernel_test::Random random(6);
  for (int k = 0; k < 23; ++k) {
    for (const int exponent : {6, 14, 15, 20, 22}) {
      std::vector<int32_t> z(kRows);
      for (int32_t& x : z) x = (1 << k) + random.below(1 << k);
      const auto power = row_factors::powers(row_factors::to_floats(group(z, 0)), exponent);
      const int place = exponent - k;
      if (place > 15 || place == -1) continue;  // not served, either
      for (unsigned i = 0; i < kRows; ++i) ASSERT_EQ(power.get(i), place < 0 ? 0 : 1 << place) << z[i];
    }
  }
}

// The factors of a lane against the contract: what the forms of row_factors.h make of every row of these sums.
template <Normalisation kNormalisation, typename Out>
void expect_lane_factors() {
  kernel_test::Random random(8);
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr auto kOutput = kWide ? hccs::OutputType::kInt16 : hccs::OutputType::kUint8;
  const int64_t full = kWide ? 32767 : 255;
  const auto modes = factor_modes();
  const std::vector<int32_t> z = sums(random);
  for (int e = 0; e <= 6; ++e) {
    HccsHead head;
    head.offset = static_cast<int16_t>((1 << (14 - e)) + random.below((1 << (14 - e)) - 1));
    ASSERT_EQ(magnitude(head), e);
    for (size_t first = 0; first < z.size(); first += kRows) {
      const auto factors = lane_factors<kNormalisation, Out>(group(z, first), INT32_MAX, e);
      for (unsigned i = 0; i < kRows; ++i) {
        const int32_t sum = z[first + i];
        const int k = leading_bit(sum);
        if (sum < head.offset || (kWide && kNormalisation == Normalisation::kScaled && k + e > 28)) continue;
        const int64_t r = factors.first.get(i);
        if (kNormalisation == Normalisation::kClb) {
          ASSERT_EQ(r, (kWide ? 32767 : 255 << 15) >> k) << "Z " << sum;
          continue;
        }
        ASSERT_EQ(r, (exact<kNormalisation, Out>(sum))) << "Z " << sum;
        if (kNormalisation == Normalisation::kDiv) continue;
        const int64_t second = factors.second.get(i);
        for (int64_t s = head.offset; s >= 0; s -= random.between(1, 6000)) {
          const int64_t product = (s << e) * r;
          const int64_t p = kWide ? (product * second + (1 << 27)) >> 28 : ((product >> 16) * second + (1 << 14)) >> 15;
          ASSERT_EQ(std::min(full, p),
                    hccs::probability(kernel_test::contract_normalisation(kNormalisation), kOutput, s, sum))
              << "Z " << sum << ", s " << s << ", e " << e;
        }
      }
    }
  }
}

TEST(RowFactors, LaneFactors) {
  expect_lane_factors<Normalisation::kDiv, uint8>();
  expect_lane_factors<Normalisation::kDiv, int16>();
  expect_lane_factors<Normalisation::kClb, uint8>();
  expect_lane_factors<Normalisation::kClb, int16>();
  expect_lane_factors<Normalisation::kScaled, uint8>();
  expect_lane_factors<Normalisation::kScaled, int16>();
}

// Every sum below 2^16, and both sides of every power of two.
TEST(RowFactors, Shifts) {
  std::vector<int32_t> z;
  for (int32_t sum = 256; sum < 1 << 16; ++sum) z.push_back(sum);
  for (int k = 16; k < 31; ++k) {
    for (const int64_t sum : {(int64_t{1} << k) - 1, int64_t{1} << k, (int64_t{1} << k) + 1}) {
      z.push_back(static_cast<int32_t>(sum));
    }
  }
  z.push_back(INT32_MAX);
  z.resize((z.size() + 15) / 16 * 16, 256);
  const auto modes = hccs_kernels::factor_modes();
  for (size_t i = 0; i < z.size(); i += 16) {
    alignas(64) int32_t block[16];
    for (unsigned lane = 0; lane < 16; ++lane) block[lane] = hccs_kernels::kFloatBits + (z[i + lane] >> 8);
    const auto k = hccs_kernels::shifts(aie::load_v<16>(block), 7);
    for (unsigned lane = 0; lane < 16; ++lane) {
      ASSERT_EQ(k.get(lane), 38 - __builtin_clz(static_cast<unsigned>(z[i + lane]))) << z[i + lane];
    }
  }
}

// The rules of head_error are those of check_aie, and a kernel for fewer knees refuses.
TEST(RowFactors, HeadErrorIsCheckAie) {
  const auto agree = [](const hccs::HeadParams& params, unsigned n, hccs::AieRows rows = hccs::AieRows::kMasked) {
    const bool ok = hccs::check_aie(params, n, rows).ok();
    const HccsHead head = kernel_test::kernel_head(params);
    if (rows == hccs::AieRows::kFull) {
      EXPECT_EQ(head_error(head, 4, n, MaskKind::kNone) == nullptr, ok) << params.offset << ", n " << n;
    } else {
      EXPECT_EQ(head_error(head, 4, n, MaskKind::kLength) == nullptr, ok) << params.offset << ", n " << n;
      EXPECT_EQ(head_error(head, 4, n, MaskKind::kBits) == nullptr, ok) << params.offset << ", n " << n;
    }
    return ok;
  };
  EXPECT_TRUE(agree({256, {{0, 1}}}, 1));
  EXPECT_FALSE(agree({255, {{0, 1}}}, 1));
  EXPECT_FALSE(agree({256, {{0, 1}}}, 0));
  EXPECT_TRUE(agree({256, {{0, 1}}}, 65536));
  EXPECT_FALSE(agree({256, {{0, 1}}}, 65537));
  EXPECT_TRUE(agree({32767, {{127, 127}}}, 64));
  EXPECT_FALSE(agree({32767, {{-1, 127}}}, 64));
  EXPECT_FALSE(agree({32767, {{127, 0}}}, 64));
  EXPECT_TRUE(agree({16129, {{127, 127}}}, 64));
  EXPECT_FALSE(agree({16128, {{127, 127}}}, 64));
  EXPECT_TRUE(agree({32767, {{1, 5}, {1, 6}}}, 64));
  EXPECT_FALSE(agree({32767, {{1, 5}, {1, 5}}}, 64));
  EXPECT_FALSE(agree({32767, std::initializer_list<hccs::Knee>{}}, 64));
  // Full rows: 256 positions of score 1 are the least, and the largest n and F do not overflow.
  for (const auto& [params, n] : kernel_test::kLeastFullRows) {
    EXPECT_TRUE(agree(params, n, hccs::AieRows::kFull)) << params.offset;
    EXPECT_FALSE(agree(params, n - 1, hccs::AieRows::kFull)) << params.offset;
    EXPECT_FALSE(agree(params, n, hccs::AieRows::kMasked)) << params.offset;
  }
  EXPECT_FALSE(agree({255, {{3, 85}}}, 65536, hccs::AieRows::kFull));  // F = 0
  EXPECT_TRUE(agree({256, {{4, 64}}}, 1, hccs::AieRows::kFull));
  EXPECT_TRUE(agree({32767, {{0, 1}}}, 65536, hccs::AieRows::kFull));
  EXPECT_FALSE(agree({0, {{0, 1}}}, 65536, hccs::AieRows::kFull));
  EXPECT_FALSE(agree({200, {{127, 2}}}, 65536, hccs::AieRows::kFull));
  EXPECT_FALSE(agree({200, {{1, 5}, {1, 5}}}, 64, hccs::AieRows::kFull));

  const auto three = kernel_test::kernel_head({32767, {{1, 5}, {1, 6}, {1, 7}}});
  EXPECT_NE(head_error(three, 2, 64), nullptr);
  EXPECT_EQ(head_error(three, 3, 64), nullptr);
  // What an int8 of the kernels' parameters cannot hold wraps to a negative number, which is refused.
  HccsHead wide;
  wide.offset = 32767;
  wide.knee_count = 1;
  wide.slope[0] = static_cast<int8_t>(128);
  EXPECT_NE(head_error(wide, 1, 64), nullptr);

  int16_t words[kHeadWords];
  head_to_words(three, words);
  const HccsHead again = head_from_words(words);
  EXPECT_EQ(again.offset, 32767);
  EXPECT_EQ(again.knee_count, 3);
  for (unsigned k = 0; k < kMaxKnees; ++k) {
    EXPECT_EQ(again.slope[k], three.slope[k]);
    EXPECT_EQ(again.position[k], three.position[k]);
  }
}

}  // namespace
