// SPDX-License-Identifier: Apache-2.0
#include "hccs/param_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>

#include "contract/exceptions.h"
#include "files/json.h"
#include "hccs/file.h"

namespace hccs {
namespace {

using internal::in_quotes;
using internal::Json;
using internal::json_integer;
using internal::JsonFields;
using internal::JsonParts;
using internal::parse_json;
using internal::to_valid_utf8;

constexpr std::string_view kFormat = "hccs-params";
constexpr std::string_view kParameters = "parameters";
constexpr size_t kMinEntryBytes = 100;    // of a head in a file: the names of its fields alone take as many
constexpr int64_t kMaxHeadDimension = 65536;
constexpr int64_t kMaxRows = std::numeric_limits<int64_t>::max();
constexpr double kMaxReal = std::numeric_limits<double>::max();
constexpr std::array kLimits = {Limits::kNative, Limits::kPaper};
constexpr std::array kShares = {Share::kHead, Share::kLayer, Share::kGlobal};

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

Status check_integer(std::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return invalid(fmt::format("{} = {}, but {} <= {} <= {}", name, value, low, name, high));
}

// "it is one of "a", "b"" for the choices' names.
template <class Choice, size_t N>
std::string choices_rule(const std::array<Choice, N>& choices) {
  std::string list;
  for (const Choice choice : choices) list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", name(choice));
  return "it is one of " + list;
}

template <class Choice, size_t N>
Status check_choice(std::string_view field, Choice value, const std::array<Choice, N>& choices) {
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return {};
  return invalid(fmt::format("{} = {}, but {}", field, static_cast<int>(value), choices_rule(choices)));
}

template <class Choice, size_t N>
Expected<Choice> read_choice(const JsonFields& fields, const char* field, const std::array<Choice, N>& choices) {
  HCCS_ASSIGN_OR_RETURN(const std::string text, fields.string(field));
  for (const Choice choice : choices) {
    if (text == name(choice)) return choice;
  }
  return fields.bad(field, choices_rule(choices));
}

Status check_text(std::string_view name, const std::string& value) {
  if (to_valid_utf8(value) == value) return {};
  return invalid(fmt::format("{} = {}, but it is UTF-8", name, in_quotes(value)));
}

Status validate_entry(const HeadEntry& entry, int64_t knees, const std::string& head) {
  HCCS_RETURN_IF_ERROR(validate(entry.params, head));
  const auto real = [&](std::string_view name, double value, bool ok, std::string_view rule) {
    return ok ? Status() : invalid(fmt::format("{}: {} = {}, but {}", head, name, value, rule));
  };
  if (entry.params.knee_count > knees) {
    return invalid(fmt::format("{}: {} knees, but the file says at most K = {}", head, entry.params.knee_count, knees));
  }
  HCCS_RETURN_IF_ERROR(
      real("step", entry.step, std::isfinite(entry.step) && entry.step > 0, "the logit step is finite and above 0"));
  HCCS_RETURN_IF_ERROR(
      real("kl", entry.kl, std::isfinite(entry.kl) && entry.kl >= 0, "a divergence is finite and not negative"));
  HCCS_RETURN_IF_ERROR(real("kl_continuous", entry.kl_continuous,
                            std::isfinite(entry.kl_continuous) && entry.kl_continuous >= 0,
                            "a divergence is finite and not negative"));
  HCCS_RETURN_IF_ERROR(real("max_probability", entry.max_probability,
                            entry.max_probability >= 0 && entry.max_probability <= 1, "a probability is 0 to 1"));
  if (entry.rows < 0) return invalid(fmt::format("{}: rows = {}, but rows >= 0", head, entry.rows));
  return {};
}

// ---- Reading --------------------------------------------------------------------------------

Expected<HeadParams> read_knees(const JsonFields& fields, const std::string& where, int32_t offset) {
  HCCS_ASSIGN_OR_RETURN(const Json* array, fields.array("knees"));
  if (array->empty() || array->size() > kMaxKnees) {
    return fields.bad("knees", fmt::format("there are 1 to {} of them", kMaxKnees));
  }
  std::vector<Knee> knees;
  for (const Json& pair : *array) {
    if (!pair.is_array() || pair.size() != 2) return fields.bad("knees", "each is a pair [S, D]");
    HCCS_ASSIGN_OR_RETURN(const int64_t slope, json_integer(pair[0], where, "slope S", 0, kMaxSlope));
    HCCS_ASSIGN_OR_RETURN(const int64_t position, json_integer(pair[1], where, "knee position D", 1, kMaxKneePosition));
    knees.push_back({static_cast<int32_t>(slope), static_cast<int32_t>(position)});
  }
  return HeadParams(offset, knees);
}

Expected<HeadEntry> read_entry(const JsonFields& fields, const std::string& where) {
  HeadEntry entry;
  HCCS_ASSIGN_OR_RETURN(const int64_t offset, fields.integer("B", 1, kMaxOffset));
  HCCS_ASSIGN_OR_RETURN(entry.params, read_knees(fields, where, static_cast<int32_t>(offset)));
  HCCS_ASSIGN_OR_RETURN(entry.step, fields.number("step", 0, kMaxReal));
  HCCS_ASSIGN_OR_RETURN(entry.kl, fields.number("kl", 0, kMaxReal));
  HCCS_ASSIGN_OR_RETURN(entry.kl_continuous, fields.number("kl_continuous", 0, kMaxReal));
  HCCS_ASSIGN_OR_RETURN(entry.rows, fields.integer("rows", 0, kMaxRows));
  HCCS_ASSIGN_OR_RETURN(entry.max_probability, fields.number("max_probability", 0, 1));
  HCCS_ASSIGN_OR_RETURN(entry.is_default, fields.boolean("default"));
  return entry;
}

// Reads the elements of "parameters" one by one: a file may have a million heads.
class EntryReader {
 public:
  // `text_bytes`: the file's. Where it is too short for all the heads that it announces, there is no memory for them.
  EntryReader(const std::string& where, ParamFile& file, size_t text_bytes)
      : where_(where), file_(file), seen_(static_cast<size_t>(file.layers * file.heads), false) {
    if (text_bytes / kMinEntryBytes >= seen_.size()) file.entries.resize(seen_.size());
  }

