// SPDX-License-Identifier: Apache-2.0
//
// tokenizer.json, the description that `tokenizers` writes, and what files say of single tokens.
#ifndef HCCS_FORMATS_TOKENIZER_JSON_H_
#define HCCS_FORMATS_TOKENIZER_JSON_H_

#include <fmt/core.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "files/json.h"
#include "hccs/status.h"

namespace hccs::internal {

// Something that several files may say.
template <class T>
class Said {
 public:
  // kMismatch, with both places and values, if another value was said before.
  Status say(T value, std::string where) {
    if (value_ && *value_ != value) {
      return {StatusCode::kMismatch, fmt::format("{} is {}, but {} is {}", where, value, where_, *value_)};
    }
    if (!value_) where_ = std::move(where);
    value_ = value;
    return {};
  }
  const std::optional<T>& value() const noexcept { return value_; }  // none: nobody said
  const std::string& where() const noexcept { return where_; }

 private:
  std::optional<T> value_;
  std::string where_;
};

struct SaidToken {
  Said<int64_t> id;
  Said<bool> single_word, lstrip, rstrip, normalized;
  std::optional<bool> special;   // the first to say it; it only makes the default of `normalized`
  bool is_special_name = false;  // one that a list of special tokens has
};

struct TokenizerDescription {
  std::vector<std::string> tokens;  // the vocabulary, by id
  Said<bool> lower_case, strip_accents, separate_ideographs;
  bool pair_types = true;                  // each file may say that all tokens have type 0
  std::map<std::string, SaidToken> added;  // by content
};

// {"content": ..., "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}, all
// but the content optional. `where` begins messages. Errors: kBadData; kMismatch.
Status read_token_properties(const Json& json, const std::string& where, SaidToken& token);

// tokenizer_config.json's added_tokens_decoder: such objects by id. Errors: as above.
Status read_added_tokens_decoder(const Json& json, const std::filesystem::path& file, TokenizerDescription& said);

// Errors: kBadData; kMismatch; kUnsupported, by name and value, for a model, normaliser, pre-tokeniser or
// post-processor other than BERT's.
Status read_tokenizer_json(const Json& json, const std::filesystem::path& file, TokenizerDescription& said);

}  // namespace hccs::internal

#endif  // HCCS_FORMATS_TOKENIZER_JSON_H_
