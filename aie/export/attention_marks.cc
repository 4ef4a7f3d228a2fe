// SPDX-License-Identifier: Apache-2.0
#include "aie/export/attention_marks.h"

#include <fmt/core.h>

#include <algorithm>

#include "aie/export/attention_layout.h"

namespace aie_export {

void add_attention_marks(const AttentionProject& p, Marks& marks) {
  const AttentionLayout layout(p);
  int most_knees = 1;
  for (const ExportedHead& head : p.heads) most_knees = std::max<int>(most_knees, head.params.knee_count);
  marks.insert({{"TITLE", "Attention on AI Engines"},
                {"SOURCE", "attention_head"},
                {"KERNEL", "attention"},
                {"MODEL", plain(p.model)},
                {"LAYER", std::to_string(p.layer)},
                {"HEADS", std::to_string(tile_heads(p))},
                {"ALL_HEADS", std::to_string(head_count(p))},
                {"HEAD_NUMBERS", head_numbers(p.heads)},
                {"TILES", std::to_string(p.tiles)},
                {"SHARED", p.tiles == 1 ? "" : fmt::format(", {} of the heads each", tile_heads(p))},
                {"KNEES", std::to_string(most_knees)},
                {"HEAD_DIM", std::to_string(p.head_dimension)},
                {"ROWS", std::to_string(p.rows)},
                {"BLOCK_ROWS", std::to_string(p.rows)},
                {"LENGTH", std::to_string(p.length)},
                {"PADDED_ROWS", std::to_string(layout.padded_rows)},
                {"PADDED_LENGTH", std::to_string(layout.padded_length)},
                {"SCRATCH_BYTES", std::to_string(layout.scratch_bytes)},
                {"BLOCKS", std::to_string(p.blocks)},
                {"LOGIT_RULE", logit_rule(p.head_dimension)},
                {"LOGIT_COMMENTS", logit_lines("// ", p.layer, p.heads, p.head_dimension)},
                {"LOGIT_LINES", logit_lines("    ", p.layer, p.heads, p.head_dimension)},
                {"PARAMETERS", parameter_lines(p.layer, p.heads)},
                {"MASKS", mask_lines(p.masks)},
                {"ORIGIN", plain(p.origin)}});
}

}  // namespace aie_export
