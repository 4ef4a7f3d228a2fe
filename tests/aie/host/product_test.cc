// SPDX-License-Identifier: Apache-2.0
//
// Products into accumulators and matrix products. Sources: Xilinx/aie_api, aie.hpp (mul, mac, msc, negmul, mmul) and
// detail/accum.hpp (which accumulator a product gets).
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <type_traits>

#include "lanes.h"

namespace {

using Doubles = std::vector<double>;

// detail/accum.hpp, default_accum_bits: 32 up to 16 x 16, 48 for 32 x 16, 64 for 32 x 32, float for floats.
TEST(Product, DefaultAccumulators) {
  const aie::vector<int8, 32> a8;
  const aie::vector<int16, 32> a16;
  const aie::vector<int32, 32> a32;
  const aie::vector<bfloat16, 32> b16;
  static_assert(std::is_same_v<decltype(aie::mul(a8, a8)), aie::accum<acc32, 32>>);
  static_assert(std::is_same_v<decltype(aie::mul(a16, a8)), aie::accum<acc32, 32>>);
  static_assert(std::is_same_v<decltype(aie::mul(a16, a16)), aie::accum<acc32, 32>>);
  static_assert(std::is_same_v<decltype(aie::mul(a16, a32)), aie::accum<acc48, 32>>);
  static_assert(std::is_same_v<decltype(aie::mul(a32, a32)), aie::accum<acc64, 32>>);
  static_assert(std::is_same_v<decltype(aie::mul(b16, b16)), aie::accum<accfloat, 32>>);
  static_assert(std::is_same_v<decltype(aie::mul<acc64>(a16, a16)), aie::accum<acc64, 32>>);
}

TEST(Product, Elementwise) {
  const auto a = vec<int8, 32>({-128, 127, 3, -1});
  const auto b = vec<int8, 32>({-128, -128, 5, -1});
  const auto u = vec<uint8, 32>({255, 128, 1, 0});
  const auto w = vec<int32, 32>({16384, -16256, 15, 1});
  EXPECT_EQ(lanes(aie::mul(a, b)), lanes(w));
  EXPECT_EQ(lanes(aie::mul(a, u)), lanes(vec<int32, 32>({-128 * 255, 127 * 128, 3, 0})));
  EXPECT_EQ(lanes(aie::negmul(a, b)), lanes(vec<int32, 32>({-16384, 16256, -15, -1})));
  const auto c = aie::from_vector<acc32>(vec<int32, 32>({1, 2, 3, 4}));
  EXPECT_EQ(lanes(aie::mac(c, a, b)), lanes(vec<int32, 32>({16385, -16254, 18, 5})));
  EXPECT_EQ(lanes(aie::msc(c, a, b)), lanes(vec<int32, 32>({-16383, 16258, -12, 3})));
  EXPECT_EQ(lanes(aie::mac(c, a, int8(2))), lanes(vec<int32, 32>({-255, 256, 9, 2})));
  EXPECT_EQ(lanes(aie::mul(int8(2), a)), lanes(aie::mul(a, int8(2))));
  EXPECT_EQ(lanes(aie::mul(a, b[2])), lanes(aie::mul(a, int8(5))));
  EXPECT_EQ(lanes(aie::mul_square(a)), lanes(aie::mul(a, a)));
  EXPECT_EQ(lanes(aie::mac_square(c, a)), lanes(aie::mac(c, a, a)));
}

// AM020: 32-bit accumulators wrap; 64-bit ones hold what does not fit.
TEST(Product, Widths) {
  const auto a = vec<uint16, 16>({65535});
  EXPECT_EQ(lanes(aie::mul<acc32>(a, a)), lanes(vec<int32, 16>({-131071})));  // 65535^2 - 2^32
  EXPECT_EQ(lanes(aie::mul<acc64>(a, a))[0], 4294836225.0);
  const auto i = vec<int32, 16>({-2147483647 - 1, 2147483647});
  EXPECT_EQ(lanes(aie::mul(i, i))[0], 4611686018427387904.0);
  EXPECT_EQ(lanes(aie::mul(i, vec<int16, 16>({-32768})))[0], 70368744177664.0);
  auto sum = aie::zeros<acc32, 16>();
  for (int k = 0; k < 3; ++k) sum = aie::mac(sum, vec<int16, 16>({32767}), vec<int16, 16>({32767}));
  EXPECT_EQ(lanes(sum)[0], 3 * 1073676289.0 - 4294967296.0);
}

// bfloat16: exact products, one rounding an addition; denormals count as zero (xdna-emu vector_float.rs, FTZ).
TEST(Product, Bfloat16) {
  const auto a = vec<bfloat16, 16>({bfloat16(1.5f), bfloat16(-3.0f), bfloat16::from_bits(1)});
  const auto b = vec<bfloat16, 16>({bfloat16(0x1.02p0f), bfloat16(2.0f), bfloat16(1e30f)});
  const Doubles got = lanes(aie::mul(a, b));
  EXPECT_EQ(got[0], 1.5 * 0x1.02p0);
  EXPECT_EQ(got[1], -6);
  EXPECT_EQ(got[2], 0);
  const aie::accum<accfloat, 16> one(aie::broadcast<float, 16>(1.0f));
  EXPECT_EQ(lanes(aie::mac(one, a, b))[1], -5);
  EXPECT_EQ(lanes(aie::msc(one, a, b))[1], 7);
  EXPECT_EQ(lanes(aie::mul(vec<float, 16>({1.5f}), vec<float, 16>({-2.0f})))[0], -3);
}

// The definition of a matrix product, in 64-bit integers.
template <unsigned M, unsigned K, unsigned N, typename A, typename B>
void check_mmul(std::mt19937& random) {
  using MMUL = aie::mmul<M, K, N, A, B>;
  const auto draw = [&](unsigned) { return static_cast<int32>(random()); };
  const auto a = generate<A, M * K>(draw);
  const auto b = generate<B, K * N>(draw);
  const auto a2 = generate<A, M * K>(draw);
  MMUL c;
  c.mac(a, b);  // the first mac of a fresh object counts as mul
  c.mac(a2, b);
  const auto got = lanes(c.to_accum());
  for (unsigned m = 0; m < M; ++m) {
    for (unsigned n = 0; n < N; ++n) {
      std::int64_t sum = 0;
      for (unsigned k = 0; k < K; ++k) {
        sum += (static_cast<std::int64_t>(a.get(m * K + k)) + a2.get(m * K + k)) * b.get(k * N + n);
      }
      if (MMUL::accum_type::accum_bits() == 32) sum = static_cast<int32>(sum);
      ASSERT_EQ(got[m * N + n], static_cast<double>(sum)) << M << "x" << K << "x" << N << " at " << m << ", " << n;
    }
  }
}

TEST(Mmul, Shapes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  // detail/aie2/mmul_*.hpp and detail/aie2p/mmul_*.hpp: shapes of both.
  check_mmul<4, 8, 8, int8, int8>(random);
  check_mmul<8, 8, 8, uint8, int8>(random);
  check_mmul<2, 8, 8, int8, uint8>(random);
  check_mmul<4, 4, 8, int16, int8>(random);
  check_mmul<8, 4, 8, int16, int8>(random);
  check_mmul<4, 2, 8, int16, int16>(random);
  check_mmul<8, 2, 8, uint16, int16>(random);
  check_mmul<4, 4, 8, int16, int16>(random);
  check_mmul<2, 4, 8, int32, int16>(random);
  check_mmul<4, 16, 8, int8, int8>(random);
  check_mmul<8, 16, 8, int8, uint8>(random);
  check_mmul<4, 1, 8, int32, int16>(random);
#if __AIE_ARCH__ == 20
  check_mmul<4, 8, 4, int8, int8>(random);
  check_mmul<4, 16, 16, int8, int8>(random);
  check_mmul<4, 4, 4, int16, int16>(random);
  check_mmul<4, 8, 4, int16, int8>(random);
#else
  check_mmul<4, 8, 8, int16, int8>(random);
  check_mmul<8, 2, 8, int8, int16>(random);
#endif
}

// The width of the accumulators is the shape's, not the one that was asked for.
TEST(Mmul, Accumulators) {
  static_assert(aie::mmul<2, 4, 8, int16, int16, acc32>::accum_type::accum_bits() == 64);
  static_assert(aie::mmul<4, 4, 8, int16, int8>::accum_type::accum_bits() == (__AIE_ARCH__ == 22 ? 64 : 32));
  static_assert(aie::mmul<4, 8, 8, int8, int8, acc32>::accum_type::accum_bits() == 32);
  static_assert(std::is_same_v<aie::mmul<4, 8, 4, bfloat16, bfloat16, acc32>::accum_type, aie::accum<accfloat, 16>>);
}

TEST(Mmul, StartsFromAnAccumulator) {
  const aie::mmul<4, 8, 8, int8, int8>::accum_type start(aie::broadcast<int32, 32>(100));
  aie::mmul<4, 8, 8, int8, int8> c(start);
  c.mac(aie::broadcast<int8, 32>(1), aie::broadcast<int8, 64>(2));
  EXPECT_EQ(lanes(c.to_vector<int16>()), lanes(aie::broadcast<int16, 32>(116)));
  EXPECT_EQ(lanes(c.to_vector<int8>(2)), lanes(aie::broadcast<int8, 32>(29)));
  c.mul(aie::broadcast<int8, 32>(1), aie::broadcast<int8, 64>(2));
  EXPECT_EQ(lanes(c.to_vector<int32>()), lanes(aie::broadcast<int32, 32>(16)));
}

TEST(Mmul, Bfloat16) {
  const auto a = generate<bfloat16, 32>([](unsigned i) { return static_cast<float>(i % 8); });
  const auto b = generate<bfloat16, 32>([](unsigned i) {
    const unsigned row = i / 4;
    return static_cast<float>(row) - 3;
  });
  aie::mmul<4, 8, 4, bfloat16, bfloat16> c;
  c.mul(a, b);
  double sum = 0;
  for (int k = 0; k < 8; ++k) sum += k * (k - 3);
  EXPECT_EQ(lanes(c.to_vector<float>()), Doubles(16, sum));
}

}  // namespace
