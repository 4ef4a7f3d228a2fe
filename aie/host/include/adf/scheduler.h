// SPDX-License-Identifier: Apache-2.0
//
// Runs a graph: connects the ends of its ports, then lets kernels run as their data allow, one at a time.
//
// Order: of the kernels that can run, the one with the fewest completed calls (per repetition), then the one that was
// created first. Kernels on one tile share its modes; none begins while another on its tile is inside a call.
// The array is infinitely fast for the controlling program: run(), update() and read() return when nothing can move.
#ifndef ADF_SCHEDULER_H_
#define ADF_SCHEDULER_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adf/kernel.h"
#include "adf/plio.h"
#include "adf/ports.h"
#include "adf/rates.h"
#include "adf/shared_buffer.h"
#include "adf/task.h"

namespace adf::host {

inline constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();

class Engine {
 public:
  Engine(Scope& root, std::string name) : name_("graph '" + std::move(name) + "'") {
    collect(root);
    for_errors([this] { build(); });
  }

  void run(uint64_t iterations) {
    check_usable();
    for (const auto& run : runs_) {
      run->target =
          iterations == kForever || run->target == kForever ? kForever : run->target + iterations * run->repetition;
    }
    advance();
    report_deadlock(false);
  }

  void wait() {
    check_usable();
    advance();
    report_deadlock(true);
    flush();
  }

  void finish() {
    wait();
    for (const PlioNode* plio : plios_) {
      if (plio->reads || !plio->port->end) continue;
      const size_t words = static_cast<const PlioOut&>(*plio->port->end).incomplete_words();
      if (words != 0) {
        fail(name_ + ": " + plio->describe() + ": the last " + count(words, "32-bit word") + " do not fill a beat of " +
             std::to_string(plio->width) + " bits and would not leave the device");
      }
    }
  }

  // Ends every kernel where it is. The graph's nodes may go after the first call.
  void stop() {
    if (std::exchange(stopped_, true)) return;
    for (const auto& run : runs_) run->task->cancel();
    flush();
  }

  void update(const Port* port, const ParameterValue& value, const ElementType& element, size_t elements) {
    check_usable();
    std::vector<const Port*> targets;
    follow(port, targets);
    if (targets.empty()) fail(name_ + ": update of " + port->describe() + ", which leads to no run-time parameter");
    for (const Port* target : targets) {
      if (*target->element->type != *element.type || target->parameter_elements != elements) {
        fail(name_ + ": update of " + target->describe() + " with " + count(elements, "value") + " of type " +
             element.name + "; the parameter has " + std::to_string(target->parameter_elements) + " of type " +
             target->element->name);
      }
      if (target->dir == direction::inout) {
        static_cast<ParameterInout&>(*target->end).write(value);
        continue;
      }
      auto& parameter = static_cast<ParameterIn&>(*target->end);
      if (!parameter.takes()) {
        fail(name_ + ": update of " + target->describe() +
             ": the values given before are not taken, as the kernel does not run: " + blocked());
      }
      parameter.give(value);
    }
    advance();
    report_deadlock(false);
  }

  ParameterValue read(const Port* port, const ElementType& element, size_t elements) {
    check_usable();
    const Port* source = port;
    while (source->kind == PortKind::kGraph && !source->drivers.empty()) source = source->drivers.front()->from;
    if (source->kind != PortKind::kParameter || source->dir != direction::inout) {
      fail(name_ + ": read of " + port->describe() + ", which no kernel's inout port drives");
    }
    if (*source->element->type != *element.type || source->parameter_elements != elements) {
      fail(name_ + ": read of " + source->describe() + " as " + count(elements, "value") + " of type " + element.name +
           "; the parameter has " + std::to_string(source->parameter_elements) + " of type " + source->element->name);
    }
    auto& parameter = static_cast<ParameterInout&>(*source->end);
    if (!parameter.readable()) fail(name_ + ": read of " + source->describe() + " has no value to come: " + blocked());
    ParameterValue value = parameter.read();
    advance();
    return value;
  }

