// SPDX-License-Identifier: Apache-2.0
#include "integer_encoder/description.h"

#include <fmt/core.h>

#include "files/json.h"

namespace hccs::internal {
namespace {

constexpr int64_t kLarge = int64_t{1} << 40;

using OrderedJson = nlohmann::ordered_json;

OrderedJson of_norm(const IntNorm& norm) {
  return {{"epsilon", norm.epsilon}, {"int8_shift", norm.int8.shift}, {"skip_shift", norm.skip.shift}};
}

OrderedJson of_layer(const IntLayer& layer) {
  return {{"attention_skip", layer.attention_skip},
          {"attention_norm", of_norm(layer.attention_norm)},
          {"gelu_fraction", layer.gelu.fraction},
          {"gelu_multiplier", layer.gelu.multiplier},
          {"gelu_zero", layer.gelu.zero},
          {"gelu_splits", layer.gelu.splits},
          {"output_inputs", layer.output.in},
          {"output_skip", layer.output_skip},
          {"output_norm", of_norm(layer.output_norm)}};
}

OrderedJson of_tokenizer(const TokenizerOptions& options) {
  OrderedJson json = {{"lower_case", options.lower_case},
                      {"strip_accents", options.strip_accents.value_or(options.lower_case)},
                      {"separate_ideographs", options.separate_ideographs},
                      {"pair_types", options.pair_types},
                      {"added_tokens", OrderedJson::array()}};
  for (const AddedToken& token : options.added_tokens) {
    json["added_tokens"].push_back({{"content", token.content},
                                    {"id", token.id},
                                    {"single_word", token.single_word},
                                    {"lstrip", token.lstrip},
                                    {"rstrip", token.rstrip},
                                    {"normalized", token.normalized}});
  }
  return json;
}

// Integers of one object, the first error kept.
class IntegerFields {
 public:
  explicit IntegerFields(const JsonFields& fields) : fields_(fields) {}

  template <class T>
  IntegerFields& read(std::string_view key, T* value, int64_t high = INT32_MAX) {
    if (!status_.ok()) return *this;
    const Expected<int64_t> read = fields_.integer(key, 0, high);
    if (read.ok()) *value = static_cast<T>(*read);
    status_ = read.status();
    return *this;
  }
  Status status() const { return status_; }

 private:
  const JsonFields& fields_;
  Status status_;
};

Status read_norm(const Json& json, const std::string& where, IntNorm* norm) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  return IntegerFields(fields)
      .read("epsilon", &norm->epsilon, kLarge)
      .read("int8_shift", &norm->int8.shift)
      .read("skip_shift", &norm->skip.shift)
      .status();
}

// The member, which may be missing: null then, which is no object.
const Json& member(const Json& object, const char* name) {
  static const Json nothing;
  const auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

Status read_layer(const Json& json, const std::string& where, const IntegerModel& model, IntLayer* layer) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  HCCS_RETURN_IF_ERROR(IntegerFields(fields)
                           .read("attention_skip", &layer->attention_skip)
                           .read("gelu_fraction", &layer->gelu.fraction)
                           .read("gelu_multiplier", &layer->gelu.multiplier)
                           .read("gelu_zero", &layer->gelu.zero)
                           .read("output_inputs", &layer->output.in)
                           .read("output_skip", &layer->output_skip)
                           .status());
  HCCS_ASSIGN_OR_RETURN(const Json* splits, fields.array("gelu_splits"));
  for (const Json& split : *splits) {
    HCCS_ASSIGN_OR_RETURN(const int64_t channels, json_integer(split, where, "a split", 1, kMaxInner));
    layer->gelu.splits.push_back(static_cast<int32_t>(channels));
  }
  HCCS_RETURN_IF_ERROR(read_norm(member(json, "attention_norm"), where + ": attention_norm", &layer->attention_norm));
  HCCS_RETURN_IF_ERROR(read_norm(member(json, "output_norm"), where + ": output_norm", &layer->output_norm));
  layer->query_key_value.in = layer->attention_output.in = layer->intermediate.in = model.hidden;
  layer->query_key_value.out = 3 * model.hidden;
  layer->attention_output.out = layer->output.out = model.hidden;
  layer->intermediate.out = model.inner;
  return {};
}

Status read_tokenizer(const Json& json, const std::string& where, TokenizerOptions* options) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  HCCS_ASSIGN_OR_RETURN(options->lower_case, fields.boolean("lower_case"));
  HCCS_ASSIGN_OR_RETURN(options->strip_accents, fields.boolean("strip_accents"));
  HCCS_ASSIGN_OR_RETURN(options->separate_ideographs, fields.boolean("separate_ideographs"));
  HCCS_ASSIGN_OR_RETURN(options->pair_types, fields.boolean("pair_types"));
  HCCS_ASSIGN_OR_RETURN(const Json* tokens, fields.array("added_tokens"));
  for (const Json& entry : *tokens) {
    HCCS_ASSIGN_OR_RETURN(const JsonFields of_token, JsonFields::of(entry, where + ": added token"));
    AddedToken token;
    HCCS_ASSIGN_OR_RETURN(token.content, of_token.string("content"));
    HCCS_RETURN_IF_ERROR(IntegerFields(of_token).read("id", &token.id, INT32_MAX - 1).status());
    HCCS_ASSIGN_OR_RETURN(token.single_word, of_token.boolean("single_word"));
    HCCS_ASSIGN_OR_RETURN(token.lstrip, of_token.boolean("lstrip"));
    HCCS_ASSIGN_OR_RETURN(token.rstrip, of_token.boolean("rstrip"));
    HCCS_ASSIGN_OR_RETURN(token.normalized, of_token.boolean("normalized"));
    options->added_tokens.push_back(std::move(token));
  }
  return {};
}

