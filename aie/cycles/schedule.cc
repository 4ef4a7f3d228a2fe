// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/schedule.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>

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
    if ((slots(cycle) & row.blocks) != 0) return std::nullopt;
    for (const PortUse& use : row.ports) {
      if ((ports(cycle + use.cycle - 1) & port_bit(use.port)) != 0) return std::nullopt;
    }
    // A load goes to slot B first: slot A also serves what can go nowhere else.
    for (const Slot slot : {Slot::kLoadB, Slot::kLoadA, Slot::kScalar, Slot::kMove, Slot::kStore, Slot::kVector}) {
      if ((row.slots & set_of(slot)) != 0 && (slots(cycle) & set_of(slot)) == 0) return slot;
    }
    return std::nullopt;
  }
  void add(Opcode opcode, const Placement& at) { change(opcode, at, true); }
  void remove(Opcode opcode, const Placement& at) { change(opcode, at, false); }

 private:
  static unsigned port_bit(Port port) { return 1u << static_cast<unsigned>(port); }
  std::size_t row_of(int cycle) const {
    if (interval_ == 0) return static_cast<std::size_t>(cycle + kMargin);
    return static_cast<std::size_t>(((cycle % interval_) + interval_) % interval_);
  }
  unsigned slots(int cycle) const { return row_of(cycle) < slots_.size() ? slots_[row_of(cycle)] : 0; }
  unsigned ports(int cycle) const { return row_of(cycle) < ports_.size() ? ports_[row_of(cycle)] : 0; }
  void change(Opcode opcode, const Placement& at, bool set) {
    const Instruction& row = machine_[opcode];
    const auto apply = [&](std::vector<unsigned>& table, int cycle, unsigned bits) {
      const std::size_t index = row_of(cycle);
      if (index >= table.size()) table.resize(index + 64);
      table[index] = set ? table[index] | bits : table[index] & ~bits;
    };
    apply(slots_, at.cycle, set_of(at.slot) | row.blocks);
    for (const PortUse& use : row.ports) apply(ports_, at.cycle + use.cycle - 1, port_bit(use.port));
  }

  static constexpr int kMargin = 64;
  const Machine& machine_;
  int interval_;
  std::vector<unsigned> slots_, ports_;
};

// The longest path from each instruction to the end; with an interval, over edges of earlier passes too. Empty if a
// cycle of edges needs a longer interval.
std::vector<int> heights(const Graph& graph, const NativeCode& code, const Machine& machine, int interval) {
  const std::size_t count = code.instructions.size();
  std::vector<int> height(count);
  for (std::size_t i = 0; i < count; ++i) height[i] = machine[code.instructions[i].opcode].result;
  for (std::size_t round = 0; round <= count; ++round) {
    bool changed = false;
    for (const Edge& edge : graph.edges) {
      if (interval == 0 && edge.passes_ago > 0) continue;
      const int through = height[static_cast<std::size_t>(edge.to)] + edge.latency - edge.passes_ago * interval;
      int& h = height[static_cast<std::size_t>(edge.from)];
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
    int end = placements[i].cycle + 1;
    if (instruction.result >= 0 && code.live_out[static_cast<std::size_t>(instruction.result)]) {
      end = std::max(end, placements[i].cycle + machine[instruction.opcode].result);
    }
    if (instruction.opcode == Opcode::kDivide) end = placements[i].cycle + machine[instruction.opcode].result;
    length = std::max(length, end);
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
      const Instruction& row = machine[reader.opcode];
      const int read = use.role == Role::kAccumulator ? row.accumulator : row.operand;
      const int at = placements[static_cast<std::size_t>(edge.to)].cycle + read - 1 + use.passes_ago * interval;
      life.end = std::max(life.end, at);
    }
  }
  if (code.live_out[static_cast<std::size_t>(value)] && interval == 0) life.end = std::max(life.end, length);
  return life;
}

