// SPDX-License-Identifier: Apache-2.0
//
// What a folder says about its tokeniser, in up to five files, as one description. Where two of them say the same thing
// they must agree.
// Source: https://github.com/huggingface/transformers (BertTokenizer, BertTokenizerFast) and `tokenizers`.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "formats/model_folder_parts.h"
#include "formats/tokenizer_json.h"
#include "formats/vocabulary.h"
#include "hccs/file.h"

namespace hccs::internal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVocabulary = "vocab.txt";
constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kConfig = "tokenizer_config.json";
constexpr const char* kAddedTokens = "added_tokens.json";
constexpr const char* kSpecialTokens = "special_tokens_map.json";

// The special tokens that WordPieceTokenizer has by these names.
constexpr std::array kRoles = {std::pair{"unk_token", "[UNK]"}, std::pair{"cls_token", "[CLS]"},
                               std::pair{"sep_token", "[SEP]"}, std::pair{"pad_token", "[PAD]"},
                               std::pair{"mask_token", "[MASK]"}};

class Description {
 public:
  explicit Description(fs::path folder) : folder_(std::move(folder)) {}

  Expected<TokenizerFiles> read(const Json& model_config, int64_t type_vocabulary_size);

 private:
  Status read_json_file();
  Status read_config_file();
  Status read_added_tokens_file();
  Status read_special_tokens(const Json& json, const char* file);
  Status read_special_token(const Json& value, const std::string& where, const char* only);
  Status check_words(const Json& json, const fs::path& file) const;
  Status check_class(const Json& json, const JsonFields& fields, const fs::path& file) const;
  Status read_vocabulary_file();
  Expected<std::vector<AddedToken>> added_tokens() const;

  // The file, if it is there; and remembers that it is.
  Expected<std::optional<Json>> json_of(const char* file) {
    HCCS_ASSIGN_OR_RETURN(std::optional<Json> json, read_json_if_present(folder_ / file));
    if (json) names_.emplace_back(file);
    return json;
  }

  fs::path folder_;
  std::vector<std::string> names_;
  TokenizerDescription said_;
  bool has_json_ = false;
  std::optional<int64_t> max_length_;
};

// MeCab and the like cut Japanese words before WordPiece sees them.
Status Description::check_words(const Json& json, const fs::path& file) const {
  for (const auto& [key, only] :
       {std::pair{"word_tokenizer_type", "basic"}, std::pair{"subword_tokenizer_type", "wordpiece"}}) {
    const auto value = json.find(key);
    if (value != json.end() && !value->is_null() && *value != only) {
      return unsupported(file, fmt::format("{} {}, but only \"{}\" is", key, shown(*value), only));
    }
  }
  for (const char* key : {"mecab_kwargs", "sudachi_kwargs", "jumanpp_kwargs"}) {
    const auto value = json.find(key);
    if (value != json.end() && !value->is_null()) {
      return unsupported(file, fmt::format("{} {}, but words are cut by BERT's own rules alone", key, shown(*value)));
    }
  }
  return {};
}

Status Description::check_class(const Json& json, const JsonFields& fields, const fs::path& file) const {
  if (fields.has("tokenizer_class")) {
    HCCS_ASSIGN_OR_RETURN(const std::string kind, fields.string("tokenizer_class"));
    // The last two read tokenizer.json and nothing else.
    const bool generic = kind == "PreTrainedTokenizerFast" || kind == "TokenizersBackend";
    if (kind != "BertTokenizer" && kind != "BertTokenizerFast" && !(generic && has_json_)) {
      return unsupported(
          file,
          fmt::format("tokenizer_class {}, but only \"BertTokenizer\" and \"BertTokenizerFast\" are", in_quotes(kind)));
    }
  }
  if (fields.has("auto_map") && !json["auto_map"].empty()) {
    return unsupported(file, fmt::format("auto_map {}: a tokeniser with code of its own", shown(json["auto_map"])));
  }
  return check_words(json, file);
}

