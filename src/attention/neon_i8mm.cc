// SPDX-License-Identifier: Apache-2.0
//
// Attention with NEON and its products of matrices of bytes (FEAT_I8MM), each of 2 rows x 8 elements and 8 elements x 2
// lanes: twice the products of an instruction of neon-dotprod. One of its forms multiplies unsigned by signed bytes.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "attention/neon.h"
#include "attention/simd.h"

#if defined(__clang__)
#define HCCS_TARGET_STRING "dotprod,i8mm"
#else
#define HCCS_TARGET_STRING "arch=armv8.2-a+dotprod+i8mm"
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_neon_i8mm {

constexpr int64_t kId = kAttentionNeonI8mmId;
constexpr bool kProductsHaveMaxima = false;
constexpr bool kProductsHaveMeans = false;
constexpr bool kMultipliesBeside = false;
constexpr bool kTakesQueriesInPlace = true;

struct Isa : NeonRows {
  static constexpr int kRows = 6;
  static constexpr int kLanes = 4;
  static constexpr bool kWords = false;
  static constexpr bool kKeysAreUnsigned = false;
  static constexpr bool kValuesAreUnsigned = false;
  using Element = int8_t;

  static HCCS_INLINE void store_weights(Element* to, Bytes weights) { vst1q_s8(to, vreinterpretq_s8_u8(weights)); }
  static HCCS_INLINE void store_wide(Element* low_to, Element* high_to, Bytes low, Bytes high) {
    store_weights(low_to, low);
    store_weights(high_to, high);
  }
  static HCCS_INLINE void finish(const int32_t* sums, int64_t count, int64_t /*sum*/, double inverse, int8_t* out) {
    for (int64_t j = 0; j < count; ++j) out[j] = rounded_mean(sums[j], inverse);
  }
};

// `count` elements, 4 or 8, of two rows; 0 behind them.
template <int kCount>
HCCS_INLINE int8x16_t load_rows(const int8_t* first, const int8_t* second) {
  int64_t a = 0;
  int64_t b = 0;
  std::memcpy(&a, first, kCount);
  std::memcpy(&b, second, kCount);
  return vreinterpretq_s8_s64(
      vcombine_s64(vcreate_s64(static_cast<uint64_t>(a)), vcreate_s64(static_cast<uint64_t>(b))));
}

template <bool kKeys>
HCCS_INLINE int32x4_t multiply_matrices(int32x4_t sums, int8x16_t left, int8x16_t right) {
  return kKeys ? vmmlaq_s32(sums, left, right) : vusmmlaq_s32(sums, vreinterpretq_u8_s8(left), right);
}

// The sums of pairs of rows by the 16 lanes of a group, as the instruction has them: of each two lanes the first row's
// and then the second row's.
template <int kPairs>
struct Sums {
  int32x4_t of[kPairs][8];
};

// Adds the product of one step of 4 elements, or of two. In a page lanes are 4 elements wide, a step after the other.
template <int kPairs, bool kKeys, int kSteps>
HCCS_INLINE void add_steps(const int8_t* left, int64_t left_pitch, bool is_odd, const std::byte* page,
                           Sums<kPairs>& sums) {
  int8x16_t rows[kPairs];
  HCCS_UNROLL for (int p = 0; p < kPairs; ++p) {
    const int8_t* first = left + 2 * p * left_pitch;
    rows[p] = load_rows<4 * kSteps>(first, is_odd && p + 1 == kPairs ? first : first + left_pitch);
  }
  HCCS_UNROLL for (int v = 0; v < 4; ++v) {
    const auto* from = reinterpret_cast<const int32_t*>(page + 16 * v);
    const int32x4_t now = vld1q_s32(from);
    const int32x4_t next = kSteps == 2 ? vld1q_s32(from + 16) : vdupq_n_s32(0);
    const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(now, next));
    const int8x16_t high = vreinterpretq_s8_s32(vzip2q_s32(now, next));
    HCCS_UNROLL for (int p = 0; p < kPairs; ++p) {
      sums.of[p][2 * v] = multiply_matrices<kKeys>(sums.of[p][2 * v], rows[p], low);
      sums.of[p][2 * v + 1] = multiply_matrices<kKeys>(sums.of[p][2 * v + 1], rows[p], high);
    }
  }
}