// The most units of each register file that are live in one cycle.
std::array<unsigned, kRegisterFileCount> pressure(const NativeCode& code, const Graph& graph, const Machine& machine,
                                                  const std::vector<Placement>& placements, int interval, int length,
                                                  int* copies) {
  std::array<unsigned, kRegisterFileCount> before{};
  std::vector<bool> used(code.values.size());
  for (const NativeInstruction& instruction : code.instructions) {
    for (const NativeUse& use : instruction.uses) used[static_cast<std::size_t>(use.value)] = true;
  }
  const int period = interval == 0 ? length + 16 : interval;
  std::vector<std::array<unsigned, kRegisterFileCount>> live(static_cast<std::size_t>(std::max(period, 1)));
  for (std::size_t v = 0; v < code.values.size(); ++v) {
    const auto file = static_cast<std::size_t>(code.values[v].file);
    const auto life = lifetime(code, graph, machine, static_cast<int>(v), placements, interval, length);
    if (!life) {
      if (used[v]) before[file] += code.values[v].units;
      continue;
    }
    for (int cycle = life->begin; cycle < life->end; ++cycle) {
      const int row = interval == 0 ? std::clamp(cycle, 0, period - 1) : ((cycle % period) + period) % period;
      live[static_cast<std::size_t>(row)][file] += code.values[v].units;
    }
    if (copies != nullptr && interval > 0)
      *copies = std::max(*copies, (life->end - life->begin + interval - 1) / interval);
  }
  std::array<unsigned, kRegisterFileCount> most = before;
  for (const auto& row : live) {
    for (std::size_t file = 0; file < kRegisterFileCount; ++file)
      most[file] = std::max(most[file], before[file] + row[file]);
  }
  return most;
}

bool fits(const std::array<unsigned, kRegisterFileCount>& live, const Machine& machine) {
  return live[0] <= machine.vector_registers() && live[1] <= machine.accumulator_registers() &&
         live[2] <= machine.scalar_registers();
}

Bounds find_bounds(const NativeCode& code, const Graph& graph, const Machine& machine) {
  Bounds bounds;
  int loads = 0;
  std::array<int, kPortCount> ports{};
  for (const NativeInstruction& instruction : code.instructions) {
    const Instruction& row = machine[instruction.opcode];
    if (row.slots == (set_of(Slot::kLoadA) | set_of(Slot::kLoadB))) {
      ++loads;
    } else {
      for (unsigned s = 0; s < kSlotCount; ++s) {
        if (((row.slots | row.blocks) & (1u << s)) != 0) ++bounds.slot[s];
      }
    }
    for (const PortUse& use : row.ports) ++ports[static_cast<unsigned>(use.port)];
  }
  const int both = bounds.slot[0] + bounds.slot[1] + loads;
  const int shared = std::max({(both + 1) / 2, bounds.slot[0], bounds.slot[1]});
  bounds.slot[0] = bounds.slot[1] = shared;
  for (unsigned s = 0; s < kSlotCount; ++s) {
    if (bounds.slot[s] > bounds.resource || bounds.binding.empty()) {
      bounds.resource = std::max(1, bounds.slot[s]);
      bounds.binding = s < 2 ? "loads" : std::string(name(static_cast<Slot>(s)));
    }
  }
  for (const int uses : ports) {
    if (uses > bounds.resource) {
      bounds.resource = uses;
      bounds.binding = "port";
    }
  }
  while (heights(graph, code, machine, bounds.recurrence).empty()) ++bounds.recurrence;
  if (bounds.recurrence > bounds.resource) bounds.binding = "recurrence";
  return bounds;
}

class ModuloScheduler {
 public:
  ModuloScheduler(const NativeCode& code, const Graph& graph, const Machine& machine)
      : code_(code), graph_(graph), machine_(machine) {}

