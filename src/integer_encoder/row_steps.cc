// SPDX-License-Identifier: Apache-2.0
#include "integer_encoder/row_steps.h"

#include <algorithm>
#include <array>

#include "integer_encoder/gelu.h"
#include "integer_encoder/integer_math.h"

// One copy of a function for each instruction set that its loops gain from, chosen at run time.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HCCS_CLONES __attribute__((target_clones("avx2", "default")))
#define HCCS_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#else
#define HCCS_CLONES
#endif

namespace hccs::internal {
namespace {

constexpr int32_t kInt16Min = -32768;
constexpr int32_t kInt16Max = 32767;

// a of the definition. The sum with the bias and half a unit fits int32.
inline int32_t scaled_sum(int32_t sum, int32_t bias, int32_t shift) {
  const int32_t half = (1 << shift) >> 1;
  return std::clamp((sum + bias + half) >> shift, kInt16Min, kInt16Max);
}

}  // namespace

namespace {

// Four rows at a time share the loads of the weights.
inline __attribute__((always_inline)) void multiply_rows(const uint8_t* x, int64_t rows, int64_t in,
                                                         const int8_t* weights, int64_t out, int32_t* sums) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const uint8_t* x0 = x + r * in;
    const uint8_t* x1 = x0 + in;
    const uint8_t* x2 = x1 + in;
    const uint8_t* x3 = x2 + in;
    for (int64_t j = 0; j < out; ++j) {
      const int8_t* w = weights + j * in;
      int32_t s0 = 0;
      int32_t s1 = 0;
      int32_t s2 = 0;
      int32_t s3 = 0;
      for (int64_t i = 0; i < in; ++i) {
        s0 += x0[i] * w[i];
        s1 += x1[i] * w[i];
        s2 += x2[i] * w[i];
        s3 += x3[i] * w[i];
      }
      int32_t* to = sums + r * out + j;
      to[0] = s0;
      to[out] = s1;
      to[2 * out] = s2;
      to[3 * out] = s3;
    }
  }
  for (; r < rows; ++r) {
    for (int64_t j = 0; j < out; ++j) {
      const int8_t* w = weights + j * in;
      const uint8_t* x0 = x + r * in;
      int32_t s = 0;
      for (int64_t i = 0; i < in; ++i) s += x0[i] * w[i];
      sums[r * out + j] = s;
    }
  }
}

HCCS_CLONES void multiply_portably(const uint8_t* x, int64_t rows, int64_t in, const int8_t* weights, int64_t out,
                                   int32_t* sums) {
  multiply_rows(x, rows, in, weights, out, sums);
}

#ifdef HCCS_VNNI
HCCS_VNNI void multiply_by_vnni(const uint8_t* x, int64_t rows, int64_t in, const int8_t* weights, int64_t out,
                                int32_t* sums) {
  multiply_rows(x, rows, in, weights, out, sums);
}
#endif

}  // namespace

void multiply_unsigned(const uint8_t* x, int64_t rows, int64_t in, const int8_t* weights, int64_t out, int32_t* sums) {
#ifdef HCCS_VNNI
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    multiply_by_vnni(x, rows, in, weights, out, sums);
    return;
  }
#endif
  multiply_portably(x, rows, in, weights, out, sums);
}

HCCS_CLONES void multiply_signed(const int8_t* x, const int8_t* rows, int64_t stride, int64_t count, int64_t in,
                                 int32_t* sums) {
  for (int64_t r = 0; r < count; ++r) {
    const int8_t* row = rows + r * stride;
    int32_t s = 0;
    for (int64_t i = 0; i < in; ++i) s += x[i] * row[i];
    sums[r] = s;
  }
}

HCCS_CLONES void requantise_to_int8(const IntLinear& linear, std::span<const int32_t> bias, const int32_t* sums,
                                    int8_t* out) {
  constexpr int32_t kHalf = 1 << (kInt8Shift - 1);
  for (size_t j = 0; j < bias.size(); ++j) {
    const int32_t a = scaled_sum(sums[j], bias[j], linear.shift[j]);
    out[j] = static_cast<int8_t>(std::clamp((a * linear.multiplier[j] + kHalf) >> kInt8Shift, -127, 127));
  }
}

