// SPDX-License-Identifier: Apache-2.0
//
// A project of row softmax: its shape, the data of its test, and what of it can be built. For a board it is a graph for
// Vitis, for an NPU a design for IRON.
#ifndef HCCS_AIE_EXPORT_SOFTMAX_PROJECT_H_
#define HCCS_AIE_EXPORT_SOFTMAX_PROJECT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aie/export/project.h"
#include "hccs/mask.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace aie_export {

enum class Kernel { kRows, kTiles, kPaperRows };

std::string_view name(Kernel kernel) noexcept;  // "rows", "tiles", "paper_rows"
std::optional<Kernel> parse_kernel(std::string_view name) noexcept;

// Row softmax on tiles, and the data of its test. A block has tile_rows rows of each head on each tile that has the
// head: on all of them, or with split_heads on one.
struct SoftmaxProject {
  std::string model;  // for comments and the README
  int64_t layer = 0;
  std::vector<ExportedHead> heads;
  int64_t length = 0;     // n, 1..65536
  int64_t tile_rows = 0;  // 1..65536
  int64_t tiles = 1;
  bool split_heads = false;  // the tiles share the heads, not the rows; heads.size() is a multiple of tiles
  bool memory_tile = false;  // one input and one output for all tiles; a board's
  hccs::Normalisation normalisation = hccs::Normalisation::kScaled;
  hccs::OutputType output = hccs::OutputType::kUint8;
  Device device = Device::kVek280;
  Vitis vitis = Vitis::k2025_2;
  int64_t head_dimension = 0;  // of q and k, for the README; 0: unknown
  Kernel kernel = Kernel::kRows;
  hccs::MaskKind mask = hccs::MaskKind::kNone;  // kLength: a valid length and a causal offset at run time

  // The test's data.
  int64_t blocks = 0;
  std::vector<int8_t> logits;          // [heads, blocks * block_rows(), n]
  std::string logits_origin;           // for the README
  std::vector<hccs::BlockMask> masks;  // of each block; empty for MaskKind::kNone

  // Rows of a head in a block.
  int64_t block_rows() const { return split_heads ? tile_rows : tiles * tile_rows; }
};

// Deals the heads to tiles, as many to each: tile_heads, or if that is 0 the most that divide the heads and have room
// on a tile. Sets tiles and split_heads. The program of a tile is the same for any number of heads.
// Errors: kInvalidArgument with the value and the rule, also if one head alone has no room, or for tiles that the
// device has not.
hccs::Status split_heads(int64_t tile_heads, SoftmaxProject& project);

// Whether the kernel serves the heads, and a tile (or the memory tile) has room. Says nothing of the test's data.
// Errors: kInvalidArgument with the value and the rule.
hccs::Status check(const SoftmaxProject& project);

// All files. Errors: those of check(); kInvalidArgument if the data are not of the project's shape.
hccs::Expected<std::vector<ProjectFile>> project_files(const SoftmaxProject& project);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_SOFTMAX_PROJECT_H_
