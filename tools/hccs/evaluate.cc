// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "evaluate_classifier.h"
#include "evaluate_dumps.h"
#include "evaluate_integer.h"
#include "hccs/calibration.h"
#include "hccs/encoder.h"
#include "hccs/file.h"
#include "hccs/integer_encoder.h"
#include "hccs/param_file.h"
#include "json_option.h"
#include "machine.h"
#include "nearest_neighbours.h"
#include "outputs.h"
#include "softmax_modes.h"
#include "task_option.h"
#include "tasks/wordnet.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

constexpr int kNeighbours = 10;

struct Options {
  fs::path model;
  fs::path float_folder;
  fs::path integers;
  std::vector<fs::path> text;
  fs::path logits;
  std::vector<fs::path> params;
  std::string implausible;  // empty: stop
  std::vector<std::string> softmax;
  std::string normalisation, output_type;  // empty: what the parameters are made for
  TaskOption task;
  int64_t max_length = 0;
  int threads = default_threads();
  JsonOption json;
  bool classifier = false;
  double calibration_seconds = 0;
};

// One line of the table: a softmax, and what it does to the model.
struct Row {
  SoftmaxMode mode;
  size_t objective = 0;    // index of the head KL that belongs to this line
  bool has_logits = true;  // there is such a head KL

