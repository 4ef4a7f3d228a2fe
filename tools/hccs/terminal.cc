// SPDX-License-Identifier: Apache-2.0
#include "terminal.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace hccs::tool {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int width_of(UChar32 c) {
  switch (u_charType(c)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_FORMAT_CHAR:
    case U_CONTROL_CHAR:
      return 0;
    default:
      break;
  }
  const int width = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

// The next character and its width; moves `at` past it.
int next_width(std::string_view text, int32_t& at) {
  UChar32 c = 0;
  U8_NEXT(reinterpret_cast<const uint8_t*>(text.data()), at, static_cast<int32_t>(text.size()), c);
  return c < 0 ? 1 : width_of(c);
}

// The bytes of the longest beginning that takes at most so many columns.
size_t bytes_that_fit(std::string_view text, int columns) {
  int used = 0;
  int32_t at = 0;
  while (at < static_cast<int32_t>(text.size())) {
    int32_t after = at;
    used += next_width(text, after);
    if (used > columns) break;
    at = after;
  }
  return static_cast<size_t>(at);
}

}  // namespace

bool is_terminal(int descriptor) {
  const std::string_view term = environment("TERM");
  return isatty(descriptor) == 1 && !term.empty() && term != "dumb";
}

int terminal_columns(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const int columns = std::atoi(std::string(environment("COLUMNS")).c_str());
  return columns > 0 ? columns : 80;
}

std::string coloured(std::string_view text, Colour colour, int descriptor) {
  if (!environment("NO_COLOR").empty() || !is_terminal(descriptor)) return std::string(text);
  const auto code = [&] {
    switch (colour) {
      case Colour::kRed:
        return "1;31";
      case Colour::kYellow:
        return "33";
      case Colour::kGreen:
        return "32";
      case Colour::kCyan:
        return "36";
    }
    return "0";
  };
  return fmt::format("\x1b[{}m{}\x1b[0m", code(), text);
}

int display_width(std::string_view text) {
  int width = 0;
  for (int32_t at = 0; at < static_cast<int32_t>(text.size());) width += next_width(text, at);
  return width;
}

std::string fit(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  constexpr std::string_view kCut = "...";
  const int kept = columns - static_cast<int>(kCut.size());
  if (kept <= 0) return std::string(text.substr(0, bytes_that_fit(text, std::max(columns, 0))));
  return std::string(text.substr(0, bytes_that_fit(text, kept))) + std::string(kCut);
}

namespace {

// Control characters as \x1b, but for those in `kept`.
std::string without_controls(std::string_view text, std::string_view kept) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 || byte == 0x7F) && kept.find(c) == std::string_view::npos) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) { return without_controls(text, "\n\t"); }

std::string one_line(std::string_view text) { return without_controls(text, ""); }

std::string fit(const ProgressLine& line, int columns, int descriptor) {
  constexpr int kLabelColumns = 26;
  constexpr int kLongestBar = 30;
  constexpr int kShortestBar = 6;
  const std::string name = printable(line.label);
  std::string label = name;
  label.append(static_cast<size_t>(std::max(0, kLabelColumns - display_width(label))), ' ');
  const int text = display_width(label) + 1 + display_width(line.counts) + display_width(line.details);
  const int bar = std::min(kLongestBar, columns - text - 3);
  if (bar >= kShortestBar) {
    const int filled = std::clamp(static_cast<int>(bar * line.done), 0, bar);
    return fmt::format("{} [{}{}] {}{}", label, coloured(std::string(filled, '#'), Colour::kGreen, descriptor),
                       std::string(bar - filled, '.'), line.counts, line.details);
  }
  if (text <= columns) return fmt::format("{} {}{}", label, line.counts, line.details);
  const std::string details =
      display_width(name) + 1 + display_width(line.counts) + display_width(line.details) <= columns ? line.details : "";
  const int rest = columns - 1 - display_width(line.counts) - display_width(details);
  if (rest < 4) return fit(line.counts, columns);
  return fmt::format("{} {}{}", fit(name, rest), line.counts, details);
}

}  // namespace hccs::tool
