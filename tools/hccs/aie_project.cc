// SPDX-License-Identifier: Apache-2.0
#include "aie_project.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "aie_project_text.h"
#include "hccs/param_file.h"
#include "hccs/version.h"

namespace hccs::tool {
namespace {

constexpr int64_t kMemoryTileBytes = 512 * 1024;  // of a memory tile
constexpr int64_t kMemoryTileChannels = 6;        // in, and as many out
constexpr int64_t kRowsGroupBytes = 1024;         // at least a group of 16 rows, apart from what depends on n
constexpr int64_t kRowsMaskBytes = 2048;          // at least its table of mask words
constexpr int64_t kTilesBytes = 4160;             // on AIE-ML, which needs more than v2; and for each knee:
constexpr int64_t kTilesKneeBytes = 1024;
constexpr int64_t kTilesWideLongest = 8192;

std::string_view kernel_name(AieKernel kernel) {
  switch (kernel) {
    case AieKernel::kRows:
      return "rows";
    case AieKernel::kTiles:
      return "tiles";
    case AieKernel::kPaperRows:
      return "paper_rows";
  }
  return "";
}

int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
int64_t heads(const AieProject& p) { return static_cast<int64_t>(p.heads.size()); }
int64_t out_bytes(const AieProject& p) { return p.output == OutputType::kUint8 ? 1 : 2; }

int64_t knees(const AieProject& p) {
  int64_t most = 1;
  for (const ExportedHead& head : p.heads) most = std::max<int64_t>(most, head.params.knee_count);
  return most;
}

// The kernels' layouts (aie/kernels/rows.h, tiles.h, paper_rows.h); the exported softmax.cc compares the
// number of elements with the kernel's.
int64_t row_pitch(const AieProject& p) {
  if (p.kernel == AieKernel::kPaperRows) return p.length;
  return p.length <= 32 ? 32 : round_up(p.length, 64);
}
int64_t band_elements(const AieProject& p) { return round_up(p.length * facts(p.device).band_rows, 64); }

int64_t tile_elements(const AieProject& p) {
  if (p.kernel == AieKernel::kTiles)
    return (p.tile_rows + facts(p.device).band_rows - 1) / facts(p.device).band_rows * band_elements(p);
  return p.kernel == AieKernel::kPaperRows ? p.tile_rows * p.length : round_up(p.tile_rows * row_pitch(p), 64);
}

int64_t element(const AieProject& p, int64_t row, int64_t i) {
  if (p.kernel != AieKernel::kTiles) return row * row_pitch(p) + i;
  const int64_t band = facts(p.device).band_rows;
  return row / band * band_elements(p) + i / 8 * band * 8 + row % band * 8 + i % 8;
}

// Room for the kernel's scratch; the exported softmax.cc checks that it is enough.
int64_t scratch_bytes(const AieProject& p) {
  if (p.kernel == AieKernel::kPaperRows) return round_up(2 * p.length, 64);
  if (p.kernel == AieKernel::kTiles) return kTilesBytes + kTilesKneeBytes * knees(p);
  const int64_t groups = (p.tile_rows + 15) / 16;
  // Maxima and sums are kept for each segment: so many blocks of 64 positions as divide a row.
  const int64_t blocks = std::max<int64_t>(row_pitch(p) / 64, 1);
  const int64_t segment = std::gcd<int64_t>(blocks, knees(p) <= 2 ? 4 : 2);
  const int64_t planes = knees(p) + 1;
  return groups * (kRowsGroupBytes + blocks / segment * (8 * 64 + planes * 256)) + planes * 512;
}
int64_t heap_bytes(const AieProject& p) { return scratch_bytes(p) + kOtherHeapBytes; }

// One file's blocks, in the order in which they enter or leave the array.
struct Stream {
  std::vector<int> logits, results;
};

template <class Out>
Status append_tile(const AieProject& p, int64_t block, int64_t head, int64_t tile, Stream& stream) {
  const size_t begin = stream.logits.size();
  const int64_t rows = p.blocks * p.tiles * p.tile_rows;
  const int64_t first_row = (block * p.tiles + tile) * p.tile_rows;
  // What no position owns may have any value; the largest would be seen if the kernel took it for one.
  stream.logits.resize(begin + tile_elements(p), 127);
  stream.results.resize(begin + tile_elements(p), 0);
  std::vector<Out> results(static_cast<size_t>(p.length));
  for (int64_t r = 0; r < p.tile_rows; ++r) {
    const auto row = std::span(p.logits).subspan((head * rows + first_row + r) * p.length, p.length);
    RowMask mask;
    if (p.masked) mask = p.masks[block].row(r);
    HCCS_RETURN_IF_ERROR(softmax_reference(p.heads[head].params, p.normalisation, row, mask, std::span<Out>(results)));
    const std::vector<int> logits(row.begin(), row.end());
    for (int64_t i = 0; i < p.length; ++i) {
      stream.logits[begin + element(p, r, i)] = logits[i];
      stream.results[begin + element(p, r, i)] = results[i];
    }
  }
  return {};
}

// One stream a tile, or one for all.
Expected<std::vector<Stream>> streams(const AieProject& p) {
  std::vector<Stream> all(p.memory_tile ? 1 : p.tiles);
  for (int64_t block = 0; block < p.blocks; ++block) {
    for (int64_t h = 0; h < heads(p); ++h) {
      for (int64_t t = 0; t < p.tiles; ++t) {
        Stream& stream = all[p.memory_tile ? 0 : t];
        HCCS_RETURN_IF_ERROR(p.output == OutputType::kUint8 ? append_tile<uint8_t>(p, block, h, t, stream)
                                                            : append_tile<int16_t>(p, block, h, t, stream));
      }
    }
  }
  return all;
}

constexpr std::string_view kProjectHeader = R"(// What this project was exported for: layer @LAYER@ of @MODEL@.
#ifndef PROJECT_H_
#define PROJECT_H_

#include <adf.h>

namespace project {

constexpr unsigned kHeads = @HEADS@;
constexpr unsigned kKnees = @KNEES@;
constexpr unsigned kLength = @LENGTH@;  // n, positions of a row
constexpr unsigned kRows = @ROWS@;  // of a head in a block, on one tile
constexpr unsigned kTiles = @TILES@;
constexpr unsigned kElements = @ELEMENTS@;  // of a head in a block on one tile, in the kernel's layout
constexpr unsigned kBlocks = @BLOCKS@;  // in the files of data/
typedef @OUT@ Out;
@BLOCK_MASKS@
// B, K, S_1..S_4, D_1..D_4 of each head.
constexpr unsigned kHeadWords = 10;
constexpr int16 kHeadParameters[kHeads * kHeadWords] = {
@PARAMETERS@};

}  // namespace project

#endif  // PROJECT_H_
)";

constexpr std::string_view kSoftmaxHeader =
    R"(// The kernel: its declaration, which is all that the graph needs. The AIE API is needed by softmax.cc only.
#ifndef SOFTMAX_H_
#define SOFTMAX_H_

#include <adf.h>

#include "project.h"

class Softmax {
 public:
  typedef const int16 (&Heads)[project::kHeads * project::kHeadWords];
  explicit Softmax(Heads heads);

