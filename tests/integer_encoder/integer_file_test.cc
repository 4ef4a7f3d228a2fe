// SPDX-License-Identifier: Apache-2.0
//
// The file of an integer model: what is written is what is read, and nothing else is.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "../formats/temporary_folder.h"
#include "hccs/integer_encoder.h"
#include "integer_encoder/file.h"
#include "integer_encoder/reference.h"
#include "random_model.h"

namespace hccs::internal {
namespace {

using test::fails;

class IntegerFile : public test::WithFolder {
 protected:
  std::filesystem::path path() const { return folder() / "model.hccs"; }

  std::string content() const { return get(path()); }
  void overwrite(const std::string& bytes) const { put("model.hccs", bytes); }

  // Replaces text in the header by text of the same length.
  void replace(const std::string& from, const std::string& to) const {
    std::string bytes = content();
    const size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    ASSERT_EQ(from.size(), to.size());
    overwrite(bytes.replace(at, from.size(), to));
  }
};

TEST_F(IntegerFile, GivesBackWhatWasWritten) {
  for (const AttentionWeights attention : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
    ModelMaker maker({.attention = attention, .pooling = IntPooling::kFirst}, 5);
    IntegerModel model = maker.make();
    model.prompt = "query: ";
    model.prompt_tokens = 3;
    model.lower_case = true;
    ASSERT_TRUE(write_integer_model(path(), model).ok());
    const Expected<IntegerModel> read = read_integer_model(path());
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->tokenizer->digest(), model.tokenizer->digest());
    EXPECT_EQ(read->classifier->labels, model.classifier->labels);
    EXPECT_EQ(read->prompt, model.prompt);
    EXPECT_EQ(read->prompt_tokens, 3);
    EXPECT_TRUE(read->lower_case);
    EXPECT_EQ(read->origin.name, "random");
    EXPECT_EQ(read->max_length, model.max_length);
    const std::vector<int32_t> ids = maker.ids(11);
    const HiddenStates expected = *reference_forward(model, ids, 5);
    const HiddenStates states = *reference_forward(*read, ids, 5);
    EXPECT_EQ(states.skip, expected.skip);
    EXPECT_EQ(states.int8, expected.int8);
    EXPECT_EQ(reference_embedding(*read, states), reference_embedding(model, expected));
    EXPECT_EQ(reference_logits(*read, states), reference_logits(model, expected));
  }
}

TEST_F(IntegerFile, OfTheSameModelHasTheSameBytes) {
  const IntegerModel model = ModelMaker({}, 5).make();
  ASSERT_TRUE(write_integer_model(path(), model).ok());
  const std::string first = content();
  ASSERT_TRUE(write_integer_model(path(), *read_integer_model(path())).ok());
  EXPECT_EQ(content(), first);
}

TEST_F(IntegerFile, ThatIsTruncatedIsRefused) {
  ASSERT_TRUE(write_integer_model(path(), ModelMaker({}, 5).make()).ok());
  const std::string whole = content();
  for (const size_t size : {size_t{0}, size_t{4}, size_t{8}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    overwrite(whole.substr(0, size));
    EXPECT_TRUE(fails(read_integer_model(path()), StatusCode::kBadData, {"model.hccs"})) << size;
  }
  overwrite(whole + "x");
  EXPECT_TRUE(fails(read_integer_model(path()), StatusCode::kBadData, {"model.hccs"}));
}

TEST_F(IntegerFile, WithAnyByteChangedIsRefused) {
  ASSERT_TRUE(write_integer_model(path(), ModelMaker({.layers = 1}, 5).make()).ok());
  const std::string whole = content();
  for (size_t at = 0; at < whole.size(); at += at < 4000 ? 7 : 251) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    overwrite(changed);
    const Expected<IntegerModel> read = read_integer_model(path());
    EXPECT_FALSE(read.ok()) << "byte " << at << " of " << whole.size();
  }
}

TEST_F(IntegerFile, OfAnotherVersionIsRefused) {
  ASSERT_TRUE(write_integer_model(path(), ModelMaker({}, 5).make()).ok());
  replace(R"("version":"1")", R"("version":"2")");
  EXPECT_TRUE(fails(read_integer_model(path()), StatusCode::kUnsupported, {"version \"2\"", "only 1 is known"}));
}

TEST_F(IntegerFile, ThatIsNoIntegerModelIsRefused) {
  ASSERT_TRUE(write_integer_model(path(), ModelMaker({}, 5).make()).ok());
  EXPECT_TRUE(is_integer_model(path()));
  replace("hccs-integer-model", "hccs-integer-modal");
  EXPECT_FALSE(is_integer_model(path()));
  EXPECT_TRUE(fails(read_integer_model(path()), StatusCode::kBadData, {"no integer model", "hccs quantise"}));
  EXPECT_FALSE(is_integer_model(folder()));
  EXPECT_FALSE(is_integer_model(folder() / "nothing"));
  EXPECT_TRUE(fails(read_integer_model(folder() / "nothing"), StatusCode::kIo, {"nothing"}));
}

TEST_F(IntegerFile, IsNotWrittenForAModelThatBreaksARule) {
  const std::vector<std::pair<std::string, std::function<void(IntegerModel*)>>> breaches = {
      {"embedding", [](IntegerModel* m) { m->embedding_norm.epsilon = 15; }},
      {"epsilon", [](IntegerModel* m) { m->layers[1].output_norm.epsilon = kMaxEpsilon + 1; }},
      {"multiplier[3]", [](IntegerModel* m) { m->layers[0].output.multiplier[3] = (1 << 14) - 1; }},
      {"bias[0]", [](IntegerModel* m) { m->layers[0].intermediate.bias[0] = kMaxBias + 1; }},
      {"shift[1]", [](IntegerModel* m) { m->layers[0].query_key_value.shift[1] = 25; }},
      {"out_shift[1]", [](IntegerModel* m) { m->layers[0].attention_output.out_shift[1] = 31; }},
      {"fraction", [](IntegerModel* m) { m->layers[0].gelu.fraction = 14; }},
      {"columns", [](IntegerModel* m) { m->layers[0].gelu.splits.push_back(1); }},
      {"rise",
       [](IntegerModel* m) {
         m->layers[0].gelu.splits = {3, 5, 1};
       }},
      {"attention_skip", [](IntegerModel* m) { m->layers[1].attention_skip = 3; }},
      {"layer.1, head 2", [](IntegerModel* m) { m->layers[1].heads[2].offset = 0; }},
      {"head 0", [](IntegerModel* m) { m->layers[1].rescale[0].shift = 47; }},
      {"hidden", [](IntegerModel* m) { m->heads = 5; }},
      {"positions", [](IntegerModel* m) { m->positions = 1 << 16; }},
      {"max_length", [](IntegerModel* m) { m->max_length = 41; }},
      {"words[3]", [](IntegerModel* m) { const_cast<int8_t&>(m->words[3]) = -128; }},
      {"weights[7]", [](IntegerModel* m) { const_cast<int8_t&>(m->layers[0].output.weights[7]) = -128; }},
      {"scale[2]", [](IntegerModel* m) { m->embedding_norm.skip.scale[2] = -32768; }}};
  for (const auto& [named, breach] : breaches) {
    IntegerModel model = ModelMaker({}, 5).make();
    ASSERT_TRUE(validate(model).ok());
    breach(&model);
    const Status status = write_integer_model(path(), model);
    EXPECT_EQ(status.code(), StatusCode::kBadData) << named;
    EXPECT_NE(status.message().find(named), std::string::npos) << status.message();
    EXPECT_FALSE(std::filesystem::exists(path())) << named;
  }
}

class Encoder : public IntegerFile {
 protected:
  IntegerEncoder load() const {
    EXPECT_TRUE(write_integer_model(path(), ModelMaker({}, 6).make()).ok());
    return *IntegerEncoder::load(path());
  }
};

TEST_F(Encoder, GivesTheSameForEveryNumberOfThreadsAndByTheReference) {
  const IntegerEncoder encoder = load();
  ModelMaker maker({}, 8);
  std::vector<Encoding> texts;
  for (int64_t length = 1; length <= 20; ++length)
    texts.push_back({.ids = maker.ids(length), .second_begin = length / 2});
  const std::vector<int16_t> expected = *encoder.embed_integers(texts, {.reference = true});
  const std::vector<float> logits = *encoder.classify(texts, {.reference = true});
  ASSERT_EQ(std::ssize(expected), 20 * 24);
  ASSERT_EQ(std::ssize(logits), 20 * 3);
  for (const int threads : {1, 2, 5}) {
    EXPECT_EQ(*encoder.embed_integers(texts, {.threads = threads}), expected);
    EXPECT_EQ(*encoder.classify(texts, {.threads = threads}), logits);
  }
  const std::vector<float> embeddings = *encoder.embed(texts, {});
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(embeddings[i], std::ldexp(float{expected[i] * 1.0F}, -15));
  // A text gives the same alone.
  const std::vector<int16_t> alone = *encoder.embed_integers(std::span(texts).subspan(7, 1), {});
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), expected.begin() + 7 * 24));
}

