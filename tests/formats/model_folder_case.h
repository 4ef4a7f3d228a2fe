// SPDX-License-Identifier: Apache-2.0
//
// A tiny model folder for tests to change one thing of.
#ifndef HCCS_TESTS_FORMATS_MODEL_FOLDER_CASE_H_
#define HCCS_TESTS_FORMATS_MODEL_FOLDER_CASE_H_

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "hccs/model_folder.h"
#include "temporary_folder.h"

namespace hccs {

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

  void make_classifier(int64_t classes) {
    tensors_ = tiny_tensors("bert.");
    config_["architectures"] = R"(["BertForSequenceClassification"])";
    for (const auto& [name, shape] : std::map<std::string, Shape>{{"bert.pooler.dense.weight", {4, 4}},
                                                                  {"bert.pooler.dense.bias", {4}},
                                                                  {"classifier.weight", {classes, 4}},
                                                                  {"classifier.bias", {classes}}}) {
      tensors_[name] = shape;
    }
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

}  // namespace hccs

#endif  // HCCS_TESTS_FORMATS_MODEL_FOLDER_CASE_H_
