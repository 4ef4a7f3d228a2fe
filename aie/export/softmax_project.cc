// SPDX-License-Identifier: Apache-2.0
#include "aie/export/softmax_project.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "aie/export/iron_project.h"
#include "aie/export/softmax_layout.h"
#include "aie/export/softmax_marks.h"
#include "aie/kernels/layout.h"
#include "hccs/deployability.h"

namespace aie_export {

using hccs::Expected;
using hccs::MaskKind;
using hccs::Normalisation;
using hccs::OutputType;
using hccs::Status;
using hccs::StatusCode;

namespace {

constexpr int64_t kMemoryTileBytes = 512 * 1024;
constexpr int64_t kMemoryTileChannels = 6;  // in, and as many out

Status refuse(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// Every tile has an input and an output of its own.
bool many_streams(const SoftmaxProject& p) { return p.tiles > 1 && !p.memory_tile; }

// ---- What cannot be built ------------------------------------------------------------------------------------------

Status check_shape(const SoftmaxProject& p) {
  if (p.heads.empty()) return refuse("a project needs a head");
  if (p.length < 1 || p.length > hccs::kMaxRowLength) {
    return refuse(fmt::format("length {}, but rows have 1..{} positions", p.length, hccs::kMaxRowLength));
  }
  if (p.tile_rows < 1 || p.tile_rows > 65536)
    return refuse(fmt::format("{} rows, but a tile has 1..65536", p.tile_rows));
  HCCS_RETURN_IF_ERROR(check_tiles(p.device, p.tiles));
  if (is_npu(p.device) && p.memory_tile) return refuse("a memory tile for all tiles is a board's, not an NPU's");
  if (p.split_heads && (p.memory_tile || head_count(p) % p.tiles != 0)) {
    return refuse(fmt::format("{} heads on {} tiles, but every tile has as many, and streams of its own", head_count(p),
                              p.tiles));
  }
  if (p.mask == MaskKind::kBits) return refuse("exported projects have no bit masks");
  for (const ExportedHead& head : p.heads) {
    const hccs::AieRows rows = masked(p) ? hccs::AieRows::kMasked : hccs::AieRows::kFull;
    HCCS_RETURN_IF_ERROR(hccs::check_aie(head.params, p.length, rows, hccs::head_name(p.layer, head.number)));
  }
  return {};
}

// What a kernel lacks.
Status check_kernel(const SoftmaxProject& p) {
  if (p.kernel == Kernel::kPaperRows) {
    if (p.normalisation == Normalisation::kScaled) {
      return refuse("paper_rows has the normalisations div and clb, not scaled");
    }
    if (p.length % hccs_kernels::kPaperRowsLanes != 0) {
      return refuse(
          fmt::format("length {}, but paper_rows needs a multiple of {}", p.length, hccs_kernels::kPaperRowsLanes));
    }
    for (const ExportedHead& head : p.heads) {
      if (head.params.knee_count > 1) {
        return refuse(fmt::format("{}: K = {}, but paper_rows has K = 1", hccs::head_name(p.layer, head.number),
                                  head.params.knee_count));
      }
    }
    if (masked(p)) return refuse("paper_rows has no masks");
  }
  if (masked(p) && p.tiles > 1 && !p.split_heads) {
    return refuse(fmt::format("masks go with one tile, not {}: a causal offset counts a tile's own rows", p.tiles));
  }
  if (p.kernel == Kernel::kTiles && p.normalisation == Normalisation::kScaled && p.output == OutputType::kInt16 &&
      p.length > hccs_kernels::kScaledWideLongest) {
    return refuse(fmt::format("length {}, but tiles has scaled to int16 for up to {}", p.length,
                              hccs_kernels::kScaledWideLongest));
  }
  return {};
}

Status check_memory(const SoftmaxProject& p) {
  // The layout's functions count up to 2^31 elements.
  const bool countable = p.tile_rows * p.length < int64_t{1} << 31;
  const SoftmaxLayout layout(p);
  const int64_t elements = tile_heads(p) * (countable ? layout.elements() : p.tile_rows * p.length);
  const int64_t iron = layout.scratch_bytes() + 2 * iron_parameter_words(tile_heads(p)) + 2 * kIronAlignment;
  const int64_t scratch = is_npu(p.device) ? iron : layout.heap_bytes();
  const int64_t others = countable ? scratch + layout.constant_bytes() : 0;
  const int64_t bytes = 2 * elements * (1 + out_bytes(p)) + others + kStackBytes;
  if (bytes > kTileBytes) {
    return refuse(
        fmt::format("{} rows of {} of {} head(s) need {} bytes on a tile (two buffers of logits, two of results, "
                    "scratch, constants and stack), but a tile has {}; fewer --rows or more --tiles",
                    p.tile_rows, p.length, tile_heads(p), bytes, kTileBytes));
  }
  if (!p.memory_tile) return {};
  if (p.tiles > kMemoryTileChannels) {
    return refuse(fmt::format("{} tiles, but a memory tile has {} channels in and {} out", p.tiles, kMemoryTileChannels,
                              kMemoryTileChannels));
  }
  if (2 * p.tiles * elements * out_bytes(p) > kMemoryTileBytes) {
    return refuse(fmt::format("two blocks of results need {} bytes, but a memory tile has {}; fewer --rows",
                              2 * p.tiles * elements * out_bytes(p), kMemoryTileBytes));
  }
  return {};
}

// ---- The test's data -----------------------------------------------------------------------------------------------

Status check_data(const SoftmaxProject& p) {
  const int64_t logits = head_count(p) * p.blocks * p.block_rows() * p.length;
  if (p.blocks < 1) return refuse("the test needs a block");
  if (std::ssize(p.logits) != logits) {
    return refuse(fmt::format("{} logits, but {} blocks have {}", p.logits.size(), p.blocks, logits));
  }
  const int64_t masks = masked(p) ? p.blocks : 0;
  if (std::ssize(p.masks) != masks)
    return refuse(fmt::format("{} masks of blocks instead of {}", p.masks.size(), masks));
  return {};
}

// One file's blocks, in the order in which they enter or leave the array.
struct Stream {
  std::vector<int> logits, results;
};

template <class Out>
Status append_tile(const SoftmaxProject& p, int64_t block, int64_t head, int64_t tile, Stream& stream) {
  const SoftmaxLayout layout(p);
  const size_t begin = stream.logits.size();
  const int64_t first_row = (head * p.blocks + block) * p.block_rows() + tile * p.tile_rows;
  // What no position owns may have any value; the largest would be seen if the kernel took it for one.
  stream.logits.resize(begin + layout.elements(), 127);
  stream.results.resize(begin + layout.elements(), 0);
  std::vector<Out> results(static_cast<size_t>(p.length));
  for (unsigned r = 0; r < layout.rows(); ++r) {
    const auto row = std::span(p.logits).subspan((first_row + r) * p.length, p.length);
    const hccs::RowMask mask = masked(p) ? p.masks[block].row(r) : hccs::RowMask();
    HCCS_RETURN_IF_ERROR(softmax_reference(p.heads[head].params, p.normalisation, row, mask, std::span<Out>(results)));
    const std::vector<int> logits(row.begin(), row.end());
    for (unsigned i = 0; i < layout.length(); ++i) {
      stream.logits[begin + layout.index(r, i)] = logits[i];
      stream.results[begin + layout.index(r, i)] = results[i];
    }
  }
  return {};
}

// One stream a tile, or one for all.
Expected<std::vector<Stream>> streams(const SoftmaxProject& p) {
  std::vector<Stream> all(p.memory_tile ? 1 : p.tiles);
  const int64_t row_tiles = p.split_heads ? 1 : p.tiles;  // that share a head's rows
  for (int64_t block = 0; block < p.blocks; ++block) {
    for (int64_t h = 0; h < head_count(p); ++h) {
      for (int64_t t = 0; t < row_tiles; ++t) {
        Stream& stream = all[p.split_heads ? h / tile_heads(p) : p.memory_tile ? 0 : t];
        HCCS_RETURN_IF_ERROR(p.output == OutputType::kUint8 ? append_tile<uint8_t>(p, block, h, t, stream)
                                                            : append_tile<int16_t>(p, block, h, t, stream));
      }
    }
  }
  return all;
}

Status add_data(const SoftmaxProject& p, std::vector<ProjectFile>& files) {
  HCCS_ASSIGN_OR_RETURN(const std::vector<Stream> all, streams(p));
  for (size_t t = 0; t < all.size(); ++t) {
    const std::string number = many_streams(p) ? fmt::format("_{}", t) : "";
    files.push_back({fmt::format("data/logits{}.txt", number), plio_text(all[t].logits, 1)});
    files.push_back({fmt::format("data/expected{}.txt", number), plio_text(all[t].results, out_bytes(p))});
  }
  return {};
}

// ---- The marks of the templates ------------------------------------------------------------------------------------

std::string graph_file(const SoftmaxProject& p) {
  if (p.tiles == 1) return "one_tile";
  return p.split_heads ? "split_heads" : "split_rows";
}

std::string graph_class(const SoftmaxProject& p) {
  if (p.tiles == 1) return masked(p) ? "OneTileMasked<Softmax>" : "OneTile<Softmax>";
  if (p.split_heads) return fmt::format("SplitHeads{}<Softmax, project::kTiles>", masked(p) ? "Masked" : "");
  if (!p.memory_tile) return "SplitRows<Softmax, project::kTiles>";
  return "SplitRowsMemoryTile<Softmax, project::Out, project::kTiles, project::kHeads, project::kElements>";
}

// Where the program that compares results finds a value.
void add_compare_marks(const SoftmaxProject& p, Marks& marks) {
  std::string index = fmt::format("hccs_kernels::{}_index(row, i, project::kLength", name(p.kernel));
  index += p.kernel == Kernel::kTiles ? fmt::format(", {})", facts(p.device).arch) : ")";
  marks.insert({{"COMPARE_STREAMS", std::to_string(many_streams(p) ? p.tiles : 1)},
                {"COMPARE_HEADS", std::to_string(tile_heads(p))},
                {"COMPARE_PARTS", std::to_string(p.memory_tile ? p.tiles : 1)},
                {"COMPARE_ELEMENTS", "project::kElements"},
                {"COMPARE_COLUMNS", "project::kLength"},
                {"COMPARE_SPLIT", p.split_heads ? "true" : "false"},
                {"COMPARE_INDEX", index}});
}

// What brings the data: the graph, its ports, and run-time parameters for masks.
Status add_graph_marks(const SoftmaxProject& p, Marks& marks) {
  const bool has = masked(p);
  marks.insert({{"GRAPH_FILE", graph_file(p)},
                {"GRAPH", graph_class(p)},
                {"PLIOS", many_streams(p) ? "[project::kTiles]" : ""},
                {"ORDER", p.memory_tile     ? ", tile after tile"
                          : many_streams(p) ? "; each tile has files of its own"
                                            : ""}});
  HCCS_ASSIGN_OR_RETURN(std::string connect,
                        fill_template(many_streams(p) ? "softmax/connect_tiles.h" : "softmax/connect_one.h", marks));
  HCCS_ASSIGN_OR_RETURN(
      const std::string connect_masks,
      fill_template(many_streams(p) ? "softmax/connect_masks_of_tiles.h" : "softmax/connect_masks.h", marks));
  // paper_rows takes no mask.
  const std::string_view value =
      p.kernel == Kernel::kPaperRows ? ""
      : has ? "  const hccs_kernels::BlockMask mask = {valid_length, true, causal_offset, nullptr};\n"
            : "  const hccs_kernels::BlockMask mask;\n";
  marks.insert(
      {{"CONNECT", has ? connect + connect_masks : connect},
       {"DECLARED_MASK", has ? ",\n           int32 valid_length, int32 causal_offset" : ""},
       {"DEFINED_MASK", has ? ",\n                  int32 valid_length, int32 causal_offset" : ""},
       {"MASK_PORTS", has ? fmt::format("  adf::input_port valid_length{0}, causal_offset{0};\n", marks["PLIOS"]) : ""},
       {"EXTRA", ""},
       {"MASK_VALUE", std::string(value)},
       {"MASK_TEXT", has ? "valid length and causal offset, run-time parameters; `kMasks` in src/project.h has "
                           "those of the test's blocks"
                         : "none"}});
  return {};
}

}  // namespace

std::string_view name(Kernel kernel) noexcept {
  switch (kernel) {
    case Kernel::kRows:
      return "rows";
    case Kernel::kTiles:
      return "tiles";
    case Kernel::kPaperRows:
      return "paper_rows";
  }
  return "";
}

std::optional<Kernel> parse_kernel(std::string_view text) noexcept {
  for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles, Kernel::kPaperRows}) {
    if (text == name(kernel)) return kernel;
  }
  return std::nullopt;
}

