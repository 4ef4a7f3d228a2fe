// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_QUANTISER_PARALLEL_H_
#define HCCS_SRC_QUANTISER_PARALLEL_H_

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace hccs::internal {

// run(i) for i in [0, count), in at most `threads` >= 1 threads, of which this is one. Throws what a run has thrown.
template <class Run>
void parallel_for(int threads, size_t count, const Run& run) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (size_t i = next++; i < count; i = next++) run(i);
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    while (others.size() + 1 < static_cast<size_t>(threads) && others.size() + 1 < count) others.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_PARALLEL_H_
