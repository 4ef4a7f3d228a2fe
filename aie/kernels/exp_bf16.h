// SPDX-License-Identifier: Apache-2.0
//
// Softmax of bf16 rows with an exponential: what AMD's public kernels do, the rival of the integer kernels.
//
// Layout: rows of n logits, one after another, n a multiple of 32; buffers aligned to aie::vector_decl_align. Three
// passes: the row's maximum; the exponentials of the differences, stored in `out`, and their sum; times 1 / sum.
// Logits are below 2^126 in magnitude, or the lowest bf16, which masks a position; a row needs one that is not masked.
//
// Three exponentials of x <= 0, with the largest relative error of each over all bf16 x (kExpError; tests measure it)
// where e^x is at least e^-64, and below e^-64 at most that much:
//   kTables  AIE-ML: e^(integer part) * e^(fraction), two look-up tables, as mlir-aie's getExpBf16 does
//   kExp2    v2: the instruction 2^x, of x * log2(e) with log2(e) in two bf16 parts, as mlir-aie's accurate kernel does
//            The error is that of an exact 2^x, rounded; mlir-aie reports 6 % on [-1, 0] for the device's instruction.
//   kBits    the bit trick of AMD's tutorial AIE-ML/Design_Tutorials/05-Softmax-Function (Schraudolph's): the bits of
//            e^x as a bf16 are nearly 185 x + 16256. That is rounded to bf16 on the way to an integer, with 8
//            significant bits: half an octave of the result.
// x itself is a difference of logits, rounded to bf16 for kTables and kBits.
#ifndef HCCS_AIE_KERNELS_EXP_BF16_H_
#define HCCS_AIE_KERNELS_EXP_BF16_H_

#include <limits>

#include "device.h"

namespace hccs_kernels {

enum class Exponential { kTables, kExp2, kBits };

template <Exponential kExponential>
inline constexpr float kExpError = kExponential == Exponential::kTables ? 0.0103f
                                   : kExponential == Exponential::kExp2 ? 0.004f
                                                                        : 0.29f;

namespace exp_bf16 {

// e^x, |x| <= 1, at compile time.
constexpr double exponential(double x) {
  double sum = 1;
  double term = 1;
  for (int i = 1; i < 20; ++i) {
    term *= x / i;
    sum += term;
  }
  return sum;
}

// The bits of a positive number as a bf16, to nearest.
constexpr int16 bf16_bits(double x) {
  int exponent = 127;
  while (x >= 2) x /= 2, ++exponent;
  while (x < 1) x *= 2, --exponent;
  const int fraction = static_cast<int>((x - 1) * 256 + 1) / 2;
  return static_cast<int16>(128 * exponent + fraction);  // a fraction of 128 carries
}

// A table as aie::lut reads it: groups of 8 values, each group twice in a row. Two of them make four copies, in
// different banks.
struct Table {
  static constexpr unsigned kValues = 256;
  alignas(aie::vector_decl_align) int16 groups[2 * kValues];

  template <typename F>
  static constexpr Table of(F value) {
    Table table{};
    for (unsigned i = 0; i < kValues; ++i) {
      const unsigned at = i / 8 * 16 + i % 8;
      table.groups[at] = table.groups[at + 8] = value(i);
    }
    return table;
  }
};

// e^(i / 256)
inline constexpr Table kFractions = Table::of([](unsigned i) { return bf16_bits(exponential(i / 256.0)); });

// e^i of i as a signed byte from -64 to 0; what the others would be is never looked up.
inline constexpr Table kIntegers = Table::of([](unsigned i) {
  double x = 1;
  for (unsigned k = i; k % 256 != 0 && i >= 192; ++k) x *= exponential(-1);
  return bf16_bits(x);
});

}  // namespace exp_bf16

// The tables that kTables reads, as arrays in the tile's memory: ..._ab and ..._cd belong into different banks.
alignas(aie::vector_decl_align) inline constexpr exp_bf16::Table exp_fractions_ab = exp_bf16::kFractions;
alignas(aie::vector_decl_align) inline constexpr exp_bf16::Table exp_fractions_cd = exp_bf16::kFractions;
alignas(aie::vector_decl_align) inline constexpr exp_bf16::Table exp_integers_ab = exp_bf16::kIntegers;
alignas(aie::vector_decl_align) inline constexpr exp_bf16::Table exp_integers_cd = exp_bf16::kIntegers;

// e^(x - m) of the lanes, m the row's maximum.
template <Exponential kExponential>
class ExpBf16 {
#if __AIE_ARCH__ == 20
  static_assert(kExponential != Exponential::kExp2, "exp_bf16: AIE-ML has no instruction 2^x");
#endif

 public:
  static constexpr unsigned kLanes = kExponential == Exponential::kExp2 ? 32 : 16;
  using Lanes = aie::vector<bfloat16, kLanes>;

  explicit ExpBf16(bfloat16 maximum) : maximum_(aie::broadcast<bfloat16, kLanes>(maximum)) {
    if constexpr (kExponential == Exponential::kExp2) scaled_maximum_ = scale(maximum_);
  }

