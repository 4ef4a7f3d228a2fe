// SPDX-License-Identifier: Apache-2.0
//
// The instructions of all devices: operand cycles and bypasses row by row, and the distances that the compiler's own
// tests state.
#include <gtest/gtest.h>

#include <set>
#include <span>

#include "aie/cycles/machine.h"

namespace {

using namespace aie_cycles;
using enum Opcode;

const Machine& machine(Device device) { return Machine::of(device); }

int between(Device device, Opcode producer, Opcode consumer, Role role = Role::kOperand) {
  return distance(machine(device)[producer], machine(device)[consumer], role);
}

// From the itineraries of Xilinx/llvm-aie: llvm/lib/Target/AIE/aie2/AIE2Schedule.td, aie2ps/AIE2PSGenSchedule.td and
// aie2p/AIE2PGenSchedule.td.
struct Row {
  Opcode opcode;
  SlotSet slots;
  int result, operand, accumulator, memory;
  Bypass result_bypass, operand_bypass, accumulator_bypass, control_bypass;
};
constexpr Bypass kN = Bypass::kNone, kM = Bypass::kMove, kV = Bypass::kVector;
constexpr SlotSet kLda = set_of(Slot::kLoadA), kLdb = set_of(Slot::kLoadB), kAlu = set_of(Slot::kScalar),
                  kMv = set_of(Slot::kMove), kSt = set_of(Slot::kStore), kVec = set_of(Slot::kVector);

const Row kAie2[] = {
    {kLoad, kLda | kLdb, 7, 1, 1, 5, kN, kN, kN, kN},
    {kLoadUnpack, kLdb, 7, 1, 1, 5, kN, kN, kN, kN},
    {kLoadUpshift, kLda, 9, 1, 1, 5, kN, kN, kN, kN},
    {kLoadAccum, kLda, 7, 1, 1, 5, kN, kN, kN, kN},
    {kLoadConvert, kLda, 7, 1, 1, 5, kN, kN, kN, kN},
    {kGather, kLdb, 7, 1, 1, 5, kN, kN, kN, kN},
    {kLoadScalar, kLda, 7, 1, 1, 5, kN, kN, kN, kN},
    {kStore, kSt, 0, 1, 1, 5, kN, kN, kN, kN},
    {kStoreAccum, kSt, 0, 1, 1, 5, kN, kN, kN, kN},
    {kStoreShift, kSt, 0, 1, 1, 7, kN, kN, kN, kN},
    {kStorePack, kSt, 0, 1, 1, 5, kN, kN, kN, kN},
    {kStoreConvert, kSt, 0, 1, 1, 7, kN, kN, kN, kN},
    {kStoreScalar, kSt, 0, 1, 1, 5, kN, kN, kN, kN},
    {kShift, kSt, 4, 1, 1, 0, kN, kN, kN, kN},
    {kUpshift, kMv, 3, 1, 1, 0, kN, kN, kN, kN},
    {kElementwise, kMv, 2, 1, 1, 0, kM, kM, kN, kN},
    {kCompare, kMv, 2, 1, 1, 0, kN, kM, kN, kN},
    {kSelect, kMv, 2, 1, 1, 0, kM, kM, kN, kN},
    {kShuffle, kMv, 2, 1, 1, 0, kM, kM, kN, kN},
    {kBroadcast, kMv, 2, 1, 1, 0, kM, kN, kN, kN},
    {kReadStream, kLda, 7, 1, 1, 0, kN, kN, kN, kN},
    {kReadCascade, kLda, 7, 1, 1, 0, kN, kN, kN, kN},
    {kWriteStream, kSt, 0, 1, 1, 0, kN, kN, kN, kN},
    {kWriteCascade, kSt, 0, 1, 1, 0, kN, kN, kN, kN},
    {kExtract, kMv, 2, 1, 1, 0, kN, kM, kN, kN},
    {kInsert, kMv, 2, 1, 1, 0, kM, kM, kN, kN},
    {kMove, kMv, 2, 1, 1, 0, kM, kM, kN, kN},
    {kMoveAccum, kMv, 2, 1, 1, 0, kN, kN, kN, kN},
    {kMoveToAccum, kMv, 2, 1, 1, 0, kN, kN, kN, kN},
    {kConvertUp, kMv, 2, 1, 1, 0, kN, kM, kN, kN},
    {kConvertDown, kSt, 2, 1, 1, 0, kN, kN, kN, kN},
    {kFloor, kSt, 2, 1, 1, 0, kN, kN, kN, kN},
    {kPack, kSt, 2, 1, 1, 0, kN, kN, kN, kN},
    {kUnpack, kLdb, 7, 7, 1, 0, kN, kN, kN, kN},
    {kMultiply, kVec, 5, 1, 3, 0, kV, kN, kV, kN},
    {kMultiplyAdd, kVec, 5, 1, 3, 0, kV, kN, kV, kN},
    {kAddAccum, kVec, 5, 1, 3, 0, kV, kN, kV, kN},
    {kMultiplyFloat, kVec, 6, 1, 3, 0, kN, kN, kN, kN},
    {kMultiplyAddFloat, kVec, 6, 1, 3, 0, kN, kN, kN, kN},
    {kAddFloat, kVec, 6, 1, 3, 0, kN, kN, kN, kN},
    {kScalar, kAlu, 1, 1, 1, 0, kN, kN, kN, kN},
    {kMoveScalar, kMv, 1, 1, 1, 0, kN, kN, kN, kN},
};
// What AIE2PS has otherwise, or alone.
const Row kAie2ps[] = {
    {kStoreConvert, kSt, 0, 1, 1, 5, kN, kN, kN, kN},   {kCompare, kMv, 2, 1, 1, 0, kM, kM, kN, kN},
    {kSelect, kMv, 2, 1, 1, 0, kM, kM, kN, kM},         {kExtract, kMv, 2, 1, 1, 0, kN, kN, kN, kN},
    {kMoveAccum, kMv, 2, 1, 1, 0, kM, kN, kN, kN},      {kMoveToAccum, kMv, 2, 1, 1, 0, kN, kM, kN, kN},
    {kConvertDown, kSt, 3, 1, 1, 0, kN, kN, kN, kN},    {kMultiply, kVec, 6, 1, 4, 0, kV, kN, kV, kN},
    {kMultiplyAdd, kVec, 6, 1, 4, 0, kV, kN, kV, kN},   {kAddAccum, kVec, 6, 1, 4, 0, kV, kN, kV, kN},
    {kMultiplyFloat, kVec, 7, 1, 4, 0, kV, kN, kV, kN}, {kMultiplyAddFloat, kVec, 7, 1, 4, 0, kV, kN, kV, kN},
    {kAddFloat, kVec, 7, 1, 4, 0, kV, kN, kV, kN},      {kExp2, kMv, 2, 1, 1, 0, kM, kN, kN, kN},
    {kScalarInverse, kAlu, 4, 1, 1, 0, kN, kN, kN, kN},
};

// What AIE2P has otherwise, or alone.
const Row kAie2p[] = {
    {kStoreConvert, kSt, 0, 1, 1, 5, kN, kN, kN, kN},   {kMoveAccum, kMv, 2, 1, 1, 0, kM, kN, kN, kN},
    {kMoveToAccum, kMv, 2, 1, 1, 0, kN, kM, kN, kN},    {kMultiply, kVec, 6, 1, 4, 0, kV, kN, kV, kN},
    {kMultiplyAdd, kVec, 6, 1, 4, 0, kV, kN, kV, kN},   {kAddAccum, kVec, 6, 1, 4, 0, kV, kN, kV, kN},
    {kMultiplyFloat, kVec, 6, 1, 4, 0, kN, kN, kV, kN}, {kMultiplyAddFloat, kVec, 6, 1, 4, 0, kN, kN, kV, kN},
    {kAddFloat, kVec, 6, 1, 4, 0, kN, kN, kV, kN},      {kExp2, kMv, 2, 1, 1, 0, kM, kN, kN, kN},
    {kScalarInverse, kAlu, 4, 1, 1, 0, kN, kN, kN, kN},
};
constexpr Device kDevices[] = {Device::kAieMl, Device::kAieMlV2, Device::kXdna2};

void expect_row(Device device, const Row& row) {
  const Instruction& have = machine(device)[row.opcode];
  SCOPED_TRACE(std::string(name(device)) + " " + std::string(have.name));
  EXPECT_EQ(have.slots, row.slots);
  EXPECT_EQ(have.result, row.result);
  EXPECT_EQ(have.operand, row.operand);
  EXPECT_EQ(have.memory, row.memory);
  EXPECT_EQ(have.result_bypass, row.result_bypass);
  EXPECT_EQ(have.operand_bypass, row.operand_bypass);
  EXPECT_EQ(have.control_bypass, row.control_bypass);
  if ((row.slots & kVec) != 0) {
    EXPECT_EQ(have.accumulator, row.accumulator);
    EXPECT_EQ(have.accumulator_bypass, row.accumulator_bypass);
  }
}

TEST(CyclesMachine, Instructions) {
  for (const Row& row : kAie2) expect_row(Device::kAieMl, row);
  const auto expect_device = [](Device device, std::span<const Row> own) {
    std::set<Opcode> differ;
    for (const Row& row : own) {
      expect_row(device, row);
      differ.insert(row.opcode);
    }
    for (const Row& row : kAie2) {
      if (!differ.contains(row.opcode)) expect_row(device, row);
      differ.insert(row.opcode);
    }
    // Every instruction but the divide, which is a routine, is in the tables.
    EXPECT_EQ(differ.size() + 1, kOpcodeCount);
  };
  expect_device(Device::kAieMlV2, kAie2ps);
  expect_device(Device::kXdna2, kAie2p);
  for (const Device device : kDevices) {
    for (const Instruction& row : machine(device).instructions()) EXPECT_NE(row.slots, 0) << row.name;
  }
}

// The bypass makes one cycle, a late operand more: llvm/test/CodeGen/AIE of Xilinx/llvm-aie (load-mac-store.mir,
// Mul2D.ll, divs.mir, reduce-mean-templated.ll) and ROCm/hrx-system's schedule_test.py.
TEST(CyclesMachine, Distances) {
  for (const Device device : kDevices) {
    EXPECT_EQ(between(device, kLoad, kElementwise), 7);
    EXPECT_EQ(between(device, kElementwise, kElementwise), 1);
    EXPECT_EQ(between(device, kElementwise, kStore), 2);
    EXPECT_EQ(between(device, kElementwise, kMultiply), 2);
    EXPECT_EQ(between(device, kLoadScalar, kScalar), 7);
    EXPECT_EQ(between(device, kScalar, kStoreScalar), 1);
    EXPECT_EQ(between(device, kLoadScalar, kDivide), 7);
    EXPECT_EQ(between(device, kLoad, kMultiply), 7);
    EXPECT_EQ(between(device, kShift, kElementwise), 4);
    EXPECT_EQ(between(device, kUpshift, kStoreShift), 3);
    EXPECT_EQ(between(device, kLoadUpshift, kShift), 9);
    // An accumulator's chain.
    EXPECT_EQ(between(device, kMultiplyAdd, kMultiplyAdd, Role::kAccumulator), 2);
    // Read late: right after a load, before a vector result is even issued.
    EXPECT_EQ(between(device, kLoad, kUnpack), 1);
    EXPECT_EQ(between(device, kElementwise, kUnpack), -4);
  }
  EXPECT_EQ(between(Device::kAieMl, kMultiply, kStoreShift), 5);
  EXPECT_EQ(between(Device::kAieMlV2, kMultiply, kStoreShift), 6);
  EXPECT_EQ(between(Device::kXdna2, kMultiply, kStoreShift), 6);
  EXPECT_EQ(between(Device::kAieMl, kLoadAccum, kAddFloat, Role::kAccumulator), 5);
  EXPECT_EQ(between(Device::kAieMlV2, kLoadAccum, kAddFloat, Role::kAccumulator), 4);
  EXPECT_EQ(between(Device::kXdna2, kLoadAccum, kAddFloat, Role::kAccumulator), 4);
  // 6 on the AIE2P of the stored schedule, as on AIE2; the floats of AIE2PS take a cycle more.
  EXPECT_EQ(between(Device::kXdna2, kAddFloat, kStoreAccum), 6);
  EXPECT_EQ(between(Device::kAieMl, kAddFloat, kStoreAccum), 6);
  EXPECT_EQ(between(Device::kAieMlV2, kAddFloat, kStoreAccum), 7);
  EXPECT_EQ(between(Device::kAieMl, kMultiplyAddFloat, kMultiplyAddFloat, Role::kAccumulator), 4);
  EXPECT_EQ(between(Device::kAieMlV2, kMultiplyAddFloat, kMultiplyAddFloat, Role::kAccumulator), 3);
  EXPECT_EQ(between(Device::kXdna2, kMultiplyAddFloat, kMultiplyAddFloat, Role::kAccumulator), 3);
  EXPECT_EQ(between(Device::kAieMl, kCompare, kSelect, Role::kControl), 2);
  EXPECT_EQ(between(Device::kXdna2, kCompare, kSelect, Role::kControl), 2);
  EXPECT_EQ(between(Device::kAieMlV2, kCompare, kSelect, Role::kControl), 1);
  EXPECT_EQ(between(Device::kAieMl, kElementwise, kExtract), 1);
  EXPECT_EQ(between(Device::kAieMlV2, kElementwise, kExtract), 2);
  EXPECT_EQ(between(Device::kXdna2, kElementwise, kExtract), 1);
}

TEST(CyclesMachine, Memory) {
  for (const Device device : kDevices) {
    const Machine& m = machine(device);
    EXPECT_EQ(memory_distance(m[kStoreShift], m[kLoad]), 3);  // Mul2D.ll
    EXPECT_EQ(memory_distance(m[kStore], m[kLoad]), 1);
    EXPECT_EQ(memory_distance(m[kLoad], m[kStoreShift]), -1);
  }
}

// The cycle in which an instruction uses a port; 0: never.
int port(Device device, Opcode opcode, Port wanted, Slot slot) {
  for (const PortUse& use : machine(device)[opcode].ports) {
    if (use.port == wanted && (use.slots & set_of(slot)) != 0) return use.cycle;
  }
  return 0;
}

TEST(CyclesMachine, Ports) {
  for (const Device device : kDevices) {
    EXPECT_EQ(machine(device)[kGather].blocks, kLda);
    for (const Instruction& row : machine(device).instructions()) {
      EXPECT_EQ(row.blocks != 0, row.opcode == kGather || row.opcode == kDivide) << row.name;
      EXPECT_EQ(row.busy > 1, row.opcode == kDivide) << row.name;
    }
    // A fused store is at the store unit two cycles after a plain one.
    EXPECT_EQ(port(device, kStore, Port::kStoreUnit, Slot::kStore), 2);
    EXPECT_EQ(port(device, kStoreShift, Port::kStoreUnit, Slot::kStore), 4);
    // One upshift unit, six cycles later for loads.
    EXPECT_EQ(port(device, kUpshift, Port::kUpshift, Slot::kMove), 1);
    EXPECT_EQ(port(device, kLoadUpshift, Port::kUpshift, Slot::kLoadA), 7);
    // Loads of slot A write where the shift unit does, three cycles later.
    EXPECT_EQ(port(device, kLoad, Port::kVectorWriteA, Slot::kLoadA), 7);
    EXPECT_EQ(port(device, kLoad, Port::kVectorWriteA, Slot::kLoadB), 0);
    EXPECT_EQ(port(device, kShift, Port::kVectorWriteA, Slot::kStore), 4);
    for (const Opcode opcode : {kShift, kStoreShift, kStoreAccum, kConvertDown, kStoreConvert}) {
      EXPECT_EQ(port(device, opcode, Port::kAccumulatorRead, Slot::kStore), device == Device::kXdna2 ? 0 : 1);
    }
    for (const Opcode opcode : {kAddAccum, kAddFloat}) {
      EXPECT_EQ(port(device, opcode, Port::kAccumulatorRead, Slot::kVector), device == Device::kXdna2 ? 4 : 0);
    }
    EXPECT_EQ(port(device, kMoveToAccum, Port::kAccumulatorWrite, Slot::kMove), 2);
  }
  EXPECT_EQ(port(Device::kAieMl, kConvertDown, Port::kVectorWriteA, Slot::kStore), 2);
  EXPECT_EQ(port(Device::kAieMlV2, kConvertDown, Port::kVectorWriteA, Slot::kStore), 3);
  EXPECT_EQ(port(Device::kXdna2, kConvertDown, Port::kVectorWriteA, Slot::kStore), 2);
  EXPECT_EQ(port(Device::kXdna2, kLoadAccum, Port::kAccumulatorWrite, Slot::kLoadA), 7);
  EXPECT_EQ(port(Device::kXdna2, kUnpack, Port::kStoreRead, Slot::kLoadB), 7);
  EXPECT_EQ(port(Device::kXdna2, kStore, Port::kStoreRead, Slot::kStore), 1);
  EXPECT_EQ(port(Device::kAieMl, kUnpack, Port::kStoreRead, Slot::kLoadB), 0);
  EXPECT_EQ(port(Device::kAieMlV2, kUnpack, Port::kStoreRead, Slot::kLoadB), 7);
}

TEST(CyclesMachine, Sizes) {
  EXPECT_EQ(machine(Device::kAieMl).load_bytes(), 32u);
  EXPECT_EQ(machine(Device::kAieMlV2).load_bytes(), 64u);
  EXPECT_EQ(machine(Device::kXdna2).load_bytes(), 64u);
  EXPECT_EQ(machine(Device::kXdna2).accumulator_lanes(), 64u);
  EXPECT_EQ(machine(Device::kAieMl).vector_registers(), 24u);         // 12 of 512 bits
  EXPECT_EQ(machine(Device::kAieMl).accumulator_registers(), 18u);    // 9 of 1024
  EXPECT_EQ(machine(Device::kXdna2).accumulator_registers(), 20u);    // 5 of 2048
  EXPECT_EQ(machine(Device::kAieMlV2).accumulator_registers(), 32u);  // 8 of 2048
}

}  // namespace
