// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/schedule/problem.h"

#include <algorithm>
#include <array>
#include <string>

namespace aie_cycles {

Problem::Problem(const NativeCode& native, const Machine& device) : code(native), machine(device) {
  const auto row = [&](int instruction) -> const Instruction& {
    return machine[opcode(static_cast<std::size_t>(instruction))];
  };
  for (std::size_t i = 0; i < size(); ++i) {
    const auto consumer = static_cast<int>(i);
    for (const NativeUse& use : code.instructions[i].uses) {
      const int producer = code.values[static_cast<std::size_t>(use.value)].producer;
      if (producer < 0) continue;
      edges.push_back({producer, consumer, distance(row(producer), row(consumer), use.role), use.passes_ago});
    }
  }
  for (const MemoryOrder& order : code.memory) {
    edges.push_back({order.from, order.to, memory_distance(row(order.from), row(order.to)), order.passes_ago});
  }
  in.resize(size());
  out.resize(size());
  for (const Edge& edge : edges) {
    out[static_cast<std::size_t>(edge.from)].push_back(edge);
    in[static_cast<std::size_t>(edge.to)].push_back(edge);
  }
}

std::vector<int> heights(const Problem& problem, int interval) {
  const std::size_t count = problem.size();
  std::vector<int> height(count);
  for (std::size_t i = 0; i < count; ++i) height[i] = problem.machine[problem.opcode(i)].result;
  for (std::size_t round = 0; round <= count; ++round) {
    bool changed = false;
    // From the back: most edges lead forwards.
    for (auto edge = problem.edges.rbegin(); edge != problem.edges.rend(); ++edge) {
      if (interval == 0 && edge->passes_ago > 0) continue;
      const int through = height[static_cast<std::size_t>(edge->to)] + edge->latency - edge->passes_ago * interval;
      int& h = height[static_cast<std::size_t>(edge->from)];
      if (through > h) {
        h = through;
        changed = true;
      }
    }
    if (!changed) return height;
  }
  return {};
}

Bounds find_bounds(const Problem& problem) {
  Bounds bounds;
  constexpr SlotSet kLoads = set_of(Slot::kLoadA) | set_of(Slot::kLoadB);
  int loads = 0;
  std::array<int, kPortCount> ports{};
  for (const NativeInstruction& instruction : problem.code.instructions) {
    const Instruction& row = problem.machine[instruction.opcode];
    if (row.slots == kLoads) ++loads;
    for (unsigned s = 0; s < kSlotCount; ++s) {
      if (((row.slots | row.blocks) & (1u << s)) != 0 && row.slots != kLoads) bounds.slot[s] += row.busy;
    }
    for (const PortUse& use : row.ports) {
      if ((row.slots & ~use.slots) == 0) ++ports[static_cast<unsigned>(use.port)];
    }
  }
  const int both = bounds.slot[0] + bounds.slot[1] + loads;
  bounds.slot[0] = bounds.slot[1] = std::max({(both + 1) / 2, bounds.slot[0], bounds.slot[1]});
  for (unsigned s = 0; s < kSlotCount; ++s) {
    if (bounds.slot[s] > bounds.resource || bounds.binding.empty()) {
      bounds.resource = std::max(1, bounds.slot[s]);
      bounds.binding = s < 2 ? "loads" : std::string(name(static_cast<Slot>(s)));
    }
  }
  for (unsigned port = 0; port < kPortCount; ++port) {
    if (ports[port] > bounds.resource) {
      bounds.resource = ports[port];
      bounds.binding = name(static_cast<Port>(port));
    }
  }
  // The least interval without a cycle of edges that is too long, by halving.
  int high = 1;
  while (heights(problem, high).empty()) high *= 2;
  for (int low = high / 2 + 1; low < high;) {
    const int middle = (low + high) / 2;
    if (heights(problem, middle).empty()) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  bounds.recurrence = high;
  if (bounds.recurrence > bounds.resource) bounds.binding = "recurrence";
  return bounds;
}

}  // namespace aie_cycles
