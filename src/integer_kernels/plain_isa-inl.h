// SPDX-License-Identifier: Apache-2.0
//
// What steps-inl.h needs, without an intrinsic. Included inside a namespace; no header guard.

struct Isa {
  using Element = int16_t;
  static constexpr int32_t kOffset = 0;
  static constexpr int32_t kColumnsOffset = 0;
  static constexpr int kRows = 4;
  static constexpr int64_t kColumns = 1;
  static constexpr int64_t kInputs = 16;
  static constexpr WeightLayout kLayout = {kColumns, kInputs};
  static constexpr int64_t kFurtherRows = 0;
  struct ProductScope {};
};

// Four rows at a time share the loads of the weights.
template <class Beside>
inline void multiply_rows(int64_t rows, const int16_t* x, int64_t pitch, int64_t steps, const std::byte* weights,
                          int32_t* sums, Beside& /*beside*/) {
  const int64_t in = steps * Isa::kInputs;
  const auto* w = reinterpret_cast<const int8_t*>(weights);
  for (int64_t c = 0; c < kPanel; ++c, w += in) {
    if (rows < 4) {
      for (int64_t r = 0; r < rows; ++r) {
        int32_t sum = 0;
        for (int64_t i = 0; i < in; ++i) sum += x[r * pitch + i] * w[i];
        sums[r * kPanel + c] = sum;
      }
      continue;
    }
    std::array<int32_t, 4> sum{};
    for (int64_t i = 0; i < in; ++i) {
      sum[0] += x[i] * w[i];
      sum[1] += x[pitch + i] * w[i];
      sum[2] += x[2 * pitch + i] * w[i];
      sum[3] += x[3 * pitch + i] * w[i];
    }
    for (int64_t r = 0; r < 4; ++r) sums[r * kPanel + c] = sum[static_cast<size_t>(r)];
  }
}
