// SPDX-License-Identifier: Apache-2.0
//
// The list of operations (aie_host/operations.def): every one is lowered, every instruction of the machine comes of
// one, and docs/cycle-model.md has them all.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "aie/cycles/lower.h"
#include "aie/cycles/trace.h"

namespace {

using namespace aie_cycles;
using enum Operation;
using aie_host::info;
using aie_host::kOperations;
using aie_host::OperationInfo;

// --- Examples of every operation ---

struct Lanes {
  Element element;
  unsigned count;
};

bool is_float(Element element) { return element == Element::kFloat || element == Element::kBfloat16; }

// The types of a vector with which an operation is tried.
std::vector<Lanes> types_of(Operation operation) {
  constexpr Lanes kBytes{Element::kInt8, 64}, kShorts{Element::kInt16, 32}, kInts{Element::kInt32, 16};
  constexpr Lanes kBfloats{Element::kBfloat16, 32}, kFloats{Element::kFloat, 16};
  switch (operation) {
    case kAdd:
    case kSub:
    case kMax:
    case kMin:
    case kMaxdiff:
    case kMul:
    case kMac:
    case kReduceAdd:
    case kReduceAddV:
      return {kBytes, kShorts, kInts, kBfloats, kFloats};
    case kToFloat:
      return {kShorts, kInts};
    case kToFixed:
    case kInv:
    case kInvsqrt:
      return {kBfloats, kFloats};
    case kExp2:
    case kTanh:
      return {kFloats};
    case kToFixedFloor:
      return {kBfloats};
    case kUnpack:
    case kMmulMul:
    case kMmulMac:
      return {kBytes};
    default:
      return {kShorts};
  }
}

Element accum_element(Element element) { return is_float(element) ? Element::kAccFloat : Element::kAcc32; }

// One way to call an operation: its operands as operations.def has them, with scalars as vectors or as numbers.
struct Example {
  std::string operands;  // v, a, m, n, s: a letter each
  unsigned immediates = 0;
};

std::vector<Example> examples_of(const OperationInfo& operation) {
  std::string text = operation.operands;
  unsigned immediates = 0;
  if (const std::size_t open = text.find('('); open != std::string::npos) {
    immediates = 1;
    for (std::size_t i = open; i < text.size(); ++i) immediates += text[i] == ',';
    text.resize(open);
  }
  std::vector<Example> examples{{"", immediates}};
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == "or") {
      examples.push_back({"", immediates});
      continue;
    }
    examples.back().operands += word.ends_with("...") ? std::string(3, word[0]) : word;
  }
  return examples;
}

class Examples {
 public:
  explicit Examples(Lanes type) : type_(type) {}

  // A step with fresh values; `numbers`: what can be a number is one, with the identity of a value from before.
  Step step(const OperationInfo& operation, const Example& example, bool numbers) {
    Step step;
    step.operation = operation.operation;
    for (const char letter : example.operands) step.inputs.push_back(value(letter, numbers));
    step.immediates.assign(example.immediates, 1);
    if (operation.operation == kMmulMul || operation.operation == kMmulMac) step.immediates = {4, 8, 8};
    if (operation.operation == kTranspose) step.immediates = {4, 8};
    step.results = results(operation, step);
    step.address = 0x10000;
    step.bytes = 64;
    return step;
  }

  Value vector(Element element, unsigned lanes) { return made(ValueKind::kVector, element, lanes); }

 private:
  Value made(ValueKind kind, Element element, unsigned lanes) {
    return {kind, element, static_cast<std::uint16_t>(lanes), ++next_, 100};
  }
  Value accum(unsigned lanes) { return made(ValueKind::kAccum, accum_element(type_.element), lanes); }
  Value mask() { return made(ValueKind::kMask, Element::kBit, type_.count); }
  Value number() { return made(ValueKind::kScalar, type_.element, 1); }
  Value value(char letter, bool numbers) {
    if (letter == 'a') return accum(type_.count);
    if (letter == 'm') return mask();
    if (letter == 'n' || (letter == 's' && numbers)) return number();
    return vector(type_.element, type_.count);
  }
  Value like(const Value& v, unsigned lanes) { return made(v.kind, v.element, lanes); }