  // Rau's iterative modulo scheduling; `seed` shuffles equals.
  std::optional<std::vector<Placement>> run(int interval, unsigned seed) {
    interval_ = interval;
    const std::vector<int> height = heights(graph_, code_, machine_, interval);
    if (height.empty()) return std::nullopt;
    const std::size_t count = code_.instructions.size();
    std::vector<int> rank(count);
    std::iota(rank.begin(), rank.end(), 0);
    if (seed > 0) {
      std::mt19937 random(seed);
      std::shuffle(rank.begin(), rank.end(), random);
    }
    Reservations reservations(machine_, interval);
    std::vector<Placement> placements(count);
    std::vector<bool> placed(count);
    std::vector<int> earliest(count, std::numeric_limits<int>::min());
    std::size_t left = count;
    for (long budget = 20 * static_cast<long>(count) + 100; left > 0; --budget) {
      if (budget == 0) return std::nullopt;
      std::size_t next = count;
      for (std::size_t i = 0; i < count; ++i) {
        if (placed[i]) continue;
        if (next == count || height[i] > height[next] || (height[i] == height[next] && rank[i] < rank[next])) next = i;
      }
      int from = 0;
      for (const int e : graph_.in[next]) {
        const Edge& edge = graph_.edges[static_cast<std::size_t>(e)];
        if (!placed[static_cast<std::size_t>(edge.from)]) continue;
        from = std::max(
            from, placements[static_cast<std::size_t>(edge.from)].cycle + edge.latency - edge.passes_ago * interval);
      }
      const Opcode opcode = code_.instructions[next].opcode;
      std::optional<Slot> slot;
      int cycle = from;
      for (; cycle < from + interval; ++cycle) {
        slot = reservations.find(opcode, cycle);
        if (slot) break;
      }
      if (!slot) {
        cycle = std::max(from, earliest[next] == std::numeric_limits<int>::min() ? from : earliest[next] + 1);
        // Whoever is in the way gives way.
        for (std::size_t i = 0; i < count && !(slot = reservations.find(opcode, cycle)); ++i) {
          if (!placed[i] || !conflicts(opcode, cycle, i, placements[i])) continue;
          reservations.remove(code_.instructions[i].opcode, placements[i]);
          placed[i] = false;
          ++left;
        }
        if (!slot) return std::nullopt;
      }
      placements[next] = {cycle, *slot};
      earliest[next] = cycle;
      reservations.add(opcode, placements[next]);
      placed[next] = true;
      --left;
      const auto unplace = [&](int other) {
        const auto i = static_cast<std::size_t>(other);
        if (!placed[i] || i == next) return;
        reservations.remove(code_.instructions[i].opcode, placements[i]);
        placed[i] = false;
        ++left;
      };
      for (const int e : graph_.out[next]) {
        const Edge& edge = graph_.edges[static_cast<std::size_t>(e)];
        const auto to = static_cast<std::size_t>(edge.to);
        if (placed[to] && placements[to].cycle < cycle + edge.latency - edge.passes_ago * interval) unplace(edge.to);
      }
    }
    shorten_lifetimes(placements, reservations);
    const int first =
        std::min_element(placements.begin(), placements.end(), [](const Placement& a, const Placement& b) {
          return a.cycle < b.cycle;
        })->cycle;
    for (Placement& p : placements) p.cycle -= first;
    return placements;
  }

 private:
  bool conflicts(Opcode opcode, int cycle, std::size_t other, const Placement& at) const {
    Reservations alone(machine_, interval_);
    alone.add(code_.instructions[other].opcode, at);
    const Instruction& row = machine_[opcode];
    if (!alone.find(opcode, cycle)) return true;
    // One of two slots is taken: it conflicts only if the other is too, which removing it resolves as well.
    return (row.slots & set_of(at.slot)) != 0 && ((cycle - at.cycle) % interval_) == 0;
  }

  long total_lifetime(const std::vector<Placement>& placements, std::size_t instruction) const {
    long total = 0;
    const auto add = [&](int value) {
      if (value < 0) return;
      const auto life = lifetime(code_, graph_, machine_, value, placements, interval_, 0);
      if (life)
        total += static_cast<long>(code_.values[static_cast<std::size_t>(value)].units) * (life->end - life->begin);
    };
    add(code_.instructions[instruction].result);
    for (const NativeUse& use : code_.instructions[instruction].uses) add(use.value);
    return total;
  }

