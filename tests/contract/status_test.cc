// SPDX-License-Identifier: Apache-2.0
#include "hccs/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

namespace hccs {
namespace {

Status refuse() { return {StatusCode::kBadData, "3, but 4"}; }

TEST(Status, IsOkByDefault) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.message(), "");
}

TEST(Status, CarriesCodeAndMessage) {
  const Status status = refuse();
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kBadData);
  EXPECT_EQ(status.message(), "3, but 4");
}

TEST(Status, EveryCodeHasItsName) {
  std::set<std::string_view> names;
  for (const StatusCode code :
       {StatusCode::kOk, StatusCode::kInvalidArgument, StatusCode::kBadData, StatusCode::kMismatch,
        StatusCode::kUnsupported, StatusCode::kIo, StatusCode::kCancelled, StatusCode::kOutOfMemory}) {
    names.insert(name(code));
  }
  EXPECT_EQ(names.size(), 8);
  EXPECT_EQ(names.count("unknown"), 0);
  EXPECT_EQ(name(StatusCode::kIo), "i/o error");
  EXPECT_EQ(name(StatusCode::kOutOfMemory), "out of memory");
  EXPECT_EQ(name(static_cast<StatusCode>(99)), "unknown");
}

TEST(Expected, HoldsAValue) {
  Expected<std::string> text = std::string("abc");
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(static_cast<bool>(text));
  EXPECT_TRUE(text.status().ok());
  EXPECT_EQ(*text, "abc");
  EXPECT_EQ(text->size(), 3);
  text.value() += "d";
  EXPECT_EQ(std::as_const(text).value(), "abcd");
  EXPECT_EQ(std::as_const(text)->size(), 4);
}

TEST(Expected, HoldsAnError) {
  const Expected<std::string> text = refuse();
  EXPECT_FALSE(text.ok());
  EXPECT_FALSE(static_cast<bool>(text));
  EXPECT_EQ(text.status().code(), StatusCode::kBadData);
  EXPECT_EQ(text.status().message(), "3, but 4");
}

TEST(Expected, MovesItsValueOut) {
  Expected<std::unique_ptr<int>> number = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = std::move(number).value();
  EXPECT_EQ(*taken, 7);
  Expected<std::unique_ptr<int>> other = std::make_unique<int>(8);
  const std::unique_ptr<int> also_taken = *std::move(other);
  EXPECT_EQ(*also_taken, 8);
}

// The message is not lost, in any build, however the value is reached for.
TEST(ExpectedDeathTest, PrintsTheErrorWhoseValueIsUsed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Expected<std::string> text = refuse();
  const Expected<std::string> constant = refuse();
  constexpr const char* kPrinted = "failed Expected was used: bad data: 3, but 4";
  EXPECT_DEATH((void)text.value(), kPrinted);
  EXPECT_DEATH((void)*text, kPrinted);
  EXPECT_DEATH((void)text->size(), kPrinted);
  EXPECT_DEATH((void)*constant, kPrinted);
  EXPECT_DEATH((void)constant->size(), kPrinted);
  EXPECT_DEATH((void)std::string(std::move(text).value()), kPrinted);
  // NOLINTNEXTLINE(bugprone-use-after-move): each death test moves in a process of its own
  EXPECT_DEATH((void)std::string(*std::move(text)), kPrinted);
}

Expected<std::unique_ptr<int>> number_unless(bool fail) {
  if (fail) return refuse();
  return std::make_unique<int>(20);
}

Expected<int> sum_unless(bool first_fails, bool second_fails, int& steps) {
  HCCS_ASSIGN_OR_RETURN(const std::unique_ptr<int> first, number_unless(first_fails));
  ++steps;
  std::unique_ptr<int> second;
  HCCS_ASSIGN_OR_RETURN(second, number_unless(second_fails));
  ++steps;
  return *first + *second;
}

TEST(AssignOrReturn, AssignsOrReturnsTheError) {
  int steps = 0;
  const Expected<int> sum = sum_unless(false, false, steps);
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, 40);
  EXPECT_EQ(steps, 2);

  steps = 0;
  EXPECT_EQ(sum_unless(true, false, steps).status().message(), "3, but 4");
  EXPECT_EQ(steps, 0);
  EXPECT_EQ(sum_unless(false, true, steps).status().code(), StatusCode::kBadData);
  EXPECT_EQ(steps, 1);
}

Status twice(bool fail, int& evaluations) {
  const auto step = [&] {
    ++evaluations;
    return fail ? refuse() : Status();
  };
  HCCS_RETURN_IF_ERROR(step());
  if (!fail) HCCS_RETURN_IF_ERROR(step());  // one statement: needs no braces
  return {};
}

TEST(ReturnIfError, EvaluatesOnceAndReturnsTheError) {
  int evaluations = 0;
  EXPECT_TRUE(twice(false, evaluations).ok());
  EXPECT_EQ(evaluations, 2);
  EXPECT_EQ(twice(true, evaluations).message(), "3, but 4");
  EXPECT_EQ(evaluations, 3);
}

}  // namespace
}  // namespace hccs
