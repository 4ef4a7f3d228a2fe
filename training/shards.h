// SPDX-License-Identifier: Apache-2.0
//
// A batch in parts, one for each thread.
#ifndef HCCS_TRAINING_SHARDS_H_
#define HCCS_TRAINING_SHARDS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "hccs/status.h"
#include "hccs/tokenizer.h"
#include "training/bert.h"

namespace hccs::training {

// The texts of a shard; `batch` has their indices.
PackedTexts pack(std::span<const int32_t> batch, std::span<const Encoding> texts);

// The batch's texts dealt to `shards` >= 1 shards: in turn, from the longest to the shortest.
std::vector<std::vector<int32_t>> deal(std::span<const int32_t> batch, std::span<const Encoding> texts, int shards);

// Calls f(shard) for every shard, each in a thread of its own, where torch uses that thread alone. Returns the first
// shard's error, if one has any; what f throws is one.
Status in_parallel(int shards, const std::function<Status(int)>& f);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_SHARDS_H_
