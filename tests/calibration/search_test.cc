// SPDX-License-Identifier: Apache-2.0
//
// Does the search find what is there to be found? Each head is fitted and compared with a slower search that shares no
// code with it.
#include "calibration/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "hccs/calibration.h"
#include "hccs/deployability.h"
#include "synthetic_heads.h"

namespace hccs {
namespace {

using internal::Curve;
using internal::fit_curve;
using internal::fit_integers;
using internal::multiple_with_offset;
using internal::RowSet;

constexpr uint64_t kSeed = 31;

double mean_row_kl(const Rows& rows, double step, const HeadParams& params) {
  double sum = 0;
  for (const auto& row : rows) sum += row_kl(row, step, params);
  return sum / static_cast<double>(rows.size());
}

RowSample sample_of(const Rows& rows) {
  RowSample sample(static_cast<int64_t>(rows.size()), kSeed);
  for (const auto& row : rows) EXPECT_TRUE(sample.add(sample.rows_seen(), row).ok());
  return sample;
}

HeadFit fit(const Rows& rows, const CalibrationOptions& options) {
  const RowSample sample = sample_of(rows);
  const auto fits = calibrate(std::span(&sample, 1), 1, options);
  EXPECT_TRUE(fits.ok()) << fits.status().message();
  return fits.ok() ? fits->front() : HeadFit{};
}

// first, first * factor, ... up to last.
std::vector<double> geometric_series(double first, double last, double factor) {
  std::vector<double> series = {first};
  while (series.back() * factor < last) series.push_back(series.back() * factor);
  return series;
}

// ---- One knee: every (step, D), and for each every B and S that can matter -------------------

// With one knee, s / Z depends on D and on F / S alone. So the grid has the axes step, D and ratio = F / S; of the
// integers with S * D + F <= largest_offset, only those next to the best ratio, or at a limit, are evaluated.
class BruteForce {
 public:
  BruteForce(const Rows& rows, int32_t largest_offset, int32_t smallest_floor)
      : largest_offset_(largest_offset), smallest_floor_(smallest_floor), rows_(rows) {
    for (const auto& row : rows) {
      const double maximum = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (float x : row) sum += std::exp(x - maximum);
      for (float x : row) {
        const double p = std::exp(x - maximum) / sum;
        probabilities_.push_back(p / static_cast<double>(rows.size()));
        if (p > 0) negative_entropy_ += p * std::log(p) / static_cast<double>(rows.size());
        largest_ = std::max(largest_, std::abs(static_cast<double>(x)));
      }
    }
  }

  struct Best {
    double kl = HUGE_VAL;
    double step = 0;
    int d = 0, s = 0, f = 0;
  };

  // The best among all powers of two.
  Best search_powers() {
    Best best;
    for (int exponent = -9; std::ldexp(0.5, exponent) < std::max(2.2 * largest_ / 127, 8.0); ++exponent) {
      const Best here = scan(std::ldexp(1.0, exponent), 1, 127, 1.1, true);
      if (here.kl < best.kl) best = here;
    }
    return best;
  }

  Best search() {
    // From a step at which D = 127 is a distance of 0.25, to one at which no logit saturates (or D = 1 is a distance of
    // 4); 3 % apart, then 0.1 %.
    std::vector<Best> coarse;
    const double finest = 0.25 / 127;
    const double coarsest = std::max(1.1 * largest_ / 127, 4.0);
    for (double step : geometric_series(finest, coarsest, 1.03)) {
      coarse.push_back(scan(step, 1, 127, 1.5, largest_offset_ < kMaxOffset));
    }
    std::sort(coarse.begin(), coarse.end(), [](const Best& a, const Best& b) { return a.kl < b.kl; });
    coarse.resize(4);
    Best best;
    for (const Best& center : coarse) {
      for (int i = -15; i <= 15; ++i) {
        const Best here =
            scan(center.step * (1 + 0.001 * i), std::max(1, center.d - 3), std::min(127, center.d + 3), 1.1, true);
        if (here.kl < best.kl) best = here;
      }
    }
    return best;
  }

