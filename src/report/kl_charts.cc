// SPDX-License-Identifier: Apache-2.0
#include "report/kl_charts.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "report/html.h"

namespace hccs::report {
namespace {

constexpr int64_t kMostLabelledHeads = 16;  // of a layer: cells of more are too small for numbers

// Every so manieth row or column of a map is labelled.
int64_t label_interval(int64_t count) { return count <= 16 ? 1 : count <= 32 ? 2 : count <= 80 ? 5 : 10; }

// KL in thousandths of a nat, as cells have it.
std::string thousandths(double kl) {
  const double value = 1000 * kl;
  if (value >= 9999.5) return fmt::format("{:.0f}k", value / 1000);
  return value < 9.95 ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

// The axis of kl_lanes(): whole decades around all values.
class LogAxis {
 public:
  LogAxis(std::span<const Lane> lanes, double left, double right) : left_(left), right_(right) {
    double least = 0.01;
    double most = 0.01;
    for (const Lane& lane : lanes) {
      for (const double kl : lane.kl) {
        least = std::min(least, std::max(kl, 1e-6));
        most = std::max(most, kl);
      }
    }
    first_ = static_cast<int>(std::floor(std::log10(least)));
    last_ = std::max(static_cast<int>(std::ceil(std::log10(most))), first_ + 1);
  }

  int first_decade() const { return first_; }
  int last_decade() const { return last_; }
  double at(double kl) const {
    const double share = (std::log10(std::max(kl, 1e-12)) - first_) / (last_ - first_);
    return left_ + (right_ - left_) * std::clamp(share, 0.0, 1.0);
  }

 private:
  double left_, right_;
  int first_ = 0;
  int last_ = 0;
};

}  // namespace

int kl_class(double kl) noexcept {
  return static_cast<int>(std::upper_bound(std::begin(kKlLimits), std::end(kKlLimits), kl) - std::begin(kKlLimits));
}

std::string head_anchor(int64_t layer, int64_t head) { return fmt::format("l{}h{}", layer, head); }

std::string kl_map(std::string_view title, std::span<const double> kl, int64_t heads) {
  const bool numbers = heads <= kMostLabelledHeads;
  const int64_t cell_width = numbers ? 36 : 16;
  const int64_t cell_height = numbers ? 26 : 16;
  const auto layers = static_cast<int64_t>(kl.size()) / heads;
  constexpr int64_t kLeft = 44;
  constexpr int64_t kTop = 34;
  const int64_t width = kLeft + heads * cell_width + 2;
  std::string out =
      fmt::format(R"(<svg class="map" viewBox="0 0 {0} {1}" style="max-width:{6}px;min-width:{2}px" role="group">)"
                  R"(<title>{3}</title><text x="{4}" y="12" class="label mid">head</text>)"
                  R"svg(<text x="10" y="{5}" class="label mid" transform="rotate(-90 10 {5})">layer</text>)svg",
                  width, kTop + layers * cell_height + 2, kLeft + heads * (numbers ? 24 : 12), escaped(title),
                  kLeft + heads * cell_width / 2, kTop + layers * cell_height / 2, width * 6 / 5);
  for (int64_t head = 0; head < heads; head += label_interval(heads)) {
    out +=
        fmt::format(R"(<text x="{}" y="28" class="mid">{}</text>)", kLeft + head * cell_width + cell_width / 2, head);
  }
  for (int64_t layer = 0; layer < layers; ++layer) {
    const int64_t top = kTop + layer * cell_height;
    if (layer % label_interval(layers) == 0) {
      out += fmt::format(R"(<text x="{}" y="{}" class="end">{}</text>)", kLeft - 8, top + cell_height / 2 + 4, layer);
    }
    for (int64_t head = 0; head < heads; ++head) {
      const double value = kl[static_cast<size_t>(layer * heads + head)];
      const int64_t left = kLeft + head * cell_width;
      out += fmt::format(R"(<a href="#{}"><title>Layer {}, head {}: KL {:.5f} nat</title>)"
                         R"(<rect class="k{}" x="{}" y="{}" width="{}" height="{}" rx="3"/>)",
                         head_anchor(layer, head), layer, head, value, kl_class(value), left, top, cell_width - 2,
                         cell_height - 2);
      if (numbers) {
        out += fmt::format(R"(<text class="t{} mid" x="{}" y="{}">{}</text>)", kl_class(value),
                           left + cell_width / 2 - 1, top + cell_height / 2 + 3, thousandths(value));
      }
      out += "</a>";
    }
  }
  return out + "</svg>";
}

std::string kl_legend() {
  std::string out = R"(<ul class="legend">)";
  for (int c = 0; c < kKlClasses; ++c) {
    const std::string text = c == 0                ? fmt::format("below {}", kKlLimits[0])
                             : c == kKlClasses - 1 ? fmt::format("{} and above", kKlLimits[c - 1])
                                                   : fmt::format("{} to {}", kKlLimits[c - 1], kKlLimits[c]);
    out += fmt::format(R"(<li><span class="swatch b{}"></span>{}</li>)", c, text);
  }
  return out + "</ul>";
}

std::string kl_lanes(std::span<const Lane> lanes, int64_t heads) {
  const bool alone = lanes.size() == 1;
  const double width = alone ? 470 : 960;
  const double lane_height = alone ? 190 : 68;
  const double dots = alone ? 150 : 34;  // the height that layers share
  constexpr double kLeft = 12;
  const LogAxis axis(lanes, kLeft, width - 12);
  const double bottom = lane_height * static_cast<double>(lanes.size()) + 4;
  std::string out =
      fmt::format(R"(<svg class="lanes{}" viewBox="0 0 {} {}" role="img"><title>The KL of every head, by file</title>)",
                  alone ? "" : " wide", width, bottom + 36);
  for (int decade = axis.first_decade(); decade <= axis.last_decade(); ++decade) {
    const double x = axis.at(std::pow(10, decade));
    const char* anchor = decade == axis.first_decade() ? "" : decade == axis.last_decade() ? "end" : "mid";
    out += fmt::format(R"(<path class="grid" d="M{0} 4V{1}"/><text class="{2}" x="{0}" y="{3}">{4:g}</text>)",
                       coordinate(x), coordinate(bottom), anchor, bottom + 15, std::pow(10, decade));
  }
  out += fmt::format(R"(<text class="label mid" x="{}" y="{}">KL to softmax, in nats, logarithmic</text>)", width / 2,
                     bottom + 31);
  double top = 4;
  for (const Lane& lane : lanes) {
    const double layers = static_cast<double>(lane.kl.size()) / static_cast<double>(heads);
    out += fmt::format(R"(<text class="name" x="{}" y="{}">{}</text>)", kLeft, top + 14, escaped(lane.name));
    for (size_t i = 0; i < lane.kl.size(); ++i) {
      const auto layer = static_cast<int64_t>(i) / heads;
      const double y = top + 24 + dots * (static_cast<double>(layer) + 0.5) / layers;
      out += fmt::format(
          R"(<circle class="dot k{}" cx="{}" cy="{}" r="4"><title>Layer {}, head {}: {:.5f}</title></circle>)",
          kl_class(lane.kl[i]), coordinate(axis.at(lane.kl[i])), coordinate(y), layer, static_cast<int64_t>(i) % heads,
          lane.kl[i]);
    }
    const double mean = std::accumulate(lane.kl.begin(), lane.kl.end(), 0.0) / static_cast<double>(lane.kl.size());
    out += fmt::format(R"(<path class="mean" d="M{} {}v{}"><title>mean {:.5f}</title></path>)",
                       coordinate(axis.at(mean)), top + 20, dots + 8, mean);
    top += lane_height;
  }
  return out + "</svg>";
}

}  // namespace hccs::report