  void run(adf::input_buffer<int8, adf::extents<project::kHeads * project::kElements>>& logits,
           adf::output_buffer<project::Out, adf::extents<project::kHeads * project::kElements>>& out@DECLARED_MASK@);

  static void registerKernelClass() {
    REGISTER_FUNCTION(Softmax::run);
    REGISTER_PARAMETER(heads_);
  }

 private:
  Heads heads_;
};

#endif  // SOFTMAX_H_
)";

constexpr std::string_view kSoftmaxSource = R"(#include "softmax.h"

#include "kernels/@KERNEL@.h"

namespace {

static_assert(hccs_kernels::kHeadWords == project::kHeadWords, "project.h is of another version of the kernels");

constexpr bool heads_are_served() {
  for (unsigned h = 0; h < project::kHeads; ++h) {
    const int16* words = project::kHeadParameters + h * project::kHeadWords;
    const hccs_kernels::HccsHead head = hccs_kernels::head_from_words(words);
    if (hccs_kernels::head_error(head, project::kKnees, project::kLength, hccs_kernels::MaskKind::@MASK@) != nullptr) {
      return false;
    }
  }
  return true;
}
static_assert(heads_are_served(), "project.h: parameters that the kernel does not serve; see head_error in kernels/hccs_head.h");

@SCRATCH@
// The scratch is part of what aie.cfg gives to the heap.
static_assert(sizeof(scratch) <= @SCRATCH_BYTES@, "heapsize in aie.cfg is too small");

}  // namespace