 private:
  struct Run;
  struct TileState {
    explicit TileState(std::string tile_name) : tile(std::move(tile_name)) {}
    aie_host::Tile tile;
    Run* running = nullptr;
    float runtime = 0;
  };

  struct Run {
    KernelNode* kernel;
    TileState* tile;
    uint64_t repetition = 1;
    uint64_t target = 0;
    uint64_t completed = 0;
    std::unique_ptr<Task> task;
  };

  // Errors of the graph itself begin with its name.
  template <typename Action>
  void for_errors(Action action) {
    try {
      action();
    } catch (const aie_host::Error& error) {
      throw aie_host::Error(name_ + ": " + error.what());
    }
  }

  void collect(Scope& scope) {
    for (const auto& node : scope.nodes) {
      if (auto* kernel = dynamic_cast<KernelNode*>(node.get())) kernels_.push_back(kernel);
      if (auto* plio = dynamic_cast<PlioNode*>(node.get())) plios_.push_back(plio);
      if (auto* buffer = dynamic_cast<SharedBufferNode*>(node.get())) buffers_.push_back(buffer);
    }
    for (Scope* child : scope.children) collect(*child);
  }

  void build() {
    std::sort(kernels_.begin(), kernels_.end(),
              [](const KernelNode* a, const KernelNode* b) { return a->number < b->number; });
    for (size_t i = 0; i < kernels_.size(); ++i) kernels_[i]->number = static_cast<unsigned>(i);
    if (kernels_.empty()) fail("has no kernels");
    place_kernels();
    for (KernelNode* kernel : kernels_) {
      for (const Port* port : kernel->ports) check_size(*port);
      kernel->instance = kernel->instantiate();
      for (Port* port : kernel->ports) ends_.push_back(port->end.get());
    }
    for (SharedBufferNode* buffer : buffers_) build_shared_buffer(*buffer);
    for (PlioNode* plio : plios_) build_plio(*plio);
    for (KernelNode* kernel : kernels_) {
      for (Port* port : kernel->ports) wire(port);
    }
    for (SharedBufferNode* buffer : buffers_) {
      for (Port* port : buffer->in) wire(port);
      for (Port* port : buffer->out) check_used(port);
    }
    for (PlioNode* plio : plios_) {
      if (plio->reads) {
        check_used(plio->port);
      } else {
        wire(plio->port);
      }
    }
    set_repetitions();
    for (const auto& run : runs_) {
      run->task = std::make_unique<Task>([this, r = run.get()] { call(*r); }, run->kernel->can_wait);
      const aie_host::TileScope tile(run->tile->tile);
      const aie_host::KernelScope kernel(run->kernel->label());
      run->kernel->instance->construct();
    }
  }

  static void check_size(const Port& port) {
    if (port.kind != PortKind::kBuffer) return;
    if (port.elements() == 0) {
      fail(port.describe() + ": the buffer has no size; give extents<N> in the signature or dimensions()");
    }
    if (port.extent != 0 && port.extent != port.elements()) {
      fail(port.describe() + ": the signature says " + count(port.extent, "element") + ", dimensions() says " +
           std::to_string(port.elements()));
    }
  }

  void place_kernels() {
    std::map<std::pair<int, int>, TileState*> placed;
    for (KernelNode* kernel : kernels_) {
      const auto& at = kernel->location.tile;
      TileState* state = at && placed.count(*at) ? placed[*at] : nullptr;
      if (state == nullptr) {
        tiles_.push_back(
            std::make_unique<TileState>(at ? "(" + std::to_string(at->first) + ", " + std::to_string(at->second) + ")"
                                           : "of kernel " + kernel->label()));
        state = tiles_.back().get();
        if (at) placed[*at] = state;
      }
      state->runtime += kernel->runtime;
      if (state->runtime > 1.0001F) {
        fail(kernel->describe() + " on tile " + state->tile.name + ": the kernels there have runtime ratios of " +
             std::to_string(state->runtime) + " in all; a tile has 1");
      }
      runs_.push_back(std::make_unique<Run>());
      runs_.back()->kernel = kernel;
      runs_.back()->tile = state;
    }
  }

