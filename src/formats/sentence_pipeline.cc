// SPDX-License-Identifier: Apache-2.0
//
// What sentence-transformers writes beside the model: modules.json, sentence_bert_config.json,
// config_sentence_transformers.json, and a folder for each module.
// Source: https://github.com/huggingface/sentence-transformers, up to its version 5.4.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "formats/model_folder_parts.h"
#include "hccs/file.h"

namespace hccs::internal {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxSize = int64_t{1} << 20;
constexpr const char* kModules = "modules.json";
// The Transformer's own file: the first of these that is there. Only the first is still written.
constexpr std::array kTransformerConfigs = {"sentence_bert_config.json",       "sentence_roberta_config.json",
                                            "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                            "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
                                            "sentence_xlnet_config.json"};
constexpr const char* kSentenceConfig = "config_sentence_transformers.json";
constexpr const char* kDefaultPooling = "1_Pooling";  // where a folder without modules.json has it

struct Module {
  std::string kind;  // the class's own name; the whole of it if it is no class of sentence-transformers
  std::string path;
};

Expected<std::vector<Module>> read_modules(const Json& json, const fs::path& file) {
  if (!json.is_array()) return bad_data(file, fmt::format("{}, but it is an array", shown(json)));
  std::vector<Module> modules;
  for (const Json& entry : json) {
    HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(entry, file.string()));
    HCCS_ASSIGN_OR_RETURN(const std::string type, fields.string("type"));
    Module module{.kind = type, .path = {}};
    if (type.starts_with("sentence_transformers.")) module.kind = type.substr(type.rfind('.') + 1);
    if (fields.has("path")) {
      HCCS_ASSIGN_OR_RETURN(module.path, fields.string("path"));
    }
    const fs::path path = module.path;
    if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end()) {
      return fields.bad("path", "it is a folder beside modules.json");
    }
    if (fields.has("kwargs") && !entry["kwargs"].empty()) {
      return unsupported(file,
                         fmt::format("kwargs {} of module {}, but none are", shown(entry["kwargs"]), in_quotes(type)));
    }
    modules.push_back(std::move(module));
  }
  return modules;
}

// A folder whose parent's modules.json says that it is the Transformer.
std::optional<SentenceLayout> layout_of_parent(const fs::path& folder) {
  std::error_code error;
  const fs::path full = fs::canonical(folder, error);
  if (error) return std::nullopt;
  const fs::path root = full.parent_path();
  // Whatever is wrong with it: it need not belong to this folder.
  Expected<std::optional<Json>> json = read_json_if_present(root / kModules);
  if (!json.ok() || !*json) return std::nullopt;
  const Expected<std::vector<Module>> modules = read_modules(**json, root / kModules);
  if (!modules.ok() || modules->empty() || modules->front().kind != "Transformer") return std::nullopt;
  const fs::path path = modules->front().path;
  if (path.empty() || (path / "").parent_path() != full.filename()) return std::nullopt;
  return SentenceLayout{.root = root, .transformer = folder, .modules = std::move(*json)};
}

// ---- The Transformer ----------------------------------------------------------------------------

// Options that are passed on to transformers' classes; most would change the model or its tokeniser.
Status check_passed_on(const Json& json, const fs::path& file) {
  constexpr std::array kHarmless = {"attn_implementation", "torch_dtype", "dtype", "device_map", "trust_remote_code"};
  for (const char* key : {"model_args", "model_kwargs", "tokenizer_args", "tokenizer_kwargs", "config_args",
                          "config_kwargs", "processing_kwargs", "processor_kwargs"}) {
    const auto options = json.find(key);
    if (options == json.end() || options->is_null()) continue;
    for (const auto& [name, value] : options->items()) {
      if (std::find(kHarmless.begin(), kHarmless.end(), name) != kHarmless.end()) continue;
      return unsupported(file, fmt::format("{} has {} {}, which is not read", key, in_quotes(name), shown(value)));
    }
  }
  return {};
}

