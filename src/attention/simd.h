// SPDX-License-Identifier: Apache-2.0
//
// What the files of SIMD targets share.
#ifndef HCCS_SRC_ATTENTION_SIMD_H_
#define HCCS_SRC_ATTENTION_SIMD_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "attention/pack.h"
#include "attention/plan.h"

#define HCCS_PRAGMA(text) _Pragma(#text)
#define HCCS_UNROLL HCCS_PRAGMA(GCC unroll 16)
#define HCCS_NO_UNROLL HCCS_PRAGMA(GCC unroll 1)
#define HCCS_INLINE inline __attribute__((always_inline))

// Neither inlined nor copied for constant arguments: with a constant number of steps, GCC 12 keeps the sums of a loop
// in memory.
#if defined(__clang__)
#define HCCS_NOINLINE __attribute__((noinline))
#else
#define HCCS_NOINLINE __attribute__((noinline, noclone))
#endif

// Functions between these have the instruction set `target`, but for lambdas, which need HCCS_ATTRIBUTES (made of
// HCCS_TARGET_STRING).
#if defined(__clang__)
#define HCCS_BEGIN_TARGET(string) \
  HCCS_PRAGMA(clang attribute push(__attribute__((target(string))), apply_to = function))
#define HCCS_END_TARGET HCCS_PRAGMA(clang attribute pop)
#else
#define HCCS_BEGIN_TARGET(string) HCCS_PRAGMA(GCC push_options) HCCS_PRAGMA(GCC target string)
#define HCCS_END_TARGET HCCS_PRAGMA(GCC pop_options)
#endif
#define HCCS_ATTRIBUTES __attribute__((target(HCCS_TARGET_STRING)))

namespace hccs::internal {

// Of the right operand of a product.
inline constexpr int64_t kMostPages = 16;

// The right operand of a product: parts of it from some pages, one after the other, `steps` long each but for the last
// one, of which `last_steps` count. The next group of 16 lanes is group_bytes further in a page.
struct Right {
  std::array<const std::byte*, kMostPages> page;
  int64_t pages;
  int64_t steps;
  int64_t last_steps;
  int64_t group_bytes;
};

// What makes means of a block's sums of products.
struct Means {
  std::array<int8_t*, 8> out;
  std::array<float, 8> weights;  // their sum, below 2^17 and not 0
  std::array<float, 8> inverse;  // of it
};

// Where a product goes: to c[r][...], added to what is there if kAdd. Each sum begins at `init`. Unless null, maxima[r]
// becomes the maximum of itself and the sums, where the kernel's kProductsHaveMaxima; unless null, `means` says where
// means of the sums go in place of them, where its kProductsHaveMeans.
struct Products {
  int32_t* c;
  int64_t pitch;
  int32_t init;
  Tile::Lanes* maxima;
  const Means* means;
};

// Among a product's steps, no other work.
struct Nothing {
  static constexpr bool kIsWork = false;
};

// M * 2^-R. From 127 on all distances but 0 saturate, so that a larger one is the same.
inline float float_scale(const TileRow& row) noexcept {
  const auto power = std::bit_cast<float>((127 - row.shift) << 23);  // 2^-R
  return std::min(127.0F, static_cast<float>(row.multiplier) * power);
}

// Sums of invalid positions become the least integer, so that they are no maximum.
inline void drop_invalid(int32_t* sums, uint64_t valid) {
  for (uint64_t invalid = ~valid; invalid != 0; invalid &= invalid - 1) {
    const int64_t i = std::countr_zero(invalid);
    sums[16 * group_of(i) + lane_of(i)] = INT32_MIN;
  }
}

// The least t whose distance is 127, or what is nearest in 32 bits.
inline uint32_t distance_limit(const TileRow& row) noexcept {
  const uint64_t least = row.shift == 0 ? 127 : (uint64_t{253} << (row.shift - 1));  // of t * M
  const auto multiplier = static_cast<uint64_t>(row.multiplier);
  return static_cast<uint32_t>(std::min<uint64_t>((least + multiplier - 1) / multiplier, 0xFFFFFFFF));
}

// round_half_up(x / W) of a mean between -128 and 127. The quotient and what is added have an error below 2^-43, and
// one that is no tie is further than 2^-33 from the next: half a unit and 2^-40 more, rounded down, is exact in any
// mode.
HCCS_INLINE int8_t rounded_mean(double x, double inverse) {
  return static_cast<int8_t>(static_cast<int32_t>(x * inverse + (256.5 + 0x1p-40)) - 256);
}

AttentionTarget amx_attention_target() noexcept;
// Asks the system's kernel for the process's use of tile registers. Only where the processor has them.
bool system_allows_amx() noexcept;
AttentionTarget vbmi_attention_target() noexcept;
AttentionTarget avx512_attention_target() noexcept;
AttentionTarget avx2_vnni_attention_target() noexcept;
AttentionTarget avx2_attention_target() noexcept;
AttentionTarget sse4_attention_target() noexcept;
AttentionTarget neon_i8mm_attention_target() noexcept;
AttentionTarget neon_dotprod_attention_target() noexcept;
AttentionTarget neon_attention_target() noexcept;

}  // namespace hccs::internal

#endif  // HCCS_SRC_ATTENTION_SIMD_H_
