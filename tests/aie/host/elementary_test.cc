// SPDX-License-Identifier: Apache-2.0
//
// clb, conversions to and from floats, reciprocals, exp2 and look-up tables. Sources: UG1583 (clb) and Xilinx/aie_api,
// detail/aie2/elementary.hpp, detail/aie2/parallel_lookup.hpp, the comments of lut and parallel_lookup in aie.hpp.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "lanes.h"

namespace {

using Doubles = std::vector<double>;

class Elementary : public testing::Test {
 protected:
  aie_host::Tile tile_{"t"};
  aie_host::TileScope scope_{tile_};
};

// UG1583: the count of leading sign bits; of x > 0 the count of leading zeros.
TEST_F(Elementary, Clb) {
  const int cases[][2] = {{1, 31},     {2, 30},        {3, 30},  {255, 24},       {256, 23},
                          {32767, 17}, {0, 32},        {-1, 32}, {0x40000000, 1}, {-0x7fffffff - 1, 1},
                          {-2, 31},    {2147483647, 1}};
  for (const auto& c : cases) EXPECT_EQ(clb(c[0]), c[1]) << c[0];
  for (int k = 0; k < 31; ++k) {
    EXPECT_EQ(31 - clb(1 << k), k);
    EXPECT_EQ(31 - clb((1 << k) + ((1 << k) - 1)), k);
  }
}

// elementary.hpp, Fix2Float: exact halves, added once in float: nearest, ties to even.
TEST_F(Elementary, ToFloat) {
  const auto v = vec<int32, 16>({0, 1, -1, 16777217, 16777219, -2147483647 - 1, 2147483647, 1000});
  const Doubles expected = {0, 1, -1, 16777216, 16777220, -2147483648.0, 2147483648.0, 1000};
  const Doubles got = lanes(aie::to_float(v, 0));
  for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(got[i], expected[i]);
  EXPECT_EQ(lanes(aie::to_float(v, 3))[7], 125);
  EXPECT_EQ(lanes(aie::to_float(vec<uint8, 32>({255}), 8))[0], 255 / 256.0);
  EXPECT_EQ(aie::to_float(5, 1), 2.5f);
}

// Whether to_fixed saturates unsigned results as signed ones (elementary.hpp of aie2, to_vector_sign).
constexpr bool kSignedSaturation = __AIE_ARCH__ == 20 && aie_host::kApiVersion >= 20251;

// elementary.hpp, Float2Fix: to nearest by adding a magic number (ties to even), in saturating mode, restored after.
TEST_F(Elementary, ToFixed) {
  const auto v = vec<float, 16>({0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1.75f, 3e9f, -3e9f});
  EXPECT_EQ(lanes(aie::to_fixed<int32>(v)), lanes(vec<int32, 16>({0, 2, 2, 0, -2, 2, 2147483647, -2147483647 - 1})));
  EXPECT_EQ(lanes(aie::to_fixed<int16>(v, 2)), lanes(vec<int16, 16>({2, 6, 10, -2, -6, 7, 32767, -32768})));
  const uint8 low = kSignedSaturation ? 0x80 : 0;
  EXPECT_EQ(lanes(aie::to_fixed<uint8>(v, 1)),
            lanes(vec<uint8, 16>({1, 3, 5, kSignedSaturation ? uint8{255} : uint8{0},
                                  kSignedSaturation ? uint8{253} : uint8{0}, 4,
                                  kSignedSaturation ? uint8{127} : uint8{255}, low})));
  EXPECT_EQ(aie::get_saturation(), aie::saturation_mode::none);
  EXPECT_EQ(aie::to_fixed<int32>(2.625f, 2), 10);
}

// x * 2^shift to nearest, ties to even, saturated: what the sums of Float2Fix come to, wherever they do not wrap.
template <typename TR, typename T, unsigned Elems>
void check_to_fixed(std::mt19937& random) {
  const int shift = static_cast<int>(random() % 12) - 4;
  const auto x = generate<T, Elems>([&](unsigned i) {
    const int half = static_cast<int>(random() % 4096) - 2048;
    return static_cast<float>(
        std::ldexp(i % 2 == 0 ? half * 0.5 : half * 0.37, static_cast<int>(random() % 9) - shift));
  });
  const auto got = aie::to_fixed<TR>(x, shift);
  using Limits = std::numeric_limits<std::conditional_t<kSignedSaturation, std::make_signed_t<TR>, TR>>;
  for (unsigned i = 0; i < Elems; ++i) {
    const double exact = std::nearbyint(std::ldexp(static_cast<double>(x.get(i)), shift));
    const double clamped = std::fmin(std::fmax(exact, Limits::min()), Limits::max());
    EXPECT_EQ(got.get(i), static_cast<TR>(static_cast<std::int64_t>(clamped))) << x.get(i) << " * 2^" << shift;
  }
}

TEST_F(Elementary, ToFixedIsToNearest) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (const auto rounding : {aie::rounding_mode::floor, aie::rounding_mode::ceil}) {  // which do not matter
    aie::set_rounding(rounding);
    for (int round = 0; round < 50; ++round) {
      check_to_fixed<int8, float, 16>(random);
      check_to_fixed<uint8, float, 32>(random);
      check_to_fixed<int16, float, 16>(random);
      check_to_fixed<uint16, float, 32>(random);
      check_to_fixed<int32, float, 16>(random);
      check_to_fixed<int8, bfloat16, 16>(random);
      check_to_fixed<uint8, bfloat16, 32>(random);
      check_to_fixed<uint16, bfloat16, 16>(random);
#if HCCS_AIE_API_VERSION >= 20251
      check_to_fixed<int16, bfloat16, 32>(random);
      check_to_fixed<int32, bfloat16, 16>(random);
#endif
    }
  }
  // Below -2^23 the difference of the bits wraps.
  EXPECT_EQ(lanes(aie::to_fixed<int16>(vec<float, 16>({-8e6f, -1e7f, -1e8f}))),
            lanes(vec<int16, 16>({-32768, 32767, -32768})));
}

