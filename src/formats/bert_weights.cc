// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <string>
#include <system_error>
#include <vector>

#include "formats/model_folder_parts.h"
#include "hccs/file.h"

namespace hccs::internal {

namespace fs = std::filesystem;

std::string name_in_file(const Safetensors& weights, std::string_view prefix, std::string_view name) {
  std::string full = fmt::format("{}{}", prefix, name);
  if (weights.tensors().contains(full)) return full;
  for (const auto& [now, before] : {std::pair{".weight", ".gamma"}, std::pair{".bias", ".beta"}}) {
    const std::string ending = std::string("LayerNorm") + now;
    if (!full.ends_with(ending)) continue;
    std::string old = full.substr(0, full.size() - std::string_view(now).size()) + before;
    if (weights.tensors().contains(old)) return old;
  }
  return full;
}

namespace {

class WeightChecker {
 public:
  WeightChecker(const Safetensors& weights, std::string_view prefix) : weights_(weights), prefix_(prefix) {}

  Status check(const BertConfig& config) const {
    const int64_t hidden = config.hidden_size;
    HCCS_RETURN_IF_ERROR(tensor("embeddings.word_embeddings.weight", {config.vocabulary_size, hidden}));
    HCCS_RETURN_IF_ERROR(tensor("embeddings.position_embeddings.weight", {config.max_positions, hidden}));
    HCCS_RETURN_IF_ERROR(tensor("embeddings.token_type_embeddings.weight", {config.type_vocabulary_size, hidden}));
    HCCS_RETURN_IF_ERROR(layer_norm("embeddings.LayerNorm", hidden));
    for (int64_t i = 0; i < config.layers; ++i) {
      const std::string layer = fmt::format("encoder.layer.{}.", i);
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.self.query", hidden, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.self.key", hidden, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.self.value", hidden, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "attention.output.dense", hidden, hidden));
      HCCS_RETURN_IF_ERROR(layer_norm(layer + "attention.output.LayerNorm", hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "intermediate.dense", config.intermediate_size, hidden));
      HCCS_RETURN_IF_ERROR(dense(layer + "output.dense", hidden, config.intermediate_size));
      HCCS_RETURN_IF_ERROR(layer_norm(layer + "output.LayerNorm", hidden));
    }
    return no_further_layer(config.layers);
  }

 private:
  Status dense(const std::string& name, int64_t outputs, int64_t inputs) const {
    HCCS_RETURN_IF_ERROR(tensor(name + ".weight", {outputs, inputs}));
    return tensor(name + ".bias", {outputs});
  }

  Status layer_norm(const std::string& name, int64_t size) const {
    HCCS_RETURN_IF_ERROR(tensor(name + ".weight", {size}));
    return tensor(name + ".bias", {size});
  }

  Status tensor(const std::string& name, std::initializer_list<int64_t> shape) const {
    const std::string full = name_in_file(weights_, prefix_, name);
    const auto it = weights_.tensors().find(full);
    if (it == weights_.tensors().end()) {
      return mismatch(weights_.path(), fmt::format("tensor \"{}\" is missing; the configuration wants it of shape [{}]",
                                                   full, fmt::join(shape, ", ")));
    }
    const std::vector<int64_t>& found = it->second.shape;
    if (!std::equal(found.begin(), found.end(), shape.begin(), shape.end())) {
      return mismatch(weights_.path(), fmt::format("tensor \"{}\" has shape [{}], but the configuration wants [{}]",
                                                   full, fmt::join(found, ", "), fmt::join(shape, ", ")));
    }
    return {};
  }

  // A configuration with too few layers would run, and be wrong.
  Status no_further_layer(int64_t layers) const {
    const std::string stem = prefix_ + "encoder.layer.";
    for (auto it = weights_.tensors().lower_bound(stem); it != weights_.tensors().end() && it->first.starts_with(stem);
         ++it) {
      int64_t layer = 0;
      const char* const digits = it->first.data() + stem.size();
      const auto parsed = std::from_chars(digits, it->first.data() + it->first.size(), layer);
      if (parsed.ec == std::errc() && layer >= layers) {
        return mismatch(weights_.path(),
                        fmt::format("tensor {} belongs to layer {}, but the configuration has {} layers",
                                    in_quotes(it->first), layer, layers));
      }
    }
    return {};
  }

  const Safetensors& weights_;
  std::string prefix_;
};

}  // namespace

Status check_bert_weights(const Safetensors& weights, std::string_view prefix, const BertConfig& config) {
  return WeightChecker(weights, prefix).check(config);
}

Expected<Safetensors> open_bert_weights(const fs::path& folder, const std::string& architecture) {
  const fs::path path = folder / "model.safetensors";
  HCCS_ASSIGN_OR_RETURN(const bool adapted, is_present(folder / "adapter_config.json"));
  if (adapted) {
    return unsupported(folder / "adapter_config.json",
                       "the model is an adapter (PEFT) on another: merge it first, by merge_and_unload()");
  }
  HCCS_ASSIGN_OR_RETURN(const bool there, is_present(path));
  if (there) return Safetensors::open(path);
  for (const char* other : {"model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    HCCS_ASSIGN_OR_RETURN(const bool has_other, is_present(folder / other));
    if (!has_other) continue;
    // The model's own class: another one's save_pretrained() would drop its head.
    return unsupported(
        folder, fmt::format("{} without model.safetensors: convert it with transformers' {}.from_pretrained(folder)"
                            ".save_pretrained(folder, safe_serialization=True, max_shard_size=\"100GB\"), {}",
                            other, architecture.empty() ? "Bert..." : architecture,
                            architecture.empty() ? "by the class that it was trained as: another one's drops its head"
                                                 : "and no other class, which would drop its head"));
  }
  return Safetensors::open(path);
}

Expected<std::string> find_tensor_prefix(const Safetensors& weights) {
  constexpr std::string_view kFirst = "embeddings.word_embeddings.weight";
  for (const char* prefix : {"", "bert."}) {
    if (weights.tensors().contains(fmt::format("{}{}", prefix, kFirst))) return std::string(prefix);
  }
  return mismatch(weights.path(), fmt::format("neither tensor \"{}\" nor \"bert.{}\" exists", kFirst, kFirst));
}

}  // namespace hccs::internal
