// SPDX-License-Identifier: Apache-2.0
//
// AdamW (Loshchilov and Hutter, arXiv 1711.05101) over plain arrays. Decay acts on matrices, not on biases and norms.
//
// Word embeddings are updated lazily: a row that no text of the batch holds keeps its value and its moments (as
// torch.optim.SparseAdam does), so a step costs as much as the batch has words, not as the vocabulary has. The bias
// correction counts every step.
#ifndef HCCS_TRAINING_OPTIMISER_H_
#define HCCS_TRAINING_OPTIMISER_H_

#include <cstdint>
#include <span>
#include <vector>

#include "hccs/param_file.h"
#include "training/options.h"
#include "training/softmax.h"
#include "training/weights.h"

namespace hccs::training {

// What one shard's pass left.
struct ShardGradients {
  std::span<const std::vector<float>> tensors;  // as Weights::tensors, [0] empty
  std::span<const int32_t> ids;                 // [tokens]
  std::span<const float> words;                 // [tokens, hidden]
};

class AdamW {
 public:
  AdamW(const Weights& weights, const AdamWOptions& options);

  // Sums the shards' gradients, in their order, and clips them; then updates the weights, unless the norm is not
  // finite. Returns the norm before clipping.
  double step(double learning_rate, std::span<const ShardGradients> shards, Weights* weights);

  // For checkpoints: the moments, as Weights::tensors.
  std::vector<std::vector<float>>& first_moments() noexcept { return m_; }
  std::vector<std::vector<float>>& second_moments() noexcept { return v_; }
  int64_t steps() const noexcept { return steps_; }
  void set_steps(int64_t steps) noexcept { steps_ = steps; }

 private:
  AdamWOptions options_;
  int64_t steps_ = 0;
  std::vector<std::vector<float>> m_;
  std::vector<std::vector<float>> v_;
  std::vector<std::vector<float>> sum_;  // of the shards' gradients
  std::vector<int32_t> word_place_;      // by id: its row of word_sum_, or -1
  std::vector<int32_t> words_;           // the ids of the batch, in order of first appearance
  std::vector<float> word_sum_;          // [words, hidden]
};

// The paper's future work: B, S_k, D_k and the step of every head as real numbers, trained by Adam in the units that
// the start suggests (B by its value, S by the largest slope, D by 32 units, the step by its logarithm), and rounded to
// the contract's integers for every forward.
class LearnableHeads {
 public:
  explicit LearnableHeads(std::span<const HeadEntry> start);

  void step(double learning_rate, std::span<const HeadGradient> gradients);

  // Valid parameters: rounded, positions strictly increasing, F >= 0. kl and rows are the start's.
  std::vector<HeadEntry> entries() const;

  // For checkpoints: values, first and second moments; 3 * (2 * kMaxKnees + 2) numbers a head.
  std::vector<double>& state() noexcept { return state_; }
  void set_steps(int64_t steps) noexcept { steps_ = steps; }

 private:
  std::vector<HeadEntry> start_;
  std::vector<double> state_;  // [heads, 3, latents]
  int64_t steps_ = 0;
};

}  // namespace hccs::training

#endif  // HCCS_TRAINING_OPTIMISER_H_
