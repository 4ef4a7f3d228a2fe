// SPDX-License-Identifier: Apache-2.0
//
// hccs-train: what `hccs train` starts. It is a program of its own so that no other command loads libtorch.
#include <algorithm>
#include <chrono>
#include <exception>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "console.h"
#include "program.h"
#include "tasks/wordnet.h"
#include "terminal.h"
#include "texts.h"
#include "train_options.h"
#include "training/trainer.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;
using training::SoftmaxKind;
using training::TrainOptions;

// As many parts of a line as fit, in order; those that tell least are left out first.
struct Part {
  std::string text;
  int rank = 0;  // the highest goes first
};
std::string join_to_fit(std::vector<Part> parts, int columns) {
  while (true) {
    std::string line;
    int highest = 0;
    for (const Part& part : parts) {
      line += part.text;
      highest = std::max(highest, part.rank);
    }
    if (display_width(line) <= columns || highest == 0) return fit(line, columns);
    std::erase_if(parts, [&](const Part& part) { return part.rank == highest; });
  }
}

std::string progress_line(const training::TrainProgress& p, int columns) {
  std::vector<Part> parts = {{fmt::format("step {}/{}", p.step, p.steps)}};
  if (p.distillation) {
    parts.push_back({fmt::format(", cross entropy {:.4f}, distillation {:.4f}", p.loss, *p.distillation), 2});
  } else {
    parts.push_back({fmt::format(", loss {:.4f}", p.loss), 2});
  }
  if (p.dev_accuracy >= 0) {
    parts.push_back({fmt::format(", dev accuracy {:.4f}", p.dev_accuracy), 1});
    parts.push_back({fmt::format(" (best {:.4f})", p.best_accuracy), 4});
  }
  if (!p.evaluating.empty()) {
    parts.push_back({fmt::format(", evaluating {}: {}/{} texts", p.evaluating, p.texts_evaluated, p.texts), 0});
  }
  parts.push_back({fmt::format(", {:.0f} tokens/s", p.tokens_per_second), 5});
  parts.push_back({fmt::format(", {:.0f} s left", p.seconds_left), 3});
  return join_to_fit(std::move(parts), columns);
}

// Prints progress: on a terminal a line that is redrawn, and stays after each evaluation; else a line every few
// seconds.
training::TrainReport make_report() {
  struct State {
    StatusLine line;
    std::chrono::steady_clock::time_point last{};
    double shown_accuracy = -1;
  };
  return [state = std::make_shared<State>()](const training::TrainProgress& p) {
    const auto now = std::chrono::steady_clock::now();
    const double interval = state->line.terminal() ? 0.5 : 10;
    const bool news = p.evaluating.empty() && (p.dev_accuracy != state->shown_accuracy || p.step == p.steps);
    const bool evaluated = !p.evaluating.empty() && p.texts_evaluated == p.texts && state->line.terminal();
    if (news || evaluated || std::chrono::duration<double>(now - state->last).count() >= interval) {
      state->last = now;
      state->shown_accuracy = p.dev_accuracy;
      if (state->line.terminal()) {
        state->line.draw([&](int columns) { return progress_line(p, columns); });
        if (news) state->line.end_line();
      } else {
        message("{}\n", progress_line(p, std::numeric_limits<int>::max()));
      }
    }
    return !interrupted();
  };
}

std::string task_arguments(const TrainCommand& o) {
  const std::string task =
      o.task.name.empty() ? (o.test_file.empty() ? o.dev_file : o.test_file).string() : o.task.name;
  return fmt::format(" --task {}{}\n", task, o.task.name == "wordnet" ? " --classifier" : "");
}

// The command that measures the accuracies which the trainer reports once more.
std::string evaluate_command(const TrainCommand& o) {
  const std::string folder = o.train.output.string();
  std::string command = fmt::format("  hccs evaluate --model {}", folder);
  if (o.softmax != "exact") command += fmt::format(" --params {}/{}", folder, training::kParamsFile);
  const bool by_default =
      o.params.empty() && o.limits == "native" && o.normalisation == "scaled" && o.output_type == "uint8";
  if (o.softmax == "hccs" && !by_default) {
    command += fmt::format(" --normalisation {} --output-type {}", o.normalisation, o.output_type);
  }
  return command + task_arguments(o);
}

// Likewise those of the integer model.
std::string evaluate_integers_command(const TrainCommand& o) {
  const std::string file = (o.train.output / training::kIntegerFile).string();
  return fmt::format("  hccs evaluate --model {}{}", file, task_arguments(o));
}

void print_table(const Task& task, const training::TrainResult& result) {
  const bool integers = !result.integer_accuracies.empty();
  print("{:<12} {:>8} {:>8}{}\n", "set", "examples", "accuracy", integers ? "  in integers" : "");
  print("{:<12} {:>8} {:>8.4f}  best of {} evaluations, step {} of {}\n", "dev", task.dev.examples.size(),
        result.dev_accuracy, result.history.size(), result.best_step, result.steps);
  for (size_t i = 0; i < task.tests.size(); ++i) {
    print("{:<12} {:>8} {:>8.4f}{}\n", task.tests[i].name, task.tests[i].examples.size(),
          result.test_accuracies[i].second,
          integers ? fmt::format("  {:>11.4f}", result.integer_accuracies[i].second) : "");
  }
}

