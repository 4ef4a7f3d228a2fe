// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_EVALUATE_CLASSIFIER_H_
#define HCCS_TOOLS_EVALUATE_CLASSIFIER_H_

#include <filesystem>
#include <string>
#include <vector>

#include "hccs/status.h"
#include "json_option.h"
#include "softmax_modes.h"
#include "task_option.h"

namespace hccs::tool {

struct ClassifierOptions {
  std::filesystem::path model;
  std::vector<std::filesystem::path> params;
  std::vector<std::string> softmax;  // SoftmaxMode's kinds to run; empty: all
  ChosenOutput chosen;
  TaskOption task;  // a named task, or a file of label<TAB>text[<TAB>text] whose labels are the model's
  int64_t max_length = 0;
  int threads = 1;
  JsonOption json;
};

// Prints, for every set of the task and every softmax, the accuracy and, where float is among those run, its paired
// difference to float.
Status evaluate_classifier(const ClassifierOptions& options);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_EVALUATE_CLASSIFIER_H_
