// SPDX-License-Identifier: Apache-2.0
//
// The printed schedules: every instruction is in the table and in the picture, at its bundle and slot.
#include <gtest/gtest.h>

#include <sstream>

#include "aie/cycles/print.h"

namespace {

using namespace aie_cycles;

Piece piece_of(long least_passes, std::string name = "loop") {
  Piece piece;
  piece.name = std::move(name);
  piece.is_loop = least_passes > 0;
  NativeCode& code = piece.code;
  code.values = {{0, RegisterFile::kVector, 2}, {1, RegisterFile::kVector, 2}};
  code.live_out = {false, false};
  code.instructions = {{Opcode::kLoad, {}, 0, 0, aie_host::Operation::kLoad},
                       {Opcode::kElementwise, {{0}}, 1, 1, aie_host::Operation::kMax},
                       {Opcode::kStore, {{1}}, -1, 2, aie_host::Operation::kStore}};
  piece.schedule =
      piece.is_loop ? schedule_loop(code, Device::kAieMl, least_passes) : schedule_straight(code, Device::kAieMl);
  return piece;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

unsigned count(const std::string& text, const std::string& part) {
  unsigned found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(CyclesPrint, StraightTable) {
  const std::string table = bundle_table(piece_of(0, "straight"), Device::kAieMl);
  const auto line = lines(table);
  EXPECT_EQ(line[0], "straight: 10 bundles");
  EXPECT_EQ(line[1], "bundle  lda  ldb       alu  mv           st         vec");
  EXPECT_EQ(line[2], "     0  .    VLD load  .    .            .          .");
  EXPECT_EQ(line[3], "     1  to 6: wait");
  EXPECT_EQ(line[4], "     7  .    .         .    VMAX_LT max  .          .");
  EXPECT_EQ(line[5], "     8  .    .         .    .            .          .");
  EXPECT_EQ(line[6], "     9  .    .         .    .            VST store  .");
  EXPECT_EQ(line[7], "bound: loads; cycles that each needs alone: loads 1, alu 0, mv 1, st 1, vec 0, recurrence 1");
  EXPECT_EQ(line[8], "registers: 2 of 24 vectors of 256 bits, 0 of 18 accumulators of 512, 0 of 32 scalars");
}

TEST(CyclesPrint, LoopTable) {
  const auto line = lines(bundle_table(piece_of(64), Device::kAieMl));
  EXPECT_EQ(
      line[0],
      "loop: a pass each 1 cycles, 10 stages, 10 bundles from first to last; prologue and epilogue 9 bundles each");
  EXPECT_EQ(line[2], "     0  .    VLD load [0]  .    VMAX_LT max [7]  VST store [9]  .");
  const auto once = lines(bundle_table(piece_of(1), Device::kAieMl));
  EXPECT_EQ(once[0], "loop: 10 bundles a pass");
}

// A reader of tags: they must close in order, with quoted attributes.
void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while ((at = svg.find('<', at)) != std::string::npos) {
    const std::size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    EXPECT_EQ(count(tag, "\"") % 2, 0u) << tag;
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ("/" + open.back(), tag);
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    at = end;
  }
  EXPECT_TRUE(open.empty());
  for (std::size_t ampersand = svg.find('&'); ampersand != std::string::npos;
       ampersand = svg.find('&', ampersand + 1)) {
    const std::string entity = svg.substr(ampersand, 6);
    EXPECT_TRUE(entity.starts_with("&lt;") || entity.starts_with("&gt;") || entity.starts_with("&amp;") ||
                entity.starts_with("&quot;"));
  }
}

TEST(CyclesPrint, Picture) {
  for (const long passes : {0L, 1L, 4L, 64L}) {
    const Piece piece = piece_of(passes, "a < b & \"c\"");
    const std::string svg = loop_svg(piece, Device::kAieMl);
    expect_well_formed(svg);
    EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    EXPECT_NE(svg.find("a &lt; b &amp; &quot;c&quot;"), std::string::npos);
    // Each instruction once, and once more in the steady part.
    const unsigned times = piece.schedule.interval > 0 ? 2 : 1;
    EXPECT_EQ(count(svg, "<g>"), 3 * times);
    EXPECT_EQ(count(svg, "<title>VMAX_LT max"), times);
    // Nothing from elsewhere.
    EXPECT_EQ(count(svg, "href"), 0u);
    EXPECT_EQ(count(svg, "http"), 1u);
    EXPECT_EQ(svg, loop_svg(piece, Device::kAieMl));
  }
}

TEST(CyclesPrint, NoCode) {
  Piece piece;
  piece.name = "straight";
  expect_well_formed(loop_svg(piece, Device::kAieMl));
  EXPECT_EQ(lines(bundle_table(piece, Device::kAieMl))[0], "straight: 0 bundles");
}

}  // namespace
