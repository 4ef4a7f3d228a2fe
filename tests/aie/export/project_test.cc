// SPDX-License-Identifier: Apache-2.0
//
// Projects of row softmax: what is refused, and what their files say. That projects build and run is run.sh's.
#include <algorithm>

#include "aie/export/write_project.h"
#include "aie/kernels/layout.h"
#include "project_case.h"

namespace {

using namespace aie_export;
using hccs::MaskKind;
using hccs::Normalisation;
using hccs::OutputType;
using hccs::StatusCode;
using hccs::test::fails;

TEST(SoftmaxProject, FilesOfEveryKind) {
  for (const Device device : {Device::kVek280, Device::kVek385}) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles, Kernel::kPaperRows}) {
      for (const MaskKind mask : {MaskKind::kNone, MaskKind::kLength}) {
        for (const int64_t tiles : {1, 3}) {
          for (const bool memory_tile : {false, true}) {
            SoftmaxProject project = softmax_project();
            project.device = device;
            project.kernel = kernel;
            project.mask = mask;
            project.tiles = tiles;
            project.memory_tile = memory_tile;
            if (kernel == Kernel::kPaperRows) {
              project.heads = {{3, kOneKnee}};
              project.length = 64;
              project.normalisation = Normalisation::kClb;
            }
            if (memory_tile && tiles == 1) continue;
            if (mask != MaskKind::kNone && (tiles > 1 || kernel == Kernel::kPaperRows)) continue;
            const auto files = project_files(with_data(project));
            ASSERT_TRUE(files.ok()) << files.status().message();
            const std::string stream = tiles > 1 && !memory_tile ? "_2.txt" : ".txt";
            const std::string kernel_header = "kernels/" + std::string(name(kernel)) + ".h";
            expect_complete(*files, {"README.md", "Makefile", "aie.cfg", "src/project.h", "src/softmax.h",
                                     "src/softmax.cc", "src/graph.h", "src/graph.cpp", kernel_header,
                                     tiles == 1 ? "graph/one_tile.h" : "graph/split_rows.h", "host/include/adf.h",
                                     "data/logits" + stream, "data/expected" + stream});
            const bool masked = mask != MaskKind::kNone;
            EXPECT_EQ(text_of(*files, "src/project.h").find("kMasks") != std::string::npos, masked);
            EXPECT_EQ(text_of(*files, "src/graph.cpp").find("update") != std::string::npos, masked);
          }
        }
      }
    }
  }
}

// Row r of head h of a block is where the kernel's layout says, and what is expected there is the definition's.
TEST(SoftmaxProject, DataAreInTheKernelsLayout) {
  for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
    SoftmaxProject project = softmax_project();
    project.kernel = kernel;
    project.mask = MaskKind::kLength;
    project.output = OutputType::kInt16;
    project = with_data(std::move(project));
    const auto files = project_files(project);
    ASSERT_TRUE(files.ok()) << files.status().message();
    const std::vector<int> logits = numbers(text_of(*files, "data/logits.txt"));
    const std::vector<int> expected = numbers(text_of(*files, "data/expected.txt"));
    const bool tiles = kernel == Kernel::kTiles;
    const size_t elements = tiles ? hccs_kernels::tiles_elements(5, 45, 20) : hccs_kernels::rows_elements(5, 45);
    ASSERT_EQ(logits.size(), 2 * 2 * elements);
    ASSERT_EQ(expected.size(), logits.size());
    size_t owned = 0;
    for (size_t block = 0; block < 2; ++block) {
      for (size_t h = 0; h < 2; ++h) {
        for (unsigned r = 0; r < 5; ++r) {
          const auto row = std::span(project.logits).subspan(((h * 2 + block) * 5 + r) * 45, 45);
          std::vector<int16_t> out(45);
          ASSERT_TRUE(softmax_reference(project.heads[h].params, project.normalisation, row,
                                        project.masks[block].row(r), std::span<int16_t>(out))
                          .ok());
          for (unsigned i = 0; i < 45; ++i) {
            const size_t at = (block * 2 + h) * elements +
                              (tiles ? hccs_kernels::tiles_index(r, i, 45, 20) : hccs_kernels::rows_index(r, i, 45));
            ASSERT_EQ(logits[at], row[i]) << block << " " << h << " " << r << " " << i;
            ASSERT_EQ(expected[at], out[i]) << block << " " << h << " " << r << " " << i;
            owned += expected[at] != 0 ? 1 : 0;
          }
        }
      }
    }
    // What no position owns is expected to be 0.
    EXPECT_EQ(std::count_if(expected.begin(), expected.end(), [](int x) { return x != 0; }), owned);
  }
}

