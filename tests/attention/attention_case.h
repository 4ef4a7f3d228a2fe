// SPDX-License-Identifier: Apache-2.0
//
// One call of attention, drawn at random, and its comparison with the contract: shared by the differential test and the
// fuzzer.
#ifndef HCCS_TESTS_ATTENTION_ATTENTION_CASE_H_
#define HCCS_TESTS_ATTENTION_ATTENTION_CASE_H_

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "../choices.h"
#include "hccs/attention.h"
#include "hccs/reference.h"

namespace hccs {

enum class Content { kUniform, kGaussian, kExtremes, kLowest, kHighest, kOneHot, kFlat, kCount };

inline void fill_content(Choices& choose, int64_t row_length, std::span<int8_t> data) {
  const auto kind = static_cast<Content>(choose.below(static_cast<int64_t>(Content::kCount)));
  const auto flat = static_cast<int8_t>(choose.between(-128, 127));
  const int64_t width = choose.between(1, 60);
  // Few choices of the source, so that a fuzzer's input stays short.
  std::mt19937 random(static_cast<uint32_t>(choose.below(256)));
  const auto uniform = [&](int64_t most) { return static_cast<int64_t>(random() % static_cast<uint32_t>(most)); };
  for (size_t i = 0; i < data.size(); ++i) {
    switch (kind) {
      case Content::kUniform:
        data[i] = static_cast<int8_t>(uniform(256) - 128);
        break;
      case Content::kGaussian:
        data[i] = static_cast<int8_t>((uniform(2 * width) + uniform(2 * width) - 2 * width) / 2);
        break;
      case Content::kExtremes:
        data[i] = uniform(2) == 0 ? -128 : 127;
        break;
      case Content::kLowest:
        data[i] = -128;
        break;
      case Content::kHighest:
        data[i] = 127;
        break;
      case Content::kOneHot:
        data[i] = 0;
        break;
      case Content::kFlat:
      case Content::kCount:
        data[i] = flat;
        break;
    }
  }
  if (kind == Content::kOneHot) {
    for (size_t i = 0; i + static_cast<size_t>(row_length) <= data.size(); i += static_cast<size_t>(row_length)) {
      data[i + static_cast<size_t>(uniform(row_length))] = uniform(2) == 0 ? -128 : 127;
    }
  }
}

// An array of [texts, heads, positions] rows with gaps, in one of two orders of heads and positions.
template <class T>
struct CaseRows {
  std::vector<T> data;
  int64_t text_stride = 0, head_stride = 0, position_stride = 0;
  int64_t misalignment = 0;

  AttentionRows<const T> rows() const {
    return {data.data() + misalignment, text_stride, head_stride, position_stride};
  }
  AttentionRows<T> rows() { return {data.data() + misalignment, text_stride, head_stride, position_stride}; }
  T* row(int64_t text, int64_t head, int64_t position) {
    return data.data() + misalignment + text * text_stride + head * head_stride + position * position_stride;
  }
  const T* row(int64_t text, int64_t head, int64_t position) const {
    return data.data() + misalignment + text * text_stride + head * head_stride + position * position_stride;
  }
};

template <class T>
CaseRows<T> choose_rows(Choices& choose, int64_t texts, int64_t heads, int64_t positions, int64_t elements) {
  CaseRows<T> rows;
  const auto gap = [&] { return choose.one_in(3) ? choose.below(5) : 0; };
  const bool heads_inside = choose.one_in(2);
  int64_t& inner = heads_inside ? rows.head_stride : rows.position_stride;
  int64_t& outer = heads_inside ? rows.position_stride : rows.head_stride;
  inner = elements + gap();
  outer = inner * (heads_inside ? heads : positions) + gap();
  rows.text_stride = outer * (heads_inside ? positions : heads) + gap();
  rows.misalignment = choose.one_in(2) ? choose.below(64) : 0;
  rows.data.resize(static_cast<size_t>(rows.misalignment + texts * rows.text_stride + 3));
  return rows;
}

struct AttentionCase {
  AttentionWeights weights = AttentionWeights::kUint8;
  std::vector<HeadParams> params;
  int64_t first_head = 0;
  AttentionShape shape;
  CaseRows<int8_t> q, k, v;
  std::vector<Rescale> rescales;
  int64_t rescale_text_stride = 0, rescale_head_stride = 0, rescale_query_stride = 0;
  std::vector<int32_t> lengths;
  int64_t valid_text_stride = 0, valid_query_stride = 0;
  std::optional<int64_t> causal_offset;
  std::optional<int64_t> window;
  CaseRows<uint8_t> bits, bytes;  // empty: none
  bool share_masks = false;       // by heads
  bool with_weights = false;
  bool without_out = false;
  bool in_place = false;
  // Keys of each text are appended to a cache in runs of these lengths; empty: no cache. `lengths` of texts then cut
  // the caches too.
  std::vector<std::vector<int64_t>> appended;
  CaseRows<int8_t> out;  // its layout

