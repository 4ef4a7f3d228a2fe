// SPDX-License-Identifier: Apache-2.0
//
// A project of one head's attention: its shape, the data of its test, and what of it can be built.
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

// A graph of attention of one head on one tile, and the data of its test. Masks are run-time parameters.
struct AttentionProject {
  std::string model;  // for comments and the README
  int64_t layer = 0;
  ExportedHead head;
  int64_t head_dimension = 0;  // of q, k and v; 0: unknown
  int64_t length = 0;          // n, 1..65536
  int64_t rows = 0;            // queries of a block, 1..65536
  Device device = Device::kVek280;
  Vitis vitis = Vitis::k2025_2;

  // The test's data.
  int64_t blocks = 0;
  std::vector<int8_t> q;                // [blocks, rows, head_dimension]
  std::vector<int8_t> k, v;             // [blocks, n, head_dimension]
  std::vector<hccs::Rescale> rescales;  // [blocks, rows]
  std::vector<hccs::BlockMask> masks;   // of each block
  std::string origin;                   // for the README
};

// Whether the kernel serves the head, and a tile has room. Says nothing of the test's data.
// Errors: kInvalidArgument with the value and the rule.
hccs::Status check(const AttentionProject& project);

// All files. Errors: those of check(); kInvalidArgument if the data are not of the project's shape.
hccs::Expected<std::vector<ProjectFile>> project_files(const AttentionProject& project);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_ATTENTION_PROJECT_H_
