// SPDX-License-Identifier: Apache-2.0
//
// The definition as fast as an instruction set allows: equal to the reference bit for bit on every target.
#ifndef HCCS_SRC_INTEGER_ENCODER_ENGINE_H_
#define HCCS_SRC_INTEGER_ENCODER_ENGINE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "integer_encoder/model.h"
#include "integer_encoder/reference.h"

namespace hccs::internal {

// The tokens of a text: 1 to the model's positions, ids in its vocabulary; those from second_begin on have type 1.
struct TextTokens {
  std::span<const int32_t> ids;
  int64_t second_begin;
};

// A model, its weights packed for a target, and memory to work in, which is kept from call to call. Any number of
// threads may use one object.
class Engine {
 public:
  // `target` is a name out of attention_targets(); empty: default_attention_target(). The model is valid and outlives
  // this object. Errors: kUnsupported if this build or this CPU lacks the target.
  static Expected<std::unique_ptr<const Engine>> make(const IntegerModel& model, std::string_view target = {});

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  std::string_view target() const noexcept;

  // As reference_forward.
  Expected<HiddenStates> forward(std::span<const int32_t> ids, int64_t second_begin, const HiddenSink& sink = {}) const;

  // As reference_forward and reference_embedding of each text: [texts, hidden]. Texts share the loads of the weights;
  // some hundred tokens in all are enough for that. At most `threads` >= 1 threads share the work: all rows, and
  // attention's heads. Throws std::system_error if they cannot be started.
  Status embed(std::span<const TextTokens> texts, int threads, int16_t* out) const;

  // As embed(), by reference_logits: [texts, labels].
  Status classify(std::span<const TextTokens> texts, int threads, int32_t* out) const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_ENGINE_H_
