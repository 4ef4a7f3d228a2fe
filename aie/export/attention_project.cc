// SPDX-License-Identifier: Apache-2.0
#include "aie/export/attention_project.h"

#include <fmt/core.h>

#include <utility>

#include "aie/kernels/layout.h"

namespace aie_export {

using hccs::Expected;
using hccs::Status;
using hccs::StatusCode;

namespace {

Status refuse(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

int64_t padded_rows(const AttentionProject& p) { return hccs_kernels::attention_rows(static_cast<unsigned>(p.rows)); }
int64_t padded_length(const AttentionProject& p) {
  return hccs_kernels::attention_positions(static_cast<unsigned>(p.length));
}
int64_t scratch_bytes(const AttentionProject& p) {
  return hccs_kernels::attention_scratch_bytes(static_cast<unsigned>(p.length),
                                               static_cast<unsigned>(p.head_dimension));
}
// The kernel's object, which has the scratch, is in the heap.
int64_t heap_bytes(const AttentionProject& p) { return scratch_bytes(p) + kOtherHeapBytes; }

Status check_data(const AttentionProject& p) {
  const auto has = [](const char* what, int64_t size, int64_t expected) {
    return size == expected ? Status() : refuse(fmt::format("{} {} instead of {}", size, what, expected));
  };
  if (p.blocks < 1) return refuse("the test needs a block");
  HCCS_RETURN_IF_ERROR(has("elements of q", std::ssize(p.q), p.blocks * p.rows * p.head_dimension));
  HCCS_RETURN_IF_ERROR(has("elements of k", std::ssize(p.k), p.blocks * p.length * p.head_dimension));
  HCCS_RETURN_IF_ERROR(has("elements of v", std::ssize(p.v), p.blocks * p.length * p.head_dimension));
  HCCS_RETURN_IF_ERROR(has("rescales", std::ssize(p.rescales), p.blocks * p.rows));
  return has("masks of blocks", std::ssize(p.masks), p.blocks);
}

// Appends a [rows, columns] matrix in the kernel's layout; what pads it is `padding`.
void append_tiles(std::span<const int8_t> matrix, int64_t columns, int64_t padded_rows, int padding,
                  std::vector<int>& to) {
  const std::vector<int> values(matrix.begin(), matrix.end());
  const size_t begin = to.size();
  to.resize(begin + padded_rows * columns, padding);
  for (size_t e = 0; e < values.size(); ++e) {
    const auto row = static_cast<unsigned>(e / columns);
    const auto column = static_cast<unsigned>(e % columns);
    to[begin + hccs_kernels::attention_index(row, column, static_cast<unsigned>(columns))] = values[e];
  }
}

struct Streams {
  std::vector<int> q, k, v, rescales, results;
};

Expected<Streams> streams(const AttentionProject& p) {
  const int64_t dh = p.head_dimension;
  Streams all;
  std::vector<int8_t> o(p.rows * dh);
  for (int64_t block = 0; block < p.blocks; ++block) {
    const auto queries = std::span(p.q).subspan(block * p.rows * dh, p.rows * dh);
    const auto keys = std::span(p.k).subspan(block * p.length * dh, p.length * dh);
    const auto values = std::span(p.v).subspan(block * p.length * dh, p.length * dh);
    for (int64_t r = 0; r < padded_rows(p); ++r) {
      const hccs::Rescale rescale = r < p.rows ? p.rescales[block * p.rows + r] : hccs::Rescale{};
      all.rescales.push_back(rescale.multiplier);
      all.rescales.push_back(rescale.shift);
      if (r >= p.rows) continue;
      HCCS_RETURN_IF_ERROR(attention_reference(p.head.params, rescale, queries.subspan(r * dh, dh), keys, values,
                                               p.masks[block].row(r), std::span(o).subspan(r * dh, dh)));
    }
    append_tiles(queries, dh, padded_rows(p), 127, all.q);
    append_tiles(keys, dh, padded_length(p), 127, all.k);
    append_tiles(values, dh, padded_length(p), 127, all.v);
    append_tiles(o, dh, padded_rows(p), 0, all.results);
  }
  return all;
}

Marks marks_of(const AttentionProject& p) {
  Marks marks = device_marks(p.device, p.vitis, heap_bytes(p));
  marks.insert({{"TITLE", "Attention of one head on an AI Engine"},
                {"SOURCE", "attention_head"},
                {"MODEL", plain(p.model)},
                {"HEAD_NAME", hccs::head_name(p.layer, p.head.number)},
                {"KNEES", std::to_string(p.head.params.knee_count)},
                {"HEAD_DIM", std::to_string(p.head_dimension)},
                {"ROWS", std::to_string(p.rows)},
                {"LENGTH", std::to_string(p.length)},
                {"PADDED_ROWS", std::to_string(padded_rows(p))},
                {"PADDED_LENGTH", std::to_string(padded_length(p))},
                {"SCRATCH_BYTES", std::to_string(scratch_bytes(p))},
                {"BLOCKS", std::to_string(p.blocks)},
                {"STEP", fmt::format("{}", p.head.step)},
                {"HEAD_NUMBERS", std::to_string(p.head.number)},
                {"LOGIT_RULE", logit_rule(p.head_dimension)},
                {"LOGIT_COMMENTS", logit_lines("// ", p.layer, {&p.head, 1}, p.head_dimension)},
                {"LOGIT_LINES", logit_lines("    ", p.layer, {&p.head, 1}, p.head_dimension)},
                {"COMPARE_STREAMS", "1"},
                {"COMPARE_HEADS", "1"},
                {"COMPARE_PARTS", "1"},
                {"COMPARE_ELEMENTS", "project::kPaddedRows * project::kHeadDim"},
                {"COMPARE_COLUMNS", "project::kHeadDim"},
                {"COMPARE_SPLIT", "false"},
                {"COMPARE_INDEX", "hccs_kernels::attention_index(row, i, project::kHeadDim)"},
                {"PARAMETERS", parameter_lines(p.layer, {&p.head, 1})},
                {"MASKS", mask_lines(p.masks)},
                {"ORIGIN", plain(p.origin)}});
  return marks;
}

}  // namespace

Status check(const AttentionProject& p) {
  HCCS_RETURN_IF_ERROR(hccs::validate(p.head.params, hccs::head_name(p.layer, p.head.number)));
  if (p.length < 1 || p.length > hccs::kMaxRowLength) {
    return refuse(fmt::format("length {}, but rows have 1..{} positions", p.length, hccs::kMaxRowLength));
  }
  if (p.rows < 1 || p.rows > 65536) return refuse(fmt::format("{} rows, but a block has 1..65536", p.rows));
  if (p.head_dimension == 0) {
    return refuse(
        "the parameter file does not say the head dimension, which attention needs: hccs calibrate --logits takes "
        "--head-dimension");
  }
  if (p.head_dimension < 0 || p.head_dimension > hccs::kMaxHeadDimension || p.head_dimension % 16 != 0) {
    return refuse(fmt::format("head dimension {}, but attention needs a multiple of 16", p.head_dimension));
  }
  const int64_t bytes = 2 * (2 * (padded_rows(p) + padded_length(p)) * p.head_dimension + 4 * padded_rows(p)) +
                        heap_bytes(p) + kStackBytes;
  if (bytes > kTileBytes) {
    return refuse(
        fmt::format("{} queries and {} keys of head dimension {} need {} bytes on a tile (two buffers each of q, k, "
                    "v, rescales and o, heap and stack), but a tile has {}; fewer --rows or a smaller --length",
                    p.rows, p.length, p.head_dimension, bytes, kTileBytes));
  }
  return {};
}

Expected<std::vector<ProjectFile>> project_files(const AttentionProject& p) {
  HCCS_RETURN_IF_ERROR(check(p));
  HCCS_RETURN_IF_ERROR(check_data(p));
  const Marks marks = marks_of(p);
  std::vector<ProjectFile> files;
  HCCS_RETURN_IF_ERROR(add_filled("attention/README.md", "README.md", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/project.h", "src/project.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/attention_head.h", "src/attention_head.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/attention_head.cc", "src/attention_head.cc", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/graph.h", "src/graph.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("common/graph_masked.cpp", "src/graph.cpp", marks, files));
  HCCS_RETURN_IF_ERROR(add_common_files("attention", "attention_tile", marks, files));
  HCCS_ASSIGN_OR_RETURN(const Streams all, streams(p));
  files.push_back({"data/q.txt", plio_text(all.q, 1)});
  files.push_back({"data/k.txt", plio_text(all.k, 1)});
  files.push_back({"data/v.txt", plio_text(all.v, 1)});
  files.push_back({"data/rescales.txt", plio_text(all.rescales, 2, 4)});
  files.push_back({"data/expected.txt", plio_text(all.results, 1)});
  return files;
}

}  // namespace aie_export
