// SPDX-License-Identifier: Apache-2.0
//
// Attention on this CPU: int8 queries, keys and values in, int8 out, with deferred normalisation, bit for bit what
// attention_reference (hccs/reference.h) defines, on every instruction set. Prepare a plan once per parameter set, then
// run it on batches:
//
//   HCCS_ASSIGN_OR_RETURN(const AttentionPlan plan, AttentionPlan::hccs(heads));
//   AttentionBatch batch = AttentionBatch::dense(q, k, v, out, {.texts = 8, .query_heads = 12, .key_heads = 12,
//                                                               .queries = 64, .keys = 64, .head_dimension = 64,
//                                                               .value_dimension = 64});
//   batch.with_rescales(rescale_of_head).with_lengths(length_of_text);
//   HCCS_RETURN_IF_ERROR(plan.run(batch));
//
// Threads are the caller's: pieces() says into how many parts a batch is cut, and run_piece() runs any one of them,
// with scratch memory of the caller's. Nothing here prints, throws, exits, starts a thread, or touches a byte outside
// the rows; run_piece() does not allocate unless it fails.
#ifndef HCCS_ATTENTION_H_
#define HCCS_ATTENTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "hccs/export.h"
#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

inline constexpr int64_t kMaxAttentionDimension = 512;  // of a head and of its values

// The instruction sets that this build has attention kernels for and this CPU runs, best first; never empty, the last
// is "portable". On x86: "amx" (AMX-INT8 with AVX-512 VBMI, where the system lets the process use tiles),
// "avx512-vbmi" (with VNNI), "avx512", "avx2-vnni" (with AVX-VNNI), "avx2", "sse4"; on Arm: "neon-i8mm",
// "neon-dotprod", "neon".
std::span<const std::string_view> attention_targets() noexcept;

// Those that this build has kernels for, also where this CPU does not run them; in the same order.
std::span<const std::string_view> compiled_attention_targets() noexcept;

// The target that a plan uses when none is named: the environment variable HCCS_TARGET if it is set and not empty,
// otherwise attention_targets()[0].
// Errors: kUnsupported if HCCS_TARGET names a target that this build or this CPU lacks.
Expected<std::string_view> default_attention_target();

// What a batch has of everything. Query head h reads key and value head h / (query_heads / key_heads): grouped queries
// where key_heads < query_heads. Queries and keys may differ in number (cross attention).
struct AttentionShape {
  int64_t texts = 1;            // 0 or more; 0 is an empty batch
  int64_t query_heads = 1;      // 0 or more, a multiple of key_heads
  int64_t key_heads = 1;        // 1 or more
  int64_t queries = 1;          // of each text and head; 0 or more
  int64_t keys = 0;             // of each text, 1..65536; 0 in a batch over caches
  int64_t head_dimension = 0;   // 1..512: elements of a query and of a key
  int64_t value_dimension = 0;  // 1..512: elements of a value and of an output
};

// Rows of a batch: row (text, head, position) starts at data + text * text_stride + head * head_stride + position *
// position_stride, and its elements are contiguous. Strides count elements, are >= 0, and of an input may be 0 or
// overlap. No alignment is asked.
template <class T>
struct AttentionRows {
  T* data = nullptr;
  int64_t text_stride = 0;
  int64_t head_stride = 0;
  int64_t position_stride = 0;
};

class AttentionPlan;

// Keys and values of one text, kept for decoding in the form that a plan's kernels read. Positions are appended; memory
// grows by blocks of kBlockPositions positions, found through a table, so that growth copies nothing. A cache serves
// any plan of the target that made it. Appending and attending must not happen at once; any number of threads may
// attend.
class KvCache {
 public:
  static constexpr int64_t kBlockPositions = 64;

  // An empty cache for plans of `plan`'s target. 1..512 for either dimension, 1 or more key heads.
  // Errors: kInvalidArgument; kOutOfMemory.
  static Expected<KvCache> make(const AttentionPlan& plan, int64_t key_heads, int64_t head_dimension,
                                int64_t value_dimension);

