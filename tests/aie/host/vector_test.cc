// SPDX-License-Identifier: Apache-2.0
//
// Vectors, accumulators and masks as containers; loads, stores and iterators; undefined lanes.
// Sources: Xilinx/aie_api, the comments of vector.hpp, accum.hpp, mask.hpp, iterator.hpp and aie.hpp.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "lanes.h"

namespace {

using Doubles = std::vector<double>;

Doubles count(double first, unsigned n, double step = 1) {
  Doubles result;
  for (unsigned i = 0; i < n; ++i) result.push_back(first + step * i);
  return result;
}

const auto kIota = [](unsigned i) { return i; };

TEST(Vector, Traits) {
  using V = aie::vector<int16, 32>;
  static_assert(V::size() == 32 && V::bits() == 512 && V::bytes() == 64 && V::is_signed() && V::is_integral());
  static_assert(!aie::vector<uint8, 16>::is_signed() && aie::vector<bfloat16, 16>::is_floating_point());
  // detail/ld_st.hpp: alignment of loads and stores.
  static_assert(aie::vector_ldst_align_v<int8, 16> == 16 && aie::vector_ldst_align_v<int8, 32> == 32);
  static_assert(aie::vector_ldst_align_v<int8, 64> == (__AIE_ARCH__ == 20 ? 32 : 64));
}

// vector.hpp: "get", "set", operator[].
TEST(Vector, Elements) {
  auto v = generate<int16, 16>(kIota);
  v.set(-7, 3);
  v[4] = 40;
  v[5] = v[6];
  v[7] += 1;
  const auto& c = v;
  EXPECT_EQ(c.get(3), -7);
  EXPECT_EQ(c[4], 40);
  EXPECT_EQ(v[5], 6);
  EXPECT_EQ(v[7], 8);
}

// vector.hpp: push "shifts all elements in the vector up and writes the given value into the first position".
TEST(Vector, Push) {
  auto v = generate<int32, 8>(kIota);
  v.push(9);
  EXPECT_EQ(lanes(v), (Doubles{9, 0, 1, 2, 3, 4, 5, 6}));
}

// aie.hpp: concat; vector.hpp: extract, insert, split.
TEST(Vector, Parts) {
  const auto low = generate<int8, 32>(kIota);
  const auto high = generate<int8, 32>([](unsigned i) { return 32 + i; });
  auto v = aie::concat(low, high);
  EXPECT_EQ(lanes(v), count(0, 64));
  EXPECT_EQ(lanes(v.extract<16>(3)), count(48, 16));
  v.insert(0, high);
  EXPECT_EQ(lanes(v.extract<32>(0)), count(32, 32));
  EXPECT_EQ(lanes(aie::concat(v.split<16>())), lanes(v));
  EXPECT_EQ(lanes(low.grow_replicate<64>()), lanes(aie::concat(low, low)));
  const auto wide = generate<int8, 128>(kIota);
  EXPECT_EQ(lanes(wide.extract<64>(1)), count(64, 64));
}

// aie.hpp, vector_cast: the bits of the register, lane 0 lowest.
TEST(Vector, Casts) {
  const auto v = vec<int16, 16>({0x1234, -2});
  const auto bytes = vec<uint8, 32>({0x34, 0x12, 0xfe, 0xff});
  EXPECT_EQ(lanes(v.cast_to<uint8>()), lanes(bytes));
  EXPECT_EQ(lanes(v.cast_to<uint8>().cast_to<int16>()), lanes(v));
  EXPECT_EQ((aie::broadcast<float, 8>(1.0f).cast_to<int32>().get(0)), 0x3f800000);
  EXPECT_EQ((aie::broadcast<bfloat16, 16>(bfloat16(-2.0f)).cast_to<uint16>().get(0)), 0xc000);
}

struct PackCase {
  const char* source;
  aie::saturation_mode mode;
  double int8_of[4];   // of 127, 128, -129, 300
  double uint8_of[4];  // of 255, 256, 300, 65535
};

TEST(Vector, PackObeysSaturation) {
  aie_host::Tile tile;
  const aie_host::TileScope scope(tile);
  const PackCase cases[] = {
      {"xdna-emu vector_pack.rs, Truncate", aie::saturation_mode::none, {127, -128, 127, 44}, {255, 0, 44, 255}},
      {"xdna-emu vector_pack.rs, Saturate",
       aie::saturation_mode::saturate,
       {127, 127, -128, 127},
       {255, 255, 255, 255}},
      {"xdna-emu vector_pack.rs, SymmetricSaturate",
       aie::saturation_mode::symmetric,
       {127, 127, -127, 127},
       {255, 255, 255, 255}},
  };
  for (const PackCase& c : cases) {
    aie::set_saturation(c.mode);
    const auto s = lanes(vec<int16, 32>({127, 128, -129, 300}).pack());
    const auto u = lanes(aie::pack(vec<uint16, 32>({255, 256, 300, 65535})));
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(s[i], c.int8_of[i]) << c.source;
      EXPECT_EQ(u[i], c.uint8_of[i]) << c.source;
    }
  }
}

