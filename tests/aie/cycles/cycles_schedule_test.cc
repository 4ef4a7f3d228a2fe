// SPDX-License-Identifier: Apache-2.0
//
// Schedules: the compiler's stored ones (llvm/test/CodeGen/AIE of Xilinx/llvm-aie), rebuilt from their operations, and
// what holds for every schedule, on random data-flow graphs.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "aie/cycles/schedule.h"

namespace {

using namespace aie_cycles;
using enum Opcode;

// Code by hand.
class Code {
 public:
  // The result's value; `units` 0: none.
  int add(Opcode opcode, std::vector<NativeUse> uses, RegisterFile file = RegisterFile::kVector, unsigned units = 0) {
    const int index = static_cast<int>(code.instructions.size());
    const int result = units == 0 ? -1 : value(file, units, index);
    code.instructions.push_back({opcode, std::move(uses), result, -1, std::nullopt});
    return result;
  }
  int vector(Opcode opcode, std::vector<NativeUse> uses, unsigned units = 2) {
    return add(opcode, std::move(uses), RegisterFile::kVector, units);
  }
  int accum(Opcode opcode, std::vector<NativeUse> uses, unsigned units = 2) {
    return add(opcode, std::move(uses), RegisterFile::kAccumulator, units);
  }
  int scalar(Opcode opcode, std::vector<NativeUse> uses) {
    return add(opcode, std::move(uses), RegisterFile::kScalar, 1);
  }
  // A value from before.
  int value(RegisterFile file, unsigned units, int producer = -1) {
    code.values.push_back({producer, file, units});
    code.live_out.push_back(false);
    return static_cast<int>(code.values.size()) - 1;
  }
  // Its result becomes the value that was read as an earlier pass's.
  void carry(int use_of, int made, int passes_ago = 1) {
    for (NativeInstruction& instruction : code.instructions) {
      for (NativeUse& use : instruction.uses) {
        if (use.value == use_of) use = {made, use.role, passes_ago};
      }
    }
  }
  int last() const { return static_cast<int>(code.instructions.size()) - 1; }

