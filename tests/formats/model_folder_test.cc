// SPDX-License-Identifier: Apache-2.0
#include "hccs/model_folder.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace hccs {
namespace {

namespace fs = test::fs;
using test::fails;

using Shape = std::vector<int64_t>;
using Fields = std::map<std::string, std::string>;  // name to JSON text; an empty text leaves the field out

// A tiny model: 2 layers, 2 heads of 2, 5 tokens. Tests change one thing and look at the answer.
class ModelFolderTest : public test::WithFolder {
 protected:
  Fields config_ = {{"architectures", R"(["BertModel"])"},
                    {"model_type", R"("bert")"},
                    {"_name_or_path", R"("maker/tiny-bert")"},
                    {"vocab_size", "7"},
                    {"hidden_size", "4"},
                    {"num_hidden_layers", "2"},
                    {"num_attention_heads", "2"},
                    {"intermediate_size", "6"},
                    {"max_position_embeddings", "8"},
                    {"type_vocab_size", "3"},
                    {"layer_norm_eps", "1e-05"},
                    {"hidden_act", R"("gelu")"},
                    {"position_embedding_type", R"("absolute")"},
                    {"hidden_dropout_prob", "0.1"},
                    {"torch_dtype", "null"}};
  std::map<std::string, Shape> tensors_ = tiny_tensors("");
  std::string vocabulary_ = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nword\n";

  static std::map<std::string, Shape> tiny_tensors(const std::string& prefix) {
    std::map<std::string, Shape> tensors = {{"embeddings.word_embeddings.weight", {7, 4}},
                                            {"embeddings.position_embeddings.weight", {8, 4}},
                                            {"embeddings.token_type_embeddings.weight", {3, 4}},
                                            {"embeddings.LayerNorm.weight", {4}},
                                            {"embeddings.LayerNorm.bias", {4}}};
    for (int i = 0; i < 2; ++i) {
      for (const auto& [part, outputs, inputs] :
           {std::tuple("attention.self.query", 4, 4), std::tuple("attention.self.key", 4, 4),
            std::tuple("attention.self.value", 4, 4), std::tuple("attention.output.dense", 4, 4),
            std::tuple("intermediate.dense", 6, 4), std::tuple("output.dense", 4, 6)}) {
        tensors[fmt::format("encoder.layer.{}.{}.weight", i, part)] = {outputs, inputs};
        tensors[fmt::format("encoder.layer.{}.{}.bias", i, part)] = {outputs};
      }
      for (const char* part : {"attention.output.LayerNorm", "output.LayerNorm"}) {
        tensors[fmt::format("encoder.layer.{}.{}.weight", i, part)] = {4};
        tensors[fmt::format("encoder.layer.{}.{}.bias", i, part)] = {4};
      }
    }
    std::map<std::string, Shape> prefixed;
    for (const auto& [name, shape] : tensors) prefixed[prefix + name] = shape;
    return prefixed;
  }

  static std::string object(const Fields& fields) {
    std::string text;
    for (const auto& [key, value] : fields) {
      if (!value.empty()) text += fmt::format("{}\n  \"{}\": {}", text.empty() ? "" : ",", key, value);
    }
    return "{" + text + "\n}\n";
  }

  void write_weights() const {
    std::string header;
    size_t offset = 0;
    for (const auto& [name, shape] : tensors_) {
      size_t end = offset + 4;
      for (int64_t size : shape) end = offset + (end - offset) * static_cast<size_t>(size);
      header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                            header.empty() ? "{" : ",", name, fmt::join(shape, ","), offset, end);
      offset = end;
    }
    header += "}";
    std::string length(8, '\0');
    for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
    put("model.safetensors", length + header + std::string(offset, '\0'));
  }

  Expected<ModelFolder> open() const {
    put("config.json", object(config_));
    put("vocab.txt", vocabulary_);
    write_weights();
    return open_model_folder(folder());
  }

  Expected<BertConfig> read_config(const std::string& key, const std::string& value) const {
    Fields changed = config_;
    changed[key] = value;
    return read_bert_config(put("config.json", object(changed)));
  }
};

