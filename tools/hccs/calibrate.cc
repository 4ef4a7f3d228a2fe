// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "command.h"
#include "console.h"
#include "hccs/calibrate_model.h"
#include "hccs/row_file.h"
#include "hccs/text.h"
#include "json_option.h"
#include "outputs.h"
#include "report/deployment.h"
#include "tasks/wordnet.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostRows = int64_t{1} << 20;

struct Options {
  fs::path model;
  fs::path logits;
  std::optional<std::string> name;
  int64_t head_dimension = 0;
  std::vector<fs::path> text;
  std::string task;
  fs::path wordnet = kWordnetNouns;
  int knees = 3;
  std::string limits = "native";
  int64_t length = 0;
  std::string step = "real";
  std::string share = "head";
  std::string on_unfit = "stop";
  std::string implausible = "stop";
  std::optional<uint64_t> seed;                       // none: 0
  std::vector<std::string> rows_argument = {"4096"};  // a number of rows, or files of them
  int64_t rows = 4096;
  std::vector<fs::path> row_files;  // then there is no model and no logits
  fs::path save_rows;
  int64_t first = 0;
  int64_t max_length = 0;
  int threads = default_threads();
  fs::path output;
  JsonOption json;
};

// --rows N, or --rows FILE...
void read_rows_argument(Options& o) {
  const std::string& first = o.rows_argument.front();
  const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), o.rows);
  if (o.rows_argument.size() == 1 && end == first.data() + first.size()) {
    if (error != std::errc()) o.rows = -1;  // too large
    return;
  }
  o.row_files.assign(o.rows_argument.begin(), o.rows_argument.end());
}

// What is wrong with the options of a run on files of rows.
std::string usage_error_of_row_files(const Options& o) {
  if (!o.model.empty() || !o.logits.empty()) return "--rows FILE... goes without --model and --logits";
  if (!o.text.empty() || !o.task.empty()) return "--text and --task go with --model, not with --rows FILE...";
  if (o.name || o.head_dimension != 0)
    return "--name and --head-dimension go with --logits: files of rows say their own";
  if (o.seed) return "--seed goes with --model and --logits: files of rows say their own";
  if (o.max_length != 0) return "--max-length goes with --model: rows are not cut";
  if (o.first != 0) return "--first goes with --model and --logits: files of rows say their own";
  return {};
}

std::string usage_error_of_inputs(const Options& o) {
  if (!o.row_files.empty()) return usage_error_of_row_files(o);
  if (o.rows < 1 || o.rows > kMostRows) {
    return fmt::format("--rows: Value {} not in range 1 to {}", o.rows_argument.front(), kMostRows);
  }
  if (o.model.empty() == o.logits.empty()) return "exactly one of --model, --logits and --rows FILE... is needed";
  if (!o.model.empty() && o.text.empty() == o.task.empty()) return "--model needs exactly one of --text and --task";
  if (!o.logits.empty() && !(o.text.empty() && o.task.empty()))
    return "--text and --task go with --model, not with --logits";
  if (o.logits.empty() && o.head_dimension != 0) return "--head-dimension goes with --logits: a model says its own";
  if (o.logits.empty() && o.name) return "--name goes with --logits: a model says its own";
  if (!o.logits.empty() && o.max_length != 0) return "--max-length goes with --model: logits are not cut";
  return {};
}

std::string usage_error(Options& o) {
  read_rows_argument(o);
  if (std::string error = usage_error_of_inputs(o); !error.empty()) return error;
  if (o.output.empty() && o.save_rows.empty()) return "--output is required, unless --save-rows is given";
  if (o.output.empty() && o.json.wanted()) return "--json is of the report on parameters: it needs --output";
  if (o.limits == "paper" && o.length == 0) return "--limits paper needs --length";
  if (o.limits != "paper" && o.length != 0) return "--length goes with --limits paper";
  if (o.limits == "paper" && o.knees != 1) return "--limits paper means --knees 1";
  return {};
}

