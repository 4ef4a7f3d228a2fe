// SPDX-License-Identifier: Apache-2.0
#include "hccs/softmax.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "contract/exceptions.h"
#include "contract/target_list.h"
#include "softmax/plan.h"
#include "softmax/row_factors.h"

namespace hccs {
namespace {

using internal::Form;
using internal::Plan;
using internal::PreparedHead;
using internal::Rows;
using internal::Target;

Expected<const Target*> choose_target(std::string_view name) {
  return internal::target_list().choose(name, "this build and CPU have");
}

// Where entry i of `prescaled` goes in `prescaled_for_pack`. A 512-bit byte pack of vectors a, b (32 words each) takes
// 8 words of a, 8 of b in each 128-bit lane.
size_t place_for_pack(size_t i) {
  const size_t block = i / 64 * 64;
  const size_t lane = i % 64 / 16;
  const size_t within = i % 16;
  return block + (within < 8 ? 0 : 32) + lane * 8 + within % 8;
}

// A table's low (shift 0) or high (shift 8) bytes, in the form of PreparedHead::*_steps.
PreparedHead::Bytes steps(const PreparedHead::Words& table, int shift) {
  PreparedHead::Bytes bytes;
  for (size_t d = 0; d < 256; ++d) {
    const uint16_t before = d % 128 < 16 ? 0 : table[d - 16];
    bytes[d] = static_cast<uint8_t>((table[d] ^ before) >> shift);
  }
  return bytes;
}

template <class Score>
PreparedHead prepare(const Plan& plan, const Score& score) {
  PreparedHead head;
  head.offset = static_cast<int32_t>(score(0));
  head.magnitude = 15 - std::bit_width(static_cast<uint32_t>(head.offset));
  head.prescale = internal::prescale_of(plan.form, plan.normalisation, head.magnitude);
  head.wide = false;
  for (size_t d = 0; d < 256; ++d) {
    const auto s = static_cast<uint32_t>(score(static_cast<int64_t>(d)));
    head.prescaled[d] = static_cast<uint16_t>(s << head.prescale);
    const uint32_t looked_up = internal::is_uint8(plan.form) ? s : head.prescaled[d];
    head.score_low[d] = static_cast<uint8_t>(looked_up & 255);
    head.score_high[d] = static_cast<uint8_t>(looked_up >> 8);
    head.prescaled_for_pack[place_for_pack(d)] = head.prescaled[d];
    head.deficit[d] = static_cast<uint16_t>(static_cast<uint32_t>(head.offset) - s);
    head.wide = head.wide || (d > 127 && head.prescaled[d] != head.prescaled[127]);
  }
  head.prescaled_low_steps = steps(head.prescaled, 0);
  head.prescaled_high_steps = steps(head.prescaled, 8);
  head.deficit_low_steps = steps(head.deficit, 0);
  head.deficit_high_steps = steps(head.deficit, 8);
  return head;
}

Plan empty_plan(Normalisation normalisation, OutputType output) {
  const bool scaled = normalisation == Normalisation::kScaled;
  const Form form = output == OutputType::kUint8 ? (scaled ? Form::kScale8 : Form::kFloor8)
                                                 : (scaled ? Form::kScale16 : Form::kProduct16);
  return {normalisation, output, form, {}};
}

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// Elements from the first of the array to one past its last. Strides must not be negative.
int64_t extent(const SoftmaxShape& shape, int64_t head_stride, int64_t query_stride) {
  return (shape.heads - 1) * head_stride + (shape.queries - 1) * query_stride + shape.keys;
}

// No two rows share an element: the nearer dimension's stride spans a row, the farther one's spans the nearer
// dimension.
bool rows_are_apart(const SoftmaxShape& shape, int64_t head_stride, int64_t query_stride) {
  struct Dimension {
    int64_t size, stride;
  };
  Dimension inner{shape.queries, query_stride};
  Dimension outer{shape.heads, head_stride};
  if (inner.size == 1 || (outer.size > 1 && outer.stride < inner.stride)) std::swap(inner, outer);
  int64_t span = shape.keys;
  for (const Dimension& dimension : {inner, outer}) {
    if (dimension.size == 1) continue;
    if (dimension.stride < span) return false;
    span = (dimension.size - 1) * dimension.stride + span;
  }
  return true;
}

constexpr int64_t kMost = int64_t{1} << 46;  // more rows than any memory holds; products of such stay in int64

// Is it 0 to 2^46 over the number of rows, or, where it multiplies 0 alone, not set?
Status check_stride(std::string_view what, int64_t stride, int64_t size) {
  if (stride == kNoStride && size == 1) return {};
  if (stride == kNoStride) {
    return invalid(fmt::format("{} is not set, but there are {} rows along it (0: all read the same)", what, size));
  }
  if (stride < 0 || stride > kMost / size) {
    return invalid(fmt::format("{} {}, but a stride is 0 to 2^46 over the number of rows", what, stride));
  }
  return {};
}

// 0 for a stride that was not needed.
int64_t stride_or_0(int64_t stride) { return stride == kNoStride ? 0 : stride; }

// Data beside the rows: lengths, bits, rescales.
struct Beside {
  std::string_view what;
  const void* data;
  int64_t head_stride, query_stride;
  int64_t unit;  // elements of one row
  std::optional<int64_t> size;
  std::string_view head_stride_name, query_stride_name;
};

// Strides, and whether the size is what they reach. Nothing is wrong with data that are not there.
Status check_beside(const Beside& b, const SoftmaxShape& shape) {
  if (b.data == nullptr && !b.size) return {};
  HCCS_RETURN_IF_ERROR(check_stride(b.head_stride_name, b.head_stride, shape.heads));
  HCCS_RETURN_IF_ERROR(check_stride(b.query_stride_name, b.query_stride, shape.queries));
  const int64_t reached =
      (shape.heads - 1) * stride_or_0(b.head_stride) + (shape.queries - 1) * stride_or_0(b.query_stride) + b.unit;
  if (b.size && *b.size != reached) {
    return invalid(fmt::format("{} {}, but {} heads and {} queries with {} {} and {} {} have {}", *b.size, b.what,
                               shape.heads, shape.queries, b.head_stride_name, stride_or_0(b.head_stride),
                               b.query_stride_name, stride_or_0(b.query_stride), reached));
  }
  if (b.data == nullptr) return invalid(fmt::format("{} must not be null", b.what));
  return {};
}

template <class Out>
Status check_rescales(const SoftmaxBatch<Out, int8_t>&) {
  return {};
}

template <class Out>
Status check_rescales(const SoftmaxBatch<Out, int32_t>& b) {
  const bool many = b.rescales != nullptr || b.rescales_size;
  if (many == b.rescale.has_value()) {
    return invalid(many ? "rescale and rescales are both set" : "rows of sums need a rescale, but none is set");
  }
  if (!many) return validate(*b.rescale);
  HCCS_RETURN_IF_ERROR(check_beside({"rescales", b.rescales, b.rescale_head_stride, b.rescale_query_stride, 1,
                                     b.rescales_size, "rescale_head_stride", "rescale_query_stride"},
                                    b.shape));
  const int64_t head_stride = stride_or_0(b.rescale_head_stride);
  const int64_t query_stride = stride_or_0(b.rescale_query_stride);
  for (int64_t h = 0; h < (head_stride == 0 ? 1 : b.shape.heads); ++h) {
    for (int64_t q = 0; q < (query_stride == 0 ? 1 : b.shape.queries); ++q) {
      const Rescale& rescale = b.rescales[h * head_stride + q * query_stride];
      // Two comparisons, and validate() only for its message: there may be one for each row.
      const bool valid = static_cast<uint32_t>(rescale.multiplier) - 1 < uint32_t{kMaxRescaleMultiplier} &&
                         static_cast<uint32_t>(rescale.shift) <= uint32_t{kMaxRescaleShift};
      if (!valid) return invalid(fmt::format("head {}, query {}: {}", h, q, validate(rescale).message()));
    }
  }
  return {};
}

template <class Out, class In>
Status check_overlap(const SoftmaxBatch<Out, In>& b) {
  const SoftmaxShape& s = b.shape;
  const int64_t in_head = stride_or_0(b.logits_head_stride);
  const int64_t in_query = stride_or_0(b.logits_query_stride);
  const int64_t out_head = stride_or_0(b.out_head_stride);
  const int64_t out_query = stride_or_0(b.out_query_stride);
  if (!rows_are_apart(s, out_head, out_query)) {
    return invalid(fmt::format("rows of out overlap: out_head_stride {}, out_query_stride {}, {} keys", out_head,
                               out_query, s.keys));
  }
  const auto in = reinterpret_cast<uintptr_t>(b.logits);
  const auto out = reinterpret_cast<uintptr_t>(b.out);
  const auto in_end = in + static_cast<uintptr_t>(extent(s, in_head, in_query)) * sizeof(In);
  const auto out_end = out + static_cast<uintptr_t>(extent(s, out_head, out_query)) * sizeof(Out);
  const bool in_place = sizeof(Out) == 1 && sizeof(In) == 1 && in == out && (s.heads == 1 || in_head == out_head) &&
                        (s.queries == 1 || in_query == out_query);
  if (!in_place && in < out_end && out < in_end) {
    return invalid("out overlaps logits: only uint8 output over its own int8 logits, with the same strides, may");
  }
  return {};
}

template <class Out, class In>
Status check(const SoftmaxBatch<Out, In>& b, OutputType output, int64_t heads) {
  const OutputType given = sizeof(Out) == 1 ? OutputType::kUint8 : OutputType::kInt16;
  if (given != output) return invalid(fmt::format("{} output, but the plan's is {}", name(given), name(output)));
  const SoftmaxShape& s = b.shape;
  if (s.heads < 0 || s.queries < 0) {
    return invalid(fmt::format("{} heads, {} queries, but a batch has 0 or more", s.heads, s.queries));
  }
  // Compared without first_head + s.heads, which may overflow.
  if (b.first_head < 0 || b.first_head > heads || s.heads > heads - b.first_head) {
    return invalid(fmt::format("{} heads from head {}, but the plan has {}", s.heads, b.first_head, heads));
  }
  if (s.keys < 1 || s.keys > kMaxRowLength) {
    return invalid(fmt::format("{} keys, but a row has 1 to {}", s.keys, kMaxRowLength));
  }
  if (s.heads == 0 || s.queries == 0) return {};
  if (b.logits == nullptr || b.out == nullptr) return invalid("logits and out must not be null");
  if (s.queries > kMost / s.heads) return invalid(fmt::format("{} x {} rows, but at most 2^46", s.heads, s.queries));
  for (const auto& [stride, size, what] : {std::tuple{b.logits_head_stride, s.heads, "logits_head_stride"},
                                           std::tuple{b.logits_query_stride, s.queries, "logits_query_stride"},
                                           std::tuple{b.out_head_stride, s.heads, "out_head_stride"},
                                           std::tuple{b.out_query_stride, s.queries, "out_query_stride"}}) {
    HCCS_RETURN_IF_ERROR(check_stride(what, stride, size));
  }
  HCCS_RETURN_IF_ERROR(check_beside({"valid_lengths", b.valid_lengths, b.valid_head_stride, b.valid_query_stride, 1,
                                     b.valid_lengths_size, "valid_head_stride", "valid_query_stride"},
                                    s));
  HCCS_RETURN_IF_ERROR(check_beside({"bytes of mask_bits", b.mask_bits, b.mask_head_stride, b.mask_query_stride,
                                     (s.keys + 7) / 8, b.mask_bits_size, "mask_head_stride", "mask_query_stride"},
                                    s));
  HCCS_RETURN_IF_ERROR(check_rescales(b));
  return check_overlap(b);
}

}  // namespace

struct SoftmaxPlan::Impl {
  Plan plan;
  const Target* target;
};

namespace {

template <class Out, class In>
Status run_batch(const Plan& plan, const Target& target, const SoftmaxBatch<Out, In>& b) {
  HCCS_RETURN_IF_ERROR(check(b, plan.output, std::ssize(plan.heads)));
  Rows rows{.heads = b.shape.heads,
            .queries = b.shape.queries,
            .keys = b.shape.keys,
            .first_head = b.first_head,
            .logits = nullptr,
            .sums = nullptr,
            .in_head_stride = stride_or_0(b.logits_head_stride),
            .in_query_stride = stride_or_0(b.logits_query_stride),
            .rescales = nullptr,
            .rescale_head_stride = 0,
            .rescale_query_stride = 0,
            .out = b.out,
            .out_head_stride = stride_or_0(b.out_head_stride),
            .out_query_stride = stride_or_0(b.out_query_stride),
            .valid_lengths = b.valid_lengths,
            .valid_head_stride = stride_or_0(b.valid_head_stride),
            .valid_query_stride = stride_or_0(b.valid_query_stride),
            // Beyond +-2^47 an offset says the same as there, and its sum with a query does not overflow.
            .causal_offset = b.causal_offset
                                 ? std::clamp<int64_t>(*b.causal_offset, -(int64_t{1} << 47), int64_t{1} << 47)
                                 : internal::kNoCausalOffset,
            .mask_bits = b.mask_bits,
            .mask_head_stride = stride_or_0(b.mask_head_stride),
            .mask_query_stride = stride_or_0(b.mask_query_stride)};
  if constexpr (std::is_same_v<In, int32_t>) {
    rows.sums = b.logits;
    rows.rescales = b.rescale ? &*b.rescale : b.rescales;
    rows.rescale_head_stride = b.rescale ? 0 : stride_or_0(b.rescale_head_stride);
    rows.rescale_query_stride = b.rescale ? 0 : stride_or_0(b.rescale_query_stride);
  } else {
    rows.logits = b.logits;
  }
  target.run(plan, rows);
  return {};
}

}  // namespace

internal::Plan internal::make_plan(std::span<const HeadParams> heads, Normalisation normalisation, OutputType output) {
  Plan plan = empty_plan(normalisation, output);
  plan.heads.reserve(heads.size());
  for (const HeadParams& params : heads) {
    plan.heads.push_back(prepare(plan, [&](int64_t d) { return params.score(d); }));
    plan.heads.back().params = params;
  }
  return plan;
}

std::span<const std::string_view> compiled_targets() noexcept { return internal::target_list().compiled_names(); }

std::span<const std::string_view> targets() noexcept { return internal::target_list().available_names(); }

Expected<std::string_view> default_target() {
  HCCS_ASSIGN_OR_RETURN(const Target* target, choose_target({}));
  return target->name;
}

Expected<SoftmaxPlan> SoftmaxPlan::hccs(std::span<const HeadParams> heads, Normalisation normalisation,
                                        OutputType output, std::string_view target_name) try {
  HCCS_ASSIGN_OR_RETURN(const Target* target, choose_target(target_name));
  if (heads.empty()) return invalid("0 heads, but a plan needs one or more");
  for (size_t h = 0; h < heads.size(); ++h) HCCS_RETURN_IF_ERROR(validate(heads[h], fmt::format("head {}", h)));
  return SoftmaxPlan(std::make_unique<Impl>(Impl{internal::make_plan(heads, normalisation, output), target}));
} catch (...) {
  return internal::status_of_exception("softmax plan");
}

Expected<SoftmaxPlan> SoftmaxPlan::exact_lut(std::span<const double> steps, Normalisation normalisation,
                                             OutputType output, std::string_view target_name) try {
  HCCS_ASSIGN_OR_RETURN(const Target* target, choose_target(target_name));
  if (steps.empty()) return invalid("0 heads, but a plan needs one or more");
  Plan plan = empty_plan(normalisation, output);
  plan.heads.reserve(steps.size());
  for (size_t h = 0; h < steps.size(); ++h) {
    if (!(steps[h] > 0) || !std::isfinite(steps[h])) {
      return invalid(fmt::format("head {}: step {}, but a logit step is positive and finite", h, steps[h]));
    }
    plan.heads.push_back(prepare(plan, [step = steps[h]](int64_t d) {
      return std::lround(kFullScaleInt16 * std::exp(-step * static_cast<double>(d)));
    }));
  }
  return SoftmaxPlan(std::make_unique<Impl>(Impl{std::move(plan), target}));
} catch (...) {
  return internal::status_of_exception("softmax plan");
}

SoftmaxPlan::SoftmaxPlan(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
SoftmaxPlan::SoftmaxPlan(SoftmaxPlan&&) noexcept = default;
SoftmaxPlan& SoftmaxPlan::operator=(SoftmaxPlan&&) noexcept = default;
SoftmaxPlan::~SoftmaxPlan() = default;

Status SoftmaxPlan::run(const SoftmaxBatch<uint8_t>& batch) const {
  return run_batch(impl_->plan, *impl_->target, batch);
}
Status SoftmaxPlan::run(const SoftmaxBatch<int16_t>& batch) const {
  return run_batch(impl_->plan, *impl_->target, batch);
}
Status SoftmaxPlan::run(const SumsBatch<uint8_t>& batch) const { return run_batch(impl_->plan, *impl_->target, batch); }
Status SoftmaxPlan::run(const SumsBatch<int16_t>& batch) const { return run_batch(impl_->plan, *impl_->target, batch); }

std::string_view SoftmaxPlan::target() const noexcept { return impl_->target->name; }
Normalisation SoftmaxPlan::normalisation() const noexcept { return impl_->plan.normalisation; }
OutputType SoftmaxPlan::output() const noexcept { return impl_->plan.output; }
int64_t SoftmaxPlan::heads() const noexcept { return std::ssize(impl_->plan.heads); }

}  // namespace hccs