  Lanes operator()(const Lanes& logits) const {
    if constexpr (kExponential == Exponential::kTables) {
      // 8 bits of fraction; below -64 it does not matter any more, and -128 would not fit.
      const auto x = aie::max(aie::sub(logits, maximum_), bfloat16(-64.0f));
      const auto fixed = floor_to_int16(x, 8).template cast_to<uint16>();
      using Lut = aie::lut<4, bfloat16, bfloat16>;
      using LookUp = aie::parallel_lookup<uint16, Lut, aie::lut_oor_policy::truncate>;
      LookUp integers(Lut(exp_bf16::Table::kValues, exp_integers_ab.groups, exp_integers_cd.groups), 8);
      LookUp fractions(Lut(exp_bf16::Table::kValues, exp_fractions_ab.groups, exp_fractions_cd.groups), 0);
      // The index of an integer part is rounded as the tile says: without the bits of the fraction it is exact.
      const auto integer = aie::bit_and(uint16{0xff00}, fixed);
      return aie::mul(integers.fetch(integer), fractions.fetch(fixed)).template to_vector<bfloat16>();
    } else if constexpr (kExponential == Exponential::kExp2) {
      // The difference of the products: 0 at the maximum.
      return aie::exp2<bfloat16>(aie::sub(scale(logits), scaled_maximum_).template to_vector<float>());
    } else {
      // At -88 the line has crossed 0, and its integers still fit int16.
      const auto x = aie::max(aie::sub(logits, maximum_), bfloat16(-88.0f));
      const aie::accum<accfloat, kLanes> one(aie::broadcast<float, kLanes>(16256.0f));
      const auto bits = aie::mac(one, x, bfloat16(185.0f)).template to_vector<bfloat16>();
      return aie::max(floor_to_int16(bits, 0), int16{0}).template cast_to<bfloat16>();
    }
  }

 private:
  // x * log2(e)
  static aie::accum<accfloat, kLanes> scale(const Lanes& x) {
    constexpr float kLog2e = 1.44269504f;
    constexpr float kHigh = 1.4453125f;
    return aie::mac(aie::mul(x, bfloat16(kLog2e - kHigh)), x, bfloat16(kHigh));
  }

  Lanes maximum_;
  aie::accum<accfloat, kLanes> scaled_maximum_;
};

template <Exponential kExponential>
inline void softmax_exp_bf16(const bfloat16* __restrict logits, bfloat16* __restrict out, unsigned rows, unsigned n) {
  using Exp = ExpBf16<kExponential>;
  constexpr unsigned kLanes = Exp::kLanes;
  const RoundingSaturation modes(aie::rounding_mode::conv_even, aie::saturation_mode::saturate);
  const unsigned blocks = n / kLanes;

  HCCS_LOOP(row, rows, "exp_bf16.rows", 1) {
    auto maxima = aie::broadcast<bfloat16, kLanes>(std::numeric_limits<bfloat16>::lowest());
    auto in = aie::cbegin_restrict_vector<kLanes>(logits + row * n);
    HCCS_LOOP(block, blocks, "exp_bf16.maximum", 1) { maxima = aie::max(maxima, *in++); }
    const Exp exp(aie::reduce_max(maxima));

    in = aie::cbegin_restrict_vector<kLanes>(logits + row * n);
    auto exponentials = aie::begin_restrict_vector<kLanes>(out + row * n);
    auto sums = aie::zeros<accfloat, kLanes>();
    HCCS_LOOP(block, blocks, "exp_bf16.exponentials", 1) {
      const auto e = exp(*in++);
      sums = aie::add(sums, e);
      *exponentials++ = e;
    }
    const bfloat16 inverse(aie::inv(aie::reduce_add(sums.template to_vector<float>())));

    auto e = aie::cbegin_restrict_vector<kLanes>(out + row * n);
    auto p = aie::begin_restrict_vector<kLanes>(out + row * n);
    HCCS_LOOP(block, blocks, "exp_bf16.scale", 1) { *p++ = aie::mul(*e++, inverse).template to_vector<bfloat16>(); }
  }
}

}  // namespace hccs_kernels

#if __has_include(<adf.h>)
#include <adf.h>

#include <aie_api/aie_adf.hpp>

namespace hccs_kernels {

// The ADF kernel: blocks of kRows rows of kN logits.
template <Exponential kExponential, unsigned kN, unsigned kRows>
class ExpBf16Softmax {
  static_assert(kN % 32 == 0, "exp_bf16: n must be a multiple of 32");

 public:
  void run(adf::input_buffer<bfloat16, adf::extents<kRows * kN>>& logits,
           adf::output_buffer<bfloat16, adf::extents<kRows * kN>>& out) {
    softmax_exp_bf16<kExponential>(logits.data(), out.data(), kRows, kN);
  }
  static void registerKernelClass() { REGISTER_FUNCTION(ExpBf16Softmax::run); }
};

}  // namespace hccs_kernels
#endif

#endif  // HCCS_AIE_KERNELS_EXP_BF16_H_