Expected<std::vector<std::string>> calibration_texts(const Options& o) {
  if (o.task.empty()) return read_text_lines(o.text, /*keep_empty=*/false);
  HCCS_ASSIGN_OR_RETURN(const auto glosses, read_wordnet_glosses(o.wordnet));
  HCCS_ASSIGN_OR_RETURN(const WordnetTask task, make_wordnet_task(glosses, kWordnetTaskSeed));
  std::vector<std::string> texts;
  for (const LabelledText& gloss : task.calibration) texts.push_back(gloss.text);
  return texts;
}

// What a head's line ends with.
std::string note(const HeadFit& fit) {
  std::string note = fit.unfit_reason.empty() ? "" : "default: " + fit.unfit_reason;
  for (const Finding& finding : fit.findings) {
    note += fmt::format("{}{}", note.empty() ? "" : "; ", name(finding.kind));
    if (finding.kind == FindingKind::kFewRows && fit.kl_held_out) {
      note += fmt::format(": {:.5f} on held-out halves", *fit.kl_held_out);
    }
  }
  return note;
}

void print_report(const ParamFile& file, const std::vector<HeadFit>& fits) {
  print("{:>5} {:>4}  {:>12} {:>10}  {:>5} {:>9} {:>9}  {}\n", "layer", "head", "KL real", "KL int8", "rows", "step",
        "max prob", "note");
  double continuous = 0;
  double integer = 0;
  double worst = 0;
  double held_out = 0;  // of the heads that have few rows, as of the others
  bool few_rows = false;
  for (size_t i = 0; i < fits.size(); ++i) {
    const HeadFit& f = fits[i];
    held_out += f.kl_held_out.value_or(f.kl);
    few_rows = few_rows || f.kl_held_out;
    print("{:>5} {:>4}  {:>12.5f} {:>10.5f}  {:>5} {:>9.5f} {:>9.4f}  {}\n", i / file.heads, i % file.heads,
          f.kl_continuous, f.kl, f.rows, f.step, f.max_probability, note(f));
    continuous += f.kl_continuous;
    integer += f.kl;
    worst = std::max(worst, f.kl);
  }
  const auto count = static_cast<double>(fits.size());
  print("mean KL {:.5f} nat before integer rounding, {:.5f} after; worst head {:.5f}{}\n", continuous / count,
        integer / count, worst,
        few_rows ? fmt::format("; few rows: {:.5f} on held-out halves of them", held_out / count) : "");
  print("normalisation of rows of {}: {}\n", file.sequence_length, normalisation_answer(file, file.sequence_length));
}

// One line for each kind of finding: a model has many heads, which often have the same.
void warn_of_findings(const ParamFile& file, const std::vector<HeadFit>& fits) {
  struct Heads {
    int64_t count = 0;
    size_t first = 0;
    std::string message;  // the first head's
  };
  std::map<FindingKind, Heads> found;
  size_t worst = fits.size();  // of those with a held-out part
  for (size_t i = 0; i < fits.size(); ++i) {
    for (const Finding& finding : fits[i].findings) {
      Heads& heads = found[finding.kind];
      if (heads.count++ == 0) heads = {1, i, finding.message};
    }
    const auto excess = [&](size_t head) { return *fits[head].kl_held_out - fits[head].kl; };
    if (fits[i].kl_held_out && (worst == fits.size() || excess(i) > excess(worst))) worst = i;
  }
  const auto name_of = [&](size_t i) {
    return head_name(static_cast<int64_t>(i) / file.heads, static_cast<int64_t>(i) % file.heads);
  };
  for (const auto& [kind, heads] : found) {
    warning("{}{}: {}", name_of(heads.first), heads.count == 1 ? "" : fmt::format(" and {} more", heads.count - 1),
            heads.message);
  }
  if (worst < fits.size()) {
    warning(
        "{}: KL {:.5f} on the {} rows that it was fitted to, but {:.5f} on halves of them that were "
        "held out from the fit",
        name_of(worst), fits[worst].kl, fits[worst].rows, *fits[worst].kl_held_out);
  }
}

