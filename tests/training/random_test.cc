// SPDX-License-Identifier: Apache-2.0
#include "training/random.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace hccs::training {
namespace {

constexpr Use kUses[] = {
    Use::kInitialise,        Use::kSubset,           Use::kBatches,          Use::kDropout,
    Use::kCalibrationSample, Use::kEmbeddingDropout, Use::kAttentionDropout, Use::kAttentionOutputDropout,
    Use::kOutputDropout,     Use::kPooledDropout};

// A model may have a thousand layers.
TEST(StreamTest, NoTwoUsesOrLayersShareOne) {
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
    std::set<uint64_t> streams;
    size_t count = 0;
    for (const Use use : kUses) {
      for (uint32_t layer = 0; layer < 1000; ++layer, ++count) streams.insert(stream(seed, use, layer));
    }
    EXPECT_EQ(streams.size(), count) << "seed " << seed;
  }
}

TEST(StreamTest, DependsOnTheSeed) {
  for (const Use use : kUses) EXPECT_NE(stream(1, use, 3), stream(2, use, 3));
}

// The masks of two streams agree by chance alone, also between uses whose layers are far apart.
TEST(DropoutTest, StreamsAreIndependent) {
  constexpr uint32_t kCount = 100'000;
  const auto dropped_in_both = [](std::pair<Use, uint32_t> a, std::pair<Use, uint32_t> b) {
    const Dropout first(0.5, stream(7, a.first, a.second));
    const Dropout second(0.5, stream(7, b.first, b.second));
    int64_t both = 0;
    for (uint32_t i = 0; i < kCount; ++i) both += first.factor(i) == 0 && second.factor(i) == 0 ? 1 : 0;
    return static_cast<double>(both) / kCount;
  };
  for (const uint32_t layer : {0U, 1U, 99U, 100U, 200U, 300U}) {
    for (const Use use : {Use::kAttentionOutputDropout, Use::kOutputDropout, Use::kPooledDropout}) {
      EXPECT_NEAR(dropped_in_both({Use::kAttentionDropout, layer}, {use, 0}), 0.25, 0.02) << layer;
    }
    EXPECT_NEAR(dropped_in_both({Use::kAttentionDropout, layer}, {Use::kAttentionDropout, layer + 1}), 0.25, 0.02);
  }
}

}  // namespace
}  // namespace hccs::training