Softmax::Softmax(Heads heads) : heads_(heads) {}

void Softmax::run(adf::input_buffer<int8, adf::extents<project::kHeads * project::kElements>>& logits,
                  adf::output_buffer<project::Out, adf::extents<project::kHeads * project::kElements>>& out@DEFINED_MASK@) {
  const int8* from = logits.data();
  project::Out* to = out.data();
@THE_MASK@  for (unsigned h = 0; h < project::kHeads; ++h) {
    const hccs_kernels::HccsHead head = hccs_kernels::head_from_words(heads_ + h * project::kHeadWords);
    @CALL@
  }
}
)";

constexpr std::string_view kScratch =
    R"(using Kernel = hccs_kernels::@CLASS@<hccs_kernels::Normalisation::@NORMALISATION@, project::Out, project::kLength,
                                    project::kRows, project::kKnees, hccs_kernels::MaskKind::@MASK@>;
static_assert(Kernel::kElements == project::kElements, "project.h is of another version of the kernels");

alignas(aie::vector_decl_align) Kernel::Scratch scratch;
)";
constexpr std::string_view kCall =
    "Kernel::run(from + h * project::kElements, to + h * project::kElements, head, mask, scratch);";

constexpr std::string_view kPaperRowsScratch =
    R"(static_assert(project::kKnees == 1 && project::kLength % 32 == 0, "paper_rows: K = 1, n a multiple of 32");

alignas(aie::vector_decl_align) int16 scratch[project::kLength];
)";
constexpr std::string_view kPaperRowsCall =
    "hccs_kernels::softmax_paper_rows<hccs_kernels::Normalisation::@NORMALISATION@>(\n"
    "        from + h * project::kElements, to + h * project::kElements, project::kRows, project::kLength, head, "
    "scratch);";

constexpr std::string_view kGraphHeader = R"(#ifndef GRAPH_H_
#define GRAPH_H_

#include <adf.h>

#include <string>
#include <vector>

#include "graph/@GRAPH_FILE@.h"
#include "project.h"
#include "softmax.h"

class Project : public adf::graph {
 public:
  adf::input_plio logits@PLIOS@;
  adf::output_plio out@PLIOS@;
@LIMIT_PORTS@  hccs_graphs::@GRAPH@ softmax;

  Project() : softmax(heads()) {
@CONNECT@  }

 private:
  static std::vector<int16> heads() {
    return std::vector<int16>(project::kHeadParameters,
                              project::kHeadParameters + project::kHeads * project::kHeadWords);
  }
};

#endif  // GRAPH_H_
)";

constexpr std::string_view kConnectOne =
    R"(    logits = adf::input_plio::create("logits", adf::plio_128_bits, "data/logits.txt");
    out = adf::output_plio::create("out", adf::plio_128_bits, "data/out.txt");
    adf::connect(logits.out[0], softmax.logits);
    adf::connect(softmax.out, out.in[0]);
)";
constexpr std::string_view kConnectMany = R"(    for (unsigned t = 0; t < project::kTiles; ++t) {
      const std::string number = std::to_string(t);
      logits[t] = adf::input_plio::create("logits_" + number, adf::plio_128_bits, "data/logits_" + number + ".txt");
      out[t] = adf::output_plio::create("out_" + number, adf::plio_128_bits, "data/out_" + number + ".txt");
      adf::connect(logits[t].out[0], softmax.logits[t]);
      adf::connect(softmax.out[t], out[t].in[0]);
    }
)";

