// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TRAINING_CALIBRATE_HEADS_H_
#define HCCS_TRAINING_CALIBRATE_HEADS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hccs/calibration.h"
#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/progress.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"
#include "training/bert.h"

namespace hccs::training {

struct HeadCalibration {
  std::string model;  // name, for the parameter file
  uint64_t seed = 0;
  PassOptions pass;  // the model's arithmetic beside its exact softmax
  CalibrationOptions options;
  Progress read_progress{};  // in batches
};

// The model's heads, fitted to a sample of the rows of the texts in `batches`, whose indices are all different. Errors:
// those of BertPass::logits and calibrate(); kCancelled.
Expected<ParamFile> calibrate_heads(BertPass& pass, const BertConfig& config, std::span<const Encoding> texts,
                                    std::span<const std::vector<int32_t>> batches, const HeadCalibration& how);

}  // namespace hccs::training

#endif  // HCCS_TRAINING_CALIBRATE_HEADS_H_
