// SPDX-License-Identifier: Apache-2.0
//
// The observation hook: what a small kernel reports, and that its values can be followed.
#include "aie_host/observe.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

#include "lanes.h"

namespace {

struct Seen {
  std::string name;
  std::vector<aie_host::Value> inputs, results;
  std::vector<std::int64_t> immediates;
  const void* address;
  std::uint32_t bytes;
};

struct Recorder : aie_host::Observer {
  std::vector<Seen> operations;
  void operation(const aie_host::Report& o) override {
    operations.push_back({aie_host::name(o.operation),
                          {o.inputs.begin(), o.inputs.end()},
                          {o.results.begin(), o.results.end()},
                          {o.immediates.begin(), o.immediates.end()},
                          o.address,
                          o.bytes});
  }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const Seen& s : operations) result.push_back(s.name);
    return result;
  }
};

class Observe : public testing::Test {
 protected:
  template <typename F>
  std::vector<Seen> record(F f) {
    Recorder recorder;
    const aie_host::ObserverScope scope(&recorder);
    f();
    return recorder.operations;
  }
  alignas(64) std::array<int8, 64> in_{};
  alignas(64) std::array<int16, 64> out_{};
};

TEST_F(Observe, FollowsValuesThroughAKernel) {
  const auto seen = record([&] {
    const auto x = aie::load_v<32>(in_.data());
    const int8 m = aie::reduce_max(x);
    const auto d = aie::sub(aie::broadcast<int8, 32>(m), x);
    auto acc = aie::mul(d, d);
    acc = aie::mac(acc, x, int8(3));
    *aie::begin_vector<32>(out_.data()) = acc.to_vector<int16>(4);
  });
  std::vector<std::string> names;
  names.reserve(seen.size());
  for (const Seen& s : seen) names.push_back(s.name);
  ASSERT_EQ(names,
            (std::vector<std::string>{"load", "reduce_max", "broadcast", "sub", "mul", "mac", "to_vector", "store"}));
  const aie_host::ValueId x = seen[0].results[0].id;
  EXPECT_EQ(seen[0].address, in_.data());
  EXPECT_EQ(seen[0].bytes, 32u);
  EXPECT_EQ(seen[0].results[0].lanes, 32);
  EXPECT_EQ(seen[0].results[0].element, aie_host::Element::kInt8);
  // The scalar that reduce_max gives and broadcast takes: matched by value.
  EXPECT_EQ(seen[1].inputs[0].id, x);
  EXPECT_EQ(seen[1].results[0].kind, aie_host::ValueKind::kScalar);
  EXPECT_NE(seen[1].results[0].id, 0u);
  EXPECT_EQ(seen[2].inputs[0].kind, aie_host::ValueKind::kScalar);
  EXPECT_EQ(seen[2].inputs[0].bits, seen[1].results[0].bits);
  EXPECT_EQ(seen[3].inputs[0].id, seen[2].results[0].id);
  EXPECT_EQ(seen[3].inputs[1].id, x);
  // mac: the accumulator first, then the operands; a new identity comes out.
  EXPECT_EQ(seen[5].inputs[0].id, seen[4].results[0].id);
  EXPECT_EQ(seen[5].inputs[0].element, aie_host::Element::kAcc32);
  EXPECT_EQ(seen[5].inputs[1].id, x);
  EXPECT_EQ(seen[5].inputs[2].bits, 3);
  EXPECT_EQ(seen[6].inputs[0].id, seen[5].results[0].id);
  EXPECT_EQ(seen[6].immediates, (std::vector<std::int64_t>{4}));
  EXPECT_EQ(seen[7].inputs[0].id, seen[6].results[0].id);
  EXPECT_EQ(seen[7].address, out_.data());
  EXPECT_EQ(seen[7].bytes, 64u);
}

