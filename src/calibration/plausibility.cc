// SPDX-License-Identifier: Apache-2.0
#include "hccs/plausibility.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "calibration/different_rows.h"
#include "hccs/calibration.h"

namespace hccs {
namespace {

// Nats. A model's own logits have none of these gaps: they lie close enough together to be told from a mask.
constexpr float kGapAboveMask = 20;    // between the lowest value, which occurs again and again, and the next
constexpr float kGapAboveMasked = 40;  // between logits with something added to them at one end of a row, and the rest
constexpr float kGapAboveAnything = 500;
constexpr int64_t kLeastRepeats = 16;    // of the lowest value, which then may be close to the next
constexpr int64_t kMoreOften = 10;       // so many times as often as any other value
constexpr double kLeastShare = 0.05;     // of the rows: that end with one and the same value
constexpr float kDeepest = 24;           // nats: what lies deeper below a row's maximum has no part in its softmax
constexpr double kSpreadOfMaxima = 2;    // times the rows' own
constexpr double kLeastSpread = 16;      // nats
constexpr size_t kCountedRows = 256;     // of a sample in random order, where values are counted
constexpr int64_t kLeastPositions = 32;  // of all rows: fewer do not tell a mask from a logit

using Row = std::span<const float>;
using Rows = std::vector<Row>;

constexpr std::string_view kSayLengths =
    "if the valid positions of a row come first, lengths.npy says how many they are; otherwise move them to the front "
    "(their order does not matter)";

bool is_constant(Row row) {
  return std::all_of(row.begin(), row.end(), [&](float x) { return x == row[0]; });
}

// How the lowest value of all rows stands to the others.
struct Lowest {
  float value = std::numeric_limits<float>::infinity();
  float next = std::numeric_limits<float>::infinity();  // the second lowest
  int64_t positions = 0;
  int64_t rows = 0;
};

Lowest lowest_of(const Rows& rows) {
  Lowest lowest;
  for (const Row row : rows) lowest.value = std::min(lowest.value, *std::min_element(row.begin(), row.end()));
  for (const Row row : rows) {
    int64_t here = 0;
    for (const float x : row) {
      here += x == lowest.value ? 1 : 0;
      if (x > lowest.value) lowest.next = std::min(lowest.next, x);
    }
    lowest.positions += here;
    lowest.rows += here > 0 ? 1 : 0;
  }
  return lowest;
}

// Whether `value` occurs far more often than any other, which no logit of a model does.
bool stands_out(const Rows& rows, float value) {
  std::unordered_map<float, int64_t> counts;
  for (const Row row : std::span(rows).first(std::min(rows.size(), kCountedRows))) {
    for (const float x : row) ++counts[x];
  }
  int64_t most = 0;
  for (const auto& [x, count] : counts) {
    if (x != value) most = std::max(most, count);
  }
  const auto found = counts.find(value);
  return found != counts.end() && found->second >= kLeastRepeats && found->second >= kMoreOften * most;
}

std::optional<Finding> find_lowest_value(const Rows& rows) {
  const Lowest lowest = lowest_of(rows);
  if (!std::isfinite(lowest.next)) return std::nullopt;  // all are equal
  const float gap = lowest.next - lowest.value;
  const bool masked = gap >= kGapAboveAnything || (lowest.positions >= 2 && gap >= kGapAboveMask) ||
                      (lowest.positions >= kLeastRepeats && stands_out(rows, lowest.value));
  if (!masked) return std::nullopt;
  return Finding{FindingKind::kMaskedLogits, true,
                 fmt::format("the lowest value, {:.6g}, occurs {} times in {} of {} rows, and the next is {:.6g}: that "
                             "is a mask, not a logit; {}",
                             lowest.value, lowest.positions, lowest.rows, rows.size(), lowest.next, kSayLengths)};
}

// The widest gap between a row's sorted values.
struct Gap {
  float width = 0;
  float below = 0;    // the value at its lower end
  int64_t above = 0;  // values above it
};

Gap widest_gap(Row row, std::vector<float>& sorted) {
  sorted.assign(row.begin(), row.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  Gap gap;
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i - 1] - sorted[i] > gap.width) {
      gap = {sorted[i - 1] - sorted[i], sorted[i], static_cast<int64_t>(i)};
    }
  }
  return gap;
}

