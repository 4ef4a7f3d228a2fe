// SPDX-License-Identifier: Apache-2.0
#include "aie/results/plot.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace aie_results {
namespace {

constexpr double kWidth = 420, kHeight = 300;  // of a plot's frame
constexpr double kLeft = 62, kTop = 34, kBottom = 48, kRight = 18;
constexpr double kLegendLine = 20, kLegendColumn = 230;
constexpr std::array<std::string_view, 10> kColours{"#1b6ca8", "#d95f02", "#1b9e77", "#7570b3", "#e7298a",
                                                    "#66a61e", "#a6761d", "#666666", "#e6ab02", "#000000"};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string number(double x) { return fmt::format("{:g}", x); }

// 1, 2 or 5 times a power of ten, such that some five steps reach `most`.
double step_for(double most) {
  const double power = std::pow(10, std::floor(std::log10(most / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power * 6 >= most) return factor * power;
  }
  return 10 * power;
}

// From a number to a place between 0 and 1, and where the ticks are.
class Scale {
 public:
  Scale(const Axis& axis, double least, double most) : log_(axis.log) {
    if (log_) {
      first_ = std::floor(std::log2(least));
      last_ = std::max(std::ceil(std::log2(most)), first_ + 1);
      const int first = static_cast<int>(first_), last = static_cast<int>(last_);
      for (int power = first; power <= last; ++power) ticks_.push_back(std::exp2(power));
    } else {
      const double step = step_for(most > 0 ? most : 1);
      last_ = std::max(1.0, std::ceil(most / step - 1e-9)) * step;
      for (int i = 0; i * step <= last_ * (1 + 1e-9); ++i) ticks_.push_back(i * step);
    }
  }
  double place(double x) const { return ((log_ ? std::log2(x) : x) - first_) / (last_ - first_); }
  const std::vector<double>& ticks() const { return ticks_; }

 private:
  bool log_;
  double first_ = 0, last_ = 1;
  std::vector<double> ticks_;
};

std::string draw(const Plot& plot, double left, const std::vector<std::string>& labels) {
  double least_x = 1e300, most_x = 0, least_y = 1e300, most_y = 0;
  for (const Line& line : plot.lines) {
    for (const auto& [x, y] : line.points) {
      least_x = std::min(least_x, x);
      most_x = std::max(most_x, x);
      least_y = std::min(least_y, y);
      most_y = std::max(most_y, y);
    }
  }
  const Scale x_scale(plot.x, least_x, most_x);
  const Scale y_scale(plot.y, least_y, most_y);
  const auto px = [&](double x) { return left + kLeft + kWidth * x_scale.place(x); };
  const auto py = [&](double y) { return kTop + kHeight * (1 - y_scale.place(y)); };
  std::string out =
      fmt::format("<text x=\"{:.1f}\" y=\"20\" class=\"title\">{}</text>\n", left + kLeft, escaped(plot.title));
  for (const double tick : x_scale.ticks()) {
    out += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" class=\"grid\"/><text x=\"{0:.1f}\" y=\"{3:.1f}\" "
        "class=\"x\">{4}</text>\n",
        px(tick), kTop, kTop + kHeight, kTop + kHeight + 16, number(tick));
  }
  for (const double tick : y_scale.ticks()) {
    out += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}H{2:.1f}\" class=\"grid\"/><text x=\"{3:.1f}\" y=\"{4:.1f}\" "
        "class=\"y\">{5}</text>\n",
        left + kLeft, py(tick), left + kLeft + kWidth, left + kLeft - 6, py(tick) + 4, number(tick));
  }
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"x\">{}</text>\n", left + kLeft + kWidth / 2,
                     kTop + kHeight + 36, escaped(plot.x.label));
  out += fmt::format("<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" class=\"x\">{}</text>\n", left + 14,
                     kTop + kHeight / 2, escaped(plot.y.label));
  for (const Line& line : plot.lines) {
    const auto index = std::find(labels.begin(), labels.end(), line.label) - labels.begin();
    const std::string_view colour = kColours[static_cast<std::size_t>(index) % kColours.size()];
    std::string path;
    for (const auto& [x, y] : line.points)
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", px(x), py(y));
    out += fmt::format("<path d=\"{}\" stroke=\"{}\"{} class=\"line\"/>\n", path, colour,
                       line.dashed ? " stroke-dasharray=\"5 4\"" : "");
    if (!line.marked) continue;
    for (const auto& [x, y] : line.points) {
      out += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", px(x), py(y), colour);
    }
  }
  return out;
}

}  // namespace

std::string svg(const std::vector<Plot>& plots) {
  std::vector<std::string> labels;
  std::vector<bool> dashed;
  for (const Plot& plot : plots) {
    for (const Line& line : plot.lines) {
      if (std::find(labels.begin(), labels.end(), line.label) != labels.end()) continue;
      labels.push_back(line.label);
      dashed.push_back(line.dashed);
    }
  }
  const double width = static_cast<double>(plots.size()) * (kLeft + kWidth + kRight);
  const auto columns = static_cast<std::size_t>(std::max(1.0, std::floor((width - kLeft) / kLegendColumn)));
  const std::size_t legend_lines = (labels.size() + columns - 1) / columns;
  const double height = kTop + kHeight + kBottom + static_cast<double>(legend_lines) * kLegendLine + 8;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" height=\"{1:g}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<style>.title{{font-size:14px}}.grid{{stroke:#ddd;fill:none}}.line{{fill:none;stroke-width:1.8}}"
      ".x{{text-anchor:middle}}.y{{text-anchor:end}}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, height);
  for (std::size_t i = 0; i < plots.size(); ++i) {
    out += draw(plots[i], static_cast<double>(i) * (kLeft + kWidth + kRight), labels);
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t row = i / columns, column = i % columns;
    const double x = kLeft + static_cast<double>(column) * kLegendColumn;
    const double y = kTop + kHeight + kBottom + static_cast<double>(row) * kLegendLine + 8;
    out += fmt::format(
        "<path d=\"M{:.1f} {:.1f}h26\" stroke=\"{}\"{} class=\"line\"/><text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x,
        y - 4, kColours[i % kColours.size()], dashed[i] ? " stroke-dasharray=\"5 4\"" : "", x + 32, y,
        escaped(labels[i]));
  }
  return out + "</svg>\n";
}

}  // namespace aie_results
