// SPDX-License-Identifier: Apache-2.0
#include "softmax_sums_kernel.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "hccs/softmax.h"

extern "C" {
#if HCCS_BENCH_CLANG
void hccs_requantise_clang_native(const int32_t*, int64_t, int32_t, int32_t, int8_t*);
#endif
void hccs_requantise_default(const int32_t*, int64_t, int32_t, int32_t, int8_t*);
void hccs_requantise_two_steps(const int32_t*, int64_t, int32_t, int32_t, int8_t*);
}

namespace hccs::bench {
namespace {

// Does the batch's row equal `expected`?
template <class Out>
Status compare(int64_t batch, int64_t row, std::span<const Out> expected, const Out* got) {
  const auto [want, differs] = std::mismatch(expected.begin(), expected.end(), got);
  if (want == expected.end()) return {};
  return {StatusCode::kMismatch, fmt::format("batch {}, row {}, position {}: {}, but the definition gives {}", batch,
                                             row, differs - got, *differs, *want)};
}

template <class Out>
class SumsKernel : public Kernel {
 public:
  SumsKernel(SoftmaxPlan plan, const HeadParams& params, const Data& data, const Shape& shape)
      : plan_(std::move(plan)), params_(params), shape_(shape), rescales_(shape.heads, kSumRescale) {
    for (int64_t batch = 0; batch < shape.batches; ++batch) {
      const int64_t start = batch * shape.stride();
      batches_.push_back(SumsBatch<Out>::dense(data.s32.data() + start, reinterpret_cast<Out*>(data.out.data()) + start,
                                               {shape.heads, shape.queries, shape.keys})
                             .with_rescales_per_head(rescales_));
    }
  }

  bool run(int64_t batch) override { return plan_.run(batches_[batch]).ok(); }
  Status verify() const override {
    std::vector<Out> expected(shape_.keys);
    for (int64_t batch = 0; batch < shape_.batches; ++batch) {
      for (int64_t row = 0; row < shape_.rows(); ++row) {
        const std::span<const int32_t> sums(batches_[batch].logits + row * shape_.keys, expected.size());
        HCCS_RETURN_IF_ERROR(
            softmax_reference(params_, Normalisation::kScaled, kSumRescale, sums, {}, std::span<Out>(expected)));
        HCCS_RETURN_IF_ERROR(compare<Out>(batch, row, expected, batches_[batch].out + row * shape_.keys));
      }
    }
    return {};
  }
  std::string target() const override { return std::string(plan_.target()); }

 private:
  SoftmaxPlan plan_;
  HeadParams params_;
  Shape shape_;
  std::vector<Rescale> rescales_;
  std::vector<SumsBatch<Out>> batches_;
};

class RequantisingKernel : public Kernel {
 public:
  RequantisingKernel(Requantisation requantisation, SoftmaxPlan plan, const HeadParams& params, const Data& data,
                     const Shape& shape)
      : requantisation_(std::move(requantisation)),
        plan_(std::move(plan)),
        params_(params),
        data_(data),
        shape_(shape) {
    for (int64_t batch = 0; batch < shape.batches; ++batch) {
      auto* out = reinterpret_cast<uint8_t*>(data.out.data()) + batch * shape.stride();
      batches_.push_back(SoftmaxBatch<uint8_t>::dense(reinterpret_cast<const int8_t*>(out), out,
                                                      {shape.heads, shape.queries, shape.keys}));
    }
  }

  bool run(int64_t batch) override {
    const int64_t head = shape_.queries * shape_.keys;
    const int32_t* sums = data_.s32.data() + batch * shape_.stride();
    auto* logits = reinterpret_cast<int8_t*>(batches_[batch].out);
    for (int64_t h = 0; h < shape_.heads; ++h) {
      requantisation_.run(sums + h * head, head, kSumRescale.multiplier, kSumRescale.shift, logits + h * head);
    }
    return plan_.run(batches_[batch]).ok();
  }
  Status verify() const override {
    std::vector<int8_t> logits(shape_.keys);
    std::vector<uint8_t> expected(shape_.keys);
    for (int64_t batch = 0; batch < shape_.batches; ++batch) {
      for (int64_t row = 0; row < shape_.rows(); ++row) {
        const int32_t* sums = data_.s32.data() + batch * shape_.stride() + row * shape_.keys;
        std::transform(sums, sums + shape_.keys, logits.begin(),
                       [&](int32_t a) { return defined_logit(a, kSumRescale, requantisation_.two_steps); });
        HCCS_RETURN_IF_ERROR(
            softmax_reference(params_, Normalisation::kScaled, logits, {}, std::span<uint8_t>(expected)));
        HCCS_RETURN_IF_ERROR(compare<uint8_t>(batch, row, expected, batches_[batch].out + row * shape_.keys));
      }
    }
    return {};
  }
  std::string target() const override { return requantisation_.name; }

 private:
  Requantisation requantisation_;
  SoftmaxPlan plan_;
  HeadParams params_;
  Data data_;
  Shape shape_;
  std::vector<SoftmaxBatch<uint8_t>> batches_;
};

}  // namespace

int8_t defined_logit(int32_t sum, Rescale rescale, bool two_steps) {
  const double exact = std::ldexp(static_cast<double>(sum) * rescale.multiplier, -rescale.shift);
  if (!two_steps) return static_cast<int8_t>(std::clamp<double>(std::floor(exact + .5), -128, 127));
  // The first step leaves a multiple of 2^-(shift - 15), halves rounded upwards; the second rounds halves away from 0.
  const int left = rescale.shift - 15;
  const double once = std::ldexp(std::floor(std::ldexp(exact, left) + .5), -left);
  return static_cast<int8_t>(std::clamp<double>(std::round(once), -128, 127));
}

template <class Out>
MakeKernel sums_kernel(const HeadParams& params, std::string_view target) {
  return [=](const Data& data, const Shape& shape) -> Expected<std::unique_ptr<Kernel>> {
    const std::vector<HeadParams> heads(shape.heads, params);
    constexpr OutputType kOutput = sizeof(Out) == 1 ? OutputType::kUint8 : OutputType::kInt16;
    HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::hccs(heads, Normalisation::kScaled, kOutput, target));
    return std::unique_ptr<Kernel>(std::make_unique<SumsKernel<Out>>(std::move(plan), params, data, shape));
  };
}

std::vector<Requantisation> requantisations(std::vector<std::string>& absent) {
  std::vector<Requantisation> list;
#if HCCS_BENCH_CLANG
  list.push_back({kClangNative, hccs_requantise_clang_native, false});
  (void)absent;
#else
  absent.emplace_back(kClangNative);
#endif
  list.push_back({kDefaultFlags, hccs_requantise_default, false});
  list.push_back({kTwoSteps, hccs_requantise_two_steps, true});
  return list;
}

MakeKernel requantising_kernel(const Requantisation& requantisation, const HeadParams& params,
                               std::string_view target) {
  return [=](const Data& data, const Shape& shape) -> Expected<std::unique_ptr<Kernel>> {
    const std::vector<HeadParams> heads(shape.heads, params);
    HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan,
                          SoftmaxPlan::hccs(heads, Normalisation::kScaled, OutputType::kUint8, target));
    return std::unique_ptr<Kernel>(
        std::make_unique<RequantisingKernel>(requantisation, std::move(plan), params, data, shape));
  };
}

template MakeKernel sums_kernel<uint8_t>(const HeadParams&, std::string_view);
template MakeKernel sums_kernel<int16_t>(const HeadParams&, std::string_view);

}  // namespace hccs::bench
