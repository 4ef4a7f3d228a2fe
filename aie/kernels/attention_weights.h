// SPDX-License-Identifier: Apache-2.0
//
// Pass 2 of attention (attention.h): the weights, from the products of k with q again, from minus the maximum on; and
// their sums W.
#ifndef HCCS_AIE_KERNELS_ATTENTION_WEIGHTS_H_
#define HCCS_AIE_KERNELS_ATTENTION_WEIGHTS_H_

#include <utility>

#include "attention_block.h"
#include "head.h"
#include "row_factors.h"

namespace hccs_kernels::attention {

// 2^e, e = 0..14: as the bits of a bfloat16, whose exponent begins at bit 7.
inline aie::vector<int16, 32> power_of_two(const aie::vector<int16, 32>& e) {
  const auto bits = aie::upshift(aie::add(e, int16{127}), 7);
  return floor_to_int16(bits.template cast_to<bfloat16>(), 0);
}

// Shifts R that distances() serves: this at the least, and at most so far apart.
inline constexpr int kLeastShift = 17;
inline constexpr int kSpread = 6;

// M and R of eight rows, in their lanes. Shifts are close if `distances` serves them.
struct Rescales {
  explicit Rescales(const int16* pairs) : rows(pairs) {
    const auto lanes = aie::load_v<16>(pairs).template grow_replicate<32>();
    const auto [multiplier, shift] = aie::interleave_unzip(lanes, lanes, 1);
    negative = aie::neg(multiplier);
    least = aie::reduce_min(shift.template extract<kRows>(0));
    const int most = aie::reduce_max(shift.template extract<kRows>(0));
    are_close = least >= kLeastShift && most - least <= kSpread;
    if (are_close) power = power_of_two(aie::sub(static_cast<int16>(kSpread + least), shift));
  }
  const int16* rows;
  aie::vector<int16, 32> negative;  // -M
  aie::vector<int16, 32> power;     // 2^(6 - (R - the least R)), if they are close
  int least = 0;
  bool are_close = false;
};

// The lower and the upper 16 bits of lanes.
template <unsigned kCount>
auto halves(const aie::accum<acc32, kCount>& lanes) {
  if constexpr (kCount == 32) {
    const auto words = lanes.template to_vector<int32>();
    return aie::interleave_unzip(words.template extract<16>(0).template cast_to<int16>(),
                                 words.template extract<16>(1).template cast_to<int16>(), 1);
  } else {
    const auto first = halves(lanes.template extract<32>(0));
    const auto second = halves(lanes.template extract<32>(1));
    return std::pair(aie::concat(first.first, second.first), aie::concat(first.second, second.second));
  }
}

// The distances of `product` = -t, by 16-bit products: with -t = 2^16 * high + low, low not negative,
//
//   v = floor(t * M / 2^16)               is high * -M + floor(low * -M / 2^16), below 2^30
//   y = v >> c, c = min R - 17            int16; it is clamped above 2^15 - 1, which a distance of 128 and more is:
//                                         R - 16 - c is 1..7
//   (y + 2^(R-17-c)) >> (R - 16 - c)      is the distance, rounded half up; by y * 2^(7 - that) + 2^6 >> 7
inline aie::vector<int16, kLanes> distances(const LogitProduct& product, const Rescales& rescales) {
  const auto multiplier = rescales.negative.template grow_replicate<kLanes>();
  const auto [low, high] = halves(product.to_accum());
  const auto carry = aie::mul(low.template cast_to<uint16>(), multiplier).template to_vector<int16>(16);
  const auto v = aie::mac(aie::accum<acc32, kLanes>(carry), high, multiplier);
  const auto y = v.template to_vector<int16>(rescales.least - kLeastShift);
  const auto power = rescales.power.template grow_replicate<kLanes>();
  return aie::mac(row_factors::constant<kLanes>(1 << 6, 0), y, power).template to_vector<int16>(7);
}

// The distances of `product` = -t for shifts that are small or far apart: by each row's shift. On a tile that rounds
// half up.
inline aie::vector<int16, kLanes> distances_of_any(const LogitProduct& product, const Rescales& rescales) {
  aie::vector<int16, kLanes> result;
  for (unsigned i = 0; i < kLanes / 16; ++i) {
    const auto t = product.to_accum().template extract<16>(i).template to_vector<int32>();
    const auto scaled = aie::mul<acc64>(t, rescales.negative.template extract<16>(0));
    auto distance = scaled.template to_vector<int16>(rescales.rows[1]);
    for (unsigned r = 1; r < kRows; ++r) {
      distance = aie::select(distance, scaled.template to_vector<int16>(rescales.rows[2 * r + 1]),
                             aie::mask<16>::from_uint32(0x101u << r));
    }
    result.insert(i, distance);
  }
  return result;
}

// The steps of a head's weights.
template <unsigned kKnees, unsigned kHeadDim>
class Weights {
 public:
  explicit Weights(const HccsHead& head) : offset_(head.offset) {
    for (unsigned k = 0; k < kKnees; ++k) {
      slope_[k] = aie::broadcast<int16, kLanes>(head.slope[k]);
      position_[k] = aie::broadcast<int16, kLanes>(head.position[k]);
    }
    while (2 * int32_t{head.offset} >= 511 << shift_) ++shift_;
  }

