// SPDX-License-Identifier: Apache-2.0
//
// Row softmax on this CPU: int8 logits or int32 sums in, uint8 or int16 probabilities out, bit for bit what
// hccs/reference.h defines, on every instruction set. Prepare a plan once per parameter set, then run it on batches of
// rows:
//
//   HCCS_ASSIGN_OR_RETURN(const SoftmaxPlan plan,
//                         SoftmaxPlan::hccs(heads, Normalisation::kScaled, OutputType::kUint8));
//   const SoftmaxShape shape = {.heads = 12, .queries = 64, .keys = 64};
//   HCCS_RETURN_IF_ERROR(plan.run(SoftmaxBatch<uint8_t>::dense(logits, probabilities, shape)));
//
// From the int32 sums q . k of an integer engine, without requantising them first, and with 40 of 64 keys valid:
//
//   const std::vector<int32_t> lengths(shape.queries, 40);
//   const auto batch = SumsBatch<uint8_t>::dense(sums, probabilities, shape)
//                          .with_rescales_per_head(rescales).with_lengths_per_query(lengths);
//   HCCS_RETURN_IF_ERROR(plan.run(batch));
//
// Nothing here prints, throws, exits, or touches a byte outside the rows. run() does not allocate unless it fails.
#ifndef HCCS_SOFTMAX_H_
#define HCCS_SOFTMAX_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "hccs/export.h"
#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

// The instruction sets that this build has kernels for and this CPU runs, best first; never empty, the last is
// "portable". On x86: "avx512-vbmi" (with CD, VBMI and VNNI), "avx512", "avx2", "sse4"; on Arm: "neon".
std::span<const std::string_view> targets() noexcept;

// Those that this build has kernels for, also where this CPU does not run them; in the same order.
std::span<const std::string_view> compiled_targets() noexcept;

// The target that a plan uses when none is named: the environment variable HCCS_TARGET if it is set and not empty,
// otherwise targets()[0].
// Errors: kUnsupported if HCCS_TARGET names a target that this build or this CPU lacks.
Expected<std::string_view> default_target();

// An array of [heads, queries, keys] elements, the keys of a row contiguous. Strides count elements.
struct SoftmaxShape {
  int64_t heads = 1;
  int64_t queries = 1;
  int64_t keys = 0;
};

// A stride that has not been set. Whoever needs it reports an error, so that forgetting one never means that all rows
// share the first one's data.
inline constexpr int64_t kNoStride = std::numeric_limits<int64_t>::min();

// What one unit of a row's sums is worth in logit steps of its head: one of `rescale` and `rescales` must be set.
struct BatchRescale {
  std::optional<Rescale> rescale;  // of all rows

  // Row (h, q) has rescales[h * rescale_head_stride + q * rescale_query_stride].
  const Rescale* rescales = nullptr;
  int64_t rescale_head_stride = kNoStride;  // >= 0
  int64_t rescale_query_stride = kNoStride;
  std::optional<int64_t> rescales_size;  // if set: what shape and strides must reach
};
struct NoRescale {};  // int8 logits are in logit steps

// One call's rows. Row (h, q) reads keys logits at logits + h * logits_head_stride + q * logits_query_stride and writes
// as many probabilities at out + h * out_head_stride + q * out_query_stride. No alignment is asked. A batch of 0 heads
// or 0 queries is empty. A stride may be left unset where it multiplies 0 alone: for one head, or one query.
//
// In: int8_t for logits, int32_t for sums (hccs/reference.h, "Rows of int32 sums"), of any values.
//
// In place: for int8 logits and uint8 output, `out` may be `logits`' own memory with the same strides. Any other
// overlap is an error; sums are never computed in place.
//
// Masks combine by intersection; what is not set masks nothing. An invalid position, and every position of a row
// without a valid one, gets 0.
template <class Out, class In = int8_t>  // uint8_t or int16_t; int8_t or int32_t
struct SoftmaxBatch : std::conditional_t<std::is_same_v<In, int32_t>, BatchRescale, NoRescale> {
  static constexpr bool kSums = std::is_same_v<In, int32_t>;

  SoftmaxShape shape;      // keys 1..65536
  int64_t first_head = 0;  // head h of the batch uses the plan's parameters first_head + h

