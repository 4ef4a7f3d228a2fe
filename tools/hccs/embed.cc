// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "hccs/encoder.h"
#include "hccs/file.h"
#include "hccs/npy.h"
#include "hccs/text.h"
#include "json_option.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path model;
  fs::path params;
  std::string normalisation = "scaled";
  std::string output_type = "uint8";
  std::vector<fs::path> text;
  int64_t max_length = 0;
  int threads = default_threads();
  fs::path output;
  JsonOption json;
};

Status run(const Options& o) {
  Inputs inputs{.files = {o.params}, .folders = {o.model}};
  inputs.add_files(o.text);
  HCCS_RETURN_IF_ERROR(check_output(o.output, inputs));
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.output));
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_RETURN_IF_ERROR(model.sentence.embeds);
  std::unique_ptr<AttentionSoftmax> softmax = make_exact_softmax();
  if (!o.params.empty()) {
    HCCS_ASSIGN_OR_RETURN(const ParamFile params, read_param_file(o.params));
    HCCS_RETURN_IF_ERROR(check_matches(params, model.name, model.config.layers, model.config.heads,
                                       model.config.head_dimension(), model.weights.digest()));
    HCCS_ASSIGN_OR_RETURN(
        softmax, make_hccs_softmax(params, *parse_normalisation(o.normalisation), *parse_output_type(o.output_type)));
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, read_text_lines(o.text, /*keep_empty=*/true));
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings, tokenise(model, texts, o.max_length));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(
      const std::vector<float> embeddings,
      encoder.embed(encodings, *softmax, {.threads = o.threads, .progress = progress_report("embedding", "texts")}));
  const std::vector<int64_t> shape = {static_cast<int64_t>(texts.size()), encoder.embedding_size()};
  HCCS_RETURN_IF_ERROR(write_npy<float>(o.output, shape, embeddings));
  message("wrote {}: float32 [{}, {}]\n", o.output.string(), shape[0], shape[1]);
  return o.json.write({{"output", o.output.string()},
                       {"type", "float32"},
                       {"shape", shape},
                       {"model", model.name},
                       {"softmax", o.params.empty() ? "exact" : "hccs"}});
}

}  // namespace

Command add_embed(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("embed", "Sentence embeddings, one line a text, as float32 .npy");
  app->add_option("--model", o->model, "Hugging Face BertModel folder")->required();
  CLI::Option* params = app->add_option("--params", o->params, "parameter file; without it the softmax is exact");
  app->add_option("--normalisation", o->normalisation, "how scores become probabilities")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str()
      ->needs(params);
  app->add_option("--output-type", o->output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str()
      ->needs(params);
  app->add_option("--text", o->text, "text files, one text a line; - is standard input")->required();
  app->add_option("--max-length", o->max_length, "truncate texts to this many tokens (default: what the folder says)")
      ->check(CLI::Range(int64_t{2}, kMaxRowLength));
  app->add_option("--threads", o->threads, "the result does not depend on it (default: one a processor)")
      ->check(CLI::Range(1, 1024));
  app->add_option("-o,--output", o->output,
                  "embeddings.npy to write: float32 [lines, embedding size], each of length 1")
      ->required();
  o->json.add_to(*app, "what was written");
  app->footer(
      "Example:\n  hccs embed --model build/demo/model --params build/demo/params-k3.json --text lines.txt -o "
      "embeddings.npy");
  return {.app = app, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
