// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_SUGGEST_H_
#define HCCS_TOOLS_SUGGEST_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hccs::tool {

// The names that somebody may have meant who typed `typed`, best first, at most three: those that it begins, and those
// within a letter in three of it (one letter left out, added, changed or swapped with the next counts as one). Leading
// dashes, case, and _ for - make no difference.
std::vector<std::string> similar_names(std::string_view typed, std::span<const std::string> names);

// "; did you mean A, B or C?", or nothing.
std::string did_you_mean(std::string_view typed, std::span<const std::string> names);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_SUGGEST_H_
