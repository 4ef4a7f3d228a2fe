// SPDX-License-Identifier: Apache-2.0
//
// Elementwise operations, comparisons and reductions: a table of cases for each, with the source of the expectation.
// Short names of sources: "api" is Xilinx/aie_api, the comment of the function in aie.hpp; "impl" the file named there.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "lanes.h"

namespace {

using Doubles = std::vector<double>;
using aie::saturation_mode;

class Arithmetic : public testing::Test {
 protected:
  aie_host::Tile tile_{"t"};
  aie_host::TileScope scope_{tile_};
};

// Lanes 0, 1, ... of f(a, b), with a and b repeated over the vector.
template <typename T>
struct Binary {
  const char* source;
  std::function<aie::vector<T, 64 / sizeof(T)>(const aie::vector<T, 64 / sizeof(T)>&,
                                               const aie::vector<T, 64 / sizeof(T)>&)>
      f;
  std::vector<T> a, b;
  Doubles expected;
};

template <typename T>
void check(const std::vector<Binary<T>>& cases) {
  constexpr unsigned n = 64 / sizeof(T);
  for (const Binary<T>& c : cases) {
    const Doubles got = lanes(c.f(vec<T, n>(c.a), vec<T, n>(c.b)));
    for (unsigned i = 0; i < n; ++i) {
      ASSERT_EQ(got[i], c.expected[i % c.expected.size()]) << c.source << ", lane " << i;
    }
  }
}

#define OP(name) [](const auto& a, const auto& b) { return aie::name(a, b); }

TEST_F(Arithmetic, Int8) {
  check<int8>({
      {"api add; wraps (VADD has no saturation)", OP(add), {127, -128, 5}, {1, -1, -7}, {-128, 127, -2}},
      {"api sub; wraps", OP(sub), {127, -128, 5}, {-1, 1, -7}, {-128, 127, 12}},
      {"api max", OP(max), {127, -128, 5}, {-1, 1, -7}, {127, 1, 5}},
      {"api min", OP(min), {127, -128, 5}, {-1, 1, -7}, {-1, -128, -7}},
      {"api maxdiff: a > b ? a - b : 0", OP(maxdiff), {5, -7, 0, 127}, {-7, 5, 0, 0}, {12, 0, 0, 127}},
      {"api maxdiff, compares, then wraps", OP(maxdiff), {127, -128}, {-128, 127}, {-1, 0}},
      {"api bit_and", OP(bit_and), {0x55, -1}, {0x0f, 0x12}, {0x05, 0x12}},
      {"api bit_or", OP(bit_or), {0x55, -1}, {0x0f, 0x12}, {0x5f, -1}},
      {"api bit_xor", OP(bit_xor), {0x55, -1}, {0x0f, 0x12}, {0x5a, ~0x12}},
  });
}

TEST_F(Arithmetic, Uint8) {
  check<uint8>({
      {"api add; wraps", OP(add), {255, 5}, {1, 7}, {0, 12}},
      {"api sub; wraps: a signed difference of int8 as uint8", OP(sub), {5, 124}, {7, 200}, {254, 180}},
      {"api max, unsigned", OP(max), {255, 0}, {1, 128}, {255, 128}},
      {"api min, unsigned", OP(min), {255, 0}, {1, 128}, {1, 0}},
      {"api maxdiff, unsigned", OP(maxdiff), {255, 0}, {1, 128}, {254, 0}},
  });
}

TEST_F(Arithmetic, Int16AndInt32) {
  check<int16>({
      {"api add; wraps", OP(add), {32767, -32768}, {1, -1}, {-32768, 32767}},
      {"api maxdiff", OP(maxdiff), {300, -300}, {-300, 300}, {600, 0}},
  });
  check<uint16>({{"api sub; wraps", OP(sub), {0}, {1}, {65535}}});
  check<int32>({
      {"api add; wraps", OP(add), {2147483647}, {1}, {-2147483648.0}},
      {"api sub; wraps", OP(sub), {-2147483647 - 1}, {1}, {2147483647}},
      {"api max", OP(max), {-5, 5}, {3, -3}, {3, 5}},
  });
  check<uint32>({{"api add; wraps", OP(add), {4294967295u}, {2}, {1}}});
}

// api: "The behaviour of the addition is dictated by the saturation mode".
TEST_F(Arithmetic, SaturatingForms) {
  const std::vector<Binary<int8>> wrapped = {
      {"saturating_add, none", OP(saturating_add), {127, -128}, {1, -1}, {-128, 127}}};
  check<int8>(wrapped);
  aie::set_saturation(saturation_mode::saturate);
  check<int8>({{"saturating_add", OP(saturating_add), {127, -128, 3}, {1, -1, 4}, {127, -128, 7}},
               {"saturating_sub", OP(saturating_sub), {127, -128, 3}, {-1, 1, 4}, {127, -128, -1}}});
  check<uint8>({{"saturating_sub, unsigned", OP(saturating_sub), {3, 200}, {4, 100}, {0, 100}},
                {"saturating_add, unsigned", OP(saturating_add), {200, 1}, {100, 1}, {255, 2}}});
  check<int32>({{"saturating_add, 64-bit sums", OP(saturating_add), {2147483647}, {1}, {2147483647}}});
  check<int8>({{"add wraps whatever the mode", OP(add), {127}, {1}, {-128}}});
  aie::set_saturation(saturation_mode::symmetric);
  check<int8>({{"saturating_add, symmetric", OP(saturating_add), {-128}, {-1}, {-127}}});
}

// api: the scalar forms are those of a vector with the scalar in each lane; v[i] is a scalar.
TEST_F(Arithmetic, ScalarOperands) {
  const auto v = generate<int16, 32>([](unsigned i) { return 3 * static_cast<int>(i) - 40; });
  const int16 s = -7;
  const auto b = aie::broadcast<int16, 32>(s);
  EXPECT_EQ(lanes(aie::add(v, s)), lanes(aie::add(v, b)));
  EXPECT_EQ(lanes(aie::sub(s, v)), lanes(aie::sub(b, v)));
  EXPECT_EQ(lanes(aie::sub(v, s)), lanes(aie::sub(v, b)));
  EXPECT_EQ(lanes(aie::max(v, v[11])), lanes(aie::max(v, b)));  // v[11] = -7
  EXPECT_EQ(lanes(aie::maxdiff(s, v)), lanes(aie::maxdiff(b, v)));
  EXPECT_EQ(lanes(aie::clamp(v, int16(-5), int16(6))), lanes(aie::min(aie::max(v, int16(-5)), int16(6))));
  EXPECT_EQ(bits(aie::lt(v, s)), bits(aie::lt(v, b)));
  EXPECT_EQ(bits(aie::lt(s, v)), bits(aie::gt(v, b)));
}

// api abs, neg: of the lowest number, VABS and VNEG wrap; unsigned vectors are returned as they are.
TEST_F(Arithmetic, AbsNegNot) {
  const auto v = vec<int8, 64>({-128, -5, 5, 127});
  EXPECT_EQ(lanes(aie::abs(v)), lanes(vec<int8, 64>({-128, 5, 5, 127})));
  EXPECT_EQ(lanes(aie::neg(v)), lanes(vec<int8, 64>({-128, 5, -5, -127})));
  EXPECT_EQ(lanes(aie::bit_not(v)), lanes(vec<int8, 64>({127, 4, -6, -128})));
  EXPECT_EQ(lanes(aie::neg(vec<uint8, 64>({3}))), lanes(vec<uint8, 64>({3})));
  EXPECT_EQ(lanes(aie::abs(vec<float, 16>({-1.5f, 2.0f}))), lanes(vec<float, 16>({1.5f, 2.0f})));
}

// impl aie2/shift.hpp: through an accumulator, so the modes of the tile apply.
TEST_F(Arithmetic, Shifts) {
  const auto v = vec<int16, 32>({-3, 3, 0x4000, -0x4000});
  EXPECT_EQ(lanes(aie::downshift(v, 1)), lanes(vec<int16, 32>({-2, 1, 0x2000, -0x2000})));
  EXPECT_EQ(lanes(aie::upshift(v, 1)), lanes(vec<int16, 32>({-6, 6, -32768, -32768})));
  EXPECT_EQ(lanes(aie::logical_downshift(v, 1)), lanes(vec<int16, 32>({32766, 1, 0x2000, 0x6000})));
  aie::set_rounding(aie::rounding_mode::conv_even);
  aie::set_saturation(saturation_mode::saturate);
  EXPECT_EQ(lanes(aie::downshift(v, 1)), lanes(vec<int16, 32>({-2, 2, 0x2000, -0x2000})));
  EXPECT_EQ(lanes(aie::upshift(v, 1)), lanes(vec<int16, 32>({-6, 6, 32767, -32768})));
}

// api: each comparison's loop; lane i is bit i.
TEST_F(Arithmetic, Comparisons) {
  const auto a = vec<int8, 32>({1, 2, 3, -128});
  const auto b = vec<int8, 32>({2, 2, 2, 127});
  const auto first = [](const auto& m) { return bits(m).substr(0, 4); };
  EXPECT_EQ(first(aie::lt(a, b)), "1001");
  EXPECT_EQ(first(aie::le(a, b)), "1101");
  EXPECT_EQ(first(aie::gt(a, b)), "0010");
  EXPECT_EQ(first(aie::ge(a, b)), "0110");
  EXPECT_EQ(first(aie::eq(a, b)), "0100");
  EXPECT_EQ(first(aie::neq(a, b)), "1011");
  EXPECT_EQ(first(aie::lt(a.cast_to<uint8>(), b.cast_to<uint8>())), "1000");  // unsigned: 128 > 127
  EXPECT_TRUE(aie::equal(a, a) && !aie::equal(a, b) && aie::not_equal(a, b));
  EXPECT_TRUE(aie::contains(int8(3), a) && !aie::contains(int8(4), a));
  EXPECT_EQ(bits(aie::ge(vec<int8, 128>({0, -1}), int8(0))).substr(62, 4), "1010");
}

// api select: "out[i] = m[i] == 0 ? v1[i] : v2[i]".
TEST_F(Arithmetic, Select) {
  const auto a = vec<int8, 64>({1});
  const auto b = vec<int8, 64>({2});
  const auto m = aie::mask<64>::from_uint64(0x8000000000000002u);
  const auto got = lanes(aie::select(a, b, m));
  for (unsigned i = 0; i < 64; ++i) EXPECT_EQ(got[i], i == 1 || i == 63 ? 2 : 1);
  EXPECT_EQ(lanes(aie::select(int8(1), b, m)), got);
  EXPECT_EQ(lanes(aie::select(a, int8(2), m)), got);
  EXPECT_EQ(lanes(aie::select(int8(1), int8(2), m)), got);
}

// impl aie2/max_min_cmp.hpp: max_lt gives the mask of a < b, min_ge that of a >= b.
TEST_F(Arithmetic, MaxMinWithMask) {
  const auto a = vec<int16, 32>({1, 2, 3});
  const auto b = vec<int16, 32>({2, 2, 2});
  const auto [largest, less] = aie::max_cmp(a, b);
  EXPECT_EQ(lanes(largest), lanes(aie::max(a, b)));
  EXPECT_EQ(bits(less).substr(0, 3), "100");
  const auto [smallest, not_less] = aie::min_cmp(a, b);
  EXPECT_EQ(lanes(smallest), lanes(aie::min(a, b)));
  EXPECT_EQ(bits(not_less).substr(0, 3), "011");
}

TEST_F(Arithmetic, ReduceMaxMin) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    const unsigned at = random() % 64;
    const auto v =
        generate<int8, 64>([&](unsigned i) { return i == at ? 100 : static_cast<int>(random() % 228) - 128; });
    EXPECT_EQ(aie::reduce_max(v), 100);
    EXPECT_EQ(aie::reduce_min(aie::bit_not(v)), -101);
    EXPECT_EQ(aie::reduce_max(v.cast_to<uint8>()) >= 100, true);
  }
  EXPECT_EQ(aie::reduce_max(vec<uint8, 32>({0, 255, 7})), 255);
  EXPECT_EQ(aie::reduce_min(vec<int8, 128>({0, 127, -128})), -128);
  EXPECT_EQ(static_cast<float>(aie::reduce_max(vec<bfloat16, 16>({bfloat16(-1), bfloat16(-3)}))), -1.0f);
}

