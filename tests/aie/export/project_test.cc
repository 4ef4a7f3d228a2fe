// SPDX-License-Identifier: Apache-2.0
//
// The models of exported projects: what they refuse, and what their files say. That projects build and run is run.sh's.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>

#include "../../formats/temporary_folder.h"
#include "aie/export/attention_project.h"
#include "aie/export/softmax_project.h"
#include "aie/export/test_data.h"
#include "aie/export/write_project.h"
#include "aie/kernels/layout.h"
#include "hccs/npy.h"

namespace {

using namespace aie_export;
using hccs::MaskKind;
using hccs::Normalisation;
using hccs::OutputType;
using hccs::Status;
using hccs::StatusCode;
using hccs::test::fails;

const hccs::HeadParams kOneKnee(300, {{4, 60}});
const hccs::HeadParams kThreeKnees(20000, {{100, 10}, {50, 30}, {3, 90}});

SoftmaxProject softmax_project() {
  SoftmaxProject project;
  project.model = "a model";
  project.heads = {{1, kThreeKnees}, {3, kOneKnee}};
  project.length = 45;
  project.tile_rows = 5;
  return project;
}

SoftmaxProject with_data(SoftmaxProject project, int64_t blocks = 2) {
  draw_logits(blocks, 7, project);
  draw_masks(7, project);
  return project;
}

AttentionProject attention_project() {
  AttentionProject project;
  project.heads = {{2, kThreeKnees, .25}};
  project.head_dimension = 32;
  project.length = 21;
  project.rows = 11;
  return project;
}

// The text of a file; a failure of the test if there is no such file.
std::string text_of(const std::vector<ProjectFile>& files, const std::string& path) {
  const auto file = std::find_if(files.begin(), files.end(), [&](const ProjectFile& f) { return f.path == path; });
  EXPECT_NE(file, files.end()) << path;
  return file == files.end() ? "" : file->text;
}

std::vector<int> numbers(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<int>(stream), {}};
}

// Every file once, and no mark is left.
void expect_complete(const std::vector<ProjectFile>& files, const std::vector<std::string>& paths) {
  const std::regex mark("@[A-Z_]+@");
  std::set<std::string> seen;
  for (const ProjectFile& file : files) {
    EXPECT_TRUE(seen.insert(file.path).second) << file.path << " is there twice";
    const bool filled = !file.path.starts_with("host/") && !file.path.starts_with("data/");
    EXPECT_FALSE(filled && std::regex_search(file.text, mark)) << file.path << " has a mark";
  }
  for (const std::string& path : paths) EXPECT_TRUE(seen.contains(path)) << path;
}

void expect_refused(const Status& status, const std::vector<std::string>& parts) {
  EXPECT_TRUE(fails(status, StatusCode::kInvalidArgument, parts));
}

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

