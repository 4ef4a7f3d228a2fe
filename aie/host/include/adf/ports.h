// SPDX-License-Identifier: Apache-2.0
//
// Ports, connections and the graphs that own them.
//
// Kernels, PLIOs, shared buffers and ports are handles: what they refer to is owned by the graph in whose constructor
// they were made, and lives as long as that graph.
#ifndef ADF_PORTS_H_
#define ADF_PORTS_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "adf/port_end.h"
#include "adf/tiling.h"
#include "adf/types.h"

namespace adf {

class graph;

namespace host {

struct Scope;

enum class PortKind { kGraph, kBuffer, kStream, kCascade, kParameter, kPlio, kSharedBuffer };

// A kernel, a PLIO or a shared buffer.
class Node {
 public:
  virtual ~Node() = default;
  virtual std::string describe() const = 0;
  Scope* scope = nullptr;
  uint32_t repetition_count = 0;  // 0: derived from the sizes of the buffers
};

struct Edge;

struct Port {
  direction dir = direction::in;
  PortKind kind = PortKind::kGraph;
  Scope* scope = nullptr;
  Node* node = nullptr;  // null: a port of a graph
  unsigned index = 0;

  const ElementType* element = nullptr;  // null: set by what it is connected to
  uint32_t extent = 0;                   // buffers: elements by the kernel's signature, 0: by dimensions()
  uint32_t margin = 0;                   // buffers: elements
  bool async_buffer = false;             // buffers: the kernel acquires and releases
  uint32_t parameter_elements = 0;       // parameters

  std::vector<uint32_t> dimensions;
  AccessList access;
  bool single_buffer = false;
  bool asynchronous = false;  // parameters
  bool synchronous = false;   // parameters

  std::vector<Edge*> drivers, followers;
  std::unique_ptr<PortEnd> end;  // from init() on

  // Elements of a buffer port, 0 if nothing says so.
  uint64_t elements() const { return dimensions.empty() ? extent : volume(dimensions); }

  std::string name() const {
    const char* const kNames[] = {"in", "out", "inout"};
    return std::string(kNames[static_cast<int>(dir)]) + "[" + std::to_string(index) + "]";
  }
  std::string describe() const { return node ? node->describe() + " port " + name() : "a graph's " + name(); }
};

struct Edge {
  Port* from;
  Port* to;
  int fifo_depth = 0;  // 32-bit words beyond what the route has
};

// What one graph object owns. Which graph a kernel or a port belongs to follows from the order of construction: while
// a graph's members are constructed none of its own handles has been assigned or connected yet, so a graph that
// begins then is its member; one that begins later is not.
struct Scope {
  const graph* owner = nullptr;
  Scope* parent = nullptr;
  bool body_started = false;
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<std::unique_ptr<Port>> ports;
  std::vector<std::unique_ptr<Edge>> edges;
  std::vector<Scope*> children;
  std::function<void()> shut_down = [] {};  // ends what runs the ports, before any of them goes

  Scope* root() { return parent ? parent->root() : this; }

  Port* add_port(direction dir, PortKind kind, Node* node, unsigned index) {
    auto port = std::make_unique<Port>();
    port->dir = dir;
    port->kind = kind;
    port->node = node;
    port->index = index;
    port->scope = this;
    ports.push_back(std::move(port));
    return ports.back().get();
  }
};

// The graphs under construction, innermost last.
inline std::vector<Scope*>& open_scopes() {
  static std::vector<Scope*> scopes;
  return scopes;
}

inline void open_scope(Scope* scope) {
  std::vector<Scope*>& open = open_scopes();
  while (!open.empty() && open.back()->body_started) open.pop_back();
  if (!open.empty()) {
    scope->parent = open.back();
    open.back()->children.push_back(scope);
  }
  open.push_back(scope);
}

inline void close_scope(const Scope* scope) { std::erase(open_scopes(), scope); }

inline Scope* current_scope() {
  if (open_scopes().empty()) fail("kernels, ports, PLIOs and shared buffers can only be made in an adf::graph");
  return open_scopes().back();
}

// The body of the constructor of `scope`'s graph runs: it is no longer a member's.
inline void enter_body(Scope* scope) {
  scope->body_started = true;
  std::vector<Scope*>& open = open_scopes();
  const auto at = std::find(open.begin(), open.end(), scope);
  if (at != open.end()) open.erase(at + 1, open.end());
}

// A handle is being declared: if the innermost graph's constructor is done, it is a member of the graph around it.
inline Scope* declaring_scope() {
  std::vector<Scope*>& open = open_scopes();
  while (open.size() > 1 && open.back()->body_started) open.pop_back();
  return current_scope();
}

// Two parts that are connected belong to one outermost graph: the one that was begun first.
inline void join_scopes(Scope* a, Scope* b) {
  Scope* first = a->root();
  Scope* second = b->root();
  if (first == second) return;
  if (first->parent == nullptr && second->parent == nullptr) {
    second->parent = first;
    first->children.push_back(second);
  }
}

// The base of the classes that graphs hold by value. Assignment gives the node to the graph that declared the handle.
template <typename NodeType>
class Handle {
 public:
  Handle() : scope_(declaring_scope()) {}
  Handle(const Handle&) = default;
  Handle& operator=(const Handle& other) {
    node_ = other.node_;
    if (scope_ == nullptr) return *this;
    if (node_ != nullptr) node_->scope = scope_;
    enter_body(scope_);
    return *this;
  }
  NodeType* host_node() const {
    if (node_ == nullptr) fail("a kernel, PLIO or shared buffer is used before create() was assigned to it");
    return node_;
  }

