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
// kHeadDim is a multiple of 8, kValueDim one of 16; buffers are aligned to aie::vector_decl_align.
//
// Two passes over the keys: the first finds each row's maximum, the second makes the weights in registers, where they
// are the operand of the product with v. Products with k are made in both, so that nothing is kept in between.
//
// Serves every head of the contract (attention_error), n <= 65536 and kHeadDim <= 65536, under every mask. Widths:
//   a = q . k          |a| <= 2^14 * kHeadDim <= 2^30, int32
//   t = max a - a      below 2^31, as -128 * -128 is the one product of 2^14: int32
//   t * M              below 2^46; shifted by R half up and clamped to int16, which is more than any D_k <= 127
//   s                  F..B, int32; w = s / 2^h half up is 0..255
//   sum w * v          |.| <= 65536 * 255 * 128 < 2^31
//   W = sum w          W <= 65536 * 255 < 2^24, exact as a float
// Not on the tile's maximum's side (an invalid position above it) t is negative and w wrong; it is masked.
#ifndef HCCS_AIE_KERNELS_ATTENTION_H_
#define HCCS_AIE_KERNELS_ATTENTION_H_

#include "hccs_head.h"

namespace hccs_kernels {

// What is wrong with a head for this kernel, compiled for `knees` knees, and n positions; null if nothing. The
// contract's rules alone: there is no r, so B and Z may be less than the 256 that head_error asks for.
constexpr const char* attention_error(const HccsHead& head, unsigned knees, unsigned n) {
  return contract_error(head, knees, n);
}

// round_half_up(sum / W) exactly, |sum| <= 128 * W, W in each lane, from an estimate of the quotient: `reciprocal`
// times 2^-shift stands for 1 / W. Where that is off by less than 1 / 256 of 1 / W, the estimate of the quotient,
// rounded, is off by at most 1, and the remainder tells.
inline aie::vector<int16, 16> rounded_quotients(const aie::vector<int32, 16>& sums, const aie::vector<int32, 16>& w,
                                                int16 reciprocal, int shift) {
  const auto estimate = aie::mul<acc64>(sums, aie::broadcast<int16, 16>(reciprocal)).template to_vector<int16>(shift);
  // |sum - W * q| <= 3/2 W < 2^25
  const auto remainder = aie::msc(aie::accum<acc64, 16>(sums), w, estimate).template to_vector<int32>(0);
  const auto twice = aie::add(remainder, remainder);
  const auto none = aie::zeros<int16, 16>();
  const auto one = aie::broadcast<int16, 16>(1);
  const auto up = aie::select(none, one, aie::ge(twice, w));
  const auto down = aie::select(none, one, aie::lt(twice, aie::neg(w)));
  return aie::sub(aie::add(estimate, up), down);
}

// The kernel's steps, on blocks of kRows query rows and 16 positions.
template <unsigned kKnees, unsigned kHeadDim, unsigned kValueDim>
class AttentionHead {
  static_assert(kKnees >= 1 && kKnees <= kMaxKnees);
  static_assert(kHeadDim % 8 == 0 && kHeadDim > 0 && kHeadDim <= 65536, "attention: kHeadDim must be a multiple of 8");
  static_assert(kValueDim % 16 == 0 && kValueDim > 0, "attention: kValueDim must be a multiple of 16");

 public:
#if __AIE_ARCH__ == 20
  static constexpr unsigned kRows = 4;  // 9 accumulators of 32 lanes
#else
  static constexpr unsigned kRows = 8;  // 8 accumulators of 64 lanes
#endif
  static constexpr unsigned kPositions = 16;

  explicit AttentionHead(const HccsHead& head) : offset_(aie::broadcast<int16, 32>(head.offset)) {
    for (unsigned k = 0; k < kKnees; ++k) {
      slope_[k] = aie::broadcast<int16, 32>(head.slope[k]);
      position_[k] = aie::broadcast<int16, 32>(head.position[k]);
    }
    while (2 * int32_t{head.offset} >= 511 << shift_) ++shift_;
  }