// Whether the positions up to `value` are one piece at the beginning or the end of the row.
bool at_one_end(Row row, float value) {
  const auto low = [&](float x) { return x <= value; };
  const auto first_high = std::find_if_not(row.begin(), row.end(), low);
  const auto first_low = std::find_if(row.begin(), row.end(), low);
  return std::none_of(first_high, row.end(), low) || std::all_of(first_low, row.end(), low);
}

// Masks that are added to logits leave different values, far below the others.
std::optional<Finding> find_added_mask(const Rows& rows) {
  int64_t far = 0;
  int64_t at_end = 0;
  float lowest = 0;
  float narrowest = std::numeric_limits<float>::infinity();
  std::vector<float> sorted;
  for (const Row row : rows) {
    const Gap gap = widest_gap(row, sorted);
    const bool is_far = gap.width >= kGapAboveAnything;
    const bool is_at_end = gap.width >= kGapAboveMasked && gap.above >= 2 && at_one_end(row, gap.below);
    if (!is_far && !is_at_end) continue;
    far += is_far ? 1 : 0;
    at_end += 1;
    lowest = std::min(lowest, sorted.back());
    narrowest = std::min(narrowest, gap.width);
  }
  const auto enough = static_cast<int64_t>(std::ceil(kLeastShare * static_cast<double>(rows.size())));
  if (far == 0 && at_end < std::max<int64_t>(2, enough)) return std::nullopt;
  return Finding{FindingKind::kMaskedLogits, true,
                 fmt::format("in {} of {} rows some positions lie {:.0f} or more below all others (down to {:.6g}): a "
                             "mask was added to them; {}",
                             at_end, rows.size(), narrowest, lowest, kSayLengths)};
}

// The positions at the row's end that all have its last value.
int64_t run_at_end(Row row) {
  const auto other = std::find_if(row.rbegin(), row.rend(), [&](float x) { return x != row.back(); });
  return other - row.rbegin();
}

int64_t run_at_begin(Row row) {
  return std::find_if(row.begin(), row.end(), [&](float x) { return x != row.front(); }) - row.begin();
}

struct Runs {
  int64_t rows = 0;       // that have such a run
  int64_t positions = 0;  // in these runs
};

// Of the values that rows end with (or begin with), the one of the most rows.
std::pair<float, Runs> most_common_run(const Rows& rows, bool at_end) {
  std::map<float, Runs> runs;
  for (const Row row : rows) {
    const int64_t length = at_end ? run_at_end(row) : run_at_begin(row);
    if (length < 2 || is_constant(row)) continue;
    Runs& r = runs[at_end ? row.back() : row.front()];
    ++r.rows;
    r.positions += length;
  }
  std::pair<float, Runs> best{};
  for (const auto& run : runs) {
    if (run.second.rows > best.second.rows) best = run;
  }
  return best;
}

std::optional<Finding> find_padding(const Rows& rows) {
  for (const bool at_end : {true, false}) {
    const auto [value, runs] = most_common_run(rows, at_end);
    const auto enough = static_cast<int64_t>(std::ceil(kLeastShare * static_cast<double>(rows.size())));
    if (runs.rows < std::max<int64_t>(2, enough)) continue;
    int64_t all = 0;
    for (const Row row : rows) {
      all += std::count_if(row.begin(), row.end(), [value = value](float x) { return x == value; });
    }
    // Elsewhere in the rows the value is rare; where it is not, it is a logit that often occurs.
    if (10 * (all - runs.positions) > all) continue;
    return Finding{FindingKind::kPadding, true,
                   fmt::format("{} of {} rows {} with {:.6g}, {:.1f} times on average: that is padding, not logits; {}",
                               runs.rows, rows.size(), at_end ? "end" : "begin", value,
                               static_cast<double>(runs.positions) / static_cast<double>(runs.rows), kSayLengths)};
  }
  return std::nullopt;
}

std::optional<Finding> find_probabilities(const Rows& rows) {
  for (const Row row : rows) {
    double sum = 0;
    for (const float x : row) {
      if (x < 0) return std::nullopt;
      sum += x;
    }
    if (std::abs(sum - 1) > 0.01) return std::nullopt;
  }
  return Finding{
      FindingKind::kProbabilities, true,
      fmt::format("each of {} rows has no negative value and sums to 1: these are probabilities; calibration "
                  "needs the logits that softmax gets",
                  rows.size())};
}

