// SPDX-License-Identifier: Apache-2.0
//
// Products of vectors and of matrices.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "aie/cycles/lower/builder.h"
#include "aie/cycles/lower/operations.h"

namespace aie_cycles {
namespace {

// A scalar operand: AIE-ML v2 multiplies integers by a scalar register.
std::vector<NativeUse> multiplicand(CodeBuilder& code, const Value& v, bool real) {
  if (code.is_wide() && v.kind == ValueKind::kScalar && !real && bits_of(v.element) <= 16) {
    if (v.id == 0) return {};
    return {{code.native(v).scalars[0]}};
  }
  return code.operand_part(v, 0);
}

}  // namespace

// A float in three pieces of bf16: what is left after each is a product with ones. The operand is 16 floats (32 on
// v2).
std::vector<NativeUse> bf16_pieces(CodeBuilder& code, const std::vector<NativeUse>& uses) {
  int rest = code.move_to_accum(uses);
  std::vector<NativeUse> pieces;
  for (unsigned i = 0; i < 3; ++i) {
    const int piece = code.emit_vector(Opcode::kConvertDown, {{rest}}, 1);
    pieces.push_back({piece});
    if (i < 2) rest = code.emit_accum(Opcode::kMultiplyAddFloat, {{piece}, {rest, Role::kAccumulator}}, 1);
  }
  if (!code.is_wide()) {
    for (NativeUse& piece : pieces) piece = {code.emit_vector(Opcode::kMove, {piece})};  // beside zeros
  }
  return pieces;
}

// The sum of the nine products of pieces, the small ones first: one chain on AIE-ML, to which `sum` comes last; v2
// makes products and adds them up.
int multiply_pieces(CodeBuilder& code, const std::vector<NativeUse>& a, const std::vector<NativeUse>& b, int sum) {
  int chain = -1;
  for (unsigned small = 5; small-- > 0;) {
    for (unsigned i = std::min(small, 2u) + 1; i-- > 0;) {
      const unsigned j = small - i;
      if (j > 2) continue;
      std::vector<NativeUse> uses{a[i], b[j]};
      if (!code.is_wide() && chain >= 0) uses.push_back({chain, Role::kAccumulator});
      if (!code.is_wide() && sum >= 0 && small == 0) uses.push_back({sum, Role::kAccumulator});
      const bool adds = uses.size() > 2;
      const int product =
          code.emit_accum(adds ? Opcode::kMultiplyAddFloat : Opcode::kMultiplyFloat, std::move(uses), 1);
      chain = code.is_wide() && chain >= 0 ? code.sum_of(Opcode::kAddFloat, chain, product, 1) : product;
    }
  }
  return code.is_wide() && sum >= 0 ? code.sum_of(Opcode::kAddFloat, chain, sum, 1) : chain;
}

namespace {

void multiply_floats(CodeBuilder& code, const Step& step, const Value& a, const Value& b, bool adds) {
  const unsigned registers = code.is_wide() && step.results[0].lanes > 16 ? 2 : 1;  // of 16 lanes
  const auto pieces = [&](const Value& v, unsigned index) {
    auto uses = code.operand_part(v, index);
    if (registers == 2 && v.kind != ValueKind::kScalar && v.lanes > 16)
      uses = joined(std::move(uses), code.operand_part(v, index + 1));
    return bf16_pieces(code, uses);
  };
  std::vector<AccumUnit> made;
  for (unsigned unit = 0; unit < step.results[0].lanes / 16u; unit += registers) {
    const int sum = adds ? code.accum_uses(code.native(step.inputs[0]), unit, 1)[0].value : -1;
    const int value = multiply_pieces(code, pieces(a, unit), pieces(b, unit), sum);
    for (unsigned i = 0; i < registers; ++i) made.push_back({value, i});
  }
  code.define_accum(step.results[0], std::move(made));
}

// How the instructions of a product of vectors look.
struct ProductShape {
  bool real = false;
  unsigned lanes = 0;                            // of an instruction
  unsigned products = 1;                         // of 16 bits that a lane's product takes
  unsigned units = 0;                            // of the accumulator that an instruction fills
  bool pads_first = false, pads_second = false;  // the operands whose upper half is to be zero
};

ProductShape shape_of_product(const CodeBuilder& code, const Value& a, const Value& b, const Value& result) {
  ProductShape shape;
  shape.real = is_float(a.element);
  const unsigned a_bits = bits_of(a.element);
  const unsigned b_bits = bits_of(b.element);
  const bool is_wide = bits_of(result.element) == 64;
  shape.lanes = code.is_wide() ? 64 : 32;
  if ((shape.real && !code.is_wide()) || a_bits == 32 || b_bits == 32 || is_wide) shape.lanes /= 2;
  if (a_bits == 32) shape.products *= 2;
  if (b_bits == 32) shape.products *= 2;
  shape.lanes = std::min<unsigned>(shape.lanes, result.lanes);
  shape.units = std::max(1u, shape.lanes * bits_of(result.element) / 512);
  // AIE-ML's products of bytes, of bf16 and to 64 bits are sums of two: the upper half of the first operand (of both
  // for bf16) is set to zero.
  const bool is_bytes = a_bits == 8 && b_bits == 8;
  shape.pads_first = !code.is_wide() && shape.products == 1 && (is_bytes || shape.real || is_wide);
  shape.pads_second = shape.pads_first && shape.real;
  return shape;
}

// The registers of a factor; none of a scalar. Bytes are widened where the other factor is wider.
std::vector<Chunk> factor_chunks(CodeBuilder& code, const Value& v, unsigned other_bits) {
  if (v.kind == ValueKind::kScalar || v.lanes == 1) return {};
  if (bits_of(v.element) == 8 && other_bits > 8) return unpacked(code, v);
  return code.native(v).vector;
}

// What an instruction reads of a factor whose lanes have `bits` bits, from `lane` on.
std::vector<NativeUse> factor_uses(CodeBuilder& code, const ProductShape& shape, const Value& v,
                                   const std::vector<Chunk>& vector, unsigned lane, unsigned bits, bool pads) {
  if (vector.empty()) return multiplicand(code, v, shape.real);
  const unsigned from = lane * bits / 256;
  const unsigned count = std::max(1u, shape.lanes * bits / 256);
  if (count == 1) {
    const Chunk& chunk = vector[std::min<std::size_t>(from, vector.size() - 1)];
    return {pads ? code.padded(chunk) : code.low_half(chunk)};
  }
  std::vector<NativeUse> uses;
  for (unsigned c = 0; c < count; c += 2) uses = joined(std::move(uses), code.part(vector, (from + c) / 2));
  return uses;
}

// The halves of lanes of 32 bits are brought apart; beside zeros, where a product sums two.
std::vector<NativeUse> halves(CodeBuilder& code, const std::vector<NativeUse>& whole) {
  return {{code.emit_vector(Opcode::kShuffle, whole)}, {code.emit_vector(Opcode::kShuffle, whole)}};
}

Opcode product_opcode(bool real, bool adds) {
  if (real) return adds ? Opcode::kMultiplyAddFloat : Opcode::kMultiplyFloat;
  return adds ? Opcode::kMultiplyAdd : Opcode::kMultiply;
}

}  // namespace

void lower_multiply(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  const bool accumulates = step.operation == Operation::kMac || step.operation == Operation::kMsc;
  const Value& a = step.inputs[accumulates ? 1 : 0];
  const Value& b = step.inputs[accumulates ? 2 : 1];
  const bool adds = accumulates && !code.native(step.inputs[0]).is_zero;
  if (a.element == Element::kFloat || b.element == Element::kFloat) return multiply_floats(code, step, a, b, adds);
  const ProductShape shape = shape_of_product(code, a, b, result);
  const unsigned a_bits = bits_of(a.element);
  const unsigned b_bits = bits_of(b.element);
  const std::vector<Chunk> a_vector = factor_chunks(code, a, b_bits);
  const std::vector<Chunk> b_vector = factor_chunks(code, b, a_bits);
  const unsigned a_lane_bits = std::max(a_bits, std::min(b_bits, 16u));
  const unsigned b_lane_bits = std::max(b_bits, std::min(a_bits, 16u));
  std::vector<AccumUnit> made;
  for (unsigned lane = 0; lane < result.lanes; lane += shape.lanes) {
    auto a_uses = factor_uses(code, shape, a, a_vector, lane, a_lane_bits, shape.pads_first);
    auto b_uses = factor_uses(code, shape, b, b_vector, lane, b_lane_bits, shape.pads_second);
    if (a_bits == 32) a_uses = halves(code, a_uses);
    if (b_bits == 32) b_uses = halves(code, b_uses);
    int value = -1;
    for (unsigned product = 0; product < shape.products; ++product) {
      auto uses = joined(a_uses, b_uses);
      if (product > 0) uses.push_back({value, Role::kAccumulator});
      const bool adds_here = adds && product + 1 == shape.products;
      if (adds_here) {
        const unsigned unit = lane * bits_of(result.element) / 512;
        uses = joined(std::move(uses), code.accum_uses(code.native(step.inputs[0]), unit, shape.units));
      }
      value = code.emit_accum(product_opcode(shape.real, product > 0 || adds_here), std::move(uses), shape.units);
    }
    append(made, value, shape.units);
  }
  code.define_accum(result, std::move(made));
}

void lower_matrix_multiply(CodeBuilder& code, const Step& step) {
  const Value& result = step.results[0];
  const bool accumulates = step.operation == Operation::kMmulMac;
  const Value& a = step.inputs[accumulates ? 1 : 0];
  const Value& b = step.inputs[accumulates ? 2 : 1];
  const bool adds = accumulates && !code.native(step.inputs[0]).is_zero;
  const bool real = is_float(a.element);
  const std::int64_t macs = step.immediates[0] * step.immediates[1] * step.immediates[2];
  std::int64_t rate = code.is_wide() ? 512 : 256;
  if (real || bits_of(a.element) + bits_of(b.element) == 24) rate /= 2;
  if (bits_of(a.element) + bits_of(b.element) == 32 && !real) rate /= 4;
  if (bits_of(a.element) + bits_of(b.element) == 48) rate /= 8;
  const auto count = static_cast<unsigned>(std::max<std::int64_t>(1, (macs + rate - 1) / rate));
  const unsigned units = accum_units_of(result);
  const unsigned each = std::max(1u, units / count);
  const auto all_parts = [&](const Value& v) {
    std::vector<NativeUse> uses;
    const std::vector<Chunk>& vector = code.native(v).vector;
    for (unsigned p = 0; p < ceil_divide(static_cast<unsigned>(vector.size()), 2); ++p)
      uses = joined(std::move(uses), code.part(vector, p));
    return uses;
  };
  const auto operands = joined(all_parts(a), all_parts(b));
  std::vector<AccumUnit> made;
  for (unsigned i = 0; i < count && made.size() < units; ++i) {
    auto uses = operands;
    if (i > 0 && !code.is_wide()) {  // the next rows of the first operand come to the front
      uses = joined({{code.emit_vector(Opcode::kShuffle, all_parts(a))}}, all_parts(b));
    }
    if (adds) uses = joined(std::move(uses), code.accum_uses(code.native(step.inputs[0]), i * each, each));
    append(made, code.emit_accum(product_opcode(real, adds), std::move(uses), each), each);
  }
  code.define_accum(result, std::move(made));
}

}  // namespace aie_cycles
