// SPDX-License-Identifier: Apache-2.0
#include "texts.h"

#include <fmt/core.h>

#include <algorithm>
#include <thread>

#include "hccs/digest.h"

namespace hccs::tool {

Expected<std::vector<Encoding>> tokenise(const ModelFolder& model, std::span<const std::string> texts,
                                         int64_t max_length) {
  const int64_t positions = model.config.max_positions;
  if (max_length == 0) max_length = positions;
  if (max_length < 2 || max_length > positions) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("maximum length {}, but the model takes 2..{} tokens", max_length, positions));
  }
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  int64_t truncated = 0;
  int64_t longest = 0;
  for (const std::string& text : texts) {
    encodings.push_back(model.tokenizer.encode(text, max_length));
    truncated += encodings.back().truncated() ? 1 : 0;
    longest = std::max(longest, encodings.back().untruncated_size);
  }
  if (truncated > 0) {
    fmt::print(stderr, "warning: {} of {} texts truncated to {} tokens (the longest has {})\n", truncated, texts.size(),
               max_length, longest);
  }
  return encodings;
}

std::string digest_of(std::span<const std::string> texts) {
  Digest digest;
  for (const std::string& text : texts) digest.add(text);
  return digest.text();
}

int default_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

}  // namespace hccs::tool
