// SPDX-License-Identifier: Apache-2.0
//
// The product of a block of rows with a panel of packed weights, in vector registers. Included by targets' files inside
// a namespace, between the pragmas that choose the instruction set; no header guard. Of Isa it needs, beside what
// steps-inl.h does,
//   kVectors             vectors of sums that a group of columns has
//   Left, Right, Sums    types: kInputs elements of x for all lanes, a vector of weights, sums
// and zero, load_left, load_right, multiply, store.

// Adds the products of one step, and goes on to the next.
template <int kR>
HCCS_INLINE void multiply_step(const Isa::Element*& left, int64_t pitch, const std::byte*& weights,
                               Isa::Sums (*sum)[Isa::kVectors]) {
  constexpr int kV = Isa::kVectors;
  constexpr int64_t kStepBytes = Isa::kColumns * Isa::kInputs;
  typename Isa::Right b[kV];
  HCCS_UNROLL for (int v = 0; v < kV; ++v) b[v] = Isa::load_right(weights + v * (kStepBytes / kV));
  HCCS_UNROLL for (int r = 0; r < kR; ++r) {
    const typename Isa::Left a = Isa::load_left(left + r * pitch);
    HCCS_UNROLL for (int v = 0; v < kV; ++v) sum[r][v] = Isa::multiply(sum[r][v], a, b[v]);
  }
  left += Isa::kInputs;
  weights += kStepBytes;
}

// The product of kR rows by a panel: sums[row][column].
template <int kR, class Beside>
HCCS_NOINLINE void multiply_block(const Isa::Element* x, int64_t pitch, int64_t steps, const std::byte* weights,
                                  int32_t* sums, Beside& beside) {
  constexpr int kV = Isa::kVectors;
  for (int64_t g = 0; g < kPanel; g += Isa::kColumns) {
    typename Isa::Sums sum[kR][kV];
    HCCS_UNROLL for (int r = 0; r < kR; ++r) { HCCS_UNROLL for (int v = 0; v < kV; ++v) sum[r][v] = Isa::zero(); }
    const typename Isa::Element* left = x;
    int64_t s = 0;
    if constexpr (Beside::kIsWork) {
      const int64_t interval = std::max<int64_t>(1, steps / (kR + 1));
      for (; s + interval <= steps && beside.left() > 0; s += interval) {
        for (int64_t i = 0; i < interval; ++i) multiply_step<kR>(left, pitch, weights, sum);
        beside.step();
      }
    }
    for (; s < steps; ++s) multiply_step<kR>(left, pitch, weights, sum);
    HCCS_UNROLL for (int r = 0; r < kR; ++r) {
      HCCS_UNROLL for (int v = 0; v < kV; ++v) {
        Isa::store(sums + r * kPanel + g + v * (Isa::kColumns / kV), sum[r][v]);
      }
    }
  }
}

template <class Beside>
inline void multiply_rows(int64_t rows, const Isa::Element* x, int64_t pitch, int64_t steps, const std::byte* weights,
                          int32_t* sums, Beside& beside) {
  static_assert(Isa::kRows <= 8);
  Nothing nothing;
  switch (rows) {
    case 1:
      return multiply_block<1>(x, pitch, steps, weights, sums, nothing);
    case 2:
      return multiply_block<2>(x, pitch, steps, weights, sums, nothing);
    case 3:
      return multiply_block<3>(x, pitch, steps, weights, sums, nothing);
    case 4:
      return multiply_block<4>(x, pitch, steps, weights, sums, nothing);
    case 5:
      return multiply_block<5>(x, pitch, steps, weights, sums, beside);
    default:
      return multiply_block<6>(x, pitch, steps, weights, sums, beside);
  }
}
