// SPDX-License-Identifier: Apache-2.0
//
// aie::vector: a register of lanes. What each member does: Xilinx/aie_api, vector.hpp.
#ifndef AIE_API_VECTOR_HPP_
#define AIE_API_VECTOR_HPP_

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "aie_api/lanes.hpp"
#include "aie_api/modes.hpp"
#include "aie_api/types.hpp"
#include "aie_host/memory.h"

namespace aie {

// Alignment of a vector load or store, bytes (aie_api, vector_ldst_align).
template <ElemBaseType T, unsigned Elems>
inline constexpr unsigned vector_ldst_align_v = sizeof(T) * Elems == 16   ? 16
                                                : sizeof(T) * Elems == 32 ? 32
                                                : aie_host::kAieMl        ? 32
                                                                          : 64;

// Alignment of a buffer that suits every vector load and store, bytes.
inline constexpr unsigned vector_decl_align = aie_host::kAieMl ? 32 : 64;

namespace detail {

template <typename T>
struct packed_type {
  using type = std::conditional_t<
      sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int16, uint16>,
      std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int8, uint8>, void>>;
};
template <typename T>
struct unpacked_type {
  using type = std::conditional_t<
      sizeof(T) == 1, std::conditional_t<std::is_signed_v<T>, int16, uint16>,
      std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32, uint32>, void>>;
};

// Integers of fewer bits. Between bytes and 16 bits a device packs and unpacks without a change of the sign's meaning.
template <typename To, typename From>
concept Narrower = ElemBaseType<To> && ElemBaseType<From> && !is_floating_point_v<To> && !is_floating_point_v<From> &&
                   (sizeof(To) < sizeof(From)) && (sizeof(From) > 2 || std::is_signed_v<To> == std::is_signed_v<From>);

}  // namespace detail

// v[i] of a vector that may change: reads with get, writes with set.
template <ElemBaseType T, unsigned Elems>
class vector_elem_ref {
 public:
  vector_elem_ref(vector<T, Elems>& parent, unsigned lane) : parent_(&parent), lane_(lane) {}
  vector_elem_ref(const vector_elem_ref&) = default;

  operator T() const { return get(); }
  T get() const { return parent_->get(lane_); }
  const vector_elem_ref& operator=(T value) const {
    parent_->set(value, lane_);
    return *this;
  }
  const vector_elem_ref& operator=(const vector_elem_ref& other) const { return *this = other.get(); }
  template <unsigned E>
  const vector_elem_ref& operator=(const vector_elem_ref<T, E>& other) const {
    return *this = other.get();
  }
  template <unsigned E>
  const vector_elem_ref& operator=(const vector_elem_const_ref<T, E>& other) const {
    return *this = other.get();
  }
  const vector_elem_ref& operator+=(T value) const { return *this = static_cast<T>(get() + value); }
  const vector_elem_ref& operator-=(T value) const { return *this = static_cast<T>(get() - value); }

  const vector<T, Elems>& parent() const { return *parent_; }
  unsigned lane() const { return lane_; }
  T value(const char* operation) const { return parent_->lane(lane_, operation); }

 private:
  vector<T, Elems>* parent_;
  unsigned lane_;
};

// v[i] of a constant vector.
template <ElemBaseType T, unsigned Elems>
class vector_elem_const_ref {
 public:
  vector_elem_const_ref(const vector<T, Elems>& parent, unsigned lane) : parent_(&parent), lane_(lane) {}
  operator T() const { return get(); }
  T get() const { return parent_->get(lane_); }

  const vector<T, Elems>& parent() const { return *parent_; }
  unsigned lane() const { return lane_; }
  T value(const char* operation) const { return parent_->lane(lane_, operation); }

 private:
  const vector<T, Elems>* parent_;
  unsigned lane_;
};

// Elems lanes of T: 128 to 1024 bits as on the devices, and twice that, which the API builds from several registers.
// A vector that was not given a value is undefined in every lane; an operation on an undefined lane gives an undefined
// lane; storing one, reading it as a scalar or comparing it stops the kernel.
template <ElemBaseType T, unsigned Elems>
class vector {
  static_assert(std::has_single_bit(Elems) && Elems * sizeof(T) >= 16 && Elems * sizeof(T) <= 256,
                "no such vector: lanes are a power of two, 128 to 2048 bits");

 public:
  using value_type = T;
  using native_type = vector;
  using storage_t = vector;