 protected:
  explicit Handle(NodeType* node) : node_(node) {}
  NodeType* node_ = nullptr;

 private:
  Scope* scope_ = nullptr;
};

template <typename NodeType, typename... Args>
NodeType* make_node(Args&&... args) {
  Scope* scope = current_scope();
  auto node = std::make_unique<NodeType>(std::forward<Args>(args)...);
  NodeType* raw = node.get();
  raw->scope = scope;
  scope->nodes.push_back(std::move(node));
  return raw;
}

}  // namespace host

template <direction D>
class port {
 public:
  port() : port_(host::declaring_scope()->add_port(D, host::PortKind::kGraph, nullptr, 0)) {}
  explicit port(host::Port* existing) : port_(existing) {}
  host::Port* host_port() const { return port_; }

 private:
  host::Port* port_;
};

using input_port = port<direction::in>;
using output_port = port<direction::out>;
using inout_port = port<direction::inout>;

namespace host {

// The ports in[], out[] or inout[] of a node. An index past the last stops with the node's name.
template <direction D>
class PortList {
 public:
  void bind(const Node* node) { node_ = node; }
  void push_back(Port* existing) { ports_.emplace_back(existing); }
  size_t size() const { return ports_.size(); }
  port<D>& operator[](size_t index) {
    if (index >= ports_.size()) {
      const char* const kNames[] = {"in", "out", "inout"};
      const std::string list = kNames[static_cast<int>(D)];
      fail((node_ ? node_->describe() : std::string("a node that was not created yet")) + " has " +
           count(ports_.size(), list + " port") + "; " + list + "[" + std::to_string(index) + "] does not exist");
    }
    return ports_[index];
  }
  auto begin() { return ports_.begin(); }
  auto end() { return ports_.end(); }

 private:
  const Node* node_ = nullptr;
  std::vector<port<D>> ports_;
};

}  // namespace host

// Kinds of connection. unspecified: the ports say.
struct unspecified {};
struct stream {};
struct cascade {};
struct parameter {};

template <typename Kind = unspecified>
class connect {
 public:
  template <direction From, direction To>
  connect(const port<From>& from, const port<To>& to) {
    host::Port* a = from.host_port();
    host::Port* b = to.host_port();
    host::join_scopes(a->scope, b->scope);
    host::enter_body(common_scope(a->scope, b->scope));
    check<host::PortKind::kStream, stream>(a, b, "stream");
    check<host::PortKind::kCascade, cascade>(a, b, "cascade");
    check<host::PortKind::kParameter, parameter>(a, b, "parameter");
    auto edge = std::make_unique<host::Edge>(host::Edge{a, b});
    edge_ = edge.get();
    a->followers.push_back(edge_);
    b->drivers.push_back(edge_);
    a->scope->edges.push_back(std::move(edge));
  }
  host::Edge* host_edge() const { return edge_; }

 private:
  // The graph whose constructor connects the two: the innermost that holds both.
  static host::Scope* common_scope(host::Scope* a, host::Scope* b) {
    for (; a->parent != nullptr; a = a->parent) {
      for (const host::Scope* outer = b; outer != nullptr; outer = outer->parent) {
        if (outer == a) return a;
      }
    }
    return a;
  }

  // A declared kind must be that of one end at least, and of no end another's where both are known.
  template <host::PortKind PortOfKind, typename Declared>
  static void check(const host::Port* a, const host::Port* b, const char* name) {
    if constexpr (std::is_same_v<Kind, Declared>) {
      for (const host::Port* end : {a, b}) {
        const bool elastic = end->kind == host::PortKind::kGraph || end->kind == host::PortKind::kPlio ||
                             (std::is_same_v<Kind, stream> && end->kind == host::PortKind::kBuffer) ||
                             (std::is_same_v<Kind, stream> && end->kind == host::PortKind::kSharedBuffer);
        if (end->kind != PortOfKind && !elastic) {
          host::fail(end->describe() + " is connected as a " + name + ", and is none");
        }
      }
    }
  }

  host::Edge* edge_;
};

template <direction D>
port<D>& async(port<D>& p) {
  p.host_port()->asynchronous = true;
  return p;
}

template <direction D>
port<D>& sync(port<D>& p) {
  p.host_port()->synchronous = true;
  return p;
}

template <direction D>
std::vector<uint32_t>& dimensions(port<D>& p) {
  return p.host_port()->dimensions;
}

template <direction D>
host::AccessList& read_access(port<D>& p) {
  return p.host_port()->access;
}

template <direction D>
host::AccessList& write_access(port<D>& p) {
  return p.host_port()->access;
}

template <direction D>
void single_buffer(port<D>& p) {
  p.host_port()->single_buffer = true;
}

template <typename Kind>
int& fifo_depth(const connect<Kind>& connection) {
  return connection.host_edge()->fifo_depth;
}

}  // namespace adf

#endif  // ADF_PORTS_H_
