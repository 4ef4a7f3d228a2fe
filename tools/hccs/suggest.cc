// SPDX-License-Identifier: Apache-2.0
#include "suggest.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace hccs::tool {
namespace {

constexpr size_t kMostSuggestions = 3;

std::string normal_form(std::string_view name) {
  name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
  std::string out;
  for (const char c : name) out += c == '_' ? '-' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

// The fewest letters left out, added, changed or swapped with the next that make `b` of `a`.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> similar_names(std::string_view typed, std::span<const std::string> names) {
  const std::string wanted = normal_form(typed);
  if (wanted.empty()) return {};
  std::vector<std::pair<size_t, std::string>> found;
  for (const std::string& name : names) {
    const std::string candidate = normal_form(name);
    const size_t letters = distance(wanted, candidate);
    const bool begins = wanted.size() >= 2 && candidate.starts_with(wanted);
    if (begins || letters <= std::max<size_t>(1, wanted.size() / 3)) found.emplace_back(begins ? 0 : letters, name);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> out;
  for (const auto& [letters, name] : found) {
    // What is much further away than the best is no help.
    if (out.size() < kMostSuggestions && letters <= found.front().first + 1) out.push_back(name);
  }
  return out;
}

std::string did_you_mean(std::string_view typed, std::span<const std::string> names) {
  std::string text;
  const std::vector<std::string> similar = similar_names(typed, names);
  for (size_t i = 0; i < similar.size(); ++i) {
    text += (i == 0 ? "; did you mean " : i + 1 == similar.size() ? " or " : ", ") + similar[i];
  }
  return text.empty() ? text : text + "?";
}

}  // namespace hccs::tool
