// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "calibration/search.h"
#include "hccs/calibration.h"

namespace hccs::internal {
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

// Moves a point of the integer lattice as long as that lowers the mean KL.
class Descent {
 public:
  Descent(const RowTable& table, const IntegerLimits& limits, const IntegerSettings& settings)
      : table_(table), limits_(limits), settings_(settings) {}

  // Through moves of one coordinate, or of one or two, until none of them helps. best->kl is of the same table.
  void run(Moves moves, Point* best) const {
    for (const IntegerSettings::Move& size : settings_.moves) {
      while (sweep(size, moves, best)) {
      }
    }
  }

 private:
  // Tries each move once, and each single move for as long as it helps. Returns whether one did.
  bool sweep(const IntegerSettings::Move& size, Moves moves, Point* best) const {
    const auto delta = [&](int variable) {
      return variable == 0 ? std::max(1, static_cast<int32_t>(best->floor() * size.floor_share)) : size.coordinate;
    };
    const int variables = 1 + 2 * best->knees;
    bool improved = false;
    for (int i = 0; i < variables; ++i) {
      for (const int sign_i : {-1, 1}) {
        Point p = *best;
        p.value[i] += sign_i * delta(i);
        while (improve(p, best)) {
          improved = true;
          p.value[i] += sign_i * delta(i);
        }
        for (int j = i + 1; moves == Moves::kPairs && j < variables; ++j) {
          for (const int sign_j : {-1, 1}) {
            Point q = *best;
            q.value[i] += sign_i * delta(i);
            q.value[j] += sign_j * delta(j);
            improved = improve(q, best) || improved;
          }
        }
      }
    }
    return improved;
  }

  // *best = candidate where that is better.
  bool improve(const Point& candidate, Point* best) const {
    if (!feasible(candidate, limits_)) return false;
    const double kl = mean_kl(table_, candidate);
    if (kl >= best->kl - settings_.least_gain) return false;
    *best = candidate;
    best->kl = kl;
    return true;
  }

  const RowTable& table_;
  const IntegerLimits& limits_;
  const IntegerSettings& settings_;
};

// `curve` with every number multiplied by a random factor.
Curve disturbed(Curve curve, double disturbance, std::mt19937_64* random) {
  const auto factor = [&](double spread) {
    return std::exp(spread * (2.0 * static_cast<double>((*random)() >> 11) * 0x1p-53 - 1.0));
  };
  curve.floor *= factor(disturbance);
  for (int k = 0; k < curve.knees; ++k) {
    curve.slope[k] *= factor(disturbance);
    curve.position[k] *= factor(disturbance / 2);
  }
  std::sort(curve.position.begin(), curve.position.begin() + curve.knees);
  return curve;
}

// The search of one head. Its stages run in the order in which they stand here.
class IntegerSearch {
 public:
  IntegerSearch(const RowSet& rows, const IntegerLimits& limits, const IntegerSettings& settings)
      : rows_(rows),
        limits_(limits),
        settings_(settings),
        parts_(static_cast<int>(std::clamp<int64_t>(settings.coarse_rows / rows.row_count(), 1, settings.most_parts))) {
  }

  // Fits `start` at every step of a geometric series, or at every power of two, and keeps the best.
  void scan_steps(const Curve& start);
  // Tries steps ever closer to the best, starting from their integers. Between powers of two there are none.
  void refine();
  // Fits the best steps again from disturbed copies of their integers. A slope of 1 or 2 is coarsely rounded: other
  // knees can make up for it, but not through moves that each improve.
  void restart();
  // Descends on all rows from each step that is left. Returns the best.
  IntegerFit polish() const;

 private:
  struct Trial {
    double step = 0;
    Point point;            // its kl: of the first coarse_rows rows
    double correction = 0;  // estimates how much more kl is of all rows, where rare long logits leave int8
  };
  struct Range {
    double shortest;
    double longest;
  };

  Range step_range(const Curve& start) const;
  void scan_series(const Curve& start);
  void scan_powers(const Curve& start);
  Point fit_at_step(const RowTable& table, const Curve& start, double step, Moves moves) const;
  void try_step(double step, const Curve& curve, Moves moves, double correction) {
    const RowTable table = RowTable::of_int8(rows_, step, settings_.coarse_rows);
    trials_.push_back({step, fit_at_step(table, curve, step, moves), correction});
  }
  void keep_best(size_t count) {
    std::stable_sort(trials_.begin(), trials_.end(), [](const Trial& a, const Trial& b) {
      return a.point.kl + a.correction < b.point.kl + b.correction;
    });
    trials_.resize(std::min(trials_.size(), count));
  }

