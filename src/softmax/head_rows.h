// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_SOFTMAX_HEAD_ROWS_H_
#define HCCS_SRC_SOFTMAX_HEAD_ROWS_H_

#include <algorithm>
#include <cstdint>

#include "softmax/plan.h"

namespace hccs::internal {

// The sums of one head, and what they are worth.
struct HeadSums {
  const int32_t* sums = nullptr;
  int64_t stride = 0;  // from query to query
  const Rescale* rescales = nullptr;
  int64_t rescale_stride = 0;

  const int32_t* row(int64_t query) const noexcept { return sums + query * stride; }
  Rescale rescale(int64_t query) const noexcept { return rescales[query * rescale_stride]; }
};

// The rows of one head. Rows of sums become rows of logits below 0, -d for a distance d, in the memory of their output;
// whoever has written these has the row's maximum, 0. A copy, by design: the compiler then knows that writing uint8
// output changes none of its members.
template <MaskKind kMask, class Out>
class HeadRows {
 public:
  HeadRows(const Rows& rows, int64_t head) noexcept
      : keys_(rows.keys),
        out_(static_cast<Out*>(rows.out) + head * rows.out_head_stride),
        out_stride_(rows.out_query_stride),
        causal_offset_(rows.causal_offset) {
    if (rows.sums != nullptr) {
      sums_ = {.sums = rows.sums + head * rows.in_head_stride,
               .stride = rows.in_query_stride,
               .rescales = rows.rescales + head * rows.rescale_head_stride,
               .rescale_stride = rows.rescale_query_stride};
      // Of int16 output, the second half of its row: output up to position i overwrites no logit beyond i.
      logits_ = reinterpret_cast<int8_t*>(out_) + static_cast<int64_t>(sizeof(Out) - 1) * keys_;
      logits_stride_ = static_cast<int64_t>(sizeof(Out)) * out_stride_;
    } else {
      logits_ = rows.logits + head * rows.in_head_stride;
      logits_stride_ = rows.in_query_stride;
    }
    if (rows.valid_lengths != nullptr) {
      valid_lengths_ = rows.valid_lengths + head * rows.valid_head_stride;
      valid_stride_ = rows.valid_query_stride;
    }
    if (rows.mask_bits != nullptr) {
      bits_ = rows.mask_bits + head * rows.mask_head_stride;
      bits_stride_ = rows.mask_query_stride;
    }
  }

  int64_t keys() const noexcept { return keys_; }
  const int8_t* logits(int64_t query) const noexcept { return logits_ + query * logits_stride_; }
  // From query to query.
  int64_t logits_stride() const noexcept { return logits_stride_; }
  int64_t out_stride() const noexcept { return out_stride_; }
  int64_t bits_stride() const noexcept { return bits_stride_; }
  // Null if the rows are logits.
  const HeadSums* sums() const noexcept { return sums_.sums == nullptr ? nullptr : &sums_; }
  // Where the logits of a row of sums are written, keys of them.
  int8_t* room(int64_t query) const noexcept { return const_cast<int8_t*>(logits(query)); }
  Out* out(int64_t query) const noexcept { return out_ + query * out_stride_; }
  // Null unless MaskKind::kBits.
  const uint8_t* bits(int64_t query) const noexcept {
    return kMask == MaskKind::kBits ? bits_ + query * bits_stride_ : nullptr;
  }
  // length[r], r < count, becomes the length of query first + r, 0..keys: the position from which on all are invalid,
  // by valid length or causal offset.
  void lengths(int64_t first, int64_t count, int32_t* length) const noexcept {
    const auto keys = static_cast<int32_t>(keys_);
    if (kMask == MaskKind::kNone || valid_lengths_ == nullptr) {
      std::fill(length, length + count, keys);
    } else if (valid_stride_ == 1) {  // a loop of its own, which vectorises
      for (int64_t r = 0; r < count; ++r) length[r] = std::clamp(valid_lengths_[first + r], 0, keys);
    } else {
      for (int64_t r = 0; r < count; ++r) length[r] = std::clamp(valid_lengths_[(first + r) * valid_stride_], 0, keys);
    }
    if (kMask != MaskKind::kNone && causal_offset_ != kNoCausalOffset) {
      // How many positions the first query sees, in 32 bits. From -count down none of the queries sees any.
      const auto visible = static_cast<int32_t>(std::clamp<int64_t>(first + causal_offset_ + 1, -count, keys));
      for (int32_t r = 0; r < static_cast<int32_t>(count); ++r) {
        length[r] = std::min(length[r], std::max(visible + r, 0));
      }
    }
  }

 private:
  int64_t keys_;
  HeadSums sums_;
  const int8_t* logits_;
  int64_t logits_stride_;
  Out* out_;
  int64_t out_stride_;
  int64_t causal_offset_;
  const int32_t* valid_lengths_ = nullptr;
  int64_t valid_stride_ = 0;
  const uint8_t* bits_ = nullptr;
  int64_t bits_stride_ = 0;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_SOFTMAX_HEAD_ROWS_H_
