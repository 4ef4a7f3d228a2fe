// SPDX-License-Identifier: Apache-2.0
//
// The base class of graphs (UG1603 "Graph Control APIs").
#ifndef ADF_GRAPH_H_
#define ADF_GRAPH_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "adf/ports.h"
#include "adf/scheduler.h"

namespace adf {

// Derive from it; make kernels and connections in the constructor. Control functions are for the outermost graph.
// Everything runs on the caller's thread, one kernel at a time, in the same order each time. A mistake in the graph or
// in a kernel stops with aie_host::Error, which names the graph, the kernel and the port.
class graph {
 public:
  graph() {
    scope_.owner = this;
    host::open_scope(&scope_);
  }
  graph(const graph&) = delete;
  graph& operator=(const graph&) = delete;
  virtual ~graph() {
    scope_.root()->shut_down();
    host::close_scope(&scope_);
    if (scope_.parent != nullptr) std::erase(scope_.parent->children, &scope_);
    for (host::Scope* child : scope_.children) child->parent = nullptr;
  }

  // Checks the graph and makes the kernels' objects.
  void init() {
    if (engine_) host::fail("graph '" + name() + "': init() twice");
    close(&scope_);
    if (scope_.parent != nullptr) {
      std::erase(scope_.parent->children, &scope_);
      scope_.parent = nullptr;
    }
    engine_ = std::make_unique<host::Engine>(scope_, name());
    scope_.shut_down = [this] {
      if (engine_) engine_->stop();
    };
  }

  // Lets every kernel run `iterations` times its repetition count more; negative: until an input ends.
  void run(int iterations = -1) { engine().run(iterations < 0 ? host::kForever : static_cast<uint64_t>(iterations)); }
  // Waits until all that run() asked for is done; a graph that cannot get there is a deadlock.
  void wait() { engine().wait(); }
  // There is no time here: the same as wait().
  void wait(uint64_t cycles) {
    static_cast<void>(cycles);
    wait();
  }
  void resume() { engine(); }
  // wait(), then no more runs.
  void end() {
    engine().finish();
    engine().stop();
  }
  void end(uint64_t cycles) {
    static_cast<void>(cycles);
    end();
  }

  // Gives a run-time parameter a value. A plain number is converted to the parameter's type and must fit.
  template <direction D, typename T>
  requires std::is_arithmetic_v<T>
  void update(const port<D>& parameter, T value) {
    const host::Port* target = parameter.host_port();
    while (target->kind == host::PortKind::kGraph && !target->followers.empty()) {
      target = target->followers.front()->to;
    }
    if (!(convert<int8, T>(target, parameter, value) || convert<uint8, T>(target, parameter, value) ||
          convert<int16, T>(target, parameter, value) || convert<uint16, T>(target, parameter, value) ||
          convert<int32, T>(target, parameter, value) || convert<uint32, T>(target, parameter, value) ||
          convert<int64, T>(target, parameter, value) || convert<uint64, T>(target, parameter, value) ||
          convert<float, T>(target, parameter, value))) {
      give(parameter, &value, 1);
    }
  }
  template <direction D, typename T>
  void update(const port<D>& parameter, const T* values, size_t elements) {
    give(parameter, values, elements);
  }

  // The value of a run-time parameter that a kernel gives.
  template <direction D, typename T>
  void read(const port<D>& parameter, T& value) {
    read(parameter, &value, 1);
  }
  template <direction D, typename T>
  void read(const port<D>& parameter, T* values, size_t elements) {
    const host::ParameterValue bytes =
        engine().read(parameter.host_port(), host::element_type<std::remove_cv_t<T>>(), elements);
    std::memcpy(values, bytes.data(), bytes.size());
  }

 private:
  std::string name() const { return host::demangle(typeid(*this)); }

  host::Engine& engine() {
    if (!engine_) host::fail("graph '" + name() + "' is used before init()");
    return *engine_;
  }

  static void close(const host::Scope* scope) {
    host::close_scope(scope);
    for (const host::Scope* child : scope->children) close(child);
  }

  template <direction D, typename T>
  void give(const port<D>& parameter, const T* values, size_t elements) {
    host::ParameterValue bytes(elements * sizeof(T));
    std::memcpy(bytes.data(), values, bytes.size());
    engine().update(parameter.host_port(), bytes, host::element_type<std::remove_cv_t<T>>(), elements);
  }

  // Gives `value` as a `To` if that is the target's type.
  template <typename To, typename T, direction D>
  bool convert(const host::Port* target, const port<D>& parameter, T value) {
    if (target->element == nullptr || *target->element->type != typeid(To)) return false;
    const To converted = static_cast<To>(value);
    if constexpr (std::is_integral_v<To>) {
      if (static_cast<T>(converted) != value || (converted < To{}) != (value < T{})) {
        host::fail("graph '" + name() + "': update of " + target->describe() + " with " + std::to_string(value) +
                   ", which is no value of its type " + target->element->name);
      }
    }
    give(parameter, &converted, 1);
    return true;
  }

  // Destroyed last: the ends of ports refer to each other only while the engine runs.
  host::Scope scope_;
  std::unique_ptr<host::Engine> engine_;
};

}  // namespace adf

#endif  // ADF_GRAPH_H_
