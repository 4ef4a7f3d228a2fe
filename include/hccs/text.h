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

// The lines of the files, in order; empty lines are kept where `keep_empty`, else skipped. "-" is standard input.
//
// A file is UTF-8; a byte order mark at its beginning is left out. A line ends with \n or \r\n, or with \r in a file
// that has no \n; elsewhere \r is a character of the line. Nothing else ends a line.
//
// Errors: kIo (also for a directory), kBadData for a file without a (non-empty) line, with a NUL byte, or in another
// encoding: with line, byte and the encoding that is likely.
Expected<std::vector<std::string>> read_text_lines(std::span<const std::filesystem::path> files, bool keep_empty);

}  // namespace hccs

#endif  // HCCS_TEXT_H_
