// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_TASK_OPTION_H_
#define HCCS_TOOLS_TASK_OPTION_H_

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
#include <string>

#include "tasks/task.h"

namespace hccs::tool {

// A task as the command line names it, and where its files are.
struct TaskOption {
  std::string name;
  std::filesystem::path data;  // as --data names it, may be empty
  std::filesystem::path wordnet = kWordnetNouns;

  // Adds --data and --wordnet.
  void add_folders(CLI::App& app);

  // The folder of --data; otherwise that of the environment's HCCS_DATA, or its subfolder "data" if it has one. Empty
  // if neither names one.
  std::filesystem::path data_folder() const;

  // The task's sets. Errors: those of read_named_task(); kInvalidArgument if the task needs a folder and none is named;
  // kIo if the folder has none of this task. Both say what the folder must hold.
  Expected<Task> read() const;

  // A BERT vocabulary for a model from scratch: bert_vocab/vocab.txt in the data folder. Errors: kInvalidArgument if no
  // folder is named; kIo if it has no such file.
  Expected<std::filesystem::path> vocabulary() const;
};

// Says on stderr how many examples each class of a set has, and what may be a mistake among them.
void say_classes(const ExampleSet& set, std::span<const std::string> labels);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_TASK_OPTION_H_