TEST(SoftmaxProject, SizesAreThoseOfTheLayout) {
  const auto files = project_files(with_data(softmax_project()));
  ASSERT_TRUE(files.ok()) << files.status().message();
  const unsigned scratch = hccs_kernels::rows_scratch_bytes(5, 45, 3, 20);
  EXPECT_NE(text_of(*files, "src/project.h").find("kElements = 320;"), std::string::npos);
  EXPECT_NE(text_of(*files, "src/project.h").find("kScratchBytes = " + std::to_string(scratch) + ";"),
            std::string::npos);
  EXPECT_NE(text_of(*files, "aie.cfg").find("heapsize=" + std::to_string(scratch + 1024) + "\n"), std::string::npos);
}

// Each tile has the most heads that have room, and as many as the others.
TEST(SoftmaxProject, HeadsAreDealtToTiles) {
  SoftmaxProject project = of_heads(12, 128, 16);  // 8192 bytes of buffers a head
  ASSERT_TRUE(split_heads(0, project).ok());
  EXPECT_EQ(project.tiles, 2);
  EXPECT_TRUE(project.split_heads);
  EXPECT_TRUE(check(project).ok());
  SoftmaxProject crowded = project;  // on one tile
  crowded.tiles = 1;
  crowded.split_heads = false;
  expect_refused(check(crowded), {"a tile has 65536"});
  ASSERT_TRUE(split_heads(3, project).ok());
  EXPECT_EQ(project.tiles, 4);
  project = of_heads(2, 45, 5);
  ASSERT_TRUE(split_heads(0, project).ok());
  EXPECT_EQ(project.tiles, 1);
  EXPECT_FALSE(project.split_heads);
}

TEST(SoftmaxProject, HeadsThatCannotBeDealt) {
  SoftmaxProject project = of_heads(12, 128, 16);
  expect_refused(split_heads(5, project), {"12 heads on tiles of 5"});
  project = of_heads(17, 128, 64);  // 32,768 bytes of buffers a head
  expect_refused(split_heads(0, project), {"17 heads, 1 on a tile", "17 tiles", "at most 16"});
  project = of_heads(2, 1024, 16);
  expect_refused(split_heads(0, project), {"16 rows of 1024", "a tile has 65536"});
  project = of_heads(3, 45, 5);
  project.tiles = 2;
  project.split_heads = true;
  expect_refused(check(project), {"3 heads on 2 tiles"});
}

// Tiles of two heads: what a tile's files have is what one tile with these heads has.
TEST(SoftmaxProject, DataOfDealtHeads) {
  SoftmaxProject project = of_heads(4, 45, 5);
  project.mask = MaskKind::kLength;
  ASSERT_TRUE(split_heads(2, project).ok());
  project = with_data(project);
  const auto files = project_files(project);
  ASSERT_TRUE(files.ok()) << files.status().message();
  expect_complete(*files, {"graph/split_heads.h", "data/logits_1.txt", "tools/compare.cc"});
  SoftmaxProject second = project;
  second.heads.erase(second.heads.begin(), second.heads.begin() + 2);
  second.logits.erase(second.logits.begin(), second.logits.begin() + std::ssize(second.logits) / 2);
  second.tiles = 1;
  second.split_heads = false;
  const auto alone = project_files(second);
  ASSERT_TRUE(alone.ok()) << alone.status().message();
  EXPECT_EQ(text_of(*files, "data/logits_1.txt"), text_of(*alone, "data/logits.txt"));
  EXPECT_EQ(text_of(*files, "data/expected_1.txt"), text_of(*alone, "data/expected.txt"));
}

