// SPDX-License-Identifier: Apache-2.0
#include "training/optimiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "training/batches.h"

namespace hccs::training {
namespace {

constexpr uint64_t kSeed = 11;

BertConfig tiny() {
  return {.vocabulary_size = 10,
          .hidden_size = 4,
          .layers = 1,
          .heads = 1,
          .intermediate_size = 4,
          .max_positions = 4,
          .type_vocabulary_size = 1};
}

// AdamW as the paper writes it, in double, one element at a time.
struct ReferenceAdamW {
  double m = 0, v = 0;
  double step(double w, double g, double rate, double decay, int64_t t) {
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    const double m_hat = m / (1 - std::pow(0.9, t));
    const double v_hat = v / (1 - std::pow(0.999, t));
    return w - rate * decay * w - rate * m_hat / (std::sqrt(v_hat) + 1e-8);
  }
};

TEST(AdamWTest, EqualsThePaperAndUpdatesOnlyTheWordsOfTheBatch) {
  Weights weights = random_weights(tiny(), std::vector<std::string>{"a", "b"}, kSeed);
  const Weights before = weights;
  AdamW optimiser(weights, {.weight_decay = 0.1, .clip_norm = 0});
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal(0, 1);
  // Two shards; their gradients add up.
  std::vector<std::vector<std::vector<float>>> gradients(2);
  const std::vector<std::vector<int32_t>> ids = {{3, 5, 3}, {5}};
  std::vector<std::vector<float>> words = {std::vector<float>(12), std::vector<float>(4)};
  std::vector<std::vector<ReferenceAdamW>> reference;
  std::vector<std::vector<double>> expected;
  for (const Tensor& t : weights.tensors) {
    reference.emplace_back(t.values.size());
    expected.emplace_back(t.values.begin(), t.values.end());
  }
  for (int64_t step = 1; step <= 3; ++step) {
    for (int s = 0; s < 2; ++s) {
      gradients[s].clear();
      for (size_t t = 0; t < weights.tensors.size(); ++t) {
        gradients[s].emplace_back(t == kWordEmbeddings ? 0 : weights.tensors[t].values.size());
        for (float& g : gradients[s].back()) g = normal(random);
      }
      for (float& g : words[s]) g = normal(random);
    }
    const std::vector<ShardGradients> shards = {{gradients[0], ids[0], words[0]}, {gradients[1], ids[1], words[1]}};
    optimiser.step(0.01, shards, &weights);
    for (size_t t = 0; t < weights.tensors.size(); ++t) {
      for (size_t i = 0; i < weights.tensors[t].values.size(); ++i) {
        double g = 0;
        if (t == kWordEmbeddings) {
          const auto row = static_cast<int32_t>(i / 4);
          if (row != 3 && row != 5) continue;
          for (int s = 0; s < 2; ++s) {
            for (size_t k = 0; k < ids[s].size(); ++k) g += ids[s][k] == row ? double{words[s][k * 4 + i % 4]} : 0.0;
          }
        } else {
          g = double{gradients[0][t][i]} + gradients[1][t][i];
        }
        const double decay = is_int8_matrix(weights.tensors[t]) ? 0.1 : 0.0;
        expected[t][i] = reference[t][i].step(expected[t][i], g, 0.01, decay, step);
        EXPECT_NEAR(weights.tensors[t].values[i], expected[t][i], 2e-6) << weights.tensors[t].name << "[" << i << "]";
      }
    }
  }
  for (const int row : {0, 4, 9}) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(weights.tensors[kWordEmbeddings].values[row * 4 + i],
                before.tensors[kWordEmbeddings].values[row * 4 + i]);
    }
  }
}

TEST(AdamWTest, ClipsTheNormAndRefusesWhatIsNotFinite) {
  Weights weights = random_weights(tiny(), std::vector<std::string>{"a", "b"}, kSeed);
  std::vector<std::vector<float>> gradients;
  for (size_t t = 0; t < weights.tensors.size(); ++t) {
    gradients.emplace_back(t == kWordEmbeddings ? 0 : weights.tensors[t].values.size());
  }
  gradients[1][0] = 3;
  gradients[2][1] = -4;
  const std::vector<ShardGradients> shards = {{gradients, {}, {}}};
  AdamW optimiser(weights, {.clip_norm = 1});
  EXPECT_NEAR(optimiser.step(0.01, shards, &weights), 5, 1e-6);
  EXPECT_NEAR(optimiser.first_moments()[1][0], 0.1 * 3 / 5, 1e-6);
  const Weights before = weights;
  gradients[2][1] = std::nanf("");
  EXPECT_FALSE(std::isfinite(optimiser.step(0.01, shards, &weights)));
  for (size_t t = 0; t < weights.tensors.size(); ++t) EXPECT_EQ(weights.tensors[t].values, before.tensors[t].values);
  EXPECT_EQ(optimiser.steps(), 1);
}

TEST(LearnableHeadsTest, StartsAtItsStart) {
  const std::vector<HeadEntry> start = {{.params = HeadParams(4690, {{86, 21}, {34, 47}, {14, 85}}), .step = 0.03},
                                        {.params = HeadParams(127, {{1, 127}}), .step = 2.0}};
  const std::vector<HeadEntry> found = LearnableHeads(start).entries();
  for (size_t h = 0; h < start.size(); ++h) {
    EXPECT_EQ(found[h].params, start[h].params);
    EXPECT_NEAR(found[h].step, start[h].step, 1e-12);
  }
}

