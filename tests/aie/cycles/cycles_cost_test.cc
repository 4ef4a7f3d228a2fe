// SPDX-License-Identifier: Apache-2.0
//
// What a call costs: loops in loops, branches and set-up, divisions.
#include <gtest/gtest.h>

#include <stdexcept>

#include "aie/cycles/cost.h"

namespace {

using namespace aie_cycles;

// Data memory of a tile: five buffers, each at the beginning of a bank.
constexpr std::size_t kBank = 0x10000;
alignas(kBank) std::byte data_memory[5 * kBank];

// The address of 32 bytes: piece `index` of buffer `buffer`.
const std::byte* piece(std::size_t buffer, int index) {
  return data_memory + buffer * kBank + static_cast<std::size_t>(index) * 32;
}

// Builds a recording by hand, through the recorder.
class Call {
 public:
  void load(const std::byte* address) { report(Operation::kLoad, {}, {vector(++next_)}, address); }
  void add() { report(Operation::kAdd, {vector(next_), vector(next_)}, {vector(next_ + 1)}), ++next_; }
  void store(const std::byte* address) { report(Operation::kStore, {vector(next_)}, {}, address); }
  void divide(int number) {
    ++next_;
    report(Operation::kDivide, {scalar(0, number)}, {scalar(next_, 1000000 + next_)});
  }
  template <typename F>
  void loop(const char* site, int passes, F body) {
    recorder_.loop_begin(site);
    for (int pass = 0; pass < passes; ++pass) {
      recorder_.loop_iteration(site);
      body(pass);
    }
    recorder_.loop_end(site);
  }
  CallCost cost(Device device, const ControlCosts& control = {}) {
    return cost_of_call(recorder_.take(), device, control);
  }

 private:
  static Value vector(ValueId id) { return {aie_host::ValueKind::kVector, Element::kInt16, 16, id, 0}; }
  static Value scalar(ValueId id, std::int64_t bits) { return {ValueKind::kScalar, Element::kInt32, 1, id, bits}; }
  void report(Operation operation, std::vector<Value> inputs, std::vector<Value> results,
              const std::byte* address = nullptr) {
    recorder_.operation({operation, inputs, results, {}, address, address == nullptr ? 0u : 32u});
  }