  double accuracy = 0;
  std::pair<double, double> accuracy_ci95{};
  double cosine_mean = 0;
  double cosine_min = 0;
  double same_nearest = 0;
  double head_kl_mean = 0;
  double head_kl_max = 0;
  double texts_per_second = 0;  // of the tests; 0: not measured
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

ChosenOutput chosen_output(const Options& o) {
  ChosenOutput chosen;
  if (!o.normalisation.empty()) chosen.normalisation = *parse_normalisation(o.normalisation);
  if (!o.output_type.empty()) chosen.output = *parse_output_type(o.output_type);
  return chosen;
}

// A row for each mode. `head_kl` gets an objective for each, which modes of one file share.
Expected<std::vector<Row>> make_rows(const std::vector<ParamFile>& files, const ChosenOutput& chosen, HeadKl* head_kl) {
  std::vector<Row> rows;
  size_t objective = 0;
  const ParamFile* measured = nullptr;
  HCCS_ASSIGN_OR_RETURN(std::vector<SoftmaxMode> modes, softmax_modes(files, chosen));
  for (SoftmaxMode& mode : modes) {
    const ParamFile& file = files[mode.file];
    if (mode.kind == SoftmaxMode::Kind::kFloat) {
      objective = head_kl->add([](int64_t, std::span<const float>) { return 0.0; });
    } else if (mode.kind == SoftmaxMode::Kind::kInt8Exact) {
      objective = head_kl->add([steps = steps_of(file)](int64_t head, std::span<const float> logits) {
        return row_kl_int8_exact(logits, steps[head]);
      });
    } else if (&file != measured) {  // not measured yet for an earlier mode of the file
      measured = &file;
      objective = head_kl->add([&file](int64_t head, std::span<const float> logits) {
        return row_kl(logits, file.entries[head].step, file.entries[head].params);
      });
    }
    rows.push_back({.mode = std::move(mode), .objective = objective});
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

double texts_per_second(size_t texts, std::chrono::steady_clock::time_point start) {
  return static_cast<double>(texts) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The model in integers as a further row, and the speed of both on the tests. Nothing of it shows a head's logits.
Expected<Row> run_integers(const Options& o, const ModelFolder& model, const BertEncoder& encoder,
                           std::span<const Encoding> encodings, int64_t references, Row* exact_row,
                           std::vector<float>* embeddings) {
  HCCS_ASSIGN_OR_RETURN(const IntegerEncoder integers, IntegerEncoder::load(o.integers));
  if (integers.info().weights_digest != model.weights.digest()) {
    return Status(StatusCode::kMismatch,
                  fmt::format("{}: an integer model of other weights (of \"{}\") than those of {}", o.integers.string(),
                              integers.info().name, o.model.string()));
  }
  Row row;
  row.mode.name = "integers";
  row.mode.knees = integers.info().knees;
  row.mode.normalisation = "deferred";
  row.has_logits = false;
  HCCS_ASSIGN_OR_RETURN(
      *embeddings, integers.embed(encodings, {.threads = o.threads, .progress = progress_report("integers", "texts")}));
  const std::span<const Encoding> tests = encodings.subspan(static_cast<size_t>(references));
  auto start = std::chrono::steady_clock::now();
  HCCS_RETURN_IF_ERROR(integers.embed(tests, {.threads = o.threads}).status());
  row.texts_per_second = texts_per_second(tests.size(), start);
  start = std::chrono::steady_clock::now();
  HCCS_RETURN_IF_ERROR(encoder.embed(tests, *make_exact_softmax(), {.threads = o.threads}).status());
  exact_row->texts_per_second = texts_per_second(tests.size(), start);
  return row;
}

void print_table(const std::vector<Row>& rows) {
  print("{:<14} {:>5} {:<8} {:>8} {:>17}  {:>8} {:>8}  {:>7}  {:>9} {:>9}\n", "softmax", "knees", "norm", "accuracy",
        "95 % interval", "cos mean", "cos min", "nearest", "KL mean", "KL max");
  for (const Row& r : rows) {
    const auto kl = [&](double value) { return r.has_logits ? fmt::format("{:.5f}", value) : std::string("-"); };
    print("{:<14} {:>5} {:<8} {:>8.4f} [{:.4f}, {:.4f}]  {:>8.5f} {:>8.5f}  {:>7.4f}  {:>9} {:>9}\n", r.mode.name,
          r.mode.knees == 0 ? "-" : std::to_string(r.mode.knees), r.mode.normalisation, r.accuracy,
          r.accuracy_ci95.first, r.accuracy_ci95.second, r.cosine_mean, r.cosine_min, r.same_nearest,
          kl(r.head_kl_mean), kl(r.head_kl_max));
  }
  if (rows.back().texts_per_second == 0) return;
  print("texts a second: {:.0f} in float, {:.0f} in integers\n", rows.front().texts_per_second,
        rows.back().texts_per_second);
}

nlohmann::ordered_json to_json(const Options& o, const std::string& model, const std::vector<Row>& rows) {
  nlohmann::ordered_json out = {{"task", o.task.name},      {"model", model},
                                {"seed", kWordnetTaskSeed}, {"commit", commit()},
                                {"machine", machine()},     {"calibration_seconds", o.calibration_seconds}};
  for (const Row& r : rows) {
    out["rows"].push_back({{"name", r.mode.name},
                           {"knees", r.mode.knees},
                           {"normalisation", r.mode.normalisation},
                           {"accuracy", r.accuracy},
                           {"accuracy_ci95", {r.accuracy_ci95.first, r.accuracy_ci95.second}},
                           {"cosine_mean", r.cosine_mean},
                           {"cosine_min", r.cosine_min},
                           {"same_nearest", r.same_nearest}});
    nlohmann::ordered_json& row = out["rows"].back();
    if (r.has_logits) {
      row["head_kl_mean"] = r.head_kl_mean;
      row["head_kl_max"] = r.head_kl_max;
    }
    if (r.texts_per_second > 0) row["texts_per_second"] = r.texts_per_second;
  }
  return out;
}

Status run_nearest_neighbours(const Options& o) {
  HCCS_RETURN_IF_ERROR(o.json.check(Inputs{.files = {o.integers}, .folders = {o.model}}.add_files(o.params)));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_RETURN_IF_ERROR(model.sentence.embeds);
  const BertConfig& config = model.config;
  HCCS_ASSIGN_OR_RETURN(const std::vector<ParamFile> files, read_params_of(model, o.params));
  HCCS_ASSIGN_OR_RETURN(const auto glosses, read_wordnet_glosses(o.task.wordnet));
  HCCS_ASSIGN_OR_RETURN(const WordnetTask task, make_wordnet_task(glosses, kWordnetTaskSeed));
  const EvaluatedGlosses evaluated = evaluated_glosses(task);
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings, tokenise(model, evaluated.texts, 0));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));

  HeadKl head_kl(static_cast<int64_t>(evaluated.texts.size()), config.layers * config.heads, config.heads);
  HCCS_ASSIGN_OR_RETURN(std::vector<Row> rows, make_rows(files, chosen_output(o), &head_kl));
  // The float model's own pass also measures every row's head KL.
  HCCS_ASSIGN_OR_RETURN(rows[0].mode.softmax, make_capturing_softmax(std::move(rows[0].mode.softmax),
                                                                     [&](const AttentionBlock& block) -> Status {
                                                                       head_kl.measure(block);
                                                                       return {};
                                                                     }));

  std::vector<float> exact;
  std::vector<std::vector<int32_t>> exact_neighbours;
  for (Row& row : rows) {
    HCCS_ASSIGN_OR_RETURN(std::vector<float> embeddings,
                          encoder.embed(encodings, *row.mode.softmax,
                                        {.threads = o.threads, .progress = progress_report(row.mode.name, "texts")}));
    if (exact.empty()) exact = embeddings;
    std::vector<std::vector<int32_t>> neighbours;
    score(embeddings, exact, evaluated.labels, evaluated.references, encoder.embedding_size(), exact_neighbours, &row,
          &neighbours);
    if (exact_neighbours.empty()) exact_neighbours = std::move(neighbours);
  }
  for (Row& row : rows) std::tie(row.head_kl_mean, row.head_kl_max) = head_kl.summary(row.objective);
  if (!o.integers.empty()) {
    std::vector<float> embeddings;
    HCCS_ASSIGN_OR_RETURN(Row row,
                          run_integers(o, model, encoder, encodings, evaluated.references, rows.data(), &embeddings));
    std::vector<std::vector<int32_t>> neighbours;
    score(embeddings, exact, evaluated.labels, evaluated.references, encoder.embedding_size(), exact_neighbours, &row,
          &neighbours);
    rows.push_back(std::move(row));
  }

  if (!o.json.on_stdout()) print_table(rows);
  return o.json.write(to_json(o, model.name, rows));
}

bool is_nearest_neighbours(const Options& o) { return o.task.name == "wordnet" && !o.classifier; }

std::string usage_error_of_logits(const Options& o) {
  if (o.params.empty()) return "--logits needs --params";
  if (!o.model.empty()) return "exactly one of --model and --logits is needed";
  if (!o.integers.empty()) return "--integers goes with a folder and --task wordnet";
  if (!o.task.name.empty() || !o.softmax.empty() || o.classifier || o.max_length != 0 || !o.text.empty()) {
    return "--task, --text, --softmax, --classifier and --max-length go with --model";
  }
  return {};
}

std::string usage_error_of_integers(const Options& o) {
  if (!o.integers.empty()) return "--integers goes with a folder and --task wordnet";
  if (o.task.name.empty() == o.text.empty()) return "exactly one of --task and --text is needed";
  if (!o.params.empty() || !o.softmax.empty() || !o.normalisation.empty() || !o.output_type.empty()) {
    return "an integer model has its heads' parameters; --params, --softmax, --normalisation and --output-type go with "
           "a folder";
  }
  if (!o.text.empty() && o.classifier) return "--classifier goes with --task wordnet";
  if (!o.text.empty() && o.float_folder.empty()) return "--text needs --float beside an integer model";
  if (is_nearest_neighbours(o) && o.float_folder.empty()) return "--task wordnet needs --float beside an integer model";
  return {};
}

std::string usage_error(const Options& o) {
  if (!o.logits.empty()) return usage_error_of_logits(o);
  if (is_integer_model(o.model)) return usage_error_of_integers(o);
  if (!o.float_folder.empty()) return "--float goes with an integer model";
  if (!o.text.empty()) return "--text goes with an integer model and --float";
  if (!o.integers.empty() && !is_nearest_neighbours(o)) return "--integers goes with a folder and --task wordnet";
  if (o.model.empty()) return "--model is required, or --logits";
  if (o.task.name.empty()) return "--task is required";
  if (!o.implausible.empty()) return "--implausible goes with --logits";
  if (is_nearest_neighbours(o) && o.params.empty()) return "--task wordnet needs --params (or --classifier)";
  if (is_nearest_neighbours(o) && !o.softmax.empty()) {
    return "--softmax goes with a classifier: nearest neighbours are compared with those of float";
  }
  if (o.params.empty() && !(o.normalisation.empty() && o.output_type.empty())) {
    return "--normalisation and --output-type need --params";
  }
  for (const std::string& softmax : o.softmax) {
    if (softmax != "float" && o.params.empty()) return "--softmax " + softmax + " needs --params";
  }
  const auto names = named_tasks();
  if (std::find(names.begin(), names.end(), o.task.name) == names.end()) {
    const Expected<bool> there = is_present(o.task.name);
    if (there.ok() && !*there) return "--task " + o.task.name + " is neither a named task nor a file";
  }
  return {};
}

Status run(const Options& o) {
  if (!o.logits.empty()) {
    return evaluate_dumps({.logits = o.logits,
                           .params = o.params,
                           .chosen = chosen_output(o),
                           .on_implausible = o.implausible == "report" ? OnImplausible::kReport : OnImplausible::kStop,
                           .threads = o.threads,
                           .json = o.json});
  }
  if (is_integer_model(o.model)) {
    const IntegerEvaluation evaluation = {.model = o.model,
                                          .float_folder = o.float_folder,
                                          .task = o.task,
                                          .text = o.text,
                                          .max_length = o.max_length,
                                          .threads = o.threads,
                                          .json = o.json};
    if (!o.text.empty()) return evaluate_integer_texts(evaluation);
    return is_nearest_neighbours(o) ? evaluate_integer_embeddings(evaluation) : evaluate_integer_classifier(evaluation);
  }
  if (is_nearest_neighbours(o)) return run_nearest_neighbours(o);
  return evaluate_classifier({.model = o.model,
                              .params = o.params,
                              .softmax = o.softmax,
                              .chosen = chosen_output(o),
                              .task = o.task,
                              .max_length = o.max_length,
                              .threads = o.threads,
                              .json = o.json});
}

}  // namespace

