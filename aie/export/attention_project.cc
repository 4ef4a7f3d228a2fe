// SPDX-License-Identifier: Apache-2.0
#include "aie/export/attention_project.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "aie/export/attention_layout.h"
#include "aie/export/attention_marks.h"
#include "aie/export/iron_project.h"
#include "aie/kernels/layout.h"

namespace aie_export {

using hccs::Expected;
using hccs::Status;
using hccs::StatusCode;

namespace {

Status refuse(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// The kernel's object, which has the scratch, is in the heap.
int64_t heap_bytes(const AttentionProject& p) { return AttentionLayout(p).scratch_bytes + kOtherHeapBytes; }

Status check_memory(const AttentionProject& p) {
  const AttentionLayout layout(p);
  const int64_t head = 2 * layout.query_elements + 2 * layout.key_elements + layout.rescale_bytes;
  const int64_t iron = layout.scratch_bytes + 2 * iron_parameter_words(tile_heads(p)) + 4 * kIronAlignment;
  const int64_t bytes = 2 * tile_heads(p) * head + (is_npu(p.device) ? iron : heap_bytes(p)) + kStackBytes;
  if (bytes <= kTileBytes) return {};
  return refuse(
      fmt::format("{} queries and {} keys of head dimension {} of {} head(s) need {} bytes on a tile (two buffers each "
                  "of q, k, v, rescales and o, scratch and stack), but a tile has {}; fewer --rows or a smaller "
                  "--length",
                  p.rows, p.length, p.head_dimension, tile_heads(p), bytes, kTileBytes));
}

// All but the number of tiles and their memory.
Status check_shape(const AttentionProject& p) {
  if (p.heads.empty()) return refuse("a project needs a head");
  for (const ExportedHead& head : p.heads) {
    HCCS_RETURN_IF_ERROR(hccs::validate(head.params, hccs::head_name(p.layer, head.number)));
  }
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
  return {};
}

Status check_data(const AttentionProject& p) {
  const auto has = [](const char* what, int64_t size, int64_t expected) {
    return size == expected ? Status() : refuse(fmt::format("{} {} instead of {}", size, what, expected));
  };
  const int64_t blocks = head_count(p) * p.blocks;
  if (p.blocks < 1) return refuse("the test needs a block");
  HCCS_RETURN_IF_ERROR(has("elements of q", std::ssize(p.q), blocks * p.rows * p.head_dimension));
  HCCS_RETURN_IF_ERROR(has("elements of k", std::ssize(p.k), blocks * p.length * p.head_dimension));
  HCCS_RETURN_IF_ERROR(has("elements of v", std::ssize(p.v), blocks * p.length * p.head_dimension));
  HCCS_RETURN_IF_ERROR(has("rescales", std::ssize(p.rescales), blocks * p.rows));
  return has("masks of blocks", std::ssize(p.masks), p.blocks);
}

// ---- The test's data, in the order in which they enter or leave the array ------------------------------------------

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

// Of a tile.
struct Streams {
  std::vector<int> q, k, v, rescales, results;
};

Expected<Streams> streams(const AttentionProject& p, int64_t tile) {
  const int64_t dh = p.head_dimension;
  const AttentionLayout layout(p);
  Streams all;
  for (int64_t block = 0; block < p.blocks; ++block) {
    for (int64_t head = tile * tile_heads(p); head < (tile + 1) * tile_heads(p); ++head) {
      const AttentionBlock of = block_of(p, head, block);
      for (int64_t r = 0; r < layout.padded_rows; ++r) {
        const hccs::Rescale rescale = r < p.rows ? of.rescales[r] : hccs::Rescale{};
        all.rescales.push_back(rescale.multiplier);
        all.rescales.push_back(rescale.shift);
      }
      HCCS_ASSIGN_OR_RETURN(const std::vector<int8_t> o, attention_results(p, head, block));
      append_tiles(of.q, dh, layout.padded_rows, 127, all.q);
      append_tiles(of.k, dh, layout.padded_length, 127, all.k);
      append_tiles(of.v, dh, layout.padded_length, 127, all.v);
      append_tiles(o, dh, layout.padded_rows, 0, all.results);
    }
  }
  return all;
}

Status add_data(const AttentionProject& p, std::vector<ProjectFile>& files) {
  for (int64_t tile = 0; tile < p.tiles; ++tile) {
    HCCS_ASSIGN_OR_RETURN(const Streams all, streams(p, tile));
    const std::string number = p.tiles > 1 ? fmt::format("_{}", tile) : "";
    files.push_back({fmt::format("data/q{}.txt", number), plio_text(all.q, 1)});
    files.push_back({fmt::format("data/k{}.txt", number), plio_text(all.k, 1)});
    files.push_back({fmt::format("data/v{}.txt", number), plio_text(all.v, 1)});
    files.push_back({fmt::format("data/rescales{}.txt", number), plio_text(all.rescales, 2, 4)});
    files.push_back({fmt::format("data/expected{}.txt", number), plio_text(all.results, 1)});
  }
  return {};
}

// What brings the data: the graph and its ports; and where the program that compares results finds a value.
Status add_graph_marks(const AttentionProject& p, Marks& marks) {
  const bool many = p.tiles > 1;
  marks.insert({{"EXTRA", ""},
                {"GRAPH_FILE", many ? "attention_tiles" : "attention_tile"},
                {"GRAPH", many ? "AttentionTiles<Attention, project::kTiles>" : "AttentionTile<Attention>"},
                {"PLIOS", many ? "[project::kTiles]" : ""},
                {"ORDER", many ? "; each tile has files of its own" : ""},
                {"COMPARE_STREAMS", std::to_string(p.tiles)},
                {"COMPARE_HEADS", std::to_string(tile_heads(p))},
                {"COMPARE_PARTS", "1"},
                {"COMPARE_ELEMENTS", "project::kPaddedRows * project::kHeadDim"},
                {"COMPARE_COLUMNS", "project::kHeadDim"},
                {"COMPARE_SPLIT", many ? "true" : "false"},
                {"COMPARE_INDEX", "hccs_kernels::attention_index(row, i, project::kHeadDim)"}});
  HCCS_ASSIGN_OR_RETURN(marks["CONNECT"],
                        fill_template(many ? "attention/connect_tiles.h" : "attention/connect_one.h", marks));
  return {};
}

}  // namespace

Status split_heads(int64_t tile_heads, AttentionProject& p) {
  HCCS_RETURN_IF_ERROR(check_shape(p));
  HCCS_ASSIGN_OR_RETURN(const int64_t each, deal_heads(head_count(p), tile_heads, p.device, [&](int64_t some) {
                          p.tiles = head_count(p) / some;
                          return check_memory(p);
                        }));
  p.tiles = head_count(p) / each;
  return {};
}

Status check(const AttentionProject& p) {
  HCCS_RETURN_IF_ERROR(check_shape(p));
  HCCS_RETURN_IF_ERROR(check_tiles(p.device, p.tiles));
  if (head_count(p) % p.tiles != 0) {
    return refuse(fmt::format("{} heads on {} tiles, but every tile has as many", head_count(p), p.tiles));
  }
  return check_memory(p);
}

Expected<std::vector<ProjectFile>> project_files(const AttentionProject& p) {
  HCCS_RETURN_IF_ERROR(check(p));
  HCCS_RETURN_IF_ERROR(check_data(p));
  if (is_npu(p.device)) return iron_files(p);
  Marks marks = device_marks(p.device, p.vitis, heap_bytes(p));
  add_attention_marks(p, marks);
  HCCS_RETURN_IF_ERROR(add_graph_marks(p, marks));
  std::vector<ProjectFile> files;
  HCCS_RETURN_IF_ERROR(add_filled("attention/README.md", "README.md", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/project.h", "src/project.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/attention_head.h", "src/attention_head.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/attention_head.cc", "src/attention_head.cc", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("attention/graph.h", "src/graph.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled(p.tiles > 1 ? "common/graph_masked_tiles.cpp" : "common/graph_masked.cpp",
                                  "src/graph.cpp", marks, files));
  HCCS_RETURN_IF_ERROR(add_common_files("attention", marks["GRAPH_FILE"], marks, files));
  HCCS_RETURN_IF_ERROR(add_data(p, files));
  return files;
}

}  // namespace aie_export
