// SPDX-License-Identifier: Apache-2.0
#include "hccs/attention.h"

#include <fmt/core.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "c_interface/call.h"
#include "c_interface/param_file.h"
#include "hccs/hccs.h"

using hccs::AttentionPlan;
using hccs::Expected;
using hccs::HeadParams;
using hccs::Status;
using hccs::internal::call;
using hccs::internal::check_not_null;
using hccs::internal::invalid;

struct hccs_attention_plan {
  AttentionPlan plan;
};

struct hccs_kv_cache {
  hccs::KvCache cache;
};

namespace hccs::internal {
namespace {

constexpr size_t kFirstOptionsBytes = offsetof(hccs_attention_options, unused) + sizeof(int32_t);
constexpr size_t kFirstBatchBytes = offsetof(hccs_attention_batch, weight_sum_strides) + sizeof(hccs_strides);

struct Options {
  AttentionWeights weights = AttentionWeights::kUint8;
  std::string_view target;
};

Expected<Options> read_options(const hccs_attention_options* given) {
  Options options;
  if (given == nullptr) return options;
  HCCS_ASSIGN_OR_RETURN(const hccs_attention_options o, read_struct(given, kFirstOptionsBytes, "options"));
  if (o.weights != HCCS_ATTENTION_WEIGHTS_UINT8 && o.weights != HCCS_ATTENTION_WEIGHTS_WIDE) {
    return invalid(fmt::format("options: weights = {}, but it is {} (uint8) or {} (wide)", o.weights,
                               int{HCCS_ATTENTION_WEIGHTS_UINT8}, int{HCCS_ATTENTION_WEIGHTS_WIDE}));
  }
  if (o.unused != 0) return invalid(fmt::format("options: unused = {}, but it is 0", o.unused));
  if (o.weights == HCCS_ATTENTION_WEIGHTS_WIDE) options.weights = AttentionWeights::kWide;
  if (o.target != nullptr) options.target = o.target;
  return options;
}

// `make` returns the Expected<AttentionPlan> of its options.
template <class Make>
Status make_plan(const hccs_attention_options* given, hccs_attention_plan** plan, const Make& make) {
  HCCS_RETURN_IF_ERROR(check_not_null({{"plan", plan}}));
  HCCS_ASSIGN_OR_RETURN(const Options options, read_options(given));
  HCCS_ASSIGN_OR_RETURN(AttentionPlan made, make(options));
  *plan = std::make_unique<hccs_attention_plan>(hccs_attention_plan{std::move(made)}).release();
  return {};
}

// A stride of a batch over `size` things.
struct Stride {
  std::string_view name;
  int64_t* value = nullptr;
  int64_t size = 0;
  std::string_view things;  // "texts"
};

// Makes strides that are not set 0 where they multiply nothing but 0. Those of an array that is not there (`used`
// false) are not looked at. Errors: kInvalidArgument for one that is needed and not set, or negative.
Status settle_strides(bool used, std::initializer_list<Stride> strides) {
  for (const Stride& stride : strides) {
    if (!used || (*stride.value == HCCS_NO_STRIDE && stride.size <= 1)) {
      *stride.value = 0;
    } else if (*stride.value == HCCS_NO_STRIDE) {
      return invalid(fmt::format("batch: {} is not set, but there are {} {}", stride.name, stride.size, stride.things));
    } else if (*stride.value < 0) {
      return invalid(fmt::format("batch: {} = {}, but a stride is 0 or more", stride.name, *stride.value));
    }
  }
  return {};
}

// The rows of an array of the batch, which may be null.
struct Names {
  std::string_view text, head, position;
};
template <class T>
Status read_rows(T* data, hccs_strides strides, const hccs_attention_shape& shape, bool of_keys, const Names& names,
                 AttentionRows<T>& rows) {
  HCCS_RETURN_IF_ERROR(settle_strides(
      data != nullptr,
      {{names.text, &strides.text, shape.texts, "texts"},
       {names.head, &strides.head, of_keys ? shape.key_heads : shape.query_heads,
        of_keys ? "key heads" : "query heads"},
       {names.position, &strides.position, of_keys ? shape.keys : shape.queries, of_keys ? "keys" : "queries"}}));
  rows = {.data = data, .text_stride = strides.text, .head_stride = strides.head, .position_stride = strides.position};
  return {};
}
#define HCCS_NAMES(member) \
  Names { #member ".text", #member ".head", #member ".position" }

template <class T>
Expected<std::span<const T>> read_span(const T* data, int64_t count, std::string_view what) {
  if (count < 0) return invalid(fmt::format("batch: {} = {}, but it is 0 or more", what, count));
  if (data == nullptr && count > 0) return invalid(fmt::format("batch: {} = {}, but the array is NULL", what, count));
  return std::span<const T>(data, static_cast<size_t>(data == nullptr ? 0 : count));
}

// A batch in C++, and the caches that it points to.
struct Batch {
  AttentionBatch batch;
  std::array<const KvCache*, 64> few;
  std::vector<const KvCache*> many;
};

Status read_caches(const hccs_attention_batch& b, Batch& result) {
  if (b.caches == nullptr || b.shape.texts <= 0) return {};
  const auto count = static_cast<size_t>(b.shape.texts);
  if (count > result.few.size()) result.many.resize(count);
  const std::span<const KvCache*> caches(result.many.empty() ? result.few.data() : result.many.data(), count);
  for (size_t t = 0; t < count; ++t) caches[t] = b.caches[t] == nullptr ? nullptr : &b.caches[t]->cache;
  result.batch.caches = caches;
  return {};
}

Status read_inputs(const hccs_attention_batch& b, AttentionBatch& batch) {
  const hccs_attention_shape& s = b.shape;
  HCCS_RETURN_IF_ERROR(read_rows(b.queries, b.query_strides, s, false, HCCS_NAMES(query_strides), batch.queries));
  HCCS_RETURN_IF_ERROR(read_rows(b.keys, b.key_strides, s, true, HCCS_NAMES(key_strides), batch.keys));
  HCCS_RETURN_IF_ERROR(read_rows(b.values, b.value_strides, s, true, HCCS_NAMES(value_strides), batch.values));

  AttentionRows<const void> rescales;
  HCCS_RETURN_IF_ERROR(
      read_rows<const void>(b.rescales, b.rescale_strides, s, false, HCCS_NAMES(rescale_strides), rescales));
  batch.rescale_text_stride = rescales.text_stride;
  batch.rescale_head_stride = rescales.head_stride;
  batch.rescale_query_stride = rescales.position_stride;
  HCCS_ASSIGN_OR_RETURN(batch.rescales,
                        read_span(reinterpret_cast<const Rescale*>(b.rescales), b.rescale_count, "rescale_count"));

  hccs_strides valid = b.valid_strides;
  valid.head = 0;
  AttentionRows<const int32_t> lengths;
  HCCS_RETURN_IF_ERROR(read_rows(b.valid_lengths, valid, s, false, HCCS_NAMES(valid_strides), lengths));
  batch.valid_text_stride = lengths.text_stride;
  batch.valid_query_stride = lengths.position_stride;
  HCCS_ASSIGN_OR_RETURN(batch.valid_lengths, read_span(b.valid_lengths, b.valid_length_count, "valid_length_count"));
  if (b.valid_lengths != nullptr && b.valid_length_count == 0) {
    return invalid("batch: valid_length_count = 0, but valid_lengths is set");
  }

  if (b.has_causal_offset != 0) batch.causal_offset = b.causal_offset;
  if (b.has_window != 0) batch.window = b.window;
  HCCS_RETURN_IF_ERROR(
      read_rows(b.mask_bits, b.mask_bits_strides, s, false, HCCS_NAMES(mask_bits_strides), batch.mask_bits));
  return read_rows(b.mask_bytes, b.mask_bytes_strides, s, false, HCCS_NAMES(mask_bytes_strides), batch.mask_bytes);
}

Status read_outputs(const hccs_attention_batch& b, AttentionBatch& batch) {
  const hccs_attention_shape& s = b.shape;
  HCCS_RETURN_IF_ERROR(read_rows(b.out, b.out_strides, s, false, HCCS_NAMES(out_strides), batch.out));
  HCCS_RETURN_IF_ERROR(read_rows(b.weights, b.weight_strides, s, false, HCCS_NAMES(weight_strides), batch.weights));
  HCCS_RETURN_IF_ERROR(
      read_rows(b.wide_weights, b.wide_weight_strides, s, false, HCCS_NAMES(wide_weight_strides), batch.wide_weights));
  return read_rows(b.weight_sums, b.weight_sum_strides, s, false, HCCS_NAMES(weight_sum_strides), batch.weight_sums);
}
#undef HCCS_NAMES

// Runs `f(plan, batch)`, which returns a Status.
template <class F>
hccs_code with_batch(const hccs_attention_plan* plan, const hccs_attention_batch* given, hccs_status* status,
                     const F& f) noexcept {
  return call("attention", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"plan", plan}}));
    HCCS_ASSIGN_OR_RETURN(const hccs_attention_batch b, read_struct(given, kFirstBatchBytes, "batch"));
    Batch result;
    result.batch.shape = {.texts = b.shape.texts,
                          .query_heads = b.shape.query_heads,
                          .key_heads = b.shape.key_heads,
                          .queries = b.shape.queries,
                          .keys = b.shape.keys,
                          .head_dimension = b.shape.head_dimension,
                          .value_dimension = b.shape.value_dimension};
    result.batch.first_head = b.first_head;
    HCCS_RETURN_IF_ERROR(read_inputs(b, result.batch));
    HCCS_RETURN_IF_ERROR(read_outputs(b, result.batch));
    HCCS_RETURN_IF_ERROR(read_caches(b, result));
    return f(plan->plan, result.batch);
  });
}

