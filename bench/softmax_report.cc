// SPDX-License-Identifier: Apache-2.0
#include "softmax_report.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "softmax_page.h"  // made by the build from docs/results/softmax-cpu.md.in

namespace hccs::bench {
namespace {

// The fastest row that `is` accepts; null if there is none.
const Row* fastest(const Report& report, const std::function<bool(const Case&)>& is) {
  const Row* best = nullptr;
  for (const Row& row : report.rows) {
    if (is(row.what) && (best == nullptr || row.timing.ns_per_row < best->timing.ns_per_row)) best = &row;
  }
  return best;
}

// The peer's fastest variant on rows of this length, in this working set or, if it is empty, in any: then the peer has
// its best size of a call, too.
const Row* peer(const Report& report, std::string_view kernel, int64_t n, std::string_view working_set = "") {
  return fastest(report, [&](const Case& c) {
    return c.kernel == kernel && c.n == n && (c.working_set == working_set || working_set.empty());
  });
}

std::optional<double> time_ratio(const Row* slow, const Row* fast) {
  if (slow == nullptr || fast == nullptr) return std::nullopt;
  return slow->timing.ns_per_row / fast->timing.ns_per_row;
}

// HCCS with uint8 output, K = 1, no mask, in L1; the caller changes what differs.
Case plain(std::string target, std::string mode, int64_t n) {
  Case c;
  c.kernel = "hccs";
  c.target = std::move(target);
  c.mode = std::move(mode);
  c.output = "uint8";
  c.knees = 1;
  c.mask = kNoMask;
  c.working_set = "L1";
  c.n = n;
  return c;
}

// What tells two rows of one table apart, but for the shape of a call.
bool same_work(const Case& a, const Case& b) {
  return a.kernel == b.kernel && a.target == b.target && a.mode == b.mode && a.output == b.output &&
         a.knees == b.knees && a.step == b.step && a.mask == b.mask && a.full_of == b.full_of;
}

const Row* find(const Report& report, const Case& wanted) {
  return fastest(report, [&](const Case& c) {
    return same_work(c, wanted) && c.n == wanted.n &&
           (c.working_set == wanted.working_set || wanted.working_set.empty());
  });
}

std::string cell(std::optional<double> value) { return value ? fmt::format("{:.2f}", *value) : "-"; }
std::string rate_cell(const Row* row) {
  return row == nullptr ? "-" : fmt::format("{:.1f}", row->timing.gelem_per_s(row->what.n));
}
std::string peer_rate_cell(const Row* row) {
  return row == nullptr ? "-" : fmt::format("{:.2f}", row->timing.gelem_per_s(row->what.n));
}

using Table = std::vector<std::vector<std::string>>;  // the first line is the header

// Columns padded, so that a terminal and a Markdown renderer both show a table.
std::string render(const Table& lines) {
  std::vector<size_t> width(lines.front().size());
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], line[i].size());
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& line) {
    for (size_t i = 0; i < line.size(); ++i) {
      text += i == 0 ? fmt::format("| {:<{}} ", line[i], width[i]) : fmt::format("| {:>{}} ", line[i], width[i]);
    }
    text += "|\n";
  };
  add(lines.front());
  for (size_t i = 0; i < width.size(); ++i) text += fmt::format("|{:-<{}}{}", "", width[i] + 1, i == 0 ? "-" : ":");
  text += "|\n";
  for (size_t i = 1; i < lines.size(); ++i) add(lines[i]);
  return text;
}

std::string label(const Case& c) {
  std::string text = c.kernel;
  const bool ours = c.kernel == "hccs" || c.kernel == kSoftmaxInt32 || c.kernel == kRequantiseSoftmax;
  if (ours) text += fmt::format(" K={}", c.knees);
  if (c.step > 0) text += fmt::format(" step {}", c.step);
  if (ours || c.kernel == "exact-lut") text += " " + c.mode;
  if (c.kernel != "memcpy") text += " " + c.output;
  if (c.mask != kNoMask) text += ", " + c.mask;
  if (c.full_of == kCausal) text += ", n x n without a mask";
  return fmt::format("{} ({})", text, c.target);
}

