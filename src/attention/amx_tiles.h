// SPDX-License-Identifier: Apache-2.0
//
// The eight tile registers of AMX and what is done with them: the instructions or, for tests on processors without
// them, their definition (Intel, Intrinsics Guide and Software Developer's Manual).
#ifndef HCCS_SRC_ATTENTION_AMX_TILES_H_
#define HCCS_SRC_ATTENTION_AMX_TILES_H_

#include <array>
#include <cstdint>
#include <cstring>

#include "attention/simd.h"

namespace hccs::internal {

// What LDTILECFG reads.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  std::array<uint8_t, 14> reserved{};
  std::array<uint16_t, 16> row_bytes{};  // up to 64
  std::array<uint8_t, 16> rows{};        // up to 16
};
static_assert(sizeof(TileShapes) == 64);

#if !defined(HCCS_EMULATE_INSTRUCTIONS)

#define HCCS_AMX __attribute__((target("amx-tile,amx-int8"))) HCCS_INLINE
struct Tiles {
  static HCCS_AMX void configure(const TileShapes& shapes) { asm volatile("ldtilecfg %0" ::"m"(shapes)); }
  static HCCS_AMX void release() { asm volatile("tilerelease"); }
  template <int kTile>
  static HCCS_AMX void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }
  // Rows that are `stride` bytes apart.
  template <int kTile>
  static HCCS_AMX void load(const void* from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
  }
  template <int kTile>
  static HCCS_AMX void store(void* to, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
  }
  // kSum += kLeft . kRight, of signed and unsigned bytes.
  template <int kSum, int kLeft, int kRight>
  static HCCS_AMX void multiply_signed_unsigned() {
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kLeft), "i"(kRight));
  }
  template <int kSum, int kLeft, int kRight>
  static HCCS_AMX void multiply_unsigned_signed() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kLeft), "i"(kRight));
  }
};
#undef HCCS_AMX

#else

struct Tiles {
  static void configure(const TileShapes& shapes) {
    state() = {};
    state().shapes = shapes;
  }
  static void release() { state() = {}; }
  template <int kTile>
  static void zero() {
    state().tile[kTile] = {};
  }
  template <int kTile>
  static void load(const void* from, int64_t stride) {
    zero<kTile>();
    for (int64_t r = 0; r < state().shapes.rows[kTile]; ++r) {
      std::memcpy(&state().tile[kTile][static_cast<size_t>(64 * r)], static_cast<const uint8_t*>(from) + r * stride,
                  state().shapes.row_bytes[kTile]);
    }
  }
  template <int kTile>
  static void store(void* to, int64_t stride) {
    for (int64_t r = 0; r < state().shapes.rows[kTile]; ++r) {
      std::memcpy(static_cast<uint8_t*>(to) + r * stride, &state().tile[kTile][static_cast<size_t>(64 * r)],
                  state().shapes.row_bytes[kTile]);
    }
  }
  template <int kSum, int kLeft, int kRight>
  static void multiply_signed_unsigned() {
    multiply<kSum, kLeft, kRight, int8_t, uint8_t>();
  }
  template <int kSum, int kLeft, int kRight>
  static void multiply_unsigned_signed() {
    multiply<kSum, kLeft, kRight, uint8_t, int8_t>();
  }

 private:
  struct State {
    TileShapes shapes;
    std::array<std::array<uint8_t, 1024>, 8> tile{};
  };
  static State& state() {
    static thread_local State state;
    return state;
  }
  template <int kSum, int kLeft, int kRight, class L, class R>
  static void multiply() {
    const TileShapes& shapes = state().shapes;
    // The instruction faults unless the shapes fit.
    if (shapes.rows[kSum] != shapes.rows[kLeft] || shapes.row_bytes[kSum] != shapes.row_bytes[kRight] ||
        shapes.row_bytes[kLeft] != 4 * shapes.rows[kRight] || shapes.rows[kSum] == 0) {
      __builtin_trap();
    }
    auto* sum = reinterpret_cast<uint32_t*>(state().tile[kSum].data());
    const auto* left = reinterpret_cast<const L*>(state().tile[kLeft].data());
    const auto* right = reinterpret_cast<const R*>(state().tile[kRight].data());
    for (int m = 0; m < shapes.rows[kSum]; ++m) {
      for (int k = 0; k < shapes.rows[kRight]; ++k) {
        for (int n = 0; n < shapes.row_bytes[kSum] / 4; ++n) {
          for (int i = 0; i < 4; ++i) {
            sum[16 * m + n] += static_cast<uint32_t>(int32_t{left[64 * m + 4 * k + i]} * right[64 * k + 4 * n + i]);
          }
        }
      }
    }
  }
};

#endif

}  // namespace hccs::internal

#endif  // HCCS_SRC_ATTENTION_AMX_TILES_H_