// vector.hpp, unpack: sign-extended if the source is signed.
TEST(Vector, Unpack) {
  EXPECT_EQ(lanes(vec<int8, 32>({-128, 127, -1}).unpack()), (lanes(vec<int16, 32>({-128, 127, -1}))));
  EXPECT_EQ(lanes(aie::unpack(vec<uint8, 32>({255, 1}))), (lanes(vec<uint16, 32>({255, 1}))));
  EXPECT_EQ(lanes(vec<int16, 16>({-5}).unpack()), (lanes(vec<int32, 16>({-5}))));
}

// vector.hpp, pack: 32-bit lanes go through a 32-bit accumulator, whose results are saturated as their type is.
TEST(Vector, Pack32Bits) {
  aie_host::Tile tile("t");
  aie_host::TileScope scope(tile);
  aie::set_saturation(aie::saturation_mode::saturate);
  const auto x = vec<int32, 16>({-1, 70000, 300, -40000});
  EXPECT_EQ(lanes(x.pack<int16>()), lanes(vec<int16, 16>({-1, 32767, 300, -32768})));
  EXPECT_EQ(lanes(x.pack<uint16>()), lanes(vec<uint16, 16>({0, 65535, 300, 0})));
  EXPECT_EQ(lanes(x.pack<uint8>()), lanes(vec<uint8, 16>({0, 255, 255, 0})));
  EXPECT_EQ(lanes(vec<uint32, 16>({0x80000000u, 7}).pack<uint16>()), lanes(vec<uint16, 16>({0, 7})));
}

// vector.hpp, unpack: of 16 bits to 32, the upper halves are signs only if both types are signed.
TEST(Vector, UnpackTo32Bits) {
  EXPECT_EQ(lanes(vec<int16, 16>({-5}).unpack<uint32>()), lanes(vec<uint32, 16>({65531})));
  EXPECT_EQ(lanes(vec<uint16, 16>({65531}).unpack_sign<int32>(true)), lanes(vec<int32, 16>({65531})));
  EXPECT_EQ(lanes(vec<int8, 16>({-5}).unpack<uint32>()), lanes(vec<uint32, 16>({0xfffffffbu})));
}

