// SPDX-License-Identifier: Apache-2.0
//
// The engine against the definition: the hidden states after every layer, tolerance 0, on every target. And embeddings
// that may never change without a new version of the file.
#include "integer_encoder/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <thread>

#include "attention/plan.h"
#include "contract/target_list.h"
#include "hccs/attention.h"
#include "integer_kernels/kernels.h"
#include "random_model.h"

namespace hccs::internal {
namespace {

using Layers = std::vector<std::vector<int16_t>>;

HiddenSink collect(Layers* layers) {
  return [layers](int64_t layer, std::span<const int16_t> hidden) {
    EXPECT_EQ(layer, std::ssize(*layers));
    layers->emplace_back(hidden.begin(), hidden.end());
  };
}

// Everything that an engine gives, on each target that this CPU runs.
class EachTarget : public testing::TestWithParam<std::string_view> {
 protected:
  static void expect_equal(const ModelShape& shape, uint64_t seed, std::initializer_list<int64_t> lengths) {
    ModelMaker maker(shape, seed);
    const IntegerModel model = maker.make();
    ASSERT_TRUE(validate(model).ok()) << validate(model).message();
    const auto engine = Engine::make(model, GetParam());
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    ASSERT_EQ((*engine)->target(), GetParam());
    for (const int64_t length : lengths) {
      const std::vector<int32_t> ids = maker.ids(length);
      for (const int64_t second : {length, length / 2}) expect_equal(model, **engine, ids, second, seed);
    }
  }

  static void expect_equal(const IntegerModel& model, const Engine& engine, const std::vector<int32_t>& ids,
                           int64_t second, uint64_t seed) {
    Layers expected;
    Layers actual;
    const Expected<HiddenStates> reference = reference_forward(model, ids, second, collect(&expected));
    ASSERT_TRUE(reference.ok()) << reference.status().message();
    const Expected<HiddenStates> states = engine.forward(ids, second, collect(&actual));
    ASSERT_TRUE(states.ok()) << states.status().message();
    ASSERT_EQ(expected.size(), model.layers.size() + 1);
    for (size_t l = 0; l < expected.size(); ++l) {
      ASSERT_EQ(actual[l], expected[l]) << "seed " << seed << ", " << ids.size() << " tokens, after " << l;
    }
    ASSERT_EQ(states->int8, reference->int8);
    ASSERT_EQ(states->skip, reference->skip);
    const TextTokens text{.ids = ids, .second_begin = second};
    std::vector<int16_t> embedding(static_cast<size_t>(model.hidden));
    ASSERT_TRUE(engine.embed({&text, 1}, 1, embedding.data()).ok());
    ASSERT_EQ(embedding, reference_embedding(model, *reference));
    std::vector<int32_t> logits(model.classifier->labels.size());
    ASSERT_TRUE(engine.classify({&text, 1}, 1, logits.data()).ok());
    ASSERT_EQ(logits, reference_logits(model, *reference));
  }
};

TEST_P(EachTarget, IsTheOneThatRuns) {
  const IntegerKernels* kernels = find_integer_kernels(GetParam());
  ASSERT_NE(kernels, nullptr);
  const Product none{.linear = {}, .x = nullptr, .pitch = 0, .rows = 0};
  EXPECT_EQ(kernels->to_int8(none, nullptr, 0), kernels->id);
  for (const AttentionTarget& target : attention_target_list().available()) {
    EXPECT_TRUE(target.name != GetParam() || target.id == kernels->id);
  }
}

TEST_P(EachTarget, EqualsTheReferenceForRandomModels) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    expect_equal({.attention = seed % 2 == 0 ? AttentionWeights::kUint8 : AttentionWeights::kWide}, seed,
                 {1, 2, 3, 4, 5, 7, 16, 40});
  }
}

TEST_P(EachTarget, EqualsTheReferenceForOtherShapes) {
  expect_equal({.hidden = 1, .heads = 1, .inner = 5, .layers = 1}, 10, {1, 3});
  expect_equal({.hidden = 128, .heads = 2, .inner = 512, .layers = 1}, 11, {1, 9});
  expect_equal({.hidden = 1024, .heads = 16, .inner = 256, .layers = 1}, 12, {2});
  expect_equal({.hidden = 60, .heads = 12, .inner = 100, .layers = 3}, 13, {6});
  // A head that is larger than attention's plans take.
  expect_equal({.hidden = 515, .heads = 1, .inner = 64, .layers = 1}, 14, {3});
}