// ---- The configuration ----------------------------------------------------------------------

TEST_F(ModelFolderTest, ReadsEverySizeOfTheConfiguration) {
  const auto config = read_bert_config(put("config.json", object(config_)));
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->vocabulary_size, 7);
  EXPECT_EQ(config->hidden_size, 4);
  EXPECT_EQ(config->layers, 2);
  EXPECT_EQ(config->heads, 2);
  EXPECT_EQ(config->head_dimension(), 2);
  EXPECT_EQ(config->intermediate_size, 6);
  EXPECT_EQ(config->max_positions, 8);
  EXPECT_EQ(config->type_vocabulary_size, 3);
  EXPECT_EQ(config->layer_norm_epsilon, 1e-5);
}

TEST_F(ModelFolderTest, AbsentFieldsGetHuggingFacesDefaults) {
  for (const char* key : {"type_vocab_size", "layer_norm_eps", "hidden_act", "position_embedding_type", "model_type"}) {
    config_[key] = "";
  }
  const auto config = read_bert_config(put("config.json", object(config_)));
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->type_vocabulary_size, 2);
  EXPECT_EQ(config->layer_norm_epsilon, 1e-12);
  config_["model_type"] = R"("bert")";
  config_["architectures"] = "";
  EXPECT_TRUE(read_bert_config(put("config.json", object(config_))).ok());
}

TEST_F(ModelFolderTest, RequiredFieldsAreNamedWhenMissing) {
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                          "max_position_embeddings"}) {
    EXPECT_TRUE(fails(read_config(key, ""), StatusCode::kBadData,
                      {(folder() / "config.json").string(), fmt::format("\"{}\" is missing", key)}));
    EXPECT_TRUE(fails(read_config(key, "null"), StatusCode::kBadData, {fmt::format("\"{}\" is missing", key)}));
  }
}

TEST_F(ModelFolderTest, SizesAreCheckedWithValueAndRule) {
  struct Case {
    const char* key;
    const char* high;
  };
  for (const auto& [key, high] :
       {Case{"vocab_size", "1048576"}, Case{"hidden_size", "1048576"}, Case{"num_hidden_layers", "1000"},
        Case{"num_attention_heads", "1048576"}, Case{"intermediate_size", "1048576"},
        Case{"max_position_embeddings", "65536"}, Case{"type_vocab_size", "1048576"}}) {
    for (const char* value : {"0", "-1", "3.5", "4.0", "\"4\"", "[4]", "true", "1048577", "9223372036854775807",
                              "18446744073709551615", "1e3"}) {
      EXPECT_TRUE(fails(read_config(key, value), StatusCode::kBadData,
                        {fmt::format("{} = ", key), fmt::format("1 <= {} <= {}", key, high)}));
    }
  }
  EXPECT_TRUE(fails(read_config("num_hidden_layers", "1001"), StatusCode::kBadData, {"1001", "<= 1000"}));
  EXPECT_TRUE(fails(read_config("hidden_size", "5"), StatusCode::kBadData,
                    {"hidden_size = 5", "multiple of num_attention_heads = 2"}));
  EXPECT_TRUE(fails(read_config("layer_norm_eps", "0"), StatusCode::kBadData, {"layer_norm_eps = 0", "above 0"}));
  EXPECT_TRUE(
      fails(read_config("layer_norm_eps", "-1e-12"), StatusCode::kBadData, {"layer_norm_eps = -1e-12", "0 <="}));
  EXPECT_TRUE(fails(read_config("layer_norm_eps", "1e400"), StatusCode::kBadData, {"1e400"}));
  EXPECT_TRUE(
      fails(read_config("layer_norm_eps", "\"x\""), StatusCode::kBadData, {"layer_norm_eps = \"x\"", "number"}));
}

