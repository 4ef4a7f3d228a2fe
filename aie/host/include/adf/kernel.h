// SPDX-License-Identifier: Apache-2.0
//
// Kernels: functions and classes, and how their arguments become ports. Ports are numbered in the order of the
// signature, separately in in[], out[] and inout[]:
//
//   input_buffer<T>&, input_async_buffer<T>&, input_stream<T>*, input_cascade<T>*    in
//   output_buffer<T>&, output_async_buffer<T>&, output_stream<T>*, output_cascade<T>*    out
//   T, const T (&)[N]    in, a run-time parameter
//   T&, T (&)[N]         inout, a run-time parameter
#ifndef ADF_KERNEL_H_
#define ADF_KERNEL_H_

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "adf/buffers.h"
#include "adf/location.h"
#include "adf/ports.h"
#include "adf/rtp.h"
#include "adf/streams.h"

namespace adf {
namespace host {

// A kernel's arguments and the call, while its graph runs.
class KernelInstance {
 public:
  virtual ~KernelInstance() = default;
  virtual void construct() = 0;  // the kernel's object, on its tile
  virtual void invoke() = 0;
};

// A constructor argument that was given as a vector: memory of the kernel's tile, which the constructor takes as
// T(&)[N].
template <typename T>
class ArrayArgument {
 public:
  ArrayArgument(const std::vector<T>& values, std::string kernel)
      : size_(values.size()), kernel_(std::move(kernel)), memory_(values.size() * sizeof(T)) {
    std::copy(values.begin(), values.end(), reinterpret_cast<T*>(memory_.data()));
  }
  template <typename U, std::size_t N>
  using ArrayRef = U (&)[N];
  template <typename U, std::size_t N>
  requires std::is_same_v<std::remove_const_t<U>, T>
  operator ArrayRef<U, N>() {
    if (N != size_) {
      fail(kernel_ + ": a constructor's array parameter of " + count(N, "element") + " is given a vector of " +
           std::to_string(size_));
    }
    return reinterpret_cast<U(&)[N]>(*memory_.data());
  }

 private:
  size_t size_;
  std::string kernel_;
  GuardedMemory memory_;
};

class KernelNode : public Node {
 public:
  std::string describe() const override {
    const std::string& name = class_name.empty() ? source : class_name;
    return "kernel " + std::to_string(number) + (name.empty() ? "" : " '" + name + "'");
  }
  // For messages that put it in quotes.
  std::string label() const {
    const std::string& name = class_name.empty() ? source : class_name;
    return std::to_string(number) + (name.empty() ? "" : " " + name);
  }

  unsigned number = 0;     // in the order of creation in the program
  std::string class_name;  // of a kernel class; functions are named by their source()
  std::string source;
  std::vector<std::string> headers;
  float runtime = 0;
  unsigned stack_size = 0, heap_size = 0;
  Placement location;
  size_t parameters = 0;

  std::vector<Port*> in, out, inout;
  std::function<std::unique_ptr<KernelInstance>()> instantiate;
  bool can_wait = false;  // inside a call: streams, cascades, buffers that the kernel acquires
  std::unique_ptr<KernelInstance> instance;

  Port* add_port(direction dir, PortKind kind) {
    std::vector<Port*>& list = dir == direction::in ? in : dir == direction::out ? out : inout;
    list.push_back(scope->add_port(dir, kind, this, static_cast<unsigned>(list.size())));
    ports.push_back(list.back());
    return list.back();
  }
  std::vector<Port*> ports;  // in the order of the signature
};

// How an argument of type A is declared as a port, stored during a run, and passed.
template <typename A>
struct Argument;

template <typename T, direction D, typename Config>
struct Argument<io_buffer<T, std::integral_constant<direction, D>, Config>&> {
  using Buffer = io_buffer<T, std::integral_constant<direction, D>, Config>;
  static void declare(KernelNode& kernel) {
    static_assert(D == direction::in || Config::_margin == 0, "only input buffers have a margin");
    Port* port = kernel.add_port(D, PortKind::kBuffer);
    port->element = &element_type<T>();
    port->extent = Config::dims_type::size();
    port->margin = Config::_margin;
    port->async_buffer = std::is_same_v<typename Config::locking_mode, locking::async>;
    kernel.can_wait |= port->async_buffer;
  }
  explicit Argument(Port* port) : buffer(make_end(port), port->elements()) {}
  Buffer& get() { return buffer; }

