// SPDX-License-Identifier: Apache-2.0
#include "report/html.h"

#include <fmt/core.h>

#include "files/utf8.h"

namespace hccs::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// What stands for an ASCII character; empty: itself.
std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    case '\t':
    case '\n':
      return " ";
    default:
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? kReplacement : std::string_view();
  }
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : internal::to_valid_utf8(text)) {
    const std::string_view stands = entity(c);
    if (stands.empty()) {
      out += c;
    } else {
      out += stands;
    }
  }
  return out;
}

std::string coordinate(double value) {
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string kl_text(double kl) {
  if (kl >= 0.01) return fmt::format("{:.3f}", kl);
  return kl >= 0.001 ? fmt::format("{:.4f}", kl) : fmt::format("{:.5f}", kl);
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace hccs::report
