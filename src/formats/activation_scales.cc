// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "contract/exceptions.h"
#include "formats/model_folder_parts.h"

namespace hccs {
namespace {

using internal::Json;
using internal::JsonFields;

namespace fs = std::filesystem;

constexpr std::string_view kScalesFormat = "hccs-activation-scales";
constexpr int64_t kScalesVersion = 1;
constexpr std::array kLayerScales = {std::pair{"input", &ActivationScales::Layer::input},
                                     std::pair{"query", &ActivationScales::Layer::query},
                                     std::pair{"key", &ActivationScales::Layer::key},
                                     std::pair{"value", &ActivationScales::Layer::value},
                                     std::pair{"context", &ActivationScales::Layer::context},
                                     std::pair{"attention", &ActivationScales::Layer::attention},
                                     std::pair{"intermediate", &ActivationScales::Layer::intermediate}};

Expected<double> read_scale(const JsonFields& fields, std::string_view key) {
  HCCS_ASSIGN_OR_RETURN(const double scale, fields.number(key, 0, 1e30));
  if (static_cast<float>(scale) <= 0) return fields.bad(key, "it is above 0, also in float32");
  return scale;
}

}  // namespace

Expected<std::optional<ActivationScales>> read_activation_scales(const fs::path& path, int64_t layers) try {
  HCCS_ASSIGN_OR_RETURN(const std::optional<Json> json, internal::read_json_if_present(path));
  if (!json) return std::optional<ActivationScales>();
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(*json, path.string()));
  HCCS_ASSIGN_OR_RETURN(const std::string format, fields.string("format"));
  if (format != kScalesFormat) return fields.bad("format", fmt::format("it is \"{}\"", kScalesFormat));
  HCCS_ASSIGN_OR_RETURN(const int64_t version, fields.integer("version", 0, INT64_MAX));
  if (version != kScalesVersion) {
    return internal::unsupported(path, fmt::format("version {}, but only {} is known", version, kScalesVersion));
  }
  ActivationScales scales;
  HCCS_ASSIGN_OR_RETURN(scales.output, read_scale(fields, "output"));
  HCCS_ASSIGN_OR_RETURN(scales.pooled, read_scale(fields, "pooled"));
  HCCS_ASSIGN_OR_RETURN(const Json* entries, fields.array("layers"));
  if (std::ssize(*entries) != layers) {
    return internal::mismatch(path, fmt::format("scales of {} layers, but the model has {}", entries->size(), layers));
  }
  for (const Json& entry : *entries) {
    HCCS_ASSIGN_OR_RETURN(const JsonFields layer_fields,
                          JsonFields::of(entry, fmt::format("{}: layer {}", path.string(), scales.layers.size())));
    ActivationScales::Layer layer;
    for (const auto& [key, member] : kLayerScales) {
      HCCS_ASSIGN_OR_RETURN(layer.*member, read_scale(layer_fields, key));
    }
    scales.layers.push_back(layer);
  }
  return std::optional(std::move(scales));
} catch (...) {
  return internal::status_of_exception(path.native());
}

double& ActivationScales::at(const ActivationPlace& place) noexcept {
  switch (place.kind) {
    case ActivationPlace::kInput:
      return layers[place.layer].input;
    case ActivationPlace::kQuery:
      return layers[place.layer].query;
    case ActivationPlace::kKey:
      return layers[place.layer].key;
    case ActivationPlace::kValue:
      return layers[place.layer].value;
    case ActivationPlace::kContext:
      return layers[place.layer].context;
    case ActivationPlace::kAttention:
      return layers[place.layer].attention;
    case ActivationPlace::kIntermediate:
      return layers[place.layer].intermediate;
    case ActivationPlace::kOutput:
      return output;
    case ActivationPlace::kPooled:
      break;
  }
  return pooled;
}

std::string to_json(const ActivationScales& scales) {
  Json json = {{"format", kScalesFormat},
               {"version", kScalesVersion},
               {"layers", Json::array()},
               {"output", scales.output},
               {"pooled", scales.pooled}};
  for (const ActivationScales::Layer& layer : scales.layers) {
    Json entry;
    for (const auto& [key, member] : kLayerScales) entry[key] = layer.*member;
    json["layers"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

}  // namespace hccs
