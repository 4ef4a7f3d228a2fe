// SPDX-License-Identifier: Apache-2.0
#include "train_options.h"

#include <memory>
#include <utility>

#include "command.h"
#include "texts.h"

namespace hccs::tool {
namespace {

std::string usage_error(const TrainCommand& o) {
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

void add_task_and_model(CLI::App* app, TrainCommand& o) {
  app->add_option("--task", o.task.name, "a named task")->check(CLI::IsMember({"sst2", "snli", "mnli", "wordnet"}));
  o.task.add_folders(*app);
  app->add_option("--train", o.train_file, "instead of --task: a file of label<TAB>text[<TAB>text]");
  app->add_option("--dev", o.dev_file, "the same for stopping early and choosing the best weights");
  app->add_option("--test", o.test_file, "the same to report on");

  auto* model = app->add_option("--model", o.model, "Hugging Face BERT folder to start from (without: from scratch)");
  app->add_option("--take-layers", o.take_layers, "only its first layers")->check(CLI::Range(1, 1000))->needs(model);
  const auto scratch = [&](const char* option, int64_t& value, const char* what) {
    app->add_option(option, value, what)->check(CLI::Range(1, 1 << 20))->capture_default_str()->excludes(model);
  };
  scratch("--layers", o.layers, "from scratch: layers");
  scratch("--hidden", o.hidden, "from scratch: hidden size");
  scratch("--heads", o.heads, "from scratch: heads");
  scratch("--intermediate", o.intermediate, "from scratch: size of the feed-forward layer (default: 4 x hidden)");
  scratch("--positions", o.positions, "from scratch: longest sequence");
  app->add_option("--vocabulary", o.vocabulary, "from scratch: vocab.txt (default: DATA/bert_vocab/vocab.txt)")
      ->excludes(model);
}

void add_softmax_options(CLI::App* app, TrainCommand& o) {
  training::TrainOptions& t = o.train;
  app->add_option("--softmax", o.softmax, "attention's softmax in training and in the result")
      ->check(CLI::IsMember({"exact", "int8-exact", "hccs"}))
      ->capture_default_str();
  auto* params =
      app->add_option("--params", o.params, "parameter file of the model (default: calibrated on the training texts)");
  app->add_option("--knees", t.calibration.knees, "calibration: K")
      ->check(CLI::Range(1, kMaxKnees))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--limits", o.limits, "calibration: ranges of B, S, D")
      ->check(CLI::IsMember({"native", "paper"}))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--length", t.calibration.length, "calibration: the row length n of the paper's limits")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength))
      ->excludes(params);
  app->add_option("--share", o.share, "calibration: which heads share one parameter set")
      ->check(CLI::IsMember({"head", "layer", "global"}))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--on-unfit", o.on_unfit, "calibration: a head that cannot be fitted")
      ->check(CLI::IsMember({"stop", "default"}))
      ->capture_default_str()
      ->excludes(params);
  app->add_option("--calibration-batches", t.calibration_batches, "calibration: batches of 32 training texts")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app->add_option("--normalisation", o.normalisation, "how scores become probabilities")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str();
  app->add_option("--output-type", o.output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str();
  app->add_flag("--learnable", t.learnable, "train B, S, D and the step of every head too");
  app->add_option("--head-learning-rate", t.head_learning_rate, "for those (default: 10 x --learning-rate)");
  app->add_option("--quantise", o.quantise,
                  "what else is int8: all = weights and activations (default: attention, with an int8 softmax)")
      ->check(CLI::IsMember({"none", "attention", "all"}));
}

void add_step_options(CLI::App* app, TrainCommand& o) {
  training::TrainOptions& t = o.train;
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
  app->add_option("--teacher", o.teacher, "classifier folder to distil from, usually the float model");
  app->add_option("--distillation-weight", t.distillation_weight, "the teacher's share of the loss")
      ->capture_default_str();
  app->add_option("--temperature", t.temperature, "of the distillation")->capture_default_str();
}

}  // namespace

Command add_train(CLI::App& root, std::function<Status(const TrainCommand&)> run) {
  auto o = std::make_shared<TrainCommand>();
  training::TrainOptions& t = o->train;
  t.calibration.knees = 1;
  t.threads = default_threads();
  CLI::App* app = root.add_subcommand("train", "Train or retrain a text classifier, with HCCS in the forward pass");

  add_task_and_model(app, *o);
  add_softmax_options(app, *o);
  add_step_options(app, *o);
  app->add_option("--seed", t.seed, "")->check(unsigned_number())->capture_default_str();
  app->add_option("--threads", t.threads,
                  "parts of a batch that run at once; the result depends on it (default: one a processor)")
      ->check(CLI::Range(1, 1024));
  app->add_option("--checkpoint-steps", t.checkpoint_steps, "steps between checkpoints")->capture_default_str();
  app->add_flag("--resume", t.resume, "continue what an earlier run with the same options left");
  app->add_option("-o,--output", t.output, "folder to write")->required();
  o->json.add_to(*app, "steps and accuracies");
  app->footer(
      "Example:\n  hccs train --task sst2 --layers 2 --hidden 128 --heads 2 -o float\n"
      "  hccs train --task sst2 --model float --softmax hccs --knees 1 -o retrained\n"
      "  hccs evaluate --model retrained --params retrained/params.json --task sst2");
  return {
      .app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o, run = std::move(run)] { return run(*o); }};
}

}  // namespace hccs::tool
