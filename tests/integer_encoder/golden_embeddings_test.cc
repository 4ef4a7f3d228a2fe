// SPDX-License-Identifier: Apache-2.0
//
// Embeddings and logits that may never change without a new version of the file, from the reference and, beside it,
// from every target.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "hccs/attention.h"
#include "hccs/digest.h"
#include "integer_encoder/engine.h"
#include "random_model.h"

namespace hccs::internal {
namespace {

// If this fails, files that users have give other embeddings: the version of the format has to change.
constexpr const char* kDigest = "xxh3-128:9d6ee064582e2747fa1829cbb64fe2ac";
constexpr std::array kLengths = {1, 2, 3, 5, 8, 13, 21, 30, 39, 40};

// `add` sees each model and ten texts.
template <class Add>
void for_each_text(const Add& add) {
  for (const AttentionWeights attention : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
    ModelMaker maker({.hidden = 48, .heads = 4, .inner = 96, .attention = attention}, 7);
    const IntegerModel model = maker.make();
    for (const int64_t length : kLengths) add(model, maker.ids(length), length / 2);
  }
}

TEST(Golden, EmbeddingsAndLogitsOfTenTexts) {
  Digest digest;
  for_each_text([&](const IntegerModel& model, const std::vector<int32_t>& ids, int64_t second) {
    const HiddenStates states = *reference_forward(model, ids, second);
    for (const int16_t v : reference_embedding(model, states)) digest.add(std::to_string(v));
    for (const int32_t v : reference_logits(model, states)) digest.add(std::to_string(v));
  });
  EXPECT_EQ(digest.text(), kDigest);
}

TEST(Golden, AreTheSameOnEveryTarget) {
  for (const std::string_view target : attention_targets()) {
    Digest digest;
    for_each_text([&](const IntegerModel& model, const std::vector<int32_t>& ids, int64_t second) {
      const auto engine = *Engine::make(model, target);
      const TextTokens text{.ids = ids, .second_begin = second};
      std::vector<int16_t> embedding(static_cast<size_t>(model.hidden));
      ASSERT_TRUE(engine->embed({&text, 1}, 1, embedding.data()).ok());
      for (const int16_t v : embedding) digest.add(std::to_string(v));
      std::vector<int32_t> logits(model.classifier->labels.size());
      ASSERT_TRUE(engine->classify({&text, 1}, 1, logits.data()).ok());
      for (const int32_t v : logits) digest.add(std::to_string(v));
    });
    EXPECT_EQ(digest.text(), kDigest) << target;
  }
}

}  // namespace
}  // namespace hccs::internal
