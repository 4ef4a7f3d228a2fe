// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_FORMATS_VOCABULARY_H_
#define HCCS_FORMATS_VOCABULARY_H_

#include <filesystem>
#include <string>
#include <vector>

#include "hccs/status.h"

namespace hccs::internal {

// A vocab.txt: one token a line, blanks at its end dropped, as `tokenizers` does; a token's id is its index. Errors:
// kIo; kBadData for an empty file or, with both lines, a token that occurs twice.
Expected<std::vector<std::string>> read_vocabulary(const std::filesystem::path& path);

}  // namespace hccs::internal

#endif  // HCCS_FORMATS_VOCABULARY_H_
