// SPDX-License-Identifier: Apache-2.0
//
// Texts, labelled texts, tasks and WordNet's glosses. The first byte chooses the reader; then come one to three files,
// with NUL between them.
#include <array>
#include <filesystem>
#include <optional>

#include "hccs/text.h"
#include "scratch.h"
#include "tasks/task.h"
#include "tasks/wordnet.h"

namespace hccs::fuzz {
namespace {

void check_examples(const ExampleSet& set, const std::vector<std::string>& labels) {
  check(!set.examples.empty(), "a set has an example");
  for (const Example& example : set.examples) {
    check(example.label >= 0 && example.label < std::ssize(labels), "every example has one of the labels");
    check(set.pairs || example.second.empty(), "single texts have no second one");
  }
}

void check_task(const Expected<Task>& task) {
  if (!accepted(task.status())) return;
  check(task->labels.size() >= 2, "a task has two labels");
  check_examples(task->train, task->labels);
  for (const ExampleSet& set : task->tests) check_examples(set, task->labels);
}

void read_texts(const std::filesystem::path& path, bool keep_empty) {
  const auto lines = read_text_lines({&path, 1}, keep_empty);
  if (!accepted(lines.status())) return;
  check(!lines->empty(), "a file of texts has a text");
  for (const std::string& line : *lines) {
    check(keep_empty || !line.empty(), "no empty line where none is wanted");
    check(line.find('\n') == line.npos, "a line is one line");
  }
}

void read_glosses(const std::filesystem::path& path) {
  const auto glosses = read_wordnet_glosses(path);
  if (!accepted(glosses.status())) return;
  for (const LabelledText& gloss : *glosses) {
    check(!gloss.text.empty() && gloss.label >= 3 && gloss.label <= 28, "a gloss has a text and a noun's label");
  }
  const auto count = static_cast<int64_t>(glosses->size());
  const auto task = make_wordnet_task(*glosses, 7, count / 3, count / 3, count / 3);
  accepted(task.status());
}

}  // namespace
}  // namespace hccs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  std::string_view input = text_of(data, size);
  const int reader = take_byte(input) % 7;
  if (reader < 2) {  // the one reader whose file may hold any byte
    read_texts(scratch().put("texts", input), reader == 1);
    return 0;
  }
  std::filesystem::create_directory(scratch().folder() / "sst2");
  std::filesystem::create_directory(scratch().folder() / "snli");
  const bool pairs = reader == 6;
  const auto first = scratch().put(pairs ? "snli/train_18k.tsv" : "sst2/train.tsv", take_part(input));
  const auto second = scratch().put(pairs ? "snli/dev.tsv" : "sst2/dev.tsv", take_part(input));
  const auto third = scratch().put(pairs ? "snli/test.tsv" : "sst2/test_labeled.tsv", input);
  std::vector<std::string> labels;
  switch (reader) {
    case 2:
      if (const auto set = hccs::read_labelled_file(first, "set", labels); accepted(set.status())) {
        check_examples(*set, labels);
      }
      break;
    case 3:
      read_glosses(first);
      break;
    case 4:
      check_task(hccs::read_task_files(first, second, input.empty() ? std::nullopt : std::optional(third)));
      break;
    default:
      check_task(hccs::read_named_task(pairs ? "snli" : "sst2", scratch().folder()));
      break;
  }
  return 0;
}
