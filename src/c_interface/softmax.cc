// SPDX-License-Identifier: Apache-2.0
#include "hccs/softmax.h"

#include <fmt/core.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "c_interface/call.h"
#include "c_interface/param_file.h"
#include "hccs/hccs.h"

using hccs::Expected;
using hccs::HeadParams;
using hccs::SoftmaxPlan;
using hccs::Status;
using hccs::internal::call;
using hccs::internal::check_not_null;
using hccs::internal::invalid;

struct hccs_softmax_plan {
  SoftmaxPlan plan;
};

namespace hccs::internal {
namespace {

constexpr size_t kFirstOptionsBytes = offsetof(hccs_softmax_options, target) + sizeof(const char*);
constexpr size_t kFirstBatchBytes = offsetof(hccs_softmax_batch, mask_query_stride) + sizeof(int64_t);
static_assert(HCCS_NO_STRIDE == kNoStride);

struct Options {
  Normalisation normalisation = Normalisation::kScaled;
  OutputType output = OutputType::kUint8;
  std::string_view target;
};

Expected<Options> read_options(const hccs_softmax_options* given) {
  Options options;
  if (given == nullptr) return options;
  HCCS_ASSIGN_OR_RETURN(const hccs_softmax_options o, read_struct(given, kFirstOptionsBytes, "options"));
  switch (o.normalisation) {
    case HCCS_NORMALISATION_SCALED:
      break;
    case HCCS_NORMALISATION_DIV:
      options.normalisation = Normalisation::kDiv;
      break;
    case HCCS_NORMALISATION_CLB:
      options.normalisation = Normalisation::kClb;
      break;
    default:
      return invalid(fmt::format("options: normalisation = {}, but it is {} (scaled), {} (div) or {} (clb)",
                                 o.normalisation, int{HCCS_NORMALISATION_SCALED}, int{HCCS_NORMALISATION_DIV},
                                 int{HCCS_NORMALISATION_CLB}));
  }
  if (o.output != HCCS_OUTPUT_UINT8 && o.output != HCCS_OUTPUT_INT16) {
    return invalid(fmt::format("options: output = {}, but it is {} (uint8) or {} (int16)", o.output,
                               int{HCCS_OUTPUT_UINT8}, int{HCCS_OUTPUT_INT16}));
  }
  if (o.output == HCCS_OUTPUT_INT16) options.output = OutputType::kInt16;
  if (o.target != nullptr) options.target = o.target;
  return options;
}

// `make` returns the Expected<SoftmaxPlan> of its options.
template <class Make>
Status make_plan(const hccs_softmax_options* given, hccs_softmax_plan** plan, const Make& make) {
  HCCS_RETURN_IF_ERROR(check_not_null({{"plan", plan}}));
  HCCS_ASSIGN_OR_RETURN(const Options options, read_options(given));
  HCCS_ASSIGN_OR_RETURN(SoftmaxPlan made, make(options));
  *plan = std::make_unique<hccs_softmax_plan>(hccs_softmax_plan{std::move(made)}).release();
  return {};
}

template <class Out, class In>
SoftmaxBatch<Out, In> batch_of(const hccs_softmax_batch& b, const In* in, Out* out) {
  SoftmaxBatch<Out, In> batch;
  batch.shape = {.heads = b.heads, .queries = b.queries, .keys = b.keys};
  batch.first_head = b.first_head;
  batch.logits = in;
  batch.logits_head_stride = b.logits_head_stride;
  batch.logits_query_stride = b.logits_query_stride;
  batch.out = out;
  batch.out_head_stride = b.out_head_stride;
  batch.out_query_stride = b.out_query_stride;
  batch.valid_lengths = b.valid_lengths;
  batch.valid_head_stride = b.valid_head_stride;
  batch.valid_query_stride = b.valid_query_stride;
  if (b.has_causal_offset != 0) batch.causal_offset = b.causal_offset;
  batch.mask_bits = b.mask_bits;
  batch.mask_head_stride = b.mask_head_stride;
  batch.mask_query_stride = b.mask_query_stride;
  return batch;
}

template <class Out>
Status run(const SoftmaxPlan& plan, const hccs_softmax_batch& b, Out* out) {
  if (b.sums == nullptr) return plan.run(batch_of(b, b.logits, out));
  SumsBatch<Out> batch = batch_of(b, b.sums, out);
  batch.rescales = reinterpret_cast<const Rescale*>(b.rescales);
  batch.rescale_head_stride = b.rescale_head_stride;
  batch.rescale_query_stride = b.rescale_query_stride;
  return plan.run(batch);
}

Status run(const SoftmaxPlan& plan, const hccs_softmax_batch* given) {
  HCCS_ASSIGN_OR_RETURN(const hccs_softmax_batch b, read_struct(given, kFirstBatchBytes, "batch"));
  if (b.logits != nullptr && b.sums != nullptr) return invalid("batch: both logits and sums are set");
  if (b.sums == nullptr && b.rescales != nullptr) return invalid("batch: rescales go with sums, but there are none");
  if (b.out_uint8 != nullptr && b.out_int16 != nullptr) {
    return invalid("batch: both out_uint8 and out_int16 are set, but a plan has one type of output");
  }
  const bool is_int16 = plan.output() == OutputType::kInt16;
  if (is_int16 ? b.out_uint8 != nullptr : b.out_int16 != nullptr) {
    return invalid(fmt::format("batch: out_{} is set, but the plan's output is {}", is_int16 ? "uint8" : "int16",
                               name(plan.output())));
  }
  return is_int16 ? run(plan, b, b.out_int16) : run(plan, b, b.out_uint8);
}

}  // namespace
}  // namespace hccs::internal