Command add_evaluate(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand(
      "evaluate", "What the integers cost: accuracy, embeddings and head KL against the float model");
  app->add_option("--model", o->model, "Hugging Face BertModel folder, or an integer model of hccs quantise");
  app->add_option("--float", o->float_folder, "the folder that an integer model was made of, to compare it with");
  app->add_option("--integers", o->integers,
                  "with a folder and wordnet: an integer model of the same folder, as a further row, and the speed of "
                  "both");
  app->add_option("--logits", o->logits,
                  "instead of a model: a folder of dumped logits, as hccs calibrate reads them, best of other texts; "
                  "gives each head's KL, top-1 agreement and largest error");
  app->add_option("--implausible", o->implausible, "with --logits: as for hccs calibrate")
      ->check(CLI::IsMember({"stop", "report"}));
  app->add_option(
      "--params", o->params,
      "parameter files; one made under the paper's limits runs as int16 div and uint8 clb, others as uint8 scaled");
  app->add_option("--softmax", o->softmax, "with a classifier: run these alone (default: all that --params allow)")
      ->check(CLI::IsMember({"float", "int8-exact", "hccs"}));
  app->add_option("--normalisation", o->normalisation, "how scores become probabilities, with all --params")
      ->check(CLI::IsMember({"div", "clb", "scaled"}));
  app->add_option("--output-type", o->output_type, "the probabilities' type, with all --params")
      ->check(CLI::IsMember({"uint8", "int16"}));
  app->add_option("--task", o->task.name,
                  "sst2, snli, mnli, or a file of label<TAB>text[<TAB>text], with a classifier; wordnet: nearest "
                  "neighbours of embeddings");
  app->add_option("--text", o->text,
                  "with an integer model and --float, in place of --task: text files, one text a line, - is standard "
                  "input; gives the cosines to the float embeddings, and how many texts keep their nearest other text");
  app->add_flag("--classifier", o->classifier, "wordnet: the folder is a classifier of its labels, made by hccs train");
  o->task.add_folders(*app);
  app->add_option("--max-length", o->max_length, "cut texts to so many tokens (default: what the folder says)")
      ->check(CLI::Range(int64_t{3}, kMaxRowLength));
  app->add_option("--threads", o->threads, "the result does not depend on it (default: one a processor)")
      ->check(CLI::Range(1, 1024));
  o->json.add_to(*app, "the table");
  app->add_option("--calibration-seconds", o->calibration_seconds, "how long calibration took, for the JSON")
      ->check(CLI::Range(0.0, 1e9));
  app->footer(
      "Example:\n  hccs evaluate --model build/demo/model --params build/demo/params-k1.json build/demo/params-k3.json "
      "--task wordnet\n"
      "  hccs evaluate --model retrained --params retrained/params.json --task test.tsv\n"
      "  hccs evaluate --model minilm.hccs --float build/demo/model --task wordnet\n"
      "  hccs evaluate --model minilm.hccs --float build/demo/model --text lines.txt\n"
      "  hccs evaluate --logits held-out --params params.json");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
