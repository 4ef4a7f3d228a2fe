// SPDX-License-Identifier: Apache-2.0
//
// Batches: how they are made, and what in one is refused.
#include "attention/batch.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>
#include <tuple>
#include <utility>

#include "attention/kv_cache.h"

namespace hccs {
namespace {

template <class T>
AttentionRows<T> dense_rows(T* data, int64_t heads, int64_t positions, int64_t elements) {
  return {data, heads * positions * elements, positions * elements, elements};
}

}  // namespace

AttentionBatch AttentionBatch::dense(const int8_t* q, const int8_t* k, const int8_t* v, int8_t* out,
                                     const AttentionShape& s) noexcept {
  AttentionBatch batch;
  batch.shape = s;
  batch.queries = dense_rows(q, s.query_heads, s.queries, s.head_dimension);
  batch.keys = dense_rows(k, s.key_heads, s.keys, s.head_dimension);
  batch.values = dense_rows(v, s.key_heads, s.keys, s.value_dimension);
  batch.out = dense_rows(out, s.query_heads, s.queries, s.value_dimension);
  return batch;
}

AttentionBatch AttentionBatch::cached(const int8_t* q, std::span<const KvCache* const> caches, int8_t* out,
                                      const AttentionShape& s) noexcept {
  AttentionBatch batch;
  batch.shape = s;
  batch.shape.keys = 0;
  batch.queries = dense_rows(q, s.query_heads, s.queries, s.head_dimension);
  batch.out = dense_rows(out, s.query_heads, s.queries, s.value_dimension);
  batch.caches = caches;
  batch.causal_offset = 0;
  return batch;
}

AttentionBatch& AttentionBatch::with_rescale(const Rescale& one) noexcept {
  rescales = {&one, 1};
  rescale_text_stride = rescale_head_stride = rescale_query_stride = 0;
  return *this;
}

AttentionBatch& AttentionBatch::with_rescales(std::span<const Rescale> of_head) noexcept {
  rescales = of_head;
  rescale_head_stride = 1;
  rescale_text_stride = rescale_query_stride = 0;
  return *this;
}

AttentionBatch& AttentionBatch::with_rescales_per_query(std::span<const Rescale> of_query) noexcept {
  rescales = of_query;
  rescale_text_stride = shape.query_heads * shape.queries;
  rescale_head_stride = shape.queries;
  rescale_query_stride = 1;
  return *this;
}

AttentionBatch& AttentionBatch::with_lengths(std::span<const int32_t> of_text) noexcept {
  valid_lengths = of_text;
  valid_text_stride = 1;
  valid_query_stride = 0;
  return *this;
}

AttentionBatch& AttentionBatch::with_lengths_per_query(std::span<const int32_t> of_query) noexcept {
  valid_lengths = of_query;
  valid_text_stride = shape.queries;
  valid_query_stride = 1;
  return *this;
}

namespace internal {
namespace {

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

constexpr int64_t kMost = int64_t{1} << 44;  // elements that a dimension may span, so that sums of spans stay in int64

struct Dimension {
  int64_t size;
  int64_t stride;
};
using Dimensions = std::array<Dimension, 3>;

// Memory from the first element of an array to one past its last.
struct Range {
  std::string_view what;
  uintptr_t begin = 0;
  uintptr_t end = 0;
};

Status check_strides(std::string_view what, const Dimensions& dimensions) {
  constexpr std::array<std::string_view, 3> kNames = {"text", "head", "position"};
  for (size_t i = 0; i < dimensions.size(); ++i) {
    const auto& [size, stride] = dimensions[i];
    if (stride < 0 || stride > kMost / std::max<int64_t>(size, 1)) {
      return invalid(fmt::format("{}: {}_stride {}, but a stride is 0 to 2^44 over the number of {}s", what, kNames[i],
                                 stride, kNames[i]));
    }
  }
  return {};
}

int64_t reach(const Dimensions& dimensions) {
  int64_t sum = 0;
  for (const auto& [size, stride] : dimensions) sum += (size - 1) * stride;
  return sum;
}

template <class T>
Expected<Range> range_of(std::string_view what, const AttentionRows<T>& rows, const std::array<int64_t, 3>& sizes,
                         int64_t elements) {
  if (rows.data == nullptr) return invalid(fmt::format("{} must not be null", what));
  const Dimensions dimensions = {
      {{sizes[0], rows.text_stride}, {sizes[1], rows.head_stride}, {sizes[2], rows.position_stride}}};
  HCCS_RETURN_IF_ERROR(check_strides(what, dimensions));
  const auto begin = reinterpret_cast<uintptr_t>(rows.data);
  return Range{what, begin, begin + static_cast<uintptr_t>(reach(dimensions) + elements) * sizeof(T)};
}

// range_of() rows that are written: they must not overlap.
template <class T>
Expected<Range> written_range(std::string_view what, const AttentionRows<T>& rows, const std::array<int64_t, 3>& sizes,
                              int64_t elements) {
  HCCS_ASSIGN_OR_RETURN(const Range range, range_of(what, rows, sizes, elements));
  Dimensions d = {{{sizes[0], rows.text_stride}, {sizes[1], rows.head_stride}, {sizes[2], rows.position_stride}}};
  std::sort(d.begin(), d.end(), [](const Dimension& a, const Dimension& b) { return a.stride < b.stride; });
  int64_t span = elements;
  for (const auto& [size, stride] : d) {
    if (size == 1) continue;
    if (stride < span) {
      return invalid(fmt::format("rows of {} overlap: strides {}, {}, {}, {} elements", what, rows.text_stride,
                                 rows.head_stride, rows.position_stride, elements));
    }
    span += (size - 1) * stride;
  }
  return range;
}

Status check_shape(const AttentionPlan::Impl& plan, const AttentionBatch& b) {
  const AttentionShape& s = b.shape;
  const auto heads = std::ssize(plan.heads);
  if (s.texts < 0 || s.query_heads < 0 || s.queries < 0) {
    return invalid(fmt::format("{} texts, {} query heads, {} queries, but a batch has 0 or more", s.texts,
                               s.query_heads, s.queries));
  }
  if (s.key_heads < 1 || s.query_heads % s.key_heads != 0) {
    return invalid(fmt::format("{} query heads, {} key heads, but each key head has as many query heads", s.query_heads,
                               s.key_heads));
  }
  if (b.first_head < 0 || b.first_head > heads || s.query_heads > heads - b.first_head) {
    return invalid(fmt::format("{} query heads from head {}, but the plan has {}", s.query_heads, b.first_head, heads));
  }
  for (const auto& [size, what] :
       {std::pair{s.head_dimension, "head_dimension"}, std::pair{s.value_dimension, "value_dimension"}}) {
    if (size < 1 || size > kMaxAttentionDimension) {
      return invalid(fmt::format("{} {}, but it is 1 to {}", what, size, kMaxAttentionDimension));
    }
  }
  if (s.texts > kMost || s.queries > kMost / std::max<int64_t>(1, s.texts) / std::max<int64_t>(1, s.query_heads)) {
    return invalid(fmt::format("{} texts x {} query heads x {} queries, but at most 2^44 rows", s.texts, s.query_heads,
                               s.queries));
  }
  return {};
}

Status check_caches(const AttentionPlan::Impl& plan, const AttentionBatch& b) {
  const AttentionShape& s = b.shape;
  if (std::ssize(b.caches) != s.texts) {
    return invalid(fmt::format("{} caches, but {} texts", b.caches.size(), s.texts));
  }
  if (s.keys != 0 || b.keys.data != nullptr || b.values.data != nullptr) {
    return invalid(fmt::format("{} keys beside caches: a batch has keys and values, or caches", s.keys));
  }
  for (size_t t = 0; t < b.caches.size(); ++t) {
    if (b.caches[t] == nullptr) return invalid(fmt::format("text {}: its cache must not be null", t));
    const KvCache::Impl& cache = b.caches[t]->impl();
    if (cache.target.id != plan.target.id || cache.target.name != plan.target.name) {
      return {StatusCode::kMismatch, fmt::format("text {}: a cache of target {}, but the plan's is {}", t,
                                                 cache.target.name, plan.target.name)};
    }
    if (cache.key_heads != s.key_heads || cache.layout.head_dimension != s.head_dimension ||
        cache.layout.value_dimension != s.value_dimension) {
      return invalid(fmt::format("text {}: a cache of {} key heads, dimensions {} and {}, but the batch has {}, {}, {}",
                                 t, cache.key_heads, cache.layout.head_dimension, cache.layout.value_dimension,
                                 s.key_heads, s.head_dimension, s.value_dimension));
    }
  }
  return {};
}

Status check_rescales(const AttentionBatch& b) {
  const AttentionShape& s = b.shape;
  const Dimensions d = {
      {{s.texts, b.rescale_text_stride}, {s.query_heads, b.rescale_head_stride}, {s.queries, b.rescale_query_stride}}};
  HCCS_RETURN_IF_ERROR(check_strides("rescales", d));
  if (std::ssize(b.rescales) != reach(d) + 1) {
    return invalid(fmt::format("{} rescales, but the strides {}, {}, {} reach {}", b.rescales.size(), d[0].stride,
                               d[1].stride, d[2].stride, reach(d) + 1));
  }
  for (const Rescale& rescale : b.rescales) HCCS_RETURN_IF_ERROR(validate(rescale));
  return {};
}

Status check_lengths(const AttentionBatch& b) {
  if (b.valid_lengths.empty() && b.valid_text_stride == 0 && b.valid_query_stride == 0) return {};
  const Dimensions d = {{{b.shape.texts, b.valid_text_stride}, {1, 0}, {b.shape.queries, b.valid_query_stride}}};
  HCCS_RETURN_IF_ERROR(check_strides("valid_lengths", d));
  if (std::ssize(b.valid_lengths) != reach(d) + 1) {
    return invalid(fmt::format("{} valid lengths, but the strides {}, {} reach {}", b.valid_lengths.size(),
                               b.valid_text_stride, b.valid_query_stride, reach(d) + 1));
  }
  return {};
}

// The memory that a batch reads and writes.
struct Ranges {
  std::array<Range, 8> read;
  size_t reads = 0;
  std::array<Range, 4> written;
  size_t writes = 0;
};

template <class T>
Range range_of_span(std::string_view what, std::span<const T> span) {
  const auto begin = reinterpret_cast<uintptr_t>(span.data());
  return {what, begin, begin + span.size_bytes()};
}

Status read_ranges(const AttentionBatch& b, int64_t longest, Ranges& ranges) {
  const AttentionShape& s = b.shape;
  const std::array<int64_t, 3> key_sizes = {s.texts, s.key_heads, s.keys};
  const std::array<int64_t, 3> row_sizes = {s.texts, s.query_heads, s.queries};
  const auto add = [&](const Range& range) { ranges.read[ranges.reads++] = range; };
  HCCS_ASSIGN_OR_RETURN(const Range queries, range_of("queries", b.queries, row_sizes, s.head_dimension));
  add(queries);
  if (b.caches.empty()) {
    HCCS_ASSIGN_OR_RETURN(const Range keys, range_of("keys", b.keys, key_sizes, s.head_dimension));
    HCCS_ASSIGN_OR_RETURN(const Range values, range_of("values", b.values, key_sizes, s.value_dimension));
    add(keys);
    add(values);
  }
  add(range_of_span("rescales", b.rescales));
  add(range_of_span("valid_lengths", b.valid_lengths));
  if (b.mask_bits.data != nullptr) {
    HCCS_ASSIGN_OR_RETURN(const Range bits, range_of("mask_bits", b.mask_bits, row_sizes, (longest + 7) / 8));
    add(bits);
  }
  if (b.mask_bytes.data != nullptr) {
    HCCS_ASSIGN_OR_RETURN(const Range bytes, range_of("mask_bytes", b.mask_bytes, row_sizes, longest));
    add(bytes);
  }
  return {};
}

Status written_ranges(const AttentionBatch& b, int64_t longest, Ranges& ranges) {
  const AttentionShape& s = b.shape;
  const std::array<int64_t, 3> row_sizes = {s.texts, s.query_heads, s.queries};
  const auto add = [&](const Range& range) { ranges.written[ranges.writes++] = range; };
  if (b.out.data != nullptr) {
    HCCS_ASSIGN_OR_RETURN(const Range out, written_range("out", b.out, row_sizes, s.value_dimension));
    add(out);
  }
  if (b.weights.data != nullptr) {
    HCCS_ASSIGN_OR_RETURN(const Range weights, written_range("weights", b.weights, row_sizes, longest));
    add(weights);
  }
  if (b.wide_weights.data != nullptr) {
    HCCS_ASSIGN_OR_RETURN(const Range weights, written_range("wide_weights", b.wide_weights, row_sizes, longest));
    add(weights);
  }
  if (b.weight_sums.data != nullptr) {
    HCCS_ASSIGN_OR_RETURN(const Range sums, written_range("weight_sums", b.weight_sums, row_sizes, 1));
    add(sums);
  }
  return {};
}

Status check_overlap(const AttentionBatch& b, const Ranges& ranges) {
  const auto overlap = [](const Range& x, const Range& y) { return x.begin < y.end && y.begin < x.end; };
  const bool in_place = static_cast<const void*>(b.out.data) == b.queries.data &&
                        b.shape.head_dimension == b.shape.value_dimension &&
                        b.out.text_stride == b.queries.text_stride && b.out.head_stride == b.queries.head_stride &&
                        b.out.position_stride == b.queries.position_stride;
  for (size_t i = 0; i < ranges.writes; ++i) {
    const Range& w = ranges.written[i];
    for (size_t j = 0; j < ranges.reads; ++j) {
      const Range& r = ranges.read[j];
      if (in_place && w.what == "out" && r.what == "queries") continue;
      if (overlap(w, r)) return invalid(fmt::format("{} overlaps {}", w.what, r.what));
    }
    for (size_t j = 0; j < i; ++j) {
      if (overlap(w, ranges.written[j])) return invalid(fmt::format("{} overlaps {}", w.what, ranges.written[j].what));
    }
  }
  return {};
}

}  // namespace

int64_t longest_text(const AttentionBatch& batch) noexcept {
  int64_t longest = batch.shape.keys;
  for (const KvCache* cache : batch.caches) longest = std::max(longest, cache->length());
  return longest;
}

Status check_batch(const AttentionPlan::Impl& plan, const AttentionBatch& b) {
  HCCS_RETURN_IF_ERROR(check_shape(plan, b));
  const AttentionShape& s = b.shape;
  if (!b.caches.empty()) {
    HCCS_RETURN_IF_ERROR(check_caches(plan, b));
  } else if (s.texts > 0 && (s.keys < 1 || s.keys > kMaxRowLength)) {
    return invalid(fmt::format("{} keys, but a row has 1 to {}", s.keys, kMaxRowLength));
  }
  if (s.texts == 0 || s.query_heads == 0 || s.queries == 0) return {};
  if (b.out.data == nullptr && b.weights.data == nullptr && b.wide_weights.data == nullptr &&
      b.weight_sums.data == nullptr) {
    return invalid("out, weights and weight_sums are all null: nothing to write");
  }
  const bool wide = plan.weights == AttentionWeights::kWide;
  if (wide ? b.weights.data != nullptr : b.wide_weights.data != nullptr) {
    return invalid(wide ? "weights is set, but the plan's are wide: set wide_weights"
                        : "wide_weights is set, but the plan's weights have 8 bits: set weights");
  }
  HCCS_RETURN_IF_ERROR(check_rescales(b));
  HCCS_RETURN_IF_ERROR(check_lengths(b));
  const int64_t longest = longest_text(b);
  Ranges ranges;
  HCCS_RETURN_IF_ERROR(read_ranges(b, longest, ranges));
  HCCS_RETURN_IF_ERROR(written_ranges(b, longest, ranges));
  return check_overlap(b, ranges);
}

}  // namespace internal
}  // namespace hccs
