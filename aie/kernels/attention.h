// SPDX-License-Identifier: Apache-2.0
//
// Attention of one head with deferred normalisation (the contract's attention_reference, docs/arithmetic.md): o from q,
// k and v, all int8, without a probability ever being formed.
//
// Layout: every matrix is in 4 x 8 tiles, row after row of tiles and within a tile row after row, as mmul produces and
// consumes them: element (i, j) of a matrix with C columns is at ((i / 4) * (C / 8) + j / 8) * 32 + (i % 4) * 8 + j
// % 8.
//   q: rows x kHeadDim and o: rows x kValueDim, rows rounded up to 8; o of the rows of padding is 0
//   k: n x kHeadDim and v: n x kValueDim, n rounded up to 16; what the padding holds does not matter
//   rescales: M and R of each row, rows rounded up to 8; 1 <= M <= 32767, 0 <= R <= 46
//   bit masks: (n + 31) / 32 words a row, position i in bit i % 32 of word i / 32
// kHeadDim is a multiple of 8, kValueDim one of 16; buffers are aligned to aie::vector_decl_align and do not overlap.
//
// Eight rows at a time, and three passes over the keys or values:
//   1  each row's maximum: products of k with the rows' q, transposed, so that keys are read as they lie
//   2  the weights: the same products again, from minus the maximum on; and W
//   3  o: products of v, transposed, with the weights; then the division
// In all of them the lanes of a register are a few positions or columns, each of eight rows: what belongs to a row is a
// constant in its lanes. Products with k are made twice, as eight rows of them need 32 n bytes; the weights of eight
// rows, 8 n bytes, and q wait in a scratch (attention_scratch).
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
// Where a position is not valid it may be above the maximum: t is negative and w wrong; it is masked.
#ifndef HCCS_AIE_KERNELS_ATTENTION_H_
#define HCCS_AIE_KERNELS_ATTENTION_H_

#include <utility>

#include "hccs_head.h"
#include "row_factors.h"

namespace hccs_kernels {

// What is wrong with a head for this kernel, compiled for `knees` knees, and n positions; null if nothing. The
// contract's rules alone: there is no r, so B and Z may be less than the 256 that head_error asks for.
constexpr const char* attention_error(const HccsHead& head, unsigned knees, unsigned n) {
  return contract_error(head, knees, n);
}

// Bytes of scratch that a call needs, aligned to 64.
template <unsigned kHeadDim>
constexpr unsigned attention_scratch(unsigned n) {
  return 8 * kHeadDim + 8 * ((n + 15) / 16 * 16);
}

namespace attention {

inline constexpr unsigned kRows = 8;  // of a block
using Lanes = aie::vector<int32, 2 * kRows>;

// What belongs to eight rows, in each row's lanes of more positions or columns.
template <unsigned kLanes, typename T>
aie::vector<T, kLanes> spread(const aie::vector<T, 2 * kRows>& rows) {
  return rows.template grow_replicate<kLanes>();
}

// Brings the lanes of positions together in each row's.
template <typename F, typename Vector>
Lanes fold(const Vector& lanes, F f) {
  if constexpr (Vector::size() == 2 * kRows) {
    return f(lanes, aie::shuffle_down_rotate(lanes, kRows));
  } else {
    constexpr unsigned kHalf = Vector::size() / 2;
    return fold(f(lanes.template extract<kHalf>(0), lanes.template extract<kHalf>(1)), f);
  }
}

// 2^e, e = 0..14: as the bits of a bfloat16, whose exponent begins at bit 7.
inline aie::vector<int16, 32> power_of_two(const aie::vector<int16, 32>& e) {
  const auto bits = aie::upshift(aie::add(e, int16{127}), 7);
  return aie::to_fixed<int16>(bits.template cast_to<bfloat16>());
}

// The quotients of eight rows: floor(x / W) exactly, -128 W <= x <= 127.5 W, 1 <= W < 2^24, or x = W = 0.
class Divisors {
 public:
  // Under factor_modes().
  explicit Divisors(const Lanes& sums) {
    // Any W divides 0.
    const auto w = aie::max(sums, int32{1});
    const int32_t most = aie::reduce_max(w.template extract<kRows>(0));
    const int32_t least = aie::reduce_min(aie::select(sums, most, aie::lt(sums, int32{1})).template extract<kRows>(0));
    high_ = spread<32>(aie::accum<acc32, 16>(w).template to_vector<uint16>(8));
    low_ = spread<32>(aie::accum<acc32, 16>(aie::bit_and(w, int32{255})).template to_vector<uint16>(0));
    const int k = floor_log2(most);
    is_near_ = k - floor_log2(least) <= kNear && k >= 7 && k < 23;
    // From 2^23 on the half stands for W, and its k is W's less one.
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

  // On a tile that rounds down and saturates. With k = floor(log2 W) of each lane:
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
    const auto q256 = aie::bit_and(quotient.template to_vector<int16>(shift - 8), int16{-256});  // saturates at 127
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

}  // namespace attention

// The kernel's steps, on blocks of eight query rows.
template <unsigned kKnees, unsigned kHeadDim, unsigned kValueDim>
class AttentionHead {
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  static_assert(kHeadDim % 8 == 0 && kHeadDim > 0 && kHeadDim <= 65536, "attention: kHeadDim must be a multiple of 8");
  static_assert(kValueDim % 16 == 0 && kValueDim > 0, "attention: kValueDim must be a multiple of 16");

