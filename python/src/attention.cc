// SPDX-License-Identifier: Apache-2.0
#include "hccs/attention.h"

#include <fmt/core.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <thread>
#include <utility>

#include "arrays.h"
#include "bind.h"
#include "status.h"

namespace hccs::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

AttentionWeights weights_of(const std::string& name) {
  if (name == "uint8") return AttentionWeights::kUint8;
  if (name == "wide") return AttentionWeights::kWide;
  refuse(fmt::format("weights \"{}\", but there are \"uint8\" and \"wide\"", name));
}

// A cache that Python's threads may use at once: appending waits for those that attend.
struct Cache {
  KvCache cache;
  mutable std::shared_mutex lock;

  explicit Cache(KvCache made) : cache(std::move(made)) {}
};

template <class T>
AttentionRows<T> rows_of(const Array& array) {
  const Four strides = strides_of(array);
  return {.data = writable<std::remove_const_t<T>>(array),
          .text_stride = strides[0],
          .head_stride = strides[1],
          .position_stride = strides[2]};
}

// int8 [texts, heads, positions, dimension], or without texts.
Array int8_rows(nb::handle object, std::string_view name) {
  Array array = array_of(object, name, true);
  if (!has_type<int8_t>(array)) refuse_type(fmt::format("{} must be int8, not {}", name, dtype_name(array.dtype())));
  if (array.ndim() != 3 && array.ndim() != 4) {
    refuse(fmt::format("{} has shape {}, but [texts, heads, positions, dimension], or the last three, is needed", name,
                       text_of(shape_of(array))));
  }
  return array;
}

// How many elements strides over sizes reach.
int64_t reach(std::span<const int64_t> sizes, std::span<const int64_t> strides) {
  int64_t last = 0;
  for (size_t i = 0; i < sizes.size(); ++i) last += (sizes[i] - 1) * strides[i];
  return last + 1;
}

void refuse_shape(const Array& array, std::string_view name, const std::vector<int64_t>& shape) {
  if (shape_of(array) == shape) return;
  refuse(fmt::format("{} has shape {}, but the result has {}", name, text_of(shape_of(array)), text_of(shape)));
}

// A call, and what owns the memory that it names.
struct Call {
  AttentionBatch batch;
  Array q, k, v, rescales, lengths, mask, weights, sums;
  std::vector<const KvCache*> caches;
  std::vector<std::shared_lock<std::shared_mutex>> locks;

  void set_rows(nb::handle queries, nb::handle keys, nb::handle values) {
    q = int8_rows(queries, "q");
    batch.queries = rows_of<const int8_t>(q);
    const Four of_q = sizes_of(q, "q");
    batch.shape = {.texts = of_q[0], .query_heads = of_q[1], .queries = of_q[2], .head_dimension = of_q[3]};
    if (keys.is_none() && values.is_none()) return;
    k = int8_rows(keys, "k");
    v = int8_rows(values, "v");
    const Four of_k = sizes_of(k, "k");
    const Four of_v = sizes_of(v, "v");
    if (of_k[0] != of_q[0] || of_k[3] != of_q[3] || of_v[0] != of_q[0] || of_v[1] != of_k[1] || of_v[2] != of_k[2]) {
      refuse(
          fmt::format("q has shape {}, k {} and v {}, but they share texts, q and k the dimension, k and v heads and "
                      "positions",
                      text_of(shape_of(q)), text_of(shape_of(k)), text_of(shape_of(v))));
    }
    batch.shape.key_heads = of_k[1];
    batch.shape.keys = of_k[2];
    batch.shape.value_dimension = of_v[3];
    batch.keys = rows_of<const int8_t>(k);
    batch.values = rows_of<const int8_t>(v);
  }

  void set_caches(const std::vector<const Cache*>& of_texts) {
    if (std::ssize(of_texts) != batch.shape.texts || of_texts.empty()) {
      refuse(fmt::format("{} caches for {} texts, but each text has one", of_texts.size(), batch.shape.texts));
    }
    std::vector<const Cache*> different = of_texts;
    std::sort(different.begin(), different.end());
    different.erase(std::unique(different.begin(), different.end()), different.end());
    {
      const nb::gil_scoped_release release;
      for (const Cache* cache : different) locks.emplace_back(cache->lock);
    }
    for (const Cache* cache : of_texts) caches.push_back(&cache->cache);
    batch.shape.key_heads = caches[0]->key_heads();
    batch.shape.value_dimension = caches[0]->value_dimension();
    batch.caches = caches;
  }

