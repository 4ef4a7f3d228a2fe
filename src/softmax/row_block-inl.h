// SPDX-License-Identifier: Apache-2.0
//
// What the SIMD kernels share: blocks of rows, whose reductions are made together.
#if defined(HCCS_SRC_SOFTMAX_ROW_BLOCK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HCCS_SRC_SOFTMAX_ROW_BLOCK_INL_H_
#undef HCCS_SRC_SOFTMAX_ROW_BLOCK_INL_H_
#else
#define HCCS_SRC_SOFTMAX_ROW_BLOCK_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "softmax/head_rows.h"
#include "softmax/plan.h"

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
HWY_BEFORE_NAMESPACE();
namespace hccs::internal::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D8 = hn::ScalableTag<int8_t>;
using DU8 = hn::ScalableTag<uint8_t>;
using D16 = hn::ScalableTag<int16_t>;
using DU16 = hn::ScalableTag<uint16_t>;
using DU32 = hn::ScalableTag<uint32_t>;
using DU64 = hn::ScalableTag<uint64_t>;
using V8 = hn::Vec<D8>;
using VU16 = hn::Vec<DU16>;
using VU32 = hn::Vec<DU32>;

inline constexpr int64_t kLanes = hn::MaxLanes(D8());  // bytes of a vector
inline constexpr int64_t kBlock = kLanes / 4;          // rows whose reductions are made together

// Rows of a block: fewer of long ones, so that what the first pass read is still in the first-level cache for the last.
inline int64_t block_rows(int64_t keys, size_t element_bytes) noexcept {
  constexpr int64_t kCacheBytes = 16384;
  return std::clamp<int64_t>(kCacheBytes / (keys * static_cast<int64_t>(element_bytes)), 1, kBlock);
}

// Copies 0 to kMost <= 64 bytes and touches no other.
template <int64_t kMost>
HWY_INLINE void copy_short(const void* from, void* to, int64_t count) {
  const auto* src = static_cast<const uint8_t*>(from);
  auto* dst = static_cast<uint8_t*>(to);
  const auto two = [&]<int64_t kHalf>() {  // the first and the last kHalf bytes, which may overlap
    uint8_t first[kHalf];
    uint8_t last[kHalf];
    std::memcpy(first, src, kHalf);
    std::memcpy(last, src + count - kHalf, kHalf);
    std::memcpy(dst, first, kHalf);
    std::memcpy(dst + count - kHalf, last, kHalf);
  };
  if (kMost > 32 && count > 32) {
    two.template operator()<std::min<int64_t>(kMost, 32)>();
  } else if (kMost > 16 && count > 16) {
    two.template operator()<std::min<int64_t>(kMost, 16)>();
  } else if (kMost > 8 && count > 8) {
    two.template operator()<std::min<int64_t>(kMost, 8)>();
  } else if (kMost > 4 && count > 4) {
    two.template operator()<std::min<int64_t>(kMost, 4)>();
  } else {
    for (int64_t i = 0; i < std::min<int64_t>(count, 4); ++i) dst[i] = src[i];
  }
}

// Lane r of the result is op over all 32-bit lanes of v[r], for kBlock vectors: log2(kBlock) levels, each of which
// halves the number of vectors, where a reduction row by row would take as many for every row.
template <class Op>
HWY_INLINE VU32 reduce_block(const VU32* v, const Op& op) {
  const DU32 d;
  const DU64 d64;
  VU32 four[kBlock / 4];  // [a b c d] in every 128-bit block
  HWY_UNROLL(4)
  for (int64_t i = 0; i < kBlock / 4; ++i) {
    const VU32* w = v + 4 * i;
    const VU32 ab = op(hn::InterleaveLower(d, w[0], w[1]), hn::InterleaveUpper(d, w[0], w[1]));
    const VU32 cd = op(hn::InterleaveLower(d, w[2], w[3]), hn::InterleaveUpper(d, w[2], w[3]));
    const auto ab64 = hn::BitCast(d64, ab);
    const auto cd64 = hn::BitCast(d64, cd);
    four[i] =
        op(hn::BitCast(d, hn::InterleaveLower(d64, ab64, cd64)), hn::BitCast(d, hn::InterleaveUpper(d64, ab64, cd64)));
  }
#if HWY_MAX_BYTES == 16
  return four[0];
#elif HWY_MAX_BYTES == 32
  return op(hn::ConcatLowerLower(d, four[1], four[0]), hn::ConcatUpperUpper(d, four[1], four[0]));
#elif HWY_MAX_BYTES == 64
  const VU32 ab = op(hn::ConcatLowerLower(d, four[1], four[0]), hn::ConcatUpperUpper(d, four[1], four[0]));
  const VU32 cd = op(hn::ConcatLowerLower(d, four[3], four[2]), hn::ConcatUpperUpper(d, four[3], four[2]));
  return op(VU32{_mm512_shuffle_i32x4(ab.raw, cd.raw, 0x88)}, VU32{_mm512_shuffle_i32x4(ab.raw, cd.raw, 0xDD)});
#else
#error "reduce_block: a vector of another size"
#endif
}

// Each row's maximum, in all four bytes of its 32-bit lane.
HWY_INLINE VU32 block_maxima(const VU32* v) {
  const DU32 d;
  const D8 d8;
  const auto op = [&](VU32 a, VU32 b)
                      HWY_ATTR { return hn::BitCast(d, hn::Max(hn::BitCast(d8, a), hn::BitCast(d8, b))); };
  const VU32 four = reduce_block(v, op);
  const VU32 two = op(four, hn::RotateRight<16>(four));
  return op(two, hn::RotateRight<8>(two));
}

// Each row's maximum of signed 32-bit lanes.
HWY_INLINE VU32 block_maxima32(const VU32* v) {
  const DU32 d;
  const hn::ScalableTag<int32_t> d32;
  return reduce_block(
      v, [&](VU32 a, VU32 b) HWY_ATTR { return hn::BitCast(d, hn::Max(hn::BitCast(d32, a), hn::BitCast(d32, b))); });
}

HWY_INLINE VU32 block_sums(const VU32* v) {
  return reduce_block(v, [](VU32 a, VU32 b) HWY_ATTR { return hn::Add(a, b); });
}

}  // namespace hccs::internal::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // HWY_TARGET

#endif  // toggle
