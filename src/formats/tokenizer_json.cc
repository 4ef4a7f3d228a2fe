// SPDX-License-Identifier: Apache-2.0
#include "formats/tokenizer_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "formats/model_folder_parts.h"

namespace hccs::internal {
namespace {

namespace fs = std::filesystem;

// The member of an object, or null.
const Json& member(const Json& json, const char* key) {
  static const Json kNull;
  const auto it = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && it != json.end() ? *it : kNull;
}

// Refuses a part of another type than ours.
Status check_type(const Json& part, const char* name, std::initializer_list<const char*> types, const fs::path& file) {
  const Json& type = member(part, "type");
  if (std::any_of(types.begin(), types.end(), [&](const char* t) { return type == t; })) return {};
  return unsupported(file, fmt::format("{} of type {}, but only {} is", name, shown(type), *types.begin()));
}

Status check_value(const Json& part, const char* name, const char* key, const Json& only, const fs::path& file) {
  const Json& value = member(part, key);
  if (value.is_null() || value == only) return {};
  return unsupported(file, fmt::format("{}: {} {}, but only {} is", name, key, shown(value), shown(only)));
}

Status read_model(const Json& model, const fs::path& file, TokenizerDescription& said) {
  // Before 0.9 the type was left out.
  if (!member(model, "type").is_null()) HCCS_RETURN_IF_ERROR(check_type(model, "model", {"WordPiece"}, file));
  HCCS_RETURN_IF_ERROR(check_value(model, "model", "unk_token", "[UNK]", file));
  HCCS_RETURN_IF_ERROR(check_value(model, "model", "continuing_subword_prefix", "##", file));
  HCCS_RETURN_IF_ERROR(check_value(model, "model", "max_input_chars_per_word", 100, file));
  const Json& vocabulary = member(model, "vocab");
  if (!vocabulary.is_object() || vocabulary.empty()) {
    return unsupported(file,
                       fmt::format("model: vocab = {}, but it is an object of tokens and ids", shown(vocabulary)));
  }
  const auto size = static_cast<int64_t>(vocabulary.size());
  said.tokens.assign(vocabulary.size(), {});
  std::vector<bool> taken(vocabulary.size());
  for (const auto& [token, value] : vocabulary.items()) {
    HCCS_ASSIGN_OR_RETURN(
        const int64_t id,
        json_integer(value, fmt::format("{}: token {}", file.string(), in_quotes(token)), "id", 0, size - 1));
    if (taken[static_cast<size_t>(id)]) {
      return bad_data(file, fmt::format("tokens {} and {} have the id {}",
                                        in_quotes(said.tokens[static_cast<size_t>(id)]), in_quotes(token), id));
    }
    taken[static_cast<size_t>(id)] = true;
    said.tokens[static_cast<size_t>(id)] = token;
  }
  return {};
}

Status read_normalizer(const Json& normalizer, const fs::path& file, TokenizerDescription& said) {
  HCCS_RETURN_IF_ERROR(check_type(normalizer, "normalizer", {"BertNormalizer"}, file));
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields,
                        JsonFields::of(normalizer, fmt::format("{}: normalizer", file.string())));
  HCCS_ASSIGN_OR_RETURN(const bool clean, boolean_or(fields, "clean_text", true));
  if (!clean) return unsupported(file, "normalizer: clean_text false, but only true is");
  for (const auto& [key, option] :
       {std::pair{"lowercase", &said.lower_case}, std::pair{"strip_accents", &said.strip_accents},
        std::pair{"handle_chinese_chars", &said.separate_ideographs}}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const bool value, fields.boolean(key));
    HCCS_RETURN_IF_ERROR(option->say(value, fmt::format("{}: normalizer: {}", file.string(), key)));
  }
  return {};
}

// A template as text: "[CLS]:0 $A:0 [SEP]:0".
std::string template_text(const Json& pieces) {
  std::string text;
  if (!pieces.is_array()) return shown(pieces);
  for (const Json& piece : pieces) {
    const bool sequence = piece.contains("Sequence");
    const Json& part = member(piece, sequence ? "Sequence" : "SpecialToken");
    const Json& id = member(part, "id");
    const Json& type = member(part, "type_id");
    text += fmt::format("{}{}{}:{}", text.empty() ? "" : " ", sequence ? "$" : "",
                        id.is_string() ? id.get<std::string>() : shown(id), shown(type));
  }
  return text;
}

