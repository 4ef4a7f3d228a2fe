// SPDX-License-Identifier: Apache-2.0
//
// Part 4: parts of registers, and what is done lane by lane.
#ifndef HCCS_TESTS_AIE_API_LANES_H_
#define HCCS_TESTS_AIE_API_LANES_H_

#include "modes.h"

namespace emulated {

// ---- Intrinsics whose names end with the type of their result, R: declare.py forwards undef_R(), set_R() ... to
// these. Of each the last one is for operands that the emulation does not have.

template <typename R>
R undef() {
  return R();
}

template <typename R>
R broadcast_zero_to() {
  R result;
  std::memset(&result, 0, sizeof result);
  return result;
}

template <typename R>
requires requires { typename R::Type; }
R broadcast_to(Number<typename R::Type> x) {
  return R::of([x](unsigned) { return x; });
}
// A short register, again and again.
template <typename R, typename T, unsigned kLanes>
requires requires { typename R::Type; }
R broadcast_to(const Register<T, kLanes>& x) {
  R result;
  for (unsigned i = 0; i < R::kBytes; ++i) result.bytes[i] = x.bytes[i % x.kBytes];
  return result;
}

template <typename R>
R extract(...) {
  missing("extract");
}
template <typename R, unsigned kLanes>
requires requires { typename R::Type; }
R extract(const Register<typename R::Type, kLanes>& whole, int index) {
  check_part<R, Register<typename R::Type, kLanes>>(static_cast<unsigned>(index));
  R part;
  std::memcpy(part.bytes, whole.bytes + static_cast<unsigned>(index) * R::kBytes, R::kBytes);
  return part;
}

template <typename R>
R set(...) {
  missing("set");
}
template <typename R, unsigned kLanes>
requires requires { typename R::Type; }
R set(int index, const Register<typename R::Type, kLanes>& part) {
  using Part = Register<typename R::Type, kLanes>;
  check_part<Part, R>(static_cast<unsigned>(index));
  R whole;
  std::memcpy(whole.bytes + static_cast<unsigned>(index) * Part::kBytes, part.bytes, Part::kBytes);
  return whole;
}
template <typename R>
requires requires { typename R::Type; }
R set(int index, Number<typename R::Type> x) {
  R whole;
  whole.set(static_cast<unsigned>(index), x);
  return whole;
}

// Lanes as numbers that are signed or not, whatever their type says.
template <Integer T, unsigned kLanes>
int64_t lane(const Register<T, kLanes>& v, unsigned i, bool is_signed) {
  return is_signed ? static_cast<int64_t>(static_cast<std::make_signed_t<T>>(v[i]))
                   : static_cast<int64_t>(static_cast<std::make_unsigned_t<T>>(v[i]));
}

template <typename T, unsigned kLanes, typename F>
uint64_t lanes_where(const Register<T, kLanes>& a, F condition) {
  uint64_t mask = 0;
  for (unsigned i = 0; i < kLanes; ++i) mask |= uint64_t{condition(a[i], i)} << i;
  return mask;
}
// A mask of 64 lanes is 64 bits, of fewer 32.
template <unsigned kLanes>
using Mask = std::conditional_t<kLanes == 64, unsigned long long, unsigned>;

// The compilers have operators too; the headers use these where no kernel of ours comes.
template <typename T, unsigned kLanes>
Register<T, kLanes> operator-(Register<T, kLanes>, Register<T, kLanes>) {
  missing("operator-");
}
template <typename T, unsigned kLanes>
Register<T, kLanes> operator|(Register<T, kLanes>, Register<T, kLanes>) {
  missing("operator|");
}
template <typename T, unsigned kLanes>
Register<T, kLanes> operator&(Register<T, kLanes>, Register<T, kLanes>) {
  missing("operator&");
}

}  // namespace emulated

// ---- Parts of registers.

template <typename T, unsigned kLanes>
INTRINSIC emulated::Register<T, 2 * kLanes> concat(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b) {
  emulated::Register<T, 2 * kLanes> result;
  std::memcpy(result.bytes, a.bytes, a.kBytes);
  std::memcpy(result.bytes + a.kBytes, b.bytes, b.kBytes);
  return result;
}
template <typename T, unsigned kLanes>
INTRINSIC emulated::Register<T, 4 * kLanes> concat(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b,
                                                   emulated::Register<T, kLanes> c, emulated::Register<T, kLanes> d) {
  return concat(concat(a, b), concat(c, d));
}

template <typename T, unsigned kLanes, unsigned kPart>
INTRINSIC emulated::Register<T, kLanes> insert(emulated::Register<T, kLanes> whole, int index,
                                               emulated::Register<T, kPart> part) {
  emulated::check_part<decltype(part), decltype(whole)>(static_cast<unsigned>(index));
  std::memcpy(whole.bytes + static_cast<unsigned>(index) * part.kBytes, part.bytes, part.kBytes);
  return whole;
}
template <typename T, unsigned kLanes>
INTRINSIC emulated::Register<T, kLanes> insert(emulated::Register<T, kLanes> v, int index,
                                               std::type_identity_t<emulated::Number<T>> x) {
  v.set(static_cast<unsigned>(index), x);
  return v;
}
template <typename T, unsigned kLanes>
INTRINSIC emulated::Number<T> extract_elem(emulated::Register<T, kLanes> v, int index) {
  return v[static_cast<unsigned>(index)];
}