 public:
  static constexpr unsigned kRows = attention::kRows;
#if __AIE_ARCH__ == 20
  static constexpr unsigned kTile = 4;  // lines of a product: positions or columns
#else
  static constexpr unsigned kTile = 8;
#endif
  static constexpr unsigned kPositions = 8;  // of a pass

  explicit AttentionHead(const HccsHead& head) : offset_(head.offset) {
    for (unsigned k = 0; k < kKnees; ++k) {
      slope_[k] = aie::broadcast<int16, kLanes>(head.slope[k]);
      position_[k] = aie::broadcast<int16, kLanes>(head.position[k]);
    }
    while (2 * int32_t{head.offset} >= 511 << shift_) ++shift_;
  }

  // attention_scratch<kHeadDim>(n) bytes of scratch.
  void run(const int8* __restrict q, const int8* __restrict k, const int8* __restrict v,
           const int16* __restrict rescales, int8* __restrict o, unsigned rows, unsigned n, const BlockMask& masks,
           void* __restrict scratch) const {
    const RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
    auto* queries = static_cast<int8*>(scratch);
    auto* weights = static_cast<uint8*>(scratch) + kRows * kHeadDim;
    HCCS_LOOP(block, (rows + kRows - 1) / kRows, "attention.rows", 1) {
      const unsigned row = block * kRows;
      Visible visible(masks, row, n);
      for (unsigned r = 0; r < kRows; ++r) visible.limit[r] = position_limit(row + r, rows, n, masks);
      visible.find_ends();
      const Rescales row_rescales(rescales + 2 * row);
      turn_queries(q + row * kHeadDim, queries);
      const Lanes maxima = find_maxima(queries, k, visible);
      const Lanes sums = make_weights(queries, k, maxima, row_rescales, visible, weights);
      make_outputs(weights, v, sums, visible, o + row * kValueDim);
    }
  }

 private:
  static constexpr unsigned kLanes = kTile * kRows;
  using Lanes = attention::Lanes;
  using Mask = aie::mask<64>;
  using LogitProduct = aie::mmul<kTile, 8, 8, int8, int8>;
  using ValueProduct = aie::mmul<kTile, 8, 8, int8, uint8>;

  // Row r of the block sees the positions below limit[r] whose bits are set.
  struct Visible {
    Visible(const BlockMask& masks, unsigned first_row, unsigned n)
        : bits(masks.bits), words((n + 31) / 32), first_word(first_row * words) {}
    int32_t limit[kRows];
    const uint32_t* bits;  // null: all are set
    unsigned words;        // of a row
    unsigned first_word;   // of the block's first row
    unsigned all = 0;      // positions below it, a multiple of kPositions, are seen by every row
    unsigned any = 0;      // positions from it on, a multiple of kPositions, by none
    void find_ends() {
      int32_t least = limit[0];
      int32_t most = limit[0];
      for (unsigned r = 1; r < kRows; ++r) {
        least = limit[r] < least ? limit[r] : least;
        most = limit[r] > most ? limit[r] : most;
      }
      all = bits != nullptr ? 0 : static_cast<unsigned>(least) / kPositions * kPositions;
      any = (static_cast<unsigned>(most) + kPositions - 1) / kPositions * kPositions;
    }
  };

  // The positions of a row below which validity is up to the bits alone. A row of padding has none.
  static int32_t position_limit(unsigned row, unsigned rows, unsigned n, const BlockMask& masks) {
    if (row >= rows) return 0;
    const auto length = static_cast<int32_t>(n);
    int32_t limit = masks.valid_length < length ? masks.valid_length : length;
    if (masks.causal && masks.causal_offset < limit) {
      const int32_t causal = masks.causal_offset + static_cast<int32_t>(row) + 1;
      limit = causal < limit ? causal : limit;
    }
    return limit > 0 ? limit : 0;
  }

