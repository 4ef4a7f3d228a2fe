// SPDX-License-Identifier: Apache-2.0
#include "calibration/row_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "hccs/calibration.h"

namespace hccs::internal {
namespace {

constexpr int64_t kLanes = 16;

// The sum of log(x) over positive, normal numbers: products whose exponents are split off before they overflow, and one
// logarithm a lane at the end.
double sum_of_logs(const float* x, int64_t n) {
  constexpr int64_t kFactors = 7;  // of at most 2^+-127 each, beside a mantissa in [1, 2)
  constexpr uint64_t kMantissa = (uint64_t{1} << 52) - 1;
  constexpr uint64_t kOne = std::bit_cast<uint64_t>(1.0);
  std::array<double, kLanes> product;
  product.fill(1.0);
  std::array<int64_t, kLanes> exponent{};
  int64_t i = 0;
  for (; i + kLanes * kFactors <= n; i += kLanes * kFactors) {
    for (int64_t j = 0; j < kLanes * kFactors; j += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) product[lane] *= x[i + j + lane];
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const auto bits = std::bit_cast<uint64_t>(product[lane]);
      exponent[lane] += static_cast<int64_t>(bits >> 52) - 1023;
      product[lane] = std::bit_cast<double>((bits & kMantissa) | kOne);
    }
  }
  double sum = 0;
  for (; i < n; ++i) sum += std::log(static_cast<double>(x[i]));
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    sum += std::log(product[lane]) + static_cast<double>(exponent[lane]) * std::numbers::ln2;
  }
  return sum;
}

// Sum over rows of a[r] * b[r]; float products in lanes, double across blocks.
double dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  constexpr int64_t kBlock = 256;
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t end = std::min(n, i + kBlock);
    std::array<float, kLanes> partial{};
    int64_t j = i;
    for (; j + kLanes <= end; j += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) partial[lane] += a[j + lane] * b[j + lane];
    }
    for (; j < end; ++j) partial[0] += a[j] * b[j];
    for (float p : partial) sum += p;
  }
  return sum;
}

}  // namespace

RowSet RowSet::of_rows(std::span<const std::span<const float>> rows) {
  RowSet set;
  set.begin.push_back(0);
  for (const std::span<const float> logits : rows) {
    const double maximum = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float x : logits) sum += std::exp(x - maximum);
    for (float x : logits) {
      const double t = maximum - x;
      const double probability = std::exp(-t) / sum;
      set.logits.push_back(x);
      set.distances.push_back(static_cast<float>(std::min<double>(t, std::numeric_limits<float>::max())));
      set.probabilities.push_back(static_cast<float>(probability));
      set.negative_entropy += probability * (-t - std::log(sum));
    }
    set.begin.push_back(static_cast<int64_t>(set.logits.size()));
  }
  set.negative_entropy /= static_cast<double>(set.row_count());
  return set;
}

RowTable::RowTable(int64_t rows, int bins, double width)
    : rows_(rows),
      bins_(bins),
      width_(width),
      stride_(rows + kLanes),
      a_(static_cast<size_t>((bins + 1) * stride_), 0.0F),
      length_(static_cast<size_t>(rows)),
      mass_(static_cast<size_t>(bins) + 1, 0.0),
      mass_from_(static_cast<size_t>(bins) + 1, 0.0) {}

void RowTable::integrate() {
  std::partial_sum(mass_.rbegin(), mass_.rend(), mass_from_.rbegin());
  // On entry a_ holds, for each point, how many distances lie there. A grows by width * (distances passed so far).
  std::vector<float> passed(static_cast<size_t>(rows_), 0.0F);
  std::vector<float> area(static_cast<size_t>(rows_), 0.0F);
  const auto width = static_cast<float>(width_);
  for (int b = 0; b <= bins_; ++b) {
    float* point = at(b);
    for (int64_t r = 0; r < rows_; ++r) {
      const float here = point[r];
      point[r] = area[r];
      passed[r] += here;
      area[r] += width * passed[r];
    }
  }
}

RowTable RowTable::of_distances(const RowSet& rows, int bins, double width, int64_t row_limit) {
  const int64_t count = std::min(row_limit, rows.row_count());
  RowTable table(count, bins, width);
  const double scale = 1.0 / static_cast<double>(count);
  table.negative_entropy_ = rows.negative_entropy;
  for (int64_t r = 0; r < count; ++r) {
    table.length_[r] = static_cast<float>(rows.begin[r + 1] - rows.begin[r]);
    for (int64_t i = rows.begin[r]; i < rows.begin[r + 1]; ++i) {
      const double position = rows.distances[i] / width;
      const double mass = rows.probabilities[i] * scale;
      if (position >= bins) {
        table.mass_[bins] += mass;
        continue;
      }
      const auto b = static_cast<int64_t>(position);
      const double right = position - static_cast<double>(b);
      table.mass_[b] += mass * (1.0 - right);
      table.mass_[b + 1] += mass * right;
      table.at(b)[r] += static_cast<float>(1.0 - right);
      table.at(b + 1)[r] += static_cast<float>(right);
    }
  }
  table.integrate();
  return table;
}

