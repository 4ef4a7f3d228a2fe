// SPDX-License-Identifier: Apache-2.0
//
// Every attention target against the reference, tolerance 0. HCCS_SEED replays a run.
#include <gtest/gtest.h>

#include <cstdlib>

#include "attention/plan.h"
#include "attention_case.h"

namespace hccs {
namespace {

uint64_t seed() {
  static const uint64_t value = [] {
    const char* text = std::getenv("HCCS_SEED");
    const uint64_t chosen = text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
    std::printf("HCCS_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return value;
}

class EachAttentionTarget : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Attention, EachAttentionTarget,
                         testing::ValuesIn(attention_targets().begin(), attention_targets().end()),
                         [](const auto& target) {
                           std::string name(target.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

void expect_cases(std::string_view target, const AttentionShape& shape, int cases) {
  RandomChoices choose(seed() + static_cast<uint64_t>(shape.keys * 1000003 + shape.queries * 1009 +
                                                      shape.head_dimension * 31 + shape.value_dimension));
  for (int i = 0; i < cases; ++i) {
    const AttentionCase c = choose_attention_case(choose, shape);
    AttentionOutputs expected;
    const auto error = expected_outputs(c, expected);
    ASSERT_FALSE(error) << *error;
    const auto found = difference(c, expected, target);
    ASSERT_FALSE(found) << *found << "\nHCCS_SEED=" << seed();
  }
}

TEST_P(EachAttentionTarget, IsTheOneThatRuns) {
  const HeadParams params[] = {{100, {{3, 20}}}};
  const auto plan = AttentionPlan::hccs(params, AttentionWeights::kUint8, GetParam());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(plan->target(), GetParam());
  const internal::AttentionTarget& target = plan->impl().target;
  EXPECT_EQ(target.name, GetParam());
  alignas(64) std::byte queries[64] = {};
  alignas(64) int32_t products[32] = {};
  const int8_t query[1] = {};
  internal::Tile tile{};
  tile.rows = 1;
  tile.layout = target.layout(1, 1);
  tile.row[0].query = query;
  tile.row[0].multiplier = 1;
  tile.queries = queries;
  tile.products = products;
  EXPECT_EQ(target.begin(tile), target.id);
}

TEST_P(EachAttentionTarget, EveryNumberOfKeysTo130) {
  for (int64_t n = 1; n <= 130; ++n) {
    ASSERT_NO_FATAL_FAILURE(
        expect_cases(GetParam(), {.queries = 7, .keys = n, .head_dimension = 16, .value_dimension = 20}, 6));
  }
}

TEST_P(EachAttentionTarget, KeysAroundEveryPageAndTile) {
  for (const auto& [least, most] : {std::pair{255, 260}, {511, 520}, {1023, 1030}, {4097, 4097}}) {
    for (int64_t n = least; n <= most; ++n) {
      ASSERT_NO_FATAL_FAILURE(
          expect_cases(GetParam(), {.queries = 8, .keys = n, .head_dimension = 32, .value_dimension = 32}, 2));
    }
  }
}

TEST_P(EachAttentionTarget, EveryNumberOfQueriesTo70) {
  for (int64_t queries = 1; queries <= 70; ++queries) {
    ASSERT_NO_FATAL_FAILURE(
        expect_cases(GetParam(), {.queries = queries, .keys = 70, .head_dimension = 24, .value_dimension = 16}, 3));
  }
}

// Heads of 32 to 128 elements, of which kernels have whole vectors.
TEST_P(EachAttentionTarget, WholeVectors) {
  for (const int64_t d : {32, 64, 96, 128}) {
    for (int64_t queries = 1; queries <= 70; ++queries) {
      const AttentionShape shape{
          .queries = queries, .keys = 60 + queries, .head_dimension = d, .value_dimension = 160 - d};
      ASSERT_NO_FATAL_FAILURE(expect_cases(GetParam(), shape, 2));
    }
    for (const int64_t n : {1, 63, 64, 65, 127, 128, 129, 256, 1000, 1023, 1024, 1025, 1089, 2113}) {
      const AttentionShape shape{.queries = 27, .keys = n, .head_dimension = d, .value_dimension = d};
      ASSERT_NO_FATAL_FAILURE(expect_cases(GetParam(), shape, 2));
    }
  }
}

// Weights of 255 alike: each column's mean is that of its values, whose sum goes through all that n values can have, or
// of many values through those around the ties.
TEST_P(EachAttentionTarget, EveryMeanOfEqualWeights) {
  const HeadParams params[] = {{32640, {{0, 1}}}};
  const auto plan = AttentionPlan::hccs(params, AttentionWeights::kUint8, GetParam());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  constexpr int64_t kColumns = 96;
  const Rescale rescale{1, 0};
  const std::vector<int8_t> zeros(1000, 0);
  std::vector<int8_t> values;
  std::vector<int8_t> out(kColumns);
  for (int64_t n = 1; n <= 1000; n = n < 64 ? n + 1 : n * 9 / 8) {
    std::vector<int64_t> sums;
    for (int64_t sum = -128 * n; sum <= 127 * n; ++sum) {
      const int64_t above_tie = (2 * sum + 257 * n) % (2 * n);
      if (n <= 64 || above_tie < 4 || above_tie > 2 * n - 4) sums.push_back(sum);
    }
    const AttentionShape shape{.queries = 1, .keys = n, .head_dimension = 1, .value_dimension = kColumns};
    for (size_t first = 0; first < sums.size(); first += kColumns) {
      const auto sum_of = [&](int64_t j) { return sums[std::min(first + static_cast<size_t>(j), sums.size() - 1)]; };
      values.assign(static_cast<size_t>(n * kColumns), 0);
      for (int64_t j = 0; j < kColumns; ++j) {
        const int64_t least = (sum_of(j) + 128 * n) / n - 128;  // and so many values are one more
        const int64_t more = sum_of(j) - least * n;
        for (int64_t i = 0; i < n; ++i) values[i * kColumns + j] = static_cast<int8_t>(least + (i < more ? 1 : 0));
      }
      auto batch = AttentionBatch::dense(zeros.data(), zeros.data(), values.data(), out.data(), shape);
      batch.with_rescale(rescale);
      std::vector<std::byte> scratch(static_cast<size_t>(plan->scratch_bytes(batch)));
      const Status status = plan->run(batch, scratch);
      ASSERT_TRUE(status.ok()) << status.message();
      for (int64_t j = 0; j < kColumns; ++j) {
        const int64_t mean = (2 * sum_of(j) + n + 256 * n) / (2 * n) - 128;
        ASSERT_EQ(out[j], mean) << "n " << n << ", sum " << sum_of(j);
      }
    }
  }
}

TEST_P(EachAttentionTarget, DimensionsAroundEveryVector) {
  for (const int64_t d : {1,  2,  3,  4,  5,  15,  16,  17,  31,  32,  33,  47,  48,  63,  64,
                          65, 66, 80, 96, 97, 127, 128, 129, 192, 255, 256, 257, 320, 511, 512}) {
    for (const int64_t dv : {d, int64_t{64}, 513 - d}) {
      ASSERT_NO_FATAL_FAILURE(
          expect_cases(GetParam(), {.queries = 5, .keys = 67, .head_dimension = d, .value_dimension = dv}, 3));
    }
  }
}

TEST_P(EachAttentionTarget, TextsAndGroupsOfHeads) {
  for (int64_t group = 1; group <= 8; ++group) {
    for (int64_t key_heads = 1; key_heads <= 3; ++key_heads) {
      ASSERT_NO_FATAL_FAILURE(expect_cases(GetParam(),
                                           {.texts = 1 + group % 3,
                                            .query_heads = group * key_heads,
                                            .key_heads = key_heads,
                                            .queries = 1 + group % 5,
                                            .keys = 60 + group,
                                            .head_dimension = 16 * key_heads,
                                            .value_dimension = 40},
                                           4));
    }
  }
}

// More rows than a piece has.
TEST_P(EachAttentionTarget, SeveralPieces) {
  ASSERT_NO_FATAL_FAILURE(expect_cases(
      GetParam(),
      {.query_heads = 2, .key_heads = 1, .queries = 500, .keys = 65, .head_dimension = 8, .value_dimension = 8}, 4));
}

// What does not fit the scratch is packed in parts.
TEST_P(EachAttentionTarget, LongestRows) {
  ASSERT_NO_FATAL_FAILURE(
      expect_cases(GetParam(), {.queries = 9, .keys = 65536, .head_dimension = 72, .value_dimension = 8}, 1));
  ASSERT_NO_FATAL_FAILURE(
      expect_cases(GetParam(), {.queries = 3, .keys = 65535, .head_dimension = 8, .value_dimension = 72}, 1));
}

}  // namespace
}  // namespace hccs
