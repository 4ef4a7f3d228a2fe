// SPDX-License-Identifier: Apache-2.0
#include "formats/utf8.h"

#include <fmt/core.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "hccs/file.h"

namespace hccs::internal {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kMaxShown = 100;      // bytes of a text in a message
constexpr size_t kShownAround = 16;    // bytes on either side of a wrong one
constexpr size_t kZerosWithin = 1024;  // bytes that tell UTF-16 from a file that is no text

// The character at `position`, which moves on; negative for a byte that is not UTF-8, which is then one alone.
UChar32 next_character(std::string_view text, size_t& position) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data()) + position;
  // A character has at most four bytes.
  const auto size = static_cast<int32_t>(std::min<size_t>(text.size() - position, U8_MAX_LENGTH));
  int32_t taken = 0;
  UChar32 c = 0;
  U8_NEXT(bytes, taken, size, c);
  position += c < 0 ? 1 : static_cast<size_t>(taken);
  return c;
}

void append(std::string& text, UChar32 c) {
  std::array<uint8_t, U8_MAX_LENGTH> bytes;
  int32_t size = 0;
  U8_APPEND_UNSAFE(bytes, size, c);
  text.append(bytes.begin(), bytes.begin() + size);
}

struct Wrong {
  size_t offset = 0;
  bool after_utf8 = false;  // characters of several bytes came before
};

std::optional<Wrong> first_wrong(std::string_view text) {
  bool several_bytes = false;
  for (size_t position = 0; position < text.size();) {
    if (static_cast<unsigned char>(text[position]) < 0x80) {
      ++position;
      continue;
    }
    const size_t begin = position;
    if (next_character(text, position) < 0) return Wrong{begin, several_bytes};
    several_bytes = true;
  }
  return std::nullopt;
}

// "UTF-16" or "UTF-32" by the byte order mark or, without one, by where the first zero bytes are; empty for neither.
std::string_view wide_encoding(std::string_view text) {
  using namespace std::string_view_literals;
  if (text.starts_with("\xFF\xFE\0\0"sv) || text.starts_with("\0\0\xFE\xFF"sv)) return "UTF-32";
  if (text.starts_with("\xFF\xFE"sv) || text.starts_with("\xFE\xFF"sv)) return "UTF-16";
  text = text.substr(0, kZerosWithin);
  if (text.size() < 4 || text.size() % 2 != 0) return {};
  std::array<size_t, 4> zeros{};
  for (size_t i = 0; i < text.size(); ++i) zeros[i % 4] += text[i] == '\0' ? 1 : 0;
  const size_t even = zeros[0] + zeros[2];
  const size_t odd = zeros[1] + zeros[3];
  if (zeros[0] == 0 && odd >= text.size() / 2 && zeros[2] > 0) return "UTF-32LE";
  if (zeros[3] == 0 && even >= text.size() / 2 && zeros[1] > 0) return "UTF-32BE";
  if (even == 0 && odd >= text.size() / 4) return "UTF-16LE";  // half of the characters are Latin
  if (odd == 0 && even >= text.size() / 4) return "UTF-16BE";
  return {};
}

// What Windows-1252 has at 0x80..0x9F; 0 where it has nothing.
constexpr std::array<uint16_t, 32> kWindows1252 = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                                   0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
                                                   0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                                   0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

// The bytes as Windows-1252 has them, nothing if it does not have them all.
std::optional<std::string> as_windows_1252(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    const auto b = static_cast<unsigned char>(byte);
    const UChar32 c = b >= 0x80 && b < 0xA0 ? kWindows1252[b - 0x80] : b;
    if (c == 0) return std::nullopt;
    append(text, c);
  }
  return text;
}

// The end of a line, for which a carriage return counts only where there are no line feeds.
char line_end_of(std::string_view text) { return text.find('\n') == text.npos ? '\r' : '\n'; }

struct Place {
  int64_t line = 1;  // from 1
  size_t byte = 1;   // of the line, from 1
};

Place place_of(std::string_view text, size_t offset) {
  const char end = line_end_of(text);
  const std::string_view before = text.substr(0, offset);
  const size_t line_begin = before.rfind(end) == before.npos ? 0 : before.rfind(end) + 1;
  return {std::count(before.begin(), before.end(), end) + 1, offset - line_begin + 1};
}

// What is around a byte, within its line.
std::string_view around(std::string_view text, size_t offset) {
  size_t begin = offset;
  while (begin > 0 && offset - begin < kShownAround && text[begin - 1] != '\n' && text[begin - 1] != '\r') --begin;
  while (begin < offset && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) ++begin;  // a whole character
  size_t end = offset + 1;
  while (end < text.size() && end - offset <= kShownAround && text[end] != '\n' && text[end] != '\r') ++end;
  return text.substr(begin, end - begin);
}

bool is_mark(UChar32 c) { return (U_GET_GC_MASK(c) & (U_GC_MN_MASK | U_GC_ME_MASK)) != 0; }