AttentionRows<const int8_t> cache_rows(const int8_t* data, const hccs_strides& strides) {
  return {.data = data, .text_stride = 0, .head_stride = strides.head, .position_stride = strides.position};
}

}  // namespace
}  // namespace hccs::internal

using hccs::internal::heads_of;
using hccs::internal::make_plan;
using hccs::internal::Options;
using hccs::internal::steps_of;
using hccs::internal::with_batch;

extern "C" {

int64_t hccs_attention_target_count(void) { return std::ssize(hccs::attention_targets()); }

const char* hccs_attention_target_name(int64_t index) {
  if (index < 0 || index >= hccs_attention_target_count()) return nullptr;
  return hccs::attention_targets()[static_cast<size_t>(index)].data();  // of a literal, so that a 0 byte follows
}

hccs_code hccs_attention_plan_of_heads(const hccs_head_params* heads, int64_t count,
                                       const hccs_attention_options* options, hccs_attention_plan** plan,
                                       hccs_status* status) {
  return call("attention plan", status, [&]() -> Status {
    return make_plan(options, plan, [&](const Options& o) -> Expected<AttentionPlan> {
      HCCS_ASSIGN_OR_RETURN(const std::vector<HeadParams> params, heads_of(heads, count));
      return AttentionPlan::hccs(params, o.weights, o.target);
    });
  });
}

hccs_code hccs_attention_plan_of_layer(const hccs_param_file* file, int64_t layer,
                                       const hccs_attention_options* options, hccs_attention_plan** plan,
                                       hccs_status* status) {
  return call("attention plan", status, [&]() -> Status {
    return make_plan(options, plan, [&](const Options& o) -> Expected<AttentionPlan> {
      HCCS_ASSIGN_OR_RETURN(const std::vector<HeadParams> params, heads_of(file, layer));
      return AttentionPlan::hccs(params, o.weights, o.target);
    });
  });
}

hccs_code hccs_attention_plan_of_exponentials(const double* steps, int64_t count, const hccs_attention_options* options,
                                              hccs_attention_plan** plan, hccs_status* status) {
  return call("attention plan", status, [&]() -> Status {
    return make_plan(options, plan, [&](const Options& o) -> Expected<AttentionPlan> {
      HCCS_ASSIGN_OR_RETURN(const std::span<const double> given, steps_of(steps, count));
      return AttentionPlan::exact_lut(given, o.weights, o.target);
    });
  });
}

void hccs_attention_plan_free(hccs_attention_plan* plan) { delete plan; }

int64_t hccs_attention_plan_heads(const hccs_attention_plan* plan) { return plan == nullptr ? 0 : plan->plan.heads(); }

const char* hccs_attention_plan_target(const hccs_attention_plan* plan) {
  return plan == nullptr ? nullptr : plan->plan.target().data();  // of a literal, so that a 0 byte follows
}

hccs_code hccs_kv_cache_create(const hccs_attention_plan* plan, int64_t key_heads, int64_t head_dimension,
                               int64_t value_dimension, hccs_kv_cache** cache, hccs_status* status) {
  return call("cache", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"plan", plan}, {"cache", cache}}));
    HCCS_ASSIGN_OR_RETURN(hccs::KvCache made,
                          hccs::KvCache::make(plan->plan, key_heads, head_dimension, value_dimension));
    *cache = std::make_unique<hccs_kv_cache>(hccs_kv_cache{std::move(made)}).release();
    return {};
  });
}

