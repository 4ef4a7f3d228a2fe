// SPDX-License-Identifier: Apache-2.0
//
// What is left of a recording: no more than a compiler would execute.
#include <gtest/gtest.h>

#include "aie/kernels/device.h"
#include "recorded.h"

namespace {

using namespace aie_cycles;
using Names = std::vector<std::string>;

class CyclesSimplify : public testing::Test {
 protected:
  using Bytes = aie::vector<int8, 32>;
  Bytes load(int index) { return aie::load_v<32>(in_.at(static_cast<unsigned>(index) * 32)); }
  void store(int index, const Bytes& value) { aie::store_v(out_.at(static_cast<unsigned>(index) * 32), value); }
  template <typename F>
  Block simplified(F snippet) {
    return simplify(record(snippet));
  }
  Buffer<int8> in_, out_;
};

TEST_F(CyclesSimplify, InvariantsLeaveTheirLoops) {
  const Block block = simplified([&] {
    loop("outer", 3, [&](int i) {
      loop("inner", 4, [&](int j) {
        const auto limit = aie::broadcast<int8, 32>(7);
        store(4 * i + j, aie::max(load(4 * i + j), aie::add(limit, limit)));
      });
    });
  });
  EXPECT_EQ(names(block), (Names{"broadcast", "add", "[[load max store]]"}));
  // All passes read what was moved.
  const ValueId moved = block[1].step.results[0].id;
  for (const Block& outer : block[2].loop->passes) {
    for (const Block& inner : outer[0].loop->passes) EXPECT_EQ(inner[1].step.inputs[1].id, moved);
  }
}

TEST_F(CyclesSimplify, LoadsAndCarriedValuesStay) {
  const Block block = simplified([&] {
    auto sum = load(0);
    loop("loop", 4, [&](int i) {
      sum = aie::add(sum, load(1));
      store(i, sum);
    });
  });
  EXPECT_EQ(names(block), (Names{"load", "[load add store]"}));
}

TEST_F(CyclesSimplify, SameOperationOnce) {
  const Block block = simplified([&] {
    const auto x = load(0);
    store(0, aie::add(x, x));
    store(1, aie::add(x, x));
    store(2, aie::sub(x, aie::add(x, x)));
    store(3, aie::add(load(0), x));
  });
  EXPECT_EQ(names(block), (Names{"load", "add", "store", "store", "sub", "store", "load", "add", "store"}));
}

// What the block around has computed is not computed again in a loop; what one pass has, the next one has to.
TEST_F(CyclesSimplify, SameOperationInScopes) {
  const Block block = simplified([&] {
    const auto x = load(0);
    store(0, aie::add(x, x));
    loop("loop", 2, [&](int i) { store(i, aie::sub(aie::add(x, x), load(i))); });
  });
  EXPECT_EQ(names(block), (Names{"load", "add", "store", "[load sub store]"}));
}

TEST_F(CyclesSimplify, UnreadResults) {
  const Block block = simplified([&] {
    const auto x = load(0);
    aie::max(x, aie::add(x, x));
    loop("loop", 3, [&](int i) {
      aie::add(x, load(i));
      store(i, load(i));
    });
    // Scalars can be read by plain C++.
    aie::reduce_max(x);
  });
  EXPECT_EQ(names(block), (Names{"load", "[load store]", "reduce_max"}));
}

TEST_F(CyclesSimplify, ResultsOfWhichOneIsRead) {
  const Block block = simplified([&] {
    const auto [low, high] = aie::interleave_zip(load(0), load(1), 1);
    store(0, high);
  });
  ASSERT_EQ(names(block), (Names{"load", "load", "interleave_zip", "store"}));
  EXPECT_EQ(block[2].step.results[0].id, 0u);
  EXPECT_NE(block[2].step.results[1].id, 0u);
}

TEST_F(CyclesSimplify, LoopsOfOnePassAndOfNone) {
  const Block block = simplified([&] {
    loop("none", 0, [&](int) {});
    loop("one", 1, [&](int) { loop("two", 2, [&](int i) { store(i, load(i)); }); });
    loop("one", 1, [&](int i) { store(i, load(i)); });
  });
  EXPECT_EQ(names(block), (Names{"[load store]", "load", "store"}));
  EXPECT_EQ(count_operations(block), 6u);
}

// Words of a mask are loaded where they are read: those of another pass are others, even where they have the same bits.
TEST_F(CyclesSimplify, LoadedMasksStay) {
  const std::array<uint32, 8> words{};
  const Block block = simplified([&] {
    const auto x = load(0);
    loop("rows", 4, [&](int i) {
      const uint32* word = words.data() + 2 * i;
      const auto mask = hccs_kernels::load_mask(word);
      const auto y = load(i);
      store(i, aie::select(x, y, mask));
      const auto wide = hccs_kernels::load_mask(word, word + 1);
      const auto both = aie::load_v<64>(in_.at(0));
      aie::store_v(out_.at(static_cast<unsigned>(i) * 64), aie::select(both, both, wide));
    });
  });
  ASSERT_EQ(names(block), (Names{"load",
                                 "[load_mask mask_from_masks load select store load_mask load_mask "
                                 "mask_from_masks load select store]"}));
  for (int pass = 0; pass < 4; ++pass) {
    const Step& step = block[1].loop->passes[static_cast<unsigned>(pass)][0].step;
    EXPECT_EQ(step.address, reinterpret_cast<std::uintptr_t>(words.data() + 2 * pass));
    EXPECT_EQ(step.bytes, 4u);
  }
}

// A scalar is the result of an operation with the same bits.
TEST_F(CyclesSimplify, ScalarsOfOperations) {
  for (unsigned i = 0; i < 4096; ++i) in_.data[i] = static_cast<int8>(i / 32 + 20);
  const Block block = simplified([&] {
    loop("rows", 4, [&](int i) {
      const auto x = load(i);
      store(i, aie::max(x, aie::broadcast<int8, 32>(aie::reduce_max(x))));
    });
  });
  ASSERT_EQ(names(block), (Names{"[load reduce_max broadcast max store]"}));
  for (const Block& pass : block[0].loop->passes) EXPECT_EQ(pass[2].step.inputs[0].id, pass[1].step.results[0].id);
}

// A scalar that no operation made comes from memory if it is another in each pass.
TEST_F(CyclesSimplify, ScalarsFromMemory) {
  const Block block = simplified(
      [&] { loop("rows", 4, [&](int i) { store(i, aie::broadcast<int8, 32>(static_cast<int8>(40 + i))); }); });
  EXPECT_EQ(names(block), (Names{"[load_scalar broadcast store]"}));
}

// Products with the lanes of a vector are different products.
TEST_F(CyclesSimplify, LaneOperands) {
  const Block block = simplified([&] {
    const auto factors = load(0);
    const auto x = load(1);
    loop("lanes", 4, [&](int i) {
      aie::store_v(out_.at(static_cast<unsigned>(i) * 32),
                   aie::mul(x, factors[static_cast<unsigned>(i)]).to_vector<int8>(0));
    });
  });
  EXPECT_EQ(names(block), (Names{"load", "load", "[mul to_vector store]"}));
}

}  // namespace
