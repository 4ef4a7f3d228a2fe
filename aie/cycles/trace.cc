// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/trace.h"

namespace aie_cycles {
namespace {

// Bit patterns that many unrelated scalars share: taken for constants, but where one is broadcast that the operation
// before has made.
bool is_common(std::int64_t bits) { return bits >= -1 && bits <= 1; }

}  // namespace

Block& Recorder::block() { return open_.empty() ? root_ : open_.back()->passes.back(); }

void Recorder::operation(const aie_host::Report& report) {
  Step step;
  step.operation = report.operation;
  step.inputs.assign(report.inputs.begin(), report.inputs.end());
  step.results.assign(report.results.begin(), report.results.end());
  step.immediates.assign(report.immediates.begin(), report.immediates.end());
  step.address = reinterpret_cast<std::uintptr_t>(report.address);
  step.bytes = report.bytes;
  // The shift of an accumulator's result is an operand in a scalar register.
  if (step.operation == Operation::kToVector && !step.immediates.empty()) {
    step.inputs.push_back({ValueKind::kScalar, Element::kInt32, 1, 0, step.immediates[0]});
    step.immediates.clear();
  }
  for (Value& input : step.inputs) {
    if (input.kind != ValueKind::kScalar) continue;
    if (is_common(input.bits)) {
      const bool made = latest_.kind == ValueKind::kScalar && latest_.id != 0 && latest_.bits == input.bits;
      if (made && step.operation == Operation::kBroadcast) input.id = latest_.id;
      continue;
    }
    if (const auto it = last_scalar_.find(input.bits); it != last_scalar_.end()) input.id = it->second;
  }
  for (const Value& result : step.results) {
    if (result.kind == ValueKind::kScalar && !is_common(result.bits)) last_scalar_[result.bits] = result.id;
  }
  latest_ = step.results.empty() ? Value{} : step.results[0];
  block().push_back({std::move(step), nullptr});
}

void Recorder::loop_begin(const char* site) {
  auto loop = std::make_unique<Loop>();
  loop->site = site;
  Loop* const raw = loop.get();
  block().push_back({{}, std::move(loop)});
  // Until the first pass begins there is no block to add to; nothing is executed there.
  open_.push_back(raw);
}

void Recorder::loop_iteration(const char*) { open_.back()->passes.emplace_back(); }

void Recorder::loop_end(const char*) { open_.pop_back(); }

Block Recorder::take() {
  open_.clear();
  last_scalar_.clear();
  latest_ = {};
  return std::move(root_);
}

std::size_t count_operations(const Block& block) {
  std::size_t count = 0;
  for (const Item& item : block) {
    if (item.loop == nullptr) {
      ++count;
    } else {
      for (const Block& pass : item.loop->passes) count += count_operations(pass);
    }
  }
  return count;
}

}  // namespace aie_cycles
