// SPDX-License-Identifier: Apache-2.0
#include "files/utf8.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hccs/file.h"

namespace hccs::internal {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kMaxShown = 100;      // bytes of a text in a message
constexpr size_t kShownAround = 16;    // bytes on either side of a wrong one
constexpr size_t kZerosWithin = 1024;  // bytes that tell UTF-16 from a file that is no text

// The bytes of a character that begins with `lead`; 0 if none does.
size_t size_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;  // within a character, or longer than it needs to be
  return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

// The character at `position`, which moves on; kNone for a byte that is not UTF-8, which is then one alone.
constexpr char32_t kNone = 0xFFFFFFFF;
char32_t next_character(std::string_view text, size_t& position) {
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};  // of characters of 1 to 4 bytes
  const auto lead = static_cast<unsigned char>(text[position]);
  const size_t size = size_of(lead);
  const size_t begin = position++;
  if (size == 1) return lead;
  if (size == 0 || size > text.size() - begin) return kNone;
  char32_t c = lead & (0x7FU >> size);
  for (const char byte : text.substr(begin + 1, size - 1)) {
    if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) return kNone;
    c = c << 6 | (static_cast<unsigned char>(byte) & 0x3F);
  }
  if (c < kLeast[size] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return kNone;
  position = begin + size;
  return c;
}

void append(std::string& text, char32_t c) {
  const auto byte = [&](char32_t value) { text += static_cast<char>(value); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      byte(0xE0 | c >> 12);
    } else {
      byte(0xF0 | c >> 18);
      byte(0x80 | (c >> 12 & 0x3F));
    }
    byte(0x80 | (c >> 6 & 0x3F));
  }
  byte(0x80 | (c & 0x3F));
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
    if (next_character(text, position) == kNone) return Wrong{begin, several_bytes};
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
    const char32_t c = b >= 0x80 && b < 0xA0 ? kWindows1252[b - 0x80] : b;
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

struct Range {
  char32_t first = 0, last = 0;
};

bool is_in(std::span<const Range> ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(), [&](Range r) { return r.first <= c && c <= r.last; });
}

// Characters that are not to be seen: Unicode's categories Cc, Cf, Zl, Zp and Zs but the space, noncharacters within
// planes, and the planes without characters.
constexpr std::array kInvisible = {
    Range{0x0000, 0x001F},   Range{0x007F, 0x00A0},   Range{0x00AD, 0x00AD},   Range{0x0600, 0x0605},
    Range{0x061C, 0x061C},   Range{0x06DD, 0x06DD},   Range{0x070F, 0x070F},   Range{0x0890, 0x0891},
    Range{0x08E2, 0x08E2},   Range{0x1680, 0x1680},   Range{0x180E, 0x180E},   Range{0x2000, 0x200F},
    Range{0x2028, 0x202F},   Range{0x205F, 0x206F},   Range{0x3000, 0x3000},   Range{0xFDD0, 0xFDEF},
    Range{0xFEFF, 0xFEFF},   Range{0xFFF0, 0xFFFB},   Range{0xFFFE, 0xFFFF},   Range{0x110BD, 0x110BD},
    Range{0x110CD, 0x110CD}, Range{0x13430, 0x1343F}, Range{0x1BCA0, 0x1BCA3}, Range{0x1D173, 0x1D17A},
    Range{0x1FFFE, 0x1FFFF}, Range{0x2FFFE, 0x2FFFF}, Range{0x3FFFE, 0xE00FF}, Range{0xE01F0, 0xEFFFF},
    Range{0xFFFFE, 0xFFFFF}, Range{0x10FFFE, 0x10FFFF}};

// Marks that with the letter before them may be one character, and look the same: accents of Latin, Greek and Cyrillic
// letters, of Arabic and of Japanese ones.
constexpr std::array kAccents = {Range{0x0300, 0x036F}, Range{0x0653, 0x0655}, Range{0x1AB0, 0x1AFF},
                                 Range{0x1DC0, 0x1DFF}, Range{0x20D0, 0x20FF}, Range{0x3099, 0x309A},
                                 Range{0xFE20, 0xFE2F}};

void append_escaped(std::string& text, char32_t c) {
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
  std::string quoted = "\"";
  size_t position = 0;
  while (position < text.size()) {
    const size_t begin = position;
    const char32_t c = next_character(text, position);
    if (position > kMaxShown) return quoted + "\"...";
    if (c == kNone) {
      quoted += fmt::format("\\x{:02X}", static_cast<unsigned char>(text[begin]));
    } else if (c == '"' || c == '\\' || is_in(kInvisible, c) || is_in(kAccents, c)) {
      append_escaped(quoted, c);
    } else {
      quoted += text.substr(begin, position - begin);
    }
  }
  return quoted + "\"";
}

std::string to_valid_utf8(std::string_view text) {
  std::string valid;
  for (size_t position = 0; position < text.size();) {
    const char32_t c = next_character(text, position);
    append(valid, c == kNone ? 0xFFFD : c);
  }
  return valid;
}

}  // namespace hccs::internal
