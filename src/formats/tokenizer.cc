// SPDX-License-Identifier: Apache-2.0
#include "hccs/tokenizer.h"

#include <fmt/core.h>
#include <unicode/normalizer2.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>

#include "contract/exceptions.h"
#include "formats/added_tokens.h"
#include "formats/bert_normaliser.h"
#include "formats/vocabulary.h"
#include "hccs/digest.h"
#include "hccs/file.h"

namespace hccs {
namespace {

using internal::AddedTokenFinder;
using internal::BertNormaliser;

constexpr int64_t kMaxWordCharacters = 100;
constexpr std::string_view kContinuation = "##";
constexpr std::array<std::string_view, 5> kSpecialTokens = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};

using TokenIds = std::unordered_map<std::string_view, int32_t>;

// The tokeniser's content, which encode() only reads.
struct Content {
  TokenizerOptions options;
  std::vector<std::string> tokens;  // the keys below view them
  int64_t size = 0;                 // ids in use
  TokenIds beginnings;              // tokens that begin a word
  TokenIds continuations;           // tokens that go on, without "##"
  size_t longest = 0;               // of all the keys, in bytes
  int32_t unknown = 0;
  int32_t begin = 0;
  int32_t end = 0;
  AddedTokenFinder in_text;        // tokens that are looked for in the text as it is
  AddedTokenFinder in_normalised;  // those that are looked for once it is normalised
  std::optional<BertNormaliser> normaliser;

  Status make(const std::string& where);
  Status add_tokens(const std::string& where);
};

// Splits the vocabulary into what begins a word and what goes on.
Status Content::make(const std::string& where) {
  for (size_t id = 0; id < tokens.size(); ++id) {
    std::string_view key = tokens[id];
    const bool continues = key.starts_with(kContinuation);
    if (continues) key.remove_prefix(kContinuation.size());
    if (key.empty()) continue;  // has an id, but no text can produce it
    longest = std::max(longest, key.size());
    (continues ? continuations : beginnings).emplace(key, static_cast<int32_t>(id));
  }
  for (const std::string_view name : kSpecialTokens) {
    if (!beginnings.contains(name) && name != "[MASK]") {  // the one that reading texts does not need
      return {StatusCode::kBadData, fmt::format("{}: no token \"{}\", but a BERT vocabulary has one", where, name)};
    }
  }
  unknown = beginnings.at("[UNK]");
  begin = beginnings.at("[CLS]");
  end = beginnings.at("[SEP]");
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(error);
  if (U_FAILURE(error)) {
    return {StatusCode::kUnsupported, fmt::format("ICU cannot decompose text: {}", u_errorName(error))};
  }
  normaliser.emplace(
      internal::BertNormaliserOptions{.lower_case = options.lower_case,
                                      .strip_accents = options.strip_accents.value_or(options.lower_case),
                                      .separate_ideographs = options.separate_ideographs},
      *nfd);
  return add_tokens(where);
}

Status Content::add_tokens(const std::string& where) {
  size = std::ssize(tokens);
  for (const std::string_view name : kSpecialTokens) {
    const auto same = [&](const AddedToken& token) { return token.content == name; };
    const auto entry = beginnings.find(name);
    if (entry == beginnings.end() || std::any_of(options.added_tokens.begin(), options.added_tokens.end(), same))
      continue;
    in_text.add({.content = std::string(name), .id = entry->second});
  }
  for (const AddedToken& token : options.added_tokens) {
    AddedToken sought = token;
    if (token.normalized) {
      sought.content.clear();
      normaliser->append(token.content, sought.content);
    }
    if (sought.content.empty()) {
      return {StatusCode::kUnsupported,
              fmt::format("{}: added token \"{:.100}\" is empty once it is normalised", where, token.content)};
    }
    size = std::max<int64_t>(size, int64_t{token.id} + 1);
    (token.normalized ? in_normalised : in_text).add(std::move(sought));
  }
  return {};
}

// One encode() call.
class TextEncoder {
 public:
  TextEncoder(const Content& content, int64_t max_length)
      : content_(content), limit_(static_cast<size_t>(std::max<int64_t>(max_length, 2) - 1)) {
    add_id(content.begin);
  }

  void add_text(std::string_view text) {
    const auto on_id = [this](int32_t id) { add_id(id); };
    content_.in_text.split(
        text,
        [&](std::string_view piece) {
          normalised_.clear();
          content_.normaliser->append(piece, normalised_);
          content_.in_normalised.split(
              normalised_, [this](std::string_view rest) { add_words(rest); }, on_id);
        },
        on_id);
  }

  Encoding finish() && {
    encoding_.ids.push_back(content_.end);
    encoding_.untruncated_size = size_ + 1;
    return std::move(encoding_);
  }

 private:
  void add_id(int32_t id) {
    ++size_;
    if (encoding_.ids.size() < limit_) {
      encoding_.ids.push_back(id);
    }
  }