SoftmaxProject of_heads(int64_t heads, int64_t length, int64_t rows) {
  SoftmaxProject project = softmax_project();
  project.heads.assign(heads, {0, kThreeKnees});
  for (int64_t h = 0; h < heads; ++h) project.heads[h].number = h;
  project.length = length;
  project.tile_rows = rows;
  return project;
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

TEST(AttentionProject, Files) {
  for (const Device device : {Device::kVek280, Device::kVek385}) {
    AttentionProject project = attention_project();
    project.device = device;
    draw_attention(3, 5, project);
    const auto files = project_files(project);
    ASSERT_TRUE(files.ok()) << files.status().message();
    expect_complete(
        *files, {"README.md", "Makefile", "aie.cfg", "src/project.h", "src/attention_head.h", "src/attention_head.cc",
                 "src/graph.h", "src/graph.cpp", "kernels/attention.h", "graph/attention_tile.h", "host/include/adf.h",
                 "data/q.txt", "data/k.txt", "data/v.txt", "data/rescales.txt", "data/expected.txt"});
    EXPECT_EQ(numbers(text_of(*files, "data/q.txt")).size(), 3u * 16 * 32);
    EXPECT_EQ(numbers(text_of(*files, "data/k.txt")).size(), 3u * 32 * 32);
    EXPECT_EQ(numbers(text_of(*files, "data/rescales.txt")).size(), 3u * 2 * 16);
    const std::vector<int> expected = numbers(text_of(*files, "data/expected.txt"));
    ASSERT_EQ(expected.size(), 3u * 16 * 32);
    // Block 1, query 6.
    std::vector<int8_t> o(32);
    ASSERT_TRUE(attention_reference(project.heads[0].params, project.rescales[11 + 6],
                                    std::span(project.q).subspan((11 + 6) * 32, 32),
                                    std::span(project.k).subspan(21 * 32, 21 * 32),
                                    std::span(project.v).subspan(21 * 32, 21 * 32), project.masks[1].row(6), o)
                    .ok());
    for (unsigned j = 0; j < 32; ++j) EXPECT_EQ(expected[16 * 32 + hccs_kernels::attention_index(6, j, 32)], o[j]);
  }
}

AttentionProject attention_of_heads(int64_t heads, int64_t length, int64_t rows) {
  AttentionProject project = attention_project();
  project.heads.assign(heads, {0, kThreeKnees, .25});
  for (int64_t h = 0; h < heads; ++h) project.heads[h] = {h, h % 2 == 0 ? kThreeKnees : kOneKnee, .25};
  project.length = length;
  project.rows = rows;
  return project;
}

// 4 (rows + n) d + 8 rows of buffers a head, 8 (d + n) of scratch, stack and heap: what docs/ai-engine.md says.
TEST(AttentionProject, HeadsAreDealtToTiles) {
  AttentionProject project = attention_of_heads(12, 64, 16);  // 10,368 bytes a head, and 5,888
  ASSERT_TRUE(split_heads(0, project).ok());
  EXPECT_EQ(project.tiles, 3);
  EXPECT_TRUE(check(project).ok());
  project.tiles = 2;
  expect_refused(check(project), {"6 head(s) need 68096 bytes", "a tile has 65536"});
  project.tiles = 5;
  expect_refused(check(project), {"12 heads on 5 tiles"});
  ASSERT_TRUE(split_heads(1, project).ok());
  EXPECT_EQ(project.tiles, 12);
  expect_refused(split_heads(5, project), {"12 heads on tiles of 5"});
  project = attention_of_heads(17, 128, 64);
  expect_refused(split_heads(0, project), {"17 heads, 1 on a tile", "17 tiles", "at most 16"});
  project = attention_of_heads(2, 512, 8);
  expect_refused(split_heads(0, project), {"512 keys", "1 head(s)", "a tile has 65536"});
  project = attention_of_heads(2, 64, 8);
  project.head_dimension = 0;
  expect_refused(split_heads(0, project), {"does not say the head dimension"});
}

// Tiles of two heads: what a tile's files have is what one tile with these heads has.
TEST(AttentionProject, DataOfDealtHeads) {
  AttentionProject project = attention_of_heads(4, 21, 11);
  ASSERT_TRUE(split_heads(2, project).ok());
  draw_attention(3, 5, project);
  const auto files = project_files(project);
  ASSERT_TRUE(files.ok()) << files.status().message();
  expect_complete(*files, {"graph/attention_tiles.h", "data/q_1.txt", "data/expected_1.txt", "tools/compare.cc"});
  AttentionProject second = project;
  const auto drop_half = [](auto& values) { values.erase(values.begin(), values.begin() + std::ssize(values) / 2); };
  drop_half(second.heads);
  drop_half(second.q);
  drop_half(second.k);
  drop_half(second.v);
  drop_half(second.rescales);
  second.tiles = 1;
  const auto alone = project_files(second);
  ASSERT_TRUE(alone.ok()) << alone.status().message();
  for (const std::string name : {"q", "k", "v", "rescales", "expected"}) {
    EXPECT_EQ(text_of(*files, "data/" + name + "_1.txt"), text_of(*alone, "data/" + name + ".txt")) << name;
  }
}

// The number that a line of project.py gives a name; -1 if there is none.
int64_t python_number(const std::vector<ProjectFile>& files, const std::string& name) {
  std::smatch found;
  const std::string text = text_of(files, "project.py");
  if (!std::regex_search(text, found, std::regex("(^|\n|\\{| )\"?" + name + "\"?(:| =) (\\d+)"))) return -1;
  return std::stoll(found[3]);
}

TEST(IronProject, NumbersAreThoseOfTheLayout) {
  for (const Device device : {Device::kNpu1, Device::kNpu2}) {
    const int arch = device == Device::kNpu1 ? 20 : 21;
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      for (const MaskKind mask : {MaskKind::kNone, MaskKind::kLength}) {
        SoftmaxProject project = of_heads(6, 45, 9);
        project.device = device;
        project.kernel = kernel;
        project.mask = mask;
        ASSERT_TRUE(split_heads(1, project).ok());
        const auto files = project_files(with_data(project));
        ASSERT_TRUE(files.ok()) << files.status().message();
        expect_complete(*files,
                        {"README.md", "Makefile", "design.py", "reference.py", "compare.py", "src/project.h",
                         "src/softmax.cc", "tools/run.cc", "tools/npy.h", "kernels/" + std::string(name(kernel)) + ".h",
                         "host/include/aie_api/aie.hpp", "data/logits.npy", "data/expected.npy"});
        const bool tiles = kernel == Kernel::kTiles;
        const unsigned elements =
            tiles ? hccs_kernels::tiles_elements(9, 45, arch) : hccs_kernels::rows_elements(9, 45);
        const unsigned scratch =
            tiles ? hccs_kernels::tiles_scratch_bytes(3, arch) : hccs_kernels::rows_scratch_bytes(9, 45, 3, arch);
        EXPECT_EQ(python_number(*files, "ELEMENTS"), elements);
        EXPECT_EQ(python_number(*files, "OUT_ELEMENTS"), elements);
        EXPECT_EQ(python_number(*files, "logits"), elements + (mask == MaskKind::kNone ? 0 : 64));
        EXPECT_EQ(python_number(*files, "SCRATCH_BYTES"), (scratch + 63) / 64 * 64);
        EXPECT_EQ(python_number(*files, "PARAMETER_WORDS"), 32);
        EXPECT_EQ(python_number(*files, "ARCH"), arch);
        EXPECT_EQ(python_number(*files, "COLUMNS") * python_number(*files, "CORES"), 6);
        EXPECT_LE(python_number(*files, "COLUMNS"), device == Device::kNpu1 ? 4 : 8);
      }
    }
  }
}

