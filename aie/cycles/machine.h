// SPDX-License-Identifier: Apache-2.0
//
// The core of an AI Engine as a compiler sees it: slots, instructions with their operand cycles and bypasses, ports,
// registers. In the public compiler (Xilinx/llvm-aie) AIE-ML is AIE2, AIE-ML v2 is AIE2PS and XDNA 2 is AIE2P; the
// numbers are its itineraries.
#ifndef HCCS_AIE_CYCLES_MACHINE_H_
#define HCCS_AIE_CYCLES_MACHINE_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace aie_cycles {

enum class Device { kAieMl, kAieMlV2, kXdna2 };
inline constexpr unsigned kDeviceCount = 3;

constexpr std::string_view name(Device device) {
  constexpr std::array<std::string_view, kDeviceCount> kNames{"aie-ml", "aie-ml-v2", "xdna2"};
  return kNames[static_cast<unsigned>(device)];
}

// A bundle has at most one instruction in each.
enum class Slot : std::uint8_t { kLoadA, kLoadB, kScalar, kMove, kStore, kVector };
inline constexpr unsigned kSlotCount = 6;
constexpr std::string_view name(Slot slot) {
  constexpr std::array<std::string_view, kSlotCount> kNames{"lda", "ldb", "alu", "mv", "st", "vec"};
  return kNames[static_cast<unsigned>(slot)];
}
using SlotSet = std::uint8_t;
constexpr SlotSet set_of(Slot slot) { return static_cast<SlotSet>(1u << static_cast<unsigned>(slot)); }

// What instructions share beside the slots. A port serves one instruction a cycle.
enum class Port : std::uint8_t {
  kVectorWriteA,           // W_WA: loads of slot A, results of the shift-round-saturate and pack units
  kAccumulatorRead,        // CM_RM, DM_RM
  kAccumulatorWrite,       // CM_WM, DM_WM: what slots A and mv write to accumulators
  kAccumulatorWriteLoads,  // DM_WA of AIE-ML v2: what is neither shifted nor moved there
  kUpshift,                // the UPS unit
  kStoreRead,  // FEY_RS of AIE-ML v2, QEY_RS of XDNA 2: vectors on their way to the store unit, and to VUNPACK
  kStoreUnit,
};
inline constexpr unsigned kPortCount = 7;
constexpr std::string_view name(Port port) {
  constexpr std::array<std::string_view, kPortCount> kNames{"vector write port",
                                                            "accumulator read port",
                                                            "accumulator write port",
                                                            "accumulator load port",
                                                            "upshift unit",
                                                            "store read port",
                                                            "store unit"};
  return kNames[static_cast<unsigned>(port)];
}

// A result can reach an operand one cycle early if both are of the same class.
enum class Bypass : std::uint8_t { kNone, kMove, kVector };