  const RowSet& rows_;
  const IntegerLimits& limits_;
  const IntegerSettings& settings_;
  int parts_;  // of the interval between two steps of the scan
  std::vector<Trial> trials_;
};

// At the shortest step, the largest D_K just reaches the curve's last position. At the longest, int8 holds every row's
// maximum and the last position below it.
IntegerSearch::Range IntegerSearch::step_range(const Curve& start) const {
  const double last = start.position[start.knees - 1];
  const int32_t largest_position = std::min(kMaxKneePosition, limits_.largest_offset - limits_.smallest_floor);
  const double shortest = last / largest_position;
  double longest = (1.0 + settings_.step_range / start.knees) * shortest;
  for (int64_t r = 0; r < rows_.row_count(); ++r) {
    const double maximum =
        *std::max_element(rows_.logits.begin() + rows_.begin[r], rows_.logits.begin() + rows_.begin[r + 1]);
    longest = std::max({longest, maximum / 127.0, (last - maximum) / 128.0});
  }
  return {shortest, longest};
}

// The best rounding of `start` on the grid of this step, over several scales, then descended.
Point IntegerSearch::fit_at_step(const RowTable& table, const Curve& start, double step, Moves moves) const {
  const double steepest = *std::max_element(start.slope.begin(), start.slope.begin() + start.knees);
  const double largest = std::min<double>(limits_.largest_offset, kMaxSlope / (steepest * step));
  Point best;
  for (int i = 0; i < settings_.scales; ++i) {
    Point p = round_to_integers(start, step, largest * (1.0 - i / (2.0 * settings_.scales)), limits_);
    if (!feasible(p, limits_)) continue;
    p.kl = mean_kl(table, p);
    if (p.kl < best.kl) best = p;
  }
  if (best.kl < HUGE_VAL) Descent(table, limits_, settings_).run(moves, &best);
  return best;
}

void IntegerSearch::scan_series(const Curve& start) {
  const auto [shortest, longest] = step_range(start);
  const double ratio = settings_.step_ratio;
  const int steps = 2 + static_cast<int>(std::log(longest / shortest) / std::log(ratio));
  for (int s = 0; s < steps; ++s) {
    const double step = shortest * std::pow(ratio, s);
    try_step(step, start, Moves::kPairs, 0);
    const Trial first = trials_.back();
    for (int i = 1; i < parts_; ++i) {
      const double next = step * std::pow(ratio, static_cast<double>(i) / parts_);
      try_step(next, curve_of(first.point, step), Moves::kSingle, 0);
    }
  }
}

// They are far apart: the next beyond either end of the range may be the best.
void IntegerSearch::scan_powers(const Curve& start) {
  const auto [shortest, longest] = step_range(start);
  for (int exponent = std::ilogb(shortest); exponent <= std::ilogb(longest) + 1; ++exponent) {
    try_step(std::ldexp(1.0, exponent), start, Moves::kPairs, 0);
  }
}

void IntegerSearch::scan_steps(const Curve& start) {
  limits_.step == StepKind::kReal ? scan_series(start) : scan_powers(start);
  keep_best(2 * settings_.kept_steps);
  if (rows_.row_count() <= settings_.coarse_rows) return;
  for (Trial& t : trials_) {
    t.correction = mean_kl(RowTable::of_int8(rows_, t.step, rows_.row_count()), t.point) - t.point.kl;
  }
}

void IntegerSearch::refine() {
  double apart = (settings_.step_ratio - 1.0) / parts_;
  const int rounds = limits_.step == StepKind::kReal ? settings_.refinements : 0;
  for (int i = 0; i < rounds; ++i, apart /= settings_.shrink) {
    keep_best(settings_.kept_steps);
    const std::vector<Trial> centers(trials_.begin(), trials_.end());
    for (const Trial& center : centers) {
      for (const double shift : settings_.shifts) {
        try_step(center.step * (1.0 + apart * shift), curve_of(center.point, center.step), Moves::kSingle,
                 center.correction);
      }
    }
  }
  keep_best(settings_.kept_steps);
}

void IntegerSearch::restart() {
  std::mt19937_64 random(settings_.restart_seed);
  for (size_t t = 0; t < std::min(trials_.size(), settings_.restarted_steps); ++t) {
    Trial& trial = trials_[t];
    const RowTable table = RowTable::of_int8(rows_, trial.step, settings_.coarse_rows);
    for (int i = 0; i < settings_.restarts; ++i) {
      const Curve curve = disturbed(curve_of(trial.point, trial.step), settings_.disturbance, &random);
      const Point p = fit_at_step(table, curve, trial.step, Moves::kPairs);
      if (p.kl < trial.point.kl) trial.point = p;
    }
  }
}

IntegerFit IntegerSearch::polish() const {
  Trial best;
  for (Trial t : trials_) {
    const RowTable table = RowTable::of_int8(rows_, t.step, rows_.row_count());
    t.point.kl = mean_kl(table, t.point);
    Descent(table, limits_, settings_).run(Moves::kPairs, &t.point);
    if (t.point.kl < best.point.kl) best = t;
  }
  IntegerFit fit{.step = best.step, .kl = best.point.kl};
  fit.params.offset = static_cast<int32_t>(best.point.offset());
  fit.params.knee_count = best.point.knees;
  for (int k = 0; k < best.point.knees; ++k) fit.params.knees[k] = {best.point.slope(k), best.point.position(k)};
  return fit;
}

}  // namespace

IntegerFit fit_integers(const RowSet& rows, const Curve& start, const IntegerLimits& limits,
                        const IntegerSettings& settings) {
  IntegerSearch search(rows, limits, settings);
  search.scan_steps(start);
  search.refine();
  search.restart();
  return search.polish();
}

}  // namespace hccs::internal
