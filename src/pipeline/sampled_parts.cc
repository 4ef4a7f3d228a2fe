// SPDX-License-Identifier: Apache-2.0
#include "pipeline/sampled_parts.h"

#include <fmt/core.h>

#include <string_view>

#include "hccs/digest.h"

namespace hccs::internal {

Status check_first(int64_t first) {
  if (first >= 0 && first < kMostNumbers) return {};
  return {StatusCode::kInvalidArgument, fmt::format("first number {}, but 0 <= first < {}", first, kMostNumbers)};
}

std::string digest_of_texts(std::span<const std::string> texts) {
  Digest digest;
  for (const std::string& text : texts) digest.add(text);
  return digest.text();
}

std::string digest_of_data(const SampledModel& sampled) {
  if (sampled.parts.size() == 1 && !sampled.parts[0].digest.empty()) return sampled.parts[0].digest;
  Digest digest;
  for (const SampledPart& part : sampled.parts) {
    if (!part.digest.empty()) digest.add(part.digest);
    for (const std::string& text : part.texts) digest.add(text);
  }
  if (!sampled.parts.empty()) return digest.text();
  for (const RowSample& head : sampled.heads) {
    for (const RowSample::Row& row : head.rows()) {
      digest.add({reinterpret_cast<const char*>(&row.id), sizeof row.id});
      digest.add({reinterpret_cast<const char*>(row.logits.data()), row.logits.size() * sizeof(float)});
    }
  }
  return digest.text();
}

}  // namespace hccs::internal
