// SPDX-License-Identifier: Apache-2.0
#include "hccs/model_folder.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "model_folder_case.h"

namespace hccs {
namespace {

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
  EXPECT_TRUE(
      fails(read_config("quantization_config", R"({"bits": 4})"), StatusCode::kUnsupported, {"quantization_config"}));
  EXPECT_TRUE(fails(read_config("auto_map", R"({"AutoModel": "m.M"})"), StatusCode::kUnsupported, {"auto_map"}));
  EXPECT_TRUE(read_config("hidden_act", "\"gelu_python\"").ok());
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
  make_classifier(2);
  const auto model = open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->tensor_prefix, "bert.");
  EXPECT_TRUE(model->classifier.ok()) << model->classifier.message();
  EXPECT_EQ(model->labels, (std::vector<std::string>{"LABEL_0", "LABEL_1"}));
  EXPECT_FALSE(model->activation_scales);
}

TEST_F(ModelFolderTest, TheConfigurationSaysWhatTheHeadIsFor) {
  make_classifier(3);
  const Fields valid = config_ = [&] {
    Fields fields = config_;
    fields["id2label"] = R"({"0": "a", "1": "b", "2": "c"})";
    return fields;
  }();
  const auto tensors = tensors_;
  ASSERT_TRUE(open()->classifier.ok()) << open()->classifier.message();
  struct Case {
    const char* key;
    const char* value;
    StatusCode code;
    std::vector<std::string> parts;
  };
  for (const Case& c : {
           Case{"architectures", R"(["BertForTokenClassification"])", StatusCode::kUnsupported, {"labels tokens"}},
           Case{"architectures", R"(["BertForMultipleChoice"])", StatusCode::kUnsupported, {"chooses between texts"}},
           Case{"architectures", R"(["BertModel"])", StatusCode::kUnsupported, {"no classification head"}},
           Case{"architectures", "", StatusCode::kUnsupported, {"no architectures"}},
           Case{"problem_type", R"("multi_label_classification")", StatusCode::kUnsupported, {"any number of classes"}},
           Case{"problem_type", R"("regression")", StatusCode::kUnsupported, {"numbers"}},
           Case{"problem_type", R"("ranking")", StatusCode::kUnsupported, {"\"ranking\""}},
           Case{"id2label", R"({"0": "score"})", StatusCode::kUnsupported, {"1 class"}},
           Case{"id2label", R"({"0": "a", "1": "b"})", StatusCode::kMismatch, {"[3, 4]", "[2, 4]"}},
           Case{"id2label", "", StatusCode::kMismatch, {"[3, 4]", "[2, 4]"}},
           Case{"id2label", R"({"0": "a", "1": "b", "2": "a"})", StatusCode::kBadData, {"\"a\" names two"}},
           Case{"num_labels", "2", StatusCode::kMismatch, {"num_labels 2", "3 labels"}},
           Case{"label2id", R"({"a": 1, "b": 0, "c": 2})", StatusCode::kMismatch, {"\"a\" as class 0", "as 1"}},
       }) {
    config_ = valid;
    config_[c.key] = c.value;
    const auto model = open();
    ASSERT_TRUE(model.ok()) << model.status().message();  // the encoder can be used
    EXPECT_TRUE(fails(model->classifier, c.code, c.parts)) << c.key << " " << c.value;
    EXPECT_TRUE(model->labels.empty());
  }
  config_ = valid;
  config_["problem_type"] = R"("single_label_classification")";
  config_["label2id"] = R"({"a": 0, "b": 1, "c": 2})";
  config_["num_labels"] = "3";
  EXPECT_TRUE(open()->classifier.ok());
  config_ = valid;
  for (const char* tensor :
       {"classifier.weight", "classifier.bias", "bert.pooler.dense.weight", "bert.pooler.dense.bias"}) {
    tensors_ = tensors;
    tensors_.erase(tensor);
    EXPECT_TRUE(fails(open()->classifier, StatusCode::kMismatch, {tensor, "missing"}));
  }
}