  // The lanes (position, row) of 8 positions that are not valid.
  static Mask hidden(const Visible& visible, unsigned position) {
    uint64_t lanes = 0;  // (row, position)
    for (unsigned r = 0; r < kRows; ++r) {
      const int32_t left = visible.limit[r] - static_cast<int32_t>(position);
      uint32_t row = left <= 0 ? 255u : left >= 8 ? 0u : 255u << left & 255u;
      if (visible.bits != nullptr && left > 0) {
        const uint32_t word = visible.bits[visible.first_word + r * visible.words + position / 32];
        row |= ~(word >> (position % 32)) & 255u;
      }
      lanes |= uint64_t{row} << (8 * r);
    }
    const auto rows = aie::select(int8{0}, aie::broadcast<int8, 64>(1), Mask::from_uint64(lanes));
    return aie::gt(aie::transpose(rows, 8, 8), int8{0});
  }

  // A block of kCount x 8 of a matrix with kColumns columns: tile `column` of the tiles from `rows` on.
  template <unsigned kCount, unsigned kColumns>
  static aie::vector<int8, 8 * kCount> load_rows(const int8* rows, unsigned column) {
    const auto first = aie::load_v<32>(rows + 32 * column);
    if constexpr (kCount == 4) {
      return first;
    } else {
      return aie::concat(first, aie::load_v<32>(rows + 4 * kColumns + 32 * column));
    }
  }

  // q of eight rows as kHeadDim x 8, in blocks of 8 x 8.
  static void turn_queries(const int8* q, int8* queries) {
    for (unsigned d = 0; d < kHeadDim / 8; ++d) {
      aie::store_v(queries + 64 * d, aie::transpose(load_rows<8, kHeadDim>(q, d), 8, 8));
    }
  }

  // k . q of kTile positions with eight rows, kTiles times, added to `products` if there is something in them.
  template <unsigned kTiles>
  static void multiply_keys(const int8* queries, const int8* keys, LogitProduct (&products)[kTiles]) {
    for (unsigned d = 0; d < kHeadDim / 8; ++d) {
      const auto query = aie::load_v<64>(queries + 64 * d);
      for (unsigned i = 0; i < kTiles; ++i) {
        products[i].mac(load_rows<kTile, kHeadDim>(keys + i * kTile * kHeadDim, d), query);
      }
    }
  }

  // Pass 1: each row's maximum, INT32_MIN if it has no position.
  static Lanes find_maxima(const int8* queries, const int8* k, const Visible& visible) {
    auto maxima = aie::broadcast<int32, kLanes>(INT32_MIN);
    HCCS_LOOP(block, visible.all / kPositions, "attention.maxima", 0) {
      LogitProduct products[kPositions / kTile];
      multiply_keys(queries, k + block * kPositions * kHeadDim, products);
      for (const LogitProduct& product : products) {
        maxima = aie::max(maxima, product.template to_vector<int32>());
      }
    }
    for (unsigned position = visible.all; position < visible.any; position += kPositions) {
      const Mask none = hidden(visible, position);
      LogitProduct products[kPositions / kTile];
      multiply_keys(queries, k + position * kHeadDim, products);
      for (unsigned i = 0; i < kPositions / kTile; ++i) {
        maxima = aie::max(maxima, aie::select(products[i].template to_vector<int32>(), int32{INT32_MIN},
                                              none.template extract<kLanes>(i)));
      }
    }
    return attention::fold(maxima, [](const auto& a, const auto& b) { return aie::max(a, b); });
  }

  static constexpr int kLeastShift = 17;
  static constexpr int kSpread = 6;

  // M and R of eight rows, in their lanes. Shifts are close if `distances` serves them.
  struct Rescales {
    explicit Rescales(const int16* pairs) : rows(pairs) {
      const auto lanes = aie::load_v<16>(pairs).template grow_replicate<32>();
      const auto [multiplier, shift] = aie::interleave_unzip(lanes, lanes, 1);
      negative = aie::neg(multiplier);
      least = aie::reduce_min(shift.template extract<kRows>(0));
      const int most = aie::reduce_max(shift.template extract<kRows>(0));
      are_close = least >= kLeastShift && most - least <= kSpread;
      if (are_close) power = attention::power_of_two(aie::sub(static_cast<int16>(kSpread + least), shift));
    }
    const int16* rows;
    aie::vector<int16, 32> negative;  // -M
    aie::vector<int16, 32> power;     // 2^(6 - (R - the least R)), if they are close
    int least = 0;
    bool are_close = false;
  };

