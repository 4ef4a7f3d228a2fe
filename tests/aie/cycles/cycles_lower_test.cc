// SPDX-License-Identifier: Apache-2.0
//
// The native instructions of calls of the API, per device: the sequences of the API's public headers (Xilinx/aie_api),
// with what a compiler merges.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "aie/cycles/cost.h"
#include "aie/kernels/paper_rows.h"
#include "recorded.h"

namespace {

using namespace aie_cycles;
using enum Opcode;
using Counts = std::map<Opcode, unsigned>;

template <typename F>
NativeCode lowered(F snippet) {
  const Block block = simplify(record(snippet));
  return lower_straight(block, count_readers(block), kDevice);
}

Counts counts(const NativeCode& code) {
  Counts result;
  for (const NativeInstruction& instruction : code.instructions) ++result[instruction.opcode];
  return result;
}

template <typename F>
Counts lowered_counts(F snippet) {
  return counts(lowered(snippet));
}

// What is there without the loads and stores.
template <typename F>
Counts between(F snippet) {
  Counts result = lowered_counts(snippet);
  std::erase_if(result, [](const auto& entry) { return entry.first == kLoad || entry.first == kStore; });
  return result;
}

// One of the devices'.
template <typename T>
T either(T aie_ml, T v2) {
  return kIsV2 ? v2 : aie_ml;
}

class CyclesLower : public testing::Test {
 protected:
  Buffer<int8> in_, out_;
  Buffer<int16> in16_, out16_;
  Buffer<int32> in32_, out32_;
  Buffer<bfloat16> in_bf_, out_bf_;
  Buffer<float> in_float_, out_float_;
};

TEST_F(CyclesLower, LoadsAndStores) {
  EXPECT_EQ(lowered_counts([&] { aie::store_v(out_.at(), aie::load_v<32>(in_.at())); }),
            (Counts{{kLoad, 1}, {kStore, 1}}));
  const unsigned of_64 = either(2u, 1u);
  EXPECT_EQ(lowered_counts([&] { aie::store_v(out_.at(), aie::load_v<64>(in_.at())); }),
            (Counts{{kLoad, of_64}, {kStore, of_64}}));
}

// A scalar that is broadcast where it is made is no constant, whatever its value.
TEST_F(CyclesLower, BroadcastOfWhatWasJustMade) {
  for (const int16 value : {int16{0}, int16{1}, int16{-1}, int16{77}}) {
    const int16 stored = value;
    EXPECT_EQ(lowered_counts(
                  [&] { aie::store_v(out16_.at(), aie::broadcast<int16, 32>(hccs_kernels::load_scalar(&stored))); }),
              (Counts{{kLoadScalar, 1}, {kBroadcast, 1}, {kStore, either(2u, 1u)}}))
        << value;
  }
}

// A mask from memory: a word a load, whatever the words' values; the selection waits for all of them.
TEST_F(CyclesLower, MasksFromMemory) {
  for (const uint32_t low : {0u, 1u, ~0u, 12345u}) {
    const uint32_t words[2] = {low, 54321u};
    const NativeCode code = lowered([&] {
      const auto mask = hccs_kernels::load_mask(words, words + 1);
      aie::store_v(out_.at(), aie::select(aie::load_v<64>(in_.at()), aie::load_v<64>(in_.at(64)), mask));
    });
    const unsigned of_64 = either(2u, 1u);
    EXPECT_EQ(counts(code), (Counts{{kLoad, 2 * of_64}, {kLoadScalar, 2}, {kSelect, 1}, {kStore, of_64}})) << low;
    std::set<int> loaded;
    for (const NativeInstruction& instruction : code.instructions) {
      if (instruction.opcode == kLoadScalar) loaded.insert(instruction.result);
      if (instruction.opcode != kSelect) continue;
      for (const NativeUse& use : instruction.uses) loaded.erase(use.value);
    }
    EXPECT_TRUE(loaded.empty()) << low;
  }
}

TEST_F(CyclesLower, LoadsThatWiden) {
  EXPECT_EQ(lowered_counts([&] { aie::store_v(out16_.at(), aie::load_v<32>(in_.at()).unpack()); }),
            (Counts{{kLoadUnpack, 1}, {kStore, either(2u, 1u)}}));
  EXPECT_EQ(lowered_counts([&] {
              const aie::accum<acc32, 32> up(aie::load_v<32>(in_.at()), 3);
              aie::store_v(out_.at(), up.to_vector<int8>(1));
            }),
            (Counts{{kLoadUpshift, 1}, {kStoreShift, 1}}));
  // A vector that is read twice is loaded, and widened from its register.
  EXPECT_EQ(lowered_counts([&] {
              const auto x = aie::load_v<32>(in_.at());
              aie::store_v(out16_.at(), x.unpack());
              aie::store_v(out_.at(), aie::add(x, x));
            }),
            (Counts{{kLoad, 1}, {kUnpack, 1}, {kElementwise, 1}, {kStore, either(3u, 2u)}}));
}

TEST_F(CyclesLower, StoresThatNarrow) {
  const auto product = [&] { return aie::mul(aie::load_v<32>(in16_.at()), aie::load_v<32>(in16_.at(32))); };
  EXPECT_EQ(lowered_counts([&] { aie::store_v(out_.at(), product().to_vector<int8>(4)); }),
            (Counts{{kLoad, either(4u, 2u)}, {kMultiply, 1}, {kStoreShift, 1}}));
  EXPECT_EQ(lowered_counts([&] { aie::store_v(out16_.at(), product().to_vector<int16>(4)); }),
            (Counts{{kLoad, either(4u, 2u)}, {kMultiply, 1}, {kStoreShift, either(2u, 1u)}}));
  EXPECT_EQ(lowered_counts([&] { aie::store_v(out_.at(), aie::load_v<32>(in16_.at()).pack()); }),
            (Counts{{kLoad, either(2u, 1u)}, {kStorePack, 1}}));
  // Read beside: to a register.
  EXPECT_EQ(between([&] {
              const auto y = product().to_vector<int16>(4);
              aie::store_v(out16_.at(), y);
              aie::store_v(out16_.at(32), aie::add(y, y));
            }),
            (Counts{{kMultiply, 1}, {kShift, 1}, {kElementwise, 1}}));
}

// AIE-ML sets the upper half of a first operand of bytes to zero; v2 multiplies 64 bytes.
TEST_F(CyclesLower, ProductsOfBytes) {
  const auto x = [&](unsigned i) { return aie::load_v<32>(in_.at(32 * i)); };
  EXPECT_EQ(between([&] { aie::store_v(out_.at(), aie::mul(x(0), x(1)).to_vector<int8>(4)); }),
            either(Counts{{kMove, 1}, {kMultiply, 1}, {kStoreShift, 1}}, Counts{{kMultiply, 1}, {kStoreShift, 1}}));
  // Once a value.
  EXPECT_EQ(between([&] {
              const auto a = x(0);
              aie::store_v(out_.at(), aie::mac(aie::mul(a, x(1)), a, x(2)).to_vector<int8>(4));
            })[kMove],
            either(1u, 0u));
  const auto wide = between([&] {
    const auto a = aie::load_v<64>(in_.at()), b = aie::load_v<64>(in_.at(64));
    aie::store_v(out_.at(), aie::mul(a, b).to_vector<int8>(4));
  });
  EXPECT_EQ(wide,
            either(Counts{{kMove, 2}, {kMultiply, 2}, {kStoreShift, 2}}, Counts{{kMultiply, 1}, {kStoreShift, 1}}));
}

// The upper half of a register has to move down where a product wants the lower one.
TEST_F(CyclesLower, HalvesOfRegisters) {
  const auto of = [&](unsigned half) {
    return between([&] {
      const auto x = aie::load_v<64>(in_.at());
      const auto y = aie::max(x, x);  // in one register
      aie::store_v(out_.at(),
                   aie::mul(aie::load_v<32>(in_.at(64)), y.template extract<32>(half)).template to_vector<int8>(4));
    });
  };
  EXPECT_EQ(of(0)[kMove] + 1, of(1)[kMove]);
}

TEST_F(CyclesLower, ScalarOperands) {
  for (int8& x : in_.data) x = 50;
  const auto count = between([&] {
    const auto x = aie::load_v<32>(in_.at());
    const int16 most = aie::reduce_max(x);
    aie::store_v(out16_.at(), aie::mul(aie::load_v<32>(in16_.at()), most).to_vector<int16>(0));
  });
  EXPECT_EQ(count.contains(kBroadcast), !kIsV2);  // AIE-ML v2 multiplies by a scalar register
}

TEST_F(CyclesLower, ProductsOfShortsAndInts) {
  const auto shorts = between([&] {
    aie::store_v(out16_.at(), aie::mul(aie::load_v<32>(in16_.at()), aie::load_v<32>(in16_.at(32))).to_vector<int16>(0));
  });
  EXPECT_EQ(shorts, (Counts{{kMultiply, 1}, {kStoreShift, either(2u, 1u)}}));
  const auto ints = between([&] {
    const auto a = aie::load_v<16>(in32_.at()), b = aie::load_v<16>(in32_.at(16));
    aie::store_v(out32_.at(), aie::mul(a, b).to_vector<int32>(0));
  });
  EXPECT_EQ(ints, (Counts{{kShuffle, 4}, {kMultiply, 1}, {kMultiplyAdd, 3}, {kStoreShift, either(2u, 1u)}}));
}

TEST_F(CyclesLower, MatrixProducts) {
  const auto a = [&] { return aie::load_v<32>(in_.at()); };
  const auto b = [&] { return aie::load_v<64>(in_.at(64)); };
  const auto once = between([&] {
    aie::mmul<4, 8, 8, int8, int8> m;
    m.mul(a(), b());
    aie::store_v(out_.at(), m.to_vector<int8>(0));
  });
  EXPECT_EQ(once, (Counts{{kMultiply, 1}, {kStoreShift, 1}}));
  const auto rows = between([&] {
    aie::mmul<8, 8, 8, int8, int8> m;
    m.mul(aie::load_v<64>(in_.at()), b());
    aie::store_v(out_.at(), m.to_vector<int8>(0));
  });
  EXPECT_EQ(rows,
            either(Counts{{kMultiply, 2}, {kShuffle, 1}, {kStoreShift, 2}}, Counts{{kMultiply, 1}, {kStoreShift, 1}}));
}

TEST_F(CyclesLower, Reductions) {
  const auto max = between([&] { aie::reduce_max(aie::load_v<32>(in_.at())); });
  EXPECT_EQ(max, (Counts{{kShuffle, 5}, {kElementwise, 5}, {kExtract, 1}}));
  const auto wide = between([&] { aie::reduce_max(aie::load_v<64>(in_.at())); });
  EXPECT_EQ(wide, (Counts{{kShuffle, 6}, {kElementwise, 6}, {kExtract, 1}}));
  const auto sum = between([&] { aie::reduce_add(aie::load_v<16>(in32_.at())); });
  EXPECT_EQ(sum, (Counts{{kShuffle, 4}, {kElementwise, 4}, {kExtract, 1}}));
  const auto bf16 = between([&] { aie::reduce_add(aie::load_v<16>(in_bf_.at())); });
  EXPECT_EQ(bf16.at(kMultiplyFloat), 1u);
  EXPECT_EQ(bf16.at(kAddFloat), 1u);
  EXPECT_EQ(bf16.at(kConvertDown), 1u);
  EXPECT_EQ(bf16.at(kExtract), 1u);
  const auto floats = between([&] { aie::reduce_add(aie::load_v<16>(in_float_.at())); });
  EXPECT_EQ(floats.at(kAddFloat), 4u);
  // Several sums: each as by itself, and into its lane.
  const auto sums = between([&] {
    const auto x = aie::load_v<16>(in32_.at()), y = aie::load_v<16>(in32_.at(16));
    aie::reduce_add_v(x, y, aie::add(x, y)).get(2);
  });
  EXPECT_EQ(sums, (Counts{{kShuffle, 3 * 4}, {kElementwise, 3 * 4 + 1}, {kExtract, 3 + 1}, {kInsert, 3}}));
}

// Vectors that begin undefined are their own, whatever their lanes: both parts that are put into each are read.
TEST_F(CyclesLower, UndefinedVectorsOfSeveralWidths) {
  const auto sum = between([&] {
    aie::vector<int32, 16> narrow;
    for (unsigned i = 0; i < 2; ++i) narrow.insert(i, aie::load_v<8>(in32_.at(8 * i)));
    aie::store_v(out32_.at(), aie::add(narrow, int32{3}));
    aie::vector<int32, 32> wide;
    for (unsigned i = 0; i < 2; ++i) {
      wide.insert(i, aie::mul<acc64>(aie::load_v<16>(in16_.at(16 * i)), int16{5}).to_vector<int32>(0));
    }
    aie::store_v(out32_.at(16), aie::add(wide, int32{3}));
  });
  EXPECT_EQ(sum.at(kMultiply), 2u);
  EXPECT_EQ(sum.at(kShift), 2u);
  EXPECT_EQ(sum.at(kElementwise), 3u);
}

// A float is computed in a vector, whose first lane it is.
TEST_F(CyclesLower, ScalarFloats) {
  in_float_.data = {1.5f, 2.5f};
  const auto count = between([&] {
    const float sum = aie::add(aie::load_v<16>(in_float_.at()).get(0), aie::load_v<16>(in_float_.at(16)).get(0));
    aie::store_v(out_float_.at(), aie::broadcast<float, 16>(sum));
  });
  EXPECT_EQ(count.at(kAddFloat), 1u);
  EXPECT_EQ(count.at(kExtract), 3u);  // both operands, and the sum
}

TEST_F(CyclesLower, Floats) {
  const auto sum = between(
      [&] { aie::store_v(out_bf_.at(), aie::add(aie::load_v<16>(in_bf_.at()), aie::load_v<16>(in_bf_.at(16)))); });
  EXPECT_EQ(sum, (Counts{{kLoadConvert, 2}, {kAddFloat, 1}, {kStoreConvert, 1}}));
  const auto product = between([&] {
    const auto x = aie::load_v<16>(in_float_.at());
    const auto y = aie::load_v<16>(in_float_.at(16));
    aie::store_v(out_float_.at(), aie::mul(x, y).to_vector<float>());
  });
  // Three pieces of each operand; nine products: one chain, or summed up by themselves.
  EXPECT_EQ(product.at(kConvertDown), 6u);
  EXPECT_EQ(product.at(kMultiplyFloat), either(1u, 9u));
  EXPECT_EQ(product.at(kMultiplyAddFloat), 4u + either(8u, 0u));
  EXPECT_EQ(product.contains(kAddFloat) ? product.at(kAddFloat) : 0u, either(0u, 8u));
}

// bf16 to int16: VFLOOR where it rounds down, which is to_fixed up to the API of 2024.2; since then sums of floats and
// of integers between two writes of the saturation mode, which is read before.
TEST_F(CyclesLower, ToFixed) {
  const auto in_bf = [&] { return aie::load_v<32>(in_bf_.at()); };
  const Counts floored = {{kFloor, 2}, {kShuffle, 1}};
  const auto fixed = between([&] { aie::store_v(out16_.at(), aie::to_fixed<int16>(in_bf(), 4)); });
#if HCCS_AIE_API_VERSION < 20251
  EXPECT_EQ(fixed, floored);
#else
  EXPECT_EQ(fixed, (Counts{{kMoveScalar, 3},
                           {kLoadConvert, either(2u, 1u)},
                           {kAddFloat, either(2u, 1u)},
                           {kAddAccum, 1},
                           {kStoreShift, either(2u, 1u)}}));
  EXPECT_EQ(between([&] { aie::store_v(out16_.at(), aie::to_fixed_floor<int16>(in_bf(), 4)); }), floored);
#endif
  // Bytes and 16-bit integers of floats cost the same with each API.
  const auto bytes = between([&] { aie::store_v(out_.at(), aie::to_fixed<int8>(aie::load_v<32>(in_float_.at()))); });
  EXPECT_EQ(bytes, (Counts{{kMoveScalar, 3},
                           {either(kMoveToAccum, kLoadAccum), 2},
                           {kAddFloat, either(2u, 1u)},
                           {kAddAccum, 1},
                           {kStoreShift, 1}}));
}

// One address computation and four gathers for 16.
TEST_F(CyclesLower, LookUps) {
  Buffer<bfloat16> table;
  Buffer<uint16> index;
  const aie::lut<4, bfloat16, bfloat16> lut(256, table.at(), table.at());
  const auto count = [&](unsigned step_bits) {
    return between([&] {
      aie::parallel_lookup<uint16, decltype(lut), aie::lut_oor_policy::truncate> look_up(lut, step_bits);
      aie::store_v(out_bf_.at(), look_up.fetch(aie::load_v<16>(index.at())));
    });
  };
  EXPECT_EQ(count(8), (Counts{{kLoadUpshift, 1}, {kShift, 1}, {kElementwise, 1}, {kGather, 4}, {kShuffle, 1}}));
  EXPECT_EQ(count(0)[kElementwise], 2u);  // and the policy for indices beyond the table
}

TEST_F(CyclesLower, Rearrangements) {
  const auto transpose = [&](unsigned rows, unsigned columns) {
    return between([&] { aie::store_v(out_.at(), aie::transpose(aie::load_v<64>(in_.at()), rows, columns)); });
  };
  EXPECT_EQ(transpose(8, 8), (Counts{{kShuffle, 1}}));
  EXPECT_EQ(transpose(4, 16), (Counts{{kShuffle, 1}}));
  EXPECT_EQ(transpose(2, 32), (Counts{{kShuffle, 2}}));
  const auto zip = [&](bool both) {
    return between([&] {
      const auto [low, high] = aie::interleave_zip(aie::load_v<64>(in_.at()), aie::load_v<64>(in_.at(64)), 1);
      aie::store_v(out_.at(), low);
      if (both) aie::store_v(out_.at(64), high);
    });
  };
  EXPECT_EQ(zip(true), (Counts{{kShuffle, 2}}));
  EXPECT_EQ(zip(false), (Counts{{kShuffle, 1}}));
}

// A sum that begins with zeros begins with a product; zeros that a loop takes up need their instruction.
TEST_F(CyclesLower, Zeros) {
  const auto product = [&](aie::accum<acc32, 32> sum) {
    return aie::mac(sum, aie::load_v<32>(in16_.at()), aie::load_v<32>(in16_.at(32)));
  };
  EXPECT_EQ(between([&] { aie::store_v(out_.at(), product(aie::zeros<acc32, 32>()).to_vector<int8>(0)); }),
            (Counts{{kMultiply, 1}, {kStoreShift, 1}}));
  const Block block = simplify(record([&] {
    auto sum = aie::zeros<acc32, 32>();
    loop("loop", 8, [&](int) { sum = product(sum); });
    aie::store_v(out_.at(), sum.to_vector<int8>(0));
  }));
  ASSERT_NE(block[1].loop, nullptr);
  EXPECT_EQ(counts(lower_straight(std::span(block).first(1), count_readers(block), kDevice)), (Counts{{kMultiply, 1}}));
}

TEST_F(CyclesLower, CarriedValuesAndMemory) {
  const Block block = simplify(record([&] {
    auto most = aie::load_v<32>(in_.at());
    loop("loop", 8, [&](int pass) {
      const auto i = static_cast<unsigned>(pass);
      most = aie::max(most, aie::load_v<32>(in_.at(32 * i)));
      aie::store_v(in_.at(32 * (i + 2)), most);  // what the pass after the next reads
    });
  }));
  const NativeCode code = lower_pass(*block[1].loop, count_readers(block), kDevice);
  ASSERT_EQ(code.instructions.size(), 3u);
  unsigned carried = 0;
  for (const NativeUse& use : code.instructions[1].uses) carried += use.passes_ago == 1;
  EXPECT_EQ(carried, 1u);
  ASSERT_EQ(code.memory.size(), 1u);
  EXPECT_EQ(code.memory[0].from, 2);
  EXPECT_EQ(code.memory[0].to, 0);
  EXPECT_EQ(code.memory[0].passes_ago, 2);
}

// The published kernel's row on slot mv, as its instructions were counted by hand from the headers: 28, 32 and 40 of
// AIE-ML, 27, 30 and 36 of v2 for rows of 32, 64 and 128.
TEST_F(CyclesLower, PublishedRow) {
  alignas(64) static std::array<int8, 64 * 128> logits{};
  alignas(64) static std::array<uint8, 64 * 128> out{};
  alignas(64) static std::array<int16, 128> scores{};
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<int8>(i * 37 % 201 - 100);
  hccs_kernels::HccsHead head;
  head.offset = 293;
  head.knee_count = 1;
  head.slope[0] = 9;
  head.position[0] = 31;
  const std::map<unsigned, unsigned> expected = kIsV2 ? std::map<unsigned, unsigned>{{32, 27}, {64, 30}, {128, 36}}
                                                      : std::map<unsigned, unsigned>{{32, 28}, {64, 32}, {128, 40}};
  for (const auto& entry : expected) {
    const unsigned n = entry.first;
    const unsigned mv = entry.second;
    const CallCost cost = cost_of_call(record([&] {
                                         hccs_kernels::softmax_paper_rows<hccs_kernels::Normalisation::kClb>(
                                             logits.data(), out.data(), 64, n, head, scores.data());
                                       }),
                                       kDevice);
    const int have = cost.hottest()->schedule.bounds.slot[static_cast<unsigned>(Slot::kMove)];
    EXPECT_EQ(have, static_cast<int>(mv)) << "n = " << n;
    // What kPipelinedInstructions is fitted to: of the published rows those of 128 do not overlap.
    EXPECT_EQ(cost.hottest()->code.instructions.size() <= kPipelinedInstructions, n < 128) << "n = " << n;
    EXPECT_EQ(cost.hottest()->schedule.interval > 0, n < 128) << "n = " << n;
  }
}

}  // namespace