TEST_F(ModelFolderTest, UnsupportedFieldsAreRefusedByNameAndValue) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"hidden_act", "\"gelu_new\""},
                                                        {"hidden_act", "\"relu\""},
                                                        {"hidden_act", "\"gelu_pytorch_tanh\""},
                                                        {"position_embedding_type", "\"relative_key\""},
                                                        {"position_embedding_type", "\"relative_key_query\""},
                                                        {"model_type", "\"roberta\""},
                                                        {"model_type", "\"distilbert\""},
                                                        {"architectures", R"(["RobertaModel"])"},
                                                        {"architectures", "[]"},
                                                        {"is_decoder", "true"},
                                                        {"add_cross_attention", "true"},
                                                        {"pruned_heads", R"({"0":[1]})"}}) {
    EXPECT_TRUE(fails(read_config(key, value), StatusCode::kUnsupported,
                      {(folder() / "config.json").string(), fmt::format("{} {}", key, value), "only"}));
  }
  EXPECT_TRUE(read_config("is_decoder", "false").ok());
  EXPECT_TRUE(read_config("pruned_heads", "{}").ok());
  EXPECT_TRUE(read_config("architectures", R"(["BertForSequenceClassification"])").ok());
  EXPECT_TRUE(fails(read_config("hidden_act", "3"), StatusCode::kBadData, {"hidden_act = 3", "string"}));
  EXPECT_TRUE(
      fails(read_config("is_decoder", "\"no\""), StatusCode::kBadData, {"is_decoder = \"no\"", "true or false"}));
  config_["architectures"] = "";
  EXPECT_TRUE(fails(read_config("model_type", ""), StatusCode::kBadData, {"neither model_type nor architectures"}));
}

TEST_F(ModelFolderTest, AConfigurationThatIsNoObjectIsRefused) {
  const auto read = [&](std::string_view text) { return read_bert_config(put("config.json", text)); };
  EXPECT_TRUE(fails(read(""), StatusCode::kBadData, {"config.json", "no JSON"}));
  EXPECT_TRUE(fails(read("[]"), StatusCode::kBadData, {"config.json", "[]", "object"}));
  EXPECT_TRUE(fails(read("{} {}"), StatusCode::kBadData, {"config.json", "no JSON"}));
  EXPECT_TRUE(fails(read(std::string(100'000, '[')), StatusCode::kBadData, {"deeper than 64"}));
  EXPECT_TRUE(fails(read_bert_config(folder() / "no.json"), StatusCode::kIo, {"no.json", "No such file"}));
  EXPECT_TRUE(fails(read_bert_config(folder()), StatusCode::kIo, {"Is a directory"}));
}

// ---- The folder -----------------------------------------------------------------------------

TEST_F(ModelFolderTest, OpensAFolder) {
  tensors_["embeddings.position_ids"] = {1, 8};  // tolerated, as every tensor that the encoder does not need
  tensors_["pooler.dense.weight"] = {4, 4};
  const auto model = open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->name, "maker/tiny-bert");
  EXPECT_EQ(model->tensor_prefix, "");
  EXPECT_EQ(model->config.layers, 2);
  EXPECT_EQ(model->tokenizer.vocabulary_size(), 5);
  EXPECT_TRUE(model->weights.read_float("encoder.layer.1.output.dense.weight", Shape{4, 6}).ok());
}

TEST_F(ModelFolderTest, OpensATaskModelThatNestsTheEncoder) {
  tensors_ = tiny_tensors("bert.");
  tensors_["classifier.weight"] = {2, 4};
  const auto model = open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tensor_prefix, "bert.");
  EXPECT_EQ(model->labels, (std::vector<std::string>{"LABEL_0", "LABEL_1"}));
  EXPECT_FALSE(model->activation_scales);
}

TEST_F(ModelFolderTest, LabelsAreInTheOrderOfTheirNumbers) {
  config_["id2label"] = R"({"1": "yes", "0": "no", "2": "maybe"})";
  const auto model = open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->labels, (std::vector<std::string>{"no", "yes", "maybe"}));
  for (const char* bad : {R"(["no", "yes"])", R"({"0": "no", "2": "yes"})", R"({"0": 1})", R"({"a": "no"})"}) {
    config_["id2label"] = bad;
    EXPECT_TRUE(fails(open(), StatusCode::kBadData, {"config.json", "id2label"})) << bad;
  }
}

TEST_F(ModelFolderTest, TheTokenizersLimitCountsWhereItIsOne) {
  for (const auto& [text, limit] : {std::pair{"5", 5}, {"8", 8}, {"9", 8}, {"1e30", 8}, {"2", 8}, {"\"x\"", 8}}) {
    put("tokenizer_config.json", fmt::format(R"({{"model_max_length": {}}})", text));
    const auto model = open();
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->max_length, limit) << text;
  }
}

TEST_F(ModelFolderTest, ActivationScalesAreReadBack) {
  ActivationScales scales{
      .layers = {{1, 2, 3, 4, 5, 6, 7}, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}}, .output = 8, .pooled = 9};
  const std::string text = to_json(scales);
  put(kActivationScalesFile, text);
  const auto model = open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_TRUE(model->activation_scales);
  EXPECT_EQ(to_json(*model->activation_scales), text);
  EXPECT_EQ(model->activation_scales->layers[1].attention, 0.6);

  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string other = text;
    other.replace(other.find(from), from.size(), to);
    put(kActivationScalesFile, other);
    return open();
  };
  EXPECT_TRUE(fails(changed("0.6", "0"), StatusCode::kBadData, {"layer 1", "attention"}));
  EXPECT_TRUE(fails(changed("0.6", "1e-60"), StatusCode::kBadData, {"layer 1", "attention"}));
  EXPECT_TRUE(fails(changed("\"pooled\"", "\"pool\""), StatusCode::kBadData, {"pooled", "missing"}));
  EXPECT_TRUE(fails(changed("\"version\": 1", "\"version\": 2"), StatusCode::kUnsupported, {"version 2"}));
  EXPECT_TRUE(fails(changed("hccs-activation-scales", "other"), StatusCode::kBadData, {"format"}));
  scales.layers.pop_back();
  put(kActivationScalesFile, to_json(scales));
  EXPECT_TRUE(fails(open(), StatusCode::kMismatch, {"1 layers", "has 2"}));
}

