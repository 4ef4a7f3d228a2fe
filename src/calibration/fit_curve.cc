// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "calibration/search.h"

namespace hccs::internal {
namespace {

constexpr int kMaxVariables = 2 * kMaxKnees + 1;
using Vector = std::array<double, kMaxVariables>;

double dot(const Vector& a, const Vector& b, int n) {
  return std::inner_product(a.begin(), a.begin() + n, b.begin(), 0.0);
}

// The mean KL as a function of free variables: log F, log S_k, log T_k. So all three are positive by construction, and
// well scaled.
class Objective {
 public:
  // Positions are at most `longest`, within the table.
  Objective(const RowTable& table, int knees, double longest, double smallest_log)
      : table_(table), knees_(knees), longest_(longest), largest_log_(-smallest_log) {}

  int variables() const { return 2 * knees_ + 1; }

  Curve curve_of(const Vector& v) const {
    Curve curve{.knees = knees_, .floor = std::exp(std::clamp(v[0], -largest_log_, largest_log_))};
    for (int k = 0; k < knees_; ++k) {
      curve.slope[k] = std::exp(std::clamp(v[1 + k], -largest_log_, largest_log_));
      curve.position[k] = std::min(std::exp(v[1 + knees_ + k]), longest_);
    }
    return curve;
  }

  double operator()(const Vector& v, Vector* gradient) const {
    const Curve curve = curve_of(v);
    Gradient g;
    const double kl = table_.mean_kl(curve, &g);
    (*gradient)[0] = std::abs(v[0]) < largest_log_ ? g.floor * curve.floor : 0.0;
    for (int k = 0; k < knees_; ++k) {
      (*gradient)[1 + k] = std::abs(v[1 + k]) < largest_log_ ? g.slope[k] * curve.slope[k] : 0.0;
      (*gradient)[1 + knees_ + k] = curve.position[k] < longest_ ? g.position[k] * curve.position[k] : 0.0;
    }
    return kl;
  }

 private:
  const RowTable& table_;
  int knees_;
  double longest_;
  double largest_log_;
};

// The estimate of the inverse Hessian that BFGS keeps.
class InverseHessian {
 public:
  explicit InverseHessian(int n) : n_(n) { reset(); }

  // The identity: the next direction is that of steepest descent.
  void reset() {
    rows_ = {};
    for (int i = 0; i < n_; ++i) rows_[i][i] = 1.0;
    fresh_ = true;
  }
  bool fresh() const { return fresh_; }  // since the last reset, no update

  Vector direction(const Vector& gradient) const {
    Vector direction{};
    for (int i = 0; i < n_; ++i) direction[i] = -dot(rows_[i], gradient, n_);
    return direction;
  }

  // After a move by s that changed the gradient by y. A pair without positive curvature is left out.
  void update(const Vector& s, const Vector& y) {
    constexpr double kLeastCurvature = 1e-12;
    const double sy = dot(s, y, n_);
    if (sy <= kLeastCurvature) return;
    Vector hy{};
    for (int i = 0; i < n_; ++i) hy[i] = dot(rows_[i], y, n_);
    const double yhy = dot(y, hy, n_);
    for (int i = 0; i < n_; ++i) {
      for (int j = 0; j < n_; ++j) {
        rows_[i][j] += (sy + yhy) * s[i] * s[j] / (sy * sy) - (hy[i] * s[j] + s[i] * hy[j]) / sy;
      }
    }
    fresh_ = false;
  }

