// SPDX-License-Identifier: Apache-2.0
//
// Row softmax on this CPU: int8 logits in, uint8 or int16 probabilities out, bit for bit what hccs/reference.h defines,
// on every instruction set. Prepare a plan once per parameter set, then run it on batches of rows:
//
//   HCCS_ASSIGN_OR_RETURN(const SoftmaxPlan plan,
//                         SoftmaxPlan::hccs(heads, Normalisation::kScaled, OutputType::kUint8));
//   const SoftmaxShape shape = {.heads = 12, .queries = 64, .keys = 64};
//   HCCS_RETURN_IF_ERROR(plan.run(SoftmaxBatch<uint8_t>::dense(logits, probabilities, shape)));
//
// Nothing here prints, throws, exits, or touches a byte outside the rows. run() does not allocate unless it fails.
#ifndef HCCS_SOFTMAX_H_
#define HCCS_SOFTMAX_H_

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

// One call's rows. Row (h, q) reads keys logits at logits + h * logits_head_stride + q * logits_query_stride and writes
// as many probabilities at out + h * out_head_stride + q * out_query_stride. No alignment is asked. A batch of 0 heads
// or 0 queries is empty.
//
// In place: for uint8, `out` may be `logits`' own memory with the same strides. Any other overlap is an error.
//
// Masks combine by intersection; what is not set masks nothing. An invalid position, and every position of a row
// without a valid one, gets 0.
template <class Out>  // uint8_t or int16_t
struct SoftmaxBatch {
  SoftmaxShape shape;      // keys 1..65536
  int64_t first_head = 0;  // head h of the batch uses the plan's parameters first_head + h

  const int8_t* logits = nullptr;
  int64_t logits_head_stride = 0;  // >= 0; 0 reads the same row again
  int64_t logits_query_stride = 0;

  Out* out = nullptr;
  int64_t out_head_stride = 0;  // rows may be interleaved in any order but must not overlap
  int64_t out_query_stride = 0;

  // Row (h, q) has valid positions i < valid_lengths[h * valid_head_stride + q * valid_query_stride]. Any value is
  // accepted: <= 0 leaves none, >= keys leaves all. Null: no such mask.
  const int32_t* valid_lengths = nullptr;
  int64_t valid_head_stride = 0;
  int64_t valid_query_stride = 0;

  // Row (h, q) has valid positions i <= q + *causal_offset. Any value is accepted.
  std::optional<int64_t> causal_offset;

  // Row (h, q) has valid positions i whose bit is 1: bit i % 8 (least significant first) of byte i / 8 from mask_bits +
  // h * mask_head_stride + q * mask_query_stride; (keys + 7) / 8 bytes a row. Null: no such mask.
  const uint8_t* mask_bits = nullptr;
  int64_t mask_head_stride = 0;  // bytes, >= 0; 0 shares a mask
  int64_t mask_query_stride = 0;

  // Contiguous [heads, queries, keys] in and out, no masks.
  static SoftmaxBatch dense(const int8_t* logits, Out* out, const SoftmaxShape& shape) noexcept {
    SoftmaxBatch batch;
    batch.shape = shape;
    batch.logits = logits;
    batch.out = out;
    batch.logits_query_stride = batch.out_query_stride = shape.keys;
    batch.logits_head_stride = batch.out_head_stride = shape.queries * shape.keys;
    return batch;
  }
};

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
  // the plan, keys outside 1..65536, null pointers, negative strides, rows of `out` that overlap each other or the
  // logits.
  Status run(const SoftmaxBatch<uint8_t>& batch) const;
  Status run(const SoftmaxBatch<int16_t>& batch) const;

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
