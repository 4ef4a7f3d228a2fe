// SPDX-License-Identifier: Apache-2.0
//
// The exact division of attention (attention.h) by the sums of the weights.
#ifndef HCCS_AIE_KERNELS_ATTENTION_QUOTIENT_H_
#define HCCS_AIE_KERNELS_ATTENTION_QUOTIENT_H_

#include "attention_block.h"
#include "row_factors.h"

namespace hccs_kernels::attention {

// The quotients of eight rows: floor(x / W) exactly, -128 W <= x <= 127.5 W, 1 <= W < 2^24, or x = W = 0.
class Divisors {
 public:
  // Needs the modes of factor_modes().
  explicit Divisors(const Lanes& sums) {
    // Any W divides 0.
    const auto w = aie::max(sums, int32{1});
    const int32_t most = aie::reduce_max(w.template extract<kRows>(0));
    const int32_t least = aie::reduce_min(aie::select(sums, most, aie::lt(sums, int32{1})).template extract<kRows>(0));
    high_ = spread<32>(aie::accum<acc32, 16>(w).template to_vector<uint16>(8));
    low_ = spread<32>(aie::accum<acc32, 16>(aie::bit_and(int32{255}, w)).template to_vector<uint16>(0));
    const int k = floor_log2(most);
    is_near_ = k - floor_log2(least) <= kNear && k >= 7 && k < 23;
    // Where W is 2^23 or more, W / 2 stands for it, whose k is less by one.
    const auto large = aie::ge(w, int32{1 << 23});
    const auto z = is_near_ ? w : aie::select(w, aie::downshift(w, 1), large);
    const auto floats = row_factors::to_floats(z);
    const auto reciprocal = row_factors::estimate_quotients<32767>(floats).quotient;
    if (is_near_) {
      shift_ = k - 7;
      const auto power = row_factors::powers(floats, k + 14 - kNear);
      reciprocal_ = spread<32>(aie::mul(reciprocal, power).template to_vector<int16>(14));
      return;
    }
    reciprocal_ = spread<32>(reciprocal);
    const auto upper = row_factors::powers(row_factors::to_floats(aie::max(z, int32{kSmall})), 23);
    power_ = aie::select(upper.template cast_to<int16>(), int16{1}, large);
    any_small_ = least < kSmall;
    if (any_small_) {
      small_ = aie::lt(w, int32{kSmall});
      const auto lower = row_factors::powers(row_factors::to_floats(aie::min(z, int32{kSmall - 1})), 9);
      small_power_ = lower.template cast_to<int16>();
    }
  }

  // floor(x / W). On a tile that rounds down and saturates. With k = floor(log2 W) of each lane:
  //
  //   n = x * 2^(7-k)            rounded down, within int16. By x * 2^(23-k) >> 16, where W is small x * 2^(9-k) >> 2
  //   x / W                      about n * reciprocal / 2^22, the reciprocal being 2^(15+k) / W but for 1/500 of it:
  //                              off by 0.26, and by 1/128 for n
  //   rounded to the nearest     q = floor(x / W + 1/2 + e), |e| < 0.4: the quotient or one more; 127 if that is 128
  //   x - q * W                  the sign of the remainder tells which: -W .. W - 1; its 32 bits are all that counts.
  //                              q * W is 256 q * high + q * low
  //
  // Where no k is more than 3 below the largest (is_near_), n is x * 2^(7 - largest k) in all lanes, by a shift, and
  // the reciprocal is 2^(12 + largest k) / W. Both have up to 3 bits less: n is off by 1/16, the reciprocal by another
  // 1/16.
  aie::vector<int8, 32> divide(const aie::accum<acc32, 32>& x) const {
    aie::vector<int16, 32> normal;
    if (is_near_) {
      normal = x.template to_vector<int16>(shift_);
    } else {
      const auto lanes = x.template to_vector<int32>();
      normal = aie::concat(normalise(lanes.template extract<16>(0)), normalise(lanes.template extract<16>(1)));
    }
    const int shift = is_near_ ? 22 - kNear : 22;
    const auto quotient = aie::mac(row_factors::constant<32>(1 << 14, is_near_ ? 7 - kNear : 7), normal, reciprocal_);
    const auto q = aie::min(quotient.template to_vector<int16>(shift), int16{127});
    const auto q256 = aie::bit_and(int16{-256}, quotient.template to_vector<int16>(shift - 8));  // saturates at 127
    const auto remainder = aie::msc(aie::msc(x, q256, high_), q, low_);
    return aie::add(q, remainder.template to_vector<int16>(24)).template pack<int8>();
  }

 private:
  static constexpr int32_t kSmall = 512;
  static constexpr int kNear = 3;

  aie::vector<int16, 16> normalise(const Lanes& x) const {
    const auto normal = aie::mul<acc64>(x, power_).template to_vector<int16>(16);
    if (!any_small_) return normal;
    return aie::select(normal, aie::mul<acc64>(x, small_power_).template to_vector<int16>(2), small_);
  }

  aie::vector<int16, 32> reciprocal_;
  aie::vector<uint16, 32> high_, low_;  // W = 256 * high + low
  int shift_ = 0;
  aie::vector<int16, 16> power_, small_power_;
  aie::mask<16> small_;
  bool is_near_ = false;
  bool any_small_ = false;
};

}  // namespace hccs_kernels::attention

#endif  // HCCS_AIE_KERNELS_ATTENTION_QUOTIENT_H_
