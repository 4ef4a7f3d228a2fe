// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/schedule.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace aie_cycles {
namespace {

struct Edge {
  int from = 0;
  int to = 0;
  int latency = 0;
  int passes_ago = 0;
};

struct Graph {
  std::vector<Edge> edges;
  std::vector<std::vector<int>> in, out;  // edges by instruction
};

Graph build_graph(const NativeCode& code, const Machine& machine) {
  Graph graph;
  const std::size_t count = code.instructions.size();
  for (std::size_t i = 0; i < count; ++i) {
    const NativeInstruction& consumer = code.instructions[i];
    for (const NativeUse& use : consumer.uses) {
      const int producer = code.values[static_cast<std::size_t>(use.value)].producer;
      if (producer < 0) continue;
      const Opcode opcode = code.instructions[static_cast<std::size_t>(producer)].opcode;
      graph.edges.push_back({producer, static_cast<int>(i),
                             distance(machine[opcode], machine[consumer.opcode], use.role), use.passes_ago});
    }
  }
  for (const MemoryOrder& order : code.memory) {
    const auto& first = machine[code.instructions[static_cast<std::size_t>(order.from)].opcode];
    const auto& second = machine[code.instructions[static_cast<std::size_t>(order.to)].opcode];
    graph.edges.push_back({order.from, order.to, memory_distance(first, second), order.passes_ago});
  }
  graph.in.resize(count);
  graph.out.resize(count);
  for (std::size_t e = 0; e < graph.edges.size(); ++e) {
    graph.out[static_cast<std::size_t>(graph.edges[e].from)].push_back(static_cast<int>(e));
    graph.in[static_cast<std::size_t>(graph.edges[e].to)].push_back(static_cast<int>(e));
  }
  return graph;
}

// Who occupies slots and ports in which cycle; modulo the interval if there is one.
class Reservations {
 public:
  Reservations(const Machine& machine, int interval) : machine_(machine), interval_(interval) {}

  // A slot in which `opcode` can issue in this cycle.
  std::optional<Slot> find(Opcode opcode, int cycle) const {
    const Instruction& row = machine_[opcode];
    // A load goes to slot B first: slot A also serves what can go nowhere else.
    for (const Slot slot : {Slot::kLoadB, Slot::kLoadA, Slot::kScalar, Slot::kMove, Slot::kStore, Slot::kVector}) {
      if ((row.slots & set_of(slot)) != 0 && is_free(row, cycle, slot)) return slot;
    }
    return std::nullopt;
  }
  void add(Opcode opcode, const Placement& at) { change(opcode, at, true); }
  void remove(Opcode opcode, const Placement& at) { change(opcode, at, false); }

  // Do two instructions want the same, the first in whatever slot it can have?
  bool clash(Opcode opcode, int cycle, Opcode other, const Placement& at) const {
    const Instruction& a = machine_[opcode];
    const Instruction& b = machine_[other];
    const auto meet = [&](int x, int y) { return row_of(x) == row_of(y); };
    const unsigned taken = set_of(at.slot) | b.blocks;
    if (meet(cycle, at.cycle) && ((a.slots | a.blocks) & taken) != 0) return true;
    for (const PortUse& x : a.ports) {
      for (const PortUse& y : b.ports) {
        if (x.port == y.port && (y.slots & set_of(at.slot)) != 0 && meet(cycle + x.cycle, at.cycle + y.cycle))
          return true;
      }
    }
    return false;
  }

 private:
  struct Row {
    unsigned slots = 0, ports = 0;
  };
  static unsigned bit(Port port) { return 1u << static_cast<unsigned>(port); }
  std::size_t row_of(int cycle) const {
    if (interval_ == 0) return static_cast<std::size_t>(cycle);
    return static_cast<std::size_t>(((cycle % interval_) + interval_) % interval_);
  }
  Row at(int cycle) const { return row_of(cycle) < rows_.size() ? rows_[row_of(cycle)] : Row{}; }
  Row& grown(int cycle) {
    if (row_of(cycle) >= rows_.size()) rows_.resize(row_of(cycle) + 64);
    return rows_[row_of(cycle)];
  }
  bool is_free(const Instruction& row, int cycle, Slot slot) const {
    for (int i = 0; i < row.busy; ++i) {
      if ((at(cycle + i).slots & (set_of(slot) | row.blocks)) != 0) return false;
    }
    return std::none_of(row.ports.begin(), row.ports.end(), [&](const PortUse& use) {
      return (use.slots & set_of(slot)) != 0 && (at(cycle + use.cycle - 1).ports & bit(use.port)) != 0;
    });
  }
  void change(Opcode opcode, const Placement& at, bool set) {
    const Instruction& row = machine_[opcode];
    const auto apply = [&](unsigned& bits, unsigned mask) { bits = set ? bits | mask : bits & ~mask; };
    for (int i = 0; i < row.busy; ++i) apply(grown(at.cycle + i).slots, set_of(at.slot) | row.blocks);
    for (const PortUse& use : row.ports) {
      if ((use.slots & set_of(at.slot)) != 0) apply(grown(at.cycle + use.cycle - 1).ports, bit(use.port));
    }
  }

