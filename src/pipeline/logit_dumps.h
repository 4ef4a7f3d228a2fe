// SPDX-License-Identifier: Apache-2.0
//
// Logits that another program dumped: a folder of layer<L>_head<H>.npy.
#ifndef HCCS_PIPELINE_LOGIT_DUMPS_H_
#define HCCS_PIPELINE_LOGIT_DUMPS_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "hccs/digest.h"
#include "hccs/status.h"

namespace hccs::internal {

// The files of a folder, which has one for every head.
struct DumpFolder {
  struct Head {
    std::filesystem::path logits;
    std::filesystem::path lengths;  // empty: there is none, all positions are valid
  };
  std::vector<Head> files;  // layers x heads, row-major
  int64_t layers = 0;
  int64_t heads = 0;
};

// Errors: kIo; kBadData, naming each missing file or what is there instead.
Expected<DumpFolder> find_dumps(const std::filesystem::path& folder);

// One head's rows, in the order of the file.
struct Dump {
  int64_t n = 0;
  std::vector<float> logits;     // [rows, n]
  std::vector<int32_t> lengths;  // [rows], each 1..n

  int64_t rows() const { return std::ssize(lengths); }
  std::span<const float> row(int64_t r) const {
    return std::span(logits).subspan(static_cast<size_t>(r * n), static_cast<size_t>(lengths[static_cast<size_t>(r)]));
  }
};

// Reads one head's files and adds them to the digest, which depends on the values and not on their types. `longest`:
// the most positions that a row may have, 0 for any. Errors: kIo, kUnsupported; kBadData, naming file, value and rule,
// for another type or shape or a length out of range.
Expected<Dump> read_dump(const DumpFolder::Head& files, int64_t longest, Digest& digest);

}  // namespace hccs::internal

#endif  // HCCS_PIPELINE_LOGIT_DUMPS_H_