  static constexpr unsigned size() { return Elems; }
  static constexpr unsigned type_bits() { return detail::type_bits_v<T>; }
  static constexpr unsigned bits() { return Elems * type_bits(); }
  static constexpr unsigned bytes() { return bits() / 8; }
  static constexpr bool is_signed() { return detail::is_signed_v<T>; }
  static constexpr bool is_floating_point() { return detail::is_floating_point_v<T>; }
  static constexpr bool is_integral() { return !is_floating_point(); }
  static constexpr bool is_complex() { return false; }
  static constexpr bool is_real() { return true; }

  vector() = default;
  // Lanes 0, 1, ...; the others stay undefined.
  template <typename... Values>
  requires(sizeof...(Values) < Elems) explicit vector(T first, const Values&... values) {
    unsigned i = 0;
    const auto put = [&](T value) {
      lanes_.value[i] = value;
      lanes_.defined.set(i++, true);
    };
    put(first);
    (put(static_cast<T>(values)), ...);
    detail::note(aie_host::Operation::kVector, *this, {}, first, static_cast<T>(values)...);
  }

  vector to_native() const { return *this; }

  // Lane `index` as a scalar. Stops if it is undefined.
  T get(unsigned index) const {
    T result = lane(index, aie_host::name(aie_host::Operation::kGet));
    detail::note(aie_host::Operation::kGet, result, {static_cast<std::int64_t>(index)}, *this);
    return result;
  }
  void set(T value, unsigned index) {
    detail::require(index < Elems, "set: no such lane");
    const aie_host::Value before = detail::describe(*this);
    lanes_.value[index] = value;
    lanes_.defined.set(index, true);
    detail::note(aie_host::Operation::kSet, *this, {static_cast<std::int64_t>(index)}, before, value);
  }
  vector_elem_ref<T, Elems> operator[](unsigned index) { return elem_ref(index); }
  vector_elem_const_ref<T, Elems> operator[](unsigned index) const { return elem_ref(index); }
  vector_elem_ref<T, Elems> elem_ref(unsigned index) {
    detail::require(index < Elems, "operator[]: no such lane");
    return {*this, index};
  }
  vector_elem_const_ref<T, Elems> elem_ref(unsigned index) const { return elem_const_ref(index); }
  vector_elem_const_ref<T, Elems> elem_const_ref(unsigned index) const {
    detail::require(index < Elems, "operator[]: no such lane");
    return {*this, index};
  }
  // Moves all lanes up by one and puts `value` in lane 0.
  vector& push(T value) {
    const vector before = *this;
    detail::permute(*this, before, [](unsigned i) { return i - 1; });
    lanes_.value[0] = value;
    lanes_.defined.set(0, true);
    detail::note(aie_host::Operation::kPush, *this, {}, before, value);
    return *this;
  }

  // The same bits as lanes of another type. Costs nothing on a device, so the value keeps its identity.
  template <ElemBaseType To>
  vector<To, Elems * sizeof(T) / sizeof(To)> cast_to() const {
    return detail::reinterpret<vector<To, Elems * sizeof(T) / sizeof(To)>>(*this);
  }

