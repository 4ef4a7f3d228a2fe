// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "model_folder_case.h"

namespace hccs {
namespace {

// ---- sentence-transformers ----------------------------------------------------------------------

TEST_F(ModelFolderTest, PoolingIsReadInItsOldAndNewForm) {
  using P = Pooling;
  const auto with = [&](const Fields& fields) {
    put("1_Pooling/config.json", object(fields));
    const auto model = open();
    EXPECT_TRUE(model.ok()) << model.status().message();
    return model->sentence;
  };
  EXPECT_EQ(open()->sentence.pooling, std::vector<P>{P::kMean});
  EXPECT_EQ(with({{"pooling_mode_cls_token", "true"}, {"pooling_mode_mean_tokens", "false"}}).pooling,
            std::vector<P>{P::kFirst});
  // sentence-transformers' default for the mean is true.
  EXPECT_EQ(with({{"pooling_mode_cls_token", "true"}}).pooling, (std::vector<P>{P::kFirst, P::kMean}));
  EXPECT_EQ(with({{"pooling_mode_lasttoken", "true"},
                  {"pooling_mode_weightedmean_tokens", "true"},
                  {"pooling_mode_mean_sqrt_len_tokens", "true"},
                  {"pooling_mode_max_tokens", "true"},
                  {"word_embedding_dimension", "4"}})
                .pooling,
            (std::vector<P>{P::kMax, P::kMean, P::kMeanSqrt, P::kWeightedMean, P::kLast}));
  for (const auto& [name, pooling] : {std::pair{"cls", P::kFirst},
                                      {"max", P::kMax},
                                      {"mean", P::kMean},
                                      {"mean_sqrt_len_tokens", P::kMeanSqrt},
                                      {"weightedmean", P::kWeightedMean},
                                      {"lasttoken", P::kLast}}) {
    EXPECT_EQ(with({{"pooling_mode", fmt::format("\"{}\"", name)}, {"embedding_dimension", "4"}}).pooling,
              std::vector<P>{pooling});
  }
  const SentencePipeline two = with({{"pooling_mode", R"(["max", "cls"])"}});
  EXPECT_EQ(two.pooling, (std::vector<P>{P::kMax, P::kFirst}));
  EXPECT_EQ(two.embedding_size, 8);
  EXPECT_TRUE(fails(with({{"pooling_mode", "\"attention\""}}).embeds, StatusCode::kUnsupported,
                    {"pooling_mode \"attention\""}));
  EXPECT_TRUE(fails(with({{"pooling_mode", "\"cls\""}, {"pooling_mode_cls_token", "false"}}).embeds,
                    StatusCode::kMismatch, {"pooling_mode \"cls\"", "pooling_mode_cls_token false"}));
  EXPECT_TRUE(fails(with({{"pooling_mode_median_tokens", "true"}}).embeds, StatusCode::kUnsupported,
                    {"pooling_mode_median_tokens true"}));
  EXPECT_TRUE(fails(with({{"pooling_mode_mean_tokens", "false"}}).embeds, StatusCode::kBadData, {"no pooling mode"}));
  EXPECT_TRUE(fails(with({{"pooling_mode_mean_tokens", "1"}}).embeds, StatusCode::kBadData,
                    {"pooling_mode_mean_tokens = 1", "true or false"}));
  EXPECT_TRUE(fails(with({{"word_embedding_dimension", "8"}}).embeds, StatusCode::kMismatch,
                    {"word_embedding_dimension 8", "hidden_size is 4"}));
}

constexpr const char* kTransformer = R"({"type": "sentence_transformers.models.Transformer", "path": ""})";
constexpr const char* kPooling =
    R"({"type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling", "path": "pool"})";

TEST_F(ModelFolderTest, ModulesAreFoundByTheirPaths) {
  const auto with = [&](const std::string& modules) {
    put("modules.json", "[" + modules + "]");
    return open();
  };
  const auto module = [](const std::string& kind, const std::string& path) {
    return fmt::format(R"({{"type": "sentence_transformers.models.{}", "path": "{}"}})", kind, path);
  };
  const std::string start = fmt::format("{}, {}", kTransformer, kPooling);
  put("pool/config.json", R"({"pooling_mode": "max"})");
  put("1_Pooling/config.json", R"({"pooling_mode": "cls"})");  // which no module names
  EXPECT_EQ(with(start)->sentence.pooling, std::vector<Pooling>{Pooling::kMax});

  put("dense/config.json",
      R"({"in_features": 4, "out_features": 3, "bias": false, "activation_function": "torch.nn.modules.activation.Tanh"})");
  put("dense/model.safetensors", "x");
  const auto dense = with(start + ", " + module("Normalize", "n") + ", " + module("Dense", "dense"));
  ASSERT_TRUE(dense.ok()) << dense.status().message();
  ASSERT_TRUE(dense->sentence.embeds.ok()) << dense->sentence.embeds.message();
  EXPECT_EQ(dense->sentence.embedding_size, 3);
  ASSERT_EQ(dense->sentence.modules.size(), 2U);
  EXPECT_EQ(dense->sentence.modules[0].kind, SentenceModule::kNormalise);
  EXPECT_EQ(dense->sentence.modules[1].activation, Activation::kTanh);
  EXPECT_FALSE(dense->sentence.modules[1].bias);

  // What embeddings alone need does not stop another use.
  for (const auto& [modules, code, part] :
       {std::tuple(start + ", " + module("LayerNorm", "n"), StatusCode::kUnsupported, "\"LayerNorm\""),
        std::tuple(start + R"(, {"type": "mine.Dense"})", StatusCode::kUnsupported, "\"mine.Dense\""),
        std::tuple(start + ", " + module("Dense", "gone"), StatusCode::kIo, "gone/config.json"),
        std::tuple(std::string(kTransformer), StatusCode::kUnsupported, "no Pooling")}) {
    const auto model = with(modules);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_TRUE(fails(model->sentence.embeds, code, {part}));
  }
  put("dense/config.json",
      R"({"in_features": 5, "out_features": 3, "activation_function": "torch.nn.modules.activation.Tanh"})");
  EXPECT_TRUE(fails(with(start + ", " + module("Dense", "dense"))->sentence.embeds, StatusCode::kMismatch,
                    {"in_features 5", "gives 4"}));
  put("dense/config.json",
      R"({"in_features": 4, "out_features": 3, "activation_function": "torch.nn.modules.activation.Mish"})");
  EXPECT_TRUE(fails(with(start + ", " + module("Dense", "dense"))->sentence.embeds, StatusCode::kUnsupported,
                    {"activation.Mish"}));

  put("modules.json", "{}");
  EXPECT_TRUE(fails(open(), StatusCode::kBadData, {"modules.json", "array"}));
  EXPECT_TRUE(fails(with("{}"), StatusCode::kBadData, {"modules.json", "\"type\" is missing"}));
  EXPECT_TRUE(fails(with(module("CLIPModel", "")), StatusCode::kUnsupported, {"\"CLIPModel\""}));
  EXPECT_TRUE(fails(with(module("Transformer", "../x")), StatusCode::kBadData, {"path = \"../x\""}));
}

TEST_F(ModelFolderTest, TheTransformerMayLieInAFolderOfItsOwn) {
  ASSERT_TRUE(open().ok());
  fs::create_directory(folder() / "st");
  fs::create_directory(folder() / "st/0_Transformer");
  for (const char* name : {"config.json", "model.safetensors", "vocab.txt"})
    fs::rename(folder() / name, folder() / "st/0_Transformer" / name);
  put("st/modules.json",
      fmt::format(R"([{{"type": "sentence_transformers.models.Transformer", "path": "0_Transformer"}}, {}])",
                  kPooling));
  put("st/pool/config.json", R"({"pooling_mode": "cls"})");
  put("st/0_Transformer/sentence_bert_config.json", R"({"max_seq_length": 6})");
  // Also when its own folder is named.
  for (const char* name : {"st", "st/0_Transformer", "st/0_Transformer/"}) {
    const auto model = open_model_folder(folder() / name);
    ASSERT_TRUE(model.ok()) << name << ": " << model.status().message();
    EXPECT_EQ(model->sentence.pooling, std::vector<Pooling>{Pooling::kFirst});
    EXPECT_EQ(model->sentence.max_length, 6);
    std::map<std::string, fs::path> files;
    for (const ModelFile& file : model->files) files[file.name] = fs::weakly_canonical(file.path);
    EXPECT_EQ(files.size(), 4U);
    EXPECT_EQ(files["vocab.txt"], fs::canonical(folder()) / "st/0_Transformer/vocab.txt");
    EXPECT_EQ(files["pool/config.json"], fs::canonical(folder()) / "st/pool/config.json");
    EXPECT_EQ(files["sentence_bert_config.json"],
              fs::canonical(folder()) / "st/0_Transformer/sentence_bert_config.json");
  }
}

TEST_F(ModelFolderTest, PromptsLengthsAndLowerCaseOfSentenceTransformers) {
  put("sentence_bert_config.json", R"({"max_seq_length": 7, "do_lower_case": true})");
  put("config_sentence_transformers.json", R"({"prompts": {"q": "Query: ", "p": ""}, "default_prompt_name": "q"})");
  put("tokenizer_config.json", R"({"model_max_length": 5})");
  const auto model = open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->sentence.max_length, 7);
  EXPECT_EQ(model->max_length, 5);
  EXPECT_EQ(model->sentence.prepared("ΟΔΟΣ Word"), "query: οδος word");
  EXPECT_EQ(model->sentence.prompt_tokens, 0);
  put("1_Pooling/config.json", R"({"pooling_mode": "mean", "include_prompt": false})");
  EXPECT_EQ(open()->sentence.prompt_tokens, 3);  // [CLS] [UNK] :
  put("config_sentence_transformers.json", R"({"prompts": {"q": "Query: "}, "default_prompt_name": null})");
  EXPECT_EQ(open()->sentence.prompt_tokens, 0);
  EXPECT_EQ(open()->sentence.prompt, "");
  put("config_sentence_transformers.json", R"({"prompts": {"q": "Query: "}, "default_prompt_name": "x"})");
  EXPECT_TRUE(fails(open(), StatusCode::kBadData, {"default_prompt_name = \"x\""}));
  put("config_sentence_transformers.json", R"({"model_type": "CrossEncoder"})");
  EXPECT_TRUE(fails(open()->sentence.embeds, StatusCode::kUnsupported, {"model_type \"CrossEncoder\""}));
  fs::remove(folder() / "config_sentence_transformers.json");
  for (const auto& [text, part] :
       {std::pair{R"({"tokenizer_args": {"do_lower_case": false}})", "tokenizer_args has \"do_lower_case\" false"},
        {R"({"transformer_task": "fill-mask"})", "transformer_task \"fill-mask\""},
        {R"({"module_output_name": "x"})", "module_output_name \"x\""},
        {R"({"modality_config": {"text": {"method_output_name": "pooler_output"}}})", "\"pooler_output\""}}) {
    put("sentence_bert_config.json", text);
    EXPECT_TRUE(fails(open(), StatusCode::kUnsupported, {"sentence_bert_config.json", part}));
  }
  put("sentence_bert_config.json", R"({"max_seq_length": 2})");
  EXPECT_TRUE(fails(open(), StatusCode::kBadData, {"max_seq_length = 2"}));
  fs::remove(folder() / "sentence_bert_config.json");
  fs::create_symlink("blobs/x", folder() / "sentence_xlm-roberta_config.json");
  EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kIo, {"sentence_xlm-roberta_config.json", "blobs/x"}));
  fs::remove(folder() / "sentence_xlm-roberta_config.json");
}

// Classes of old had files of other names; the first that is there counts, and is carried over under its name.
TEST_F(ModelFolderTest, OlderNamesOfTheTransformersConfig) {
  int64_t length = 4;
  for (const char* name : {"sentence_xlnet_config.json", "sentence_distilbert_config.json",
                           "sentence_roberta_config.json", "sentence_bert_config.json"}) {
    ++length;
    put(name, fmt::format(R"({{"max_seq_length": {}, "do_lower_case": true}})", length));
    const auto model = open();
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->sentence.max_length, length) << name;
    EXPECT_TRUE(model->sentence.lower_case);
    EXPECT_EQ(std::ranges::count_if(model->files, [](const auto& f) { return f.name.starts_with("sentence_"); }), 1);
    EXPECT_TRUE(std::ranges::any_of(model->files, [&](const auto& f) { return f.name == name; })) << name;
  }
  put("sentence_bert_config.json", R"({"max_seq_length": 2})");
  EXPECT_TRUE(fails(open(), StatusCode::kBadData, {"max_seq_length = 2"}));
}

}  // namespace
}  // namespace hccs