// elementary.hpp, Float2FixFloor, up to the API of 2024.2 Float2Fix of bfloat16 to int16 and int32: VFLOOR, 32 bits,
// whose low halves are the int16 results.
TEST_F(Elementary, Bfloat16ToFixedFloor) {
#if HCCS_AIE_API_VERSION < 20251
  const auto to_int32 = [](const auto& x) { return aie::to_fixed<int32>(x, 0); };
  const auto to_int16 = [](const auto& x) { return aie::to_fixed<int16>(x, 8); };
#else
  const auto to_int32 = [](const auto& x) { return aie::to_fixed_floor<int32>(x, 0); };
  const auto to_int16 = [](const auto& x) { return aie::to_fixed_floor<int16>(x, 8); };
#endif
  const auto v = vec<bfloat16, 16>({bfloat16(1.9f), bfloat16(-0.5f), bfloat16(300.0f), bfloat16(-1e20f)});
  EXPECT_EQ(lanes(to_int32(v)), lanes(vec<int32, 16>({1, -1, 300, -2147483647 - 1})));
  const auto shifted = to_int16(v);
  EXPECT_EQ(shifted.get(1), -128);
  EXPECT_EQ(shifted.get(2), static_cast<int16>(76800 & 0xffff));
}

#if HCCS_AIE_API_VERSION >= 20251
// aie.hpp of 2025.1 and later: to_fixed of bfloat16 is to nearest for every result, and takes accumulators too.
TEST_F(Elementary, Bfloat16ToFixed) {
  const auto v = vec<bfloat16, 16>({bfloat16(1.9f), bfloat16(-0.5f), bfloat16(2.5f), bfloat16(3.5f), bfloat16(300.0f)});
  EXPECT_EQ(lanes(aie::to_fixed<int32>(v)), lanes(vec<int32, 16>({2, 0, 2, 4, 300})));
  EXPECT_EQ(lanes(aie::to_fixed<int16>(v, 8)), lanes(vec<int16, 16>({486, -128, 640, 896, 32767})));
  const aie::accum<accfloat, 16> sums(vec<float, 16>({1.5f, -2.25f}));
  EXPECT_EQ(lanes(aie::to_fixed<int16>(sums, 1)), lanes(vec<int16, 16>({3, -4})));
}
#endif

// elementary.hpp, Inv and InvSqrt: the API states no error of the algorithm; over all mantissas it was measured to be
// 1.3e-7 for float (with float's own products), 1.29 * 2^-8 for bfloat16 rounded to nearest, 6.6e-4 for invsqrt.
TEST_F(Elementary, Reciprocals) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  aie::set_rounding(aie::rounding_mode::conv_even);
  double worst = 0, worst_bfloat16 = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto x = generate<float, 16>(
        [&](unsigned) { return std::ldexp(1.0 + random() / 4294967296.0, int(random() % 40) - 20); });
    const auto y = aie::inv(x);
    const auto xb = aie::accum<accfloat, 16>(x).to_vector<bfloat16>();
    const auto yb = aie::inv(xb);
    for (unsigned i = 0; i < 16; ++i) {
      worst = std::fmax(worst, std::fabs(static_cast<double>(x.get(i)) * y.get(i) - 1));
      worst_bfloat16 = std::fmax(worst_bfloat16, std::fabs(static_cast<double>(xb.get(i)) * yb.get(i) - 1));
    }
  }
  EXPECT_LT(worst, 1.5e-7);
  EXPECT_LT(worst_bfloat16, 1.3 * 0x1p-8);
  EXPECT_GT(worst, 0);
  EXPECT_EQ(aie::inv(4.0f), 0.25f);
  EXPECT_EQ(lanes(aie::div(vec<float, 16>({3.0f}), 4.0f))[0], 0.75);
  const auto r = aie::invsqrt(vec<float, 16>({4.0f, 0.25f}));
  EXPECT_NEAR(r.get(0), 0.5, 0.5 * 6.6e-4);
  EXPECT_NEAR(r.get(1), 2.0, 2.0 * 6.6e-4);
}

