// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "hccs/calibration.h"
#include "synthetic_heads.h"

namespace hccs {
namespace {

constexpr uint64_t kSeed = 41;
constexpr int kHeadsPerLayer = 3;

RowSample sample_of(const Rows& rows, int64_t capacity = 1000) {
  RowSample sample(capacity, kSeed);
  for (const auto& row : rows) EXPECT_TRUE(sample.add(sample.rows_seen(), row).ok());
  return sample;
}

// Two layers of three heads, each of another kind.
std::vector<RowSample> six_heads(int rows = 50) {
  std::vector<RowSample> heads;
  const std::vector<SyntheticHead> kinds = synthetic_heads();
  for (int h : {1, 2, 4, 6, 8, 10}) heads.push_back(sample_of(kinds[h].draw(rows, kSeed)));
  return heads;
}

std::vector<HeadFit> fit(std::span<const RowSample> heads, const CalibrationOptions& options) {
  auto fits = calibrate(heads, kHeadsPerLayer, options);
  EXPECT_TRUE(fits.ok()) << fits.status().message();
  return fits.ok() ? *fits : std::vector<HeadFit>(heads.size());
}

void expect_equal(const HeadFit& a, const HeadFit& b) {
  EXPECT_EQ(a.params, b.params);
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.kl, b.kl);
  EXPECT_EQ(a.kl_continuous, b.kl_continuous);
  EXPECT_EQ(a.rows, b.rows);
  EXPECT_EQ(a.longest_row, b.longest_row);
  EXPECT_EQ(a.max_probability, b.max_probability);
  EXPECT_EQ(a.unfit_reason, b.unfit_reason);
}

void expect_equal(const std::vector<HeadFit>& a, const std::vector<HeadFit>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t h = 0; h < a.size(); ++h) {
    SCOPED_TRACE(testing::Message() << "head " << h);
    expect_equal(a[h], b[h]);
  }
}

void expect_sound(const HeadFit& fit, int knees) {
  const Status valid = validate(fit.params);
  EXPECT_TRUE(valid.ok()) << valid.message();
  EXPECT_EQ(fit.params.knee_count, knees);
  EXPECT_TRUE(std::isfinite(fit.step)) << fit.step;
  EXPECT_GT(fit.step, 0);
  EXPECT_TRUE(std::isfinite(fit.kl)) << fit.kl;
  EXPECT_GE(fit.kl, 0);
  EXPECT_GE(fit.kl_continuous, 0);
  EXPECT_GT(fit.max_probability, 0);
  EXPECT_LE(fit.max_probability, 1);
}

TEST(Calibrate, ReportsWhatItFitted) {
  const std::vector<SyntheticHead> kinds = synthetic_heads();
  const Rows rows = kinds[1].draw(80, kSeed);
  const RowSample sample = sample_of(rows);
  const auto fits = calibrate(std::span(&sample, 1), 1, {.knees = 2});
  ASSERT_TRUE(fits.ok());
  const HeadFit& f = fits->front();
  expect_sound(f, 2);
  EXPECT_EQ(f.rows, 80);
  size_t longest = 0;
  double kl = 0;
  for (const auto& row : rows) {
    longest = std::max(longest, row.size());
    kl += row_kl(row, f.step, f.params) / 80;
  }
  EXPECT_EQ(f.longest_row, longest);
  EXPECT_NEAR(f.kl, kl, 1e-12);
  const double b = f.params.offset;
  EXPECT_DOUBLE_EQ(f.max_probability, b / (b + static_cast<double>(longest - 1) * f.params.floor()));
  EXPECT_TRUE(f.unfit_reason.empty());
}

TEST(Calibrate, DoesNotDependOnThreadsOrOrder) {
  const std::vector<RowSample> heads = six_heads();
  const std::vector<HeadFit> expected = fit(heads, {.knees = 2});
  for (int threads = 2; threads <= 4; ++threads) {
    SCOPED_TRACE(testing::Message() << threads << " threads");
    expect_equal(expected, fit(heads, {.knees = 2, .threads = threads}));
  }
  std::vector<RowSample> shuffled;
  std::mt19937_64 random(kSeed);
  for (const RowSample& head : heads) {
    std::vector<RowSample::Row> rows = head.rows();
    std::shuffle(rows.begin(), rows.end(), random);
    RowSample sample(head.capacity(), kSeed);
    for (const RowSample::Row& row : rows) ASSERT_TRUE(sample.add(row.id, row.logits).ok());
    shuffled.push_back(std::move(sample));
  }
  expect_equal(expected, fit(shuffled, {.knees = 2, .threads = 2}));
}

