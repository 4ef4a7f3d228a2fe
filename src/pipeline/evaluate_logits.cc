// SPDX-License-Identifier: Apache-2.0
#include "hccs/evaluate_logits.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/calibration.h"
#include "hccs/digest.h"
#include "hccs/quantise.h"
#include "pipeline/logit_dumps.h"

namespace hccs {
namespace {

constexpr int64_t kRowsAtOnce = 64;     // that a thread takes
constexpr int64_t kCheckedRows = 1024;  // of a head, whose plausibility is checked

template <class T>
size_t first_largest(std::span<const T> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// What one row says, and the buffers to find it out.
class RowEvaluator {
 public:
  RowEvaluator(const HeadEntry& entry, const EvaluateLogitsOptions& options) : entry_(entry), options_(options) {}

  // Adds the row to the maxima and counts of `head`; returns its KL and whether the largest stays where it was.
  Expected<std::pair<double, bool>> add(std::span<const float> logits, HeadEvaluation& head) {
    const size_t n = logits.size();
    x_.resize(n);
    quantise_logits(logits, entry_.step, x_);
    const int maximum = *std::max_element(x_.begin(), x_.end());
    for (const int8_t x : x_) ++head.distances[static_cast<size_t>(maximum - x)];
    if (options_.output == OutputType::kUint8) {
      HCCS_RETURN_IF_ERROR(softmax(uint8_, kFullScaleUint8));
    } else {
      HCCS_RETURN_IF_ERROR(softmax(int16_, kFullScaleInt16));
    }
    const size_t top = first_largest(logits);
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit} - logits[top]);
    for (size_t i = 0; i < n; ++i) {
      const double exact = std::exp(double{logits[i]} - logits[top]) / sum;
      head.largest_error = std::max(head.largest_error, std::abs(p_[i] - exact));
      head.largest_probability = std::max(head.largest_probability, p_[i]);
      head.largest_float_probability = std::max(head.largest_float_probability, exact);
    }
    head.longest_row = std::max(head.longest_row, std::ssize(logits));
    return std::pair(row_kl(logits, entry_.step, entry_.params), first_largest(std::span<const double>(p_)) == top);
  }

 private:
  template <class Out>
  Status softmax(std::vector<Out>& out, int64_t full_scale) {
    out.resize(x_.size());
    HCCS_RETURN_IF_ERROR(softmax_reference(entry_.params, options_.normalisation, x_, RowMask(), std::span<Out>(out)));
    p_.resize(out.size());
    std::transform(out.begin(), out.end(), p_.begin(),
                   [&](Out p) { return static_cast<double>(p) / static_cast<double>(full_scale); });
    return {};
  }

