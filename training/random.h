// SPDX-License-Identifier: Apache-2.0
//
// Random numbers that are a function of their place alone: nothing to store in a checkpoint, and the same for every
// order of evaluation.
#ifndef HCCS_TRAINING_RANDOM_H_
#define HCCS_TRAINING_RANDOM_H_

#include <cstdint>

namespace hccs::training {

// splitmix64's finaliser (Steele, Lea, Flood, OOPSLA 2014).
constexpr uint64_t mix(uint64_t z) noexcept {
  z += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

// Number i of the stream `seed`.
constexpr uint64_t mix(uint64_t seed, uint64_t i) noexcept { return mix(mix(seed) ^ i); }

// What random numbers are for: of a run, and of dropout in one pass.
enum class Use : uint32_t {
  kInitialise = 1,
  kSubset,
  kBatches,
  kDropout,
  kCalibrationSample,
  kEmbeddingDropout,
  kAttentionDropout,        // of the probabilities
  kAttentionOutputDropout,  // of attention.output.dense
  kOutputDropout,           // of output.dense
  kPooledDropout,
};

// The stream for one use, in one layer where the use has layers. No two streams of a seed are the same: use and layer
// stand side by side in the 64 bits that the bijection mix() takes.
constexpr uint64_t stream(uint64_t seed, Use use, uint32_t layer = 0) noexcept {
  return mix(seed, uint64_t{layer} << 32 | static_cast<uint32_t>(use));
}

// Dropout of `rate` (0 <= rate < 1) with inverted scaling: element i of the stream `seed` is kept, and multiplied by
// 1 / (1 - rate), or becomes 0.
class Dropout {
 public:
  Dropout(double rate, uint64_t seed) noexcept
      : seed_(static_cast<uint32_t>(seed)),
        seed_high_(static_cast<uint32_t>(seed >> 32)),
        threshold_(static_cast<uint32_t>(rate * 4294967296.0)),
        scale_(static_cast<float>(1.0 / (1.0 - rate))) {}

  bool active() const noexcept { return threshold_ != 0; }
  float factor(uint32_t i) const noexcept { return hash(i) < threshold_ ? 0.0F : scale_; }

 private:
  // 32 bits only, so that compilers vectorise it: murmur3's finaliser, its constants' mixing repeated with the seed.
  uint32_t hash(uint32_t i) const noexcept {
    uint32_t h = i * 0x9E3779B9U + seed_;
    h = (h ^ (h >> 16)) * 0x85EBCA6BU;
    h = (h ^ (h >> 13) ^ seed_high_) * 0xC2B2AE35U;
    return h ^ (h >> 16);
  }

  uint32_t seed_;
  uint32_t seed_high_;
  uint32_t threshold_;
  float scale_;
};

}  // namespace hccs::training

#endif  // HCCS_TRAINING_RANDOM_H_
