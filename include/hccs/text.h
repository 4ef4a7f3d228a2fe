// SPDX-License-Identifier: Apache-2.0
//
// Texts, one a line.
#ifndef HCCS_TEXT_H_
#define HCCS_TEXT_H_

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "hccs/status.h"

namespace hccs {

// The lines of the files, in order, without line ends (\n or \r\n); empty lines are kept where `keep_empty`, else
// skipped. Errors: kIo (also for a directory), kBadData for a file without a (non-empty) line or with a NUL byte
// (binary).
Expected<std::vector<std::string>> read_text_lines(std::span<const std::filesystem::path> files, bool keep_empty);

}  // namespace hccs

#endif  // HCCS_TEXT_H_
