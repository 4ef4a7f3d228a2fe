// SPDX-License-Identifier: Apache-2.0
//
// exp_bf16 against the exponential and the softmax of double numbers, to the tolerances that exp_bf16.h states.
#include "aie/kernels/exp_bf16.h"

#include <adf.h>

#include <cmath>

#include "adf/adf_test.h"
#include "kernels/softmax_block.h"

extern "C" {
void hccs_exp_bf16_bits(const bfloat16*, bfloat16*, int32, int32);
#if __AIE_ARCH__ == 20
void hccs_exp_bf16_tables(const bfloat16*, bfloat16*, int32, int32);
#else
void hccs_exp_bf16_exp2(const bfloat16*, bfloat16*, int32, int32);
#endif
}

namespace {

using namespace kernel_test;
using hccs_kernels::Exponential;

struct Bits {
  static constexpr Exponential kExponential = Exponential::kBits;
  static constexpr auto kRun = hccs_exp_bf16_bits;
};
#if __AIE_ARCH__ == 20
struct Native {
  static constexpr Exponential kExponential = Exponential::kTables;
  static constexpr auto kRun = hccs_exp_bf16_tables;
};
#else
struct Native {
  static constexpr Exponential kExponential = Exponential::kExp2;
  static constexpr auto kRun = hccs_exp_bf16_exp2;
};
#endif

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

// Rows in memory that ends at an inaccessible page; the tile's modes as the kernel finds them.
template <typename V>
std::vector<float> softmax(const std::vector<float>& logits, unsigned rows, unsigned n, unsigned mode) {
  GuardedArray<bfloat16> in(logits.size());
  GuardedArray<bfloat16> out(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) in[i] = bfloat16(logits[i]);
  aie_host::Tile tile("tested");
  in.add_to(tile, "logits", false);
  out.add_to(tile, "out", true);
  for (const auto* table : {&hccs_kernels::exp_fractions_ab, &hccs_kernels::exp_fractions_cd,
                            &hccs_kernels::exp_integers_ab, &hccs_kernels::exp_integers_cd}) {
    aie_host::add_region(tile, table, sizeof *table, "table", false);
  }
  tile.rounding = static_cast<uint8_t>(kRoundings[mode % std::size(kRoundings)]);
  tile.saturation = static_cast<uint8_t>(kSaturations[mode / std::size(kRoundings) % std::size(kSaturations)]);
  const auto before = std::pair(tile.rounding, tile.saturation);
  {
    const aie_host::TileScope scope(tile);
    V::kRun(in.data(), out.data(), static_cast<int32>(rows), static_cast<int32>(n));
  }
  EXPECT_EQ(std::pair(tile.rounding, tile.saturation), before);
  std::vector<float> p;
  for (size_t i = 0; i < out.size(); ++i) p.push_back(static_cast<float>(out[i]));
  return p;
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

// ---- In a graph -----------------------------------------------------------------------------

const adf_test::Files* files = nullptr;

template <typename V>
struct SoftmaxGraph : adf::graph {
  adf::input_plio in;
  adf::output_plio out;
  adf::kernel softmax;
  SoftmaxGraph() {
    in = adf::input_plio::create("in", adf::plio_32_bits, files->path("in.txt"));
    out = adf::output_plio::create("out", adf::plio_32_bits, files->path("out.txt"));
    softmax = adf::kernel::create_object<hccs_kernels::ExpBf16Softmax<V::kExponential, 32, 2>>();
    adf::source(softmax) = "exp_bf16.cc";
    adf::runtime<adf::ratio>(softmax) = 0.9;
    adf::connect(in.out[0], softmax.in[0]);
    adf::connect(softmax.out[0], out.in[0]);
  }
};

class ExpBf16Adf : public adf_test::Files {
 protected:
  void SetUp() override { files = this; }
};

TEST_F(ExpBf16Adf, KernelOfAGraph) {
  std::string text;
  std::vector<float> logits;
  for (unsigned i = 0; i < 64; ++i) {
    logits.push_back(static_cast<float>(i * 37 % 64) / 8);
    text += std::to_string(logits.back()) + (i % 2 == 1 ? '\n' : ' ');
  }
  write("in.txt", text);
  SoftmaxGraph<Native> graph;
  graph.init();
  graph.run(1);
  graph.end();
  std::istringstream out(read("out.txt"));
  const std::vector<float> expected = softmax<Native>(logits, 2, 32, 0);
  for (unsigned i = 0; i < 64; ++i) {
    float p = 0;
    ASSERT_TRUE(out >> p) << i;
    EXPECT_NEAR(p, expected[i], 1e-5f) << i;
  }
}

}  // namespace