struct SumCase {
  const char* source;
  saturation_mode mode;
  int8 lane;
  double sum_of_64;
};

// impl aie2/add_reduce.hpp: 8-bit lanes are added in 8 bits to 16 sums, those in an accumulator, which is then moved
// to 8 bits as to_vector does.
TEST_F(Arithmetic, ReduceAdd) {
  const SumCase cases[] = {
      {"in range", saturation_mode::none, -1, -64},
      {"128 wraps", saturation_mode::none, 2, -128},
      {"640 wraps to 8 bits", saturation_mode::none, 10, -128},
      {"16 sums of 4 * 10 clamped once, in the accumulator", saturation_mode::saturate, 10, 127},
      {"partial sums of 4 * 64 wrap to 0 even so", saturation_mode::saturate, 64, 0},
      {"partial sums of 4 * 33 wrap to -124, then clamp", saturation_mode::saturate, 33, -128},
  };
  for (const SumCase& c : cases) {
    aie::set_saturation(c.mode);
    EXPECT_EQ((aie::reduce_add(aie::broadcast<int8, 64>(c.lane))), c.sum_of_64) << c.source;
  }
  aie::set_saturation(saturation_mode::none);
  EXPECT_EQ(aie::reduce_add(generate<int16, 32>([](unsigned i) { return 1000 * i; })), int16(496000 % 65536 - 65536));
  EXPECT_EQ(aie::reduce_add(generate<int32, 32>([](unsigned i) { return i; })), 496);
  EXPECT_EQ((aie::reduce_add(aie::broadcast<int32, 16>(1 << 28))), 0);
  EXPECT_EQ((aie::reduce_add(aie::broadcast<float, 16>(0.25f))), 4.0f);
  EXPECT_EQ((static_cast<float>(aie::reduce_add(aie::broadcast<bfloat16, 32>(bfloat16(0.5f))))), 16.0f);
}

