// SPDX-License-Identifier: Apache-2.0
//
// What outputs of 8 and of 16 bits cost by row length, on a model's own attention rows:
//
//   row_lengths --model=FOLDER --json=FILE --page=FILE PARAMS...
//
// Texts of exactly n tokens are WordNet glosses, of those that calibration never sees, one after another. Each head's
// rows go through every output of every parameter file; the result is a table of means, written as JSON and into the
// page, between its two comments "row lengths".
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/calibrate_model.h"
#include "hccs/encoder.h"
#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/quantise.h"
#include "hccs/reference.h"
#include "tasks/wordnet.h"

namespace hccs {
namespace {

constexpr int64_t kLengths[] = {16, 32, 64, 128, 256, 512};
constexpr int64_t kTexts = 48;  // of each length; kRowsPerText rows of each head and text

// Ways from scores to probabilities.
enum Output { kScores, kUint8, kInt16, kDeferred, kOutputs };
constexpr std::array<const char*, kOutputs> kOutputNames = {"scores", "uint8", "int16", "deferred"};

// A text, in steps that sum(p log p / q) needs: what a row's probabilities q lose against those of the float softmax.
struct Loss {
  double kl = 0;
  double total_variation = 0;
};

// One curve: a parameter file's, or the exact exponential of the last file's steps.
struct Curve {
  std::string name;
  const ParamFile* params;
  bool exact;
};

// Scores of the int8 row; `x` may not be empty.
std::vector<int64_t> scores(const Curve& curve, const HeadEntry& entry, std::span<const int8_t> x) {
  const int maximum = *std::max_element(x.begin(), x.end());
  std::vector<int64_t> s(x.size());
  std::transform(x.begin(), x.end(), s.begin(), [&](int8_t v) -> int64_t {
    const int d = maximum - v;
    return curve.exact ? std::lround(32640 * std::exp(-entry.step * d)) : entry.params.score(d);
  });
  return s;
}

// The row's outputs as numbers that are proportional to probabilities.
std::vector<double> outputs(Output output, std::span<const int64_t> s) {
  int64_t sum = 0;
  for (const int64_t score : s) sum += score;
  const int64_t largest = *std::max_element(s.begin(), s.end());
  const int shift = attention_shift(static_cast<int32_t>(largest));
  std::vector<double> q(s.size());
  std::transform(s.begin(), s.end(), q.begin(), [&](int64_t score) -> double {
    switch (output) {
      case kUint8:
        return static_cast<double>(probability(Normalisation::kScaled, OutputType::kUint8, score, sum));
      case kInt16:
        return static_cast<double>(probability(Normalisation::kScaled, OutputType::kInt16, score, sum));
      case kDeferred:
        return std::floor(std::ldexp(static_cast<double>(score), -shift) + .5);
      default:
        return static_cast<double>(score);
    }
  });
  return q;
}

// A 0 counts as `least`, half of what the output can express, since its logarithm would be infinite.
Loss loss(std::span<const double> p, std::span<const double> q, double least) {
  double sum = 0;
  double charged = 0;
  for (const double x : q) {
    sum += x;
    charged += std::max(x, least);
  }
  Loss l;
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] > 0) l.kl += p[i] * std::log(p[i] * charged / std::max(q[i], least));
    l.total_variation += std::abs(p[i] - (sum > 0 ? q[i] / sum : 0)) / 2;
  }
  return l;
}

// Sums over all rows of one length.
class Losses {
 public:
  Losses(std::span<const Curve> curves, int64_t heads) : curves_(curves), heads_(heads), sums_(curves.size()) {}

  // Adds rows_to_sample() of one head's block.
  Status add(const AttentionBlock& block) {
    const int64_t head = block.layer * heads_ + block.head;
    const auto n = static_cast<size_t>(block.length);
    for (const int64_t query : rows_to_sample(block.text, head, std::ssize(curves_[0].params->entries), block.length)) {
      add_row(static_cast<size_t>(head), std::span(block.logits + query * block.length, n));
    }
    return {};
  }
  Loss mean(size_t curve, Output output) const {
    const Loss& l = sums_[curve][output];
    return {l.kl / static_cast<double>(rows_), l.total_variation / static_cast<double>(rows_)};
  }
  int64_t rows() const { return rows_; }

