// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/machine.h"

#include <array>
#include <utility>

namespace aie_cycles {
namespace {

constexpr SlotSet kLoads = set_of(Slot::kLoadA) | set_of(Slot::kLoadB);
constexpr SlotSet kLda = set_of(Slot::kLoadA);
constexpr SlotSet kLdb = set_of(Slot::kLoadB);
constexpr SlotSet kAlu = set_of(Slot::kScalar);
constexpr SlotSet kMv = set_of(Slot::kMove);
constexpr SlotSet kSt = set_of(Slot::kStore);
constexpr SlotSet kVec = set_of(Slot::kVector);
constexpr SlotSet kAll = kLoads | kAlu | kMv | kSt | kVec;

// The rows of AIE2. Those of the other devices are the same but for what the constructor changes afterwards.
using Rows = std::vector<Instruction>;

void add_memory(Rows& rows) {
  using enum Opcode;
  const auto load = [&](Opcode opcode, std::string_view name, SlotSet slots, int result, std::vector<PortUse> ports) {
    rows.push_back(
        {.opcode = opcode, .name = name, .slots = slots, .result = result, .memory = 5, .ports = std::move(ports)});
  };
  const auto store = [&](Opcode opcode, std::string_view name, int memory, std::vector<PortUse> ports) {
    rows.push_back({.opcode = opcode, .name = name, .slots = kSt, .memory = memory, .ports = std::move(ports)});
  };
  load(kLoad, "VLD", kLoads, 7, {{Port::kVectorWriteA, 7, kLda}});
  load(kLoadUnpack, "VLDB.UNPACK", kLdb, 7, {});
  load(kLoadUpshift, "VLDA.UPS", kLda, 9, {{Port::kUpshift, 7}, {Port::kAccumulatorWrite, 9}});
  load(kLoadAccum, "VLDA.am", kLda, 7, {{Port::kAccumulatorWrite, 7}});
  load(kLoadConvert, "VLDA.CONV", kLda, 7, {{Port::kAccumulatorWrite, 7}});
  rows.push_back({.opcode = kGather, .name = "VLDB.4X", .slots = kLdb, .blocks = kLda, .result = 7, .memory = 5});
  load(kLoadScalar, "LDA", kLda, 7, {});
  store(kStore, "VST", 5, {{Port::kStoreUnit, 2}});
  store(kStoreAccum, "VST.am", 5, {{Port::kStoreUnit, 2}, {Port::kAccumulatorRead, 1}});
  store(kStoreShift, "VST.SRS", 7, {{Port::kStoreUnit, 4}, {Port::kAccumulatorRead, 1}});
  store(kStorePack, "VST.PACK", 5, {{Port::kStoreUnit, 2}});
  store(kStoreConvert, "VST.CONV", 7, {{Port::kStoreUnit, 4}, {Port::kAccumulatorRead, 1}});
  store(kStoreScalar, "ST", 5, {{Port::kStoreUnit, 2}});
  // Streams and the cascade use the slots of loads and stores, and no memory.
  rows.push_back({.opcode = kReadStream, .name = "MOV.SS", .slots = kLda, .result = 7});
  rows.push_back({.opcode = kReadCascade,
                  .name = "VMOV.SCD",
                  .slots = kLda,
                  .result = 7,
                  .ports = {{Port::kVectorWriteA, 7}, {Port::kAccumulatorWrite, 7}}});
  rows.push_back({.opcode = kWriteStream, .name = "ST.MS", .slots = kSt});
  rows.push_back({.opcode = kWriteCascade, .name = "VMOV.MCD", .slots = kSt});
}

// From accumulators to narrower lanes, and what else the slots of stores and loads do between registers.
void add_conversions(Rows& rows) {
  using enum Opcode;
  const auto st_unit = [&](Opcode opcode, std::string_view name, int result, bool reads_accumulator) {
    Instruction row{.opcode = opcode, .name = name, .slots = kSt, .result = result};
    row.ports.push_back({Port::kVectorWriteA, result});
    if (reads_accumulator) row.ports.push_back({Port::kAccumulatorRead, 1});
    rows.push_back(std::move(row));
  };
  st_unit(kShift, "VSRS", 4, true);
  st_unit(kConvertDown, "VCONV.bf16", 2, true);
  st_unit(kFloor, "VFLOOR", 2, false);
  st_unit(kPack, "VPACK", 2, false);
  rows.push_back({.opcode = kUnpack, .name = "VUNPACK", .slots = kLdb, .result = 7, .operand = 7});
}

void add_moves(Rows& rows) {
  using enum Opcode;
  const auto move = [&](Opcode opcode, std::string_view name, Bypass result, Bypass operand) {
    rows.push_back({.opcode = opcode,
                    .name = name,
                    .slots = kMv,
                    .result = 2,
                    .result_bypass = result,
                    .operand = 1,
                    .operand_bypass = operand});
  };
  move(kElementwise, "VADD|VMAX", Bypass::kMove, Bypass::kMove);
  move(kCompare, "VLT|VGE", Bypass::kNone, Bypass::kMove);
  move(kSelect, "VSEL", Bypass::kMove, Bypass::kMove);
  move(kShuffle, "VSHUFFLE|VSHIFT", Bypass::kMove, Bypass::kMove);
  move(kBroadcast, "VBCST", Bypass::kMove, Bypass::kNone);
  move(kExtract, "VEXTRACT", Bypass::kNone, Bypass::kMove);
  move(kInsert, "VINSERT", Bypass::kMove, Bypass::kMove);
  move(kMove, "VMOV", Bypass::kMove, Bypass::kMove);
  const auto accum = [&](Opcode opcode, std::string_view name, int result, std::vector<PortUse> ports) {
    rows.push_back({.opcode = opcode, .name = name, .slots = kMv, .result = result, .ports = std::move(ports)});
  };
  accum(kUpshift, "VUPS", 3, {{Port::kUpshift, 1}, {Port::kAccumulatorWrite, 3}});
  accum(kMoveAccum, "VMOV.acc", 2, {{Port::kAccumulatorRead, 1}});
  accum(kMoveToAccum, "VMOV.to.acc", 2, {{Port::kAccumulatorWrite, 2}});
  accum(kConvertUp, "VCONV.fp32", 2, {{Port::kAccumulatorWrite, 2}});
  rows.back().operand_bypass = Bypass::kMove;
  accum(kExp2, "VEXP2", 2, {{Port::kAccumulatorRead, 1}});
  rows.back().result_bypass = Bypass::kMove;
}

void add_products(Rows& rows) {
  using enum Opcode;
  const auto vec = [&](Opcode opcode, std::string_view name, int result, Bypass bypass) {
    rows.push_back({.opcode = opcode,
                    .name = name,
                    .slots = kVec,
                    .result = result,
                    .result_bypass = bypass,
                    .accumulator = 3,
                    .accumulator_bypass = bypass});
  };
  vec(kMultiply, "VMUL", 5, Bypass::kVector);
  vec(kMultiplyAdd, "VMAC", 5, Bypass::kVector);
  vec(kAddAccum, "VADD.acc", 5, Bypass::kVector);
  vec(kMultiplyFloat, "VMUL.f", 6, Bypass::kNone);
  vec(kMultiplyAddFloat, "VMAC.f", 6, Bypass::kNone);
  vec(kAddFloat, "VADD.f", 6, Bypass::kNone);
}

void add_scalars(Rows& rows) {
  using enum Opcode;
  rows.push_back({.opcode = kScalar, .name = "ADD|SEL|CLB", .slots = kAlu, .result = 1});
  rows.push_back({.opcode = kScalarInverse, .name = "INV", .slots = kAlu, .result = 4});
  rows.push_back({.opcode = kMoveScalar, .name = "MOV", .slots = kMv, .result = 1});
  // Fitted to the published cells with a division: see docs/cycle-model.md.
  constexpr int kDivideCycles = 43;
  rows.push_back({.opcode = kDivide,
                  .name = "divide",
                  .slots = kAlu,
                  .blocks = kAll,
                  .busy = kDivideCycles,
                  .result = kDivideCycles});
}

}  // namespace

Machine::Machine(Device device) : device_(device), load_bytes_(32), acc32_lanes_(32), acc_units_(18) {
  Rows rows;
  add_memory(rows);
  add_conversions(rows);
  add_moves(rows);
  add_products(rows);
  add_scalars(rows);
  for (Instruction& row : rows) change(row.opcode) = std::move(row);
  if (device == Device::kAieMl) return;
  change_to_wide();
  device == Device::kAieMlV2 ? change_to_aie2ps() : change_to_aie2p();
}

// What AIE2PS and AIE2P have in common: registers of 512 and 2048 bits in one access and one product; integer products
// a cycle later, accumulators read a cycle later; a port for vectors that are stored or widened.
void Machine::change_to_wide() {
  load_bytes_ = 64;
  acc32_lanes_ = 64;
  for (const Opcode opcode : {Opcode::kMultiply, Opcode::kMultiplyAdd, Opcode::kAddAccum}) {
    change(opcode).result = 6;
    change(opcode).accumulator = 4;
  }
  for (const Opcode opcode : {Opcode::kMultiplyFloat, Opcode::kMultiplyAddFloat, Opcode::kAddFloat}) {
    change(opcode).accumulator = 4;
    change(opcode).accumulator_bypass = Bypass::kVector;
  }
  change(Opcode::kMoveAccum).result_bypass = Bypass::kMove;
  change(Opcode::kMoveToAccum).operand_bypass = Bypass::kMove;
  change(Opcode::kStoreConvert).memory = 5;
  change(Opcode::kUnpack).ports = {{Port::kStoreRead, 7}};
  for (const Opcode opcode :
       {Opcode::kStore, Opcode::kStorePack, Opcode::kPack, Opcode::kFloor, Opcode::kWriteCascade}) {
    change(opcode).ports.push_back({Port::kStoreRead, 1});
  }
}

// AIE2PS: float products two cycles later than on AIE2, with a bypass between them. Comparisons reach a select through
// the bypass, extracts do without. What is loaded to accumulators or converted there has a port of its own.
void Machine::change_to_aie2ps() {
  acc_units_ = 32;
  for (const Opcode opcode : {Opcode::kMultiplyFloat, Opcode::kMultiplyAddFloat, Opcode::kAddFloat}) {
    change(opcode).result = 7;
    change(opcode).result_bypass = Bypass::kVector;
  }
  change(Opcode::kCompare).result_bypass = Bypass::kMove;
  change(Opcode::kSelect).control_bypass = Bypass::kMove;
  change(Opcode::kExtract).operand_bypass = Bypass::kNone;
  change(Opcode::kConvertDown).result = 3;
  change(Opcode::kConvertDown).ports = {{Port::kVectorWriteA, 3}, {Port::kAccumulatorRead, 1}};
  change(Opcode::kStoreConvert).ports = {{Port::kStoreUnit, 2}, {Port::kAccumulatorRead, 1}};
  change(Opcode::kLoadAccum).ports = {{Port::kAccumulatorWriteLoads, 7}};
  change(Opcode::kReadCascade).ports = {{Port::kVectorWriteA, 7}, {Port::kAccumulatorWriteLoads, 7}};
  change(Opcode::kLoadConvert).ports = {{Port::kAccumulatorWriteLoads, 7}};
  change(Opcode::kConvertUp).ports = {{Port::kAccumulatorWriteLoads, 2}};
}

// AIE2P: five accumulators of 2048 bits. The slot of stores reads accumulators through a port that it has to itself;
// a sum of two accumulators reads the second through that of the moves.
void Machine::change_to_aie2p() {
  acc_units_ = 20;
  change(Opcode::kStoreAccum).ports = {{Port::kStoreUnit, 2}};
  change(Opcode::kStoreShift).ports = {{Port::kStoreUnit, 4}};
  change(Opcode::kStoreConvert).ports = {{Port::kStoreUnit, 2}};
  change(Opcode::kShift).ports = {{Port::kVectorWriteA, 4}};
  change(Opcode::kConvertDown).ports = {{Port::kVectorWriteA, 2}};
  for (const Opcode opcode : {Opcode::kAddAccum, Opcode::kAddFloat}) {
    change(opcode).ports.push_back({Port::kAccumulatorRead, 4});
  }
}

const Machine& Machine::of(Device device) {
  static const std::array<Machine, kDeviceCount> kMachines{Machine(Device::kAieMl), Machine(Device::kAieMlV2),
                                                           Machine(Device::kXdna2)};
  return kMachines[static_cast<unsigned>(device)];
}

int distance(const Instruction& producer, const Instruction& consumer, Role role) {
  const int read = role == Role::kAccumulator ? consumer.accumulator : consumer.operand;
  const Bypass bypass = role == Role::kAccumulator ? consumer.accumulator_bypass
                        : role == Role::kControl   ? consumer.control_bypass
                                                   : consumer.operand_bypass;
  const bool forwarded = producer.result_bypass != Bypass::kNone && producer.result_bypass == bypass;
  return producer.result - read + 1 - (forwarded ? 1 : 0);
}

int memory_distance(const Instruction& first, const Instruction& second) { return first.memory - second.memory + 1; }

}  // namespace aie_cycles
