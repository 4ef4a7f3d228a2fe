// SPDX-License-Identifier: Apache-2.0
#include "hccs/tokenizer.h"

#include <fmt/core.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <utility>

#include "contract/exceptions.h"
#include "formats/utf8.h"

namespace hccs {
namespace {

// `tokenizers` classifies characters by the Unicode version of each Rust crate that it uses: general categories
// from 8.0, decompositions from 9.0, white space and lower case from 17.0. ICU is newer than the first two and, before
// ICU 78, older than the last. A category of a newer character is therefore ignored; few older characters have changed
// theirs.
constexpr int kCategoryVersion = 8;
constexpr int kDecompositionVersion = 9;

constexpr int64_t kMaxWordCharacters = 100;
constexpr std::string_view kContinuation = "##";
constexpr std::array<std::string_view, 5> kSpecialTokens = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};

int unicode_version(UChar32 c) {
  UVersionInfo age;
  u_charAge(c, age);
  return age[0];
}

bool has_category(UChar32 c, uint32_t mask) {
  return (U_GET_GC_MASK(c) & mask) != 0 && unicode_version(c) <= kCategoryVersion;
}

// Of the control characters that are white space, the original BERT keeps three; U+0085 is dropped like the others.
bool is_white_space(UChar32 c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || (c > 0x85 && u_isUWhiteSpace(c));
}

bool is_dropped(UChar32 c) {
  if (c < 0x7F) {
    return c < ' ';  // also what U8_NEXT gives for bytes that are not UTF-8
  }
  return c == 0xFFFD || has_category(c, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK);
}

bool is_accent(UChar32 c) {
  switch (c) {
    case 0x1734:
      return true;  // Hanunoo pamudpod: Mn until Unicode 13, now Mc
    case 0x1885:
    case 0x1886:  // Mongolian baludas: Lo until Unicode 8
    case 0xA9BD:  // Javanese keret: Mc until Unicode 10
    case 0x111C9:
      return false;  // Sharada sandhi mark: Po until Unicode 10
    default:
      return has_category(c, U_GC_MN_MASK);
  }
}

bool is_punctuation(UChar32 c) {
  if (c < 0x80) {  // also the symbols $ + < = > ^ ` | ~
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
  }
  // U+166D, Canadian syllabics chi sign: Po until Unicode 11; U+111C9: see is_accent.
  return c == 0x166D || c == 0x111C9 || has_category(c, U_GC_P_MASK);
}

// The blocks of the original BERT, with the gap at U+2B820..U+2B91F that `tokenizers` leaves.
bool is_ideograph(UChar32 c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

// The lower case of one character, without the rule for a final sigma, as in `tokenizers`. Decomposed text has no
// U+0130, the one character whose lower case is longer.
UChar32 lower_case(UChar32 c) {
  if (c < 0x80) {
    return c >= 'A' && c <= 'Z' ? c + 0x20 : c;
  }
  const UChar32 lower = u_tolower(c);
  if (lower != c || c < 0x1C89) {
    return lower;
  }
  // The upper-case letters of Unicode 16 and 17, for an ICU that has not heard of them.
  if (c >= 0x10D50 && c <= 0x10D65) {
    return c + 0x20;  // Garay
  }
  if (c >= 0x16EA0 && c <= 0x16EB8) {
    return c + 0x1B;  // Beria Erfe
  }
  switch (c) {
    case 0xA7CB:
      return 0x264;
    case 0xA7DC:
      return 0x19B;
    case 0x1C89:
    case 0xA7CC:
    case 0xA7CE:
    case 0xA7D2:
    case 0xA7D4:
    case 0xA7DA:
      return c + 1;
    default:
      return c;
  }
}

void append(std::string& text, UChar32 c) {
  std::array<uint8_t, U8_MAX_LENGTH> bytes;
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  text.append(bytes.begin(), bytes.begin() + size);
}

using TokenIds = std::unordered_map<std::string_view, int32_t>;

// The tokeniser's content, which encode() only reads.
struct Vocabulary {
  TokenizerOptions options;
  std::string file;        // vocab.txt; the keys below view it
  int64_t size = 0;        // its lines
  TokenIds beginnings;     // tokens that begin a word
  TokenIds continuations;  // tokens that go on, without "##"
  size_t longest = 0;      // of all the keys, in bytes
  int32_t unknown = 0;
  int32_t begin = 0;
  int32_t end = 0;
  std::vector<std::pair<std::string_view, int32_t>> special;  // those of kSpecialTokens that the vocabulary has
  const icu::Normalizer2* nfd = nullptr;                      // ICU's own

  Status read(const std::filesystem::path& path);
};

Status Vocabulary::read(const std::filesystem::path& path) {
  HCCS_ASSIGN_OR_RETURN(file, internal::read_utf8_file(path));
  if (file.empty()) {
    return {StatusCode::kBadData, fmt::format("{}: empty, but a vocabulary has one token a line", path.string())};
  }
  std::string_view rest = file;
  for (; !rest.empty(); ++size) {
    const size_t line_end = rest.find('\n');
    std::string_view token = rest.substr(0, line_end);
    token = token.substr(0, token.find_last_not_of(" \t\r") + 1);  // as `tokenizers` does
    rest.remove_prefix(line_end == std::string_view::npos ? rest.size() : line_end + 1);
    const bool continues = token.starts_with(kContinuation);
    const std::string_view key = continues ? token.substr(kContinuation.size()) : token;
    if (key.empty()) {
      continue;  // has an id, but no text can produce it
    }
    longest = std::max(longest, key.size());
    const auto [entry, is_new] = (continues ? continuations : beginnings).emplace(key, static_cast<int32_t>(size));
    if (!is_new) {
      return {StatusCode::kBadData,
              fmt::format("{}: line {}: token \"{:.100}\" is on line {} already, but tokens are unique", path.string(),
                          size + 1, token, entry->second + 1)};
    }
  }
  for (const std::string_view name : kSpecialTokens) {
    if (const auto entry = beginnings.find(name); entry != beginnings.end()) {
      special.emplace_back(*entry);
    } else if (name != "[MASK]") {  // the one that reading texts does not need
      return {StatusCode::kBadData,
              fmt::format("{}: no line \"{}\", but a BERT vocabulary has one", path.string(), name)};
    }
  }
  unknown = beginnings.at("[UNK]");
  begin = beginnings.at("[CLS]");
  end = beginnings.at("[SEP]");
  return {};
}

// NFD. ICU's own normalize() takes time quadratic in the number of marks on one letter, which a hostile text may
// choose.
class Decomposer {
 public:
  explicit Decomposer(const icu::Normalizer2& nfd) : nfd_(nfd) {}

  void decompose(std::u32string& text) {
    characters_.clear();
    for (const char32_t c : text) {
      add(static_cast<UChar32>(c));
    }
    const auto is_starter = [](const Character& c) { return c.combining_class == 0; };
    for (auto begin = characters_.begin(); begin != characters_.end();) {  // canonical order
      const auto end = std::find_if(begin, characters_.end(), is_starter);
      std::stable_sort(begin, end,
                       [](const Character& a, const Character& b) { return a.combining_class < b.combining_class; });
      begin = std::find_if_not(end, characters_.end(), is_starter);
    }
    text.clear();
    for (const Character& c : characters_) {
      text.push_back(static_cast<char32_t>(c.code));
    }
  }

 private:
  struct Character {
    UChar32 code;
    uint8_t combining_class;
  };

  void add(UChar32 c) {
    if (c < 0xC0 || unicode_version(c) > kDecompositionVersion) {
      characters_.push_back({c, 0});
    } else if (nfd_.getDecomposition(c, parts_)) {
      for (int32_t i = 0; i < parts_.length(); i = parts_.moveIndex32(i, 1)) {
        characters_.push_back({parts_.char32At(i), nfd_.getCombiningClass(parts_.char32At(i))});
      }
    } else {
      characters_.push_back({c, nfd_.getCombiningClass(c)});
    }
  }

  const icu::Normalizer2& nfd_;
  std::vector<Character> characters_;
  icu::UnicodeString parts_;
};

// One encode() call. Text flows through it a word at a time: white space, which normalisation neither crosses nor
// creates, ends a word.
class TextEncoder {
 public:
  TextEncoder(const Vocabulary& vocabulary, int64_t max_length)
      : vocabulary_(vocabulary),
        decomposer_(*vocabulary.nfd),
        limit_(static_cast<size_t>(std::max<int64_t>(max_length, 2) - 1)) {
    add_id(vocabulary.begin);
  }

  void add_text(std::string_view text) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    for (size_t i = 0; i < text.size();) {
      UChar32 c = 0;
      U8_NEXT(bytes, i, text.size(), c);
      if (is_white_space(c)) {
        end_word();
      } else if (is_ideograph(c)) {
        end_word();
        word_.push_back(static_cast<char32_t>(c));
        end_word();
      } else if (!is_dropped(c)) {
        word_.push_back(static_cast<char32_t>(c));
      }
    }
    end_word();
  }

  void add_id(int32_t id) {
    ++size_;
    if (encoding_.ids.size() < limit_) {
      encoding_.ids.push_back(id);
    }
  }

  Encoding finish() && {
    encoding_.ids.push_back(vocabulary_.end);
    encoding_.untruncated_size = size_ + 1;
    return std::move(encoding_);
  }

 private:
  // Strips accents, lower-cases, splits at punctuation.
  void end_word() {
    if (word_.empty()) {
      return;
    }
    const bool uncased = vocabulary_.options.lower_case;
    if (uncased && std::any_of(word_.begin(), word_.end(), [](char32_t c) { return c >= 0x80; })) {
      decomposer_.decompose(word_);
    }
    for (const char32_t character : word_) {
      auto c = static_cast<UChar32>(character);
      if (uncased) {
        if (c >= 0x80 && is_accent(c)) {
          continue;
        }
        c = lower_case(c);
      }
      const bool alone = is_punctuation(c);
      if (alone) {
        end_piece();
      }
      append(piece_, c);
      ++piece_characters_;
      if (alone) {
        end_piece();
      }
    }
    end_piece();
    word_.clear();
  }

  // WordPiece: the longest token that the rest of the piece begins with, again and again.
  void end_piece() {
    if (piece_.empty()) {
      return;
    }
    ids_.clear();
    const std::string_view piece = piece_;
    const size_t readable = piece_characters_ <= kMaxWordCharacters ? piece.size() : 0;
    size_t begin = 0;
    while (begin < readable) {
      const TokenIds& tokens = begin == 0 ? vocabulary_.beginnings : vocabulary_.continuations;
      size_t end = std::min(piece.size(), begin + vocabulary_.longest);
      auto token = tokens.end();
      for (; end > begin && token == tokens.end(); --end) {
        if (end == piece.size() || !U8_IS_TRAIL(piece[end])) {
          token = tokens.find(piece.substr(begin, end - begin));
        }
      }
      if (token == tokens.end()) {
        break;
      }
      ids_.push_back(token->second);
      begin += token->first.size();
    }
    if (begin == piece.size()) {
      std::for_each(ids_.begin(), ids_.end(), [this](int32_t id) { add_id(id); });
    } else {
      add_id(vocabulary_.unknown);
    }
    piece_.clear();
    piece_characters_ = 0;
  }

  const Vocabulary& vocabulary_;
  Decomposer decomposer_;
  const size_t limit_;  // ids before the final [SEP]
  Encoding encoding_;
  int64_t size_ = 0;
  std::u32string word_;  // between white space
  std::string piece_;    // between punctuation, normalised; UTF-8
  int64_t piece_characters_ = 0;
  std::vector<int32_t> ids_;  // the piece's tokens
};

}  // namespace