 private:
  static std::vector<int64_t> rows_to_sample(int64_t text, int64_t head, int64_t heads, int64_t length) {
    return hccs::rows_to_sample(text, head, heads, length, /*seed=*/0);
  }
  void add_row(size_t head, std::span<const float> logits) {
    std::vector<double> p(logits.size());
    const double maximum = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp(logits[i] - maximum);
    for (double& x : p) x /= sum;
    std::vector<int8_t> x(logits.size());
    std::vector<std::array<Loss, kOutputs>> row(curves_.size());
    for (size_t c = 0; c < curves_.size(); ++c) {
      const HeadEntry& entry = curves_[c].params->entries[head];
      quantise_logits(logits, entry.step, x);
      const std::vector<int64_t> s = scores(curves_[c], entry, x);
      // Scores: half of the least that the contract can express, as in calibration.
      const auto largest = static_cast<double>(*std::max_element(s.begin(), s.end()));
      const std::array<double, kOutputs> least = {largest / 65536, .5, .5, .5};
      for (int o = 0; o < kOutputs; ++o) {
        const auto output = static_cast<Output>(o);
        row[c][o] = loss(p, outputs(output, s), least[o]);
      }
    }
    const std::lock_guard lock(mutex_);
    ++rows_;
    for (size_t c = 0; c < curves_.size(); ++c) {
      for (int o = 0; o < kOutputs; ++o) {
        sums_[c][o].kl += row[c][o].kl;
        sums_[c][o].total_variation += row[c][o].total_variation;
      }
    }
  }

  std::span<const Curve> curves_;
  int64_t heads_;
  std::mutex mutex_;
  int64_t rows_ = 0;
  std::vector<std::array<Loss, kOutputs>> sums_;
};

// Texts of exactly n tokens each.
Expected<std::vector<Encoding>> texts_of(const ModelFolder& model, std::span<const LabelledText> glosses, int64_t n) {
  std::vector<std::string> texts;
  size_t next = 0;
  for (int64_t t = 0; t < kTexts; ++t) {
    std::string text;
    // A gloss of one word is a token, so n + 1 of them are enough; most take a tenth of it.
    for (int64_t tokens = 0; tokens < n + 2; next = (next + 1) % glosses.size()) {
      const std::string& gloss = glosses[next].text;
      text += (text.empty() ? "" : "; ") + gloss;
      tokens += 1 + std::count(gloss.begin(), gloss.end(), ' ');
    }
    texts.push_back(std::move(text));
  }
  HCCS_ASSIGN_OR_RETURN(EncodedTexts encoded, encode_texts(model, texts, n));
  for (const Encoding& encoding : encoded.encodings) {
    if (std::ssize(encoding.ids) != n) {
      return Status(StatusCode::kBadData, fmt::format("a text of {} tokens instead of {}", encoding.ids.size(), n));
    }
  }
  return std::move(encoded.encodings);
}

struct Cell {
  int64_t n;
  std::string curve;
  Output output;
  Loss loss;
};

struct Table {
  std::string model;
  int64_t rows = 0;  // of each length
  std::vector<std::string> curves;
  std::vector<Cell> cells;
};

std::string table_text(const Table& table, double Loss::*what) {
  std::string text = "| n |";
  std::string rule = "|---|";
  for (const char* output : kOutputNames) {
    for (const std::string& curve : table.curves) {
      text += fmt::format(" {} {} |", output, curve);
      rule += "---|";
    }
  }
  text += "\n" + rule + "\n";
  for (const int64_t n : kLengths) {
    text += fmt::format("| {} |", n);
    for (int o = 0; o < kOutputs; ++o) {
      for (const std::string& curve : table.curves) {
        const auto cell = std::find_if(table.cells.begin(), table.cells.end(),
                                       [&](const Cell& c) { return c.n == n && c.curve == curve && c.output == o; });
        text += fmt::format(" {:.3f} |", cell->loss.*what);
      }
    }
    text += "\n";
  }
  return text;
}

std::string json_text(const Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Cell& cell : table.cells) {
    rows.push_back({{"n", cell.n},
                    {"curve", cell.curve},
                    {"output", kOutputNames[cell.output]},
                    {"kl", cell.loss.kl},
                    {"total_variation", cell.loss.total_variation}});
  }
  const nlohmann::ordered_json all = {{"model", table.model}, {"rows_a_length", table.rows}, {"rows", rows}};
  return all.dump(1) + "\n";
}