// api reduce_add_v: "The sum of each input vector is stored in an element of the output vector".
TEST_F(Arithmetic, ReduceAddSeveral) {
  const auto v = generate<int32, 16>([](unsigned i) { return i; });
  const auto sums = aie::reduce_add_v(v, aie::neg(v), aie::broadcast<int32, 16>(3));
  EXPECT_EQ(sums.get(0), 120);
  EXPECT_EQ(sums.get(1), -120);
  EXPECT_EQ(sums.get(2), 48);
  EXPECT_NE(message_of([&] { sums.get(3); }), "no stop");
}

// api max, min with `sign`: the comparison is signed or unsigned by that argument.
TEST_F(Arithmetic, DynamicSign) {
  const auto a = vec<int8, 32>({-1, 5});
  const auto b = vec<int8, 32>({1, 7});
  EXPECT_EQ(lanes(aie::max(a, b, true)), lanes(vec<int8, 32>({1, 7})));
  EXPECT_EQ(lanes(aie::max(a, b, false)), lanes(vec<int8, 32>({-1, 7})));
  EXPECT_EQ(lanes(aie::max(a, b[0], false)), lanes(aie::max(a, aie::broadcast<int8, 32>(b[0]), false)));
  EXPECT_EQ(lanes(aie::min(a, b, false)), lanes(vec<int8, 32>({1, 5})));
}

