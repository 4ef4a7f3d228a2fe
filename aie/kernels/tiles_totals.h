// SPDX-License-Identifier: Apache-2.0
//
// Pass 3 of tiles (tiles.h): Z and the factors of 64 rows.
#ifndef HCCS_AIE_KERNELS_TILES_TOTALS_H_
#define HCCS_AIE_KERNELS_TILES_TOTALS_H_

#include <type_traits>

#include "head.h"
#include "row_factors.h"
#include "tiles_masked.h"
#include "tiles_scratch.h"
#include "tiles_sums.h"

namespace hccs_kernels::tiles_passes {

// How pass 4 makes results.
enum class Form {
  kFused,    // one product, a shift for all
  kShifted,  // scores times 2^(f-k), then by r, a shift for all
  kPlain,    // scores times r, and more (scale() of tiles_scale.h)
};

// k is most - range .. most, for rows of `count` valid positions.
struct Exponents {
  Exponents(const HccsHead& head, int32_t count)
      : most(floor_log2(count * head.offset)), range(most - floor_log2(head.offset + (count - 1) * head_floor(head))) {}
  int most, range;
};

// The shortest form that serves the head.
template <Normalisation kNormalisation, typename Out>
Form form_of(const HccsHead& head, const Exponents& exponents) {
  if (exponents.most > 15) return Form::kPlain;
  if constexpr (kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
    int32_t slope = 1;
    for (unsigned k = 0; k < kMaxKnees; ++k) slope = head.slope[k] > slope ? head.slope[k] : slope;
    if ((255 * slope) << exponents.range < 1 << 16) return Form::kFused;
  }
  if constexpr (kNormalisation == Normalisation::kScaled) {
    if (head.offset << exponents.range < 1 << 15) return Form::kShifted;
  }
  return Form::kPlain;
}

enum class Powers { kOfTwo, kOfTwoTimes255 };

// 2^(exponent-k) of 64 rows, or 255 times that, from kFloatBits + Z, 256 <= Z < 2^23, under factor_modes(). It must be
// whole, k <= exponent, and below 2^15, as it is with 8 <= k for an exponent of 15, or of 22 without the 255. The upper
// half of Z as a float has k + 127 above seven bits of its significand, from which the bits of the result as a bf16
// follow: (exponent - k) + 127, and 7 more with a significand of 255 / 128. Added to 1.5 * 2^23 the number is in the
// sum's lowest bits, and nothing of it is rounded. (aie::to_fixed would do too, but it rounds down up to the API of
// 2024.2 and to nearest since.) Rows without a valid position, or that are not there, may give anything.
inline aie::vector<int16, kBlockRows> powers(const aie::accum<acc32, kBlockRows>& sums, int exponent, Powers which) {
  using Floats = row_factors::Floats<kBlockRows>;
  const Floats z = aie::sub(sums.template cast_to<accfloat>(), Floats(aie::broadcast<float, kBlockRows>(8388608.0f)));
  const auto exponents = aie::bit_and(uint16{0x7f80}, row_factors::float_bits(z, 16));
  const auto first =
      static_cast<uint16>(which == Powers::kOfTwoTimes255 ? (261 + exponent) * 128 + 127 : (254 + exponent) * 128);
  const auto bits = aie::sub(aie::broadcast<uint16, kBlockRows>(first), exponents);
  const Floats ones(aie::broadcast<float, kBlockRows>(12582912.0f));
  return row_factors::float_bits(aie::add(ones, Floats(bits.template cast_to<bfloat16>())), 0)
      .template cast_to<int16>();
}

// Stores four lanes a row of 64 rows that are in the order of BlockSums. Returns the first eight rows of it.
inline aie::vector<int16, 4 * kLeafRows> store_four_lanes(const aie::vector<int16, 64>& rows,
                                                          int16 (&lanes)[kBlockLeaves][4 * kLeafRows]) {
  aie::vector<int16, 4 * kLeafRows> first;
  const auto in_order = aie::transpose(rows, kTileRows == 4 ? 16 : 8, kTileRows == 4 ? 4 : 8);
  for (unsigned i = 0; i < 2; ++i) {
    const auto half = in_order.template extract<32>(i);
    const auto two = aie::interleave_zip(half, half, 1);
    const aie::vector<int16, 32> quarters[2] = {two.first, two.second};
    for (unsigned j = 0; j < 2; ++j) {
      const auto four = aie::interleave_zip(quarters[j], quarters[j], 1);
      if (i == 0 && j == 0) first = four.first;
      aie::store_v(lanes[4 * i + 2 * j], four.first);
      aie::store_v(lanes[4 * i + 2 * j + 1], four.second);
    }
  }
  return first;
}

// Valid positions of 64 rows, by their lengths.
template <MaskKind kMask>
class ValidLengths {
 public:
  ValidLengths(const MaskedTiles<kMask>& x, const Block& block) : length_(x.length()), causal_(x.causal()) {
    if (!causal_) return;
    rows_ = aie::broadcast<int32, 16>(x.first_length() + static_cast<int32_t>(block.first_leaf * kLeafRows));
    constexpr uint32_t kLanesWithBit[4] = {0xaaaa, 0xcccc, 0xf0f0, 0xff00};
    for (unsigned bit = 0; bit < 4; ++bit) {
      rows_ = aie::select(rows_, aie::add(rows_, static_cast<int32_t>(kLaneWeights[bit])),
                          aie::mask<16>::from_uint32(kLanesWithBit[bit]));
    }
  }
  RowSums of(unsigned i) const {
    const auto all = aie::broadcast<int32, 16>(length_);
    if (!causal_) return all;
    return aie::min(aie::max(aie::add(rows_, static_cast<int32>(kLaneWeights[4] * i)), static_cast<int32>(0)), all);
  }

