// SPDX-License-Identifier: Apache-2.0
//
// A model folder: that of a tiny BERT, in which the input replaces files or adds some. A file is a byte that names it
// and its content up to the next NUL. The byte 'w' names the weights: its content is added to their header.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <map>
#include <vector>

#include "hccs/model_folder.h"
#include "scratch.h"

namespace hccs::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig =
    R"({"model_type": "bert", "vocab_size": 8, "hidden_size": 2, "num_hidden_layers": 1, "num_attention_heads": 1,)"
    R"( "intermediate_size": 2, "max_position_embeddings": 4})";
constexpr std::string_view kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##c\n";

struct File {
  char key;
  std::string_view name;
  std::string_view content;  // without the input; empty: no such file
};
constexpr std::array kFiles = {
    File{'c', "config.json", kConfig},
    File{'v', "vocab.txt", kVocabulary},
    File{'t', "tokenizer_config.json", ""},
    File{'T', "tokenizer.json", ""},
    File{'a', "added_tokens.json", ""},
    File{'s', "special_tokens_map.json", ""},
    File{'m', "modules.json", ""},
    File{'b', "sentence_bert_config.json", ""},
    File{'x', "config_sentence_transformers.json", ""},
    File{'p', "1_Pooling/config.json", ""},
    File{'d', "2_Dense/config.json", ""},
    File{'i', "activation_scales.json", ""},
    File{'I', "model.safetensors.index.json", ""},
};

// The tensors of that BERT, all zero.
std::string weights(std::string_view added) {
  std::string header = "{";
  size_t end = 0;
  const auto tensor = [&](std::string_view name, std::string_view shape, size_t elements) {
    header.append(header.size() > 1 ? "," : "").append("\"").append(name).append(R"(":{"dtype":"F32","shape":)");
    header.append(shape).append(R"(,"data_offsets":[)").append(std::to_string(end)).append(",");
    end += elements * sizeof(float);
    header.append(std::to_string(end)).append("]}");
  };
  const auto pair = [&](const std::string& name, std::string_view shape, size_t elements) {
    tensor(name + ".weight", shape, elements);
    tensor(name + ".bias", "[2]", 2);
  };
  tensor("embeddings.word_embeddings.weight", "[8,2]", 16);
  tensor("embeddings.position_embeddings.weight", "[4,2]", 8);
  tensor("embeddings.token_type_embeddings.weight", "[2,2]", 4);
  pair("embeddings.LayerNorm", "[2]", 2);
  for (const char* part : {"attention.self.query", "attention.self.key", "attention.self.value",
                           "attention.output.dense", "intermediate.dense", "output.dense"}) {
    pair(std::string("encoder.layer.0.") + part, "[2,2]", 4);
  }
  pair("encoder.layer.0.attention.output.LayerNorm", "[2]", 2);
  pair("encoder.layer.0.output.LayerNorm", "[2]", 2);
  if (!added.empty()) header.append(",").append(added);
  header += "}";
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  return file.append(header).append(end, '\0');
}

void set_up() {
  for (const File& file : kFiles) {
    const fs::path path = scratch().folder() / file.name;
    fs::create_directories(path.parent_path());
    if (!file.content.empty()) scratch().put(file.name, file.content);
  }
  scratch().put("model.safetensors", weights(""));
  check(open_model_folder(scratch().folder()).ok(), "the folder without the input can be read");
}

void put_back(const std::map<char, bool>& changed) {
  for (const File& file : kFiles) {
    if (!changed.contains(file.key)) continue;
    if (file.content.empty()) {
      fs::remove(scratch().folder() / file.name);
    } else {
      scratch().put(file.name, file.content);
    }
  }
  if (changed.contains('w')) scratch().put("model.safetensors", weights(""));
}

void look_into(const ModelFolder& folder) {
  const BertConfig& config = folder.config;
  check(config.layers == 1 && config.hidden_size == 2 && config.intermediate_size == 2, "the weights fit");
  check(config.heads >= 1 && config.hidden_size % config.heads == 0, "the heads share the hidden size");
  check(folder.max_length >= 1 && folder.max_length <= config.max_positions, "texts fit the positions");
  check(folder.labels.size() <= 4096, "as many labels as the folder says");
  if (folder.activation_scales) check(std::ssize(folder.activation_scales->layers) == config.layers, "the scales fit");
  const Encoding encoding = folder.tokenizer.encode("a bc [MASK] d", 16);
  check(std::all_of(encoding.ids.begin(), encoding.ids.end(),
                    [&](int32_t id) { return id >= 0 && id < config.vocabulary_size; }),
        "every id has an embedding");
}

}  // namespace
}  // namespace hccs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  static const bool once = (set_up(), true);
  check(once, "the folder is set up");
  std::string_view input = text_of(data, size);
  std::map<char, bool> changed;
  while (!input.empty()) {
    const auto key = static_cast<char>(take_byte(input));
    const std::string_view content = take_part(input);
    if (key == 'w') scratch().put("model.safetensors", weights(content));
    for (const File& file : kFiles) {
      if (file.key == key) scratch().put(file.name, content);
    }
    changed[key] = true;
  }
  const auto folder = hccs::open_model_folder(scratch().folder());
  if (accepted(folder.status())) look_into(*folder);
  const auto config = hccs::read_bert_config(scratch().folder() / "config.json");
  check(!folder.ok() || config.ok(), "a folder that is read has a configuration that is read");
  put_back(changed);
  return 0;
}
