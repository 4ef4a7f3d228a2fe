// SPDX-License-Identifier: Apache-2.0
//
// The engine against the definition: the hidden states after every layer, tolerance 0. And embeddings that may never
// change without a new version of the file.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "hccs/digest.h"
#include "integer_encoder/plain.h"
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

void expect_equal(const ModelShape& shape, uint64_t seed, std::initializer_list<int64_t> lengths) {
  ModelMaker maker(shape, seed);
  const IntegerModel model = maker.make();
  ASSERT_TRUE(validate(model).ok()) << validate(model).message();
  const PlainEncoder engine(model);
  for (const int64_t length : lengths) {
    const std::vector<int32_t> ids = maker.ids(length);
    for (const int64_t second : {length, length / 2}) {
      Layers expected;
      Layers actual;
      const Expected<HiddenStates> reference = reference_forward(model, ids, second, collect(&expected));
      ASSERT_TRUE(reference.ok()) << reference.status().message();
      const HiddenStates states = engine.forward(ids, second, collect(&actual));
      ASSERT_EQ(expected.size(), model.layers.size() + 1);
      for (size_t l = 0; l < expected.size(); ++l) {
        ASSERT_EQ(actual[l], expected[l]) << "seed " << seed << ", " << length << " tokens, after " << l;
      }
      ASSERT_EQ(states.int8, reference->int8);
      ASSERT_EQ(states.skip, reference->skip);
    }
  }
}

TEST(Engine, EqualsTheReferenceForRandomModels) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    expect_equal({.attention = seed % 2 == 0 ? AttentionWeights::kUint8 : AttentionWeights::kWide}, seed,
                 {1, 2, 3, 4, 5, 7, 16, 40});
  }
}

TEST(Engine, EqualsTheReferenceForOtherShapes) {
  expect_equal({.hidden = 1, .heads = 1, .inner = 5, .layers = 1}, 10, {1, 3});
  expect_equal({.hidden = 128, .heads = 2, .inner = 512, .layers = 1}, 11, {1, 9});
  expect_equal({.hidden = 1024, .heads = 16, .inner = 256, .layers = 1}, 12, {2});
  expect_equal({.hidden = 60, .heads = 12, .inner = 100, .layers = 3}, 13, {6});
}

TEST(Engine, EqualsTheReferenceForHostileWeights) {
  uint64_t seed = 20;
  for (const Weights weights : {Weights::kLargest, Weights::kZero, Weights::kOneOutlier}) {
    for (const AttentionWeights attention : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
      expect_equal({.weights = weights, .attention = attention}, ++seed, {1, 5, 40});
    }
  }
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

// If this fails, files that users have give other embeddings: the version of the format has to change.
TEST(Golden, EmbeddingsAndLogitsOfTenTexts) {
  Digest digest;
  for (const AttentionWeights attention : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
    ModelMaker maker({.hidden = 48, .heads = 4, .inner = 96, .attention = attention}, 7);
    const IntegerModel model = maker.make();
    for (const int64_t length : std::array{1, 2, 3, 5, 8, 13, 21, 30, 39, 40}) {
      const HiddenStates states = *reference_forward(model, maker.ids(length), length / 2);
      for (const int16_t v : reference_embedding(model, states)) digest.add(std::to_string(v));
      for (const int32_t v : reference_logits(model, states)) digest.add(std::to_string(v));
    }
  }
  EXPECT_EQ(digest.text(), "xxh3-128:9d6ee064582e2747fa1829cbb64fe2ac");
}

}  // namespace
}  // namespace hccs::internal
