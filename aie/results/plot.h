// SPDX-License-Identifier: Apache-2.0
//
// Line plots as SVG: the same bytes for the same numbers, no font or library needed.
#ifndef HCCS_AIE_RESULTS_PLOT_H_
#define HCCS_AIE_RESULTS_PLOT_H_

#include <string>
#include <utility>
#include <vector>

namespace aie_results {

struct Line {
  std::string label;
  std::vector<std::pair<double, double>> points;
  bool dashed = false;
  bool marked = true;  // a dot at each point
};

struct Axis {
  std::string label;
  bool log = false;  // to base 2
};

struct Plot {
  std::string title;
  Axis x, y;
  std::vector<Line> lines;  // at most 10
};

// Plots side by side with one legend below: lines of the same label have the same colour. Points of a log axis are
// above 0. An axis that is not log begins at 0.
std::string svg(const std::vector<Plot>& plots);

}  // namespace aie_results

#endif  // HCCS_AIE_RESULTS_PLOT_H_
