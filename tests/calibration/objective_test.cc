// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "calibration/row_table.h"
#include "hccs/calibration.h"
#include "synthetic_heads.h"

namespace hccs {
namespace {

using internal::Curve;
using internal::Gradient;
using internal::RowSet;
using internal::RowTable;

HeadParams random_params(Random& random) {
  for (;;) {
    HeadParams p;
    p.knee_count = static_cast<int32_t>(random.uniform_int(1, kMaxKnees));
    std::vector<int32_t> positions(p.knee_count);
    for (int32_t& d : positions) d = static_cast<int32_t>(random.uniform_int(1, random.uniform() < 0.5 ? 20 : 127));
    std::sort(positions.begin(), positions.end());
    int64_t used = 0;
    for (int k = 0; k < p.knee_count; ++k) {
      p.knees[k] = {static_cast<int32_t>(random.uniform_int(0, 127)), positions[k]};
      used += p.knees[k].slope * p.knees[k].position;
    }
    const int64_t floor = random.uniform() < 0.3 ? 0 : static_cast<int64_t>(std::exp(10 * random.uniform()));
    p.offset = static_cast<int32_t>(used + floor);
    if (validate(p).ok()) return p;
  }
}

// The definition, written again: no shared subexpression, no clever order, 64-bit mantissas.
long double direct_kl(std::span<const float> logits, double step, const HeadParams& p) {
  const auto int8_of = [&](float logit) {
    const double x = std::nearbyint(logit / step);
    return static_cast<int>(x > 127 ? 127 : x < -128 ? -128 : x);
  };
  int m = -128;
  long double largest = -std::numeric_limits<long double>::infinity();
  for (float logit : logits) {
    m = std::max(m, int8_of(logit));
    largest = std::max<long double>(largest, logit);
  }
  std::vector<long double> e, s;
  long double e_sum = 0, s_sum = 0;
  for (float logit : logits) {
    const int d = m - int8_of(logit);
    int64_t score = p.offset;
    for (int k = 0; k < p.knee_count; ++k) score -= p.knees[k].slope * std::min(d, p.knees[k].position);
    int64_t floor = p.offset;
    for (int k = 0; k < p.knee_count; ++k) floor -= p.knees[k].slope * p.knees[k].position;
    s.push_back(floor > 0 ? score : score + p.offset / 65536.0L);
    e.push_back(std::exp(logit - largest));
    e_sum += e.back();
    s_sum += s.back();
  }
  long double kl = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const long double probability = e[i] / e_sum;
    if (probability > 0) kl += probability * std::log(probability / (s[i] / s_sum));
  }
  return kl;
}

double random_step(Random& random) { return std::exp(-5.0 + 5.0 * random.uniform()); }

TEST(Objective, EqualsTheDefinition) {
  constexpr uint64_t kSeed = 11;
  Random random(kSeed);
  int zero_floors = 0;
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed 11");
    for (const auto& row : head.draw(100, kSeed)) {
      const HeadParams p = random_params(random);
      const double step = random_step(random);
      zero_floors += p.floor() == 0 ? 1 : 0;
      const auto expected = static_cast<double>(direct_kl(row, step, p));
      EXPECT_NEAR(row_kl(row, step, p), expected, 1e-12 * (1.0 + std::abs(expected)));
    }
  }
  EXPECT_GT(zero_floors, 100);
}

// Logits that are the logarithms of the scores, at distances of 0 and 4 units: softmax is s / Z.
TEST(Objective, IsZeroWhereTheScoresAreTheProbabilities) {
  const HeadParams p(500, {{50, 4}, {10, 20}});
  ASSERT_EQ(p.score(4), 260);
  const float t = std::log(500.0F / 260.0F);
  for (float maximum : {0.0F, 2.0F, -3.0F}) {
    // The maximum is a multiple of the step, so that rounding it costs nothing.
    const double step = t / 4.0;
    const auto top = static_cast<float>(std::nearbyint(maximum / step) * step);
    const std::vector<float> row = {top, top - t, top - t, top};
    EXPECT_NEAR(row_kl(row, step, p), 0.0, 1e-12);
  }
  const std::vector<float> equal(9, 3.25F);
  EXPECT_NEAR(row_kl(equal, 0.1, p), 0.0, 1e-15);
  const std::vector<float> one = {-7.0F};
  EXPECT_EQ(row_kl(one, 0.1, p), 0.0);
}