Status write(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file ? Status() : Status(StatusCode::kIo, fmt::format("cannot write {}", path));
}

// Replaces what stands between the page's comments.
Status write_page(const std::string& path, const std::string& tables) {
  std::ifstream file(path);
  std::string page{std::istreambuf_iterator<char>(file), {}};
  constexpr std::string_view kBegin = "<!-- row lengths: `make row-lengths` writes what follows -->\n";
  constexpr std::string_view kEnd = "<!-- row lengths: end -->\n";
  const size_t begin = page.find(kBegin);
  const size_t end = page.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    return {StatusCode::kBadData, fmt::format("{}: without the comments around the tables of row lengths", path)};
  }
  page.replace(begin + kBegin.size(), end - begin - kBegin.size(), tables);
  return write(path, page);
}

Expected<Table> measure(const ModelFolder& model, std::span<const Curve> curves) {
  HCCS_ASSIGN_OR_RETURN(const auto glosses, read_wordnet_glosses());
  HCCS_ASSIGN_OR_RETURN(const WordnetTask task, make_wordnet_task(glosses, kWordnetTaskSeed));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  Table table{.model = curves[0].params->model};
  for (const Curve& curve : curves) table.curves.push_back(curve.name);
  for (const int64_t n : kLengths) {
    HCCS_ASSIGN_OR_RETURN(const std::vector<Encoding> texts, texts_of(model, task.reference, n));
    Losses losses(curves, curves[0].params->heads);
    HCCS_ASSIGN_OR_RETURN(
        const auto softmax,
        make_capturing_softmax(make_exact_softmax(), [&](const AttentionBlock& block) { return losses.add(block); }));
    HCCS_RETURN_IF_ERROR(encoder.run(texts, *softmax, {}));
    for (size_t c = 0; c < curves.size(); ++c) {
      for (int o = 0; o < kOutputs; ++o) {
        const auto output = static_cast<Output>(o);
        table.cells.push_back({n, curves[c].name, output, losses.mean(c, output)});
      }
    }
    table.rows = losses.rows();
    std::fputs(fmt::format("rows of {}\n", n).c_str(), stderr);
  }
  return table;
}

Status run(std::span<char*> arguments) {
  std::string model_path;
  std::string json;
  std::string page;
  std::vector<ParamFile> files;
  for (const std::string_view argument : arguments) {
    if (argument.starts_with("--model=")) {
      model_path = argument.substr(8);
    } else if (argument.starts_with("--json=")) {
      json = argument.substr(7);
    } else if (argument.starts_with("--page=")) {
      page = argument.substr(7);
    } else {
      HCCS_ASSIGN_OR_RETURN(ParamFile file, read_param_file(argument));
      files.push_back(std::move(file));
    }
  }
  if (model_path.empty() || files.empty()) {
    return {StatusCode::kInvalidArgument, "row_lengths --model=FOLDER [--json=FILE] [--page=FILE] PARAMS..."};
  }
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(model_path));
  std::vector<Curve> curves;
  for (const ParamFile& file : files) {
    HCCS_RETURN_IF_ERROR(
        check_matches(file, model.name, model.config.layers, model.config.heads, model.config.head_dimension()));
    curves.push_back({fmt::format("K = {}", file.knees), &file, false});
  }
  curves.push_back({"exact", &files.back(), true});
  HCCS_ASSIGN_OR_RETURN(const Table table, measure(model, curves));
  const std::string tables = fmt::format(
      "\nMean KL to the float softmax, in nats:\n\n{}\nMean total variation, the share of a row's mass that lies at "
      "wrong positions:\n\n{}\n",
      table_text(table, &Loss::kl), table_text(table, &Loss::total_variation));
  std::fputs(tables.c_str(), stdout);
  if (!json.empty()) HCCS_RETURN_IF_ERROR(write(json, json_text(table)));
  return page.empty() ? Status() : write_page(page, tables);
}

}  // namespace
}  // namespace hccs

int main(int argc, char** argv) {
  const hccs::Status status = hccs::run(std::span(argv + 1, static_cast<size_t>(argc - 1)));
  if (!status.ok()) std::fputs(fmt::format("row_lengths: {}\n", status.message()).c_str(), stderr);
  return status.ok() ? 0 : 1;
}