  void set_rescales(nb::handle object) {
    rescales = int32_array_of(object, "rescale");
    const int64_t sizes[] = {batch.shape.texts, batch.shape.query_heads, batch.shape.queries, 2};
    const auto strides = broadcast(rescales, sizes, "rescale");
    if (strides[3] != 1 || strides[0] % 2 != 0 || strides[1] % 2 != 0 || strides[2] % 2 != 0) {
      refuse(fmt::format("rescale has shape {}, but the last axis holds M and R, contiguous",
                         text_of(shape_of(rescales))));
    }
    const int64_t of_row[] = {strides[0] / 2, strides[1] / 2, strides[2] / 2};
    batch.rescale_text_stride = of_row[0];
    batch.rescale_head_stride = of_row[1];
    batch.rescale_query_stride = of_row[2];
    batch.rescales = {reinterpret_cast<const Rescale*>(rescales.data()),
                      static_cast<size_t>(reach(std::span(sizes).first(3), of_row))};
  }

  void set_lengths(nb::handle object) {
    lengths = int32_array_of(object, "lengths");
    const int64_t sizes[] = {batch.shape.texts, batch.shape.queries};
    const auto strides = broadcast(lengths, sizes, "lengths");
    batch.valid_text_stride = strides[0];
    batch.valid_query_stride = strides[1];
    batch.valid_lengths = {static_cast<const int32_t*>(lengths.data()), static_cast<size_t>(reach(sizes, strides))};
  }

  // Of all texts, which `what` has one axis for.
  int64_t keys_of(std::string_view what) const {
    for (const KvCache* cache : caches) {
      if (cache->length() != caches[0]->length()) refuse(fmt::format("{} needs caches of one length", what));
    }
    return caches.empty() ? batch.shape.keys : caches[0]->length();
  }

  void set_mask(nb::handle object) {
    mask = array_of(object, "mask", true);
    if (!has_type<bool>(mask)) {
      refuse_type(fmt::format("mask must be bool, true where a position is valid, not {}", dtype_name(mask.dtype())));
    }
    const int64_t keys = keys_of("mask");
    const int64_t sizes[] = {batch.shape.texts, batch.shape.query_heads, batch.shape.queries, keys};
    const auto strides = broadcast(mask, sizes, "mask");
    if (keys > 1 && strides[3] != 1) {
      refuse(fmt::format("mask has shape {}, but {} keys", text_of(shape_of(mask)), keys));
    }
    batch.mask_bytes = {static_cast<const uint8_t*>(mask.data()), strides[0], strides[1], strides[2]};
  }

  void set_weights(nb::handle object, bool wide) {
    weights = writable_array_of(object, "weights");
    if (wide ? !has_type<uint16_t>(weights) : !has_type<uint8_t>(weights)) {
      refuse_type(
          fmt::format("weights is {}, but these are {}", dtype_name(weights.dtype()), wide ? "uint16" : "uint8"));
    }
    std::vector<int64_t> shape = shape_of(q);
    shape.back() = keys_of("weights");
    refuse_shape(weights, "weights", shape);
    if (wide) {
      batch.wide_weights = rows_of<uint16_t>(weights);
    } else {
      batch.weights = rows_of<uint8_t>(weights);
    }
  }

  void set_weight_sums(nb::handle object) {
    sums = writable_array_of(object, "weight_sums");
    if (!has_type<int32_t>(sums)) {
      refuse_type(fmt::format("weight_sums is {}, but sums are int32", dtype_name(sums.dtype())));
    }
    std::vector<int64_t> shape = shape_of(q);
    shape.pop_back();
    refuse_shape(sums, "weight_sums", shape);
    const Four strides = strides_of(sums);  // its last axis is that of the queries
    batch.weight_sums = {writable<int32_t>(sums), strides[1], strides[2], strides[3]};
  }
};