Status split_heads(int64_t tile_heads, SoftmaxProject& p) {
  const auto deal = [&](int64_t each) {
    p.tiles = head_count(p) / each;
    p.split_heads = p.tiles > 1;
  };
  HCCS_ASSIGN_OR_RETURN(const int64_t each, deal_heads(head_count(p), tile_heads, p.device, [&](int64_t some) {
                          deal(some);
                          return check_memory(p);
                        }));
  deal(each);
  return {};
}

Status check(const SoftmaxProject& project) {
  HCCS_RETURN_IF_ERROR(check_shape(project));
  HCCS_RETURN_IF_ERROR(check_kernel(project));
  return check_memory(project);
}

Expected<std::vector<ProjectFile>> project_files(const SoftmaxProject& p) {
  HCCS_RETURN_IF_ERROR(check(p));
  HCCS_RETURN_IF_ERROR(check_data(p));
  if (is_npu(p.device)) return iron_files(p);
  Marks marks = device_marks(p.device, p.vitis, SoftmaxLayout(p).heap_bytes());
  HCCS_RETURN_IF_ERROR(add_softmax_marks(p, marks));
  HCCS_RETURN_IF_ERROR(add_graph_marks(p, marks));
  add_compare_marks(p, marks);
  const std::string_view graph_source = !masked(p)        ? "common/graph.cpp"
                                        : many_streams(p) ? "common/graph_masked_tiles.cpp"
                                                          : "common/graph_masked.cpp";
  std::vector<ProjectFile> files;
  HCCS_RETURN_IF_ERROR(add_filled("softmax/README.md", "README.md", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("softmax/project.h", "src/project.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("softmax/softmax.h", "src/softmax.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("softmax/softmax.cc", "src/softmax.cc", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("softmax/graph.h", "src/graph.h", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled(graph_source, "src/graph.cpp", marks, files));
  HCCS_RETURN_IF_ERROR(add_common_files(name(p.kernel), graph_file(p), marks, files));
  HCCS_RETURN_IF_ERROR(add_data(p, files));
  return files;
}

}  // namespace aie_export