  // Splits normalised text at blanks and punctuation.
  void add_words(std::string_view text) {
    size_t begin = 0;
    int64_t characters = 0;
    for (size_t i = 0; i < text.size();) {
      const size_t at = i;
      UChar32 c = 0;
      U8_NEXT_UNSAFE(text.data(), i, c);
      const bool blank = c == ' ';
      if (!blank && !internal::is_bert_punctuation(c)) {
        ++characters;
        continue;
      }
      add_word(text.substr(begin, at - begin), characters);
      if (!blank) add_word(text.substr(at, i - at), 1);
      begin = i;
      characters = 0;
    }
    add_word(text.substr(begin), characters);
  }

  // WordPiece: the longest token that the rest of the word begins with, again and again.
  void add_word(std::string_view word, int64_t characters) {
    if (word.empty()) return;
    ids_.clear();
    const size_t readable = characters <= kMaxWordCharacters ? word.size() : 0;
    size_t begin = 0;
    while (begin < readable) {
      const TokenIds& tokens = begin == 0 ? content_.beginnings : content_.continuations;
      size_t end = std::min(word.size(), begin + content_.longest);
      auto token = tokens.end();
      for (; end > begin && token == tokens.end(); --end) {
        if (end == word.size() || !U8_IS_TRAIL(word[end])) {
          token = tokens.find(word.substr(begin, end - begin));
        }
      }
      if (token == tokens.end()) {
        break;
      }
      ids_.push_back(token->second);
      begin += token->first.size();
    }
    if (begin == word.size()) {
      std::for_each(ids_.begin(), ids_.end(), [this](int32_t id) { add_id(id); });
    } else {
      add_id(content_.unknown);
    }
  }

  const Content& content_;
  const size_t limit_;  // ids before the final [SEP]
  Encoding encoding_;
  int64_t size_ = 0;
  std::string normalised_;
  std::vector<int32_t> ids_;  // the word's tokens
};

}  // namespace

struct WordPieceTokenizer::Data : Content {};

Expected<WordPieceTokenizer> WordPieceTokenizer::load(const std::filesystem::path& vocabulary,
                                                      TokenizerOptions options) try {
  HCCS_ASSIGN_OR_RETURN(std::vector<std::string> tokens, internal::read_vocabulary(vocabulary));
  return make(std::move(tokens), vocabulary.string(), std::move(options));
} catch (...) {
  return internal::status_of_exception(vocabulary.native());
}

Expected<WordPieceTokenizer> WordPieceTokenizer::make(std::vector<std::string> tokens, const std::string& where,
                                                      TokenizerOptions options) try {
  const auto data = std::make_shared<Data>();
  data->options = std::move(options);
  data->tokens = std::move(tokens);
  HCCS_RETURN_IF_ERROR(data->make(where));
  return WordPieceTokenizer(data);
} catch (...) {
  return internal::status_of_exception(where);
}

Encoding WordPieceTokenizer::encode(std::string_view text, int64_t max_length) const {
  TextEncoder encoder(*data_, max_length);
  encoder.add_text(text);
  return std::move(encoder).finish();
}

Encoding WordPieceTokenizer::encode_pair(std::string_view first, std::string_view second, int64_t max_length) const {
  // Each alone, without [CLS]: what a text can contribute at most.
  Encoding a = encode(first, max_length);
  Encoding b = encode(second, max_length);
  const int64_t first_size = a.untruncated_size - 2;
  const int64_t second_size = b.untruncated_size - 2;
  const int64_t room = max_length - 3;
  int64_t keep_first = first_size;
  int64_t keep_second = second_size;
  if (keep_first + keep_second > room) {
    const int64_t half = room / 2;
    if (std::min(first_size, second_size) <= half) {
      (first_size > second_size ? keep_first : keep_second) = room - std::min(first_size, second_size);
    } else {
      keep_first = keep_second = half;
      (first_size > second_size ? keep_first : keep_second) += room % 2;
    }
  }
  Encoding pair;
  pair.ids.reserve(static_cast<size_t>(keep_first + keep_second + 3));
  pair.ids.assign(a.ids.begin(), a.ids.begin() + 1 + keep_first);
  pair.ids.push_back(a.ids.back());
  if (data_->options.pair_types) pair.second_begin = std::ssize(pair.ids);
  pair.ids.insert(pair.ids.end(), b.ids.begin() + 1, b.ids.begin() + 1 + keep_second);
  pair.ids.push_back(b.ids.back());
  pair.untruncated_size = first_size + second_size + 3;
  return pair;
}

int64_t WordPieceTokenizer::vocabulary_size() const noexcept { return data_->size; }

const std::vector<std::string>& WordPieceTokenizer::tokens() const noexcept { return data_->tokens; }

const TokenizerOptions& WordPieceTokenizer::options() const noexcept { return data_->options; }

std::string WordPieceTokenizer::digest() const {
  const TokenizerOptions& options = data_->options;
  Digest digest;
  for (const bool option : {options.lower_case, options.strip_accents.value_or(options.lower_case),
                            options.separate_ideographs, options.pair_types}) {
    digest.add(option ? "1" : "0");
  }
  for (const std::string& token : data_->tokens) digest.add(token);
  for (const AddedToken& token : options.added_tokens) {
    digest.add(token.content);
    digest.add(fmt::format("{} {}{}{}{}", token.id, token.single_word, token.lstrip, token.rstrip, token.normalized));
  }
  return digest.text();
}

}  // namespace hccs