Status read_origin(const Json& json, const std::string& where, IntOrigin* origin) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  HCCS_ASSIGN_OR_RETURN(origin->name, fields.string("name"));
  HCCS_ASSIGN_OR_RETURN(origin->weights_digest, fields.string("weights_digest"));
  HCCS_ASSIGN_OR_RETURN(origin->calibration_digest, fields.string("calibration_digest"));
  return IntegerFields(fields)
      .read("calibration_texts", &origin->calibration_texts, kLarge)
      .read("calibration_tokens", &origin->calibration_tokens, kLarge)
      .read("knees", &origin->knees)
      .status();
}

Status read_texts(const JsonFields& fields, IntegerModel* model) {
  HCCS_ASSIGN_OR_RETURN(const std::string weights, fields.string("attention_weights"));
  if (weights != "uint8" && weights != "wide") return fields.bad("attention_weights", "it is \"uint8\" or \"wide\"");
  model->weights = weights == "wide" ? AttentionWeights::kWide : AttentionWeights::kUint8;
  HCCS_ASSIGN_OR_RETURN(const std::string pooling, fields.string("pooling"));
  if (pooling != "mean" && pooling != "first") return fields.bad("pooling", "it is \"mean\" or \"first\"");
  model->pooling = pooling == "mean" ? IntPooling::kMean : IntPooling::kFirst;
  HCCS_ASSIGN_OR_RETURN(model->prompt, fields.string("prompt"));
  HCCS_ASSIGN_OR_RETURN(model->lower_case, fields.boolean("lower_case"));
  if (!fields.has("labels")) return {};
  HCCS_ASSIGN_OR_RETURN(const Json* labels, fields.array("labels"));
  IntClassifier& classifier = model->classifier.emplace();
  for (const Json& label : *labels) {
    if (!label.is_string()) return fields.bad("labels", "they are strings");
    classifier.labels.push_back(label.get<std::string>());
  }
  classifier.pooler.in = classifier.pooler.out = classifier.logits.in = model->hidden;
  classifier.logits.out = std::ssize(classifier.labels);
  return {};
}

}  // namespace

std::string to_description(const IntegerModel& model) {
  OrderedJson json = {{"origin",
                       {{"name", model.origin.name},
                        {"weights_digest", model.origin.weights_digest},
                        {"calibration_digest", model.origin.calibration_digest},
                        {"calibration_texts", model.origin.calibration_texts},
                        {"calibration_tokens", model.origin.calibration_tokens},
                        {"knees", model.origin.knees}}},
                      {"hidden", model.hidden},
                      {"heads", model.heads},
                      {"inner", model.inner},
                      {"vocabulary", model.vocabulary},
                      {"positions", model.positions},
                      {"types", model.types},
                      {"attention_weights", model.weights == AttentionWeights::kWide ? "wide" : "uint8"},
                      {"word_shift", model.word_shift},
                      {"embedding_norm", of_norm(model.embedding_norm)},
                      {"pooling", model.pooling == IntPooling::kMean ? "mean" : "first"},
                      {"max_length", model.max_length},
                      {"classifier_max_length", model.classifier_max_length},
                      {"prompt", model.prompt},
                      {"prompt_tokens", model.prompt_tokens},
                      {"lower_case", model.lower_case},
                      {"tokenizer", of_tokenizer(model.tokenizer->options())},
                      {"layers", OrderedJson::array()}};
  if (model.classifier) json["labels"] = model.classifier->labels;
  for (const IntLayer& layer : model.layers) json["layers"].push_back(of_layer(layer));
  return json.dump();
}

Expected<IntegerModel> read_description(const std::string& text, const std::filesystem::path& path,
                                        TokenizerOptions* options) {
  const std::string where = path.string() + ": description";
  HCCS_ASSIGN_OR_RETURN(const Json json, parse_json(text, where));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  IntegerModel model;
  HCCS_RETURN_IF_ERROR(IntegerFields(fields)
                           .read("hidden", &model.hidden)
                           .read("heads", &model.heads)
                           .read("inner", &model.inner)
                           .read("vocabulary", &model.vocabulary)
                           .read("positions", &model.positions)
                           .read("types", &model.types)
                           .read("word_shift", &model.word_shift)
                           .read("max_length", &model.max_length)
                           .read("classifier_max_length", &model.classifier_max_length)
                           .read("prompt_tokens", &model.prompt_tokens)
                           .status());
  HCCS_RETURN_IF_ERROR(read_texts(fields, &model));
  HCCS_RETURN_IF_ERROR(read_origin(member(json, "origin"), where + ": origin", &model.origin));
  HCCS_RETURN_IF_ERROR(read_norm(member(json, "embedding_norm"), where + ": embedding_norm", &model.embedding_norm));
  HCCS_RETURN_IF_ERROR(read_tokenizer(member(json, "tokenizer"), where + ": tokenizer", options));
  HCCS_ASSIGN_OR_RETURN(const Json* layers, fields.array("layers"));
  for (const Json& layer : *layers) {
    HCCS_RETURN_IF_ERROR(read_layer(layer, fmt::format("{}: layer {}", where, model.layers.size()), model,
                                    &model.layers.emplace_back()));
  }
  return model;
}

}  // namespace hccs::internal
