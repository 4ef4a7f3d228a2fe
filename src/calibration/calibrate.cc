// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>
#include <utility>

#include "calibration/different_rows.h"
#include "calibration/search.h"
#include "contract/exceptions.h"
#include "hccs/calibration.h"
#include "hccs/deployability.h"
#include "hccs/plausibility.h"

namespace hccs {
namespace {

using internal::CurveFit;
using internal::fit_curve;
using internal::fit_integers;
using internal::IntegerFit;
using internal::IntegerLimits;
using internal::multiple_with_offset;
using internal::RowSet;

// Logits closer than this, in nats, in every row: softmax is uniform for every parameter set.
constexpr float kConstantLogits = 1e-6F;

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// Whether a row's logits are not all equal.
bool differs(std::span<const float> row) {
  const auto [low, high] = std::minmax_element(row.begin(), row.end());
  return *high - *low > kConstantLogits;
}

// Why these rows cannot be fitted; empty if they can.
std::string unfit_reason(const RowSample& sample) {
  if (sample.non_finite_rows() > 0) {
    const bool masked = sample.minus_infinity_rows() == sample.non_finite_rows();
    return fmt::format("{} of {} rows have NaN or infinite logits{}", sample.non_finite_rows(), sample.rows_seen(),
                       masked ? ", all of them -inf: those are masked positions, which a row must leave out; say how "
                                "many come first in lengths.npy"
                              : "");
  }
  const auto& rows = sample.rows();
  if (rows.empty()) return "no rows";
  bool single = true;
  for (const RowSample::Row& row : rows) {
    if (differs(row.logits)) return {};
    single = single && row.logits.size() == 1;
  }
  return single ? fmt::format("all {} rows have a single valid position", rows.size())
                : fmt::format("in each of its {} rows the logits are equal (within {})", rows.size(), kConstantLogits);
}

// The rows of several heads as one set: those with the `capacity` smallest hashes, as if one sample had seen them all.
RowSet pool(std::span<const RowSample* const> samples) {
  struct Pooled {
    const RowSample::Row* row;
    size_t sample;
  };
  std::vector<Pooled> pooled;
  int64_t capacity = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    capacity = std::max(capacity, samples[i]->capacity());
    for (const RowSample::Row& row : samples[i]->rows()) pooled.push_back({&row, i});
  }
  // Equal ids in different heads have equal hashes: the sample's place decides, so that the order is total.
  std::stable_sort(pooled.begin(), pooled.end(),
                   [](const Pooled& a, const Pooled& b) { return a.row->hash < b.row->hash; });
  pooled.resize(std::min(pooled.size(), static_cast<size_t>(capacity)));