#if __AIE_ARCH__ != 20
// aie.hpp: exp2 of float lanes gives bfloat16 (AIE2P, AIE-ML v2); rounded as the tile says.
TEST_F(Elementary, Exp2AndTanh) {
  const auto x = vec<float, 16>({0.0f, 1.0f, -3.0f, 0.5f});
  const auto y = aie::exp2<bfloat16>(x);
  EXPECT_EQ(lanes(y)[0], 1);
  EXPECT_EQ(lanes(y)[1], 2);
  EXPECT_EQ(lanes(y)[2], 0.125);
  EXPECT_EQ(lanes(y)[3], 1.4140625);  // floor of sqrt 2 to 8 bits
  aie::set_rounding(aie::rounding_mode::ceil);
  EXPECT_EQ(lanes(aie::exp2(x))[3], 1.421875);
  EXPECT_NEAR(lanes(aie::tanh(x))[1], std::tanh(1.0), 0x1p-7);
#if __AIE_ARCH__ == 22
  EXPECT_EQ(lanes(aie::exp2<float>(x))[3], static_cast<double>(std::sqrt(2.0f)));
#endif
}
#endif

// aie.hpp, lut: every 16 bytes twice in a row, in both arrays.
template <typename T, std::size_t N>
std::array<T, 2 * N> duplicated(const std::array<T, N>& values) {
  constexpr std::size_t group = 16 / sizeof(T);
  std::array<T, 2 * N> result;
  for (std::size_t i = 0; i < N; ++i) {
    result[i / group * 2 * group + i % group] = values[i];
    result[i / group * 2 * group + group + i % group] = values[i];
  }
  return result;
}

TEST_F(Elementary, ParallelLookup) {
  std::array<int16, 256> values;
  for (unsigned i = 0; i < 256; ++i) values[i] = static_cast<int16>(1000 + i);
  alignas(64) auto ab = duplicated(values);
  alignas(64) const auto cd = duplicated(values);
  using Lut = aie::lut<4, int16>;
  const Lut table(256, ab.data(), cd.data());

  // All of an unsigned byte.
  aie::parallel_lookup<uint8, Lut> bytes(table);
  EXPECT_EQ(lanes(bytes.fetch(vec<uint8, 32>({0, 1, 7, 8, 255}))),
            lanes(vec<int16, 32>({1000, 1001, 1007, 1008, 1255})));
  EXPECT_EQ((lanes(bytes.fetch<16>(vec<uint8, 32>({9}))).size()), 16u);
  // A signed byte with the zero in the middle.
  aie::parallel_lookup<int8, Lut> centred(table, 0, 128);
  EXPECT_EQ(lanes(centred.fetch(vec<int8, 32>({-128, 0, 127}))), lanes(vec<int16, 32>({1000, 1128, 1255})));
  // Step bits are cut; what lies beyond the table saturates.
  aie::parallel_lookup<int16, Lut> stepped(table, 4, 128);
  const auto x = vec<int16, 32>({15, 16, -1, 2047, 2048, -2049, 32767});
  EXPECT_EQ(lanes(stepped.fetch(x)), lanes(vec<int16, 32>({1128, 1129, 1127, 1255, 1255, 1000, 1255})));
  // With the policy `truncate` it wraps.
  aie::parallel_lookup<int16, Lut, aie::lut_oor_policy::truncate> wrapping(table, 4, 128);
  EXPECT_EQ(lanes(wrapping.fetch(x)), lanes(vec<int16, 32>({1128, 1129, 1127, 1255, 1000, 1255, 1127})));
  aie::parallel_lookup<uint16, Lut, aie::lut_oor_policy::truncate> high_byte(table, 8);
  EXPECT_EQ(lanes(high_byte.fetch(vec<uint16, 16>({0x0203, 0xff00}))), lanes(vec<int16, 16>({1002, 1255})));

  // A table whose copies differ is a mistake that a device would show in some lanes only.
  ab[8 + 3] = 0;
  EXPECT_NE(message_of([&] { bytes.fetch(vec<uint8, 32>({3})); }).find("copies"), std::string::npos);
  EXPECT_EQ(message_of([&] { bytes.fetch(vec<uint8, 32>({4})); }), "no stop");
}

