// SPDX-License-Identifier: Apache-2.0
//
// What AMD's compilers have built in and AMD's AIE API headers take for granted. Part 2: scalar types and registers.
#ifndef HCCS_TESTS_AIE_API_REGISTER_H_
#define HCCS_TESTS_AIE_API_REGISTER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

// Marks the functions that are intrinsics. Those that take nothing, or anything, declare.py leaves to the emulation.
#define INTRINSIC inline

using int8 = int8_t;
using int16 = int16_t;
using int32 = int32_t;
using uint8 = uint8_t;
using uint16 = uint16_t;
using uint32 = uint32_t;

// The upper half of a float; numbers are rounded to nearest, ties to even.
struct bfloat16 {
  uint16_t bits;

  bfloat16() = default;
  constexpr bfloat16(float x) : bits(0) {
    const auto word = std::bit_cast<uint32_t>(x);
    bits = static_cast<uint16_t>((word + 0x7fff + (word >> 16 & 1)) >> 16);
  }
  constexpr bfloat16(double x) : bfloat16(static_cast<float>(x)) {}
  constexpr bfloat16(int x) : bfloat16(static_cast<float>(x)) {}
  constexpr operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }
  static constexpr bfloat16 from_bits(uint16_t bits) {
    bfloat16 x{};
    x.bits = bits;
    return x;
  }
};

// Numbers that the headers name and no kernel of ours uses.
#define HCCS_UNUSED_NUMBER(name, Value)            \
  struct name {                                    \
    uint8_t bits;                                  \
    name() = default;                              \
    constexpr name(int) : bits(0) {}               \
    constexpr operator Value() const { return 0; } \
  }
HCCS_UNUSED_NUMBER(int4_t, int);
HCCS_UNUSED_NUMBER(uint4_t, int);
#if __AIE_ARCH__ == 22
HCCS_UNUSED_NUMBER(float16, float);
HCCS_UNUSED_NUMBER(float8, float);
HCCS_UNUSED_NUMBER(bfloat8, float);
struct mx4 {};
struct mx6 {};
struct mx9 {};
#endif
#if __AIE_ARCH__ == 21
struct bfp16ebs8 {};
struct bfp16ebs16 {};
#endif
// A mask of 64 lanes, where it is not an unsigned long long.
struct mask64 {
  unsigned long long bits;
};
struct cint16 {
  int16 real, imag;
};
struct cint32 {
  int32 real, imag;
};
struct cfloat {
  float real, imag;
};
#if __AIE_ARCH__ != 21
struct cbfloat16 {
  bfloat16 real, imag;
};
#endif
// Accumulators' lanes, which have the size of these. The kernels have acc32, acc64 and accfloat.
#define HCCS_ACCUMULATOR_LANE(name, size) \
  struct name {                           \
    unsigned char bytes[size];            \
  }
HCCS_ACCUMULATOR_LANE(acc32, 4);
HCCS_ACCUMULATOR_LANE(acc64, 8);
HCCS_ACCUMULATOR_LANE(accfloat, 4);
#if __AIE_ARCH__ == 20 || __has_include(<aie_api/detail/aie2ps/config.hpp>)
HCCS_ACCUMULATOR_LANE(caccfloat, 8);
#else
struct caccfloat;  // older headers have one themselves
#endif
HCCS_ACCUMULATOR_LANE(cacc64, 16);
HCCS_ACCUMULATOR_LANE(acc16, 2);
HCCS_ACCUMULATOR_LANE(acc24, 4);
HCCS_ACCUMULATOR_LANE(acc40, 8);
HCCS_ACCUMULATOR_LANE(acc48, 8);
HCCS_ACCUMULATOR_LANE(acc56, 8);
HCCS_ACCUMULATOR_LANE(cacc16, 4);
HCCS_ACCUMULATOR_LANE(cacc24, 8);
HCCS_ACCUMULATOR_LANE(cacc32, 8);
HCCS_ACCUMULATOR_LANE(cacc40, 16);
HCCS_ACCUMULATOR_LANE(cacc48, 16);
HCCS_ACCUMULATOR_LANE(cacc56, 16);

