// SPDX-License-Identifier: Apache-2.0
#include "evaluate_classifier.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "console.h"
#include "hccs/encoder.h"
#include "hccs/file.h"
#include "machine.h"
#include "nearest_neighbours.h"
#include "softmax_modes.h"
#include "texts.h"

namespace hccs::tool {
namespace {

struct Result {
  std::string set;
  const SoftmaxMode* mode;
  std::vector<bool> correct;
  std::optional<PairedDifference> difference;  // to float, where that was run
  int64_t hits() const { return std::count(correct.begin(), correct.end(), true); }
  double accuracy() const { return static_cast<double>(hits()) / static_cast<double>(correct.size()); }
};

Expected<std::vector<ExampleSet>> read_sets(const ClassifierOptions& o, const ModelFolder& model) {
  const auto names = named_tasks();
  if (std::find(names.begin(), names.end(), o.task.name) == names.end()) {
    std::vector<std::string> labels = model.labels;
    const std::filesystem::path path = o.task.name;
    HCCS_ASSIGN_OR_RETURN(ExampleSet set, read_labelled_file(path, path.stem().string(), labels));
    return std::vector<ExampleSet>{std::move(set)};
  }
  HCCS_ASSIGN_OR_RETURN(Task task, o.task.read());
  if (task.labels != model.labels) {
    return Status(StatusCode::kMismatch, fmt::format("{}: {} labels, but task {} has {} others", o.model.string(),
                                                     model.labels.size(), o.task.name, task.labels.size()));
  }
  return std::move(task.tests);
}

void print_table(const std::vector<Result>& results) {
  print("{:<12} {:>8}  {:<14} {:>5} {:<7}  {:>8} {:>17}  {:>10} {:>19}\n", "set", "examples", "softmax", "knees",
        "norm", "accuracy", "95 % interval", "difference", "95 % interval");
  for (const Result& r : results) {
    const auto [low, high] = wilson_interval(r.hits(), std::ssize(r.correct));
    print("{:<12} {:>8}  {:<14} {:>5} {:<7}  {:>8.4f} [{:.4f}, {:.4f}]", r.set, r.correct.size(), r.mode->name,
          r.mode->knees == 0 ? "-" : std::to_string(r.mode->knees), r.mode->normalisation, r.accuracy(), low, high);
    if (r.mode->kind == SoftmaxMode::Kind::kFloat || !r.difference) {
      print("\n");
    } else {
      print("  {:>+10.4f} [{:+.4f}, {:+.4f}]\n", r.difference->difference, r.difference->low, r.difference->high);
    }
  }
}

nlohmann::ordered_json to_json(const ClassifierOptions& o, const ModelFolder& model,
                               const std::vector<Result>& results) {
  nlohmann::ordered_json out = {
      {"task", o.task.name}, {"model", model.name}, {"commit", commit()}, {"machine", machine()}};
  for (const Result& r : results) {
    std::string correct;
    for (const bool c : r.correct) correct += c ? '1' : '0';
    nlohmann::ordered_json row = {{"set", r.set},
                                  {"softmax", r.mode->name},
                                  {"knees", r.mode->knees},
                                  {"normalisation", r.mode->normalisation},
                                  {"examples", r.correct.size()},
                                  {"accuracy", r.accuracy()}};
    if (r.difference) {
      row["difference_to_float"] = r.difference->difference;
      row["difference_ci95"] = {r.difference->low, r.difference->high};
    }
    row["correct"] = correct;
    out["rows"].push_back(std::move(row));
  }
  return out;
}

}  // namespace

Status evaluate_classifier(const ClassifierOptions& o) {
  Inputs inputs{.files = {o.task.name}, .folders = {o.model}};
  HCCS_RETURN_IF_ERROR(o.json.check(inputs.add_files(o.params)));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_RETURN_IF_ERROR(model.classifier);
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(const std::vector<ParamFile> files, read_params_of(model, o.params));
  HCCS_ASSIGN_OR_RETURN(const std::vector<ExampleSet> sets, read_sets(o, model));
  const int64_t longest = model.max_length;
  if (o.max_length > model.config.max_positions) {
    return {StatusCode::kInvalidArgument,
            fmt::format("maximum length {}, but the model takes {} tokens", o.max_length, model.config.max_positions)};
  }
  HCCS_ASSIGN_OR_RETURN(std::vector<SoftmaxMode> modes, softmax_modes(files, o.chosen));
  if (!o.softmax.empty()) {
    std::erase_if(modes, [&](const SoftmaxMode& mode) {
      return std::find(o.softmax.begin(), o.softmax.end(), SoftmaxMode::name_of(mode.kind)) == o.softmax.end();
    });
  }
  std::vector<Result> results;
  for (const ExampleSet& set : sets) {
    say_classes(set, model.labels);
    const int64_t limit = o.max_length > 0 ? o.max_length : longest;
    const auto encodings = encode_examples(model.tokenizer, set, limit);
    warn_of_truncation(truncation_of(encodings, limit), set.name);
    const size_t first = results.size();
    for (const SoftmaxMode& mode : modes) {
      HCCS_ASSIGN_OR_RETURN(
          const std::vector<float> logits,
          encoder.classify(encodings, *mode.softmax,
                           {.threads = o.threads, .progress = progress_report(set.name + ", " + mode.name, "texts")}));
      const std::vector<int32_t> predicted = predicted_classes(logits, encoder.classes());
      Result result{.set = set.name, .mode = &mode};
      for (size_t i = 0; i < predicted.size(); ++i) {
        result.correct.push_back(predicted[i] == set.examples[i].label);
      }
      results.push_back(std::move(result));
      if (results[first].mode->kind == SoftmaxMode::Kind::kFloat) {
        results.back().difference = paired_difference(results[first].correct, results.back().correct);
      }
    }
  }
  if (!o.json.on_stdout()) print_table(results);
  return o.json.write(to_json(o, model, results));
}

}  // namespace hccs::tool