  const HeadEntry& entry_;
  const EvaluateLogitsOptions& options_;
  std::vector<int8_t> x_;
  std::vector<uint8_t> uint8_;
  std::vector<int16_t> int16_;
  std::vector<double> p_;
};

void merge_maxima(const HeadEvaluation& part, HeadEvaluation& whole) {
  whole.longest_row = std::max(whole.longest_row, part.longest_row);
  whole.largest_error = std::max(whole.largest_error, part.largest_error);
  whole.largest_probability = std::max(whole.largest_probability, part.largest_probability);
  whole.largest_float_probability = std::max(whole.largest_float_probability, part.largest_float_probability);
  for (size_t d = 0; d < whole.distances.size(); ++d) whole.distances[d] += part.distances[d];
}

// row(r) is row r's logits, all of them finite. Sums are made in the order of the rows, so that they do not depend on
// the threads.
template <class Row>
Expected<HeadEvaluation> evaluate_rows(const HeadEntry& entry, int64_t rows, const Row& row,
                                       const EvaluateLogitsOptions& options) {
  HeadEvaluation head{.rows = rows};
  std::vector<double> kl(static_cast<size_t>(rows));
  std::vector<char> same_top(static_cast<size_t>(rows));
  std::atomic<int64_t> next{0};
  std::mutex mutex;  // guards head and outcome
  Status outcome;
  const auto take_rows = [&](HeadEvaluation& part) -> Status {
    try {
      RowEvaluator evaluator(entry, options);
      for (int64_t begin = next.fetch_add(kRowsAtOnce); begin < rows; begin = next.fetch_add(kRowsAtOnce)) {
        for (int64_t r = begin; r < std::min(begin + kRowsAtOnce, rows); ++r) {
          HCCS_ASSIGN_OR_RETURN(const auto result, evaluator.add(row(r), part));
          kl[static_cast<size_t>(r)] = result.first;
          same_top[static_cast<size_t>(r)] = result.second ? 1 : 0;
        }
      }
      return {};
    } catch (...) {
      return internal::status_of_exception("logits");
    }
  };
  const auto work = [&] {
    HeadEvaluation part;
    Status status = take_rows(part);
    const std::lock_guard lock(mutex);
    if (!status.ok()) outcome = std::move(status);
    merge_maxima(part, head);
  };
  std::vector<std::jthread> others;
  for (int t = 1; t < options.threads && t * kRowsAtOnce < rows; ++t) others.emplace_back(work);
  work();
  others.clear();
  HCCS_RETURN_IF_ERROR(outcome);
  for (size_t r = 0; r < kl.size(); ++r) {
    head.kl_mean += kl[r] / static_cast<double>(rows);
    head.kl_worst = std::max(head.kl_worst, kl[r]);
    head.top1_agreement += same_top[r];
  }
  head.top1_agreement /= static_cast<double>(rows);
  return head;
}

Status check(const ParamFile& params, int64_t layers, int64_t heads, const EvaluateLogitsOptions& options) {
  HCCS_RETURN_IF_ERROR(validate(params));
  if (options.threads < 1) {
    return {StatusCode::kInvalidArgument, fmt::format("threads = {}, but threads >= 1", options.threads)};
  }
  if (params.layers != layers || params.heads != heads) {
    return {StatusCode::kMismatch,
            fmt::format("the parameters are for {} layers of {} heads, but the logits are of {} layers of {} heads",
                        params.layers, params.heads, layers, heads)};
  }
  return {};
}

// evaluate(i): head i, layers x heads row-major.
template <class Evaluate>
Expected<LogitsEvaluation> evaluate_heads(int64_t layers, int64_t heads, const Evaluate& evaluate,
                                          const Progress& progress) {
  LogitsEvaluation all{.layers = layers, .heads_per_layer = heads};
  const int64_t count = layers * heads;
  for (int64_t i = 0; i < count; ++i) {
    HCCS_ASSIGN_OR_RETURN(HeadEvaluation head, evaluate(i));
    head.layer = i / heads;
    head.head = i % heads;
    all.rows += head.rows;
    all.kl_mean += head.kl_mean / static_cast<double>(count);
    all.kl_worst_head = std::max(all.kl_worst_head, head.kl_mean);
    all.top1_agreement += head.top1_agreement / static_cast<double>(count);
    all.largest_error = std::max(all.largest_error, head.largest_error);
    all.heads.push_back(std::move(head));
    if (progress && !progress(i + 1, count)) return Status(StatusCode::kCancelled, "interrupted");
  }
  return all;
}

// `where` begins the message of rows that cannot be logits.
Expected<std::vector<Finding>> findings_of(const RowSample& sample, std::string_view where,
                                           OnImplausible on_implausible) {
  std::vector<Finding> findings = check_plausibility(sample);
  for (const Finding& finding : findings) {
    if (finding.refused && on_implausible == OnImplausible::kStop) {
      return Status(StatusCode::kBadData, fmt::format("{}: these rows are no logits: {}", where, finding.message));
    }
  }
  return findings;
}

Status check_finite(const std::filesystem::path& path, const internal::Dump& dump) {
  for (int64_t r = 0; r < dump.rows(); ++r) {
    const std::span<const float> row = dump.row(r);
    const auto bad = std::find_if(row.begin(), row.end(), [](float x) { return !std::isfinite(x); });
    if (bad == row.end()) continue;
    return {StatusCode::kBadData,
            fmt::format("{}: row {}, position {}: {}, but logits are finite{}", path.string(), r, bad - row.begin(),
                        *bad, *bad < 0 ? ": masked positions are left out of the row's length" : "")};
  }
  return {};
}

}  // namespace