// Masks of 64 lanes, which Peano has as a number.
INTRINSIC constexpr unsigned long long insert(unsigned long long mask, int index, unsigned word) {
  return (mask & ~(0xffffffffull << (32 * index))) | static_cast<unsigned long long>(word) << (32 * index);
}
INTRINSIC constexpr unsigned long long set_u64(int index, unsigned word) {
  return static_cast<unsigned long long>(word) << (32 * index);
}
INTRINSIC constexpr unsigned long long set_uint64(int index, unsigned word) { return set_u64(index, word); }
INTRINSIC constexpr unsigned extract_uint32(unsigned long long mask, int index) {
  return static_cast<unsigned>(mask >> (32 * index));
}

// ---- Lane by lane.

// Lanes of b where the mask is set.
template <typename T, unsigned kLanes>
INTRINSIC emulated::Register<T, kLanes> sel(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b,
                                            unsigned long long mask) {
  return emulated::Register<T, kLanes>::of([&](unsigned i) { return (mask >> i & 1) != 0 ? b[i] : a[i]; });
}

#define HCCS_BITWISE(name, op)                                                                                     \
  template <emulated::Integer T, unsigned kLanes>                                                                  \
  INTRINSIC emulated::Register<T, kLanes> name(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b) { \
    return emulated::Register<T, kLanes>::of([&](unsigned i) { return a[i] op b[i]; });                            \
  }
HCCS_BITWISE(band, &)
HCCS_BITWISE(bor, |)
HCCS_BITWISE(bxor, ^)

// Sums wrap around. Some of these are told whether lanes are signed, which their types say.
#define HCCS_LANE_BY_LANE(name, result)                                                                          \
  template <emulated::Integer T, unsigned kLanes, typename... Signs>                                             \
  INTRINSIC emulated::Register<T, kLanes> name(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b, \
                                               Signs...) {                                                       \
    return emulated::Register<T, kLanes>::of([&](unsigned i) {                                                   \
      const int64_t x = a[i];                                                                                    \
      const int64_t y = b[i];                                                                                    \
      return result;                                                                                             \
    });                                                                                                          \
  }
HCCS_LANE_BY_LANE(add, x + y)
HCCS_LANE_BY_LANE(sub, x - y)
HCCS_LANE_BY_LANE(max, std::max(x, y))
HCCS_LANE_BY_LANE(min, std::min(x, y))
// As xdna-emu has it, checked there on an NPU.
HCCS_LANE_BY_LANE(maxdiff, std::max(x - y, int64_t{0}))

template <emulated::Integer T, unsigned kLanes>
INTRINSIC emulated::Register<T, kLanes> neg(emulated::Register<T, kLanes> a) {
  return emulated::Register<T, kLanes>::of([&](unsigned i) { return -int64_t{a[i]}; });
}

#define HCCS_COMPARE(name, op)                                                                                        \
  template <emulated::Integer T, unsigned kLanes, typename... Signs>                                                  \
  INTRINSIC emulated::Mask<kLanes> name(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b, Signs...) { \
    return static_cast<emulated::Mask<kLanes>>(emulated::lanes_where(a, [&](T x, unsigned i) { return x op b[i]; })); \
  }
HCCS_COMPARE(lt, <)
HCCS_COMPARE(le, <=)
HCCS_COMPARE(gt, >)
HCCS_COMPARE(ge, >=)
HCCS_COMPARE(eq, ==)
HCCS_COMPARE(ne, !=)

#define HCCS_COMPARE_WITH_ZERO(name, op)                                                                        \
  template <emulated::Integer T, unsigned kLanes>                                                               \
  INTRINSIC emulated::Mask<kLanes> name(emulated::Register<T, kLanes> a) {                                      \
    return static_cast<emulated::Mask<kLanes>>(emulated::lanes_where(a, [](T x, unsigned) { return x op 0; })); \
  }
HCCS_COMPARE_WITH_ZERO(eqz, ==)
HCCS_COMPARE_WITH_ZERO(ltz, <)
HCCS_COMPARE_WITH_ZERO(gtz, >)

// Bytes from and to numbers of 16 bits.
template <typename T, unsigned kLanes>
requires emulated::IntegerOf<T, 8> INTRINSIC auto unpack(emulated::Register<T, kLanes> v,
                                                         bool is_signed = std::is_signed_v<T>) {
  using Wide = std::conditional_t<std::is_signed_v<T>, int16, uint16>;
  return emulated::Register<Wide, kLanes>::of([&](unsigned i) { return emulated::lane(v, i, is_signed); });
}
template <typename T, unsigned kLanes>
requires emulated::IntegerOf<T, 16> INTRINSIC auto pack(emulated::Register<T, kLanes> v,
                                                        bool is_signed = std::is_signed_v<T>) {
  using Narrow = std::conditional_t<std::is_signed_v<T>, int8, uint8>;
  return emulated::Register<Narrow, kLanes>::of(
      [&](unsigned i) { return emulated::saturate<Narrow>(emulated::lane(v, i, std::is_signed_v<T>), is_signed); });
}

// ---- The scalar unit.

INTRINSIC int clb(int x) { return std::countl_zero(static_cast<unsigned>(x < 0 ? ~x : x)); }
INTRINSIC int clb(unsigned x) { return std::countl_zero(x); }
INTRINSIC float inv(float x) { return 1 / x; }

#endif  // HCCS_TESTS_AIE_API_LANES_H_
