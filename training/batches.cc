// SPDX-License-Identifier: Apache-2.0
#include "training/batches.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "training/random.h"

namespace hccs::training {
namespace {

constexpr int64_t kPoolBatches = 50;

// Fisher and Yates; the bias of a remainder of 64 random bits is below 2^-32 here.
template <class T>
void shuffle(std::vector<T>& values, uint64_t seed) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[mix(seed, i) % i]);
}

}  // namespace

std::vector<int32_t> shuffled(int64_t count, uint64_t seed) {
  std::vector<int32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  shuffle(order, seed);
  return order;
}

std::vector<std::vector<int32_t>> make_batches(std::span<const Encoding> texts, int64_t batch_size, uint64_t seed,
                                               int64_t epoch) {
  const uint64_t epoch_seed = mix(seed, static_cast<uint64_t>(epoch) + 1);
  std::vector<int32_t> order = shuffled(std::ssize(texts), epoch_seed);
  std::vector<std::vector<int32_t>> batches;
  const int64_t pool = kPoolBatches * batch_size;
  for (int64_t begin = 0; begin < std::ssize(order); begin += pool) {
    const auto first = order.begin() + begin;
    const auto last = order.begin() + std::min<int64_t>(begin + pool, std::ssize(order));
    std::stable_sort(first, last, [&](int32_t a, int32_t b) { return texts[a].ids.size() > texts[b].ids.size(); });
    for (auto it = first; it != last;) {
      const auto end = it + std::min<int64_t>(batch_size, last - it);
      batches.emplace_back(it, end);
      it = end;
    }
  }
  shuffle(batches, mix(epoch_seed, 0));
  return batches;
}

}  // namespace hccs::training
