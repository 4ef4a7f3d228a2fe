// SPDX-License-Identifier: Apache-2.0
//
// exp_bf16 against the exponential and the softmax of double numbers, to the tolerances that exp_bf16.h states.
#include <cmath>

#include "kernels/exp_bf16_case.h"

namespace {

using namespace kernel_test;

template <typename V>
class ExpBf16 : public testing::Test {};
using Variants = testing::Types<Native, Bits>;
TYPED_TEST_SUITE(ExpBf16, Variants, );

// Every bf16 x <= 0, also those that a mask is made of; the stated error is reached to within a fifth, so it is not
// just any bound.
TYPED_TEST(ExpBf16, EveryNumber) {
  using Exp = hccs_kernels::ExpBf16<TypeParam::kExponential>;
  const hccs_kernels::RoundingSaturation modes(aie::rounding_mode::conv_even, aie::saturation_mode::saturate);
  constexpr double kBound = hccs_kernels::kExpError<TypeParam::kExponential>;
  const Exp exp(bfloat16(0.0f));
  double worst = 0;
  double worst_x = 0;
  for (unsigned first = 0x8000; first <= 0xff7f; first += Exp::kLanes) {
    alignas(64) bfloat16 x[Exp::kLanes];
    for (unsigned i = 0; i < Exp::kLanes; ++i) {
      x[i] = bfloat16::from_bits(static_cast<uint16_t>(std::min(first + i, 0xff7fu)));
    }
    const auto e = exp(aie::load_v<Exp::kLanes>(x));
    for (unsigned i = 0; i < Exp::kLanes; ++i) {
      const double exact = std::exp(static_cast<double>(static_cast<float>(x[i])));
      const double got = static_cast<float>(e.get(i));
      if (exact < std::exp(-64.0)) {
        ASSERT_GE(got, 0) << static_cast<float>(x[i]);
        ASSERT_LE(got, std::exp(-64.0) * (1 + kBound)) << static_cast<float>(x[i]);
      } else if (std::abs(got / exact - 1) > worst) {
        worst = std::abs(got / exact - 1);
        worst_x = static_cast<float>(x[i]);
      }
    }
  }
  EXPECT_LE(worst, kBound) << worst_x;
  EXPECT_GE(worst, 0.8 * kBound) << worst_x;
  EXPECT_EQ(static_cast<float>(exp(aie::zeros<bfloat16, Exp::kLanes>()).get(0)), 1.0f);
}

// Each exponential is off by the stated error E and, for the rounding of the difference x, by |x| / 512; a quotient of
// such by 2E / (1 - E) and |x| / 256; and three roundings to bf16 add 1 / 128.
template <typename V>
void expect_softmax(const std::vector<float>& logits, unsigned rows, unsigned n, unsigned mode) {
  constexpr double kBound = hccs_kernels::kExpError<V::kExponential>;
  const std::vector<float> p = softmax<V>(logits, rows, n, mode);
  for (unsigned r = 0; r < rows; ++r) {
    std::vector<double> x(n);
    for (unsigned i = 0; i < n; ++i) x[i] = static_cast<float>(bfloat16(logits[r * n + i]));
    const double most = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double& value : x) sum += std::exp(value -= most);
    for (unsigned i = 0; i < n; ++i) {
      const double exact = std::exp(x[i]) / sum;
      const double bound = std::expm1(std::abs(std::max(x[i], -64.0)) / 256) + 2 * kBound / (1 - kBound) + 1.0 / 128;
      ASSERT_LE(std::abs(p[r * n + i] - exact), exact * bound + 1e-27) << "row " << r << ", x " << x[i];
    }
  }
}

TYPED_TEST(ExpBf16, RandomRows) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  std::mt19937_64 generator(seed);
  unsigned mode = 0;
  for (const unsigned n : {32u, 64u, 128u, 512u, 2048u}) {
    for (const float width : {0.0f, 0.1f, 1.0f, 4.0f, 30.0f}) {
      std::normal_distribution<float> normal(width, width);
      std::vector<float> logits(3 * n);
      for (float& x : logits) x = normal(generator);
      expect_softmax<TypeParam>(logits, 3, n, mode++);
      for (float& x : logits) x = std::round(4 * x);  // ties
      expect_softmax<TypeParam>(logits, 3, n, mode++);
    }
  }
}

TYPED_TEST(ExpBf16, MaskedPositionsGetZero) {
  for (const float visible : {-8e37f, -2.0f, 8e37f}) {
    std::vector<float> logits(64, std::numeric_limits<bfloat16>::lowest());
    logits[5] = visible;
    logits[40] = visible;
    const std::vector<float> p = softmax<TypeParam>(logits, 1, 64, 0);
    for (unsigned i = 0; i < 64; ++i) EXPECT_NEAR(p[i], i == 5 || i == 40 ? 0.5f : 0.0f, 1e-25f) << i;
  }
}

}  // namespace
