// SPDX-License-Identifier: Apache-2.0
#include "evaluate_integer.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "console.h"
#include "hccs/encoder.h"
#include "hccs/integer_encoder.h"
#include "hccs/model_folder.h"
#include "hccs/text.h"
#include "machine.h"
#include "nearest_neighbours.h"
#include "outputs.h"
#include "tasks/wordnet.h"
#include "texts.h"

namespace hccs::tool {
namespace {

constexpr int kNeighbours = 10;

struct Row {
  std::string engine;
  int knees = 0;
  int64_t hits = 0;
  int64_t tests = 0;              // 0: texts without labels
  std::vector<double> cosines{};  // of the tests, ascending; none for float
  double same_nearest = 1;
  double seconds = 0;
  double per_second = 0;  // texts
  double accuracy() const { return static_cast<double>(hits) / static_cast<double>(tests); }
  double mean() const {
    double sum = 0;
    for (const double c : cosines) sum += c;
    return cosines.empty() ? 1 : sum / static_cast<double>(cosines.size());
  }
  double first_percentile() const { return cosines.empty() ? 1 : cosines[cosines.size() / 100]; }
  double least() const { return cosines.empty() ? 1 : cosines.front(); }
};

double cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0;
  double square_a = 0;
  double square_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += double{a[i]} * b[i];
    square_a += double{a[i]} * a[i];
    square_b += double{b[i]} * b[i];
  }
  return square_a > 0 && square_b > 0 ? std::min(1.0, dot / std::sqrt(square_a * square_b)) : 0;
}

void print_table(const std::vector<Row>& rows) {
  const bool labelled = rows[0].tests > 0;
  print("{:<10} {:>5}  {}{:>8} {:>8} {:>8}  {:>7}  {:>8}\n", "model", "knees",
        labelled ? fmt::format("{:>8} {:>17}  ", "accuracy", "95 % interval") : "", "cos mean", "cos p1", "cos min",
        "nearest", "texts/s");
  for (const Row& r : rows) {
    std::string accuracy;
    if (labelled) {
      const auto [low, high] = wilson_interval(r.hits, r.tests);
      accuracy = fmt::format("{:>8.4f} [{:.4f}, {:.4f}]  ", r.accuracy(), low, high);
    }
    print("{:<10} {:>5}  {}{:>8.5f} {:>8.5f} {:>8.5f}  {:>7.4f}  {:>8.0f}\n", r.engine,
          r.knees == 0 ? "-" : std::to_string(r.knees), accuracy, r.mean(), r.first_percentile(), r.least(),
          r.same_nearest, r.per_second);
  }
}

nlohmann::ordered_json to_json(const IntegerEvaluation& o, const IntegerModelInfo& info, const std::vector<Row>& rows) {
  nlohmann::ordered_json out = {
      {"task", o.task.name.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(o.task.name)},
      {"model", info.name},
      {"attention_weights", info.attention_weights == AttentionWeights::kWide ? "wide" : "uint8"},
      {"commit", commit()},
      {"machine", machine()}};
  for (const Row& r : rows) {
    nlohmann::ordered_json& row = out["rows"].emplace_back();
    row = {{"engine", r.engine}, {"knees", r.knees}};
    if (r.tests > 0) {
      const auto [low, high] = wilson_interval(r.hits, r.tests);
      row["accuracy"] = r.accuracy();
      row["accuracy_ci95"] = {low, high};
    }
    row["cosine_mean"] = r.mean();
    row["cosine_p1"] = r.first_percentile();
    row["cosine_min"] = r.least();
    row["same_nearest"] = r.same_nearest;
    row["texts_per_second"] = r.per_second;
  }
  return out;
}

// The time of `work` as the row's speed.
template <class Work>
auto timed(size_t texts, Row* row, const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  auto result = work();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  row->per_second = static_cast<double>(texts) / std::max(seconds, 1e-9);
  return result;
}

Expected<ModelFolder> open_float_model(const IntegerEvaluation& o, const IntegerModelInfo& info) {
  HCCS_ASSIGN_OR_RETURN(ModelFolder model, open_model_folder(o.float_folder));
  if (model.weights.digest() == info.weights_digest) return model;
  return Status(StatusCode::kMismatch, fmt::format("{}: an integer model of other weights (of \"{}\") than those of {}",
                                                   o.model.string(), info.name, o.float_folder.string()));
}

}  // namespace

