// SPDX-License-Identifier: Apache-2.0
#include "report/html.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace hccs::report {
namespace {

using namespace std::string_literals;

const std::string kReplacement = "\xEF\xBF\xBD";

TEST(Escaped, MarkupAndQuotes) {
  EXPECT_EQ(escaped("a<b>&\"'c"), "a&lt;b&gt;&amp;&quot;&#39;c");
  EXPECT_EQ(escaped("&amp;"), "&amp;amp;");
  EXPECT_EQ(escaped(""), "");
}

TEST(Escaped, ControlCharactersAndLines) {
  EXPECT_EQ(escaped("a\tb\nc"), "a b c");
  EXPECT_EQ(escaped("\0\x1b[31m\x7f"s), kReplacement + kReplacement + "[31m" + kReplacement);
}

TEST(Escaped, Utf8StaysAndOtherBytesAreReplaced) {
  for (const std::string text : {"é", "日本", "😀", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xC2\x80"}) {
    EXPECT_EQ(escaped(text), text);
  }
  EXPECT_EQ(escaped("caf\xE9"), "caf" + kReplacement);          // Latin-1
  EXPECT_EQ(escaped("\xE6\x97"), kReplacement + kReplacement);  // cut off
  EXPECT_EQ(escaped("\xC0\xBC"
                    "x"),
            kReplacement + kReplacement + "x");                      // overlong '<'
  for (const std::string text : {"\xE0\x9F\xBF", "\xED\xA0\x80"}) {  // overlong, a surrogate
    EXPECT_EQ(escaped(text), kReplacement + kReplacement + kReplacement);
  }
  for (const std::string text : {"\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"}) {  // overlong, beyond
    EXPECT_EQ(escaped(text), kReplacement + kReplacement + kReplacement + kReplacement);
  }
  EXPECT_EQ(escaped("\xC3<"), kReplacement + "&lt;");  // an incomplete character takes no markup with it
}

TEST(Coordinate, ShortAndNeverMinusZero) {
  EXPECT_EQ(coordinate(0), "0");
  EXPECT_EQ(coordinate(-0.001), "0");
  EXPECT_EQ(coordinate(12.5), "12.5");
  EXPECT_EQ(coordinate(100), "100");
  EXPECT_EQ(coordinate(-3.456), "-3.46");
}

TEST(KlText, DigitsThatCount) {
  EXPECT_EQ(kl_text(0.0622), "0.062");
  EXPECT_EQ(kl_text(0.00309), "0.0031");
  EXPECT_EQ(kl_text(0.000423), "0.00042");
  EXPECT_EQ(kl_text(0), "0.00000");
  EXPECT_EQ(percent(0.9871), "98.7 %");
}

}  // namespace
}  // namespace hccs::report