  // Part `index` of the parts of ElemsOut lanes.
  template <unsigned ElemsOut>
  vector<T, ElemsOut> extract(unsigned index) const {
    static_assert(ElemsOut <= Elems, "extract: the part is larger than the vector");
    detail::require(index < Elems / ElemsOut, "extract: no such part");
    if constexpr (ElemsOut == Elems) {
      return *this;
    } else {
      vector<T, ElemsOut> result;
      auto& out = detail::Access::lanes(result);
      for (unsigned i = 0; i < ElemsOut; ++i) out.value[i] = lanes_.value[ElemsOut * index + i];
      out.defined = lanes_.defined.template extract<ElemsOut>(index);
      detail::note(aie_host::Operation::kExtract, result, {static_cast<std::int64_t>(index)}, *this);
      return result;
    }
  }
  // Replaces part `index` of the parts of ElemsIn lanes.
  template <unsigned ElemsIn>
  vector& insert(unsigned index, const vector<T, ElemsIn>& in) {
    static_assert(ElemsIn <= Elems, "insert: the part is larger than the vector");
    detail::require(index < Elems / ElemsIn, "insert: no such part");
    const aie_host::Value before = detail::describe(*this);
    const auto& from = detail::Access::lanes(in);
    for (unsigned i = 0; i < ElemsIn; ++i) lanes_.value[ElemsIn * index + i] = from.value[i];
    lanes_.defined.insert(index, from.defined);
    detail::note(aie_host::Operation::kInsert, *this, {static_cast<std::int64_t>(index)}, before, in);
    return *this;
  }
  // This vector as part `index` of a larger one whose other lanes are undefined.
  template <unsigned ElemsOut>
  vector<T, ElemsOut> grow(unsigned index = 0) const {
    static_assert(ElemsOut >= Elems, "grow: the result is smaller than the vector");
    if constexpr (ElemsOut == Elems) {
      return *this;
    } else {
      detail::require(index < ElemsOut / Elems, "grow: no such part");
      vector<T, ElemsOut> result;
      auto& out = detail::Access::lanes(result);
      for (unsigned i = 0; i < Elems; ++i) out.value[Elems * index + i] = lanes_.value[i];
      out.defined.insert(index, lanes_.defined);
      detail::note(aie_host::Operation::kGrow, result, {static_cast<std::int64_t>(index)}, *this);
      return result;
    }
  }
  // This vector, again and again.
  template <unsigned ElemsOut>
  vector<T, ElemsOut> grow_replicate() const {
    static_assert(ElemsOut >= Elems, "grow_replicate: the result is smaller than the vector");
    if constexpr (ElemsOut == Elems) {
      return *this;
    } else {
      vector<T, ElemsOut> result;
      detail::permute(result, *this, [](unsigned i) { return i % Elems; });
      detail::note(aie_host::Operation::kGrowReplicate, result, {}, *this);
      return result;
    }
  }
  // grow if the result is larger, extract if it is not.
  template <unsigned ElemsOut>
  vector<T, ElemsOut> grow_extract(unsigned index) const {
    if constexpr (ElemsOut > Elems) {
      return grow<ElemsOut>();
    } else {
      return extract<ElemsOut>(index);
    }
  }
  // All parts of ElemsOut lanes.
  template <unsigned ElemsOut>
  std::array<vector<T, ElemsOut>, Elems / ElemsOut> split() const {
    std::array<vector<T, ElemsOut>, Elems / ElemsOut> parts;
    for (unsigned i = 0; i < parts.size(); ++i) parts[i] = extract<ElemsOut>(i);
    return parts;
  }

  // Narrower lanes: clamped or cut as the saturation mode says. 16-bit lanes become bytes of the same signedness;
  // 32-bit ones go through an accumulator, which takes them as signed, and are saturated as the result's type is.
  template <typename To = typename detail::packed_type<T>::type>
  requires detail::Narrower<To, T> vector<To, Elems> pack()
  const { return pack_sign<To>(detail::is_signed_v<To>); }
  // pack(), saturated as a signed or an unsigned result, whatever To is.
  template <typename To = typename detail::packed_type<T>::type>
  requires detail::Narrower<To, T> vector<To, Elems> pack_sign(bool to_signed)
  const {
    const saturation_mode mode = detail::current_saturation();
    using Lane = std::conditional_t<sizeof(T) == 4, std::int32_t, T>;
    return detail::map<vector<To, Elems>>(
        aie_host::Operation::kPack, {},
        [=](T x) { return detail::clamp_or_wrap<To>(static_cast<Lane>(x), mode, to_signed); }, *this);
  }
  // Wider lanes: sign-extended if T is signed. Of 16 bits to 32 zero-extended if one of the types is unsigned.
  template <typename To = typename detail::unpacked_type<T>::type>
  requires detail::Narrower<T, To> vector<To, Elems> unpack()
  const { return unpack_sign<To>(is_signed()); }
  // unpack(), with the lanes taken as signed or unsigned, whatever T is, but for 16 bits to 32 of an unsigned type.
  template <typename To = typename detail::unpacked_type<T>::type>
  requires detail::Narrower<T, To> vector<To, Elems> unpack_sign(bool from_signed)
  const {
    const bool extend = from_signed && (sizeof(T) == 1 || (std::is_signed_v<T> && std::is_signed_v<To>));
    return detail::map<vector<To, Elems>>(
        aie_host::Operation::kUnpack, {},
        [=](T x) {
          return extend ? static_cast<To>(static_cast<std::make_signed_t<T>>(x))
                        : static_cast<To>(static_cast<std::make_unsigned_t<T>>(x));
        },
        *this);
  }

