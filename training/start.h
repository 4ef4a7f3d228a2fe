// SPDX-License-Identifier: Apache-2.0
//
// What a training run begins with, checked before anything is trained or written.
#ifndef HCCS_TRAINING_START_H_
#define HCCS_TRAINING_START_H_

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"
#include "tasks/task.h"
#include "training/options.h"
#include "training/weights.h"

namespace hccs::training {

struct Start {
  Weights weights;
  std::optional<std::filesystem::path> unchanged_weights{};  // the file that holds just those weights, if there is one
  WordPieceTokenizer tokenizer;
  std::filesystem::path source;      // the model folder or the vocabulary, for messages
  std::vector<ModelFile> files;      // for the folder to write: the tokeniser's, and those of the sentence pipeline
  bool replaces_classifier = false;  // the model's has other labels than the task
  // The model has no classifier of texts, and with 0 epochs it gets none: the task's is in `weights`, which a pass
  // needs, but it is not written, and the labels are empty.
  bool without_classifier = false;
  ExampleSet train{};  // the task's, or those of them that were drawn
  // Those that were named. Otherwise what to calibrate: knees, limits and share, and no entries.
  ParamFile params{};
  std::string params_digest{};  // empty: none were named
};

// Errors: those of train() for its options and what they name.
Expected<Start> make_start(const Task& task, const TrainOptions& options);

// What a run's result depends on, as JSON: a run resumes only with the same.
std::string describe(const TrainOptions& options, const Task& task, const Start& start,
                     const std::string& teacher_digest);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_START_H_
