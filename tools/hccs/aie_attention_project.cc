// SPDX-License-Identifier: Apache-2.0
//
// The projects of hccs export --kernel attention.
#include <fmt/core.h>

#include <utility>

#include "aie_project_text.h"
#include "hccs/param_file.h"
#include "hccs/version.h"

namespace hccs::tool {
namespace {

int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
int64_t padded_rows(const AieAttentionProject& p) { return round_up(p.rows, 8); }
int64_t padded_length(const AieAttentionProject& p) { return round_up(p.length, 16); }

// Appends a [rows, columns] matrix in the kernel's tiles of 4 x 8; what pads it is `padding`.
void append_tiles(std::span<const int8_t> matrix, int64_t columns, int64_t padded_rows, int padding,
                  std::vector<int>& to) {
  const std::vector<int> values(matrix.begin(), matrix.end());
  const size_t begin = to.size();
  to.resize(begin + padded_rows * columns, padding);
  for (int64_t i = 0; i < std::ssize(values) / columns; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      to[begin + (i / 4 * (columns / 8) + j / 8) * 32 + i % 4 * 8 + j % 8] = values[i * columns + j];
    }
  }
}

// The kernel's scratch is in its object; the exported attention_head.cc checks that it is enough.
int64_t heap_bytes(const AieAttentionProject& p) { return 8 * (p.head_dimension + padded_length(p)) + kOtherHeapBytes; }

struct Streams {
  std::vector<int> q, k, v, rescales, results;
};

Expected<Streams> streams(const AieAttentionProject& p) {
  const int64_t dh = p.head_dimension;
  Streams all;
  std::vector<int8_t> o(p.rows * dh);
  for (int64_t block = 0; block < p.blocks; ++block) {
    const auto queries = std::span(p.q).subspan(block * p.rows * dh, p.rows * dh);
    const auto keys = std::span(p.k).subspan(block * p.length * dh, p.length * dh);
    const auto values = std::span(p.v).subspan(block * p.length * dh, p.length * dh);
    for (int64_t r = 0; r < padded_rows(p); ++r) {
      const Rescale rescale = r < p.rows ? p.rescales[block * p.rows + r] : Rescale{};
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

constexpr std::string_view kProjectHeader = R"(// What this project was exported for: @HEAD_NAME@ of @MODEL@.
#ifndef PROJECT_H_
#define PROJECT_H_

#include <adf.h>

namespace project {

constexpr unsigned kKnees = @KNEES@;
constexpr unsigned kHeadDim = @HEAD_DIM@;  // of q, k and v
constexpr unsigned kRows = @ROWS@;  // queries of a block
constexpr unsigned kLength = @LENGTH@;  // n, keys and values of a block
constexpr unsigned kPaddedRows = (kRows + 7) / 8 * 8;
constexpr unsigned kPaddedLength = (kLength + 15) / 16 * 16;
constexpr unsigned kBlocks = @BLOCKS@;  // in the files of data/

// B, K, S_1..S_4, D_1..D_4.
constexpr unsigned kHeadWords = 10;
constexpr int16 kHeadParameters[kHeadWords] = {
@PARAMETERS@};

// valid_length and causal_offset of each block: query r sees the positions below valid_length and up to
// r + causal_offset.
constexpr int32 kMasks[kBlocks][2] = {
@MASKS@};

}  // namespace project

#endif  // PROJECT_H_
)";

constexpr std::string_view kHeadHeader =
    R"(// The kernel: its declaration, which is all that the graph needs. The AIE API is needed by attention_head.cc only.
#ifndef ATTENTION_HEAD_H_
#define ATTENTION_HEAD_H_

#include <adf.h>

#include "project.h"

class Attention {
 public:
  typedef const int16 (&Words)[project::kHeadWords];
  typedef adf::input_buffer<int8, adf::extents<project::kPaddedRows * project::kHeadDim>> Queries;
  typedef adf::input_buffer<int8, adf::extents<project::kPaddedLength * project::kHeadDim>> Keys;
  typedef adf::input_buffer<int16, adf::extents<2 * project::kPaddedRows>> Rescales;
  typedef adf::output_buffer<int8, adf::extents<project::kPaddedRows * project::kHeadDim>> Results;

  explicit Attention(Words head);

  void run(Queries& q, Keys& k, Keys& v, Rescales& rescales, Results& o, int32 valid_length, int32 causal_offset);

  static void registerKernelClass() {
    REGISTER_FUNCTION(Attention::run);
    REGISTER_PARAMETER(head_);
  }

 private:
  Words head_;
  alignas(64) int8 scratch_[8 * (project::kHeadDim + project::kPaddedLength)];
};

#endif  // ATTENTION_HEAD_H_
)";

constexpr std::string_view kHeadSource = R"(#include "attention_head.h"

#include "kernels/attention.h"

static_assert(hccs_kernels::kHeadWords == project::kHeadWords, "project.h is of another version of the kernels");
static_assert(hccs_kernels::attention_error(hccs_kernels::head_from_words(project::kHeadParameters), project::kKnees,
                                            project::kLength) == nullptr,
              "project.h: parameters that the kernel does not serve; see attention_error in kernels/attention.h");

Attention::Attention(Words head) : head_(head) {}

void Attention::run(Queries& q, Keys& k, Keys& v, Rescales& rescales, Results& o, int32 valid_length,
                    int32 causal_offset) {
  static_assert(sizeof scratch_ >= hccs_kernels::attention_scratch<project::kHeadDim>(project::kLength));
  const hccs_kernels::BlockMask mask = {valid_length, true, causal_offset, nullptr};
  hccs_kernels::AttentionHead<project::kKnees, project::kHeadDim, project::kHeadDim>(
      hccs_kernels::head_from_words(head_))
      .run(q.data(), k.data(), v.data(), rescales.data(), o.data(), project::kRows, project::kLength, masks,
           scratch_);
}
)";

constexpr std::string_view kGraphHeader = R"(#ifndef GRAPH_H_
#define GRAPH_H_

#include <adf.h>

#include <vector>

#include "attention_head.h"
#include "graph/attention_tile.h"
#include "project.h"

class Project : public adf::graph {
 public:
  adf::input_plio q, k, v, rescales;
  adf::output_plio out;
  adf::input_port valid_length, causal_offset;
  hccs_graphs::AttentionTile<Attention> attention;

