// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "hccs/encoder.h"
#include "hccs/file.h"
#include "hccs/integer_encoder.h"
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

// What a model says of texts.
struct Classes {
  std::string model;
  std::string softmax;
  std::vector<std::string> labels;
  std::vector<float> logits;  // [texts, labels]
};

// A line is a text, or two with a tab between them.
Expected<std::vector<Encoding>> encode_lines(const Options& o, const WordPieceTokenizer& tokenizer, int64_t max_length,
                                             int64_t positions) {
  if (o.max_length > positions) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("maximum length {}, but the model takes {} tokens", o.max_length, positions));
  }
  const int64_t limit = o.max_length == 0 ? max_length : o.max_length;
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> lines, read_text_lines(o.text, /*keep_empty=*/true));
  std::vector<Encoding> encodings;
  encodings.reserve(lines.size());
  for (const std::string& line : lines) {
    const size_t tab = line.find('\t');
    if (tab == std::string::npos) {
      encodings.push_back(tokenizer.encode(line, limit));
    } else if (limit < 3) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("maximum length {}, but a pair of texts has 3 tokens or more", limit));
    } else {
      encodings.push_back(tokenizer.encode_pair(line.substr(0, tab), line.substr(tab + 1), limit));
    }
  }
  warn_of_truncation(truncation_of(encodings, limit));
  return encodings;
}

Expected<Classes> classify_by_integers(const Options& o) {
  HCCS_ASSIGN_OR_RETURN(const IntegerEncoder encoder, IntegerEncoder::load(o.model));
  const IntegerModelInfo& info = encoder.info();
  if (info.labels.empty()) {
    return Status(StatusCode::kUnsupported,
                  fmt::format("{}: it was made of a model that is no classifier of texts", o.model.string()));
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings,
                        encode_lines(o, encoder.tokenizer(), info.classifier_max_length, info.max_positions));
  HCCS_ASSIGN_OR_RETURN(
      std::vector<float> logits,
      encoder.classify(encodings, {.threads = o.threads, .progress = progress_report("classifying", "texts")}));
  return Classes{.model = info.name, .softmax = "integers", .labels = info.labels, .logits = std::move(logits)};
}

Expected<Classes> classify_by_floats(const Options& o) {
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_RETURN_IF_ERROR(model.classifier);
  HCCS_ASSIGN_OR_RETURN(const std::unique_ptr<AttentionSoftmax> softmax, o.softmax.make(model));
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings,
                        encode_lines(o, model.tokenizer, model.max_length, model.config.max_positions));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(std::vector<float> logits,
                        encoder.classify(encodings, *softmax,
                                         {.threads = o.threads, .progress = progress_report("classifying", "texts")}));
  return Classes{.model = model.name, .softmax = o.softmax.name(), .labels = model.labels, .logits = std::move(logits)};
}

// The probability of the greatest of some logits.
double greatest_probability(std::span<const float> logits, float greatest) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - double{greatest});
  return 1 / sum;
}

Status run(const Options& o) {
  const bool integers = is_integer_model(o.model);
  Inputs inputs{.files = {o.softmax.params}};
  (integers ? inputs.files : inputs.folders).push_back(o.model);
  inputs.add_files(o.text);
  HCCS_RETURN_IF_ERROR(check_output(o.output, inputs));
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.output));
  HCCS_ASSIGN_OR_RETURN(const Classes classes, integers ? classify_by_integers(o) : classify_by_floats(o));
  const auto count = std::ssize(classes.labels);
  std::vector<int64_t> of_label(classes.labels.size());
  std::string lines;
  const std::vector<int32_t> predicted = predicted_classes(classes.logits, count);
  for (size_t t = 0; t < predicted.size(); ++t) {
    const auto label = static_cast<size_t>(predicted[t]);
    const std::span<const float> logits(classes.logits.data() + static_cast<int64_t>(t) * count, classes.labels.size());
    ++of_label[label];
    lines += fmt::format("{}\t{:.4f}\n", classes.labels[label], greatest_probability(logits, logits[label]));
  }
  HCCS_RETURN_IF_ERROR(write_file_atomically(o.output, {lines}));
  message("wrote {}: {} labels\n", o.output.string(), predicted.size());
  nlohmann::ordered_json counts = nlohmann::ordered_json::object();
  for (size_t label = 0; label < of_label.size(); ++label) counts[classes.labels[label]] = of_label[label];
  return o.json.write({{"output", o.output.string()},
                       {"texts", predicted.size()},
                       {"labels", counts},
                       {"model", classes.model},
                       {"softmax", classes.softmax}});
}

}  // namespace

Command add_classify(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("classify", "A classifier's label for each text, with its probability");
  app->add_option("--model", o->model,
                  "Hugging Face BertForSequenceClassification folder, or an integer model of hccs quantise")
      ->required();
  o->softmax.add_to(*app);
  app->add_option("--text", o->text, "text files, one text a line, or two with a tab between them; - is standard input")
      ->required();
  app->add_option("--max-length", o->max_length, "truncate texts to this many tokens (default: what the model says)")
      ->check(CLI::Range(int64_t{2}, kMaxRowLength));
  app->add_option("--threads", o->threads, "the result does not depend on it (default: one a processor)")
      ->check(CLI::Range(1, 1024));
  app->add_option("-o,--output", o->output, "labels.tsv to write: a line a text, the label, a tab, its probability")
      ->required();
  o->json.add_to(*app, "what was written, and how often each label was");
  app->footer("Example:\n  hccs classify --model sst2.hccs --text reviews.txt -o labels.tsv");
  return {.app = app, .usage_error = [o] { return o->softmax.usage_error(o->model); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
