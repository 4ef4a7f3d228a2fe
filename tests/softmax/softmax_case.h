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
#include <vector>

#include "hccs/reference.h"
#include "hccs/softmax.h"

namespace hccs {

// Where a case's choices come from.
class Choices {
 public:
  virtual ~Choices() = default;
  virtual int64_t below(int64_t bound) = 0;  // 0..bound - 1
  int64_t between(int64_t least, int64_t most) { return least + below(most - least + 1); }
  bool one_in(int64_t n) { return below(n) == 0; }
};

class RandomChoices final : public Choices {
 public:
  explicit RandomChoices(uint64_t seed) : generator_(seed) {}
  int64_t below(int64_t bound) override { return static_cast<int64_t>(generator_() % static_cast<uint64_t>(bound)); }

 private:
  std::mt19937_64 generator_;
};

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

// Valid parameters, from steep to flat, from B = 1 to 32767, with every number of knees.
inline HeadParams choose_params(Choices& choose, int knees) {
  HeadParams params;
  params.knee_count = knees;
  int64_t position = 0;
  int64_t room = choose.one_in(3) ? kMaxOffset : int64_t{1} << choose.between(0, 15);
  room = std::min<int64_t>(room, kMaxOffset);
  const int64_t most = room;
  for (int k = 0; k < knees; ++k) {
    const int64_t last = kMaxKneePosition - (knees - 1 - k);
    position = choose.between(position + 1, choose.one_in(2) ? last : std::min(last, position + 1 + choose.below(30)));
    const int64_t slope = choose.between(0, std::min<int64_t>(kMaxSlope, room / position));
    room -= slope * position;
    params.knees[static_cast<size_t>(k)] = {static_cast<int32_t>(slope), static_cast<int32_t>(position)};
  }
  // room is now the largest floor that keeps B at most `most`.
  const int64_t floor = choose.one_in(2) ? room : choose.between(0, room);
  params.offset = static_cast<int32_t>(std::max<int64_t>(1, most - room + floor));
  return params;
}

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
  std::vector<int8_t> logits;  // what the strides span
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
    return fmt::format(
        "{} {}{} steps {} shape {}x{}x{} strides {},{} -> {},{} misaligned {}{} lengths {} causal {} bits {}",
        name(normalisation), name(output), heads, fmt::join(steps, ","), shape.heads, shape.queries, shape.keys,
        head_stride, query_stride, out_head_stride, out_query_stride, misalignment, in_place ? " in place" : "",
        !valid_lengths.empty(), causal_offset ? std::to_string(*causal_offset) : "none", !mask_bits.empty());
  }
};

struct CaseShape {
  int64_t keys;
  int64_t heads = 1;
  int64_t queries = 3;
};

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
  c.in_place = c.output == OutputType::kUint8 && choose.one_in(3);
  c.out_head_stride = c.head_stride;
  c.out_query_stride = c.query_stride;
  if (!c.in_place) strides(c.out_head_stride, c.out_query_stride);
  c.misalignment = choose.one_in(2) ? choose.below(64) : 0;
  c.logits.resize(
      static_cast<size_t>((shape.heads - 1) * c.head_stride + (shape.queries - 1) * c.query_stride + shape.keys));
  for (int64_t h = 0; h < shape.heads; ++h) {
    for (int64_t q = 0; q < shape.queries; ++q) {
      fill_row(choose, static_cast<RowKind>(choose.below(static_cast<int64_t>(RowKind::kCount))),
               std::span(c.logits).subspan(static_cast<size_t>(h * c.head_stride + q * c.query_stride),
                                           static_cast<size_t>(shape.keys)));
    }
  }
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

// The exact exponential's row, from its definition in softmax.h.
template <class Out>
void exact_row(double step, Normalisation normalisation, OutputType output, std::span<const int8_t> x,
               const RowMask& mask, std::span<Out> out) {
  int64_t maximum = -129;
  for (int64_t i = 0; i < std::ssize(x); ++i) {
    if (mask.valid(i)) maximum = std::max<int64_t>(maximum, x[static_cast<size_t>(i)]);
  }
  const auto score = [&](int64_t i) -> int64_t {
    if (!mask.valid(i)) return 0;
    return std::lround(32767 * std::exp(-step * static_cast<double>(maximum - x[static_cast<size_t>(i)])));
  };
  int64_t sum = 0;
  for (int64_t i = 0; i < std::ssize(x); ++i) sum += score(i);
  for (int64_t i = 0; i < std::ssize(x); ++i) {
    out[static_cast<size_t>(i)] = static_cast<Out>(sum == 0 ? 0 : probability(normalisation, output, score(i), sum));
  }
}