TEST(Calibrate, FitsOnlyTheRowsThatTheSampleKept) {
  const Rows rows = synthetic_heads()[2].draw(300, kSeed);
  const RowSample bounded = sample_of(rows, 40);
  RowSample kept(40, kSeed);
  for (const RowSample::Row& row : bounded.rows()) ASSERT_TRUE(kept.add(row.id, row.logits).ok());
  const auto a = calibrate(std::span(&bounded, 1), 1, {.knees = 1});
  const auto b = calibrate(std::span(&kept, 1), 1, {.knees = 1});
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->front().rows, 40);
  expect_equal(*a, *b);
}

TEST(Calibrate, SharesParametersAsAsked) {
  const std::vector<RowSample> heads = six_heads();
  const std::vector<HeadFit> by_head = fit(heads, {.knees = 1, .share = Share::kHead});
  const std::vector<HeadFit> by_layer = fit(heads, {.knees = 1, .share = Share::kLayer});
  const std::vector<HeadFit> global = fit(heads, {.knees = 1, .share = Share::kGlobal});
  for (int layer = 0; layer < 2; ++layer) {
    SCOPED_TRACE(testing::Message() << "layer " << layer);
    // A layer's set is what its heads get alone as one model.
    const std::vector<HeadFit> alone =
        fit(std::span(heads).subspan(layer * kHeadsPerLayer, kHeadsPerLayer), {.knees = 1, .share = Share::kGlobal});
    for (int h = 0; h < kHeadsPerLayer; ++h) {
      expect_equal(by_layer[layer * kHeadsPerLayer + h], by_layer[layer * kHeadsPerLayer]);
      expect_equal(by_layer[layer * kHeadsPerLayer + h], alone[h]);
      expect_equal(global[layer * kHeadsPerLayer + h], global[0]);
    }
    EXPECT_EQ(by_layer[layer * kHeadsPerLayer].rows, kHeadsPerLayer * 50);
  }
  EXPECT_EQ(global[0].rows, 6 * 50);
  EXPECT_NE(by_layer[0].params, by_layer[kHeadsPerLayer].params);
  EXPECT_NE(by_head[0].params, by_head[1].params);
  // The freer, the better on the rows fitted.
  const auto mean_kl = [](const std::vector<HeadFit>& fits) {
    return std::accumulate(fits.begin(), fits.end(), 0.0, [](double sum, const HeadFit& f) { return sum + f.kl; });
  };
  EXPECT_LT(mean_kl(by_head), mean_kl(by_layer));
  EXPECT_LT(mean_kl(by_layer), mean_kl(global));
  // A pooled set is bounded as its samples are.
  std::vector<RowSample> bounded;
  bounded.reserve(3);
  const std::vector<SyntheticHead> kinds = synthetic_heads();
  for (int h = 0; h < 3; ++h) bounded.push_back(sample_of(kinds[h].draw(100, kSeed), 60));
  EXPECT_EQ(fit(bounded, {.knees = 1, .share = Share::kLayer})[0].rows, 60);
}

// ---- Heads that cannot be fitted -------------------------------------------------------------

struct Unfit {
  const char* name;
  Rows rows;
  const char* reason;
};

std::vector<Unfit> unfit_heads() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  return {
      {"constant",
       {{1.5F, 1.5F, 1.5F}, {-2.0F, -2.0F}, {0.0F}},
       "in each of its 3 rows the logits are equal (within 1e-06)"},
      {"single position", {{1.5F}, {2.5F}}, "all 2 rows have a single valid position"},
      {"NaN", {{1.0F, 2.0F}, {nan, 1.0F}, {0.0F, 3.0F}}, "1 of 3 rows have NaN or infinite logits"},
      {"infinity", {{1.0F, 2.0F}, {1.0F, -infinity}, {infinity, 3.0F}}, "2 of 3 rows have NaN or infinite logits"},
      {"no rows", {}, "no rows"},
  };
}

TEST(Calibrate, AnUnfitHeadStopsTheRun) {
  for (const Unfit& unfit : unfit_heads()) {
    for (Share share : {Share::kHead, Share::kLayer, Share::kGlobal}) {
      SCOPED_TRACE(testing::Message() << unfit.name << ", shared by " << name(share));
      std::vector<RowSample> heads = six_heads();
      heads[4] = sample_of(unfit.rows);
      const auto fits = calibrate(heads, kHeadsPerLayer, {.knees = 1, .share = share});
      EXPECT_EQ(fits.status().code(), StatusCode::kInvalidArgument);
      EXPECT_EQ(fits.status().message(), std::string("cannot be fitted: layer 1, head 1: ") + unfit.reason);
    }
  }
}

