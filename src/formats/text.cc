// SPDX-License-Identifier: Apache-2.0
#include "hccs/text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "contract/exceptions.h"
#include "hccs/file.h"

namespace hccs {

Expected<std::vector<std::string>> read_text_lines(std::span<const std::filesystem::path> files, bool keep_empty) try {
  std::vector<std::string> lines;
  for (const std::filesystem::path& path : files) {
    HCCS_ASSIGN_OR_RETURN(const std::string content, read_file(path));
    if (const size_t nul = content.find('\0'); nul != std::string::npos) {
      const auto before = std::count(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(nul), '\n');
      return Status(StatusCode::kBadData, fmt::format("{}: line {}: NUL byte at offset {}, but a text file has none",
                                                      path.string(), before + 1, nul));
    }
    const size_t lines_before = lines.size();
    std::string_view rest = content;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      if (line.ends_with('\r')) {
        line.remove_suffix(1);
      }
      if (keep_empty || !line.empty()) {
        lines.emplace_back(line);
      }
    }
    if (lines.size() == lines_before) {
      return Status(StatusCode::kBadData, fmt::format("{}: {} bytes without a {}line, but at least one is needed",
                                                      path.string(), content.size(), keep_empty ? "" : "non-empty "));
    }
  }
  return lines;
} catch (...) {
  return internal::status_of_exception("texts");
}

}  // namespace hccs
