// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>

#include "command.h"
#include "console.h"
#include "hccs/calibration.h"
#include "hccs/digest.h"
#include "hccs/encoder.h"
#include "hccs/file.h"
#include "hccs/npy.h"
#include "hccs/param_file.h"
#include "hccs/text.h"
#include "texts.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kRowsPerText = 4;

struct Options {
  fs::path model;
  fs::path logits;
  std::optional<std::string> name;
  int64_t head_dimension = 0;
  std::vector<fs::path> text;
  std::string task;
  fs::path wordnet = kWordnetNouns;
  int knees = 3;
  std::string limits = "native";
  int64_t length = 0;
  std::string share = "head";
  std::string on_unfit = "stop";
  uint64_t seed = 0;
  int64_t rows = 4096;
  int64_t max_length = 0;
  int threads = default_threads();
  fs::path output;
  bool json = false;
};

// A model's logits, sampled: what calibration sees, and what the parameter file says of it.
struct Samples {
  std::vector<RowSample> heads;
  ParamFile description;  // without parameters
};

std::string usage_error(const Options& o) {
  if (o.model.empty() == o.logits.empty()) return "exactly one of --model and --logits is needed";
  if (!o.model.empty() && o.text.empty() == o.task.empty()) return "--model needs exactly one of --text and --task";
  if (!o.logits.empty() && !(o.text.empty() && o.task.empty()))
    return "--text and --task go with --model, not with --logits";
  if (o.logits.empty() && o.head_dimension != 0) return "--head-dimension goes with --logits: a model says its own";
  if (o.logits.empty() && o.name) return "--name goes with --logits: a model says its own";
  if (!o.logits.empty() && o.max_length != 0) return "--max-length goes with --model: logits are not cut";
  if (o.limits == "paper" && o.length == 0) return "--limits paper needs --length";
  if (o.limits != "paper" && o.length != 0) return "--length goes with --limits paper";
  if (o.limits == "paper" && o.knees != 1) return "--limits paper means --knees 1";
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

Expected<Samples> sample_model(const Options& o) {
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(o.model));
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> texts, calibration_texts(o));
  // Rows longer than the paper's n would break its limits.
  int64_t max_length = o.max_length;
  if (o.length > 0 && (max_length == 0 || o.length < max_length)) {
    max_length = std::min(o.length, model.config.max_positions);
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings, tokenise(model, texts, max_length));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));

  const BertConfig& config = model.config;
  Samples samples;
  samples.heads.assign(config.layers * config.heads, RowSample(o.rows, o.seed));
  std::vector<std::mutex> locks(samples.heads.size());
  const auto sink = [&](const AttentionBlock& block) -> Status {
    const int64_t head = block.layer * config.heads + block.head;
    const std::lock_guard lock(locks[head]);
    // Every text counts the same, whatever its length: a few of its rows, evenly spaced from a place that varies.
    const int64_t count = std::min(kRowsPerText, block.length);
    const uint64_t first = o.seed + static_cast<uint64_t>(block.text) * samples.heads.size() + head;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t query = (first + i * block.length / count) % block.length;
      const uint64_t id = static_cast<uint64_t>(block.text) * kMaxRowLength + query;
      HCCS_RETURN_IF_ERROR(samples.heads[head].add(id, std::span(block.logits + query * block.length, block.length)));
    }
    return {};
  };
  HCCS_ASSIGN_OR_RETURN(const auto softmax, make_capturing_softmax(make_exact_softmax(), sink));
  HCCS_ASSIGN_OR_RETURN([[maybe_unused]] const std::vector<float> embeddings,
                        encoder.embed(encodings, *softmax,
                                      {.threads = o.threads, .progress = progress_report("reading logits", "texts")}));
  samples.description = {.model = model.name,
                         .layers = config.layers,
                         .heads = config.heads,
                         .head_dimension = config.head_dimension(),
                         .data_digest = digest_of(texts),
                         .weights_digest = model.weights.digest()};
  return samples;
}