// A line of ratios: what was measured at each length where it applies.
struct Ratio {
  std::string text;
  std::function<std::optional<double>(int64_t n)> measured;
};

// How many times as fast as the peers, in two modes, on the best target and by AVX2.
std::vector<Ratio> peer_ratios(const Report& report) {
  const std::string& best = report.targets.front();
  const auto against = [&report](const char* kernel, const std::string& target, const std::string& mode) {
    return
        [=, &report](int64_t n) { return time_ratio(peer(report, kernel, n), find(report, plain(target, mode, n))); };
  };
  std::vector<Ratio> list;
  for (const std::string mode : {"clb", "scaled"}) {
    list.push_back({mode + " uint8: times as fast as oneDNN int8", against("onednn-s8", best, mode)});
    list.push_back({mode + " uint8: times as fast as XNNPACK qu8", against("xnnpack-qu8", best, mode)});
    list.push_back({mode + " uint8, avx2 forced: times as fast as oneDNN int8", against("onednn-s8", "avx2", mode)});
  }
  return list;
}

// What knees, outputs and masks cost, on the best target.
std::vector<Ratio> cost_ratios(const Report& report) {
  const std::string& best = report.targets.front();
  const auto of = [&report](const Case& c) { return find(report, c); };
  std::vector<Ratio> list;
  list.push_back({"K = 3 over K = 1, scaled uint8: time", [=](int64_t n) {
                    Case three = plain(best, "scaled", n);
                    three.knees = 3;
                    return time_ratio(of(three), of(plain(best, "scaled", n)));
                  }});
  list.push_back({"int16 over uint8, scaled: time", [=](int64_t n) {
                    Case wide = plain(best, "scaled", n);
                    wide.output = "int16";
                    return time_ratio(of(wide), of(plain(best, "scaled", n)));
                  }});
  const auto over_full_rows = [=](const char* mask, int64_t n, int64_t full_n) {
    Case masked = plain(best, "scaled", n);
    masked.working_set.clear();
    Case full = masked;
    full.n = full_n;
    masked.mask = mask;
    full.full_of = mask;
    return time_ratio(of(masked), of(full));
  };
  list.push_back({"causal n x n over the full square, scaled uint8: time",
                  [=](int64_t n) { return over_full_rows(kCausal, n, n); }});
  list.push_back({"n/2 valid of n over a full row of n/2, scaled uint8: time",
                  [=](int64_t n) { return over_full_rows(kHalf, n, n / 2); }});
  return list;
}

// Softmax of int32 sums against requantisation and int8 softmax apart, on the best target.
std::vector<Ratio> sums_ratios(const Report& report) {
  const auto sums = [](const char* kernel, const std::string& target, const char* output, int64_t n) {
    Case c = plain(target, "scaled", n);
    c.kernel = kernel;
    c.output = output;
    c.working_set.clear();
    return c;
  };
  const std::string& best = report.targets.front();
  std::vector<Ratio> list;
  for (const char* how : {kClangNative, kDefaultFlags, kTwoSteps}) {
    list.push_back({fmt::format("sums to uint8: times as fast as {}, then int8 softmax", how), [=, &report](int64_t n) {
                      return time_ratio(find(report, sums(kRequantiseSoftmax, how, "uint8", n)),
                                        find(report, sums(kSoftmaxInt32, best, "uint8", n)));
                    }});
  }
  list.push_back({"sums, int16 over uint8: time", [=, &report](int64_t n) {
                    return time_ratio(find(report, sums(kSoftmaxInt32, best, "int16", n)),
                                      find(report, sums(kSoftmaxInt32, best, "uint8", n)));
                  }});
  return list;
}

// The exact table against HCCS: times as fast.
std::optional<double> exact_table_ratio(const Report& report, const std::string& target, double step, int64_t n) {
  Case exact = plain(target, "scaled", n);
  exact.kernel = "exact-lut";
  exact.knees = 0;
  exact.step = step;
  return time_ratio(find(report, plain(target, "scaled", n)), find(report, exact));
}