// operators.hpp: the named functions.
TEST_F(Arithmetic, Operators) {
  using namespace aie::operators;
  const auto a = vec<int8, 32>({5, -3, 100});
  const auto b = vec<int8, 32>({2, 7, 100});
  EXPECT_EQ(lanes(a + b), lanes(aie::add(a, b)));
  EXPECT_EQ(lanes(a - int8(1)), lanes(aie::sub(a, int8(1))));
  EXPECT_EQ(lanes(-a), lanes(aie::neg(a)));
  EXPECT_EQ(lanes((a & b) | (a ^ b)), lanes(aie::bit_or(a, b)));
  EXPECT_EQ(lanes(~a >> 1), lanes(aie::downshift(aie::bit_not(a), 1)));
  EXPECT_EQ(lanes(a << 1), lanes(aie::upshift(a, 1)));
  EXPECT_EQ(bits(a < b), bits(aie::lt(a, b)));
  EXPECT_EQ(bits(a >= b), bits(aie::ge(a, b)));
  EXPECT_EQ(bits(a == b), bits(aie::eq(a, b)));
  EXPECT_EQ(bits(a != b), bits(aie::neq(a, b)));
  auto acc = aie::mul(a, b);
  acc += aie::mul(a, b);
  EXPECT_EQ(lanes(acc), lanes(aie::mul(a, aie::upshift(b, 1).cast_to<uint8>())));
}

