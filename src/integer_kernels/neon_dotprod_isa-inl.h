// SPDX-License-Identifier: Apache-2.0
//
// What the steps of the integer encoder need of NEON's dot products of signed bytes: GELU's columns are 128 less.
// Included inside a namespace, between the pragmas that choose the instruction set; no header guard.

struct DotprodIsa {
  using Element = int8_t;
  static constexpr int32_t kOffset = 0;
  static constexpr int32_t kColumnsOffset = -128;
  static constexpr int kRows = 6;
  static constexpr int64_t kColumns = 16;
  static constexpr int64_t kInputs = 4;
  static constexpr WeightLayout kLayout = {kColumns, kInputs};
  static constexpr int64_t kFurtherRows = 0;
  struct ProductScope {};
  static constexpr int kVectors = 4;
  using Left = int8x16_t;
  using Right = int8x16_t;
  using Sums = int32x4_t;

  static HCCS_INLINE Sums zero() { return vdupq_n_s32(0); }
  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t four;
    std::memcpy(&four, from, sizeof(four));
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static HCCS_INLINE Right load_right(const std::byte* from) { return vld1q_s8(reinterpret_cast<const int8_t*>(from)); }
  static HCCS_INLINE Sums multiply(Sums sums, Left a, Right b) { return vdotq_s32(sums, a, b); }
  static HCCS_INLINE void store(int32_t* to, Sums sums) { vst1q_s32(to, sums); }
};
