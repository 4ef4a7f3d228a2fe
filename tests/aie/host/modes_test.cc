// SPDX-License-Identifier: Apache-2.0
//
// Rounding and saturation. Expected values come from the definitions in UG1603 ("Data Accuracy and Rounding") and the
// comments of Xilinx/aie_api, aie_types.hpp, written out in rational arithmetic, not from shifts and guard bits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "lanes.h"

namespace {

using aie::rounding_mode;
using aie::saturation_mode;

constexpr rounding_mode kRoundings[] = {rounding_mode::floor,           rounding_mode::ceil,
                                        rounding_mode::symmetric_floor, rounding_mode::symmetric_ceil,
                                        rounding_mode::negative_inf,    rounding_mode::positive_inf,
                                        rounding_mode::symmetric_zero,  rounding_mode::symmetric_inf,
                                        rounding_mode::conv_even,       rounding_mode::conv_odd};
constexpr saturation_mode kSaturations[] = {saturation_mode::none, saturation_mode::saturate,
                                            saturation_mode::symmetric};

class Modes : public testing::Test {
 protected:
  aie_host::Tile tile_{"t"};
  aie_host::TileScope scope_{tile_};
};

// x / 2^shift for a finite x of few bits, by the mode's definition.
double divide(double x, int shift, rounding_mode mode) {
  const double exact = std::ldexp(x, -shift);
  const double below = std::floor(exact);
  const double above = std::ceil(exact);
  const double to_zero = exact < 0 ? above : below;
  const double from_zero = exact < 0 ? below : above;
  const bool tie = exact - below == 0.5;
  const double nearest = exact - below < 0.5 ? below : above;
  const bool below_even = std::fmod(below, 2.0) == 0;
  switch (mode) {
    case rounding_mode::floor:
      return below;
    case rounding_mode::ceil:
      return above;
    case rounding_mode::symmetric_floor:
      return to_zero;
    case rounding_mode::symmetric_ceil:
      return from_zero;
    case rounding_mode::negative_inf:
      return tie ? below : nearest;
    case rounding_mode::positive_inf:
      return tie ? above : nearest;
    case rounding_mode::symmetric_zero:
      return tie ? to_zero : nearest;
    case rounding_mode::symmetric_inf:
      return tie ? from_zero : nearest;
    case rounding_mode::conv_even:
      return tie ? (below_even ? below : above) : nearest;
    case rounding_mode::conv_odd:
      return tie ? (below_even ? above : below) : nearest;
  }
  return 0;
}

template <typename T>
double limit(double x, saturation_mode mode) {
  constexpr auto high = static_cast<double>(std::numeric_limits<T>::max());
  constexpr auto low = static_cast<double>(std::numeric_limits<T>::min());
  if (mode == saturation_mode::none) {
    const double size = high - low + 1;
    const double reduced = std::fmod(std::fmod(x - low, size) + size, size) + low;
    return reduced;
  }
  return std::fmin(std::fmax(x, mode == saturation_mode::symmetric && low < 0 ? -high : low), high);
}

template <typename T, typename Tag>
void check_srs(const std::vector<int32_t>& inputs, int shift) {
  for (const rounding_mode rounding : kRoundings) {
    for (const saturation_mode saturation : kSaturations) {
      aie::set_rounding(rounding);
      aie::set_saturation(saturation);
      for (std::size_t first = 0; first + 16 <= inputs.size(); first += 16) {
        aie::accum<Tag, 16> acc;
        acc.from_vector(aie::load_unaligned_v<16>(inputs.data() + first));
        const auto got = acc.template to_vector<T>(shift);
        for (unsigned i = 0; i < 16; ++i) {
          const double expected = limit<T>(divide(inputs[first + i], shift, rounding), saturation);
          ASSERT_EQ(static_cast<double>(got.get(i)), expected)
              << inputs[first + i] << " >> " << shift << ", rounding " << static_cast<int>(rounding) << ", saturation "
              << static_cast<int>(saturation);
        }
      }
    }
  }
}

// UG1603: shift, then round, then saturate; modes by name. Every tie and its neighbours, both signs, the limits.
TEST_F(Modes, AccumulatorsToVectors) {
  std::vector<int32_t> inputs;
  for (int x = -1056; x < 1056; ++x) inputs.push_back(x);
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 1024; ++i) inputs.push_back(static_cast<int32_t>(random()));
  for (int shift : {0, 1, 2, 4, 7, 15, 16, 31, 40}) {
    check_srs<int8, acc32>(inputs, shift);
    check_srs<uint8, acc32>(inputs, shift);
    check_srs<int16, acc32>(inputs, shift);
    check_srs<uint16, acc32>(inputs, shift);
    check_srs<int16, acc64>(inputs, shift);
    check_srs<int32, acc48>(inputs, shift);
  }
}

struct RoundCase {
  const char* source;
  rounding_mode mode;
  // of -2.5, -1.5, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.5, 2.5
  double expected[10];
};