// The form of version 5.4: which output of the model is used.
Status check_outputs(const Json& json, const JsonFields& fields, const fs::path& file) {
  for (const auto& [key, only] :
       {std::pair{"transformer_task", "feature-extraction"}, std::pair{"module_output_name", "token_embeddings"}}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const std::string value, fields.string(key));
    if (value != only) return unsupported(file, fmt::format("{} {}, but only \"{}\" is", key, in_quotes(value), only));
  }
  const auto modalities = json.find("modality_config");
  if (modalities == json.end() || !modalities->is_object() || !modalities->contains("text")) return {};
  const Json& text = (*modalities)["text"];
  if (!text.is_object()) return {};
  for (const auto& [key, only] : {std::pair{"method", "forward"}, std::pair{"method_output_name", "last_hidden_state"},
                                  std::pair{"output_name", "last_hidden_state"}}) {
    const auto value = text.find(key);
    if (value != text.end() && *value != only) {
      return unsupported(file, fmt::format("modality_config: {} {}, but only \"{}\" is", key, shown(*value), only));
    }
  }
  return {};
}

// The name of the Transformer's own file in the folder; none if there is no such file.
Expected<std::optional<std::string>> transformer_config_in(const fs::path& folder) {
  for (const char* name : kTransformerConfigs) {
    HCCS_ASSIGN_OR_RETURN(const bool there, is_present(folder / name));
    if (there) return std::optional<std::string>(name);
  }
  return std::optional<std::string>();
}

Status read_transformer_config(const fs::path& folder, SentencePipeline& pipeline) {
  HCCS_ASSIGN_OR_RETURN(const std::optional<std::string> name, transformer_config_in(folder));
  if (!name) return {};
  const fs::path file = folder / *name;
  HCCS_ASSIGN_OR_RETURN(const std::optional<Json> json, read_json_if_present(file));
  if (!json) return {};
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(*json, file.string()));
  if (fields.has("max_seq_length")) {
    HCCS_ASSIGN_OR_RETURN(pipeline.max_length, fields.integer("max_seq_length", 3, INT64_MAX));
  }
  HCCS_ASSIGN_OR_RETURN(pipeline.lower_case, boolean_or(fields, "do_lower_case", false));
  HCCS_RETURN_IF_ERROR(check_passed_on(*json, file));
  return check_outputs(*json, fields, file);
}

// Sets prompt and, for a prompt that there is, prompt_tokens to 1.
Status read_sentence_config(const fs::path& file, SentencePipeline& pipeline) {
  HCCS_ASSIGN_OR_RETURN(const std::optional<Json> json, read_json_if_present(file));
  if (!json) return {};
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(*json, file.string()));
  if (fields.has("model_type")) {
    HCCS_ASSIGN_OR_RETURN(const std::string type, fields.string("model_type"));
    if (type != "SentenceTransformer") {
      pipeline.embeds = unsupported(
          file, fmt::format("model_type {}, but only \"SentenceTransformer\" gives embeddings", in_quotes(type)));
    }
  }
  if (fields.has("truncate_dim")) {
    pipeline.embeds =
        unsupported(file, fmt::format("truncate_dim {}, but embeddings are not cut", shown((*json)["truncate_dim"])));
  }
  if (!fields.has("default_prompt_name")) return {};
  HCCS_ASSIGN_OR_RETURN(const std::string name, fields.string("default_prompt_name"));
  const auto prompts = json->find("prompts");
  if (prompts == json->end() || !prompts->is_object() || !prompts->contains(name) || !(*prompts)[name].is_string()) {
    return fields.bad("default_prompt_name", "it names one of prompts");
  }
  pipeline.prompt = (*prompts)[name].get<std::string>();
  pipeline.prompt_tokens = 1;
  return {};
}

// ---- Pooling and what follows -------------------------------------------------------------------

