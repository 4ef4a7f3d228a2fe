// SPDX-License-Identifier: Apache-2.0
//
// Projects of attention: what is refused, and what their files say.
#include <cmath>
#include <numeric>
#include <set>

#include "aie/kernels/layout.h"
#include "hccs/npy.h"
#include "project_case.h"

namespace {

using namespace aie_export;
using hccs::StatusCode;
using hccs::test::fails;

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

// What the products of a project's q and k are worth in logit steps, [heads, blocks, rows, n].
std::vector<double> logits_of(const AttentionProject& p) {
  std::vector<double> logits;
  const int64_t dh = p.head_dimension;
  for (int64_t block = 0; block < std::ssize(p.heads) * p.blocks; ++block) {
    for (int64_t row = block * p.rows; row < (block + 1) * p.rows; ++row) {
      for (int64_t i = block * p.length; i < (block + 1) * p.length; ++i) {
        const int64_t sum =
            std::inner_product(p.q.begin() + row * dh, p.q.begin() + (row + 1) * dh, p.k.begin() + i * dh, int64_t{0});
        logits.push_back(std::ldexp(static_cast<double>(sum * p.rescales[row].multiplier), -p.rescales[row].shift));
      }
    }
  }
  return logits;
}

// Rows of given logits, by unit vectors as q and as k: the greatest shape of each, and one that fits both.
TEST_F(AttentionData, FromLogits) {
  struct Shape {
    int64_t rows, length;
  };
  for (const Shape shape : {Shape{32, 100}, Shape{33, 32}, Shape{11, 21}, Shape{1, 1}}) {
    SCOPED_TRACE(shape.rows);
    AttentionProject project = attention_of_heads(2, shape.length, shape.rows);
    const std::vector<int64_t> extents{2, 3 * shape.rows, shape.length};
    std::vector<int8_t> values(2 * 3 * shape.rows * shape.length);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int8_t>(i * 37 % 256 - 128);  // of every value
    ASSERT_TRUE(hccs::write_npy(folder() / "x.npy", extents, std::span<const int8_t>(values)).ok());
    ASSERT_TRUE(read_attention_logits(folder() / "x.npy", "", 4, project).ok());
    EXPECT_EQ(project.blocks, 3);
    EXPECT_EQ(logits_of(project), std::vector<double>(values.begin(), values.end()));
    for (const hccs::Rescale rescale : project.rescales) EXPECT_TRUE(validate(rescale).ok());
    EXPECT_GT(std::set<int8_t>(project.v.begin(), project.v.end()).size(), 30u);
    const auto all = project_files(project);
    ASSERT_TRUE(all.ok()) << all.status().message();
    EXPECT_NE(text_of(*all, "README.md").find("x.npy by q of "), std::string::npos);
  }
}

TEST_F(AttentionData, LogitsThatAreRefused) {
  const std::vector<int64_t> extents{33, 33};
  const std::vector<int8_t> values(33 * 33);
  ASSERT_TRUE(hccs::write_npy(folder() / "x.npy", extents, std::span<const int8_t>(values)).ok());
  AttentionProject project = attention_of_heads(1, 33, 33);
  expect_refused(read_attention_logits(folder() / "x.npy", "", 1, project),
                 {"x.npy", "head dimension 32", "33 rows of 33 logits", "--query, --key and --value"});
  project.rows = 11;
  ASSERT_TRUE(read_attention_logits(folder() / "x.npy", "", 1, project).ok());
  EXPECT_TRUE(fails(read_attention_logits(folder() / "x.npy", folder() / "v.npy", 1, project), StatusCode::kMismatch,
                    {"v.npy", "[42, 32]", "multiple of 33"}));
  write("v.npy", 33, 32, 0);
  EXPECT_TRUE(fails(read_attention_logits(folder() / "x.npy", folder() / "v.npy", 1, project), StatusCode::kMismatch,
                    {"3 blocks of 11 rows", "1 of 33 values"}));
  project.rows = 5;
  EXPECT_TRUE(fails(read_attention_logits(folder() / "x.npy", "", 1, project), StatusCode::kMismatch,
                    {"x.npy", "[33, 33]", "multiple of 5"}));
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

}  // namespace
