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
