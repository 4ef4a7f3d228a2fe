// SPDX-License-Identifier: Apache-2.0
#include "aie/export/attention_layout.h"

#include "aie/export/iron_project.h"
#include "aie/kernels/layout.h"

namespace aie_export {

AttentionLayout::AttentionLayout(const AttentionProject& p)
    : padded_rows(hccs_kernels::attention_rows(static_cast<unsigned>(p.rows))),
      padded_length(hccs_kernels::attention_positions(static_cast<unsigned>(p.length))),
      query_elements(padded_rows * p.head_dimension),
      key_elements(padded_length * p.head_dimension),
      rescale_bytes(2 * hccs_kernels::attention_rescales(static_cast<unsigned>(p.rows))),
      scratch_bytes(hccs_kernels::attention_scratch_bytes(static_cast<unsigned>(p.length),
                                                          static_cast<unsigned>(p.head_dimension))) {}

AttentionBlock block_of(const AttentionProject& p, int64_t head, int64_t block) {
  const int64_t number = head * p.blocks + block;
  const int64_t of_queries = p.rows * p.head_dimension;
  const int64_t of_keys = p.length * p.head_dimension;
  return {.q = std::span(p.q).subspan(number * of_queries, of_queries),
          .k = std::span(p.k).subspan(number * of_keys, of_keys),
          .v = std::span(p.v).subspan(number * of_keys, of_keys),
          .rescales = std::span(p.rescales).subspan(number * p.rows, p.rows)};
}

hccs::Expected<std::vector<int8_t>> attention_results(const AttentionProject& p, int64_t head, int64_t block) {
  const int64_t dh = p.head_dimension;
  const AttentionBlock of = block_of(p, head, block);
  std::vector<int8_t> o(p.rows * dh);
  for (int64_t r = 0; r < p.rows; ++r) {
    HCCS_RETURN_IF_ERROR(attention_reference(p.heads[head].params, of.rescales[r], of.q.subspan(r * dh, dh), of.k, of.v,
                                             p.masks[block].row(r), std::span(o).subspan(r * dh, dh)));
  }
  return o;
}

int64_t iron_query_bytes(const AttentionProject& p) {
  const AttentionLayout layout(p);
  const int64_t heads = tile_heads(p) * (layout.query_elements + layout.rescale_bytes);
  return hccs_kernels::round_up(static_cast<unsigned>(heads), kIronAlignment) + kIronAlignment;
}

int64_t iron_key_bytes(const AttentionProject& p) { return 2 * tile_heads(p) * AttentionLayout(p).key_elements; }

}  // namespace aie_export