constexpr std::string_view kConnectMask = R"(    adf::connect<adf::parameter>(valid_length, softmax.valid_length);
    adf::connect<adf::parameter>(causal_offset, softmax.causal_offset);
)";

constexpr std::string_view kGraphSource = R"(#include "graph.h"

Project project_graph;

// For the simulators and for aie/host. On a board the application calls the same functions.
#if defined(__AIESIM__) || defined(__X86SIM__) || defined(HCCS_AIE_HOST)
int main() {
  project_graph.init();
  project_graph.run(project::kBlocks);
  project_graph.end();
  return 0;
}
#endif
)";

constexpr std::string_view kReadme = R"(# Row softmax on AI Engines

Exported by hccs @VERSION@: Head-Calibrated Clipped-Linear Softmax of int8 rows, for the @BOARD@ (@CORE@).

|                |   |
|----------------|---|
| model          | @MODEL@, layer @LAYER@, heads @HEAD_NUMBERS@ |
| rows           | n = @LENGTH@; a block has @BLOCK_ROWS@ rows of each head |
| probabilities  | @OUTPUT@, p/@FULL_SCALE@; `@NORMALISATION_NAME@` |
| kernel         | `@KERNEL@`, compiled for K = @KNEES@ |
| graph          | `@GRAPH_FILE@`, @TILES@ tile(s) |
| masks          | @MASK_TEXT@ |
| test           | @BLOCKS@ blocks; logits: @ORIGIN@ |

    make host      # builds and runs the project here, without AMD's tools: results equal data/expected*.txt byte for byte
    make aie       # libadf.a; needs Vitis 2025.2 (source settings64.sh) and the platform @PLATFORM@
    make x86sim    # AMD's functional simulation, compared
    make aiesim    # AMD's simulation of the device, compared

`make aie PLATFORM=/path/to/platform.xpfm` takes another platform. `src/project.h` has the parameters of the heads.

## Files

    src/        project.h (parameters), softmax.h and softmax.cc (the kernel), graph.h and graph.cpp
    kernels/    the kernels' headers, plain AIE API
    graph/      the graph's header, plain ADF
    data/       logits*.txt: inputs; expected*.txt: results, computed by the definition of the softmax, not by the kernel
    host/       AIE API and ADF as headers for any C++20 compiler: only for make host (HCCS_AIE_HOST names another copy)
    aie.cfg     options of the AI Engine compiler

Each line of data/ is one beat of 128 bits. A block is, head after head, the rows of that head in the kernel's
layout@ORDER@. The layout is described at the top of kernels/@KERNEL@.h.

## What was tried, and what only hardware can say

Tried: this project's kernel, graph and data on `host/`, which is hccs's own implementation of the AIE API and ADF, written
from AMD's public documentation and sources. There, results equal the definition bit for bit.

Not tried, as none of it was at hand: v++, x86simulator, aiesimulator and boards. So these are open:

- whether v++ takes the sources and aie.cfg as they are, the name of the platform, and the memory that it gives to buffers;
- stack and heap: @STACK@ and @HEAP@ bytes in aie.cfg are estimates on the safe side;
- speed: cycles, throughput, and whether the PLIOs (128 bits at 312.5 MHz) or the kernel limit it.

If `make x86sim` or `make aiesim` finds another result than data/expected*.txt, that is a defect of ours: please report it
with the output file.
)";

}  // namespace

std::optional<AieKernel> parse_aie_kernel(std::string_view text) noexcept {
  for (const AieKernel kernel : {AieKernel::kRows, AieKernel::kTiles, AieKernel::kPaperRows}) {
    if (text == kernel_name(kernel)) return kernel;
  }
  return std::nullopt;
}

