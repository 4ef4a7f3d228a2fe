// SPDX-License-Identifier: Apache-2.0
//
// Attention of one head with deferred normalisation (the contract's attention_reference, docs/arithmetic.md): o from q,
// k and v, all int8, without a probability ever being formed.
//
// Layout (layout.h): every matrix is in 4 x 8 tiles, row after row of tiles and within a tile row after row, as mmul
// produces and consumes them: element (i, j) of a matrix with C columns is at attention_index(i, j, C).
//   q: rows x kHeadDim and o: rows x kValueDim, rows rounded up to 8; o of the rows of padding is 0
//   k: n x kHeadDim and v: n x kValueDim, n rounded up to 16; what the padding holds does not matter
//   rescales: M and R of each row, rows rounded up to 8; 1 <= M <= 32767, 0 <= R <= 46
//   bit masks: (n + 31) / 32 words a row, position i in bit i % 32 of word i / 32
// kHeadDim is a multiple of 8, kValueDim one of 16; buffers are aligned to aie::vector_decl_align and do not overlap.
//
// Eight rows at a time, and three passes over the keys or values, a file each:
//   1  attention_maxima.h   each row's maximum: products of k with the rows' q, transposed, so that keys are read as
//                           they lie
//   2  attention_weights.h  the weights: the same products again, from minus the maximum on; and W
//   3  attention_outputs.h  o: products of v, transposed, with the weights; then the division (attention_quotient.h)
//
// In all of them the lanes of a register are a few positions or columns, each of eight rows: what belongs to a row is a
// constant in its lanes. Products with k are made twice, as eight rows of them need 32 n bytes; the weights of eight
// rows, 8 n bytes, and q wait in a scratch (attention_scratch_bytes).
//
// What binds, in products (vec) for 64 logits, kHeadDim = kValueDim = D: D/4 of passes 1 and 2 each and of 3 on AIE-ML,
// half of it on v2, and 10 (v2: 5) for the weights and W. Passes 1 and 3 of v2 wait for loads and moves instead.
//
// Serves every head of the contract (attention_error), n <= 65536 and kHeadDim <= 65536, under every mask. Widths:
//   a = q . k          |a| <= 2^14 * kHeadDim <= 2^30, int32
//   t = max a - a      below 2^31, as -128 * -128 is the one product of 2^14: int32
//   t * M              below 2^46; shifted by R half up and clamped to what is more than any D_k <= 127
//   s                  F..B, int32; w = s / 2^h half up is 0..255
//   sum w * v          |.| <= 65536 * 255 * 128 < 2^31, and with W/2 below 2^31 too
//   W = sum w          W <= 65536 * 255 < 2^24
// Where a position is not valid it may be above the maximum: t is negative and w wrong, which the mask hides.
#ifndef HCCS_AIE_KERNELS_ATTENTION_H_
#define HCCS_AIE_KERNELS_ATTENTION_H_

#include "attention_block.h"
#include "attention_maxima.h"
#include "attention_outputs.h"
#include "attention_weights.h"
#include "device.h"
#include "head.h"
#include "layout.h"
#include "masks.h"

namespace hccs_kernels {

// The kernel of one head.
template <unsigned kKnees, unsigned kHeadDim, unsigned kValueDim>
class AttentionHead {
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  static_assert(kHeadDim % 8 == 0 && kHeadDim > 0 && kHeadDim <= 65536, "attention: kHeadDim must be a multiple of 8");
  static_assert(kValueDim % 16 == 0 && kValueDim > 0, "attention: kValueDim must be a multiple of 16");

 public:
  explicit AttentionHead(const HccsHead& head) : weights_(head) {}

