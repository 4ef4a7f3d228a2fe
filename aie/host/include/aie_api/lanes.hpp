// SPDX-License-Identifier: Apache-2.0
//
// What vectors, accumulators and masks have in common: lanes, of which some may be undefined, and an identity.
// The way in which every elementwise operation is computed and reported.
#ifndef AIE_API_LANES_HPP_
#define AIE_API_LANES_HPP_

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>

#include "aie_api/types.hpp"
#include "aie_host/observe.h"
#include "aie_host/stop.h"

namespace aie::detail {

// Which lanes have a defined value. Lane counts are powers of two.
template <unsigned Elems>
class DefinedLanes {
 public:
  static constexpr unsigned kWords = (Elems + 63) / 64;
  static constexpr std::uint64_t kFull = Elems >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << (Elems % 64)) - 1;

  static constexpr DefinedLanes all() {
    DefinedLanes lanes;
    lanes.words_.fill(kFull);
    return lanes;
  }
  // The first `count` lanes.
  static constexpr DefinedLanes first(unsigned count) {
    DefinedLanes lanes;
    for (unsigned i = 0; i < count; ++i) lanes.set(i, true);
    return lanes;
  }

  constexpr bool test(unsigned lane) const { return (words_[lane / 64] >> (lane % 64) & 1) != 0; }
  constexpr void set(unsigned lane, bool defined) {
    const std::uint64_t bit = std::uint64_t{1} << (lane % 64);
    words_[lane / 64] = defined ? words_[lane / 64] | bit : words_[lane / 64] & ~bit;
  }
  constexpr bool is_all() const {
    std::uint64_t both = kFull;
    for (const std::uint64_t word : words_) both &= word;
    return both == kFull;
  }
  constexpr unsigned first_undefined() const {
    for (unsigned i = 0; i < kWords; ++i) {
      if (words_[i] != kFull) return 64 * i + static_cast<unsigned>(std::countr_one(words_[i]));
    }
    return Elems;
  }
  constexpr DefinedLanes operator&(const DefinedLanes& other) const {
    DefinedLanes lanes;
    for (unsigned i = 0; i < kWords; ++i) lanes.words_[i] = words_[i] & other.words_[i];
    return lanes;
  }

  // The `Out` lanes from lane Out * index.
  template <unsigned Out>
  constexpr DefinedLanes<Out> extract(unsigned index) const {
    DefinedLanes<Out> lanes;
    for (unsigned i = 0; i < DefinedLanes<Out>::kWords; ++i) {
      const unsigned bit = Out * index + 64 * i;
      lanes.words_[i] = words_[bit / 64] >> (bit % 64) & DefinedLanes<Out>::kFull;
    }
    return lanes;
  }
  template <unsigned In>
  constexpr void insert(unsigned index, const DefinedLanes<In>& in) {
    for (unsigned i = 0; i < DefinedLanes<In>::kWords; ++i) {
      const unsigned bit = In * index + 64 * i;
      words_[bit / 64] = (words_[bit / 64] & ~(DefinedLanes<In>::kFull << (bit % 64))) | in.words_[i] << (bit % 64);
    }
  }

 private:
  template <unsigned>
  friend class DefinedLanes;
  std::array<std::uint64_t, kWords> words_{};
};

template <typename S, unsigned Elems>
struct Lanes {
  std::array<S, Elems> value{};
  DefinedLanes<Elems> defined{};
  aie_host::ValueId id = 0;
};

// The lanes of a vector or an accumulator, for operations.
struct Access {
  template <typename V>
  static auto& lanes(V& v) {
    return v.lanes_;
  }
};

[[noreturn]] inline void stop_undefined(const char* operation, unsigned lane) {
  aie_host::stop(std::string(operation) + ": lane " + std::to_string(lane) + " is undefined");
}

// Stops if any lane is undefined: for operations whose result cannot be.
template <typename V>
void require_defined(const char* operation, const V& v) {
  const auto& defined = Access::lanes(v).defined;
  if (!defined.is_all()) [[unlikely]]
    stop_undefined(operation, defined.first_undefined());
}

template <typename V>
void require_defined(aie_host::Operation operation, const V& v) {
  require_defined(aie_host::name(operation), v);
}

