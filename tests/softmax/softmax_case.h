// SPDX-License-Identifier: Apache-2.0
//
// One call of the row softmax, drawn at random, and its comparison with the contract: shared by the differential test
// and the fuzzer.
#ifndef HCCS_TESTS_SOFTMAX_SOFTMAX_CASE_H_
#define HCCS_TESTS_SOFTMAX_SOFTMAX_CASE_H_

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "../choices.h"
#include "hccs/reference.h"
#include "hccs/softmax.h"

namespace hccs {

enum class RowKind { kUniform, kGaussian, kPeaky, kBimodal, kFlat, kFullRange, kCount };

inline void fill_row(Choices& choose, RowKind kind, std::span<int8_t> row) {
  const int64_t centre = choose.between(-128, 127);
  const int64_t width = choose.between(1, 60);
  for (int8_t& x : row) {
    int64_t v = centre;
    switch (kind) {
      case RowKind::kUniform:
        v = choose.between(-128, 127);
        break;
      case RowKind::kGaussian:
        v += (choose.between(-width, width) + choose.between(-width, width) + choose.between(-width, width)) / 2;
        break;
      case RowKind::kPeaky:
        v = -128 + choose.below(20);
        break;
      case RowKind::kBimodal:
        v += choose.one_in(2) ? width : -width;
        break;
      case RowKind::kFullRange:
        v = choose.one_in(2) ? 127 : -128;
        break;
      case RowKind::kFlat:
      case RowKind::kCount:
        break;
    }
    x = static_cast<int8_t>(std::clamp<int64_t>(v, -128, 127));
  }
  if (kind == RowKind::kPeaky) row[static_cast<size_t>(choose.below(std::ssize(row)))] = 127;
}

// Sums of any size, and of those that a rescale tells apart.
enum class SumKind { kTypical, kAroundMost, kWide, kExtremes, kFlat, kCount };

inline void fill_row(Choices& choose, SumKind kind, Rescale rescale, std::span<int32_t> row) {
  // What lies 127 logit steps below the maximum, as far as sums reach.
  const int64_t most =
      std::min<int64_t>(UINT32_MAX, (int64_t{253} << std::max(rescale.shift - 1, 0)) / rescale.multiplier + 1);
  const int64_t top = choose.one_in(2) ? choose.between(-40000, 40000) : choose.between(INT32_MIN, INT32_MAX);
  for (int32_t& a : row) {
    int64_t v = top;
    switch (kind) {
      case SumKind::kTypical:
        v -= choose.below(most + most / 4 + 1);
        break;
      case SumKind::kAroundMost:
        v -= choose.one_in(4) ? 0 : std::max<int64_t>(0, most / choose.between(1, 4) + choose.between(-3, 3));
        break;
      case SumKind::kWide:
        v = choose.between(INT32_MIN, INT32_MAX);
        break;
      case SumKind::kExtremes:
        v = choose.one_in(2) ? INT32_MAX - choose.below(3) : INT32_MIN + choose.below(3);
        break;
      case SumKind::kFlat:
      case SumKind::kCount:
        break;
    }
    a = static_cast<int32_t>(std::clamp<int64_t>(v, INT32_MIN, INT32_MAX));
  }
}

// Both ends, what engines have, and all between.
inline Rescale choose_rescale(Choices& choose) {
  if (choose.one_in(8)) return {choose.one_in(2) ? 1 : kMaxRescaleMultiplier, choose.one_in(2) ? 0 : kMaxRescaleShift};
  const auto multiplier = static_cast<int32_t>(choose.between(choose.one_in(2) ? 16384 : 1, kMaxRescaleMultiplier));
  if (choose.one_in(2)) return {multiplier, static_cast<int32_t>(choose.between(14, 32))};
  return {multiplier, static_cast<int32_t>(choose.between(0, kMaxRescaleShift))};
}

// Valid parameters, from steep to flat, from B = 1 to 32767, with every number of knees.
struct SoftmaxCase {
  Normalisation normalisation = Normalisation::kScaled;
  OutputType output = OutputType::kUint8;
  std::vector<HeadParams> params;  // empty: the exact exponential with `steps`
  std::vector<double> steps;
  SoftmaxShape shape;
  int64_t head_stride = 0, query_stride = 0;          // of the logits
  int64_t out_head_stride = 0, out_query_stride = 0;  // as the logits' if in place
  int64_t misalignment = 0;                           // bytes in, elements out
  bool in_place = false;
  std::vector<int8_t> logits;     // what the strides span
  std::vector<int32_t> sums;      // or these
  std::vector<Rescale> rescales;  // of sums: one, or one a row
  std::vector<int32_t> valid_lengths;
  std::optional<int64_t> causal_offset;
  std::vector<uint8_t> mask_bits;  // a mask a row, or one a head
  bool mask_by_query = false;