  void run(const int8* __restrict q, const int8* __restrict k, const int8* __restrict v,
           const int16* __restrict rescales, int8* __restrict o, unsigned rows, unsigned n,
           const RowMasks& masks) const {
    // Every shift of the kernel rounds half up.
    const RoundingSaturation modes(aie::rounding_mode::positive_inf, aie::saturation_mode::saturate);
    const unsigned groups = (rows + 7) / 8 * (8 / kRows);
    HCCS_LOOP(group, groups, "attention.rows", 1) {
      const unsigned row = group * kRows;
      Visible visible(masks, row, n);
      for (unsigned r = 0; r < kRows; ++r) visible.limit[r] = position_limit(row + r, rows, n, masks);
      visible.find_ends();
      run_rows(q + row * kHeadDim, k, v, rescales + 2 * row, o + row * kValueDim, visible);
    }
  }

 private:
  using Products = aie::vector<int32, 8 * kRows>;  // 8 positions of each row
  using Weights = aie::vector<uint8, 8 * kRows>;
  using Mask = aie::mask<8 * kRows>;
  using LogitProduct = aie::mmul<kRows, 8, 8, int8, int8>;
  using ValueProduct = aie::mmul<kRows, 8, 8, uint8, int8>;

  // Row r of the block sees the positions below limit[r] whose bits are set.
  struct Visible {
    Visible(const RowMasks& masks, unsigned first_row, unsigned n)
        : bits(masks.bits), words((n + 31) / 32), first_word(first_row * words) {}
    int32_t limit[kRows];
    const uint32_t* bits;  // null: all are set
    unsigned words;        // of a row
    unsigned first_word;   // of the block's first row
    unsigned all = 0;      // positions below it, a multiple of kPositions, are seen by every row
    unsigned any = 0;      // positions from it on by none
    void find_ends() {
      int32_t least = limit[0];
      int32_t most = limit[0];
      for (unsigned r = 1; r < kRows; ++r) {
        least = limit[r] < least ? limit[r] : least;
        most = limit[r] > most ? limit[r] : most;
      }
      all = bits != nullptr ? 0 : static_cast<unsigned>(least) / kPositions * kPositions;
      any = static_cast<unsigned>(most);
    }
  };

  // The positions of a row below which validity is up to the bits alone. A row of padding has none.
  static int32_t position_limit(unsigned row, unsigned rows, unsigned n, const RowMasks& masks) {
    if (row >= rows) return 0;
    const auto length = static_cast<int32_t>(n);
    int32_t limit = masks.valid_length < length ? masks.valid_length : length;
    if (masks.causal && masks.causal_offset < limit) {
      const int32_t causal = masks.causal_offset + static_cast<int32_t>(row) + 1;
      limit = causal < limit ? causal : limit;
    }
    return limit > 0 ? limit : 0;
  }

  // The lanes (row, position) of a tile of 8 positions that are not valid.
  static Mask hidden(const Visible& visible, unsigned position) {
    uint64_t lanes = 0;
    for (unsigned r = 0; r < kRows; ++r) {
      const int32_t left = visible.limit[r] - static_cast<int32_t>(position);
      uint32_t row = left <= 0 ? 255u : left >= 8 ? 0u : 255u << left & 255u;
      if (visible.bits != nullptr && left > 0) {
        const uint32_t word = visible.bits[visible.first_word + r * visible.words + position / 32];
        row |= ~(word >> (position % 32)) & 255u;
      }
      lanes |= uint64_t{row} << (8 * r);
    }
    if constexpr (kRows == 8) {
      return Mask::from_uint64(lanes);
    } else {
      return Mask::from_uint32(static_cast<uint32_t>(lanes));
    }
  }

  // A block of kRows x 8 of a matrix with kColumns columns: tile `column` of the tiles from `rows` on.
  template <unsigned kCount, unsigned kColumns>
  static aie::vector<int8, 8 * kCount> load_rows(const int8* rows, unsigned column) {
    const auto first = aie::load_v<32>(rows + 32 * column);
    if constexpr (kCount == 4) {
      return first;
    } else {
      return aie::concat(first, aie::load_v<32>(rows + 4 * kColumns + 32 * column));
    }
  }

