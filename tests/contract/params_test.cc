// SPDX-License-Identifier: Apache-2.0
#include "hccs/params.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hccs {
namespace {

std::string refusal(const HeadParams& params) {
  const Status status = validate(params, "layer 3, head 7");
  EXPECT_TRUE(status.ok() || status.code() == StatusCode::kInvalidArgument);
  return status.message();
}

// Each rule of the contract, at both sides of its edge.

TEST(Validate, Offset) {
  EXPECT_EQ(refusal({1, {{0, 1}}}), "");
  EXPECT_EQ(refusal({32767, {{0, 1}}}), "");
  EXPECT_EQ(refusal({0, {{0, 1}}}), "layer 3, head 7: offset B = 0, but 1 <= B <= 32767");
  EXPECT_EQ(refusal({-5, {{0, 1}}}), "layer 3, head 7: offset B = -5, but 1 <= B <= 32767");
  EXPECT_EQ(refusal({32768, {{0, 1}}}), "layer 3, head 7: offset B = 32768, but 1 <= B <= 32767");
}

TEST(Validate, KneeCount) {
  EXPECT_EQ(refusal({100, {}}), "layer 3, head 7: 0 knees, but 1 <= K <= 4");
  EXPECT_EQ(refusal({100, {{1, 1}}}), "");
  EXPECT_EQ(refusal({100, {{1, 1}, {1, 2}, {1, 3}, {1, 4}}}), "");
  EXPECT_EQ(refusal({100, {{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}}}), "layer 3, head 7: 5 knees, but 1 <= K <= 4");
  HeadParams negative(100, {{1, 1}});
  negative.knee_count = -1;
  EXPECT_EQ(refusal(negative), "layer 3, head 7: -1 knees, but 1 <= K <= 4");
}

TEST(Validate, Slope) {
  EXPECT_EQ(refusal({500, {{0, 1}, {127, 2}}}), "");
  EXPECT_EQ(refusal({500, {{-1, 1}}}), "layer 3, head 7: slope S_1 = -1, but 0 <= S <= 127");
  EXPECT_EQ(refusal({500, {{1, 1}, {128, 2}}}), "layer 3, head 7: slope S_2 = 128, but 0 <= S <= 127");
}

TEST(Validate, KneePosition) {
  EXPECT_EQ(refusal({500, {{1, 1}, {1, 127}}}), "");
  EXPECT_EQ(refusal({500, {{1, 0}}}), "layer 3, head 7: knee position D_1 = 0, but 1 <= D <= 127");
  EXPECT_EQ(refusal({500, {{1, 128}}}), "layer 3, head 7: knee position D_1 = 128, but 1 <= D <= 127");
}

TEST(Validate, KneePositionsIncrease) {
  EXPECT_EQ(refusal({500, {{1, 9}, {1, 10}, {1, 11}}}), "");
  EXPECT_EQ(refusal({500, {{1, 9}, {1, 10}, {1, 10}}}),
            "layer 3, head 7: knee position D_3 = 10 after D_2 = 10, but positions strictly increase");
  EXPECT_EQ(refusal({500, {{1, 10}, {1, 9}}}),
            "layer 3, head 7: knee position D_2 = 9 after D_1 = 10, but positions strictly increase");
}

TEST(Validate, Floor) {
  EXPECT_EQ(refusal({16129, {{127, 127}}}), "");
  EXPECT_EQ(refusal({16128, {{127, 127}}}), "layer 3, head 7: floor F = B - sum S_k*D_k = -1, but F >= 0");
  EXPECT_EQ(refusal({120, {{2, 10}, {5, 20}}}), "");
  EXPECT_EQ(refusal({119, {{2, 10}, {5, 20}}}), "layer 3, head 7: floor F = B - sum S_k*D_k = -1, but F >= 0");
}

TEST(Validate, NamesTheHeadByDefault) { EXPECT_EQ(validate({}).message(), "head: offset B = 0, but 1 <= B <= 32767"); }

TEST(HeadParams, ScoreIsASumOfClippedLines) {
  const HeadParams params(1000, {{20, 10}, {5, 40}, {1, 127}});
  EXPECT_EQ(params.score(0), 1000);
  EXPECT_EQ(params.score(1), 1000 - 26);
  EXPECT_EQ(params.score(10), 1000 - 260);
  EXPECT_EQ(params.score(11), 1000 - 200 - 55 - 11);
  EXPECT_EQ(params.score(41), 1000 - 200 - 200 - 41);
  EXPECT_EQ(params.score(127), 473);
  EXPECT_EQ(params.score(255), 473);
  EXPECT_EQ(params.floor(), 473);
}

// Convex, never rising, from B to F: what the shape promises.
TEST(HeadParams, ScoreIsConvexAndFalls) {
  for (const HeadParams& params :
       {HeadParams(32767, {{127, 127}}), HeadParams(1000, {{20, 10}, {5, 40}, {1, 127}}),
        HeadParams(9439, {{15, 5}, {99, 50}, {4, 79}, {43, 86}}), HeadParams(7, {{0, 64}})}) {
    ASSERT_TRUE(validate(params).ok());
    EXPECT_EQ(params.score(0), params.offset);
    for (int64_t d = 1; d <= 254; ++d) {
      const int64_t fall = params.score(d - 1) - params.score(d);
      EXPECT_GE(fall, params.score(d) - params.score(d + 1)) << d;
      EXPECT_GE(params.score(d), params.floor()) << d;
    }
    EXPECT_EQ(params.score(255), params.floor());
  }
}

// Unchecked parameters are safe to hold and to ask.
TEST(HeadParams, ExcessKneesAreCountedNotStored) {
  const std::vector<Knee> six = {{1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}, {1, 6}};
  HeadParams params(100, six);
  EXPECT_EQ(params.knee_count, 6);
  EXPECT_EQ(params.active_knees().size(), 4);
  EXPECT_EQ(params.score(255), 90);
  params.knee_count = -7;
  EXPECT_TRUE(params.active_knees().empty());
  EXPECT_EQ(params.score(255), 100);
}

TEST(HeadParams, Equality) {
  EXPECT_EQ(HeadParams(10, {{1, 2}}), HeadParams(10, {{1, 2}}));
  EXPECT_NE(HeadParams(10, {{1, 2}}), HeadParams(11, {{1, 2}}));
  EXPECT_NE(HeadParams(10, {{1, 2}}), HeadParams(10, {{1, 3}}));
  EXPECT_NE(HeadParams(10, {{1, 2}}), HeadParams(10, {{1, 2}, {0, 3}}));
}

}  // namespace
}  // namespace hccs
