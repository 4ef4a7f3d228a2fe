// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_AIE_PROJECT_H_
#define HCCS_TOOLS_AIE_PROJECT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/mask.h"
#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace hccs::tool {

enum class AieDevice { kVek280, kVek385 };
enum class AieKernel { kRows, kTiles, kPaperRows };

std::optional<AieKernel> parse_aie_kernel(std::string_view text) noexcept;

struct ExportedHead {
  int64_t number = 0;  // in its layer
  HeadParams params;
};

// A graph of row softmax, and the data of its test.
struct AieProject {
  std::string model;
  int64_t layer = 0;
  std::vector<ExportedHead> heads;
  int64_t length = 0;     // n
  int64_t tile_rows = 0;  // rows of a head in a block on one tile
  int64_t tiles = 1;
  bool memory_tile = false;
  Normalisation normalisation = Normalisation::kScaled;
  OutputType output = OutputType::kUint8;
  AieDevice device = AieDevice::kVek280;
  AieKernel kernel = AieKernel::kRows;
  int64_t blocks = 0;
  std::vector<int8_t> logits;    // [heads, blocks * tiles * tile_rows, n]
  std::string logits_origin;     // for the README
  bool masked = false;           // with a valid length and a causal offset at run time
  std::vector<BlockMask> masks;  // of each block, if masked
};

// A graph of attention of one head on one tile, and the data of its test.
struct AieAttentionProject {
  std::string model;
  int64_t layer = 0;
  ExportedHead head;
  double step = 0;             // the head's, for the README
  int64_t head_dimension = 0;  // of q, k and v; 0: unknown
  int64_t length = 0;          // n
  int64_t rows = 0;            // queries of a block
  AieDevice device = AieDevice::kVek280;
  int64_t blocks = 0;
  std::vector<int8_t> q;          // [blocks, rows, head_dimension]
  std::vector<int8_t> k, v;       // [blocks, n, head_dimension]
  std::vector<Rescale> rescales;  // [blocks, rows]
  std::vector<BlockMask> masks;   // of each block
  std::string origin;             // of the data, for the README
};

// Whether the kernel serves the heads, and a tile (or the memory tile) has room. Says nothing of the data.
Status check(const AieProject& project);
Status check(const AieAttentionProject& project);

struct ProjectFile {
  std::string path;  // in the project's folder
  std::string text;
};

// All files of a project that check() accepts, its data set.
Expected<std::vector<ProjectFile>> project_files(const AieProject& project);
Expected<std::vector<ProjectFile>> project_files(const AieAttentionProject& project);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_AIE_PROJECT_H_
