// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/feed.h"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace aie_cycles;

TEST(Feed, SlowestOfThreeCounts) {
  // 8192 bytes through one channel of 4 bytes: 2048 cycles, and the locks.
  const BlockTraffic block{8192, 8192};
  EXPECT_EQ(block_time(5000, block, Device::kAieMl).cycles, 5000);
  EXPECT_EQ(block_time(5000, block, Device::kAieMl).binding, Bind::kCore);
  const int lock = TileFeed::of(Device::kAieMl).lock_cycles;
  EXPECT_EQ(block_time(1000, block, Device::kAieMl).cycles, 2048 + lock);
  EXPECT_EQ(block_time(1000, block, Device::kAieMl).binding, Bind::kFeedIn);
  EXPECT_EQ(block_time(1000, {8192, 16384}, Device::kAieMl).binding, Bind::kFeedOut);
  EXPECT_EQ(block_time(1000, {8192, 16384}, Device::kAieMl).cycles, 4096 + lock);
  // Streams of 64 bits; two channels; no more than there are.
  EXPECT_EQ(block_time(0, block, Device::kAieMlV2).cycles, 1024 + TileFeed::of(Device::kAieMlV2).lock_cycles);
  EXPECT_EQ(block_time(0, {8192, 8192, 2, 2}, Device::kAieMl).cycles, 1024 + lock);
  EXPECT_EQ(block_time(0, {8192, 8192, 9, 9}, Device::kAieMl).cycles, 1024 + lock);
  // What nobody sends takes no time.
  EXPECT_EQ(block_time(7, {0, 0}, Device::kAieMl).cycles, 7);
}

// 64 int8 take 16 cycles on one channel of AIE-ML, 8 on two or on v2.
TEST(Feed, CyclesPer64) {
  const long bytes = 64 * 1000;
  const auto per_64 = [&](Device device, unsigned channels) {
    const double cycles = block_time(0, {bytes, bytes, channels, channels}, device).cycles;
    return (cycles - TileFeed::of(device).lock_cycles) / 1000;
  };
  EXPECT_DOUBLE_EQ(per_64(Device::kAieMl, 1), 16);
  EXPECT_DOUBLE_EQ(per_64(Device::kAieMl, 2), 8);
  EXPECT_DOUBLE_EQ(per_64(Device::kAieMlV2, 1), 8);
  EXPECT_DOUBLE_EQ(per_64(Device::kAieMlV2, 2), 4);
  EXPECT_DOUBLE_EQ(per_64(Device::kXdna2, 1), 16);
}

TEST(Feed, AccessesByBuffer) {
  alignas(64) static char memory[3][256];
  const auto at = [](int buffer) { return reinterpret_cast<std::uintptr_t>(memory[buffer]); };
  const Buffer buffers[] = {{BufferUse::kIn, at(0), at(0) + 256},
                            {BufferUse::kOut, at(1), at(1) + 256},
                            {BufferUse::kScratch, at(2), at(2) + 256}};
  const auto access = [](Operation operation, std::uintptr_t address, unsigned bytes) {
    Item item;
    item.step.operation = operation;
    item.step.address = address;
    item.step.bytes = bytes;
    return item;
  };
  Block block;
  block.push_back(access(Operation::kLoad, at(2), 32));
  Item loop;
  loop.loop = std::make_unique<Loop>();
  for (int pass = 0; pass < 3; ++pass) {
    Block body;
    body.push_back(access(Operation::kLoad, at(0) + 64, 64));
    body.push_back(access(Operation::kStore, at(1), 32));
    body.push_back(access(Operation::kLoad, 1, 32));     // no buffer: a table, the stack
    body.push_back(access(Operation::kMax, at(0), 64));  // no access
    loop.loop->passes.push_back(std::move(body));
  }
  block.push_back(std::move(loop));
  const Accesses ml = count_accesses(block, buffers, Device::kAieMl);  // 32 bytes each
  EXPECT_EQ(ml.in, 6);
  EXPECT_EQ(ml.out, 3);
  EXPECT_EQ(ml.scratch, 1);
  const Accesses v2 = count_accesses(block, buffers, Device::kAieMlV2);  // 64 bytes
  EXPECT_EQ(v2.in, 3);
  EXPECT_EQ(v2.out, 3);
}