TEST_F(Modes, NamedModes) {
  const RoundCase cases[] = {
      {"aie_types.hpp: always round towards negative infinity",
       rounding_mode::floor,
       {-3, -2, -1, -1, -1, 0, 0, 0, 1, 2}},
      {"UG1603: ceil, towards positive infinity", rounding_mode::ceil, {-2, -1, 0, 0, 0, 1, 1, 1, 2, 3}},
      {"aie_types.hpp: always round towards zero", rounding_mode::symmetric_floor, {-2, -1, 0, 0, 0, 0, 0, 0, 1, 2}},
      {"aie_types.hpp: always round away from zero",
       rounding_mode::symmetric_ceil,
       {-3, -2, -1, -1, -1, 1, 1, 1, 2, 3}},
      {"aie_types.hpp: preference to negative infinity at half-way",
       rounding_mode::negative_inf,
       {-3, -2, -1, -1, 0, 0, 0, 1, 1, 2}},
      {"aie_types.hpp: preference to positive infinity at half-way",
       rounding_mode::positive_inf,
       {-2, -1, -1, 0, 0, 0, 1, 1, 2, 3}},
      {"aie_types.hpp: preference towards zero at half-way",
       rounding_mode::symmetric_zero,
       {-2, -1, -1, 0, 0, 0, 0, 1, 1, 2}},
      {"aie_types.hpp: preference away from zero at half-way",
       rounding_mode::symmetric_inf,
       {-3, -2, -1, -1, 0, 0, 1, 1, 2, 3}},
      {"aie_types.hpp: preference to even numbers", rounding_mode::conv_even, {-2, -2, -1, 0, 0, 0, 0, 1, 2, 2}},
      {"aie_types.hpp: preference to odd numbers", rounding_mode::conv_odd, {-3, -1, -1, -1, 0, 0, 1, 1, 1, 3}},
  };
  const auto quarters = vec<int32, 16>({-10, -6, -3, -2, -1, 1, 2, 3, 6, 10, 0, 0, 0, 0, 0, 0});
  for (const RoundCase& c : cases) {
    aie::set_rounding(c.mode);
    const auto got = lanes(aie::accum<acc64, 16>(quarters).to_vector<int16>(2));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(got[i], c.expected[i]) << c.source << ", lane " << i;
  }
}

// Codes of crRnd and crSat: llvm-aie aiev2_enums.h; a device program may write them as numbers.
TEST_F(Modes, Codes) {
  EXPECT_EQ(static_cast<int>(rounding_mode::symmetric_ceil), 3);
  EXPECT_EQ(static_cast<int>(rounding_mode::negative_inf), 8);
  EXPECT_EQ(static_cast<int>(rounding_mode::positive_inf), 9);
  EXPECT_EQ(static_cast<int>(rounding_mode::symmetric_zero), 10);
  EXPECT_EQ(static_cast<int>(rounding_mode::symmetric_inf), 11);
  EXPECT_EQ(static_cast<int>(rounding_mode::conv_even), 12);
  EXPECT_EQ(static_cast<int>(rounding_mode::conv_odd), 13);
  EXPECT_EQ(static_cast<int>(saturation_mode::symmetric), 3);
}

// UG1603: the modes belong to the tile, start at floor and none, and stay as a kernel left them.
TEST_F(Modes, PersistOnTheirTile) {
  EXPECT_EQ(aie::get_rounding(), rounding_mode::floor);
  EXPECT_EQ(aie::get_saturation(), saturation_mode::none);
  aie::set_rounding(rounding_mode::conv_even);
  EXPECT_EQ(aie::swap_saturation(saturation_mode::saturate), saturation_mode::none);
  {
    aie_host::Tile other("u");
    const aie_host::TileScope on_other(other);
    EXPECT_EQ(aie::get_rounding(), rounding_mode::floor);
    aie::set_rounding(rounding_mode::ceil);
  }
  const aie_host::KernelScope next_kernel("next");
  EXPECT_EQ(aie::swap_rounding(rounding_mode::floor), rounding_mode::conv_even);
  EXPECT_EQ(aie::tile::current().get_saturation(), saturation_mode::saturate);
}

// FIM43-Redeye/xdna-emu, vector_ups.rs: extend, shift up, saturate to the accumulator if the tile does, else cut.
TEST_F(Modes, VectorsToAccumulators) {
  const auto v = vec<int16, 16>({1, -1, 0x4000, -0x4000});
  EXPECT_EQ(lanes(aie::from_vector<acc32>(v, 4))[2], 0x40000);
  EXPECT_EQ(lanes(aie::from_vector<acc32>(v, 17))[2], -2147483648.0);  // 2^31 wraps
  aie::set_saturation(saturation_mode::saturate);
  EXPECT_EQ(lanes(aie::from_vector<acc32>(v, 17))[2], 2147483647.0);
  EXPECT_EQ(lanes(aie::from_vector<acc32>(v, 17))[3], -2147483648.0);
  EXPECT_EQ(lanes(aie::from_vector<acc32>(v, 17))[1], -131072.0);
  EXPECT_EQ(lanes(aie::from_vector<acc64>(v, 17))[2], 2147483648.0);
  // Unsigned lanes are extended with zeros.
  EXPECT_EQ(lanes(aie::from_vector<acc32>(vec<uint8, 32>({200}), 1))[0], 400);
}

// bfloat16 from accumulators obeys the rounding mode: between 1 and 1 + 2^-7, and mirrored.
TEST_F(Modes, Bfloat16) {
  const float step = 0x1p-7f;
  const float inputs[] = {1 + step / 2, 1 + step / 4, 1 + 3 * step / 4, 1 + 3 * step / 2};
  for (const rounding_mode mode : kRoundings) {
    aie::set_rounding(mode);
    for (const float x : inputs) {
      for (const float sign : {1.0f, -1.0f}) {
        const auto got = aie::accum<accfloat, 16>(aie::broadcast<float, 16>(sign * x)).to_vector<bfloat16>().get(0);
        const double expected = divide(static_cast<double>(sign * x) * 128, 0, mode) / 128;
        EXPECT_EQ(static_cast<double>(got), expected) << sign * x << ", mode " << static_cast<int>(mode);
      }
    }
  }
}

}  // namespace
