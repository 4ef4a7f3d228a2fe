// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "command.h"
#include "console.h"
#include "hccs/calibration.h"
#include "hccs/encoder.h"
#include "hccs/file.h"
#include "hccs/param_file.h"
#include "hccs/text.h"
#include "machine.h"
#include "nearest_neighbours.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

constexpr int kNeighbours = 10;

struct Options {
  fs::path model;
  std::vector<fs::path> params;
  std::string task;
  fs::path wordnet = kWordnetNouns;
  int threads = default_threads();
  fs::path json;
  double calibration_seconds = 0;
};

// One line of the table: a softmax, and what it does to the model.
struct Row {
  std::string name;
  int64_t knees = 0;  // 0: exact exponential
  std::string normalisation;
  size_t objective = 0;  // which head KL is its own
  std::unique_ptr<AttentionSoftmax> softmax;

  double accuracy = 0;
  std::pair<double, double> accuracy_ci95{};
  double cosine_mean = 0;
  double cosine_min = 0;
  double same_nearest = 0;
  double head_kl_mean = 0;
  double head_kl_max = 0;
};

// Measures one KL a head on the float model's logits: a row's KL averaged over each text's rows, then over texts, so
// that every text counts the same, as it does in the other columns.
class HeadKl {
 public:
  using RowKl = std::function<double(int64_t head, std::span<const float> logits)>;

  HeadKl(int64_t texts, int64_t heads, int64_t heads_per_layer)
      : texts_(texts), heads_(heads), heads_per_layer_(heads_per_layer) {}

  size_t add(RowKl kl) {
    row_kl_.push_back(std::move(kl));
    text_kl_.emplace_back(static_cast<size_t>(texts_ * heads_), 0.0);
    return row_kl_.size() - 1;
  }

  // Every (text, head) has its own place, so that threads need no lock and sums no order.
  void measure(const AttentionBlock& block) {
    const int64_t head = block.layer * heads_per_layer_ + block.head;
    for (size_t i = 0; i < row_kl_.size(); ++i) {
      double sum = 0;
      for (int64_t query = 0; query < block.length; ++query) {
        sum += row_kl_[i](head, std::span(block.logits + query * block.length, block.length));
      }
      text_kl_[i][block.text * heads_ + head] = sum / static_cast<double>(block.length);
    }
  }

  // Mean and maximum over heads.
  std::pair<double, double> summary(size_t i) const {
    double mean = 0;
    double maximum = 0;
    for (int64_t head = 0; head < heads_; ++head) {
      double sum = 0;
      for (int64_t text = 0; text < texts_; ++text) sum += text_kl_[i][text * heads_ + head];
      mean += sum / static_cast<double>(texts_ * heads_);
      maximum = std::max(maximum, sum / static_cast<double>(texts_));
    }
    return {mean, maximum};
  }

 private:
  int64_t texts_, heads_, heads_per_layer_;
  std::vector<RowKl> row_kl_;
  std::vector<std::vector<double>> text_kl_;
};

std::vector<double> steps_of(const ParamFile& file) {
  std::vector<double> steps;
  for (const HeadEntry& entry : file.entries) steps.push_back(entry.step);
  return steps;
}

// The float model, the control, then the rows of each parameter file.
std::vector<Row> make_rows(const std::vector<ParamFile>& files, HeadKl* head_kl) {
  std::vector<Row> rows;
  rows.push_back({.name = "float", .normalisation = "exact", .softmax = make_exact_softmax()});
  rows.back().objective = head_kl->add([](int64_t, std::span<const float>) { return 0.0; });

  // The control has the logit steps of the parameters that follow the exponential most closely.
  const ParamFile& finest = *std::max_element(files.begin(), files.end(), [](const ParamFile& a, const ParamFile& b) {
    return std::pair(a.limits == "native", a.knees) < std::pair(b.limits == "native", b.knees);
  });
  const std::vector<double> steps = steps_of(finest);
  rows.push_back(
      {.name = "int8-exact", .normalisation = "exact", .softmax = make_int8_exact_softmax(steps, finest.heads)});
  rows.back().objective = head_kl->add(
      [steps](int64_t head, std::span<const float> logits) { return row_kl_int8_exact(logits, steps[head]); });

  std::multiset<std::string> names;
  for (const ParamFile& file : files) {
    const size_t objective = head_kl->add([&file](int64_t head, std::span<const float> logits) {
      const HeadEntry& entry = file.entries[head];
      return row_kl(logits, entry.step, entry.params);
    });
    const bool paper = file.limits == "paper";
    std::string name = paper ? "paper" : fmt::format("hccs-k{}", file.knees);
    if (file.share != "head") name += "-" + file.share;
    names.insert(name);
    if (names.count(name) > 1) name += fmt::format("#{}", names.count(name));
    const auto add = [&](const std::string& suffix, Normalisation normalisation, OutputType output) {
      rows.push_back({.name = name + suffix,
                      .knees = file.knees,
                      .normalisation = std::string(hccs::name(normalisation)),
                      .objective = objective,
                      .softmax = make_hccs_softmax(file, normalisation, output)});
    };
    if (paper) {
      add("-i16-div", Normalisation::kDiv, OutputType::kInt16);
      add("-u8-clb", Normalisation::kClb, OutputType::kUint8);
    } else {
      add("", Normalisation::kScaled, OutputType::kUint8);
    }
  }
  return rows;
}

