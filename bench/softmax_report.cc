// SPDX-License-Identifier: Apache-2.0
#include "softmax_report.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

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
  if (c.kernel == "hccs") text += fmt::format(" K={}", c.knees);
  if (c.step > 0) text += fmt::format(" step {}", c.step);
  if (c.kernel == "hccs" || c.kernel == "exact-lut") text += " " + c.mode;
  if (c.kernel != "memcpy") text += " " + c.output;
  if (c.mask != kNoMask) text += ", " + c.mask;
  if (c.full_of == kCausal) text += ", n x n without a mask";
  return fmt::format("{} ({})", text, c.target);
}

// One goal: what was measured at each length where it applies, and whether each is on the right side.
struct Goal {
  std::string text;
  double limit;
  bool at_least;
  int64_t shortest;
  std::function<std::optional<double>(int64_t n)> measured;
};

std::vector<Goal> ratio_goals(const Report& report) {
  const std::string& best = report.targets.front();
  const auto of = [&](const Case& c) { return find(report, c); };
  std::vector<Goal> list;
  for (const std::string mode : {"clb", "scaled"}) {
    list.push_back(
        {fmt::format("{} uint8: times as fast as oneDNN int8, >= 6", mode), 6, true, 128,
         [=, &report](int64_t n) { return time_ratio(peer(report, "onednn-s8", n), of(plain(best, mode, n))); }});
    list.push_back(
        {fmt::format("{} uint8: times as fast as XNNPACK qu8, >= 15", mode), 15, true, 128,
         [=, &report](int64_t n) { return time_ratio(peer(report, "xnnpack-qu8", n), of(plain(best, mode, n))); }});
    list.push_back(
        {fmt::format("{} uint8, avx2 forced: times as fast as oneDNN int8, >= 3", mode), 3, true, 128,
         [=, &report](int64_t n) { return time_ratio(peer(report, "onednn-s8", n), of(plain("avx2", mode, n))); }});
  }
  list.push_back({"K = 3 over K = 1, scaled uint8: time, <= 1.15", 1.15, false, 0, [=](int64_t n) {
                    Case three = plain(best, "scaled", n);
                    three.knees = 3;
                    return time_ratio(of(three), of(plain(best, "scaled", n)));
                  }});
  list.push_back({"int16 over uint8, scaled: time, <= 1.5", 1.5, false, 0, [=](int64_t n) {
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
  list.push_back({"causal n x n over the full square, scaled uint8: time, <= 0.65", .65, false, 0,
                  [=](int64_t n) { return over_full_rows(kCausal, n, n); }});
  list.push_back({"n/2 valid of n over a full row of n/2, scaled uint8: time, <= 1.1", 1.1, false, 0,
                  [=](int64_t n) { return over_full_rows(kHalf, n, n / 2); }});
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

std::string rates_with_goals(const Report& report) {
  struct Published {
    int64_t n;
    const char *onednn, *xnnpack, *prototype, *clb, *scaled;
  };
  // Another machine's figures, and what was set out to reach.
  constexpr Published kPublished[] = {{32, "-", "-", "-", "5", "4.5"},
                                      {64, "1.47", "0.56", "5.5", "8", "7"},
                                      {128, "1.68", "0.60", "9.8", "14", "12"},
                                      {256, "1.82", "0.61", "13.6", "20", "18"},
                                      {512, "1.81", "0.52", "17.2", "24", "22"}};
  Table lines = {{"n", "oneDNN s8 then", "now", "XNNPACK qu8 then", "now", "prototype clb", "clb uint8 goal",
                  "measured", "scaled uint8 goal", "measured", "exact-lut scaled"}};
  const std::string& best = report.targets.front();
  for (const Published& p : kPublished) {
    Case exact = plain(best, "scaled", p.n);
    exact.kernel = "exact-lut";
    exact.knees = 0;
    exact.step = .1;
    lines.push_back({std::to_string(p.n), p.onednn, peer_rate_cell(peer(report, "onednn-s8", p.n)), p.xnnpack,
                     peer_rate_cell(peer(report, "xnnpack-qu8", p.n)), p.prototype, p.clb,
                     rate_cell(find(report, plain(best, "clb", p.n))), p.scaled,
                     rate_cell(find(report, plain(best, "scaled", p.n))), rate_cell(find(report, exact))});
  }
  return render(lines);
}

}  // namespace

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

std::string goals(const Report& report) {
  Table lines = {with_lengths({"goal"})};
  lines.front().emplace_back("reached");
  for (const Goal& goal : ratio_goals(report)) {
    std::vector<std::string> line = {goal.text};
    bool measured = false;
    bool reached = true;
    for (const int64_t n : kRowLengths) {
      const std::optional<double> value = goal.measured(n);
      line.push_back(cell(value));
      if (!value || n < goal.shortest) continue;
      measured = true;
      reached = reached && (goal.at_least ? *value >= goal.limit : *value <= goal.limit);
    }
    if (goal.shortest > 0) line[0] += fmt::format(" from n = {} on", goal.shortest);
    line.emplace_back(!measured ? "-" : reached ? "yes" : "no");
    lines.push_back(std::move(line));
  }
  for (const std::string& target : report.targets) {
    for (const double step : {.1, .04}) {
      std::vector<std::string> line = {
          fmt::format("exact-lut step {} over hccs K=1, scaled uint8, {}: times as fast", step, target)};
      bool measured = false;
      for (const int64_t n : kRowLengths) {
        line.push_back(cell(exact_table_ratio(report, target, step, n)));
        measured = measured || line.back() != "-";
      }
      line.emplace_back("no goal");
      if (measured) lines.push_back(std::move(line));
    }
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
  std::string text = fmt::format(
      "# Row softmax on a CPU\n\n"
      "`make bench-softmax` wrote this file; the same numbers and more are in `build/results/softmax-cpu.json`.\n\n"
      "{}; commit {}; one thread; {:.2f} GHz. 10^9 elements a second, masked ones included.\n\n",
      report.machine, report.commit, report.clock_ghz);
  for (const std::string& name : report.absent)
    text += fmt::format("Not measured, as this build lacks it: {}.\n\n", name);
  text +=
      "**What these numbers do not say.** On a CPU that looks up bytes in 64 at a time (`avx512-vbmi`) HCCS is no "
      "faster\n"
      "than an exact exponential that is 0 from a distance of 127 on (`exact-lut` with step 0.1, behind the same\n"
      "interface): a score depends on the distance alone, so both are the same look-ups with other entries. A finer "
      "one\n"
      "(step 0.04) uses 256 entries and costs more. The shuffles of the targets below reach only 16 entries of a "
      "table\n"
      "at a time: there HCCS computes its scores instead, and the exact table " +
      narrow_shuffles(report) +
      "\n"
      "`portable` looks both up one entry at a time, at about the same cost. The ratios are below. What HCCS is made "
      "for\n"
      "is multiply-accumulate hardware, which has no shuffles to look entries up and computes the scores too.\n\n"
      "## Against the goals\n\n"
      "Resident in the first-level cache (peers: where they are fastest), K = 1, no mask, the best target of this CPU. "
      "\"Then\": figures from which "
      "the\n"
      "goals were set, on another machine. Absolute figures drift on shared machines; the ratios below are the "
      "goal.\n\n";
  text += rates_with_goals(report) + "\n";
  text +=
      "Ratios of medians of one run, in the first-level cache but for peers; a causal block in the smallest cache that "
      "holds it.\n\n";
  text += goals(report) + "\n";
  text += "## All\n\n";
  text += table(report) + "\n";
  text += fmt::format(
      "## How\n\n"
      "- Each kernel runs on the very data once before it is timed, and its output is compared: HCCS with the "
      "reference,\n"
      "  bit for bit; exact-lut with a plain integer computation of its table, bit for bit; peers with a softmax in "
      "double,\n"
      "  within 1 unit of an integer output, a relative 2e-5 of a float one. A kernel that differs gets no number.\n"
      "- {}\n"
      "- {} Spread: the largest interquartile range over median in the line.\n"
      "- Cycles in the JSON are time times the clock, {:.2f} GHz, which a chain of dependent additions between the "
      "other\n"
      "  measurements gives: no hardware counter is read.\n"
      "- Logits are normal, standard deviation 25 units of 0.1 nat. oneDNN takes a unit for 1 nat and has no "
      "attribute\n"
      "  for another: its int8 logits are the same, rounded to nats. oneDNN int8 in the ratios: the faster of its int8 "
      "and\n"
      "  uint8 outputs.\n"
      "- XNNPACK has no int8 softmax; uint8 is the same work.\n",
      report.sizes, report.repetitions, report.clock_ghz);
  return text;
}

}  // namespace hccs::bench
