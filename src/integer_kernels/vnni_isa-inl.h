// SPDX-License-Identifier: Apache-2.0
//
// What blocks-inl.h and steps-inl.h need of AVX-512 VNNI. Included inside a namespace, between the pragmas that choose
// the instruction set; no header guard.

struct Isa {
  using Element = uint8_t;
  static constexpr int32_t kOffset = 128;
  static constexpr int32_t kColumnsOffset = 0;
  static constexpr int kRows = 6;
  static constexpr int64_t kColumns = 64;
  static constexpr int64_t kInputs = 4;
  static constexpr WeightLayout kLayout = {kColumns, kInputs};
  static constexpr int64_t kFurtherRows = 0;
  struct ProductScope {};
  static constexpr int kVectors = 4;
  static constexpr bool kEndsBeside = true;
  using Left = __m512i;
  using Right = __m512i;
  using Sums = __m512i;

  static HCCS_INLINE Sums zero() { return _mm512_setzero_si512(); }
  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t four;
    std::memcpy(&four, from, sizeof(four));
    return _mm512_set1_epi32(four);
  }
  static HCCS_INLINE Right load_right(const std::byte* from) { return _mm512_loadu_si512(from); }
  // GCC 12 copies the sums around the intrinsic, and stores them.
  static HCCS_INLINE Sums multiply(Sums sums, Left a, Right b) {
#if defined(__clang__)
    return _mm512_dpbusd_epi32(sums, a, b);
#else
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    return sums;
#endif
  }
  static HCCS_INLINE void store(int32_t* to, Sums sums) { _mm512_storeu_si512(to, sums); }
};
