// SPDX-License-Identifier: Apache-2.0
//
// The command line of `hccs train`. The program hccs knows it for help, usage errors and completion, and hands the
// arguments to the program hccs-train, which alone needs libtorch and reads them once more.
#ifndef HCCS_TOOLS_TRAIN_OPTIONS_H_
#define HCCS_TOOLS_TRAIN_OPTIONS_H_

#include <filesystem>
#include <functional>
#include <string>

#include "command.h"
#include "json_option.h"
#include "task_option.h"
#include "training/options.h"

namespace hccs::tool {

struct TrainCommand {
  TaskOption task;
  std::filesystem::path train_file, dev_file, test_file;
  std::filesystem::path model, vocabulary, params, teacher;
  int64_t take_layers = 0;
  int64_t layers = 2, hidden = 128, heads = 2, intermediate = 0, positions = 512;
  std::string softmax = "exact", limits = "native", share = "head", normalisation = "scaled", output_type = "uint8";
  std::string on_unfit = "default";
  std::string quantise;
  training::TrainOptions train;
  JsonOption json;
};

// Adds the command; `run` is what it does.
Command add_train(CLI::App& root, std::function<Status(const TrainCommand&)> run);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_TRAIN_OPTIONS_H_