  // attention_scratch_bytes(n, kHeadDim) bytes of scratch.
  void run(const int8* __restrict q, const int8* __restrict k, const int8* __restrict v,
           const int16* __restrict rescales, int8* __restrict o, unsigned rows, unsigned n, const BlockMask& masks,
           void* __restrict scratch) const {
    using namespace attention;
    const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
    auto* queries = static_cast<int8*>(scratch);
    auto* weights = static_cast<uint8*>(scratch) + attention_queries_bytes(kHeadDim);
    HCCS_LOOP(block, attention_rows(rows) / kRows, "attention.rows", 1) {
      const unsigned row = block * kRows;
      const Visible visible(masks, row, rows, n);
      const Rescales row_rescales(rescales + 2 * row);
      turn_queries<kHeadDim>(q + row * kHeadDim, queries);
      const Lanes maxima = find_maxima<kHeadDim>(queries, k, visible);
      const Lanes sums = weights_.make(queries, k, maxima, row_rescales, visible, weights);
      make_outputs<kValueDim>(weights, v, sums, visible, o + row * kValueDim);
    }
  }

 private:
  attention::Weights<kKnees, kHeadDim> weights_;
};

}  // namespace hccs_kernels

#if __has_include(<adf.h>)
#include <adf.h>

#include <aie_api/aie_adf.hpp>

namespace hccs_kernels {

// The ADF kernel: blocks of kRows query rows of one head, with the kN keys and values that they attend to, and run-time
// parameters for the masks: row r sees the positions below valid_length and up to r + causal_offset; kN or more is all.
// Construct it with the head's words (head_to_words). Its ports: q, k, v, rescales, with MaskKind::kBits the mask
// words, o, valid_length, causal_offset.
template <unsigned kKnees, unsigned kHeadDim, unsigned kValueDim, unsigned kRows, unsigned kN,
          MaskKind kMask = MaskKind::kLength>
class Attention {
  static_assert(kMask != MaskKind::kNone, "attention has run-time parameters for the masks");
  static constexpr unsigned kPaddedRows = attention_rows(kRows);
  static constexpr unsigned kPaddedN = attention_positions(kN);

 public:
  using Queries = adf::input_buffer<int8, adf::extents<kPaddedRows * kHeadDim>>;
  using Keys = adf::input_buffer<int8, adf::extents<kPaddedN * kHeadDim>>;
  using Values = adf::input_buffer<int8, adf::extents<kPaddedN * kValueDim>>;
  using Rescales = adf::input_buffer<int16, adf::extents<attention_rescales(kRows)>>;
  using MaskWords = adf::input_buffer<uint32, adf::extents<attention_mask_words(kRows, kN)>>;
  using Results = adf::output_buffer<int8, adf::extents<kPaddedRows * kValueDim>>;

  explicit Attention(const int16 (&head)[kHeadWords]) : head_(head_from_words(head)) {}

  void run(Queries& q, Keys& k, Values& v, Rescales& rescales, Results& o, int32 valid_length, int32 causal_offset) {
    AttentionHead<kKnees, kHeadDim, kValueDim>(head_).run(q.data(), k.data(), v.data(), rescales.data(), o.data(),
                                                          kRows, kN, {valid_length, true, causal_offset, nullptr},
                                                          scratch_);
  }

  void run_bits(Queries& q, Keys& k, Values& v, Rescales& rescales, MaskWords& bits, Results& o, int32 valid_length,
                int32 causal_offset) {
    AttentionHead<kKnees, kHeadDim, kValueDim>(head_).run(q.data(), k.data(), v.data(), rescales.data(), o.data(),
                                                          kRows, kN, {valid_length, true, causal_offset, bits.data()},
                                                          scratch_);
  }

  static void registerKernelClass() {
    if constexpr (kMask == MaskKind::kBits) {
      REGISTER_FUNCTION(Attention::run_bits);
    } else {
      REGISTER_FUNCTION(Attention::run);
    }
  }

 private:
  HccsHead head_;
  alignas(64) int8 scratch_[attention_scratch_bytes(kN, kHeadDim)];
};

}  // namespace hccs_kernels
#endif

#endif  // HCCS_AIE_KERNELS_ATTENTION_H_