TEST(Objective, ChargesAZeroScoreAsAFloorOfOneIn65536) {
  const HeadParams p(100, {{10, 10}});
  ASSERT_EQ(p.floor(), 0);
  const std::vector<float> row = {0.0F, -2.0F};  // distance 20 units: score 0
  const double e = std::exp(-2.0);
  const double p0 = 1 / (1 + e), p1 = e / (1 + e);
  const double charge = 100.0 / 65536.0;
  const double z = 100.0 + 2 * charge;
  EXPECT_NEAR(row_kl(row, 0.1, p), p0 * std::log(p0 / ((100 + charge) / z)) + p1 * std::log(p1 / (charge / z)), 1e-12);
  EXPECT_EQ(charged_floor(100, 0), charge);
  EXPECT_EQ(charged_floor(100, 3), 3.0);
  // Half of the least that the contract can express: F = 1 beside the largest B.
  EXPECT_NEAR(charged_floor(kMaxOffset, 0), 0.5, 1e-4);
}

TEST(Objective, SeesInt8Clipping) {
  const HeadParams p(1000, {{9, 100}});
  // 20 and 14 are both 127 at a step of 0.1: the scores are equal, the probabilities are not.
  const std::vector<float> clipped = {20.0F, 14.0F};
  const double q = 1 / (1 + std::exp(-6.0));
  const double both_half = std::log(2.0) + q * std::log(q) + (1 - q) * std::log(1 - q);
  EXPECT_NEAR(row_kl(clipped, 0.1, p), both_half, 1e-12);
  // -12 reaches -120, the others saturate at -128: distance 8.
  const std::vector<float> below = {-12.0F, -20.0F, -30.0F};
  EXPECT_NEAR(row_kl(below, 0.1, p), static_cast<double>(direct_kl(below, 0.1, p)), 1e-12);
  std::vector<int8_t> x(3);
  quantise_logits(below, 0.1, x);
  EXPECT_EQ(x, (std::vector<int8_t>{-120, -128, -128}));
}

TEST(QuantiseLogits, RoundsHalfToEvenAndSaturates) {
  const float huge = std::numeric_limits<float>::max();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> logits = {
      0.5F,    1.5F,    2.5F, -0.5F, -1.5F,    127.5F,    126.5F,
      -128.5F, -127.5F, huge, -huge, infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
      0.0F};
  std::vector<int8_t> x(logits.size());
  quantise_logits(logits, 1.0, x);
  EXPECT_EQ(x, (std::vector<int8_t>{0, 2, 2, 0, -2, 127, 126, -128, -128, 127, -128, 127, -128, 0, 0}));
  for (int i = -128; i <= 127; ++i) {
    for (double step : {0.1, 0.3, 0.7, 1e-3, 123.0}) {
      const auto logit = static_cast<float>(i * step);
      quantise_logits(std::span(&logit, 1), step, std::span(x).first(1));
      EXPECT_EQ(x[0], i) << step;
    }
  }
}

TEST(Objective, IsNeverNegativeNorNaN) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    for (int i = 0; i < 300; ++i) {
      std::vector<float> row(random.uniform_int(1, 40));
      const double magnitude = std::exp(-70 + 158 * random.uniform());  // 1e-30 .. 1e38
      for (float& x : row) x = static_cast<float>(magnitude * (random.uniform() < 0.1 ? 0 : random.normal()) / 6);
      const double step = random.uniform() < 0.5 ? random_step(random) : magnitude / 200;
      const double kl = row_kl(row, step, random_params(random));
      EXPECT_GE(kl, 0.0);
      EXPECT_TRUE(std::isfinite(kl));
      const double exact = row_kl_int8_exact(row, step);
      EXPECT_GE(exact, 0.0);
      EXPECT_TRUE(std::isfinite(exact)) << magnitude << " at " << step;
    }
  }
}

TEST(Objective, Int8ExactIsTheCostOfRoundingTheLogits) {
  const std::vector<float> on_the_lattice = {0.5F, -1.0F, 2.25F, -3.75F};
  EXPECT_NEAR(row_kl_int8_exact(on_the_lattice, 0.25), 0.0, 1e-14);
  // 0.4 rounds to 0 and 1.6 to 2: softmax of a distance of 2 where it is 1.2.
  const std::vector<float> off = {1.6F, 0.4F};
  const double p = 1 / (1 + std::exp(-1.2)), q = 1 / (1 + std::exp(-2.0));
  EXPECT_NEAR(row_kl_int8_exact(off, 1.0), p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q)), 1e-7);
  // Finer steps cost less, until int8 saturates.
  const Rows rows = synthetic_heads()[1].draw(200, 4);
  const auto mean = [&](double step) {
    double sum = 0;
    for (const auto& row : rows) sum += row_kl_int8_exact(row, step);
    return sum / static_cast<double>(rows.size());
  };
  EXPECT_LT(mean(0.05), mean(0.2));
  EXPECT_LT(mean(0.2), mean(0.8));
  EXPECT_LT(mean(0.05), mean(0.002));
}

// ---- The table, which is what the search sees ------------------------------------------------

Curve curve_of(const HeadParams& p) {
  Curve c{.knees = p.knee_count, .floor = charged_floor(p.offset, p.floor())};
  for (int k = 0; k < p.knee_count; ++k) {
    c.slope[k] = p.knees[k].slope;
    c.position[k] = p.knees[k].position;
  }
  return c;
}