Status check(const AieProject& p) {
  const auto refuse = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (p.kernel == AieKernel::kPaperRows) {
    if (p.normalisation == Normalisation::kScaled)
      return refuse("paper_rows has the normalisations div and clb, not scaled");
    if (p.length % 32 != 0) return refuse(fmt::format("length {}, but paper_rows needs a multiple of 32", p.length));
    for (const ExportedHead& head : p.heads) {
      if (head.params.knee_count > 1) {
        return refuse(fmt::format("{}: K = {}, but paper_rows has K = 1", head_name(p.layer, head.number),
                                  head.params.knee_count));
      }
    }
  }
  if (p.masked && p.kernel == AieKernel::kPaperRows) return refuse("paper_rows has no masks");
  if (p.masked && p.tiles > 1) {
    return refuse(fmt::format("masks go with one tile, not {}: a causal offset counts a tile's own rows", p.tiles));
  }
  if (p.kernel == AieKernel::kTiles && p.normalisation == Normalisation::kScaled && p.output == OutputType::kInt16 &&
      p.length > kTilesWideLongest) {
    return refuse(fmt::format("length {}, but tiles has scaled to int16 for up to {}", p.length, kTilesWideLongest));
  }
  const int64_t elements = heads(p) * tile_elements(p);
  const int64_t constants = p.kernel == AieKernel::kRows ? kRowsMaskBytes : 0;
  const int64_t bytes = 2 * elements * (1 + out_bytes(p)) + heap_bytes(p) + kStackBytes + constants;
  if (bytes > kTileBytes) {
    return refuse(
        fmt::format("{} rows of {} of {} head(s) need {} bytes on a tile (two buffers of logits, two of results, "
                    "scratch, constants and stack), but a tile has {}; fewer --rows or more --tiles",
                    p.tile_rows, p.length, heads(p), bytes, kTileBytes));
  }
  if (p.memory_tile) {
    if (p.tiles > kMemoryTileChannels) {
      return refuse(fmt::format("{} tiles, but a memory tile has {} channels in and {} out", p.tiles,
                                kMemoryTileChannels, kMemoryTileChannels));
    }
    if (2 * p.tiles * elements * out_bytes(p) > kMemoryTileBytes) {
      return refuse(fmt::format("two blocks of results need {} bytes, but a memory tile has {}; fewer --rows",
                                2 * p.tiles * elements * out_bytes(p), kMemoryTileBytes));
    }
  }
  return {};
}

