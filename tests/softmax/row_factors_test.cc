// SPDX-License-Identifier: Apache-2.0
//
// The 16-bit forms that every kernel computes against the contract's probability(): every score of every sum to 4096,
// and of sums around each power of two beyond.
#include "softmax/row_factors.h"

#include <gtest/gtest.h>

#include <set>

namespace hccs::internal {
namespace {

template <Form kForm>
void expect_exact(Normalisation normalisation, OutputType output, int32_t magnitude, int64_t sum, int64_t score_step) {
  PreparedHead head{};
  head.magnitude = magnitude;
  head.prescale = prescale_of(kForm, normalisation, magnitude);
  const RowFactors factors = row_factors<kForm>(normalisation, head, static_cast<int32_t>(sum));
  const int64_t most = std::min<int64_t>(sum, (1 << (15 - magnitude)) - 1);  // B
  for (int64_t s = 0; s <= most; s += (s + score_step <= most ? score_step : std::max<int64_t>(1, most - s))) {
    const int32_t got = normalised<kForm>(factors, static_cast<uint32_t>(s << head.prescale));
    ASSERT_EQ(got, probability(normalisation, output, s, sum))
        << name(normalisation) << " " << name(output) << " s " << s << " Z " << sum << " e " << magnitude;
  }
}

void expect_all_forms(int32_t magnitude, int64_t sum, int64_t score_step) {
  expect_exact<Form::kScale8>(Normalisation::kScaled, OutputType::kUint8, magnitude, sum, score_step);
  expect_exact<Form::kScale16>(Normalisation::kScaled, OutputType::kInt16, magnitude, sum, score_step);
  for (const Normalisation normalisation : {Normalisation::kDiv, Normalisation::kClb}) {
    expect_exact<Form::kFloor8>(normalisation, OutputType::kUint8, magnitude, sum, score_step);
    expect_exact<Form::kProduct16>(normalisation, OutputType::kInt16, magnitude, sum, score_step);
  }
}

TEST(RowFactors, EveryScoreOfEverySumTo4096) {
  for (int32_t magnitude = 0; magnitude <= 14; ++magnitude) {
    // Z >= B >= 2^(14 - e)
    for (int64_t sum = 1 << (14 - magnitude); sum <= 4096; ++sum) {
      ASSERT_NO_FATAL_FAILURE(expect_all_forms(magnitude, sum, 1));
    }
  }
}

TEST(RowFactors, SumsAroundPowersOfTwo) {
  for (int32_t magnitude = 0; magnitude <= 14; ++magnitude) {
    std::set<int64_t> sums;
    for (int bit = 12; bit <= 31; ++bit) {
      for (int64_t delta = -3; delta <= 3; ++delta) {
        for (int64_t sum :
             {(int64_t{1} << bit) + delta, (int64_t{3} << bit) / 2 + delta, (int64_t{255} << bit) / 199 + delta}) {
          // n <= 65536 rows of B < 2^(15 - e)
          if (sum >= (1 << (14 - magnitude)) && sum <= kMaxRowLength * ((1 << (15 - magnitude)) - 1)) sums.insert(sum);
        }
      }
    }
    for (int64_t sum : sums) ASSERT_NO_FATAL_FAILURE(expect_all_forms(magnitude, sum, 7));
  }
}

TEST(RowFactors, SmallSumShiftsAreTheSmallestExactOnes) {
  for (int32_t z = 1; z < 128; ++z) {
    const int32_t t = kSmallSumShift[static_cast<size_t>(z)];
    EXPECT_TRUE(small_sum_shift_is_exact(z, t)) << z;
    for (int32_t smaller = 0; smaller < t; ++smaller) EXPECT_FALSE(small_sum_shift_is_exact(z, smaller)) << z;
  }
}

}  // namespace
}  // namespace hccs::internal