inline void require(bool condition, const char* rule) {
  if (!condition) [[unlikely]]
    aie_host::stop(rule);
}

// --- Operands: vectors, accumulators, scalars ---

// A scalar operand: the same value in every lane.
template <typename T>
struct Scalar {
  T value;
  aie_host::Value origin;  // only filled in while observed
};

template <typename T>
std::int64_t scalar_bits(T value) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return value.bits;
  } else if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<std::uint32_t>(value);
  } else {
    return static_cast<std::int64_t>(value);
  }
}

template <typename T, unsigned Elems>
aie_host::Value describe(const vector<T, Elems>& v) {
  return {aie_host::ValueKind::kVector, element<T>(), Elems, Access::lanes(v).id, 0};
}
template <typename Tag, unsigned Elems>
aie_host::Value describe(const accum<Tag, Elems>& a) {
  return {aie_host::ValueKind::kAccum, element<Tag>(), Elems, Access::lanes(a).id, 0};
}
template <unsigned Elems>
aie_host::Value describe(const mask<Elems>& m) {
  return {aie_host::ValueKind::kMask, aie_host::Element::kBit, Elems, Access::lanes(m).id, 0};
}
template <typename T>
aie_host::Value describe(const Scalar<T>& s) {
  return s.origin;
}
// The identity that a value had before it was changed in place.
inline aie_host::Value describe(const aie_host::Value& before) { return before; }

template <typename T>
requires std::is_arithmetic_v<T> || std::is_same_v<T, bfloat16> aie_host::Value describe(const T& value) {
  return {aie_host::ValueKind::kScalar, element<T>(), 1, 0, scalar_bits(value)};
}

// v[i] as an operand: the vector's identity, with one lane, and which.
template <typename Ref>
aie_host::Value describe_lane(const Ref& e) {
  aie_host::Value value = describe(e.parent());
  value.lanes = 1;
  value.bits = e.lane();
  return value;
}

// A plain scalar, or a lane of a vector: the operand v[i] stops if the lane is undefined.
template <Elem E>
auto operand(const E& e) {
  using T = operand_base_type_t<E>;
  if constexpr (elem_ref_traits<E>::is_ref) {
    return Scalar<T>{e.value("lane operand"), aie_host::observed() ? describe_lane(e) : aie_host::Value{}};
  } else {
    return Scalar<T>{e, aie_host::observed() ? describe(e) : aie_host::Value{}};
  }
}

template <typename T, unsigned Elems>
const vector<T, Elems>& operand(const vector<T, Elems>& v) {
  return v;
}
template <typename T, unsigned Elems>
vector<T, Elems> operand(const vector_ref<T, Elems>& v) {
  return v.load();
}

template <typename V>
auto lane(const V& v, unsigned i) {
  return Access::lanes(v).value[i];
}
template <typename T>
T lane(const Scalar<T>& s, unsigned) {
  return s.value;
}

template <unsigned Elems, typename V>
const DefinedLanes<Elems>& defined(const V& v) {
  return Access::lanes(v).defined;
}
template <unsigned Elems, typename T>
DefinedLanes<Elems> defined(const Scalar<T>&) {
  return DefinedLanes<Elems>::all();
}

// --- Reports ---

// Gives `result` an identity and reports the operation.
template <typename R>
aie_host::Value describe_result(R& result) {
  if constexpr (std::is_class_v<R> && !std::is_same_v<R, bfloat16>) {
    Access::lanes(result).id = aie_host::new_value_id();
    return describe(result);
  } else {
    aie_host::Value value = describe(result);
    value.id = aie_host::new_value_id();
    return value;
  }
}

template <typename R, typename... In>
void note(aie_host::Operation operation, R& result, std::initializer_list<std::int64_t> immediates, const In&... in) {
  if (aie_host::observed()) [[unlikely]] {
    const std::array<aie_host::Value, sizeof...(In)> inputs{describe(in)...};
    const std::array<aie_host::Value, 1> results{describe_result(result)};
    aie_host::report(operation, inputs, results, immediates);
  }
}

