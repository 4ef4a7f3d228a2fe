// SPDX-License-Identifier: Apache-2.0
//
// Moving lanes. The expectations are the code snippets in the comments of Xilinx/aie_api, aie.hpp, group reshape.
#include <gtest/gtest.h>

#include <vector>

#include "lanes.h"

namespace {

using Doubles = std::vector<double>;

struct Case {
  const char* source;
  aie::vector<int16, 8> got;
  Doubles expected;
};

TEST(Shuffle, EightLanes) {
  const auto v = generate<int16, 8>([](unsigned i) { return i; });
  const auto w = generate<int16, 8>([](unsigned i) { return 10 + i; });
  const Case cases[] = {
      {"shuffle_down_rotate", aie::shuffle_down_rotate(v, 3), {3, 4, 5, 6, 7, 0, 1, 2}},
      {"shuffle_up_rotate", aie::shuffle_up_rotate(v, 3), {5, 6, 7, 0, 1, 2, 3, 4}},
      {"shuffle_down_fill: fill's lower lanes above", aie::shuffle_down_fill(v, w, 3), {3, 4, 5, 6, 7, 10, 11, 12}},
      {"shuffle_up_fill: fill's upper lanes below", aie::shuffle_up_fill(v, w, 3), {15, 16, 17, 0, 1, 2, 3, 4}},
      {"shuffle_down_fill by 0", aie::shuffle_down_fill(v, w, 0), {0, 1, 2, 3, 4, 5, 6, 7}},
      {"shuffle_down_fill by all", aie::shuffle_down_fill(v, w, 8), {10, 11, 12, 13, 14, 15, 16, 17}},
      {"shuffle_down_replicate: the last lane again", aie::shuffle_down_replicate(v, 3), {3, 4, 5, 6, 7, 7, 7, 7}},
      {"shuffle_up_replicate: the first lane again", aie::shuffle_up_replicate(v, 3), {0, 0, 0, 0, 1, 2, 3, 4}},
      {"reverse", aie::reverse(v), {7, 6, 5, 4, 3, 2, 1, 0}},
      {"interleave_zip by 1, low", aie::interleave_zip(v, w, 1).first, {0, 10, 1, 11, 2, 12, 3, 13}},
      {"interleave_zip by 1, high", aie::interleave_zip(v, w, 1).second, {4, 14, 5, 15, 6, 16, 7, 17}},
      {"interleave_zip by 2, low", aie::interleave_zip(v, w, 2).first, {0, 1, 10, 11, 2, 3, 12, 13}},
      {"interleave_zip by all", aie::interleave_zip(v, w, 8).second, {10, 11, 12, 13, 14, 15, 16, 17}},
      {"interleave_unzip by 1, even", aie::interleave_unzip(v, w, 1).first, {0, 2, 4, 6, 10, 12, 14, 16}},
      {"interleave_unzip by 2, odd", aie::interleave_unzip(v, w, 2).second, {2, 3, 6, 7, 12, 13, 16, 17}},
      {"transpose 2 x 4", aie::transpose(v, 2, 4), {0, 4, 1, 5, 2, 6, 3, 7}},
      {"transpose 4 x 2", aie::transpose(v, 4, 2), {0, 2, 4, 6, 1, 3, 5, 7}},
      {"filter_even(v, 1) = { v[0], v[2], ... }", aie::filter_even(aie::concat(v, w)), {0, 2, 4, 6, 10, 12, 14, 16}},
      {"filter_odd(v, 2) = { v[2], v[3], v[6], v[7], ... }",
       aie::filter_odd(aie::concat(v, w), 2),
       {2, 3, 6, 7, 12, 13, 16, 17}},
  };
  for (const Case& c : cases) EXPECT_EQ(lanes(c.got), c.expected) << c.source;
}

TEST(Shuffle, DownAndUpLeaveDefinedLanes) {
  const auto v = generate<int8, 64>([](unsigned i) { return i; });
  for (unsigned n : {0u, 1u, 31u, 32u, 63u}) {
    const auto down = aie::shuffle_down(v, n);
    const auto up = aie::shuffle_up(v, n);
    for (unsigned i = 0; i < 64 - n; ++i) {
      EXPECT_EQ(down.get(i), static_cast<int>(i + n));
      EXPECT_EQ(up.get(i + n), static_cast<int>(i));
    }
    if (n > 0) {
      EXPECT_NE(message_of([&] { down.get(64 - n); }), "no stop");
      EXPECT_NE(message_of([&] { up.get(n - 1); }), "no stop");
    }
  }
}

// zip then unzip, transpose twice: the identity, at every chunk and size.
TEST(Shuffle, Inverses) {
  const auto check = []<typename T, unsigned N>(const aie::vector<T, N>& v, const aie::vector<T, N>& w) {
    for (unsigned chunk = 1; chunk <= N; chunk *= 2) {
      const auto [low, high] = aie::interleave_zip(v, w, chunk);
      const auto [even, odd] = aie::interleave_unzip(low, high, chunk);
      EXPECT_EQ(lanes(even), lanes(v));
      EXPECT_EQ(lanes(odd), lanes(w));
      EXPECT_EQ(lanes(aie::transpose(aie::transpose(v, chunk, N / chunk), N / chunk, chunk)), lanes(v));
    }
  };
  const auto iota = [](unsigned i) { return i; };
  const auto later = [](unsigned i) { return i + 100; };
  check(generate<int8, 32>(iota), generate<int8, 32>(later));
  check(generate<uint8, 128>(iota), generate<uint8, 128>(later));
  check(generate<int16, 64>(iota), generate<int16, 64>(later));
  check(generate<int32, 16>(iota), generate<int32, 16>(later));
}

// Undefined lanes move with the others.
TEST(Shuffle, CarriesUndefinedLanes) {
  const auto v = aie::shuffle_down(generate<int16, 16>([](unsigned i) { return i; }), 1);  // lane 15 is undefined
  const auto zipped = aie::interleave_zip(v, v, 1);
  EXPECT_EQ(zipped.first.get(15), 8);
  EXPECT_EQ(message_of([&] { zipped.second.get(13); }), "no stop");
  EXPECT_NE(message_of([&] { zipped.second.get(14); }), "no stop");
  EXPECT_NE(message_of([&] { aie::transpose(v, 4, 4).get(15); }), "no stop");
  EXPECT_NE(message_of([&] { aie::reverse(v).get(0); }), "no stop");
  EXPECT_EQ(aie::reverse(v).get(1), 15);
}

TEST(Shuffle, WrongArgumentsStop) {
  const auto v = aie::zeros<int8, 32>();
  const auto stops = [](auto action, const char* rule) {
    const std::string message = message_of(action);
    EXPECT_NE(message.find(rule), std::string::npos) << message;
  };
  stops([&] { aie::transpose(v, 4, 4); }, "transpose: rows * columns must be the vector's size");
  stops([&] { aie::interleave_zip(v, v, 3); }, "interleave: the chunk must be a power of two in the vector");
  stops([&] { aie::shuffle_down(v, 33); }, "shuffle: n is larger than the vector");
  stops([&] { v.extract<16>(2); }, "extract: no such part");
}

}  // namespace
