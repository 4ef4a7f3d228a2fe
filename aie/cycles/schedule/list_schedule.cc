// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "aie/cycles/schedule.h"
#include "aie/cycles/schedule/lifetimes.h"
#include "aie/cycles/schedule/problem.h"
#include "aie/cycles/schedule/reservations.h"

namespace aie_cycles {
namespace {

// Each instruction right after what it needs and what nothing else needs so far, in the order of the code's ends.
std::vector<std::size_t> depth_first(const Problem& problem) {
  const std::size_t count = problem.size();
  std::vector<std::size_t> order;
  std::vector<bool> seen(count);
  const auto visit = [&](auto&& self, std::size_t i) -> void {
    if (seen[i]) return;
    seen[i] = true;
    for (const Edge& edge : problem.in[i]) {
      if (edge.passes_ago == 0) self(self, static_cast<std::size_t>(edge.from));
    }
    order.push_back(i);
  };
  for (std::size_t i = 0; i < count; ++i) {
    if (problem.out[i].empty()) visit(visit, i);
  }
  for (std::size_t i = 0; i < count; ++i) visit(visit, i);
  return order;
}

// Cycle after cycle, the first in `order` of what is ready. No load that would make more units of a register
// file wait for a reader than `most`, unless nothing else can be begun.
Placements list_schedule(const Problem& problem, const std::vector<std::size_t>& order, const UnitCounts& most) {
  const std::size_t count = problem.size();
  Placements placements(count);
  Reservations reservations(problem.machine, 0);
  std::vector<bool> placed(count);
  std::vector<unsigned> readers(problem.code.values.size());  // yet to come
  for (const NativeInstruction& instruction : problem.code.instructions) {
    for (const NativeUse& use : instruction.uses) ++readers[static_cast<std::size_t>(use.value)];
  }
  UnitCounts waiting{};
  const auto has_room = [&](std::size_t i) {
    const int result = problem.code.instructions[i].result;
    if (result < 0 || !problem.in[i].empty()) return true;
    const NativeValue& value = problem.code.values[static_cast<std::size_t>(result)];
    const auto file = static_cast<std::size_t>(value.file);
    return waiting[file] + value.units <= most[file];
  };
  const auto note = [&](std::size_t i) {
    const int result = problem.code.instructions[i].result;
    if (result >= 0) {
      const NativeValue& value = problem.code.values[static_cast<std::size_t>(result)];
      waiting[static_cast<std::size_t>(value.file)] += value.units;
    }
    for (const NativeUse& use : problem.code.instructions[i].uses) {
      const NativeValue& value = problem.code.values[static_cast<std::size_t>(use.value)];
      if (--readers[static_cast<std::size_t>(use.value)] == 0 && value.producer >= 0 &&
          !problem.code.live_out[static_cast<std::size_t>(use.value)]) {
        waiting[static_cast<std::size_t>(value.file)] -= value.units;
      }
    }
  };
  std::size_t left = count;
  constexpr int kPatience = 16;  // more than any latency
  int idle = 0;                  // cycles in which nothing began
  for (int now = 0; left > 0; ++now) {
    ++idle;
    for (const std::size_t i : order) {
      if (placed[i] || (idle <= kPatience && !has_room(i))) continue;
      int from = problem.in[i].empty() ? now : 0;
      for (const Edge& edge : problem.in[i]) {
        if (edge.passes_ago > 0) continue;
        const auto producer = static_cast<std::size_t>(edge.from);
        from = std::max(from, placed[producer] ? placements[producer].cycle + edge.latency : now + 1);
      }
      // A late reader may issue before what it reads, and so before now.
      std::optional<Slot> slot;
      while (from <= now && !(slot = reservations.find(problem.opcode(i), from))) ++from;
      if (!slot) continue;
      placements[i] = {from, *slot};
      reservations.add(problem.opcode(i), placements[i]);
      placed[i] = true;
      note(i);
      --left;
      idle = 0;
    }
  }
  return placements;
}

}  // namespace

Schedule schedule_straight(const NativeCode& code, Device device) {
  const Problem problem(code, Machine::of(device));
  Schedule schedule;
  const std::size_t count = problem.size();
  if (count == 0) return schedule;
  const auto consider = [&](Placements placements) {
    Schedule found;
    found.placements = std::move(placements);
    found.length = drained_length(problem, found.placements);
    found.live = pressure(problem, found.placements, 0, found.length);
    // What does not fit is stored and loaded again, in slots that are mostly idle: one bundle each at the worst.
    found.spills = excess(found.live, problem.machine, RegisterFile::kVector) / 2 +
                   excess(found.live, problem.machine, RegisterFile::kAccumulator) +
                   excess(found.live, problem.machine, RegisterFile::kScalar);
    found.length += static_cast<int>(found.spills);
    if (schedule.placements.empty() || found.length < schedule.length) schedule = std::move(found);
  };
  const std::vector<int> height = heights(problem, 0);
  std::vector<std::size_t> by_height(count);
  std::iota(by_height.begin(), by_height.end(), std::size_t{0});
  std::stable_sort(by_height.begin(), by_height.end(),
                   [&](std::size_t a, std::size_t b) { return height[a] > height[b]; });
  UnitCounts most;
  most.fill(std::numeric_limits<unsigned>::max() / 2);
  consider(list_schedule(problem, by_height, most));
  if (!fits(schedule.live, problem.machine)) {
    auto placements = schedule.placements;
    shorten_lifetimes(problem, 0, placements);
    consider(std::move(placements));
  }
  // Fewer values at a time: what waits counts from its producer's issue, so that more of them than registers may fit.
  const std::vector<std::size_t> by_depth = depth_first(problem);
  for (unsigned more = 0; more <= 16 && schedule.spills > 0; more += 4) {
    for (const RegisterFile file : kFiles)
      most[static_cast<std::size_t>(file)] = registers(problem.machine, file) + more;
    for (const auto& order : {by_height, by_depth}) consider(list_schedule(problem, order, most));
  }
  schedule.bounds = find_bounds(problem);
  return schedule;
}

}  // namespace aie_cycles
