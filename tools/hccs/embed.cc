// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "hccs/encoder.h"
#include "hccs/file.h"
#include "hccs/integer_encoder.h"
#include "hccs/npy.h"
#include "hccs/text.h"
#include "json_option.h"
#include "outputs.h"
#include "softmax_option.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path model;
  SoftmaxOption softmax;
  std::vector<fs::path> text;
  int64_t max_length = 0;
  int threads = default_threads();
  fs::path output;
  JsonOption json;
};

Status write_embeddings(const Options& o, int64_t width, std::span<const float> embeddings, const std::string& model,
                        const char* softmax) {
  const std::vector<int64_t> shape = {std::ssize(embeddings) / width, width};
  HCCS_RETURN_IF_ERROR(write_npy<float>(o.output, shape, embeddings));
  message("wrote {}: float32 [{}, {}]\n", o.output.string(), shape[0], shape[1]);
  return o.json.write(
      {{"output", o.output.string()}, {"type", "float32"}, {"shape", shape}, {"model", model}, {"softmax", softmax}});
}

Status run_integers(const Options& o) {
  HCCS_ASSIGN_OR_RETURN(const IntegerEncoder encoder, IntegerEncoder::load(o.model));
  const IntegerModelInfo& info = encoder.info();
  if (o.max_length > info.max_positions) {
    return {StatusCode::kInvalidArgument,
            fmt::format("maximum length {}, but the model takes 2..{} tokens", o.max_length, info.max_positions)};
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, read_text_lines(o.text, /*keep_empty=*/true));
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  for (const std::string& text : texts) encodings.push_back(encoder.encode(text, o.max_length));
  warn_of_truncation(truncation_of(encodings, o.max_length == 0 ? info.max_length : o.max_length));
  HCCS_ASSIGN_OR_RETURN(
      const std::vector<float> embeddings,
      encoder.embed(encodings, {.threads = o.threads, .progress = progress_report("embedding", "texts")}));
  return write_embeddings(o, info.hidden_size, embeddings, info.name, "integers");
}

Status run(const Options& o) {
  Inputs inputs{.files = {o.softmax.params}};
  (is_integer_model(o.model) ? inputs.files : inputs.folders).push_back(o.model);
  inputs.add_files(o.text);
  HCCS_RETURN_IF_ERROR(check_output(o.output, inputs));
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.output));
  if (is_integer_model(o.model)) return run_integers(o);
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_RETURN_IF_ERROR(model.sentence.embeds);
  HCCS_ASSIGN_OR_RETURN(const std::unique_ptr<AttentionSoftmax> softmax, o.softmax.make(model));
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, read_text_lines(o.text, /*keep_empty=*/true));
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings, tokenise(model, texts, o.max_length));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(
      const std::vector<float> embeddings,
      encoder.embed(encodings, *softmax, {.threads = o.threads, .progress = progress_report("embedding", "texts")}));
  return write_embeddings(o, encoder.embedding_size(), embeddings, model.name, o.softmax.name());
}

}  // namespace

Command add_embed(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("embed", "Sentence embeddings, one line a text, as float32 .npy");
  app->add_option("--model", o->model, "Hugging Face BertModel folder, or an integer model of hccs quantise")
      ->required();
  o->softmax.add_to(*app);
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
  return {.app = app, .usage_error = [o] { return o->softmax.usage_error(o->model); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