  std::string describe() const {
    std::string text = fmt::format("texts {} heads {}/{} queries {} keys {} d {} dv {} {}", shape.texts,
                                   shape.query_heads, shape.key_heads, shape.queries, shape.keys, shape.head_dimension,
                                   shape.value_dimension, weights == AttentionWeights::kWide ? "wide" : "uint8");
    text += fmt::format(" lengths {} causal {} window {} bits {} bytes {} cache {} weights {} in place {}",
                        !lengths.empty(), causal_offset ? std::to_string(*causal_offset) : "none",
                        window ? std::to_string(*window) : "none", !bits.data.empty(), !bytes.data.empty(),
                        !appended.empty(), with_weights, in_place);
    return text;
  }
};

inline Rescale choose_rescale(Choices& choose, int64_t head_dimension) {
  if (choose.one_in(6)) {
    return {choose.one_in(2) ? 1 : kMaxRescaleMultiplier, static_cast<int32_t>(choose.between(0, kMaxRescaleShift))};
  }
  // A multiplier that spreads distances over the table, whatever the dimension is, and its neighbours.
  const auto multiplier = static_cast<int32_t>(choose.between(1, kMaxRescaleMultiplier));
  const double unit =
      std::log2(static_cast<double>(multiplier) * 2000 * std::sqrt(static_cast<double>(head_dimension)));
  return {multiplier, static_cast<int32_t>(std::clamp<int64_t>(static_cast<int64_t>(unit) - 5 + choose.between(-6, 6),
                                                               0, kMaxRescaleShift))};
}

inline void choose_masks(Choices& choose, AttentionCase& c) {
  const AttentionShape& s = c.shape;
  if (choose.one_in(3)) {
    c.valid_text_stride = choose.one_in(2) ? s.queries : 1;
    c.valid_query_stride = c.valid_text_stride == s.queries && s.queries > 1 ? 1 : 0;
    if (c.valid_query_stride == 0) c.valid_text_stride = 1;
    const int64_t count = (s.texts - 1) * c.valid_text_stride + (s.queries - 1) * c.valid_query_stride + 1;
    for (int64_t i = 0; i < count; ++i) c.lengths.push_back(static_cast<int32_t>(choose.between(-1, s.keys + 1)));
  }
  constexpr int64_t kExtremes[] = {INT64_MIN, INT64_MAX - 1, INT64_MAX};
  if (choose.one_in(3)) {
    c.causal_offset = choose.one_in(10) ? kExtremes[choose.below(3)] : choose.between(-s.queries, s.keys);
  }
  if (choose.one_in(3)) {
    c.window = choose.one_in(10) ? kExtremes[choose.below(3)] : choose.between(0, s.keys + 1);
  }
  c.share_masks = choose.one_in(2);
  const int64_t heads = c.share_masks ? 1 : s.query_heads;
  const int64_t density = choose.below(4);
  std::mt19937 random(static_cast<uint32_t>(choose.below(256)));
  const auto fill = [&](std::vector<uint8_t>& data) {
    for (uint8_t& x : data) {
      const uint32_t a = random();
      x = static_cast<uint8_t>(density == 0   ? 0
                               : density == 1 ? a & (a >> 8) & (a >> 16)
                               : density == 2 ? a | (a >> 8)
                                              : 255);
    }
  };
  if (choose.one_in(4)) {
    c.bits = choose_rows<uint8_t>(choose, s.texts, heads, s.queries, (s.keys + 7) / 8);
    fill(c.bits.data);
    if (c.share_masks) c.bits.head_stride = 0;
  }
  if (choose.one_in(4)) {
    c.bytes = choose_rows<uint8_t>(choose, s.texts, heads, s.queries, s.keys);
    fill(c.bytes.data);
    for (uint8_t& x : c.bytes.data) x = (x & 3) == 0 ? 0 : x;
    if (c.share_masks) c.bytes.head_stride = 0;
  }
}

// A case of the shape, everything else by choice.
inline AttentionCase choose_attention_case(Choices& choose, const AttentionShape& shape) {
  AttentionCase c;
  c.shape = shape;
  c.weights = choose.one_in(3) ? AttentionWeights::kWide : AttentionWeights::kUint8;
  c.first_head = choose.one_in(3) ? choose.below(3) : 0;
  for (int64_t h = 0; h < c.first_head + shape.query_heads; ++h)
    c.params.push_back(choose_params(choose, static_cast<int>(choose.between(1, kMaxKnees))));
  c.q = choose_rows<int8_t>(choose, shape.texts, shape.query_heads, shape.queries, shape.head_dimension);
  c.k = choose_rows<int8_t>(choose, shape.texts, shape.key_heads, shape.keys, shape.head_dimension);
  c.v = choose_rows<int8_t>(choose, shape.texts, shape.key_heads, shape.keys, shape.value_dimension);
  fill_content(choose, shape.head_dimension, c.q.data);
  fill_content(choose, shape.head_dimension, c.k.data);
  fill_content(choose, shape.value_dimension, c.v.data);
  const bool by_text = choose.one_in(3);
  const bool by_head = choose.one_in(2);
  const bool by_query = choose.one_in(3);
  c.rescale_query_stride = by_query ? 1 : 0;
  c.rescale_head_stride = by_head ? (by_query ? shape.queries : 1) : 0;
  c.rescale_text_stride = by_text ? (by_head ? shape.query_heads : 1) * (by_query ? shape.queries : 1) : 0;
  const int64_t rescales = (shape.texts - 1) * c.rescale_text_stride + (shape.query_heads - 1) * c.rescale_head_stride +
                           (shape.queries - 1) * c.rescale_query_stride + 1;
  for (int64_t i = 0; i < rescales; ++i) c.rescales.push_back(choose_rescale(choose, shape.head_dimension));
  choose_masks(choose, c);
  c.with_weights = choose.one_in(4);
  c.without_out = c.with_weights && choose.one_in(3);
  c.in_place = !c.without_out && shape.head_dimension == shape.value_dimension && choose.one_in(3);
  c.out = choose_rows<int8_t>(choose, shape.texts, shape.query_heads, shape.queries, shape.value_dimension);
  if (c.in_place) c.out = c.q;
  if (choose.one_in(3)) {
    for (int64_t t = 0; t < shape.texts; ++t) {
      auto& runs = c.appended.emplace_back();
      int64_t left = choose.one_in(4) ? choose.below(shape.keys + 1) : shape.keys;
      while (left > 0) {
        runs.push_back(choose.one_in(2) ? choose.between(1, left) : choose.between(1, std::min<int64_t>(left, 9)));
        left -= runs.back();
      }
    }
  }
  return c;
}

inline int64_t keys_of_text(const AttentionCase& c, int64_t text) {
  if (c.appended.empty()) return c.shape.keys;
  int64_t sum = 0;
  for (const int64_t run : c.appended[static_cast<size_t>(text)]) sum += run;
  return sum;
}

// The caches of a case, or an error's message.
inline std::optional<std::string> fill_caches(const AttentionCase& c, const AttentionPlan& plan,
                                              std::vector<KvCache>& caches) {
  for (size_t t = 0; t < c.appended.size(); ++t) {
    auto cache = KvCache::make(plan, c.shape.key_heads, c.shape.head_dimension, c.shape.value_dimension);
    if (!cache.ok()) return cache.status().message();
    int64_t done = 0;
    for (const int64_t run : c.appended[t]) {
      AttentionRows<const int8_t> k = c.k.rows();
      AttentionRows<const int8_t> v = c.v.rows();
      k.data = c.k.row(static_cast<int64_t>(t), 0, done);
      v.data = c.v.row(static_cast<int64_t>(t), 0, done);
      const Status status = cache->append(k, v, run);
      if (!status.ok()) return status.message();
      done += run;
    }
    caches.push_back(std::move(*cache));
  }
  return std::nullopt;
}

inline RowMask mask_of(const AttentionCase& c, int64_t text, int64_t head, int64_t query, std::vector<uint8_t>& bits) {
  const int64_t keys = keys_of_text(c, text);
  RowMask mask;
  if (!c.lengths.empty()) {
    mask.valid_length = c.lengths[static_cast<size_t>(text * c.valid_text_stride + query * c.valid_query_stride)];
  }
  // Far outside the row an offset means the same wherever it is.
  const auto near = [](int64_t x) { return std::clamp<int64_t>(x, -(int64_t{1} << 40), int64_t{1} << 40); };
  int64_t position = query + near(c.causal_offset.value_or(0));
  if (!c.appended.empty()) position += keys - c.shape.queries;
  if (c.causal_offset) mask.last_visible = position;
  bits.assign(static_cast<size_t>((keys + 7) / 8 + 1), 0);
  for (int64_t i = 0; i < keys; ++i) {
    bool valid = !c.window || i > position - near(*c.window);
    if (!c.bits.data.empty()) valid = valid && ((c.bits.row(text, head, query)[i / 8] >> (i % 8)) & 1) != 0;
    if (!c.bytes.data.empty()) valid = valid && c.bytes.row(text, head, query)[i] != 0;
    if (valid) bits[static_cast<size_t>(i / 8)] |= static_cast<uint8_t>(1 << (i % 8));
  }
  mask.bits = bits.data();
  return mask;
}

struct AttentionOutputs {
  CaseRows<int8_t> out;
  CaseRows<uint8_t> weights;
  CaseRows<uint16_t> wide;
  CaseRows<int32_t> sums;
};

// What the reference gives for row (text, head, query), written into `expected`. An error's message, if any.
inline std::optional<std::string> reference_row(const AttentionCase& c, int64_t t, int64_t h, int64_t q,
                                                AttentionOutputs& expected) {
  const AttentionShape& s = c.shape;
  const int64_t keys = keys_of_text(c, t);
  const int64_t kv_head = h / (s.query_heads / s.key_heads);
  std::vector<int8_t> k, v;
  for (int64_t i = 0; i < keys; ++i) {
    const int8_t* key = c.k.row(t, kv_head, i);
    const int8_t* value = c.v.row(t, kv_head, i);
    k.insert(k.end(), key, key + s.head_dimension);
    v.insert(v.end(), value, value + s.value_dimension);
  }
  std::vector<uint8_t> bits;
  const RowMask mask = mask_of(c, t, h, q, bits);
  const Rescale rescale = c.rescales[static_cast<size_t>(t * c.rescale_text_stride + h * c.rescale_head_stride +
                                                         q * c.rescale_query_stride)];
  const HeadParams& params = c.params[static_cast<size_t>(c.first_head + h)];
  const std::span<const int8_t> query(c.q.row(t, h, q), static_cast<size_t>(s.head_dimension));
  std::vector<int8_t> out(static_cast<size_t>(s.value_dimension), 0);
  std::vector<uint16_t> weights(static_cast<size_t>(keys));
  int64_t total = 0;
  if (keys > 0) {
    const Status status = attention_reference(params, rescale, query, k, v, mask, out, c.weights);
    if (!status.ok()) return status.message();
    std::vector<int32_t> sums(static_cast<size_t>(keys));
    for (int64_t i = 0; i < keys; ++i) {
      for (int64_t j = 0; j < s.head_dimension; ++j) {
        sums[static_cast<size_t>(i)] +=
            query[static_cast<size_t>(j)] * k[static_cast<size_t>(i * s.head_dimension + j)];
      }
    }
    const auto sum = attention_weights_reference(params, rescale, sums, mask, c.weights, weights);
    if (!sum.ok()) return sum.status().message();
    total = *sum;
  }
  if (!c.without_out) std::copy(out.begin(), out.end(), expected.out.row(t, h, q));
  if (c.with_weights) {
    *expected.sums.row(t, h, q) = static_cast<int32_t>(total);
    if (c.weights == AttentionWeights::kWide) {
      std::copy(weights.begin(), weights.end(), expected.wide.row(t, h, q));
    } else {
      std::transform(weights.begin(), weights.end(), expected.weights.row(t, h, q),
                     [](uint16_t w) { return static_cast<uint8_t>(w); });
    }
  }
  return std::nullopt;
}

inline AttentionOutputs make_outputs(const AttentionCase& c) {
  const AttentionShape& s = c.shape;
  AttentionOutputs o;
  o.out = c.out;
  if (!c.in_place) std::fill(o.out.data.begin(), o.out.data.end(), int8_t{0x5A});
  if (c.with_weights) {
    RandomChoices strides(static_cast<uint64_t>(s.keys));
    o.weights = choose_rows<uint8_t>(strides, s.texts, s.query_heads, s.queries, s.keys);
    o.wide = choose_rows<uint16_t>(strides, s.texts, s.query_heads, s.queries, s.keys);
    o.sums = choose_rows<int32_t>(strides, s.texts, s.query_heads, s.queries, 1);
    std::fill(o.weights.data.begin(), o.weights.data.end(), uint8_t{0x5A});
    std::fill(o.wide.data.begin(), o.wide.data.end(), uint16_t{0x5A5A});
    std::fill(o.sums.data.begin(), o.sums.data.end(), 0x5A5A5A5A);
  }
  return o;
}

// What the reference gives, with canaries beside the rows.
inline std::optional<std::string> expected_outputs(const AttentionCase& c, AttentionOutputs& expected) {
  expected = make_outputs(c);
  for (int64_t t = 0; t < c.shape.texts; ++t) {
    for (int64_t h = 0; h < c.shape.query_heads; ++h) {
      for (int64_t q = 0; q < c.shape.queries; ++q) {
        if (auto error = reference_row(c, t, h, q, expected)) return error;
      }
    }
  }
  return std::nullopt;
}

template <class T>
std::optional<std::string> first_difference(std::string_view what, const AttentionCase& c, const CaseRows<T>& got,
                                            const CaseRows<T>& expected) {
  const auto [x, y] = std::mismatch(got.data.begin(), got.data.end(), expected.data.begin());
  if (x == got.data.end()) return std::nullopt;
  const int64_t at = x - got.data.begin() - got.misalignment;
  return fmt::format("{} differs at element {} (text {}, then {}; strides {}, {}, {}): {} instead of {}: {}", what, at,
                     got.text_stride == 0 ? 0 : at / got.text_stride, got.text_stride == 0 ? 0 : at % got.text_stride,
                     got.text_stride, got.head_stride, got.position_stride, *x, *y, c.describe());
}

// Nothing if `target` computes the case as expected and touches no element outside the rows; else what differs.
inline std::optional<std::string> difference(const AttentionCase& c, const AttentionOutputs& expected,
                                             std::string_view target) {
  const auto plan = AttentionPlan::hccs(c.params, c.weights, target);
  if (!plan.ok()) return plan.status().message();
  std::vector<KvCache> caches;
  if (auto error = fill_caches(c, *plan, caches)) return error;
  std::vector<const KvCache*> pointers;
  for (const KvCache& cache : caches) pointers.push_back(&cache);

  AttentionOutputs got = make_outputs(c);
  AttentionBatch b;
  b.shape = c.shape;
  b.first_head = c.first_head;
  b.queries = c.in_place ? std::as_const(got.out).rows() : c.q.rows();
  if (c.appended.empty()) {
    b.keys = c.k.rows();
    b.values = c.v.rows();
  } else {
    b.shape.keys = 0;
    b.caches = pointers;
  }
  if (!c.without_out) b.out = got.out.rows();
  b.rescales = c.rescales;
  b.rescale_text_stride = c.rescale_text_stride;
  b.rescale_head_stride = c.rescale_head_stride;
  b.rescale_query_stride = c.rescale_query_stride;
  b.valid_lengths = c.lengths;
  if (!c.lengths.empty()) {
    b.valid_text_stride = c.valid_text_stride;
    b.valid_query_stride = c.valid_query_stride;
  }
  b.causal_offset = c.causal_offset;
  b.window = c.window;
  if (!c.bits.data.empty()) b.mask_bits = c.bits.rows();
  if (!c.bytes.data.empty()) b.mask_bytes = c.bytes.rows();
  if (c.with_weights) {
    (c.weights == AttentionWeights::kWide ? (void)(b.wide_weights = got.wide.rows())
                                          : (void)(b.weights = got.weights.rows()));
    b.weight_sums = got.sums.rows();
  }
  if (const Status status = plan->run(b); !status.ok()) return status.message() + ": " + c.describe();
  const std::string name(target);
  if (auto d = first_difference(name + ": out", c, got.out, expected.out)) return d;
  if (auto d = first_difference(name + ": weights", c, got.weights, expected.weights)) return d;
  if (auto d = first_difference(name + ": wide weights", c, got.wide, expected.wide)) return d;
  return first_difference(name + ": sums", c, got.sums, expected.sums);
}

}  // namespace hccs

#endif  // HCCS_TESTS_ATTENTION_ATTENTION_CASE_H_