namespace emulated {

// The number in a lane of type T, and its bits in a register.
template <typename T>
struct Lane {
  using Number = T;
  static constexpr unsigned kBits = 8 * sizeof(T);
};
#define HCCS_LANE(T, number, bits)          \
  template <>                               \
  struct Lane<T> {                          \
    using Number = number;                  \
    static constexpr unsigned kBits = bits; \
  }
HCCS_LANE(acc32, int32_t, 32);
HCCS_LANE(acc64, int64_t, 64);
HCCS_LANE(accfloat, float, 32);
HCCS_LANE(caccfloat, int64_t, 64);
HCCS_LANE(int4_t, int4_t, 4);
HCCS_LANE(uint4_t, uint4_t, 4);
template <typename T>
using Number = typename Lane<T>::Number;

// An intrinsic, or types of its operands, that this emulation does not have.
[[noreturn]] inline void missing(const char* intrinsic) {
  throw std::logic_error(std::string("the emulation has no ") + intrinsic + " of these types");
}

// The result of what is missing, for the headers' own code to compile.
struct Any {
  template <typename T>
  operator T() const {
    missing("conversion");
  }
};

inline uint32_t garbage_state = 1;

// N lanes of T. One that nothing was put into holds other garbage each time.
template <typename T, unsigned kLanes_>
struct alignas(std::clamp(kLanes_* Lane<T>::kBits / 8, 4u, 64u)) Register {
  using Type = T;
  static constexpr unsigned kLanes = kLanes_;
  static constexpr unsigned kBytes = kLanes * Lane<T>::kBits / 8;
  unsigned char bytes[kBytes];

  Register() {
    garbage_state = garbage_state * 1664525 + 1013904223;
    for (unsigned i = 0; i < kBytes; ++i) bytes[i] = static_cast<unsigned char>(garbage_state >> (8 + i % 16));
  }
  // The bits of another register, or of a vector or an accumulator of the API, which hold one.
  template <typename U>
  requires(std::is_class_v<U> && sizeof(U) == kBytes && !std::is_same_v<U, Register> &&
           !std::is_same_v<U, Any>) explicit Register(const U& other) {
    std::memcpy(bytes, &other, kBytes);
  }
  template <typename F>
  static Register of(F lane) {
    Register result(Unset{});
    for (unsigned i = 0; i < kLanes; ++i) result.set(i, static_cast<Number<T>>(lane(i)));
    return result;
  }

  Number<T> operator[](unsigned i) const {
    Number<T> x;
    std::memcpy(&x, bytes + i * sizeof x, sizeof x);
    return x;
  }
  void set(unsigned i, Number<T> x) { std::memcpy(bytes + i * sizeof x, &x, sizeof x); }

 private:
  struct Unset {};
  explicit Register(Unset) {}
};

// Registers that the headers name and no kernel of ours uses: blocks of numbers with a common exponent, sparse ones.
template <int kNumber>
struct OpaqueRegister {
  alignas(64) unsigned char bytes[128];
  OpaqueRegister() = default;
  template <typename U>
  explicit OpaqueRegister(const U&) {}
};

template <typename T>
concept Integer = std::is_integral_v<T>;
template <typename T, int kBits>
concept IntegerOf = Integer<T> && 8 * sizeof(T) == kBits;

// The register that a vector or an accumulator of the API converts to. The compilers' intrinsics take those as operands
// too, as they are no templates; ours would not find out which register is meant.
template <typename T>
inline constexpr bool kIsRegister = false;
template <typename T, unsigned kLanes>
inline constexpr bool kIsRegister<Register<T, kLanes>> = true;
template <typename A>
concept HoldsVector = kIsRegister<typename A::native_type>;
template <typename A>
concept HoldsAccumulator = kIsRegister<typename A::storage_t> && !HoldsVector<A>;
template <typename A>
concept HoldsRegister = HoldsVector<A> || HoldsAccumulator<A>;
template <typename A>
const A& held(const A& operand) {
  return operand;
}
template <HoldsVector A>
typename A::native_type held(const A& operand) {
  return operand;
}
template <HoldsAccumulator A>
typename A::storage_t held(const A& operand) {
  return operand;
}

// Part `index` of as many bytes as `part` has, of `whole`.
template <typename Part, typename Whole>
void check_part(unsigned index) {
  if (Whole::kBytes % Part::kBytes != 0 || index >= Whole::kBytes / Part::kBytes) {
    throw std::logic_error("a part that a register does not have");
  }
}

}  // namespace emulated

// What declare.py writes: an intrinsic that may be emulated, for all operands that it is not emulated for; and one that
// is emulated as a template over its result.
#define HCCS_INTRINSIC(name)                                   \
  inline emulated::Any name(...) { emulated::missing(#name); } \
  template <typename... A>                                     \
  requires(emulated::HoldsRegister<A> || ...) inline auto name(const A&... a) { return ::name(emulated::held(a)...); }
#define HCCS_INTRINSIC_OF(family, Result, name)            \
  template <typename... A>                                 \
  inline Result name(const A&... a) {                      \
    return emulated::family<Result>(emulated::held(a)...); \
  }

#endif  // HCCS_TESTS_AIE_API_REGISTER_H_