TEST(Calibrate, EveryUnfitHeadIsNamed) {
  std::vector<RowSample> heads = six_heads();
  heads[0] = sample_of({});
  heads[5] = sample_of({{1.0F}});
  EXPECT_EQ(calibrate(heads, kHeadsPerLayer, {.knees = 1}).status().message(),
            "cannot be fitted: layer 0, head 0: no rows; layer 1, head 2: all 1 rows have a single valid position");
}

TEST(Calibrate, AnUnfitHeadGetsTheStatedDefault) {
  for (const Unfit& unfit : unfit_heads()) {
    SCOPED_TRACE(unfit.name);
    std::vector<RowSample> heads = six_heads();
    heads[4] = sample_of(unfit.rows);
    const std::vector<HeadFit> fits = fit(heads, {.knees = 1, .on_unfit = OnUnfit::kDefault});
    EXPECT_EQ(fits[4].unfit_reason, unfit.reason);
    // The parameters fitted to the rows of all other heads together.
    std::vector<RowSample> others = heads;
    others.erase(others.begin() + 4);
    const auto pooled = calibrate(others, 5, {.knees = 1, .share = Share::kGlobal});
    ASSERT_TRUE(pooled.ok());
    EXPECT_EQ(fits[4].params, pooled->front().params);
    EXPECT_EQ(fits[4].step, pooled->front().step);
    // The others are as if it did not exist.
    const auto alone = calibrate(others, 5, {.knees = 1});
    ASSERT_TRUE(alone.ok());
    for (int h = 0; h < 4; ++h) expect_equal(fits[h], (*alone)[h]);
    expect_equal(fits[5], (*alone)[4]);
  }
}

TEST(Calibrate, AnUnfitHeadDoesNotSpoilTheLayerThatItSharesWith) {
  std::vector<RowSample> heads = six_heads();
  heads[4] = sample_of(unfit_heads()[2].rows);
  const std::vector<HeadFit> fits = fit(heads, {.knees = 1, .share = Share::kLayer, .on_unfit = OnUnfit::kDefault});
  expect_equal(fits[3], fits[5]);
  EXPECT_EQ(fits[3].rows, 100);
  EXPECT_TRUE(fits[3].unfit_reason.empty());
  EXPECT_FALSE(fits[4].unfit_reason.empty());
}

TEST(Calibrate, NothingToFitIsAnErrorInEveryMode) {
  const std::vector<RowSample> heads(6, sample_of({{1.0F, 1.0F}}));
  for (OnUnfit on_unfit : {OnUnfit::kStop, OnUnfit::kDefault}) {
    const auto fits = calibrate(heads, kHeadsPerLayer, {.knees = 1, .on_unfit = on_unfit});
    EXPECT_EQ(fits.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(fits.status().message().substr(0, 44), "no head can be fitted: layer 0, head 0: in e");
    EXPECT_NE(fits.status().message().find("layer 1, head 2"), std::string::npos);
  }
}

// ---- Options ---------------------------------------------------------------------------------

TEST(Calibrate, RefusesOptionsOutOfRange) {
  const std::vector<RowSample> heads = six_heads(5);
  const auto expect_refused = [&](const CalibrationOptions& options, const std::string& message,
                                  int64_t per_layer = 3) {
    const auto fits = calibrate(heads, per_layer, options);
    EXPECT_EQ(fits.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(fits.status().message(), message);
  };
  expect_refused({.knees = 0}, "knees = 0, but 1 <= K <= 4");
  expect_refused({.knees = 5}, "knees = 5, but 1 <= K <= 4");
  expect_refused({.knees = 1, .threads = 0}, "threads = 0, but threads >= 1");
  expect_refused({.knees = 2, .limits = Limits::kPaper, .length = 64}, "knees = 2, but the paper's limits mean K = 1");
  expect_refused({.knees = 1, .limits = Limits::kPaper}, "length = 0, but the paper's limits need 1 <= n <= 65536");
  expect_refused({.knees = 1, .limits = Limits::kPaper, .length = 65537},
                 "length = 65537, but the paper's limits need 1 <= n <= 65536");
  expect_refused({.knees = 1, .limits = Limits::kPaper, .length = 16384},
                 "length = 16384: n*B <= 32767 gives B <= 1 and n*F >= 256 gives F >= 1, but F < B");
  expect_refused({.knees = 1}, "6 heads are not a positive multiple of 4 heads a layer", 4);
  expect_refused({.knees = 1}, "6 heads are not a positive multiple of 0 heads a layer", 0);
  EXPECT_EQ(calibrate({}, 1, {.knees = 1}).status().message(),
            "0 heads are not a positive multiple of 1 heads a layer");
}

TEST(Calibrate, ReportsProgressAndStopsWhenAsked) {
  const std::vector<RowSample> heads = six_heads(10);
  for (int threads : {1, 3}) {
    std::vector<int64_t> seen;
    (void)fit(heads, {.knees = 1, .threads = threads, .progress = [&](int64_t done, int64_t total) {
                        EXPECT_EQ(total, 6);
                        seen.push_back(done);
                        return true;
                      }});
    EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));

    int calls = 0;
    const auto cancelled =
        calibrate(heads, kHeadsPerLayer, {.knees = 1, .threads = threads, .progress = [&](int64_t, int64_t) {
                                            ++calls;
                                            return false;
                                          }});
    EXPECT_EQ(cancelled.status().code(), StatusCode::kCancelled);
    EXPECT_EQ(calls, 1);
  }
}

