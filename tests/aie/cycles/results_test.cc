// SPDX-License-Identifier: Apache-2.0
//
// A few of the cases of make bench-aie.
#include "aie/results/results.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "aie/results/plot.h"

namespace {

using namespace aie_results;
using aie_cycles::Device;

const Results& results() {
  static const Results kResults = [] {
    auto run_results = run(Extent::kReduced);
    EXPECT_TRUE(run_results.ok()) << run_results.status().message();
    return run_results.ok() ? std::move(run_results).value() : Results{};
  }();
  return kResults;
}

TEST(Results, ColumnsOfEveryRow) {
  const auto out = nlohmann::json::parse(json(results()));
  ASSERT_GT(out.at("rows").size(), 10u);
  for (const auto& row : out.at("rows")) {
    SCOPED_TRACE(row.dump());
    EXPECT_EQ(row.size(), 15u);
    for (const char* column : {"kernel", "arch", "mode", "output", "binding", "mask"}) {
      EXPECT_FALSE(row.at(column).get<std::string>().empty());
    }
    EXPECT_LE(row.at("knees").get<int>(), 4);
    EXPECT_GE(row.at("n").get<int>(), 32);
    EXPECT_TRUE(row.at("ii").is_null() || row.at("ii").get<int>() >= 1);
    const auto per_64 = row.at("cycles_per_64").get<double>();
    EXPECT_GT(per_64, 0);
    EXPECT_NEAR(row.at("cycles_per_row").get<double>() * 64 / row.at("n").get<int>(), per_64, 1e-3);
    const auto core = row.at("gelem_per_s_per_tile_at_1250mhz").get<double>();
    EXPECT_NEAR(core, 64 * 1.25 / per_64, 1e-3 * core + 1e-4);
    EXPECT_LE(row.at("fed_gelem_per_s_per_tile").get<double>(), core);
    const bool published = !row.at("published_cycles_per_64").is_null();
    EXPECT_EQ(published, !row.at("model_error_percent").is_null());
    if (published) {
      const auto expected = 100 * (per_64 / row.at("published_cycles_per_64").get<double>() - 1);
      EXPECT_NEAR(row.at("model_error_percent").get<double>(), expected, 1e-2);
    }
  }
  ASSERT_EQ(out.at("scaling").size(), 304u + 144u);
  for (const auto& row : out.at("scaling")) {
    EXPECT_EQ(row.size(), 4u);
    EXPECT_GT(row.at("gelem_per_s").get<double>(), 0);
    EXPECT_FALSE(row.at("binding").get<std::string>().empty());
  }
}

// A second run, whose buffers lie elsewhere, gives the same file.
TEST(Results, Deterministic) {
  std::vector<char> elsewhere(100000);
  const auto again = run(Extent::kReduced);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(json(*again), json(results()));
}

// No kernel that was written against the model is slower than the one it replaces, or than a bf16 softmax.
TEST(Results, KernelsBeatTheYardsticks) {
  for (const Device device : {Device::kAieMl, Device::kAieMlV2}) {
    const Row* paper_rows = find(results().rows, {.kernel = aie_traces::Kernel::kPaperRows, .device = device, .n = 64});
    const Row* by_rows = find(results().rows, {.device = device, .n = 64});
    ASSERT_NE(paper_rows, nullptr);
    ASSERT_NE(by_rows, nullptr);
    EXPECT_LT(by_rows->cycles, paper_rows->cycles);
    for (const Row& row : results().rows) {
      if (row.call.device != device || row.call.kernel != aie_traces::Kernel::kExpBf16) continue;
      EXPECT_LT(paper_rows->cycles, row.cycles);
    }
  }
}

TEST(Results, ProgramsFitTheirMemory) {
  for (const Row& row : results().rows) {
    EXPECT_LE(row.program_bytes, aie_cycles::Machine::kProgramBytes)
        << name(row.call.kernel) << " " << name(row.call.mode) << " on " << name(row.call.device);
  }
}

TEST(Plot, Svg) {
  const Plot plot{"a < b & c", {"n", true}, {"y", false}, {{"one", {{32, 1}, {64, 3}}}, {"two", {{32, 2}}, true}}};
  const std::string text = svg({plot, plot});
  EXPECT_EQ(text, svg({plot, plot}));
  EXPECT_NE(text.find("a &lt; b &amp; c"), std::string::npos);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_EQ(text.find("inf"), std::string::npos);
  EXPECT_TRUE(text.starts_with("<svg") && text.ends_with("</svg>\n"));
}

}  // namespace
