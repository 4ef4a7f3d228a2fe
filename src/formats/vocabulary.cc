// SPDX-License-Identifier: Apache-2.0
#include "formats/vocabulary.h"

#include <fmt/core.h>

#include <string_view>
#include <unordered_map>

#include "files/utf8.h"

namespace hccs::internal {

Expected<std::vector<std::string>> read_vocabulary(const std::filesystem::path& path) {
  HCCS_ASSIGN_OR_RETURN(const std::string file, read_utf8_file(path));
  const auto bad = [&](const std::string& what) {
    return Status(StatusCode::kBadData, fmt::format("{}: {}", path.string(), what));
  };
  if (file.empty()) return bad("empty, but a vocabulary has one token a line");
  std::vector<std::string> tokens;
  std::unordered_map<std::string_view, size_t> lines;  // of the tokens so far
  for (std::string_view rest = file; !rest.empty();) {
    const size_t line_end = rest.find('\n');
    std::string_view token = rest.substr(0, line_end);
    token = token.substr(0, token.find_last_not_of(" \t\r") + 1);
    rest.remove_prefix(line_end == std::string_view::npos ? rest.size() : line_end + 1);
    tokens.emplace_back(token);
    if (token.empty() || token == "##") continue;  // no text can produce it
    const auto [entry, is_new] = lines.emplace(token, tokens.size());
    if (!is_new) {
      return bad(fmt::format("line {}: token \"{:.100}\" is on line {} already, but tokens are unique", tokens.size(),
                             token, entry->second));
    }
  }
  return tokens;
}

}  // namespace hccs::internal