// Fills the row's accuracy, cosine and nearest columns. `labels`: of the references, then of the tests.
void score(const std::vector<float>& embeddings, const std::vector<float>& exact, const std::vector<int32_t>& labels,
           int64_t references, int64_t width, const std::vector<std::vector<int32_t>>& exact_neighbours, Row* row,
           std::vector<std::vector<int32_t>>* neighbours) {
  const Vectors reference_vectors{std::span(embeddings).first(references * width), width};
  const Vectors tests{std::span(embeddings).subspan(references * width), width};
  const Vectors exact_tests{std::span(exact).subspan(references * width), width};
  *neighbours = nearest_neighbours(reference_vectors, tests, kNeighbours);
  int64_t hits = 0;
  int64_t same = 0;
  row->cosine_min = 1;
  for (int64_t t = 0; t < tests.rows(); ++t) {
    const auto& near = (*neighbours)[t];
    hits += majority_label(near, labels) == labels[references + t] ? 1 : 0;
    same += exact_neighbours.empty() || near[0] == exact_neighbours[t][0] ? 1 : 0;
    double dot = 0;
    double square_a = 0;
    double square_b = 0;
    for (int64_t j = 0; j < width; ++j) {
      const double a = tests.row(t)[j];
      const double b = exact_tests.row(t)[j];
      dot += a * b;
      square_a += a * a;
      square_b += b * b;
    }
    const double cosine = std::min(1.0, dot / std::sqrt(square_a * square_b));
    row->cosine_mean += cosine;
    row->cosine_min = std::min(row->cosine_min, cosine);
  }
  row->cosine_mean /= static_cast<double>(tests.rows());
  row->accuracy = static_cast<double>(hits) / static_cast<double>(tests.rows());
  row->accuracy_ci95 = wilson_interval(hits, tests.rows());
  row->same_nearest = static_cast<double>(same) / static_cast<double>(tests.rows());
}

void print_table(const std::vector<Row>& rows) {
  fmt::print("{:<14} {:>5} {:<7}  {:>8} {:>17}  {:>8} {:>8}  {:>7}  {:>9} {:>9}\n", "softmax", "knees", "norm",
             "accuracy", "95 % interval", "cos mean", "cos min", "nearest", "KL mean", "KL max");
  for (const Row& r : rows) {
    fmt::print("{:<14} {:>5} {:<7}  {:>8.4f} [{:.4f}, {:.4f}]  {:>8.5f} {:>8.5f}  {:>7.4f}  {:>9.5f} {:>9.5f}\n",
               r.name, r.knees == 0 ? "-" : std::to_string(r.knees), r.normalisation, r.accuracy, r.accuracy_ci95.first,
               r.accuracy_ci95.second, r.cosine_mean, r.cosine_min, r.same_nearest, r.head_kl_mean, r.head_kl_max);
  }
}