struct PoolingName {
  Pooling pooling;
  const char* name;     // since 5.4
  const char* boolean;  // before; in the order in which several are concatenated
};
constexpr std::array kPoolings = {
    PoolingName{Pooling::kFirst, "cls", "pooling_mode_cls_token"},
    PoolingName{Pooling::kMax, "max", "pooling_mode_max_tokens"},
    PoolingName{Pooling::kMean, "mean", "pooling_mode_mean_tokens"},
    PoolingName{Pooling::kMeanSqrt, "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
    PoolingName{Pooling::kWeightedMean, "weightedmean", "pooling_mode_weightedmean_tokens"},
    PoolingName{Pooling::kLast, "lasttoken", "pooling_mode_lasttoken"}};

Expected<std::vector<Pooling>> poolings_by_name(const Json& value, const fs::path& file) {
  std::vector<Pooling> poolings;
  const Json list = value.is_array() ? value : Json::array({value});
  for (const Json& mode : list) {
    if (!mode.is_string()) return bad_data(file, fmt::format("pooling_mode = {}, but it is a string", shown(value)));
    const auto* known =
        std::find_if(kPoolings.begin(), kPoolings.end(), [&](const PoolingName& p) { return mode == p.name; });
    if (known == kPoolings.end()) return unsupported(file, fmt::format("pooling_mode {} is not known", shown(mode)));
    poolings.push_back(known->pooling);
  }
  return poolings;
}

Expected<std::vector<Pooling>> poolings_by_booleans(const Json& json, const JsonFields& fields, const fs::path& file) {
  std::vector<Pooling> poolings;
  for (const PoolingName& p : kPoolings) {
    // sentence-transformers takes the mean unless it is told not to.
    HCCS_ASSIGN_OR_RETURN(const bool asked, boolean_or(fields, p.boolean, p.pooling == Pooling::kMean));
    if (asked) poolings.push_back(p.pooling);
  }
  for (const auto& [key, value] : json.items()) {
    const auto is_this = [&key = key](const PoolingName& p) { return key == p.boolean; };
    if (!key.starts_with("pooling_mode_") || std::any_of(kPoolings.begin(), kPoolings.end(), is_this)) continue;
    if (!value.is_null() && value != false)
      return unsupported(file, fmt::format("{} {} is not known", key, shown(value)));
  }
  return poolings;
}

Status read_pooling(const fs::path& file, int64_t hidden_size, SentencePipeline& pipeline) {
  HCCS_ASSIGN_OR_RETURN(const Json json, read_json(file));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, file.string()));
  const bool by_name = fields.has("pooling_mode");
  HCCS_ASSIGN_OR_RETURN(pipeline.pooling, by_name ? poolings_by_name(json["pooling_mode"], file)
                                                  : poolings_by_booleans(json, fields, file));
  if (by_name) {
    for (const PoolingName& p : kPoolings) {
      if (!fields.has(p.boolean)) continue;
      HCCS_ASSIGN_OR_RETURN(const bool asked, fields.boolean(p.boolean));
      const bool named =
          std::find(pipeline.pooling.begin(), pipeline.pooling.end(), p.pooling) != pipeline.pooling.end();
      if (asked != named) {
        return mismatch(file, fmt::format("pooling_mode {}, but {} {}", shown(json["pooling_mode"]), p.boolean, asked));
      }
    }
  }
  if (pipeline.pooling.empty()) return bad_data(file, "no pooling mode is true, but one at least is");
  HCCS_ASSIGN_OR_RETURN(const bool include_prompt, boolean_or(fields, "include_prompt", true));
  if (include_prompt) pipeline.prompt_tokens = 0;
  for (const char* key : {"word_embedding_dimension", "embedding_dimension"}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const int64_t dimension, fields.integer(key, 1, kMaxSize));
    if (dimension != hidden_size) {
      return mismatch(file, fmt::format("{} {}, but hidden_size is {}", key, dimension, hidden_size));
    }
  }
  return {};
}

