// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TRAINING_BATCHES_H_
#define HCCS_TRAINING_BATCHES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "hccs/tokenizer.h"

namespace hccs::training {

// One epoch's batches, as indices of texts: shuffled, then sorted by length within pools of 50 batches, so that the
// texts of a batch are about equally long; the batches shuffled again. A function of (seed, epoch) alone. The last
// batch may be smaller.
std::vector<std::vector<int32_t>> make_batches(std::span<const Encoding> texts, int64_t batch_size, uint64_t seed,
                                               int64_t epoch);

// 0..count-1 in an order that is a function of the seed.
std::vector<int32_t> shuffled(int64_t count, uint64_t seed);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_BATCHES_H_