TEST(IronProject, NumbersOfAttention) {
  AttentionProject project = attention_of_heads(6, 45, 11);
  project.device = Device::kNpu2;
  ASSERT_TRUE(split_heads(3, project).ok());
  draw_attention(2, 1, project);
  const auto files = project_files(project);
  ASSERT_TRUE(files.ok()) << files.status().message();
  expect_complete(*files, {"design.py", "reference.py", "src/attention_head.cc", "tools/run.cc", "kernels/attention.h",
                           "data/q.npy", "data/k.npy", "data/v.npy", "data/rescales.npy", "data/expected.npy"});
  EXPECT_EQ(python_number(*files, "queries"), 3 * (16 * 32 + 4 * 16) + 64);
  EXPECT_EQ(python_number(*files, "keys_values"), 2 * 3 * 48 * 32);
  EXPECT_EQ(python_number(*files, "OUT_ELEMENTS"), 3 * 16 * 32);
  EXPECT_EQ(python_number(*files, "SCRATCH_BYTES"), hccs_kernels::attention_scratch_bytes(45, 32));
  EXPECT_EQ(python_number(*files, "COLUMNS"), 2);
}

TEST(IronProject, ColumnsOfTiles) {
  const auto columns = [](Device npu, int64_t tiles) {
    const auto of = columns_of(npu, tiles);
    return of ? std::pair(of->columns, of->cores) : std::pair<int64_t, int64_t>(0, 0);
  };
  using Pair = std::pair<int64_t, int64_t>;
  EXPECT_EQ(columns(Device::kNpu1, 1), Pair(1, 1));
  EXPECT_EQ(columns(Device::kNpu1, 4), Pair(4, 1));
  EXPECT_EQ(columns(Device::kNpu1, 6), Pair(3, 2));
  EXPECT_EQ(columns(Device::kNpu1, 9), Pair(3, 3));
  EXPECT_EQ(columns(Device::kNpu1, 16), Pair(4, 4));
  EXPECT_EQ(columns(Device::kNpu1, 5), Pair(0, 0));
  EXPECT_EQ(columns(Device::kNpu2, 5), Pair(5, 1));
  EXPECT_EQ(columns(Device::kNpu2, 32), Pair(8, 4));
}

TEST(IronProject, Refusals) {
  SoftmaxProject project = softmax_project();
  project.device = Device::kNpu1;
  EXPECT_TRUE(check(project).ok());
  project.tiles = 5;
  expect_refused(check(project), {"5 tiles", "npu1 has 4 columns of 4"});
  project.tiles = 17;
  expect_refused(check(project), {"17 tiles", "npu1 has at most 16"});
  project.tiles = 2;
  project.memory_tile = true;
  expect_refused(check(project), {"memory tile"});
  project = of_heads(2, 1024, 16);
  project.device = Device::kNpu2;
  expect_refused(split_heads(0, project), {"16 rows of 1024", "a tile has 65536"});
  // 7 heads have room on one tile each; npu1 has no 7 tiles in whole columns, but npu2 has.
  project = of_heads(7, 128, 64);
  project.device = Device::kNpu1;
  expect_refused(split_heads(0, project), {"7 heads, 1 on a tile", "7 tiles", "4 columns of 4"});
  project.device = Device::kNpu2;
  EXPECT_TRUE(split_heads(0, project).ok());
  EXPECT_EQ(project.tiles, 7);
}