  void build_shared_buffer(SharedBufferNode& node) {
    if (node.in.empty() || node.out.empty()) fail(node.describe() + " needs at least one writer and one reader");
    if (node.buffers == 0) fail(node.describe() + ": num_buffers is 0");
    node.memory = std::make_unique<SharedMemory>(volume(node.extents) * node.element.bytes, node.buffers,
                                                 node.in.size(), node.out.size());
    for (Port* port : node.in) {
      port->end = std::make_unique<SharedIn>(
          *port, *node.memory,
          word_offsets(port->access, node.extents, node.element.bytes, Access::kWrite, port->describe()));
      ends_.push_back(port->end.get());
    }
    for (Port* port : node.out) {
      port->end = std::make_unique<SharedOut>(
          *port, *node.memory,
          word_offsets(port->access, node.extents, node.element.bytes, Access::kRead, port->describe()), node);
      ends_.push_back(port->end.get());
    }
  }

  // A PLIO has the element type of what it is connected to.
  void build_plio(PlioNode& node) {
    if (!node.reads) {
      const Port* driver = source_of(node.port);
      if (driver == nullptr || driver->element == nullptr) fail(node.describe() + " is not connected");
      node.port->element = driver->element;
      node.port->end = std::make_unique<PlioOut>(node, *node.port->element);
    } else {
      std::vector<const Port*> sinks;
      follow(node.port, sinks);
      if (sinks.empty()) fail(node.describe() + " is not connected");
      node.port->element = sinks.front()->element;
      if (node.port->element == nullptr)
        fail(node.describe() + " is connected to " + sinks.front()->describe() + ", which has no element type");
      node.port->end = std::make_unique<PlioIn>(node, *node.port->element);
    }
    ends_.push_back(node.port->end.get());
  }

  // The port of a node that drives `port` through the ports of graphs; null: none.
  const Port* source_of(const Port* port) const {
    const Port* at = port;
    do {
      if (at->drivers.empty()) return nullptr;
      if (at->drivers.size() > 1) {
        fail(at->describe() + " is driven by " + at->drivers[0]->from->describe() + " and by " +
             at->drivers[1]->from->describe() + "; an input has one driver");
      }
      at = at->drivers.front()->from;
    } while (at->kind == PortKind::kGraph);
    return at;
  }

  // The ports of nodes that `port` reaches through the ports of graphs.
  void follow(const Port* port, std::vector<const Port*>& reached) const {
    if (port->kind == PortKind::kParameter && port->drivers.empty() && port->followers.empty()) reached.push_back(port);
    for (const Edge* edge : port->followers) {
      if (edge->to->kind == PortKind::kGraph) {
        follow(edge->to, reached);
      } else {
        reached.push_back(edge->to);
      }
    }
  }

  void check_used(const Port* port) const {
    std::vector<const Port*> reached;
    follow(port, reached);
    if (reached.empty()) fail(port->describe() + " is not connected");
  }

