// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "aie/cycles/schedule.h"
#include "aie/cycles/schedule/lifetimes.h"
#include "aie/cycles/schedule/problem.h"
#include "aie/cycles/schedule/reservations.h"

namespace aie_cycles {
namespace {

// Rau's iterative modulo scheduling; `seed` shuffles equals. Nothing: not found within the budget of steps.
std::optional<Placements> modulo_schedule(const Problem& problem, int interval, unsigned seed) {
  const std::vector<int> height = heights(problem, interval);
  if (height.empty()) return std::nullopt;
  const std::size_t count = problem.size();
  std::vector<int> rank(count);
  std::iota(rank.begin(), rank.end(), 0);
  if (seed > 0) {
    std::mt19937 random(seed);
    std::shuffle(rank.begin(), rank.end(), random);
  }
  Reservations reservations(problem.machine, interval);
  Placements placements(count);
  std::vector<bool> placed(count);
  std::vector<int> last(count, -1);  // where it was placed before
  std::size_t left = count;
  const auto opcode_of = [&](std::size_t i) { return problem.opcode(i); };
  const auto unplace = [&](std::size_t i) {
    reservations.remove(opcode_of(i), placements[i]);
    placed[i] = false;
    ++left;
  };
  for (long budget = 20 * static_cast<long>(count) + 100; left > 0; --budget) {
    if (budget == 0) return std::nullopt;
    std::size_t next = count;
    for (std::size_t i = 0; i < count; ++i) {
      if (placed[i]) continue;
      if (next == count || height[i] > height[next] || (height[i] == height[next] && rank[i] < rank[next])) next = i;
    }
    int from = 0;
    for (const Edge& edge : problem.in[next]) {
      const auto producer = static_cast<std::size_t>(edge.from);
      if (placed[producer])
        from = std::max(from, placements[producer].cycle + edge.latency - edge.passes_ago * interval);
    }
    std::optional<Slot> slot;
    int cycle = from;
    while (cycle < from + interval && !(slot = reservations.find(opcode_of(next), cycle))) ++cycle;
    if (!slot) {  // whoever is in the way gives way
      cycle = std::max(from, last[next] + 1);
      for (std::size_t i = 0; i < count && !(slot = reservations.find(opcode_of(next), cycle)); ++i) {
        if (placed[i] && reservations.clash(opcode_of(next), cycle, opcode_of(i), placements[i])) unplace(i);
      }
      if (!slot) slot = reservations.find(opcode_of(next), cycle);
      if (!slot) return std::nullopt;
    }
    placements[next] = {cycle, *slot};
    last[next] = cycle;
    reservations.add(opcode_of(next), placements[next]);
    placed[next] = true;
    --left;
    for (const Edge& edge : problem.out[next]) {
      const auto to = static_cast<std::size_t>(edge.to);
      if (to != next && placed[to] && placements[to].cycle < cycle + edge.latency - edge.passes_ago * interval)
        unplace(to);
    }
  }
  return placements;
}

// A value from before the loop can as well be loaded in each pass: frees its registers, between its reads of two
// passes. The one with the fewest reads.
bool reload_one(NativeCode& code, RegisterFile file, const Machine& machine) {
  std::vector<unsigned> reads(code.values.size());
  for (const NativeInstruction& instruction : code.instructions) {
    for (const NativeUse& use : instruction.uses) ++reads[static_cast<std::size_t>(use.value)];
  }
  int chosen = -1;
  for (std::size_t v = 0; v < code.values.size(); ++v) {
    if (code.values[v].producer >= 0 || code.values[v].file != file || reads[v] == 0) continue;
    if (chosen < 0 || reads[v] < reads[static_cast<std::size_t>(chosen)]) chosen = static_cast<int>(v);
  }
  if (chosen < 0) return false;
  const unsigned units = code.values[static_cast<std::size_t>(chosen)].units;
  const unsigned unit_bytes = file == RegisterFile::kVector ? 32 : file == RegisterFile::kAccumulator ? 64 : 4;
  const Opcode opcode = file == RegisterFile::kVector        ? Opcode::kLoad
                        : file == RegisterFile::kAccumulator ? Opcode::kLoadAccum
                                                             : Opcode::kLoadScalar;
  const unsigned count = std::max(1u, units * unit_bytes / machine.load_bytes());
  std::vector<int> values;
  for (unsigned i = 0; i < count; ++i) {
    // Where a load fills less than a unit the first of them stands for it.
    const unsigned filled = (i * units + units + count - 1) / count - (i * units + count - 1) / count;
    values.push_back(static_cast<int>(code.values.size()));
    code.values.push_back({static_cast<int>(code.instructions.size()), file, filled});
    code.live_out.push_back(false);
    code.instructions.push_back({opcode, {}, values.back(), -1, std::nullopt});
  }
  for (NativeInstruction& instruction : code.instructions) {
    std::vector<NativeUse> uses;
    for (const NativeUse& use : instruction.uses) {
      if (use.value != chosen) {
        uses.push_back(use);
        continue;
      }
      for (const int value : values) uses.push_back({value, use.role, 0});
    }
    instruction.uses = std::move(uses);
  }
  return true;
}

// A loop at one interval: the schedule, or why there is none.
struct Attempt {
  std::optional<Schedule> schedule;
  std::optional<UnitCounts> live;  // of one that would need too many registers
  bool too_many_stages = false;
};

Attempt attempt(const Problem& problem, int interval, long least_passes) {
  Attempt result;
  // The shortest of those that fit; of equals the one with the fewest copies.
  const auto consider = [&](const Placements& placements) {
    Schedule schedule;
    schedule.placements = placements;
    schedule.interval = interval;
    for (const Placement& p : placements) schedule.stages = std::max(schedule.stages, p.cycle / interval + 1);
    schedule.length = drained_length(problem, placements);
    if (schedule.stages > least_passes) {
      result.too_many_stages = true;
      return;
    }
    schedule.live = pressure(problem, placements, interval, schedule.length, &schedule.copies);
    if (!fits(schedule.live, problem.machine)) {
      result.live = schedule.live;
    } else if (!result.schedule || std::pair(schedule.length, schedule.copies) <
                                       std::pair(result.schedule->length, result.schedule->copies)) {
      result.schedule = std::move(schedule);
    }
  };
  constexpr unsigned kTries = 8;
  for (unsigned seed = 0; seed < kTries; ++seed) {
    auto placements = modulo_schedule(problem, interval, seed);
    if (!placements) continue;
    consider(*placements);
    shorten_lifetimes(problem, interval, *placements);
    consider(*placements);
  }
  return result;
}

}  // namespace

Schedule schedule_loop(NativeCode& code, Device device, long least_passes) {
  const Machine& machine = Machine::of(device);
  const Problem problem(code, machine);
  Schedule straight = schedule_straight(code, device);
  // The next pass waits for what this one hands on.
  for (const Edge& edge : problem.edges) {
    if (edge.passes_ago == 0) continue;
    const int wait = straight.placements[static_cast<std::size_t>(edge.from)].cycle + edge.latency -
                     straight.placements[static_cast<std::size_t>(edge.to)].cycle;
    straight.length = std::max(straight.length, (wait + edge.passes_ago - 1) / edge.passes_ago);
  }
  const Bounds bounds = straight.bounds;
  straight.bounds.binding = "length";
  if (least_passes < 2) return straight;

  constexpr unsigned kMostSpills = 12;
  const int first = std::max(bounds.resource, bounds.recurrence);
  bool few_passes = false, few_registers = false;
  for (int interval = first; interval < straight.length; ++interval) {
    Attempt found = attempt(problem, interval, least_passes);
    NativeCode spilled = code;
    unsigned spills = 0;
    while (!found.schedule && found.live && spills < kMostSpills) {
      few_registers = true;
      // As many as the excess needs, before the next try.
      const unsigned before = spills;
      for (const RegisterFile file : kFiles) {
        for (int over = static_cast<int>(excess(*found.live, machine, file)); over > 0 && spills < kMostSpills;
             over -= 2) {
          if (!reload_one(spilled, file, machine)) break;
          ++spills;
        }
      }
      if (spills == before) break;
      found = attempt(Problem(spilled, machine), interval, least_passes);
    }
    few_passes = few_passes || found.too_many_stages;
    if (!found.schedule) continue;
    code = std::move(spilled);
    Schedule schedule = std::move(*found.schedule);
    schedule.bounds = bounds;
    schedule.spills = spills;
    if (interval > first) {
      schedule.bounds.binding += few_registers ? " (registers)" : few_passes ? " (few passes)" : " (search)";
    }
    return schedule;
  }
  return straight;
}

}  // namespace aie_cycles