nlohmann::ordered_json to_json(const ParamFile& file, const std::vector<HeadFit>& fits, double seconds) {
  nlohmann::ordered_json out = {{"model", file.model},
                                {"layers", file.layers},
                                {"heads", file.heads},
                                {"knees", file.knees},
                                {"limits", name(file.limits)},
                                {"share", name(file.share)},
                                {"seed", file.seed},
                                {"data_digest", file.data_digest},
                                {"sequence_length", file.sequence_length},
                                {"calibration_seconds", seconds}};
  for (size_t i = 0; i < fits.size(); ++i) {
    const HeadFit& f = fits[i];
    out["fits"].push_back({{"layer", i / file.heads},
                           {"head", i % file.heads},
                           {"kl_continuous", f.kl_continuous},
                           {"kl", f.kl},
                           {"rows", f.rows},
                           {"step", f.step},
                           {"max_probability", f.max_probability},
                           {"unfit_reason", f.unfit_reason}});
    nlohmann::ordered_json& fit = out["fits"].back();
    if (f.kl_held_out) fit["kl_held_out"] = *f.kl_held_out;
    for (const Finding& finding : f.findings) {
      fit["findings"].push_back({{"kind", name(finding.kind)}, {"message", finding.message}});
    }
  }
  return out;
}

CalibrateModelOptions library_options(const Options& o) {
  return {.calibration = {.knees = o.knees,
                          .limits = *parse_limits(o.limits),
                          .length = o.length,
                          .step = o.step == "real" ? StepKind::kReal : StepKind::kPowerOfTwo,
                          .share = *parse_share(o.share),
                          .on_unfit = o.on_unfit == "default" ? OnUnfit::kDefault : OnUnfit::kStop,
                          .on_implausible = o.implausible == "report" ? OnImplausible::kReport : OnImplausible::kStop,
                          .threads = o.threads,
                          .progress = progress_report(fmt::format("fitting, K = {}", o.knees), "parameter sets")},
          .seed = o.seed.value_or(0),
          .rows = o.rows,
          .max_length = o.max_length,
          .first = o.first,
          .read_progress = progress_report("reading logits", o.model.empty() ? "heads" : "texts")};
}

Expected<SampledModel> sample_input(const Options& o, const CalibrateModelOptions& options) {
  if (!o.row_files.empty()) return read_and_merge_rows(o.row_files);
  if (o.model.empty()) {
    HCCS_ASSIGN_OR_RETURN(SampledModel sampled, sample_dumps(o.logits, options));
    if (sampled.without_lengths > 0) {
      message("{}: {} of {} heads have no lengths.npy: all positions of their rows count as valid\n", o.logits.string(),
              sampled.without_lengths, sampled.heads.size());
    }
    sampled.model.head_dimension = o.head_dimension;
    if (o.name) sampled.model.name = *o.name;
    return sampled;
  }
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, calibration_texts(o));
  return sample_model(model, texts, options);
}

Status save_rows(const Options& o, const SampledModel& sampled) {
  if (o.save_rows.empty()) return {};
  HCCS_RETURN_IF_ERROR(write_rows(o.save_rows, sampled));
  int64_t rows = 0;
  for (const RowSample& head : sampled.heads) rows += std::ssize(head.rows());
  message("wrote {}: {} rows of {} heads\n", o.save_rows.string(), rows, sampled.heads.size());
  return {};
}

Status run(const Options& o) {
  const auto start = std::chrono::steady_clock::now();
  Inputs inputs{.files = o.text, .folders = {o.model, o.logits}};
  inputs.add_files(o.row_files);
  if (!o.output.empty()) HCCS_RETURN_IF_ERROR(check_output(o.output, inputs));
  if (!o.save_rows.empty()) HCCS_RETURN_IF_ERROR(check_output(o.save_rows, inputs));
  if (!o.output.empty() && same_file(o.output, o.save_rows)) {
    return {StatusCode::kInvalidArgument,
            fmt::format("{}: --output and --save-rows name the same file", o.output.string())};
  }
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.output));
  CalibrateModelOptions options = library_options(o);
  HCCS_ASSIGN_OR_RETURN(const SampledModel sampled, sample_input(o, options));
  warn_of_truncation(sampled.texts);
  HCCS_RETURN_IF_ERROR(save_rows(o, sampled));
  if (o.output.empty()) return {};
  options.seed = sampled.heads.front().seed();
  HCCS_ASSIGN_OR_RETURN(const ModelCalibration calibrated, calibrate_samples(sampled, options));
  warn_of_findings(calibrated.params, calibrated.fits);
  HCCS_RETURN_IF_ERROR(write_param_file(o.output, calibrated.params));

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  HCCS_RETURN_IF_ERROR(o.json.write(to_json(calibrated.params, calibrated.fits, seconds)));
  if (!o.json.on_stdout()) print_report(calibrated.params, calibrated.fits);
  message("wrote {} in {:.1f} s\n", o.output.string(), seconds);
  return {};
}

}  // namespace