// All pieces of the batch, by this thread and threads - 1 others.
Status run_pieces(const AttentionPlan& plan, const AttentionBatch& batch, int64_t threads) {
  HCCS_ASSIGN_OR_RETURN(const int64_t pieces, plan.pieces(batch));
  std::atomic<int64_t> next = 0;
  std::mutex mutex;
  Status first_error;
  threads = std::min(threads, pieces);
  std::vector<std::vector<std::byte>> scratches(static_cast<size_t>(std::max<int64_t>(threads, 1)));
  for (std::vector<std::byte>& scratch : scratches) scratch.resize(static_cast<size_t>(plan.scratch_bytes(batch)));
  const auto work = [&](std::span<std::byte> scratch) {
    for (int64_t piece = next++; piece < pieces; piece = next++) {
      if (Status status = plan.run_piece(batch, piece, scratch); !status.ok()) {
        const std::lock_guard lock(mutex);
        first_error = std::move(status);
      }
    }
  };
  std::vector<std::jthread> others;
  for (size_t t = 1; t < scratches.size(); ++t) others.emplace_back(work, std::span(scratches[t]));
  work(scratches[0]);
  others.clear();
  return first_error;
}

nb::object run_attention(const AttentionPlan& plan, nb::handle q, nb::handle k, nb::handle v, nb::handle rescale,
                         nb::object out, std::optional<std::vector<const Cache*>> caches, nb::handle lengths,
                         std::optional<int64_t> causal_offset, std::optional<int64_t> window, nb::handle mask,
                         nb::handle weights, nb::handle weight_sums, int64_t first_head, int64_t threads) {
  if (threads < 1 || threads > 1024) refuse(fmt::format("threads {}, but 1 <= threads <= 1024", threads));
  if (k.is_none() != v.is_none() || k.is_none() != caches.has_value()) refuse("pass k and v, or caches");
  Call call;
  call.set_rows(q, k, v);
  AttentionBatch& batch = call.batch;
  if (caches) call.set_caches(*caches);
  batch.first_head = first_head;
  batch.causal_offset = causal_offset;
  batch.window = window;
  call.set_rescales(rescale);
  if (!lengths.is_none()) call.set_lengths(lengths);
  if (!mask.is_none()) call.set_mask(mask);
  std::vector<int64_t> shape = shape_of(call.q);
  shape.back() = batch.shape.value_dimension;
  if (out.is_none()) out = empty_array<int8_t>(shape);
  const Array to = writable_array_of(out, "out");
  if (!has_type<int8_t>(to)) refuse_type(fmt::format("out is {}, but attention writes int8", dtype_name(to.dtype())));
  refuse_shape(to, "out", shape);
  if (!weights.is_none()) call.set_weights(weights, plan.weights() == AttentionWeights::kWide);
  if (!weight_sums.is_none()) call.set_weight_sums(weight_sums);
  if (to.size() == 0) return out;
  batch.out = rows_of<int8_t>(to);
  Status status;
  {
    const nb::gil_scoped_release release;
    status = run_pieces(plan, batch, threads);
  }
  check(status);
  return out;
}

void append(Cache& cache, nb::handle keys, nb::handle values) {
  const Array k = int8_rows(keys, "keys");
  const Array v = int8_rows(values, "values");
  const Four of_k = sizes_of(k, "keys");
  const Four of_v = sizes_of(v, "values");
  const bool fits = of_k[0] == 1 && of_v[0] == 1 && of_k[1] == cache.cache.key_heads() && of_v[1] == of_k[1] &&
                    of_k[2] == of_v[2] && of_k[3] == cache.cache.head_dimension() &&
                    of_v[3] == cache.cache.value_dimension();
  if (!fits) {
    refuse(fmt::format("keys have shape {} and values {}, but the cache takes ({}, n, {}) and ({}, n, {})",
                       text_of(shape_of(k)), text_of(shape_of(v)), cache.cache.key_heads(),
                       cache.cache.head_dimension(), cache.cache.key_heads(), cache.cache.value_dimension()));
  }
  Status status;
  {
    const nb::gil_scoped_release release;
    const std::unique_lock lock(cache.lock);
    status = cache.cache.append(rows_of<const int8_t>(k), rows_of<const int8_t>(v), of_k[2]);
  }
  check(status);
}

int64_t length(const Cache& cache) {
  const nb::gil_scoped_release release;
  const std::shared_lock lock(cache.lock);
  return cache.cache.length();
}

