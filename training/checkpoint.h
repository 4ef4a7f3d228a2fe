// SPDX-License-Identifier: Apache-2.0
//
// Everything that a run needs to continue: one safetensors file, replaced atomically.
#ifndef HCCS_TRAINING_CHECKPOINT_H_
#define HCCS_TRAINING_CHECKPOINT_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "hccs/status.h"
#include "training/optimiser.h"
#include "training/weights.h"

namespace hccs::training {

// Where a run stands, beside weights and moments.
struct RunState {
  int64_t step = 0;
  double loss = 0;            // cross entropy, running mean
  double distillation = 0;    // likewise; 0 without a teacher
  double best_accuracy = -1;  // of an evaluation so far
  int64_t best_step = 0;
  int64_t since_best = 0;  // evaluations
  double seconds = 0;
  struct Point {
    int64_t step;
    double accuracy;
    double loss;
  };
  std::vector<Point> history;
};

// `options` describes the run: JSON text that is compared whole. `heads` may be null.
Status write_checkpoint(const std::filesystem::path& path, const std::string& options, const RunState& state,
                        const Weights& weights, AdamW& optimiser, LearnableHeads* heads);

// Errors: those of Safetensors; kMismatch if it is of a run with other options, naming the first that differs.
Expected<RunState> read_checkpoint(const std::filesystem::path& path, const std::string& options, Weights* weights,
                                   AdamW* optimiser, LearnableHeads* heads);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_CHECKPOINT_H_
