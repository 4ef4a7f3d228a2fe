// SPDX-License-Identifier: Apache-2.0
#include "files/utf8.h"

#include <gtest/gtest.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <string>
#include <string_view>
#include <vector>

#include "files/json.h"
#include "hccs/param_file.h"
#include "hccs/tokenizer.h"
#include "temporary_folder.h"

namespace hccs::internal {
namespace {

using std::string_literals::operator""s;
using test::fails;

::testing::AssertionResult refuses(std::string_view text, std::vector<std::string> parts) {
  parts.emplace_back("where: ");
  return fails(check_utf8(text, "where"), StatusCode::kBadData, parts);
}

// U+0041 and so on as 2 or 4 bytes each.
std::string wide(std::u32string_view text, int bytes, bool big_endian) {
  std::string result;
  for (const char32_t c : text) {
    for (int i = 0; i < bytes; ++i) {
      result += static_cast<char>(c >> (8 * (big_endian ? bytes - 1 - i : i)) & 0xFF);
    }
  }
  return result;
}

TEST(Utf8, EveryCharacterPasses) {
  std::string all;
  for (char32_t c = 1; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    if (c < 0x80) {
      all += static_cast<char>(c);
    } else if (c < 0x800) {
      all += {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    } else if (c < 0x10000) {
      all += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
              static_cast<char>(0x80 | (c & 63))};
    } else {
      all += {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
              static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    }
  }
  EXPECT_TRUE(check_utf8(all, "where").ok()) << check_utf8(all, "where").message();
  EXPECT_EQ(to_valid_utf8(all), all);
  EXPECT_TRUE(check_utf8("", "where").ok());
}

TEST(Utf8, NothingElsePasses) {
  for (const char* wrong :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x80\x80", "\xE2\x82", "\xE2(", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF"}) {
    EXPECT_TRUE(refuses(std::string("ab\nc") + wrong, {"line 2: byte 0x", "at offset 4 (byte 2 of the line)"}))
        << wrong;
    EXPECT_TRUE(refuses(std::string("ab\nc") + wrong + "\nmore", {"at offset 4"})) << wrong;
  }
}

TEST(Utf8, TheLikelyCauseIsNamed) {
  EXPECT_TRUE(refuses("\x80 5", {"byte 0x80 at offset 0 (byte 1 of the line)", "Windows-1252", "\"\xE2\x82\xAC 5\""}));
  EXPECT_TRUE(refuses("the caf\xC3\n", {"byte 0xC3 at offset 7"}));
  EXPECT_TRUE(refuses("a \x81 b", {"another encoding"}));  // which Windows-1252 does not have
  // Other characters are UTF-8: the file is not Windows-1252 as a whole.
  EXPECT_TRUE(refuses("caf\xC3\xA9 and caf\xE9", {"offset 13", "cut, damaged or mixed"}));
  // Lines end with carriage returns where nothing else ends them.
  EXPECT_TRUE(refuses("one\rtwo\rthr\xE9", {"line 3", "byte 4 of the line"}));
}

TEST(Utf8, WideEncodingsAreNamed) {
  for (const std::u32string_view text : {U"the cat\nsat\n", U"1\tgood caf\u00e9 film\n", U"{\"a\": 1}"}) {
    for (const bool big_endian : {false, true}) {
      const std::string mark16 = big_endian ? "\xFE\xFF" : "\xFF\xFE";
      EXPECT_TRUE(refuses(mark16 + wide(text, 2, big_endian), {"UTF-16, but", "iconv -f UTF-16 -t UTF-8"}));
      const std::string mark32 = big_endian ? "\0\0\xFE\xFF"s : "\xFF\xFE\0\0"s;
      EXPECT_TRUE(refuses(mark32 + wide(text, 4, big_endian), {"UTF-32, but", "iconv -f UTF-32 -t UTF-8"}));
      EXPECT_TRUE(refuses(wide(text, 2, big_endian), {big_endian ? "iconv -f UTF-16BE" : "iconv -f UTF-16LE"}));
      EXPECT_TRUE(refuses(wide(text, 4, big_endian), {big_endian ? "iconv -f UTF-32BE" : "iconv -f UTF-32LE"}));
    }
  }
  // Without a Latin character in it, the mark still says what it is.
  EXPECT_TRUE(refuses("\xFF\xFE" + wide(U"\u4eca\u65e5", 2, false), {"UTF-16, but"}));
}

TEST(Utf8, ZerosOfBinaryFilesAreNoEncoding) {
  EXPECT_TRUE(refuses("good\0film"s, {"line 1: NUL byte at offset 4"}));
  EXPECT_TRUE(refuses("a\nbc\0"s, {"line 2: NUL byte at offset 4"}));
  EXPECT_TRUE(refuses(std::string(64, '\0'), {"NUL byte at offset 0"}));
  EXPECT_TRUE(refuses("\x01\0\0\0\0\0\0\0\x40\x02"s, {"NUL byte at offset 1"}));
}

TEST(Utf8, QuotedTextsThatDifferLookDifferent) {
  EXPECT_EQ(in_quotes("1"), R"("1")");
  EXPECT_EQ(in_quotes("\xEF\xBB\xBF"
                      "1"),
            R"("\ufeff1")");
  EXPECT_EQ(in_quotes("1\xC2\xA0"), R"("1\u00a0")");
  EXPECT_EQ(in_quotes("a\xE2\x80\x8B"
                      "b"),
            R"("a\u200bb")");  // zero width space
  EXPECT_EQ(in_quotes("\xE2\x80\xAE"
                      "a"),
            R"("\u202ea")");  // right-to-left override
  EXPECT_EQ(in_quotes("1 \t\r\n"), R"("1 \t\r\n")");
  EXPECT_EQ(in_quotes("a\"\\\x01\x7F"), R"("a\"\\\u0001\u007f")");
  EXPECT_EQ(in_quotes("tr\xE8s"), R"("tr\xE8s")");
  EXPECT_EQ(in_quotes("tr\xC3\xA8s"), "\"tr\xC3\xA8s\"");                            // one character
  EXPECT_EQ(in_quotes("tre\xCC\x80s"), R"("tre\u0300s")");                           // e and a combining grave accent
  EXPECT_EQ(in_quotes("\xE0\xA4\xB9\xE0\xA5\x81"), "\"\xE0\xA4\xB9\xE0\xA5\x81\"");  // a mark that its script needs
  EXPECT_EQ(in_quotes("\xF3\xA0\x81\xA1"), R"("\U000e0061")");                       // a tag
  EXPECT_EQ(in_quotes("\xF0\x9F\x98\x80"), "\"\xF0\x9F\x98\x80\"");
  EXPECT_EQ(in_quotes(std::string(100, 'a')), "\"" + std::string(100, 'a') + "\"");
  EXPECT_EQ(in_quotes(std::string(99, 'a') + "\xC3\xA8"), "\"" + std::string(99, 'a') + "\"...");
}

std::string utf8(const icu::UnicodeString& text) {
  std::string result;
  text.toUTF8String(result);
  return result;
}

// The tables of in_quotes() against ICU's, which know every character.
TEST(Utf8, WhatIsNotToBeSeenIsEscaped) {
  for (UChar32 c = 0; c <= 0x10FFFF; ++c) {
    const int8_t category = u_charType(c);
    if (category == U_SURROGATE || c == '"' || c == '\\') continue;
    // Characters without a meaning are shown where Unicode may give them one.
    if (category == U_UNASSIGNED && !U_IS_UNICODE_NONCHAR(c)) continue;
    if (category == U_NON_SPACING_MARK || category == U_ENCLOSING_MARK) continue;
    const std::string text = utf8(icu::UnicodeString(c));
    EXPECT_EQ(in_quotes(text) == "\"" + text + "\"", c == ' ' || u_isgraph(c) != 0) << std::hex << c;
  }
}

TEST(Utf8, LettersThatMayBeOneOrTwoCharactersLookDifferent) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(error);
  ASSERT_TRUE(U_SUCCESS(error));
  int letters = 0;
  for (UChar32 c = 0; c <= 0x10FFFF; ++c) {
    const UScriptCode script = uscript_getScript(c, &error);
    const icu::UnicodeString composed(c);
    const icu::UnicodeString parts = nfd->normalize(composed, error);
    const bool is_one = script == USCRIPT_LATIN || script == USCRIPT_GREEK || script == USCRIPT_CYRILLIC ||
                        script == USCRIPT_ARABIC || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA;
    if (!is_one || parts == composed || nfc->normalize(parts, error) != composed || parts.countChar32() < 2) continue;
    ++letters;
    EXPECT_NE(in_quotes(utf8(parts)).find("\\u"), std::string::npos) << std::hex << c;
    EXPECT_EQ(in_quotes(utf8(composed)), "\"" + utf8(composed) + "\"") << std::hex << c;
  }
  EXPECT_GT(letters, 800);
}

TEST(Utf8, WhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(to_valid_utf8("a\xE8"
                          "b\xC3\xA8\xF0\x9F"),
            "a\xEF\xBF\xBD"
            "b\xC3\xA8\xEF\xBF\xBD\xEF\xBF\xBD");
}

class Utf8Files : public test::WithFolder {};

TEST_F(Utf8Files, AVocabularyIsUtf8) {
  const std::string tokens = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  const auto marked = WordPieceTokenizer::load(put("vocab.txt", "\xEF\xBB\xBF" + tokens + "caf\xC3\xA9\n"));
  ASSERT_TRUE(marked.ok()) << marked.status().message();
  EXPECT_EQ(marked->vocabulary_size(), 6);
  EXPECT_TRUE(fails(WordPieceTokenizer::load(put("vocab.txt", tokens + "caf\xE9\n")), StatusCode::kBadData,
                    {"vocab.txt: line 6: byte 0xE9", "Windows-1252"}));
  EXPECT_TRUE(fails(WordPieceTokenizer::load(put("vocab.txt", "\xFF\xFE" + wide(U"[PAD]\n", 2, false))),
                    StatusCode::kBadData, {"vocab.txt: UTF-16"}));
}

TEST_F(Utf8Files, JsonIsUtf8) {
  EXPECT_EQ(parse_json("\xEF\xBB\xBF{\"a\": 1}", "file")->at("a"), 1);
  EXPECT_TRUE(fails(parse_json("{\"a\":\n\"\xE9\"}", "file"), StatusCode::kBadData,
                    {"file: line 2: byte 0xE9 at offset 7", "Windows-1252"}));
  EXPECT_TRUE(fails(parse_json("\xFF\xFE" + wide(U"{}", 2, false), "file"), StatusCode::kBadData, {"file: UTF-16"}));
  EXPECT_TRUE(fails(read_param_file(put("params.json", wide(U"{\"format\": 1}", 2, false))), StatusCode::kBadData,
                    {"params.json: UTF-16LE"}));
}

}  // namespace
}  // namespace hccs::internal