  const In* logits = nullptr;
  int64_t logits_head_stride = kNoStride;  // >= 0; 0 reads the same row again
  int64_t logits_query_stride = kNoStride;

  Out* out = nullptr;
  int64_t out_head_stride = kNoStride;  // rows may be interleaved in any order but must not overlap
  int64_t out_query_stride = kNoStride;

  // Row (h, q) has valid positions i < valid_lengths[h * valid_head_stride + q * valid_query_stride]. Any length is
  // accepted: <= 0 leaves none, >= keys leaves all. Null: no such mask.
  const int32_t* valid_lengths = nullptr;
  int64_t valid_head_stride = kNoStride;  // >= 0; 0 shares a length
  int64_t valid_query_stride = kNoStride;
  std::optional<int64_t> valid_lengths_size;  // if set: what shape and strides must reach

  // Row (h, q) has valid positions i <= q + *causal_offset. Any value is accepted.
  std::optional<int64_t> causal_offset;

  // Row (h, q) has valid positions i whose bit is 1: bit i % 8 (least significant first) of byte i / 8 from mask_bits +
  // h * mask_head_stride + q * mask_query_stride; (keys + 7) / 8 bytes a row. Null: no such mask.
  const uint8_t* mask_bits = nullptr;
  int64_t mask_head_stride = kNoStride;  // bytes, >= 0; 0 shares a mask
  int64_t mask_query_stride = kNoStride;
  std::optional<int64_t> mask_bits_size;  // if set: the bytes that shape and strides must reach

  // Contiguous [heads, queries, keys] in and out, no masks.
  static SoftmaxBatch dense(const In* logits, Out* out, const SoftmaxShape& shape) noexcept {
    SoftmaxBatch batch;
    batch.shape = shape;
    batch.logits = logits;
    batch.out = out;
    batch.logits_query_stride = batch.out_query_stride = shape.keys;
    batch.logits_head_stride = batch.out_head_stride = times(shape.queries, shape.keys);
    return batch;
  }

  // The same batch with a mask, or with rescales, whose memory is the caller's. run() refuses a span that is longer or
  // shorter than what is said here, with both numbers. Set the shape first.

  // A length for each row: [heads, queries].
  SoftmaxBatch with_lengths(std::span<const int32_t> lengths) const noexcept {
    return lengths_with(lengths, shape.queries, 1);
  }
  // A length for each query, the same in all heads: [queries].
  SoftmaxBatch with_lengths_per_query(std::span<const int32_t> lengths) const noexcept {
    return lengths_with(lengths, 0, 1);
  }
  // A length for each head, the same for all its queries: [heads].
  SoftmaxBatch with_lengths_per_head(std::span<const int32_t> lengths) const noexcept {
    return lengths_with(lengths, 1, 0);
  }

  SoftmaxBatch with_causal_offset(int64_t offset) const noexcept {
    SoftmaxBatch batch = *this;
    batch.causal_offset = offset;
    return batch;
  }

  // Bits for each row: [heads, queries, (keys + 7) / 8] bytes.
  SoftmaxBatch with_bits(std::span<const uint8_t> bits) const noexcept {
    return bits_with(bits, times(shape.queries, mask_bytes()), mask_bytes());
  }
  // Bits for each query, the same in all heads: [queries, (keys + 7) / 8] bytes.
  SoftmaxBatch with_bits_per_query(std::span<const uint8_t> bits) const noexcept {
    return bits_with(bits, 0, mask_bytes());
  }
  // Bits for each head, the same for all its queries: [heads, (keys + 7) / 8] bytes.
  SoftmaxBatch with_bits_per_head(std::span<const uint8_t> bits) const noexcept {
    return bits_with(bits, mask_bytes(), 0);
  }

  // Of sums alone. One rescale for all rows.
  SoftmaxBatch with_rescale(Rescale of_all) const noexcept {
    static_assert(kSums, "logits have no rescale");
    SoftmaxBatch batch = *this;
    batch.rescale = of_all;
    return batch;
  }
  // A rescale for each row: [heads, queries].
  SoftmaxBatch with_rescales(std::span<const Rescale> values) const noexcept {
    return rescales_with(values, shape.queries, 1);
  }
  // A rescale for each query, the same in all heads: [queries].
  SoftmaxBatch with_rescales_per_query(std::span<const Rescale> values) const noexcept {
    return rescales_with(values, 0, 1);
  }
  // A rescale for each head, the same for all its queries: [heads].
  SoftmaxBatch with_rescales_per_head(std::span<const Rescale> values) const noexcept {
    return rescales_with(values, 1, 0);
  }

