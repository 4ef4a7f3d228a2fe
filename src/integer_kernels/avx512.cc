// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps with AVX-512 F, BW, DQ and VL alone: elements are widened to 16 bits, whose products are
// exact.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

#define HCCS_TARGET_STRING "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2"
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::kernels_avx512 {

constexpr int64_t kId = kAttentionAvx512Id;

struct Isa {
  using Element = int16_t;
  static constexpr int32_t kOffset = 0;
  static constexpr int32_t kColumnsOffset = 0;
  static constexpr int kRows = 6;
  static constexpr int64_t kColumns = 64;
  static constexpr int64_t kInputs = 2;
  static constexpr WeightLayout kLayout = {kColumns, kInputs};
  static constexpr int64_t kFurtherRows = 0;
  struct ProductScope {};
  static constexpr int kVectors = 4;
  using Left = __m512i;
  using Right = __m512i;
  using Sums = __m512i;

  static HCCS_INLINE Sums zero() { return _mm512_setzero_si512(); }
  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t two;
    std::memcpy(&two, from, sizeof(two));
    return _mm512_set1_epi32(two);
  }
  static HCCS_INLINE Right load_right(const std::byte* from) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static HCCS_INLINE Sums multiply(Sums sums, Left a, Right b) {
    return _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
  }
  static HCCS_INLINE void store(int32_t* to, Sums sums) { _mm512_storeu_si512(to, sums); }
};

#include "integer_kernels/blocks-inl.h"
#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_avx512-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("avx512");

}  // namespace hccs::internal::kernels_avx512
HCCS_END_TARGET

namespace hccs::internal {
IntegerKernels avx512_integer_kernels() noexcept { return kernels_avx512::kKernels; }
}  // namespace hccs::internal
#endif  // __x86_64__