TEST_P(EachTarget, EqualsTheReferenceForLongTexts) {
  for (const int64_t length : {63, 64, 65, 95, 96, 97, 127, 128, 129, 192, 193, 511, 512}) {
    expect_equal({.hidden = 16, .heads = 2, .inner = 40, .layers = 1, .positions = 512}, 30, {length});
  }
}

TEST_P(EachTarget, EqualsTheReferenceForHostileWeights) {
  uint64_t seed = 20;
  for (const Weights weights : {Weights::kLargest, Weights::kZero, Weights::kOneOutlier}) {
    for (const AttentionWeights attention : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
      expect_equal({.weights = weights, .attention = attention}, ++seed, {1, 5, 40});
      expect_equal({.hidden = 64, .heads = 1, .inner = 1000, .layers = 1, .weights = weights, .attention = attention},
                   ++seed, {7});
    }
  }
}

// Sums, biases and multipliers at the ends of their ranges.
TEST_P(EachTarget, EqualsTheReferenceForHostileNumbers) {
  for (uint64_t seed = 40; seed < 52; ++seed) {
    expect_equal({.hidden = 70, .heads = 2, .inner = 130, .layers = 2, .hostile = true}, seed, {1, 6, 40});
  }
}

TEST_P(EachTarget, TextsOfABatchDoNotMatterToEachOther) {
  for (const IntPooling pooling : {IntPooling::kMean, IntPooling::kFirst}) {
    ModelMaker maker({.pooling = pooling}, 5);
    const IntegerModel model = maker.make();
    const auto engine = *Engine::make(model, GetParam());
    std::vector<std::vector<int32_t>> ids;
    std::vector<TextTokens> texts;
    for (const int64_t length : {1, 1, 3, 40, 1, 17, 40, 2, 31, 5, 8}) ids.push_back(maker.ids(length));
    for (const std::vector<int32_t>& text : ids) texts.push_back({.ids = text, .second_begin = std::ssize(text) / 2});
    const auto hidden = static_cast<size_t>(model.hidden);
    for (const int threads : {1, 3}) {
      std::vector<int16_t> together(texts.size() * hidden);
      ASSERT_TRUE(engine->embed(texts, threads, together.data()).ok());
      std::vector<int32_t> logits(texts.size() * 3);
      ASSERT_TRUE(engine->classify(texts, threads, logits.data()).ok());
      for (size_t t = 0; t < texts.size(); ++t) {
        const HiddenStates states = *reference_forward(model, texts[t].ids, texts[t].second_begin);
        EXPECT_TRUE(std::equal(&together[t * hidden], &together[t * hidden] + hidden,
                               reference_embedding(model, states).begin()))
            << "text " << t << ", " << threads << " threads";
        EXPECT_TRUE(std::equal(&logits[t * 3], &logits[t * 3] + 3, reference_logits(model, states).begin()))
            << "text " << t << ", " << threads << " threads";
      }
    }
  }
}

TEST_P(EachTarget, ThreadsMayShareTexts) {
  const auto expect_same = [](const ModelShape& shape, const std::vector<std::vector<int64_t>>& batches) {
    ModelMaker maker(shape, 7);
    const IntegerModel model = maker.make();
    const auto engine = *Engine::make(model, GetParam());
    const auto hidden = static_cast<size_t>(model.hidden);
    for (const std::vector<int64_t>& lengths : batches) {
      std::vector<std::vector<int32_t>> ids;
      std::vector<TextTokens> texts;
      for (const int64_t length : lengths) ids.push_back(maker.ids(length));
      for (const auto& text : ids) texts.push_back({.ids = text, .second_begin = std::ssize(text) / 2});
      std::vector<int16_t> alone(texts.size() * hidden);
      std::vector<int32_t> logits_alone(texts.size() * 3);
      ASSERT_TRUE(engine->embed(texts, 1, alone.data()).ok());
      ASSERT_TRUE(engine->classify(texts, 1, logits_alone.data()).ok());
      for (const int threads : {2, 7}) {
        std::vector<int16_t> shared(alone.size());
        std::vector<int32_t> logits(logits_alone.size());
        ASSERT_TRUE(engine->embed(texts, threads, shared.data()).ok());
        ASSERT_TRUE(engine->classify(texts, threads, logits.data()).ok());
        EXPECT_EQ(shared, alone) << lengths[0] << " tokens, " << threads << " threads";
        EXPECT_EQ(logits, logits_alone) << lengths[0] << " tokens, " << threads << " threads";
      }
    }
  };
  expect_same({.layers = 1, .positions = 110}, {{1}, {15}, {16}, {17, 2}, {3, 40, 1, 39}, {110}});
  // Heads that are larger than attention's plans take.
  expect_same({.hidden = 515, .heads = 1, .inner = 16, .layers = 1}, {{17}});
}

