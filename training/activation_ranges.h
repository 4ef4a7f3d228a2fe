// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TRAINING_ACTIVATION_RANGES_H_
#define HCCS_TRAINING_ACTIVATION_RANGES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "hccs/model_folder.h"
#include "hccs/progress.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"
#include "training/bert.h"

namespace hccs::training {

// The scale of every place for a model of `layers` layers with int8 weights: those with the least squared error on the
// activations of the texts in the first batches, under the exact softmax. Progress is in batches. Errors: those of
// BertPass::logits; kCancelled.
Expected<ActivationScales> observe_activations(BertPass& pass, int64_t layers, std::span<const Encoding> texts,
                                               std::span<const std::vector<int32_t>> batches,
                                               const Progress& progress = {});

}  // namespace hccs::training

#endif  // HCCS_TRAINING_ACTIVATION_RANGES_H_
