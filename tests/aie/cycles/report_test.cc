// SPDX-License-Identifier: Apache-2.0
//
// The report's text with its tables, of a few of the cases of make bench-aie.
#include "aie/results/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "aie/results/tables.h"

namespace {

using namespace aie_results;

const Results& results() {
  static const Results kResults = [] {
    auto run_results = run(Extent::kReduced);
    EXPECT_TRUE(run_results.ok()) << run_results.status().message();
    return run_results.ok() ? std::move(run_results).value() : Results{};
  }();
  return kResults;
}

// Every mark of the page has a value: fmt would throw for one that has none.
TEST(Report, MarksAreFilled) {
  std::string text;
  ASSERT_NO_THROW(text = markdown(results()));
  EXPECT_EQ(text.find_first_of("{}"), std::string::npos);
  EXPECT_TRUE(text.starts_with("# "));
  EXPECT_TRUE(text.ends_with(".\n"));
  for (const char* part : {"\n## What binds\n", "](aie-throughput.svg)", "](aie-speedup.svg)",
                           "](aie-throughput-tiles.svg)", "| AIE-ML v2 `tiles` scaled", "AIE-ML v2 K = 4"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
}

// Lines of a table have as many cells as its header, and tables stand apart from the text around them.
TEST(Report, TablesAreWhole) {
  std::istringstream lines(markdown(results()));
  std::string before;
  for (std::string line; std::getline(lines, line); before = line) {
    if (!line.starts_with('|')) {
      EXPECT_TRUE(line.empty() || !before.starts_with('|')) << line;
      continue;
    }
    if (!before.starts_with('|')) {
      EXPECT_TRUE(before.empty()) << before;
      continue;
    }
    EXPECT_EQ(std::count(line.begin(), line.end(), '|'), std::count(before.begin(), before.end(), '|')) << line;
  }
}

TEST(Report, LengthsHaveTheModelAndItsBound) {
  const Row* row = find(results().rows, {.n = 64});
  ASSERT_NE(row, nullptr);
  const double bound =
      static_cast<double>(row->breakdown.one_slot) / static_cast<double>(row->cycles) * row->cycles_per_64;
  EXPECT_LT(bound, row->cycles_per_64);
  const std::string table = lengths_table(results());
  const auto text = [](double x) {
    std::ostringstream stream;
    stream.precision(2);
    stream << std::fixed << x;
    return stream.str();
  };
  EXPECT_NE(table.find(" " + text(row->cycles_per_64) + " |"), std::string::npos) << table;
  EXPECT_NE(table.find(" " + text(bound) + " |"), std::string::npos) << table;
  EXPECT_NE(table.find("<= " + text(row->cycles_per_64 + row->paired_loads_per_64) + " |"), std::string::npos) << table;
}

}  // namespace
