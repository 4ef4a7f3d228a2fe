// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_EVALUATE_INTEGER_H_
#define HCCS_TOOLS_EVALUATE_INTEGER_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "hccs/status.h"
#include "json_option.h"
#include "task_option.h"

namespace hccs::tool {

struct IntegerEvaluation {
  std::filesystem::path model;         // an integer model
  std::filesystem::path float_folder;  // the model that it was made of; may be empty for a classifier
  TaskOption task;
  std::vector<std::filesystem::path> text{};  // in place of a task
  int64_t max_length = 0;
  int threads = 1;
  JsonOption json;
};

// Embeddings of the task's glosses by both models: accuracy of nearest neighbours, cosines, the same nearest.
Status evaluate_integer_embeddings(const IntegerEvaluation& o);

// Embeddings of texts by both models: cosines, and whether the nearest other text stays the same. At least 2 texts.
Status evaluate_integer_texts(const IntegerEvaluation& o);

// Accuracy of an integer classifier on labelled texts, beside the float model's where that is named.
Status evaluate_integer_classifier(const IntegerEvaluation& o);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_EVALUATE_INTEGER_H_
