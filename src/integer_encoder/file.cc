// SPDX-License-Identifier: Apache-2.0
#include "integer_encoder/file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/digest.h"
#include "hccs/integer_encoder.h"
#include "hccs/safetensors.h"
#include "integer_encoder/arrays.h"
#include "integer_encoder/description.h"

namespace hccs::internal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVocabulary = "vocabulary";    // the tokens by id, a zero byte after each
constexpr int64_t kHeadNumbers = 4 + 2 * kMaxKnees;  // B, K, S and D of each knee, M, R

template <class T>
constexpr const char* type_name();
template <>
constexpr const char* type_name<int8_t>() {
  return "I8";
}
template <>
constexpr const char* type_name<uint8_t>() {
  return "U8";
}
template <>
constexpr const char* type_name<int16_t>() {
  return "I16";
}
template <>
constexpr const char* type_name<int32_t>() {
  return "I32";
}

std::string heads_name(size_t layer) { return fmt::format("layer.{}.heads", layer); }

std::vector<int32_t> head_numbers(const IntLayer& layer) {
  std::vector<int32_t> numbers;
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    const HeadParams& head = layer.heads[h];
    numbers.insert(numbers.end(), {head.offset, head.knee_count});
    for (const Knee& knee : head.knees) numbers.insert(numbers.end(), {knee.slope, knee.position});
    numbers.insert(numbers.end(), {layer.rescale[h].multiplier, layer.rescale[h].shift});
  }
  return numbers;
}

void set_heads(std::span<const int32_t> numbers, IntLayer* layer) {
  for (; !numbers.empty(); numbers = numbers.subspan(kHeadNumbers)) {
    HeadParams& head = layer->heads.emplace_back();
    head.offset = numbers[0];
    head.knee_count = numbers[1];
    for (size_t k = 0; k < head.knees.size(); ++k) head.knees[k] = {numbers[2 + 2 * k], numbers[3 + 2 * k]};
    layer->rescale.push_back({numbers[kHeadNumbers - 2], numbers[kHeadNumbers - 1]});
  }
}

// Of everything but itself. `tensors` in any order.
std::string digest_of(const std::string& description, std::vector<TensorToWrite> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  Digest digest;
  digest.add(description);
  for (const TensorToWrite& tensor : tensors) {
    digest.add(tensor.name);
    digest.add(tensor.dtype);
    for (const int64_t size : tensor.shape) digest.add(std::to_string(size));
    digest.add({reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()});
  }
  return digest.text();
}

// The arrays of an opened file, each to be asked for once.
class ArrayReader {
 public:
  explicit ArrayReader(const Safetensors& file) : file_(file) {}

  template <class T>
  Expected<std::span<const std::byte>> find(const std::string& name, const Shape& shape) {
    const auto tensor = file_.tensors().find(name);
    if (tensor == file_.tensors().end()) return bad(name, "it is missing");
    if (tensor->second.dtype != type_name<T>()) {
      return bad(name, fmt::format("its type is {}, but it is {}", tensor->second.dtype, type_name<T>()));
    }
    if (tensor->second.shape != shape) return bad(name, "its shape is not the one that the sizes say");
    read_.insert(name);
    return tensor->second.data;
  }

  // Byte arrays have no alignment to keep, and may be large: views.
  Status operator()(const std::string& name, std::span<const int8_t>& array, const Shape& shape) {
    HCCS_ASSIGN_OR_RETURN(const std::span<const std::byte> data, find<int8_t>(name, shape));
    array = {reinterpret_cast<const int8_t*>(data.data()), data.size()};
    return {};
  }

  template <class T>
  Status operator()(const std::string& name, std::vector<T>& array, const Shape& shape) {
    HCCS_ASSIGN_OR_RETURN(const std::span<const std::byte> data, find<T>(name, shape));
    array.resize(data.size() / sizeof(T));
    std::memcpy(array.data(), data.data(), data.size());
    return {};
  }

  // kBadData if the file has an array that nobody asked for.
  Status check_all_read() const {
    for (const auto& [name, tensor] : file_.tensors()) {
      if (!read_.contains(name)) return bad(name, "no such array is known");
    }
    return {};
  }

  Status bad(const std::string& name, const std::string& rule) const {
    return {StatusCode::kBadData, fmt::format("{}: array \"{}\": {}", file_.path().string(), name, rule)};
  }

 private:
  const Safetensors& file_;
  std::set<std::string, std::less<>> read_;
};

Status check_format(const Safetensors& file) {
  const auto bad = [&](StatusCode code, const std::string& what) {
    return Status(code, fmt::format("{}: {}", file.path().string(), what));
  };
  const auto& metadata = file.metadata();
  const auto entry = metadata.find("format");
  if (entry == metadata.end() || entry->second != kIntegerModelFormat) {
    return bad(StatusCode::kBadData, fmt::format("no integer model: its metadata has no format \"{}\" (hccs quantise "
                                                 "makes one)",
                                                 kIntegerModelFormat));
  }
  const auto version = metadata.find("version");
  const std::string known = std::to_string(kIntegerModelVersion);
  if (version == metadata.end() || version->second != known) {
    return bad(StatusCode::kUnsupported,
               fmt::format("version {}, but only {} is known",
                           version == metadata.end() ? std::string("none") : "\"" + version->second + "\"", known));
  }
  const std::set<std::string, std::less<>> names = {"format", "version", "description", "digest"};
  for (const auto& [name, value] : metadata) {
    if (!names.contains(name)) return bad(StatusCode::kBadData, fmt::format("unknown metadata \"{}\"", name));
  }
  for (const std::string& name : names) {
    if (!metadata.contains(name)) return bad(StatusCode::kBadData, fmt::format("no metadata \"{}\"", name));
  }
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : file.tensors()) {
    tensors.push_back({.name = name, .dtype = tensor.dtype, .shape = tensor.shape, .data = tensor.data});
  }
  if (digest_of(metadata.at("description"), std::move(tensors)) == metadata.at("digest")) return {};
  return bad(StatusCode::kBadData, "its content does not have the digest that it says: it was altered or damaged");
}