// impl aie2/add.hpp: float vectors are added in accumulators; bfloat16 results are rounded as the tile says. Denormals
// count as zero (xdna-emu vector_float.rs, FTZ).
TEST_F(Arithmetic, Floats) {
  check<float>({{"api add", OP(add), {1.5f, 1e-40f}, {-4.0f, 1e-40f}, {-2.5, 0}},
                {"api maxdiff", OP(maxdiff), {1.5f, 1.0f}, {-4.0f, 2.0f}, {5.5, 0}}});
  const std::vector<Binary<bfloat16>> down = {
      {"api sub, floor", OP(sub), {bfloat16(1.0f)}, {bfloat16(0x1p-10f)}, {0x1.fep-1}}};
  check<bfloat16>(down);
  aie::set_rounding(aie::rounding_mode::conv_even);
  check<bfloat16>({{"api sub, to nearest", OP(sub), {bfloat16(1.0f)}, {bfloat16(0x1p-10f)}, {1}},
                   {"api max", OP(max), {bfloat16(-1.0f), bfloat16(2.0f)}, {bfloat16(1.0f)}, {1, 2}}});
}

// Accumulators: api add, sub, neg; 32 bits wrap (VADD on cm registers).
TEST_F(Arithmetic, Accumulators) {
  const auto a = aie::from_vector<acc32>(vec<int32, 16>({2147483647, 5}));
  const auto b = aie::from_vector<acc32>(vec<int32, 16>({1, 7}));
  EXPECT_EQ(lanes(aie::add(a, b)), lanes(vec<int32, 16>({-2147483647 - 1, 12})));
  EXPECT_EQ(lanes(aie::sub(b, a)), lanes(vec<int32, 16>({-2147483646, 2})));
  EXPECT_EQ(lanes(aie::neg(b)), lanes(vec<int32, 16>({-1, -7})));
  EXPECT_EQ(lanes(aie::add(b, vec<int16, 16>({3, -3}))), lanes(vec<int32, 16>({4, 4})));
  EXPECT_EQ(lanes(aie::sub(b, int16(1))), lanes(vec<int32, 16>({0, 6})));
}

}  // namespace
