// SPDX-License-Identifier: Apache-2.0
#include "formats/check_encodings.h"

#include <fmt/core.h>

#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace hccs::internal {

Status check_encodings(std::span<const Encoding> texts, int64_t positions, int64_t vocabulary_size) {
  const auto invalid = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  for (size_t t = 0; t < texts.size(); ++t) {
    const std::vector<int32_t>& ids = texts[t].ids;
    if (const auto second = texts[t].second_begin; second && (*second < 0 || *second > std::ssize(ids))) {
      return invalid(fmt::format("text {}: the second text begins at token {} of {}", t, *second, ids.size()));
    }
    if (ids.empty()) return invalid(fmt::format("text {} has no tokens, but 1 are needed", t));
    if (std::ssize(ids) > positions) {
      return invalid(fmt::format("text {} has {} tokens, but the model has {} positions", t, ids.size(), positions));
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0 || ids[i] >= vocabulary_size) {
        return invalid(fmt::format("text {}, token {}: id {}, but 0 <= id < {} (the vocabulary's size)", t, i, ids[i],
                                   vocabulary_size));
      }
    }
  }
  return {};
}

}  // namespace hccs::internal
