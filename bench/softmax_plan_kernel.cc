// SPDX-License-Identifier: Apache-2.0
#include "softmax_plan_kernel.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "hccs/softmax.h"

namespace hccs::bench {
namespace {

// A definition of one row's output.
template <class Out>
using Define = std::function<Status(std::span<const int8_t> logits, const RowMask& mask, std::span<Out> out)>;

// A SoftmaxPlan on batches with one kind of mask.
template <class Out>
class PlanKernel : public Kernel {
 public:
  PlanKernel(SoftmaxPlan plan, Define<Out> define, const std::string& mask, const Data& data, const Shape& shape)
      : plan_(std::move(plan)),
        define_(std::move(define)),
        shape_(shape),
        valid_lengths_(shape.rows(), static_cast<int32_t>(shape.keys / 2)) {
    const int64_t mask_bytes = (shape.keys + 7) / 8;
    for (int64_t batch = 0; batch < shape.batches; ++batch) {
      const int64_t start = batch * shape.stride();
      auto b = SoftmaxBatch<Out>::dense(data.s8.data() + start, reinterpret_cast<Out*>(data.out.data()) + start,
                                        {shape.heads, shape.queries, shape.keys});
      if (mask == kHalf) {
        b = b.with_lengths(valid_lengths_);
      } else if (mask == kCausal) {
        b.causal_offset = 0;
      } else if (mask == kBits) {
        const int64_t bytes = shape.rows() * mask_bytes;
        b = b.with_bits(data.mask_bits.subspan(batch * bytes, bytes));
      }
      batches_.push_back(b);
    }
  }

  bool run(int64_t batch) override { return plan_.run(batches_[batch]).ok(); }

  Status verify() const override {
    std::vector<Out> expected(shape_.keys);
    for (size_t batch = 0; batch < batches_.size(); ++batch) {
      const SoftmaxBatch<Out>& b = batches_[batch];
      for (int64_t row = 0; row < shape_.rows(); ++row) {
        RowMask mask;
        if (b.valid_lengths != nullptr) mask.valid_length = valid_lengths_[row];
        if (b.causal_offset) mask.last_visible = row % shape_.queries + *b.causal_offset;
        if (b.mask_bits != nullptr) mask.bits = b.mask_bits + row * b.mask_query_stride;
        HCCS_RETURN_IF_ERROR(define_({b.logits + row * shape_.keys, expected.size()}, mask, expected));
        const Out* got = b.out + row * shape_.keys;
        const auto [want, differs] = std::mismatch(expected.begin(), expected.end(), got);
        if (want != expected.end()) {
          return {StatusCode::kMismatch, fmt::format("batch {}, row {}, position {}: {}, but the definition gives {}",
                                                     batch, row, differs - got, *differs, *want)};
        }
      }
    }
    return {};
  }

  std::string target() const override { return std::string(plan_.target()); }

 private:
  SoftmaxPlan plan_;
  Define<Out> define_;
  Shape shape_;
  std::vector<int32_t> valid_lengths_;
  std::vector<SoftmaxBatch<Out>> batches_;
};

}  // namespace

template <class Out>
MakeKernel hccs_kernel(const HeadParams& params, Normalisation normalisation, const std::string& mask,
                       std::string_view target) {
  return [=](const Data& data, const Shape& shape) -> Expected<std::unique_ptr<Kernel>> {
    const std::vector<HeadParams> heads(shape.heads, params);
    constexpr OutputType kOutput = sizeof(Out) == 1 ? OutputType::kUint8 : OutputType::kInt16;
    HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::hccs(heads, normalisation, kOutput, target));
    const Define<Out> define = [=](std::span<const int8_t> logits, const RowMask& row_mask, std::span<Out> out) {
      return softmax_reference(params, normalisation, logits, row_mask, out);
    };
    return std::unique_ptr<Kernel>(std::make_unique<PlanKernel<Out>>(std::move(plan), define, mask, data, shape));
  };
}

template <class Out>
MakeKernel exact_kernel(double step, Normalisation normalisation, std::string_view target) {
  return [=](const Data& data, const Shape& shape) -> Expected<std::unique_ptr<Kernel>> {
    const std::vector<double> steps(shape.heads, step);
    constexpr OutputType kOutput = sizeof(Out) == 1 ? OutputType::kUint8 : OutputType::kInt16;
    HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::exact_lut(steps, normalisation, kOutput, target));
    std::vector<int64_t> score(256);
    for (int d = 0; d < 256; ++d) score[d] = std::lround(kFullScaleInt16 * std::exp(-step * d));
    const Define<Out> define = [=](std::span<const int8_t> logits, const RowMask&, std::span<Out> out) {
      const int maximum = *std::max_element(logits.begin(), logits.end());
      int64_t sum = 0;
      for (const int8_t x : logits) sum += score[maximum - x];
      std::transform(logits.begin(), logits.end(), out.begin(), [&](int8_t x) {
        return static_cast<Out>(probability(normalisation, kOutput, score[maximum - x], sum));
      });
      return Status();
    };
    return std::unique_ptr<Kernel>(std::make_unique<PlanKernel<Out>>(std::move(plan), define, kNoMask, data, shape));
  };
}

template MakeKernel hccs_kernel<uint8_t>(const HeadParams&, Normalisation, const std::string&, std::string_view);
template MakeKernel exact_kernel<uint8_t>(double, Normalisation, std::string_view);
template MakeKernel hccs_kernel<int16_t>(const HeadParams&, Normalisation, const std::string&, std::string_view);
template MakeKernel exact_kernel<int16_t>(double, Normalisation, std::string_view);

}  // namespace hccs::bench