enum class Opcode : std::uint8_t {
  // loads
  kLoad,         // VLDA, VLDB
  kLoadUnpack,   // VLDB.UNPACK: 8 to 16 bits
  kLoadUpshift,  // VLDA.UPS: to an accumulator
  kLoadAccum,    // VLDA to an accumulator
  kLoadConvert,  // VLDA.CONV: bf16 to an accumulator
  kGather,       // VLDB.4X
  kLoadScalar,
  kReadStream,   // MOV from a stream: a word to a scalar register
  kReadCascade,  // VMOV from the cascade: to a vector or an accumulator
  // stores
  kStore,
  kStoreAccum,
  kStoreShift,    // VST.SRS
  kStorePack,     // VST.PACK
  kStoreConvert,  // VST.CONV
  kStoreScalar,
  kWriteStream,   // ST to a stream: a word of a scalar register
  kWriteCascade,  // VMOV to the cascade
  // between registers
  kShift,        // VSRS: accumulator to vector
  kUpshift,      // VUPS
  kElementwise,  // VADD, VSUB, VMAX_LT, VMIN_GE, VMAXDIFF_LT, VBAND, VABS, ...
  kCompare,      // VLT, VGE, VEQZ
  kSelect,       // VSEL
  kShuffle,      // VSHUFFLE, VSHIFT
  kBroadcast,    // VBCST
  kExtract,      // VEXTRACT
  kInsert,       // VINSERT, VPUSH
  kMove,         // VMOV of a vector
  kMoveAccum,    // VMOV of an accumulator to a vector, or to an accumulator
  kMoveToAccum,  // VMOV of a vector to an accumulator
  kConvertUp,    // VCONV fp32 from bf16
  kConvertDown,  // VCONV bf16 from fp32
  kFloor,        // VFLOOR
  kPack,
  kUnpack,
  kExp2,  // VEXP2
  // the multipliers
  kMultiply,
  kMultiplyAdd,
  kAddAccum,
  kMultiplyFloat,
  kMultiplyAddFloat,
  kAddFloat,
  // scalars
  kScalar,  // add, subtract, logic, shift, compare, select, clb
  kScalarInverse,
  kMoveScalar,  // to a shift, mask or control register
  kDivide,      // a routine, not an instruction: nothing is issued beside it
};
inline constexpr unsigned kOpcodeCount = static_cast<unsigned>(Opcode::kDivide) + 1;

struct PortUse {
  Port port;
  int cycle;                                  // E1 is 1
  SlotSet slots = static_cast<SlotSet>(~0u);  // only in these
};

struct Instruction {
  Opcode opcode;
  std::string_view name;  // as the compiler's assembler has it
  SlotSet slots = 0;      // one of these
  SlotSet blocks = 0;     // and these as well
  int busy = 1;           // for so many cycles
  int result = 0;         // the cycle E(n) in which the result is written
  Bypass result_bypass = Bypass::kNone;
  int operand = 1;  // the cycle in which operands are read
  Bypass operand_bypass = Bypass::kNone;
  int accumulator = 1;  // the cycle in which an accumulator that is added to is read
  Bypass accumulator_bypass = Bypass::kNone;
  Bypass control_bypass = Bypass::kNone;  // of shifts, shuffle modes and masks, which are read with the operands
  int memory = 0;                         // the cycle in which memory is accessed; 0: never
  std::vector<PortUse> ports;
};

class Machine {
 public:
  static const Machine& of(Device device);

  Device device() const { return device_; }
  const Instruction& operator[](Opcode opcode) const { return instructions_[static_cast<unsigned>(opcode)]; }
  std::span<const Instruction> instructions() const { return instructions_; }

  unsigned load_bytes() const { return load_bytes_; }            // of a vector load or store
  unsigned accumulator_lanes() const { return acc32_lanes_; }    // of 32 bits that one multiplication fills
  unsigned vector_registers() const { return 24; }               // of 256 bits
  unsigned accumulator_registers() const { return acc_units_; }  // of 512 bits
  unsigned scalar_registers() const { return 32; }
  static constexpr unsigned kProgramBytes = 16 * 1024;
  static constexpr unsigned kBundleBytes = 16;

 private:
  explicit Machine(Device device);
  Instruction& change(Opcode opcode) { return instructions_[static_cast<unsigned>(opcode)]; }
  void change_to_wide();
  void change_to_aie2ps();
  void change_to_aie2p();

  Device device_;
  unsigned load_bytes_, acc32_lanes_, acc_units_;
  std::array<Instruction, kOpcodeCount> instructions_;
};

enum class Role : std::uint8_t { kOperand, kAccumulator, kControl };

// Earliest issue of a consumer minus issue of the producer whose result it reads:
// result - operand + 1, one less with a common bypass. May be 0 or negative.
int distance(const Instruction& producer, const Instruction& consumer, Role role);
// Earliest issue of the second minus issue of the first, of two accesses to the same memory, at least one a store.
int memory_distance(const Instruction& first, const Instruction& second);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_MACHINE_H_
