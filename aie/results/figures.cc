// SPDX-License-Identifier: Apache-2.0
//
// The plots beside docs/results/aie-throughput.md.
#include <fmt/core.h>

#include <functional>

#include "aie/results/plot.h"
#include "aie/results/report.h"

namespace aie_results {

using aie_cycles::Array;
using aie_cycles::Device;
using aie_traces::Call;
using aie_traces::Kernel;
using aie_traces::Mode;

namespace {

// The values at the row lengths that have one.
std::vector<std::pair<double, double>> by_length(const std::function<std::optional<double>(unsigned)>& value) {
  std::vector<std::pair<double, double>> points;
  for (const unsigned n : kRowLengths) {
    if (const auto y = value(n)) points.emplace_back(n, *y);
  }
  return points;
}

}  // namespace

std::string throughput_svg(const Results& results) {
  std::vector<Plot> plots;
  for (const Device device : kDevices) {
    Plot plot{std::string(title(device)), {"n", true}, {"Gelem/s a tile at 1.25 GHz", true}, {}};
    const auto add = [&](std::string label, Call call) {
      plot.lines.push_back({std::move(label), by_length([&](unsigned n) -> std::optional<double> {
                              call.n = n;
                              call.device = device;
                              const Row* row = find(results.rows, call);
                              return row == nullptr ? std::nullopt : std::optional<double>(row->gelem_per_s);
                            })});
    };
    add("tiles clb", {.kernel = Kernel::kTiles});
    add("tiles scaled", {.kernel = Kernel::kTiles, .mode = Mode::kScaled});
    add("rows clb", {.kernel = Kernel::kRows});
    add("rows scaled", {.kernel = Kernel::kRows, .mode = Mode::kScaled});
    add("paper_rows clb (model)", {.kernel = Kernel::kPaperRows});
    add("exp_bf16 (model)", exp_bf16_call(device, 0, true));
    Line clb{"paper: clb", {}, true, true};
    Line bf16{"paper: bf16", {}, true, true};
    for (const PublishedCell& cell : published()) {
      if (cell.device != device) continue;
      clb.points.emplace_back(cell.n, cell.clb);
      bf16.points.emplace_back(cell.n, cell.bf16);
    }
    plot.lines.push_back(std::move(clb));
    plot.lines.push_back(std::move(bf16));
    plots.push_back(std::move(plot));
  }
  return svg(plots);
}

std::string speedup_svg(const Results& results) {
  std::vector<Plot> plots;
  for (const Device device : kDevices) {
    Plot plot{std::string(title(device)), {"n", true}, {"times as fast as a bf16 softmax", true}, {}};
    const auto add = [&](std::string label, Call call) {
      plot.lines.push_back({std::move(label), by_length([&](unsigned n) -> std::optional<double> {
                              call.n = n;
                              call.device = device;
                              const auto fast = cycles_per_64(results.rows, call);
                              const auto slow = cycles_per_64(results.rows, exp_bf16_call(device, n, true));
                              return fast && slow ? std::optional<double>(*slow / *fast) : std::nullopt;
                            })});
    };
    add("tiles clb", {.kernel = Kernel::kTiles});
    add("tiles scaled", {.kernel = Kernel::kTiles, .mode = Mode::kScaled});
    add("rows clb", {.kernel = Kernel::kRows});
    add("rows scaled", {.kernel = Kernel::kRows, .mode = Mode::kScaled});
    add("paper_rows clb", {.kernel = Kernel::kPaperRows});
    Line paper{"paper: clb over its bf16", {}, true, true};
    for (const PublishedCell& cell : published()) {
      if (cell.device == device) paper.points.emplace_back(cell.n, cell.clb / cell.bf16);
    }
    plot.lines.push_back(std::move(paper));
    plots.push_back(std::move(plot));
  }
  return svg(plots);
}

std::string scaling_svg(const Results& results) {
  Plot plot{"rows, clb, uint8, n = 128", {"tiles", false}, {"Gelem/s", false}, {}};
  for (const Device device : kDevices) {
    Line line{fmt::format("{} ({})", title(device), Array::of(device).part), {}, false, false};
    for (const ScalingRow& row : results.scaling) {
      if (row.device == device) line.points.emplace_back(row.scaling.tiles, row.scaling.gelem_per_s);
    }
    plot.lines.push_back(std::move(line));
  }
  return svg({plot});
}

}  // namespace aie_results