 private:
  aie::vector<int32, 16> rows_;
  int32_t length_;
  bool causal_;
};

// The factors of 64 rows. Returns the powers of the first eight, four lanes each, if the form has powers.
template <Form kForm, Normalisation kNormalisation, typename Out, MaskKind kMask, unsigned kKnees>
aie::vector<int16, 4 * kLeafRows> make_factors(const MaskedTiles<kMask>& x, const Block& block, const HccsHead& head,
                                               const Exponents& exponents, const BlockSums<kKnees>& sums,
                                               const BlockSums<1>& count, TilesScratch<kKnees>& scratch) {
  const auto modes = factor_modes();
  if constexpr (kForm == Form::kFused) {
    return store_four_lanes(powers(sums.total(), exponents.most, Powers::kOfTwoTimes255), scratch.first);
  }
  // Z of 16 rows; at least 256, which changes rows without a valid position only (head_error).
  const auto row_sum = [&](unsigned i) -> RowSums {
    if constexpr (kMask == MaskKind::kNone) return aie::max(sums.of(i), static_cast<int32>(256));
    RowSums valid;
    if constexpr (kMask == MaskKind::kBits) {
      valid = count.of(i);
    } else {
      valid = ValidLengths<kMask>(x, block).of(i);
    }
    const auto z = aie::mac(aie::accum<acc64, kGroupRows>(sums.of(i)), valid,
                            aie::broadcast<int16, kGroupRows>(static_cast<int16>(head_floor(head))));
    return aie::max(z.template to_vector<int32>(0), static_cast<int32>(256));
  };
  aie::vector<int16, 4 * kLeafRows> first_powers;
  if constexpr (kForm == Form::kPlain && kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>) {
    if (exponents.most < 23) {  // r is 255 * 2^(15-k) with a floor, 255 * 2^(22-k) >> 7
      aie::vector<int32, kBlockRows> z;
      for (unsigned i = 0; i < kBlockRows / kGroupRows; ++i) z.insert(i, aie::add(row_sum(i), kFloatBits));
      const auto power = powers(aie::accum<acc32, kBlockRows>(z), 22, Powers::kOfTwo);
      return store_four_lanes(aie::mul(power, int16{255}).template to_vector<int16>(7), scratch.first);
    }
  }
  if constexpr (kForm == Form::kShifted) {
    first_powers = store_four_lanes(powers(sums.total(), exponents.most, Powers::kOfTwo), scratch.second);
  }
  aie::vector<int16, kBlockRows> first, second;
  const int32_t largest = exponents.most >= 30 ? INT32_MAX : (2 << exponents.most) - 1;
  for (unsigned i = 0; i < kBlockRows / kGroupRows; i += 2) {
    if constexpr (kForm == Form::kShifted) {
      const auto z = [&](unsigned group) {
        return aie::max(aie::sub(sums.of(group), kFloatBits), static_cast<int32>(256));
      };
      first.insert(i / 2, row_reciprocals<kNormalisation, Out>(aie::concat(z(i), z(i + 1)), largest));
    } else {
      const auto z = aie::concat(row_sum(i), row_sum(i + 1));
      const auto factors = lane_factors<kNormalisation, Out>(z, largest, magnitude(head));
      first.insert(i / 2, factors.first);
      if constexpr (kNormalisation == Normalisation::kScaled) second.insert(i / 2, factors.second);
    }
  }
  store_four_lanes(first, scratch.first);
  if constexpr (kForm == Form::kPlain && kNormalisation == Normalisation::kScaled) {
    store_four_lanes(second, scratch.second);
  }
  return first_powers;
}

}  // namespace hccs_kernels::tiles_passes

#endif  // HCCS_AIE_KERNELS_TILES_TOTALS_H_
