// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "model_folder_case.h"

namespace hccs {
namespace {

TEST_F(ModelFolderTest, TheTokenizersOptionsAreHonoured) {
  vocabulary_ = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nword\nWord\n";
  const auto id_of = [&](const Fields& fields) {
    put("tokenizer_config.json", object(fields));
    const auto model = open();
    EXPECT_TRUE(model.ok()) << model.status().message();
    return model.ok() ? model->tokenizer.encode("Word", 8).ids.at(1) : -1;
  };
  EXPECT_EQ(id_of({}), 4);
  EXPECT_EQ(id_of({{"do_lower_case", "true"}, {"strip_accents", "null"}, {"tokenize_chinese_chars", "true"}}), 4);
  EXPECT_EQ(id_of({{"do_lower_case", "false"}, {"tokenizer_class", "\"BertTokenizerFast\""}}), 5);
  EXPECT_EQ(id_of({{"do_lower_case", "false"}, {"strip_accents", "false"}}), 5);
  EXPECT_EQ(id_of({{"do_lower_case", "true"}, {"strip_accents", "false"}}), 4);
}

TEST_F(ModelFolderTest, OtherTokenizersAreRefusedByName) {
  const auto with = [&](const Fields& fields) {
    put("tokenizer_config.json", object(fields));
    return open();
  };
  const std::vector<std::pair<std::string, std::string>> refused = {{"tokenizer_class", "\"BertJapaneseTokenizer\""},
                                                                    {"tokenizer_class", "\"PreTrainedTokenizerFast\""},
                                                                    {"word_tokenizer_type", "\"mecab\""},
                                                                    {"subword_tokenizer_type", "\"character\""},
                                                                    {"do_basic_tokenize", "false"},
                                                                    {"split_special_tokens", "true"},
                                                                    {"truncation_side", "\"left\""},
                                                                    {"wordpieces_prefix", "\"_\""},
                                                                    {"cls_token", "\"<s>\""}};
  for (const auto& [key, value] : refused) {
    EXPECT_TRUE(fails(with({{key, value}}), StatusCode::kUnsupported, {"tokenizer_config.json", key + " " + value}));
  }
  EXPECT_TRUE(fails(with({{"mecab_kwargs", "{}"}}), StatusCode::kUnsupported, {"mecab_kwargs"}));
  EXPECT_TRUE(fails(with({{"never_split", R"(["a"])"}}), StatusCode::kUnsupported, {"never_split"}));
  EXPECT_TRUE(fails(with({{"do_lower_case", "\"yes\""}}), StatusCode::kBadData, {"do_lower_case = \"yes\""}));
  ASSERT_TRUE(with({}).ok());
  // config.json may say it too.
  for (const auto& [key, value] : {refused[0], refused[2]}) {
    const Fields valid = config_;
    config_[key] = value;
    EXPECT_TRUE(fails(open(), StatusCode::kUnsupported, {"config.json", key + " " + value}));
    config_ = valid;
  }
}

// ---- Files that must agree --------------------------------------------------------------------

constexpr const char* kTokenizerJson = R"({"added_tokens": [%ADDED%],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "word": 4}}})";

std::string tokenizer_json(const std::string& added = "", const std::string& from = "", const std::string& to = "") {
  std::string text = kTokenizerJson;
  text.replace(text.find("%ADDED%"), 7, added);
  if (!from.empty()) text.replace(text.find(from), from.size(), to);
  return text;
}

TEST_F(ModelFolderTest, TokenizerJsonAloneIsEnough) {
  ASSERT_TRUE(open().ok());
  fs::remove(folder() / "vocab.txt");
  put("tokenizer.json", tokenizer_json(R"({"id": 5, "content": "[E]", "special": true})"));
  const auto model = open_model_folder(folder());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tokenizer.encode("Word[E]word", 8).ids, (std::vector<int32_t>{2, 4, 5, 4, 3}));
  EXPECT_EQ(model->tokenizer.vocabulary_size(), 6);
  put("tokenizer.json", tokenizer_json("", "\"lowercase\": true", "\"lowercase\": false"));
  EXPECT_EQ(open_model_folder(folder())->tokenizer.encode("Word word", 8).ids, (std::vector<int32_t>{2, 1, 4, 3}));
}

TEST_F(ModelFolderTest, OtherPartsOfTokenizerJsonAreRefusedByName) {
  for (const auto& [from, to, part] :
       {std::tuple("BertNormalizer", "NFKC", "normalizer of type \"NFKC\""),
        std::tuple("BertPreTokenizer", "Whitespace", "pre_tokenizer of type \"Whitespace\""),
        std::tuple("BertProcessing", "RobertaProcessing", "post_processor of type \"RobertaProcessing\""),
        std::tuple("\"WordPiece\"", "\"Unigram\"", "model of type \"Unigram\""),
        std::tuple("\"clean_text\": true", "\"clean_text\": false", "clean_text false"),
        std::tuple("\"##\"", "\"\"", "continuing_subword_prefix \"\""),
        std::tuple("100", "50", "max_input_chars_per_word 50"),
        std::tuple("\"cls\": [\"[CLS]\"", "\"cls\": [\"<s>\"", "cls [\"<s>\",2]")}) {
    put("tokenizer.json", tokenizer_json("", from, to));
    EXPECT_TRUE(fails(open(), StatusCode::kUnsupported, {"tokenizer.json", part}));
  }
  put("tokenizer.json", tokenizer_json("", "\"word\": 4", "\"word\": 3"));
  EXPECT_TRUE(fails(open(), StatusCode::kBadData, {"tokenizer.json", "have the id 3"}));
}

TEST_F(ModelFolderTest, FilesThatContradictEachOtherAreRefusedWithBothValues) {
  const auto with = [&](const std::string& tokenizer, const Fields& fields) {
    put("tokenizer.json", tokenizer);
    put("tokenizer_config.json", object(fields));
    return open();
  };
  EXPECT_TRUE(with(tokenizer_json(), {{"do_lower_case", "true"}, {"tokenize_chinese_chars", "true"}}).ok());
  for (const auto& [key, value, item] :
       {std::tuple("do_lower_case", "false", "lowercase is true"),
        std::tuple("tokenize_chinese_chars", "false", "handle_chinese_chars is true")}) {
    EXPECT_TRUE(fails(with(tokenizer_json(), {{key, value}}), StatusCode::kMismatch,
                      {"tokenizer_config.json", fmt::format("{} is {}", key, value), "tokenizer.json", item}));
  }
  EXPECT_TRUE(fails(with(tokenizer_json("", "\"word\"", "\"ward\""), {}), StatusCode::kMismatch,
                    {"vocab.txt: line 5: \"word\"", "tokenizer.json", "\"ward\" as id 4"}));
  EXPECT_TRUE(fails(with(tokenizer_json(R"({"id": 5, "content": "[E]"})"),
                         {{"added_tokens_decoder", R"({"6": {"content": "[E]"}})"}}),
                    StatusCode::kMismatch, {"\"[E]\" is 6", "is 5"}));
  EXPECT_TRUE(fails(with(tokenizer_json(R"({"id": 5, "content": "[E]", "lstrip": true})"),
                         {{"added_tokens_decoder", R"({"5": {"content": "[E]", "lstrip": false}})"}}),
                    StatusCode::kMismatch, {"lstrip of \"[E]\" is false", "is true"}));
  EXPECT_TRUE(fails(with(tokenizer_json(R"({"id": 6, "content": "[E]"})"), {}), StatusCode::kMismatch,
                    {"\"[E]\" has id 6", "end at 4"}));
  EXPECT_TRUE(fails(with(tokenizer_json(R"({"id": 5, "content": "word"})"), {}), StatusCode::kMismatch,
                    {"\"word\" has id 5", "it is 4"}));
  config_["do_lower_case"] = "false";
  EXPECT_TRUE(fails(with(tokenizer_json(), {}), StatusCode::kMismatch,
                    {"config.json: do_lower_case is false", "lowercase is true"}));
}

TEST_F(ModelFolderTest, AddedTokensComeFromEveryFileThatHasThem) {
  const std::vector<int32_t> right = {2, 4, 5, 4, 3};
  const auto ids = [&](const char* file, const std::string& content) {
    put(file, content);
    const auto model = open();
    fs::remove(folder() / file);
    EXPECT_TRUE(model.ok()) << file << ": " << model.status().message();
    return model.ok() ? model->tokenizer.encode("word[E]word", 8).ids : std::vector<int32_t>();
  };
  EXPECT_EQ(ids("added_tokens.json", R"({"[E]": 5})"), right);
  EXPECT_EQ(ids("special_tokens_map.json", R"({"additional_special_tokens": ["[E]"]})"), right);
  EXPECT_EQ(ids("special_tokens_map.json", R"({"additional_special_tokens": [{"content": "[E]", "lstrip": true}]})"),
            right);
  EXPECT_EQ(ids("tokenizer_config.json", R"({"added_tokens_decoder": {"5": {"content": "[E]", "special": true}}})"),
            right);
  EXPECT_EQ(ids("tokenizer_config.json", R"({"extra_special_tokens": {"entity": "[E]"}})"), right);
  EXPECT_EQ(ids("tokenizer.json", tokenizer_json(R"({"id": 5, "content": "[E]"})")), right);
  put("added_tokens.json", R"({"a": 5, "b": 6, "c": 7})");
  EXPECT_TRUE(fails(open(), StatusCode::kMismatch, {"vocab.txt", "8 tokens", "vocab_size 7"}));
}

}  // namespace
}  // namespace hccs