// layer<L>_head<H>.npy, float32 [rows, n]; lengths.npy or layer<L>_head<H>_lengths.npy, int32 [rows].
Expected<Samples> sample_dumps(const Options& o) {
  const auto bad = [](const fs::path& path, const std::string& rule) {
    return Status(StatusCode::kBadData, fmt::format("{}: {}", path.string(), rule));
  };
  std::error_code error;
  if (!fs::is_directory(o.logits, error)) {
    return Status(StatusCode::kIo, fmt::format("{}: not a folder of logit dumps", o.logits.string()));
  }
  static const std::regex kName(R"(layer(\d{1,4})_head(\d{1,4})\.npy)");
  std::map<std::pair<int64_t, int64_t>, fs::path> files;
  int64_t layers = 0;
  int64_t heads = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(o.logits, error)) {
    std::smatch match;
    const std::string name = entry.path().filename().string();
    if (!std::regex_match(name, match, kName)) continue;
    const std::pair<int64_t, int64_t> place{std::stoll(match[1]), std::stoll(match[2])};
    if (!files.emplace(place, entry.path()).second) return bad(entry.path(), "a second file for the same head");
    layers = std::max(layers, place.first + 1);
    heads = std::max(heads, place.second + 1);
  }
  if (error) return Status(StatusCode::kIo, fmt::format("{}: {}", o.logits.string(), error.message()));
  if (files.empty()) return bad(o.logits, "no layer<L>_head<H>.npy in this folder");
  if (static_cast<int64_t>(files.size()) != layers * heads) {
    return bad(o.logits,
               fmt::format("{} dumps, but {} layers x {} heads need {}", files.size(), layers, heads, layers * heads));
  }

  Samples samples;
  samples.heads.assign(layers * heads, RowSample(o.rows, o.seed));
  Digest digest;
  const Progress progress = progress_report("reading logits", "heads");
  int64_t done = 0;
  for (const auto& [place, path] : files) {
    HCCS_ASSIGN_OR_RETURN(const NpyArray logits, read_npy(path));
    if (logits.type != NpyType::kFloat32 || logits.shape.size() != 2) {
      return bad(path, fmt::format("{} with {} dimensions, but logits are float32 [rows, n]", name(logits.type),
                                   logits.shape.size()));
    }
    fs::path lengths_path = o.logits / fmt::format("layer{}_head{}_lengths.npy", place.first, place.second);
    if (!fs::exists(lengths_path, error)) lengths_path = o.logits / "lengths.npy";
    HCCS_ASSIGN_OR_RETURN(const NpyArray lengths, read_npy(lengths_path));
    const int64_t rows = logits.shape[0];
    const int64_t n = logits.shape[1];
    if (lengths.type != NpyType::kInt32 || lengths.shape != std::vector<int64_t>{rows}) {
      return bad(lengths_path, fmt::format("lengths are int32 [rows], one for each of the {} rows of {}", rows,
                                           path.filename().string()));
    }
    for (int64_t r = 0; r < rows; ++r) {
      const int32_t length = lengths.as<int32_t>()[r];
      if (length < 1 || length > n) {
        return bad(lengths_path, fmt::format("row {} has length {}, but 1 <= length <= n = {}", r, length, n));
      }
      if (o.length > 0 && length > o.length) {
        return bad(lengths_path, fmt::format("row {} has length {}, but --length is {}", r, length, o.length));
      }
      HCCS_RETURN_IF_ERROR(
          samples.heads[place.first * heads + place.second].add(r, logits.as<float>().subspan(r * n, length)));
    }
    const auto bytes = [](const NpyArray& a) {
      return std::string_view(reinterpret_cast<const char*>(a.data.data()), a.data.size());
    };
    digest.add(path.filename().string());
    digest.add(bytes(logits));
    digest.add(bytes(lengths));
    if (!progress(++done, static_cast<int64_t>(files.size()))) return Status(StatusCode::kCancelled, "interrupted");
  }
  samples.description = {.model = folder_name(o.logits),
                         .layers = layers,
                         .heads = heads,
                         .head_dimension = o.head_dimension,
                         .data_digest = digest.text()};
  if (samples.description.model.empty()) samples.description.model = "logits";
  if (o.name) samples.description.model = *o.name;
  return samples;
}

void print_report(const ParamFile& file, const std::vector<HeadFit>& fits) {
  fmt::print("{:>5} {:>4}  {:>12} {:>10}  {:>5} {:>9} {:>9}  {}\n", "layer", "head", "KL real", "KL int8", "rows",
             "step", "max prob", "note");
  double continuous = 0;
  double integer = 0;
  double worst = 0;
  for (size_t i = 0; i < fits.size(); ++i) {
    const HeadFit& f = fits[i];
    fmt::print("{:>5} {:>4}  {:>12.5f} {:>10.5f}  {:>5} {:>9.5f} {:>9.4f}  {}\n", i / file.heads, i % file.heads,
               f.kl_continuous, f.kl, f.rows, f.step, f.max_probability,
               f.unfit_reason.empty() ? "" : "default: " + f.unfit_reason);
    continuous += f.kl_continuous;
    integer += f.kl;
    worst = std::max(worst, f.kl);
  }
  const auto count = static_cast<double>(fits.size());
  fmt::print("mean KL {:.5f} nat before integer rounding, {:.5f} after; worst head {:.5f}\n", continuous / count,
             integer / count, worst);
}