TEST(Accum, Parts) {
  const auto a = aie::from_vector<acc32>(generate<int16, 32>(kIota));
  EXPECT_EQ(lanes(a.extract<16>(1)), count(16, 16));
  EXPECT_EQ(lanes(aie::concat(a.extract<16>(1), a.extract<16>(0))),
            lanes(aie::from_vector<acc32>(
                aie::concat(generate<int16, 16>([](unsigned i) { return 16 + i; }), generate<int16, 16>(kIota)))));
  EXPECT_EQ(lanes(aie::zeros<acc64, 16>()), Doubles(16, 0));
  // accum.hpp: tags of the same native width convert.
  const aie::accum<acc48, 16> narrow = aie::from_vector<acc64>(generate<int32, 16>(kIota));
  EXPECT_EQ(lanes(narrow), count(0, 16));
  // accum.hpp, cast_to: "reinterprets the accumulator".
  EXPECT_EQ(lanes(aie::broadcast<float, 16>(1.0f).to_native().cast_to<int32>()),
            lanes(aie::accum<accfloat, 16>(aie::broadcast<float, 16>(1.0f)).cast_to<acc32>()));
  // aie.hpp, vector_cast between vectors and accumulators: the bits of the register.
  EXPECT_EQ(lanes(aie::vector_cast<int16>(aie::from_vector<acc32>(vec<int32, 16>({-65536 + 5})))),
            lanes(vec<int16, 32>({5, -1})));
  EXPECT_EQ(lanes(aie::vector_cast<acc64>(vec<int32, 16>({5, 1}))), Doubles(8, 4294967301.0));
}

TEST(Mask, Bits) {
  auto m = aie::mask<64>::from_uint64(0x8000000000000001u);
  EXPECT_TRUE(m.test(0) && m.test(63) && !m.test(1));
  EXPECT_EQ(m.count(), 2u);
  EXPECT_EQ((~m).count(), 62u);
  EXPECT_EQ((m >> 63).to_uint64(), 1u);
  EXPECT_EQ((m << 1).to_uint64(), 2u);
  EXPECT_TRUE((m << 64).empty());
  EXPECT_EQ((m | aie::mask<64>::from_uint32(6, 0)).to_uint32(0), 7u);
  EXPECT_EQ((m & aie::mask<64>(true)), m);
  m.set(5);
  m.clear(0);
  EXPECT_EQ(m.to_uint32(0), 32u);
  EXPECT_EQ(m.to_uint32(1), 0x80000000u);
  EXPECT_EQ(m.extract<16>(3).to_uint32(), 0x8000u);
  EXPECT_EQ(aie::mask<16>::from_uint32(0x0100).clz(), 7u);
  EXPECT_TRUE(aie::mask<32>().empty() && aie::mask<32>(true).full() && aie::mask<128>(true).full());
  EXPECT_EQ((aie::mask<32>::from_masks(aie::mask<16>(true), aie::mask<16>()).to_uint32()), 0xffffu);
  EXPECT_EQ(aie::mask<32>().insert(1, aie::mask<16>(true)).to_uint32(), 0xffff0000u);
}

class Memory : public testing::Test {
 protected:
  void SetUp() override {
    for (unsigned i = 0; i < in_.size(); ++i) in_[i] = static_cast<int8>(i);
  }
  alignas(64) std::array<int8, 256> in_{};
  alignas(64) std::array<int8, 256> out_{};
  aie_host::Tile tile_{"core_1_2"};
  aie_host::TileScope scope_{tile_};
  aie_host::KernelScope kernel_{"copy"};
};

// iterator.hpp: begin_vector, cbegin_vector and the restrict forms walk whole vectors; writing stores.
TEST_F(Memory, Iterators) {
  auto in = aie::cbegin_vector<32>(in_.data());
  auto out = aie::begin_restrict_vector<32>(out_.data());
  for (int i = 0; i < 8; ++i) *out++ = *in++;
  EXPECT_EQ(out_, in_);
  in -= 8;
  EXPECT_EQ((*in).get(0), 0);
  EXPECT_EQ(in[3].get(1), 97);
  const aie::vector<int8, 32> fourth = *(in + 4);
  EXPECT_EQ(fourth.get(0), static_cast<int8>(128));
  // A mutable iterator reads too, straight into an operation.
  auto both = aie::begin_vector<32>(in_.data());
  *both = aie::add(*both, static_cast<int8>(1));
  EXPECT_EQ(in_[31], 32);
  EXPECT_EQ(in_[32], 32);
  auto unaligned = aie::cbegin_unaligned_vector<16>(in_.data() + 3);
  EXPECT_EQ((*++unaligned).get(0), 20);
}

