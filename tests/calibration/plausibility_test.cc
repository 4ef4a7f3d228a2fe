// SPDX-License-Identifier: Apache-2.0
#include "hccs/plausibility.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "hccs/calibration.h"
#include "synthetic_heads.h"

namespace hccs {
namespace {

constexpr uint64_t kSeed = 11;

RowSample sample_of(const Rows& rows) {
  RowSample sample(1 << 20, 0);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_TRUE(sample.add(i, rows[i]).ok());
  return sample;
}

// Rows of 48 normal logits, of which change(row, valid) makes what a dump might hold; `valid` is 6..24.
Rows rows_of(int count, const std::function<void(std::vector<float>&, size_t)>& change, double deviation = 2) {
  Random random(kSeed);
  Rows rows;
  for (int r = 0; r < count; ++r) {
    std::vector<float> row(48);
    for (float& x : row) x = static_cast<float>(deviation * random.normal());
    change(row, static_cast<size_t>(random.uniform_int(6, 24)));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<FindingKind> kinds(const Rows& rows) {
  std::vector<FindingKind> found;
  for (const Finding& finding : check_plausibility(sample_of(rows))) {
    EXPECT_FALSE(finding.message.empty());
    const bool wrong = finding.kind == FindingKind::kMaskedLogits || finding.kind == FindingKind::kPadding ||
                       finding.kind == FindingKind::kProbabilities;
    EXPECT_EQ(finding.refused, wrong);
    found.push_back(finding.kind);
  }
  return found;
}

const std::vector<FindingKind> kNone;
const std::vector<FindingKind> kMask = {FindingKind::kMaskedLogits};

TEST(Plausibility, LogitsAsModelsHaveThemPass) {
  EXPECT_EQ(kinds(rows_of(400, [](auto&, size_t) {})), kNone);
  EXPECT_EQ(kinds(rows_of(
                400, [](auto&, size_t) {}, 12)),
            kNone);
  // Rows of their valid positions alone.
  EXPECT_EQ(kinds(rows_of(400, [](auto& row, size_t valid) { row.resize(valid); })), kNone);
  // A sink: one position far above all others.
  EXPECT_EQ(kinds(rows_of(400, [](auto& row, size_t) { row[0] += 60; })), kNone);
  // Rounded to a step, and clamped to int8 at it.
  for (const double step : {0.01, 0.05, 0.25}) {
    EXPECT_EQ(kinds(rows_of(400,
                            [&](auto& row, size_t) {
                              for (float& x : row)
                                x = static_cast<float>(step * std::clamp(std::round(x / step), -128.0, 127.0));
                            })),
              kNone)
        << step;
  }
  // Constants that differ from row to row, but no more than the rows do.
  Random random(kSeed);
  EXPECT_EQ(kinds(rows_of(400,
                          [&](auto& row, size_t) {
                            const auto shift = static_cast<float>(2 * random.normal());
                            for (float& x : row) x += shift;
                          })),
            kNone);
}

TEST(Plausibility, MasksAreFound) {
  for (const float mask : {-9.0F, -30.0F, -100.0F, -1e4F, -65504.0F, -1e9F, -std::numeric_limits<float>::max()}) {
    const auto fill = [&](size_t begin, size_t end, auto& row) {
      for (size_t i = begin; i < end; ++i) row[i] = mask;
    };
    EXPECT_EQ(kinds(rows_of(400, [&](auto& row, size_t valid) { fill(valid, 48, row); })), kMask) << mask;
    EXPECT_EQ(kinds(rows_of(400, [&](auto& row, size_t valid) { fill(0, 48 - valid, row); })), kMask) << mask;
    EXPECT_EQ(kinds(rows_of(400,
                            [&](auto& row, size_t valid) {
                              for (size_t i = 0; i < 48; i += valid) row[i] = mask;
                            })),
              kMask)
        << mask;
  }
  // A few of many rows.
  int r = 0;
  EXPECT_EQ(kinds(rows_of(400, [&](auto& row, size_t) { row[20] = r++ % 100 == 0 ? -100.0F : row[20]; })), kMask);
}

TEST(Plausibility, AddedMasksAreFound) {
  for (const float mask : {-100.0F, -1250.0F, -1e4F, -1e6F}) {
    EXPECT_EQ(kinds(rows_of(400,
                            [&](auto& row, size_t valid) {
                              for (size_t i = valid; i < 48; ++i) row[i] += mask;
                            })),
              kMask)
        << mask;
  }
}

TEST(Plausibility, PaddingIsFound) {
  for (const float padding : {0.0F, 1.0F}) {
    const auto at_end = kinds(rows_of(400, [&](auto& row, size_t valid) {
      for (size_t i = valid; i < 48; ++i) row[i] = padding;
    }));
    EXPECT_EQ(at_end, std::vector{FindingKind::kPadding}) << padding;
    const auto at_begin = kinds(rows_of(400, [&](auto& row, size_t valid) {
      for (size_t i = 0; i < 48 - valid; ++i) row[i] = padding;
    }));
    EXPECT_EQ(at_begin, std::vector{FindingKind::kPadding}) << padding;
  }
}

TEST(Plausibility, ProbabilitiesAreFound) {
  EXPECT_EQ(kinds(rows_of(400,
                          [](auto& row, size_t) {
                            float sum = 0;
                            for (float& x : row) sum += x = std::exp(x);
                            for (float& x : row) x /= sum;
                          })),
            std::vector{FindingKind::kProbabilities});
}

TEST(Plausibility, WhatMayBeWorseThanItCouldBeIsPointedOut) {
  Random random(kSeed);
  EXPECT_EQ(kinds(rows_of(400,
                          [&](auto& row, size_t) {
                            const auto shift = static_cast<float>(200 * random.normal());
                            for (float& x : row) x += shift;
                          })),
            std::vector{FindingKind::kShiftedRows});
  for (const float constant : {-2e4F, -60.0F, 60.0F, 500.0F}) {  // the same in all rows
    EXPECT_EQ(kinds(rows_of(400,
                            [&](auto& row, size_t) {
                              for (float& x : row) x += constant;
                            })),
              std::vector{FindingKind::kShiftedRows})
        << constant;
  }
  EXPECT_EQ(kinds(rows_of(400,
                          [](auto& row, size_t) {
                            for (float& x : row) x = std::round(8 * x);
                          })),
            std::vector{FindingKind::kWholeNumbers});
  EXPECT_EQ(kinds(rows_of(kFewRows - 1, [](auto&, size_t) {})), std::vector{FindingKind::kFewRows});
  EXPECT_EQ(kinds(rows_of(kFewRows, [](auto&, size_t) {})), kNone);
}

TEST(Plausibility, CalibrateStopsOrReports) {
  const Rows masked = rows_of(200, [](auto& row, size_t valid) {
    for (size_t i = valid; i < 48; ++i) row[i] = -1e4F;
  });
  std::vector<RowSample> heads = {sample_of(rows_of(200, [](auto&, size_t) {})), sample_of(masked)};
  const auto stopped = calibrate(heads, 2, {.knees = 1});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.status().code(), StatusCode::kInvalidArgument);
  for (const char* part : {"layer 0, head 1: ", "-10000", "lengths.npy"}) {
    EXPECT_NE(stopped.status().message().find(part), std::string::npos) << stopped.status().message();
  }
  EXPECT_EQ(stopped.status().message().find("head 0"), std::string::npos);
  const auto reported = calibrate(heads, 2, {.knees = 1, .on_implausible = OnImplausible::kReport});
  ASSERT_TRUE(reported.ok()) << reported.status().message();
  EXPECT_TRUE((*reported)[0].findings.empty());
  ASSERT_EQ((*reported)[1].findings.size(), 1);
  EXPECT_EQ((*reported)[1].findings[0].kind, FindingKind::kMaskedLogits);
  EXPECT_FALSE((*reported)[1].kl_held_out.has_value());
}

TEST(Plausibility, FewRowsAreJudgedByTheOtherHalf) {
  Random random(kSeed);
  const auto widen = [&](auto& row, size_t) {
    const auto width = static_cast<float>(1 + 3 * random.uniform());
    for (float& x : row) x *= width;
  };
  const std::vector<RowSample> few = {sample_of(rows_of(4, widen, 1))};
  const auto fit = calibrate(few, 1, {});
  ASSERT_TRUE(fit.ok()) << fit.status().message();
  ASSERT_TRUE(fit->front().kl_held_out.has_value());
  EXPECT_GT(*fit->front().kl_held_out, 1.5 * fit->front().kl);
  // The same number by hand: the rows in the sample's order, each half of them under the fit of the other.
  double sum = 0;
  for (const size_t half : {0, 1}) {
    RowSample fitted(1 << 20, 0);
    const auto& rows = few[0].rows();
    for (size_t r = half; r < rows.size(); r += 2) ASSERT_TRUE(fitted.add(rows[r].id, rows[r].logits).ok());
    const auto half_fit = calibrate(std::span(&fitted, 1), 1, {});
    ASSERT_TRUE(half_fit.ok()) << half_fit.status().message();
    for (size_t r = 1 - half; r < rows.size(); r += 2) {
      sum += row_kl(rows[r].logits, half_fit->front().step, half_fit->front().params);
    }
  }
  EXPECT_NEAR(*fit->front().kl_held_out, sum / 4, 1e-9);

  const std::vector<RowSample> one = {sample_of(rows_of(1, widen))};
  const auto single = calibrate(one, 1, {});
  ASSERT_TRUE(single.ok()) << single.status().message();
  EXPECT_FALSE(single->front().kl_held_out.has_value());  // there is no other half
  EXPECT_EQ(single->front().findings.at(0).kind, FindingKind::kFewRows);
}

TEST(Plausibility, RowsThatAreRepeatedCountOnce) {
  const Rows four = rows_of(
      4, [](auto&, size_t) {}, 1);
  Rows repeated;
  for (int i = 0; i < 100; ++i) repeated.insert(repeated.end(), four.begin(), four.end());
  const std::vector<RowSample> heads = {sample_of(repeated)};
  const auto fit = calibrate(heads, 1, {});
  ASSERT_TRUE(fit.ok()) << fit.status().message();
  ASSERT_EQ(fit->front().findings.size(), 1U);
  EXPECT_EQ(fit->front().findings[0].kind, FindingKind::kFewRows);
  EXPECT_NE(fit->front().findings[0].message.find("400 rows, of which 4 are different"), std::string::npos)
      << fit->front().findings[0].message;
  ASSERT_TRUE(fit->front().kl_held_out.has_value());
  EXPECT_GT(*fit->front().kl_held_out, 1.2 * fit->front().kl);
  // Where enough are different, some may be repeated.
  Rows many = rows_of(kFewRows, [](auto&, size_t) {});
  many.insert(many.end(), four.begin(), four.end());
  many.insert(many.end(), four.begin(), four.end());
  EXPECT_EQ(kinds(many), kNone);
}

TEST(Plausibility, InfiniteLogitsAreCalledMasks) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<RowSample> heads = {sample_of({{1, 2, -infinity}, {1, -infinity, -infinity}, {1, 2, 3}})};
  EXPECT_EQ(heads[0].non_finite_rows(), 2);
  EXPECT_EQ(heads[0].minus_infinity_rows(), 2);
  const std::string message = calibrate(heads, 1, {}).status().message();
  EXPECT_NE(message.find("2 of 3 rows have NaN or infinite logits, all of them -inf: those are masked"),
            std::string::npos)
      << message;
  const std::vector<RowSample> others = {sample_of({{1, infinity, -infinity}, {1, std::nanf(""), 2}, {1, 2, 3}})};
  EXPECT_EQ(others[0].minus_infinity_rows(), 0);
}

TEST(Plausibility, EveryKindHasAName) {
  EXPECT_EQ(name(FindingKind::kMaskedLogits), "masked-logits");
  EXPECT_EQ(name(FindingKind::kPadding), "padding");
  EXPECT_EQ(name(FindingKind::kProbabilities), "probabilities");
  EXPECT_EQ(name(FindingKind::kShiftedRows), "shifted-rows");
  EXPECT_EQ(name(FindingKind::kWholeNumbers), "whole-numbers");
  EXPECT_EQ(name(FindingKind::kFewRows), "few-rows");
}

}  // namespace
}  // namespace hccs
