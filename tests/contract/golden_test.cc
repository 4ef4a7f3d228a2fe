// SPDX-License-Identifier: Apache-2.0
//
// Golden rows that an independent implementation of the contract wrote: HCCS_DATA/golden.
#include <fstream>

#include "golden_format.h"

namespace hccs {
namespace {

template <class Expect>
void expect_all_rows(const char* file, Expect expect_row) {
  const std::filesystem::path path = golden_file(file);
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent: set HCCS_DATA";
  std::ifstream lines(path);
  int rows = 0;
  for (std::string line; std::getline(lines, line); ++rows) {
    SCOPED_TRACE(path.string() + ":" + std::to_string(rows + 1));
    expect_row(nlohmann::json::parse(line));
    if (testing::Test::HasFatalFailure()) return;
  }
  EXPECT_GT(rows, 0) << path << " is empty";
  testing::Test::RecordProperty("rows", rows);
}

TEST(Golden, SoftmaxAllSixOutputs) { expect_all_rows("softmax.jsonl", expect_softmax_row); }
TEST(Golden, Attention) { expect_all_rows("attention.jsonl", expect_attention_row); }

}  // namespace
}  // namespace hccs