// What the exact table reaches on the targets that look up 16 entries at a time.
std::string narrow_shuffles(const Report& report) {
  double least = std::numeric_limits<double>::infinity();
  double most = 0;
  for (const std::string& target : report.targets) {
    if (target == "avx512-vbmi" || target == "portable") continue;
    for (const int64_t n : kRowLengths) {
      if (const auto ratio = exact_table_ratio(report, target, .1, n)) {
        least = std::min(least, *ratio);
        most = std::max(most, *ratio);
      }
    }
  }
  if (most == 0) return "is slower.";
  return fmt::format("(step 0.1) reaches {:.2f} to {:.2f} of its speed.", least, most);
}

std::vector<std::string> with_lengths(std::vector<std::string> columns) {
  for (const int64_t n : kRowLengths) columns.push_back(std::to_string(n));
  return columns;
}

std::vector<Ratio> exact_table_ratios(const Report& report) {
  std::vector<Ratio> list;
  for (const std::string& target : report.targets) {
    for (const double step : {.1, .04}) {
      list.push_back({fmt::format("exact-lut step {} over hccs K=1, scaled uint8, {}: times as fast", step, target),
                      [=, &report](int64_t n) { return exact_table_ratio(report, target, step, n); }});
    }
  }
  return list;
}

// HCCS beside the peers and the exact table, at common lengths.
std::string rates(const Report& report) {
  Table lines = {{"n", "oneDNN s8", "XNNPACK qu8", "clb uint8", "scaled uint8", "exact-lut scaled"}};
  const std::string& best = report.targets.front();
  for (const int64_t n : {32, 64, 128, 256, 512}) {
    Case exact = plain(best, "scaled", n);
    exact.kernel = "exact-lut";
    exact.knees = 0;
    exact.step = .1;
    lines.push_back({std::to_string(n), peer_rate_cell(peer(report, "onednn-s8", n)),
                     peer_rate_cell(peer(report, "xnnpack-qu8", n)), rate_cell(find(report, plain(best, "clb", n))),
                     rate_cell(find(report, plain(best, "scaled", n))), rate_cell(find(report, exact))});
  }
  return render(lines);
}

// A line of the ratio at each length, if it was measured at any.
void add_line(const Ratio& ratio, Table& lines) {
  std::vector<std::string> line = {ratio.text};
  bool measured = false;
  for (const int64_t n : kRowLengths) {
    const std::optional<double> value = ratio.measured(n);
    measured = measured || value;
    line.push_back(cell(value));
  }
  if (measured) lines.push_back(std::move(line));
}

}  // namespace

std::string sums(const Report& report) {
  Table lines = {with_lengths({"microseconds a call"})};
  std::vector<Case> done;
  for (const Row& first : report.rows) {
    const Case& c = first.what;
    if (c.kernel != kSoftmaxInt32 && c.kernel != kRequantiseSoftmax) continue;
    if (std::any_of(done.begin(), done.end(), [&](const Case& d) { return same_work(d, c); })) continue;
    done.push_back(c);
    std::vector<std::string> line = {label(c)};
    for (const int64_t n : kRowLengths) {
      const auto row = std::find_if(report.rows.begin(), report.rows.end(),
                                    [&](const Row& r) { return r.what.n == n && same_work(r.what, c); });
      const bool measured = row != report.rows.end();
      const auto rows = measured ? static_cast<double>(row->what.heads * row->what.queries) : 0;
      line.push_back(measured ? fmt::format("{:.1f}", row->timing.ns_per_row * rows / 1000) : "-");
    }
    lines.push_back(std::move(line));
  }
  Table ratio_lines = {with_lengths({"ratio"})};
  for (const Ratio& ratio : sums_ratios(report)) add_line(ratio, ratio_lines);
  return render(lines) + "\n" + render(ratio_lines);
}