TEST_P(EachTarget, ServesSeveralThreads) {
  ModelMaker maker({}, 6);
  const IntegerModel model = maker.make();
  const auto engine = *Engine::make(model, GetParam());
  const std::vector<std::vector<int32_t>> ids = {maker.ids(40), maker.ids(3), maker.ids(20)};
  std::vector<std::vector<int16_t>> expected;
  for (const auto& text : ids) expected.push_back(reference_embedding(model, *reference_forward(model, text, 2)));
  std::vector<std::jthread> threads;
  for (size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t i = 0; i < 30; ++i) {
        const size_t t = (i + thread) % ids.size();
        const TextTokens text{.ids = ids[t], .second_begin = 2};
        std::vector<int16_t> embedding(static_cast<size_t>(model.hidden));
        EXPECT_TRUE(engine->embed({&text, 1}, 1, embedding.data()).ok());
        EXPECT_EQ(embedding, expected[t]);
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Engine, EachTarget, testing::ValuesIn(attention_targets().begin(), attention_targets().end()),
                         [](const auto& target) {
                           std::string name(target.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Engine, RefusesATargetThatIsNotThere) {
  ModelMaker maker({}, 1);
  const IntegerModel model = maker.make();
  const auto engine = Engine::make(model, "abacus");
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(engine.status().message().find("'abacus'"), std::string::npos) << engine.status().message();
}

TEST(Engine, TheModelsAreNotTrivial) {
  ModelMaker maker({}, 1);
  const IntegerModel model = maker.make();
  const HiddenStates states = *reference_forward(model, maker.ids(12), 12);
  const auto [least, greatest] = std::minmax_element(states.skip.begin(), states.skip.end());
  EXPECT_LT(*least, -1000);
  EXPECT_GT(*greatest, 1000);
  // No two tokens are the same.
  EXPECT_FALSE(std::equal(states.skip.begin(), states.skip.begin() + 24, states.skip.begin() + 24));
}

TEST(Embedding, HasLengthOne) {
  for (const IntPooling pooling : {IntPooling::kMean, IntPooling::kFirst}) {
    ModelMaker maker({.pooling = pooling}, 3);
    const IntegerModel model = maker.make();
    const HiddenStates states = *reference_forward(model, maker.ids(9), 9);
    double squares = 0;
    for (const int16_t v : reference_embedding(model, states)) squares += std::ldexp(static_cast<double>(v) * v, -30);
    EXPECT_NEAR(squares, 1, 1e-3);
  }
}

TEST(Embedding, OfASumOfZeroIsZero) {
  ModelMaker maker({}, 3);
  const IntegerModel model = maker.make();
  const HiddenStates states{.skip = std::vector<int16_t>(48), .int8 = std::vector<int8_t>(48)};
  for (const int16_t v : reference_embedding(model, states)) EXPECT_EQ(v, 0);
}

TEST(Embedding, LeavesOutThePromptButNeverAllTokens) {
  ModelMaker maker({}, 4);
  IntegerModel model = maker.make();
  const HiddenStates states = *reference_forward(model, maker.ids(6), 6);
  const auto width = static_cast<ptrdiff_t>(model.hidden);
  model.prompt_tokens = 2;
  const HiddenStates rest{.skip = {states.skip.begin() + 2 * width, states.skip.end()}, .int8 = {}};
  const std::vector<int16_t> expected = reference_embedding(model, states);
  model.prompt_tokens = 0;
  EXPECT_EQ(expected, reference_embedding(model, rest));
  const HiddenStates last{.skip = {states.skip.begin() + 5 * width, states.skip.end()}, .int8 = {}};
  const std::vector<int16_t> of_last = reference_embedding(model, last);
  model.prompt_tokens = 30;
  EXPECT_EQ(reference_embedding(model, states), of_last);
}

}  // namespace
}  // namespace hccs::internal