struct WordPieceTokenizer::Data : Vocabulary {};

Expected<WordPieceTokenizer> WordPieceTokenizer::load(const std::filesystem::path& vocabulary,
                                                      TokenizerOptions options) try {
  const auto data = std::make_shared<Data>();
  data->options = options;
  HCCS_RETURN_IF_ERROR(data->read(vocabulary));
  UErrorCode error = U_ZERO_ERROR;
  data->nfd = icu::Normalizer2::getNFDInstance(error);
  if (U_FAILURE(error)) {
    return Status(StatusCode::kUnsupported, fmt::format("ICU cannot decompose text: {}", u_errorName(error)));
  }
  return WordPieceTokenizer(data);
} catch (...) {
  return internal::status_of_exception(vocabulary.native());
}

Encoding WordPieceTokenizer::encode(std::string_view text, int64_t max_length) const {
  TextEncoder encoder(*data_, max_length);
  size_t done = 0;
  for (size_t i = text.find('['); i != std::string_view::npos; i = text.find('[', i)) {
    const auto token = std::find_if(data_->special.begin(), data_->special.end(),
                                    [&](const auto& special) { return text.substr(i).starts_with(special.first); });
    if (token == data_->special.end()) {
      ++i;
      continue;
    }
    encoder.add_text(text.substr(done, i - done));
    encoder.add_id(token->second);
    i += token->first.size();
    done = i;
  }
  encoder.add_text(text.substr(done));
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
  pair.second_begin = std::ssize(pair.ids);
  pair.ids.insert(pair.ids.end(), b.ids.begin() + 1, b.ids.begin() + 1 + keep_second);
  pair.ids.push_back(b.ids.back());
  pair.untruncated_size = first_size + second_size + 3;
  return pair;
}

int64_t WordPieceTokenizer::vocabulary_size() const noexcept { return data_->size; }

}  // namespace hccs
