// SPDX-License-Identifier: Apache-2.0
#include "tasks/task.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "contract/exceptions.h"
#include "files/utf8.h"
#include "hccs/file.h"
#include "hccs/text.h"
#include "tasks/visible_text.h"

namespace hccs {
namespace {

using internal::in_quotes;
using internal::visible_text;

namespace fs = std::filesystem;

Status bad_line(const fs::path& path, size_t index, std::string_view what) {
  return {StatusCode::kBadData, fmt::format("{}: line {}: {}", path.string(), index + 1, what)};
}

std::vector<std::string_view> split_at_tabs(std::string_view line) {
  std::vector<std::string_view> fields;
  for (size_t tab = line.find('\t'); tab != std::string_view::npos; tab = line.find('\t')) {
    fields.push_back(line.substr(0, tab));
    line.remove_prefix(tab + 1);
  }
  fields.push_back(line);
  return fields;
}

std::string listed(std::span<const std::string> labels) {
  std::vector<std::string> quoted;
  for (const std::string& label : labels.first(std::min<size_t>(labels.size(), 10))) quoted.push_back(in_quotes(label));
  return fmt::format("{}{}", fmt::join(quoted, ", "), labels.size() > 10 ? ", ..." : "");
}

std::optional<double> as_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

void sort_labels(std::vector<std::string>& labels) {
  const bool numbers =
      std::all_of(labels.begin(), labels.end(), [](const auto& l) { return as_number(l).has_value(); });
  std::sort(labels.begin(), labels.end(), [&](const std::string& a, const std::string& b) {
    return numbers && as_number(a) != as_number(b) ? *as_number(a) < *as_number(b) : a < b;
  });
}

Expected<int32_t> find_label(const fs::path& path, size_t line, std::string_view label,
                             std::span<const std::string> labels) {
  const auto it = std::find(labels.begin(), labels.end(), label);
  if (it == labels.end()) {
    const auto alike = std::find_if(labels.begin(), labels.end(),
                                    [&](const std::string& l) { return visible_text(l) == visible_text(label); });
    const std::string hint = alike != labels.end()
                                 ? fmt::format("; {} looks like it, but is not the same", in_quotes(*alike))
                             : line == 0 ? "; is the first line a header? These files have none"
                                         : "";
    return Status(StatusCode::kMismatch, fmt::format("{}: line {}: label {}, but the labels are {}{}", path.string(),
                                                     line + 1, in_quotes(label), listed(labels), hint));
  }
  return static_cast<int32_t>(it - labels.begin());
}

bool is_one_of(std::string_view text, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return std::equal(text.begin(), text.end(), word.begin(), word.end(),
                      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
  });
}

// Whether a first line can only be a header: both columns have names that columns have.
bool is_header(std::string_view line) {
  constexpr std::array<std::string_view, 9> kLabels = {"label",  "labels",    "class",      "category", "target",
                                                       "intent", "sentiment", "gold_label", "y"};
  constexpr std::array<std::string_view, 14> kTexts = {"text",     "texts",  "sentence", "sentence1", "premise",
                                                       "question", "review", "title",    "tweet",     "query",
                                                       "content",  "body",   "document", "utterance"};
  const std::vector<std::string_view> fields = split_at_tabs(line);
  return fields.size() > 1 && is_one_of(fields[0], kLabels) && is_one_of(fields[1], kTexts);
}

// Labels that a reader cannot tell apart.
Status check_labels_differ(const fs::path& path, std::span<const std::string> labels) {
  std::map<std::string, std::string_view> seen;
  for (const std::string& label : labels) {
    const auto [other, is_new] = seen.emplace(visible_text(label), label);
    if (is_new) continue;
    return {
        StatusCode::kBadData,
        fmt::format("{}: the labels {} and {} look the same, but are two classes: blanks or characters that are not "
                    "to be seen make the difference",
                    path.string(), in_quotes(other->second), in_quotes(label))};
  }
  return {};
}

// The distinct labels of column 0; refuses a column that is not one of labels.
Status collect_labels(const fs::path& path, std::span<const std::string> lines, std::vector<std::string>& labels) {
  if (is_header(lines.front())) {
    return bad_line(
        path, 0,
        fmt::format("{} is a header, but the file has none: leave it out (tail -n +2)", in_quotes(lines.front())));
  }
  std::set<std::string_view> distinct;
  for (size_t i = 0; i < lines.size(); ++i) {
    distinct.insert(std::string_view(lines[i]).substr(0, lines[i].find('\t')));
    if (std::ssize(distinct) > kMaxLabels) {
      return bad_line(
          path, i,
          fmt::format("{} distinct labels by here, but at most {}: is the first column the label? It has {}",
                      distinct.size(), kMaxLabels, in_quotes(*distinct.begin())));
    }
  }
  labels.assign(distinct.begin(), distinct.end());
  if (labels.size() < 2) {
    return {StatusCode::kBadData, fmt::format("{}: the only label is {}, but a task has at least two", path.string(),
                                              in_quotes(labels.front()))};
  }
  if (2 * labels.size() > lines.size()) {
    return {StatusCode::kBadData,
            fmt::format("{}: {} distinct labels in {} lines, but at most every second may differ: is the first column "
                        "the label? It has {}",
                        path.string(), labels.size(), lines.size(), in_quotes(labels.front()))};
  }
  HCCS_RETURN_IF_ERROR(check_labels_differ(path, labels));
  sort_labels(labels);
  return {};
}

// ---- The named tasks -----------------------------------------------------------------------------

struct Columns {
  std::string_view header;
  int first;
  int second;  // -1: none
  int label;
};

constexpr Columns kSst2Columns{"sentence\tlabel", 0, -1, 1};
constexpr Columns kPairColumns{"premise\thypothesis\tlabel", 0, 1, 2};

std::string_view without_final_stop(std::string_view text) {
  while (text.ends_with(' ') || text.ends_with('.')) text.remove_suffix(1);
  return text;
}

Expected<ExampleSet> read_columns(const fs::path& path, std::string_view name, const Columns& columns,
                                  std::span<const std::string> labels, bool strip_final_stop) {
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> lines, read_text_lines({&path, 1}, true));
  if (lines.front() != columns.header) {
    return bad_line(path, 0,
                    fmt::format("{}, but the header is {}", in_quotes(lines.front()), in_quotes(columns.header)));
  }
  const size_t wanted = static_cast<size_t>(std::count(columns.header.begin(), columns.header.end(), '\t')) + 1;
  ExampleSet set{.name = std::string(name), .pairs = columns.second >= 0, .examples = {}};
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string_view> fields = split_at_tabs(lines[i]);
    if (fields.size() != wanted) return bad_line(path, i, fmt::format("{} columns, but {}", fields.size(), wanted));
    const auto text = [&](int column) {
      return std::string(strip_final_stop ? without_final_stop(fields[column]) : fields[column]);
    };
    Example example{.first = text(columns.first), .second = set.pairs ? text(columns.second) : ""};
    HCCS_ASSIGN_OR_RETURN(example.label, find_label(path, i, fields[columns.label], labels));
    set.examples.push_back(std::move(example));
  }
  if (set.examples.empty()) return bad_line(path, 0, "no example after the header");
  return set;
}