// Nothing if `target` computes the case as the contract says and touches no element outside the rows; else what
// differs.
template <class Out>
std::optional<std::string> difference(const SoftmaxCase& c, std::string_view target) {
  constexpr auto kCanary = static_cast<Out>(0x5A);
  const auto plan = c.params.empty() ? SoftmaxPlan::exact_lut(c.steps, c.normalisation, c.output, target)
                                     : SoftmaxPlan::hccs(c.params, c.normalisation, c.output, target);
  if (!plan.ok()) return plan.status().message();
  std::vector<int8_t> logits(c.logits.size() + static_cast<size_t>(c.misalignment));
  std::copy(c.logits.begin(), c.logits.end(), logits.begin() + c.misalignment);
  const auto out_size = static_cast<size_t>((c.shape.heads - 1) * c.out_head_stride +
                                            (c.shape.queries - 1) * c.out_query_stride + c.shape.keys);
  std::vector<Out> out(out_size + static_cast<size_t>(c.misalignment) + 3, kCanary);
  if (c.in_place) std::memcpy(out.data(), logits.data(), logits.size());
  std::vector<Out> expected = out;

  const int64_t mask_bytes = (c.shape.keys + 7) / 8;
  SoftmaxBatch<Out> batch;
  batch.shape = c.shape;
  batch.logits = (c.in_place ? reinterpret_cast<const int8_t*>(out.data()) : logits.data()) + c.misalignment;
  batch.logits_head_stride = c.head_stride;
  batch.logits_query_stride = c.query_stride;
  batch.out = out.data() + c.misalignment;
  batch.out_head_stride = c.out_head_stride;
  batch.out_query_stride = c.out_query_stride;
  if (!c.valid_lengths.empty()) {
    batch.valid_lengths = c.valid_lengths.data();
    batch.valid_head_stride = c.shape.queries;
    batch.valid_query_stride = 1;
  }
  batch.causal_offset = c.causal_offset;
  if (!c.mask_bits.empty()) {
    batch.mask_bits = c.mask_bits.data();
    batch.mask_head_stride = c.mask_by_query ? c.shape.queries * mask_bytes : mask_bytes;
    batch.mask_query_stride = c.mask_by_query ? mask_bytes : 0;
  }
  if (const Status status = plan->run(batch); !status.ok()) return status.message();

  for (int64_t h = 0; h < c.shape.heads; ++h) {
    for (int64_t q = 0; q < c.shape.queries; ++q) {
      RowMask mask;
      if (!c.valid_lengths.empty()) mask.valid_length = c.valid_lengths[static_cast<size_t>(h * c.shape.queries + q)];
      if (c.causal_offset) {
        mask.last_visible = *c.causal_offset > INT64_MAX - q ? INT64_MAX : q + *c.causal_offset;
      }
      if (!c.mask_bits.empty()) {
        mask.bits = c.mask_bits.data() + h * batch.mask_head_stride + q * batch.mask_query_stride;
      }
      const auto x = std::span(c.logits).subspan(static_cast<size_t>(h * c.head_stride + q * c.query_stride),
                                                 static_cast<size_t>(c.shape.keys));
      const int64_t at = c.misalignment + h * c.out_head_stride + q * c.out_query_stride;
      const auto row = std::span(expected).subspan(static_cast<size_t>(at), static_cast<size_t>(c.shape.keys));
      if (c.params.empty()) {
        exact_row<Out>(c.steps[static_cast<size_t>(h)], c.normalisation, c.output, x, mask, row);
      } else {
        const Status status = softmax_reference(c.params[static_cast<size_t>(h)], c.normalisation, x, mask, row);
        if (!status.ok()) return status.message();
      }
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
  return c.output == OutputType::kUint8 ? difference<uint8_t>(c, target) : difference<int16_t>(c, target);
}

}  // namespace hccs

#endif  // HCCS_TESTS_SOFTMAX_SOFTMAX_CASE_H_