TEST_F(ModelFolderTest, WithoutANameTheFolderGivesIt) {
  for (const char* value : {"", "null", "\"\"", "3"}) {
    config_["_name_or_path"] = value;
    const auto model = open();
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->name, folder().filename().string());
    EXPECT_EQ(open_model_folder(folder() / "")->name, folder().filename().string());
  }
}

TEST_F(ModelFolderTest, EveryMissingOrMisshapenTensorIsNamed) {
  const auto valid = tensors_;
  ASSERT_EQ(valid.size(), 5 + 2 * 16);
  for (const auto& [name, shape] : valid) {
    tensors_ = valid;
    tensors_.erase(name);
    EXPECT_TRUE(fails(open(), StatusCode::kMismatch, {"model.safetensors", fmt::format("\"{}\"", name)}));
    tensors_ = valid;
    tensors_[name].back() += 1;
    EXPECT_TRUE(fails(open(), StatusCode::kMismatch,
                      {fmt::format("\"{}\" has shape [{}]", name, fmt::join(tensors_[name], ", ")),
                       fmt::format("wants [{}]", fmt::join(shape, ", "))}));
  }
}

TEST_F(ModelFolderTest, AConfigurationThatDisagreesWithTheWeightsIsRefused) {
  const Fields valid = config_;
  for (const auto& [key, value, part] :
       {std::tuple("vocab_size", "8", "word_embeddings"), std::tuple("hidden_size", "8", "word_embeddings"),
        std::tuple("max_position_embeddings", "9", "position_embeddings"),
        std::tuple("type_vocab_size", "2", "token_type_embeddings"),
        std::tuple("intermediate_size", "5", "intermediate.dense"),
        std::tuple("num_hidden_layers", "3", "\"encoder.layer.2."),
        std::tuple("num_hidden_layers", "1", "layer 1, but the configuration has 1")}) {
    config_ = valid;
    config_[key] = value;
    EXPECT_TRUE(fails(open(), StatusCode::kMismatch, {part}));
  }
}