// Each head by its own gradient: Adam, in the units that the start suggests, rounded.
TEST(LearnableHeadsTest, EqualsAdamInTheStartsUnits) {
  const std::vector<HeadEntry> start = {{.params = HeadParams(20000, {{100, 20}, {40, 60}}), .step = 0.03},
                                        {.params = HeadParams(9000, {{60, 90}}), .step = 0.5}};
  std::mt19937_64 random(kSeed);
  std::normal_distribution<double> normal(0, 1);
  LearnableHeads heads(start);
  struct Latent {
    double value, unit;  // of the parameter, in its units
    ReferenceAdamW adam{};
  };
  struct Head {
    Latent offset, slope[2], position[2], log_step;
  };
  Head expected[2] = {{{1, 20000}, {{1, 100}, {0.4, 100}}, {{20.0 / 32, 32}, {60.0 / 32, 32}}, {std::log(0.03), 1}},
                      {{1, 9000}, {{1, 60}, {0, 0}}, {{90.0 / 32, 32}, {0, 0}}, {std::log(0.5), 1}}};
  for (int64_t t = 1; t <= 4; ++t) {
    HeadGradient gradients[2];
    const std::vector<HeadEntry> before = heads.entries();
    const auto step = [&](Latent& latent, double gradient) {
      latent.value = latent.adam.step(latent.value, gradient, 0.02, 0, t);
    };
    for (int h = 0; h < 2; ++h) {
      HeadGradient& g = gradients[h];
      g.offset = normal(random);
      g.step = normal(random);
      step(expected[h].offset, g.offset * expected[h].offset.unit);
      step(expected[h].log_step, g.step * before[h].step);  // d / d log step = step * d / d step
      for (int k = 0; k < start[h].params.knee_count; ++k) {
        g.slope[k] = normal(random);
        g.position[k] = normal(random);
        step(expected[h].slope[k], g.slope[k] * expected[h].slope[k].unit);
        step(expected[h].position[k], g.position[k] * expected[h].position[k].unit);
      }
    }
    heads.step(0.02, gradients);
    const std::vector<HeadEntry> found = heads.entries();
    for (int h = 0; h < 2; ++h) {
      const auto rounds_to = [&](const Latent& latent) { return std::nearbyint(latent.value * latent.unit); };
      EXPECT_EQ(found[h].params.offset, rounds_to(expected[h].offset)) << "head " << h << ", seed " << kSeed;
      EXPECT_NEAR(found[h].step, std::exp(expected[h].log_step.value), 1e-6) << "head " << h << ", seed " << kSeed;
      for (int k = 0; k < start[h].params.knee_count; ++k) {
        EXPECT_EQ(found[h].params.knees[k].slope, rounds_to(expected[h].slope[k])) << "head " << h << ", knee " << k;
        EXPECT_EQ(found[h].params.knees[k].position, rounds_to(expected[h].position[k])) << "head " << h;
      }
      EXPECT_GT(found[h].params.floor(), 0);  // nothing gave way
    }
  }
}

// Whatever the gradients, the integers are those of the contract.
TEST(LearnableHeadsTest, IsAlwaysExportable) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<double> normal(0, 1);
  for (int trial = 0; trial < 50; ++trial) {
    const std::vector<HeadEntry> start = {
        {.params = HeadParams(4690, {{86, 21}, {34, 47}, {14, 85}}), .step = 0.03},
        {.params = HeadParams(1, {{0, 1}}), .step = 0.03},
        {.params = HeadParams(32767, {{127, 124}, {127, 125}, {3, 126}, {0, 127}}), .step = 0.03}};
    LearnableHeads heads(start);
    HeadGradient drift[3];  // a direction of its own, so that latents go far
    for (HeadGradient& d : drift) {
      d.offset = normal(random);
      d.step = normal(random);
      for (int k = 0; k < kMaxKnees; ++k) {
        d.slope[k] = normal(random);
        d.position[k] = normal(random);
      }
    }
    for (int step = 0; step < 60; ++step) {
      heads.step(0.2, drift);
      for (const HeadEntry& e : heads.entries()) {
        ASSERT_TRUE(validate(e.params).ok()) << validate(e.params).message() << ", seed " << kSeed;
        ASSERT_TRUE(e.step > 0 && std::isfinite(e.step));
      }
    }
  }
}

TEST(BatchesTest, HoldEveryTextOnceAndAreOfLikeLength) {
  std::mt19937_64 random(kSeed);
  std::vector<Encoding> texts(1000);
  for (Encoding& t : texts) t.ids.resize(2 + random() % 60);
  const auto batches = make_batches(texts, 16, 1, 0);
  std::vector<int> seen(texts.size());
  double spread = 0;
  for (const auto& batch : batches) {
    EXPECT_LE(batch.size(), 16U);
    size_t low = 1000, high = 0;
    for (const int32_t t : batch) {
      ++seen[t];
      low = std::min(low, texts[t].ids.size());
      high = std::max(high, texts[t].ids.size());
    }
    spread += static_cast<double>(high - low);
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 1000);
  EXPECT_LT(spread / static_cast<double>(batches.size()), 4);
  EXPECT_EQ(batches, make_batches(texts, 16, 1, 0));
  EXPECT_NE(batches, make_batches(texts, 16, 1, 1));
  EXPECT_NE(batches, make_batches(texts, 16, 2, 0));
}

}  // namespace
}  // namespace hccs::training
