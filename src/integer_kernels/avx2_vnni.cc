// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps with AVX2 and a 256-bit VNNI: AVX-VNNI, as client processors without AVX-512 have it.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

// The tests build this file for the same instruction of AVX-512 too, so that a processor without AVX-VNNI runs the
// rest.
#if defined(HCCS_EMULATE_INSTRUCTIONS)
#define HCCS_TARGET_STRING "avx512f,avx512vl,avx512vnni,avx2,fma,bmi,bmi2"
#define HCCS_DPBUSD _mm256_dpbusd_epi32
#else
#define HCCS_TARGET_STRING "avxvnni,avx2,fma,bmi,bmi2"
#define HCCS_DPBUSD _mm256_dpbusd_avx_epi32
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::kernels_avx2_vnni {

constexpr int64_t kId = kAttentionAvxVnniId;

struct Isa {
  using Element = uint8_t;
  static constexpr int32_t kOffset = 128;
  static constexpr int32_t kColumnsOffset = 0;
  static constexpr int kRows = 6;
  static constexpr int64_t kColumns = 16;
  static constexpr int64_t kInputs = 4;
  static constexpr WeightLayout kLayout = {kColumns, kInputs};
  static constexpr int64_t kFurtherRows = 0;
  struct ProductScope {};
  static constexpr int kVectors = 2;
  using Left = __m256i;
  using Right = __m256i;
  using Sums = __m256i;

  static HCCS_INLINE Sums zero() { return _mm256_setzero_si256(); }
  static HCCS_INLINE Left load_left(const Element* from) {
    int32_t four;
    std::memcpy(&four, from, sizeof(four));
    return _mm256_set1_epi32(four);
  }
  static HCCS_INLINE Right load_right(const std::byte* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static HCCS_INLINE Sums multiply(Sums sums, Left a, Right b) { return HCCS_DPBUSD(sums, a, b); }
  static HCCS_INLINE void store(int32_t* to, Sums sums) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), sums); }
};

#include "integer_kernels/blocks-inl.h"
#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_avx2-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("avx2-vnni");

}  // namespace hccs::internal::kernels_avx2_vnni
HCCS_END_TARGET

namespace hccs::internal {
IntegerKernels avx2_vnni_integer_kernels() noexcept { return kernels_avx2_vnni::kKernels; }
}  // namespace hccs::internal
#endif  // __x86_64__
