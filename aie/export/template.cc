// SPDX-License-Identifier: Apache-2.0
#include "aie/export/template.h"

#include <fmt/core.h>

#include <algorithm>

#include "aie/export/embedded.h"

namespace aie_export {

using hccs::Expected;
using hccs::Status;
using hccs::StatusCode;

Expected<std::string> fill(std::string_view text, const Marks& marks) {
  constexpr std::string_view kOfNames = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  std::string filled;
  while (!text.empty()) {
    const size_t at = std::min(text.find('@'), text.size());
    filled += text.substr(0, at);
    text.remove_prefix(at);
    if (text.empty()) break;
    const size_t end = text.find_first_not_of(kOfNames, 1);
    if (end == std::string_view::npos || end == 1 || text[end] != '@') {
      filled += '@';
      text.remove_prefix(1);
      continue;
    }
    const std::string_view name = text.substr(1, end - 1);
    const auto mark = marks.find(name);
    if (mark == marks.end())
      return Status(StatusCode::kInvalidArgument, fmt::format("the mark @{}@ has no value", name));
    filled += mark->second;
    text.remove_prefix(end + 1);
  }
  return filled;
}

Expected<std::string> fill_template(std::string_view name, const Marks& marks) {
  const std::string path = fmt::format("{}.in", name);
  const auto all = templates();
  const auto file = std::find_if(all.begin(), all.end(), [&](const EmbeddedFile& f) { return f.path == path; });
  if (file == all.end()) return Status(StatusCode::kInvalidArgument, fmt::format("there is no template {}", path));
  Expected<std::string> filled = fill(file->text, marks);
  if (filled.ok()) return filled;
  return Status(filled.status().code(), fmt::format("template {}: {}", path, filled.status().message()));
}

}  // namespace aie_export
