// SPDX-License-Identifier: Apache-2.0
//
// The parts of the program that are functions: what fits a terminal, what somebody may have meant, --json.
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "json_option.h"
#include "suggest.h"
#include "terminal.h"

namespace hccs::tool {
namespace {

TEST(Terminal, WidthIsThatOfTheColumns) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("\u00e9"), 1);
  EXPECT_EQ(display_width("e\u0301"), 1);       // a combining accent
  EXPECT_EQ(display_width("\u6f22\u5b57"), 4);  // two wide characters
  EXPECT_EQ(display_width("\uff21"), 2);        // a fullwidth letter
  EXPECT_EQ(display_width("a\u200bb"), 2);      // a zero width space
  EXPECT_EQ(display_width("\xff\xfe"), 2);      // no UTF-8
}

TEST(Terminal, CutsWhatDoesNotFit) {
  EXPECT_EQ(fit("abcdef", 6), "abcdef");
  EXPECT_EQ(fit("abcdefg", 6), "abc...");
  EXPECT_EQ(fit("abcdefg", 3), "abc");
  EXPECT_EQ(fit("abcdefg", 0), "");
  EXPECT_EQ(fit("\u6f22\u5b57\u6f22\u5b57", 8), "\u6f22\u5b57\u6f22\u5b57");
  EXPECT_EQ(fit("\u6f22\u5b57\u6f22\u5b57", 7), "\u6f22\u5b57...");
  EXPECT_EQ(fit("\u6f22\u5b57\u6f22\u5b57", 6), "\u6f22...");  // half a character is none
}

TEST(Terminal, ShowsControlCharacters) {
  EXPECT_EQ(printable("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(printable("\x1b[2J\r\x7f"), "\\x1b[2J\\x0d\\x7f");
  EXPECT_EQ(printable("\u6f22"), "\u6f22");
}

TEST(Terminal, ProgressLinesNeverTakeMoreThanTheirColumns) {
  for (const std::string& label :
       {std::string("embedding"), std::string(60, 'x'), std::string("\u6f22\u5b57\u6f22\u5b57\u6f22")}) {
    const ProgressLine line{
        .label = label, .counts = "123/200000 texts", .details = ", 12 s, 3456 s left", .done = 0.5};
    std::string last;
    for (int columns = 1; columns < 200; ++columns) {
      const std::string text = fit(line, columns, -1);
      EXPECT_LE(display_width(text), columns) << text;
      EXPECT_GE(display_width(text), display_width(last)) << "more room shows no less: " << text;
      last = text;
    }
    EXPECT_NE(last.find(label), std::string::npos);
    EXPECT_NE(last.find("[###############...............] 123/200000 texts, 12 s, 3456 s left"), std::string::npos)
        << last;
  }
}

TEST(Suggest, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"--knees",          "--limits", "--length", "--head",
                                          "--head-dimension", "--output", "--seed"};
  const auto one = [&](const char* typed) { return similar_names(typed, names); };
  using Names = std::vector<std::string>;
  EXPECT_EQ(one("--kness"), Names{"--knees"});  // swapped
  EXPECT_EQ(one("--knee"), Names{"--knees"});   // begun
  EXPECT_EQ(one("--out"), Names{"--output"});
  EXPECT_EQ(one("-seed"), Names{"--seed"});  // dashes
  EXPECT_EQ(one("--Head_Dimension"), Names{"--head-dimension"});
  EXPECT_EQ(one("--limit"), Names{"--limits"});
  EXPECT_EQ(one("--lenght"), Names{"--length"});
  EXPECT_EQ(one("--frobnicate"), Names{});
  EXPECT_EQ(one("--"), Names{});
  EXPECT_EQ(did_you_mean("--kness", names), "; did you mean --knees?");
  EXPECT_EQ(did_you_mean("--he", names), "; did you mean --head or --head-dimension?");
  EXPECT_EQ(did_you_mean("--xyz", names), "");
}

std::vector<std::string> completed(std::vector<std::string> arguments, bool has_positionals) {
  complete_json_arguments(arguments, has_positionals);
  return arguments;
}

TEST(JsonArguments, TakeAFileOnlyWhereNothingElseCanBeMeant) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(completed({"inspect", "--json", "p.json"}, true), (Words{"inspect", "--json=-", "p.json"}));
  EXPECT_EQ(completed({"inspect", "p.json", "--json"}, true), (Words{"inspect", "p.json", "--json=-"}));
  EXPECT_EQ(completed({"inspect", "--json", "-", "p.json"}, true), (Words{"inspect", "--json=-", "p.json"}));
  EXPECT_EQ(completed({"evaluate", "--json", "e.json"}, false), (Words{"evaluate", "--json=e.json"}));
  EXPECT_EQ(completed({"evaluate", "--json", "--task", "t"}, false), (Words{"evaluate", "--json=-", "--task", "t"}));
  EXPECT_EQ(completed({"evaluate", "--json=a", "--jsonx"}, false), (Words{"evaluate", "--json=a", "--jsonx"}));
  EXPECT_EQ(completed({"x", "--", "--json"}, false), (Words{"x", "--", "--json"}));
}

}  // namespace
}  // namespace hccs::tool
