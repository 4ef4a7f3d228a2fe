// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "hccs/calibrate_model.h"
#include "hccs/file.h"
#include "hccs/quantise_model.h"
#include "hccs/text.h"
#include "json_option.h"
#include "outputs.h"
#include "tasks/wordnet.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kReportTexts = 64;

struct Options {
  fs::path model;
  std::vector<fs::path> text;
  std::string task;
  fs::path wordnet = kWordnetNouns;
  fs::path params;
  int knees = 3;
  bool trained_heads = false;
  bool precise = false;
  std::string rounding = "gptq";
  bool report = false;
  int64_t max_length = 0;
  int threads = default_threads();
  fs::path output;
  JsonOption json;
};

std::string usage_error(const Options& o) {
  if (o.text.empty() == o.task.empty()) return "exactly one of --text and --task is needed";
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

Expected<ParamFile> heads_of(const Options& o, const ModelFolder& model, const std::vector<std::string>& texts) {
  if (!o.params.empty()) return read_param_file(o.params);
  const CalibrateModelOptions options = {
      .calibration = {.knees = o.knees,
                      .threads = o.threads,
                      .progress = progress_report(fmt::format("fitting, K = {}", o.knees), "parameter sets")},
      .max_length = o.max_length,
      .read_progress = progress_report("reading logits", "texts")};
  HCCS_ASSIGN_OR_RETURN(const ModelCalibration calibrated, calibrate_model(model, texts, options));
  return calibrated.params;
}

void print_report(const QuantisedModel& model) {
  print("{:<12} {:>10} {:>10}\n", "after", "cos mean", "cos min");
  for (size_t l = 0; l < model.layers.size(); ++l) {
    print("{:<12} {:>10.5f} {:>10.5f}\n", l == 0 ? std::string("embeddings") : fmt::format("layer {}", l - 1),
          model.layers[l].mean, model.layers[l].least);
  }
}

nlohmann::ordered_json to_json(const Options& o, const ParamFile& params, const QuantisedModel& model) {
  nlohmann::ordered_json out = {
      {"output", o.output.string()}, {"knees", params.knees}, {"attention_weights", o.precise ? "wide" : "uint8"},
      {"rounding", o.rounding},      {"texts", model.texts},  {"tokens", model.tokens}};
  for (const LayerCosine& layer : model.layers) {
    out["layers"].push_back({{"cosine_mean", layer.mean}, {"cosine_min", layer.least}});
  }
  return out;
}

Status run(const Options& o) {
  const auto start = std::chrono::steady_clock::now();
  Inputs inputs{.files = {o.params}, .folders = {o.model}};
  inputs.add_files(o.text);
  HCCS_RETURN_IF_ERROR(check_output(o.output, inputs));
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.output));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, calibration_texts(o));
  HCCS_ASSIGN_OR_RETURN(const ParamFile params, heads_of(o, model, texts));
  const HeadUse own_heads = o.rounding == "gptq" ? HeadUse::kStart : HeadUse::kFixed;
  const HeadUse given_heads = o.trained_heads ? HeadUse::kTrained : HeadUse::kFixed;
  const QuantiseModelOptions options = {
      .attention_weights = o.precise ? AttentionWeights::kWide : AttentionWeights::kUint8,
      .rounding = o.rounding == "gptq" ? WeightRounding::kGptq : WeightRounding::kNearest,
      .heads = o.params.empty() ? own_heads : given_heads,
      .max_length = o.max_length,
      .report_texts = o.report ? kReportTexts : 0,
      .threads = o.threads,
      .observe_progress = progress_report("reading activations", "texts"),
      .quantise_progress = progress_report("rounding", "layers")};
  HCCS_ASSIGN_OR_RETURN(const QuantisedModel quantised, quantise_model(model, texts, params, options, o.output));
  HCCS_RETURN_IF_ERROR(o.json.write(to_json(o, params, quantised)));
  if (o.report && !o.json.on_stdout()) print_report(quantised);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  message("wrote {} in {:.1f} s: K = {}, scales from {} tokens of {} texts\n", o.output.string(), seconds, params.knees,
          quantised.tokens, quantised.texts);
  return {};
}

}  // namespace

Command add_quantise(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand(
      "quantise",
      "Make one file of integers of a model: weights, scales, heads and vocabulary, for embed and evaluate");
  app->add_option("--model", o->model, "Hugging Face BertModel folder")->required();
  app->add_option(
      "--text", o->text,
      "text files, one text a line, for a classifier also two with a tab between them; - is standard input. "
      "Representative of what will be embedded or classified");
  app->add_option("--task", o->task, "a named task's calibration texts")->check(CLI::IsMember({"wordnet"}));
  app->add_option("--wordnet", o->wordnet, "WordNet's data.noun")->capture_default_str();
  CLI::Option* params =
      app->add_option("--params", o->params, "the heads' parameter file (default: calibrated on the same texts)");
  app->add_option("--knees", o->knees, "K of the heads, without --params")
      ->check(CLI::Range(1, kMaxKnees))
      ->capture_default_str()
      ->excludes(params);
  app->add_flag("--trained-heads", o->trained_heads,
                "the model's weights were trained with these --params (hccs train --softmax hccs)")
      ->needs(params);
  app->add_flag("--precise", o->precise, "attention's weights of up to 15 bits in place of 8: nearer to float, slower");
  app->add_option("--rounding", o->rounding, "of weights: gptq keeps the products on the texts, nearest each weight")
      ->check(CLI::IsMember({"gptq", "nearest"}))
      ->capture_default_str();
  app->add_flag("--report", o->report, "print the cosine to the float model's hidden states after each layer");
  app->add_option("--max-length", o->max_length, "truncate texts to this many tokens (default: what the folder says)")
      ->check(CLI::Range(int64_t{2}, kMaxRowLength));
  app->add_option("--threads", o->threads, "the result does not depend on it (default: one a processor)")
      ->check(CLI::Range(1, 1024));
  app->add_option("-o,--output", o->output, "integer model to write")->required();
  o->json.add_to(*app, "what was written");
  app->footer("Example:\n  hccs quantise --model build/demo/model --task wordnet --report -o minilm.hccs");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