void print_json(const ParamFile& file, const std::vector<HeadFit>& fits, double seconds) {
  nlohmann::ordered_json out = {{"model", file.model},
                                {"layers", file.layers},
                                {"heads", file.heads},
                                {"knees", file.knees},
                                {"limits", file.limits},
                                {"share", file.share},
                                {"seed", file.seed},
                                {"data_digest", file.data_digest},
                                {"sequence_length", file.sequence_length},
                                {"calibration_seconds", seconds}};
  for (size_t i = 0; i < fits.size(); ++i) {
    const HeadFit& f = fits[i];
    out["fits"].push_back({{"layer", i / file.heads},
                           {"head", i % file.heads},
                           {"kl_continuous", f.kl_continuous},
                           {"kl", f.kl},
                           {"rows", f.rows},
                           {"step", f.step},
                           {"max_probability", f.max_probability},
                           {"unfit_reason", f.unfit_reason}});
  }
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

Status run(const Options& o) {
  const auto start = std::chrono::steady_clock::now();
  HCCS_RETURN_IF_ERROR(check_writable(o.output));
  HCCS_ASSIGN_OR_RETURN(Samples samples, o.model.empty() ? sample_dumps(o) : sample_model(o));
  ParamFile& file = samples.description;

  const CalibrationOptions options{
      .knees = o.knees,
      .limits = *parse_limits(o.limits),
      .length = o.length,
      .share = *parse_share(o.share),
      .on_unfit = o.on_unfit == "default" ? OnUnfit::kDefault : OnUnfit::kStop,
      .threads = o.threads,
      .progress = progress_report(fmt::format("fitting, K = {}", o.knees), "parameter sets")};
  HCCS_ASSIGN_OR_RETURN(const std::vector<HeadFit> fits, calibrate(samples.heads, file.heads, options));
  file.knees = o.knees;
  file.limits = o.limits;
  file.share = o.share;
  file.seed = o.seed;
  for (const HeadFit& f : fits) {
    file.sequence_length = std::max(file.sequence_length, f.longest_row);
    file.entries.push_back({.params = f.params,
                            .step = f.step,
                            .kl = f.kl,
                            .kl_continuous = f.kl_continuous,
                            .rows = f.rows,
                            .max_probability = f.max_probability,
                            .is_default = !f.unfit_reason.empty()});
  }
  file.sequence_length = std::max(file.sequence_length, o.length);
  HCCS_RETURN_IF_ERROR(write_param_file(o.output, file));

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (o.json) {
    print_json(file, fits, seconds);
  } else {
    print_report(file, fits);
  }
  fmt::print(stderr, "wrote {} in {:.1f} s\n", o.output.string(), seconds);
  return {};
}

}  // namespace

Command add_calibrate(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app =
      root.add_subcommand("calibrate", "Fit every head's integers to representative text, or to dumped logits");
  app->add_option("--model", o->model, "Hugging Face BertModel folder");
  app->add_option("--logits", o->logits,
                  "instead of a model: folder of layer<L>_head<H>.npy (float32 [rows, n]) and lengths.npy (int32)");
  app->add_option("--name", o->name, "with --logits: the model's name in the parameter file (default: the folder's)");
  app->add_option("--head-dimension", o->head_dimension,
                  "with --logits: the model's, for the parameter file; hccs export --kernel attention needs it")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  app->add_option("--text", o->text, "text files, one text a line");
  app->add_option("--task", o->task, "a named task's calibration texts")->check(CLI::IsMember({"wordnet"}));
  app->add_option("--wordnet", o->wordnet, "WordNet's data.noun")->capture_default_str();
  app->add_option("--knees", o->knees, "K, the number of clipped lines; 1 with --limits paper")
      ->check(CLI::Range(1, kMaxKnees))
      ->capture_default_str();
  app->add_option("--limits", o->limits,
                  "ranges of B, S, D: this project's (native), or the paper's, which need --length and --knees 1")
      ->check(CLI::IsMember({"native", "paper"}))
      ->capture_default_str();
  app->add_option(
         "--length", o->length,
         "only with --limits paper: its row length n. Texts are truncated to it; --logits with longer rows are "
         "refused")
      ->check(CLI::Range(int64_t{1}, kMaxRowLength));
  app->add_option("--share", o->share, "which heads share one parameter set")
      ->check(CLI::IsMember({"head", "layer", "global"}))
      ->capture_default_str();
  app->add_option("--on-unfit", o->on_unfit,
                  "a head that cannot be fitted stops the run, or gets the fit of all other heads")
      ->check(CLI::IsMember({"stop", "default"}))
      ->capture_default_str();
  app->add_option("--seed", o->seed, "of the sample of rows")->capture_default_str();
  app->add_option("--rows", o->rows, "rows kept a head")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  app->add_option("--max-length", o->max_length, "truncate texts to this many tokens (default: the model's positions)")
      ->check(CLI::Range(int64_t{2}, kMaxRowLength));
  app->add_option("--threads", o->threads, "the result does not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app->add_option("-o,--output", o->output, "parameter file to write")->required();
  app->add_flag("--json", o->json, "report as JSON");
  app->footer("Example:\n  hccs calibrate --model build/demo/model --task wordnet --knees 3 -o params.json");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
