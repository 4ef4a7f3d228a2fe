// SPDX-License-Identifier: Apache-2.0
//
// The ADF kernel class of the row softmax kernels with masks (rows.h, tiles.h).
#ifndef HCCS_AIE_KERNELS_HEAD_SOFTMAX_H_
#define HCCS_AIE_KERNELS_HEAD_SOFTMAX_H_

#include <adf.h>

#include <aie_api/aie_adf.hpp>

#include "head.h"
#include "masks.h"

namespace hccs_kernels {

// Blocks of kHeads heads of as many rows as `Kernel` takes: RowsKernel or TilesKernel. Construct it with the
// heads' words (head_to_words), one head after another. All heads have the same masks. Its ports:
//
//   MaskKind::kNone    logits, out
//   MaskKind::kLength  logits, out, valid_length, causal_offset: row r of a head sees the positions below valid_length
//                      and up to r + causal_offset; n or more is all
//   MaskKind::kBits    logits, mask words, out, valid_length, causal_offset
template <typename Kernel, unsigned kHeads = 1>
class HeadSoftmax {
 public:
  using Out = typename Kernel::Out;
  using Logits = adf::input_buffer<int8, adf::extents<kHeads * Kernel::kElements>>;
  using MaskWords = adf::input_buffer<uint32, adf::extents<Kernel::kMaskWords>>;
  using Results = adf::output_buffer<Out, adf::extents<kHeads * Kernel::kElements>>;

  explicit HeadSoftmax(const int16 (&heads)[kHeads * kHeadWords]) {
    for (unsigned i = 0; i < kHeads * kHeadWords; ++i) heads_[i] = heads[i];
  }

  void run(Logits& logits, Results& out) { run_heads(logits.data(), out.data(), BlockMask{}); }

  void run_length(Logits& logits, Results& out, int32 valid_length, int32 causal_offset) {
    run_heads(logits.data(), out.data(), {valid_length, true, causal_offset, nullptr});
  }

  void run_bits(Logits& logits, MaskWords& bits, Results& out, int32 valid_length, int32 causal_offset) {
    run_heads(logits.data(), out.data(), {valid_length, true, causal_offset, bits.data()});
  }

  static void registerKernelClass() {
    if constexpr (Kernel::kMask == MaskKind::kNone) {
      REGISTER_FUNCTION(HeadSoftmax::run);
    } else if constexpr (Kernel::kMask == MaskKind::kLength) {
      REGISTER_FUNCTION(HeadSoftmax::run_length);
    } else {
      REGISTER_FUNCTION(HeadSoftmax::run_bits);
    }
  }

 private:
  void run_heads(const int8* logits, Out* out, const BlockMask& masks) {
    for (unsigned h = 0; h < kHeads; ++h) {
      Kernel::run(logits + h * Kernel::kElements, out + h * Kernel::kElements, head_from_words(heads_ + h * kHeadWords),
                  masks, scratch_);
    }
  }

  int16 heads_[kHeads * kHeadWords];
  typename Kernel::Scratch scratch_;
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_HEAD_SOFTMAX_H_