namespace {

// Embeddings of the same texts by both models.
struct Embeddings {
  std::vector<float> exact;
  std::vector<float> rounded;
  int64_t width = 0;
};

// Fills the rows' speed too.
Expected<Embeddings> embed_by_both(const IntegerEvaluation& o, const ModelFolder& model, const IntegerEncoder& integers,
                                   const std::vector<std::string>& texts, std::vector<Row>* rows) {
  HCCS_RETURN_IF_ERROR(model.sentence.embeds);
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings, tokenise(model, texts, o.max_length));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  *rows = {{.engine = "float"}, {.engine = "integers", .knees = integers.info().knees}};
  Embeddings both{.exact = {}, .rounded = {}, .width = encoder.embedding_size()};
  HCCS_ASSIGN_OR_RETURN(both.exact, timed(texts.size(), rows->data(), [&] {
                          return encoder.embed(encodings, *make_exact_softmax(),
                                               {.threads = o.threads, .progress = progress_report("float", "texts")});
                        }));
  HCCS_ASSIGN_OR_RETURN(both.rounded, timed(texts.size(), rows->data() + 1, [&] {
                          return integers.embed(
                              encodings, {.threads = o.threads, .progress = progress_report("integers", "texts")});
                        }));
  return both;
}

}  // namespace

Status evaluate_integer_embeddings(const IntegerEvaluation& o) {
  HCCS_RETURN_IF_ERROR(o.json.check({.files = {o.model}, .folders = {o.float_folder}}));
  HCCS_ASSIGN_OR_RETURN(const IntegerEncoder integers, IntegerEncoder::load(o.model));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_float_model(o, integers.info()));
  HCCS_ASSIGN_OR_RETURN(const auto glosses, read_wordnet_glosses(o.task.wordnet));
  HCCS_ASSIGN_OR_RETURN(const WordnetTask task, make_wordnet_task(glosses, kWordnetTaskSeed));
  const EvaluatedGlosses evaluated = evaluated_glosses(task);
  std::vector<Row> rows;
  HCCS_ASSIGN_OR_RETURN(const Embeddings both, embed_by_both(o, model, integers, evaluated.texts, &rows));
  const int64_t width = both.width;
  std::vector<std::vector<int32_t>> float_nearest;
  for (Row& row : rows) {
    const std::vector<float>& embeddings = &row == rows.data() ? both.exact : both.rounded;
    const Vectors pool{std::span(embeddings).first(evaluated.references * width), width};
    const Vectors tests{std::span(embeddings).subspan(evaluated.references * width), width};
    const Vectors exact_tests{std::span(both.exact).subspan(evaluated.references * width), width};
    const auto nearest = nearest_neighbours(pool, tests, kNeighbours);
    int64_t same = 0;
    row.tests = tests.rows();
    for (int64_t t = 0; t < tests.rows(); ++t) {
      row.hits += majority_label(nearest[t], evaluated.labels) == evaluated.labels[evaluated.references + t] ? 1 : 0;
      same += float_nearest.empty() || nearest[t][0] == float_nearest[t][0] ? 1 : 0;
      if (!float_nearest.empty()) row.cosines.push_back(cosine(tests.row(t), exact_tests.row(t)));
    }
    row.same_nearest = static_cast<double>(same) / static_cast<double>(tests.rows());
    std::sort(row.cosines.begin(), row.cosines.end());
    if (float_nearest.empty()) float_nearest = nearest;
  }
  if (!o.json.on_stdout()) print_table(rows);
  return o.json.write(to_json(o, integers.info(), rows));
}

namespace {

// For each text the other one that is nearest.
std::vector<int32_t> nearest_others(const Vectors& texts) {
  const auto nearest = nearest_neighbours(texts, texts, 2);
  std::vector<int32_t> others;
  for (size_t t = 0; t < nearest.size(); ++t)
    others.push_back(nearest[t][nearest[t][0] == static_cast<int32_t>(t) ? 1 : 0]);
  return others;
}

}  // namespace

Status evaluate_integer_texts(const IntegerEvaluation& o) {
  Inputs inputs{.files = {o.model}, .folders = {o.float_folder}};
  inputs.add_files(o.text);
  HCCS_RETURN_IF_ERROR(o.json.check(inputs));
  HCCS_ASSIGN_OR_RETURN(const IntegerEncoder integers, IntegerEncoder::load(o.model));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_float_model(o, integers.info()));
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, read_text_lines(o.text, /*keep_empty=*/false));
  if (texts.size() < 2) {
    return {StatusCode::kInvalidArgument, "1 text, but nearest neighbours are compared among 2 or more"};
  }
  std::vector<Row> rows;
  HCCS_ASSIGN_OR_RETURN(const Embeddings both, embed_by_both(o, model, integers, texts, &rows));
  const Vectors exact{both.exact, both.width};
  const Vectors rounded{both.rounded, both.width};
  const std::vector<int32_t> expected = nearest_others(exact);
  const std::vector<int32_t> found = nearest_others(rounded);
  int64_t same = 0;
  for (size_t t = 0; t < texts.size(); ++t) {
    const auto row = static_cast<int64_t>(t);
    rows[1].cosines.push_back(cosine(rounded.row(row), exact.row(row)));
    same += found[t] == expected[t] ? 1 : 0;
  }
  std::sort(rows[1].cosines.begin(), rows[1].cosines.end());
  rows[1].same_nearest = static_cast<double>(same) / static_cast<double>(texts.size());
  if (!o.json.on_stdout()) print_table(rows);
  nlohmann::ordered_json json = to_json(o, integers.info(), rows);
  json["texts"] = texts.size();
  return o.json.write(json);
}

