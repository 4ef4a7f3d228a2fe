// SPDX-License-Identifier: Apache-2.0
#include "formats/bert_normaliser.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <vector>

namespace hccs::internal {
namespace {

// `tokenizers` classifies characters by the Unicode version of each Rust crate that it uses: general categories
// from 8.0, decompositions from 9.0, white space and lower case from 17.0. ICU is newer than the first two and, before
// ICU 78, older than the last. A category of a newer character is therefore ignored; few older characters have changed
// theirs.
constexpr int kCategoryVersion = 8;
constexpr int kDecompositionVersion = 9;

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

// The blocks of the original BERT, with the gap at U+2B820..U+2B91F that `tokenizers` leaves.
bool is_ideograph(UChar32 c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

// The lower case of one character, without the rule for a final sigma, as in `tokenizers`. U+0130, the one character
// whose lower case is longer, is append_lower_case()'s.
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

void append_lower_case(std::string& text, UChar32 c) {
  if (c == 0x130) {
    append_utf8(text, 'i');
    append_utf8(text, 0x307);
  } else {
    append_utf8(text, lower_case(c));
  }
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

}  // namespace

bool is_bert_punctuation(UChar32 c) {
  if (c < 0x80) {  // also the symbols $ + < = > ^ ` | ~
    return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
  }
  // U+166D, Canadian syllabics chi sign: Po until Unicode 11; U+111C9: see is_accent.
  return c == 0x166D || c == 0x111C9 || has_category(c, U_GC_P_MASK);
}

void append_utf8(std::string& text, UChar32 c) {
  std::array<uint8_t, U8_MAX_LENGTH> bytes;
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  text.append(bytes.begin(), bytes.begin() + size);
}
BertNormaliser::BertNormaliser(const BertNormaliserOptions& options, const icu::Normalizer2& nfd)
    : options_(options), nfd_(&nfd) {}

void BertNormaliser::append(std::string_view text, std::string& out) const {
  Decomposer decomposer(*nfd_);
  std::u32string word;  // between white space, which normalisation neither crosses nor creates
  const auto end_word = [&] {
    if (options_.strip_accents && std::any_of(word.begin(), word.end(), [](char32_t c) { return c >= 0x80; })) {
      decomposer.decompose(word);
      std::erase_if(word, [](char32_t c) { return c >= 0x80 && is_accent(static_cast<UChar32>(c)); });
    }
    for (const char32_t c : word) {
      options_.lower_case ? append_lower_case(out, static_cast<UChar32>(c)) : append_utf8(out, static_cast<UChar32>(c));
    }
    word.clear();
  };
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    UChar32 c = 0;
    U8_NEXT(bytes, i, text.size(), c);
    if (is_white_space(c)) {
      end_word();
      out.push_back(' ');
    } else if (options_.separate_ideographs && is_ideograph(c)) {
      end_word();
      out.push_back(' ');
      word.push_back(static_cast<char32_t>(c));
      end_word();
      out.push_back(' ');
    } else if (!is_dropped(c)) {
      word.push_back(static_cast<char32_t>(c));
    }
  }
  end_word();
}

std::string lower_cased(std::string_view text) {
  icu::UnicodeString wide =
      icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  wide.toLower(icu::Locale::getRoot());
  std::string lower;
  wide.toUTF8String(lower);
  return lower;
}

}  // namespace hccs::internal