  std::vector<Value> results(const OperationInfo& operation, const Step& step) {
    const Value first = step.inputs.empty() ? vector(type_.element, type_.count) : step.inputs[0];
    switch (operation.operation) {
      case kLoadScalar:
      case kGet:
      case kMaskToUint:
      case kMaskCount:
      case kMaskClz:
      case kMaskTest:
      case kMaskEqual:
      case kMaskEmpty:
      case kMaskFull:
        return {number()};
      case kLoadMask:
        return {mask()};
      case kSelect:
      case kReduceAddV:
        return {vector(type_.element, type_.count)};
      case kMaxCmp:
      case kMinCmp:
        return {vector(type_.element, type_.count), mask()};
      case kInterleaveZip:
      case kInterleaveUnzip:
        return {like(first, first.lanes), like(first, first.lanes)};
      case kExtract:
      case kFilterEven:
      case kFilterOdd:
        return {like(first, first.lanes / 2u)};
      case kConcat:
        return {like(first, first.lanes * static_cast<unsigned>(step.inputs.size()))};
      case kGrow:
      case kGrowReplicate:
        return {like(first, first.lanes * 2u)};
      case kBroadcast:
      case kVector:
        return {vector(type_.element, type_.count)};
      case kFromVector:
        return {accum(type_.count)};
      case kPack:
        return {vector(Element::kInt8, type_.count)};
      case kToVector:
      case kUnpack:
        return {vector(Element::kInt16, type_.count)};
      case kToFloat:
        return {made(first.kind, Element::kFloat, first.lanes)};
      case kToFixed:
      case kToFixedFloor:
        return {made(first.kind, Element::kInt32, first.lanes)};
      case kExp2:
      case kTanh:
      case kParallelLookup:
        return {vector(Element::kBfloat16, type_.count)};
      default:
        break;
    }
    switch (operation.kind) {
      case OperationKind::kStore:
      case OperationKind::kMode:
        return {};
      case OperationKind::kStream:
        if (!step.inputs.empty()) return {};
        return {first};
      case OperationKind::kComparison:
      case OperationKind::kMask:
        return {mask()};
      case OperationKind::kProduct:
        return {accum(type_.count / (operation.operation == kMmulMul || operation.operation == kMmulMac ? 2 : 1))};
      case OperationKind::kReduction:
      case OperationKind::kScalar:
        return {number()};
      default:
        return {like(first, first.lanes)};
    }
  }

  Lanes type_;
  ValueId next_ = 0;
};

// The native code of a step: by itself, with its results read later; and between the loads of its vectors and the
// stores of what comes out.
NativeCode alone(const Step& step, Device device) {
  ReaderCounts readers;
  for (const Value& result : step.results) ++readers[result.id];
  Block block;
  block.push_back({step, nullptr});
  return lower_straight(block, readers, device);
}

NativeCode between_memory(const Step& step, Device device) {
  Block block;
  const auto access = [&](Operation operation, const Value& value) {
    Step around;
    around.operation = operation;
    (operation == kLoad ? around.results : around.inputs) = {value};
    around.bytes = 64;
    block.push_back({std::move(around), nullptr});
  };
  for (const Value& input : step.inputs) {
    if (input.kind == ValueKind::kVector) access(kLoad, input);
  }
  block.push_back({step, nullptr});
  for (const Value& result : step.results) {
    if (result.kind == ValueKind::kVector) access(kStore, result);
  }
  return lower_straight(block, count_readers(block), device);
}

template <typename F>
void for_each_example(F visit) {
  for (const OperationInfo& operation : kOperations) {
    for (const Lanes& type : types_of(operation.operation)) {
      for (const Example& example : examples_of(operation)) {
        for (const bool numbers : {false, true}) visit(operation, Examples(type).step(operation, example, numbers));
      }
    }
  }
}

constexpr Device kDevices[] = {Device::kAieMl, Device::kAieMlV2, Device::kXdna2};

// --- The list and the model ---

TEST(CyclesOperations, AreInTheOrderOfTheEnum) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < aie_host::kOperationCount; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kOperations[i].operation), i);
    EXPECT_TRUE(names.insert(kOperations[i].name).second) << kOperations[i].name;
  }
}

// Only what the register allocation does costs nothing; all other operations come to instructions.
TEST(CyclesOperations, EveryOneIsLowered) {
  const std::set<Operation> free{kConcat,       kExtract,       kInsert,     kGrow,        kGrowReplicate,
                                 kMaskFromUint, kMaskFromMasks, kMaskToUint, kMaskExtract, kMaskInsert};
  for (const Device device : kDevices) {
    for_each_example([&](const OperationInfo& operation, const Step& step) {
      SCOPED_TRACE(std::string(operation.name) + " on " + std::string(name(device)));
      const NativeCode code = alone(step, device);
      EXPECT_EQ(code.instructions.empty(), free.contains(operation.operation));
      for (const NativeInstruction& instruction : code.instructions) {
        EXPECT_EQ(instruction.operation, operation.operation);
      }
    });
  }
}

TEST(CyclesOperations, EveryInstructionComesOfOne) {
  std::set<Opcode> made;
  const auto add = [&](const NativeCode& code) {
    for (const NativeInstruction& instruction : code.instructions) made.insert(instruction.opcode);
  };
  for (const Device device : kDevices) {
    for_each_example([&](const OperationInfo&, const Step& step) {
      add(alone(step, device));
      add(between_memory(step, device));
    });
  }
  for (const Instruction& row : Machine::of(Device::kAieMl).instructions()) {
    EXPECT_TRUE(made.contains(row.opcode)) << row.name;
  }
}

