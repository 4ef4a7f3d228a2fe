// SPDX-License-Identifier: Apache-2.0
//
// What a project of attention has on a tile, by aie/kernels/layout.h.
#ifndef HCCS_AIE_EXPORT_ATTENTION_LAYOUT_H_
#define HCCS_AIE_EXPORT_ATTENTION_LAYOUT_H_

#include <cstdint>
#include <span>
#include <vector>

#include "aie/export/attention_project.h"

namespace aie_export {

// All heads, and those of a tile.
inline int64_t head_count(const AttentionProject& p) { return static_cast<int64_t>(p.heads.size()); }
inline int64_t tile_heads(const AttentionProject& p) { return head_count(p) / p.tiles; }

struct AttentionLayout {
  explicit AttentionLayout(const AttentionProject& p);

  // Of one head: rows of q and o, positions of k and v; elements of these; bytes of M and R.
  int64_t padded_rows, padded_length;
  int64_t query_elements, key_elements;
  int64_t rescale_bytes;
  int64_t scratch_bytes;  // of a tile
};

// What of q, k, v, rescales or masks belongs to a block of a head.
struct AttentionBlock {
  std::span<const int8_t> q, k, v;
  std::span<const hccs::Rescale> rescales;
};
AttentionBlock block_of(const AttentionProject& p, int64_t head, int64_t block);

// o of a block, [rows, head dimension], by the definition.
hccs::Expected<std::vector<int8_t>> attention_results(const AttentionProject& p, int64_t head, int64_t block);

// ---- IRON: two inputs a core, each of whole lines of kIronAlignment bytes ------------------------------------------

// q and then the rescales of all heads, filled up, and a line with the limits.
int64_t iron_query_bytes(const AttentionProject& p);
// k of all heads, and v of all.
int64_t iron_key_bytes(const AttentionProject& p);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_ATTENTION_LAYOUT_H_
