// SPDX-License-Identifier: Apache-2.0
#include "evaluate_dumps.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <string>

#include "console.h"
#include "hccs/evaluate_logits.h"
#include "hccs/param_file.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

// One parameter file, and what it does.
struct Result {
  fs::path path;
  ParamFile params;
  Normalisation normalisation = Normalisation::kScaled;
  OutputType output = OutputType::kUint8;
  LogitsEvaluation evaluation;

  // Whether the parameters were fitted to other logits, as far as the file can say.
  bool held_out() const { return params.data_digest != evaluation.data_digest; }
};

Expected<Result> evaluate(const DumpsOptions& o, const fs::path& path) {
  Result result{.path = path};
  HCCS_ASSIGN_OR_RETURN(result.params, read_param_file(path));
  // What the paper's limits are made for, unless something is chosen.
  const bool paper = result.params.limits == Limits::kPaper && !o.chosen.normalisation && !o.chosen.output;
  result.normalisation = paper ? Normalisation::kDiv : o.chosen.normalisation.value_or(Normalisation::kScaled);
  result.output = paper ? OutputType::kInt16 : o.chosen.output.value_or(OutputType::kUint8);
  HCCS_ASSIGN_OR_RETURN(result.evaluation,
                        evaluate_logits(o.logits, result.params,
                                        {.normalisation = result.normalisation,
                                         .output = result.output,
                                         .on_implausible = o.on_implausible,
                                         .threads = o.threads,
                                         .progress = progress_report(path.filename().string(), "heads")}));
  return result;
}

void warn(const Result& result) {
  if (!result.held_out()) {
    warning("{}: these are the logits that it was calibrated on, so nothing is held out", result.path.string());
  }
  for (const HeadEvaluation& head : result.evaluation.heads) {
    for (const Finding& finding : head.findings) {
      if (!finding.refused) continue;
      warning("{}: {}", head_name(head.layer, head.head), finding.message);
    }
  }
}

void print_table(const Result& result) {
  const LogitsEvaluation& all = result.evaluation;
  print("{}, {} {}:\n", result.path.string(), name(result.output), name(result.normalisation));
  print("{:>5} {:>4}  {:>6} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9}\n", "layer", "head", "rows", "KL mean", "KL worst",
        "top-1", "error", "max prob", "of float");
  for (const HeadEvaluation& h : all.heads) {
    print("{:>5} {:>4}  {:>6} {:>9.5f} {:>9.5f} {:>8.4f} {:>9.5f} {:>9.4f} {:>9.4f}\n", h.layer, h.head, h.rows,
          h.kl_mean, h.kl_worst, h.top1_agreement, h.largest_error, h.largest_probability, h.largest_float_probability);
  }
  print("mean KL {:.5f} nat, worst head {:.5f}; top-1 agreement {:.4f}; largest error {:.5f}\n", all.kl_mean,
        all.kl_worst_head, all.top1_agreement, all.largest_error);
}

nlohmann::ordered_json to_json(const Result& result) {
  const LogitsEvaluation& all = result.evaluation;
  nlohmann::ordered_json out = {{"params", result.path.string()},
                                {"model", result.params.model},
                                {"normalisation", name(result.normalisation)},
                                {"output_type", name(result.output)},
                                {"held_out", result.held_out()},
                                {"rows", all.rows},
                                {"kl_mean", all.kl_mean},
                                {"kl_worst_head", all.kl_worst_head},
                                {"top1_agreement", all.top1_agreement},
                                {"largest_error", all.largest_error}};
  for (const HeadEvaluation& h : all.heads) {
    nlohmann::ordered_json head = {{"layer", h.layer},
                                   {"head", h.head},
                                   {"rows", h.rows},
                                   {"longest_row", h.longest_row},
                                   {"kl_mean", h.kl_mean},
                                   {"kl_worst", h.kl_worst},
                                   {"top1_agreement", h.top1_agreement},
                                   {"largest_error", h.largest_error},
                                   {"largest_probability", h.largest_probability},
                                   {"largest_float_probability", h.largest_float_probability}};
    for (const Finding& finding : h.findings) {
      head["findings"].push_back({{"kind", name(finding.kind)}, {"message", finding.message}});
    }
    out["heads"].push_back(std::move(head));
  }
  return out;
}

}  // namespace

Status evaluate_dumps(const DumpsOptions& o) {
  HCCS_RETURN_IF_ERROR(o.json.check({.files = o.params, .folders = {o.logits}}));
  nlohmann::ordered_json out = {{"logits", o.logits.string()}};
  for (const fs::path& path : o.params) {
    HCCS_ASSIGN_OR_RETURN(const Result result, evaluate(o, path));
    warn(result);
    if (!o.json.on_stdout()) print_table(result);
    out["data_digest"] = result.evaluation.data_digest;
    out["files"].push_back(to_json(result));
  }
  return o.json.write(out);
}

}  // namespace hccs::tool
