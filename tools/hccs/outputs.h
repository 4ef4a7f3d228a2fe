// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_OUTPUTS_H_
#define HCCS_TOOLS_OUTPUTS_H_

#include <filesystem>
#include <span>
#include <vector>

#include "hccs/status.h"

namespace hccs::tool {

// What a run reads. Empty paths are none.
struct Inputs {
  std::vector<std::filesystem::path> files{};
  std::vector<std::filesystem::path> folders{};  // of models and dumps

  Inputs& add_files(std::span<const std::filesystem::path> more) {
    files.insert(files.end(), more.begin(), more.end());
    return *this;
  }
};

// Whether two paths name one file, or would if it were there.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);

// Ok if a result can be written to the file now: for before the work. Errors: those of check_writable();
// kInvalidArgument if it would replace a file that the run reads, or would be read as a part of a model or of dumps;
// and for "-", as results are files.
Status check_output(const std::filesystem::path& output, const Inputs& inputs);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_OUTPUTS_H_