 private:
  // The best of one step and first_d <= D <= last_d; without `integers`, of any real ratio.
  Best scan(double step, int first_d, int last_d, double ratio_factor, bool integers) {
    prepare(step);
    // The real-valued optimum of each D: all of them bounds for the integers.
    std::array<double, 128> bound;
    bound.fill(HUGE_VAL);
    std::array<double, 128> best_ratio{};
    for (double ratio : geometric_series(2e-3, 33000, ratio_factor)) {
      std::array<double, 129> logs;
      for (int t = 0; t <= 128; ++t) logs[t] = std::log(ratio + t);
      for (int d = first_d; d <= last_d; ++d) {
        const double kl = kl_at(d, ratio, logs);
        if (kl < bound[d]) {
          bound[d] = kl;
          best_ratio[d] = ratio;
        }
      }
    }
    Best best;
    std::vector<int> order;
    for (int d = first_d; d <= last_d; ++d) order.push_back(d);
    std::sort(order.begin(), order.end(), [&](int a, int b) { return bound[a] < bound[b]; });
    for (int d : order) {
      if (bound[d] > 1.002 * best.kl) break;
      if (!integers) return {bound[d], step, d};
      for (int s = 127; s >= 1; --s) {
        const int largest_f = largest_offset_ - s * d;
        if (largest_f < smallest_floor_) continue;
        const int near = static_cast<int>(std::min(best_ratio[d] * s, 40000.0));
        for (int f : {smallest_floor_, near - 1, near, near + 1, largest_f}) {
          if (f < smallest_floor_ || f > largest_f) continue;
          const double ratio = f > 0 ? static_cast<double>(f) / s : d / 65536.0;
          std::array<double, 129> logs;
          for (int t = 0; t <= d; ++t) logs[t] = std::log(ratio + t);
          const double kl = kl_at(d, ratio, logs);
          if (kl < best.kl) best = {kl, step, d, s, f};
        }
        // The ratios of 8 slopes are dense enough where the floor is not a small integer.
        if (near > 30 && s % 8 == 0) break;
      }
    }
    return best;
  }

  // The int8 distances at `step`: their mass H, and each row's sum of max(D - d, 0).
  void prepare(double step) {
    mass_.fill(0.0);
    for (auto& a : area_) a.assign(rows_.size(), 0.0);
    lengths_.clear();
    size_t element = 0;
    for (size_t r = 0; r < rows_.size(); ++r) {
      std::vector<int> x;
      for (float logit : rows_[r]) {
        x.push_back(static_cast<int>(std::nearbyint(std::clamp(logit / step, -128.0, 127.0))));
      }
      const int maximum = *std::max_element(x.begin(), x.end());
      std::array<int, 129> count{};
      for (int v : x) {
        const int d = std::min(maximum - v, 128);
        ++count[d];
        mass_[d] += probabilities_[element++];
      }
      int closer = 0;
      for (int d = 1; d <= 127; ++d) {
        closer += count[d - 1];
        area_[d][r] = area_[d - 1][r] + closer;
      }
      lengths_.push_back(static_cast<double>(x.size()));
    }
    beyond_[128] = mass_[128];
    for (int d = 127; d >= 0; --d) beyond_[d] = beyond_[d + 1] + mass_[d];
  }

  // logs[t] = log(ratio + t).
  double kl_at(int d, double ratio, const std::array<double, 129>& logs) const {
    double kl = negative_entropy_;
    for (int t = 0; t < d; ++t) kl -= mass_[t] * logs[d - t];
    kl -= beyond_[d] * logs[0];
    // Sixteen factors of at most 65536 * 32767 are far from overflow.
    double sum = 0;
    for (size_t r = 0; r < lengths_.size(); r += 16) {
      double product = 1;
      for (size_t i = r; i < std::min(r + 16, lengths_.size()); ++i) product *= ratio * lengths_[i] + area_[d][i];
      sum += std::log(product);
    }
    return kl + sum / static_cast<double>(lengths_.size());
  }

