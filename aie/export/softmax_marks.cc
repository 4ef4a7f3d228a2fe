// SPDX-License-Identifier: Apache-2.0
#include "aie/export/softmax_marks.h"

#include <fmt/core.h>

#include "aie/export/softmax_layout.h"

namespace aie_export {

using hccs::Normalisation;
using hccs::OutputType;
using hccs::Status;

namespace {

std::string normalisation_constant(Normalisation normalisation) {
  switch (normalisation) {
    case Normalisation::kDiv:
      return "kDiv";
    case Normalisation::kClb:
      return "kClb";
    case Normalisation::kScaled:
      return "kScaled";
  }
  return "";
}

void add_shape_marks(const SoftmaxProject& p, Marks& marks) {
  const bool wide = p.output == OutputType::kInt16;
  marks.insert({{"MODEL", plain(p.model)},
                {"LAYER", std::to_string(p.layer)},
                {"HEADS", std::to_string(tile_heads(p))},
                {"ALL_HEADS", std::to_string(head_count(p))},
                {"HEAD_NUMBERS", head_numbers(p.heads)},
                {"KNEES", std::to_string(knees(p))},
                {"LENGTH", std::to_string(p.length)},
                {"ROWS", std::to_string(p.tile_rows)},
                {"BLOCK_ROWS", std::to_string(p.block_rows())},
                {"TILES", std::to_string(p.tiles)},
                {"ELEMENTS", std::to_string(SoftmaxLayout(p).elements())},
                {"SCRATCH_BYTES", std::to_string(SoftmaxLayout(p).scratch_bytes())},
                {"BLOCKS", std::to_string(p.blocks)},
                {"OUT", wide ? "int16_t" : "uint8_t"},
                {"OUTPUT", std::string(name(p.output))},
                {"FULL_SCALE", std::to_string(wide ? hccs::kFullScaleInt16 : hccs::kFullScaleUint8)},
                {"PARAMETERS", parameter_lines(p.layer, p.heads)},
                {"LOGIT_RULE", logit_rule(p.head_dimension)},
                {"LOGIT_COMMENTS", logit_lines("// ", p.layer, p.heads, p.head_dimension)},
                {"LOGIT_LINES", logit_lines("    ", p.layer, p.heads, p.head_dimension)},
                {"ORIGIN", plain(p.logits_origin)}});
}

void add_kernel_marks(const SoftmaxProject& p, Marks& marks) {
  marks.insert({{"TITLE", "Row softmax on AI Engines"},
                {"SOURCE", "softmax"},
                {"KERNEL", std::string(name(p.kernel))},
                {"CLASS", p.kernel == Kernel::kTiles ? "TilesKernel" : "RowsKernel"},
                {"NORMALISATION", normalisation_constant(p.normalisation)},
                {"NORMALISATION_NAME", std::string(name(p.normalisation))},
                {"MASK", masked(p) ? "kLength" : "kNone"},
                {"SHARED", p.tiles == 1    ? ""
                           : p.split_heads ? fmt::format(", {} of the heads each", tile_heads(p))
                                           : fmt::format(", {} rows of each head each", p.tile_rows)}});
}

}  // namespace

Status add_softmax_marks(const SoftmaxProject& p, Marks& marks) {
  add_shape_marks(p, marks);
  add_kernel_marks(p, marks);
  marks["MASKS"] = mask_lines(p.masks);
  HCCS_ASSIGN_OR_RETURN(const std::string block_masks, fill_template("softmax/block_masks.h", marks));
  marks["BLOCK_MASKS"] = masked(p) ? block_masks : "";
  const bool paper = p.kernel == Kernel::kPaperRows;
  HCCS_ASSIGN_OR_RETURN(marks["KERNEL_CHECKS"],
                        fill_template(paper ? "softmax/paper_checks.h" : "softmax/kernel_checks.h", marks));
  HCCS_ASSIGN_OR_RETURN(marks["CHECKS"], fill_template("softmax/checks.h", marks));
  HCCS_ASSIGN_OR_RETURN(marks["RUN"], fill_template(paper ? "softmax/run_paper.h" : "softmax/run.h", marks));
  return {};
}

}  // namespace aie_export
