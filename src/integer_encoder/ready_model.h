// SPDX-License-Identifier: Apache-2.0
//
// A model in the form that a target's kernels read.
#ifndef HCCS_SRC_INTEGER_ENCODER_READY_MODEL_H_
#define HCCS_SRC_INTEGER_ENCODER_READY_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include "hccs/attention.h"
#include "integer_encoder/model.h"
#include "integer_kernels/kernels.h"

namespace hccs::internal {

// Uninitialised bytes on the border of a cache line.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(int64_t bytes)
      : data_(static_cast<std::byte*>(::operator new(static_cast<size_t>(bytes), kAlign))), size_(bytes) {}

  std::byte* data() const noexcept { return data_.get(); }
  template <class T>
  T* as() const noexcept {
    return reinterpret_cast<T*>(data_.get());
  }
  int64_t size() const noexcept { return size_; }

 private:
  static constexpr std::align_val_t kAlign{64};
  struct Free {
    void operator()(std::byte* bytes) const noexcept { ::operator delete(bytes, kAlign); }
  };
  std::unique_ptr<std::byte, Free> data_;
  int64_t size_ = 0;
};

// What a ReadyLinear points to, but for its weights.
struct LinearArrays {
  std::vector<int32_t> bias;
  std::vector<int32_t> shift;
  std::vector<int16_t> multiplier;
  std::vector<int32_t> out_half;
  std::vector<int32_t> out_shift;
};

struct NormArrays {
  std::vector<int32_t> int8_scale;
  std::vector<int32_t> int8_bias;
  std::vector<int32_t> skip_scale;
  std::vector<int32_t> skip_bias;
};

struct ReadyLayer {
  ReadyLinear query_key_value;
  ReadyLinear attention_output;
  ReadyLinear intermediate;
  ReadyLinear output;
  NormStep attention_norm;
  NormStep output_norm;
  GeluStep gelu;
  // None for heads of more than kMaxAttentionDimension elements.
  std::optional<AttentionPlan> attention;
};

// Views of arrays that live in it, and of the model: neither moves.
struct ReadyModel {
  const IntegerKernels* kernels = nullptr;
  NormStep embedding_norm{};
  std::vector<ReadyLayer> layers;
  std::optional<ReadyLinear> pooler;

  AlignedBytes weights;
  std::vector<std::unique_ptr<LinearArrays>> linear_arrays;
  std::vector<std::unique_ptr<NormArrays>> norm_arrays;
};

// `target` as Engine::make's. The model is valid.
Expected<std::unique_ptr<const ReadyModel>> make_ready(const IntegerModel& model, std::string_view target);

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_READY_MODEL_H_