Expected<LogitsEvaluation> evaluate_logits(const std::filesystem::path& folder, const ParamFile& params,
                                           const EvaluateLogitsOptions& options) try {
  HCCS_ASSIGN_OR_RETURN(const internal::DumpFolder dumps, internal::find_dumps(folder));
  HCCS_RETURN_IF_ERROR(check(params, dumps.layers, dumps.heads, options));
  Digest digest;
  const auto evaluate = [&](int64_t i) -> Expected<HeadEvaluation> {
    const internal::DumpFolder::Head& files = dumps.files[static_cast<size_t>(i)];
    HCCS_ASSIGN_OR_RETURN(const internal::Dump dump, internal::read_dump(files, 0, digest));
    if (dump.rows() == 0) return Status(StatusCode::kBadData, fmt::format("{}: no rows", files.logits.string()));
    if (dump.n > kMaxRowLength) {
      return Status(StatusCode::kBadData,
                    fmt::format("{}: n = {}, but n <= {}", files.logits.string(), dump.n, kMaxRowLength));
    }
    HCCS_RETURN_IF_ERROR(check_finite(files.logits, dump));
    RowSample sample(kCheckedRows, 0);
    for (int64_t r = 0; r < dump.rows(); ++r) HCCS_RETURN_IF_ERROR(sample.add(static_cast<uint64_t>(r), dump.row(r)));
    HCCS_ASSIGN_OR_RETURN(std::vector<Finding> findings,
                          findings_of(sample, files.logits.string(), options.on_implausible));
    HCCS_ASSIGN_OR_RETURN(HeadEvaluation head, evaluate_rows(
                                                   params.entries[static_cast<size_t>(i)], dump.rows(),
                                                   [&](int64_t r) { return dump.row(r); }, options));
    head.findings = std::move(findings);
    return head;
  };
  HCCS_ASSIGN_OR_RETURN(LogitsEvaluation all, evaluate_heads(dumps.layers, dumps.heads, evaluate, options.progress));
  all.data_digest = digest.text();
  return all;
} catch (...) {
  return internal::status_of_exception(folder.native());
}

Expected<LogitsEvaluation> evaluate_logits(const SampledModel& sampled, const ParamFile& params,
                                           const EvaluateLogitsOptions& options) try {
  const CalibratedModel& model = sampled.model;
  HCCS_RETURN_IF_ERROR(check(params, model.layers, model.heads, options));
  const auto evaluate = [&](int64_t i) -> Expected<HeadEvaluation> {
    const RowSample& sample = sampled.heads[static_cast<size_t>(i)];
    if (sample.rows().empty() || sample.non_finite_rows() > 0) {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("{}: {} rows, {} of them with a NaN or infinite logit, but rows are finite",
                      head_name(i / model.heads, i % model.heads), sample.rows_seen(), sample.non_finite_rows()));
    }
    HCCS_ASSIGN_OR_RETURN(std::vector<Finding> findings,
                          findings_of(sample, head_name(i / model.heads, i % model.heads), options.on_implausible));
    HCCS_ASSIGN_OR_RETURN(
        HeadEvaluation head,
        evaluate_rows(
            params.entries[static_cast<size_t>(i)], std::ssize(sample.rows()),
            [&](int64_t r) { return std::span<const float>(sample.rows()[static_cast<size_t>(r)].logits); }, options));
    head.findings = std::move(findings);
    return head;
  };
  HCCS_ASSIGN_OR_RETURN(LogitsEvaluation all, evaluate_heads(model.layers, model.heads, evaluate, options.progress));
  all.data_digest = model.data_digest;
  return all;
} catch (...) {
  return internal::status_of_exception(sampled.model.name);
}

}  // namespace hccs