// A scalar that plain C++ loads (a result) or stores (an input), reported by a kernel that wants it seen.
template <typename T>
void note_scalar_access(aie_host::Operation operation, T value, const void* address) {
  if (aie_host::observed()) [[unlikely]] {
    const bool is_store = aie_host::kind(operation) == aie_host::OperationKind::kStore;
    std::array<aie_host::Value, 1> values{describe(value)};
    if (!is_store) values[0].id = aie_host::new_value_id();
    const std::span<const aie_host::Value> none;
    aie_host::report(operation, is_store ? std::span<const aie_host::Value>(values) : none,
                     is_store ? none : std::span<const aie_host::Value>(values), {}, address, sizeof(T));
  }
}

// A mask of 32 lanes whose word plain C++ loads, reported by a kernel that wants it seen.
template <typename M>
void note_mask_load(M& mask, const void* word) {
  if (aie_host::observed()) [[unlikely]] {
    const std::array<aie_host::Value, 1> results{describe_result(mask)};
    aie_host::report(aie_host::Operation::kLoadMask, {}, results, {}, word, sizeof(std::uint32_t));
  }
}

// Two results, as interleave_zip and max_cmp have.
template <typename R1, typename R2, typename... In>
void note_pair(aie_host::Operation operation, R1& first, R2& second, std::initializer_list<std::int64_t> immediates,
               const In&... in) {
  if (aie_host::observed()) [[unlikely]] {
    const std::array<aie_host::Value, sizeof...(In)> inputs{describe(in)...};
    const std::array<aie_host::Value, 2> results{describe_result(first), describe_result(second)};
    aie_host::report(operation, inputs, results, immediates);
  }
}

// result[i] = f(operands[i]...): a lane is undefined if one of the lanes that it is made of is.
template <typename R, typename F, typename... In>
R map(aie_host::Operation operation, std::initializer_list<std::int64_t> immediates, F f, const In&... in) {
  R result;
  auto& out = Access::lanes(result);
  for (unsigned i = 0; i < R::size(); ++i) out.value[i] = f(lane(in, i)...);
  out.defined = (defined<R::size()>(in) & ...);
  note(operation, result, immediates, in...);
  return result;
}

// result[i] = in[source(i)], with its definedness; a source beyond the lanes is undefined.
template <typename R, typename V, typename F>
void permute(R& result, const V& in, F source) {
  auto& out = Access::lanes(result);
  const auto& from = Access::lanes(in);
  out.defined = DefinedLanes<R::size()>::all();
  const bool all = from.defined.is_all();
  for (unsigned i = 0; i < R::size(); ++i) {
    const unsigned s = source(i);
    const bool inside = s < V::size();
    if (inside) out.value[i] = from.value[s];
    if (!inside || !(all || from.defined.test(s))) out.defined.set(i, false);
  }
}

// The same bits as lanes of another width: a lane is defined if all lanes that it overlaps are. It is the same
// register, so the identity stays.
template <typename R, typename V>
R reinterpret(const V& v) {
  R result;
  auto& out = Access::lanes(result);
  const auto& from = Access::lanes(v);
  static_assert(sizeof out.value == sizeof from.value);
  std::memcpy(out.value.data(), from.value.data(), sizeof out.value);
  if (from.defined.is_all()) {
    out.defined = DefinedLanes<R::size()>::all();
  } else {
    for (unsigned i = 0; i < R::size(); ++i) {
      const unsigned first = i * V::size() / R::size();
      const unsigned last = ((i + 1) * V::size() - 1) / R::size();
      bool defined = true;
      for (unsigned j = first; j <= last; ++j) defined = defined && from.defined.test(j);
      out.defined.set(i, defined);
    }
  }
  out.id = from.id;
  return result;
}

// --- Arithmetic that wraps as the hardware's does ---

template <typename T>
constexpr T wrap_add(T a, T b) {
  using U = std::make_unsigned_t<T>;
  return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
}
template <typename T>
constexpr T wrap_sub(T a, T b) {
  using U = std::make_unsigned_t<T>;
  return static_cast<T>(static_cast<U>(static_cast<U>(a) - static_cast<U>(b)));
}

// The vector float units treat denormal numbers as zero.
inline float flush(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  return (bits & 0x7f800000u) == 0 ? std::bit_cast<float>(bits & 0x80000000u) : x;
}

}  // namespace aie::detail

#endif  // AIE_API_LANES_HPP_
