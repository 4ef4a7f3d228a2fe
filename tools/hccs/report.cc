// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "all_deployments.h"
#include "command.h"
#include "console.h"
#include "hccs/evaluate_logits.h"
#include "hccs/file.h"
#include "json_option.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<fs::path> files;
  std::vector<std::string> names;
  fs::path logits;
  int64_t length = 0;
  int threads = default_threads();
  fs::path output;
  JsonOption json;
};

std::string usage_error(const Options& o) {
  if (o.names.empty() || o.names.size() == o.files.size()) return {};
  return fmt::format("--names has {} names for {} files: one each", o.names.size(), o.files.size());
}

// What the reader sees of a file: the name that the user gave; else the file's own, with its folders where two files
// have the same.
std::string shown_name(const Options& o, size_t i) {
  if (!o.names.empty()) return o.names[i];
  const auto same = std::count_if(o.files.begin(), o.files.end(),
                                  [&](const fs::path& file) { return file.filename() == o.files[i].filename(); });
  return same > 1 ? o.files[i].string() : o.files[i].filename().string();
}

Status check_outputs(const Options& o) {
  const Inputs inputs{.files = o.files, .folders = {o.logits}};
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.output));
  return check_output(o.output, inputs);
}

nlohmann::ordered_json to_json(const Options& o, const Report& report) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (size_t i = 0; i < report.files.size(); ++i) {
    const ReportedFile& file = report.files[i];
    nlohmann::ordered_json json = {{"file", o.files[i].string()}, {"name", file.name}, {"model", file.params.model}};
    for (const Deployment& d : file.deployments) json["deployable"][d.key] = d.takes_all();
    for (size_t h = 0; h < file.params.entries.size(); ++h) {
      const auto place = static_cast<int64_t>(h);
      json["heads"].push_back({{"layer", place / file.params.heads},
                               {"head", place % file.params.heads},
                               {"kl", file.params.entries[h].kl}});
      if (!file.measured) continue;
      const HeadEvaluation& measured = file.measured->heads[h];
      json["heads"].back().update({{"rows", measured.rows},
                                   {"kl_mean", measured.kl_mean},
                                   {"kl_worst", measured.kl_worst},
                                   {"top1_agreement", measured.top1_agreement},
                                   {"largest_error", measured.largest_error},
                                   {"largest_probability", measured.largest_probability},
                                   {"distances", measured.distances}});
    }
    files.push_back(std::move(json));
  }
  return {{"output", o.output.string()}, {"length", report.length}, {"logits", o.logits.string()}, {"files", files}};
}

Status run(const Options& o) {
  HCCS_RETURN_IF_ERROR(check_outputs(o));
  Report report;
  for (size_t i = 0; i < o.files.size(); ++i) {
    HCCS_ASSIGN_OR_RETURN(ParamFile params, read_param_file(o.files[i]));
    report.length = std::max(report.length, o.length > 0 ? o.length : params.sequence_length);
    report.files.push_back({shown_name(o, i), std::move(params), {}, {}});
  }
  if (!o.logits.empty()) report.logits = folder_name(o.logits);
  for (ReportedFile& file : report.files) {
    file.deployments = all_deployments(file.params, report.length);
    if (o.logits.empty()) continue;
    const EvaluateLogitsOptions options = {.threads = o.threads,
                                           .progress = progress_report("measuring " + file.name, "heads")};
    HCCS_ASSIGN_OR_RETURN(file.measured, evaluate_logits(o.logits, file.params, options));
  }
  HCCS_ASSIGN_OR_RETURN(const std::string page, report_page(report));
  HCCS_RETURN_IF_ERROR(write_file_atomically(o.output, {page}));
  message("wrote {}\n", o.output.string());
  return o.json.write(to_json(o, report));
}

}  // namespace

Command add_report(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("report", "Write a page with the curve of every head, its KL and where it runs");
  app->add_option("files", o->files, "parameter files of one model's shape, to be seen side by side")->required();
  app->add_option("--logits", o->logits,
                  "folder of dumped logits (hccs logits): measures every head on them, and draws its distances");
  app->add_option("--names", o->names, "what the page calls the files, in their order (default: their file names)");
  app->add_option("--length", o->length, "row length n for the rules of deployment (default: the longest calibrated)")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength));
  app->add_option("--threads", o->threads, "the page does not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app->add_option("-o,--output", o->output, "HTML file to write: it is complete in itself")->required();
  o->json.add_to(*app, "the numbers of the page");
  app->footer("Example:\n  hccs report params-k1.json params.json --logits dumps -o report.html");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