  // Moves instructions within their slack where that makes values live shorter.
  void shorten_lifetimes(std::vector<Placement>& placements, Reservations& reservations) const {
    const std::size_t count = placements.size();
    for (int round = 0; round < 6; ++round) {
      bool changed = false;
      for (std::size_t i = count; i-- > 0;) {
        int low = std::numeric_limits<int>::min() / 2;
        int high = std::numeric_limits<int>::max() / 2;
        for (const int e : graph_.in[i]) {
          const Edge& edge = graph_.edges[static_cast<std::size_t>(e)];
          if (edge.from == static_cast<int>(i)) continue;
          low = std::max(
              low, placements[static_cast<std::size_t>(edge.from)].cycle + edge.latency - edge.passes_ago * interval_);
        }
        for (const int e : graph_.out[i]) {
          const Edge& edge = graph_.edges[static_cast<std::size_t>(e)];
          if (edge.to == static_cast<int>(i)) continue;
          high = std::min(
              high, placements[static_cast<std::size_t>(edge.to)].cycle - edge.latency + edge.passes_ago * interval_);
        }
        const Placement old = placements[i];
        low = std::max({low, old.cycle - 2 * interval_, old.cycle - 16});
        high = std::min({high, old.cycle + 2 * interval_, old.cycle + 16});
        const Opcode opcode = code_.instructions[i].opcode;
        reservations.remove(opcode, old);
        long best = total_lifetime(placements, i);
        Placement chosen = old;
        for (int cycle = low; cycle <= high; ++cycle) {
          const auto slot = reservations.find(opcode, cycle);
          if (!slot) continue;
          placements[i] = {cycle, *slot};
          const long total = total_lifetime(placements, i);
          if (total < best) {
            best = total;
            chosen = placements[i];
            changed = true;
          }
        }
        placements[i] = chosen;
        reservations.add(opcode, chosen);
      }
      if (!changed) break;
    }
  }

  const NativeCode& code_;
  const Graph& graph_;
  const Machine& machine_;
  int interval_ = 1;
};

// A loop's values from before that are read once a pass can as well be loaded each time: frees registers.
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
  const NativeValue old = code.values[static_cast<std::size_t>(chosen)];
  std::vector<NativeInstruction> loads;
  const unsigned bytes = old.units * (file == RegisterFile::kVector        ? 32u
                                      : file == RegisterFile::kAccumulator ? 64u
                                                                           : 4u);
  const unsigned count = file == RegisterFile::kScalar ? 1 : std::max(1u, bytes / machine.load_bytes());
  const Opcode opcode = file == RegisterFile::kVector        ? Opcode::kLoad
                        : file == RegisterFile::kAccumulator ? Opcode::kLoadAccum
                                                             : Opcode::kLoadScalar;
  std::vector<int> values;
  for (unsigned i = 0; i < count; ++i) {
    code.values.push_back({static_cast<int>(code.instructions.size()), file, std::max(1u, old.units / count)});
    code.live_out.push_back(false);
    values.push_back(static_cast<int>(code.values.size()) - 1);
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

}  // namespace

Schedule schedule_straight(const NativeCode& code, Device device) {
  const Machine& machine = Machine::of(device);
  const Graph graph = build_graph(code, machine);
  Schedule schedule;
  const std::size_t count = code.instructions.size();
  schedule.placements.resize(count);
  if (count == 0) return schedule;
  schedule.bounds = find_bounds(code, graph, machine);
  const std::vector<int> height = heights(graph, code, machine, 0);
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return height[a] > height[b]; });

  Reservations reservations(machine, 0);
  std::vector<bool> placed(count);
  std::size_t left = count;
  for (int cycle = 0; left > 0; ++cycle) {
    for (const std::size_t i : order) {
      if (placed[i]) continue;
      bool ready = true;
      for (const int e : graph.in[i]) {
        const Edge& edge = graph.edges[static_cast<std::size_t>(e)];
        if (edge.passes_ago > 0) continue;
        const auto from = static_cast<std::size_t>(edge.from);
        // A producer that may issue after its reader has to be placed first all the same.
        if (!placed[from] || schedule.placements[from].cycle + edge.latency > cycle) {
          ready = false;
          break;
        }
      }
      if (!ready) continue;
      const auto slot = reservations.find(code.instructions[i].opcode, cycle);
      if (!slot) continue;
      schedule.placements[i] = {cycle, *slot};
      reservations.add(code.instructions[i].opcode, schedule.placements[i]);
      placed[i] = true;
      --left;
    }
    // The routine of a division runs alone.
    for (std::size_t i = 0; i < count; ++i) {
      if (placed[i] && schedule.placements[i].cycle == cycle && code.instructions[i].opcode == Opcode::kDivide) {
        cycle += machine[Opcode::kDivide].result - 1;
      }
    }
  }
  schedule.length = drained_length(code, machine, schedule.placements);
  schedule.live = pressure(code, graph, machine, schedule.placements, 0, schedule.length, nullptr);
  // What does not fit is stored and loaded again, in slots that are mostly idle: one bundle each at the worst.
  const auto excess = [](unsigned live, unsigned registers) { return live > registers ? live - registers : 0; };
  schedule.spills = excess(schedule.live[0], machine.vector_registers()) / 2 +
                    excess(schedule.live[1], machine.accumulator_registers());
  schedule.length += static_cast<int>(schedule.spills);
  return schedule;
}