void bind_cache(nb::module_& m) {
  nb::class_<Cache>(m, "Cache",
                    "Keys and values of one text, kept for decoding: Cache(attention, key_heads, head_dimension, "
                    "value_dimension), dimensions 1..512. Serves every Attention of the same target; up to 65536 "
                    "positions. Threads may use one cache at once.")
      .def(
          "__init__",
          [](Cache* self, const AttentionPlan& plan, int64_t key_heads, int64_t head_dimension,
             int64_t value_dimension) {
            new (self) Cache(value_of(KvCache::make(plan, key_heads, head_dimension, value_dimension)));
          },
          "attention"_a, "key_heads"_a, "head_dimension"_a, "value_dimension"_a)
      .def("append", &append, "keys"_a, "values"_a,
           "Appends positions: int8 [key_heads, n, head_dimension] and [key_heads, n, value_dimension].")
      .def(
          "truncate",
          [](Cache& cache, int64_t to) {
            Status status;
            {
              const nb::gil_scoped_release release;
              const std::unique_lock lock(cache.lock);
              status = cache.cache.truncate(to);
            }
            check(status);
          },
          "length"_a, "Keeps the first `length` positions.")
      .def("__len__", &length, "Positions in the cache.")
      .def_prop_ro("target", [](const Cache& cache) { return std::string(cache.cache.target()); });
}

constexpr const char* kAttentionText =
    R"(int8 attention with deferred normalisation, prepared for this CPU: Attention(heads, weights="uint8", target="").

heads: HeadParams, one a query head. weights: "uint8" or "wide" (15 bits). Any number of threads may call one object.)";

constexpr const char* kCallText =
    R"(int8 [texts, query_heads, queries, value_dimension] of q [texts, query_heads, queries, head_dimension], and of
k [texts, key_heads, keys, head_dimension] and v [texts, key_heads, keys, value_dimension], or of caches, one a text.

All are int8; without texts, three axes are enough. Query head h reads key head h // (query_heads // key_heads).
rescale: (M, R), or int32 [..., 2] that broadcasts to [texts, query_heads, queries]: a unit of q . k is worth M * 2^-R
    logit steps; 1 <= M <= 32767, 0 <= R <= 46.
lengths: integers that broadcast to [texts, queries]; positions i < length are valid.
causal_offset, window: with p = query + causal_offset (0 without it; over caches the queries are the last positions),
    positions i <= p are valid where causal_offset is given, and i > p - window where window is.
mask: bool that broadcasts to [texts, query_heads, queries, keys], true where valid.
weights, weight_sums: arrays to write what the values were weighed with: [texts, query_heads, queries, keys], uint8, of
    wide weights uint16, with 0 where a position is invalid; and their sums, int32 [texts, query_heads, queries].
out: where to write. threads: 1..1024; the result does not depend on it. Returns out.)";

}  // namespace

void bind_attention(nb::module_& m) {
  nb::class_<AttentionPlan>(m, "Attention", kAttentionText)
      .def(
          "__init__",
          [](AttentionPlan* self, nb::handle heads, const std::string& weights, const std::string& target) {
            new (self) AttentionPlan(value_of(AttentionPlan::hccs(head_params_of(heads), weights_of(weights), target)));
          },
          "heads"_a, "weights"_a = "uint8", "target"_a = "")
      .def("__call__", &run_attention, "q"_a, "k"_a.none() = nb::none(), "v"_a.none() = nb::none(), nb::kw_only(),
           "rescale"_a, "out"_a = nb::none(), "caches"_a = nb::none(), "lengths"_a = nb::none(),
           "causal_offset"_a = nb::none(), "window"_a = nb::none(), "mask"_a = nb::none(), "weights"_a = nb::none(),
           "weight_sums"_a = nb::none(), "first_head"_a = 0, "threads"_a = 1, kCallText)
      .def_prop_ro("target", [](const AttentionPlan& p) { return std::string(p.target()); })
      .def_prop_ro("heads", &AttentionPlan::heads);
  bind_cache(m);
  m.def(
      "attention_targets",
      [] {
        const auto views = attention_targets();
        return std::vector<std::string>(views.begin(), views.end());
      },
      "Instruction sets that Attention can use on this CPU, best first.");
}

}  // namespace hccs::python
