// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "calibration/search.h"
#include "hccs/calibration.h"

namespace hccs {
namespace {

// A point of the integer lattice: F, S_1..S_K, D_1..D_K. F stands in for B, so that every point is monotone.
struct Point {
  int knees = 0;
  std::array<int32_t, 1 + 2 * kMaxKnees> value{};
  double kl = HUGE_VAL;

  int32_t floor() const { return value[0]; }
  int32_t slope(int k) const { return value[1 + k]; }
  int32_t position(int k) const { return value[1 + knees + k]; }
  int64_t offset() const {
    int64_t b = floor();
    for (int k = 0; k < knees; ++k) b += slope(k) * position(k);
    return b;
  }
};

bool feasible(const Point& p, const IntegerLimits& limits) {
  int32_t previous = 0;
  for (int k = 0; k < p.knees; ++k) {
    if (p.slope(k) < 0 || p.slope(k) > kMaxSlope) return false;
    if (p.position(k) <= previous || p.position(k) > kMaxKneePosition) return false;
    previous = p.position(k);
  }
  return p.floor() >= limits.smallest_floor && p.offset() >= 1 && p.offset() <= limits.largest_offset;
}

double mean_kl(const RowTable& table, const Point& p) {
  Curve c{.knees = p.knees, .floor = charged_floor(p.offset(), p.floor())};
  for (int k = 0; k < p.knees; ++k) {
    c.slope[k] = p.slope(k);
    c.position[k] = p.position(k);
  }
  return table.mean_kl(c);
}

// `start` at `step`, rounded so that f(0) is about `scale`, as far as the limits let it.
Point round_to_integers(const Curve& start, double step, double scale, const IntegerLimits& limits) {
  Point p{.knees = start.knees};
  int32_t previous = 0;
  int32_t left = limits.largest_offset - limits.smallest_floor;  // for S_k * D_k
  for (int k = 0; k < p.knees; ++k) {
    const auto slope = static_cast<int32_t>(std::lround(scale * start.slope[k] * step));
    const auto position = static_cast<int32_t>(std::lround(start.position[k] / step));
    p.value[1 + k] = std::clamp(slope, 1, std::clamp(left, 1, kMaxSlope));
    const int32_t furthest = std::min(kMaxKneePosition - (p.knees - 1 - k), left / p.slope(k));
    p.value[1 + p.knees + k] = std::clamp(position, previous + 1, std::max(previous + 1, furthest));
    previous = p.position(k);
    left -= p.slope(k) * p.position(k);
  }
  const double floor = std::min(scale * start.floor, static_cast<double>(limits.smallest_floor + left));
  p.value[0] = std::max(static_cast<int32_t>(std::lround(floor)), limits.smallest_floor);
  return p;
}

// The real-valued curve that a point is, at its step.
Curve curve_of(const Point& p, double step) {
  const auto b = static_cast<double>(p.offset());
  Curve c{.knees = p.knees, .floor = p.floor() / b};
  for (int k = 0; k < p.knees; ++k) {
    c.slope[k] = p.slope(k) / (b * step);
    c.position[k] = p.position(k) * step;
  }
  return c;
}

enum class Moves { kSingle, kPairs };

// Descends through moves of one coordinate, or of one or two, until none of them helps.
void descend(const RowTable& table, const IntegerLimits& limits, Moves moves, Point* best) {
  const int variables = 1 + 2 * best->knees;
  const auto improves = [&](const Point& candidate) {
    if (!feasible(candidate, limits)) return false;
    const double kl = mean_kl(table, candidate);
    if (kl >= best->kl - 1e-9) return false;
    *best = candidate;
    best->kl = kl;
    return true;
  };
  // Floors are large numbers: their move shrinks with the others.
  struct Size {
    int32_t move;
    double floor_fraction;
  };
  for (const Size size : {Size{4, 0.25}, Size{2, 0.06}, Size{1, 0.015}}) {
    const auto delta = [&](int variable) {
      return variable == 0 ? std::max(1, static_cast<int32_t>(best->floor() * size.floor_fraction)) : size.move;
    };
    for (bool again = true; again;) {
      again = false;
      for (int i = 0; i < variables; ++i) {
        for (int sign_i : {-1, 1}) {
          Point p = *best;
          p.value[i] += sign_i * delta(i);
          while (improves(p)) {
            again = true;
            p.value[i] += sign_i * delta(i);
          }
          for (int j = i + 1; moves == Moves::kPairs && j < variables; ++j) {
            for (int sign_j : {-1, 1}) {
              Point q = *best;
              q.value[i] += sign_i * delta(i);
              q.value[j] += sign_j * delta(j);
              again = improves(q) || again;
            }
          }
        }
      }
    }
  }
}

// The best rounding of `start` on the grid of this step, over several scales, then descended.
Point fit_at_step(const RowTable& table, const Curve& start, double step, const IntegerLimits& limits, Moves moves) {
  const double steepest = *std::max_element(start.slope.begin(), start.slope.begin() + start.knees);
  const double largest = std::min<double>(limits.largest_offset, kMaxSlope / (steepest * step));
  Point best;
  for (int i = 0; i < 16; ++i) {
    Point p = round_to_integers(start, step, largest * (1.0 - i / 32.0), limits);
    if (!feasible(p, limits)) continue;
    p.kl = mean_kl(table, p);
    if (p.kl < best.kl) best = p;
  }
  if (best.kl < HUGE_VAL) descend(table, limits, moves, &best);
  return best;
}

// `curve` with every number multiplied by a random factor.
Curve disturbed(Curve curve, std::mt19937_64* random) {
  constexpr double kSpread = 0.6;
  const auto factor = [&](double spread) {
    return std::exp(spread * (2.0 * static_cast<double>((*random)() >> 11) * 0x1p-53 - 1.0));
  };
  curve.floor *= factor(kSpread);
  for (int k = 0; k < curve.knees; ++k) {
    curve.slope[k] *= factor(kSpread);
    curve.position[k] *= factor(kSpread / 2);
  }
  std::sort(curve.position.begin(), curve.position.begin() + curve.knees);
  return curve;
}

}  // namespace

IntegerFit fit_integers(const RowSet& rows, const Curve& start, const IntegerLimits& limits) {
  constexpr int64_t kCoarseRows = 1024;
  constexpr int kRefinements = 3;
  constexpr size_t kKept = 5;
  // At least, the largest D_K reaches the last position. At most, int8 holds every row's maximum and the last position
  // below it; or some times the least, as a coarse step may round luckily, the fewer the knees the sooner.
  const double last = start.position[start.knees - 1];
  const int32_t largest_position = std::min(kMaxKneePosition, limits.largest_offset - limits.smallest_floor);
  const double shortest = last / largest_position;
  double longest = (1.0 + 6.0 / start.knees) * shortest;
  for (int64_t r = 0; r < rows.row_count(); ++r) {
    const double maximum =
        *std::max_element(rows.logits.begin() + rows.begin[r], rows.logits.begin() + rows.begin[r + 1]);
    longest = std::max({longest, maximum / 127.0, (last - maximum) / 128.0});
  }
  struct Trial {
    double step;
    Point point;            // its kl: of the first kCoarseRows rows
    double correction = 0;  // estimates how much more kl is of all rows, where rare long logits leave int8
  };
  std::vector<Trial> trials;
  const auto try_step = [&](double step, const Curve& curve, Moves moves, double correction) {
    const RowTable table = RowTable::of_int8(rows, step, kCoarseRows);
    trials.push_back({step, fit_at_step(table, curve, step, limits, moves), correction});
  };
  const auto keep_best = [&](size_t count) {
    std::stable_sort(trials.begin(), trials.end(), [](const Trial& a, const Trial& b) {
      return a.point.kl + a.correction < b.point.kl + b.correction;
    });
    trials.resize(std::min(trials.size(), count));
  };
  // Rounding makes the objective jagged in the step, the more so the fewer the rows.
  constexpr double kRatio = 1.06;
  const auto parts = static_cast<int>(std::clamp<int64_t>(kCoarseRows / rows.row_count(), 1, 16));
  const int steps = 2 + static_cast<int>(std::log(longest / shortest) / std::log(kRatio));
  for (int s = 0; s < steps; ++s) {
    const double step = shortest * std::pow(kRatio, s);
    try_step(step, start, Moves::kPairs, 0);
    const Trial first = trials.back();
    for (int i = 1; i < parts; ++i) {
      const double next = step * std::pow(kRatio, static_cast<double>(i) / parts);
      try_step(next, curve_of(first.point, step), Moves::kSingle, 0);
    }
  }
  keep_best(2 * kKept);
  if (rows.row_count() > kCoarseRows) {
    for (Trial& t : trials) {
      t.correction = mean_kl(RowTable::of_int8(rows, t.step, rows.row_count()), t.point) - t.point.kl;
    }
  }
  double apart = (kRatio - 1.0) / parts;
  for (int i = 0; i < kRefinements; ++i, apart /= 3) {
    keep_best(kKept);
    const std::vector<Trial> centers(trials.begin(), trials.end());
    for (const Trial& center : centers) {
      for (double shift : {-2.0 / 3, -1.0 / 3, 1.0 / 3, 2.0 / 3}) {
        try_step(center.step * (1.0 + apart * shift), curve_of(center.point, center.step), Moves::kSingle,
                 center.correction);
      }
    }
  }
  keep_best(kKept);
  // A slope of 1 or 2 is coarsely rounded. Other knees can make up for it, but not through moves that each improve.
  std::mt19937_64 random(1);
  for (size_t t = 0; t < std::min<size_t>(trials.size(), 2); ++t) {
    const double step = trials[t].step;
    const RowTable table = RowTable::of_int8(rows, step, kCoarseRows);
    for (int i = 0; i < 16; ++i) {
      const Curve curve = disturbed(curve_of(trials[t].point, step), &random);
      const Point p = fit_at_step(table, curve, step, limits, Moves::kPairs);
      if (p.kl < trials[t].point.kl) trials[t].point = p;
    }
  }

  Trial best{.step = 0, .point = {}};
  for (Trial t : trials) {
    const RowTable table = RowTable::of_int8(rows, t.step, rows.row_count());
    t.point.kl = mean_kl(table, t.point);
    descend(table, limits, Moves::kPairs, &t.point);
    if (t.point.kl < best.point.kl) best = t;
  }
  IntegerFit fit{.step = best.step, .kl = best.point.kl};
  fit.params.offset = static_cast<int32_t>(best.point.offset());
  fit.params.knee_count = best.point.knees;
  for (int k = 0; k < best.point.knees; ++k) fit.params.knees[k] = {best.point.slope(k), best.point.position(k)};
  return fit;
}

}  // namespace hccs