TEST(Projects, FactorsOfLogits) {
  const std::vector<ExportedHead> heads = {{3, kOneKnee, .125}, {4, kOneKnee, .0335}, {5, kOneKnee}};
  EXPECT_EQ(logit_lines("* ", 2, heads, 64),
            "* layer 2, head 3: step = 0.125, factor = 1, about 16384 * 2^-14\n"
            "* layer 2, head 4: step = 0.0335, factor = 3.73134, about 30567 * 2^-13\n"
            "* layer 2, head 5: step unknown\n");
  EXPECT_EQ(logit_lines("", 0, {heads.data(), 1}, 0),
            "layer 0, head 3: step = 0.125, factor = 8, about 16384 * 2^-11\n");
  EXPECT_EQ(logit_rule(64), "x = round(sum * q_scale * k_scale * factor), factor = 1 / (sqrt(64) * step)");
  EXPECT_NE(logit_rule(0).find("/ sqrt(head dimension)"), std::string::npos);
}

TEST(Projects, PlatformsOfReleases) {
  EXPECT_EQ(platform(Device::kVek280, Vitis::k2025_2), "xilinx_vek280_base_202520_1");
  EXPECT_EQ(platform(Device::kVek280, Vitis::k2026_1), "xilinx_vek280_base_202610_1");
  EXPECT_EQ(platform(Device::kVek385, Vitis::k2026_1), "vek385_base");
  EXPECT_EQ(parse_vitis("2026.1"), Vitis::k2026_1);
  EXPECT_EQ(parse_vitis("2024.2"), std::nullopt);
}

// A name of a model cannot end a comment or a cell of a table.
TEST(SoftmaxProject, NamesArePlain) {
  SoftmaxProject project = softmax_project();
  project.model = "*/ #define x\n| `y` @MODEL@ a-b_c.1";
  const auto files = project_files(with_data(project));
  ASSERT_TRUE(files.ok()) << files.status().message();
  const std::string header = text_of(*files, "src/project.h");
  EXPECT_NE(header.find("?/ ?define x?? ?y? ?MODEL? a-b_c.1.\n"), std::string::npos) << header.substr(0, 200);
}

TEST(SoftmaxProject, Refusals) {
  const auto refused = [](auto change, const std::vector<std::string>& parts) {
    SoftmaxProject project = softmax_project();
    change(project);
    expect_refused(check(project), parts);
  };
  EXPECT_TRUE(check(softmax_project()).ok());
  refused([](SoftmaxProject& p) { p.heads.clear(); }, {"needs a head"});
  refused([](SoftmaxProject& p) { p.length = 0; }, {"length 0", "1..65536"});
  refused([](SoftmaxProject& p) { p.length = 65537; }, {"length 65537", "1..65536"});
  refused([](SoftmaxProject& p) { p.tile_rows = 0; }, {"0 rows"});
  refused([](SoftmaxProject& p) { p.tiles = 0; }, {"0 tiles"});
  refused([](SoftmaxProject& p) { p.mask = MaskKind::kBits; }, {"no bit masks"});
  refused(
      [](SoftmaxProject& p) {
        p.heads[1].params = hccs::HeadParams(255, {{3, 85}});
      },
      {"layer 0, head 3", "255", "256"});
  refused(
      [](SoftmaxProject& p) {
        p.heads[1].params = hccs::HeadParams(200, {{1, 60}});
        p.mask = MaskKind::kLength;
      },
      {"layer 0, head 3", "masked rows", "B = 200"});
  refused(
      [](SoftmaxProject& p) {
        p.mask = MaskKind::kLength;
        p.tiles = 2;
      },
      {"masks go with one tile, not 2"});
  refused(
      [](SoftmaxProject& p) {
        p.kernel = Kernel::kTiles;
        p.output = OutputType::kInt16;
        p.length = 8200;
        p.tile_rows = 1;
      },
      {"length 8200", "up to 8192"});
}

TEST(SoftmaxProject, RefusalsOfPaperRows) {
  const auto refused = [](auto change, const std::vector<std::string>& parts) {
    SoftmaxProject project = softmax_project();
    project.kernel = Kernel::kPaperRows;
    project.heads = {{3, kOneKnee}};
    project.length = 64;
    project.normalisation = Normalisation::kDiv;
    EXPECT_TRUE(check(project).ok());
    change(project);
    expect_refused(check(project), parts);
  };
  refused([](SoftmaxProject& p) { p.normalisation = Normalisation::kScaled; }, {"paper_rows", "scaled"});
  refused([](SoftmaxProject& p) { p.length = 60; }, {"length 60", "multiple of 32"});
  refused([](SoftmaxProject& p) { p.heads = {{1, kThreeKnees}}; }, {"layer 0, head 1", "K = 3"});
  refused([](SoftmaxProject& p) { p.mask = MaskKind::kLength; }, {"paper_rows has no masks"});
}