  int32_t largest_offset_, smallest_floor_;
  const Rows& rows_;
  std::vector<double> probabilities_;
  double negative_entropy_ = 0;
  double largest_ = 0;
  std::array<double, 129> mass_{};
  std::array<double, 129> beyond_{};  // mass at this distance or further
  std::array<std::vector<double>, 128> area_;
  std::vector<double> lengths_;
};

void expect_as_good_as_brute_force(const CalibrationOptions& options, int32_t largest_offset, int32_t smallest_floor) {
  int heads = 0;
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed " + std::to_string(kSeed));
    const Rows rows = head.draw_positions(800, kSeed);
    const HeadFit found = fit(rows, options);
    BruteForce grid(rows, largest_offset, smallest_floor);
    const BruteForce::Best best = options.step == StepKind::kReal ? grid.search() : grid.search_powers();
    // The grid's own answer is real: the public objective agrees with it.
    EXPECT_NEAR(mean_row_kl(rows, best.step, HeadParams(best.s * best.d + best.f, {{best.s, best.d}})), best.kl,
                1e-9 + 1e-6 * best.kl);
    EXPECT_LE(found.kl, best.kl * 1.01 + 1e-6)
        << "step " << found.step << ", B " << found.params.offset << ", S " << found.params.knees[0].slope << ", D "
        << found.params.knees[0].position << "; the grid: step " << best.step << ", B " << best.s * best.d + best.f
        << ", S " << best.s << ", D " << best.d;
    ++heads;
  }
  EXPECT_GE(heads, 12);
}

TEST(Search, OneKneeReachesABruteForceGrid) { expect_as_good_as_brute_force({.knees = 1}, kMaxOffset, 0); }

TEST(Search, OneKneeReachesABruteForceGridUnderThePapersLimits) {
  constexpr int kLength = 64;  // 32767 / 64 = 511, 256 / 64 = 4
  expect_as_good_as_brute_force({.knees = 1, .limits = Limits::kPaper, .length = kLength}, 511, 4);
}

TEST(Search, PowersOfTwoReachABruteForceGrid) {
  expect_as_good_as_brute_force({.knees = 1, .step = StepKind::kPowerOfTwo}, kMaxOffset, 0);
  expect_as_good_as_brute_force({.knees = 1, .limits = Limits::kPaper, .length = 64, .step = StepKind::kPowerOfTwo},
                                511, 4);
}

// ---- Several knees ---------------------------------------------------------------------------

TEST(Search, IntegersAddLittle) {
  for (const SyntheticHead& head : synthetic_heads()) {
    if (!head.well_behaved) continue;
    SCOPED_TRACE(head.name + ", seed " + std::to_string(kSeed));
    const Rows rows = head.draw(400, kSeed);
    for (int knees = 1; knees <= 3; ++knees) {
      const HeadFit found = fit(rows, {.knees = knees});
      EXPECT_LE(found.kl, found.kl_continuous * 1.03 + 0.0005) << knees << " knees";
    }
  }
}

TEST(Search, MoreKneesNeverHurt) {
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed " + std::to_string(kSeed));
    const Rows rows = head.draw(200, kSeed);
    double previous = HUGE_VAL;
    double previous_continuous = HUGE_VAL;
    for (int knees = 1; knees <= kMaxKnees; ++knees) {
      const HeadFit found = fit(rows, {.knees = knees});
      EXPECT_LE(found.kl, previous * 1.01 + 1e-6) << knees << " knees";
      EXPECT_LE(found.kl_continuous, previous_continuous * 1.01 + 1e-6) << knees << " knees";
      EXPECT_NEAR(found.kl, mean_row_kl(rows, found.step, found.params), 1e-9);
      previous = found.kl;
      previous_continuous = found.kl_continuous;
    }
  }
}

// The downhill simplex of Nelder and Mead, on the exact objective.
class SimplexSearch {
 public:
  static constexpr int kKnees = 3;
  static constexpr int kVariables = 2 * kKnees;
  using Point = std::array<double, kVariables>;  // log F, log S_k relative to S_1, log T_k

  explicit SimplexSearch(const RowSet& rows) : rows_(rows) {}

