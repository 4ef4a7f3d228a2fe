// SPDX-License-Identifier: Apache-2.0
//
// Classification tasks: labelled texts, or pairs of texts, to train and to evaluate on.
#ifndef HCCS_SRC_TASKS_TASK_H_
#define HCCS_SRC_TASKS_TASK_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/status.h"
#include "hccs/tokenizer.h"
#include "tasks/wordnet.h"

namespace hccs {

struct Example {
  std::string first;
  std::string second;  // of a pair, else empty
  int32_t label = 0;   // index in the labels
};

struct ExampleSet {
  std::string name;  // "dev", "test", ...: for reports
  bool pairs = false;
  std::vector<Example> examples;
  int64_t first_line = 0;  // of its file, from 1, where each line is an example; 0 where none is said
};

inline constexpr int64_t kMaxLabels = 256;

// What there is to see of a set's classes before hours of work.
struct ClassSummary {
  std::vector<int64_t> counts;       // examples of each label
  std::vector<std::string> remarks;  // sentences about what may be a mistake in the file
};

// Remarks: a class of one example (a header line, perhaps), a class whose name begins or ends with a blank or another
// character that is not to be seen, classes that differ in upper and lower case alone. A label's index is in `labels`.
ClassSummary summarise_classes(const ExampleSet& set, std::span<const std::string> labels);

// For messages: each label in quotes with its number of examples, those without an example left out.
std::string shown_classes(const ClassSummary& summary, std::span<const std::string> labels);

// A file of `label<TAB>text` or, on every line, `label<TAB>text<TAB>text`; no header. With `labels` empty it is filled
// with the file's distinct labels, sorted (as numbers where all are numbers); otherwise every label must be among them.
// Errors: kIo; kBadData with the line for a line of another number of columns, an empty label or first text, more than
// kMaxLabels distinct labels or fewer than two lines a label on average (the first column then is no label), only one
// label, labels that look the same but are not (blanks at the ends, for one), a first line that is a header, an empty
// file; kMismatch for a label that is not among `labels`, naming it, its line and those there are.
Expected<ExampleSet> read_labelled_file(const std::filesystem::path& path, std::string_view name,
                                        std::vector<std::string>& labels);

// Train, dev (to stop early by) and the sets to report on.
struct Task {
  std::string name;
  std::vector<std::string> labels;
  ExampleSet train;
  ExampleSet dev;
  std::vector<ExampleSet> tests;  // may be empty, may repeat dev
};

// "sst2", "snli", "mnli", "wordnet".
std::span<const std::string_view> named_tasks() noexcept;

// A named task. `data` holds sst2/, snli/ and mnli/ with their .tsv files (a header line, then columns); `data_noun` is
// for "wordnet", which needs no other file. What is what (docs/training.md):
//   sst2     train.tsv; dev = dev.tsv; tests dev, test_labeled.tsv
//   snli     train_18k.tsv; dev = dev.tsv; test test.tsv
//   mnli     train_10k.tsv but every 20th row, which is dev; test dev_matched.tsv. The final full stop of every text is
//            removed, as it is in the training rows.
//   wordnet  4,500 glosses; dev: 2,000; test: 1,500 (make_wordnet_task's parts)
// Errors: kInvalidArgument for another name; kIo, kBadData with file and line.
Expected<Task> read_named_task(std::string_view name, const std::filesystem::path& data,
                               const std::filesystem::path& data_noun = kWordnetNouns);

// A task of files in read_labelled_file's format; the labels are those of `train`. No test file: tests is dev.
// Errors: read_labelled_file's; kMismatch for a class that is in dev or test but not in train, or sets of which some
// are pairs and others are not.
Expected<Task> read_task_files(const std::filesystem::path& train, const std::filesystem::path& dev,
                               const std::optional<std::filesystem::path>& test);

// The examples as token ids, each of at most max_length >= 3.
std::vector<Encoding> encode_examples(const WordPieceTokenizer& tokenizer, const ExampleSet& set, int64_t max_length);

// Of two classifiers on the same n >= 1 examples: the difference of their accuracies (second minus first) and its 95 %
// interval by Agresti and Min (Statistics in Medicine 24, 2005): Wald's for matched pairs after half a count is added
// to each of the four cells, so that it stays honest where few or no examples differ.
struct PairedDifference {
  double difference = 0;
  double low = 0;
  double high = 0;
};
PairedDifference paired_difference(const std::vector<bool>& first_correct, const std::vector<bool>& second_correct);

}  // namespace hccs

#endif  // HCCS_SRC_TASKS_TASK_H_
