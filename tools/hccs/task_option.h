// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_TASK_OPTION_H_
#define HCCS_TOOLS_TASK_OPTION_H_

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "tasks/task.h"

namespace hccs::tool {

// A task as the command line names it, and where its files are.
struct TaskOption {
  std::string name;
  std::filesystem::path data;  // empty: HCCS_DATA/data
  std::filesystem::path wordnet = kWordnetNouns;

  // Adds --data and --wordnet.
  void add_folders(CLI::App& app);

  // --data; otherwise the folder "data" in the environment's HCCS_DATA, or in ../shared.
  std::filesystem::path data_folder() const;

  Expected<Task> read() const { return read_named_task(name, data_folder(), wordnet); }
};

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_TASK_OPTION_H_
