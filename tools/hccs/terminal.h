// SPDX-License-Identifier: Apache-2.0
//
// What a terminal can show: how wide it is, how wide a text is on it, and whether it has colours.
#ifndef HCCS_TOOLS_TERMINAL_H_
#define HCCS_TOOLS_TERMINAL_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace hccs::tool {

// Whether `descriptor` is a terminal that understands escape codes: TERM is set, and not to "dumb".
bool is_terminal(int descriptor);

// The terminal's columns now: of the terminal itself, else of the environment's COLUMNS, else 80. At least 1.
int terminal_columns(int descriptor);

enum class Colour { kRed, kYellow, kGreen, kCyan };

// The text in a colour, where `descriptor` is a terminal and the environment's NO_COLOR is unset or empty; otherwise
// the text.
std::string coloured(std::string_view text, Colour colour, int descriptor);

// The columns that a UTF-8 text takes: 2 for a wide character, 0 for one that combines with the last. A byte that is no
// UTF-8 counts as one column.
int display_width(std::string_view text);

// The text, or as much of its beginning as fits into so many columns with "..." behind it.
std::string fit(std::string_view text, int columns);

// The text with control characters, which could move the cursor, written as \xHH. Line feeds and tabs stay.
std::string printable(std::string_view text);
// The same in one line: with line breaks and tabs.
std::string one_line(std::string_view text);

// A line about work that is done in part: label, bar, counts, in so many columns. What matters least goes first: the
// bar becomes shorter and vanishes, then the details do, then the label is cut.
struct ProgressLine {
  std::string label;
  std::string counts;   // "12/40 texts"
  std::string details;  // ", 3 s, 7 s left"
  double done = 0;      // 0..1
};
std::string fit(const ProgressLine& line, int columns, int descriptor);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_TERMINAL_H_