std::string to_json(const Options& o, const std::string& model, const std::vector<Row>& rows) {
  nlohmann::ordered_json out = {{"task", o.task},           {"model", model},
                                {"seed", kWordnetTaskSeed}, {"commit", commit()},
                                {"machine", machine()},     {"calibration_seconds", o.calibration_seconds}};
  for (const Row& r : rows) {
    out["rows"].push_back({{"name", r.name},
                           {"knees", r.knees},
                           {"normalisation", r.normalisation},
                           {"accuracy", r.accuracy},
                           {"accuracy_ci95", {r.accuracy_ci95.first, r.accuracy_ci95.second}},
                           {"cosine_mean", r.cosine_mean},
                           {"cosine_min", r.cosine_min},
                           {"same_nearest", r.same_nearest},
                           {"head_kl_mean", r.head_kl_mean},
                           {"head_kl_max", r.head_kl_max}});
  }
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Status run(const Options& o) {
  if (!o.json.empty()) HCCS_RETURN_IF_ERROR(check_writable(o.json));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  const BertConfig& config = model.config;
  std::vector<ParamFile> files;
  for (const fs::path& path : o.params) {
    HCCS_ASSIGN_OR_RETURN(ParamFile file, read_param_file(path));
    if (const Status s = check_matches(file, model.name, config.layers, config.heads, config.head_dimension(),
                                       model.weights.digest());
        !s.ok()) {
      return {s.code(), fmt::format("{}: {}", path.string(), s.message())};
    }
    files.push_back(std::move(file));
  }
  HCCS_ASSIGN_OR_RETURN(const auto glosses, read_wordnet_glosses(o.wordnet));
  HCCS_ASSIGN_OR_RETURN(const WordnetTask task, make_wordnet_task(glosses, kWordnetTaskSeed));
  std::vector<std::string> texts;
  std::vector<int32_t> labels;
  for (const auto* part : {&task.reference, &task.test}) {
    for (const LabelledText& gloss : *part) {
      texts.push_back(gloss.text);
      labels.push_back(gloss.label);
    }
  }
  const auto references = static_cast<int64_t>(task.reference.size());
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings, tokenise(model, texts, 0));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));

  HeadKl head_kl(static_cast<int64_t>(texts.size()), config.layers * config.heads, config.heads);
  std::vector<Row> rows = make_rows(files, &head_kl);
  // The float model's own pass also measures every row's head KL.
  rows[0].softmax =
      make_capturing_softmax(std::move(rows[0].softmax), [&](const AttentionBlock& block) { head_kl.measure(block); });

  std::vector<float> exact;
  std::vector<std::vector<int32_t>> exact_neighbours;
  for (Row& row : rows) {
    HCCS_ASSIGN_OR_RETURN(
        std::vector<float> embeddings,
        encoder.embed(encodings, *row.softmax, {.threads = o.threads, .progress = progress_report(row.name, "texts")}));
    if (exact.empty()) exact = embeddings;
    std::vector<std::vector<int32_t>> neighbours;
    score(embeddings, exact, labels, references, config.hidden_size, exact_neighbours, &row, &neighbours);
    if (exact_neighbours.empty()) exact_neighbours = std::move(neighbours);
  }
  for (Row& row : rows) std::tie(row.head_kl_mean, row.head_kl_max) = head_kl.summary(row.objective);

  print_table(rows);
  if (!o.json.empty()) {
    HCCS_RETURN_IF_ERROR(write_file_atomically(o.json, {to_json(o, model.name, rows)}));
    fmt::print(stderr, "wrote {}\n", o.json.string());
  }
  return {};
}

}  // namespace

Command add_evaluate(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand(
      "evaluate", "What the integers cost: accuracy, embeddings and head KL against the float model");
  app->add_option("--model", o->model, "Hugging Face BertModel folder")->required();
  app->add_option(
         "--params", o->params,
         "parameter files; one made under the paper's limits runs as int16 div and uint8 clb, others as uint8 scaled")
      ->required();
  app->add_option("--task", o->task, "a named task")->required()->check(CLI::IsMember({"wordnet"}));
  app->add_option("--wordnet", o->wordnet, "WordNet's data.noun")->capture_default_str();
  app->add_option("--threads", o->threads, "the result does not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app->add_option("--json", o->json, "also write the table as JSON");
  app->add_option("--calibration-seconds", o->calibration_seconds, "how long calibration took, for the JSON")
      ->check(CLI::NonNegativeNumber);
  app->footer(
      "Example:\n  hccs evaluate --model build/demo/model --params build/demo/params-k1.json build/demo/params-k3.json "
      "--task wordnet");
  return {.app = app, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