// parallel_lookup.hpp, fetch: "not currently rounding mode agnostic". The place is the index in quarters of a 16-bit
// value, so that from 7/8 of a step on the next value is fetched. Above the last value that is beyond the table, which
// apply_oor_policy leaves alone if all values of the index type are in it (check_index_coverage).
TEST_F(Elementary, ParallelLookupRoundsItsIndices) {
  std::array<int16, 256> values;
  for (unsigned i = 0; i < 256; ++i) values[i] = static_cast<int16>(1000 + i);
  alignas(64) const auto both = duplicated(values);
  using Lut = aie::lut<4, int16>;
  const Lut table(256, both.data(), both.data());
  aie::parallel_lookup<uint16, Lut, aie::lut_oor_policy::truncate> high_byte(table, 8);
  const auto x = vec<uint16, 16>({0x0200, 0x02df, 0x02e0, 0x02ff});
  EXPECT_EQ(lanes(high_byte.fetch(x)), lanes(vec<int16, 16>({1002, 1002, 1002, 1002})));
  aie::set_rounding(aie::rounding_mode::positive_inf);
  EXPECT_EQ(lanes(high_byte.fetch(x)), lanes(vec<int16, 16>({1002, 1002, 1003, 1003})));
  EXPECT_EQ(lanes(high_byte.fetch(vec<uint16, 16>({0xffdf})))[0], 1255);
  EXPECT_NE(message_of([&] { high_byte.fetch(vec<uint16, 16>({0xffe0})); }).find("beyond the table"),
            std::string::npos);
  // A table of fewer values than indices is guarded.
  aie::parallel_lookup<uint16, Lut, aie::lut_oor_policy::truncate> wrapping(table, 4);
  EXPECT_EQ(lanes(wrapping.fetch(vec<uint16, 16>({0x0fff})))[0], 1000);
  aie::parallel_lookup<uint16, Lut> saturating(table, 4);
  EXPECT_EQ(lanes(saturating.fetch(vec<uint16, 16>({0x0fff})))[0], 1255);
}

TEST_F(Elementary, ParallelLookupOfOtherTypes) {
  std::array<float, 16> floats;
  for (unsigned i = 0; i < 16; ++i) floats[i] = 0.5f * i;
  alignas(64) const auto wide = duplicated(floats);
  using FloatLut = aie::lut<4, float>;
  aie::parallel_lookup<uint8, FloatLut> f(FloatLut(16, wide.data(), wide.data()));
  EXPECT_EQ(lanes(f.fetch(vec<uint8, 16>({3, 15, 200}))), lanes(vec<float, 16>({1.5f, 7.5f, 7.5f})));
  // "8b value type lookups require the data to be stored in the lookup tables as 16b values".
  std::array<int16, 16> bytes;
  for (unsigned i = 0; i < 16; ++i) bytes[i] = static_cast<int16>(-static_cast<int>(i));
  alignas(64) const auto narrow = duplicated(bytes);
  using ByteLut = aie::lut<4, int8>;
  aie::parallel_lookup<uint8, ByteLut> b(ByteLut(16, narrow.data(), narrow.data()));
  EXPECT_EQ(lanes(b.fetch(vec<uint8, 32>({5, 15}))), lanes(vec<int8, 32>({-5, -15})));
  std::array<bfloat16, 16> halves;
  for (unsigned i = 0; i < 16; ++i) halves[i] = bfloat16(0.25f * i);
  alignas(64) const auto bf = duplicated(halves);
  using HalfLut = aie::lut<4, bfloat16>;
  aie::parallel_lookup<uint16, HalfLut> h(HalfLut(16, bf.data(), bf.data()), 8);
  EXPECT_EQ(lanes(h.fetch(vec<uint16, 16>({0x0300}))), lanes(vec<bfloat16, 16>({bfloat16(0.75f)})));
}

// The scalar type: nearest even from float; every bfloat16 survives a round trip.
TEST_F(Elementary, Bfloat16Scalars) {
  EXPECT_EQ(bfloat16(1.00390625f).bits, 0x3f80);  // tie, to even
  EXPECT_EQ(bfloat16(1.01171875f).bits, 0x3f82);
  for (unsigned b = 0; b < 65536; ++b) {
    const bfloat16 x = bfloat16::from_bits(static_cast<std::uint16_t>(b));
    if (std::isnan(static_cast<float>(x))) continue;
    ASSERT_EQ(bfloat16(static_cast<float>(x)).bits, b);
  }
  EXPECT_EQ(static_cast<float>(std::numeric_limits<bfloat16>::lowest()), -0x1.fep127f);
  EXPECT_EQ(static_cast<float>(aie::max(bfloat16(2.0f), bfloat16(-1.0f))), 2.0f);
}

}  // namespace