  Status read(const Json& element) {
    HCCS_ASSIGN_OR_RETURN(const JsonFields place,
                          JsonFields::of(element, fmt::format("{}: parameters[{}]", where_, elements_++)));
    HCCS_ASSIGN_OR_RETURN(const int64_t layer, place.integer("layer", 0, file_.layers - 1));
    HCCS_ASSIGN_OR_RETURN(const int64_t head, place.integer("head", 0, file_.heads - 1));
    const std::string here = fmt::format("{}: {}", where_, head_name(layer, head));
    const auto index = static_cast<size_t>(layer * file_.heads + head);
    if (seen_[index]) return {StatusCode::kBadData, fmt::format("{} occurs twice", here)};
    seen_[index] = true;
    HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(element, here));
    HCCS_ASSIGN_OR_RETURN(const HeadEntry entry, read_entry(fields, here));
    if (!file_.entries.empty()) file_.entries[index] = entry;
    return {};
  }

  Status finish() const {
    const auto missing = std::count(seen_.begin(), seen_.end(), false);
    if (missing == 0) return {};
    const int64_t first = std::find(seen_.begin(), seen_.end(), false) - seen_.begin();
    return {StatusCode::kBadData, fmt::format("{}: {} is missing: {} of {} heads ({} layers x {}) have no parameters",
                                              where_, head_name(first / file_.heads, first % file_.heads), missing,
                                              seen_.size(), file_.layers, file_.heads)};
  }