TEST(SoftmaxProject, RefusalsOfMemory) {
  const auto refused = [](int64_t length, int64_t rows, int64_t tiles, const std::vector<std::string>& parts) {
    SoftmaxProject project = softmax_project();
    project.length = length;
    project.tile_rows = rows;
    project.tiles = tiles;
    project.memory_tile = tiles > 1;
    expect_refused(check(project), parts);
  };
  refused(1024, 16, 1, {"16 rows of 1024", "a tile has 65536"});
  refused(65536, 65536, 1, {"a tile has 65536"});  // sizes that 32 bits do not hold
  refused(65536, 32768, 1, {"a tile has 65536"});
  refused(32768, 65536, 1, {"a tile has 65536"});
  refused(64, 2, 7, {"7 tiles", "6 channels in"});
}

TEST(SoftmaxProject, DataOfAnotherShape) {
  SoftmaxProject project = with_data(softmax_project());
  project.logits.pop_back();
  expect_refused(project_files(project).status(), {"899 logits", "2 blocks have 900"});
  project = with_data(softmax_project());
  project.masks.resize(1);
  expect_refused(project_files(project).status(), {"1 masks"});
  expect_refused(project_files(softmax_project()).status(), {"needs a block"});
}

TEST(ExportTestData, TheSameForTheSameSeed) {
  SoftmaxProject project = softmax_project();
  project.mask = MaskKind::kLength;
  const SoftmaxProject once = with_data(project, 6);
  EXPECT_EQ(with_data(project, 6).logits, once.logits);
  EXPECT_EQ(once.blocks, 6);
  EXPECT_EQ(once.logits_origin, "random, seed 7");
  const auto [least, most] = std::minmax_element(once.logits.begin(), once.logits.end());
  EXPECT_LT(*least, -100);
  EXPECT_GT(*most, 100);
  ASSERT_EQ(once.masks.size(), 6u);
  EXPECT_EQ(*once.masks[0].valid_length, 45);
  EXPECT_GE(*once.masks[0].causal_offset, 44);
  EXPECT_TRUE(std::any_of(once.masks.begin(), once.masks.end(), [](const auto& m) { return *m.valid_length < 45; }));
  SoftmaxProject other = project;
  draw_logits(6, 8, other);
  EXPECT_NE(other.logits, once.logits);
}

class WriteProject : public hccs::test::WithFolder {
 protected:
  const std::vector<ProjectFile> files_ = {{"a.txt", "one\n"}, {"b/c/d.txt", "two\n"}};
};

TEST_F(WriteProject, Files) {
  ASSERT_TRUE(write_project(files_, folder() / "new").ok());
  EXPECT_EQ(get(folder() / "new" / "a.txt"), "one\n");
  EXPECT_EQ(get(folder() / "new" / "b" / "c" / "d.txt"), "two\n");
  EXPECT_TRUE(fails(write_project(files_, folder() / "new"), StatusCode::kInvalidArgument, {"exists already"}));
  EXPECT_EQ(names(), std::vector<std::string>{"new"});
}

TEST_F(WriteProject, NothingIsLeftOnErrors) {
  const hccs::Progress after_one = [](int64_t done, int64_t) { return done < 1; };
  EXPECT_TRUE(fails(write_project(files_, folder() / "new", after_one), StatusCode::kCancelled, {"interrupted"}));
  EXPECT_TRUE(fails(write_project(files_, folder() / "no" / "parent"), StatusCode::kIo, {"parent"}));
  const std::vector<ProjectFile> conflict = {{"a", "one"}, {"a/b", "two"}};
  EXPECT_TRUE(fails(write_project(conflict, folder() / "new"), StatusCode::kIo, {}));
  EXPECT_TRUE(names().empty());
}

}  // namespace