Status Description::read_json_file() {
  HCCS_ASSIGN_OR_RETURN(const std::optional<Json> json, json_of(kTokenizer));
  has_json_ = json.has_value();
  return has_json_ ? read_tokenizer_json(*json, folder_ / kTokenizer, said_) : Status();
}

Status Description::read_config_file() {
  HCCS_ASSIGN_OR_RETURN(const std::optional<Json> json, json_of(kConfig));
  if (!json) return {};
  const fs::path file = folder_ / kConfig;
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(*json, file.string()));
  HCCS_RETURN_IF_ERROR(check_class(*json, fields, file));
  for (const auto& [key, option] :
       {std::pair{"do_lower_case", &said_.lower_case}, std::pair{"strip_accents", &said_.strip_accents},
        std::pair{"tokenize_chinese_chars", &said_.separate_ideographs}}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const bool value, fields.boolean(key));
    HCCS_RETURN_IF_ERROR(option->say(value, fmt::format("{}: {}", file.string(), key)));
  }
  for (const auto& [key, only] : {std::pair{"do_basic_tokenize", true}, std::pair{"clean_text", true},
                                  std::pair{"split_special_tokens", false}}) {
    HCCS_ASSIGN_OR_RETURN(const bool value, boolean_or(fields, key, only));
    if (value != only) return unsupported(file, fmt::format("{} {}, but only {} is", key, value, only));
  }
  for (const auto& [key, only] : {std::pair{"wordpieces_prefix", "##"}, std::pair{"truncation_side", "right"}}) {
    if (!fields.has(key)) continue;
    HCCS_ASSIGN_OR_RETURN(const std::string value, fields.string(key));
    if (value != only) return unsupported(file, fmt::format("{} {}, but only \"{}\" is", key, in_quotes(value), only));
  }
  if (fields.has("never_split") && !(*json)["never_split"].empty()) {
    return unsupported(
        file, fmt::format("never_split {}, but added tokens alone are not split", shown((*json)["never_split"])));
  }
  if (fields.has("model_input_names")) {
    HCCS_ASSIGN_OR_RETURN(const Json* names, fields.array("model_input_names"));
    const bool types = std::find(names->begin(), names->end(), "token_type_ids") != names->end();
    said_.pair_types = said_.pair_types && types;
  }
  // Files also hold 1e30 or 2^64 for "none".
  const auto longest = json->find("model_max_length");
  if (longest != json->end() && !longest->is_null() && !longest->is_number_float()) {
    if (longest->is_number_unsigned() && longest->get<uint64_t>() > INT64_MAX) {
      max_length_ = std::nullopt;
    } else {
      HCCS_ASSIGN_OR_RETURN(max_length_, fields.integer("model_max_length", 3, INT64_MAX));
    }
  } else if (longest != json->end() && longest->is_number_float() && longest->get<double>() < 1e9) {
    return fields.bad("model_max_length", "it is an integer, or above 1e9 for none");
  }
  if (fields.has("added_tokens_decoder")) {
    HCCS_RETURN_IF_ERROR(read_added_tokens_decoder((*json)["added_tokens_decoder"], file, said_));
  }
  return read_special_tokens(*json, kConfig);
}

// {"content": id}
Status Description::read_added_tokens_file() {
  HCCS_ASSIGN_OR_RETURN(const std::optional<Json> json, json_of(kAddedTokens));
  if (!json) return {};
  const fs::path file = folder_ / kAddedTokens;
  if (!json->is_object()) return bad_data(file, fmt::format("{}, but it is an object", shown(*json)));
  for (const auto& [content, value] : json->items()) {
    HCCS_ASSIGN_OR_RETURN(const int64_t id, json_integer(value, file.string(), content, 0, INT32_MAX - 1));
    if (content.empty()) continue;
    HCCS_RETURN_IF_ERROR(said_.added[content].id.say(id, fmt::format("{}: {}", file.string(), in_quotes(content))));
  }
  return {};
}