  static BufferEnd* make_end(Port* port) {
    const std::vector<uint32_t> extents =
        port->dimensions.empty() ? std::vector<uint32_t>{port->extent} : port->dimensions;
    const Access access = D == direction::in ? Access::kWrite : Access::kRead;
    std::vector<int64_t> offsets = word_offsets(port->access, extents, sizeof(T), access, port->describe());
    using End = std::conditional_t<D == direction::in, BufferIn, BufferOut>;
    auto end = std::make_unique<End>(*port, std::move(offsets), port->margin * sizeof(T));
    BufferEnd* raw = end.get();
    port->end = std::move(end);
    return raw;
  }
  Buffer buffer;
};

template <typename Handle, typename End, direction D, PortKind Kind, typename T>
struct StreamArgument {
  static void declare(KernelNode& kernel) {
    Port* port = kernel.add_port(D, Kind);
    if constexpr (Kind == PortKind::kStream) port->element = &element_type<T>();
    kernel.can_wait = true;
  }
  explicit StreamArgument(Port* port) {
    auto end = std::make_unique<End>(*port);
    handle.end = end.get();
    port->end = std::move(end);
  }
  Handle* get() { return &handle; }
  Handle handle;
};

template <typename T>
struct Argument<input_stream<T>*> : StreamArgument<input_stream<T>, StreamIn, direction::in, PortKind::kStream, T> {
  using StreamArgument<input_stream<T>, StreamIn, direction::in, PortKind::kStream, T>::StreamArgument;
};
template <typename T>
struct Argument<output_stream<T>*> : StreamArgument<output_stream<T>, StreamOut, direction::out, PortKind::kStream, T> {
  using StreamArgument<output_stream<T>, StreamOut, direction::out, PortKind::kStream, T>::StreamArgument;
};
template <typename T>
struct Argument<input_cascade<T>*> : StreamArgument<input_cascade<T>, CascadeIn, direction::in, PortKind::kCascade, T> {
  using StreamArgument<input_cascade<T>, CascadeIn, direction::in, PortKind::kCascade, T>::StreamArgument;
};
template <typename T>
struct Argument<output_cascade<T>*>
    : StreamArgument<output_cascade<T>, CascadeOut, direction::out, PortKind::kCascade, T> {
  using StreamArgument<output_cascade<T>, CascadeOut, direction::out, PortKind::kCascade, T>::StreamArgument;
};

// Run-time parameters. `Stored` is T or T[N].
template <typename Stored, direction D>
struct ParameterArgument {
  using T = std::remove_extent_t<Stored>;
  static void declare(KernelNode& kernel) {
    static_assert(std::is_arithmetic_v<T> || std::is_trivially_copyable_v<T>,
                  "run-time parameters are numbers or arrays of numbers (UG1603)");
    Port* port = kernel.add_port(D, PortKind::kParameter);
    port->element = &element_type<T>();
    port->parameter_elements = std::is_array_v<Stored> ? std::extent_v<Stored> : 1;
  }
  explicit ParameterArgument(Port* port) {
    using End = std::conditional_t<D == direction::in, ParameterIn, ParameterInout>;
    port->end = std::make_unique<End>(*port, &value, sizeof value);
  }
  Stored& get() { return value; }
  alignas(64) Stored value = {};
};

template <typename T>
requires std::is_arithmetic_v<T>
struct Argument<T> : ParameterArgument<T, direction::in> {
  using ParameterArgument<T, direction::in>::ParameterArgument;
};
template <typename T>
requires std::is_arithmetic_v<T>
struct Argument<T&> : ParameterArgument<T, direction::inout> {
  using ParameterArgument<T, direction::inout>::ParameterArgument;
};
template <typename T, std::size_t N>
struct Argument<const T (&)[N]> : ParameterArgument<T[N], direction::in> {
  using ParameterArgument<T[N], direction::in>::ParameterArgument;
};
template <typename T, std::size_t N>
struct Argument<T (&)[N]> : ParameterArgument<T[N], direction::inout> {
  using ParameterArgument<T[N], direction::inout>::ParameterArgument;
};

// `Target` makes the callable that takes Args..., once per run of the graph.
template <typename Target, typename... Args>
class Instance : public KernelInstance {
 public:
  Instance(const KernelNode& node, Target target)
      : Instance(node, std::move(target), std::index_sequence_for<Args...>{}) {}
  void construct() override { call_ = target_(); }
  void invoke() override {
    std::apply([this](auto&... argument) { call_(static_cast<Args>(argument.get())...); }, arguments_);
  }

 private:
  // Elements of a tuple are constructed in place: arguments do not move, as ports refer to them.
  template <size_t... I>
  Instance(const KernelNode& node, Target target, std::index_sequence<I...>)
      : arguments_(node.ports[I]...), target_(std::move(target)) {}