Command add_calibrate(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("calibrate", "Fit every head's integers to representative text, or to dumped logits");
  app->add_option("--model", o->model, "Hugging Face BertModel folder");
  app->add_option(
      "--logits", o->logits,
      "instead of a model: folder of layer<L>_head<H>.npy (floats [rows, n]) and, unless all positions are valid, "
      "lengths.npy (integers [rows])");
  app->add_option("--name", o->name, "with --logits: the model's name in the parameter file (default: the folder's)");
  app->add_option("--head-dimension", o->head_dimension,
                  "with --logits: the model's, for the parameter file; hccs export --kernel attention needs it")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  app->add_option(
      "--text", o->text,
      "text files, one text a line, for a classifier also two with a tab between them; - is standard input");
  app->add_option("--task", o->task, "a named task's calibration texts")->check(CLI::IsMember({"wordnet"}));
  app->add_option("--wordnet", o->wordnet, "WordNet's data.noun")->capture_default_str();
  app->add_option("--knees", o->knees, "K, the number of clipped lines; 1 with --limits paper")
      ->check(CLI::Range(1, kMaxKnees))
      ->capture_default_str();
  app->add_option("--limits", o->limits,
                  "ranges of B, S, D: this project's (native), or the paper's, which need --length and --knees 1")
      ->check(CLI::IsMember({"native", "paper"}))
      ->capture_default_str();
  app->add_option(
         "--length", o->length,
         "only with --limits paper: its row length n. Texts are truncated to it; --logits with longer rows are "
         "refused")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength));
  app->add_option("--step", o->step,
                  "the logit step: any, or 2^-f for an integer f, as hccs export --target aie4ml needs")
      ->check(CLI::IsMember({"real", "power-of-two"}))
      ->capture_default_str();
  app->add_option("--share", o->share, "which heads share one parameter set")
      ->check(CLI::IsMember({"head", "layer", "global"}))
      ->capture_default_str();
  app->add_option("--on-unfit", o->on_unfit,
                  "a head that cannot be fitted stops the run, or gets the fit of all other heads")
      ->check(CLI::IsMember({"stop", "default"}))
      ->capture_default_str();
  app->add_option("--implausible", o->implausible,
                  "rows that cannot be logits (masks, padding, probabilities) stop the run, or are fitted and reported")
      ->check(CLI::IsMember({"stop", "report"}))
      ->capture_default_str();
  app->add_option("--seed", o->seed, "of the sample of rows (default: 0)")->check(unsigned_number());
  app->add_option(
         "--rows", o->rows_argument,
         "rows kept a head, 1 to 1048576 (default: 4096); or, instead of a model, files that --save-rows wrote: "
         "parts of one calibration")
      ->type_name("N|FILE");
  app->add_option("--save-rows", o->save_rows,
                  "write the sampled rows (with --model also the texts) to a file, for --rows in another run");
  app->add_option("--first", o->first,
                  "the number of the first text, or of the dumps' first row, where other runs have those before it")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  app->add_option("--max-length", o->max_length, "truncate texts to this many tokens (default: what the folder says)")
      ->check(CLI::Range(int64_t{2}, kMaxRowLength));
  app->add_option("--threads", o->threads, "the result does not depend on it (default: one a processor)")
      ->check(CLI::Range(1, 1024));
  app->add_option("-o,--output", o->output, "parameter file to write; with --save-rows it may be left out");
  o->json.add_to(*app, "the report");
  app->footer("Example:\n  hccs calibrate --model build/demo/model --task wordnet --knees 3 -o params.json");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