  // q . k of kRows rows with the 8 positions of `keys`.
  static aie::accum<acc32, 8 * kRows> multiply_keys(const int8* queries, const int8* keys) {
    LogitProduct product;
    for (unsigned d = 0; d < kHeadDim / 8; ++d) {
      const auto query = load_rows<kRows, kHeadDim>(queries, d);
      const auto key = aie::transpose(load_rows<8, kHeadDim>(keys, d), 8, 8);
      if (d == 0) {
        product.mul(query, key);
      } else {
        product.mac(query, key);
      }
    }
    return product.to_accum();
  }

  // Lane r: the largest of the kWidth lanes of row r.
  template <unsigned kWidth = 8, unsigned kLanes>
  static aie::vector<int32, 16> row_maxima(const aie::vector<int32, kLanes>& lanes) {
    if constexpr (kWidth == 1) {
      return lanes;
    } else if constexpr (kLanes == 16) {
      const auto [even, odd] = aie::interleave_unzip(lanes, lanes, 1);
      return row_maxima<kWidth / 2>(aie::max(even, odd));
    } else {
      constexpr unsigned kHalf = kLanes / 2;
      const auto [even, odd] =
          aie::interleave_unzip(lanes.template extract<kHalf>(0), lanes.template extract<kHalf>(1), 1);
      return row_maxima<kWidth / 2>(aie::max(even, odd));
    }
  }

  // w at 32 distances, which may exceed 127.
  aie::vector<uint8, 32> weigh(const aie::vector<int16, 32>& distance) const {
    auto score = offset_;
    for (unsigned k = 0; k < kKnees; ++k) score = aie::msc(score, slope_[k], aie::min(distance, position_[k]));
    return score.template to_vector<uint8>(shift_);
  }

  // The weights of 16 positions, whose products are in `first` and `second`: (t * M) >> R of each row, half up, into
  // s, into w.
  void weigh_block(const Products& first, const Products& second, const aie::vector<int32, 16>& maxima,
                   const int16* rescales, Weights& w_first, Weights& w_second) const {
    const auto distances = [&](unsigned r) {
      const auto a = aie::concat(first.template extract<8>(r), second.template extract<8>(r));
      const auto t = aie::sub(aie::broadcast<int32, 16>(maxima[r]), a);
      return aie::mul<acc64>(t, aie::broadcast<int16, 16>(rescales[2 * r]))
          .template to_vector<int16>(rescales[2 * r + 1]);
    };
    aie::vector<uint8, 8 * kRows> low;
    aie::vector<uint8, 8 * kRows> high;
    for (unsigned pair = 0; pair < kRows / 2; ++pair) {
      const auto w = weigh(aie::concat(distances(2 * pair), distances(2 * pair + 1)));
      if (pair < kRows / 4) {
        low.insert(pair, w);
      } else {
        high.insert(pair - kRows / 4, w);
      }
    }
    const auto [even, odd] = aie::interleave_unzip(low, high, 8);
    w_first = even;
    w_second = odd;
  }

