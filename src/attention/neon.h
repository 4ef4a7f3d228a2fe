// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_ATTENTION_NEON_H_
#define HCCS_SRC_ATTENTION_NEON_H_

#include <arm_neon.h>

#include "attention/simd.h"

namespace hccs::internal {

// What the NEON kernels share of `struct Isa` (tile-inl.h): how sums become weights.
struct NeonRows {
  using Bytes = uint8x16_t;
  using Total = uint32x4_t;

  static int32_t sum_bias(const Tile& /*tile*/) { return 0; }

  static HCCS_INLINE void maximum(const int32_t* sums, int32_t* maxima) {
    int32x4_t m = vld1q_s32(maxima);
    for (int i = 0; i < 64; i += 4) m = vmaxq_s32(m, vld1q_s32(sums + i));
    vst1q_s32(maxima, m);
  }
  static HCCS_INLINE void maximum_of_valid(int32_t* sums, uint64_t valid, int32_t* maxima) {
    drop_invalid(sums, valid);
    maximum(sums, maxima);
  }
  static HCCS_INLINE int32_t greatest(const Tile::Lanes& lanes) { return vmaxvq_s32(vld1q_s32(lanes.data())); }

  struct Row {
    int32_t maximum;
    uint32_t limit;
    uint32_t multiplier;
    int32_t shift;
  };
  static Row make_row(const Tile& /*tile*/, const TileRow& row, int32_t maximum) {
    return {maximum, distance_limit(row), static_cast<uint32_t>(row.multiplier), row.shift};
  }
  // The rounding shift is the contract's: (t * M + 2^(R-1)) >> R of t clamped where the result is 127 anyway.
  static HCCS_INLINE Bytes distances(const int32_t* sums, const Row& row) {
    const int64x2_t shift = vdupq_n_s64(-row.shift);
    uint16x4_t d[4];
    HCCS_UNROLL for (int g = 0; g < 4; ++g) {
      const uint32x4_t below = vreinterpretq_u32_s32(vsubq_s32(vdupq_n_s32(row.maximum), vld1q_s32(sums + 16 * g)));
      const uint32x4_t t = vminq_u32(below, vdupq_n_u32(row.limit));
      const uint64x2_t low = vrshlq_u64(vmull_n_u32(vget_low_u32(t), row.multiplier), shift);
      const uint64x2_t high = vrshlq_u64(vmull_n_u32(vget_high_u32(t), row.multiplier), shift);
      d[g] = vmovn_u32(vcombine_u32(vmovn_u64(low), vmovn_u64(high)));
    }
    // A limit of 127 / M or 253 * 2^(R-1) / M, rounded up, may be one step of M too far.
    const uint8x16_t bytes = vcombine_u8(vqmovn_u16(vcombine_u16(d[0], d[1])), vqmovn_u16(vcombine_u16(d[2], d[3])));
    return vminq_u8(bytes, vdupq_n_u8(127));
  }
  static HCCS_INLINE Bytes look_up(const AttentionHead::Bytes& table, const AttentionHead::Bytes& /*steps*/, Bytes d) {
    const uint8x16x4_t low = {{vld1q_u8(table.data()), vld1q_u8(table.data() + 16), vld1q_u8(table.data() + 32),
                               vld1q_u8(table.data() + 48)}};
    const uint8x16x4_t high = {{vld1q_u8(table.data() + 64), vld1q_u8(table.data() + 80), vld1q_u8(table.data() + 96),
                                vld1q_u8(table.data() + 112)}};
    // Out of range a look-up gives 0, or leaves what was there.
    return vqtbx4q_u8(vqtbl4q_u8(low, d), high, vsubq_u8(d, vdupq_n_u8(64)));
  }
  static HCCS_INLINE Bytes mask(Bytes weights, uint64_t valid) {
    const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const uint8x16_t bytes =
        vcombine_u8(vdup_n_u8(static_cast<uint8_t>(valid)), vdup_n_u8(static_cast<uint8_t>(valid >> 8)));
    return vandq_u8(weights, vtstq_u8(bytes, bits));
  }
  static HCCS_INLINE Total load_total(const Tile::Lanes& from) { return vreinterpretq_u32_s32(vld1q_s32(from.data())); }
  static HCCS_INLINE void store_total(Total total, Tile::Lanes& to) {
    vst1q_s32(to.data(), vreinterpretq_s32_u32(total));
  }
  static HCCS_INLINE Total add(Total total, Bytes weights) { return vpadalq_u16(total, vpaddlq_u8(weights)); }
  static HCCS_INLINE int64_t sum(const Tile::Lanes& lanes) { return vaddvq_s32(vld1q_s32(lanes.data())); }

  struct SumsScope {
    explicit SumsScope(const Tile& /*tile*/) {}
  };
  using ValuesScope = SumsScope;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_ATTENTION_NEON_H_