  // Connects what drives `port` with it.
  void wire(Port* port) {
    if (port->kind == PortKind::kParameter) {
      wire_parameter(port);
      return;
    }
    if (port->node != nullptr && port->dir == direction::out) {
      check_used(port);
      return;
    }
    const Port* source = source_of(port);
    if (source == nullptr) fail(port->describe() + " is not connected");
    const bool cascades = source->kind == PortKind::kCascade;
    if (cascades != (port->kind == PortKind::kCascade) || source->kind == PortKind::kParameter) {
      fail(port->describe() + " is connected to " + source->describe() + ", a port of another kind");
    }
    if (cascades) {
      std::vector<const Port*> reached;
      follow(source, reached);
      if (reached.size() > 1) fail(source->describe() + ": a cascade has one consumer");
      static_cast<CascadeOut&>(*source->end).connect_to(static_cast<CascadeIn*>(port->end.get()));
      return;
    }
    if (*source->element->type != *port->element->type) {
      fail(port->describe() + " takes elements of type " + port->element->name + ", " + source->describe() + " gives " +
           source->element->name);
    }
    source->end->add_sink(*port->end);
    for (const Port* at = port; at != source; at = at->drivers.front()->from) {
      port->end->fifo().capacity += static_cast<size_t>(std::max(0, at->drivers.front()->fifo_depth));
    }
    if (source->kind == PortKind::kBuffer && port->kind == PortKind::kBuffer) {
      std::vector<const Port*> reached;
      follow(source, reached);
      if (reached.size() == 1 && source->access.empty() && port->access.empty() &&
          source->elements() == port->elements() && port->margin == 0) {
        static_cast<BufferOut&>(*source->end).share_with(static_cast<const BufferEnd*>(port->end.get()));
      }
    }
  }

  void wire_parameter(Port* port) {
    if (port->dir != direction::in) return;
    const Port* source = source_of(port);
    if (source == nullptr) return;  // the controlling program's
    if (source->kind != PortKind::kParameter || source->dir != direction::inout) {
      fail(port->describe() + ", a run-time parameter, is connected to " + source->describe() + ", which is none");
    }
    if (*source->element->type != *port->element->type || source->parameter_elements != port->parameter_elements) {
      fail(port->describe() + " takes " + count(port->parameter_elements, "value") + " of type " + port->element->name +
           ", " + source->describe() + " gives " + std::to_string(source->parameter_elements) + " of type " +
           source->element->name);
    }
    auto* consumer = static_cast<ParameterIn*>(port->end.get());
    consumer->set_driven_by_kernel();
    static_cast<ParameterInout&>(*source->end).add_consumer(consumer);
  }

  void set_repetitions() {
    std::map<const Node*, size_t> index;
    std::vector<uint64_t> fixed;
    const auto add = [&](const Node* node) {
      index[node] = fixed.size();
      fixed.push_back(node->repetition_count);
    };
    for (const KernelNode* kernel : kernels_) add(kernel);
    for (const SharedBufferNode* buffer : buffers_) add(buffer);
    const auto words = [](const Port& port) -> uint64_t {
      if (port.kind == PortKind::kBuffer && !port.async_buffer) {
        return static_cast<const BufferEnd&>(*port.end).transfer_words();
      }
      if (port.kind != PortKind::kSharedBuffer) return 0;
      return port.dir == direction::in ? static_cast<const SharedIn&>(*port.end).transfer_words()
                                       : static_cast<const SharedOut&>(*port.end).transfer_words();
    };
    std::vector<RateEdge> edges;
    const auto add_edge = [&](const Port* to) {
      const Port* from = source_of(to);
      if (words(*to) == 0 || from == nullptr || words(*from) == 0) return;
      edges.push_back({index[from->node], index[to->node], words(*from), words(*to),
                       "the connection of " + from->describe() + " with " + to->describe()});
    };
    for (const KernelNode* kernel : kernels_) {
      for (const Port* port : kernel->in) add_edge(port);
    }
    for (const SharedBufferNode* buffer : buffers_) {
      for (const Port* port : buffer->in) add_edge(port);
    }
    const std::vector<uint64_t> counts = repetitions(fixed, edges);
    for (size_t i = 0; i < runs_.size(); ++i) runs_[i]->repetition = counts[i];
  }

  void call(Run& run) {
    const aie_host::TileScope tile(run.tile->tile);
    const aie_host::KernelScope kernel(run.kernel->label());
    for (const Port* port : run.kernel->ports) port->end->begin_call();
    run.kernel->instance->invoke();
    for (const Port* port : run.kernel->ports) port->end->end_call();
    ++run.completed;
    run.tile->running = nullptr;
  }