  // Makes the weights of the positions up to visible.any. Returns each row's W.
  Lanes make(const int8* queries, const int8* k, const Lanes& maxima, const Rescales& rescales, const Visible& visible,
             uint8* weights) const {
    if (rescales.are_close) {
      return make_with(queries, k, maxima, offset_ + (1 << shift_ >> 1), visible, weights,
                       [&](const LogitProduct& product) { return distances(product, rescales); });
    }
    const RoundingSaturation modes(aie::rounding_mode::positive_inf, aie::saturation_mode::saturate);
    return make_with(queries, k, maxima, offset_, visible, weights,
                     [&](const LogitProduct& product) { return distances_of_any(product, rescales); });
  }

 private:
  // The weights, with the distances that `distances_of` makes of the products less the maxima. `offset` is B, with what
  // rounds w.
  template <typename DistancesOf>
  Lanes make_with(const int8* queries, const int8* k, const Lanes& maxima, int32_t offset, const Visible& visible,
                  uint8* weights, DistancesOf distances_of) const {
    const LogitProduct start(aie::accum<acc32, kLanes>(spread<kLanes>(aie::neg(maxima))));
    const aie::accum<acc32, kLanes> offsets(aie::broadcast<int32, kLanes>(offset));
    const auto ones = aie::broadcast<uint8, kLanes>(1);
    const auto weigh_tile = [&](unsigned position) {
      LogitProduct product[1] = {start};
      multiply_keys<kHeadDim>(queries, k + position * kHeadDim, product);
      const auto distance = distances_of(product[0]);
      auto score = offsets;
      for (unsigned i = 0; i < kKnees; ++i) score = aie::msc(score, aie::min(distance, position_[i]), slope_[i]);
      return score.template to_vector<uint8>(shift_);
    };
    auto sums = aie::zeros<acc32, kLanes>();
    HCCS_LOOP(tile, visible.all / kTile, "attention.weights", 0) {
      const auto w = weigh_tile(tile * kTile);
      aie::store_v(weights + tile * kLanes, w);
      sums = aie::mac(sums, w, ones);
    }
    for (unsigned position = visible.all; position < visible.any; position += kPositions) {
      const Mask none = visible.hidden(position);
      for (unsigned i = 0; i < kPositions / kTile; ++i) {
        const auto w = aie::select(weigh_tile(position + i * kTile), uint8{0}, none.template extract<kLanes>(i));
        aie::store_v(weights + (position + i * kTile) * kRows, w);
        sums = aie::mac(sums, w, ones);
      }
    }
    return fold(sums.template to_vector<int32>(), [](const auto& a, const auto& b) { return aie::add(a, b); });
  }

  int32_t offset_;
  aie::vector<int16, kLanes> slope_[kKnees];
  aie::vector<int16, kLanes> position_[kKnees];
  int shift_ = 0;  // h
};

}  // namespace hccs_kernels::attention

#endif  // HCCS_AIE_KERNELS_ATTENTION_WEIGHTS_H_