// Whether no combining mark could as well be part of the letter before it. On doubt (no memory) it says no.
bool is_composed(std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return false;
  const bool composed = nfc->isNormalizedUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), error);
  return U_SUCCESS(error) && composed;
}

void append_escaped(std::string& text, UChar32 c) {
  if (c == '"' || c == '\\') {
    text += {'\\', static_cast<char>(c)};
  } else if (c == '\n') {
    text += "\\n";
  } else if (c == '\r') {
    text += "\\r";
  } else if (c == '\t') {
    text += "\\t";
  } else if (c > 0xFFFF) {
    text += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  } else {
    text += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  }
}

}  // namespace

Status check_utf8(std::string_view text, std::string_view where) {
  const size_t zero = text.find('\0');
  const bool marked = text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF");
  if (zero != text.npos || marked) {
    if (const std::string_view wide = wide_encoding(text); !wide.empty()) {
      return {StatusCode::kBadData,
              fmt::format("{}: {}, but text is UTF-8: iconv -f {} -t UTF-8 makes it so (it begins with the bytes "
                          "{:02X} {:02X})",
                          where, wide, wide, static_cast<unsigned char>(text[0]),
                          static_cast<unsigned char>(text.size() > 1 ? text[1] : '\0'))};
    }
  }
  if (zero != text.npos) {  // no text at all
    return {StatusCode::kBadData, fmt::format("{}: line {}: NUL byte at offset {}, but a text has none", where,
                                              place_of(text, zero).line, zero)};
  }
  const std::optional<Wrong> wrong = first_wrong(text);
  if (!wrong) return {};
  const size_t offset = wrong->offset;
  const std::string_view shown = around(text, offset);
  std::string cause = "the UTF-8 before it is cut, damaged or mixed with another encoding";
  if (!wrong->after_utf8) {
    const std::optional<std::string> other = as_windows_1252(shown);
    cause = other ? fmt::format("Windows-1252 (cp1252, Latin-1) would be {}: iconv -f WINDOWS-1252 -t UTF-8, if so",
                                in_quotes(*other))
                  : "is it in another encoding, or no text?";
  }
  const Place place = place_of(text, offset);
  return {
      StatusCode::kBadData,
      fmt::format("{}: line {}: byte 0x{:02X} at offset {} (byte {} of the line), in {}, is not UTF-8; {}", where,
                  place.line, static_cast<unsigned char>(text[offset]), offset, place.byte, in_quotes(shown), cause)};
}

std::string_view without_byte_order_mark(std::string_view text) noexcept {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

Expected<std::string> read_utf8_file(const std::filesystem::path& path) {
  HCCS_ASSIGN_OR_RETURN(std::string text, read_file(path));
  HCCS_RETURN_IF_ERROR(check_utf8(text, path.string()));
  text.erase(0, text.size() - without_byte_order_mark(text).size());
  return text;
}

std::string in_quotes(std::string_view text) {
  const bool escape_marks = !is_composed(text.substr(0, kMaxShown));
  std::string quoted = "\"";
  size_t position = 0;
  while (position < text.size()) {
    const size_t begin = position;
    const UChar32 c = next_character(text, position);
    if (position > kMaxShown) return quoted + "\"...";
    if (c < 0) {
      quoted += fmt::format("\\x{:02X}", static_cast<unsigned char>(text[begin]));
    } else if (c == '"' || c == '\\' || (c != ' ' && u_isgraph(c) == 0) || (escape_marks && is_mark(c))) {
      append_escaped(quoted, c);
    } else {
      quoted += text.substr(begin, position - begin);
    }
  }
  return quoted + "\"";
}

std::string visible_text(std::string_view text) {
  std::string kept;
  size_t size = 0;  // of `kept` up to its last character that is no blank
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const UChar32 c = next_character(text, position);
    const bool blank = c >= 0 && u_isUWhiteSpace(c) != 0;
    if (blank && kept.empty()) continue;
    if (c >= 0 && !blank && u_isgraph(c) == 0) continue;
    if (blank) {
      kept += ' ';
    } else {
      kept += text.substr(begin, position - begin);
      size = kept.size();
    }
  }
  kept.resize(size);
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return kept;
  std::string composed;
  icu::StringByteSink<std::string> sink(&composed);
  nfc->normalizeUTF8(0, icu::StringPiece(kept.data(), static_cast<int32_t>(kept.size())), sink, nullptr, error);
  return U_FAILURE(error) ? kept : composed;
}

std::string folded_case(std::string_view text) {
  std::string folded;
  for (size_t position = 0; position < text.size();) {
    const UChar32 c = next_character(text, position);
    append(folded, c < 0 ? 0xFFFD : u_foldCase(c, U_FOLD_CASE_DEFAULT));
  }
  return folded;
}

std::string to_valid_utf8(std::string_view text) {
  std::string valid;
  for (size_t position = 0; position < text.size();) {
    const UChar32 c = next_character(text, position);
    append(valid, c < 0 ? 0xFFFD : c);
  }
  return valid;
}

}  // namespace hccs::internal