  Project()
      : attention(std::vector<int16>(project::kHeadParameters, project::kHeadParameters + project::kHeadWords),
                  "attention_head.cc") {
    q = adf::input_plio::create("q", adf::plio_128_bits, "data/q.txt");
    k = adf::input_plio::create("k", adf::plio_128_bits, "data/k.txt");
    v = adf::input_plio::create("v", adf::plio_128_bits, "data/v.txt");
    rescales = adf::input_plio::create("rescales", adf::plio_32_bits, "data/rescales.txt");
    out = adf::output_plio::create("out", adf::plio_128_bits, "data/out.txt");
    adf::connect(q.out[0], attention.q);
    adf::connect(k.out[0], attention.k);
    adf::connect(v.out[0], attention.v);
    adf::connect(rescales.out[0], attention.rescales);
    adf::connect(attention.o, out.in[0]);
    adf::connect<adf::parameter>(valid_length, attention.valid_length);
    adf::connect<adf::parameter>(causal_offset, attention.causal_offset);
  }
};

#endif  // GRAPH_H_
)";

constexpr std::string_view kReadme = R"(# Attention of one head on an AI Engine

Exported by hccs @VERSION@: attention with Head-Calibrated Clipped-Linear Softmax and deferred normalisation, int8 q, k and
v in, int8 o out, for the @BOARD@ (@CORE@). The probabilities are never formed.

|                |   |
|----------------|---|
| model          | @MODEL@, @HEAD_NAME@ |
| shape          | a block has @ROWS@ queries, n = @LENGTH@ keys and values, head dimension @HEAD_DIM@ |
| kernel         | `attention`, compiled for K = @KNEES@ |
| graph          | `attention_tile`, one tile |
| masks          | valid length and causal offset, run-time parameters; `kMasks` in src/project.h has those of the test's blocks |
| test           | @BLOCKS@ blocks; data: @ORIGIN@ |

    make host      # builds and runs the project here, without AMD's tools: results equal data/expected.txt byte for byte
    make aie       # libadf.a; needs Vitis 2025.2 (source settings64.sh) and the platform @PLATFORM@
    make x86sim    # AMD's functional simulation, compared
    make aiesim    # AMD's simulation of the device, compared