Expected<Task> read_wordnet(const fs::path& data_noun) {
  HCCS_ASSIGN_OR_RETURN(const auto glosses, read_wordnet_glosses(data_noun));
  HCCS_ASSIGN_OR_RETURN(const WordnetTask parts, make_wordnet_task(glosses, kWordnetTaskSeed));
  Task task{.name = "wordnet"};
  constexpr int32_t kFirst = 3;  // lexicographer file of the first noun class, "noun.Tops"
  for (int32_t file = kFirst; file <= 28; ++file) task.labels.push_back(fmt::format("{:02}", file));
  const auto convert = [](std::string_view name, const std::vector<LabelledText>& part) {
    ExampleSet set{.name = std::string(name)};
    for (const LabelledText& gloss : part) set.examples.push_back({gloss.text, "", gloss.label - kFirst});
    return set;
  };
  task.train = convert("train", parts.reference);
  task.dev = convert("dev", parts.calibration);
  task.tests = {convert("test", parts.test)};
  return task;
}

constexpr std::array<std::string_view, 4> kNames = {"sst2", "snli", "mnli", "wordnet"};

}  // namespace

Expected<ExampleSet> read_labelled_file(const fs::path& path, std::string_view name,
                                        std::vector<std::string>& labels) try {
  HCCS_ASSIGN_OR_RETURN(const std::vector<std::string> lines, read_text_lines({&path, 1}, true));
  ExampleSet set{.name = std::string(name), .first_line = 1};
  size_t columns = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::vector<std::string_view> fields = split_at_tabs(lines[i]);
    if (fields.size() < 2 || fields.size() > 3) {
      return bad_line(path, i,
                      fmt::format("{} columns in {}, but a line is label<TAB>text or label<TAB>text<TAB>text",
                                  fields.size(), in_quotes(lines[i])));
    }
    if (i == 0) columns = fields.size();
    if (fields.size() != columns) {
      return bad_line(path, i, fmt::format("{} columns, but line 1 has {}", fields.size(), columns));
    }
    if (fields[0].empty()) return bad_line(path, i, "the label is empty");
    if (fields[1].empty()) return bad_line(path, i, "the text is empty");
    set.examples.push_back({std::string(fields[1]), columns == 3 ? std::string(fields[2]) : "", 0});
  }
  set.pairs = columns == 3;
  if (labels.empty()) HCCS_RETURN_IF_ERROR(collect_labels(path, lines, labels));
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view label = std::string_view(lines[i]).substr(0, lines[i].find('\t'));
    HCCS_ASSIGN_OR_RETURN(set.examples[i].label, find_label(path, i, label, labels));
  }
  return set;
} catch (...) {
  return internal::status_of_exception(path.native());
}

