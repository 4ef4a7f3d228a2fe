// SPDX-License-Identifier: Apache-2.0
//
// The memory that all kernels of `softmax_bench` read and write.
#ifndef HCCS_BENCH_SOFTMAX_DATA_H_
#define HCCS_BENCH_SOFTMAX_DATA_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "softmax_kernel.h"

namespace hccs::bench {

// 64-byte aligned.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : lines_(bytes / sizeof(Line) + 1), bytes_(bytes) {}
  template <class T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(lines_.data()), bytes_ / sizeof(T)};
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines_;
  size_t bytes_;
};

// Logits and room for results, enough for any shape whose input and output are `bytes` together.
class Arena {
 public:
  explicit Arena(int64_t bytes);
  Data data();

 private:
  Buffer s8_, nats_, u8_, f32_, s32_, mask_bits_, out_;
};

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_DATA_H_