  void pump() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (PortEnd* end : ends_) moved |= end->pump();
    }
  }

  static bool unfinished(const Run& run) { return run.completed < run.target; }

  bool can_run(const Run& run) const {
    if (run.task->waiting()) return run.task->can_continue();
    return unfinished(run) && run.tile->running == nullptr &&
           std::all_of(run.kernel->ports.begin(), run.kernel->ports.end(),
                       [](const Port* port) { return port->end->ready(); });
  }

  // Runs kernels until none can.
  void advance() {
    for (;;) {
      pump();
      Run* next = nullptr;
      for (const auto& run : runs_) {
        if (can_run(*run) &&
            (next == nullptr || run->completed / run->repetition < next->completed / next->repetition)) {
          next = run.get();
        }
      }
      if (next == nullptr) break;
      next->tile->running = next;
      try {
        next->task->resume();
      } catch (const std::exception& error) {
        stop();
        throw aie_host::Error(name_ + ": " + error.what());
      }
    }
    flush();
  }

  // Every kernel that has calls to make, and what it waits for; "" if there is none.
  std::string blocked() const {
    std::string text;
    for (const auto& run : runs_) {
      if (!unfinished(*run)) continue;
      text += "\n  " + run->kernel->describe() + ", call " + std::to_string(run->completed + 1);
      if (run->target != kForever) text += " of " + std::to_string(run->target);
      text += run->task->waiting() ? ", inside the call, waits for " + run->task->waits_for()
                                   : ", before the call, waits for " + missing(*run);
    }
    return text;
  }

  static std::string missing(const Run& run) {
    std::string text;
    for (const Port* port : run.kernel->ports) {
      if (!port->end->ready()) text += (text.empty() ? "" : " and for ") + port->end->waits_for();
    }
    if (!text.empty()) return text;
    return run.tile->running == nullptr ? "nothing"
                                        : "its tile, on which " + run.tile->running->kernel->describe() + " runs";
  }

  // A standstill with calls to make is an error, unless the program can still end it with update() or read(), or the
  // graph was to run until its input ends and the input has ended.
  void report_deadlock(bool program_waits) {
    const std::string waiting = blocked();
    if (waiting.empty()) return;
    bool exhausted = false;
    for (const PlioNode* plio : plios_) exhausted |= plio->reads && plio->port->end->exhausted();
    if (exhausted && std::all_of(runs_.begin(), runs_.end(),
                                 [](const auto& run) { return !unfinished(*run) || run->target == kForever; })) {
      return;
    }
    if (!program_waits && std::any_of(runs_.begin(), runs_.end(), [](const auto& run) {
          return unfinished(*run) &&
                 std::any_of(run->kernel->ports.begin(), run->kernel->ports.end(),
                             [](const Port* p) { return !p->end->ready() && p->end->waits_for_program(); });
        })) {
      return;
    }
    stop();
    fail(name_ + ": deadlock" + (exhausted ? ", and an input has ended" : "") + "; nothing can move:" + waiting);
  }

  void flush() {
    for (const PlioNode* plio : plios_) {
      if (!plio->reads && plio->port->end) static_cast<PlioOut&>(*plio->port->end).flush();
    }
  }

  void check_usable() const {
    if (stopped_) fail(name_ + " has stopped");
  }

  std::string name_;
  std::vector<KernelNode*> kernels_;
  std::vector<PlioNode*> plios_;
  std::vector<SharedBufferNode*> buffers_;
  std::vector<PortEnd*> ends_;
  std::vector<std::unique_ptr<TileState>> tiles_;
  std::vector<std::unique_ptr<Run>> runs_;
  bool stopped_ = false;
};

}  // namespace adf::host

#endif  // ADF_SCHEDULER_H_
