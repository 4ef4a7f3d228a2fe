// SPDX-License-Identifier: Apache-2.0
//
// The observation hook: every operation of the AIE API that a kernel executes, with the identities of the values that
// went in and came out. Enough to rebuild the data-flow graph of a run, and all that the cycle model sees of a kernel.
//
// Identities. While an observer is set, each vector, accumulator and mask that an operation produces gets a new id;
// copies of it keep the id, as they are the same register. Id 0: produced before observation began, or never given a
// value. In-place changes (insert, set, element assignment) are operations: the object's old id goes in, a new one
// comes out.
//
// Scalars are plain C++ numbers, as in the API, and cannot carry an id. An operation that yields one (get, reduce_*,
// clb, mask tests) reports it as a result of kind kScalar with an id of its own and its bits; one that takes a scalar
// (broadcast, a shift, a scalar operand) reports it as an input with id 0 and its bits. A consumer matches such an
// input with the last scalar result of equal bits; a scalar that no operation produced, or that plain C++ computed
// further, finds no match or an older one, which the consumer has to allow for.
//
// The operations, with their operands in order: operations.def.
// An operation on a vector that a device splits over several registers is one operation here. Casts are none. Plain C++
// arithmetic on scalars is not seen; a kernel that wants a costly piece of it seen (an exact division, say) calls
// report() itself.
#ifndef AIE_HOST_OBSERVE_H_
#define AIE_HOST_OBSERVE_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "aie_host/operations.h"

namespace aie_host {

using ValueId = std::uint32_t;

enum class ValueKind : std::uint8_t { kNone, kVector, kAccum, kMask, kScalar };

// Element types, by the names that the API gives them. acc48 is acc64 on these devices.
enum class Element : std::uint8_t {
  kNone,
  kInt4,
  kUint4,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kBfloat16,
  kFloat,
  kAcc32,
  kAcc64,
  kAccFloat,
  kBit,
};

constexpr const char* name(Element element) {
  constexpr const char* kNames[] = {"none",   "int4",  "uint4",  "int8",     "uint8",  "int16",
                                    "uint16", "int32", "uint32", "int64",    "uint64", "bfloat16",
                                    "float",  "acc32", "acc64",  "accfloat", "bit"};
  return kNames[static_cast<std::size_t>(element)];
}

// A value that goes into or comes out of an operation.
struct Value {
  ValueKind kind = ValueKind::kNone;
  Element element = Element::kNone;
  std::uint16_t lanes = 0;
  ValueId id = 0;
  // kScalar: the value, sign-extended if the type is signed; float types: the bit pattern. kVector with lanes = 1,
  // which stands for v[i] as a scalar operand: i.
  std::int64_t bits = 0;
};

// An operation that was executed.
struct Report {
  Operation operation{};
  std::span<const Value> inputs;
  std::span<const Value> results;
  std::span<const std::int64_t> immediates;  // shift, step, rows and columns, ...: in the order of the call
  const void* address = nullptr;             // load and store: where, and how much
  std::uint32_t bytes = 0;
};

// Receives what a thread executes while it is set (see ObserverScope). The spans of a Report live only for the call.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void operation(const Report& report) = 0;
  // A marked loop: begin, then one iteration event before each pass, then end. `site` is the marker's name, the same
  // pointer for each run of the same loop.
  virtual void loop_begin(const char* site) { static_cast<void>(site); }
  virtual void loop_iteration(const char* site) { static_cast<void>(site); }
  virtual void loop_end(const char* site) { static_cast<void>(site); }
};

namespace detail {
inline constinit thread_local Observer* observer = nullptr;
inline constinit thread_local ValueId last_value_id = 0;
}  // namespace detail

inline bool observed() { return detail::observer != nullptr; }

// Sets the observer of this thread (null: none) until the scope ends.
class ObserverScope {
 public:
  explicit ObserverScope(Observer* observer) : previous_(detail::observer) { detail::observer = observer; }
  ~ObserverScope() { detail::observer = previous_; }
  ObserverScope(const ObserverScope&) = delete;
  ObserverScope& operator=(const ObserverScope&) = delete;

 private:
  Observer* previous_;
};

// A fresh identity. Only called while observed.
inline ValueId new_value_id() { return ++detail::last_value_id; }

// Reports an operation to the observer, which must be set.
inline void report(Operation operation, std::span<const Value> inputs, std::span<const Value> results,
                   std::initializer_list<std::int64_t> immediates = {}, const void* address = nullptr,
                   std::uint32_t bytes = 0) {
  detail::observer->operation({operation, inputs, results,
                               std::span<const std::int64_t>(immediates.begin(), immediates.size()), address, bytes});
}

// Marks a loop: an object that lives around the loop, and one call of iteration() at the head of each pass.
class Loop {
 public:
  explicit Loop(const char* site) : site_(site) {
    if (observed()) detail::observer->loop_begin(site_);
  }
  ~Loop() {
    if (observed()) detail::observer->loop_end(site_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void iteration() const {
    if (observed()) detail::observer->loop_iteration(site_);
  }

 private:
  const char* site_;
};

}  // namespace aie_host

#endif  // AIE_HOST_OBSERVE_H_
