// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_EVALUATE_INTEGER_H_
#define HCCS_TOOLS_EVALUATE_INTEGER_H_

#include <cstdint>
#include <filesystem>

#include "hccs/status.h"
#include "json_option.h"
#include "task_option.h"

namespace hccs::tool {

struct IntegerEvaluation {
  std::filesystem::path model;         // an integer model
  std::filesystem::path float_folder;  // the model that it was made of; may be empty for a classifier
  TaskOption task;
  int64_t max_length = 0;
  int threads = 1;
  JsonOption json;
};

// Embeddings of the task's glosses by both models: accuracy of nearest neighbours, cosines, the same nearest.
Status evaluate_integer_embeddings(const IntegerEvaluation& o);

// Accuracy of an integer classifier on labelled texts, beside the float model's where that is named.
Status evaluate_integer_classifier(const IntegerEvaluation& o);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_EVALUATE_INTEGER_H_