TEST_F(ModelFolderTest, OlderNamesOfTheNormsAreRead) {
  for (const std::string prefix : {"", "bert."}) {
    for (const std::string norm : {"embeddings.LayerNorm", "encoder.layer.1.output.LayerNorm"}) {
      tensors_ = tiny_tensors(prefix);
      for (const auto& [now, before] : {std::pair{".weight", ".gamma"}, std::pair{".bias", ".beta"}}) {
        tensors_.erase(prefix + norm + now);
        tensors_[prefix + norm + before] = {4};
      }
      const auto model = open();
      ASSERT_TRUE(model.ok()) << model.status().message();
      EXPECT_EQ(model->tensor_name(norm + ".weight"), prefix + norm + ".gamma");
      EXPECT_EQ(model->tensor_name(norm + ".bias"), prefix + norm + ".beta");
      EXPECT_EQ(model->tensor_name("encoder.layer.0.output.LayerNorm.bias"),
                prefix + "encoder.layer.0.output.LayerNorm.bias");
      EXPECT_EQ(model->tensor_name("encoder.layer.1.output.dense.bias"), prefix + "encoder.layer.1.output.dense.bias");

      tensors_[prefix + norm + ".beta"] = {5};
      EXPECT_TRUE(
          fails(open(), StatusCode::kMismatch, {fmt::format("\"{}{}.beta\"", prefix, norm), "[5]", "wants [4]"}));
      tensors_.erase(prefix + norm + ".beta");
      EXPECT_TRUE(fails(open(), StatusCode::kMismatch, {fmt::format("\"{}{}.bias\" is missing", prefix, norm)}));
    }
  }
}

TEST_F(ModelFolderTest, WeightsInAnotherFormatAreRefusedWithTheWayOut) {
  ASSERT_TRUE(open().ok());
  fs::remove(folder() / "model.safetensors");
  EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kIo, {"model.safetensors", "No such file"}));
  for (const char* other : {"pytorch_model.bin", "model.safetensors.index.json"}) {
    put(other, "x");
    EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kUnsupported,
                      {folder().string(), other, "save_pretrained", "safe_serialization=True"}));
    fs::remove(folder() / other);
  }
}

TEST_F(ModelFolderTest, AFolderThatIsNone) {
  EXPECT_TRUE(fails(open_model_folder(folder() / "no"), StatusCode::kIo, {"config.json", "No such file"}));
  EXPECT_TRUE(fails(open_model_folder(put("file", "x")), StatusCode::kIo, {"Not a directory"}));
  ASSERT_TRUE(open().ok());
  fs::remove(folder() / "vocab.txt");
  EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kIo, {"vocab.txt", "No such file"}));
}

TEST_F(ModelFolderTest, TheVocabularyMayNotExceedTheEmbeddings) {
  vocabulary_ += "more\nwords\n";
  EXPECT_TRUE(open().ok());
  vocabulary_ += "tokens\n";
  EXPECT_TRUE(fails(open(), StatusCode::kMismatch, {"vocab.txt", "8 tokens", "vocab_size 7"}));
}