 private:
  const std::string& where_;
  ParamFile& file_;
  std::vector<bool> seen_;
  int64_t elements_ = 0;
};

Expected<ParamFile> parse(std::string_view text, const std::string& where) {
  const JsonParts drop{.array = kParameters,
                       .read = [](const std::string& /*name*/, const Json& /*element*/) { return Status(); }};
  HCCS_ASSIGN_OR_RETURN(const Json json, parse_json(text, where, &drop));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  HCCS_ASSIGN_OR_RETURN(const std::string format, fields.string("format"));
  if (format != kFormat) return fields.bad("format", fmt::format("it is \"{}\"", kFormat));
  HCCS_ASSIGN_OR_RETURN(const int64_t version, fields.integer("version", INT64_MIN, INT64_MAX));
  if (version != kParamFileVersion) {
    return Status(StatusCode::kUnsupported,
                  fmt::format("{}: version = {}, but the known versions are: {}", where, version, kParamFileVersion));
  }
  ParamFile file;
  HCCS_ASSIGN_OR_RETURN(file.model, fields.string("model"));
  HCCS_ASSIGN_OR_RETURN(file.layers, fields.integer("layers", 1, kMaxHeads));
  HCCS_ASSIGN_OR_RETURN(file.heads, fields.integer("heads", 1, kMaxHeads / file.layers));
  HCCS_ASSIGN_OR_RETURN(file.head_dimension, fields.integer("head_dimension", 0, kMaxHeadDimension));
  HCCS_ASSIGN_OR_RETURN(file.sequence_length, fields.integer("sequence_length", 1, kMaxRowLength));
  HCCS_ASSIGN_OR_RETURN(file.knees, fields.integer("knees", 1, kMaxKnees));
  HCCS_ASSIGN_OR_RETURN(file.limits, read_choice(fields, "limits", kLimits));
  HCCS_ASSIGN_OR_RETURN(file.share, read_choice(fields, "share", kShares));
  HCCS_ASSIGN_OR_RETURN(file.seed, fields.unsigned_integer("seed"));
  HCCS_ASSIGN_OR_RETURN(file.data_digest, fields.string("data_digest"));
  if (fields.has("weights_digest")) {
    HCCS_ASSIGN_OR_RETURN(file.weights_digest, fields.string("weights_digest"));
  }
  HCCS_RETURN_IF_ERROR(fields.array(kParameters).status());
  EntryReader entries(where, file, text.size());
  const JsonParts read_entries{.array = kParameters, .read = [&](const std::string& /*name*/, const Json& element) {
                                 return entries.read(element);
                               }};
  HCCS_RETURN_IF_ERROR(parse_json(text, where, &read_entries).status());
  HCCS_RETURN_IF_ERROR(entries.finish());
  if (const Status status = validate(file); !status.ok()) {
    return Status(StatusCode::kBadData, fmt::format("{}: {}", where, status.message()));
  }
  return file;
}

// ---- Writing --------------------------------------------------------------------------------

// One line, so that a difference between two files names its heads. {} of a double is the shortest text that reads back
// as the same double.
std::string entry_line(const HeadEntry& entry, int64_t layer, int64_t head) {
  std::string knees;
  for (const Knee& knee : entry.params.active_knees()) {
    knees += fmt::format("{}[{}, {}]", knees.empty() ? "" : ", ", knee.slope, knee.position);
  }
  return fmt::format(
      R"(    {{"layer": {}, "head": {}, "B": {}, "knees": [{}], "step": {}, "kl": {}, "kl_continuous": {}, "rows": {}, )"
      R"("max_probability": {}, "default": {}}})",
      layer, head, entry.params.offset, knees, entry.step, entry.kl, entry.kl_continuous, entry.rows,
      entry.max_probability, entry.is_default);
}

}  // namespace