TEST(AttentionProject, Refusals) {
  const auto refused = [](auto change, const std::vector<std::string>& parts) {
    AttentionProject project = attention_project();
    change(project);
    expect_refused(check(project), parts);
  };
  EXPECT_TRUE(check(attention_project()).ok());
  refused([](AttentionProject& p) { p.head_dimension = 0; }, {"does not say the head dimension"});
  refused([](AttentionProject& p) { p.head_dimension = 24; }, {"head dimension 24", "multiple of 16"});
  refused([](AttentionProject& p) { p.head_dimension = int64_t{1} << 33; }, {"head dimension 8589934592"});
  refused([](AttentionProject& p) { p.length = 0; }, {"length 0"});
  refused([](AttentionProject& p) { p.rows = 0; }, {"0 rows"});
  refused([](AttentionProject& p) { p.rows = p.length = 65536; }, {"a tile has 65536"});
  refused([](AttentionProject& p) { p.length = 1024; }, {"1024 keys", "a tile has 65536"});
  refused([](AttentionProject& p) { p.heads[0].params.offset = 0; }, {"layer 0, head 2", "B"});
  AttentionProject project = attention_project();
  draw_attention(2, 1, project);
  project.k.pop_back();
  expect_refused(project_files(project).status(), {"1343 elements of k instead of 1344"});
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

TEST(ExportTestData, RescalesAreTheContracts) {
  AttentionProject project = attention_project();
  draw_attention(20, 3, project);
  for (const hccs::Rescale rescale : project.rescales) EXPECT_TRUE(validate(rescale).ok());
}

class AttentionData : public hccs::test::WithFolder {
 protected:
  AttentionFiles files() const { return {folder() / "q.npy", folder() / "k.npy", folder() / "v.npy", {1.0 / 1024}}; }
  void write(const std::string& name, int64_t rows, int64_t columns, int first) {
    std::vector<int8_t> values(rows * columns);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int8_t>(first + static_cast<int>(i % 100));
    ASSERT_TRUE(
        hccs::write_npy(folder() / name, std::vector<int64_t>{rows, columns}, std::span<const int8_t>(values)).ok());
  }
  void SetUp() override {
    WithFolder::SetUp();
    write("q.npy", 2 * 11, 32, -50);
    write("k.npy", 2 * 21, 32, -40);
    write("v.npy", 2 * 21, 32, 5);
  }
};

TEST_F(AttentionData, FromFiles) {
  AttentionProject project = attention_project();
  ASSERT_TRUE(read_attention(files(), 1, project).ok());
  EXPECT_EQ(project.blocks, 2);
  EXPECT_EQ(project.q[1], -49);
  EXPECT_EQ(project.v[0], 5);
  ASSERT_EQ(project.rescales.size(), 22u);
  // 2^-10 / (sqrt(32) * 0.25) = 2^-10.5, and 2^14.5 is about 23170.
  EXPECT_EQ(project.rescales[3].multiplier, 23170);
  EXPECT_EQ(project.rescales[3].shift, 25);
  const auto all = project_files(project);
  ASSERT_TRUE(all.ok()) << all.status().message();
  EXPECT_NE(text_of(*all, "README.md").find("q.npy, k.npy, v.npy"), std::string::npos);
}

TEST_F(AttentionData, Refusals) {
  AttentionProject project = attention_project();
  AttentionFiles other = files();
  for (const double scale : {0., -1., 1e9, 1e-30}) {
    other.scales = {scale};
    expect_refused(read_attention(other, 1, project), {"layer 0, head 2", "logit steps", "R from 0 to 46"});
  }
  write("q.npy", 12, 32, 0);
  EXPECT_TRUE(
      fails(read_attention(files(), 1, project), StatusCode::kMismatch, {"q.npy", "[12, 32]", "multiple of 11"}));
  write("q.npy", 11, 32, 0);
  EXPECT_TRUE(
      fails(read_attention(files(), 1, project), StatusCode::kMismatch, {"1 blocks of 11 queries", "2 of 21 keys"}));
  write("q.npy", 22, 32, 0);
  other = files();
  other.scales = {1, 2};
  EXPECT_TRUE(fails(read_attention(other, 1, project), StatusCode::kMismatch, {"2 products of scales", "1 heads"}));
  project.heads.push_back(project.heads[0]);
  EXPECT_TRUE(
      fails(read_attention(files(), 1, project), StatusCode::kMismatch, {"q.npy", "[22, 32]", "[2, rows, 32]"}));
  project.heads.pop_back();
  write("q.npy", 11, 16, 0);
  EXPECT_TRUE(
      fails(read_attention(files(), 1, project), StatusCode::kMismatch, {"q.npy", "[11, 16]", "[1, rows, 32]"}));
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
