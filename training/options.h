// SPDX-License-Identifier: Apache-2.0
//
// What a training run can be told, and what it tells its parts.
#ifndef HCCS_TRAINING_OPTIONS_H_
#define HCCS_TRAINING_OPTIONS_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "hccs/calibrate_model.h"
#include "hccs/calibration.h"
#include "hccs/model_folder.h"
#include "hccs/reference.h"

namespace hccs::training {

enum class SoftmaxKind { kExact, kInt8Exact, kHccs };

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  double clip_norm = 1.0;  // of all gradients together; 0: none
  bool freeze_word_embeddings = false;
};

// A run.
struct TrainOptions {
  // The model: a folder, or from scratch in `shape` with the vocabulary `vocabulary`.
  std::optional<std::filesystem::path> model;
  std::optional<int64_t> take_layers;  // of the folder: its first layers
  BertConfig shape;                    // from scratch; vocabulary_size 0: the vocabulary's
  std::filesystem::path vocabulary;

  SoftmaxKind softmax = SoftmaxKind::kExact;
  std::optional<std::filesystem::path> params;  // of that model; otherwise calibrated on its training texts
  CalibrationOptions calibration{};             // without params; threads is ignored
  int64_t calibration_batches = 64;
  Normalisation normalisation = Normalisation::kScaled;
  OutputType output_type = OutputType::kUint8;
  bool learnable = false;         // kHccs: B, S_k, D_k and the step are trained too; native limits, one set a head
  double head_learning_rate = 0;  // of those, in their units; 0: 10 times learning_rate
  bool quantise_all = false;

  int64_t epochs = 3;  // 0: nothing is trained, the folder holds the start (calibrated, its ranges observed)
  int64_t batch_size = 32;
  double learning_rate = 5e-4;
  double warmup = 0.1;  // share of all steps
  double dropout = 0.1;
  AdamWOptions adamw{};
  int64_t max_length = 128;
  int64_t max_examples = 0;                      // 0: all; otherwise that many, drawn by the seed
  int64_t patience = 0;                          // evaluations without a better dev accuracy until it stops; 0: never
  int64_t evaluations = 1;                       // an epoch
  std::optional<std::filesystem::path> teacher;  // distillation from this folder's exact softmax
  double distillation_weight = 0.5;
  double temperature = 2;

  uint64_t seed = 1;
  int threads = 1;  // shards of a batch. The result depends on it.
  int64_t checkpoint_steps = 500;
  bool resume = false;
  std::filesystem::path output;  // the folder to write

  // Told of each set (its name, and what truncation did to its texts) before it is used.
  std::function<void(std::string_view set, const EncodedTexts& texts)> report_truncation{};
};

// What LossOptions asks for.
struct LossOptions {
  std::span<const int32_t> labels;          // [texts]
  std::span<const float> teacher_logits{};  // [texts, classes]: distillation; empty: none
  double distillation_weight = 0;           // 0..1: how much of the loss is the teacher's
  double temperature = 2;
  int64_t batch_texts = 1;  // the loss is the sum over the shard's texts divided by this
};

// The loss of one shard of a batch, in nats: sums over its texts divided by LossOptions::batch_texts.
struct Loss {
  double total = 0;          // what is minimised; with a teacher not comparable with that of a run without
  double cross_entropy = 0;  // of the labels
  double distillation = 0;   // KL(teacher || model), both at the temperature; 0 without a teacher
};

// What a pass does beside the float model's arithmetic.
struct PassOptions {
  double hidden_dropout = 0;
  double attention_dropout = 0;
  uint64_t dropout_seed = 0;                 // of this step and shard
  bool int8_weights = false;                 // rounded to their grids on the way, straight-through
  const ActivationScales* scales = nullptr;  // likewise activations
};

}  // namespace hccs::training

#endif  // HCCS_TRAINING_OPTIONS_H_
