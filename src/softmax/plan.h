// SPDX-License-Identifier: Apache-2.0
//
// What the public interface hands to a target's kernel. Everything that does not depend on the row is in PreparedHead.
#ifndef HCCS_SRC_SOFTMAX_PLAN_H_
#define HCCS_SRC_SOFTMAX_PLAN_H_

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "hccs/mask.h"
#include "hccs/params.h"
#include "hccs/reference.h"

namespace hccs::internal {

// How a row's 16-bit scores become output, in the four forms that the six (normalisation, output) pairs need; proofs in
// row_factors.h. `s` is the score shifted left by the head's `prescale`.
//   kScale8    uint8 scaled:  ((s * multiplier >> 16) * second + 2^14) >> 15
//   kFloor8    uint8 div/clb: min(255, (s * multiplier >> 16) >> shift)
//   kScale16   int16 scaled:  ((s * multiplier >> (shift - 1)) + 1) >> 1
//   kProduct16 int16 div/clb: min(32767, s * multiplier)
enum class Form { kScale8, kFloor8, kScale16, kProduct16 };

constexpr bool is_uint8(Form form) noexcept { return form == Form::kScale8 || form == Form::kFloor8; }
template <Form kForm>
using Output = std::conditional_t<is_uint8(kForm), uint8_t, int16_t>;

struct alignas(64) PreparedHead {
  using Bytes = std::array<uint8_t, 256>;
  using Words = std::array<uint16_t, 256>;

  // Tables by distance d, whose entries are equal from d = 127 on unless `wide`. A kernel reads some of them; the
  // others take no room in its cache.
  Words prescaled;           // score << prescale
  Words prescaled_for_pack;  // ordered so that packing 512-bit vectors to bytes gives 0, 1, 2, ...
  Words deficit;             // B - score
  Bytes score_low;           // the score's low byte; for int16 output, the prescaled score's
  Bytes score_high;          // its high byte
  // Bytes of prescaled and deficit for look-ups in 16 bytes: entry d is XORed with entry d - 16, but for the first 16
  // of each 128, so that the XOR of entries d % 16, d % 16 + 16, ..., d gives back the byte.
  Bytes prescaled_low_steps, prescaled_high_steps, deficit_low_steps, deficit_high_steps;

  HeadParams params;      // for targets that compute scores; knee_count 0: an exact table
  int32_t offset = 0;     // B = score(0)
  int32_t magnitude = 0;  // e: B << e is in [2^14, 2^15)
  int32_t prescale = 0;   // the shift of `prescaled`: 0, e or e + 1
  bool wide = false;
};

struct Plan {
  Normalisation normalisation;
  OutputType output;
  Form form;
  std::vector<PreparedHead> heads;
};

// SoftmaxBatch with its types erased; strides in elements. Either `logits` or `sums` is null; `rescales` belong to
// sums.
struct Rows {
  int64_t heads, queries, keys, first_head;
  const int8_t* logits;
  const int32_t* sums;
  int64_t in_head_stride, in_query_stride;  // of logits or sums
  const Rescale* rescales;
  int64_t rescale_head_stride, rescale_query_stride;
  void* out;
  int64_t out_head_stride, out_query_stride;
  const int32_t* valid_lengths;
  int64_t valid_head_stride, valid_query_stride;
  int64_t causal_offset;  // kNoCausalOffset: none
  const uint8_t* mask_bits;
  int64_t mask_head_stride, mask_query_stride;
};
inline constexpr int64_t kNoCausalOffset = std::numeric_limits<int64_t>::max();

// Calls f.template operator()<Form, MaskKind>() with the plan's form and the batch's kind of mask.
template <class F>
void visit_form_and_mask(const Plan& plan, const Rows& rows, const F& f) {
  const auto visit_mask = [&]<Form kForm>() {
    if (rows.mask_bits != nullptr) {
      f.template operator()<kForm, MaskKind::kBits>();
    } else if (rows.valid_lengths != nullptr || rows.causal_offset != kNoCausalOffset) {
      f.template operator()<kForm, MaskKind::kLength>();
    } else {
      f.template operator()<kForm, MaskKind::kNone>();
    }
  };
  switch (plan.form) {
    case Form::kScale8:
      return visit_mask.template operator()<Form::kScale8>();
    case Form::kFloor8:
      return visit_mask.template operator()<Form::kFloor8>();
    case Form::kScale16:
      return visit_mask.template operator()<Form::kScale16>();
    case Form::kProduct16:
      return visit_mask.template operator()<Form::kProduct16>();
  }
}

struct Target {
  std::string_view name;
  int64_t id;  // HWY_TARGET, kVbmiId or kPortableId
  // Returns the id that the code which ran was compiled with, so that a test can tell that it did.
  int64_t (*run)(const Plan&, const Rows&);
};
inline constexpr int64_t kVbmiId = 1;
inline constexpr int64_t kPortableId = 0;

template <class T>
class TargetList;
const TargetList<Target>& target_list();

// The portable target, the last of the list.
int64_t run_rows_portable(const Plan& plan, const Rows& rows);

// The plan of valid heads; nothing is checked.
Plan make_plan(std::span<const HeadParams> heads, Normalisation normalisation, OutputType output);

}  // namespace hccs::internal

#endif  // HCCS_SRC_SOFTMAX_PLAN_H_