Status validate(const ParamFile& file) try {
  HCCS_RETURN_IF_ERROR(check_text("model", file.model));
  HCCS_RETURN_IF_ERROR(check_integer("layers", file.layers, 1, kMaxHeads));
  HCCS_RETURN_IF_ERROR(check_integer("heads", file.heads, 1, kMaxHeads / file.layers));
  HCCS_RETURN_IF_ERROR(check_integer("head_dimension", file.head_dimension, 0, kMaxHeadDimension));
  HCCS_RETURN_IF_ERROR(check_integer("sequence_length", file.sequence_length, 1, kMaxRowLength));
  HCCS_RETURN_IF_ERROR(check_integer("knees", file.knees, 1, kMaxKnees));
  HCCS_RETURN_IF_ERROR(check_choice("limits", file.limits, kLimits));
  HCCS_RETURN_IF_ERROR(check_choice("share", file.share, kShares));
  HCCS_RETURN_IF_ERROR(check_text("data_digest", file.data_digest));
  HCCS_RETURN_IF_ERROR(check_text("weights_digest", file.weights_digest));
  if (file.entries.size() != static_cast<size_t>(file.layers * file.heads)) {
    return invalid(fmt::format("{} entries, but {} layers x {} heads = {}", file.entries.size(), file.layers,
                               file.heads, file.layers * file.heads));
  }
  for (int64_t layer = 0; layer < file.layers; ++layer) {
    for (int64_t head = 0; head < file.heads; ++head) {
      HCCS_RETURN_IF_ERROR(validate_entry(file.at(layer, head), file.knees, head_name(layer, head)));
    }
  }
  return {};
} catch (...) {
  return internal::status_of_exception("parameter file");
}

Expected<ParamFile> read_param_file(const std::filesystem::path& path) try {
  HCCS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse(text, path.string());
} catch (...) {
  return internal::status_of_exception(path.native());
}

Status write_param_file(const std::filesystem::path& path, const ParamFile& file) try {
  HCCS_RETURN_IF_ERROR(validate(file));
  std::string text = fmt::format(
      R"({{
  "format": "{}",
  "version": {},
  "model": {},
  "layers": {},
  "heads": {},
  "head_dimension": {},
  "sequence_length": {},
  "knees": {},
  "limits": "{}",
  "share": "{}",
  "seed": {},
  "data_digest": {},
  "weights_digest": {},
  "parameters": [
)",
      kFormat, kParamFileVersion, Json(file.model).dump(), file.layers, file.heads, file.head_dimension,
      file.sequence_length, file.knees, name(file.limits), name(file.share), file.seed, Json(file.data_digest).dump(),
      Json(file.weights_digest).dump());
  for (int64_t layer = 0; layer < file.layers; ++layer) {
    for (int64_t head = 0; head < file.heads; ++head) {
      const bool last = layer + 1 == file.layers && head + 1 == file.heads;
      fmt::format_to(std::back_inserter(text), "{}{}\n", entry_line(file.at(layer, head), layer, head),
                     last ? "" : ",");
    }
  }
  text += "  ]\n}\n";
  return write_file_atomically(path, {text});
} catch (...) {
  return internal::status_of_exception(path.native());
}

Status check_matches(const ParamFile& file, std::string_view model, int64_t layers, int64_t heads,
                     int64_t head_dimension, std::string_view weights_digest) try {
  const bool dimension_differs = file.head_dimension > 0 && head_dimension > 0 && file.head_dimension != head_dimension;
  const bool same_shape = file.layers == layers && file.heads == heads && !dimension_differs;
  const bool weights_known = !file.weights_digest.empty() && !weights_digest.empty();
  if (same_shape && weights_known) {
    if (file.weights_digest == weights_digest) return {};  // whatever the folder is called
    return {StatusCode::kMismatch,
            fmt::format("the parameters are for the weights {} of model {}, but those of this model, {}, are {}",
                        file.weights_digest, in_quotes(file.model), in_quotes(model), weights_digest)};
  }
  if (same_shape && file.model == model) return {};
  const auto dimension = [](int64_t value) { return value > 0 ? fmt::format("{}", value) : "unknown"; };
  return {StatusCode::kMismatch,
          fmt::format("the parameters are for model {} ({} layers, {} heads, head dimension {}), but this model is {} "
                      "({} layers, {} heads, head dimension {})",
                      in_quotes(file.model), file.layers, file.heads, dimension(file.head_dimension), in_quotes(model),
                      layers, heads, dimension(head_dimension))};
} catch (...) {
  return internal::status_of_exception("parameter file");
}

}  // namespace hccs
