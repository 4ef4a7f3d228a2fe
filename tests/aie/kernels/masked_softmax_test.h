// SPDX-License-Identifier: Apache-2.0
//
// The tests of the kernels for rows of any length under masks, each against the contract, tolerance 0. A kernel gives
// for each of its six modes a type with
//
//   kNormalisation, Out      the mode
//   kLongest                 the longest rows that it serves
//   layout(block, knees)     where its buffers have what
//   run<kKnees, kMask>(logits, out, rows, n, head, masks, scratch)
//   plain_functions()        the mode's plain functions, compiled for four knees
#ifndef HCCS_TESTS_AIE_KERNELS_MASKED_SOFTMAX_TEST_H_
#define HCCS_TESTS_AIE_KERNELS_MASKED_SOFTMAX_TEST_H_

#include "kernels/softmax_block.h"

namespace kernel_test {

using hccs_kernels::MaskKind;
using hccs_kernels::Normalisation;

template <typename Out>
struct PlainFunctions {
  void (*none)(const int8*, Out*, int32, int32, const int16*, void*);
  void (*length)(const int8*, Out*, int32, int32, const int16*, void*, int32, int32);
  void (*bits)(const int8*, Out*, int32, int32, const int16*, void*, int32, int32, const uint32*);
};

// Declares a mode's plain functions; names them in a table.
#define HCCS_DECLARE_PLAIN(name, type)                                                                \
  extern "C" void name(const int8*, type*, int32, int32, const int16*, void*);                        \
  extern "C" void name##_length(const int8*, type*, int32, int32, const int16*, void*, int32, int32); \
  extern "C" void name##_bits(const int8*, type*, int32, int32, const int16*, void*, int32, int32, const uint32*);
#define HCCS_DECLARE_ALL_PLAIN(kernel)          \
  HCCS_DECLARE_PLAIN(kernel##_div_u8, uint8)    \
  HCCS_DECLARE_PLAIN(kernel##_div_i16, int16)   \
  HCCS_DECLARE_PLAIN(kernel##_clb_u8, uint8)    \
  HCCS_DECLARE_PLAIN(kernel##_clb_i16, int16)   \
  HCCS_DECLARE_PLAIN(kernel##_scaled_u8, uint8) \
  HCCS_DECLARE_PLAIN(kernel##_scaled_i16, int16)
#define HCCS_PLAIN(name) \
  { name, name##_length, name##_bits }
#define HCCS_PLAIN_TABLE(kernel, normalisation, Out)                                                    \
  [] {                                                                                                  \
    constexpr auto kIndex = static_cast<unsigned>(normalisation);                                       \
    if constexpr (std::is_same_v<Out, uint8>) {                                                         \
      constexpr ::kernel_test::PlainFunctions<uint8> kTable[] = {                                       \
          HCCS_PLAIN(kernel##_div_u8), HCCS_PLAIN(kernel##_clb_u8), HCCS_PLAIN(kernel##_scaled_u8)};    \
      return kTable[kIndex];                                                                            \
    } else {                                                                                            \
      constexpr ::kernel_test::PlainFunctions<int16> kTable[] = {                                       \
          HCCS_PLAIN(kernel##_div_i16), HCCS_PLAIN(kernel##_clb_i16), HCCS_PLAIN(kernel##_scaled_i16)}; \
      return kTable[kIndex];                                                                            \
    }                                                                                                   \
  }()

inline MaskKind mask_kind(const Block& block) {
  if (!block.bits.empty()) return MaskKind::kBits;
  return block.causal || block.valid_length != INT32_MAX ? MaskKind::kLength : MaskKind::kNone;
}

// With a kernel for `knees` knees, which may be more than the head has.
template <typename M>
void expect_block(const Block& block, unsigned mode, unsigned knees) {
  const HccsHead head = kernel_head(block.params);
  const auto rows = static_cast<unsigned>(block.rows.size());
  expect_equals_contract<typename M::Out>(
      block, M::kNormalisation, M::layout(block, knees), mode,
      [&](const int8* x, typename M::Out* p, const hccs_kernels::BlockMask& masks, int8* scratch) {
        const auto with_mask = [&]<unsigned kKnees>() {
          const MaskKind kind = mask_kind(block);
          if (kind == MaskKind::kNone) {
            M::template run<kKnees, MaskKind::kNone>(x, p, rows, block.n, head, masks, scratch);
          } else if (kind == MaskKind::kLength) {
            M::template run<kKnees, MaskKind::kLength>(x, p, rows, block.n, head, masks, scratch);
          } else {
            M::template run<kKnees, MaskKind::kBits>(x, p, rows, block.n, head, masks, scratch);
          }
        };
        if (knees == 1) return with_mask.template operator()<1>();
        if (knees == 2) return with_mask.template operator()<2>();
        if (knees == 3) return with_mask.template operator()<3>();
        with_mask.template operator()<4>();
      });
}

template <typename M>
void expect_block(const Block& block, unsigned mode) {
  expect_block<M>(block, mode, static_cast<unsigned>(block.params.knee_count));
}

template <typename M>
class MaskedSoftmax : public testing::Test {};
TYPED_TEST_SUITE_P(MaskedSoftmax);

// Every length around the edges of registers and blocks, every number of rows around those of groups, every initial
// mode.
TYPED_TEST_P(MaskedSoftmax, EdgesInEveryMode) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  unsigned mode = 0;
  for (const unsigned n : {1u, 2u, 31u, 32u, 33u, 63u, 64u, 65u, 127u, 128u, 129u, 192u, 200u, 511u, 512u}) {
    for (const unsigned rows : {1u, 2u, 3u, 15u, 16u, 17u, 35u}) {
      expect_block<TypeParam>(draw_block(random, random.between(1, 4), rows, n), mode++);
    }
  }
}

TYPED_TEST_P(MaskedSoftmax, Masks) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (unsigned i = 0; i < 150; ++i) {
    const auto n = static_cast<unsigned>(random.one_in(2) ? random.between(1, 70) : random.between(1, 300));
    Block block = draw_block(random, random.between(1, 4), static_cast<unsigned>(random.between(1, 40)), n);
    draw_masks(random, block);
    expect_block<TypeParam>(block, i);
  }
}

// Every length that all rows of a block have, with an even and an odd number of rows; what lies beyond a length is
// above what is valid.
TYPED_TEST_P(MaskedSoftmax, EveryLength) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (const unsigned n : {32u, 64u}) {
    for (unsigned length = 0; length <= n; ++length) {
      Block block = draw_block(random, static_cast<int>(length % 4) + 1, length % 3 == 0 ? 7 : 6, n);
      block.valid_length = static_cast<int32_t>(length);
      for (auto& row : block.rows) {
        for (unsigned i = 0; i < n; ++i) {
          row[i] = static_cast<int8_t>(i < length ? std::min<int>(row[i], 90) : random.between(91, 127));
        }
      }
      expect_block<TypeParam>(block, length);
    }
  }
}

// A square causal block, as of one head in a decoder.
TYPED_TEST_P(MaskedSoftmax, CausalSquare) {
  Random random(3);
  for (const unsigned n : {16u, 64u, 130u}) {
    Block block = draw_block(random, 2, n, n);
    block.causal = true;
    expect_block<TypeParam>(block, 0);
  }
}

// The sums of so many positions' S_k * u_k at the limit of 16 bits without a sign and with one, and one more: whole
// rows of their maximum, and rows of masked positions alone but for a few.
TYPED_TEST_P(MaskedSoftmax, SumsAtTheEndOf16Bits) {
  const auto head_of = [](int height) {
    const int third = std::min(127, height / 127);
    const int second = (height - 127 * third) / 100;
    return hccs::HeadParams{300 + height, {{height - 127 * third - 100 * second, 1}, {second, 100}, {third, 127}}};
  };
  std::vector<hccs::HeadParams> heads = {{400, {{1, 2}, {1, 5}, {32, 9}}}, {400, {{1, 2}, {1, 5}, {33, 9}}}};
  for (const int positions : {4, 8, 16}) {
    for (const int limit : {32767, 65535}) {
      for (const int more : {0, 1}) heads.push_back(head_of(limit / positions + more));
    }
  }
  for (const hccs::HeadParams& params : heads) {
    ASSERT_TRUE(hccs::check_aie(params, 256, hccs::AieRows::kMasked).ok());
    for (const unsigned n : {32u, 64u, 128u, 192u}) {
      Block block{params, n, std::vector(4, std::vector<int8_t>(n, 90))};
      block.rows[0].assign(n, 100);
      block.rows[1].assign(n, -28);
      block.rows[2][1] = 127;
      for (const unsigned knees : {3u, 4u}) expect_block<TypeParam>(block, n, knees);
      for (const int32_t length : {2, static_cast<int32_t>(n) - 1}) {
        block.valid_length = length;
        for (const unsigned knees : {3u, 4u}) expect_block<TypeParam>(block, n, knees);
      }
    }
  }
}

// Sums up to their limit: long rows of the largest scores, where clb's reciprocal loses bits.
TYPED_TEST_P(MaskedSoftmax, LargeSums) {
  for (const unsigned n : {256u, 513u, 4096u, TypeParam::kLongest}) {
    for (const int offset : {256, 511, 16384, 32767}) {
      Block block{{offset, {{1, 127}}}, n, {std::vector<int8_t>(n, 5), std::vector<int8_t>(n, 4)}};
      block.rows[1][n - 1] = 127;
      expect_block<TypeParam>(block, 0);
    }
  }
}

// Every distance from the row's maximum, at both ends of int8.
TYPED_TEST_P(MaskedSoftmax, EveryDistance) {
  Random random(1);
  for (int knees = 1; knees <= 4; ++knees) {
    Block block{draw_head(random, knees), 256, {}};
    for (int top = -128; top <= 127; top += 3) {
      block.rows.emplace_back();
      for (int i = 0; i < 256; ++i) block.rows.back().push_back(static_cast<int8_t>(std::max(-128, top - i)));
    }
    expect_block<TypeParam>(block, 0);
  }
}

// Rows whose maximum is as far above -128 as the farthest knee, and one less, which changes how distances are taken;
// and a block with one such row among others.
TYPED_TEST_P(MaskedSoftmax, MaximaAtTheEndOfInt8) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (const unsigned n : {5u, 32u, 64u, 130u, 256u}) {
    for (int knees = 1; knees <= 4; ++knees) {
      const hccs::HeadParams params = draw_head(random, knees);
      const int farthest = params.knees[static_cast<size_t>(knees - 1)].position;
      for (const int top : {farthest - 128, farthest - 129, -128}) {
        for (const bool others : {false, true}) {
          Block block = draw_block(random, knees, 18, n);
          block.params = params;
          for (unsigned r = 0; r < block.rows.size(); ++r) {
            if (others && r != 9) continue;
            for (auto& x : block.rows[r]) x = static_cast<int8_t>(random.between(-128, top));
            block.rows[r][static_cast<size_t>(random.below(static_cast<int>(n)))] = static_cast<int8_t>(top);
          }
          expect_block<TypeParam>(block, n);
          block.valid_length = static_cast<int32_t>(n) - 2;
          expect_block<TypeParam>(block, n);
        }
      }
    }
  }
}

// The ends of what it serves, kernels for more knees than the head has, and F = 128 * S of the farthest knee and one
// more, where kernels that let u = -128 stand for invalid positions must begin to hide them otherwise.
TYPED_TEST_P(MaskedSoftmax, ExtremeHeads) {
  Random random(2);
  const hccs::HeadParams heads[] = {{256, {{0, 1}}},
                                    {256, {{127, 2}}},
                                    {256, {{2, 127}}},
                                    {16129, {{127, 127}}},
                                    {32767, {{127, 127}}},
                                    {32767, {{0, 127}}},
                                    {32767, {{127, 1}}},
                                    {32767, {{127, 126}, {127, 127}}},
                                    {32004, {{127, 125}, {127, 127}}},
                                    {32767, {{127, 1}, {127, 2}, {127, 127}}},
                                    {256, {{1, 1}, {1, 2}, {0, 3}, {1, 127}}},
                                    {276, {{2, 10}}},
                                    {277, {{2, 10}}},
                                    {291, {{3, 5}, {2, 10}}},
                                    {292, {{3, 5}, {2, 10}}}};
  for (const hccs::HeadParams& head : heads) {
    ASSERT_TRUE(hccs::check_aie(head, 4096, hccs::AieRows::kMasked).ok());
    for (const unsigned n : {32u, 96u, 1000u}) {
      Block block = draw_block(random, 1, 5, n);
      block.params = head;
      for (auto knees = static_cast<unsigned>(head.knee_count); knees <= 4; ++knees) {
        expect_block<TypeParam>(block, n, knees);
      }
      block.valid_length = static_cast<int32_t>(n) - 5;
      expect_block<TypeParam>(block, n);
    }
  }
}

// Without masks B may be less than 256: rows that fill their registers and rows that do not, whole groups and parts of
// them, with the least sums that are served.
TYPED_TEST_P(MaskedSoftmax, OffsetsBelow256) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  unsigned mode = 0;
  for (const unsigned n : {2u, 3u, 16u, 31u, 32u, 33u, 48u, 64u, 65u, 100u, 128u, 200u, 512u, 4096u}) {
    for (const unsigned rows : {0u, 1u, 13u, 14u}) {
      Block block = draw_block(random, 1, rows, n);
      block.params = draw_low_head(random, random.between(1, 4), n);
      for (auto& row : extreme_rows(n)) block.rows.push_back(row);
      expect_block<TypeParam>(block, mode++);
    }
  }
}

// The least sum, 256: of full rows, and of rows with one valid position.
TYPED_TEST_P(MaskedSoftmax, LeastSums) {
  for (const auto& [params, n] : kLeastFullRows) {
    ASSERT_EQ(params.offset + (static_cast<int>(n) - 1) * params.floor(), 256);
    ASSERT_TRUE(hccs::check_aie(params, n, hccs::AieRows::kFull).ok());
    expect_block<TypeParam>(Block{params, n, extreme_rows(n)}, n);
  }
  for (const auto& [params, n] : kPaperLongRows) {
    ASSERT_TRUE(hccs::check_paper(params, n).ok());
    expect_block<TypeParam>(Block{params, n, extreme_rows(n)}, n);
  }
  for (const hccs::HeadParams& params :
       {hccs::HeadParams{256, {{0, 1}}}, hccs::HeadParams{256, {{4, 64}}}, hccs::HeadParams{256, {{2, 1}, {2, 127}}}}) {
    for (const unsigned n : {1u, 32u, 45u, 64u, 150u}) {
      Block block{params, n, extreme_rows(n), 1};
      expect_block<TypeParam>(block, n);
      block.valid_length = INT32_MAX;
      block.causal = true;  // row r sees r + 1 positions
      expect_block<TypeParam>(block, n);
      block.causal = false;
      block.bits.assign(3, std::vector<uint8_t>((n + 7) / 8));
      block.bits[0][(n - 1) / 8] = static_cast<uint8_t>(1 << ((n - 1) % 8));
      block.bits[1][0] = 1;
      expect_block<TypeParam>(block, n);
    }
  }
}

TYPED_TEST_P(MaskedSoftmax, PlainFunctions) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  const auto functions = TypeParam::plain_functions();
  for (unsigned i = 0; i < 40; ++i) {
    Block block = draw_block(random, random.between(1, 4), static_cast<unsigned>(random.between(1, 20)),
                             static_cast<unsigned>(random.between(1, 150)));
    if (i % 4 != 0) draw_masks(random, block);
    const MaskKind kind = mask_kind(block);
    const auto rows = static_cast<int32>(block.rows.size());
    const auto n = static_cast<int32>(block.n);
    const int32 causal_offset = block.causal ? block.causal_offset : n;
    int16 head[hccs_kernels::kHeadWords];
    hccs_kernels::head_to_words(kernel_head(block.params), head);
    expect_equals_contract<typename TypeParam::Out>(
        block, TypeParam::kNormalisation, TypeParam::layout(block, 4), i,
        [&](const int8* x, typename TypeParam::Out* p, const hccs_kernels::BlockMask& masks, int8* scratch) {
          if (kind == MaskKind::kNone) return functions.none(x, p, rows, n, head, scratch);
          if (kind == MaskKind::kLength) {
            return functions.length(x, p, rows, n, head, scratch, block.valid_length, causal_offset);
          }
          functions.bits(x, p, rows, n, head, scratch, block.valid_length, causal_offset, masks.bits);
        });
  }
}

TYPED_TEST_P(MaskedSoftmax, GoldenRows) {
  const auto blocks = golden_blocks([](const hccs::HeadParams&, unsigned) { return true; });
  EXPECT_FALSE(blocks.empty());
  for (unsigned i = 0; i < blocks.size(); ++i) expect_block<TypeParam>(blocks[i], i);
}

REGISTER_TYPED_TEST_SUITE_P(MaskedSoftmax, EdgesInEveryMode, Masks, EveryLength, CausalSquare, SumsAtTheEndOf16Bits,
                            LargeSums, EveryDistance, ExtremeHeads, MaximaAtTheEndOfInt8, OffsetsBelow256, LeastSums,
                            PlainFunctions, GoldenRows);

// A kernel's six modes.
template <template <Normalisation, typename> typename Kernel>
using AllModes = testing::Types<Kernel<Normalisation::kDiv, uint8>, Kernel<Normalisation::kDiv, int16>,
                                Kernel<Normalisation::kClb, uint8>, Kernel<Normalisation::kClb, int16>,
                                Kernel<Normalisation::kScaled, uint8>, Kernel<Normalisation::kScaled, int16>>;

}  // namespace kernel_test

#endif  // HCCS_TESTS_AIE_KERNELS_MASKED_SOFTMAX_TEST_H_