// A special token is a string, or an object as in read_token_properties().
Status Description::read_special_token(const Json& value, const std::string& where, const char* only) {
  if (value.is_null()) return {};
  std::string content;
  if (value.is_string()) {
    content = value.get<std::string>();
  } else if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    content = value["content"].get<std::string>();
  } else {
    return {StatusCode::kBadData,
            fmt::format("{} = {}, but it is a string or has one as content", where, shown(value))};
  }
  if (only != nullptr && content != only) {
    return {StatusCode::kUnsupported, fmt::format("{} {}, but only \"{}\" is", where, in_quotes(content), only)};
  }
  if (content.empty()) return {};
  SaidToken& token = said_.added[content];
  token.is_special_name = true;
  return value.is_object() ? read_token_properties(value, where, token) : Status();
}

Status Description::read_special_tokens(const Json& json, const char* file) {
  const std::string where = (folder_ / file).string();
  for (const auto& [role, name] : kRoles) {
    if (json.contains(role))
      HCCS_RETURN_IF_ERROR(read_special_token(json[role], fmt::format("{}: {}", where, role), name));
  }
  for (const char* role : {"bos_token", "eos_token"}) {
    if (json.contains(role))
      HCCS_RETURN_IF_ERROR(read_special_token(json[role], fmt::format("{}: {}", where, role), nullptr));
  }
  for (const char* list : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!json.contains(list) || json[list].is_null()) continue;
    if (!json[list].is_array() && !json[list].is_object()) {
      return {StatusCode::kBadData,
              fmt::format("{}: {} = {}, but it is an array or an object", where, list, shown(json[list]))};
    }
    for (const Json& value : json[list]) {
      HCCS_RETURN_IF_ERROR(read_special_token(value, fmt::format("{}: {}", where, list), nullptr));
    }
  }
  return {};
}

// From vocab.txt, which tokenizer.json must repeat if both are there.
Status Description::read_vocabulary_file() {
  const fs::path file = folder_ / kVocabulary;
  HCCS_ASSIGN_OR_RETURN(const bool there, is_present(file));
  if (!there && !said_.tokens.empty()) return {};
  HCCS_ASSIGN_OR_RETURN(std::vector<std::string> tokens, read_vocabulary(file));
  names_.insert(names_.begin(), kVocabulary);
  if (!said_.tokens.empty()) {
    const auto [mine, other] = std::mismatch(tokens.begin(), tokens.end(), said_.tokens.begin(), said_.tokens.end());
    if (mine != tokens.end() || other != said_.tokens.end()) {
      const auto name = [](const auto& it, const auto& end) { return it == end ? "no token" : in_quotes(*it); };
      return mismatch(
          file, fmt::format("line {}: {}, but {} has {} as id {}", mine - tokens.begin() + 1, name(mine, tokens.end()),
                            (folder_ / kTokenizer).string(), name(other, said_.tokens.end()), mine - tokens.begin()));
    }
  }
  said_.tokens = std::move(tokens);
  return {};
}