// Each result has an identity that no other has; a copy and a cast keep theirs.
TEST_F(Observe, Identities) {
  const auto seen = record([&] {
    const auto a = aie::load_v<32>(in_.data());
    const auto b = a;
    const auto c = aie::add(a, b);
    const auto [low, high] = aie::interleave_zip(b, c, 1);
    aie::select(low, high, aie::lt(a, c));
    aie::neg(a.cast_to<int16>());
    aie::mmul<4, 8, 8, int8, int8> m;
    m.mul(a, aie::concat(low, high));
    m.mac(a, aie::concat(low, high));
    m.to_vector<int16>();
  });
  std::map<aie_host::ValueId, int> produced;
  for (const Seen& s : seen) {
    for (const auto& input : s.inputs) {
      EXPECT_TRUE(input.kind == aie_host::ValueKind::kScalar || produced.contains(input.id))
          << s.name << " takes an unknown value";
    }
    for (const auto& result : s.results) EXPECT_EQ(produced[result.id]++, 0) << s.name;
  }
  EXPECT_EQ(seen[1].inputs[0].id, seen[1].inputs[1].id);
  EXPECT_EQ(seen[2].results.size(), 2u);
}

// A change in place takes the old identity and gives a new one.
TEST_F(Observe, ChangesInPlace) {
  const auto seen = record([&] {
    auto a = aie::load_v<32>(in_.data());
    a.set(5, 7);
    a.insert(1, aie::zeros<int8, 16>());
    a.push(1);
    const int8 x = a[3];
    aie::mul(a, a[static_cast<unsigned>(x) + 9]);
  });
  ASSERT_EQ(seen.size(), 7u);
  EXPECT_EQ(seen[1].name, "set");
  EXPECT_EQ(seen[1].inputs[0].id, seen[0].results[0].id);
  EXPECT_EQ(seen[1].inputs[1].bits, 5);
  EXPECT_EQ(seen[3].name, "insert");
  EXPECT_EQ(seen[3].inputs[0].id, seen[1].results[0].id);
  EXPECT_EQ(seen[4].inputs[0].id, seen[3].results[0].id);
  EXPECT_EQ(seen[5].name, "get");
  EXPECT_EQ(seen[5].immediates[0], 3);
  EXPECT_EQ(seen[6].name, "mul");  // with a lane of the vector itself
  EXPECT_EQ(seen[6].inputs[1].kind, aie_host::ValueKind::kVector);
  EXPECT_EQ(seen[6].inputs[1].id, seen[4].results[0].id);
  EXPECT_EQ(seen[6].inputs[1].lanes, 1);
  EXPECT_EQ(seen[6].inputs[1].bits, 9);
}

TEST_F(Observe, ScalarsAndModes) {
  aie_host::Tile tile;
  const aie_host::TileScope on_tile(tile);
  const auto seen = record([&] {
    aie::set_rounding(aie::rounding_mode::conv_even);
    clb(300);
    aie::lt(aie::zeros<int8, 32>(), int8(1)).empty();
  });
  EXPECT_EQ(seen[0].name, "set_rounding");
  EXPECT_EQ(seen[0].immediates[0], 12);
  EXPECT_EQ(seen[1].name, "clb");
  EXPECT_EQ(seen[1].inputs[0].bits, 300);
  EXPECT_EQ(seen[1].results[0].bits, 23);
  EXPECT_EQ(seen[3].name, "lt");
  EXPECT_EQ(seen[3].results[0].kind, aie_host::ValueKind::kMask);
  EXPECT_EQ(seen[4].name, "mask_empty");
  EXPECT_EQ(seen[4].inputs[0].id, seen[3].results[0].id);
}

TEST_F(Observe, SeesNothingWhenOff) {
  Recorder recorder;
  {
    const aie_host::ObserverScope on(&recorder);
    const aie_host::ObserverScope off(nullptr);
    aie::add(aie::zeros<int8, 32>(), int8(1));
  }
  aie::add(aie::zeros<int8, 32>(), int8(1));
  EXPECT_TRUE(recorder.operations.empty());
}

}  // namespace
