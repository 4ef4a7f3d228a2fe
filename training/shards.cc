// SPDX-License-Identifier: Apache-2.0
#include "training/shards.h"

#include <omp.h>

#include <algorithm>

#include "contract/exceptions.h"

namespace hccs::training {

PackedTexts pack(std::span<const int32_t> batch, std::span<const Encoding> texts) {
  PackedTexts packed;
  for (const int32_t t : batch) packed.add(texts[t]);
  return packed;
}

std::vector<std::vector<int32_t>> deal(std::span<const int32_t> batch, std::span<const Encoding> texts, int shards) {
  std::vector<int32_t> sorted(batch.begin(), batch.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](int32_t a, int32_t b) { return texts[a].ids.size() > texts[b].ids.size(); });
  std::vector<std::vector<int32_t>> dealt(static_cast<size_t>(shards));
  for (size_t i = 0; i < sorted.size(); ++i) {
    const size_t turn = i % (2 * shards);  // 0 1 1 0 0 1 1 0
    dealt[turn < static_cast<size_t>(shards) ? turn : 2 * shards - 1 - turn].push_back(sorted[i]);
  }
  return dealt;
}

Status in_parallel(int shards, const std::function<Status(int)>& f) {
  std::vector<Status> outcomes(static_cast<size_t>(shards));
#pragma omp parallel for schedule(static, 1) num_threads(shards)
  for (int s = 0; s < shards; ++s) {
    try {
      use_one_thread();
      outcomes[s] = f(s);
    } catch (...) {
      outcomes[s] = internal::status_of_exception("training");
    }
  }
  for (const Status& outcome : outcomes) HCCS_RETURN_IF_ERROR(outcome);
  return {};
}

}  // namespace hccs::training