Expected<std::vector<std::string>> read_tokens(const fs::path& path, std::span<const uint8_t> bytes) {
  std::vector<std::string> tokens;
  while (!bytes.empty()) {
    const auto end = std::find(bytes.begin(), bytes.end(), uint8_t{0});
    if (end == bytes.end()) {
      return Status(StatusCode::kBadData, fmt::format("{}: the vocabulary's last token has no end", path.string()));
    }
    tokens.emplace_back(bytes.begin(), end);
    bytes = bytes.subspan(static_cast<size_t>(end - bytes.begin()) + 1);
  }
  return tokens;
}

Expected<IntegerModel> read_arrays(const Safetensors& file, IntegerModel model, TokenizerOptions options) {
  ArrayReader reader(file);
  HCCS_RETURN_IF_ERROR(visit_arrays(
      model, [&](const std::string& name, auto& array, const Shape& shape) { return reader(name, array, shape); }));
  for (size_t l = 0; l < model.layers.size(); ++l) {
    std::vector<int32_t> numbers;
    HCCS_RETURN_IF_ERROR(reader(heads_name(l), numbers, {model.heads, kHeadNumbers}));
    set_heads(numbers, &model.layers[l]);
  }
  const auto vocabulary = file.tensors().find(kVocabulary);
  if (vocabulary == file.tensors().end()) return reader.bad(kVocabulary, "it is missing");
  std::vector<uint8_t> bytes;
  HCCS_RETURN_IF_ERROR(reader(kVocabulary, bytes, {std::ssize(vocabulary->second.data)}));
  HCCS_RETURN_IF_ERROR(reader.check_all_read());
  HCCS_ASSIGN_OR_RETURN(std::vector<std::string> tokens, read_tokens(file.path(), bytes));
  HCCS_ASSIGN_OR_RETURN(model.tokenizer,
                        WordPieceTokenizer::make(std::move(tokens), file.path().string(), std::move(options)));
  if (model.tokenizer->vocabulary_size() > model.vocabulary) {
    return reader.bad(kVocabulary, fmt::format("{} tokens, but {} have an embedding",
                                               model.tokenizer->vocabulary_size(), model.vocabulary));
  }
  return model;
}

}  // namespace

Expected<IntegerModel> read_integer_model(const fs::path& path) try {
  HCCS_ASSIGN_OR_RETURN(Safetensors file, Safetensors::open(path));
  HCCS_RETURN_IF_ERROR(check_format(file));
  TokenizerOptions options;
  HCCS_ASSIGN_OR_RETURN(IntegerModel model, read_description(file.metadata().at("description"), path, &options));
  const auto with_path = [&](const Status& status) {
    return status.ok() ? status : Status(status.code(), fmt::format("{}: {}", path.string(), status.message()));
  };
  HCCS_RETURN_IF_ERROR(with_path(check_sizes(model)));
  HCCS_ASSIGN_OR_RETURN(model, read_arrays(file, std::move(model), std::move(options)));
  HCCS_RETURN_IF_ERROR(with_path(validate(model)));
  model.storage = std::make_shared<const Safetensors>(std::move(file));
  return model;
} catch (...) {
  return status_of_exception(path.native());
}

std::map<std::string, std::string> integer_model_metadata(const std::string& description,
                                                          std::vector<TensorToWrite> arrays) {
  return {{"format", kIntegerModelFormat},
          {"version", std::to_string(kIntegerModelVersion)},
          {"description", description},
          {"digest", digest_of(description, std::move(arrays))}};
}

Status write_integer_model(const fs::path& path, const IntegerModel& model) try {
  HCCS_RETURN_IF_ERROR(validate(model));
  std::vector<TensorToWrite> tensors;
  const auto add = [&](const std::string& name, const auto& array, const Shape& shape) {
    using T = std::remove_const_t<typename std::decay_t<decltype(array)>::value_type>;
    tensors.push_back({.name = name, .dtype = type_name<T>(), .shape = shape, .data = std::as_bytes(std::span(array))});
    return Status();
  };
  HCCS_RETURN_IF_ERROR(visit_arrays(model, add));
  std::vector<std::vector<int32_t>> heads;
  for (const IntLayer& layer : model.layers) heads.push_back(head_numbers(layer));
  for (size_t l = 0; l < heads.size(); ++l) {
    HCCS_RETURN_IF_ERROR(add(heads_name(l), heads[l], {model.heads, kHeadNumbers}));
  }
  std::vector<uint8_t> vocabulary;
  for (const std::string& token : model.tokenizer->tokens()) {
    vocabulary.insert(vocabulary.end(), token.begin(), token.end());
    vocabulary.push_back(0);
  }
  HCCS_RETURN_IF_ERROR(add(kVocabulary, vocabulary, {std::ssize(vocabulary)}));
  return write_safetensors(path, tensors, integer_model_metadata(to_description(model), tensors));
} catch (...) {
  return status_of_exception(path.native());
}

}  // namespace hccs::internal