  double minimise(Point start, int evaluations) const {
    std::array<std::pair<double, Point>, kVariables + 1> simplex;
    for (int i = 0; i <= kVariables; ++i) {
      Point p = start;
      if (i > 0) p[i - 1] += 0.4;
      simplex[i] = {kl(p), p};
    }
    const auto along = [&](const Point& center, double factor) {
      Point p;
      for (int j = 0; j < kVariables; ++j) p[j] = center[j] + factor * (simplex.back().second[j] - center[j]);
      return std::pair{kl(p), p};
    };
    for (int used = kVariables + 1; used < evaluations;) {
      std::sort(simplex.begin(), simplex.end());
      if (simplex.back().first - simplex.front().first < 1e-8) break;
      Point center{};
      for (int i = 0; i < kVariables; ++i) {
        for (int j = 0; j < kVariables; ++j) center[j] += simplex[i].second[j] / kVariables;
      }
      const auto reflected = along(center, -1.0);
      ++used;
      if (reflected.first < simplex.front().first) {
        const auto expanded = along(center, -2.0);
        ++used;
        simplex.back() = std::min(reflected, expanded);
      } else if (reflected.first < simplex[kVariables - 1].first) {
        simplex.back() = reflected;
      } else {
        const auto contracted = along(center, reflected.first < simplex.back().first ? -0.5 : 0.5);
        ++used;
        if (contracted.first < std::min(reflected.first, simplex.back().first)) {
          simplex.back() = contracted;
        } else {
          for (int i = 1; i <= kVariables; ++i) {
            for (int j = 0; j < kVariables; ++j) {
              simplex[i].second[j] = 0.5 * (simplex[i].second[j] + simplex[0].second[j]);
            }
            simplex[i].first = kl(simplex[i].second);
          }
          used += kVariables;
        }
      }
    }
    return std::min_element(simplex.begin(), simplex.end())->first;
  }

 private:
  double kl(const Point& p) const {
    const double floor = std::exp(p[0]);
    const std::array<double, kKnees> slope = {1.0, std::exp(p[1]), std::exp(p[2])};
    const std::array<double, kKnees> position = {std::exp(p[3]), std::exp(p[4]), std::exp(p[5])};
    double sum = 0;
    for (int64_t r = 0; r < rows_.row_count(); ++r) {
      double z = 0;
      for (int64_t i = rows_.begin[r]; i < rows_.begin[r + 1]; ++i) {
        double f = floor;
        for (int k = 0; k < kKnees; ++k) f += slope[k] * std::max(position[k] - rows_.distances[i], 0.0);
        z += f;
        if (rows_.probabilities[i] > 1e-12F) sum -= rows_.probabilities[i] * std::log(f);
      }
      sum += std::log(z);
    }
    return rows_.negative_entropy + sum / static_cast<double>(rows_.row_count());
  }

  const RowSet& rows_;
};

TEST(Search, ThreeKneesReachTheBestOf200Restarts) {
  const std::vector<SyntheticHead> heads = synthetic_heads();
  for (int h : {2, 4, 10, 11}) {
    SCOPED_TRACE(heads[h].name + ", seed " + std::to_string(kSeed));
    const RowSet rows = RowSet::of_rows(spans_of(heads[h].draw(40, kSeed)));
    const double found = fit_curve(rows, 3).kl;
    const SimplexSearch search(rows);
    Random random(kSeed);
    double best = HUGE_VAL;
    for (int i = 0; i < 200; ++i) {
      SimplexSearch::Point start;
      for (double& x : start) x = 2.0 * random.normal();
      start[0] -= 4.0;
      best = std::min(best, search.minimise(start, 500));
    }
    EXPECT_LE(found, best * 1.03 + 1e-6);
    // And its claim is not too good to be true.
    EXPECT_GE(found, best * 0.95 - 1e-5);
  }
}

// Refining and restarting cost time and are worth it: they help some heads, and hurt none by more than a descent from
// another place may.
TEST(Search, LaterStagesHelpAndDoNotHurt) {
  int helped = 0;
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed " + std::to_string(kSeed));
    const RowSet rows = RowSet::of_rows(spans_of(head.draw(100, kSeed)));
    const Curve curve = fit_curve(rows, 3).curve;
    const double scanned = fit_integers(rows, curve, {}, {.refinements = 0, .restarts = 0}).kl;
    const double refined = fit_integers(rows, curve, {}, {.restarts = 0}).kl;
    const double restarted = fit_integers(rows, curve, {}).kl;
    EXPECT_LE(refined, scanned * 1.01 + 1e-6);
    EXPECT_LE(restarted, refined * 1.01 + 1e-6);
    helped += refined < scanned && restarted < refined ? 1 : 0;
  }
  EXPECT_GE(helped, 1);
}