  // Pass 2: the weights of the positions up to visible.any, and each row's W.
  Lanes make_weights(const int8* queries, const int8* k, const Lanes& maxima, const Rescales& rescales,
                     const Visible& visible, uint8* weights) const {
    if (rescales.are_close) {
      return weigh(queries, k, maxima, offset_ + (1 << shift_ >> 1), visible, weights,
                   [&](const LogitProduct& product) { return distances(product, rescales); });
    }
    const RoundingSaturation modes(aie::rounding_mode::positive_inf, aie::saturation_mode::saturate);
    return weigh(queries, k, maxima, offset_, visible, weights,
                 [&](const LogitProduct& product) { return distances_of_any(product, rescales); });
  }

  // ... with the distances that `distances` makes of the products less the maxima; `offset` is B, with what rounds w.
  template <typename Distances>
  Lanes weigh(const int8* queries, const int8* k, const Lanes& maxima, int32_t offset, const Visible& visible,
              uint8* weights, Distances distances) const {
    const LogitProduct start(aie::accum<acc32, kLanes>(attention::spread<kLanes>(aie::neg(maxima))));
    const aie::accum<acc32, kLanes> offsets(aie::broadcast<int32, kLanes>(offset));
    const auto ones = aie::broadcast<uint8, kLanes>(1);
    const auto weigh_tile = [&](unsigned position) {
      LogitProduct product[1] = {start};
      multiply_keys(queries, k + position * kHeadDim, product);
      const auto distance = distances(product[0]);
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
      const Mask none = hidden(visible, position);
      for (unsigned i = 0; i < kPositions / kTile; ++i) {
        const auto w = aie::select(weigh_tile(position + i * kTile), uint8{0}, none.template extract<kLanes>(i));
        aie::store_v(weights + (position + i * kTile) * kRows, w);
        sums = aie::mac(sums, w, ones);
      }
    }
    return attention::fold(sums.template to_vector<int32>(),
                           [](const auto& a, const auto& b) { return aie::add(a, b); });
  }

  // The distances of `product` = -t, by 16-bit products: with -t = 2^16 * high + low, low not negative,
  //
  //   v = floor(t * M / 2^16)               is high * -M + floor(low * -M / 2^16), below 2^30
  //   y = v >> c, c = min R - 17            int16; it is clamped above 2^15 - 1, which a distance of 128 and more is:
  //                                         R - 16 - c is 1..7
  //   (y + 2^(R-17-c)) >> (R - 16 - c)      is the distance, rounded half up; by y * 2^(7 - that) + 2^6 >> 7
  static aie::vector<int16, kLanes> distances(const LogitProduct& product, const Rescales& rescales) {
    const auto multiplier = rescales.negative.template grow_replicate<kLanes>();
    const auto [low, high] = halves(product.to_accum());
    const auto carry = aie::mul(low.template cast_to<uint16>(), multiplier).template to_vector<int16>(16);
    const auto v = aie::mac(aie::accum<acc32, kLanes>(carry), high, multiplier);
    const auto y = v.template to_vector<int16>(rescales.least - kLeastShift);
    const auto power = rescales.power.template grow_replicate<kLanes>();
    return aie::mac(row_factors::constant<kLanes>(1 << 6, 0), y, power).template to_vector<int16>(7);
  }