HCCS_CLONES void add_to_residual(const IntLinear& linear, std::span<const int32_t> bias, const int32_t* sums,
                                 const int16_t* skip, int skip_shift, int32_t* y) {
  for (size_t j = 0; j < bias.size(); ++j) {
    const int32_t a = scaled_sum(sums[j], bias[j], linear.shift[j]);
    const int32_t half = (1 << linear.out_shift[j]) >> 1;
    const int32_t product = (a * linear.multiplier[j] + half) >> linear.out_shift[j];
    const int32_t sum = (skip[j] << skip_shift) + product;
    y[j] = std::clamp(sum, -kMaxSum, kMaxSum);
  }
}

HCCS_CLONES void activate(const IntLinear& linear, std::span<const int32_t> bias, const IntGelu& gelu,
                          const int32_t* sums, uint8_t* columns) {
  std::array<int16_t, kMaxInner> codes;
  const int32_t largest = (4 << gelu.fraction) - 1;
  const int32_t to_x = 13 - gelu.fraction;
  const int32_t from_r = 14 - gelu.fraction;
  const int32_t half = 1 << (from_r - 1);
  const auto multiply = [](int32_t a, int32_t b) { return (a * b + (1 << 14)) >> 15; };
  for (size_t j = 0; j < bias.size(); ++j) {
    const int32_t a = scaled_sum(sums[j], bias[j], linear.shift[j]);
    const int32_t h = std::clamp(multiply(a, linear.multiplier[j]), -kInt16Max, kInt16Max);
    const int32_t x = std::min(h < 0 ? -h : h, largest) << to_x;
    int32_t p = multiply(kGeluCoefficients[3], x) + kGeluCoefficients[2];
    p = multiply(p, x) + kGeluCoefficients[1];
    p = multiply(p, x) + kGeluCoefficients[0];
    p = multiply(p, p);
    p = multiply(p, p);
    p = multiply(p, p);
    const int32_t value = std::max(h, 0) - ((multiply(p, x) + half) >> from_r);
    const int32_t code = std::min(multiply(value, gelu.multiplier) + gelu.zero, kInt16Max);
    codes[j] = static_cast<int16_t>(code);
    columns[j] = static_cast<uint8_t>(std::clamp(code, 0, 255));
  }
  columns += bias.size();
  int32_t carried = 0;
  for (const int32_t channels : gelu.splits) {
    carried += 255;
    for (int32_t c = 0; c < channels; ++c) *columns++ = static_cast<uint8_t>(std::clamp(codes[c] - carried, 0, 255));
  }
}

HCCS_CLONES void standardise(std::span<const int32_t> y, int64_t epsilon, int16_t* z) {
  const auto n = static_cast<int64_t>(y.size());
  int32_t sum = 0;  // below 2^27
  for (const int32_t v : y) sum += v;
  const auto mean = static_cast<int32_t>(rounded_divide(sum, n));
  int64_t squares = 0;
  for (const int32_t v : y) {
    const int64_t c = v - mean;
    squares += c * c;
  }
  const ReciprocalRoot root = reciprocal_root(16 * squares / n + epsilon);
  const auto multiplier = static_cast<int32_t>(root.multiplier);
  const int32_t half = 1 << (root.shift - 1);
  for (size_t j = 0; j < y.size(); ++j) {
    z[j] = static_cast<int16_t>(std::clamp(((y[j] - mean) * multiplier + half) >> root.shift, -kInt16Max, kInt16Max));
  }
}

HCCS_CLONES void scale_norm(const IntNorm& norm, std::span<const int16_t> z, uint8_t* x, int16_t* skip) {
  const int32_t half8 = 1 << (norm.int8.shift - 1);
  const int32_t half16 = 1 << (norm.skip.shift - 1);
  for (size_t j = 0; j < z.size(); ++j) {
    const int32_t v = (z[j] * norm.int8.scale[j] + norm.int8.bias[j] + half8) >> norm.int8.shift;
    x[j] = static_cast<uint8_t>(std::clamp(v, -127, 127) + 128);
    const int32_t s = (z[j] * norm.skip.scale[j] + norm.skip.bias[j] + half16) >> norm.skip.shift;
    skip[j] = static_cast<int16_t>(std::clamp(s, -kInt16Max, kInt16Max));
  }
}

}  // namespace hccs::internal
