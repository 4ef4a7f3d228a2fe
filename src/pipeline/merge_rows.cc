// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/row_file.h"
#include "pipeline/sampled_parts.h"

namespace hccs {
namespace {

// What must be the same in all samples: first the name, then the value of each.
template <class T>
Status same(const char* what, const T& a, const T& b, size_t place) {
  if (a == b) return {};
  return {StatusCode::kMismatch, fmt::format("rows {}: {} {}, but {} in rows 0", place, what, b, a)};
}

Status check_same_model(const SampledModel& a, const SampledModel& b, size_t place) {
  const bool digests = !a.model.weights_digest.empty() && !b.model.weights_digest.empty();
  HCCS_RETURN_IF_ERROR(digests ? same("weights", a.model.weights_digest, b.model.weights_digest, place)
                               : same("model", a.model.name, b.model.name, place));
  HCCS_RETURN_IF_ERROR(same("layers", a.model.layers, b.model.layers, place));
  HCCS_RETURN_IF_ERROR(same("heads", a.model.heads, b.model.heads, place));
  HCCS_RETURN_IF_ERROR(same("head dimension", a.model.head_dimension, b.model.head_dimension, place));
  HCCS_RETURN_IF_ERROR(same("texts cut to", a.texts.max_length, b.texts.max_length, place));
  HCCS_RETURN_IF_ERROR(same("seed", a.heads.front().seed(), b.heads.front().seed(), place));
  return same("rows kept a head", a.heads.front().capacity(), b.heads.front().capacity(), place);
}

// In order of their numbers, of which none is in two parts.
Status sort_parts(std::vector<SampledPart>& parts) {
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 1; i < parts.size(); ++i) {
    const SampledPart& before = parts[i - 1];
    if (before.first + before.count > parts[i].first) {
      return {
          StatusCode::kMismatch,
          fmt::format("number {} is in two parts, {}..{} and {}..{}: a part that follows others says where it begins "
                      "(--first {})",
                      parts[i].first, before.first, before.first + before.count - 1, parts[i].first,
                      parts[i].first + parts[i].count - 1, before.first + before.count)};
    }
  }
  return {};
}

Status merge_heads(SampledModel& merged, const SampledModel& part, size_t place) {
  for (size_t head = 0; head < merged.heads.size(); ++head) {
    if (const Status status = merged.heads[head].merge(part.heads[head]); !status.ok()) {
      const auto index = static_cast<int64_t>(head);
      const std::string name = head_name(index / merged.model.heads, index % merged.model.heads);
      return {status.code(), fmt::format("rows {}: {}: {}", place, name, status.message())};
    }
  }
  return {};
}

}  // namespace

Expected<SampledModel> merge_rows(std::span<const SampledModel> parts) try {
  if (parts.empty() || std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.heads.empty(); })) {
    return Status(StatusCode::kInvalidArgument, "no rows to merge");
  }
  SampledModel merged = parts[0];
  bool known = !merged.parts.empty();
  for (size_t place = 1; place < parts.size(); ++place) {
    const SampledModel& part = parts[place];
    HCCS_RETURN_IF_ERROR(check_same_model(merged, part, place));
    known = known && !part.parts.empty();
    merged.parts.insert(merged.parts.end(), part.parts.begin(), part.parts.end());
    merged.texts.count += part.texts.count;
    merged.texts.truncated += part.texts.truncated;
    merged.texts.longest = std::max(merged.texts.longest, part.texts.longest);
    merged.without_lengths = std::max(merged.without_lengths, part.without_lengths);
  }
  if (!known) merged.parts.clear();
  HCCS_RETURN_IF_ERROR(sort_parts(merged.parts));
  for (size_t place = 1; place < parts.size(); ++place) HCCS_RETURN_IF_ERROR(merge_heads(merged, parts[place], place));
  merged.model.data_digest = internal::digest_of_data(merged);
  return merged;
} catch (...) {
  return internal::status_of_exception("rows");
}

Expected<SampledModel> read_and_merge_rows(std::span<const std::filesystem::path> paths) try {
  std::vector<SampledModel> parts;
  for (const std::filesystem::path& path : paths) {
    HCCS_ASSIGN_OR_RETURN(SampledModel part, read_rows(path));
    parts.push_back(std::move(part));
  }
  Expected<SampledModel> merged = merge_rows(parts);
  if (merged.ok() || paths.empty()) return merged;
  std::string names;
  for (const auto& path : paths) names += fmt::format("{}{}", names.empty() ? "" : ", ", path.native());
  return Status(merged.status().code(), fmt::format("{}: {}", names, merged.status().message()));
} catch (...) {
  return internal::status_of_exception("rows");
}

}  // namespace hccs
