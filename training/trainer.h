// SPDX-License-Identifier: Apache-2.0
//
// Training and retraining of BERT classifiers with HCCS in the forward pass.
#ifndef HCCS_TRAINING_TRAINER_H_
#define HCCS_TRAINING_TRAINER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/calibration.h"
#include "hccs/encoder.h"
#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/progress.h"
#include "hccs/reference.h"
#include "hccs/status.h"
#include "tasks/task.h"
#include "training/options.h"
#include "training/output_folder.h"

namespace hccs::training {

struct TrainProgress {
  int64_t step = 0;  // steps done
  int64_t steps = 0;
  // Means of the last 100 steps or so, in nats a text. The loss is the labels' cross entropy, with a teacher too; then
  // the distillation is the KL of the teacher's softmax to the model's, both at the temperature.
  double loss = 0;
  std::optional<double> distillation;
  double dev_accuracy = -1;  // the last evaluation's; -1: none yet
  double best_accuracy = -1;
  double tokens_per_second = 0;
  double seconds_left = 0;
  std::string_view evaluating{};  // a set that is being evaluated; empty: none is
  int64_t texts_evaluated = 0;    // of it
  int64_t texts = 0;
};
// Called after every step and during evaluations, from one thread at a time. Return false to stop: a checkpoint is
// written first.
using TrainReport = std::function<bool(const TrainProgress&)>;

struct Evaluation {
  int64_t step = 0;
  double accuracy = 0;
  double loss = 0;  // TrainProgress::loss then
};

struct TrainResult {
  int64_t steps = 0;
  int64_t best_step = 0;
  // Of the folder written, by hccs::BertEncoder; not measured (-1, empty) where no step was trained.
  double dev_accuracy = -1;
  std::vector<std::pair<std::string, double>> test_accuracies;  // by set, in the task's order
  // Likewise of the integer model of the folder, by hccs::IntegerEncoder; empty where there is none, and if nothing was
  // trained.
  std::vector<std::pair<std::string, double>> integer_accuracies;
  Status integers;            // why there is no integer model, kUnsupported
  bool has_integers = false;  // the folder has one
  double seconds = 0;         // training, without evaluations; of this run
  double tokens_per_second = 0;
  std::vector<Evaluation> history;
  // The model had a classifier of other labels than the task's: it began as a random one.
  bool replaced_classifier = false;
  bool without_classifier = false;  // nor was one made, with 0 epochs: the folder is an encoder alone
};

// Makes the report of a part of the work before the first step, which may be long: what it does, and in which units.
using PartReport = std::function<Progress(const std::string& label, const std::string& unit)>;

// Trains and writes the folder: a Hugging Face BertForSequenceClassification of the best dev accuracy, params.json
// (unless the softmax is exact), activation_scales.json (quantise_all), model.hccs (quantise_all with HCCS: the integer
// model, hccs/integer_encoder.h, where there can be one), training.json. While it runs the folder holds a checkpoint; a
// run that was ended in any way continues with `resume` to the same weights.
//
// Errors: kInvalidArgument for options out of range, or an output folder that holds a model which no unfinished run
// left; kMismatch for a folder, parameters, a teacher or a checkpoint that do not belong together; kIo; kBadData for a
// loss, gradient or logit that is not finite (with the step; the last checkpoint stays, and the best weights);
// kCancelled, after a checkpoint if a step was done, also where an evaluation was stopped, which `resume` repeats;
// kOutOfMemory; kUnsupported for what torch throws; whatever reading the model and calibrating say.
Expected<TrainResult> train(const Task& task, const TrainOptions& options, const TrainReport& report,
                            const PartReport& part_report = {});

// The softmax that a deployed model runs. Errors: those of make_int8_exact_softmax and make_hccs_softmax.
Expected<std::unique_ptr<AttentionSoftmax>> deployed_softmax(SoftmaxKind kind, const ParamFile& params,
                                                             Normalisation normalisation, OutputType output);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_TRAINER_H_