TEST(RowTable, OfInt8EqualsTheObjectivesMean) {
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed 21");
    const Rows rows = head.draw(77, 21);
    const RowSet set = RowSet::of_rows(spans_of(rows));
    Random random(21);
    for (int i = 0; i < 10; ++i) {
      const double step = random_step(random);
      const RowTable table = RowTable::of_int8(set, step, set.row_count());
      for (int j = 0; j < 10; ++j) {
        const HeadParams p = random_params(random);
        double expected = 0;
        for (const auto& row : rows) expected += row_kl(row, step, p);
        expected /= static_cast<double>(rows.size());
        EXPECT_NEAR(table.mean_kl(curve_of(p)), expected, 2e-6 * (1 + expected));
      }
    }
  }
}

double kl_of_distances(const RowSet& set, const Curve& c) {
  double kl = set.negative_entropy;
  for (int64_t r = 0; r < set.row_count(); ++r) {
    double z = 0, cross = 0;
    for (int64_t i = set.begin[r]; i < set.begin[r + 1]; ++i) {
      double f = c.floor;
      for (int k = 0; k < c.knees; ++k) f += c.slope[k] * std::max(c.position[k] - set.distances[i], 0.0);
      z += f;
      cross += set.probabilities[i] * std::log(f);
    }
    kl += (std::log(z) - cross) / static_cast<double>(set.row_count());
  }
  return kl;
}

// Real-valued curves that are not too far from exp(-t).
Curve random_curve(Random& random, int knees) {
  Curve c{.knees = knees, .floor = std::exp(-2 - 6 * random.uniform())};
  for (int k = 0; k < knees; ++k) {
    c.position[k] = 0.5 + 8.0 * random.uniform();
    c.slope[k] = random.uniform() / c.position[k];
  }
  return c;
}

TEST(RowTable, OfDistancesEqualsTheUnroundedObjective) {
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed 22");
    const RowSet set = RowSet::of_rows(spans_of(head.draw(50, 22)));
    const RowTable table = RowTable::of_distances(set, 8192, 24.0 / 8192, set.row_count());
    Random random(22);
    for (int i = 0; i < 20; ++i) {
      const Curve c = random_curve(random, 1 + i % 4);
      const double expected = kl_of_distances(set, c);
      EXPECT_NEAR(table.mean_kl(c), expected, 1e-3 * (1 + expected));
    }
  }
}

TEST(RowTable, GradientEqualsDifferences) {
  const RowSet set = RowSet::of_rows(spans_of(synthetic_heads()[2].draw(700, 23)));
  const RowTable table = RowTable::of_distances(set, 256, 12.0 / 256, set.row_count());
  Random random(23);
  for (int i = 0; i < 40; ++i) {
    SCOPED_TRACE(testing::Message() << "curve " << i << ", seed 23");
    Curve c = random_curve(random, 1 + i % 4);
    // In the middle of a bin: at its ends the table's derivative in the position jumps.
    for (int k = 0; k < c.knees; ++k) c.position[k] = (std::floor(c.position[k] / (12.0 / 256)) + 0.5) * (12.0 / 256);
    Gradient gradient;
    EXPECT_EQ(table.mean_kl(c, &gradient), table.mean_kl(c));
    const auto difference = [&](double* variable) {
      const double kept = *variable;
      const double h = 1e-3 * kept;
      *variable = kept + h;
      const double above = table.mean_kl(c);
      *variable = kept - h;
      const double below = table.mean_kl(c);
      *variable = kept;
      return (above - below) / (2 * h);
    };
    const auto expect_close = [](double actual, double expected, double scale) {
      EXPECT_NEAR(actual * scale, expected * scale, 1e-4 + 2e-3 * std::abs(expected * scale));
    };
    expect_close(gradient.floor, difference(&c.floor), c.floor);
    for (int k = 0; k < c.knees; ++k) {
      expect_close(gradient.slope[k], difference(&c.slope[k]), c.slope[k]);
      expect_close(gradient.position[k], difference(&c.position[k]), c.position[k]);
    }
  }
}

TEST(RowTable, UsesTheFirstRowsOnly) {
  Rows rows = synthetic_heads()[1].draw(60, 24);
  const RowSet all = RowSet::of_rows(spans_of(rows));
  rows.resize(25);
  RowSet some = RowSet::of_rows(spans_of(rows));
  const double entropies = all.negative_entropy - some.negative_entropy;  // a table keeps that of all rows
  Random random(24);
  const HeadParams p = random_params(random);
  EXPECT_NEAR(RowTable::of_int8(all, 0.05, 25).mean_kl(curve_of(p)) - entropies,
              RowTable::of_int8(some, 0.05, 100).mean_kl(curve_of(p)), 1e-9);
}

}  // namespace
}  // namespace hccs
