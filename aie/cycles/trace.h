// SPDX-License-Identifier: Apache-2.0
//
// What a kernel executed: the operations that the host's observation hook reports, as a tree of marked loops.
#ifndef HCCS_AIE_CYCLES_TRACE_H_
#define HCCS_AIE_CYCLES_TRACE_H_

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "aie_host/observe.h"

namespace aie_cycles {

using aie_host::Element;
using aie_host::Operation;
using aie_host::OperationKind;
using aie_host::Value;
using aie_host::ValueId;
using aie_host::ValueKind;

// An operation that was executed.
struct Step {
  Operation operation{};
  std::vector<Value> inputs;
  std::vector<Value> results;
  std::vector<std::int64_t> immediates;
  std::uintptr_t address = 0;
  std::uint32_t bytes = 0;

  bool is_load() const { return kind(operation) == OperationKind::kLoad; }
  bool is_store() const { return kind(operation) == OperationKind::kStore; }
  bool is_memory() const { return is_load() || is_store(); }
};

// A step, or a loop.
struct Item;
using Block = std::vector<Item>;
struct Loop {
  std::string_view site;
  std::vector<Block> passes;
};
struct Item {
  Step step;
  std::unique_ptr<Loop> loop;  // null: the step
};

// Records what this thread executes while the recorder is its observer. A scalar input gets the identity of the last
// scalar result with the same bits; whether the two belong together is for simplify() to judge.
class Recorder : public aie_host::Observer {
 public:
  void operation(const aie_host::Report& report) override;
  void loop_begin(const char* site) override;
  void loop_iteration(const char* site) override;
  void loop_end(const char* site) override;

  // The recording; the recorder is empty afterwards.
  Block take();

 private:
  Block& block();

  Block root_;
  std::vector<Loop*> open_;
  std::unordered_map<std::int64_t, ValueId> last_scalar_;
  Value latest_;  // the first result of the step before
};

// Does without what a compiler would not execute:
//   - loops of one pass become straight code, loops without a pass vanish;
//   - an operation without effect whose operands are those of an earlier one in the same block, or around it, is that
//   one;
//   - an operation without effect whose operands do not change from pass to pass moves before its loop;
//   - results that nobody reads are not made; of two results of an operation (interleave_zip) only the ones that are
//   read.
// What yields a scalar stays, as plain C++ may read it. A scalar operand that changes from pass to pass and is no
// result of an operation of the pass comes from memory: a load_scalar is added for it.
Block simplify(Block block);

// Operations of a block, with those of its loops' passes.
std::size_t count_operations(const Block& block);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_TRACE_H_
