// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/lower.h"

#include <stdexcept>
#include <string>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {
namespace {

void lower(CodeBuilder& code, const Step& step, int source) {
  const Lowering lowering = lowering_of(step.operation);
  if (lowering == nullptr) {
    throw std::invalid_argument("the cycle model knows no operation " +
                                std::to_string(static_cast<unsigned>(step.operation)) + " of the AIE API");
  }
  code.begin(step, source);
  lowering(code, step);
  code.end(step);
}

bool overlap(const Step& a, const Step& b) {
  return a.address != 0 && b.address != 0 && a.address < b.address + b.bytes && b.address < a.address + a.bytes;
}

// Instructions that access memory, by the operation that they belong to.
std::vector<std::vector<int>> memory_instructions(const NativeCode& code, std::size_t operations, Device device) {
  std::vector<std::vector<int>> by_source(operations);
  for (std::size_t i = 0; i < code.instructions.size(); ++i) {
    const NativeInstruction& instruction = code.instructions[i];
    if (instruction.source < 0 || Machine::of(device)[instruction.opcode].memory == 0) continue;
    by_source[static_cast<std::size_t>(instruction.source)].push_back(static_cast<int>(i));
  }
  return by_source;
}

void order(NativeCode& code, const std::vector<int>& first, const std::vector<int>& second, int passes_ago) {
  for (const int from : first) {
    for (const int to : second) code.memory.push_back({from, to, passes_ago});
  }
}

}  // namespace

ReaderCounts count_readers(const Block& block) {
  ReaderCounts counts;
  const auto visit = [&](const auto& self, const Block& b) -> void {
    for (const Item& item : b) {
      if (item.loop != nullptr) {
        for (const Block& pass : item.loop->passes) self(self, pass);
      } else {
        for (const Value& input : item.step.inputs) ++counts[input.id];
      }
    }
  };
  visit(visit, block);
  return counts;
}

NativeCode lower_straight(std::span<const Item> items, const ReaderCounts& readers, Device device) {
  CodeBuilder builder(Machine::of(device), readers);
  for (std::size_t i = 0; i < items.size(); ++i) lower(builder, items[i].step, static_cast<int>(i));
  NativeCode code = builder.finish();
  const auto accesses = memory_instructions(code, items.size(), device);
  for (std::size_t b = 0; b < items.size(); ++b) {
    if (accesses[b].empty()) continue;
    for (std::size_t a = 0; a < b; ++a) {
      if (accesses[a].empty()) continue;
      const Step& first = items[a].step;
      const Step& second = items[b].step;
      if ((first.is_store() || second.is_store()) && overlap(first, second)) order(code, accesses[a], accesses[b], 0);
    }
  }
  return code;
}

NativeCode lower_pass(const Loop& loop, const ReaderCounts& readers, Device device) {
  // A pass in the middle: it has passes before it, whose values it reads, and after it.
  const std::size_t middle = loop.passes.size() / 2;
  const Block& pass = loop.passes[middle];
  CodeBuilder builder(Machine::of(device), readers);
  for (std::size_t p = 0; p < middle; ++p) {
    for (std::size_t i = 0; i < pass.size(); ++i) {
      const auto& earlier = loop.passes[p][i].step.results;
      for (std::size_t r = 0; r < earlier.size(); ++r) {
        builder.add_carried(earlier[r].id, pass[i].step.results[r].id, static_cast<int>(middle - p));
      }
    }
  }
  for (std::size_t i = 0; i < pass.size(); ++i) lower(builder, pass[i].step, static_cast<int>(i));
  NativeCode code = builder.finish();

  // Memory order within a pass and between near passes, from the addresses of all passes.
  constexpr std::size_t kReach = 16;
  const auto accesses = memory_instructions(code, pass.size(), device);
  for (std::size_t a = 0; a < pass.size(); ++a) {
    if (accesses[a].empty()) continue;
    for (std::size_t b = 0; b < pass.size(); ++b) {
      if (accesses[b].empty()) continue;
      if (!loop.passes[0][a].step.is_store() && !loop.passes[0][b].step.is_store()) continue;
      for (std::size_t ago = a < b ? 0 : 1; ago <= kReach; ++ago) {
        bool found = false;
        for (std::size_t p = 0; p + ago < loop.passes.size() && !found; ++p) {
          found = overlap(loop.passes[p][a].step, loop.passes[p + ago][b].step);
        }
        if (!found) continue;
        order(code, accesses[a], accesses[b], static_cast<int>(ago));
        break;
      }
    }
  }
  return code;
}

}  // namespace aie_cycles