TEST(Feed, BankConflicts) {
  const Accesses accesses{100, 50, 20};
  const BlockTraffic traffic{1600, 800};  // 100 and 50 accesses of the DMA
  const auto conflicts = [&](const BankPlacement& placement) {
    return expected_conflicts(accesses, traffic, 1000, placement, Device::kAieMl);
  };
  EXPECT_EQ(conflicts({}), 0);                           // the graphs'
  EXPECT_EQ(conflicts({{0, 1}, {2, 3}, 4}), 0);          // any without a shared bank
  EXPECT_DOUBLE_EQ(conflicts({{0, 0}, {2, 3}, 4}), 10);  // the DMA fills beside the loads: 100 * 100 / 1000
  EXPECT_DOUBLE_EQ(conflicts({{0, 1}, {3, 3}, 4}), 2.5);
  // Loads and stores meet in one bank with every second block; with the others the DMA's two accesses, without the
  // core.
  EXPECT_DOUBLE_EQ(conflicts({{0, 1}, {0, 3}, 4}), 100 * 50 / 1000.0 / 2);
  // The core's loads and the DMA's reads of results, then the core's stores and the DMA's writes.
  EXPECT_DOUBLE_EQ(conflicts({{0, 1}, {3, 0}, 4}), (100 * 50 + 50 * 100) / 1000.0 / 2);
  // Scratch beside an input: loads of one block, the DMA's writes of the next.
  EXPECT_DOUBLE_EQ(conflicts({{0, 1}, {2, 3}, 0}), (100 * 20 + 100 * 20) / 1000.0 / 2);
  // No worse placement than one bank for all.
  EXPECT_GT(conflicts({{0, 0}, {0, 0}, 0}), conflicts({{0, 0}, {0, 0}, 4}));
  EXPECT_EQ(expected_conflicts(accesses, traffic, 0, {{0, 0}, {0, 0}, 0}, Device::kAieMl), 0);
}

TEST(Feed, InterfaceLimits) {
  const Array& ve2802 = Array::of(Device::kAieMl);
  EXPECT_EQ(ve2802.tiles, 304u);
  EXPECT_DOUBLE_EQ(ve2802.in_gb(0.5), 880);  // 1120 by PLIOs at 500 MHz, but 880 beyond the interface
  EXPECT_DOUBLE_EQ(ve2802.in_gb(), 700);     // 140 PLIOs of 5 GB/s
  EXPECT_DOUBLE_EQ(ve2802.out_gb(), 525);    // 105
  EXPECT_DOUBLE_EQ(ve2802.out_gb(0.5), 600);
  EXPECT_EQ(Array::of(Device::kAieMlV2).tiles, 144u);
  EXPECT_DOUBLE_EQ(Array::of(Device::kAieMlV2).in_gb(), 36 * 4 * 5);
  EXPECT_EQ(Array::of(Device::kXdna2).tiles, 32u);
  EXPECT_DOUBLE_EQ(Array::of(Device::kXdna2).in_gb(), 0);  // no programmable logic
}

// A stream of AIE-ML v2 takes 10 GB/s; a PLIO of 128 bits gives 5 at a quarter of the array's clock, 10 at half.
TEST(Feed, OnePlioForAChannel) {
  const Array& array = Array::of(Device::kAieMlV2);
  const BlockTraffic traffic{1 << 20, 1 << 20};
  const BlockTime time = block_time(1, traffic, Device::kAieMlV2);
  EXPECT_NEAR(scale(array, 1, 1 << 20, traffic, time).gelem_per_s, 5, 0.01);
  EXPECT_EQ(scale(array, 1, 1 << 20, traffic, time).binding, Bind::kInterfaceIn);
  EXPECT_NEAR(scale(array, 1, 1 << 20, traffic, time, kClockGhz / 2).gelem_per_s, 10, 0.01);
  EXPECT_EQ(scale(array, 1, 1 << 20, traffic, time, kClockGhz / 2).binding, Bind::kFeedIn);
}

TEST(Feed, ScalesUntilTheInterfaceBinds) {
  for (const Device device : {Device::kAieMl, Device::kAieMlV2}) {
    const Array& array = Array::of(device);
    for (const long out : {8192L, 16384L}) {
      const BlockTraffic traffic{8192, out};
      for (const double core : {500.0, 2500.0, 100000.0}) {
        const BlockTime time = block_time(core, traffic, device);
        const unsigned from = saturation(array, traffic, time);
        double before = 0;
        for (unsigned tiles = 1; tiles <= array.tiles; ++tiles) {
          SCOPED_TRACE(std::to_string(tiles) + " tiles");
          const Scaling s = scale(array, tiles, 8192, traffic, time);
          const bool bound = from != 0 && tiles >= from;
          EXPECT_EQ(s.binding == time.binding, !bound);
          EXPECT_GE(s.gelem_per_s, before - 1e-9);
          if (!bound) {
            EXPECT_NEAR(s.gelem_per_s, tiles * 8192 / time.cycles * kClockGhz, 1e-6);
          }
          // Never more than the interface carries.
          EXPECT_LE(s.gelem_per_s, array.in_gb() * (1 + 1e-12));
          EXPECT_LE(s.gelem_per_s * static_cast<double>(out) / 8192, array.out_gb() * (1 + 1e-12));
          before = s.gelem_per_s;
        }
        if (core > 50000) {
          EXPECT_EQ(from, 0u);
        }
      }
    }
  }
}

}  // namespace