  void load(const T* address) { read(address, address, vector_ldst_align_v<T, Elems>, aie_host::Operation::kLoad); }
  void store(T* address) const { write(address, vector_ldst_align_v<T, Elems>, aie_host::Operation::kStore); }
  // `aligned_elems`: the address is aligned to so many elements.
  void load_unaligned(const T* address, unsigned aligned_elems = 1) {
    read(address, address, aligned_elems * sizeof(T), aie_host::Operation::kLoadUnaligned);
  }
  void store_unaligned(T* address, unsigned aligned_elems = 1) const {
    write(address, aligned_elems * sizeof(T), aie_host::Operation::kStoreUnaligned);
  }

  // Lane `index`, for the operation of that name. Stops if it is undefined. Not part of AMD's API.
  T lane(unsigned index, const char* operation) const {
    detail::require(index < Elems, "get: no such lane");
    if (!lanes_.defined.test(index)) [[unlikely]]
      detail::stop_undefined(operation, index);
    return lanes_.value[index];
  }

 private:
  friend struct detail::Access;
  friend class vector_ref<T, Elems>;

  // Lanes of `address`, which are in `memory`.
  void read(const T* address, const T* memory, std::size_t alignment, aie_host::Operation operation) {
    aie_host::check_access(address, bytes(), alignment, false);
    std::memcpy(lanes_.value.data(), memory, bytes());
    lanes_.defined = detail::DefinedLanes<Elems>::all();
    if (aie_host::observed()) [[unlikely]] {
      const std::array<aie_host::Value, 1> results{detail::describe_result(*this)};
      aie_host::report(operation, {}, results, {}, address, bytes());
    }
  }
  void write(T* address, std::size_t alignment, aie_host::Operation operation) const {
    detail::require_defined(operation, *this);
    aie_host::check_access(address, bytes(), alignment, true);
    std::memcpy(address, lanes_.value.data(), bytes());
    if (aie_host::observed()) [[unlikely]] {
      const std::array<aie_host::Value, 1> inputs{detail::describe(*this)};
      aie_host::report(operation, inputs, {}, {}, address, bytes());
    }
  }

  detail::Lanes<T, Elems> lanes_;
};

// What a mutable iterator refers to: reading it loads, assigning to it stores. In the API it is a reference to the
// vector in memory, of which `auto v = *it` makes a copy: so this one keeps the lanes that it found, and only a
// temporary can be assigned to (`*it++ = v`).
template <ElemBaseType T, unsigned Elems>
class vector_ref {
 public:
  using value_type = T;
  static constexpr unsigned size() { return Elems; }
  static constexpr bool is_signed() { return vector<T, Elems>::is_signed(); }
  static constexpr bool is_floating_point() { return vector<T, Elems>::is_floating_point(); }

  // `alignment`, bytes, is what the iterator promises.
  vector_ref(T* address, unsigned alignment) : address_(address), alignment_(alignment) {
    if (aie_host::is_accessible(address, sizeof found_, false)) std::memcpy(found_.data(), address, sizeof found_);
  }
  vector_ref(const vector_ref&) = default;

  vector<T, Elems> load() const {
    vector<T, Elems> result;
    result.read(address_, found_.data(), alignment(),
                is_aligned() ? aie_host::Operation::kLoad : aie_host::Operation::kLoadUnaligned);
    return result;
  }
  operator vector<T, Elems>() const { return load(); }
  template <ElemBaseType To>
  auto cast_to() const {
    return load().template cast_to<To>();
  }
  template <unsigned ElemsOut>
  auto extract(unsigned index) const {
    return load().template extract<ElemsOut>(index);
  }
  T get(unsigned index) const { return load().get(index); }
  T operator[](unsigned index) const { return load().get(index); }

  void operator=(const vector<T, Elems>& v) && {
    v.write(address_, alignment(), is_aligned() ? aie_host::Operation::kStore : aie_host::Operation::kStoreUnaligned);
  }
  void operator=(const vector_ref& other) && { std::move(*this) = other.load(); }

 private:
  bool is_aligned() const { return alignment_ >= vector_ldst_align_v<T, Elems>; }
  unsigned alignment() const { return is_aligned() ? vector_ldst_align_v<T, Elems> : alignment_; }

  T* address_;
  unsigned alignment_;
  std::array<T, Elems> found_{};
};

}  // namespace aie

#endif  // AIE_API_VECTOR_HPP_