  std::vector<std::span<const float>> rows;
  rows.reserve(pooled.size());
  for (const Pooled& p : pooled) rows.emplace_back(p.row->logits);
  return RowSet::of_rows(rows);
}

HeadFit fit(const RowSet& rows, const CalibrationOptions& options, const IntegerLimits& limits) {
  const CurveFit continuous = fit_curve(rows, options.knees);
  IntegerFit integers = fit_integers(rows, continuous.curve, limits);
  // What the AI Engine kernels need for masked rows costs nothing here. The least multiple, as the reciprocals of `div`
  // and `clb` lose bits with larger sums.
  if (options.limits == Limits::kNative) integers.params = multiple_with_offset(integers.params, kAieLeastSum);
  HeadFit result{.params = integers.params, .step = integers.step, .kl_continuous = std::max(continuous.kl, 0.0)};
  result.rows = rows.row_count();
  for (int64_t r = 0; r < result.rows; ++r) {
    const auto n = rows.begin[r + 1] - rows.begin[r];
    result.kl += row_kl(std::span(rows.logits).subspan(rows.begin[r], n), result.step, result.params);
    result.longest_row = std::max(result.longest_row, n);
  }
  result.kl /= static_cast<double>(result.rows);
  result.max_probability = max_probability(result.params, result.longest_row);
  return result;
}

// Where few of the rows are different: the mean KL of each half of these under what is fitted to the other half.
// Nothing where a half cannot be fitted.
std::optional<double> held_out_kl(const RowSet& rows, const CalibrationOptions& options, const IntegerLimits& limits) {
  std::vector<std::span<const float>> all;
  for (int64_t r = 0; r < rows.row_count(); ++r) {
    all.push_back(std::span(rows.logits).subspan(rows.begin[r], rows.begin[r + 1] - rows.begin[r]));
  }
  const std::vector<std::span<const float>> different = internal::different_rows(all, kFewRows);
  if (std::ssize(different) >= kFewRows) return std::nullopt;
  std::array<std::vector<std::span<const float>>, 2> halves;
  for (size_t r = 0; r < different.size(); ++r) halves[r % 2].push_back(different[r]);
  double sum = 0;
  for (const size_t half : {0, 1}) {
    const bool can_be_fitted = std::any_of(halves[half].begin(), halves[half].end(), differs);
    if (!can_be_fitted) return std::nullopt;
    const HeadFit fitted = fit(RowSet::of_rows(halves[half]), options, limits);
    for (const std::span<const float> row : halves[1 - half]) sum += row_kl(row, fitted.step, fitted.params);
  }
  return sum / static_cast<double>(different.size());
}

Expected<IntegerLimits> integer_limits(const CalibrationOptions& options) {
  if (options.knees < 1 || options.knees > kMaxKnees) {
    return invalid(fmt::format("knees = {}, but 1 <= K <= {}", options.knees, kMaxKnees));
  }
  if (options.threads < 1) return invalid(fmt::format("threads = {}, but threads >= 1", options.threads));
  if (options.limits == Limits::kNative) return IntegerLimits{.step = options.step};
  if (options.knees != 1) return invalid(fmt::format("knees = {}, but the paper's limits mean K = 1", options.knees));
  if (options.length < 1 || options.length > kMaxRowLength) {
    return invalid(fmt::format("length = {}, but the paper's limits need 1 <= n <= {}", options.length, kMaxRowLength));
  }
  const auto n = static_cast<int32_t>(options.length);
  const IntegerLimits limits{.largest_offset = kMaxOffset / n, .smallest_floor = (255 + n) / n, .step = options.step};
  if (limits.smallest_floor >= limits.largest_offset) {
    return invalid(fmt::format("length = {}: n*B <= 32767 gives B <= {} and n*F >= 256 gives F >= {}, but F < B", n,
                               limits.largest_offset, limits.smallest_floor));
  }
  return limits;
}

// One parameter set to fit.
struct Job {
  std::vector<const RowSample*> samples;
  std::vector<int64_t> heads;  // that get the result
};

// A job for each group of heads that share a parameter set, and one on the rows of all fittable heads for those that
// cannot be fitted, which are the heads with a reason.
std::vector<Job> make_jobs(std::span<const RowSample> heads, std::span<const std::string> reasons, int64_t group_size) {
  const auto count = static_cast<int64_t>(heads.size());
  std::vector<Job> jobs;
  Job fallback;
  for (int64_t begin = 0; begin < count; begin += group_size) {
    Job job;
    for (int64_t i = begin; i < begin + group_size; ++i) {
      if (reasons[i].empty()) {
        job.samples.push_back(&heads[i]);
        job.heads.push_back(i);
        fallback.samples.push_back(&heads[i]);
      } else {
        fallback.heads.push_back(i);
      }
    }
    if (!job.heads.empty()) jobs.push_back(std::move(job));
  }
  if (!fallback.heads.empty()) jobs.push_back(std::move(fallback));
  return jobs;
}

// The results by head. Each is a pure function of its job's rows, so that scheduling does not matter.
Expected<std::vector<HeadFit>> run_jobs(std::span<const Job> jobs, int64_t head_count,
                                        const CalibrationOptions& options, const IntegerLimits& limits) {
  std::vector<HeadFit> fits(static_cast<size_t>(head_count));
  std::atomic<size_t> next{0};
  std::mutex mutex;  // guards fits, done and outcome, and lets one thread at a time report progress
  int64_t done = 0;
  Status outcome;
  const auto fit_jobs = [&]() -> Status {
    try {
      for (size_t i = next++; i < jobs.size(); i = next++) {
        const RowSet rows = pool(jobs[i].samples);
        HeadFit result = fit(rows, options, limits);
        result.kl_held_out = held_out_kl(rows, options, limits);
        const std::lock_guard lock(mutex);
        for (const int64_t head : jobs[i].heads) fits[head] = result;
        ++done;
        if (outcome.ok() && options.progress && !options.progress(done, static_cast<int64_t>(jobs.size()))) {
          return {StatusCode::kCancelled, "calibration was cancelled"};
        }
      }
      return {};
    } catch (...) {
      return internal::status_of_exception("calibration");
    }
  };
  const auto work = [&] {
    if (Status status = fit_jobs(); !status.ok()) {
      next = jobs.size();
      const std::lock_guard lock(mutex);
      if (outcome.ok()) outcome = std::move(status);
    }
  };
  std::vector<std::jthread> others;
  for (int t = 1; t < options.threads && t < static_cast<int64_t>(jobs.size()); ++t) others.emplace_back(work);
  work();
  others.clear();
  HCCS_RETURN_IF_ERROR(outcome);
  return fits;
}

// "layer 0, head 1: REASON; ...", of the heads that have a reason: all, or the first ones.
std::string named_reasons(std::span<const std::string> reasons, int64_t heads_per_layer) {
  constexpr int64_t kMaxNamed = 8;
  std::string text;
  int64_t named = 0;
  for (size_t i = 0; i < reasons.size(); ++i) {
    if (reasons[i].empty()) continue;
    if (++named > kMaxNamed) continue;
    const auto head = static_cast<int64_t>(i);
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", head_name(head / heads_per_layer, head % heads_per_layer),
                        reasons[i]);
  }
  return named > kMaxNamed ? fmt::format("{}; and {} more heads", text, named - kMaxNamed) : text;
}