  std::string describe() const {
    std::string heads;
    for (const HeadParams& p : params) {
      heads += fmt::format(" B={}", p.offset);
      for (const Knee& k : p.active_knees()) heads += fmt::format(" {}:{}", k.slope, k.position);
    }
    std::string text;
    for (const Rescale& r : rescales) text += fmt::format("{}>>{} ", r.multiplier, r.shift);
    return fmt::format(
        "{} {}{} steps {} shape {}x{}x{} strides {},{} -> {},{} misaligned {}{} lengths {} causal {} bits {} "
        "rescales {}",
        name(normalisation), name(output), heads, fmt::join(steps, ","), shape.heads, shape.queries, shape.keys,
        head_stride, query_stride, out_head_stride, out_query_stride, misalignment, in_place ? " in place" : "",
        !valid_lengths.empty(), causal_offset ? std::to_string(*causal_offset) : "none", !mask_bits.empty(), text);
  }
};

enum class CaseInput { kLogits, kSums };

struct CaseShape {
  int64_t keys;
  int64_t heads = 1;
  int64_t queries = 3;
  CaseInput input = CaseInput::kLogits;
};

// The case's rows of logits or of sums.
inline void choose_rows(Choices& choose, const CaseShape& shape, SoftmaxCase& c) {
  const bool sums = shape.input == CaseInput::kSums;
  const auto size =
      static_cast<size_t>((shape.heads - 1) * c.head_stride + (shape.queries - 1) * c.query_stride + shape.keys);
  if (sums) {
    c.sums.resize(size);
    const bool by_row = choose.one_in(2);
    for (int64_t r = 0; r < (by_row ? shape.heads * shape.queries : 1); ++r)
      c.rescales.push_back(choose_rescale(choose));
  } else {
    c.logits.resize(size);
  }
  for (int64_t h = 0; h < shape.heads; ++h) {
    for (int64_t q = 0; q < shape.queries; ++q) {
      const auto at = static_cast<size_t>(h * c.head_stride + q * c.query_stride);
      const auto keys = static_cast<size_t>(shape.keys);
      if (sums) {
        fill_row(choose, static_cast<SumKind>(choose.below(static_cast<int64_t>(SumKind::kCount))),
                 c.rescales[c.rescales.size() > 1 ? static_cast<size_t>(h * shape.queries + q) : 0],
                 std::span(c.sums).subspan(at, keys));
      } else {
        fill_row(choose, static_cast<RowKind>(choose.below(static_cast<int64_t>(RowKind::kCount))),
                 std::span(c.logits).subspan(at, keys));
      }
    }
  }
}

// A case of the shape, everything else by choice.
inline SoftmaxCase choose_case(Choices& choose, const CaseShape& shape) {
  SoftmaxCase c;
  c.normalisation = static_cast<Normalisation>(choose.below(3));
  c.output = static_cast<OutputType>(choose.below(2));
  c.shape = {shape.heads, shape.queries, shape.keys};
  const bool exact = choose.one_in(6);
  for (int64_t h = 0; h < shape.heads; ++h) {
    if (exact) {
      c.steps.push_back(std::exp(static_cast<double>(choose.between(-80, 15)) / 10));
    } else {
      c.params.push_back(choose_params(choose, static_cast<int>(choose.between(1, kMaxKnees))));
    }
  }
  // [heads, queries, keys] or [queries, heads, keys], with gaps.
  const bool heads_inside = choose.one_in(3);
  const auto strides = [&](int64_t& head, int64_t& query) {
    int64_t& inner = heads_inside ? head : query;
    int64_t& outer = heads_inside ? query : head;
    inner = shape.keys + (choose.one_in(2) ? choose.below(5) : 0);
    outer = inner * (heads_inside ? shape.heads : shape.queries) + (choose.one_in(2) ? choose.below(5) : 0);
  };
  strides(c.head_stride, c.query_stride);
  c.in_place = c.output == OutputType::kUint8 && shape.input == CaseInput::kLogits && choose.one_in(3);
  c.out_head_stride = c.head_stride;
  c.out_query_stride = c.query_stride;
  if (!c.in_place) strides(c.out_head_stride, c.out_query_stride);
  c.misalignment = choose.one_in(2) ? choose.below(64) : 0;
  choose_rows(choose, shape, c);
  const int64_t rows = shape.heads * shape.queries;
  if (choose.one_in(3)) {
    const int64_t same = choose.one_in(2) ? choose.between(-1, shape.keys + 1) : -2;
    for (int64_t r = 0; r < rows; ++r) {
      c.valid_lengths.push_back(static_cast<int32_t>(same != -2 ? same : choose.between(-1, shape.keys + 1)));
    }
  }
  if (choose.one_in(3)) {
    constexpr int64_t kExtremes[] = {INT64_MIN, INT64_MAX - 1, INT64_MAX};
    c.causal_offset = choose.one_in(10) ? kExtremes[choose.below(3)] : choose.between(-3, shape.keys);
  }
  if (choose.one_in(3)) {
    c.mask_by_query = choose.one_in(2);
    const int64_t density = choose.below(4);  // none, sparse, dense, all
    for (int64_t i = 0; i < (c.mask_by_query ? rows : shape.heads) * ((shape.keys + 7) / 8); ++i) {
      const int64_t a = choose.below(256);
      const int64_t b = choose.below(256);
      c.mask_bits.push_back(static_cast<uint8_t>(density == 0   ? 0
                                                 : density == 1 ? a & b & 17
                                                 : density == 2 ? a | b
                                                                : 255));
    }
  }
  return c;
}

// The exact exponential's row, from its definition in softmax.h. below(i): how far valid position i lies below the
// row's maximum, in logit steps.
template <class Out, class Below>
void exact_row(double step, Normalisation normalisation, OutputType output, const RowMask& mask, const Below& below,
               std::span<Out> out) {
  const auto score = [&](int64_t i) -> int64_t {
    return mask.valid(i) ? std::lround(32767 * std::exp(-step * static_cast<double>(below(i)))) : 0;
  };
  int64_t sum = 0;
  for (int64_t i = 0; i < std::ssize(out); ++i) sum += score(i);
  for (int64_t i = 0; i < std::ssize(out); ++i) {
    out[static_cast<size_t>(i)] = static_cast<Out>(sum == 0 ? 0 : probability(normalisation, output, score(i), sum));
  }
}

// The definition of one row of a case.
template <class Out, class In>
Status define_row(const SoftmaxCase& c, int64_t h, Rescale rescale, std::span<const In> x, const RowMask& mask,
                  std::span<Out> row) {
  constexpr bool kSums = std::is_same_v<In, int32_t>;
  if (c.params.empty()) {
    int64_t maximum = INT64_MIN;
    for (int64_t i = 0; i < std::ssize(x); ++i) {
      if (mask.valid(i)) maximum = std::max<int64_t>(maximum, x[static_cast<size_t>(i)]);
    }
    const auto below = [&](int64_t i) {
      const int64_t t = maximum - x[static_cast<size_t>(i)];
      return kSums ? sum_distance(rescale, t) : t;
    };
    exact_row<Out>(c.steps[static_cast<size_t>(h)], c.normalisation, c.output, mask, below, row);
    return {};
  }
  const HeadParams& params = c.params[static_cast<size_t>(h)];
  if constexpr (kSums) {
    return softmax_reference(params, c.normalisation, rescale, x, mask, row);
  } else {
    return softmax_reference(params, c.normalisation, x, mask, row);
  }
}

template <class Out, class In>
SoftmaxBatch<Out, In> case_batch(const SoftmaxCase& c, const In* in, Out* out) {
  SoftmaxBatch<Out, In> batch;
  batch.shape = c.shape;
  batch.logits = in;
  batch.logits_head_stride = c.head_stride;
  batch.logits_query_stride = c.query_stride;
  batch.out = out;
  batch.out_head_stride = c.out_head_stride;
  batch.out_query_stride = c.out_query_stride;
  if (!c.valid_lengths.empty()) batch = batch.with_lengths(c.valid_lengths);
  batch.causal_offset = c.causal_offset;
  if (!c.mask_bits.empty()) {
    batch = c.mask_by_query ? batch.with_bits(c.mask_bits) : batch.with_bits_per_head(c.mask_bits);
  }
  if constexpr (std::is_same_v<In, int32_t>) {
    const bool by_row = c.rescales.size() > 1;
    batch = by_row ? batch.with_rescales(c.rescales) : batch.with_rescale(c.rescales[0]);
  }
  return batch;
}

inline RowMask case_mask(const SoftmaxCase& c, int64_t h, int64_t q) {
  const int64_t row = h * c.shape.queries + q;
  RowMask mask;
  if (!c.valid_lengths.empty()) mask.valid_length = c.valid_lengths[static_cast<size_t>(row)];
  if (c.causal_offset) mask.last_visible = *c.causal_offset > INT64_MAX - q ? INT64_MAX : q + *c.causal_offset;
  if (!c.mask_bits.empty()) mask.bits = c.mask_bits.data() + (c.mask_by_query ? row : h) * ((c.shape.keys + 7) / 8);
  return mask;
}

// Nothing if `target` computes the case as the contract says and touches no element outside the rows; else what
// differs.
template <class Out, class In>
std::optional<std::string> difference(const SoftmaxCase& c, std::span<const In> input, std::string_view target) {
  constexpr auto kCanary = static_cast<Out>(0x5A);
  const auto plan = c.params.empty() ? SoftmaxPlan::exact_lut(c.steps, c.normalisation, c.output, target)
                                     : SoftmaxPlan::hccs(c.params, c.normalisation, c.output, target);
  if (!plan.ok()) return plan.status().message();
  std::vector<In> in(input.size() + static_cast<size_t>(c.misalignment));
  std::copy(input.begin(), input.end(), in.begin() + c.misalignment);
  const auto out_size = static_cast<size_t>((c.shape.heads - 1) * c.out_head_stride +
                                            (c.shape.queries - 1) * c.out_query_stride + c.shape.keys);
  std::vector<Out> out(out_size + static_cast<size_t>(c.misalignment) + 3, kCanary);
  if (c.in_place) std::memcpy(out.data(), in.data(), in.size());
  std::vector<Out> expected = out;

  const auto batch =
      case_batch<Out, In>(c, (c.in_place ? reinterpret_cast<const In*>(out.data()) : in.data()) + c.misalignment,
                          out.data() + c.misalignment);
  if (const Status status = plan->run(batch); !status.ok()) return status.message();

  for (int64_t h = 0; h < c.shape.heads; ++h) {
    for (int64_t q = 0; q < c.shape.queries; ++q) {
      const auto x =
          input.subspan(static_cast<size_t>(h * c.head_stride + q * c.query_stride), static_cast<size_t>(c.shape.keys));
      const int64_t at = c.misalignment + h * c.out_head_stride + q * c.out_query_stride;
      const auto row = std::span(expected).subspan(static_cast<size_t>(at), static_cast<size_t>(c.shape.keys));
      const Rescale rescale =
          c.rescales.empty() ? Rescale{}
                             : c.rescales[c.rescales.size() > 1 ? static_cast<size_t>(h * c.shape.queries + q) : 0];
      const Status status = define_row<Out, In>(c, h, rescale, x, case_mask(c, h, q), row);
      if (!status.ok()) return status.message();
      for (int64_t i = 0; i < c.shape.keys; ++i) {
        if (out[static_cast<size_t>(at + i)] != row[static_cast<size_t>(i)]) {
          return fmt::format("{}: head {} query {} position {}: {} instead of {} ({})", target, h, q, i,
                             out[static_cast<size_t>(at + i)], row[static_cast<size_t>(i)], c.describe());
        }
      }
    }
  }
  if (out != expected) return fmt::format("{}: wrote outside the rows ({})", target, c.describe());
  return std::nullopt;
}

inline std::optional<std::string> difference(const SoftmaxCase& c, std::string_view target) {
  const bool wide = c.output == OutputType::kInt16;
  if (!c.sums.empty()) {
    return wide ? difference<int16_t, int32_t>(c, c.sums, target) : difference<uint8_t, int32_t>(c, c.sums, target);
  }
  return wide ? difference<int16_t, int8_t>(c, c.logits, target) : difference<uint8_t, int8_t>(c, c.logits, target);
}

}  // namespace hccs

#endif  // HCCS_TESTS_SOFTMAX_SOFTMAX_CASE_H_