TEST_F(ModelFolderTest, LabelsAreInTheOrderOfTheirNumbers) {
  make_classifier(3);
  config_["id2label"] = R"({"1": "yes", "0": "no", "2": "maybe"})";
  const auto model = open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->labels, (std::vector<std::string>{"no", "yes", "maybe"}));
  for (const char* bad : {R"(["no", "yes"])", R"({"0": "no", "2": "yes"})", R"({"0": 1})", R"({"a": "no"})"}) {
    config_["id2label"] = bad;
    EXPECT_TRUE(fails(open()->classifier, StatusCode::kBadData, {"config.json", "id2label"})) << bad;
  }
}

TEST_F(ModelFolderTest, TheTokenizersLimitCountsWhereItIsOne) {
  for (const auto& [text, limit] :
       {std::pair{"5", 5}, {"8", 8}, {"9", 8}, {"1e30", 8}, {"null", 8}, {"18446744073709551615", 8}}) {
    put("tokenizer_config.json", fmt::format(R"({{"model_max_length": {}}})", text));
    const auto model = open();
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->max_length, limit) << text;
    EXPECT_EQ(model->sentence.max_length, limit) << text;
  }
  for (const char* bad : {"2", "0", "-1", "512.5", "\"x\""}) {
    put("tokenizer_config.json", fmt::format(R"({{"model_max_length": {}}})", bad));
    EXPECT_TRUE(fails(open(), StatusCode::kBadData, {"tokenizer_config.json", "model_max_length"})) << bad;
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
    EXPECT_TRUE(
        fails(open_model_folder(folder()), StatusCode::kUnsupported,
              {folder().string(), other, "BertModel.from_pretrained", "save_pretrained", "safe_serialization=True"}));
    fs::remove(folder() / other);
  }
  // The class that keeps the head, whichever it is.
  put("pytorch_model.bin", "x");
  config_["architectures"] = R"(["BertForTokenClassification"])";
  put("config.json", object(config_));
  EXPECT_TRUE(
      fails(open_model_folder(folder()), StatusCode::kUnsupported, {"BertForTokenClassification.from_pretrained"}));
  config_["architectures"] = "";
  put("config.json", object(config_));
  EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kUnsupported, {"the class that it was trained as"}));
}

// ---- What cannot be followed ------------------------------------------------------------------

TEST_F(ModelFolderTest, LinksThatLeadNowhereAreNotAbsentFiles) {
  for (const char* name : {"config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "tokenizer_config.json",
                           "added_tokens.json", "special_tokens_map.json", "modules.json", "sentence_bert_config.json",
                           "config_sentence_transformers.json", "activation_scales.json", "adapter_config.json"}) {
    ASSERT_TRUE(open().ok()) << name;
    fs::remove(folder() / name);
    fs::create_symlink("../../blobs/0123abcd", folder() / name);
    EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kIo, {name, "link to ../../blobs/0123abcd"}));
    fs::remove(folder() / name);
    fs::create_directory(folder() / name);
    if (std::string_view(name) != "adapter_config.json") {
      EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kIo, {name, "Is a directory"}));
    }
    fs::remove(folder() / name);
  }
  ASSERT_TRUE(open().ok());
  // On the way, in place of a folder, and for the folder itself.
  fs::create_symlink("nowhere", folder() / "1_Pooling");
  EXPECT_TRUE(fails(open_model_folder(folder())->sentence.embeds, StatusCode::kIo, {"1_Pooling", "link to nowhere"}));
  fs::remove(folder() / "1_Pooling");
  put("1_Pooling", "x");
  EXPECT_TRUE(fails(open_model_folder(folder())->sentence.embeds, StatusCode::kIo, {"1_Pooling", "Not a directory"}));
  fs::create_symlink("gone", folder() / "model");
  EXPECT_TRUE(fails(open_model_folder(folder() / "model"), StatusCode::kIo, {"model is a link to gone"}));
  fs::create_symlink("loop", folder() / "loop");
  EXPECT_TRUE(
      fails(open_model_folder(folder() / "loop"), StatusCode::kIo, {"loop is a link to loop", "Too many levels"}));
}

TEST_F(ModelFolderTest, GitLfsPointersAreCalledThat) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '7') + "\nsize 90868376\n";
  for (const char* name :
       {"config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "tokenizer_config.json"}) {
    ASSERT_TRUE(open().ok());
    put(name, pointer);
    EXPECT_TRUE(fails(open_model_folder(folder()), StatusCode::kBadData,
                      {name, "Git LFS pointer", "90868376 bytes", "git lfs pull"}));
    fs::remove(folder() / name);
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
