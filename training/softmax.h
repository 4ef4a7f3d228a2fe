// SPDX-License-Identifier: Apache-2.0
//
// Attention's softmax as training sees it: the forward is exactly what a deployed model computes, the backward is
// written by hand. docs/training.md derives it.
//
// HCCS. The forward rounds logits to int8 at the head's step, x = clamp(round(l / step)), and runs the contract's
// integer softmax; p = integer / full scale. The backward is the exact derivative of the smooth surrogate at that
// point,
//
//   d_i = max x - x_i,  s_i = B - sum_k S_k min(d_i, D_k),  Z = sum s,  p_i = s_i / Z,
//
// with d round(t) / dt = 1 (straight-through), d clamp(t) / dt = 1 inside its range and 0 where it cut.
#ifndef HCCS_TRAINING_SOFTMAX_H_
#define HCCS_TRAINING_SOFTMAX_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "hccs/param_file.h"
#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/softmax.h"
#include "hccs/status.h"
#include "training/options.h"

namespace hccs::training {

// The derivative of the loss by one head's parameters.
struct HeadGradient {
  double offset = 0;
  std::array<double, kMaxKnees> slope{};
  std::array<double, kMaxKnees> position{};
  double step = 0;

  HeadGradient& operator+=(const HeadGradient& other);
  double size() const;  // the sum of the absolute values
};

// Rows of one head: [rows, keys], row-major.
struct SoftmaxBlock {
  int64_t head = 0;  // layer * heads + head
  int64_t rows = 0;
  int64_t keys = 0;                    // 1..65536
  const uint8_t* mask_bits = nullptr;  // as RowMask::bits, the same for every row; null: all valid
};

// Immutable, so that several threads may use it at once.
class TrainingSoftmax {
 public:
  static TrainingSoftmax exact();
  // steps: one a head, layers x heads. Errors: kInvalidArgument for no step, or one that is not positive and finite.
  static Expected<TrainingSoftmax> int8_exact(std::span<const double> steps);
  // Errors: those of SoftmaxPlan::hccs; kInvalidArgument for a step that is not positive and finite.
  static Expected<TrainingSoftmax> hccs(std::span<const HeadEntry> heads, Normalisation normalisation,
                                        OutputType output);

  // The block's probabilities; `p` may not alias `logits`. An invalid position, and a row without a valid one, gets 0.
  // Errors, and then nothing is written: kMismatch for a head that this has no parameters of; those of
  // SoftmaxPlan::run. Throws std::bad_alloc.
  [[nodiscard]] Status forward(const SoftmaxBlock& block, const float* logits, float* p) const;

  // grad_logits = the loss' derivative by the logits, from the same block's logits, probabilities and the derivative by
  // these; finite for finite input, 0 at invalid positions. `grad_p` may be `grad_logits`. Adds the derivative by the
  // head's parameters to *parameters unless it is null (kHccs only). Only for a block that forward() took. Throws
  // std::bad_alloc.
  void backward(const SoftmaxBlock& block, const float* logits, const float* p, const float* grad_p, float* grad_logits,
                HeadGradient* parameters) const;

  SoftmaxKind kind() const noexcept { return kind_; }

 private:
  struct Head {
    double step = 0;
    HeadParams params;
    std::array<float, 256> score{};  // s by distance
    std::array<float, 256> slope{};  // -ds/dd: the sum of S_k over d < D_k
  };

  explicit TrainingSoftmax(SoftmaxKind kind) : kind_(kind) {}
  Status check_head(const SoftmaxBlock& block) const;
  template <class Out>
  Status forward_hccs(const SoftmaxBlock& block, const float* logits, float full_scale, float* p) const;
  void backward_hccs(const SoftmaxBlock& block, const float* logits, const float* grad_p, float* grad_logits,
                     HeadGradient* parameters) const;

  SoftmaxKind kind_;
  std::vector<Head> heads_;
  std::shared_ptr<const SoftmaxPlan> plan_;
};

}  // namespace hccs::training

#endif  // HCCS_TRAINING_SOFTMAX_H_