ClassSummary summarise_classes(const ExampleSet& set, std::span<const std::string> labels) {
  ClassSummary summary{.counts = std::vector<int64_t>(labels.size(), 0)};
  std::vector<size_t> last(labels.size(), 0);  // example of each class
  for (size_t i = 0; i < set.examples.size(); ++i) {
    const auto label = static_cast<size_t>(set.examples[i].label);
    ++summary.counts[label];
    last[label] = i;
  }
  std::map<std::string, size_t> by_lower_case;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string quoted = in_quotes(labels[i]);
    if (visible_text(labels[i]) != labels[i]) {
      summary.remarks.push_back(
          fmt::format("class {}: there are blanks or characters that are not to be seen in it", quoted));
    }
    const auto [other, is_new] = by_lower_case.emplace(internal::folded_case(labels[i]), i);
    if (!is_new) {
      summary.remarks.push_back(fmt::format("classes {} and {} differ in upper and lower case alone",
                                            in_quotes(labels[other->second]), quoted));
    }
    if (summary.counts[i] != 1 || set.examples.size() < 4) continue;
    const bool says_line = set.first_line > 0;
    summary.remarks.push_back(fmt::format("class {} has one example{}{}", quoted,
                                          says_line ? fmt::format(", line {}", set.first_line + last[i]) : "",
                                          says_line && last[i] == 0 ? ": is that line a header?" : ""));
  }
  return summary;
}

std::string shown_classes(const ClassSummary& summary, std::span<const std::string> labels) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (summary.counts[i] > 0) shown.push_back(fmt::format("{} {}", in_quotes(labels[i]), summary.counts[i]));
  }
  return fmt::format("{}", fmt::join(shown, ", "));
}

std::span<const std::string_view> named_tasks() noexcept { return kNames; }

