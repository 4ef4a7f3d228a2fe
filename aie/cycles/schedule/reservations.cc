// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/schedule/reservations.h"

#include <algorithm>

namespace aie_cycles {
namespace {

unsigned bit(Port port) { return 1u << static_cast<unsigned>(port); }

}  // namespace

std::optional<Slot> Reservations::find(Opcode opcode, int cycle) const {
  const Instruction& row = machine_[opcode];
  // A load goes to slot B first: slot A also serves what can go nowhere else.
  for (const Slot slot : {Slot::kLoadB, Slot::kLoadA, Slot::kScalar, Slot::kMove, Slot::kStore, Slot::kVector}) {
    if ((row.slots & set_of(slot)) != 0 && is_free(row, cycle, slot)) return slot;
  }
  return std::nullopt;
}

bool Reservations::clash(Opcode opcode, int cycle, Opcode other, const Placement& at) const {
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

std::size_t Reservations::row_of(int cycle) const {
  if (interval_ == 0) return static_cast<std::size_t>(cycle);
  return static_cast<std::size_t>(((cycle % interval_) + interval_) % interval_);
}

Reservations::Row& Reservations::grown(int cycle) {
  if (row_of(cycle) >= rows_.size()) rows_.resize(row_of(cycle) + 64);
  return rows_[row_of(cycle)];
}

bool Reservations::is_free(const Instruction& row, int cycle, Slot slot) const {
  for (int i = 0; i < row.busy; ++i) {
    if ((at(cycle + i).slots & (set_of(slot) | row.blocks)) != 0) return false;
  }
  return std::none_of(row.ports.begin(), row.ports.end(), [&](const PortUse& use) {
    return (use.slots & set_of(slot)) != 0 && (at(cycle + use.cycle - 1).ports & bit(use.port)) != 0;
  });
}

void Reservations::change(Opcode opcode, const Placement& at, bool set) {
  const Instruction& row = machine_[opcode];
  const auto apply = [&](unsigned& bits, unsigned mask) { bits = set ? bits | mask : bits & ~mask; };
  for (int i = 0; i < row.busy; ++i) apply(grown(at.cycle + i).slots, set_of(at.slot) | row.blocks);
  for (const PortUse& use : row.ports) {
    if ((use.slots & set_of(at.slot)) != 0) apply(grown(at.cycle + use.cycle - 1).ports, bit(use.port));
  }
}

}  // namespace aie_cycles