Status read_post_processor(const Json& processor, const fs::path& file, TokenizerDescription& said) {
  HCCS_RETURN_IF_ERROR(check_type(processor, "post_processor", {"TemplateProcessing", "BertProcessing"}, file));
  if (member(processor, "type") == "BertProcessing") {
    for (const auto& [key, name] : {std::pair{"sep", "[SEP]"}, std::pair{"cls", "[CLS]"}}) {
      const Json& pair = member(processor, key);
      if (!pair.is_array() || pair.empty() || pair[0] != name) {
        return unsupported(file, fmt::format("post_processor: {} {}, but only {} is", key, shown(pair), name));
      }
    }
    return {};
  }
  const std::string single = template_text(member(processor, "single"));
  if (single != "[CLS]:0 $A:0 [SEP]:0") {
    return unsupported(file,
                       fmt::format("post_processor: single {}, but only [CLS]:0 $A:0 [SEP]:0 is", in_quotes(single)));
  }
  const std::string pair = template_text(member(processor, "pair"));
  const bool types = pair == "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1";
  if (!types && pair != "[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0") {
    return unsupported(
        file, fmt::format("post_processor: pair {}, but only [CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1 is", in_quotes(pair)));
  }
  said.pair_types = said.pair_types && types;
  return {};
}

// A token's object and its id.
Status read_added_token(const Json& json, const std::string& where, int64_t id, TokenizerDescription& said) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  HCCS_ASSIGN_OR_RETURN(const std::string content, fields.string("content"));
  if (content.empty()) return {};  // as `tokenizers` does
  SaidToken& token = said.added[content];
  HCCS_RETURN_IF_ERROR(token.id.say(id, fmt::format("{}: {}", where, in_quotes(content))));
  return read_token_properties(json, where, token);
}

}  // namespace

Status read_token_properties(const Json& json, const std::string& where, SaidToken& token) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, where));
  HCCS_ASSIGN_OR_RETURN(const std::string content, fields.string("content"));
  for (const auto& [key, property] : {std::pair{"single_word", &token.single_word}, std::pair{"lstrip", &token.lstrip},
                                      std::pair{"rstrip", &token.rstrip}, std::pair{"normalized", &token.normalized}}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const bool value, fields.boolean(key));
    HCCS_RETURN_IF_ERROR(property->say(value, fmt::format("{}: {} of {}", where, key, in_quotes(content))));
  }
  if (fields.has("special") && !token.special) {
    HCCS_ASSIGN_OR_RETURN(token.special, fields.boolean("special"));
  }
  return {};
}

Status read_added_tokens_decoder(const Json& json, const fs::path& file, TokenizerDescription& said) {
  const std::string where = fmt::format("{}: added_tokens_decoder", file.string());
  if (!json.is_object()) return {StatusCode::kBadData, fmt::format("{} = {}, but it is an object", where, shown(json))};
  for (const auto& [key, token] : json.items()) {
    int32_t id = -1;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || id < 0) {
      return {StatusCode::kBadData, fmt::format("{}: {}, but its names are ids", where, in_quotes(key))};
    }
    HCCS_RETURN_IF_ERROR(read_added_token(token, where, id, said));
  }
  return {};
}

Status read_tokenizer_json(const Json& json, const fs::path& file, TokenizerDescription& said) {
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(json, file.string()));
  HCCS_RETURN_IF_ERROR(read_model(member(json, "model"), file, said));
  HCCS_RETURN_IF_ERROR(read_normalizer(member(json, "normalizer"), file, said));
  HCCS_RETURN_IF_ERROR(check_type(member(json, "pre_tokenizer"), "pre_tokenizer", {"BertPreTokenizer"}, file));
  HCCS_RETURN_IF_ERROR(read_post_processor(member(json, "post_processor"), file, said));
  if (!fields.has("added_tokens")) return {};
  HCCS_ASSIGN_OR_RETURN(const Json* added, fields.array("added_tokens"));
  const std::string where = fmt::format("{}: added_tokens", file.string());
  for (const Json& token : *added) {
    HCCS_ASSIGN_OR_RETURN(const JsonFields token_fields, JsonFields::of(token, where));
    HCCS_ASSIGN_OR_RETURN(const int64_t id, token_fields.integer("id", 0, INT32_MAX - 1));
    HCCS_RETURN_IF_ERROR(read_added_token(token, where, id, said));
  }
  return {};
}

}  // namespace hccs::internal
