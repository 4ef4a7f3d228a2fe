// SPDX-License-Identifier: Apache-2.0
//
// The steps of the definition against long double, exhaustively where that is feasible.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "integer_encoder/reference.h"
#include "integer_kernels/integer_math.h"

namespace hccs::internal {
namespace {

TEST(IntegerSqrt, IsTheFloorOfTheRoot) {
  for (int64_t root = 0; root < 3000; ++root) {
    for (int64_t x = root * root; x < (root + 1) * (root + 1); x += root / 50 + 1)
      ASSERT_EQ(integer_sqrt(x), root) << x;
  }
  for (int64_t root = 1; root < 3'037'000'499; root = root * 3 + 1) {
    EXPECT_EQ(integer_sqrt(root * root), root);
    EXPECT_EQ(integer_sqrt(root * root - 1), root - 1);
  }
  EXPECT_EQ(integer_sqrt(INT64_MAX), 3'037'000'499);
}

TEST(RoundedDivide, RoundsHalvesUp) {
  EXPECT_EQ(rounded_divide(5, 2), 3);
  EXPECT_EQ(rounded_divide(-5, 2), -2);
  EXPECT_EQ(rounded_divide(-7, 3), -2);
  EXPECT_EQ(rounded_divide(-8, 3), -3);
  EXPECT_EQ(rounded_shift(-5, 1), -2);
  EXPECT_EQ(rounded_shift(5, 1), 3);
  EXPECT_EQ(rounded_shift(-5, 0), -5);
}

void expect_near_reciprocal_root(int64_t variance) {
  const ReciprocalRoot root = reciprocal_root(variance);
  ASSERT_GE(root.shift, 1) << variance;
  ASSERT_LE(root.shift, 19) << variance;
  ASSERT_GE(root.multiplier, 1 << 11) << variance;
  ASSERT_LE(root.multiplier, 1 << 12) << variance;
  const long double exact = std::ldexp(4096.0L / std::sqrt(static_cast<long double>(variance)), root.shift);
  // docs/integer-encoder.md: the bound of R.
  ASSERT_LE(root.multiplier - exact, 0.5L) << variance;
  ASSERT_GT(root.multiplier - exact, -0.5L - 0x1p-12L - 0.5L / exact - 1e-9L) << variance;
  ASSERT_LT(std::abs(root.multiplier / exact - 1), 0.51L * 0x1p-11L) << variance;
}

TEST(ReciprocalRoot, IsWithinItsBound) {
  for (int64_t variance = 16; variance < 70'000; ++variance) expect_near_reciprocal_root(variance);
  for (int bits = 16; bits <= 39; ++bits) {
    for (int64_t d = -40; d <= 20; ++d) {
      const int64_t variance = (int64_t{1} << bits) + d;
      if (variance <= (int64_t{1} << 39) + 16) expect_near_reciprocal_root(variance);
    }
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    expect_near_reciprocal_root(16 + static_cast<int64_t>(random() >> (25 + random() % 34)));
  }
}

// (y - mean) / deviation in long double, and how far z may be from it.
void expect_near_layer_norm(const std::vector<int32_t>& y, int64_t epsilon) {
  const auto n = static_cast<long double>(y.size());
  long double mean = 0;
  for (const int32_t v : y) mean += v / n;
  long double variance = 0;
  for (const int32_t v : y) variance += (v - mean) * (v - mean) / n;
  const long double deviation = std::sqrt(variance + epsilon / 16.0L);
  const std::vector<int16_t> z = reference_standardised(y, epsilon);
  ASSERT_EQ(z.size(), y.size());
  for (size_t i = 0; i < y.size(); ++i) {
    const long double exact = 1024 * (y[i] - mean) / deviation;
    // The mean is rounded, which also raises the variance by up to 1/4; R; the floor of W; the rounding of z.
    const long double factor = 0.51L * 0x1p-11L + 0.125L / (deviation * deviation) + 1 / (32 * deviation * deviation);
    const long double bound = 512 / deviation + std::abs(exact) * factor * 1.1L + 0.51L;
    ASSERT_NEAR(z[i], exact, static_cast<double>(bound)) << i << " of " << y.size() << ", epsilon " << epsilon;
  }
}

TEST(LayerNorm, IsNearTheRealOne) {
  std::mt19937_64 random(2);
  for (const size_t n : {1, 2, 3, 24, 128, 384, 768, 1023, 1024}) {
    for (const int bits : {0, 1, 3, 8, 12, 16}) {
      for (int repeat = 0; repeat < 10; ++repeat) {
        std::vector<int32_t> y(n);
        const auto range = int64_t{1} << bits;
        for (int32_t& v : y) {
          v = static_cast<int32_t>(static_cast<int64_t>(random() % static_cast<uint64_t>(2 * range)) - range);
        }
        if (repeat % 3 == 1) y[0] = kMaxSum;  // an outlier
        if (repeat % 3 == 2) {
          for (int32_t& v : y) v = std::clamp(v + 100'000, -kMaxSum, kMaxSum);  // far from 0
        }
        expect_near_layer_norm(y, repeat < 5 ? 16 : 100'000);
      }
    }
  }
}

TEST(LayerNorm, HoldsTheWidestRows) {
  for (const size_t n : {2, 1023, 1024}) {
    std::vector<int32_t> y(n, -kMaxSum);
    y[0] = kMaxSum;
    expect_near_layer_norm(y, 16);
    for (size_t i = 0; i < n; i += 2) y[i] = kMaxSum;
    expect_near_layer_norm(y, 16);
    expect_near_layer_norm(y, kMaxEpsilon);
  }
  const std::vector<int32_t> flat(1024, kMaxSum);
  for (const int16_t z : reference_standardised(flat, 16)) EXPECT_EQ(z, 0);
}

TEST(Gelu, IsWithinItsBoundForEveryArgument) {
  for (int fraction = 4; fraction <= 13; ++fraction) {
    const long double unit = std::ldexp(1.0L, -fraction);
    for (int64_t h = -32767; h <= 32767; ++h) {
      const long double x = h * unit;
      const long double exact = x / 2 * (1 + std::erf(x / std::numbers::sqrt2_v<long double>));
      ASSERT_LE(std::abs(reference_gelu(h, fraction) * unit - exact), 2.6e-4L + unit / 2) << h << ", f " << fraction;
    }
  }
}

TEST(Gelu, IsTheArgumentOrZeroFarFromZero) {
  for (int fraction = 4; fraction <= 12; ++fraction) {
    EXPECT_EQ(reference_gelu(32767, fraction), 32767 - (fraction > 12 ? 1 : 0));
    EXPECT_EQ(reference_gelu(-32767, fraction), 0);
    EXPECT_EQ(reference_gelu(0, fraction), 0);
  }
}

TEST(Tanh, IsRoundedToTheNearest) {
  for (int64_t x = -3000; x <= 3000; ++x) {
    const long double exact = 127 * std::tanh(static_cast<long double>(x) / kTanhSteps);
    ASSERT_EQ(reference_tanh(x), static_cast<int64_t>(std::round(exact))) << x;
  }
  EXPECT_EQ(reference_tanh(INT32_MAX), 127);
  EXPECT_EQ(reference_tanh(INT32_MIN), -127);
}

}  // namespace
}  // namespace hccs::internal