Schedule schedule_loop(NativeCode& code, Device device, long least_passes) {
  const Machine& machine = Machine::of(device);
  const NativeCode original = code;
  const Schedule straight = schedule_straight(original, device);
  for (unsigned spills = 0;; ++spills) {
    const Graph graph = build_graph(code, machine);
    const Bounds bounds = find_bounds(code, graph, machine);
    ModuloScheduler scheduler(code, graph, machine);
    RegisterFile tight = RegisterFile::kVector;
    bool pressed = false;
    // Some slack before a spill: a longer interval often needs fewer registers.
    const int first = std::max(bounds.resource, bounds.recurrence);
    const int last = std::min(straight.length - 1, first + first / 4 + 4);
    for (int interval = first; interval <= last; ++interval) {
      const unsigned tries = code.instructions.size() > 150 ? 2 : 8;
      for (unsigned seed = 0; seed < tries; ++seed) {
        auto placements = scheduler.run(interval, seed);
        if (!placements) continue;
        Schedule schedule;
        schedule.placements = std::move(*placements);
        int end = 0;
        for (const Placement& p : schedule.placements) end = std::max(end, p.cycle);
        schedule.interval = interval;
        schedule.stages = end / interval + 1;
        if (schedule.stages > least_passes) continue;
        schedule.length = drained_length(code, machine, schedule.placements);
        schedule.live =
            pressure(code, graph, machine, schedule.placements, interval, schedule.length, &schedule.copies);
        if (!fits(schedule.live, machine)) {
          pressed = true;
          tight = schedule.live[0] > machine.vector_registers()        ? RegisterFile::kVector
                  : schedule.live[1] > machine.accumulator_registers() ? RegisterFile::kAccumulator
                                                                       : RegisterFile::kScalar;
          continue;
        }
        schedule.bounds = bounds;
        schedule.spills = spills;
        if (interval > first) {
          schedule.bounds.binding += schedule.stages >= least_passes ? " (few passes)"
                                     : pressed                       ? " (registers)"
                                                                     : " (search)";
        }
        return schedule;
      }
    }
    if (!pressed || spills >= 12 || !reload_one(code, tight, machine)) {
      if (last + 1 >= straight.length || spills >= 12 || !pressed) break;
    }
  }
  // Few passes, or too many registers: any interval that is better than none.
  code = original;
  {
    const Graph graph = build_graph(original, machine);
    const Bounds bounds = find_bounds(original, graph, machine);
    ModuloScheduler scheduler(original, graph, machine);
    for (int interval = std::max(bounds.resource, bounds.recurrence); interval < straight.length; ++interval) {
      auto placements = scheduler.run(interval, 0);
      if (!placements) continue;
      Schedule schedule;
      schedule.placements = std::move(*placements);
      int end = 0;
      for (const Placement& p : schedule.placements) end = std::max(end, p.cycle);
      schedule.interval = interval;
      schedule.stages = end / interval + 1;
      schedule.length = drained_length(original, machine, schedule.placements);
      if (schedule.stages > least_passes || schedule.length > 2 * straight.length) continue;
      schedule.live =
          pressure(original, graph, machine, schedule.placements, interval, schedule.length, &schedule.copies);
      if (!fits(schedule.live, machine)) continue;
      schedule.bounds = bounds;
      schedule.bounds.binding += " (few passes or registers)";
      return schedule;
    }
  }
  Schedule schedule = straight;
  schedule.interval = 0;
  schedule.bounds.binding = "length";
  return schedule;
}

}  // namespace aie_cycles