  // ... for shifts that are small or far apart: by each row's. On a tile that rounds half up.
  static aie::vector<int16, kLanes> distances_of_any(const LogitProduct& product, const Rescales& rescales) {
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

  // The lower and the upper 16 bits of lanes.
  template <unsigned kCount>
  static auto halves(const aie::accum<acc32, kCount>& lanes) {
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

  // Pass 3: o = round_half_up(sum w * v / W), 0 for rows without a position, which have sums of 0.
  static void make_outputs(const uint8* weights, const int8* v, const Lanes& sums, const Visible& visible, int8* o) {
    const auto divisors = [&] {
      const auto modes = factor_modes();
      return attention::Divisors(sums);
    }();
    const Lanes half = aie::downshift(sums, 1);
    unsigned column = 0;
    for (; column + 4 <= kValueDim / 8; column += 4) {
      make_columns<4>(weights, v + 32 * column, half, divisors, visible, o + 32 * column);
    }
    if constexpr (kValueDim / 8 % 4 != 0) {
      make_columns<kValueDim / 8 % 4>(weights, v + 32 * column, half, divisors, visible, o + 32 * column);
    }
  }

  // ... kTiles tiles of 8 columns: as columns x rows.
  template <unsigned kTiles>
  static void make_columns(const uint8* weights, const int8* v, const Lanes& half, const attention::Divisors& divisors,
                           const Visible& visible, int8* o) {
    constexpr unsigned kParts = 8 / kTile;
    ValueProduct sums[kTiles * kParts];
    const aie::accum<acc32, kLanes> start(attention::spread<kLanes>(half));
    for (ValueProduct& sum : sums) sum = ValueProduct(start);
    HCCS_LOOP(block, visible.any / kPositions, "attention.values", 0) {
      const auto w = aie::load_v<64>(weights + block * kPositions * kRows);
      for (unsigned c = 0; c < kTiles; ++c) {
        const auto values = aie::transpose(load_rows<8, kValueDim>(v + block * kPositions * kValueDim, c), 8, 8);
        for (unsigned i = 0; i < kParts; ++i) sums[c * kParts + i].mac(values.template extract<8 * kTile>(i), w);
      }
    }
    for (unsigned c = 0; c < kTiles; ++c) {
      const auto divide = [&](unsigned first) {  // four columns
        const auto sum = sums[c * kParts + first / kTile].to_accum();
        return divisors.divide(sum.template extract<32>(first % kTile / 4));
      };
      const auto rows = aie::transpose(aie::concat(divide(0), divide(4)), 8, 8);
      aie::store_v(o + 32 * c, rows.template extract<32>(0));
      aie::store_v(o + 4 * kValueDim + 32 * c, rows.template extract<32>(1));
    }
  }

  int32_t offset_;
  aie::vector<int16, kLanes> slope_[kKnees];
  aie::vector<int16, kLanes> position_[kKnees];
  int shift_ = 0;  // h
};

}  // namespace hccs_kernels

#if __has_include(<adf.h>)
#include <adf.h>

#include <aie_api/aie_adf.hpp>

namespace hccs_kernels {

// The ADF kernel: blocks of kRows query rows of one head, with the kN keys and values that they attend to, and run-time
// parameters for the masks (causal_offset counts if kCausal). Construct it with the head's words (head_to_words). Its
// ports: q, k, v, rescales, with kBits the mask words, o, valid_length, causal_offset.
template <unsigned kKnees, unsigned kHeadDim, unsigned kValueDim, unsigned kRows, unsigned kN, bool kCausal = false,
          bool kBits = false>
class Attention {
  static constexpr unsigned kPaddedRows = (kRows + 7) / 8 * 8;
  static constexpr unsigned kPaddedN = (kN + 15) / 16 * 16;

 public:
  using Words = const int16 (&)[kHeadWords];
  using Queries = adf::input_buffer<int8, adf::extents<kPaddedRows * kHeadDim>>;
  using Keys = adf::input_buffer<int8, adf::extents<kPaddedN * kHeadDim>>;
  using Values = adf::input_buffer<int8, adf::extents<kPaddedN * kValueDim>>;
  using Rescales = adf::input_buffer<int16, adf::extents<2 * kPaddedRows>>;
  using MaskWords = adf::input_buffer<uint32, adf::extents<kRows*((kN + 31) / 32)>>;
  using Results = adf::output_buffer<int8, adf::extents<kPaddedRows * kValueDim>>;

  explicit Attention(Words head) : head_(head) {}

  void run(Queries& q, Keys& k, Values& v, Rescales& rescales, Results& o, int32 valid_length, int32 causal_offset) {
    AttentionHead<kKnees, kHeadDim, kValueDim>(head_from_words(head_))
        .run(q.data(), k.data(), v.data(), rescales.data(), o.data(), kRows, kN,
             {valid_length, kCausal, causal_offset, nullptr}, scratch_);
  }

  void run_bits(Queries& q, Keys& k, Values& v, Rescales& rescales, MaskWords& bits, Results& o, int32 valid_length,
                int32 causal_offset) {
    AttentionHead<kKnees, kHeadDim, kValueDim>(head_from_words(head_))
        .run(q.data(), k.data(), v.data(), rescales.data(), o.data(), kRows, kN,
             {valid_length, kCausal, causal_offset, bits.data()}, scratch_);
  }

  static void registerKernelClass() {
    if constexpr (kBits) {
      REGISTER_FUNCTION(Attention::run_bits);
    } else {
      REGISTER_FUNCTION(Attention::run);
    }
    REGISTER_PARAMETER(head_);
  }

 private:
  Words head_;
  alignas(64) int8 scratch_[attention_scratch<kHeadDim>(kN)];
};

}  // namespace hccs_kernels
#endif

#endif  // HCCS_AIE_KERNELS_ATTENTION_H_