 private:
  int n_;
  std::array<Vector, kMaxVariables> rows_{};
  bool fresh_ = true;
};

// A place that a search has reached.
struct Minimum {
  Vector v{};
  double kl = 0;
  Vector gradient{};
};

// The first of ever shorter moves along `direction` that lowers the objective enough (Armijo's rule); none if a dozen
// moves do not.
std::optional<Minimum> search_line(const Objective& objective, const Minimum& from, const Vector& direction,
                                   double descent) {
  constexpr double kLongestMove = 0.7;  // of a variable: a factor of e^0.7
  constexpr int kAttempts = 12;
  constexpr double kShorter = 0.4;
  constexpr double kEnough = 1e-4;  // of the decrease that the slope promises
  const int n = objective.variables();
  double longest_move = 0;
  for (int i = 0; i < n; ++i) longest_move = std::max(longest_move, std::abs(direction[i]));
  double step = longest_move > kLongestMove ? kLongestMove / longest_move : 1.0;
  for (int attempt = 0; attempt < kAttempts; ++attempt, step *= kShorter) {
    Minimum next;
    for (int i = 0; i < n; ++i) next.v[i] = from.v[i] + step * direction[i];
    next.kl = objective(next.v, &next.gradient);
    if (next.kl <= from.kl + kEnough * step * descent) return next;
  }
  return std::nullopt;
}

// BFGS with a backtracking line search (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 6.1).
Minimum minimise(const Objective& objective, const Vector& start, int iterations) {
  constexpr double kLeastGain = 1e-9;  // in nats, and as a share of the objective: a smaller gain ends the search
  constexpr double kLeastRelativeGain = 1e-7;
  const int n = objective.variables();
  InverseHessian inverse_hessian(n);
  Minimum best{.v = start};
  best.kl = objective(best.v, &best.gradient);
  for (int iteration = 0; iteration < iterations; ++iteration) {
    Vector direction = inverse_hessian.direction(best.gradient);
    double descent = dot(direction, best.gradient, n);
    if (descent >= 0) {
      inverse_hessian.reset();
      direction = inverse_hessian.direction(best.gradient);
      descent = dot(direction, best.gradient, n);
    }
    const std::optional<Minimum> next = search_line(objective, best, direction, descent);
    if (!next) {
      if (inverse_hessian.fresh()) break;
      inverse_hessian.reset();
      continue;
    }
    Vector s{};
    Vector y{};
    for (int i = 0; i < n; ++i) {
      s[i] = next->v[i] - best.v[i];
      y[i] = next->gradient[i] - best.gradient[i];
    }
    const double gain = best.kl - next->kl;
    best = *next;
    inverse_hessian.update(s, y);
    if (gain < kLeastGain + kLeastRelativeGain * best.kl && iteration > 2 * n) break;
  }
  return best;
}

// The curve through exp(-t) at 0 and at each position, flat beyond the last. The floor's logarithm is at least
// least_log_floor.
Vector start_at(const std::vector<double>& positions, double least_log_floor) {
  const auto knees = static_cast<int>(positions.size());
  std::vector<double> segment(knees + 1, 0.0);
  for (int k = 0; k < knees; ++k) {
    const double left = k == 0 ? 0.0 : positions[k - 1];
    segment[k] = (std::exp(-left) - std::exp(-positions[k])) / (positions[k] - left);
  }
  Vector v{};
  v[0] = std::max(-positions.back(), least_log_floor);
  for (int k = 0; k < knees; ++k) {
    v[1 + k] = std::log(segment[k] - segment[k + 1]);
    v[1 + knees + k] = std::log(positions[k]);
  }
  return v;
}

// Every increasing choice of `knees` out of the grid.
void for_each_choice(const std::vector<double>& grid, int knees, size_t from, std::vector<double>* chosen,
                     const auto& visit) {
  if (static_cast<int>(chosen->size()) == knees) {
    visit(*chosen);
    return;
  }
  for (size_t i = from; i < grid.size(); ++i) {
    chosen->push_back(grid[i]);
    for_each_choice(grid, knees, i + 1, chosen, visit);
    chosen->pop_back();
  }
}

// Knees in order of position, scaled so that f(0) = 1.
Curve normalised(const Curve& raw) {
  std::vector<std::pair<double, double>> position_slope;
  double at_zero = raw.floor;
  for (int k = 0; k < raw.knees; ++k) {
    position_slope.emplace_back(raw.position[k], raw.slope[k]);
    at_zero += raw.slope[k] * raw.position[k];
  }
  std::sort(position_slope.begin(), position_slope.end());
  Curve curve{.knees = raw.knees, .floor = raw.floor / at_zero};
  for (int k = 0; k < raw.knees; ++k) {
    curve.position[k] = position_slope[k].first;
    curve.slope[k] = position_slope[k].second / at_zero;
  }
  return curve;
}

}  // namespace

CurveFit fit_curve(const RowSet& rows, int knees, const CurveSettings& settings) {
  const double furthest = *std::max_element(rows.distances.begin(), rows.distances.end());
  const double longest = std::min(furthest, settings.longest_distance);
  std::vector<double> grid;
  grid.reserve(settings.grid_points);
  for (int i = 0; i < settings.grid_points; ++i) {
    grid.push_back(longest * std::pow(settings.grid_from, 1.0 - (i + 0.5) / settings.grid_points));
  }
  const RowTable coarse_table =
      RowTable::of_distances(rows, settings.coarse_bins, longest / settings.coarse_bins, settings.coarse_rows);
  const Objective coarse(coarse_table, knees, longest, settings.smallest_log);
  std::vector<Minimum> minima;
  std::vector<double> chosen;
  for_each_choice(grid, knees, 0, &chosen, [&](const std::vector<double>& positions) {
    minima.push_back(minimise(coarse, start_at(positions, settings.smallest_log / 2), settings.coarse_iterations));
  });
  const auto less = [](const Minimum& a, const Minimum& b) { return a.kl < b.kl; };
  std::stable_sort(minima.begin(), minima.end(), less);
  minima.resize(std::min(minima.size(), settings.kept_starts));

  const RowTable fine_table =
      RowTable::of_distances(rows, settings.fine_bins, longest / settings.fine_bins, rows.row_count());
  const Objective fine(fine_table, knees, longest, settings.smallest_log);
  for (Minimum& m : minima) m = minimise(fine, m.v, settings.fine_iterations);
  const Minimum& best = *std::min_element(minima.begin(), minima.end(), less);
  return {.curve = normalised(fine.curve_of(best.v)), .kl = best.kl};
}

}  // namespace hccs::internal