Expected<SentenceModule> read_dense(const fs::path& folder, int64_t inputs) {
  constexpr std::array kActivations = {std::pair{"torch.nn.modules.linear.Identity", Activation::kIdentity},
                                       std::pair{"torch.nn.modules.activation.Tanh", Activation::kTanh},
                                       std::pair{"torch.nn.modules.activation.ReLU", Activation::kRelu},
                                       std::pair{"torch.nn.modules.activation.GELU", Activation::kGelu},
                                       std::pair{"torch.nn.modules.activation.Sigmoid", Activation::kSigmoid}};
  const fs::path file = folder / "config.json";
  HCCS_ASSIGN_OR_RETURN(const Json json, read_json(file));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, file.string()));
  SentenceModule dense{.kind = SentenceModule::kDense};
  HCCS_ASSIGN_OR_RETURN(dense.inputs, fields.integer("in_features", 1, kMaxSize * int64_t{kPoolings.size()}));
  if (dense.inputs != inputs) {
    return mismatch(file, fmt::format("in_features {}, but what is before it gives {}", dense.inputs, inputs));
  }
  HCCS_ASSIGN_OR_RETURN(dense.outputs, fields.integer("out_features", 1, kMaxSize));
  HCCS_ASSIGN_OR_RETURN(dense.bias, boolean_or(fields, "bias", true));
  HCCS_ASSIGN_OR_RETURN(const std::string activation, fields.string("activation_function"));
  const auto* known =
      std::find_if(kActivations.begin(), kActivations.end(), [&](const auto& a) { return activation == a.first; });
  if (known == kActivations.end()) {
    std::vector<std::string_view> names;
    names.reserve(kActivations.size());
    for (const auto& [name, value] : kActivations) names.emplace_back(name);
    return unsupported(
        file, fmt::format("activation_function {}, but only {} are", in_quotes(activation), fmt::join(names, ", ")));
  }
  dense.activation = known->second;
  for (const char* key : {"module_input_name", "module_output_name"}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const std::string name, fields.string(key));
    if (name != "sentence_embedding") {
      return unsupported(file, fmt::format("{} {}, but only \"sentence_embedding\" is", key, in_quotes(name)));
    }
  }
  dense.weights = folder / "model.safetensors";
  HCCS_ASSIGN_OR_RETURN(const bool there, is_present(dense.weights));
  HCCS_ASSIGN_OR_RETURN(const bool other, is_present(folder / "pytorch_model.bin"));
  if (!there && other) {
    return unsupported(folder,
                       "pytorch_model.bin without model.safetensors: load and save the model once with "
                       "sentence-transformers");
  }
  if (!there)
    return Status(StatusCode::kIo, fmt::format("{}: No such file, but a Dense module has it", dense.weights.string()));
  return dense;
}

// Everything after the Transformer.
Status read_after_transformer(const SentenceLayout& layout, int64_t hidden_size, SentencePipeline& pipeline) {
  const fs::path file = layout.root / kModules;
  if (!layout.modules) {
    const fs::path pooling = layout.root / kDefaultPooling / "config.json";
    HCCS_ASSIGN_OR_RETURN(const bool there, is_present(pooling));
    if (there) return read_pooling(pooling, hidden_size, pipeline);
    pipeline.prompt_tokens = 0;
    return {};
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<Module> modules, read_modules(*layout.modules, file));
  bool pooled = false;
  int64_t size = hidden_size;
  for (size_t i = 1; i < modules.size(); ++i) {
    const Module& module = modules[i];
    if (module.kind == "Dropout") continue;  // of training alone
    if (module.kind == "Pooling" && !pooled) {
      HCCS_RETURN_IF_ERROR(read_pooling(layout.root / module.path / "config.json", hidden_size, pipeline));
      size = hidden_size * std::ssize(pipeline.pooling);
      pooled = true;
    } else if (module.kind == "Dense" && pooled) {
      HCCS_ASSIGN_OR_RETURN(SentenceModule dense, read_dense(layout.root / module.path, size));
      size = dense.outputs;
      pipeline.modules.push_back(std::move(dense));
    } else if (module.kind == "Normalize" && pooled) {
      pipeline.modules.emplace_back();
    } else {
      return unsupported(file, fmt::format("module {} ({}), but only one Transformer, then one Pooling, then Dense and "
                                           "Normalize are",
                                           i, in_quotes(module.kind)));
    }
  }
  if (!pooled) return unsupported(file, "no Pooling, without which there is no embedding of a text");
  return {};
}

}  // namespace

