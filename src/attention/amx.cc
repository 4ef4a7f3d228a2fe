// SPDX-License-Identifier: Apache-2.0
//
// Attention with the tiles of AMX-INT8: both products are tile products, on pages as they are packed for all targets;
// what lies between them is that of avx512-vbmi.
#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attention/amx_tiles.h"
#include "attention/simd.h"

#if defined(HCCS_EMULATE_INSTRUCTIONS)
#define HCCS_TARGET_STRING "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx2,fma,bmi,bmi2"
#else
#define HCCS_TARGET_STRING \
  "amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni,avx2,fma,bmi,bmi2"
#endif
HCCS_BEGIN_TARGET(HCCS_TARGET_STRING)
namespace hccs::internal::attention_amx {

constexpr int64_t kId = kAttentionAmxId;
constexpr bool kProductsHaveMaxima = false;
constexpr bool kProductsHaveMeans = false;
constexpr bool kMultipliesBeside = false;
constexpr bool kTakesQueriesInPlace = false;

#include "attention/vbmi_isa-inl.h"

// Tiles 0 to 3 are sums (two blocks of 16 rows by two of 16 lanes), 4 and 5 are of the left operand, 6 and 7 of the
// right one. Configured for `steps` steps while it lives.
class TileScope {
 public:
  explicit TileScope(int64_t steps) {
    TileShapes shapes;
    for (size_t t = 0; t < 8; ++t) {
      shapes.rows[t] = t < 6 ? 16 : static_cast<uint8_t>(steps);
      shapes.row_bytes[t] = t == 4 || t == 5 ? static_cast<uint16_t>(4 * steps) : 64;
    }
    Tiles::configure(shapes);
  }
  ~TileScope() { Tiles::release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

struct Isa : VbmiIsa {
  static constexpr int kRows = 32;
  static constexpr int kBlocks = 1;
  struct SumsScope : TileScope {
    explicit SumsScope(const Tile& tile) : TileScope(std::min<int64_t>(tile.layout.steps, 16)) {}
  };
  struct ValuesScope : TileScope {
    explicit ValuesScope(const Tile& /*tile*/) : TileScope(16) {}
  };
};

template <int kSum, bool kAdd>
inline void begin_sum(const int32_t* c, int64_t pitch, const int32_t* init) {
  // A stride of 0 reads one row for all.
  kAdd ? Tiles::load<kSum>(c, 4 * pitch) : Tiles::load<kSum>(init, 0);
}

template <int kSum, int kLeft, int kRight, bool kKeys>
inline void multiply_tiles() {
  if constexpr (kKeys) {
    Tiles::multiply_signed_unsigned<kSum, kLeft, kRight>();
  } else {
    Tiles::multiply_unsigned_signed<kSum, kLeft, kRight>();
  }
}

// 16 rows, or 32 if kRows, by one group of 16 lanes, or by two if kGroups. Rows beyond the tile's are computed too: the
// scratch has room for them.
template <bool kKeys, bool kAdd, bool kRows, bool kGroups>
inline void multiply_block(const int8_t* left, int64_t left_pitch, const Right& right, int64_t offset,
                           const int32_t* init, int32_t* c, int64_t pitch) {
  int32_t* lower = c + 16 * pitch;
  begin_sum<0, kAdd>(c, pitch, init);
  if constexpr (kGroups) begin_sum<1, kAdd>(c + 16, pitch, init);
  if constexpr (kRows) begin_sum<2, kAdd>(lower, pitch, init);
  if constexpr (kRows && kGroups) begin_sum<3, kAdd>(lower + 16, pitch, init);
  for (int64_t p = 0; p < right.pages; ++p) {
    const std::byte* page = right.page[p] + offset;
    for (int64_t s = 0; s < right.steps; s += 16, page += 1024, left += 64) {
      Tiles::load<4>(left, left_pitch);
      Tiles::load<6>(page, 64);
      multiply_tiles<0, 4, 6, kKeys>();
      if constexpr (kGroups) {
        Tiles::load<7>(page + right.group_bytes, 64);
        multiply_tiles<1, 4, 7, kKeys>();
      }
      if constexpr (kRows) {
        Tiles::load<5>(left + 16 * left_pitch, left_pitch);
        multiply_tiles<2, 5, 6, kKeys>();
      }
      if constexpr (kRows && kGroups) multiply_tiles<3, 5, 7, kKeys>();
    }
    if (right.steps % 16 != 0) left += 4 * (right.steps % 16) - 64;
  }
  Tiles::store<0>(c, 4 * pitch);
  if constexpr (kGroups) Tiles::store<1>(c + 16, 4 * pitch);
  if constexpr (kRows) Tiles::store<2>(lower, 4 * pitch);
  if constexpr (kRows && kGroups) Tiles::store<3>(lower + 16, 4 * pitch);
}

template <bool kKeys, bool kAdd, bool kRows>
inline void multiply_rows(const int8_t* left, int64_t left_pitch, const Right& right, int64_t groups,
                          const Products& to) {
  alignas(kAlignment) int32_t init[16];
  std::fill(init, init + 16, to.init);
  int64_t g = 0;
  for (; g + 2 <= groups; g += 2) {
    multiply_block<kKeys, kAdd, kRows, true>(left, left_pitch, right, g * right.group_bytes, init, to.c + 16 * g,
                                             to.pitch);
  }
  if (g < groups) {
    multiply_block<kKeys, kAdd, kRows, false>(left, left_pitch, right, g * right.group_bytes, init, to.c + 16 * g,
                                              to.pitch);
  }
}

template <bool kKeys, bool kAdd, class Beside>
inline void multiply(int64_t rows, const int8_t* left, int64_t left_pitch, const Right& right, int64_t groups,
                     const Products& to, Beside& /*beside*/) {
  rows > 16 ? multiply_rows<kKeys, kAdd, true>(left, left_pitch, right, groups, to)
            : multiply_rows<kKeys, kAdd, false>(left, left_pitch, right, groups, to);
}

#include "attention/tile-inl.h"
#include "attention/vbmi_pack-inl.h"

constexpr AttentionTarget kTarget = packing_by_vectors(make_target("amx", 16, 16));

}  // namespace hccs::internal::attention_amx
HCCS_END_TARGET

namespace hccs::internal {

AttentionTarget amx_attention_target() noexcept { return attention_amx::kTarget; }

bool system_allows_amx() noexcept {
#if defined(HCCS_EMULATE_INSTRUCTIONS)
  return true;
#else
  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA): once a process, for all its threads.
  constexpr long kRequestPermission = 0x1023;  // NOLINT(google-runtime-int)
  constexpr long kTileData = 18;               // NOLINT(google-runtime-int)
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#endif
}

}  // namespace hccs::internal
#endif  // __x86_64__
