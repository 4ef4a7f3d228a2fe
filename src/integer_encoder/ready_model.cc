// SPDX-License-Identifier: Apache-2.0
#include "integer_encoder/ready_model.h"

#include <fmt/core.h>

#include <string>

#include "integer_kernels/pack_weights.h"

namespace hccs::internal {
namespace {

int64_t panels(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

class Maker {
 public:
  Maker(const IntegerModel& model, const IntegerKernels& kernels) : model_(model), kernels_(kernels) {}

  Status make(ReadyModel* ready) {
    ready->kernels = &kernels_;
    ready->weights = AlignedBytes(all_bytes());
    next_ = ready->weights.data();
    ready->embedding_norm = norm(model_.embedding_norm, ready);
    ready->layers.reserve(model_.layers.size());
    for (const IntLayer& layer : model_.layers) HCCS_RETURN_IF_ERROR(add_layer(layer, ready));
    if (model_.classifier) ready->pooler = linear(model_.classifier->pooler, kernels_.offset, ready);
    return {};
  }

 private:
  int64_t packed_bytes(const IntLinear& linear) const {
    return panels(linear.out) * kernels_.layout.panel_bytes(linear.in);
  }

  int64_t all_bytes() const {
    int64_t bytes = model_.classifier ? packed_bytes(model_.classifier->pooler) : 0;
    for (const IntLayer& layer : model_.layers) {
      bytes += packed_bytes(layer.query_key_value) + packed_bytes(layer.attention_output) +
               packed_bytes(layer.intermediate) + packed_bytes(layer.output);
    }
    return bytes;
  }

  Status add_layer(const IntLayer& layer, ReadyModel* ready) {
    ReadyLayer& to = ready->layers.emplace_back();
    to.query_key_value = linear(layer.query_key_value, kernels_.offset, ready);
    to.attention_output = linear(layer.attention_output, kernels_.offset, ready);
    to.intermediate = linear(layer.intermediate, kernels_.offset, ready);
    to.output = linear(layer.output, kernels_.columns_offset, ready);
    to.attention_norm = norm(layer.attention_norm, ready);
    to.output_norm = norm(layer.output_norm, ready);
    to.gelu = {.fraction = layer.gelu.fraction,
               .multiplier = layer.gelu.multiplier,
               .zero = layer.gelu.zero,
               .inner = model_.inner,
               .splits = layer.gelu.splits};
    if (model_.head_dimension() > kMaxAttentionDimension) return {};
    HCCS_ASSIGN_OR_RETURN(AttentionPlan plan, AttentionPlan::hccs(layer.heads, model_.weights, kernels_.name));
    to.attention.emplace(std::move(plan));
    return {};
  }

  // `offset` is what x has more than the definition's.
  ReadyLinear linear(const IntLinear& from, int32_t offset, ReadyModel* ready) {
    LinearArrays& arrays = *ready->linear_arrays.emplace_back(std::make_unique<LinearArrays>());
    const auto columns = static_cast<size_t>(panels(from.out) * kPanel);
    arrays.bias.resize(columns);
    arrays.shift.assign(from.shift.begin(), from.shift.end());
    arrays.shift.resize(columns);
    arrays.multiplier = from.multiplier;
    arrays.multiplier.resize(columns);
    arrays.out_shift.assign(from.out_shift.begin(), from.out_shift.end());
    arrays.out_shift.resize(columns);
    arrays.out_half.reserve(columns);
    for (const int32_t shift : arrays.out_shift) arrays.out_half.push_back((1 << shift) >> 1);
    for (size_t j = 0; j < from.bias.size(); ++j) {
      const int8_t* row = from.weights.data() + static_cast<int64_t>(j) * from.in;
      int32_t sum = 0;
      for (int64_t i = 0; offset != 0 && i < from.in; ++i) sum += row[i];
      arrays.bias[j] = from.bias[j] + ((1 << from.shift[j]) >> 1) - offset * sum;
    }
    std::byte* packed = next_;
    next_ += packed_bytes(from);
    pack_weights(kernels_.layout, from.weights.data(), from.in, from.out, packed);
    return {.in = from.in,
            .panels = panels(from.out),
            .weights = packed,
            .bias = arrays.bias.data(),
            .shift = arrays.shift.data(),
            .multiplier = arrays.multiplier.data(),
            .out_half = arrays.out_half.data(),
            .out_shift = arrays.out_shift.data()};
  }

  static std::vector<int32_t> with_half(const IntAffine& affine) {
    std::vector<int32_t> bias = affine.bias;
    for (int32_t& b : bias) b += 1 << (affine.shift - 1);
    return bias;
  }

  NormStep norm(const IntNorm& from, ReadyModel* ready) const {
    NormArrays& arrays = *ready->norm_arrays.emplace_back(std::make_unique<NormArrays>());
    arrays.int8_scale.assign(from.int8.scale.begin(), from.int8.scale.end());
    arrays.int8_bias = with_half(from.int8);
    arrays.skip_scale.assign(from.skip.scale.begin(), from.skip.scale.end());
    arrays.skip_bias = with_half(from.skip);
    return {.hidden = model_.hidden,
            .epsilon = from.epsilon,
            .int8 = {arrays.int8_scale.data(), arrays.int8_bias.data(), from.int8.shift},
            .skip = {arrays.skip_scale.data(), arrays.skip_bias.data(), from.skip.shift}};
  }

  const IntegerModel& model_;
  const IntegerKernels& kernels_;
  std::byte* next_ = nullptr;  // where the next product's weights go
};

}  // namespace

Expected<std::unique_ptr<const ReadyModel>> make_ready(const IntegerModel& model, std::string_view target) {
  // A plan knows which target is meant, and whether this CPU runs it.
  HCCS_ASSIGN_OR_RETURN(const AttentionPlan plan,
                        AttentionPlan::hccs(model.layers.front().heads, model.weights, target));
  const IntegerKernels* kernels = find_integer_kernels(plan.target());
  if (kernels == nullptr) {
    return Status(StatusCode::kUnsupported, fmt::format("target '{}' has no integer encoder", plan.target()));
  }
  auto ready = std::make_unique<ReadyModel>();
  HCCS_RETURN_IF_ERROR(Maker(model, *kernels).make(ready.get()));
  return std::unique_ptr<const ReadyModel>(std::move(ready));
}

}  // namespace hccs::internal