std::string table(const Report& report) {
  Table lines = {with_lengths({"kernel (target)"})};
  lines.front().insert(lines.front().begin() + 1, "in");
  lines.front().emplace_back("spread");
  // A causal block is as large as it is: its line goes through all working sets.
  const auto by_size = [](const Case& c) { return c.mask == kCausal || c.full_of == kCausal; };
  std::vector<const Row*> done;
  for (const Row& first : report.rows) {
    const auto same_line = [&](const Row& row) {
      return same_work(row.what, first.what) && (row.what.working_set == first.what.working_set || by_size(first.what));
    };
    if (first.what.full_of == kHalf) continue;  // of other lengths than the columns'
    if (std::any_of(done.begin(), done.end(), [&](const Row* row) { return same_line(*row); })) continue;
    done.push_back(&first);
    std::vector<std::string> line = {label(first.what), by_size(first.what) ? "by size" : first.what.working_set};
    std::vector<double> spreads;
    for (const int64_t n : kRowLengths) {
      const auto row = std::find_if(report.rows.begin(), report.rows.end(),
                                    [&](const Row& r) { return r.what.n == n && same_line(r); });
      line.push_back(row == report.rows.end() ? "-" : peer_rate_cell(&*row));
      if (row != report.rows.end()) spreads.push_back(row->timing.spread);
    }
    line.push_back(fmt::format("{:.0f} %", 100 * *std::max_element(spreads.begin(), spreads.end())));
    lines.push_back(std::move(line));
  }
  return render(lines);
}

std::string ratios(const Report& report) {
  Table lines = {with_lengths({"ratio"})};
  for (const auto& list : {peer_ratios(report), cost_ratios(report), exact_table_ratios(report)}) {
    for (const Ratio& ratio : list) add_line(ratio, lines);
  }
  return render(lines);
}

std::string json(const Report& report) {
  using Json = nlohmann::ordered_json;
  const auto optional = [](std::optional<double> value) { return value ? Json(*value) : Json(nullptr); };
  Json rows = Json::array();
  for (const Row& row : report.rows) {
    const Case& c = row.what;
    rows.push_back(
        {{"kernel", c.kernel},
         {"target", c.target},
         {"mode", c.mode},
         {"output", c.output},
         {"knees", c.knees > 0 ? Json(c.knees) : Json(nullptr)},
         {"mask", c.mask},
         {"n", c.n},
         {"gelem_per_s", row.timing.gelem_per_s(c.n)},
         {"cycles_per_row", report.clock_ghz > 0 ? Json(row.timing.ns_per_row * report.clock_ghz) : Json(nullptr)},
         {"ratio_to_onednn_s8", optional(time_ratio(peer(report, "onednn-s8", c.n, c.working_set), &row))},
         {"ratio_to_xnnpack_qu8", optional(time_ratio(peer(report, "xnnpack-qu8", c.n, c.working_set), &row))},
         {"working_set", c.working_set},
         {"ns_per_row", row.timing.ns_per_row},
         {"spread", row.timing.spread},
         {"step", c.step > 0 ? Json(c.step) : Json(nullptr)},
         {"heads", c.heads},
         {"queries", c.queries},
         {"batches", c.batches}});
  }
  const Json all = {{"machine", report.machine},
                    {"commit", report.commit},
                    {"clock_ghz", report.clock_ghz},
                    {"absent", report.absent},
                    {"rows", rows}};
  return all.dump(1) + "\n";
}

std::string markdown(const Report& report) {
  std::string absent;
  for (const std::string& name : report.absent) {
    absent += fmt::format("Not measured, as this build lacks it: {}.\n\n", name);
  }
  return fmt::format(fmt::runtime(kSoftmaxPage), fmt::arg("machine", report.machine), fmt::arg("commit", report.commit),
                     fmt::arg("clock_ghz", report.clock_ghz), fmt::arg("absent", absent),
                     fmt::arg("narrow_shuffles", narrow_shuffles(report)), fmt::arg("rates", rates(report)),
                     fmt::arg("ratios", ratios(report)), fmt::arg("sums", sums(report)),
                     fmt::arg("table", table(report)), fmt::arg("sizes", report.sizes),
                     fmt::arg("repetitions", report.repetitions));
}

}  // namespace hccs::bench