Expected<Task> read_named_task(std::string_view name, const fs::path& data, const fs::path& data_noun) try {
  if (name == "wordnet") return read_wordnet(data_noun);
  Task task{.name = std::string(name)};
  if (name == "sst2") {
    task.labels = {"0", "1"};
    HCCS_ASSIGN_OR_RETURN(task.train, read_columns(data / "sst2/train.tsv", "train", kSst2Columns, task.labels, false));
    HCCS_ASSIGN_OR_RETURN(task.dev, read_columns(data / "sst2/dev.tsv", "dev", kSst2Columns, task.labels, false));
    HCCS_ASSIGN_OR_RETURN(ExampleSet test,
                          read_columns(data / "sst2/test_labeled.tsv", "test", kSst2Columns, task.labels, false));
    task.tests = {task.dev, std::move(test)};
    return task;
  }
  task.labels = {"contradiction", "entailment", "neutral"};
  if (name == "snli") {
    HCCS_ASSIGN_OR_RETURN(task.train,
                          read_columns(data / "snli/train_18k.tsv", "train", kPairColumns, task.labels, false));
    HCCS_ASSIGN_OR_RETURN(task.dev, read_columns(data / "snli/dev.tsv", "dev", kPairColumns, task.labels, false));
    HCCS_ASSIGN_OR_RETURN(ExampleSet test,
                          read_columns(data / "snli/test.tsv", "test", kPairColumns, task.labels, false));
    task.tests = {std::move(test)};
    return task;
  }
  if (name == "mnli") {
    HCCS_ASSIGN_OR_RETURN(ExampleSet all,
                          read_columns(data / "mnli/train_10k.tsv", "train", kPairColumns, task.labels, true));
    task.train = {.name = "train", .pairs = true};
    task.dev = {.name = "dev", .pairs = true};
    for (size_t i = 0; i < all.examples.size(); ++i) {
      (i % 20 == 19 ? task.dev : task.train).examples.push_back(std::move(all.examples[i]));
    }
    HCCS_ASSIGN_OR_RETURN(ExampleSet matched,
                          read_columns(data / "mnli/dev_matched.tsv", "dev_matched", kPairColumns, task.labels, true));
    task.tests = {std::move(matched)};
    return task;
  }
  return Status(StatusCode::kInvalidArgument,
                fmt::format("task {}, but the named ones are {}", in_quotes(name), fmt::join(kNames, ", ")));
} catch (...) {
  return internal::status_of_exception(name);
}

Expected<Task> read_task_files(const fs::path& train, const fs::path& dev, const std::optional<fs::path>& test) try {
  Task task{.name = train.stem().string()};
  HCCS_ASSIGN_OR_RETURN(task.train, read_labelled_file(train, "train", task.labels));
  HCCS_ASSIGN_OR_RETURN(task.dev, read_labelled_file(dev, "dev", task.labels));
  task.tests = {task.dev};
  if (test) {
    HCCS_ASSIGN_OR_RETURN(ExampleSet set, read_labelled_file(*test, "test", task.labels));
    task.tests = {std::move(set)};
  }
  for (const auto& [set, path] : {std::pair{&task.dev, &dev}, std::pair{&task.tests.front(), test ? &*test : &dev}}) {
    if (set->pairs != task.train.pairs) {
      return Status(StatusCode::kMismatch, fmt::format("{} has {} a line, but {} has {}", path->string(),
                                                       set->pairs ? "two texts" : "one text", train.string(),
                                                       task.train.pairs ? "two texts" : "one text"));
    }
  }
  return task;
} catch (...) {
  return internal::status_of_exception(train.native());
}

std::vector<Encoding> encode_examples(const WordPieceTokenizer& tokenizer, const ExampleSet& set, int64_t max_length) {
  std::vector<Encoding> encodings;
  encodings.reserve(set.examples.size());
  for (const Example& example : set.examples) {
    encodings.push_back(set.pairs ? tokenizer.encode_pair(example.first, example.second, max_length)
                                  : tokenizer.encode(example.first, max_length));
  }
  return encodings;
}

PairedDifference paired_difference(const std::vector<bool>& first_correct, const std::vector<bool>& second_correct) {
  double gained = 0;
  double lost = 0;
  for (size_t i = 0; i < first_correct.size(); ++i) {
    gained += !first_correct[i] && second_correct[i] ? 1 : 0;
    lost += first_correct[i] && !second_correct[i] ? 1 : 0;
  }
  const auto n = static_cast<double>(first_correct.size());
  constexpr double kZ = 1.959964;
  const double padded = n + 2;
  const double centre = (gained - lost) / padded;
  const double variance = (gained + lost + 1) / padded - centre * centre;
  const double half = kZ * std::sqrt(variance / padded);
  return {(gained - lost) / n, centre - half, centre + half};
}

}  // namespace hccs