hccs_code hccs_kv_cache_append(hccs_kv_cache* cache, const int8_t* keys, hccs_strides key_strides, const int8_t* values,
                               hccs_strides value_strides, int64_t positions, hccs_status* status) {
  return call("cache", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"cache", cache}}));
    return cache->cache.append(hccs::internal::cache_rows(keys, key_strides),
                               hccs::internal::cache_rows(values, value_strides), positions);
  });
}

hccs_code hccs_kv_cache_truncate(hccs_kv_cache* cache, int64_t length, hccs_status* status) {
  return call("cache", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"cache", cache}}));
    return cache->cache.truncate(length);
  });
}

int64_t hccs_kv_cache_length(const hccs_kv_cache* cache) { return cache == nullptr ? 0 : cache->cache.length(); }

void hccs_kv_cache_free(hccs_kv_cache* cache) { delete cache; }

hccs_code hccs_attention_pieces(const hccs_attention_plan* plan, const hccs_attention_batch* batch, int64_t* pieces,
                                hccs_status* status) {
  return with_batch(plan, batch, status, [&](const AttentionPlan& p, const hccs::AttentionBatch& b) -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"pieces", pieces}}));
    HCCS_ASSIGN_OR_RETURN(*pieces, p.pieces(b));
    return {};
  });
}