Expected<SentenceLayout> find_sentence_layout(const fs::path& folder) {
  const fs::path file = folder / kModules;
  HCCS_ASSIGN_OR_RETURN(std::optional<Json> json, read_json_if_present(file));
  if (!json) {
    if (std::optional<SentenceLayout> parent = layout_of_parent(folder)) return *std::move(parent);
    return SentenceLayout{.root = folder, .transformer = folder, .modules = std::nullopt};
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<Module> modules, read_modules(*json, file));
  if (modules.empty() || modules.front().kind != "Transformer") {
    return unsupported(file, fmt::format("the first module is {}, but only sentence-transformers' Transformer is",
                                         modules.empty() ? "missing" : in_quotes(modules.front().kind)));
  }
  fs::path transformer = modules.front().path.empty() ? folder : folder / modules.front().path;
  return SentenceLayout{.root = folder, .transformer = std::move(transformer), .modules = std::move(json)};
}

Expected<SentencePipeline> read_sentence_pipeline(const SentenceLayout& layout, int64_t hidden_size) {
  SentencePipeline pipeline;
  HCCS_RETURN_IF_ERROR(read_transformer_config(layout.transformer, pipeline));
  HCCS_RETURN_IF_ERROR(read_sentence_config(layout.root / kSentenceConfig, pipeline));
  if (Status status = read_after_transformer(layout, hidden_size, pipeline); pipeline.embeds.ok()) {
    pipeline.embeds = std::move(status);
  }
  pipeline.embedding_size = hidden_size * std::ssize(pipeline.pooling);
  for (const SentenceModule& module : pipeline.modules) {
    if (module.kind == SentenceModule::kDense) pipeline.embedding_size = module.outputs;
  }
  return pipeline;
}

Expected<std::vector<ModelFile>> list_sentence_files(const SentenceLayout& layout, const SentencePipeline& pipeline) {
  std::vector<ModelFile> candidates = {{kSentenceConfig, layout.root / kSentenceConfig}};
  HCCS_ASSIGN_OR_RETURN(const std::optional<std::string> transformer_config, transformer_config_in(layout.transformer));
  if (transformer_config) candidates.push_back({*transformer_config, layout.transformer / *transformer_config});
  const auto add = [&](const std::string& name) { candidates.push_back({name, layout.root / name}); };
  if (!layout.modules) {
    add(fmt::format("{}/config.json", kDefaultPooling));
  } else {
    add(kModules);
    HCCS_ASSIGN_OR_RETURN(const std::vector<Module> modules, read_modules(*layout.modules, layout.root / kModules));
    for (size_t i = 1; i < modules.size(); ++i) {
      for (const char* file : {"config.json", "model.safetensors"}) {
        if (!modules[i].path.empty()) add(fmt::format("{}/{}", modules[i].path, file));
      }
    }
  }
  std::vector<ModelFile> files;
  for (ModelFile& candidate : candidates) {
    const Expected<bool> there = is_present(candidate.path);
    if (!there.ok() && pipeline.embeds.ok()) return there.status();
    if (there.ok() && *there) files.push_back(std::move(candidate));
  }
  return files;
}

}  // namespace hccs::internal