  const Machine& machine_;
  int interval_;
  std::vector<Row> rows_;
};

// The longest path from each instruction to the end; with an interval, over edges of earlier passes too. Empty if a
// cycle of edges needs a longer interval.
std::vector<int> heights(const Graph& graph, const NativeCode& code, const Machine& machine, int interval) {
  const std::size_t count = code.instructions.size();
  std::vector<int> height(count);
  for (std::size_t i = 0; i < count; ++i) height[i] = machine[code.instructions[i].opcode].result;
  for (std::size_t round = 0; round <= count; ++round) {
    bool changed = false;
    // From the back: most edges lead forwards.
    for (auto edge = graph.edges.rbegin(); edge != graph.edges.rend(); ++edge) {
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

// Cycles until everything that is read after the code is there.
int drained_length(const NativeCode& code, const Machine& machine, const std::vector<Placement>& placements) {
  int length = 0;
  for (std::size_t i = 0; i < code.instructions.size(); ++i) {
    const NativeInstruction& instruction = code.instructions[i];
    const Instruction& row = machine[instruction.opcode];
    const bool awaited = instruction.result >= 0 && code.live_out[static_cast<std::size_t>(instruction.result)];
    length = std::max(length, placements[i].cycle + (awaited ? std::max(row.busy, row.result) : row.busy));
  }
  return length;
}

struct Lifetime {
  int begin = 0, end = 0;  // cycles, of the first pass
};

// From the cycle in which a value is written to that in which it is last read. Values from before live all the time.
std::optional<Lifetime> lifetime(const NativeCode& code, const Graph& graph, const Machine& machine, int value,
                                 const std::vector<Placement>& placements, int interval, int length) {
  const NativeValue& v = code.values[static_cast<std::size_t>(value)];
  if (v.producer < 0) return std::nullopt;
  const auto producer = static_cast<std::size_t>(v.producer);
  Lifetime life;
  life.begin = placements[producer].cycle + machine[code.instructions[producer].opcode].result - 1;
  life.end = life.begin + 1;
  for (const int e : graph.out[producer]) {
    const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
    const NativeInstruction& reader = code.instructions[static_cast<std::size_t>(edge.to)];
    for (const NativeUse& use : reader.uses) {
      if (use.value != value) continue;
      if (interval == 0 && use.passes_ago > 0) return Lifetime{0, length};  // from pass to pass
      const Instruction& row = machine[reader.opcode];
      const int read = use.role == Role::kAccumulator ? row.accumulator : row.operand;
      const int at = placements[static_cast<std::size_t>(edge.to)].cycle + read - 1 + use.passes_ago * interval;
      life.end = std::max(life.end, at);
    }
  }
  if (interval == 0 && code.live_out[static_cast<std::size_t>(value)]) life.end = std::max(life.end, length);
  return life;
}

using UnitCounts = std::array<unsigned, kRegisterFileCount>;

// The most units of each register file that are live in one cycle. `copies`: of the steady part, see Schedule.
UnitCounts pressure(const NativeCode& code, const Graph& graph, const Machine& machine,
                    const std::vector<Placement>& placements, int interval, int length, int* copies = nullptr) {
  UnitCounts before{};
  std::vector<bool> used(code.values.size());
  for (const NativeInstruction& instruction : code.instructions) {
    for (const NativeUse& use : instruction.uses) used[static_cast<std::size_t>(use.value)] = true;
  }
  const int period = interval == 0 ? length + 16 : interval;
  std::vector<UnitCounts> live(static_cast<std::size_t>(period));
  for (std::size_t v = 0; v < code.values.size(); ++v) {
    const auto file = static_cast<std::size_t>(code.values[v].file);
    const auto life = lifetime(code, graph, machine, static_cast<int>(v), placements, interval, length);
    if (!life) {
      if (used[v]) before[file] += code.values[v].units;
      continue;
    }
    for (int cycle = life->begin; cycle < life->end; ++cycle) {
      const int row = interval == 0 ? std::min(cycle, period - 1) : cycle % period;
      live[static_cast<std::size_t>(row)][file] += code.values[v].units;
    }
    if (copies != nullptr) *copies = std::max(*copies, (life->end - life->begin + interval - 1) / interval);
  }
  UnitCounts most = before;
  for (const auto& row : live) {
    for (std::size_t file = 0; file < kRegisterFileCount; ++file)
      most[file] = std::max(most[file], before[file] + row[file]);
  }
  return most;
}

unsigned registers(const Machine& machine, RegisterFile file) {
  return file == RegisterFile::kVector        ? machine.vector_registers()
         : file == RegisterFile::kAccumulator ? machine.accumulator_registers()
                                              : machine.scalar_registers();
}

constexpr std::array<RegisterFile, kRegisterFileCount> kFiles{RegisterFile::kVector, RegisterFile::kAccumulator,
                                                              RegisterFile::kScalar};

unsigned excess(const UnitCounts& live, const Machine& machine, RegisterFile file) {
  const unsigned have = registers(machine, file);
  const unsigned need = live[static_cast<unsigned>(file)];
  return need > have ? need - have : 0;
}

bool fits(const UnitCounts& live, const Machine& machine) {
  return std::all_of(kFiles.begin(), kFiles.end(), [&](RegisterFile file) { return excess(live, machine, file) == 0; });
}

Bounds find_bounds(const NativeCode& code, const Graph& graph, const Machine& machine) {
  Bounds bounds;
  constexpr SlotSet kLoads = set_of(Slot::kLoadA) | set_of(Slot::kLoadB);
  int loads = 0;
  std::array<int, kPortCount> ports{};
  for (const NativeInstruction& instruction : code.instructions) {
    const Instruction& row = machine[instruction.opcode];
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
  while (heights(graph, code, machine, high).empty()) high *= 2;
  for (int low = high / 2 + 1; low < high;) {
    const int middle = (low + high) / 2;
    if (heights(graph, code, machine, middle).empty()) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  bounds.recurrence = high;
  if (bounds.recurrence > bounds.resource) bounds.binding = "recurrence";
  return bounds;
}

// Moves instructions within their slack where that makes values live shorter.
void shorten_lifetimes(const NativeCode& code, const Graph& graph, const Machine& machine, int interval,
                       std::vector<Placement>& placements) {
  Reservations reservations(machine, interval);
  for (std::size_t i = 0; i < placements.size(); ++i) reservations.add(code.instructions[i].opcode, placements[i]);
  constexpr int kFree = std::numeric_limits<int>::max() / 2;
  const auto total_lifetime = [&](std::size_t instruction) {
    long total = 0;
    const auto add = [&](int value) {
      if (value < 0) return;
      const auto life = lifetime(code, graph, machine, value, placements, interval, 0);
      if (life)
        total += static_cast<long>(code.values[static_cast<std::size_t>(value)].units) * (life->end - life->begin);
    };
    add(code.instructions[instruction].result);
    for (const NativeUse& use : code.instructions[instruction].uses) add(use.value);
    return total;
  };
  const auto passes = [&](const Edge& edge) { return edge.from == edge.to || (interval == 0 && edge.passes_ago > 0); };
  constexpr int kReach = 16;
  bool changed = true;
  for (int round = 0; round < 6 && changed; ++round) {
    changed = false;
    for (std::size_t i = placements.size(); i-- > 0;) {
      const Placement old = placements[i];
      int low = interval == 0 ? 0 : -kFree;
      int high = kFree;
      for (const int e : graph.in[i]) {
        const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
        if (passes(edge)) continue;
        const int from = placements[static_cast<std::size_t>(edge.from)].cycle;
        low = std::max(low, from + edge.latency - edge.passes_ago * interval);
      }
      for (const int e : graph.out[i]) {
        const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
        if (passes(edge)) continue;
        const int to = placements[static_cast<std::size_t>(edge.to)].cycle;
        high = std::min(high, to - edge.latency + edge.passes_ago * interval);
      }
      if (interval == 0) {  // no later than now at the end, so that the code gets no longer
        const int result = code.instructions[i].result;
        if (high == kFree || (result >= 0 && code.live_out[static_cast<std::size_t>(result)])) high = old.cycle;
      }
      low = std::max(low, old.cycle - std::max(kReach, 2 * interval));
      high = std::min(high, old.cycle + std::max(kReach, 2 * interval));
      const Opcode opcode = code.instructions[i].opcode;
      reservations.remove(opcode, old);
      long best = total_lifetime(i);
      Placement chosen = old;
      for (int cycle = low; cycle <= high; ++cycle) {
        const auto slot = reservations.find(opcode, cycle);
        if (!slot) continue;
        placements[i] = {cycle, *slot};
        const long total = total_lifetime(i);
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

// Rau's iterative modulo scheduling; `seed` shuffles equals. Nothing: not found within the budget of steps.
std::optional<std::vector<Placement>> modulo_schedule(const NativeCode& code, const Graph& graph,
                                                      const Machine& machine, int interval, unsigned seed) {
  const std::vector<int> height = heights(graph, code, machine, interval);
  if (height.empty()) return std::nullopt;
  const std::size_t count = code.instructions.size();
  std::vector<int> rank(count);
  std::iota(rank.begin(), rank.end(), 0);
  if (seed > 0) {
    std::mt19937 random(seed);
    std::shuffle(rank.begin(), rank.end(), random);
  }
  Reservations reservations(machine, interval);
  std::vector<Placement> placements(count);
  std::vector<bool> placed(count);
  std::vector<int> last(count, -1);  // where it was placed before
  std::size_t left = count;
  const auto opcode_of = [&](std::size_t i) { return code.instructions[i].opcode; };
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
    for (const int e : graph.in[next]) {
      const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
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
    for (const int e : graph.out[next]) {
      const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
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
    code.instructions.push_back({opcode, {}, values.back(), -1, "reload"});
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

Attempt attempt(const NativeCode& code, const Graph& graph, const Machine& machine, int interval, long least_passes) {
  Attempt result;
  // The shortest of those that fit; of equals the one with the fewest copies.
  const auto consider = [&](const std::vector<Placement>& placements) {
    Schedule schedule;
    schedule.placements = placements;
    schedule.interval = interval;
    for (const Placement& p : placements) schedule.stages = std::max(schedule.stages, p.cycle / interval + 1);
    schedule.length = drained_length(code, machine, placements);
    if (schedule.stages > least_passes) {
      result.too_many_stages = true;
      return;
    }
    schedule.live = pressure(code, graph, machine, placements, interval, schedule.length, &schedule.copies);
    if (!fits(schedule.live, machine)) {
      result.live = schedule.live;
    } else if (!result.schedule || std::pair(schedule.length, schedule.copies) <
                                       std::pair(result.schedule->length, result.schedule->copies)) {
      result.schedule = std::move(schedule);
    }
  };
  constexpr unsigned kTries = 8;
  for (unsigned seed = 0; seed < kTries; ++seed) {
    auto placements = modulo_schedule(code, graph, machine, interval, seed);
    if (!placements) continue;
    consider(*placements);
    shorten_lifetimes(code, graph, machine, interval, *placements);
    consider(*placements);
  }
  return result;
}

// Each instruction right after what it needs and what nothing else needs so far, in the order of the code's ends.
std::vector<std::size_t> depth_first(const NativeCode& code, const Graph& graph) {
  const std::size_t count = code.instructions.size();
  std::vector<std::size_t> order;
  std::vector<bool> seen(count);
  const auto visit = [&](auto&& self, std::size_t i) -> void {
    if (seen[i]) return;
    seen[i] = true;
    for (const int e : graph.in[i]) {
      const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
      if (edge.passes_ago == 0) self(self, static_cast<std::size_t>(edge.from));
    }
    order.push_back(i);
  };
  for (std::size_t i = 0; i < count; ++i) {
    if (graph.out[i].empty()) visit(visit, i);
  }
  for (std::size_t i = 0; i < count; ++i) visit(visit, i);
  return order;
}

// Cycle after cycle, the first in `order` of what is ready. No load that would make more units of a register
// file wait for a reader than `most`, unless nothing else can be begun.
std::vector<Placement> list_schedule(const NativeCode& code, const Graph& graph, const Machine& machine,
                                     const std::vector<std::size_t>& order, const UnitCounts& most) {
  const std::size_t count = code.instructions.size();
  std::vector<Placement> placements(count);
  Reservations reservations(machine, 0);
  std::vector<bool> placed(count);
  std::vector<unsigned> readers(code.values.size());  // yet to come
  for (const NativeInstruction& instruction : code.instructions) {
    for (const NativeUse& use : instruction.uses) ++readers[static_cast<std::size_t>(use.value)];
  }
  UnitCounts waiting{};
  const auto has_room = [&](std::size_t i) {
    const int result = code.instructions[i].result;
    if (result < 0 || !graph.in[i].empty()) return true;
    const NativeValue& value = code.values[static_cast<std::size_t>(result)];
    const auto file = static_cast<std::size_t>(value.file);
    return waiting[file] + value.units <= most[file];
  };
  const auto note = [&](std::size_t i) {
    const int result = code.instructions[i].result;
    if (result >= 0) {
      const NativeValue& value = code.values[static_cast<std::size_t>(result)];
      waiting[static_cast<std::size_t>(value.file)] += value.units;
    }
    for (const NativeUse& use : code.instructions[i].uses) {
      const NativeValue& value = code.values[static_cast<std::size_t>(use.value)];
      if (--readers[static_cast<std::size_t>(use.value)] == 0 && value.producer >= 0 &&
          !code.live_out[static_cast<std::size_t>(use.value)]) {
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
      int from = graph.in[i].empty() ? now : 0;
      for (const int e : graph.in[i]) {
        const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
        if (edge.passes_ago > 0) continue;
        const auto producer = static_cast<std::size_t>(edge.from);
        from = std::max(from, placed[producer] ? placements[producer].cycle + edge.latency : now + 1);
      }
      // A late reader may issue before what it reads, and so before now.
      std::optional<Slot> slot;
      while (from <= now && !(slot = reservations.find(code.instructions[i].opcode, from))) ++from;
      if (!slot) continue;
      placements[i] = {from, *slot};
      reservations.add(code.instructions[i].opcode, placements[i]);
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
  const Machine& machine = Machine::of(device);
  const Graph graph = build_graph(code, machine);
  Schedule schedule;
  const std::size_t count = code.instructions.size();
  if (count == 0) return schedule;
  const auto consider = [&](std::vector<Placement> placements) {
    Schedule found;
    found.placements = std::move(placements);
    found.length = drained_length(code, machine, found.placements);
    found.live = pressure(code, graph, machine, found.placements, 0, found.length);
    // What does not fit is stored and loaded again, in slots that are mostly idle: one bundle each at the worst.
    found.spills = excess(found.live, machine, RegisterFile::kVector) / 2 +
                   excess(found.live, machine, RegisterFile::kAccumulator) +
                   excess(found.live, machine, RegisterFile::kScalar);
    found.length += static_cast<int>(found.spills);
    if (schedule.placements.empty() || found.length < schedule.length) schedule = std::move(found);
  };
  const std::vector<int> height = heights(graph, code, machine, 0);
  std::vector<std::size_t> by_height(count);
  std::iota(by_height.begin(), by_height.end(), std::size_t{0});
  std::stable_sort(by_height.begin(), by_height.end(),
                   [&](std::size_t a, std::size_t b) { return height[a] > height[b]; });
  UnitCounts most;
  most.fill(std::numeric_limits<unsigned>::max() / 2);
  consider(list_schedule(code, graph, machine, by_height, most));
  if (!fits(schedule.live, machine)) {
    auto placements = schedule.placements;
    shorten_lifetimes(code, graph, machine, 0, placements);
    consider(std::move(placements));
  }
  // Fewer values at a time: what waits counts from its producer's issue, so that more of them than registers may fit.
  const std::vector<std::size_t> by_depth = depth_first(code, graph);
  for (unsigned more = 0; more <= 16 && schedule.spills > 0; more += 4) {
    for (const RegisterFile file : kFiles) most[static_cast<std::size_t>(file)] = registers(machine, file) + more;
    for (const auto& order : {by_height, by_depth}) consider(list_schedule(code, graph, machine, order, most));
  }
  schedule.bounds = find_bounds(code, graph, machine);
  return schedule;
}

Schedule schedule_loop(NativeCode& code, Device device, long least_passes) {
  const Machine& machine = Machine::of(device);
  const Graph graph = build_graph(code, machine);
  Schedule straight = schedule_straight(code, device);
  // The next pass waits for what this one hands on.
  for (const Edge& edge : graph.edges) {
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
    Attempt found = attempt(code, graph, machine, interval, least_passes);
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
      found = attempt(spilled, build_graph(spilled, machine), machine, interval, least_passes);
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