RowTable RowTable::of_int8(const RowSet& rows, double step, int64_t row_limit) {
  constexpr int kBins = kMaxKneePosition;  // s(d) = F from there on
  const int64_t count = std::min(row_limit, rows.row_count());
  RowTable table(count, kBins, 1.0);
  table.negative_entropy_ = rows.negative_entropy;
  std::vector<int8_t> x(static_cast<size_t>(rows.begin[count]));
  quantise_logits(std::span(rows.logits).first(x.size()), step, x);
  const double scale = 1.0 / static_cast<double>(count);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t begin = rows.begin[r];
    const int64_t end = rows.begin[r + 1];
    table.length_[r] = static_cast<float>(end - begin);
    const int maximum = *std::max_element(x.begin() + begin, x.begin() + end);
    for (int64_t i = begin; i < end; ++i) {
      const int d = std::min(maximum - x[i], kBins);
      table.mass_[d] += rows.probabilities[i] * scale;
      table.at(d)[r] += 1.0F;
    }
  }
  table.integrate();
  return table;
}

double RowTable::mean_kl(const Curve& curve, Gradient* gradient) const {
  struct Term {
    const float* left;
    const float* right;
    float weight_left, weight_right;
  };
  std::array<Term, kMaxKnees> terms{};
  for (int k = 0; k < curve.knees; ++k) {
    const double position = std::clamp(curve.position[k] / width_, 0.0, static_cast<double>(bins_));
    const auto b = std::min(static_cast<int64_t>(position), static_cast<int64_t>(bins_) - 1);
    const double fraction = position - static_cast<double>(b);
    terms[k] = {at(b), at(b + 1), static_cast<float>(curve.slope[k] * (1.0 - fraction)),
                static_cast<float>(curve.slope[k] * fraction)};
  }

  static thread_local std::vector<float> z;
  z.resize(static_cast<size_t>(rows_));
  const auto floor = static_cast<float>(curve.floor);
  for (int64_t r = 0; r < rows_; ++r) z[r] = floor * length_[r];
  for (int k = 0; k < curve.knees; ++k) {
    const auto [left, right, wl, wr] = terms[k];
    if (wr == 0.0F) {
      for (int64_t r = 0; r < rows_; ++r) z[r] += wl * left[r];
    } else {
      for (int64_t r = 0; r < rows_; ++r) z[r] += wl * left[r] + wr * right[r];
    }
  }
  const double scale = 1.0 / static_cast<double>(rows_);
  double kl = negative_entropy_ + sum_of_logs(z.data(), rows_) * scale;

  if (gradient != nullptr) *gradient = Gradient{.knees = curve.knees};
  const double last = *std::max_element(curve.position.begin(), curve.position.begin() + curve.knees);
  const auto flat_from = std::min(static_cast<int64_t>(std::ceil(last / width_)), static_cast<int64_t>(bins_));
  kl -= mass_from_[flat_from] * std::log(curve.floor);
  if (gradient != nullptr) gradient->floor -= mass_from_[flat_from] / curve.floor;
  for (int64_t b = 0; b < flat_from; ++b) {
    if (mass_[b] == 0.0) continue;
    double f = curve.floor;
    const double t = static_cast<double>(b) * width_;
    for (int k = 0; k < curve.knees; ++k) f += curve.slope[k] * std::max(curve.position[k] - t, 0.0);
    kl -= mass_[b] * std::log(f);
    if (gradient != nullptr) {
      const double g = mass_[b] / f;
      gradient->floor -= g;
      for (int k = 0; k < curve.knees; ++k) {
        if (curve.position[k] > t) {
          gradient->slope[k] -= g * (curve.position[k] - t);
          gradient->position[k] -= g * curve.slope[k];
        }
      }
    }
  }
  if (gradient == nullptr) return kl;

  for (int64_t r = 0; r < rows_; ++r) z[r] = 1.0F / z[r];
  gradient->floor += dot(length_.data(), z.data(), rows_) * scale;
  for (int k = 0; k < curve.knees; ++k) {
    const double position = curve.position[k] / width_;
    const double fraction = position - std::min(std::floor(position), bins_ - 1.0);
    const double left = dot(terms[k].left, z.data(), rows_) * scale;
    const double right = dot(terms[k].right, z.data(), rows_) * scale;
    gradient->slope[k] += (1.0 - fraction) * left + fraction * right;
    gradient->position[k] += curve.slope[k] * (right - left) / width_;
  }
  return kl;
}

}  // namespace hccs::internal
