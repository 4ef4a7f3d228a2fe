// SPDX-License-Identifier: Apache-2.0
//
// Projects for NPUs: their numbers are those of the kernels' layout. That they run is run.sh's and iron_test.py's.
#include "aie/kernels/layout.h"
#include "project_case.h"

namespace {

using namespace aie_export;
using hccs::MaskKind;

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

}  // namespace