TEST_F(ModelFolderTest, OnlyMeanPoolingIsAccepted) {
  const auto with = [&](const Fields& fields) {
    put("1_Pooling/config.json", object(fields));
    return open();
  };
  EXPECT_TRUE(with({{"pooling_mode_mean_tokens", "true"}, {"pooling_mode_cls_token", "false"}}).ok());
  EXPECT_TRUE(with({{"pooling_mode_mean_tokens", "true"}, {"word_embedding_dimension", "4"}}).ok());
  EXPECT_TRUE(fails(with({{"pooling_mode_mean_tokens", "false"}, {"pooling_mode_cls_token", "true"}}),
                    StatusCode::kUnsupported, {"1_Pooling/config.json", "pooling_mode_cls_token true"}));
  EXPECT_TRUE(fails(with({{"pooling_mode_mean_tokens", "true"}, {"pooling_mode_max_tokens", "true"}}),
                    StatusCode::kUnsupported, {"pooling_mode_max_tokens true"}));
  EXPECT_TRUE(
      fails(with({{"pooling_mode_lasttoken", "true"}}), StatusCode::kUnsupported, {"pooling_mode_lasttoken true"}));
  EXPECT_TRUE(fails(with({{"pooling_mode_cls_token", "false"}}), StatusCode::kUnsupported,
                    {"pooling_mode_mean_tokens is not true"}));
  EXPECT_TRUE(fails(with({{"pooling_mode_mean_tokens", "1"}}), StatusCode::kBadData,
                    {"pooling_mode_mean_tokens = 1", "true or false"}));
  EXPECT_TRUE(fails(with({{"pooling_mode_mean_tokens", "true"}, {"word_embedding_dimension", "8"}}),
                    StatusCode::kMismatch, {"word_embedding_dimension 8", "hidden_size is 4"}));
}

TEST_F(ModelFolderTest, FurtherModulesAreRefusedByName) {
  const auto with = [&](std::string_view text) {
    put("modules.json", text);
    return open();
  };
  EXPECT_TRUE(
      with(R"([{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Pooling"},
                       {"type": "sentence_transformers.models.Normalize"}])")
          .ok());
  EXPECT_TRUE(fails(with(R"([{"type": "sentence_transformers.models.Dense"}])"), StatusCode::kUnsupported,
                    {"modules.json", "\"sentence_transformers.models.Dense\"", "only"}));
  EXPECT_TRUE(fails(with("{}"), StatusCode::kBadData, {"modules.json", "array"}));
  EXPECT_TRUE(fails(with("[{}]"), StatusCode::kBadData, {"modules.json", "\"type\" is missing"}));
}

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
}

TEST_F(ModelFolderTest, OtherTokenizersAreRefusedByName) {
  const auto with = [&](const Fields& fields) {
    put("tokenizer_config.json", object(fields));
    return open();
  };
  EXPECT_TRUE(fails(with({{"strip_accents", "false"}}), StatusCode::kUnsupported,
                    {"tokenizer_config.json", "strip_accents false", "do_lower_case true"}));
  EXPECT_TRUE(fails(with({{"do_lower_case", "false"}, {"strip_accents", "true"}}), StatusCode::kUnsupported,
                    {"strip_accents true", "do_lower_case false"}));
  EXPECT_TRUE(
      fails(with({{"tokenize_chinese_chars", "false"}}), StatusCode::kUnsupported, {"tokenize_chinese_chars false"}));
  EXPECT_TRUE(fails(with({{"tokenizer_class", "\"BertJapaneseTokenizer\""}}), StatusCode::kUnsupported,
                    {"tokenizer_class \"BertJapaneseTokenizer\""}));
  EXPECT_TRUE(fails(with({{"do_lower_case", "\"yes\""}}), StatusCode::kBadData, {"do_lower_case = \"yes\""}));
}

TEST(RealModelFolderTest, OpensAndMatchesItsOwnConfiguration) {
  const char* given = std::getenv("HCCS_MODEL");
  const fs::path path = given != nullptr ? given : "build/demo/model";
  if (!fs::exists(path)) GTEST_SKIP() << "no model folder at " << path << " (set HCCS_MODEL)";
  const auto model = open_model_folder(path);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_FALSE(model->name.empty());
  const BertConfig& config = model->config;
  EXPECT_EQ(model->tokenizer.vocabulary_size(), config.vocabulary_size);
  const auto words = model->weights.read_float(model->tensor_prefix + "embeddings.word_embeddings.weight",
                                               Shape{config.vocabulary_size, config.hidden_size});
  ASSERT_TRUE(words.ok()) << words.status().message();
  double sum = 0;
  for (float value : *words) sum += value * value;
  EXPECT_GT(sum, 0);
  EXPECT_TRUE(sum < 1e9) << sum;  // weights, not noise or NaN
}

}  // namespace
}  // namespace hccs