Expected<std::vector<ProjectFile>> project_files(const AieProject& p) {
  const DeviceFacts on = facts(p.device);
  const bool many = p.tiles > 1 && !p.memory_tile;
  const bool wide = p.output == OutputType::kInt16;
  const std::string graph_file = p.tiles == 1 ? "one_tile" : "split_rows";
  const std::string graph =
      p.masked       ? "OneTileMasked<Softmax>"
      : p.tiles == 1 ? "OneTile<Softmax>"
      : many         ? "SplitRows<Softmax, project::kTiles>"
             : "SplitRowsMemoryTile<Softmax, project::Out, project::kTiles, project::kHeads, project::kElements>";
  std::string head_numbers;
  for (const ExportedHead& head : p.heads)
    head_numbers += fmt::format("{}{}", head_numbers.empty() ? "" : ", ", head.number);
  const std::string order = p.memory_tile ? ", tile after tile" : many ? "; each tile has files of its own" : "";
  const bool paper_rows = p.kernel == AieKernel::kPaperRows;
  const Marks marks = {
      // These contain further marks.
      {"SCRATCH", std::string(paper_rows ? kPaperRowsScratch : kScratch)},
      {"CALL", std::string(paper_rows ? kPaperRowsCall : kCall)},
      {"CONNECT", std::string(many ? kConnectMany : kConnectOne) + std::string(p.masked ? kConnectMask : "")},
      {"BLOCK_MASKS",
       p.masked ? "\n// valid_length and causal_offset of each block: row r of a head sees the positions below "
                  "valid_length and\n// up to r + causal_offset.\nconstexpr int32 kMasks[kBlocks][2] = {\n" +
                      mask_lines(p.masks) + "};\n"
                : ""},
      {"DECLARED_MASK", p.masked ? ",\n           int32 valid_length, int32 causal_offset" : ""},
      {"DEFINED_MASK", p.masked ? ",\n                  int32 valid_length, int32 causal_offset" : ""},
      {"LIMIT_PORTS", p.masked ? "  adf::input_port valid_length, causal_offset;\n" : ""},
      {"THE_MASK", p.masked ? "  const hccs_kernels::BlockMask mask = {valid_length, true, causal_offset, nullptr};\n"
                   : paper_rows ? ""
                                : "  const hccs_kernels::BlockMask mask;\n"},
      {"MASK", p.masked ? "kLength" : "kNone"},
      {"MASK_TEXT", p.masked
                        ? "valid length and causal offset, run-time parameters; `kMasks` in src/project.h has those "
                          "of the test's blocks"
                        : "none"},
      {"TITLE", "Row softmax on AI Engines"},
      {"SOURCE", "softmax"},
      {"CLASS", p.kernel == AieKernel::kTiles ? "TilesKernel" : "RowsKernel"},
      {"NORMALISATION", p.normalisation == Normalisation::kDiv   ? "kDiv"
                        : p.normalisation == Normalisation::kClb ? "kClb"
                                                                 : "kScaled"},
      {"NORMALISATION_NAME", std::string(name(p.normalisation))},
      {"KERNEL", std::string(kernel_name(p.kernel))},
      {"GRAPH_FILE", graph_file},
      {"GRAPH", graph},
      {"PLIOS", many ? "[project::kTiles]" : ""},
      {"VERSION", kVersion},
      {"BOARD", std::string(on.board)},
      {"CORE", std::string(on.core)},
      {"PLATFORM", std::string(on.platform)},
      {"ARCH", std::to_string(on.arch)},
      {"STACK", std::to_string(kStackBytes)},
      {"HEAP", std::to_string(heap_bytes(p))},
      {"SCRATCH_BYTES", std::to_string(scratch_bytes(p))},
      {"LAYER", std::to_string(p.layer)},
      {"HEADS", std::to_string(heads(p))},
      {"HEAD_NUMBERS", head_numbers},
      {"KNEES", std::to_string(knees(p))},
      {"LENGTH", std::to_string(p.length)},
      {"ROWS", std::to_string(p.tile_rows)},
      {"BLOCK_ROWS", std::to_string(p.tile_rows * p.tiles)},
      {"TILES", std::to_string(p.tiles)},
      {"ELEMENTS", std::to_string(tile_elements(p))},
      {"BLOCKS", std::to_string(p.blocks)},
      {"OUT", wide ? "int16" : "uint8"},
      {"OUTPUT", std::string(name(p.output))},
      {"FULL_SCALE", std::to_string(wide ? kFullScaleInt16 : kFullScaleUint8)},
      {"PARAMETERS", parameter_lines(p.layer, p.heads)},
      {"ORDER", order},
      {"ORIGIN", plain(p.logits_origin)},
      {"MODEL", plain(p.model)},
  };
  std::vector<ProjectFile> files = {{"README.md", fill(kReadme, marks)},
                                    {"src/project.h", fill(kProjectHeader, marks)},
                                    {"src/softmax.h", fill(kSoftmaxHeader, marks)},
                                    {"src/softmax.cc", fill(kSoftmaxSource, marks)},
                                    {"src/graph.h", fill(kGraphHeader, marks)},
                                    {"src/graph.cpp", std::string(p.masked ? kMaskedGraphSource : kGraphSource)}};
  HCCS_RETURN_IF_ERROR(add_common_files(kernel_name(p.kernel), graph_file, marks, files));
  HCCS_ASSIGN_OR_RETURN(const std::vector<Stream> all, streams(p));
  for (size_t t = 0; t < all.size(); ++t) {
    const std::string number = many ? fmt::format("_{}", t) : "";
    files.push_back({fmt::format("data/logits{}.txt", number), plio_text(all[t].logits, 1)});
    files.push_back({fmt::format("data/expected{}.txt", number), plio_text(all[t].results, out_bytes(p))});
  }
  return files;
}

}  // namespace hccs::tool