// Of all files, with ids as `tokenizers` gives them: the vocabulary's, or the next one.
Expected<std::vector<AddedToken>> Description::added_tokens() const {
  std::unordered_map<std::string_view, int64_t> vocabulary;
  for (size_t id = 0; id < said_.tokens.size(); ++id) vocabulary.emplace(said_.tokens[id], id);
  std::vector<std::pair<int64_t, const std::string*>> beyond;  // by the id that they say, if they do
  std::map<std::string_view, int64_t> ids;
  for (const auto& [content, token] : said_.added) {
    const auto known = vocabulary.find(content);
    if (known == vocabulary.end()) {
      // [MASK] is the one special token that a vocabulary may lack; it then has no embedding.
      if (!token.id.value() && content == "[MASK]") continue;
      beyond.emplace_back(token.id.value().value_or(INT64_MAX), &content);
    } else if (token.id.value().value_or(known->second) != known->second) {
      return Status(StatusCode::kMismatch, fmt::format("{} has id {}, but in the vocabulary it is {}", token.id.where(),
                                                       *token.id.value(), known->second));
    } else {
      ids[content] = known->second;
    }
  }
  std::sort(beyond.begin(), beyond.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, std::string_view(*a.second)) < std::pair(b.first, std::string_view(*b.second));
  });
  int64_t next = std::ssize(said_.tokens);
  for (const auto& [id, content] : beyond) {
    if (id != INT64_MAX && id != next) {
      return Status(StatusCode::kMismatch,
                    fmt::format("{} has id {}, but the vocabulary and the tokens added before it "
                                "end at {}",
                                said_.added.at(*content).id.where(), id, next - 1));
    }
    ids[*content] = next++;
  }
  // Where normalisation makes two the same, `tokenizers` finds the special one, then the one of the lower id.
  std::vector<AddedToken> tokens;
  for (const bool special_ones : {true, false}) {
    const auto first = std::ssize(tokens);
    for (const auto& [content, id] : ids) {
      const SaidToken& token = said_.added.at(std::string(content));
      const bool special = token.special.value_or(token.is_special_name);
      if (special != special_ones) continue;
      tokens.push_back({.content = std::string(content),
                        .id = static_cast<int32_t>(id),
                        .single_word = token.single_word.value().value_or(false),
                        .lstrip = token.lstrip.value().value_or(false),
                        .rstrip = token.rstrip.value().value_or(false),
                        .normalized = token.normalized.value().value_or(!special)});
    }
    std::sort(tokens.begin() + first, tokens.end(),
              [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  }
  return tokens;
}

Expected<TokenizerFiles> Description::read(const Json& model_config, int64_t type_vocabulary_size) {
  HCCS_RETURN_IF_ERROR(read_json_file());
  HCCS_RETURN_IF_ERROR(read_config_file());
  HCCS_RETURN_IF_ERROR(read_added_tokens_file());
  HCCS_ASSIGN_OR_RETURN(const std::optional<Json> special, json_of(kSpecialTokens));
  if (special) HCCS_RETURN_IF_ERROR(read_special_tokens(*special, kSpecialTokens));

  const fs::path config_file = folder_ / "config.json";
  HCCS_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::of(model_config, config_file.string()));
  HCCS_RETURN_IF_ERROR(check_class(model_config, fields, config_file));
  if (fields.has("do_lower_case")) {
    HCCS_ASSIGN_OR_RETURN(const bool lower, fields.boolean("do_lower_case"));
    HCCS_RETURN_IF_ERROR(said_.lower_case.say(lower, fmt::format("{}: do_lower_case", config_file.string())));
  }
  HCCS_RETURN_IF_ERROR(read_vocabulary_file());

  TokenizerOptions options{.lower_case = said_.lower_case.value().value_or(true),
                           .strip_accents = said_.strip_accents.value(),
                           .separate_ideographs = said_.separate_ideographs.value().value_or(true),
                           .pair_types = type_vocabulary_size > 1 && said_.pair_types};
  HCCS_ASSIGN_OR_RETURN(options.added_tokens, added_tokens());
  const bool lower_case = options.lower_case;
  HCCS_ASSIGN_OR_RETURN(
      WordPieceTokenizer tokenizer,
      WordPieceTokenizer::make(std::move(said_.tokens), (folder_ / names_.front()).string(), std::move(options)));
  return TokenizerFiles{std::move(tokenizer), lower_case, max_length_, std::move(names_)};
}

}  // namespace

Expected<TokenizerFiles> read_tokenizer_files(const fs::path& folder, const Json& config,
                                              int64_t type_vocabulary_size) {
  return Description(folder).read(config, type_vocabulary_size);
}

}  // namespace hccs::internal