`make aie PLATFORM=/path/to/platform.xpfm` takes another platform. `src/project.h` has the parameters of the head.

## Files

    src/        project.h (parameters), attention_head.h and .cc (the kernel), graph.h and graph.cpp
    kernels/    the kernels' headers, plain AIE API
    graph/      the graph's header, plain ADF
    data/       q, k, v, rescales: inputs; expected.txt: results, computed by the definition, not by the kernel
    host/       AIE API and ADF as headers for any C++20 compiler: only for make host (HCCS_AIE_HOST names another copy)
    aie.cfg     options of the AI Engine compiler

q, k, v and o are in tiles of 4 x 8, as the top of kernels/attention.h says; k and v have one scale each for a head. A line of
rescales.txt is a query's M and R: one unit of q . k is worth M * 2^-R logit steps of the head, where the step is @STEP@. So
M * 2^-R is q's scale times k's scale / sqrt(@HEAD_DIM@) / step. o has v's scale.

## What was tried, and what only hardware can say

Tried: this project's kernel, graph and data on `host/`, which is hccs's own implementation of the AIE API and ADF, written
from AMD's public documentation and sources. There, results equal the definition bit for bit.

Not tried, as none of it was at hand: v++, x86simulator, aiesimulator and boards. So these are open:

- whether v++ takes the sources and aie.cfg as they are, the name of the platform, and the memory that it gives to buffers;
- four buffers go in, and a tile's memory has two incoming DMA channels: the compiler must place some of them in a neighbour's;
- stack and heap: @STACK@ and @HEAP@ bytes in aie.cfg are estimates on the safe side;
- speed.

If `make x86sim` or `make aiesim` finds another result than data/expected.txt, that is a defect of ours: please report it
with the output file.
)";

}  // namespace

Status check(const AieAttentionProject& p) {
  const auto refuse = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (p.head_dimension == 0) {
    return refuse(
        "the parameter file does not say the head dimension, which attention needs: hccs calibrate --logits takes "
        "--head-dimension");
  }
  if (p.head_dimension % 16 != 0) {
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

Expected<std::vector<ProjectFile>> project_files(const AieAttentionProject& p) {
  const DeviceFacts on = facts(p.device);
  const Marks marks = {
      {"TITLE", "Attention of one head on an AI Engine"},
      {"SOURCE", "attention_head"},
      {"VERSION", kVersion},
      {"BOARD", std::string(on.board)},
      {"CORE", std::string(on.core)},
      {"PLATFORM", std::string(on.platform)},
      {"ARCH", std::to_string(on.arch)},
      {"STACK", std::to_string(kStackBytes)},
      {"HEAP", std::to_string(heap_bytes(p))},
      {"HEAD_NAME", head_name(p.layer, p.head.number)},
      {"KNEES", std::to_string(p.head.params.knee_count)},
      {"HEAD_DIM", std::to_string(p.head_dimension)},
      {"ROWS", std::to_string(p.rows)},
      {"LENGTH", std::to_string(p.length)},
      {"BLOCKS", std::to_string(p.blocks)},
      {"STEP", fmt::format("{}", p.step)},
      {"PARAMETERS", parameter_lines(p.layer, {&p.head, 1})},
      {"MASKS", mask_lines(p.masks)},
      {"ORIGIN", plain(p.origin)},
      {"MODEL", plain(p.model)},
  };
  HCCS_ASSIGN_OR_RETURN(const Streams all, streams(p));
  std::vector<ProjectFile> files = {{"README.md", fill(kReadme, marks)},
                                    {"src/project.h", fill(kProjectHeader, marks)},
                                    {"src/attention_head.h", std::string(kHeadHeader)},
                                    {"src/attention_head.cc", std::string(kHeadSource)},
                                    {"src/graph.h", std::string(kGraphHeader)},
                                    {"src/graph.cpp", std::string(kMaskedGraphSource)},
                                    {"data/q.txt", plio_text(all.q, 1)},
                                    {"data/k.txt", plio_text(all.k, 1)},
                                    {"data/v.txt", plio_text(all.v, 1)},
                                    {"data/rescales.txt", plio_text(all.rescales, 2, 4)},
                                    {"data/expected.txt", plio_text(all.results, 1)}};
  HCCS_RETURN_IF_ERROR(add_common_files("attention", "attention_tile", marks, files));
  return files;
}

}  // namespace hccs::tool
