// SPDX-License-Identifier: Apache-2.0
#include "training/checkpoint.h"

#include <fmt/core.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "hccs/safetensors.h"

namespace hccs::training {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "hccs-checkpoint 1";
constexpr const char* kHeads = "heads";

std::string moment_name(const char* which, const Tensor& tensor) { return fmt::format("{}.{}", which, tensor.name); }

Json to_json(const RunState& state) {
  Json json = {{"step", state.step},
               {"loss", state.loss},
               {"distillation", state.distillation},
               {"best_accuracy", state.best_accuracy},
               {"best_step", state.best_step},
               {"since_best", state.since_best},
               {"seconds", state.seconds},
               {"history", Json::array()}};
  for (const RunState::Point& p : state.history) json["history"].push_back({p.step, p.accuracy, p.loss});
  return json;
}

// Throws what nlohmann throws.
RunState parse_state(const std::string& text) {
  const Json json = Json::parse(text);
  RunState state{.step = json.at("step").get<int64_t>(),
                 .loss = json.at("loss").get<double>(),
                 .distillation = json.at("distillation").get<double>(),
                 .best_accuracy = json.at("best_accuracy").get<double>(),
                 .best_step = json.at("best_step").get<int64_t>(),
                 .since_best = json.at("since_best").get<int64_t>(),
                 .seconds = json.at("seconds").get<double>(),
                 .history = {}};
  for (const Json& p : json.at("history")) {
    state.history.push_back({p.at(0).get<int64_t>(), p.at(1).get<double>(), p.at(2).get<double>()});
  }
  return state;
}

// Which option of two descriptions differs.
std::string first_difference(const std::string& found, const std::string& wanted) {
  const Json a = Json::parse(found, nullptr, false);
  const Json b = Json::parse(wanted, nullptr, false);
  for (const auto& [key, value] : b.items()) {
    const Json other = a.is_object() && a.contains(key) ? a[key] : Json();
    if (other != value) return fmt::format("{} was {}, now {}", key, other.dump(), value.dump());
  }
  return "its options";
}

}  // namespace

Status write_checkpoint(const std::filesystem::path& path, const std::string& options, const RunState& state,
                        const Weights& weights, AdamW& optimiser, LearnableHeads* heads) {
  std::vector<TensorToWrite> tensors;
  for (size_t t = 0; t < weights.tensors.size(); ++t) {
    const Tensor& tensor = weights.tensors[t];
    const auto add = [&](std::string name, const std::vector<float>& values) {
      tensors.push_back({std::move(name), "F32", tensor.shape, std::as_bytes(std::span(values))});
    };
    add(tensor.name, tensor.values);
    add(moment_name("m", tensor), optimiser.first_moments()[t]);
    add(moment_name("v", tensor), optimiser.second_moments()[t]);
  }
  if (heads != nullptr) {
    tensors.push_back({kHeads, "F64", {std::ssize(heads->state())}, std::as_bytes(std::span(heads->state()))});
  }
  return write_safetensors(path, tensors,
                           {{"format", kFormat}, {"options", options}, {"state", to_json(state).dump()}});
}

Expected<RunState> read_checkpoint(const std::filesystem::path& path, const std::string& options, Weights* weights,
                                   AdamW* optimiser, LearnableHeads* heads) {
  HCCS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::open(path));
  const auto& metadata = file.metadata();
  const auto field = [&](const char* name) {
    const auto it = metadata.find(name);
    return it == metadata.end() ? std::string() : it->second;
  };
  if (field("format") != kFormat) {
    return Status(StatusCode::kBadData, fmt::format("{}: no checkpoint of `hccs train`", path.string()));
  }
  if (field("options") != options) {
    return Status(StatusCode::kMismatch, fmt::format("{}: of a run with other options: {}", path.string(),
                                                     first_difference(field("options"), options)));
  }
  for (size_t t = 0; t < weights->tensors.size(); ++t) {
    Tensor& tensor = weights->tensors[t];
    const auto read_into = [&](const std::string& name, std::vector<float>& to) -> Status {
      HCCS_ASSIGN_OR_RETURN(const std::vector<float> values, file.read_float(name, tensor.shape));
      std::copy(values.begin(), values.end(), to.begin());  // passes point at the values: they stay where they are
      return {};
    };
    HCCS_RETURN_IF_ERROR(read_into(tensor.name, tensor.values));
    HCCS_RETURN_IF_ERROR(read_into(moment_name("m", tensor), optimiser->first_moments()[t]));
    HCCS_RETURN_IF_ERROR(read_into(moment_name("v", tensor), optimiser->second_moments()[t]));
  }
  RunState state;
  try {
    state = parse_state(field("state"));
  } catch (const nlohmann::json::exception& e) {
    return Status(StatusCode::kBadData, fmt::format("{}: state: {}", path.string(), e.what()));
  }
  optimiser->set_steps(state.step);
  if (heads != nullptr) {
    const auto it = file.tensors().find(kHeads);
    if (it == file.tensors().end() || it->second.data.size() != std::as_bytes(std::span(heads->state())).size()) {
      return Status(StatusCode::kBadData, fmt::format("{}: no heads of this model", path.string()));
    }
    std::memcpy(heads->state().data(), it->second.data.data(), it->second.data.size());
    heads->set_steps(state.step);
  }
  return state;
}

}  // namespace hccs::training
