// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder's steps with AMX-INT8: products are those of tiles, what follows is that of AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/amx_tiles.h"
#include "attention/simd.h"
#include "integer_kernels/gelu.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/targets.h"

#if defined(HCCS_EMULATE_INSTRUCTIONS)
#define HCCS_TARGET_STRING "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx2,fma,bmi,bmi2"
#else
#define HCCS_TARGET_STRING \
  "amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx2,fma,bmi,bmi2"
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::kernels_amx {

constexpr int64_t kId = kAttentionAmxId;

// Tiles 0 to 3 are sums (two blocks of 16 rows by two of 16 columns), 4 and 5 are x, 6 and 7 weights. All have 16 rows:
// rows of x after the last one give sums that nobody reads.
class TileScope {
 public:
  TileScope() {
    TileShapes shapes;
    shapes.rows.fill(0);
    for (size_t t = 0; t < 8; ++t) {
      shapes.rows[t] = 16;
      shapes.row_bytes[t] = 64;
    }
    Tiles::configure(shapes);
  }
  ~TileScope() { Tiles::release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

struct Isa {
  using Element = uint8_t;
  static constexpr int32_t kOffset = 128;
  static constexpr int32_t kColumnsOffset = 0;
  static constexpr int kRows = 32;
  static constexpr WeightLayout kLayout = {16, 4, 16};
  static constexpr int64_t kFurtherRows = 31;
  using ProductScope = TileScope;
};

// 16 rows of x, or 32 if kSecond, by two groups of 16 columns.
template <bool kSecond>
HCCS_INLINE void multiply_groups(const uint8_t* x, int64_t pitch, int64_t steps, const std::byte* weights,
                                 int32_t* sums) {
  const std::byte* next = weights + steps * 64;
  Tiles::zero<0>();
  Tiles::zero<1>();
  if constexpr (kSecond) Tiles::zero<2>();
  if constexpr (kSecond) Tiles::zero<3>();
  for (int64_t s = 0; s < steps; s += 16, x += 64, weights += 1024, next += 1024) {
    Tiles::load<6>(weights, 64);
    Tiles::load<7>(next, 64);
    Tiles::load<4>(x, pitch);
    Tiles::multiply_unsigned_signed<0, 4, 6>();
    Tiles::multiply_unsigned_signed<1, 4, 7>();
    if constexpr (kSecond) {
      Tiles::load<5>(x + 16 * pitch, pitch);
      Tiles::multiply_unsigned_signed<2, 5, 6>();
      Tiles::multiply_unsigned_signed<3, 5, 7>();
    }
  }
  Tiles::store<0>(sums, 4 * kPanel);
  Tiles::store<1>(sums + 16, 4 * kPanel);
  if constexpr (kSecond) Tiles::store<2>(sums + 16 * kPanel, 4 * kPanel);
  if constexpr (kSecond) Tiles::store<3>(sums + 16 * kPanel + 16, 4 * kPanel);
}

template <class Beside>
inline void multiply_rows(int64_t rows, const uint8_t* x, int64_t pitch, int64_t steps, const std::byte* weights,
                          int32_t* sums, Beside& /*beside*/) {
  for (int64_t column = 0; column < kPanel; column += 32) {
    rows > 16 ? multiply_groups<true>(x, pitch, steps, weights + column * steps * 4, sums + column)
              : multiply_groups<false>(x, pitch, steps, weights + column * steps * 4, sums + column);
  }
}

#include "integer_kernels/norm-inl.h"
#include "integer_kernels/norm_avx512-inl.h"
#include "integer_kernels/steps-inl.h"

constexpr IntegerKernels kKernels = make_kernels("amx");

}  // namespace hccs::internal::kernels_amx
HCCS_END_TARGET

namespace hccs::internal {
IntegerKernels amx_integer_kernels() noexcept { return kernels_amx::kKernels; }
}  // namespace hccs::internal
#endif  // __x86_64__
