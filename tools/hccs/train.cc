// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>

#include "command.h"
#include "console.h"
#include "task_option.h"
#include "tasks/wordnet.h"
#include "texts.h"
#ifdef HCCS_HAVE_TORCH
#include "training/trainer.h"
#endif

namespace hccs::tool {

#ifndef HCCS_HAVE_TORCH

Command add_train(CLI::App& root) {
  CLI::App* app = root.add_subcommand("train", "Train or retrain a classifier with HCCS (this build lacks libtorch)");
  app->allow_extras();
  app->footer(
      "Example:\n  hccs train --help (after: apt-get install libtorch-dev libopenblas0-pthread, then build again)");
  return {.app = app, .run = [] {
            return Status(StatusCode::kUnsupported,
                          "this program was built without libtorch; install it (Debian: apt-get install libtorch-dev "
                          "libopenblas0-pthread) and build again");
          }};
}

#else

namespace {

namespace fs = std::filesystem;
using training::SoftmaxKind;
using training::TrainOptions;

struct Options {
  TaskOption task;
  fs::path train_file, dev_file, test_file;
  fs::path model, vocabulary, params, teacher;
  int64_t take_layers = 0;
  int64_t layers = 2, hidden = 128, heads = 2, intermediate = 0, positions = 512;
  std::string softmax = "exact", limits = "native", share = "head", normalisation = "scaled", output_type = "uint8";
  std::string on_unfit = "default";
  std::string quantise;
  TrainOptions train;
};

std::string usage_error(const Options& o) {
  if (o.task.name.empty() == o.train_file.empty()) return "exactly one of --task and --train is needed";
  if (o.train_file.empty() != o.dev_file.empty()) return "--train and --dev go together";
  if (o.softmax == "exact" && !o.params.empty()) return "--params goes with --softmax hccs or int8-exact";
  if (o.train.learnable && o.softmax != "hccs") return "--learnable goes with --softmax hccs";
  if (o.quantise == "none" && o.softmax != "exact") return "--quantise none goes with --softmax exact";
  if (!o.quantise.empty() && o.quantise != "none" && o.softmax == "exact") {
    return "--quantise " + o.quantise + " needs --softmax int8-exact or hccs";
  }
  if (o.limits == "paper" && o.train.calibration.length == 0) return "--limits paper needs --length";
  if (o.limits != "paper" && o.train.calibration.length != 0) return "--length goes with --limits paper";
  if (o.limits == "paper" && o.train.calibration.knees != 1) return "--limits paper means --knees 1";
  if (o.train.learnable && o.limits == "paper") return "--learnable goes with --limits native";
  if (o.train.learnable && o.share != "head") return "--learnable goes with --share head";
  return {};
}

// Prints progress: a line every few seconds, redrawn on a terminal.
training::TrainReport make_report() {
  struct State {
    bool terminal = isatty(STDERR_FILENO) == 1;
    std::chrono::steady_clock::time_point last{};
    double shown_accuracy = -1;
  };
  return [state = std::make_shared<State>()](const training::TrainProgress& p) {
    const auto now = std::chrono::steady_clock::now();
    const double interval = state->terminal ? 0.5 : 10;
    const bool news = p.dev_accuracy != state->shown_accuracy || p.step == p.steps;
    if (news || std::chrono::duration<double>(now - state->last).count() >= interval) {
      state->last = now;
      state->shown_accuracy = p.dev_accuracy;
      const std::string accuracy =
          p.dev_accuracy < 0 ? "" : fmt::format(", dev accuracy {:.4f} (best {:.4f})", p.dev_accuracy, p.best_accuracy);
      fmt::print(stderr, "{}step {}/{}, loss {:.4f}{}, {:.0f} tokens/s, {:.0f} s left{}",
                 state->terminal ? "\r\x1b[K" : "", p.step, p.steps, p.loss, accuracy, p.tokens_per_second,
                 p.seconds_left, state->terminal && !news ? "" : "\n");
      std::fflush(stderr);
    }
    return !interrupted();
  };
}

// The command that measures the accuracies which the trainer reports once more.
std::string evaluate_command(const Options& o) {
  const std::string folder = o.train.output.string();
  std::string command = fmt::format("  hccs evaluate --model {}", folder);
  if (o.softmax != "exact") command += fmt::format(" --params {}/{}", folder, training::kParamsFile);
  const bool by_default =
      o.params.empty() && o.limits == "native" && o.normalisation == "scaled" && o.output_type == "uint8";
  if (o.softmax == "hccs" && !by_default) {
    command += fmt::format(" --normalisation {} --output-type {}", o.normalisation, o.output_type);
  }
  command +=
      " --task " + (o.task.name.empty() ? (o.test_file.empty() ? o.dev_file : o.test_file).string() : o.task.name);
  return command + (o.task.name == "wordnet" ? " --classifier\n" : "\n");
}

Status run(const Options& options) {
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

  HCCS_ASSIGN_OR_RETURN(const training::TrainResult result, training::train(task, o, make_report()));
  if (result.replaced_classifier) {
    fmt::print(stderr, "{}: its classifier has other labels than the task; a new one was trained\n", o.model->string());
  }
  if (result.steps == 0) {
    fmt::print(stderr, "wrote {}: calibrated; this measures it:\n{}", o.output.string(), evaluate_command(options));
    return {};
  }
  fmt::print("{:<12} {:>8} {:>8}\n", "set", "examples", "accuracy");
  fmt::print("{:<12} {:>8} {:>8.4f}  best of {} evaluations, step {} of {}\n", "dev", task.dev.examples.size(),
             result.dev_accuracy, result.history.size(), result.best_step, result.steps);
  for (size_t i = 0; i < task.tests.size(); ++i) {
    fmt::print("{:<12} {:>8} {:>8.4f}\n", task.tests[i].name, task.tests[i].examples.size(),
               result.test_accuracies[i].second);
  }
  fmt::print(stderr, "wrote {}: {:.1f} s of training, {:.0f} tokens/s; this measures it again:\n{}", o.output.string(),
             result.seconds, result.tokens_per_second, evaluate_command(options));
  return {};
}

}  // namespace

Command add_train(CLI::App& root) {
  auto o = std::make_shared<Options>();
  TrainOptions& t = o->train;
  t.calibration.knees = 1;
  t.threads = default_threads();
  CLI::App* app = root.add_subcommand("train", "Train or retrain a text classifier, with HCCS in the forward pass");

  app->add_option("--task", o->task.name, "a named task")->check(CLI::IsMember({"sst2", "snli", "mnli", "wordnet"}));
  o->task.add_folders(*app);
  app->add_option("--train", o->train_file, "instead of --task: a file of label<TAB>text[<TAB>text]");
  app->add_option("--dev", o->dev_file, "the same for stopping early and choosing the best weights");
  app->add_option("--test", o->test_file, "the same to report on");

  auto* model = app->add_option("--model", o->model, "Hugging Face BERT folder to start from (without: from scratch)");
  app->add_option("--take-layers", o->take_layers, "only its first layers")->check(CLI::Range(1, 1000))->needs(model);
  const auto scratch = [&](const char* option, int64_t& value, const char* what) {
    app->add_option(option, value, what)->check(CLI::Range(1, 1 << 20))->capture_default_str()->excludes(model);
  };
  scratch("--layers", o->layers, "from scratch: layers");
  scratch("--hidden", o->hidden, "from scratch: hidden size");
  scratch("--heads", o->heads, "from scratch: heads");
  scratch("--intermediate", o->intermediate, "from scratch: size of the feed-forward layer (default: 4 x hidden)");
  scratch("--positions", o->positions, "from scratch: longest sequence");
  app->add_option("--vocabulary", o->vocabulary, "from scratch: vocab.txt (default: DATA/bert_vocab/vocab.txt)")
      ->excludes(model);

  app->add_option("--softmax", o->softmax, "attention's softmax in training and in the result")
      ->check(CLI::IsMember({"exact", "int8-exact", "hccs"}))
      ->capture_default_str();
  auto* params =
      app->add_option("--params", o->params, "parameter file of the model (default: calibrated on the training texts)");
  app->add_option("--knees", t.calibration.knees, "calibration: K")
      ->check(CLI::Range(1, kMaxKnees))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--limits", o->limits, "calibration: ranges of B, S, D")
      ->check(CLI::IsMember({"native", "paper"}))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--length", t.calibration.length, "calibration: the row length n of the paper's limits")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength))
      ->excludes(params);
  app->add_option("--share", o->share, "calibration: which heads share one parameter set")
      ->check(CLI::IsMember({"head", "layer", "global"}))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--on-unfit", o->on_unfit, "calibration: a head that cannot be fitted")
      ->check(CLI::IsMember({"stop", "default"}))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--calibration-batches", t.calibration_batches, "calibration: batches of 32 training texts")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app->add_option("--normalisation", o->normalisation, "how scores become probabilities")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str();
  app->add_option("--output-type", o->output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str();
  app->add_flag("--learnable", t.learnable, "train B, S, D and the step of every head too");
  app->add_option("--head-learning-rate", t.head_learning_rate, "for those (default: 10 x --learning-rate)");
  app->add_option("--quantise", o->quantise,
                  "what else is int8: all = weights and activations (default: attention, with an int8 softmax)")
      ->check(CLI::IsMember({"none", "attention", "all"}));

  app->add_option("--epochs", t.epochs, "0: only calibrate, measure nothing")->capture_default_str();
  app->add_option("--batch", t.batch_size, "texts a step")->capture_default_str();
  app->add_option("--learning-rate", t.learning_rate, "at its highest")->capture_default_str();
  app->add_option("--warmup", t.warmup, "share of the steps in which it rises; then it falls to 0")
      ->capture_default_str();
  app->add_option("--weight-decay", t.adamw.weight_decay, "of AdamW, for matrices")->capture_default_str();
  app->add_option("--clip", t.adamw.clip_norm, "largest norm of the gradient; 0: none")->capture_default_str();
  app->add_option("--dropout", t.dropout, "of hidden states and probabilities")->capture_default_str();
  app->add_flag("--freeze-embeddings", t.adamw.freeze_word_embeddings, "keep the word embeddings");
  app->add_option("--max-length", t.max_length, "texts are cut to so many tokens")->capture_default_str();
  app->add_option("--max-examples", t.max_examples, "train on so many examples, drawn at random; 0: all")
      ->capture_default_str();
  app->add_option("--evaluations", t.evaluations, "evaluations on dev an epoch")->capture_default_str();
  app->add_option("--patience", t.patience, "stop after so many evaluations without a better one; 0: never")
      ->capture_default_str();
  app->add_option("--teacher", o->teacher, "classifier folder to distil from, usually the float model");
  app->add_option("--distillation-weight", t.distillation_weight, "the teacher's share of the loss")
      ->capture_default_str();
  app->add_option("--temperature", t.temperature, "of the distillation")->capture_default_str();

  app->add_option("--seed", t.seed, "")->capture_default_str();
  app->add_option("--threads", t.threads, "parts of a batch that run at once; the result depends on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app->add_option("--checkpoint-steps", t.checkpoint_steps, "steps between checkpoints")->capture_default_str();
  app->add_flag("--resume", t.resume, "continue what an earlier run with the same options left");
  app->add_option("-o,--output", t.output, "folder to write")->required();
  app->footer(
      "Example:\n  hccs train --task sst2 --layers 2 --hidden 128 --heads 2 -o float\n"
      "  hccs train --task sst2 --model float --softmax hccs --knees 1 -o retrained\n"
      "  hccs evaluate --model retrained --params retrained/params.json --task sst2");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

#endif

}  // namespace hccs::tool
