// SPDX-License-Identifier: Apache-2.0
#include "task_option.h"

#include <fmt/core.h>

#include <cstdlib>
#include <string_view>
#include <system_error>

#include "console.h"
#include "hccs/file.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

// The files that a named task reads in the data folder; empty for one that needs no folder.
std::string_view needed_files(std::string_view task) {
  if (task == "sst2") return "sst2/train.tsv, sst2/dev.tsv and sst2/test_labeled.tsv";
  if (task == "snli") return "snli/train_18k.tsv, snli/dev.tsv and snli/test.tsv";
  if (task == "mnli") return "mnli/train_10k.tsv and mnli/dev_matched.tsv";
  return {};
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

}  // namespace

void TaskOption::add_folders(CLI::App& app) {
  app.add_option("--data", data, "folder with sst2/, snli/, mnli/ and bert_vocab/ (default: $HCCS_DATA)");
  app.add_option("--wordnet", wordnet, "WordNet's data.noun")->capture_default_str();
}

fs::path TaskOption::data_folder() const {
  if (!data.empty()) return data;
  const char* variable = std::getenv("HCCS_DATA");
  if (variable == nullptr || *variable == '\0') return {};
  const fs::path folder = variable;
  // A link that leads nowhere is no missing folder: reading from it says so.
  std::error_code ignored;
  const bool nested = is_folder(folder / "data") || fs::is_symlink(folder / "data", ignored);
  return nested ? folder / "data" : folder;
}

Expected<Task> TaskOption::read() const {
  const fs::path folder = data_folder();
  const std::string_view files = needed_files(name);
  if (!files.empty() && folder.empty()) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("task {0} needs a folder that holds {1}: name it by --data DIR or in HCCS_DATA", name, files));
  }
  HCCS_RETURN_IF_ERROR(files.empty() ? Status() : is_present(folder / name).status());
  if (!files.empty() && !is_folder(folder / name)) {
    return Status(StatusCode::kIo,
                  fmt::format("{}: no folder {}/, but task {} needs {}", folder.string(), name, name, files));
  }
  return read_named_task(name, folder, wordnet);
}

Expected<fs::path> TaskOption::vocabulary() const {
  const fs::path folder = data_folder();
  if (folder.empty()) {
    return Status(
        StatusCode::kInvalidArgument,
        "a model from scratch needs a vocabulary: name a BERT vocab.txt (one token a line) by --vocabulary FILE, or "
        "a folder that holds bert_vocab/vocab.txt by --data DIR or in HCCS_DATA");
  }
  const fs::path file = folder / "bert_vocab/vocab.txt";
  HCCS_ASSIGN_OR_RETURN(const bool there, is_present(file));
  if (!there) {
    return Status(StatusCode::kIo, fmt::format("{}: no bert_vocab/vocab.txt, which a model from scratch needs unless "
                                               "--vocabulary FILE names a BERT vocab.txt",
                                               folder.string()));
  }
  return file;
}

void say_classes(const ExampleSet& set, std::span<const std::string> labels) {
  const ClassSummary summary = summarise_classes(set, labels);
  message("{}: {} examples; classes: {}\n", set.name, set.examples.size(), shown_classes(summary, labels));
  for (const std::string& remark : summary.remarks) warning("{}: {}", set.name, remark);
}

}  // namespace hccs::tool
