// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "all_deployments.h"
#include "command.h"
#include "console.h"
#include "hccs/param_file.h"
#include "json_option.h"
#include "terminal.h"

namespace hccs::tool {
namespace {

struct Options {
  std::filesystem::path file;
  int64_t length = 0;
  bool details = false;
  JsonOption json;
};

// Rows up to this long lose little to uint8 output, whatever K is; docs/cpu.md has the measurements.
constexpr int64_t kLongestUint8Row = 64;

// The share of a row's mass that rounding to uint8 `scaled` may move at most: each p is less than 0.52 / 255 off.
double uint8_rounding(int64_t n) { return std::min(1.0, 0.52 / 255 * static_cast<double>(n) / 2); }
std::string_view advised_output(int64_t n) { return n <= kLongestUint8Row ? "uint8" : "int16"; }

// Which output to take for rows of n.
std::string output_advice(int64_t n) {
  const std::string rounding =
      fmt::format("rounding to uint8 moves at most {:.2g} % of a row's mass", 100 * uint8_rounding(n));
  if (n <= kLongestUint8Row) return fmt::format("uint8: {}", rounding);
  return fmt::format("int16, or attention with deferred normalisation: {}", rounding);
}

// Where the file runs, one line a target, and how close it comes to softmax.
void print_answers(const ParamFile& file, int64_t n, const std::vector<Deployment>& deployments) {
  print("{}: {} layers x {} heads, K = {}, for rows of {} positions\n", one_line(file.model), file.layers, file.heads,
        file.knees, n);
  for (const Deployment& d : deployments) print("{}: {}\n", d.target, answer(d, file.heads));
  print("output: {}\n", output_advice(n));
  print("normalisation: {}\n", normalisation_answer(file, n));
  double sum = 0;
  int64_t worst = 0;
  for (int64_t i = 0; i < std::ssize(file.entries); ++i) {
    sum += file.entries[static_cast<size_t>(i)].kl;
    if (file.entries[static_cast<size_t>(i)].kl > file.entries[static_cast<size_t>(worst)].kl) worst = i;
  }
  print("KL to softmax: mean {:.5f} nat, worst {:.5f} ({})\n", sum / static_cast<double>(file.entries.size()),
        file.entries[static_cast<size_t>(worst)].kl, head_name(worst / file.heads, worst % file.heads));
}

void print_details(const ParamFile& file, int64_t n, const std::vector<Deployment>& deployments) {
  print("\nhead dimension   {}\n", file.head_dimension == 0 ? "unknown" : std::to_string(file.head_dimension));
  print("calibration      limits {}, share {}, seed {}, longest row {}, data {}\n\n", name(file.limits),
        name(file.share), file.seed, file.sequence_length, one_line(file.data_digest));
  print("{:>5} {:>4} {:>6} {:>6}  {:<30} {:>9} {:>9} {:>6} {:>9}\n", "layer", "head", "B", "F", "knees S@D", "step",
        "KL", "rows", "max prob");
  for (int64_t i = 0; i < static_cast<int64_t>(file.entries.size()); ++i) {
    const HeadEntry& e = file.entries[i];
    std::string knees;
    for (const Knee& knee : e.params.active_knees())
      knees += fmt::format("{}{}@{}", knees.empty() ? "" : " ", knee.slope, knee.position);
    print("{:>5} {:>4} {:>6} {:>6}  {:<30} {:>9.5f} {:>9.5f} {:>6} {:>9.4f}{}\n", i / file.heads, i % file.heads,
          e.params.offset, e.params.floor(), knees, e.step, e.kl, e.rows, e.max_probability,
          e.is_default ? "  default" : "");
  }
  for (const Deployment& d : deployments) {
    const bool masked = d.key == "aie_masked";
    print("\ndeployable ({}), {} {}: {}\n", masked ? "aie" : d.key, masked ? "masked rows of up to" : "rows of", n,
          d.takes_all() ? fmt::format("yes, all {} heads", d.heads.size())
                        : fmt::format("no, {} of {} heads", d.refused(), d.heads.size()));
    for (const std::string& reason : reasons(d, file.heads)) print("  {}\n", reason);
  }
}

nlohmann::ordered_json to_json(const ParamFile& file, int64_t n, const std::vector<Deployment>& deployments) {
  nlohmann::ordered_json out = {{"model", file.model},
                                {"layers", file.layers},
                                {"heads", file.heads},
                                {"head_dimension", file.head_dimension},
                                {"sequence_length", file.sequence_length},
                                {"knees", file.knees},
                                {"limits", name(file.limits)},
                                {"share", name(file.share)},
                                {"seed", file.seed},
                                {"data_digest", file.data_digest}};
  for (int64_t i = 0; i < static_cast<int64_t>(file.entries.size()); ++i) {
    const HeadEntry& e = file.entries[i];
    nlohmann::ordered_json knees = nlohmann::ordered_json::array();
    for (const Knee& knee : e.params.active_knees()) knees.push_back({knee.slope, knee.position});
    out["parameters"].push_back({{"layer", i / file.heads},
                                 {"head", i % file.heads},
                                 {"B", e.params.offset},
                                 {"F", e.params.floor()},
                                 {"knees", knees},
                                 {"step", e.step},
                                 {"kl", e.kl},
                                 {"kl_continuous", e.kl_continuous},
                                 {"rows", e.rows},
                                 {"max_probability", e.max_probability},
                                 {"default", e.is_default}});
  }
  out["output"] = {{"length", n}, {"advised", advised_output(n)}, {"uint8_rounding", uint8_rounding(n)}};
  out["normalisation"]["length"] = n;
  for (const OutputType output : {OutputType::kInt16, OutputType::kUint8}) {
    for (const Normalisation normalisation : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
      out["normalisation"]["longest_row"][std::string(name(normalisation))][std::string(name(output))] =
          longest_row(file, normalisation, output);
    }
  }
  out["deployable"]["length"] = n;
  for (const Deployment& d : deployments) {
    out["deployable"][d.key] = {{"deployable", d.takes_all()}, {"reasons", reasons(d, file.heads)}};
    for (const Breach& breach : breaches(d)) out["deployable"][d.key]["breaches"][breach.breach] = breach.heads;
  }
  return out;
}

Status run(const Options& o) {
  HCCS_RETURN_IF_ERROR(o.json.check({.files = {o.file}}));
  HCCS_ASSIGN_OR_RETURN(const ParamFile file, read_param_file(o.file));
  const int64_t n = o.length > 0 ? o.length : file.sequence_length;
  const std::vector<Deployment> deployments = all_deployments(file, n);
  if (!o.json.on_stdout()) {
    print_answers(file, n, deployments);
    if (o.details) print_details(file, n, deployments);
  }
  return o.json.write(to_json(file, n, deployments));
}

}  // namespace

Command add_inspect(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("inspect", "Say where a parameter file can be deployed; with --details show every head");
  app->add_option("file", o->file, "parameter file")->required();
  app->add_option("--length", o->length,
                  "row length n for the rules and the advised output (default: the longest calibrated)")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength));
  app->add_flag("--details", o->details, "each head's integers, and why a target refuses it");
  o->json.add_to(*app, "the same, with details");
  app->footer("Example:\n  hccs inspect build/demo/params-k3.json --length 128");
  return {.app = app, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
