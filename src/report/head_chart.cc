// SPDX-License-Identifier: Apache-2.0
#include "report/head_chart.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "report/html.h"

namespace hccs::report {
namespace {

// The picture, in its own units.
constexpr double kWidth = 340;
constexpr double kHeight = 200;
constexpr double kLeft = 30;
constexpr double kRight = 334;
constexpr double kTop = 8;
constexpr double kBottom = 126;  // of the curves
constexpr double kStripMiddle = 151;
constexpr double kStripHalf = 15;  // of the differences
constexpr double kHighestBar = 0.62;

class HeadChart {
 public:
  HeadChart(const HeadParams& params, double step, std::span<const int64_t> distances)
      : params_(params),
        step_(step),
        distances_(distances),
        total_(static_cast<double>(std::accumulate(distances.begin(), distances.end(), int64_t{0}))),
        last_(last_distance()) {}

  std::string svg(std::string_view title) const {
    std::string out = fmt::format(R"(<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>)", kWidth,
                                  kHeight, escaped(title));
    out += grid();
    if (total_ > 0) out += bars();
    out += exponential();
    out += curve();
    out += difference();
    return out + "</svg>";
  }

 private:
  // Where the picture ends: both curves have come down, and most distances are in it if that leaves the curves room.
  double last_distance() const {
    constexpr double kSmall = 4.6;  // exp(-4.6) = 0.01
    const double curves = std::max(double{1} * params_.active_knees().back().position, kSmall / step_);
    double most = 0;
    int64_t seen = 0;
    for (size_t d = 0; d < distances_.size() && static_cast<double>(seen) < 0.98 * total_; ++d) {
      seen += distances_[d];
      most = static_cast<double>(d);
    }
    return std::clamp(std::clamp(most, 1.15 * curves, 2 * curves), 16.0, 255.0);
  }

  double x(double d) const { return kLeft + (kRight - kLeft) * d / last_; }
  static double y(double share) { return kBottom - (kBottom - kTop) * share; }
  double relative_score(double d) const {
    double s = params_.offset;
    for (const Knee& knee : params_.active_knees()) s -= knee.slope * std::min(d, double{1} * knee.position);
    return s / params_.offset;
  }

  std::string grid() const {
    std::string out;
    for (const auto& [share, label] : {std::pair{0.0, "0"}, {0.5, ".5"}, {1.0, "1"}}) {
      out += fmt::format(R"(<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" class="end">{}</text>)", kLeft,
                         coordinate(y(share)), kRight, kLeft - 5, coordinate(y(share) + 3.5), label);
    }
    int tick = 10;
    for (const int wider : {20, 50}) {
      if (last_ / tick > 7) tick = wider;
    }
    for (int d = 0; d <= 0.975 * last_; d += tick) {  // a number at the very edge would be cut
      out += fmt::format(R"(<path class="grid" d="M{0} {1}v4"/><text x="{0}" y="{2}" class="mid">{3}</text>)",
                         coordinate(x(d)), kStripMiddle + kStripHalf, kStripMiddle + kStripHalf + 15, d);
    }
    out += fmt::format(R"(<text x="{}" y="{}" class="mid label">distance d, in steps of {:.4g}</text>)",
                       (kLeft + kRight) / 2, kHeight - 4, step_);
    return out;
  }

  std::string bars() const {
    const int width = std::max(1, static_cast<int>(std::ceil(last_ / 32)));
    std::vector<double> sums;
    for (int d = 0; d + width - 1 <= last_; d += width) {  // what a bar would share with the outside lies beyond
      double sum = 0;
      for (int i = d; i < d + width; ++i) sum += static_cast<double>(distances_[static_cast<size_t>(i)]);
      sums.push_back(sum);
    }
    const double highest = *std::max_element(sums.begin(), sums.end());
    const double inside = std::accumulate(sums.begin(), sums.end(), 0.0);
    std::string path;
    for (size_t i = 0; i < sums.size() && highest > 0; ++i) {
      const double left = x(static_cast<double>(i) * width);
      const double right = std::min(x(static_cast<double>(i + 1) * width), kRight) - 0.8;
      if (sums[i] > 0 && right > left) {
        path += fmt::format("M{} {}V{}H{}V{}", coordinate(left), kBottom,
                            coordinate(y(kHighestBar * sums[i] / highest)), coordinate(right), kBottom);
      }
    }
    std::string out = fmt::format(R"(<path class="bars" d="{}"/>)", path);
    if (const double beyond = (total_ - inside) / total_; beyond >= 0.001) {
      out += fmt::format(R"(<text x="{}" y="{}" class="end">{} of the positions beyond</text>)", kRight, kTop + 10,
                         percent(beyond));
    }
    return out;
  }

