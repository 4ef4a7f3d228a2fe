// SPDX-License-Identifier: Apache-2.0
#include "hccs/text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "../formats/temporary_folder.h"

namespace hccs {
namespace {

namespace fs = std::filesystem;
using test::fails;
using std::string_literals::operator""s;
using Lines = std::vector<std::string>;

class TextTest : public test::WithFolder {};

Lines read(const std::vector<fs::path>& files, bool keep_empty) {
  auto lines = read_text_lines(files, keep_empty);
  EXPECT_TRUE(lines.ok()) << lines.status().message();
  return lines.ok() ? *std::move(lines) : Lines{};
}

TEST_F(TextTest, LinesOfSeveralFilesInOrder) {
  const fs::path unix_lines = put("unix.txt", "one\n\n two \nlast");
  const fs::path dos_lines = put("dos.txt", "\r\nthree\r\nfo\rur\r\n\r\n");
  EXPECT_EQ(read({unix_lines, dos_lines}, false), (Lines{"one", " two ", "last", "three", "fo\rur"}));
  EXPECT_EQ(read({unix_lines, dos_lines}, true), (Lines{"one", "", " two ", "last", "", "three", "fo\rur", ""}));
  EXPECT_EQ(read({dos_lines, unix_lines}, false), (Lines{"three", "fo\rur", "one", " two ", "last"}));
}

TEST_F(TextTest, ALoneCarriageReturnEndsALineOnlyWhereNoLineFeedDoes) {
  const fs::path classic = put("classic.txt", "one\r\rtwo\rthree");
  EXPECT_EQ(read({classic}, false), (Lines{"one", "two", "three"}));
  EXPECT_EQ(read({classic}, true), (Lines{"one", "", "two", "three"}));
  EXPECT_EQ(read({put("mixed.txt", "one\rtwo\nthree\r\r\n")}, true), (Lines{"one\rtwo", "three"}));
  // Python's str.splitlines would also cut here; its files do not, and nor do these.
  const std::string other =
      "a\x0B"
      "b\x0C"
      "c\xC2\x85"
      "d\xE2\x80\xA8"
      "e";
  EXPECT_EQ(read({put("other.txt", other + "\n")}, true), Lines{other});
}

TEST_F(TextTest, AByteOrderMarkIsNoPartOfTheText) {
  const fs::path marked = put("marked.txt", "\xEF\xBB\xBFone\n\xEF\xBB\xBFtwo\n");
  EXPECT_EQ(read({marked, marked}, true), (Lines{"one", "\xEF\xBB\xBFtwo", "one", "\xEF\xBB\xBFtwo"}));
  EXPECT_TRUE(fails(read_text_lines(std::vector{put("mark.txt", "\xEF\xBB\xBF")}, true).status(), StatusCode::kBadData,
                    {"mark.txt", "at least one"}));
}

TEST_F(TextTest, OtherEncodingsAreRefusedWithLineAndByte) {
  EXPECT_TRUE(fails(read_text_lines(std::vector{put("cp1252.txt", "fine\nCaf\xe9 tr\xe8s\n")}, false).status(),
                    StatusCode::kBadData,
                    {"cp1252.txt: line 2: byte 0xE9 at offset 8 (byte 4 of the line)", "\"Caf\\xE9 tr\\xE8s\"",
                     "Windows-1252", "\"Caf\xC3\xA9 tr\xC3\xA8s\"", "iconv -f WINDOWS-1252 -t UTF-8"}));
  EXPECT_TRUE(fails(read_text_lines(std::vector{put("utf16.txt", "\xff\xfeh\0i\0\n\0"s)}, false).status(),
                    StatusCode::kBadData, {"utf16.txt", "UTF-16", "iconv -f UTF-16 -t UTF-8", "FF FE"}));
}

TEST_F(TextTest, BinaryFilesAreRefusedWithLineAndOffset) {
  const fs::path good = put("good.txt", "fine\n");
  const fs::path path = put("model.bin", "one\ntwo\nth\0ree\n"s);
  EXPECT_TRUE(fails(read_text_lines(std::vector{good, path}, false).status(), StatusCode::kBadData,
                    {"model.bin", "line 3", "NUL byte at offset 10"}));
}

TEST_F(TextTest, FilesWithoutALineAreRefused) {
  const fs::path good = put("good.txt", "fine\n");
  const fs::path empty = put("empty.txt", "");
  const fs::path blank = put("blank.txt", "\n\r\n\n");
  EXPECT_TRUE(
      fails(read_text_lines(std::vector{good, empty}, false).status(), StatusCode::kBadData, {"empty.txt", "0 bytes"}));
  EXPECT_TRUE(fails(read_text_lines(std::vector{empty}, true).status(), StatusCode::kBadData, {"empty.txt"}));
  EXPECT_TRUE(fails(read_text_lines(std::vector{good, blank}, false).status(), StatusCode::kBadData,
                    {"blank.txt", "4 bytes", "non-empty line"}));
  EXPECT_EQ(read({blank}, true), (Lines{"", "", ""}));
}

TEST_F(TextTest, AFolderOrNothingInPlaceOfAFile) {
  EXPECT_TRUE(fails(read_text_lines(std::vector{folder()}, false).status(), StatusCode::kIo, {folder().string()}));
  EXPECT_TRUE(
      fails(read_text_lines(std::vector{folder() / "absent.txt"}, false).status(), StatusCode::kIo, {"absent.txt"}));
}

}  // namespace
}  // namespace hccs