hccs_code hccs_attention_scratch_bytes(const hccs_attention_plan* plan, const hccs_attention_batch* batch,
                                       size_t* bytes, hccs_status* status) {
  return with_batch(plan, batch, status, [&](const AttentionPlan& p, const hccs::AttentionBatch& b) -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"bytes", bytes}}));
    HCCS_RETURN_IF_ERROR(p.pieces(b).status());
    *bytes = static_cast<size_t>(p.scratch_bytes(b));
    return {};
  });
}

hccs_code hccs_attention_run_piece(const hccs_attention_plan* plan, const hccs_attention_batch* batch, int64_t piece,
                                   void* scratch, size_t scratch_bytes, hccs_status* status) {
  return with_batch(plan, batch, status, [&](const AttentionPlan& p, const hccs::AttentionBatch& b) -> Status {
    if (scratch_bytes > 0) HCCS_RETURN_IF_ERROR(check_not_null({{"scratch", scratch}}));
    return p.run_piece(b, piece, {static_cast<std::byte*>(scratch), scratch_bytes});
  });
}

hccs_code hccs_attention_run(const hccs_attention_plan* plan, const hccs_attention_batch* batch, hccs_status* status) {
  return with_batch(plan, batch, status,
                    [](const AttentionPlan& p, const hccs::AttentionBatch& b) { return p.run(b); });
}

}  // extern "C"
