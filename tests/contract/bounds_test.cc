// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of one output, p(s, Z): monotone, in range, the error of `scaled`, the widths, and what `div` and
// `clb` lose. docs/arithmetic.md proves what is asserted here.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "hccs/deployability.h"
#include "hccs/reference.h"

namespace hccs {
namespace {

constexpr Normalisation kNormalisations[] = {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled};
constexpr OutputType kOutputs[] = {OutputType::kInt16, OutputType::kUint8};
constexpr int64_t kMaxSum = kMaxRowLength * int64_t{kMaxOffset};

constexpr int64_t full_scale(OutputType output) { return output == OutputType::kInt16 ? 32767 : 255; }
int floor_log2(int64_t z) { return std::bit_width(static_cast<uint64_t>(z)) - 1; }
int64_t largest_score(int64_t z) { return std::min<int64_t>(z, kMaxOffset); }

// Every power of two with its neighbours, midpoints, and n * B for small and large n and B: sums up to the largest.
std::vector<int64_t> structured_sums() {
  std::vector<int64_t> sums;
  for (int64_t power = 1; power <= kMaxSum; power *= 2) {
    for (int64_t offset = -3; offset <= 3; ++offset)
      sums.insert(sums.end(), {power + offset, power + power / 2 + offset});
  }
  for (const int64_t n : {1, 2, 3, 127, 128, 129, 300, 511, 512, 4097, 65535, 65536}) {
    for (const int64_t b : {1, 2, 3, 255, 256, 257, 16383, 16384, 16385, 32765, 32766, 32767}) sums.push_back(n * b);
  }
  std::erase_if(sums, [](int64_t z) { return z < 1 || z > kMaxSum; });
  std::sort(sums.begin(), sums.end());
  sums.erase(std::unique(sums.begin(), sums.end()), sums.end());
  return sums;
}

// 0, 1, Z, the middle, and both sides of the rounding edges of the lowest, middle and highest outputs of `scaled`.
std::array<int64_t, 25> edge_scores(OutputType output, int64_t z) {
  const int64_t top = largest_score(z);
  const int64_t highest = probability(Normalisation::kScaled, output, top, z);
  std::array<int64_t, 25> scores = {0, 1, top / 2, top - 1, top};
  size_t count = 5;
  for (const int64_t p : {int64_t{1}, highest / 3, highest - 2, highest - 1, highest}) {
    const int64_t s =
        (2 * p - 1) * z / (2 * full_scale(output));  // T * s / Z = p - 1/2, but for the reciprocal's floor
    for (int64_t near = s - 1; near <= s + 2; ++near) scores[count++] = std::clamp<int64_t>(near, 0, top);
  }
  return scores;
}

std::string where(OutputType output, int64_t s, int64_t z) { return fmt::format("{} s={} Z={}", name(output), s, z); }

// ---- Monotone and in range ------------------------------------------------------------------

void expect_monotone_and_in_range(int64_t z) {
  for (const Normalisation normalisation : kNormalisations) {
    for (const OutputType output : kOutputs) {
      int64_t previous = 0;
      ASSERT_EQ(probability(normalisation, output, 0, z), 0);
      for (int64_t s = 1; s <= largest_score(z); ++s) {
        const int64_t p = probability(normalisation, output, s, z);
        ASSERT_GE(p, previous) << name(normalisation) << ' ' << name(output) << " s=" << s << " Z=" << z;
        previous = p;
      }
      ASSERT_LE(previous, full_scale(output)) << name(normalisation) << ' ' << name(output) << " Z=" << z;
    }
  }
}

TEST(Probability, MonotoneAndInRangeForEveryScoreOfSmallSums) {
  for (int64_t z = 1; z <= 2048; ++z) ASSERT_NO_FATAL_FAILURE(expect_monotone_and_in_range(z));
}

TEST(Probability, MonotoneAndInRangeForEveryScoreOfLargeSums) {
  const std::vector<int64_t> sums = structured_sums();
  ASSERT_EQ(sums.back(), kMaxSum);
  for (const int64_t z : sums) ASSERT_NO_FATAL_FAILURE(expect_monotone_and_in_range(z));
}

// ---- The error of `scaled` ------------------------------------------------------------------

// The error p - T*s/Z, in units of 1/Z: an integer.
int64_t scaled_error(OutputType output, int64_t s, int64_t z) {
  return probability(Normalisation::kScaled, output, s, z) * z - full_scale(output) * s;
}

// -(1/2 + s/2^k) < error <= 1/2 for int16, with 2^(k+7) for uint8. As s < 2^(k+1), that is above -2.5 and -33/64.
bool scaled_error_bounded(OutputType output, int64_t s, int64_t z) {
  const int64_t error = scaled_error(output, s, z);
  const int64_t reciprocal_shift = floor_log2(z) + (output == OutputType::kInt16 ? 0 : 7);
  const bool sharp = 2 * error <= z && -(2 * error + z) <= (2 * s * z - 1) >> reciprocal_shift;
  const bool stated = output == OutputType::kInt16 ? 2 * std::abs(error) < 5 * z
                                                   : 64 * std::abs(error) < 33 * z && 100 * std::abs(error) < 52 * z;
  return sharp && stated;
}

TEST(ScaledError, EveryScoreOfEverySumTo2048) {
  for (const OutputType output : kOutputs) {
    for (int64_t z = 1; z <= 2048; ++z) {
      for (int64_t s = 0; s <= z; ++s) ASSERT_TRUE(scaled_error_bounded(output, s, z)) << where(output, s, z);
    }
  }
}

TEST(ScaledError, EdgeScoresOfEverySumTo2Power20) {
  for (const OutputType output : kOutputs) {
    for (int64_t z = 1; z <= 1 << 20; ++z) {
      for (const int64_t s : edge_scores(output, z))
        ASSERT_TRUE(scaled_error_bounded(output, s, z)) << where(output, s, z);
    }
  }
}

TEST(ScaledError, EdgeScoresOfSumsToTheLargest) {
  for (const int64_t z : structured_sums()) {
    for (const OutputType output : kOutputs) {
      for (const int64_t s : edge_scores(output, z))
        ASSERT_TRUE(scaled_error_bounded(output, s, z)) << where(output, s, z);
      // Sums beyond the exhaustive range have s < 2^15 <= 2^k, so the error stays above -1.5.
      if (z >= 1 << 15 && output == OutputType::kInt16) {
        for (const int64_t s : edge_scores(output, z)) ASSERT_GT(2 * scaled_error(output, s, z), -3 * z);
      }
    }
  }
}

// The extremes of an exhaustive search over every (s, Z) with Z < 2^16: the bounds cannot be much smaller.
TEST(ScaledError, BoundsAreNearlyReached) {
  EXPECT_LT(static_cast<double>(scaled_error(OutputType::kInt16, 32445, 32513)) / 32513, -2.468);
  EXPECT_LT(static_cast<double>(scaled_error(OutputType::kUint8, 15949, 16170)) / 16170, -0.5148);
  EXPECT_EQ(2 * scaled_error(OutputType::kInt16, 1, 2), 2);  // +1/2 exactly
  EXPECT_EQ(2 * scaled_error(OutputType::kUint8, 1, 2), 2);
}

// Two positions share every sum: |row sum - T| < n/2 + 2 with n = 2 (int16) and < n/2 + 1/64 (uint8); 2 is reached.
TEST(ScaledError, RowSumOfEveryPairOfScores) {
  int64_t lowest = 0;
  for (int64_t z = 2; z <= 2048; ++z) {
    for (int64_t s = 1; s <= z / 2; ++s) {
      const auto sum = [&](OutputType output) {
        return probability(Normalisation::kScaled, output, s, z) +
               probability(Normalisation::kScaled, output, z - s, z);
      };
      const int64_t wide = sum(OutputType::kInt16) - 32767;
      ASSERT_TRUE(wide >= -2 && wide <= 1) << "s=" << s << " Z=" << z;
      ASSERT_LE(std::abs(sum(OutputType::kUint8) - 255), 1) << "s=" << s << " Z=" << z;
      lowest = std::min(lowest, wide);
    }
  }
  EXPECT_EQ(lowest, -2);
}

// ---- Widths ---------------------------------------------------------------------------------

int64_t reciprocal(Normalisation normalisation, OutputType output, int64_t z) {
  const int64_t numerator = output == OutputType::kInt16 ? 32767 : 255 << 15;
  switch (normalisation) {
    case Normalisation::kDiv:
      return numerator / z;
    case Normalisation::kClb:
      return numerator >> floor_log2(z);
    case Normalisation::kScaled:
      break;
  }
  return ((output == OutputType::kInt16 ? int64_t{32767} : int64_t{32640}) << floor_log2(z)) / z;
}

template <class T>
bool fits(int64_t value) {
  return value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max();
}

// p as a kernel computes it that has 16-bit factors (div and clb: only if the sum allows), 32-bit products and a shift
// of at most 31: a larger shift of `scaled` gives 0, since s*r < 2^30 is then less than half a unit.
void expect_stated_widths_suffice(Normalisation normalisation, OutputType output, int64_t s, int64_t z) {
  const bool wide = output == OutputType::kInt16;
  const int64_t r = reciprocal(normalisation, output, z);
  ASSERT_TRUE(fits<int32_t>(z)) << name(normalisation) << ' ' << where(output, s, z);
  ASSERT_TRUE(fits<int16_t>(s)) << name(normalisation) << ' ' << where(output, s, z);
  ASSERT_EQ(fits<int16_t>(r), normalisation == Normalisation::kScaled || wide || z >= 256)
      << name(normalisation) << ' ' << where(output, s, z);
  ASSERT_TRUE(fits<int32_t>(s * r)) << name(normalisation) << ' ' << where(output, s, z);
  auto p = static_cast<int32_t>(s) * static_cast<int32_t>(r);
  if (normalisation == Normalisation::kScaled) {
    ASSERT_GE(r, wide ? 16383 : 16320) << name(normalisation) << ' ' << where(output, s, z);
    ASSERT_LE(r, wide ? 32767 : 32640) << name(normalisation) << ' ' << where(output, s, z);
    ASSERT_LT(s * r, int64_t{1} << 30) << name(normalisation) << ' ' << where(output, s, z);
    const int shift = floor_log2(z) + (wide ? 0 : 7);
    if (shift > 31) {
      p = 0;
    } else if (shift > 0) {
      ASSERT_TRUE(fits<int32_t>(p + (int64_t{1} << (shift - 1)))) << name(normalisation) << ' ' << where(output, s, z);
      p = static_cast<int32_t>((p + (int64_t{1} << (shift - 1))) >> shift);
    }
  } else {
    ASSERT_LT(s * r, wide ? 1 << 16 : 1 << 24) << name(normalisation) << ' ' << where(output, s, z);
    p = std::min(wide ? 32767 : 255, wide ? p : p >> 15);
  }
  ASSERT_EQ(p, probability(normalisation, output, s, z)) << name(normalisation) << ' ' << where(output, s, z);
}

TEST(Widths, StatedWidthsSuffice) {
  for (const Normalisation normalisation : kNormalisations) {
    for (const OutputType output : kOutputs) {
      for (const int64_t z : structured_sums()) {
        for (const int64_t s : edge_scores(output, z)) {
          ASSERT_NO_FATAL_FAILURE(expect_stated_widths_suffice(normalisation, output, s, z));
        }
      }
      for (int64_t z = 1; z <= 1 << 17; ++z) {
        ASSERT_NO_FATAL_FAILURE(expect_stated_widths_suffice(normalisation, output, largest_score(z), z));
      }
    }
  }
}

// The largest sum and numerator, of constants alone.
static_assert(kMaxSum < int64_t{1} << 31);
static_assert(std::bit_width(static_cast<uint64_t>(kMaxSum)) == 31);
static_assert(std::bit_width(uint64_t{32767} << 30) == 45);          // unsigned; 46 with a sign
static_assert(int64_t{kMaxOffset} * kMaxOffset < int64_t{1} << 30);  // s*r
static_assert(std::bit_width(unsigned{kMaxSlope * kMaxKneePosition}) == 14);

// ---- What `div` and `clb` lose --------------------------------------------------------------

constexpr auto kDiv16 = [](int64_t s, int64_t z) { return probability(Normalisation::kDiv, OutputType::kInt16, s, z); };
constexpr auto kClb16 = [](int64_t s, int64_t z) { return probability(Normalisation::kClb, OutputType::kInt16, s, z); };

// s = 1 shows the reciprocal itself, and Z * r is the row's mass: floor and saturation only lower it.
TEST(Weakness, Int16DivKeepsAtLeastHalfTheMassUntilItLosesAll) {
  int64_t least = 32767;
  for (int64_t z = 1; z <= 32767; ++z) least = std::min(least, z * kDiv16(1, z));
  EXPECT_EQ(least, 16384);
  EXPECT_EQ(16384 * kDiv16(1, 16384), 16384);  // Z just above T/2
  EXPECT_EQ(16383 * kDiv16(1, 16383), 32766);  // Z just below T/2
  for (const int64_t z : {32768, 40000, 1 << 20}) EXPECT_EQ(kDiv16(32767, z), 0) << z;
}

TEST(Weakness, Int16ClbOvershootsLosesHalfAndThenAll) {
  EXPECT_EQ(255 * kClb16(1, 255), 65025);      // 1.98 times T
  EXPECT_EQ(kClb16(255, 255), 32767);          // saturated
  EXPECT_EQ(16384 * kClb16(1, 16384), 16384);  // 32767 >> 14 = 1: half the mass, like div
  for (int64_t z = 16384; z <= 32767; ++z) ASSERT_EQ(kClb16(1, z), kDiv16(1, z)) << z;
  for (const int64_t z : {32768, 40000, 1 << 20}) EXPECT_EQ(kClb16(32767, z), 0) << z;
}

TEST(Weakness, Uint8ClbOvershootsUpToTwice) {
  const auto clb = [](int64_t s, int64_t z) { return probability(Normalisation::kClb, OutputType::kUint8, s, z); };
  EXPECT_EQ(clb(16383, 32767), 254);                                            // T*s/Z = 127.5
  for (int64_t s = 16384; s <= 32767; ++s) ASSERT_EQ(clb(s, 32767), 255) << s;  // their order is lost
}

int64_t flat_output(Normalisation normalisation, OutputType output, int64_t n, int64_t s) {
  return probability(normalisation, output, s, n * s);
}

TEST(Weakness, FlatUint8DivRowVanishes) {
  const auto div = [](int64_t n, int64_t s) { return flat_output(Normalisation::kDiv, OutputType::kUint8, n, s); };
  for (int64_t s = 1; s <= 32767; ++s) {
    ASSERT_EQ(div(256, s), 0) << s;
    for (int64_t n = 1; n <= 127; ++n) ASSERT_GT(div(n, s), 0) << n << ' ' << s;
  }
  EXPECT_EQ(div(255, 1), 1);
  EXPECT_EQ(div(255, 3), 0);      // within the paper's limits: 255 * 3 <= 32767
  EXPECT_EQ(div(128, 32767), 0);  // outside them
}

TEST(Weakness, Uint8DivAndClbAreZeroForVeryLargeSums) {
  const auto p = [](Normalisation normalisation, int64_t z) {
    return probability(normalisation, OutputType::kUint8, 32767, z);
  };
  EXPECT_EQ(p(Normalisation::kDiv, 255 << 14), 1);
  EXPECT_EQ(p(Normalisation::kClb, (1 << 22) - 1), 2);
  for (const int64_t z : {(int64_t{255} << 14) + 1, int64_t{1} << 24, kMaxSum}) EXPECT_EQ(p(Normalisation::kDiv, z), 0);
  for (const int64_t z : {int64_t{1} << 22, int64_t{1} << 24, kMaxSum}) EXPECT_EQ(p(Normalisation::kClb, z), 0);
}

// `scaled` removes this up to the resolution of eight bits: 255/n < 1/2 rounds to 0.
TEST(Weakness, FlatUint8ScaledRowLastsTo509) {
  const auto scaled = [](int64_t n, int64_t s) {
    return flat_output(Normalisation::kScaled, OutputType::kUint8, n, s);
  };
  for (int64_t s = 1; s <= 32767; ++s) {
    ASSERT_EQ(scaled(509, s), 1) << s;
    ASSERT_EQ(scaled(511, s), 0) << s;
  }
  EXPECT_EQ(scaled(510, 1), 1);
  EXPECT_EQ(scaled(510, 3), 0);
}

// The peak B / (B + (n-1)*F) with the largest B and the smallest F of the paper's limits, which some S * D reaches.
TEST(Weakness, LargestReachableProbabilityUnderThePapersLimits) {
  struct Case {
    int64_t n;
    HeadParams params;
    double peak;
  };
  const Case cases[] = {{128, {255, {{23, 11}}}, 0.50}, {512, {63, {{31, 2}}}, 0.11}};
  for (const auto& [n, params, peak] : cases) {
    EXPECT_TRUE(check_paper(params, n).ok());
    EXPECT_GT(n * (params.offset + 1), 32767);  // B is the largest
    EXPECT_LT(n * (params.floor() - 1), 256);   // F is the smallest
    EXPECT_NEAR(static_cast<double>(params.offset) / static_cast<double>(params.offset + (n - 1) * params.floor()),
                peak, 0.005);
    std::vector<int8_t> x(n, -128);
    x[0] = 127;
    std::vector<int16_t> p(n);
    ASSERT_TRUE(softmax_reference(params, Normalisation::kScaled, x, {}, std::span<int16_t>(p)).ok());
    EXPECT_NEAR(p[0] / 32767.0, peak, 0.005);
  }
}

}  // namespace
}  // namespace hccs