// What is implausible about each head's rows, or why that ends calibration.
Expected<std::vector<std::vector<Finding>>> plausible(std::span<const RowSample> heads, int64_t heads_per_layer,
                                                      const CalibrationOptions& options) {
  std::vector<std::vector<Finding>> findings;
  std::vector<std::string> reasons(heads.size());
  for (size_t i = 0; i < heads.size(); ++i) {
    findings.push_back(check_plausibility(heads[i]));
    for (const Finding& finding : findings.back()) {
      if (finding.refused && reasons[i].empty()) reasons[i] = finding.message;
    }
  }
  const std::string refused = named_reasons(reasons, heads_per_layer);
  if (!refused.empty() && options.on_implausible == OnImplausible::kStop) {
    return invalid("these rows are no logits: " + refused);
  }
  return findings;
}

}  // namespace

double max_probability(const HeadParams& params, int64_t n) noexcept {
  const auto b = static_cast<double>(params.offset);
  return b / (b + static_cast<double>((n - 1) * params.floor()));
}

Expected<std::vector<HeadFit>> calibrate(std::span<const RowSample> heads, int64_t heads_per_layer,
                                         const CalibrationOptions& options) try {
  HCCS_ASSIGN_OR_RETURN(const IntegerLimits limits, integer_limits(options));
  const auto count = static_cast<int64_t>(heads.size());
  if (heads_per_layer < 1 || count < 1 || count % heads_per_layer != 0) {
    return invalid(fmt::format("{} heads are not a positive multiple of {} heads a layer", count, heads_per_layer));
  }
  std::vector<std::string> reasons;
  for (const RowSample& sample : heads) reasons.push_back(unfit_reason(sample));
  const std::string refused = named_reasons(reasons, heads_per_layer);
  const bool any_fittable = std::any_of(reasons.begin(), reasons.end(), [](const auto& r) { return r.empty(); });
  if (!any_fittable) return invalid("no head can be fitted: " + refused);
  if (!refused.empty() && options.on_unfit == OnUnfit::kStop) return invalid("cannot be fitted: " + refused);
  HCCS_ASSIGN_OR_RETURN(std::vector<std::vector<Finding>> findings, plausible(heads, heads_per_layer, options));

  const int64_t group_size = options.share == Share::kHead    ? 1
                             : options.share == Share::kLayer ? heads_per_layer
                                                              : count;
  HCCS_ASSIGN_OR_RETURN(std::vector<HeadFit> fits,
                        run_jobs(make_jobs(heads, reasons, group_size), count, options, limits));
  for (int64_t i = 0; i < count; ++i) {
    fits[i].unfit_reason = reasons[i];
    fits[i].findings = std::move(findings[i]);
    if (!fits[i].unfit_reason.empty()) fits[i].kl_held_out.reset();
  }
  return fits;
} catch (...) {
  return internal::status_of_exception("calibration");
}

HeadParams internal::multiple_with_offset(const HeadParams& params, int32_t least_offset) {
  const int32_t factor = (least_offset + params.offset - 1) / params.offset;
  HeadParams multiple = params;
  multiple.offset *= factor;
  for (int k = 0; k < params.knee_count; ++k) multiple.knees[k].slope *= factor;
  return validate(multiple).ok() ? multiple : params;
}

}  // namespace hccs