  Recorder recorder_;
  ValueId next_ = 0;
};

void copy(Call& call, int pass) {
  call.load(piece(1, pass));
  call.add();
  call.store(piece(2, pass));
}

constexpr Device kDevices[] = {Device::kAieMl, Device::kAieMlV2, Device::kXdna2};

TEST(CyclesCost, Empty) { EXPECT_EQ(Call().cost(Device::kAieMl).cycles, ControlCosts{}.call); }

// load 7, add 2, store 1: 10 bundles.
TEST(CyclesCost, StraightCode) {
  for (const Device device : kDevices) {
    Call call;
    copy(call, 0);
    const CallCost cost = call.cost(device);
    EXPECT_EQ(cost.cycles, ControlCosts{}.call + 10);
    ASSERT_EQ(cost.pieces.size(), 1u);
    EXPECT_EQ(cost.hottest(), &cost.pieces[0]);
    EXPECT_FALSE(cost.pieces[0].is_loop);
    EXPECT_EQ(cost.program_bytes, 160);
  }
}

TEST(CyclesCost, Loop) {
  for (const Device device : kDevices) {
    Call call;
    call.loop("copy", 40, [&](int pass) { copy(call, pass); });
    const CallCost cost = call.cost(device, {.call = 100, .loop_setup = 20});
    // Interval 1: 39 and the last pass.
    EXPECT_EQ(cost.cycles, 100 + 20 + 39 + 10);
    ASSERT_EQ(cost.pieces.size(), 1u);
    EXPECT_EQ(cost.pieces[0].name, "copy");
    EXPECT_EQ(cost.pieces[0].times, 1);
    EXPECT_EQ(cost.pieces[0].passes, 40);
    EXPECT_EQ(cost.pieces[0].cycles, 20 + 39 + 10);
    EXPECT_EQ(cost.slot_use[static_cast<unsigned>(Slot::kStore)], 40);
  }
}

// A loop of interval 1 whose three slots need a cycle a pass, and straight code that waits.
TEST(CyclesCost, Breakdown) {
  for (const Device device : kDevices) {
    Call call;
    call.loop("copy", 40, [&](int pass) { copy(call, pass); });
    copy(call, 50);
    const ControlCosts control{.call = 100, .loop_setup = 20};
    const CallCost cost = call.cost(device, control);
    const Breakdown parts = breakdown(cost, control);
    EXPECT_EQ(parts.one_slot, 41);
    EXPECT_EQ(parts.other_slots, 0);
    EXPECT_EQ(parts.intervals, 0);
    EXPECT_EQ(parts.latency, cost.cycles - 100 - 41);
  }
}

// Where another slot is the busiest in another piece, pieces need more together than the busiest slot of all.
TEST(CyclesCost, BreakdownOfUnequalPieces) {
  Call call;
  call.loop("sums", 40, [&](int pass) {
    call.load(piece(1, pass));
    for (int i = 0; i < 5; ++i) call.add();
    call.store(piece(2, pass));
  });
  call.loop("stores", 40, [&](int pass) {
    call.load(piece(3, pass));
    for (int i = 0; i < 3; ++i) call.store(piece(4, pass * 3 + i));
  });
  const CallCost cost = call.cost(Device::kAieMl);
  const Breakdown parts = breakdown(cost);
  EXPECT_EQ(parts.one_slot, 40 * 5);
  EXPECT_EQ(parts.other_slots, 40 * 3);
  EXPECT_GE(parts.intervals, 0);
  EXPECT_EQ(parts.one_slot + parts.other_slots + parts.intervals + parts.latency + ControlCosts{}.call, cost.cycles);
}

// The inner loop's set-up each time, the outer one's branch where no code at the end can fill it.
TEST(CyclesCost, NestedLoops) {
  for (const Device device : kDevices) {
    const ControlCosts control{.call = 0, .loop_setup = 7, .branch = 6};
    Call bare;
    bare.loop("outer", 5, [&](int) { bare.loop("inner", 40, [&](int pass) { copy(bare, pass); }); });
    const long inner = 7 + 39 + 10;
    EXPECT_EQ(bare.cost(device, control).cycles, 7 + 5 * (inner + 6));
    Call filled;
    filled.loop("outer", 5, [&](int) {
      filled.loop("inner", 40, [&](int pass) { copy(filled, pass); });
      copy(filled, 50);
    });
    const CallCost cost = filled.cost(device, control);
    EXPECT_EQ(cost.cycles, 7 + 5 * (inner + 10));
    ASSERT_EQ(cost.pieces.size(), 2u);
    EXPECT_EQ(cost.pieces[0].times, 5);
    EXPECT_EQ(cost.pieces[0].passes, 200);
    EXPECT_EQ(cost.pieces[1].name, "straight in outer");
    EXPECT_EQ(cost.hottest()->name, "inner");
  }
}

TEST(CyclesCost, DivisionsAreNotOverlapped) {
  for (const Device device : kDevices) {
    const ControlCosts control{.call = 0, .loop_setup = 0};
    const auto cycles = [&](int passes, bool divides) {
      Call call;
      call.loop("rows", passes, [&](int pass) {
        copy(call, pass);
        if (divides) call.divide(100 + pass);
      });
      return call.cost(device, control).cycles;
    };
    const long divide = Machine::of(device)[Opcode::kDivide].busy;
    EXPECT_EQ(cycles(40, false), 39 + 10);
    // Each pass its own, and nothing beside the division.
    EXPECT_EQ(cycles(20, true) - cycles(10, true), 10 * (cycles(3, true) - cycles(2, true)));
    EXPECT_GE(cycles(3, true) - cycles(2, true), divide + 3);
  }
}

// A pass of more instructions than the limit is not overlapped with the next.
TEST(CyclesCost, LongPasses) {
  Call call;
  call.loop("copy", 40, [&](int pass) { copy(call, pass); });
  EXPECT_EQ(call.cost(Device::kAieMl, {.call = 0, .loop_setup = 0, .pipelined_instructions = 2}).cycles, 40 * 10);
}

TEST(CyclesCost, Deterministic) {
  for (const Device device : kDevices) {
    std::vector<long> cycles;
    std::vector<Placement> placements;
    for (int run = 0; run < 3; ++run) {
      Call call;
      call.loop("copy", 20, [&](int pass) {
        copy(call, 2 * pass);
        copy(call, 2 * pass + 1);
      });
      const CallCost cost = call.cost(device);
      cycles.push_back(cost.cycles);
      const auto& now = cost.pieces[0].schedule.placements;
      if (run > 0) {
        ASSERT_EQ(now.size(), placements.size());
        for (std::size_t i = 0; i < now.size(); ++i) {
          EXPECT_EQ(now[i].cycle, placements[i].cycle);
          EXPECT_EQ(now[i].slot, placements[i].slot);
        }
      }
      placements = now;
    }
    EXPECT_EQ(cycles[1], cycles[0]);
    EXPECT_EQ(cycles[2], cycles[0]);
  }
}

// A number beyond the list of operations is refused.
TEST(CyclesCost, UnknownOperation) {
  Recorder recorder;
  const std::array<Value, 1> result{Value{ValueKind::kScalar, Element::kInt32, 1, 1, 5}};
  recorder.operation({static_cast<Operation>(aie_host::kOperationCount), {}, result, {}, nullptr, 0});
  try {
    cost_of_call(recorder.take(), Device::kAieMl);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find(std::to_string(aie_host::kOperationCount)), std::string::npos);
  }
}

}  // namespace
