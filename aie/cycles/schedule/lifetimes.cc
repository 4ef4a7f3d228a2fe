// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/schedule/lifetimes.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>

#include "aie/cycles/schedule/reservations.h"

namespace aie_cycles {

unsigned registers(const Machine& machine, RegisterFile file) {
  return file == RegisterFile::kVector        ? machine.vector_registers()
         : file == RegisterFile::kAccumulator ? machine.accumulator_registers()
                                              : machine.scalar_registers();
}

unsigned excess(const UnitCounts& live, const Machine& machine, RegisterFile file) {
  const unsigned have = registers(machine, file);
  const unsigned need = live[static_cast<unsigned>(file)];
  return need > have ? need - have : 0;
}

bool fits(const UnitCounts& live, const Machine& machine) {
  return std::all_of(kFiles.begin(), kFiles.end(), [&](RegisterFile file) { return excess(live, machine, file) == 0; });
}

int drained_length(const Problem& problem, const Placements& placements) {
  int length = 0;
  for (std::size_t i = 0; i < problem.code.instructions.size(); ++i) {
    const NativeInstruction& instruction = problem.code.instructions[i];
    const Instruction& row = problem.machine[instruction.opcode];
    const bool awaited = instruction.result >= 0 && problem.code.live_out[static_cast<std::size_t>(instruction.result)];
    length = std::max(length, placements[i].cycle + (awaited ? std::max(row.busy, row.result) : row.busy));
  }
  return length;
}

namespace {

struct Lifetime {
  int begin = 0, end = 0;  // cycles, of the first pass
};

// From the cycle in which a value is written to that in which it is last read. Values from before live all the time.
std::optional<Lifetime> lifetime(const Problem& problem, int value, const Placements& placements, int interval,
                                 int length) {
  const NativeValue& v = problem.code.values[static_cast<std::size_t>(value)];
  if (v.producer < 0) return std::nullopt;
  const auto producer = static_cast<std::size_t>(v.producer);
  Lifetime life;
  life.begin = placements[producer].cycle + problem.machine[problem.opcode(producer)].result - 1;
  life.end = life.begin + 1;
  for (const Edge& edge : problem.out[producer]) {
    const NativeInstruction& reader = problem.code.instructions[static_cast<std::size_t>(edge.to)];
    for (const NativeUse& use : reader.uses) {
      if (use.value != value) continue;
      if (interval == 0 && use.passes_ago > 0) return Lifetime{0, length};  // from pass to pass
      const Instruction& row = problem.machine[reader.opcode];
      const int read = use.role == Role::kAccumulator ? row.accumulator : row.operand;
      const int at = placements[static_cast<std::size_t>(edge.to)].cycle + read - 1 + use.passes_ago * interval;
      life.end = std::max(life.end, at);
    }
  }
  if (interval == 0 && problem.code.live_out[static_cast<std::size_t>(value)]) life.end = std::max(life.end, length);
  return life;
}

}  // namespace

UnitCounts pressure(const Problem& problem, const Placements& placements, int interval, int length, int* copies) {
  UnitCounts before{};
  std::vector<bool> used(problem.code.values.size());
  for (const NativeInstruction& instruction : problem.code.instructions) {
    for (const NativeUse& use : instruction.uses) used[static_cast<std::size_t>(use.value)] = true;
  }
  const int period = interval == 0 ? length + 16 : interval;
  std::vector<UnitCounts> live(static_cast<std::size_t>(period));
  for (std::size_t v = 0; v < problem.code.values.size(); ++v) {
    const auto file = static_cast<std::size_t>(problem.code.values[v].file);
    const auto life = lifetime(problem, static_cast<int>(v), placements, interval, length);
    if (!life) {
      if (used[v]) before[file] += problem.code.values[v].units;
      continue;
    }
    for (int cycle = life->begin; cycle < life->end; ++cycle) {
      const int row = interval == 0 ? std::min(cycle, period - 1) : cycle % period;
      live[static_cast<std::size_t>(row)][file] += problem.code.values[v].units;
    }
    if (copies != nullptr && interval > 0)
      *copies = std::max(*copies, (life->end - life->begin + interval - 1) / interval);
  }
  UnitCounts most = before;
  for (const auto& row : live) {
    for (std::size_t file = 0; file < kRegisterFileCount; ++file)
      most[file] = std::max(most[file], before[file] + row[file]);
  }
  return most;
}

namespace {

constexpr int kFree = std::numeric_limits<int>::max() / 2;

// How long the values live that an instruction makes and reads, each as often as it has units.
long lifetime_around(const Problem& problem, std::size_t instruction, const Placements& placements, int interval) {
  long total = 0;
  const auto add = [&](int value) {
    if (value < 0) return;
    const auto life = lifetime(problem, value, placements, interval, 0);
    if (!life) return;
    total += static_cast<long>(problem.code.values[static_cast<std::size_t>(value)].units) * (life->end - life->begin);
  };
  add(problem.code.instructions[instruction].result);
  for (const NativeUse& use : problem.code.instructions[instruction].uses) add(use.value);
  return total;
}

// The cycles in which an instruction can issue while all others stay; not far from where it is.
struct Slack {
  int low = 0, high = 0;
};
Slack slack_of(const Problem& problem, std::size_t instruction, const Placements& placements, int interval) {
  const int old = placements[instruction].cycle;
  const auto is_free = [&](const Edge& edge) { return edge.from == edge.to || (interval == 0 && edge.passes_ago > 0); };
  Slack slack{interval == 0 ? 0 : -kFree, kFree};
  for (const Edge& edge : problem.in[instruction]) {
    if (is_free(edge)) continue;
    const int from = placements[static_cast<std::size_t>(edge.from)].cycle;
    slack.low = std::max(slack.low, from + edge.latency - edge.passes_ago * interval);
  }
  for (const Edge& edge : problem.out[instruction]) {
    if (is_free(edge)) continue;
    const int to = placements[static_cast<std::size_t>(edge.to)].cycle;
    slack.high = std::min(slack.high, to - edge.latency + edge.passes_ago * interval);
  }
  if (interval == 0) {  // no later than now at the end, so that the code gets no longer
    const int result = problem.code.instructions[instruction].result;
    const bool is_awaited = result >= 0 && problem.code.live_out[static_cast<std::size_t>(result)];
    if (slack.high == kFree || is_awaited) slack.high = old;
  }
  const int reach = std::max(16, 2 * interval);
  slack.low = std::max(slack.low, old - reach);
  slack.high = std::min(slack.high, old + reach);
  return slack;
}

}  // namespace

void shorten_lifetimes(const Problem& problem, int interval, Placements& placements) {
  Reservations reservations(problem.machine, interval);
  for (std::size_t i = 0; i < placements.size(); ++i) reservations.add(problem.opcode(i), placements[i]);
  bool changed = true;
  for (int round = 0; round < 6 && changed; ++round) {
    changed = false;
    for (std::size_t i = placements.size(); i-- > 0;) {
      const Slack slack = slack_of(problem, i, placements, interval);
      const Opcode opcode = problem.opcode(i);
      Placement chosen = placements[i];
      reservations.remove(opcode, chosen);
      long best = lifetime_around(problem, i, placements, interval);
      for (int cycle = slack.low; cycle <= slack.high; ++cycle) {
        const auto slot = reservations.find(opcode, cycle);
        if (!slot) continue;
        placements[i] = {cycle, *slot};
        const long total = lifetime_around(problem, i, placements, interval);
        if (total < best) {
          best = total;
          chosen = placements[i];
          changed = true;
        }
      }
      placements[i] = chosen;
      reservations.add(opcode, chosen);
    }
  }
  if (interval == 0) return;
  const auto by_cycle = [](const Placement& a, const Placement& b) { return a.cycle < b.cycle; };
  const int first = std::min_element(placements.begin(), placements.end(), by_cycle)->cycle;
  for (Placement& p : placements) p.cycle -= first;
}

}  // namespace aie_cycles