  void run_rows(const int8* q, const int8* k, const int8* v, const int16* rescales, int8* o,
                const Visible& visible) const {
    constexpr unsigned kValueTiles = kValueDim / 8;
    const unsigned blocks = (visible.any + kPositions - 1) / kPositions;

    auto maxima = aie::broadcast<int32, 8 * kRows>(INT32_MIN);
    HCCS_LOOP(block, blocks, "attention.maxima", 1) {
      const unsigned position = block * kPositions;
      for (unsigned half = 0; half < 2; ++half) {
        const unsigned at = position + 8 * half;
        auto products = multiply_keys(q, k + at * kHeadDim).template to_vector<int32>();
        if (position >= visible.all) products = aie::select(products, int32{INT32_MIN}, hidden(visible, at));
        maxima = aie::max(maxima, products);
      }
    }
    const auto row_maximum = row_maxima(maxima);

    const auto ones = aie::broadcast<int8, 64>(1);
    ValueProduct sums[kValueTiles];
    ValueProduct weight_sums;  // each row's W in all its lanes
    const auto nothing = aie::zeros<acc32, 8 * kRows>();
    for (ValueProduct& sum : sums) sum = ValueProduct(nothing);
    weight_sums = ValueProduct(nothing);
    HCCS_LOOP(block, blocks, "attention.weights", 1) {
      const unsigned position = block * kPositions;
      const auto first = multiply_keys(q, k + position * kHeadDim).template to_vector<int32>();
      const auto second = multiply_keys(q, k + (position + 8) * kHeadDim).template to_vector<int32>();
      Weights w[2];
      weigh_block(first, second, row_maximum, rescales, w[0], w[1]);
      for (unsigned half = 0; half < 2; ++half) {
        const unsigned at = position + 8 * half;
        if (position >= visible.all) w[half] = aie::select(w[half], uint8{0}, hidden(visible, at));
        for (unsigned c = 0; c < kValueTiles; ++c) sums[c].mac(w[half], load_rows<8, kValueDim>(v + at * kValueDim, c));
        weight_sums.mac(w[half], ones);
      }
    }
    divide_rows(sums, weight_sums.template to_vector<int32>(), o);
  }

  // o = round_half_up(sum w * v / W), 0 for rows without a position.
  static void divide_rows(const ValueProduct* sums, const Products& weight_sums, int8* o) {
    // All lanes of a row hold its W: the maximum of them is W too. It is 0 only where the sums are.
    const auto w = aie::max(row_maxima(weight_sums), int32{1});
    const auto w_float = aie::to_float(w);
    // 2^k, k = floor(log2 W), is what W leaves without its fraction bits. 2^k / W is in (1/2, 1], and has 15 bits.
    const auto power = aie::bit_and(w_float.template cast_to<int32>(), static_cast<int32>(0x7f800000));
    const auto ratio = aie::mul(aie::inv(w_float), power.template cast_to<float>()).template to_vector<float>();
    const auto reciprocals = aie::to_fixed<int32>(ratio, 15).template pack<int16>();

    for (unsigned c = 0; c < kValueDim / 8; c += 2) {
      const auto left = sums[c].template to_vector<int32>();
      const auto right = sums[c + 1].template to_vector<int32>();
      for (unsigned tile = 0; tile < kRows / 4; ++tile) {
        aie::vector<int8, 64> quotients;  // 4 rows of 16 columns
        for (unsigned i = 0; i < 4; ++i) {
          const unsigned r = 4 * tile + i;
          const int32_t sum = w.get(r);
          const auto q = rounded_quotients(aie::concat(left.template extract<8>(r), right.template extract<8>(r)),
                                           aie::broadcast<int32, 16>(sum), reciprocals.get(r), floor_log2(sum) + 15);
          quotients.insert(i, q.template pack<int8>());
        }
        const auto [even, odd] =
            aie::interleave_unzip(quotients.template extract<32>(0), quotients.template extract<32>(1), 8);
        int8* to = o + tile * 4 * kValueDim + 32 * c;
        aie::store_v(to, even);
        aie::store_v(to + 32, odd);
      }
    }
  }

  aie::accum<acc32, 32> offset_;
  aie::vector<int16, 32> slope_[kKnees];
  aie::vector<int16, 32> position_[kKnees];
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
             {valid_length, kCausal, causal_offset, nullptr});
  }

  void run_bits(Queries& q, Keys& k, Values& v, Rescales& rescales, MaskWords& bits, Results& o, int32 valid_length,
                int32 causal_offset) {
    AttentionHead<kKnees, kHeadDim, kValueDim>(head_from_words(head_))
        .run(q.data(), k.data(), v.data(), rescales.data(), o.data(), kRows, kN,
             {valid_length, kCausal, causal_offset, bits.data()});
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
};

}  // namespace hccs_kernels
#endif

#endif  // HCCS_AIE_KERNELS_ATTENTION_H_
