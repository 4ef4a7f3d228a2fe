// SPDX-License-Identifier: Apache-2.0
//
// The factors that normalise a row: exact for every sum that the kernels serve, whatever the float seed is off by.
#include "aie/kernels/row_factors.h"

#include <bit>
#include <cmath>
#include <vector>

#include "kernels/softmax_block.h"

namespace {

using namespace hccs_kernels;

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
  z.resize((z.size() + kGroupRows - 1) / kGroupRows * kGroupRows, 256);
  return z;
}

RowSums group(const std::vector<int32_t>& z, size_t first) {
  RowSums v;
  v.load_unaligned(z.data() + first);
  return v;
}

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
  const std::vector<int32_t> z = sums(random);
  for (const aie::rounding_mode rounding : kernel_test::kRoundings) {
    const RoundingSaturation modes(rounding, aie::saturation_mode::saturate);
    for (size_t first = 0; first < z.size(); first += kGroupRows) {
      const RowReciprocals r = row_reciprocals<kNormalisation, Out>(group(z, first));
      for (unsigned i = 0; i < kGroupRows; ++i) {
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

// A seed that is off by 2 either way still gives the quotient; one that is off by 3 does not, so that the correction
// has no steps to spare.
TEST(RowFactors, SeedMayBeOffByTwo) {
  const uint64_t seed = kernel_test::draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  kernel_test::Random random(seed);
  const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
  const std::vector<int32_t> z = sums(random);
  bool three_is_too_many = false;
  for (size_t first = 0; first < z.size(); first += kGroupRows) {
    for (int error = -3; error <= 3; ++error) {
      RowSums p;
      RowReciprocals start;
      for (unsigned i = 0; i < kGroupRows; ++i) {
        const int k = std::bit_width(static_cast<uint32_t>(z[first + i])) - 1;
        p.set(1 << k, i);
        start.set(static_cast<int16>(exact<Normalisation::kScaled, uint8>(z[first + i]) + error), i);
      }
      const RowReciprocals r = exact_quotients(32640, p, group(z, first), start);
      for (unsigned i = 0; i < kGroupRows; ++i) {
        const int64_t expected = exact<Normalisation::kScaled, uint8>(z[first + i]);
        if (std::abs(error) <= 2) {
          ASSERT_EQ(r.get(i), expected) << "Z " << z[first + i] << ", seed off by " << error;
        } else {
          three_is_too_many |= r.get(i) != expected;
        }
      }
    }
  }
  EXPECT_TRUE(three_is_too_many);
}

// A float reciprocal that is wrong by what it may be, 1.3e-7 as elementary_test measures it, and by 300 times as much.
TEST(RowFactors, WrongFloatReciprocalChangesNothing) {
  const uint64_t seed = kernel_test::draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  kernel_test::Random random(seed);
  const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
  const std::vector<int32_t> z = sums(random);
  bool too_wrong_shows = false;
  for (const double error : {-4e-5, -1.3e-7, 1.3e-7, 4e-5, 3e-4}) {
    for (size_t first = 0; first < z.size(); first += kGroupRows) {
      aie::vector<float, kGroupRows> inverse;
      for (unsigned i = 0; i < kGroupRows; ++i) {
        inverse.set(static_cast<float>((1 + error) / static_cast<double>(z[first + i])), i);
      }
      const RowReciprocals wide = row_reciprocals<Normalisation::kScaled, int16>(group(z, first), inverse);
      const RowReciprocals narrow = row_reciprocals<Normalisation::kDiv, uint8>(group(z, first), inverse);
      for (unsigned i = 0; i < kGroupRows; ++i) {
        const auto expected_wide = exact<Normalisation::kScaled, int16>(z[first + i]);
        const auto expected_narrow = exact<Normalisation::kDiv, uint8>(z[first + i]);
        if (error < 1e-4) {
          ASSERT_EQ(wide.get(i), expected_wide) << "Z " << z[first + i] << ", error " << error;
          ASSERT_EQ(narrow.get(i), expected_narrow) << "Z " << z[first + i] << ", error " << error;
        } else {
          too_wrong_shows |= wide.get(i) != expected_wide;
        }
      }
    }
  }
  EXPECT_TRUE(too_wrong_shows);
}

TEST(RowFactors, LeadingBits) {
  kernel_test::Random random(6);
  const std::vector<int32_t> z = sums(random);
  for (size_t first = 0; first < z.size(); first += kGroupRows) {
    const auto bits = leading_bits(group(z, first));
    for (unsigned i = 0; i < kGroupRows; ++i) {
      ASSERT_EQ(bits.get(i), static_cast<float>(std::bit_floor(static_cast<uint32_t>(z[first + i])))) << z[first + i];
    }
  }
}

// row_scale and the forms that go into the slopes, against the contract: every score of rows of these sums.
template <Normalisation kNormalisation, typename Out>
void expect_fused_form() {
  kernel_test::Random random(7);
  constexpr auto kOutput = std::is_same_v<Out, int16> ? hccs::OutputType::kInt16 : hccs::OutputType::kUint8;
  const int64_t full = std::is_same_v<Out, int16> ? 32767 : 255;
  const std::vector<int32_t> z = sums(random);
  for (size_t i = 0; i < z.size(); i += 7) {
    const auto r = static_cast<int16_t>(std::min<int64_t>(32767, exact<Normalisation::kDiv, Out>(z[i])));
    const RowScale scale = row_scale<kNormalisation, Out>(z[i], r);
    for (int64_t s = 0; s <= std::min<int64_t>(z[i], 32767); s += random.between(1, 600)) {
      const int64_t p = std::min(full, (s * scale.factor) >> scale.shift);
      ASSERT_EQ(p, hccs::probability(kernel_test::contract_normalisation(kNormalisation), kOutput, s, z[i]))
          << "Z " << z[i] << ", s " << s;
    }
  }
}

TEST(RowFactors, FusedForms) {
  expect_fused_form<Normalisation::kDiv, int16>();
  expect_fused_form<Normalisation::kClb, int16>();
  expect_fused_form<Normalisation::kClb, uint8>();
}

// The rules of head_error are those of check_aie, and a kernel for fewer knees refuses.
TEST(RowFactors, HeadErrorIsCheckAie) {
  const auto agree = [](const hccs::HeadParams& params, unsigned n, hccs::AieRows rows = hccs::AieRows::kMasked) {
    const bool ok = hccs::check_aie(params, n, rows).ok();
    const HccsHead head = kernel_test::kernel_head(params);
    if (rows == hccs::AieRows::kFull) {
      EXPECT_EQ(head_error(head, 4, n, MaskKind::kNone) == nullptr, ok) << params.offset << ", n " << n;
    } else {
      EXPECT_EQ(head_error(head, 4, n, MaskKind::kLimits) == nullptr, ok) << params.offset << ", n " << n;
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
