// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "hccs/calibration.h"

namespace hccs {
namespace {

std::vector<float> row_of(uint64_t id) { return {static_cast<float>(id), 1.0F, static_cast<float>(id % 7)}; }

RowSample sample_of(std::span<const uint64_t> ids, int64_t capacity, uint64_t seed) {
  RowSample sample(capacity, seed);
  for (uint64_t id : ids) EXPECT_TRUE(sample.add(id, row_of(id)).ok());
  return sample;
}

std::vector<uint64_t> first_ids(int count) {
  std::vector<uint64_t> ids(count);
  std::iota(ids.begin(), ids.end(), uint64_t{0});
  return ids;
}

void expect_same_rows(const RowSample& a, const RowSample& b) {
  ASSERT_EQ(a.rows().size(), b.rows().size());
  for (size_t i = 0; i < a.rows().size(); ++i) {
    EXPECT_EQ(a.rows()[i].id, b.rows()[i].id);
    EXPECT_EQ(a.rows()[i].hash, b.rows()[i].hash);
    EXPECT_EQ(a.rows()[i].logits, b.rows()[i].logits);
  }
}

TEST(RowSample, KeepsEveryRowUpToItsCapacity) {
  for (int count : {1, 9, 10}) {
    const RowSample sample = sample_of(first_ids(count), 10, 1);
    EXPECT_EQ(sample.rows().size(), count);
    EXPECT_EQ(sample.rows_seen(), count);
    std::set<uint64_t> ids;
    for (const RowSample::Row& row : sample.rows()) {
      ids.insert(row.id);
      EXPECT_EQ(row.logits, row_of(row.id));
    }
    EXPECT_EQ(ids.size(), count);
  }
  const RowSample full = sample_of(first_ids(1000), 10, 1);
  EXPECT_EQ(full.rows().size(), 10);
  EXPECT_EQ(full.rows_seen(), 1000);
  EXPECT_EQ(full.capacity(), 10);
}

TEST(RowSample, DoesNotDependOnTheOrder) {
  for (uint64_t seed : {0, 1, 2}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::vector<uint64_t> ids = first_ids(3000);
    const RowSample in_order = sample_of(ids, 100, seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 5; ++i) {
      std::shuffle(ids.begin(), ids.end(), random);
      expect_same_rows(in_order, sample_of(ids, 100, seed));
    }
  }
}

// ---- Merging and restoring ------------------------------------------------------------------------------------------

TEST(RowSample, MergedPartsAreWhatOneSampleSees) {
  for (const uint64_t seed : {0, 1, 2}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::vector<uint64_t> ids = first_ids(3000);
    const RowSample one = sample_of(ids, 100, seed);
    for (const size_t cut : {0, 1, 99, 1500, 3000}) {
      RowSample first = sample_of(std::span(ids).first(cut), 100, seed);
      RowSample second = sample_of(std::span(ids).subspan(cut), 100, seed);
      ASSERT_TRUE(second.merge(first).ok());
      expect_same_rows(one, second);
      EXPECT_EQ(second.rows_seen(), 3000);
      ASSERT_TRUE(second.add(9999, row_of(9999)).ok());  // and more may follow
      EXPECT_EQ(second.rows_seen(), 3001);
    }
  }
}

TEST(RowSample, MergeAddsWhatWasNotFinite) {
  RowSample a(10, 1);
  RowSample b(10, 1);
  const float infinity = std::numeric_limits<float>::infinity();
  ASSERT_TRUE(a.add(1, std::vector<float>{1, -infinity}).ok());
  ASSERT_TRUE(b.add(2, std::vector<float>{NAN}).ok());
  ASSERT_TRUE(a.merge(b).ok());
  EXPECT_EQ(a.rows_seen(), 2);
  EXPECT_EQ(a.non_finite_rows(), 2);
  EXPECT_EQ(a.minus_infinity_rows(), 1);
}

TEST(RowSample, RefusesToMergeWhatIsNotOfOneSample) {
  const std::vector<uint64_t> ids = first_ids(20);
  RowSample sample = sample_of(ids, 100, 1);
  const RowSample before = sample;
  for (const auto& [other, part] :
       {std::pair{sample_of({}, 99, 1), "up to 99 rows"}, std::pair{sample_of({}, 100, 2), "seed 2"},
        std::pair{sample_of(std::span(ids).first(1), 100, 1), "row id 0 "}}) {
    const Status status = sample.merge(other);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    expect_same_rows(before, sample);
    EXPECT_EQ(sample.rows_seen(), 20);
  }
}

TEST(RowSample, IsRestoredFromItsRows) {
  const RowSample sample = sample_of(first_ids(500), 100, 7);
  std::vector<RowSample::Row> rows = sample.rows();
  std::shuffle(rows.begin(), rows.end(), std::mt19937_64(1));
  for (RowSample::Row& row : rows) row.hash = 0;
  const auto restored = RowSample::restore(100, 7, {.seen = 500}, rows);
  ASSERT_TRUE(restored.ok()) << restored.status().message();
  expect_same_rows(sample, *restored);
  EXPECT_EQ(restored->rows_seen(), 500);
  EXPECT_EQ(restored->seed(), 7);
}

TEST(RowSample, RestoreRefusesWhatNoSampleHas) {
  const RowSample sample = sample_of(first_ids(3), 5, 7);
  const auto fails = [&](int64_t capacity, RowSample::Counts counts, auto edit, std::string_view part) {
    std::vector<RowSample::Row> rows = sample.rows();
    edit(rows);
    const auto restored = RowSample::restore(capacity, 7, counts, rows);
    ASSERT_FALSE(restored.ok()) << part;
    EXPECT_EQ(restored.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(restored.status().message().find(part), std::string::npos) << restored.status().message();
  };
  const auto as_it_is = [](auto&) {};
  fails(0, {.seen = 3}, as_it_is, "up to 0");
  fails(2, {.seen = 3}, as_it_is, "up to 2");
  fails(5, {.seen = 2}, as_it_is, "contradict");
  fails(5, {.seen = 4}, as_it_is, "contradict");
  fails(5, {.seen = 4, .non_finite = 1, .minus_infinity = 2}, as_it_is, "contradict");
  fails(5, {.seen = 3, .minus_infinity = -1}, as_it_is, "contradict");
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  fails(5, {.seen = 3, .non_finite = kLeast}, as_it_is, "contradict");
  fails(5, {.seen = kLeast, .non_finite = kMost}, as_it_is, "contradict");
  fails(5, {.seen = kMost, .non_finite = kMost}, as_it_is, "at most 70368744177664");
  fails(
      5, {.seen = 3}, [](auto& rows) { rows[1].id = rows[0].id; }, "twice");
  fails(
      5, {.seen = 3}, [](auto& rows) { rows[1].logits.clear(); }, "0 positions");
  fails(
      5, {.seen = 3}, [](auto& rows) { rows[1].logits[0] = NAN; }, "finite");
  EXPECT_TRUE(RowSample::restore(5, 7, {.seen = 4, .non_finite = 1, .minus_infinity = 1}, sample.rows()).ok());
}

TEST(RowSample, RowsMayBeReadBetweenAdditions) {
  const std::vector<uint64_t> ids = first_ids(500);
  RowSample interrupted(20, 3);
  for (uint64_t id : ids) {
    ASSERT_TRUE(interrupted.add(id, row_of(id)).ok());
    if (id % 13 == 0) {
      EXPECT_EQ(interrupted.rows().size(), std::min<uint64_t>(id + 1, 20));
    }
  }
  expect_same_rows(sample_of(ids, 20, 3), interrupted);
}

// Samples of the parts, put together, hold the sample of the whole: what makes it safe to give each thread its own.
TEST(RowSample, SamplesOfPartsHoldTheSampleOfTheWhole) {
  const std::vector<uint64_t> ids = first_ids(2000);
  const RowSample whole = sample_of(ids, 64, 5);
  for (int parts : {2, 3, 7}) {
    RowSample merged(64, 5);
    for (int part = 0; part < parts; ++part) {
      RowSample sample(64, 5);
      for (uint64_t id : ids) {
        if (static_cast<int>(id * 2654435761 % parts) != part) continue;
        ASSERT_TRUE(sample.add(id, row_of(id)).ok());
      }
      for (const RowSample::Row& row : sample.rows()) ASSERT_TRUE(merged.add(row.id, row.logits).ok());
    }
    expect_same_rows(whole, merged);
  }
}

TEST(RowSample, AnotherSeedDrawsOtherRows) {
  const std::vector<uint64_t> ids = first_ids(1000);
  std::set<uint64_t> drawn;
  for (uint64_t seed : {1, 2}) {
    const RowSample sample = sample_of(ids, 50, seed);
    for (const RowSample::Row& row : sample.rows()) drawn.insert(row.id);
  }
  EXPECT_GT(drawn.size(), 75);  // of 100; 97.5 expected
}

// Over many seeds each of 200 ids is drawn equally often, whatever its number: chi-squared with 199 degrees of freedom
// is above 300 by chance once in 200,000.
TEST(RowSample, IsUniform) {
  for (uint64_t first : {uint64_t{0}, uint64_t{1} << 40, std::numeric_limits<uint64_t>::max() - 199}) {
    SCOPED_TRACE(testing::Message() << "ids from " << first);
    constexpr int kIds = 200;
    constexpr int kCapacity = 20;
    constexpr int kSeeds = 4000;
    std::vector<int> drawn(kIds, 0);
    std::vector<uint64_t> ids(kIds);
    std::iota(ids.begin(), ids.end(), first);
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      const RowSample sample = sample_of(ids, kCapacity, seed);
      for (const RowSample::Row& row : sample.rows()) ++drawn[row.id - first];
    }
    const double expected = static_cast<double>(kSeeds) * kCapacity / kIds;
    // The variance of one count is expected * (1 - kCapacity / kIds).
    double chi_squared = 0;
    for (int count : drawn) chi_squared += (count - expected) * (count - expected) / expected / 0.9;
    EXPECT_LT(chi_squared, 300);
    EXPECT_GT(chi_squared, 120);
  }
}

TEST(RowSample, CountsRowsThatAreNotFinite) {
  RowSample sample(10, 0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (float bad : {nan, infinity, -infinity}) {
    const std::vector<float> row = {0.0F, bad, 1.0F};
    EXPECT_TRUE(sample.add(sample.rows_seen(), row).ok());
  }
  EXPECT_TRUE(sample.add(3, row_of(3)).ok());
  EXPECT_EQ(sample.non_finite_rows(), 3);
  EXPECT_EQ(sample.rows_seen(), 4);
  ASSERT_EQ(sample.rows().size(), 1);
  EXPECT_EQ(sample.rows()[0].id, 3);
}

TEST(RowSample, RefusesRowsOfOtherLengthsThanTheContracts) {
  RowSample sample(10, 0);
  const Status empty = sample.add(17, {});
  EXPECT_EQ(empty.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(empty.message(), "row 17 has 0 positions, but 1 <= n <= 65536");
  const std::vector<float> long_row(65537, 0.0F);
  EXPECT_EQ(sample.add(18, long_row).message(), "row 18 has 65537 positions, but 1 <= n <= 65536");
  EXPECT_EQ(sample.rows_seen(), 0);
  EXPECT_TRUE(sample.rows().empty());
  EXPECT_TRUE(sample.add(18, std::span(long_row).first(65536)).ok());
  EXPECT_TRUE(sample.add(19, std::span(long_row).first(1)).ok());
  EXPECT_EQ(sample.rows().size(), 2);
}

}  // namespace
}  // namespace hccs