double quantile(std::vector<float>& values, double share) {
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

std::optional<Finding> find_shifted_rows(const Rows& rows) {
  std::vector<float> maxima;
  std::vector<float> spans;
  std::vector<float> distances;  // of the row from 0
  for (const Row row : rows) {
    const auto [low, high] = std::minmax_element(row.begin(), row.end());
    maxima.push_back(*high);
    distances.push_back(std::max({0.0F, *low, -*high}));
    spans.push_back(std::min(*high - *low, kDeepest));
  }
  const double low = quantile(maxima, 0.05);
  const double high = quantile(maxima, 0.95);
  const double span = quantile(spans, 0.5);
  // The rows may lie far from each other, or together far from 0.
  const double spread = high - low;
  const bool apart = spread >= kLeastSpread && spread >= kSpreadOfMaxima * span;
  const double distance = quantile(distances, 0.5);
  const bool far = distance >= kLeastSpread && distance >= kSpreadOfMaxima * span;
  if (!apart && !far) return std::nullopt;
  return Finding{FindingKind::kShiftedRows, false,
                 fmt::format("the rows' maxima {} (5 % to 95 %), the rows themselves spread over {:.0f}: the step must "
                             "serve both, so int8 loses most of its range to constants that no softmax sees; centre "
                             "the keys (subtract their mean from each), which takes such constants away",
                             apart ? fmt::format("spread over {:.0f}", spread)
                                   : fmt::format("lie at {:.0f} to {:.0f}, far from 0", low, high),
                             span)};
}

std::optional<Finding> find_whole_numbers(const Rows& rows) {
  float low = 0;
  float high = 0;
  for (const Row row : rows) {
    for (const float x : row) {
      if (x != std::floor(x)) return std::nullopt;
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  if (low == high) return std::nullopt;
  return Finding{
      FindingKind::kWholeNumbers, false,
      fmt::format("all logits are whole numbers, {:.6g} to {:.6g}: if they are integers of a quantised model, "
                  "multiply them by their step, as calibration needs them in nats",
                  low, high)};
}

}  // namespace

std::string_view name(FindingKind kind) noexcept {
  switch (kind) {
    case FindingKind::kMaskedLogits:
      return "masked-logits";
    case FindingKind::kPadding:
      return "padding";
    case FindingKind::kProbabilities:
      return "probabilities";
    case FindingKind::kShiftedRows:
      return "shifted-rows";
    case FindingKind::kWholeNumbers:
      return "whole-numbers";
    case FindingKind::kFewRows:
      return "few-rows";
  }
  return "unknown";
}

std::vector<Finding> check_plausibility(const RowSample& sample) {
  Rows rows;  // equal logits (of one position, for instance) say nothing
  int64_t positions = 0;
  for (const RowSample::Row& row : sample.rows()) {
    if (is_constant(row.logits)) continue;
    rows.emplace_back(row.logits);
    positions += std::ssize(row.logits);
  }
  std::vector<Finding> findings;
  const auto add = [&](std::optional<Finding> finding) {
    if (!finding) return false;
    findings.push_back(*std::move(finding));
    return true;
  };
  if (positions >= kLeastPositions) {
    // One mask would be found in several ways; the first says it best.
    if (!add(find_lowest_value(rows)) && !add(find_added_mask(rows)) && !add(find_padding(rows))) {
      add(find_probabilities(rows));
      add(find_shifted_rows(rows));
    }
    add(find_whole_numbers(rows));
  }
  std::vector<Row> all;
  for (const RowSample::Row& row : sample.rows()) all.emplace_back(row.logits);
  const auto different = std::ssize(internal::different_rows(all, kFewRows));
  if (different > 0 && different < kFewRows) {
    findings.push_back(
        {FindingKind::kFewRows, false,
         fmt::format(
             "{} {}{}, fewer than {}: what fits these may not fit others", all.size(), all.size() == 1 ? "row" : "rows",
             different < std::ssize(all) ? fmt::format(", of which {} are different", different) : "", kFewRows)});
  }
  return findings;
}

}  // namespace hccs