  NativeCode code;
};

constexpr auto kVectors = RegisterFile::kVector;
constexpr auto kAccums = RegisterFile::kAccumulator;

int cycle(const Schedule& schedule, int instruction) {
  return schedule.placements[static_cast<std::size_t>(instruction)].cycle;
}

// What must hold for a schedule of a loop (interval > 0) or of straight code.
void expect_valid(const NativeCode& code, const Schedule& schedule, Device device) {
  const Machine& machine = Machine::of(device);
  const int interval = schedule.interval;
  ASSERT_EQ(schedule.placements.size(), code.instructions.size());
  std::set<std::pair<int, Slot>> slots;
  std::set<std::pair<int, Port>> ports;
  const auto row_of = [&](int c) { return interval == 0 ? c : c % interval; };
  for (std::size_t i = 0; i < code.instructions.size(); ++i) {
    const Placement& at = schedule.placements[i];
    const Instruction& row = machine[code.instructions[i].opcode];
    ASSERT_GE(at.cycle, 0);
    ASSERT_LT(at.cycle, schedule.length);
    ASSERT_LT(at.cycle, interval == 0 ? schedule.length : schedule.stages * interval);
    ASSERT_NE(row.slots & set_of(at.slot), 0);
    for (int busy = 0; busy < row.busy; ++busy) {
      for (unsigned s = 0; s < kSlotCount; ++s) {
        if (((set_of(at.slot) | row.blocks) & (1u << s)) == 0) continue;
        ASSERT_TRUE(slots.emplace(row_of(at.cycle + busy), static_cast<Slot>(s)).second) << "slot taken twice";
      }
    }
    for (const PortUse& use : row.ports) {
      if ((use.slots & set_of(at.slot)) == 0) continue;
      ASSERT_TRUE(ports.emplace(row_of(at.cycle + use.cycle - 1), use.port).second) << name(use.port) << " taken twice";
    }
    for (const NativeUse& use : code.instructions[i].uses) {
      const int producer = code.values[static_cast<std::size_t>(use.value)].producer;
      if (producer < 0) continue;
      // Passes that do not overlap follow each other by the length.
      const int apart = use.passes_ago * (interval == 0 ? schedule.length : interval);
      const Opcode from = code.instructions[static_cast<std::size_t>(producer)].opcode;
      ASSERT_GE(at.cycle + apart, cycle(schedule, producer) + distance(machine[from], row, use.role));
    }
  }
  for (const MemoryOrder& order : code.memory) {
    const int apart = order.passes_ago * (interval == 0 ? schedule.length : interval);
    const auto& first = machine[code.instructions[static_cast<std::size_t>(order.from)].opcode];
    const auto& second = machine[code.instructions[static_cast<std::size_t>(order.to)].opcode];
    ASSERT_GE(cycle(schedule, order.to) + apart, cycle(schedule, order.from) + memory_distance(first, second));
  }
  if (interval == 0) return;
  EXPECT_GE(interval, schedule.bounds.resource);
  EXPECT_GE(interval, schedule.bounds.recurrence);
  EXPECT_LE(schedule.live[0], machine.vector_registers());
  EXPECT_LE(schedule.live[1], machine.accumulator_registers());
  EXPECT_LE(schedule.live[2], machine.scalar_registers());
}

Schedule pipeline(Code& c, Device device, long least_passes) {
  Schedule schedule = schedule_loop(c.code, device, least_passes);
  expect_valid(c.code, schedule, device);
  EXPECT_LE(schedule.stages, least_passes);
  return schedule;
}

// Row 1: hardsigmoid-templated.mir.
TEST(CyclesSchedule, HardSigmoid) {
  Code c;
  const int bounds = c.value(kVectors, 2), zero = c.value(kVectors, 2), slope = c.value(kVectors, 2);
  const int offset = c.value(kAccums, 2);
  const int x = c.vector(kLoadUnpack, {});
  const int low = c.vector(kElementwise, {{x}, {bounds}});
  const int high = c.vector(kElementwise, {{low}, {zero}});
  const int sum = c.accum(kMultiplyAdd, {{high}, {slope}, {offset, Role::kAccumulator}});
  c.add(kStoreShift, {{sum}});
  const Schedule s = pipeline(c, Device::kAieMl, 10);
  EXPECT_EQ(s.interval, 2);
  EXPECT_EQ(s.stages, 8);
  EXPECT_EQ(s.bounds.binding, "mv");
  EXPECT_EQ(cycle(s, 1) - cycle(s, 0), 7);
  EXPECT_EQ(cycle(s, 2) - cycle(s, 1), 1);
  EXPECT_EQ(cycle(s, 3) - cycle(s, 2), 2);
  EXPECT_EQ(cycle(s, 4) - cycle(s, 3), 5);
}

// Row 2: ld2-mv-mac2-st2.mir. The stored one issues both loads in slot B, in 7 stages; with both slots it is 6 or 7.
TEST(CyclesSchedule, TwoLoadsTwoProducts) {
  Code c;
  const int zero = c.value(kVectors, 1), factor = c.value(kVectors, 2), offset = c.value(kAccums, 2);
  const int half = c.vector(kMove, {{zero}}, 1);
  for (int i = 0; i < 2; ++i) {
    const int x = c.vector(kLoad, {}, 1);
    const int sum = c.accum(kMultiplyAdd, {{x}, {half}, {factor}, {offset, Role::kAccumulator}});
    c.add(kStoreShift, {{sum}});
  }
  const Schedule s = pipeline(c, Device::kAieMl, 10);
  EXPECT_EQ(s.interval, 2);
  EXPECT_GE(s.stages, 6);
  EXPECT_LE(s.stages, 7);
  EXPECT_EQ(s.bounds.slot[static_cast<unsigned>(Slot::kVector)], 2);
  EXPECT_EQ(s.bounds.slot[static_cast<unsigned>(Slot::kStore)], 2);
}

// Row 3: bitwisexor.mir.
TEST(CyclesSchedule, BitwiseXor) {
  Code c;
  const auto load = [&] { return std::vector<NativeUse>{{c.vector(kLoad, {}, 1)}, {c.vector(kLoad, {}, 1)}}; };
  const auto x = load(), y = load();
  const auto with = [](std::vector<NativeUse> uses, int value) {
    uses.push_back({value});
    return uses;
  };
  const int not_x = c.vector(kElementwise, x), not_y = c.vector(kElementwise, y);
  const int a = c.vector(kElementwise, with(x, not_y)), b = c.vector(kElementwise, with(y, not_x));
  const int either = c.vector(kElementwise, {{a}, {b}});
  c.add(kStore, {{either}});
  c.add(kStore, {{either}});
  const Schedule s = pipeline(c, Device::kAieMl, 10);
  EXPECT_EQ(s.interval, 5);
  EXPECT_LE(s.stages, 4);
  EXPECT_EQ(s.bounds.binding, "mv");
}

// Row 4: conv2d.mir, inner loop.
TEST(CyclesSchedule, Convolution) {
  Code c;
  std::vector<int> half;
  half.reserve(8);
  for (int i = 0; i < 8; ++i) half.push_back(c.vector(kLoad, {}, 1));
  const int zero = c.value(kVectors, 2);
  const int x4_before = c.value(kVectors, 2), x2_before = c.value(kVectors, 2);
  const int r0_before = c.value(RegisterFile::kScalar, 1);
  const int x4 = c.vector(kShuffle, {{x4_before}, {half[0]}, {half[1]}, {r0_before, Role::kControl}});
  const int x2 = c.vector(kShuffle, {{x2_before}, {half[2]}, {half[3]}, {r0_before, Role::kControl}});
  const int x9 = c.vector(kShuffle, {{x4}, {x2}}), x1 = c.vector(kShuffle, {{x9}, {zero}});
  const int x3 = c.vector(kShuffle, {{x4}, {x2}}), x5 = c.vector(kShuffle, {{x3}, {zero}});
  for (int i = 0; i < 8; ++i) {
    const std::array<int, 4> rows{x9, x1, x3, x5};
    const std::size_t weights = i < 4 ? 4 : 6;
    const int before = c.value(kAccums, 2);
    const int sum = c.accum(
        kMultiplyAdd,
        {{rows[static_cast<std::size_t>(i) % 4]}, {half[weights]}, {half[weights + 1]}, {before, Role::kAccumulator}});
    c.carry(before, sum);
  }
  const int pointer = c.scalar(kMoveScalar, {});
  const int masked = c.scalar(kScalar, {{pointer}});
  const int r0 = c.scalar(kScalar, {{masked}});
  c.carry(x4_before, x4);
  c.carry(x2_before, x2);
  c.carry(r0_before, r0);
  const Schedule s = pipeline(c, Device::kAieMl, 10);
  EXPECT_EQ(s.interval, 8);
  EXPECT_EQ(s.stages, 3);
  EXPECT_EQ(s.bounds.binding, "vec");
}

// Row 6: small-II.mir.
TEST(CyclesSchedule, FourScalarCopies) {
  Code c;
  for (int i = 0; i < 4; ++i) c.add(kStoreScalar, {{c.scalar(kLoadScalar, {})}});
  const Schedule s = pipeline(c, Device::kAieMl, 4);
  EXPECT_EQ(s.interval, 4);
  EXPECT_EQ(s.stages, 3);
  EXPECT_EQ(s.length, 11);  // 8 bundles before the steady part of 4, 7 after it: 2 * 4 + 11 - 4 = 15
  EXPECT_EQ(s.cycles(3), 8 + 4 + 7);
}

// Row 8: load-mac-store.mir, which the compiler does not overlap: 7 + 1 + 1.
TEST(CyclesSchedule, LoadAddStore) {
  Code c;
  c.add(kStoreScalar, {{c.scalar(kScalar, {{c.scalar(kLoadScalar, {})}})}});
  const Schedule straight = schedule_straight(c.code, Device::kAieMl);
  expect_valid(c.code, straight, Device::kAieMl);
  EXPECT_EQ(straight.length, 9);
  const Schedule once = pipeline(c, Device::kAieMl, 1);
  EXPECT_EQ(once.interval, 0);
  EXPECT_EQ(once.length, 9);
  EXPECT_EQ(once.cycles(10), 90);
  // In registers of its own an overlap would do with one bundle: lda, alu and st once each.
  EXPECT_EQ(pipeline(c, Device::kAieMl, 16).interval, 1);
}

// Row 12: scale.mir, of AIE2P, whose integer products and loads AIE2PS shares.
TEST(CyclesSchedule, Scale) {
  for (const Device device : {Device::kXdna2, Device::kAieMlV2}) {
    Code c;
    const int factor = c.value(kVectors, 2);
    c.add(kStoreShift, {{c.accum(kMultiply, {{c.vector(kLoad, {})}, {factor}}, 4)}});
    const Schedule s = pipeline(c, device, 16);
    EXPECT_EQ(s.interval, 1);
    EXPECT_EQ(s.stages, 14);
    EXPECT_EQ(cycle(s, 1) - cycle(s, 0), 7);
    EXPECT_EQ(cycle(s, 2) - cycle(s, 1), 6);
  }
}

// Row 13: softmax-aa.mir, of AIE2P: at least 4 passes make II 4, as the stages may not be more. Its float products take
// 6 cycles, those of AIE2PS 7: at II 4 the stages are 4 in both.
TEST(CyclesSchedule, FewPasses) {
  for (const Device device : {Device::kAieMl, Device::kXdna2, Device::kAieMlV2}) {
    Code c;
    const int factor = c.value(kVectors, 2);
    c.add(kStoreConvert, {{c.accum(kMultiplyFloat, {{c.vector(kLoad, {}, 1)}, {factor}}, 1)}});
    const int longer = device == Device::kAieMlV2 ? 1 : 0;
    EXPECT_EQ(schedule_straight(c.code, device).length, 14 + longer);
    const Schedule s = pipeline(c, device, 4);
    EXPECT_EQ(s.interval, 4);
    EXPECT_EQ(s.stages, 4);
    EXPECT_EQ(s.length, 14 + longer);
    EXPECT_NE(s.bounds.binding.find("few passes"), std::string::npos);
    EXPECT_EQ(pipeline(c, device, 15).interval, 1);
  }
  // In place, and not in lockstep: the store before the load of the next pass. The stored schedule has 14 = 7 + 6 + 1
  // (memory cycle 5 for both, as on AIE2PS; a product there is a cycle longer).
  Code c;
  const int factor = c.value(kVectors, 2);
  c.add(kStoreConvert, {{c.accum(kMultiplyFloat, {{c.vector(kLoad, {}, 1)}, {factor}}, 1)}});
  c.code.memory.push_back({2, 0, 1});
  const Schedule s = pipeline(c, Device::kAieMlV2, 4);
  EXPECT_EQ(s.interval, 0);
  EXPECT_EQ(s.length, 15);
}

// Row 5: gemm.mir, bf16. 16 products bind: II 16, if the loads need not share a bank. The stored 21 comes from
// registers that the compiler had fixed before (x3 is loaded twice a pass), which the model does not know.
TEST(CyclesSchedule, MatrixProduct) {
  Code c;
  std::vector<int> a, b;
  const auto load = [&] { return std::vector<NativeUse>{{c.vector(kLoad, {}, 1)}, {c.vector(kLoad, {}, 1)}}; };
  for (int i = 0; i < 2; ++i) {
    auto pair = load();
    const auto second = load();
    pair.insert(pair.end(), second.begin(), second.end());
    for (int j = 0; j < 2; ++j) a.push_back(c.vector(kShuffle, pair));
  }
  for (int i = 0; i < 4; ++i) b.push_back(c.vector(kShuffle, load()));
  for (const int x : a) {
    for (const int y : b) {
      const int sum = c.value(kAccums, 1);
      c.carry(sum, c.accum(kMultiplyAddFloat, {{x}, {y}, {sum, Role::kAccumulator}}, 1));
    }
  }
  const Schedule s = pipeline(c, Device::kAieMl, 10);
  EXPECT_EQ(s.bounds.resource, 16);
  EXPECT_EQ(s.bounds.recurrence, 4);
  EXPECT_EQ(s.interval, 16);
}

// Row 7: round.mir. Four instructions of slot st: 4. The stored schedule has 5, as the compiler's search does not shift
// the second upshift out of the way of the loads' (one upshift unit). An older version had 9, with the sticky overflow
// flag as a dependence.
TEST(CyclesSchedule, Round) {
  Code c;
  for (int i = 0; i < 2; ++i) {
    const int x = c.accum(kLoadUpshift, {});
    const int rounded = c.vector(kShift, {{x}}, 1);
    c.add(kStoreShift, {{c.accum(kUpshift, {{rounded}})}});
  }
  const Schedule s = pipeline(c, Device::kAieMl, 10);
  EXPECT_EQ(s.bounds.resource, 4);
  EXPECT_EQ(s.bounds.binding, "st");
  EXPECT_GE(s.interval, 4);
  EXPECT_LE(s.interval, 5);
}

// --- Any code ---

Code random_code(std::mt19937& random, unsigned count, bool loop, bool memory) {
  Code c;
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  std::vector<int> vectors{c.value(kVectors, 2)}, accums{c.value(kAccums, 2)};
  std::vector<std::tuple<std::size_t, std::size_t>> open;  // uses that can become an earlier pass's
  for (unsigned i = 0; i < count; ++i) {
    const auto v = [&] { return NativeUse{vectors[below(vectors.size())]}; };
    const auto a = [&](Role role) { return NativeUse{accums[below(accums.size())], role}; };
    switch (below(10)) {
      case 0:
      case 1:
        vectors.push_back(c.vector(below(2) == 0 ? kLoad : kLoadUnpack, {}));
        break;
      case 2:
      case 3:
        vectors.push_back(c.vector(kElementwise, {v(), v()}));
        break;
      case 4:
        accums.push_back(c.accum(kMultiply, {v(), v()}));
        break;
      case 5:
        accums.push_back(c.accum(kMultiplyAdd, {v(), v(), a(Role::kAccumulator)}));
        break;
      case 6:
        vectors.push_back(c.vector(kShift, {a(Role::kOperand)}));
        break;
      case 7:
        accums.push_back(c.accum(kUpshift, {v()}));
        break;
      case 8:
        c.add(below(2) == 0 ? kStore : kStoreShift, {v()});
        break;
      default:
        vectors.push_back(c.vector(kUnpack, {v()}));
    }
  }
  if (loop) {
    // Some uses are of a value of one of the passes before: of any instruction.
    for (NativeInstruction& instruction : c.code.instructions) {
      for (NativeUse& use : instruction.uses) {
        if (below(6) != 0) continue;
        const RegisterFile file = c.code.values[static_cast<std::size_t>(use.value)].file;
        const auto& pool = file == kVectors ? vectors : accums;
        const int chosen = pool[below(pool.size())];
        if (c.code.values[static_cast<std::size_t>(chosen)].producer < 0) continue;
        use = {chosen, use.role, static_cast<int>(1 + below(2))};
      }
    }
  }
  if (memory) {
    for (int from = 0; from <= c.last(); ++from) {
      for (int to = 0; to <= c.last(); ++to) {
        const Machine& machine = Machine::of(Device::kAieMl);
        const auto opcode = [&](int i) { return c.code.instructions[static_cast<std::size_t>(i)].opcode; };
        if (machine[opcode(from)].memory == 0 || machine[opcode(to)].memory == 0 || below(8) != 0) continue;
        if (from < to || loop) c.code.memory.push_back({from, to, from < to ? 0 : 1});
      }
    }
  }
  for (std::size_t v = 0; v < c.code.live_out.size(); ++v)
    c.code.live_out[v] = c.code.values[v].producer >= 0 && below(8) == 0;
  return c;
}

constexpr Device kDevices[] = {Device::kAieMl, Device::kAieMlV2, Device::kXdna2};

TEST(CyclesSchedule, AnyStraightCode) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const Code c = random_code(random, 1 + seed % 60, false, true);
    for (const Device device : kDevices) {
      const Schedule s = schedule_straight(c.code, device);
      expect_valid(c.code, s, device);
      EXPECT_EQ(s.interval, 0);
      EXPECT_GE(s.length, s.bounds.resource);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(CyclesSchedule, AnyLoop) {
  unsigned overlapped = 0;
  for (unsigned seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const Code c = random_code(random, 1 + seed % 40, true, true);
    for (const Device device : kDevices) {
      for (const long passes : {1L, 2L, 5L, 64L}) {
        NativeCode code = c.code;
        const Schedule s = schedule_loop(code, device, passes);
        expect_valid(code, s, device);
        EXPECT_LE(s.stages, passes);
        // Without an overlap spills are bundles; in one they are loads.
        EXPECT_EQ(s.interval > 0 && s.spills > 0, code.instructions.size() > c.code.instructions.size());
        overlapped += s.interval > 0;
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GT(overlapped, 400u);
}

// Is there a schedule at this interval? Tries every cycle within it for every instruction; the passes that the
// instructions are apart follow from the dependences.
bool has_schedule(const NativeCode& code, const Machine& machine, int interval) {
  const std::size_t count = code.instructions.size();
  std::vector<int> row(count);
  struct Edge {
    std::size_t from, to;
    int latency;
  };
  std::vector<Edge> edges;
  std::vector<int> ago;
  for (std::size_t i = 0; i < count; ++i) {
    for (const NativeUse& use : code.instructions[i].uses) {
      const int producer = code.values[static_cast<std::size_t>(use.value)].producer;
      if (producer < 0) continue;
      const auto from = static_cast<std::size_t>(producer);
      edges.push_back(
          {from, i, distance(machine[code.instructions[from].opcode], machine[code.instructions[i].opcode], use.role)});
      ago.push_back(use.passes_ago);
    }
  }
  const auto feasible = [&] {
    std::vector<int> stage(count);
    for (std::size_t round = 0; round <= count; ++round) {
      bool changed = false;
      for (std::size_t e = 0; e < edges.size(); ++e) {
        const int need = edges[e].latency - ago[e] * interval + row[edges[e].from] - row[edges[e].to];
        const int stages = need > 0 ? (need + interval - 1) / interval : -(-need / interval);
        if (stage[edges[e].to] < stage[edges[e].from] + stages) {
          stage[edges[e].to] = stage[edges[e].from] + stages;
          changed = true;
        }
      }
      if (!changed) return true;
    }
    return false;
  };
  std::vector<unsigned> slots(static_cast<std::size_t>(interval)), ports(static_cast<std::size_t>(interval));
  const auto search = [&](const auto& self, std::size_t i) -> bool {
    if (i == count) return feasible();
    const Instruction& instruction = machine[code.instructions[i].opcode];
    for (row[i] = 0; row[i] < interval; ++row[i]) {
      for (unsigned s = 0; s < kSlotCount; ++s) {
        if ((instruction.slots & (1u << s)) == 0) continue;
        const auto kept_slots = slots, kept_ports = ports;
        unsigned& here = slots[static_cast<std::size_t>(row[i])];
        bool free = (here & ((1u << s) | instruction.blocks)) == 0;
        here |= (1u << s) | instruction.blocks;
        for (const PortUse& use : instruction.ports) {
          if ((use.slots & (1u << s)) == 0) continue;
          unsigned& at = ports[static_cast<std::size_t>((row[i] + use.cycle - 1) % interval)];
          const unsigned bit = 1u << static_cast<unsigned>(use.port);
          free = free && (at & bit) == 0;
          at |= bit;
        }
        if (free && self(self, i + 1)) return true;
        slots = kept_slots;
        ports = kept_ports;
      }
    }
    return false;
  };
  return search(search, 0);
}

TEST(CyclesSchedule, SmallLoopsHaveTheLeastInterval) {
  unsigned overlapped = 0;
  for (unsigned seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Code c = random_code(random, 2 + seed % 5, true, false);
    for (const Device device : kDevices) {
      NativeCode code = c.code;
      const Schedule s = schedule_loop(code, device, 64);
      if (s.interval == 0 || s.interval > 6) continue;
      ++overlapped;
      for (int interval = 1; interval < s.interval; ++interval)
        EXPECT_FALSE(has_schedule(c.code, Machine::of(device), interval)) << "interval " << interval;
      EXPECT_TRUE(has_schedule(c.code, Machine::of(device), s.interval));
    }
  }
  EXPECT_GT(overlapped, 300u);
}

// More values from before than registers: some are loaded in each pass.
TEST(CyclesSchedule, Reloads) {
  for (const Device device : kDevices) {
    Code c;
    const int x = c.vector(kLoad, {});
    for (int i = 0; i < 14; ++i) {
      const int y = c.vector(kElementwise, {{x}, {c.value(kVectors, 2)}});
      c.add(kStore, {{y}});
    }
    const std::size_t before = c.code.instructions.size();
    const Schedule s = pipeline(c, device, 64);
    EXPECT_GT(s.interval, 0);
    EXPECT_GT(s.spills, 0u);
    EXPECT_EQ(c.code.instructions.size(), before + s.spills * (device == Device::kAieMl ? 2 : 1));
  }
}

// The maximum of 64 values: loaded all at once they would not fit the registers; one branch of the tree after the other
// they do, and take no longer than the moves.
TEST(CyclesSchedule, TreesFitTheRegisters) {
  for (const Device device : kDevices) {
    Code c;
    std::vector<int> level;
    level.reserve(64);
    for (int i = 0; i < 64; ++i) level.push_back(c.vector(kLoad, {}));
    for (; level.size() > 1; level.resize(level.size() / 2)) {
      for (std::size_t i = 0; i < level.size() / 2; ++i) {
        level[i] = c.vector(kElementwise, {{level[2 * i]}, {level[2 * i + 1]}});
      }
    }
    c.add(kStore, {{level[0]}});
    const Schedule s = schedule_straight(c.code, device);
    EXPECT_EQ(s.spills, 0u);
    EXPECT_LE(s.length, 63 + 12);
  }
}

TEST(CyclesSchedule, NoCode) {
  NativeCode code;
  EXPECT_EQ(schedule_straight(code, Device::kAieMl).length, 0);
}

}  // namespace
