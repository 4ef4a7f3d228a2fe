// SPDX-License-Identifier: Apache-2.0
//
// The steps of the integer encoder (docs/integer-encoder.md) on rows, for each instruction set: products with packed
// weights, whose sums go through an epilogue while they are in the nearest cache, and the norms. All are exact.
//
// x, the left operand of a product, has elements of the target's kind: bytes or 16-bit words, the definition's value
// plus an offset, which ready_linear.h takes from the bias. Rows of it have a pitch of whole panels.
#ifndef HCCS_SRC_INTEGER_KERNELS_KERNELS_H_
#define HCCS_SRC_INTEGER_KERNELS_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace hccs::internal {

// Columns of a product that are packed, and multiplied, together.
inline constexpr int64_t kPanel = 64;

// How a target has its weights: panels of kPanel columns, in each of them groups of `columns` columns, in each of
// these the steps of `inputs` inputs, and in each step the columns' weights, `inputs` bytes a column.
struct WeightLayout {
  int64_t columns;
  int64_t inputs;
  int64_t step_multiple = 1;  // weights of 0 make the steps up to that

  int64_t steps(int64_t in) const noexcept {
    const int64_t bytes = inputs * step_multiple;
    return (in + bytes - 1) / bytes * step_multiple;
  }
  int64_t panel_bytes(int64_t in) const noexcept { return steps(in) * inputs * kPanel; }
};

// A product ready to run; of what each column has there are whole panels.
struct ReadyLinear {
  int64_t in = 0;
  int64_t panels = 0;
  const std::byte* weights = nullptr;
  const int32_t* bias = nullptr;   // with half a unit of the shift, and without what the offset of x adds
  const int32_t* shift = nullptr;  // p of the definition
  const int16_t* multiplier = nullptr;
  const int32_t* out_half = nullptr;   // half a unit of out_shift; of products that are added to a residual,
  const int32_t* out_shift = nullptr;  // r of the definition, as this
};

// `rows` rows of x by a linear's weights.
struct Product {
  const ReadyLinear& linear;
  const std::byte* x;
  int64_t pitch;  // elements
  int64_t rows;
};

// What follows a product of the feed-forward layer's first half.
struct GeluStep {
  int32_t fraction;
  int32_t multiplier;
  int32_t zero;
  int64_t inner;                    // channels
  std::span<const int32_t> splits;  // as IntGelu's
};

struct AffineStep {
  const int32_t* scale;  // [hidden]
  const int32_t* bias;   // [hidden], with half a unit
  int32_t shift;
};

struct NormStep {
  int64_t hidden;
  int64_t epsilon;
  AffineStep int8;
  AffineStep skip;
};

// A token's embedding before its norm.
struct WordStep {
  const int8_t* word;  // [hidden], as the next
  const int16_t* place;
  int32_t multiplier;
  int32_t shift;
};

struct IntegerKernels {
  std::string_view name;   // that of the attention target
  int64_t id;              // and its id
  int64_t element_bytes;   // of x
  int32_t offset;          // what signed elements of x have more than the definition's
  int32_t columns_offset;  // the same for GELU's columns
  WeightLayout layout;
  int64_t further_rows;  // that are read after the last of x, where they are multiplied into nothing

  // q, k and v: out[row][column], int8. Returns the id that the code which ran was compiled with.
  int64_t (*to_int8)(const Product& product, int8_t* out, int64_t out_pitch);
  // y = skip * 2^skip_shift + the product: [rows], the pitch that of whole panels.
  void (*to_residual)(const Product& product, const int16_t* skip, int64_t skip_pitch, int32_t skip_shift, int32_t* y);
  // GELU's columns, as x of the next product. `codes` has room for [rows] of whole panels.
  void (*to_columns)(const Product& product, const GeluStep& gelu, std::byte* columns, int64_t columns_pitch,
                     int16_t* codes);
  // 16 bits of each column: GELU's argument, or that of tanh.
  void (*to_int16)(const Product& product, int16_t* out, int64_t out_pitch);
  // x and skip of rows y; all three have this pitch.
  void (*normalise)(const NormStep& norm, int64_t rows, int64_t pitch, const int32_t* y, std::byte* x, int16_t* skip);
  void (*embed)(const NormStep& norm, const WordStep& word, int32_t* y, std::byte* x, int16_t* skip);
  // x of signed bytes.
  void (*convert)(const int8_t* from, int64_t count, std::byte* x);
  // sums[j] += skip[j].
  void (*add_rows)(const int16_t* skip, int64_t pitch, int64_t rows, int64_t hidden, int32_t* sums);
};

// Of the attention target of this name, or null if this build has none.
const IntegerKernels* find_integer_kernels(std::string_view name) noexcept;

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_KERNELS_KERNELS_H_
