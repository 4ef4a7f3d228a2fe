// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "calibration/search.h"

namespace hccs {
namespace {

// Beyond this distance, in nats, a position has less than 1e-10 of its row's mass: only the floor matters there.
constexpr double kLongestDistance = 24.0;
constexpr double kSmallestLog = -16.0;  // of a floor or a slope, relative to f(0) = 1

constexpr int kMaxVariables = 2 * kMaxKnees + 1;
using Vector = std::array<double, kMaxVariables>;

// The free variables are log F, log S_k, log T_k: positive by construction, and well scaled.
Curve curve_of(const Vector& v, int knees, double longest) {
  Curve curve{.knees = knees, .floor = std::exp(std::clamp(v[0], kSmallestLog, -kSmallestLog))};
  for (int k = 0; k < knees; ++k) {
    curve.slope[k] = std::exp(std::clamp(v[1 + k], kSmallestLog, -kSmallestLog));
    curve.position[k] = std::min(std::exp(v[1 + knees + k]), longest);
  }
  return curve;
}

double objective(const RowTable& table, const Vector& v, int knees, double longest, Vector* gradient) {
  const Curve curve = curve_of(v, knees, longest);
  Gradient g;
  const double kl = table.mean_kl(curve, &g);
  (*gradient)[0] = std::abs(v[0]) < -kSmallestLog ? g.floor * curve.floor : 0.0;
  for (int k = 0; k < knees; ++k) {
    (*gradient)[1 + k] = std::abs(v[1 + k]) < -kSmallestLog ? g.slope[k] * curve.slope[k] : 0.0;
    (*gradient)[1 + knees + k] = curve.position[k] < longest ? g.position[k] * curve.position[k] : 0.0;
  }
  return kl;
}

double dot(const Vector& a, const Vector& b, int n) {
  return std::inner_product(a.begin(), a.begin() + n, b.begin(), 0.0);
}

struct Minimum {
  Vector v{};
  double kl = 0;
};

// BFGS with a backtracking line search (Nocedal and Wright, Numerical Optimization, 2nd ed., algorithm 6.1).
Minimum minimise(const RowTable& table, Vector v, int knees, double longest, int iterations) {
  const int n = 2 * knees + 1;
  std::array<Vector, kMaxVariables> inverse_hessian{};
  const auto reset = [&] {
    inverse_hessian = {};
    for (int i = 0; i < n; ++i) inverse_hessian[i][i] = 1.0;
  };
  reset();
  Vector gradient{};
  double kl = objective(table, v, knees, longest, &gradient);
  bool fresh = true;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    Vector direction{};
    for (int i = 0; i < n; ++i) direction[i] = -dot(inverse_hessian[i], gradient, n);
    double descent = dot(direction, gradient, n);
    if (descent >= 0) {
      reset();
      fresh = true;
      for (int i = 0; i < n; ++i) direction[i] = -gradient[i];
      descent = dot(direction, gradient, n);
    }
    // No variable moves by more than a factor of e^0.7 at once.
    double longest_move = 0;
    for (int i = 0; i < n; ++i) longest_move = std::max(longest_move, std::abs(direction[i]));
    double step = longest_move > 0.7 ? 0.7 / longest_move : 1.0;
    Vector next_v{};
    Vector next_gradient{};
    double next_kl = kl;
    bool accepted = false;
    for (int attempt = 0; attempt < 12 && !accepted; ++attempt, step *= 0.4) {
      for (int i = 0; i < n; ++i) next_v[i] = v[i] + step * direction[i];
      next_kl = objective(table, next_v, knees, longest, &next_gradient);
      accepted = next_kl <= kl + 1e-4 * step * descent;
    }
    if (!accepted) {
      if (fresh) break;
      reset();
      fresh = true;
      continue;
    }
    Vector s{};
    Vector y{};
    for (int i = 0; i < n; ++i) {
      s[i] = next_v[i] - v[i];
      y[i] = next_gradient[i] - gradient[i];
    }
    const double improvement = kl - next_kl;
    v = next_v;
    kl = next_kl;
    gradient = next_gradient;
    const double sy = dot(s, y, n);
    if (sy > 1e-12) {
      Vector hy{};
      for (int i = 0; i < n; ++i) hy[i] = dot(inverse_hessian[i], y, n);
      const double yhy = dot(y, hy, n);
      for (int i = 0; i < n; ++i) {
        for (int j = 0; j < n; ++j) {
          inverse_hessian[i][j] += (sy + yhy) * s[i] * s[j] / (sy * sy) - (hy[i] * s[j] + s[i] * hy[j]) / sy;
        }
      }
      fresh = false;
    }
    if (improvement < 1e-9 + 1e-7 * kl && iteration > 2 * n) break;
  }
  return {v, kl};
}

// The curve through exp(-t) at 0 and at each position, flat beyond the last.
Vector start_at(const std::vector<double>& positions) {
  const auto knees = static_cast<int>(positions.size());
  std::vector<double> segment(knees + 1, 0.0);
  for (int k = 0; k < knees; ++k) {
    const double left = k == 0 ? 0.0 : positions[k - 1];
    segment[k] = (std::exp(-left) - std::exp(-positions[k])) / (positions[k] - left);
  }
  Vector v{};
  v[0] = std::max(-positions.back(), kSmallestLog / 2);
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

}  // namespace

CurveFit fit_curve(const RowSet& rows, int knees) {
  constexpr int kCoarseBins = 256;
  constexpr int64_t kCoarseRows = 512;
  constexpr int kFineBins = 1024;
  constexpr int kGrid = 8;
  constexpr size_t kKept = 4;
  const double furthest = *std::max_element(rows.distances.begin(), rows.distances.end());
  const double longest = std::min(furthest, kLongestDistance);

  std::vector<double> grid;
  grid.reserve(kGrid);
  for (int i = 0; i < kGrid; ++i) grid.push_back(longest * std::pow(0.06, 1.0 - (i + 0.5) / kGrid));
  const RowTable coarse = RowTable::of_distances(rows, kCoarseBins, longest / kCoarseBins, kCoarseRows);
  std::vector<Minimum> minima;
  std::vector<double> chosen;
  for_each_choice(grid, knees, 0, &chosen, [&](const std::vector<double>& positions) {
    minima.push_back(minimise(coarse, start_at(positions), knees, longest, 40));
  });
  std::stable_sort(minima.begin(), minima.end(), [](const Minimum& a, const Minimum& b) { return a.kl < b.kl; });
  minima.resize(std::min(minima.size(), kKept));

  const RowTable fine = RowTable::of_distances(rows, kFineBins, longest / kFineBins, rows.row_count());
  Minimum best = minimise(fine, minima[0].v, knees, longest, 100);
  for (size_t i = 1; i < minima.size(); ++i) {
    const Minimum m = minimise(fine, minima[i].v, knees, longest, 100);
    if (m.kl < best.kl) best = m;
  }

  const Curve raw = curve_of(best.v, knees, longest);
  std::vector<std::pair<double, double>> position_slope;
  double at_zero = raw.floor;
  for (int k = 0; k < knees; ++k) {
    position_slope.emplace_back(raw.position[k], raw.slope[k]);
    at_zero += raw.slope[k] * raw.position[k];
  }
  std::sort(position_slope.begin(), position_slope.end());
  CurveFit fit{.curve = {.knees = knees, .floor = raw.floor / at_zero}, .kl = best.kl};
  for (int k = 0; k < knees; ++k) {
    fit.curve.position[k] = position_slope[k].first;
    fit.curve.slope[k] = position_slope[k].second / at_zero;
  }
  return fit;
}

}  // namespace hccs