  std::tuple<Argument<Args>...> arguments_;
  Target target_;
  std::function<void(Args...)> call_;
};

template <typename... Args, typename Target>
void declare_kernel(KernelNode* node, Target target) {
  (Argument<Args>::declare(*node), ...);
  node->instantiate = [node, target] { return std::make_unique<Instance<Target, Args...>>(*node, target); };
}

// The kernel whose class is being registered, and how to make its object.
struct Registration {
  KernelNode* node = nullptr;
  std::function<std::shared_ptr<void>()> make_object;
  const std::type_info* type = nullptr;
};

inline Registration*& registration() {
  static Registration* current = nullptr;
  return current;
}

template <typename Class, typename... Args>
void register_function(void (Class::*function)(Args...)) {
  Registration* current = registration();
  if (current == nullptr) fail("REGISTER_FUNCTION outside registerKernelClass()");
  if (current->node->instantiate) fail(current->node->describe() + ": REGISTER_FUNCTION twice");
  declare_kernel<Args...>(current->node, [make = current->make_object, function] {
    return std::function<void(Args...)>([object = std::static_pointer_cast<Class>(make()), function](Args... args) {
      (object.get()->*function)(static_cast<Args>(args)...);
    });
  });
}

template <typename Member>
void register_parameter(const char* name) {
  using Array = std::remove_reference_t<Member>;
  static_assert(std::is_reference_v<Member> && std::is_array_v<Array> && !std::is_const_v<std::remove_extent_t<Array>>,
                "REGISTER_PARAMETER takes a member that is a reference to an array, not to a constant one (UG1603)");
  if (registration() == nullptr) fail(std::string("REGISTER_PARAMETER(") + name + ") outside registerKernelClass()");
}

template <typename T>
T constructor_argument(const T& value, const std::string&) {
  return value;
}
template <typename T>
ArrayArgument<T> constructor_argument(const std::vector<T>& value, const std::string& kernel) {
  return ArrayArgument<T>(value, kernel);
}

// The object together with the memory of its array arguments.
template <typename Class, typename... Args>
struct ConstructedKernel {
  template <typename... Values>
  explicit ConstructedKernel(const std::string& kernel, const Values&... values)
      : arguments(constructor_argument(values, kernel)...),
        object(std::apply([](auto&... argument) { return std::make_unique<Class>(argument...); }, arguments)) {}
  std::tuple<Args...> arguments;
  std::unique_ptr<Class> object;
};

}  // namespace host

class kernel : public host::Handle<host::KernelNode> {
 public:
  kernel() = default;

  // A function. Its ports follow from its signature.
  template <typename... Args>
  static kernel create(void (*function)(Args...)) {
    host::KernelNode* node = make();
    host::declare_kernel<Args...>(node, [function] { return std::function<void(Args...)>(function); });
    return kernel(node);
  }

  // An object of a class with registerKernelClass(). Arrays that its constructor takes by reference are given as
  // vectors. The object is made on its tile by graph::init().
  template <typename Class, typename... Args>
  static kernel create_object(Args... args) {
    host::KernelNode* node = make();
    node->class_name = host::demangle(typeid(Class));
    host::Registration current{node, {}, &typeid(Class)};
    current.make_object = [node, args...]() -> std::shared_ptr<void> {
      using Constructed =
          host::ConstructedKernel<Class, decltype(host::constructor_argument(std::declval<Args>(), std::string()))...>;
      auto constructed = std::make_shared<Constructed>(node->describe(), args...);
      return std::shared_ptr<Class>(constructed, constructed->object.get());
    };
    node->parameters = (size_t{0} + ... + is_vector<Args>());
    host::registration() = &current;
    Class::registerKernelClass();
    host::registration() = nullptr;
    if (!node->instantiate) host::fail(node->describe() + ": registerKernelClass() has no REGISTER_FUNCTION");
    return kernel(node);
  }

  host::PortList<direction::in> in;
  host::PortList<direction::out> out;
  host::PortList<direction::inout> inout;
  std::vector<parameter> param;  // the array arguments of the constructor

 private:
  explicit kernel(host::KernelNode* node) : Handle<host::KernelNode>(node) {
    in.bind(node);
    out.bind(node);
    inout.bind(node);
    for (host::Port* p : node->in) in.push_back(p);
    for (host::Port* p : node->out) out.push_back(p);
    for (host::Port* p : node->inout) inout.push_back(p);
    param.resize(node->parameters);
  }

  static host::KernelNode* make() {
    static unsigned created = 0;
    host::KernelNode* node = host::make_node<host::KernelNode>();
    node->number = created++;
    return node;
  }

  template <typename T>
  struct IsVector : std::false_type {};
  template <typename T>
  struct IsVector<std::vector<T>> : std::true_type {};
  template <typename T>
  static constexpr size_t is_vector() {
    return IsVector<T>::value ? 1 : 0;
  }
};

struct ratio {};

inline std::string& source(kernel& k) { return k.host_node()->source; }
inline std::vector<std::string>& headers(kernel& k) { return k.host_node()->headers; }
inline unsigned& stack_size(kernel& k) { return k.host_node()->stack_size; }
inline unsigned& heap_size(kernel& k) { return k.host_node()->heap_size; }
inline uint32_t& repetition_count(kernel& k) { return k.host_node()->repetition_count; }

// runtime<ratio>(k): the share of a tile's time that the kernel needs.
template <typename Kind>
float& runtime(kernel& k) {
  static_assert(std::is_same_v<Kind, ratio>, "runtime<ratio>");
  return k.host_node()->runtime;
}

namespace host {
inline const Placement& placement_of(const kernel& k) { return k.host_node()->location; }
inline void place(kernel& k, const Placement& placement) { k.host_node()->location = placement; }
}  // namespace host

}  // namespace adf

#define REGISTER_FUNCTION(...) ::adf::host::register_function(&__VA_ARGS__)
#define REGISTER_PARAMETER(member) ::adf::host::register_parameter<decltype(member)>(#member)

#endif  // ADF_KERNEL_H_