using hccs::internal::heads_of;
using hccs::internal::make_plan;
using hccs::internal::Options;
using hccs::internal::steps_of;

extern "C" {

int64_t hccs_softmax_target_count(void) { return std::ssize(hccs::targets()); }

const char* hccs_softmax_target_name(int64_t index) {
  if (index < 0 || index >= hccs_softmax_target_count()) return nullptr;
  return hccs::targets()[static_cast<size_t>(index)].data();  // of a literal, so that a 0 byte follows
}

hccs_code hccs_softmax_plan_of_heads(const hccs_head_params* heads, int64_t count, const hccs_softmax_options* options,
                                     hccs_softmax_plan** plan, hccs_status* status) {
  return call("softmax plan", status, [&]() -> Status {
    return make_plan(options, plan, [&](const Options& o) -> Expected<SoftmaxPlan> {
      HCCS_ASSIGN_OR_RETURN(const std::vector<HeadParams> params, heads_of(heads, count));
      return SoftmaxPlan::hccs(params, o.normalisation, o.output, o.target);
    });
  });
}

hccs_code hccs_softmax_plan_of_layer(const hccs_param_file* file, int64_t layer, const hccs_softmax_options* options,
                                     hccs_softmax_plan** plan, hccs_status* status) {
  return call("softmax plan", status, [&]() -> Status {
    return make_plan(options, plan, [&](const Options& o) -> Expected<SoftmaxPlan> {
      HCCS_ASSIGN_OR_RETURN(const std::vector<HeadParams> params, heads_of(file, layer));
      return SoftmaxPlan::hccs(params, o.normalisation, o.output, o.target);
    });
  });
}

hccs_code hccs_softmax_plan_of_exponentials(const double* steps, int64_t count, const hccs_softmax_options* options,
                                            hccs_softmax_plan** plan, hccs_status* status) {
  return call("softmax plan", status, [&]() -> Status {
    return make_plan(options, plan, [&](const Options& o) -> Expected<SoftmaxPlan> {
      HCCS_ASSIGN_OR_RETURN(const std::span<const double> given, steps_of(steps, count));
      return SoftmaxPlan::exact_lut(given, o.normalisation, o.output, o.target);
    });
  });
}

void hccs_softmax_plan_free(hccs_softmax_plan* plan) { delete plan; }

int64_t hccs_softmax_plan_heads(const hccs_softmax_plan* plan) { return plan == nullptr ? 0 : plan->plan.heads(); }

const char* hccs_softmax_plan_target(const hccs_softmax_plan* plan) {
  return plan == nullptr ? nullptr : plan->plan.target().data();  // of a literal, so that a 0 byte follows
}

hccs_code hccs_softmax_run(const hccs_softmax_plan* plan, const hccs_softmax_batch* batch, hccs_status* status) {
  return call("softmax", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"plan", plan}}));
    return hccs::internal::run(plan->plan, batch);
  });
}

}  // extern "C"
