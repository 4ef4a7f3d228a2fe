// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int8 rows, one row at a time: the kernel of the HCCS paper (arXiv 2604.02292), the yardstick of the
// others.
//
// Layout: rows of n logits, one after another, n a multiple of 32; buffers aligned to aie::vector_decl_align. No masks.
// Serves K = 1, `div` and `clb`, uint8 and int16, heads without a head_error(head, 1, n, MaskKind::kNone). Widths:
//   d = min(m - x, D)      m - x is 0..255 as uint8; D <= 127
//   s = B - S * d          F..B, within int16
//   Z = sum of s           n*B < 2^31 for n <= 65536, int32
//   r                      Z >= B + (n-1)*F >= 256: (255 << 15) / Z and (255 << 15) >> floor(log2 Z) <= 32640, int16
//   s * r                  < 2^30, int32; results saturate at 255 and 32767 as the contract's min() does
#ifndef HCCS_AIE_KERNELS_PAPER_ROWS_H_
#define HCCS_AIE_KERNELS_PAPER_ROWS_H_

#include <type_traits>

#include "device.h"
#include "head.h"
#include "layout.h"

namespace hccs_kernels {

// paper_rows_scratch_bytes(n) bytes of scratch are needed at `scores`, aligned like the buffers.
template <Normalisation kNormalisation, typename Out>
inline void softmax_paper_rows(const int8* __restrict logits, Out* __restrict out, unsigned rows, unsigned n,
                               const HccsHead& head, int16* __restrict scores) {
  static_assert(kNormalisation != Normalisation::kScaled, "paper_rows has div and clb");
  static_assert(std::is_same_v<Out, uint8> || std::is_same_v<Out, int16>);
  constexpr unsigned kLanes = kPaperRowsLanes;
  constexpr bool kWide = std::is_same_v<Out, int16>;
  constexpr int kShift = kWide ? 0 : 15;
  constexpr int32_t kNumerator = kWide ? 32767 : 255 << 15;
  const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);

  const unsigned blocks = n / kLanes;
  const auto position = aie::broadcast<uint8, kLanes>(static_cast<uint8>(head.position[0]));
  const auto slope = aie::broadcast<int8, kLanes>(head.slope[0]);
  const aie::accum<acc32, kLanes> offset(aie::broadcast<int16, kLanes>(head.offset));

  HCCS_LOOP(row, rows, "paper_rows.rows", 1) {
    const int8* x = logits + row * n;
    Out* p = out + row * n;

    auto it = aie::cbegin_restrict_vector<kLanes>(x);
    aie::vector<int8, kLanes> maxima = *it++;
    for (unsigned i = 1; i < blocks; ++i) maxima = aie::max(maxima, aie::vector<int8, kLanes>(*it++));
    const auto maximum = aie::broadcast<int8, kLanes>(aie::reduce_max(maxima));

    it = aie::cbegin_restrict_vector<kLanes>(x);
    auto score = aie::begin_restrict_vector<kLanes>(scores);
    aie::accum<acc32, kLanes> sums;
    for (unsigned i = 0; i < blocks; ++i) {
      const auto distance = aie::min(aie::sub(maximum, *it++).template cast_to<uint8>(), position);
      const auto s = aie::msc(offset, distance, slope);
      *score++ = s.template to_vector<int16>(0);
      sums = i == 0 ? s : aie::add(sums, s);
    }
    const int32_t sum = aie::reduce_add(sums.template to_vector<int32>());

    int32_t reciprocal = 0;
    if constexpr (kNormalisation == Normalisation::kDiv) {
      reciprocal = divide(kNumerator, sum);
    } else {
      const int k = floor_log2(sum);
      reciprocal = scalar(kNumerator >> k, k);
    }
    const auto factor = aie::broadcast<int16, kLanes>(static_cast<int16>(reciprocal));
    auto s = aie::cbegin_restrict_vector<kLanes>(scores);
    auto to = aie::begin_restrict_vector<kLanes>(p);
    for (unsigned i = 0; i < blocks; ++i) *to++ = aie::mul(*s++, factor).template to_vector<Out>(kShift);
  }
}

}  // namespace hccs_kernels

#if __has_include(<adf.h>)
#include <adf.h>

#include <aie_api/aie_adf.hpp>

namespace hccs_kernels {

// The ADF kernel: blocks of kHeads heads with kRows rows each of kN logits. Construct it with the heads' words
// (head_to_words), one head after another.
template <Normalisation kNormalisation, typename Out, unsigned kN, unsigned kRows, unsigned kHeads = 1>
class PaperRowsSoftmax {
  static_assert(kN % kPaperRowsLanes == 0, "paper_rows: n must be a multiple of 32");

 public:
  explicit PaperRowsSoftmax(const int16 (&heads)[kHeads * kHeadWords]) {
    for (unsigned i = 0; i < kHeads * kHeadWords; ++i) heads_[i] = heads[i];
  }

  void run(adf::input_buffer<int8, adf::extents<kHeads * kRows * kN>>& logits,
           adf::output_buffer<Out, adf::extents<kHeads * kRows * kN>>& out) {
    for (unsigned h = 0; h < kHeads; ++h) {
      softmax_paper_rows<kNormalisation>(static_cast<const int8*>(logits.data()) + h * kRows * kN,
                                         static_cast<Out*>(out.data()) + h * kRows * kN, kRows, kN,
                                         head_from_words(heads_ + h * kHeadWords), scores_);
    }
  }

  static void registerKernelClass() { REGISTER_FUNCTION(PaperRowsSoftmax::run); }

 private:
  int16 heads_[kHeads * kHeadWords];
  alignas(aie::vector_decl_align) int16 scores_[kN];
};

}  // namespace hccs_kernels
#endif

#endif  // HCCS_AIE_KERNELS_PAPER_ROWS_H_
