// SPDX-License-Identifier: Apache-2.0
#include "hccs/param_header.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "all_heads.h"
#include "hccs/param_file.h"
#include "hccs/softmax.h"
#include "two_heads.h"

namespace hccs {
namespace {

// Heads as an engine has them that was compiled with the header.
template <class Head>
HeadParams params_of(const Head& head) {
  std::vector<Knee> knees;
  for (int k = 0; k < head.knee_count; ++k) knees.push_back({head.slope[k], head.position[k]});
  return {head.offset, knees};
}

ParamFile the_file() {
  auto file = read_param_file(GENERATED "/params.json");
  return std::move(file).value();
}

template <class Head>
void expect_equal(const Head& head, const ParamFile& file) {
  const HeadEntry& entry = file.at(head.layer, head.head);
  EXPECT_EQ(params_of(head), entry.params);
  EXPECT_EQ(std::bit_cast<uint64_t>(head.step), std::bit_cast<uint64_t>(entry.step));
}

TEST(ParamHeader, HasTheNumbersOfTheFile) {
  const ParamFile file = the_file();
  ASSERT_EQ(std::size(hccs_params_heads), 6U);
  static_assert(hccs_params_count == 6 && hccs_params_knees == 4);
  for (int64_t i = 0; i < 6; ++i) {
    const hccs_params_head& head = hccs_params_heads[i];
    EXPECT_EQ(head.layer, i / 3);
    EXPECT_EQ(head.head, i % 3);
    expect_equal(head, file);
    for (int k = head.knee_count; k < hccs_params_knees; ++k) EXPECT_EQ(head.slope[k] + head.position[k], 0);
  }
}

TEST(ParamHeader, HasTheHeadsThatWereAskedForInTheirOrder) {
  const ParamFile file = the_file();
  static_assert(Layer1_count == 2 && Layer1_knees == 1);
  EXPECT_EQ(Layer1_heads[0].head, 2);
  EXPECT_EQ(Layer1_heads[1].head, 0);
  for (const Layer1_head& head : Layer1_heads) {
    EXPECT_EQ(head.layer, 1);
    expect_equal(head, file);
  }
}

// Softmax from the header, and softmax from the file.
TEST(ParamHeader, GivesTheSameBits) {
  const ParamFile file = the_file();
  std::vector<HeadParams> compiled;
  std::vector<HeadParams> read;
  for (const hccs_params_head& head : hccs_params_heads) compiled.push_back(params_of(head));
  for (const HeadEntry& entry : file.entries) read.push_back(entry.params);
  const SoftmaxShape shape = {.heads = 6, .queries = 5, .keys = 77};
  std::mt19937 random(17);
  std::vector<int8_t> logits(static_cast<size_t>(shape.heads * shape.queries * shape.keys));
  for (int8_t& x : logits) x = static_cast<int8_t>(random());
  std::vector<std::vector<int16_t>> results;
  for (const std::vector<HeadParams>& heads : {compiled, read}) {
    const auto plan = SoftmaxPlan::hccs(heads, Normalisation::kScaled, OutputType::kInt16);
    std::vector<int16_t>& p = results.emplace_back(logits.size());
    ASSERT_TRUE(plan->run(SoftmaxBatch<int16_t>::dense(logits.data(), p.data(), shape)).ok());
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_NE(results[0], std::vector<int16_t>(logits.size()));
}

TEST(ParamHeader, RefusesWhatItCannotWrite) {
  const ParamFile file = the_file();
  const auto refuses = [&](const ParamHeaderOptions& options, std::string_view part) {
    const Status status = param_header(file, options).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  };
  for (const char* name : {"", "1st", "_a", "a__b", "a_", "a b", "a-b", "a\n", "\xC3\xA4"}) {
    refuses({.name = name}, "but it is letters, digits and single underscores");
  }
  refuses({.name = "a\n"}, R"("a\n")");
  refuses({.layer = 2}, "layer 2, but there are 2 layers of 3 heads");
  refuses({.layer = -1}, "layer -1, but");
  refuses({.layer = 1, .heads = {3}}, "layer 1, head 3, but there are 2 layers of 3 heads");
  refuses({.heads = {0, -1}}, "layer 0, head -1, but");
  refuses({.heads = {1, 0, 1}}, "head 1 is named twice");
  ParamFile wrong = file;
  wrong.entries[4].params.offset = 0;
  EXPECT_NE(param_header(wrong).status().message().find("layer 1, head 1"), std::string::npos);
}

}  // namespace
}  // namespace hccs