// iterator.hpp: *it of a mutable iterator is a reference; auto makes a copy of what it refers to.
TEST_F(Memory, CopiesFromMutableIterators) {
  auto it = aie::begin_vector<32>(in_.data());
  auto before = *it;
  *it = aie::zeros<int8, 32>();
  EXPECT_EQ(lanes(aie::add(before, int8(0))), count(0, 32));
  EXPECT_EQ(in_[5], 0);
  *it = before;
  EXPECT_EQ(in_[5], 5);
  static_assert(!std::is_assignable_v<decltype(before)&, aie::vector<int8, 32>>);
}

// UG1079: loop pragmas and memory annotations stand between the words of a loop and of a declaration.
TEST_F(Memory, CompilerWords) {
  const int8 __aie_dm_resource_a* in = in_.data();
  event0();
  for (unsigned i = 0; i < 256; i += 32) chess_prepare_for_pipelining chess_loop_range(8, ) {
      aie::store_v(out_.data() + i, aie::load_v<32, aie_dm_resource::a>(in + i));
    }
  event1();
  EXPECT_EQ(out_, in_);
}

// iterator.hpp: circular iterators wrap "when they reach the end of the buffer".
TEST_F(Memory, CircularIterators) {
  auto it = aie::cbegin_vector_circular<32>(in_.data(), 96);
  Doubles firsts;
  for (int i = 0; i < 5; ++i) firsts.push_back((*it++).get(0));
  EXPECT_EQ(firsts, (Doubles{0, 32, 64, 0, 32}));
}

// aie.hpp: load_v, store_v, load_unaligned_v, load_floor_v.
TEST_F(Memory, LoadsAndStores) {
  aie::store_v(out_.data() + 64, aie::load_v<64>(in_.data()));
  EXPECT_EQ(out_[64 + 63], 63);
  EXPECT_EQ(aie::load_unaligned_v<32>(in_.data() + 5).get(0), 5);
  EXPECT_EQ(aie::load_floor_v<32>(in_.data() + 45).get(0), 32);
  aie::store_unaligned_v(out_.data() + 1, aie::load_v<16>(in_.data()));
  EXPECT_EQ(out_[16], 15);
}

TEST_F(Memory, StopsNameKernelAddressAndBuffer) {
  const std::string misaligned = message_of([&] { aie::load_v<32>(in_.data() + 16); });
  EXPECT_NE(misaligned.find("tile 'core_1_2', kernel 'copy'"), std::string::npos) << misaligned;
  EXPECT_NE(misaligned.find(aie_host::format_address(in_.data() + 16)), std::string::npos) << misaligned;
  aie_host::add_region(tile_, in_.data(), 256, "input", false);
  aie_host::add_region(tile_, out_.data(), 64, "output", true);
  const auto copy = [&](int vectors) {
    auto in = aie::cbegin_vector<32>(in_.data());
    auto out = aie::begin_vector<32>(out_.data());
    for (int i = 0; i < vectors; ++i) *out++ = *in++;
  };
  EXPECT_NO_THROW(copy(2));
  const std::string beyond = message_of([&] { copy(3); });
  EXPECT_NE(beyond.find("store of 32 bytes at " + aie_host::format_address(out_.data() + 64)), std::string::npos)
      << beyond;
  EXPECT_NE(message_of([&] { aie::store_v(in_.data(), aie::zeros<int8, 32>()); }).find("read-only buffer 'input'"),
            std::string::npos);
}

// --- Undefined lanes ---

struct PoisonCase {
  const char* source;
  aie::vector<int8, 32> v;
  unsigned first_undefined;  // and all above, or none if 32
};