namespace {

Expected<std::vector<ExampleSet>> read_sets(const IntegerEvaluation& o, std::vector<std::string> labels) {
  const auto names = named_tasks();
  if (std::find(names.begin(), names.end(), o.task.name) == names.end()) {
    const std::filesystem::path path = o.task.name;
    HCCS_ASSIGN_OR_RETURN(ExampleSet set, read_labelled_file(path, path.stem().string(), labels));
    return std::vector<ExampleSet>{std::move(set)};
  }
  HCCS_ASSIGN_OR_RETURN(Task task, o.task.read());
  if (task.labels != labels) {
    return Status(StatusCode::kMismatch, fmt::format("{}: {} labels, but task {} has {} others", o.model.string(),
                                                     labels.size(), o.task.name, task.labels.size()));
  }
  return std::move(task.tests);
}

std::vector<bool> correct(const std::vector<float>& logits, const ExampleSet& set, int64_t classes) {
  const std::vector<int32_t> predicted = predicted_classes(logits, classes);
  std::vector<bool> result;
  for (size_t i = 0; i < predicted.size(); ++i) result.push_back(predicted[i] == set.examples[i].label);
  return result;
}

}  // namespace

Status evaluate_integer_classifier(const IntegerEvaluation& o) {
  HCCS_RETURN_IF_ERROR(o.json.check({.files = {o.model, o.task.name}, .folders = {o.float_folder}}));
  HCCS_ASSIGN_OR_RETURN(const IntegerEncoder integers, IntegerEncoder::load(o.model));
  const IntegerModelInfo& info = integers.info();
  if (info.labels.empty()) {
    return {StatusCode::kUnsupported, fmt::format("{}: it is no classifier of texts", o.model.string())};
  }
  std::optional<BertEncoder> encoder;
  if (!o.float_folder.empty()) {
    HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_float_model(o, info));
    HCCS_ASSIGN_OR_RETURN(encoder, BertEncoder::load(model));
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<ExampleSet> sets, read_sets(o, info.labels));
  const int64_t limit = o.max_length > 0 ? o.max_length : info.classifier_max_length;
  if (limit > info.max_positions) {
    return {StatusCode::kInvalidArgument,
            fmt::format("maximum length {}, but the model takes {} tokens", limit, info.max_positions)};
  }
  const auto classes = std::ssize(info.labels);
  nlohmann::ordered_json json = {
      {"task", o.task.name}, {"model", info.name}, {"commit", commit()}, {"machine", machine()}};
  for (const ExampleSet& set : sets) {
    say_classes(set, info.labels);
    const auto encodings = encode_examples(integers.tokenizer(), set, limit);
    warn_of_truncation(truncation_of(encodings, limit), set.name);
    HCCS_ASSIGN_OR_RETURN(
        const std::vector<float> logits,
        integers.classify(encodings,
                          {.threads = o.threads, .progress = progress_report(set.name + ", integers", "texts")}));
    const std::vector<bool> hits = correct(logits, set, classes);
    const auto count = std::count(hits.begin(), hits.end(), true);
    const auto [low, high] = wilson_interval(count, std::ssize(hits));
    const double accuracy = static_cast<double>(count) / static_cast<double>(hits.size());
    json["rows"].push_back({{"set", set.name},
                            {"engine", "integers"},
                            {"knees", info.knees},
                            {"examples", hits.size()},
                            {"accuracy", accuracy}});
    std::string beside;
    if (encoder) {
      HCCS_ASSIGN_OR_RETURN(
          const std::vector<float> exact,
          encoder->classify(encodings, *make_exact_softmax(),
                            {.threads = o.threads, .progress = progress_report(set.name + ", float", "texts")}));
      const std::vector<bool> float_hits = correct(exact, set, classes);
      const PairedDifference difference = paired_difference(float_hits, hits);
      const double float_accuracy = accuracy - difference.difference;
      json["rows"].back()["float_accuracy"] = float_accuracy;
      json["rows"].back()["difference_ci95"] = {difference.low, difference.high};
      beside = fmt::format("; float {:.4f}, difference {:+.4f} [{:+.4f}, {:+.4f}]", float_accuracy,
                           difference.difference, difference.low, difference.high);
    }
    if (!o.json.on_stdout()) {
      print("{}: {} examples, K = {}: accuracy {:.4f} [{:.4f}, {:.4f}]{}\n", set.name, hits.size(), info.knees,
            accuracy, low, high, beside);
    }
  }
  return o.json.write(json);
}

}  // namespace hccs::tool
