// SPDX-License-Identifier: Apache-2.0
//
// One pass of a BERT classifier, forward and backward, by libtorch. The only header of training/ whose source includes
// torch's.
//
// Data parallel: a batch is split into shards, one BertPass each with gradients of its own, run by as many threads;
// each uses one core. That beats splitting every matrix product where matrices are small, and the sum of the shards'
// gradients has a fixed order.
#ifndef HCCS_TRAINING_BERT_H_
#define HCCS_TRAINING_BERT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "hccs/encoder.h"
#include "hccs/model_folder.h"
#include "hccs/tokenizer.h"
#include "training/attention.h"
#include "training/options.h"
#include "training/softmax.h"
#include "training/weights.h"

namespace hccs::training {

// The texts of a shard, packed one after another.
struct PackedTexts {
  std::vector<int32_t> ids;        // [tokens]
  std::vector<int32_t> positions;  // [tokens]: within the text
  std::vector<int32_t> types;      // [tokens]: 0, or 1 in a second text
  std::vector<int64_t> offsets;    // [texts + 1]
  int64_t texts() const { return std::ssize(offsets) - 1; }

  void add(const Encoding& text);
};

// Sees the activations of a place, before they are rounded. An error ends the pass.
using ActivationSink = std::function<Status(const ActivationPlace& place, std::span<const float> values)>;

class BertPass {
 public:
  // The weights outlive this, and their values stay where they are. Errors: kOutOfMemory; kUnsupported for what torch
  // throws.
  static Expected<BertPass> make(Weights& weights);
  ~BertPass();
  BertPass(BertPass&&) noexcept;

  // Forward and backward. Overwrites the gradients below. Returns the loss. Errors: those of TrainingSoftmax::forward;
  // kOutOfMemory; kUnsupported for what torch or oneDNN throws.
  Expected<Loss> run(const PackedTexts& texts, const TrainingSoftmax& softmax, const PassOptions& options,
                     const LossOptions& loss);

  // Forward only: the logits, [texts, classes]. The sinks may be empty. Errors: those of run() and of the sinks.
  Expected<std::vector<float>> logits(const PackedTexts& texts, const TrainingSoftmax& softmax,
                                      const PassOptions& options, const LogitSink& attention_logits = {},
                                      const ActivationSink& activations = {});

  // By tensor, as Weights::tensors; that of the word embeddings is empty.
  std::span<const std::vector<float>> gradients() const;
  // [tokens, hidden]: by the word embedding of each token of the last run.
  std::span<const float> word_gradient() const;
  // layers * heads.
  std::span<const HeadGradient> head_gradients() const;

 private:
  struct Impl;
  explicit BertPass(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

// Makes torch, its BLAS and OpenMP use one thread in the calling thread.
void use_one_thread();

}  // namespace hccs::training

#endif  // HCCS_TRAINING_BERT_H_