 private:
  // Wraps around for sizes that run() refuses.
  static int64_t times(int64_t a, int64_t b) noexcept {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
  int64_t mask_bytes() const noexcept { return shape.keys / 8 + (shape.keys % 8 > 0 ? 1 : 0); }

  SoftmaxBatch lengths_with(std::span<const int32_t> lengths, int64_t head, int64_t query) const noexcept {
    SoftmaxBatch batch = *this;
    batch.valid_lengths = lengths.data();
    batch.valid_lengths_size = std::ssize(lengths);
    batch.valid_head_stride = head;
    batch.valid_query_stride = query;
    return batch;
  }
  SoftmaxBatch bits_with(std::span<const uint8_t> bits, int64_t head, int64_t query) const noexcept {
    SoftmaxBatch batch = *this;
    batch.mask_bits = bits.data();
    batch.mask_bits_size = std::ssize(bits);
    batch.mask_head_stride = head;
    batch.mask_query_stride = query;
    return batch;
  }
  SoftmaxBatch rescales_with(std::span<const Rescale> values, int64_t head, int64_t query) const noexcept {
    static_assert(kSums, "logits have no rescale");
    SoftmaxBatch batch = *this;
    batch.rescales = values.data();
    batch.rescales_size = std::ssize(values);
    batch.rescale_head_stride = head;
    batch.rescale_query_stride = query;
    return batch;
  }
};

// Rows of int32 sums.
template <class Out>
using SumsBatch = SoftmaxBatch<Out, int32_t>;

// A softmax ready to run: every head's parameters in the form that the target's kernel reads (about 3 KiB a head).
// Immutable, so any number of threads may run one plan at once.
class SoftmaxPlan {
 public:
  // HCCS with one parameter set a head. `target` is a name out of targets(); empty: default_target().
  // Errors: kInvalidArgument if there is no head or one's parameters are invalid (naming head, value and rule);
  // kUnsupported if this build or this CPU lacks `target`; kOutOfMemory.
  static Expected<SoftmaxPlan> hccs(std::span<const HeadParams> heads, Normalisation normalisation, OutputType output,
                                    std::string_view target = {});

  // For comparison, behind the same interface: the exact exponential of int8 logits whose unit is steps[h] > 0 nats, as
  // a 256-entry table a head, s(d) = round(32767 * exp(-steps[h] * d)), then the same normalisations and masks. Errors:
  // as hccs(); kInvalidArgument for a step that is not positive and finite.
  static Expected<SoftmaxPlan> exact_lut(std::span<const double> steps, Normalisation normalisation, OutputType output,
                                         std::string_view target = {});

  SoftmaxPlan(SoftmaxPlan&&) noexcept;
  SoftmaxPlan& operator=(SoftmaxPlan&&) noexcept;
  ~SoftmaxPlan();

  // Errors, before anything is written: kInvalidArgument for an Out that is not the plan's output type, heads outside
  // the plan, keys outside 1..65536, null pointers, strides that are negative or needed and not set, spans of a size
  // that does not fit the shape, no rescale or an invalid one, rows of `out` that overlap each other or the logits.
  Status run(const SoftmaxBatch<uint8_t>& batch) const;
  Status run(const SoftmaxBatch<int16_t>& batch) const;

  // Rows of sums. Of an exact exponential, too, a distance is at most 127: s(127) for all that lie further.
  Status run(const SumsBatch<uint8_t>& batch) const;
  Status run(const SumsBatch<int16_t>& batch) const;

  std::string_view target() const noexcept;
  Normalisation normalisation() const noexcept;
  OutputType output() const noexcept;
  int64_t heads() const noexcept;

 private:
  struct Impl;
  explicit SoftmaxPlan(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hccs

#endif  // HCCS_SOFTMAX_H_
