// SPDX-License-Identifier: Apache-2.0
//
// hccs::probabilities for ExecuTorch: what hccs.torch's operator of this name computes, on a device that has no Python.
// Models with hccs.torch.Softmax, or that hccs.torch.apply() was called on, export to it (example.py).
#include <executorch/extension/kernel_util/make_boxed_from_unboxed_functor.h>
#include <executorch/runtime/kernel/kernel_includes.h>
#include <hccs/quantise.h>
#include <hccs/softmax.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::runtime::KernelRuntimeContext;

hccs::Status refuse(const char* what) { return {hccs::StatusCode::kInvalidArgument, what}; }

hccs::Expected<std::vector<hccs::HeadParams>> heads_of(const Tensor& b, const Tensor& s, const Tensor& d) {
  if (b.scalar_type() != ScalarType::Float || s.scalar_type() != ScalarType::Float ||
      d.scalar_type() != ScalarType::Float) {
    return refuse("B, S and D must be float32");
  }
  const int64_t heads = b.numel();
  if (s.dim() != 2 || s.size(1) != heads || d.dim() != 2 || d.size(1) != heads || s.size(0) != d.size(0)) {
    return refuse("S and D must have the shape [K, heads], B [heads]");
  }
  std::vector<hccs::HeadParams> result;
  for (int64_t h = 0; h < heads; ++h) {
    std::vector<hccs::Knee> knees;
    for (int64_t k = 0; k < s.size(0); ++k) {
      const auto slope = static_cast<int32_t>(s.const_data_ptr<float>()[k * heads + h]);
      if (slope != 0) knees.push_back({slope, static_cast<int32_t>(d.const_data_ptr<float>()[k * heads + h])});
    }
    if (knees.empty()) knees.push_back({0, 1});
    result.emplace_back(static_cast<int32_t>(b.const_data_ptr<float>()[h]), knees);
  }
  return result;
}

// The mask's bits of every row of the logits, the mask broadcast to them.
hccs::Expected<std::vector<uint8_t>> bits_of(const Tensor& mask, const Tensor& logits) {
  if (mask.scalar_type() != ScalarType::Bool || mask.dim() > logits.dim())
    return refuse("mask must be bool, of the logits' axes");
  const int64_t axes = logits.dim(), keys = logits.size(axes - 1), bytes = (keys + 7) / 8;
  std::vector<int64_t> strides(axes, 0);
  int64_t stride = 1;
  for (int64_t i = mask.dim(); i-- > 0; stride *= mask.size(i)) {
    const int64_t axis = axes - mask.dim() + i;
    if (mask.size(i) != 1 && mask.size(i) != logits.size(axis)) return refuse("mask does not broadcast to the logits");
    strides[axis] = mask.size(i) == 1 ? 0 : stride;
  }
  const int64_t rows = logits.numel() / keys;
  const bool* valid = mask.const_data_ptr<bool>();
  std::vector<uint8_t> bits(rows * bytes);
  for (int64_t row = 0; row < rows; ++row) {
    int64_t at = 0, left = row;
    for (int64_t axis = axes - 1; axis-- > 0; left /= logits.size(axis)) at += left % logits.size(axis) * strides[axis];
    for (int64_t i = 0; i < keys; ++i) {
      bits[row * bytes + i / 8] |= static_cast<uint8_t>(valid[at + i * strides[axes - 1]] << (i % 8));
    }
  }
  return bits;
}

template <class Out>
hccs::Status run(const hccs::SoftmaxPlan& plan, const Tensor& logits, const std::optional<Tensor>& mask,
                 const Tensor& step, float full, Tensor& out) {
  const int64_t axes = logits.dim(), heads = logits.size(axes - 3), queries = logits.size(axes - 2);
  const int64_t keys = logits.size(axes - 1), block = queries * keys, bytes = (keys + 7) / 8;
  std::vector<uint8_t> bits;
  if (mask) {
    HCCS_ASSIGN_OR_RETURN(bits, bits_of(*mask, logits));
  }
  std::vector<int8_t> x(block);
  std::vector<Out> p(block);
  for (int64_t at = 0; at < logits.numel(); at += block) {
    const int64_t head = at / block % heads;
    hccs::quantise_logits({logits.const_data_ptr<float>() + at, x.size()}, step.const_data_ptr<double>()[head], x);
    auto batch = hccs::SoftmaxBatch<Out>::dense(x.data(), p.data(), {.heads = 1, .queries = queries, .keys = keys});
    batch.first_head = head;
    if (mask) {
      batch = batch.with_bits({bits.data() + at / keys * bytes, static_cast<size_t>(queries * bytes)});
      batch.first_head = head;
    }
    HCCS_RETURN_IF_ERROR(plan.run(batch));
    float* to = out.mutable_data_ptr<float>() + at;
    for (int64_t i = 0; i < block; ++i) to[i] = static_cast<float>(p[i]) / full;
  }
  return {};
}

hccs::Status compute(const Tensor& logits, const std::optional<Tensor>& mask, const Tensor& b, const Tensor& s,
                     const Tensor& d, const Tensor& step, std::string_view normalisation, std::string_view output_type,
                     Tensor& out) {
  const auto mode = hccs::parse_normalisation(normalisation);
  const auto output = hccs::parse_output_type(output_type);
  if (!mode || !output) return refuse("unknown normalisation or output_type");
  if (logits.scalar_type() != ScalarType::Float || logits.dim() < 3 || logits.size(logits.dim() - 3) != b.numel()) {
    return refuse("logits must be float32 [..., heads, queries, keys]");
  }
  if (step.scalar_type() != ScalarType::Double || step.numel() != b.numel())
    return refuse("step must be float64 [heads]");
  if (logits.numel() == 0) return {};
  HCCS_ASSIGN_OR_RETURN(const std::vector<hccs::HeadParams> heads, heads_of(b, s, d));
  // An engine would keep the plan: making it takes about a microsecond a head.
  HCCS_ASSIGN_OR_RETURN(const hccs::SoftmaxPlan plan, hccs::SoftmaxPlan::hccs(heads, *mode, *output));
  return *output == hccs::OutputType::kUint8 ? run<uint8_t>(plan, logits, mask, step, 255, out)
                                             : run<int16_t>(plan, logits, mask, step, 32767, out);
}

Tensor& probabilities_out(KernelRuntimeContext& context, const Tensor& logits, const std::optional<Tensor>& mask,
                          const Tensor& b, const Tensor& s, const Tensor& d, const Tensor& step,
                          std::string_view normalisation, std::string_view output_type, Tensor& out) {
  const auto resized = executorch::runtime::resize_tensor(out, logits.sizes());
  const hccs::Status status = resized == executorch::runtime::Error::Ok
                                  ? compute(logits, mask, b, s, d, step, normalisation, output_type, out)
                                  : refuse("the result cannot be resized to the logits' shape");
  if (!status.ok()) {
    ET_LOG(Error, "hccs::probabilities: %s", status.message().c_str());
    context.fail(executorch::runtime::Error::InvalidArgument);
  }
  return out;
}

}  // namespace

EXECUTORCH_LIBRARY(hccs, "probabilities.out", probabilities_out);
