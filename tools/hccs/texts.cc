// SPDX-License-Identifier: Apache-2.0
#include "texts.h"

#include <fmt/core.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "console.h"

namespace hccs::tool {

void warn_of_truncation(const EncodedTexts& texts, std::string_view set) {
  if (texts.truncated == 0) return;
  warning("{} of {} texts{}{} truncated to {} tokens (the longest has {})", texts.truncated, texts.count,
          set.empty() ? "" : " of ", set, texts.max_length, texts.longest);
}

Expected<std::vector<Encoding>> tokenise(const ModelFolder& model, std::span<const std::string> texts,
                                         int64_t max_length) {
  HCCS_ASSIGN_OR_RETURN(EncodedTexts encoded, encode_texts(model, texts, max_length));
  warn_of_truncation(encoded);
  return std::move(encoded.encodings);
}

int default_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

}  // namespace hccs::tool