std::vector<PoisonCase> poison_cases() {
  const auto v = generate<int8, 32>(kIota);
  const auto small = generate<int8, 16>(kIota);
  const auto down = aie::shuffle_down(v, 5);
  return {
      {"vector.hpp: a default-constructed vector has undefined contents", {}, 0},
      {"vector.hpp: a vector from one value defines one lane", aie::vector<int8, 32>(3), 1},
      {"aie.hpp, shuffle_down: the upper n lanes are undefined", down, 27},
      {"vector.hpp, grow: the rest is undefined", small.grow<32>(), 16},
      {"undefined + defined", aie::add(down, v), 27},
      {"undefined + scalar", aie::max(down, static_cast<int8>(3)), 27},
      {"the last lane of shuffle_down of shuffle_down", aie::shuffle_down(down, 1), 26},
      {"through an accumulator", aie::from_vector<acc32>(down).to_vector<int8>(), 27},
      {"through a product", aie::mul(down, v).to_vector<int8>(), 27},
      {"through unpack and pack", down.unpack().pack(), 27},
      {"through a cast of narrower lanes", down.cast_to<int16>().cast_to<int8>(), 26},
      {"shuffle_down_fill has no undefined lane", aie::shuffle_down_fill(v, v, 5), 32},
      {"select takes the lanes of the mask alone", aie::select(v, down, aie::mask<32>::from_uint32(0x07ffffff)), 32},
      {"select of an undefined lane", aie::select(v, down, aie::mask<32>(true)), 27},
  };
}

TEST(Undefined, LanesAreFollowed) {
  alignas(64) std::array<int8, 32> memory{};
  for (const PoisonCase& c : poison_cases()) {
    for (unsigned i = 0; i < 32; ++i) {
      const std::string got = message_of([&] { c.v.get(i); });
      EXPECT_EQ(got != "no stop", i >= c.first_undefined) << c.source << ", lane " << i << ": " << got;
    }
    const std::string stored = message_of([&] { aie::store_v(memory.data(), c.v); });
    if (c.first_undefined == 32) {
      EXPECT_EQ(stored, "no stop") << c.source;
    } else {
      EXPECT_NE(stored.find("store: lane " + std::to_string(c.first_undefined) + " is undefined"), std::string::npos)
          << c.source << ": " << stored;
    }
  }
}

TEST(Undefined, DecisionsStop) {
  const auto v = generate<int8, 32>(kIota);
  const auto down = aie::shuffle_down(v, 1);
  const auto stops = [](auto action, const char* name) {
    const std::string message = message_of(action);
    EXPECT_NE(message.find(std::string(name) + ": lane 31 is undefined"), std::string::npos) << message;
  };
  stops([&] { aie::lt(v, down); }, "lt");
  stops([&] { aie::ge(down, static_cast<int8>(0)); }, "ge");
  stops([&] { aie::reduce_max(down); }, "reduce_max");
  stops([&] { aie::reduce_add(down); }, "reduce_add");
  stops([&] { aie::broadcast<int8, 32>(down[31]); }, "get");
  stops([&] { aie::mul(v, down[31]); }, "lane operand");
  stops([&] { aie::max_cmp(v, down); }, "max_cmp");
}

// A matrix product with an undefined lane spoils its row or column and no more.
TEST(Undefined, MatrixProducts) {
  auto a = aie::broadcast<int8, 32>(1);
  auto b = aie::broadcast<int8, 64>(1);
  aie::mmul<4, 8, 8, int8, int8> c;
  c.mul(aie::shuffle_down(a, 1), b);  // A[3][7]
  const auto rows = c.to_vector<int16>();
  EXPECT_EQ(rows.get(0), 8);
  EXPECT_EQ(rows.get(23), 8);
  EXPECT_NE(message_of([&] { rows.get(24); }), "no stop");
  c.mul(a, aie::shuffle_down(b, 1));  // B[7][7]
  const auto columns = c.to_vector<int16>();
  EXPECT_EQ(columns.get(6), 8);
  EXPECT_NE(message_of([&] { columns.get(7); }), "no stop");
  EXPECT_EQ(columns.get(8), 8);
}

}  // namespace