// ---- Validity --------------------------------------------------------------------------------

TEST(Search, MultipleWithOffset) {
  EXPECT_EQ(multiple_with_offset({256, {{9, 20}}}, 256), HeadParams(256, {{9, 20}}));
  EXPECT_EQ(multiple_with_offset({255, {{9, 2}, {63, 3}}}, 256), HeadParams(510, {{18, 2}, {126, 3}}));
  EXPECT_EQ(multiple_with_offset({255, {{9, 2}, {64, 3}}}, 256), HeadParams(255, {{9, 2}, {64, 3}}));
  EXPECT_EQ(multiple_with_offset({107, {{42, 2}}}, 256), HeadParams(321, {{126, 2}}));
  EXPECT_EQ(multiple_with_offset({1, {{0, 127}}}, 256), HeadParams(256, {{0, 127}}));
  EXPECT_EQ(multiple_with_offset({32767, {{127, 127}}}, 256), HeadParams(32767, {{127, 127}}));
}

// Exactly a power of two, under all limits; and not better than the best of all steps by more than searches differ.
TEST(Search, StepsThatArePowersOfTwo) {
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed " + std::to_string(kSeed));
    const Rows rows = head.draw(60, kSeed);
    const auto expect_power = [&](CalibrationOptions options) {
      const double real = fit(rows, options).kl;
      options.step = StepKind::kPowerOfTwo;
      const HeadFit found = fit(rows, options);
      EXPECT_EQ(found.step, std::ldexp(1.0, std::ilogb(found.step)));
      EXPECT_NEAR(found.kl, mean_row_kl(rows, found.step, found.params), 1e-9);
      EXPECT_GE(found.kl, real * 0.98 - 1e-6);
      const Status valid = validate(found.params);
      EXPECT_TRUE(valid.ok()) << valid.message();
      if (options.limits == Limits::kPaper) {
        const Status deployable = check_paper(found.params, options.length);
        EXPECT_TRUE(deployable.ok()) << deployable.message();
      }
    };
    for (int knees = 1; knees <= kMaxKnees; ++knees) expect_power({.knees = knees});
    for (int64_t n : {32, 512}) expect_power({.knees = 1, .limits = Limits::kPaper, .length = n});
  }
}

TEST(Search, ResultsAreValid) {
  for (const SyntheticHead& head : synthetic_heads()) {
    SCOPED_TRACE(head.name + ", seed " + std::to_string(kSeed));
    const Rows rows = head.draw(12, kSeed);
    for (int knees = 1; knees <= kMaxKnees; ++knees) {
      const HeadFit found = fit(rows, {.knees = knees});
      EXPECT_EQ(found.params.knee_count, knees);
      const Status valid = validate(found.params);
      EXPECT_TRUE(valid.ok()) << valid.message();
      EXPECT_TRUE(std::isfinite(found.step) && found.step > 0) << found.step;
      // Only slopes that have no such multiple keep B below 256.
      int32_t steepest = 1;
      for (const Knee& knee : found.params.active_knees()) steepest = std::max(steepest, knee.slope);
      EXPECT_EQ(check_aie(found.params, 65536, AieRows::kMasked).ok(),
                found.params.offset >= 256 || 127 / steepest * found.params.offset >= 256);
    }
    for (int64_t n : {1, 2, 7, 32, 64, 128, 512, 8191, 16383}) {
      const HeadFit found = fit(rows, {.knees = 1, .limits = Limits::kPaper, .length = n});
      const Status valid = validate(found.params);
      EXPECT_TRUE(valid.ok()) << valid.message() << ", n = " << n;
      const Status deployable = check_paper(found.params, n);
      EXPECT_TRUE(deployable.ok()) << deployable.message();
    }
  }
}

}  // namespace
}  // namespace hccs
