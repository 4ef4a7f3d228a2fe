// SPDX-License-Identifier: Apache-2.0
//
// The two passes of a norm over a row, in plain loops. Included by targets' files inside a namespace, before
// steps-inl.h; no header guard.

using Element = Isa::Element;

inline constexpr int32_t kWordMin = -32768;
inline constexpr int32_t kWordMax = 32767;

// Of a row y, and of y^2. |y| < 2^17.
struct RowSums {
  int64_t sum;
  int64_t squares;
};

// What the definition makes of a row's mean and deviation.
struct RowScale {
  int32_t mean;
  int32_t multiplier;
  int32_t half;
  int32_t shift;
};

HCCS_INLINE RowSums plain_row_sums(const int32_t* y, int64_t n) {
  RowSums sums{};
  for (int64_t j = 0; j < n; ++j) {
    sums.sum += y[j];
    sums.squares += int64_t{y[j]} * y[j];
  }
  return sums;
}

// Columns from `j` on.
HCCS_INLINE void plain_scale_row(const NormStep& norm, const RowScale& scale, int64_t j, const int32_t* y, Element* x,
                                 int16_t* skip) {
  for (; j < norm.hidden; ++j) {
    const int32_t c = (y[j] - scale.mean) * scale.multiplier;
    const int32_t z = std::clamp((c + scale.half) >> scale.shift, -kWordMax, kWordMax);
    const int32_t v = (z * norm.int8.scale[j] + norm.int8.bias[j]) >> norm.int8.shift;
    x[j] = static_cast<Element>(std::clamp(v, -127, 127) + Isa::kOffset);
    const int32_t s = (z * norm.skip.scale[j] + norm.skip.bias[j]) >> norm.skip.shift;
    skip[j] = static_cast<int16_t>(std::clamp(s, -kWordMax, kWordMax));
  }
}
