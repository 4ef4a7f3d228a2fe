// SPDX-License-Identifier: Apache-2.0
//
// Golden rows that an independent implementation of the contract wrote (golden/README.md).
#include "golden_format.h"

namespace hccs {
namespace {

template <class Expect>
void expect_all_rows(const char* file, Expect expect_row) {
  const std::vector<nlohmann::json> rows = golden_rows(file);
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(golden_file(file).string() + ":" + std::to_string(i + 1));
    expect_row(rows[i]);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(Golden, SoftmaxAllSixOutputs) { expect_all_rows("softmax.jsonl", expect_softmax_row); }
TEST(Golden, Attention) { expect_all_rows("attention.jsonl", expect_attention_row); }
TEST(Golden, AttentionWithWideWeights) { expect_all_rows("attention_wide.jsonl", expect_attention_row); }
TEST(Golden, Int32Sums) { expect_all_rows("int32.jsonl", expect_sums_row); }

}  // namespace
}  // namespace hccs
