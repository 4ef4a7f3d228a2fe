// SPDX-License-Identifier: Apache-2.0
//
// A few of the cases of make bench-aie.
#include "aie/results/results.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <vector>

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

// Both kernels that serve every mode take less than half the time of the paper's kernel at its fastest, in `clb` and in
// `scaled`; and the paper's kernel takes less time in each of its modes than any bf16 softmax.
TEST(Results, KernelsBeatTheYardsticks) {
  using aie_traces::Kernel;
  for (const Device device : {Device::kAieMl, Device::kAieMlV2}) {
    const auto cycles_of = [&](std::initializer_list<Kernel> kernels) {
      std::vector<long> cycles;
      for (const Row& row : results().rows) {
        const bool wanted = std::find(kernels.begin(), kernels.end(), row.call.kernel) != kernels.end();
        if (wanted && row.call.device == device && row.call.n == 64) cycles.push_back(row.cycles);
      }
      return cycles;
    };
    const std::vector<long> ours = cycles_of({Kernel::kRows, Kernel::kTiles});
    const std::vector<long> paper = cycles_of({Kernel::kPaperRows});
    const std::vector<long> bf16 = cycles_of({Kernel::kExpBf16});
    ASSERT_EQ(ours.size(), 4u);
    ASSERT_EQ(paper.size(), 2u);
    ASSERT_EQ(bf16.size(), 2u);
    EXPECT_LT(2 * *std::max_element(ours.begin(), ours.end()), *std::min_element(paper.begin(), paper.end()));
    EXPECT_LT(*std::max_element(paper.begin(), paper.end()), *std::min_element(bf16.begin(), bf16.end()));
  }
}

// What docs/results/aie-cycles.json says of these calls is what they take: the file is not older than the kernels and
// the model. `make bench-aie` writes it again.
TEST(Results, AreThoseThatAreStored) {
  std::ifstream file("docs/results/aie-cycles.json");
  ASSERT_TRUE(file) << "run at the root of the repository";
  const auto stored = nlohmann::json::parse(file).at("rows");
  for (const auto& row : nlohmann::json::parse(json(results())).at("rows")) {
    EXPECT_EQ(std::count(stored.begin(), stored.end(), row), 1) << row.dump();
  }
}

TEST(Results, ProgramsFitTheirMemory) {
  for (const Row& row : results().rows) {
    EXPECT_GT(row.program_bytes, 0);
    EXPECT_LE(row.program_bytes, aie_cycles::Machine::kProgramBytes)
        << name(row.call.kernel) << " " << name(row.call.mode) << " on " << name(row.call.device);
  }
}

TEST(Plot, Svg) {
  const Plot plot{"a < b & c", {"n", true}, {"y", false}, {{"one", {{32, 1}, {64, 3}}}, {"two", {{32, 2}}, true}}};
  const std::string text = svg({plot, plot});
  EXPECT_EQ(text, svg({plot, plot}));
  const auto count = [&](const std::string& part) {
    int found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("a &lt; b &amp; c"), 2);
  EXPECT_EQ(count("class=\"line\""), 2 * 2 + 2);  // the lines of both plots, and the legend
  EXPECT_EQ(count("stroke-dasharray"), 2 + 1);    // of "two" alone
  EXPECT_EQ(count("<circle"), 2 * 3);             // a dot at each point
  EXPECT_EQ(text.find("nan"), std::string::npos);
  EXPECT_EQ(text.find("inf"), std::string::npos);
  EXPECT_TRUE(text.starts_with("<svg") && text.ends_with("</svg>\n"));
}

}  // namespace
