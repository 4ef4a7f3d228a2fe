// SPDX-License-Identifier: Apache-2.0
#include "hccs/text.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "contract/exceptions.h"
#include "files/descriptor.h"
#include "files/utf8.h"

namespace hccs {
namespace {

constexpr std::string_view kStandardInput = "-";

Expected<std::string> read_standard_input() {
  constexpr std::string_view kName = "standard input";
  std::string content;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got == 0) break;
    if (got < 0 && errno != EINTR) return internal::io_error(kName, "read", errno);
    if (got > 0) content.append(buffer.data(), static_cast<size_t>(got));
  }
  HCCS_RETURN_IF_ERROR(internal::check_utf8(content, kName));
  return std::string(internal::without_byte_order_mark(content));
}

}  // namespace

Expected<std::vector<std::string>> read_text_lines(std::span<const std::filesystem::path> files, bool keep_empty) try {
  std::vector<std::string> lines;
  for (const std::filesystem::path& path : files) {
    const bool standard_input = path == kStandardInput;
    HCCS_ASSIGN_OR_RETURN(const std::string content,
                          standard_input ? read_standard_input() : internal::read_utf8_file(path));
    const char line_end = content.find('\n') == std::string::npos ? '\r' : '\n';
    const size_t lines_before = lines.size();
    std::string_view rest = content;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find(line_end));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      while (line.ends_with('\r')) line.remove_suffix(1);
      if (keep_empty || !line.empty()) lines.emplace_back(line);
    }
    if (lines.size() == lines_before) {
      return Status(StatusCode::kBadData, fmt::format("{}: {} bytes without a {}line, but at least one is needed",
                                                      standard_input ? "standard input" : path.string(), content.size(),
                                                      keep_empty ? "" : "non-empty "));
    }
  }
  return lines;
} catch (...) {
  return internal::status_of_exception("texts");
}

}  // namespace hccs
