// SPDX-License-Identifier: Apache-2.0
#include "aie/export/iron_project.h"

#include <fmt/core.h>

#include "aie/export/attention_layout.h"
#include "aie/export/attention_marks.h"
#include "aie/export/softmax_layout.h"
#include "aie/export/softmax_marks.h"
#include "aie/kernels/layout.h"
#include "hccs/npy.h"

namespace aie_export {

using hccs::Expected;
using hccs::Status;

namespace {

template <class T>
Status add_array(std::string path, std::vector<int64_t> shape, std::span<const T> elements,
                 std::vector<ProjectFile>& files) {
  HCCS_ASSIGN_OR_RETURN(std::string text, hccs::npy_text(shape, elements));
  files.push_back({std::move(path), std::move(text)});
  return {};
}

// ---- Marks ---------------------------------------------------------------------------------------------------------

std::string python_parameters(int64_t layer, std::span<const ExportedHead> heads) {
  std::string text;
  for (const ExportedHead& head : heads) {
    text += fmt::format("    [{}],  # {}\n", head_words(head.params), hccs::head_name(layer, head.number));
  }
  return text;
}

std::string python_masks(std::span<const hccs::BlockMask> masks) {
  std::string text;
  for (const hccs::BlockMask& m : masks) {
    text += fmt::format("{}({}, {})", text.empty() ? "" : ", ", *m.valid_length, *m.causal_offset);
  }
  return text;
}

// Of the device and the columns that the tiles take.
void add_device_marks(Device npu, int64_t tiles, Marks& marks) {
  const Columns columns = columns_of(npu, tiles).value_or(Columns{});
  marks.insert({{"DEVICE", std::string(facts(npu).name)},
                {"DEVICE_CLASS", npu == Device::kNpu1 ? "NPU1" : "NPU2"},
                {"DEVICE_COLUMNS", std::to_string(facts(npu).columns)},
                {"COLUMNS", std::to_string(columns.columns)},
                {"CORES", std::to_string(columns.cores)}});
}

// What src/project.h says for IRON beside what it says for Vitis.
std::string project_lines(const SoftmaxProject& p) {
  return fmt::format(
      "\n// What IRON hands to a core: a block of inputs, and the heads' words, filled up.\n"
      "constexpr unsigned kBlockBytes = {};\n"
      "constexpr unsigned kParameterWords = {};\n"
      "constexpr unsigned kBlockRows = {};  // of a head on all tiles\n"
      "constexpr bool kSplitHeads = {};  // tiles share the heads; else the rows\n",
      iron_block_bytes(p), iron_parameter_words(tile_heads(p)), p.block_rows(), p.split_heads);
}

std::string layout_index(const SoftmaxProject& p) {
  const std::string_view arch = p.kernel == Kernel::kTiles ? ", __AIE_ARCH__" : "";
  return fmt::format("hccs_kernels::{}_index(row, i, project::kLength{})", name(p.kernel), arch);
}

constexpr std::string_view kMaskText =
    "valid length and causal offset, which come with each block; `MASKS` in project.py has those of the test's";

constexpr std::string_view kRunLimits =
    "      const int32_t limits[] = {project::kMasks[block][0], project::kMasks[block][1]};\n"
    "      std::memcpy(block_buffer + project::kHeads * project::kElements, limits, sizeof limits);\n";

constexpr std::string_view kMaskValue =
    "  const auto* limits = reinterpret_cast<const int32*>(block + project::kHeads * project::kElements);\n"
    "  const hccs_kernels::BlockMask mask = {limits[0], true, limits[1], nullptr};\n";

void add_iron_marks(const SoftmaxProject& p, Marks& marks) {
  const bool has = masked(p);
  const int64_t results = tile_heads(p) * SoftmaxLayout(p).elements();
  const std::string limits = ", then valid_length and causal_offset, int32, in a line of 64 bytes";
  const std::string_view no_mask = p.kernel == Kernel::kPaperRows ? "" : "  const hccs_kernels::BlockMask mask;\n";
  marks.insert({{"ENTRY", "hccs_softmax"},
                {"FUNCTION", "softmax"},
                {"JIT_INPUTS", "logits: In"},
                {"SHAPE", fmt::format("NORMALISATION = \"{}\"\nELEMENTS = {}  # of a head in a block on one core",
                                      name(p.normalisation), SoftmaxLayout(p).elements())},
                {"SPLIT_HEADS", p.split_heads ? "True" : "False"},
                {"BLOCK_BYTES", fmt::format("\"logits\": {}", iron_block_bytes(p))},
                {"OUT_TYPE", std::string(name(p.output))},
                {"OUT_ELEMENTS", std::to_string(results)},
                {"PARAMETER_WORDS", std::to_string(iron_parameter_words(tile_heads(p)))},
                {"PARAMETER_BYTES", std::to_string(2 * iron_parameter_words(tile_heads(p)))},
                {"LOGIT_BYTES", std::to_string(iron_block_bytes(p))},
                {"RESULT_BYTES", std::to_string(results * out_bytes(p))},
                {"EXTRA", project_lines(p)},
                {"RUN_INDEX", layout_index(p)},
                {"RUN_LIMITS", has ? std::string(kRunLimits) : ""},
                {"MASK_VALUE", std::string(has ? kMaskValue : no_mask)},
                {"LIMITS_TEXT", has ? limits : ""},
                {"LIMITS_README", has ? limits : ""},
                {"MASK_TEXT", has ? std::string(kMaskText) : "none"}});
}

// ---- Data ----------------------------------------------------------------------------------------------------------

template <class Out>
Status add_softmax_data(const SoftmaxProject& p, std::vector<ProjectFile>& files) {
  std::vector<Out> expected(p.logits.size());
  const int64_t rows = p.blocks * p.block_rows();
  for (int64_t row = 0; row < head_count(p) * rows; ++row) {
    const auto at = static_cast<size_t>(row * p.length);
    const auto n = static_cast<size_t>(p.length);
    const int64_t block = row % rows / p.block_rows();
    const hccs::RowMask mask = masked(p) ? p.masks[block].row(row % p.block_rows()) : hccs::RowMask();
    HCCS_RETURN_IF_ERROR(softmax_reference(p.heads[row / rows].params, p.normalisation,
                                           std::span(p.logits).subspan(at, n), mask,
                                           std::span<Out>(expected).subspan(at, n)));
  }
  const std::vector<int64_t> shape = {head_count(p), rows, p.length};
  HCCS_RETURN_IF_ERROR(add_array("data/logits.npy", shape, std::span<const int8_t>(p.logits), files));
  return add_array("data/expected.npy", shape, std::span<const Out>(expected), files);
}

Status add_common_iron_files(const std::string& kernel, const Marks& marks, std::vector<ProjectFile>& files) {
  HCCS_RETURN_IF_ERROR(add_filled("iron/Makefile", "Makefile", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/design.py", "design.py", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/project.py", "project.py", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/compare.py", "compare.py", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/npy.h", "tools/npy.h", marks, files));
  const std::string headers[] = {fmt::format("kernels/{}.h", kernel)};
  return add_headers(headers, files);
}

// ---- Attention -----------------------------------------------------------------------------------------------------

void add_iron_marks(const AttentionProject& p, Marks& marks) {
  const AttentionLayout layout(p);
  const int64_t words = iron_parameter_words(tile_heads(p));
  const int64_t results = tile_heads(p) * layout.query_elements;
  marks.insert(
      {{"ENTRY", "hccs_attention"},
       {"FUNCTION", "attention"},
       {"JIT_INPUTS", "queries: In, keys_values: In"},
       {"SHAPE", fmt::format("HEAD_DIM = {}  # of q, k and v", p.head_dimension)},
       {"SPLIT_HEADS", "True"},
       {"BLOCK_BYTES", fmt::format("\"queries\": {}, \"keys_values\": {}", iron_query_bytes(p), iron_key_bytes(p))},
       {"OUT_TYPE", "int8"},
       {"OUT_ELEMENTS", std::to_string(results)},
       {"PARAMETER_WORDS", std::to_string(words)},
       {"PARAMETER_BYTES", std::to_string(2 * words)},
       {"QUERY_BYTES", std::to_string(iron_query_bytes(p))},
       {"KEY_BYTES", std::to_string(iron_key_bytes(p))},
       {"MASK_TEXT", std::string(kMaskText)},
       {"EXTRA", fmt::format("\n// What IRON hands to a core: queries with rescales and limits, keys with values, and "
                             "the heads' words, filled up.\n"
                             "constexpr unsigned kQueryBytes = {};\n"
                             "constexpr unsigned kRescales = {};  // where they begin\n"
                             "constexpr unsigned kKeyBytes = {};\n"
                             "constexpr unsigned kParameterWords = {};\n",
                             iron_query_bytes(p), results, iron_key_bytes(p), words)}});
}

Status add_attention_data(const AttentionProject& p, std::vector<ProjectFile>& files) {
  const int64_t rows = p.blocks * p.rows;
  const std::vector<int64_t> queries = {head_count(p), rows, p.head_dimension};
  const std::vector<int64_t> keys = {head_count(p), p.blocks * p.length, p.head_dimension};
  std::vector<int16_t> rescales;
  for (const hccs::Rescale& rescale : p.rescales) {
    rescales.push_back(static_cast<int16_t>(rescale.multiplier));
    rescales.push_back(static_cast<int16_t>(rescale.shift));
  }
  std::vector<int8_t> expected;
  for (int64_t head = 0; head < head_count(p); ++head) {
    for (int64_t block = 0; block < p.blocks; ++block) {
      HCCS_ASSIGN_OR_RETURN(const std::vector<int8_t> o, attention_results(p, head, block));
      expected.insert(expected.end(), o.begin(), o.end());
    }
  }
  HCCS_RETURN_IF_ERROR(add_array("data/q.npy", queries, std::span<const int8_t>(p.q), files));
  HCCS_RETURN_IF_ERROR(add_array("data/k.npy", keys, std::span<const int8_t>(p.k), files));
  HCCS_RETURN_IF_ERROR(add_array("data/v.npy", keys, std::span<const int8_t>(p.v), files));
  HCCS_RETURN_IF_ERROR(
      add_array("data/rescales.npy", {head_count(p), rows, 2}, std::span<const int16_t>(rescales), files));
  return add_array("data/expected.npy", queries, std::span<const int8_t>(expected), files);
}

// What both kinds of projects have.
Status add_common_iron_marks(Device npu, int64_t layer, int64_t tiles, std::span<const ExportedHead> heads,
                             int64_t head_dimension, std::span<const hccs::BlockMask> masks, Marks& marks) {
  add_device_marks(npu, tiles, marks);
  marks.insert({{"WHAT", fmt::format("layer {}", layer)},
                {"PYTHON_MASKS", python_masks(masks)},
                {"PYTHON_PARAMETERS", python_parameters(layer, heads)},
                {"LOGIT_HASHES", logit_lines("# ", layer, heads, head_dimension)}});
  HCCS_ASSIGN_OR_RETURN(marks["NOT_TRIED"], fill_template("iron/not_tried.md", marks));
  return {};
}

}  // namespace

int64_t iron_parameter_words(int64_t tile_heads) {
  return hccs_kernels::round_up(static_cast<unsigned>(tile_heads * kHeadWords), kIronAlignment / 2);
}

Expected<std::vector<ProjectFile>> iron_files(const AttentionProject& p) {
  Marks marks = device_marks(p.device, p.vitis, 0);
  add_attention_marks(p, marks);
  add_iron_marks(p, marks);
  HCCS_RETURN_IF_ERROR(add_common_iron_marks(p.device, p.layer, p.tiles, p.heads, p.head_dimension, p.masks, marks));
  std::vector<ProjectFile> files;
  HCCS_RETURN_IF_ERROR(add_filled("iron/attention_README.md", "README.md", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/attention_reference.py", "reference.py", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/project.h", "src/project.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/attention.cc", "src/attention_head.cc", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/run_attention.cc", "tools/run.cc", marks, files));
  HCCS_RETURN_IF_ERROR(add_common_iron_files("attention", marks, files));
  HCCS_RETURN_IF_ERROR(add_attention_data(p, files));
  return files;
}

Expected<std::vector<ProjectFile>> iron_files(const SoftmaxProject& p) {
  Marks marks = device_marks(p.device, p.vitis, 0);
  HCCS_RETURN_IF_ERROR(add_softmax_marks(p, marks));
  add_iron_marks(p, marks);
  HCCS_RETURN_IF_ERROR(add_common_iron_marks(p.device, p.layer, p.tiles, p.heads, p.head_dimension, p.masks, marks));
  std::vector<ProjectFile> files;
  HCCS_RETURN_IF_ERROR(add_filled("iron/softmax_README.md", "README.md", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/softmax_reference.py", "reference.py", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("softmax/project.h", "src/project.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/softmax.cc", "src/softmax.cc", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("iron/run_softmax.cc", "tools/run.cc", marks, files));
  HCCS_RETURN_IF_ERROR(add_common_iron_files(std::string(name(p.kernel)), marks, files));
  HCCS_RETURN_IF_ERROR(p.output == hccs::OutputType::kUint8 ? add_softmax_data<uint8_t>(p, files)
                                                            : add_softmax_data<int16_t>(p, files));
  return files;
}

}  // namespace aie_export