TEST(Calibrate, NamesAreTheCommandLines) {
  for (Limits v : {Limits::kNative, Limits::kPaper}) EXPECT_EQ(parse_limits(name(v)), v);
  for (Share v : {Share::kHead, Share::kLayer, Share::kGlobal}) EXPECT_EQ(parse_share(name(v)), v);
  EXPECT_EQ(name(Limits::kPaper), "paper");
  EXPECT_EQ(name(Share::kLayer), "layer");
  EXPECT_FALSE(parse_limits("Native").has_value());
  EXPECT_FALSE(parse_share("").has_value());
}

// ---- Hostile rows ----------------------------------------------------------------------------

TEST(Calibrate, SurvivesHostileRows) {
  const float largest = std::numeric_limits<float>::max();
  const float least = std::numeric_limits<float>::denorm_min();
  const std::vector<std::pair<const char*, Rows>> heads = {
      {"one row", {{0.0F, 1.0F, 2.0F}}},
      {"two equal rows", {{0.0F, 1.0F}, {0.0F, 1.0F}}},
      {"1e30", {{1e30F, -1e30F, 3e29F}, {0.0F, 1e30F}}},
      {"the largest floats", {{largest, -largest}, {largest, 0.0F, largest}}},
      {"1e30 beside ordinary", {{1e30F, 0.0F}, {1.0F, 2.0F, 0.5F}, {0.3F, -0.7F}}},
      {"a huge common offset", {{1e6F, 1e6F + 1.0F, 1e6F + 3.0F}, {1e6F, 1e6F + 2.0F}}},
      {"barely different", {{1.0F, 1.00001F}, {2.0F, 2.0F}}},
      {"barely different at a great offset", {{1e4F, 1e4F + 0.002F}, {1e4F, 1e4F}}},
      {"tiny beside ordinary", {{1e-30F, -1e-30F, least}, {0.0F, 1.0F}}},
      {"one-hot", {{0.0F, 100.0F}, {100.0F, 0.0F, 0.0F}}},
      {"lengths of 1 to 3000", {std::vector<float>{0.5F}, std::vector<float>(3000, 0.25F), {1.0F, 3.0F}}},
      {"single positions beside others", {{7.0F}, {7.0F}, {-3.0F}, {1.0F, 0.0F}}},
  };
  for (const auto& [head, rows] : heads) {
    for (int knees : {1, 4}) {
      SCOPED_TRACE(testing::Message() << head << ", K = " << knees);
      const RowSample sample = sample_of(rows);
      const auto fits = calibrate(std::span(&sample, 1), 1, {.knees = knees});
      ASSERT_TRUE(fits.ok()) << fits.status().message();
      expect_sound(fits->front(), knees);
    }
    for (int64_t n : {64, 16383}) {
      SCOPED_TRACE(testing::Message() << head << ", the paper's limits for n = " << n);
      const RowSample sample = sample_of(rows);
      const auto fits = calibrate(std::span(&sample, 1), 1, {.knees = 1, .limits = Limits::kPaper, .length = n});
      ASSERT_TRUE(fits.ok()) << fits.status().message();
      expect_sound(fits->front(), 1);
    }
  }
  // Logits this small are equal for every purpose, and reported so.
  const RowSample tiny = sample_of({{1e-30F, -1e-30F}, {0.0F, 2e-30F}});
  EXPECT_EQ(calibrate(std::span(&tiny, 1), 1, {.knees = 1}).status().message(),
            "no head can be fitted: layer 0, head 0: in each of its 2 rows the logits are equal (within 1e-06)");
}

}  // namespace
}  // namespace hccs