nlohmann::ordered_json to_json(const TrainOptions& o, const Task& task, const training::TrainResult& result) {
  nlohmann::ordered_json out = {{"output", o.output.string()},
                                {"steps", result.steps},
                                {"best_step", result.best_step},
                                {"seconds", result.seconds},
                                {"tokens_per_second", result.tokens_per_second},
                                {"replaced_classifier", result.replaced_classifier}};
  if (result.steps == 0) return out;  // nothing was measured
  out["accuracies"].push_back(
      {{"set", "dev"}, {"examples", task.dev.examples.size()}, {"accuracy", result.dev_accuracy}});
  for (size_t i = 0; i < task.tests.size(); ++i) {
    out["accuracies"].push_back({{"set", task.tests[i].name},
                                 {"examples", task.tests[i].examples.size()},
                                 {"accuracy", result.test_accuracies[i].second}});
    if (!result.integer_accuracies.empty()) {
      out["accuracies"].back()["integer_accuracy"] = result.integer_accuracies[i].second;
    }
  }
  return out;
}

Status run(const TrainCommand& options) {
  HCCS_RETURN_IF_ERROR(options.json.check(
      {.files = {options.train_file, options.dev_file, options.test_file, options.params, options.vocabulary},
       .folders = {options.model, options.teacher}}));
  TrainOptions o = options.train;
  Task task;
  if (!options.task.name.empty()) {
    HCCS_ASSIGN_OR_RETURN(task, options.task.read());
  } else {
    const std::optional<fs::path> test =
        options.test_file.empty() ? std::nullopt : std::optional<fs::path>(options.test_file);
    HCCS_ASSIGN_OR_RETURN(task, read_task_files(options.train_file, options.dev_file, test));
  }
  if (!options.model.empty()) {
    o.model = options.model;
    if (options.take_layers > 0) o.take_layers = options.take_layers;
  } else {
    o.shape = {.hidden_size = options.hidden,
               .layers = options.layers,
               .heads = options.heads,
               .intermediate_size = options.intermediate > 0 ? options.intermediate : 4 * options.hidden,
               .max_positions = options.positions,
               .type_vocabulary_size = 2};
    o.vocabulary = options.vocabulary;
    if (options.vocabulary.empty()) {
      HCCS_ASSIGN_OR_RETURN(o.vocabulary, options.task.vocabulary());
    }
  }
  o.softmax = options.softmax == "exact"  ? SoftmaxKind::kExact
              : options.softmax == "hccs" ? SoftmaxKind::kHccs
                                          : SoftmaxKind::kInt8Exact;
  if (!options.params.empty()) o.params = options.params;
  if (!options.teacher.empty()) o.teacher = options.teacher;
  o.calibration.limits = *parse_limits(options.limits);
  o.calibration.share = *parse_share(options.share);
  o.calibration.on_unfit = options.on_unfit == "stop" ? OnUnfit::kStop : OnUnfit::kDefault;
  o.normalisation = *parse_normalisation(options.normalisation);
  o.output_type = *parse_output_type(options.output_type);
  o.quantise_all = options.quantise == "all";
  o.calibration.on_implausible = OnImplausible::kReport;  // the trainer's own logits, without masks
  o.report_truncation = [](std::string_view set, const EncodedTexts& texts) { warn_of_truncation(texts, set); };

  say_classes(task.train, task.labels);
  say_classes(task.dev, task.labels);

  HCCS_ASSIGN_OR_RETURN(const training::TrainResult result, training::train(task, o, make_report(), progress_report));
  if (result.replaced_classifier) {
    message("{}: its classifier has other labels than the task; a new one was trained\n", o.model->string());
  }
  HCCS_RETURN_IF_ERROR(options.json.write(to_json(o, task, result)));
  if (result.without_classifier) {
    message("wrote {}: as {}, it has no classifier, and 0 epochs train none\n", o.output.string(), o.model->string());
    return {};
  }
  if (!result.integers.ok()) message("no {}: {}\n", training::kIntegerFile, result.integers.message());
  const std::string commands =
      evaluate_command(options) + (result.has_integers ? evaluate_integers_command(options) : "");
  if (result.steps == 0) {
    message("wrote {}: calibrated; this measures it:\n{}", o.output.string(), commands);
    return {};
  }
  if (!options.json.on_stdout()) print_table(task, result);
  message("wrote {}: {:.1f} s of training, {:.0f} tokens/s; this measures it again:\n{}", o.output.string(),
          result.seconds, result.tokens_per_second, commands);
  return {};
}

}  // namespace
}  // namespace hccs::tool

int main(int argc, char** argv) try {
  using namespace hccs::tool;  // NOLINT(google-build-using-namespace)
  prepare_console();
  CLI::App root("The trainer of hccs: run it as `hccs train`.");
  root.name("hccs");
  root.require_subcommand(1);
  const Command command = add_train(root, run);
  return run_program(root, {&command, 1}, argc, argv);
} catch (const std::exception& e) {
  hccs::tool::write_error("hccs train:", e.what());
  return 1;
}
