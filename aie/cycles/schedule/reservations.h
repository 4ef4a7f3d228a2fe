// SPDX-License-Identifier: Apache-2.0
//
// Who occupies slots and ports in which cycle; modulo the interval if there is one.
#ifndef HCCS_AIE_CYCLES_SCHEDULE_RESERVATIONS_H_
#define HCCS_AIE_CYCLES_SCHEDULE_RESERVATIONS_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "aie/cycles/schedule.h"

namespace aie_cycles {

class Reservations {
 public:
  Reservations(const Machine& machine, int interval) : machine_(machine), interval_(interval) {}

  // A slot in which `opcode` can issue in this cycle.
  std::optional<Slot> find(Opcode opcode, int cycle) const;
  void add(Opcode opcode, const Placement& at) { change(opcode, at, true); }
  void remove(Opcode opcode, const Placement& at) { change(opcode, at, false); }

  // Do two instructions want the same, the first in whatever slot it can have?
  bool clash(Opcode opcode, int cycle, Opcode other, const Placement& at) const;

 private:
  struct Row {
    unsigned slots = 0, ports = 0;
  };

  std::size_t row_of(int cycle) const;
  Row at(int cycle) const { return row_of(cycle) < rows_.size() ? rows_[row_of(cycle)] : Row{}; }
  Row& grown(int cycle);
  bool is_free(const Instruction& row, int cycle, Slot slot) const;
  void change(Opcode opcode, const Placement& at, bool set);

  const Machine& machine_;
  int interval_;
  std::vector<Row> rows_;
};

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_SCHEDULE_RESERVATIONS_H_
