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

TEST_F(TextTest, AnyBytesButNulAreText) {
  EXPECT_EQ(read({put("latin1.txt", "caf\xe9\n\xff\xfe\n")}, false), (Lines{"caf\xe9", "\xff\xfe"}));
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
