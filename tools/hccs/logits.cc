// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "command.h"
#include "console.h"
#include "hccs/dump_logits.h"
#include "hccs/file.h"
#include "hccs/text.h"
#include "json_option.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path model;
  fs::path params;
  std::vector<fs::path> text;
  int64_t length = 0;
  int64_t max_length = 0;
  int64_t rows = 4096;
  uint64_t seed = 0;
  int threads = default_threads();
  fs::path output;
  JsonOption json;
};

std::string usage_error(const Options& o) {
  if (o.length != 0 && o.max_length != 0) return "--length and --max-length exclude each other";
  return {};
}

Status run(const Options& o) {
  HCCS_RETURN_IF_ERROR(check_absent(o.output));
  Inputs inputs{.files = {o.params}, .folders = {o.model}};
  HCCS_RETURN_IF_ERROR(o.json.check(inputs.add_files(o.text), o.output));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  std::optional<ParamFile> params;
  if (!o.params.empty()) {
    HCCS_ASSIGN_OR_RETURN(params, read_param_file(o.params));
    HCCS_RETURN_IF_ERROR(check_matches(*params, model.name, model.config.layers, model.config.heads,
                                       model.config.head_dimension(), model.weights.digest()));
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, read_text_lines(o.text, /*keep_empty=*/false));
  const CalibrateModelOptions options{.calibration = {.threads = o.threads},
                                      .seed = o.seed,
                                      .rows = o.rows,
                                      .max_length = o.length != 0 ? o.length : o.max_length,
                                      .only_full = o.length != 0,
                                      .read_progress = progress_report("reading logits", "texts")};
  HCCS_ASSIGN_OR_RETURN(const SampledModel sampled, sample_model(model, texts, options));
  if (o.length == 0) warn_of_truncation(sampled.texts);
  HCCS_RETURN_IF_ERROR(params ? write_int8_logits(sampled, *params, o.output) : write_logits(sampled, o.output));
  message("wrote {}: {} heads, {} rows of the first, {}\n", o.output.string(), sampled.heads.size(),
          sampled.heads.front().rows().size(), params ? "int8" : "float32");
  return o.json.write({{"output", o.output.string()},
                       {"type", params ? "int8" : "float32"},
                       {"model", model.name},
                       {"heads", sampled.heads.size()},
                       {"rows_of_first_head", sampled.heads.front().rows().size()}});
}

}  // namespace

Command add_logits(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("logits", "Dump a model's attention logits, as floats or as a kernel's int8");
  app->add_option("--model", o->model, "Hugging Face BertModel folder")->required();
  app->add_option("--text", o->text,
                  "text files, one text a line, for a classifier also two with a tab between them; - is standard input")
      ->required();
  app->add_option("--params", o->params, "parameter file: write int8 logits in units of each head's step");
  app->add_option("--length", o->length,
                  "only rows of so many positions: longer texts are truncated, shorter ones left out")
      ->check(CLI::Range(int64_t{2}, kMaxRowLength));
  app->add_option("--max-length", o->max_length, "truncate texts to this many tokens (default: what the folder says)")
      ->check(CLI::Range(int64_t{2}, kMaxRowLength));
  app->add_option("--rows", o->rows, "rows kept a head, of up to 4 a text")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app->add_option("--seed", o->seed, "of the sample of rows")->check(unsigned_number())->capture_default_str();
  app->add_option("--threads", o->threads, "the result does not depend on it (default: one a processor)")
      ->check(CLI::Range(1, 1024));
  app->add_option(
         "-o,--output", o->output,
         "folder to write, which must not exist: layer<L>_head<H>.npy [rows, n] and layer<L>_head<H>_lengths.npy "
         "[rows]; with --params and --length also layer<L>.npy [heads, rows, n]")
      ->required();
  o->json.add_to(*app, "what was written");
  app->footer(
      "Example:\n  hccs logits --model build/demo/model --text lines.txt -o dumps\n  hccs calibrate --logits dumps -o "
      "params.json");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