template <bool kAdd>
HCCS_INLINE void store_lanes(int32_t* to, int64x2_t lanes) {
  const int32x4_t x = vreinterpretq_s32_s64(lanes);
  vst1q_s32(to, kAdd ? vaddq_s32(x, vld1q_s32(to)) : x);
}

// The product of kPairs pairs of rows by a group, which is `offset` into its pages. Of an odd number of rows the last
// is multiplied twice and stored once.
template <int kPairs, bool kKeys, bool kAdd>
HCCS_NOINLINE void multiply_group(const int8_t* left, int64_t left_pitch, bool is_odd, const Right& right,
                                  int64_t offset, int32_t* c, int64_t pitch) {
  Sums<kPairs> sums;
  HCCS_UNROLL for (int p = 0; p < kPairs; ++p) {
    HCCS_UNROLL for (int v = 0; v < 8; ++v) sums.of[p][v] = vdupq_n_s32(0);
  }
  for (int64_t p = 0; p < right.pages; ++p) {
    const std::byte* page = right.page[p] + offset;
    const int64_t steps = p + 1 < right.pages ? right.steps : right.last_steps;
    int64_t s = 0;
    for (; s + 2 <= steps; s += 2) add_steps<kPairs, kKeys, 2>(left + 4 * s, left_pitch, is_odd, page + 64 * s, sums);
    if (s < steps) add_steps<kPairs, kKeys, 1>(left + 4 * s, left_pitch, is_odd, page + 64 * s, sums);
    left += 4 * right.steps;
  }
  HCCS_UNROLL for (int p = 0; p < kPairs; ++p, c += 2 * pitch) {
    HCCS_UNROLL for (int v = 0; v < 4; ++v) {
      const int64x2_t low = vreinterpretq_s64_s32(sums.of[p][2 * v]);
      const int64x2_t high = vreinterpretq_s64_s32(sums.of[p][2 * v + 1]);
      store_lanes<kAdd>(c + 4 * v, vzip1q_s64(low, high));
      if (!is_odd || p + 1 < kPairs) store_lanes<kAdd>(c + pitch + 4 * v, vzip2q_s64(low, high));
    }
  }
}

template <int kPairs, bool kKeys, bool kAdd>
inline void multiply_pairs(int64_t rows, const int8_t* left, int64_t left_pitch, const Right& right, int64_t groups,
                           const Products& to) {
  for (int64_t g = 0; g < groups; ++g) {
    multiply_group<kPairs, kKeys, kAdd>(left, left_pitch, rows < 2 * kPairs, right, g * right.group_bytes,
                                        to.c + 16 * g, to.pitch);
  }
}

template <bool kKeys, bool kAdd, class Beside>
inline void multiply(int64_t rows, const int8_t* left, int64_t left_pitch, const Right& right, int64_t groups,
                     const Products& to, Beside& /*beside*/) {
  static_assert(Isa::kRows <= 6);
  switch ((rows + 1) / 2) {
    case 1:
      return multiply_pairs<1, kKeys, kAdd>(rows, left, left_pitch, right, groups, to);
    case 2:
      return multiply_pairs<2, kKeys, kAdd>(rows, left, left_pitch, right, groups, to);
    default:
      return multiply_pairs<3, kKeys, kAdd>(rows, left, left_pitch, right, groups, to);
  }
}

#include "attention/tile-inl.h"

constexpr AttentionTarget kTarget = make_target("neon-i8mm");

}  // namespace hccs::internal::attention_neon_i8mm
HCCS_END_TARGET

namespace hccs::internal {
AttentionTarget neon_i8mm_attention_target() noexcept { return attention_neon_i8mm::kTarget; }
}  // namespace hccs::internal
#endif  // __aarch64__