// A word of a stream goes through a scalar register; the cascade moves 512 bits of a vector or an accumulator.
TEST(CyclesOperations, Streams) {
  const auto counts = [](Operation operation, const Value& value, Device device) {
    Step step;
    step.operation = operation;
    (operation == kReadincr || operation == kReadincrCascade ? step.results : step.inputs) = {value};
    std::map<Opcode, unsigned> result;
    for (const NativeInstruction& instruction : alone(step, device).instructions) ++result[instruction.opcode];
    return result;
  };
  using Counts = std::map<Opcode, unsigned>;
  const Value bytes{ValueKind::kVector, Element::kInt8, 128, 1, 0};  // two registers
  const Value sums{ValueKind::kAccum, Element::kAcc32, 32, 1, 0};
  for (const Device device : kDevices) {
    EXPECT_EQ(counts(kReadincr, bytes, device), (Counts{{Opcode::kReadStream, 32}, {Opcode::kInsert, 32}}));
    EXPECT_EQ(counts(kWriteincr, bytes, device), (Counts{{Opcode::kExtract, 32}, {Opcode::kWriteStream, 32}}));
    EXPECT_EQ(counts(kReadincrCascade, bytes, device), (Counts{{Opcode::kReadCascade, 2}}));
    EXPECT_EQ(counts(kWriteincrCascade, bytes, device), (Counts{{Opcode::kWriteCascade, 2}}));
    EXPECT_EQ(counts(kReadincrCascade, sums, device), (Counts{{Opcode::kReadCascade, 2}}));
    EXPECT_EQ(counts(kWriteincrCascade, sums, device), (Counts{{Opcode::kWriteCascade, 2}}));
  }
}

// What is read from a stream is gone from it: it is read although nobody wants it.
TEST(CyclesOperations, UnreadWordsAreReadAllTheSame) {
  for (const Operation operation : {kReadincr, kReadincrCascade}) {
    Step step;
    step.operation = operation;
    step.results = {{ValueKind::kVector, Element::kInt8, 64, 1, 0}};
    Block block;
    block.push_back({step, nullptr});
    block = simplify(std::move(block));
    const NativeCode code = lower_straight(block, count_readers(block), Device::kAieMl);
    EXPECT_EQ(code.instructions.size(), operation == kReadincr ? 16u : 1u) << name(operation);
  }
}

// --- The documentation ---

// The lines of a table in the section of docs/cycle-model.md that has this heading, without the table's head.
std::vector<std::string> documented_table(const std::string& heading) {
  std::ifstream file("docs/cycle-model.md");
  EXPECT_TRUE(file.is_open());
  std::vector<std::string> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) inside = line == "## " + heading;
    if (inside && line.starts_with("|")) rows.push_back(line);
  }
  EXPECT_GT(rows.size(), 2u) << heading;
  if (rows.size() >= 2) rows.erase(rows.begin(), rows.begin() + 2);
  return rows;
}

// Operations that follow each other with the same operands and results share a row.
TEST(CyclesOperations, ListIsDocumented) {
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < aie_host::kOperationCount;) {
    const OperationInfo& first = kOperations[i];
    const auto is_alike = [&](const OperationInfo& other) {
      return other.kind == first.kind && std::string(other.operands) == first.operands &&
             std::string(other.result) == first.result;
    };
    std::string row = "| ";
    for (bool is_first = true; i < aie_host::kOperationCount && is_alike(kOperations[i]); ++i, is_first = false) {
      row += (is_first ? "`" : ", `") + std::string(kOperations[i].name) + "`";
    }
    expected.push_back(row + " | " + first.operands + " | " + first.result + " |");
  }
  std::string text;
  for (const std::string& row : expected) text += row + "\n";
  EXPECT_EQ(documented_table("The operations that are seen"), expected) << "the table should be:\n" << text;
}

// The names in the first column of the table of costs are those of the operations.
TEST(CyclesOperations, CostsAreDocumented) {
  std::set<std::string> documented, listed;
  for (const std::string& row : documented_table("What an API call becomes")) {
    const std::string column = row.substr(0, row.find('|', 1));
    for (std::size_t open = column.find('`'); open != std::string::npos;) {
      const std::size_t close = column.find('`', open + 1);
      documented.insert(column.substr(open + 1, close - open - 1));
      open = column.find('`', close + 1);
    }
  }
  for (const OperationInfo& operation : kOperations) listed.insert(operation.name);
  EXPECT_EQ(documented, listed);
}

}  // namespace