  KvCache(KvCache&&) noexcept;
  KvCache& operator=(KvCache&&) noexcept;
  ~KvCache();

  // Appends `positions` >= 0 positions; text_stride is not used. Errors, and then nothing is appended:
  // kInvalidArgument for null rows, negative strides, or more than 65536 positions in all; kOutOfMemory.
  Status append(const AttentionRows<const int8_t>& keys, const AttentionRows<const int8_t>& values, int64_t positions);

  // Keeps the first `length` positions. Blocks stay allocated. Errors: kInvalidArgument unless 0 <= length <= length().
  Status truncate(int64_t length);

  int64_t length() const noexcept;
  int64_t key_heads() const noexcept;
  int64_t head_dimension() const noexcept;
  int64_t value_dimension() const noexcept;
  int64_t allocated_bytes() const noexcept;
  std::string_view target() const noexcept;

  struct Impl;  // of src/attention
  const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit KvCache(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

// One call's rows.
//
// Masks combine by intersection; what is not set masks nothing. A row without a valid position gives zeros.
struct AttentionBatch {
  AttentionShape shape;
  int64_t first_head = 0;  // query head h of the batch uses the plan's parameters first_head + h

  AttentionRows<const int8_t> queries;  // [texts, query_heads, queries, head_dimension]
  AttentionRows<const int8_t> keys;     // [texts, key_heads, keys, head_dimension]
  AttentionRows<const int8_t> values;   // [texts, key_heads, keys, value_dimension]
  // [texts, query_heads, queries, value_dimension], rows in any order that do not overlap each other or an input. Null:
  // no output but the weights.
  AttentionRows<int8_t> out;

  // Instead of keys and values: the cache of each text, `texts` of them, with the shape's key heads and dimensions and
  // of the plan's target. The text's keys are what the cache holds, from 0 positions on (then the rows give zeros).
  std::span<const KvCache* const> caches;

  // M and R of row (text, head, query), at [text * rescale_text_stride + head * rescale_head_stride + query *
  // rescale_query_stride]. Exactly as many as the strides reach: a forgotten stride is an error.
  std::span<const Rescale> rescales;
  int64_t rescale_text_stride = 0;
  int64_t rescale_head_stride = 0;
  int64_t rescale_query_stride = 0;

  // Row (text, any head, query) has valid positions i < valid_lengths[text * valid_text_stride + query *
  // valid_query_stride]. Any value is accepted: <= 0 leaves none, >= keys leaves all. Exactly as many as the strides
  // reach. Empty: no such mask.
  std::span<const int32_t> valid_lengths;
  int64_t valid_text_stride = 0;
  int64_t valid_query_stride = 0;

  // The query's own position among the keys is p = query + C, where C is *causal_offset, or 0 without it. In a batch
  // over caches the queries are the last positions unless C says otherwise: p = query + C + cache length - queries.
  std::optional<int64_t> causal_offset;  // positions i <= p are valid. Any value is accepted.
  std::optional<int64_t> window;         // positions i > p - *window are valid. Any value is accepted.

  // Row (text, head, query) has valid positions i whose bit is 1: bit i % 8 (least significant first) of byte i / 8 of
  // the mask's row, which has (keys + 7) / 8 bytes. A stride of 0 shares rows. Null: no such mask.
  AttentionRows<const uint8_t> mask_bits;
  // The same with a byte a position, 0 for invalid; a row has `keys` bytes.
  AttentionRows<const uint8_t> mask_bytes;

  // For an engine that multiplies by v itself: w of each row, `keys` elements (of its text, in a batch over caches),
  // and W. `weights` serves plans of 8-bit weights, `wide_weights` those of wide ones; either may be set beside `out`
  // or without it. Row sums, [texts, query_heads, queries], are written where set.
  AttentionRows<uint8_t> weights;
  AttentionRows<uint16_t> wide_weights;
  AttentionRows<int32_t> weight_sums;

  // Contiguous [texts, heads, positions, dimension] in and out. Without rescales yet.
  static AttentionBatch dense(const int8_t* q, const int8_t* k, const int8_t* v, int8_t* out,
                              const AttentionShape& shape) noexcept;
  // Contiguous [texts, query_heads, queries, dimension] over caches, causal: query r sees all positions but the last
  // queries - 1 - r.
  static AttentionBatch cached(const int8_t* q, std::span<const KvCache* const> caches, int8_t* out,
                               const AttentionShape& shape) noexcept;

  AttentionBatch& with_rescale(const Rescale& one) noexcept;                            // for all rows; not copied
  AttentionBatch& with_rescale(Rescale&& one) = delete;                                 // it would be gone when read
  AttentionBatch& with_rescales(std::span<const Rescale> of_head) noexcept;             // [query_heads]
  AttentionBatch& with_rescales_per_query(std::span<const Rescale> of_query) noexcept;  // [texts, heads, queries]
  AttentionBatch& with_lengths(std::span<const int32_t> of_text) noexcept;              // [texts]
  AttentionBatch& with_lengths_per_query(std::span<const int32_t> of_query) noexcept;   // [texts, queries]
};

// Attention ready to run: every head's weights in the form that the target's kernel reads (512 bytes a head).
// Immutable, so any number of threads may run one plan at once.
class AttentionPlan {
 public:
  // HCCS with one parameter set a query head. `target` is a name out of attention_targets(); empty:
  // default_attention_target().
  // Errors: kInvalidArgument if there is no head or one's parameters are invalid (naming head, value and rule);
  // kUnsupported if this build or this CPU lacks `target`; kOutOfMemory.
  static Expected<AttentionPlan> hccs(std::span<const HeadParams> heads,
                                      AttentionWeights weights = AttentionWeights::kUint8,
                                      std::string_view target = {});

  // For comparison, behind the same interface: the exact exponential of logits whose unit is steps[h] > 0 nats, as a
  // 128-entry table a head, s(d) = round(32640 * exp(-steps[h] * d)) for d = 0..127; w = s if wide, else
  // round_half_up(s / 2^7). Errors: as hccs(); kInvalidArgument for a step that is not positive and finite.
  static Expected<AttentionPlan> exact_lut(std::span<const double> steps,
                                           AttentionWeights weights = AttentionWeights::kUint8,
                                           std::string_view target = {});

  AttentionPlan(AttentionPlan&&) noexcept;
  AttentionPlan& operator=(AttentionPlan&&) noexcept;
  ~AttentionPlan();

  // Into how many pieces the batch is cut, 0 for an empty one. Each is a part of the queries of one text and one key
  // head, so that it packs the keys and values which its rows share once; pieces write different rows and may run at
  // once, in any order.
  // Errors: kInvalidArgument for whatever in the batch breaks a rule above; kMismatch for a cache of another target.
  Expected<int64_t> pieces(const AttentionBatch& batch) const;

  // Bytes of scratch that a piece of such a batch needs, whatever its masks are: at most 16 MiB.
  // `longest` is shape.keys, or of a batch over caches the longest cache.
  int64_t scratch_bytes(const AttentionShape& shape, int64_t longest) const noexcept;
  int64_t scratch_bytes(const AttentionBatch& batch) const noexcept;

  // Runs piece 0 <= piece < pieces(batch). `scratch` needs no alignment and no initialisation; its content afterwards
  // means nothing. Errors, before anything is written: as pieces(), and kInvalidArgument for another piece or too
  // little scratch.
  Status run_piece(const AttentionBatch& batch, int64_t piece, std::span<std::byte> scratch) const;

  // All pieces one after the other; the second allocates the scratch. Errors: as run_piece(); kOutOfMemory.
  Status run(const AttentionBatch& batch, std::span<std::byte> scratch) const;
  Status run(const AttentionBatch& batch) const;

  std::string_view target() const noexcept;
  AttentionWeights weights() const noexcept;
  int64_t heads() const noexcept;

  struct Impl;  // of src/attention
  const Impl& impl() const noexcept { return *impl_; }

 private:
  explicit AttentionPlan(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hccs

#endif  // HCCS_ATTENTION_H_
