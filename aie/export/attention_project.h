// SPDX-License-Identifier: Apache-2.0
//
// A project of attention: its shape, the data of its test, and what of it can be built. For a board it is a graph for
// Vitis, for an NPU a design for IRON.
#ifndef HCCS_AIE_EXPORT_ATTENTION_PROJECT_H_
#define HCCS_AIE_EXPORT_ATTENTION_PROJECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "aie/export/project.h"
#include "hccs/mask.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace aie_export {

// Attention of heads on tiles that share them, as many to each, and the data of its test. Masks are run-time
// parameters.
struct AttentionProject {
  std::string model;  // for comments and the README
  int64_t layer = 0;
  std::vector<ExportedHead> heads;
  int64_t tiles = 1;
  int64_t head_dimension = 0;  // of q, k and v; 0: unknown
  int64_t length = 0;          // n, 1..65536
  int64_t rows = 0;            // queries of a head in a block, 1..65536
  Device device = Device::kVek280;
  Vitis vitis = Vitis::k2025_2;

  // The test's data.
  int64_t blocks = 0;
  std::vector<int8_t> q;                // [heads, blocks, rows, head_dimension]
  std::vector<int8_t> k, v;             // [heads, blocks, n, head_dimension]
  std::vector<hccs::Rescale> rescales;  // [heads, blocks, rows]
  std::vector<hccs::BlockMask> masks;   // of each block
  std::string origin;                   // for the README
};

// Deals the heads to tiles, as split_heads(SoftmaxProject) does.
hccs::Status split_heads(int64_t tile_heads, AttentionProject& project);

// Whether the kernel serves the heads, and a tile has room. Says nothing of the test's data.
// Errors: kInvalidArgument with the value and the rule.
hccs::Status check(const AttentionProject& project);

// All files. Errors: those of check(); kInvalidArgument if the data are not of the project's shape.
hccs::Expected<std::vector<ProjectFile>> project_files(const AttentionProject& project);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_ATTENTION_PROJECT_H_