  // Cubic pieces with the exponential's own slopes at their ends, down to exp(-7), then a line.
  std::string exponential() const {
    constexpr int kPieces = 10;
    const double piece = std::min(last_, 7 / step_) / kPieces;
    std::string path = fmt::format("M{} {}", coordinate(x(0)), coordinate(y(1)));
    for (int i = 0; i < kPieces; ++i) {
      const double from = i * piece;
      const double to = from + piece;
      const double start = std::exp(-from * step_);
      const double end = std::exp(-to * step_);
      path += fmt::format("C{} {} {} {} {} {}", coordinate(x(from + piece / 3)),
                          coordinate(y(start * (1 - step_ * piece / 3))), coordinate(x(to - piece / 3)),
                          coordinate(y(end * (1 + step_ * piece / 3))), coordinate(x(to)), coordinate(y(end)));
    }
    return fmt::format(R"(<path class="exp" d="{}H{}"/>)", path, kRight);
  }

  std::string curve() const {
    std::string path = fmt::format("M{} {}", coordinate(x(0)), coordinate(y(1)));
    std::string knees;
    for (const Knee& knee : params_.active_knees()) {
      const std::string at = coordinate(x(knee.position));
      const std::string height = coordinate(y(relative_score(knee.position)));
      path += fmt::format("L{} {}", at, height);
      knees += fmt::format(R"(<circle class="knee" cx="{}" cy="{}" r="2.6"/>)", at, height);
    }
    return fmt::format(R"(<path class="hccs" d="{}H{}"/>{})", path, kRight, knees);
  }

  std::string difference() const {
    const auto at = [&](double d) { return relative_score(d) - std::exp(-d * step_); };
    constexpr int kPoints = 64;
    std::vector<double> places;
    for (int i = 0; i <= kPoints; ++i) places.push_back(last_ * i / kPoints);
    for (const Knee& knee : params_.active_knees()) places.push_back(knee.position);
    std::sort(places.begin(), places.end());
    double least = 0;
    double most = 0;
    for (const double d : places) {
      least = std::min(least, at(d));
      most = std::max(most, at(d));
    }
    const double scale = std::clamp(std::max(-least, most), 0.01, 0.99);
    std::string path = fmt::format("M{} {}", kLeft, kStripMiddle);
    for (const double d : places) {
      path += fmt::format("L{} {}", coordinate(x(d)), coordinate(kStripMiddle - kStripHalf * at(d) / scale));
    }
    return fmt::format(R"(<path class="diff" d="{0}V{1}Z"/><path class="grid" d="M{2} {1}H{3}"/>)"
                       R"(<text x="{4}" y="{5}" class="end">+{6}</text><text x="{4}" y="{7}" class="end">−{6}</text>)",
                       path, kStripMiddle, kLeft, kRight, kLeft - 5, kStripMiddle - kStripHalf + 7,
                       fmt::format("{:.2f}", scale).substr(1), kStripMiddle + kStripHalf - 0.5);
  }

  const HeadParams& params_;
  double step_;
  std::span<const int64_t> distances_;
  double total_;
  double last_;
};

}  // namespace

std::string head_chart(std::string_view title, const HeadParams& params, double step,
                       std::span<const int64_t> distances) {
  return HeadChart(params, step, distances).svg(title);
}

}  // namespace hccs::report