TEST_F(Encoder, EmbedsTextsAsTheirTokens) {
  const IntegerEncoder encoder = load();
  const std::vector<std::string> texts = {"w5 w7", "", "w49 unheard W8"};
  std::vector<Encoding> encodings;
  for (const std::string& text : texts) encodings.push_back(encoder.encode(text));
  EXPECT_EQ(encodings[0].ids, (std::vector<int32_t>{2, 5, 7, 3}));
  EXPECT_EQ(encodings[2].ids, (std::vector<int32_t>{2, 49, 1, 8, 3}));
  EXPECT_EQ(*encoder.embed_texts(texts, {}), *encoder.embed(encodings, {}));
  EXPECT_EQ(std::ssize(encoder.encode("w5 w6 w7 w8", 4).ids), 4);
}

TEST_F(Encoder, RefusesWhatTheModelCannotTake) {
  const IntegerEncoder encoder = load();
  const auto embed = [&](Encoding text) { return encoder.embed(std::vector{std::move(text)}, {}); };
  EXPECT_TRUE(fails(embed({}), StatusCode::kInvalidArgument, {"text 0", "no tokens"}));
  EXPECT_TRUE(fails(embed({.ids = {50}}), StatusCode::kInvalidArgument, {"text 0, token 0", "50"}));
  EXPECT_TRUE(fails(embed({.ids = {-1}}), StatusCode::kInvalidArgument, {"-1"}));
  EXPECT_TRUE(fails(embed({.ids = std::vector<int32_t>(41)}), StatusCode::kInvalidArgument, {"41", "40 positions"}));
  EXPECT_TRUE(fails(embed({.ids = {1}, .second_begin = 2}), StatusCode::kInvalidArgument, {"begins at token 2"}));
  const std::vector<Encoding> texts = {{.ids = {1}}};
  EXPECT_TRUE(fails(encoder.embed(texts, {.threads = 0}), StatusCode::kInvalidArgument, {"0 threads"}));
  EXPECT_TRUE(fails(encoder.embed(texts, {.progress = [](int64_t, int64_t) { return false; }}), StatusCode::kCancelled,
                    {"cancelled"}));
  EXPECT_TRUE(encoder.embed({}, {})->empty());
}

}  // namespace
}  // namespace hccs::internal
