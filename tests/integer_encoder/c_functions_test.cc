// SPDX-License-Identifier: Apache-2.0
//
// The C functions of the integer encoder give what the class gives, and say what is wrong. Their header is compiled as
// C by c_functions_header.c.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "../formats/temporary_folder.h"
#include "hccs/attention.h"
#include "hccs/hccs_integer_encoder.h"
#include "hccs/integer_encoder.h"
#include "integer_encoder/file.h"
#include "random_model.h"

namespace hccs::internal {
namespace {

class CFunctions : public test::WithFolder {
 protected:
  void SetUp() override {
    test::WithFolder::SetUp();
    ASSERT_TRUE(write_integer_model(path_, ModelMaker({}, 5).make()).ok());
    ASSERT_EQ(hccs_integer_encoder_load(path_.c_str(), nullptr, &encoder_, &status_), HCCS_OK) << status_.message;
  }
  void TearDown() override {
    hccs_integer_encoder_free(encoder_);
    test::WithFolder::TearDown();
  }

  // The call failed with this code, and its message has the text.
  void fails(hccs_code code, hccs_code expected, const std::string& text) const {
    EXPECT_EQ(code, expected);
    EXPECT_EQ(status_.code, expected);
    EXPECT_NE(std::string(status_.message).find(text), std::string::npos) << status_.message;
  }

  const std::string path_ = (folder() / "model.hccs").string();
  hccs_integer_encoder* encoder_ = nullptr;
  hccs_status status_{};
  const std::array<const char*, 3> texts_ = {"w5 w6 w7", "w9", "w10 w5 w30 w44"};
};

TEST_F(CFunctions, SayWhatTheModelIs) {
  EXPECT_STREQ(hccs_integer_encoder_model(encoder_), "random");
  EXPECT_EQ(hccs_integer_encoder_target(encoder_), *default_attention_target());
  EXPECT_EQ(hccs_integer_encoder_hidden_size(encoder_), 24);
  EXPECT_EQ(hccs_integer_encoder_max_positions(encoder_), 40);
  EXPECT_EQ(hccs_integer_encoder_vocabulary_size(encoder_), 50);
  EXPECT_EQ(hccs_integer_encoder_label_count(encoder_), 3);
  EXPECT_STREQ(hccs_integer_encoder_label(encoder_, 2), "perhaps");
  EXPECT_EQ(hccs_integer_encoder_label(encoder_, 3), nullptr);
  EXPECT_EQ(hccs_integer_encoder_label(encoder_, -1), nullptr);
}

TEST_F(CFunctions, GiveWhatTheClassGives) {
  const IntegerEncoder same = *IntegerEncoder::load(path_);
  const std::vector<std::string> strings(texts_.begin(), texts_.end());
  std::vector<float> embeddings(3 * 24);
  ASSERT_EQ(hccs_integer_encoder_embed(encoder_, texts_.data(), 3, 2, embeddings.data(), &status_), HCCS_OK);
  EXPECT_EQ(embeddings, *same.embed_texts(strings, {}));

  std::vector<Encoding> encodings;
  std::vector<int32_t> ids;
  std::vector<int64_t> starts = {0};
  std::vector<Encoding> pairs;
  for (const std::string& text : strings) {
    encodings.push_back(same.encode(text));
    ids.insert(ids.end(), encodings.back().ids.begin(), encodings.back().ids.end());
    starts.push_back(std::ssize(ids));
    pairs.push_back(same.tokenizer().encode_pair(text, text, 40));
  }
  std::vector<int16_t> integers(3 * 24);
  ASSERT_EQ(hccs_integer_encoder_embed_ids(encoder_, ids.data(), starts.data(), 3, 1, integers.data(), &status_),
            HCCS_OK);
  EXPECT_EQ(integers, *same.embed_integers(encodings, {}));

  std::vector<float> logits(3 * 3);
  ASSERT_EQ(hccs_integer_encoder_classify(encoder_, texts_.data(), nullptr, 3, 1, logits.data(), &status_), HCCS_OK);
  EXPECT_EQ(logits, *same.classify(encodings, {}));
  ASSERT_EQ(hccs_integer_encoder_classify(encoder_, texts_.data(), texts_.data(), 3, 1, logits.data(), &status_),
            HCCS_OK);
  EXPECT_EQ(logits, *same.classify(pairs, {}));
}

TEST_F(CFunctions, EveryTargetByName) {
  for (const std::string_view target : attention_targets()) {
    hccs_integer_encoder* other = nullptr;
    ASSERT_EQ(hccs_integer_encoder_load(path_.c_str(), std::string(target).c_str(), &other, nullptr), HCCS_OK);
    EXPECT_EQ(hccs_integer_encoder_target(other), target);
    hccs_integer_encoder_free(other);
  }
}

TEST_F(CFunctions, Refusals) {
  hccs_integer_encoder* none = nullptr;
  const std::string missing = (folder() / "missing").string();
  fails(hccs_integer_encoder_load(missing.c_str(), nullptr, &none, &status_), HCCS_IO, missing);
  fails(hccs_integer_encoder_load(path_.c_str(), "abacus", &none, &status_), HCCS_UNSUPPORTED, "abacus");
  fails(hccs_integer_encoder_load(nullptr, nullptr, &none, &status_), HCCS_INVALID_ARGUMENT, "path is NULL");
  EXPECT_EQ(none, nullptr);
  hccs_integer_encoder_free(nullptr);
  std::vector<float> out(3 * 24);
  fails(hccs_integer_encoder_embed(encoder_, texts_.data(), -1, 1, out.data(), &status_), HCCS_INVALID_ARGUMENT,
        "-1 texts");
  fails(hccs_integer_encoder_embed(encoder_, texts_.data(), 3, 0, out.data(), &status_), HCCS_INVALID_ARGUMENT,
        "0 threads");
  const std::array<const char*, 2> hole = {"w5", nullptr};
  fails(hccs_integer_encoder_embed(encoder_, hole.data(), 2, 1, out.data(), &status_), HCCS_INVALID_ARGUMENT,
        "texts[1]");
  const std::array<int32_t, 3> ids = {2, 50, 3};
  std::array<int64_t, 2> starts = {0, 3};
  std::vector<int16_t> integers(24);
  fails(hccs_integer_encoder_embed_ids(encoder_, ids.data(), starts.data(), 1, 1, integers.data(), &status_),
        HCCS_INVALID_ARGUMENT, "id 50");
  starts = {3, 0};
  fails(hccs_integer_encoder_embed_ids(encoder_, ids.data(), starts.data(), 1, 1, integers.data(), &status_),
        HCCS_INVALID_ARGUMENT, "begins at 3");
}

}  // namespace
}  // namespace hccs::internal
