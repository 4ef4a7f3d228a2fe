// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps with SSE4.2: elements are widened to 16 bits, whose products are exact.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

#define HCCS_TARGET_STRING "sse4.2"
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::kernels_sse4 {

constexpr int64_t kId = kAttentionSse4Id;

struct Isa {
  using Element = int16_t;
  static constexpr int32_t kOffset = 0;
  static constexpr int32_t kColumnsOffset = 0;
  static constexpr int kRows = 6;
  static constexpr int64_t kColumns = 8;
  static constexpr int64_t kInputs = 2;
  static constexpr WeightLayout kLayout = {kColumns, kInputs};
  static constexpr int64_t kFurtherRows = 0;
  struct ProductScope {};
  static constexpr int kVectors = 2;
  using Left = __m128i;
  using Right = __m128i;
  using Sums = __m128i;

  static HCCS_INLINE Sums zero() { return _mm_setzero_si128(); }
  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t two;
    std::memcpy(&two, from, sizeof(two));
    return _mm_set1_epi32(two);
  }
  static HCCS_INLINE Right load_right(const std::byte* from) {
    return _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
  static HCCS_INLINE Sums multiply(Sums sums, Left a, Right b) { return _mm_add_epi32(sums, _mm_madd_epi16(a, b)); }
  static HCCS_INLINE void store(int32_t* to, Sums sums) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), sums); }
};

#include "integer_kernels/blocks-inl.h"
#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_plain-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("sse4");

}  // namespace hccs::internal::kernels_sse4
HCCS_END_TARGET

namespace hccs::internal {
IntegerKernels sse4_integer_kernels() noexcept { return kernels_sse4::kKernels; }
}  // namespace hccs::internal
#endif  // __x86_64__
