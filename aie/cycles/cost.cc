// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/cost.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "aie/cycles/lower.h"

namespace aie_cycles {
namespace {

bool is_innermost(const Loop& loop) {
  return std::all_of(loop.passes.begin(), loop.passes.end(), [](const Block& pass) {
    return std::all_of(pass.begin(), pass.end(), [](const Item& item) { return item.loop == nullptr; });
  });
}

bool same_operations(const Block& a, const Block& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Item& x, const Item& y) {
    return x.step.operation == y.step.operation && x.step.inputs.size() == y.step.inputs.size() &&
           x.step.results.size() == y.step.results.size() && x.step.bytes == y.step.bytes;
  });
}

// Can a compiler overlap the passes? They are alike, with no loop in them,
bool is_uniform(const Loop& loop) {
  return is_innermost(loop) && std::all_of(loop.passes.begin(), loop.passes.end(),
                                           [&](const Block& pass) { return same_operations(loop.passes[0], pass); });
}
// and call no routine.
bool calls_routine(const NativeCode& code) {
  return std::any_of(code.instructions.begin(), code.instructions.end(),
                     [](const NativeInstruction& instruction) { return instruction.opcode == Opcode::kDivide; });
}

// Codes of the same shape have the same schedule.
std::string shape_of(const NativeCode& code) {
  std::string shape;
  const auto add = [&](int number) {
    shape += std::to_string(number);
    shape += ',';
  };
  for (const NativeInstruction& instruction : code.instructions) {
    add(static_cast<int>(instruction.opcode));
    add(instruction.result);
    if (instruction.result >= 0) add(code.live_out[static_cast<std::size_t>(instruction.result)] ? 1 : 0);
    for (const NativeUse& use : instruction.uses) {
      add(use.value);
      add(static_cast<int>(use.role) * 16 + use.passes_ago);
    }
    shape += ';';
  }
  for (const MemoryOrder& order : code.memory) {
    add(order.from);
    add(order.to);
    add(order.passes_ago);
  }
  return shape;
}

class Walker {
 public:
  Walker(Device device, const ControlCosts& control, ReaderCounts readers)
      : device_(device), control_(control), readers_(std::move(readers)) {}

  // Cycles of a block; the cycles of the straight code at its end, into which a branch can go, in `tail`.
  long walk(std::span<const Item> block, const std::string& where, long* tail) {
    long cycles = 0;
    *tail = 0;
    for (std::size_t i = 0; i < block.size();) {
      if (block[i].loop != nullptr) {
        cycles += walk_loop(*block[i].loop);
        *tail = 0;
        ++i;
        continue;
      }
      std::size_t end = i;
      while (end < block.size() && block[end].loop == nullptr) ++end;
      *tail = walk_straight(block.subspan(i, end - i), where.empty() ? "straight" : "straight in " + where);
      cycles += *tail;
      i = end;
    }
    return cycles;
  }

  std::vector<Piece> take_pieces() { return std::move(pieces_); }

 private:
  Piece& piece(const std::string& name, NativeCode code, bool is_loop, long least_passes) {
    const std::string key = name + ":" + (is_loop ? std::to_string(least_passes) : "") + ":" + shape_of(code);
    const auto [it, fresh] = by_shape_.try_emplace(key, pieces_.size());
    if (fresh) {
      Piece made;
      made.name = name;
      made.is_loop = is_loop;
      made.schedule = is_loop ? schedule_loop(code, device_, least_passes) : schedule_straight(code, device_);
      made.code = std::move(code);
      pieces_.push_back(std::move(made));
    }
    return pieces_[it->second];
  }

  long walk_straight(std::span<const Item> items, const std::string& name) {
    Piece& p = piece(name, lower_straight(items, readers_, device_), false, 0);
    ++p.times;
    ++p.passes;
    p.cycles += p.schedule.length;
    return p.schedule.length;
  }

  long walk_loop(const Loop& loop) {
    const std::string site(loop.site);
    const auto passes = static_cast<long>(loop.passes.size());
    std::optional<NativeCode> code;
    if (is_uniform(loop)) code = lower_pass(loop, readers_, device_);
    if (code && !calls_routine(*code)) {
      // More passes than stages change nothing.
      const long overlapped = code->instructions.size() <= control_.pipelined_instructions ? std::min(passes, 64L) : 1;
      Piece& p = piece(site, std::move(*code), true, overlapped);
      const long cycles = control_.loop_setup + p.schedule.cycles(passes);
      ++p.times;
      p.passes += passes;
      p.cycles += cycles;
      return cycles;
    }
    long cycles = control_.loop_setup;
    for (const Block& pass : loop.passes) {
      long tail = 0;
      cycles += walk(pass, site, &tail);
      cycles += std::max(0L, control_.branch - tail);
    }
    return cycles;
  }

  Device device_;
  ControlCosts control_;
  ReaderCounts readers_;
  std::vector<Piece> pieces_;
  std::map<std::string, std::size_t> by_shape_;
};

}  // namespace

const Piece* CallCost::hottest() const {
  const auto it = std::max_element(pieces.begin(), pieces.end(),
                                   [](const Piece& a, const Piece& b) { return a.cycles < b.cycles; });
  return it == pieces.end() ? nullptr : &*it;
}

CallCost cost_of_call(Block call, Device device, const ControlCosts& control) {
  const Block block = simplify(std::move(call));
  Walker walker(device, control, count_readers(block));
  CallCost cost;
  long tail = 0;
  cost.cycles = control.call + walker.walk(block, "", &tail);
  cost.pieces = walker.take_pieces();
  for (const Piece& p : cost.pieces) {
    const Schedule& s = p.schedule;
    for (std::size_t i = 0; i < p.code.instructions.size() && i < s.placements.size(); ++i) {
      cost.slot_use[static_cast<unsigned>(s.placements[i].slot)] += p.passes;
    }
    const long bundles = s.interval == 0 ? s.length : 2 * (s.stages - 1) * s.interval + s.copies * s.interval;
    cost.program_bytes += bundles * Machine::kBundleBytes;
    cost.spills += s.spills;
  }
  return cost;
}

Breakdown breakdown(const CallCost& cost, const ControlCosts& control) {
  using Use = std::array<long, kSlotCount>;
  // One load of either kind a cycle each.
  const auto needs = [](Use use) {
    constexpr auto kA = static_cast<unsigned>(Slot::kLoadA);
    constexpr auto kB = static_cast<unsigned>(Slot::kLoadB);
    use[kA] = std::max((use[kA] + use[kB] + 1) / 2, std::max(use[kA], use[kB]));
    use[kB] = 0;
    return use;
  };
  const auto most = [](const Use& use) { return std::max_element(use.begin(), use.end()); };
  Breakdown result;
  const Use whole = needs(cost.slot_use);
  result.busiest = static_cast<Slot>(most(whole) - whole.begin());
  result.one_slot = *most(whole);
  long slots = 0;
  for (const Piece& piece : cost.pieces) {
    Use pass{};
    for (const Placement& placement : piece.schedule.placements) ++pass[static_cast<unsigned>(placement.slot)];
    const long need = *most(needs(pass));
    const long passes = piece.is_loop ? piece.passes : piece.times;
    slots += passes * need;
    if (piece.is_loop) {
      const int each = piece.schedule.interval > 0 ? piece.schedule.interval : piece.schedule.length;
      result.intervals += passes * (each - need);
    }
  }
  result.other_slots = slots - result.one_slot;
  result.latency = cost.cycles - control.call - slots - result.intervals;
  return result;
}

}  // namespace aie_cycles
