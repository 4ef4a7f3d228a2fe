// SPDX-License-Identifier: Apache-2.0
//
// interleaved against the contract, tolerance 0.
#include "aie/kernels/interleaved.h"

#include "kernels/softmax_block.h"

// The plain functions of interleaved.cc, compiled for four knees.
#define HCCS_DECLARE(name, type)                                                           \
  void name(const int8*, type*, int32, int32, const int16*, void*);                        \
  void name##_limits(const int8*, type*, int32, int32, const int16*, void*, int32, int32); \
  void name##_bits(const int8*, type*, int32, int32, const int16*, void*, int32, int32, const uint32*);
extern "C" {
HCCS_DECLARE(hccs_interleaved_div_u8, uint8)
HCCS_DECLARE(hccs_interleaved_div_i16, int16)
HCCS_DECLARE(hccs_interleaved_clb_u8, uint8)
HCCS_DECLARE(hccs_interleaved_clb_i16, int16)
HCCS_DECLARE(hccs_interleaved_scaled_u8, uint8)
HCCS_DECLARE(hccs_interleaved_scaled_i16, int16)
}

namespace {

using namespace kernel_test;
using hccs_kernels::MaskKind;
using hccs_kernels::Normalisation;

template <Normalisation kNormalisation_, typename Out_>
struct Mode {
  static constexpr Normalisation kNormalisation = kNormalisation_;
  using Out = Out_;
};

template <typename Out>
struct PlainFunctions {
  void (*none)(const int8*, Out*, int32, int32, const int16*, void*);
  void (*limits)(const int8*, Out*, int32, int32, const int16*, void*, int32, int32);
  void (*bits)(const int8*, Out*, int32, int32, const int16*, void*, int32, int32, const uint32*);
};
#define HCCS_PLAIN(name) \
  { name, name##_limits, name##_bits }
template <typename M>
PlainFunctions<typename M::Out> plain_functions() {
  using Table = PlainFunctions<typename M::Out>;
  if constexpr (std::is_same_v<typename M::Out, uint8>) {
    constexpr Table kTable[] = {HCCS_PLAIN(hccs_interleaved_div_u8), HCCS_PLAIN(hccs_interleaved_clb_u8),
                                HCCS_PLAIN(hccs_interleaved_scaled_u8)};
    return kTable[static_cast<unsigned>(M::kNormalisation)];
  } else {
    constexpr Table kTable[] = {HCCS_PLAIN(hccs_interleaved_div_i16), HCCS_PLAIN(hccs_interleaved_clb_i16),
                                HCCS_PLAIN(hccs_interleaved_scaled_i16)};
    return kTable[static_cast<unsigned>(M::kNormalisation)];
  }
}

template <typename M, unsigned kKnees>
void run(const Block& block, MaskKind kind, const int8* x, typename M::Out* p, const hccs_kernels::RowMasks& masks,
         int8* scratch) {
  const auto rows = static_cast<unsigned>(block.rows.size());
  const HccsHead head = kernel_head(block.params);
  auto* groups = reinterpret_cast<hccs_kernels::InterleavedGroup<kKnees>*>(scratch);
  const auto softmax = [&]<MaskKind kMask>() {
    hccs_kernels::softmax_interleaved<M::kNormalisation, typename M::Out, kKnees, kMask>(x, p, rows, block.n, head,
                                                                                         masks, groups);
  };
  if (kind == MaskKind::kNone) return softmax.template operator()<MaskKind::kNone>();
  if (kind == MaskKind::kLimits) return softmax.template operator()<MaskKind::kLimits>();
  softmax.template operator()<MaskKind::kBits>();
}

Layout layout_of(const Block& block) {
  const unsigned pitch = hccs_kernels::interleaved_pitch(block.n);
  return {[pitch](unsigned r, unsigned i) { return r * pitch + i; },
          hccs_kernels::interleaved_elements(static_cast<unsigned>(block.rows.size()), block.n), pitch / 32};
}

MaskKind mask_kind(const Block& block) {
  if (!block.bits.empty()) return MaskKind::kBits;
  return block.causal || block.valid_length != INT32_MAX ? MaskKind::kLimits : MaskKind::kNone;
}

// With a kernel for `knees` knees, which may be more than the head has.
template <typename M>
void expect_block(const Block& block, unsigned mode, unsigned knees) {
  const MaskKind kind = mask_kind(block);
  expect_equals_contract<typename M::Out>(
      block, M::kNormalisation, layout_of(block), mode,
      [&](const int8* x, typename M::Out* p, const hccs_kernels::RowMasks& masks, int8* scratch) {
        if (knees == 1) return run<M, 1>(block, kind, x, p, masks, scratch);
        if (knees == 2) return run<M, 2>(block, kind, x, p, masks, scratch);
        if (knees == 3) return run<M, 3>(block, kind, x, p, masks, scratch);
        run<M, 4>(block, kind, x, p, masks, scratch);
      });
}

template <typename M>
void expect_block(const Block& block, unsigned mode) {
  expect_block<M>(block, mode, static_cast<unsigned>(block.params.knee_count));
}

template <typename M>
class Interleaved : public testing::Test {};
using Modes = testing::Types<Mode<Normalisation::kDiv, uint8>, Mode<Normalisation::kDiv, int16>,
                             Mode<Normalisation::kClb, uint8>, Mode<Normalisation::kClb, int16>,
                             Mode<Normalisation::kScaled, uint8>, Mode<Normalisation::kScaled, int16>>;
TYPED_TEST_SUITE(Interleaved, Modes, );

// Every length around the edges of registers and blocks, every number of rows around those of groups, every initial
// mode.
TYPED_TEST(Interleaved, EdgesInEveryMode) {
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

TYPED_TEST(Interleaved, Masks) {
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

// A square causal block, as of one head in a decoder.
TYPED_TEST(Interleaved, CausalSquare) {
  Random random(3);
  for (const unsigned n : {16u, 64u, 130u}) {
    Block block = draw_block(random, 2, n, n);
    block.causal = true;
    expect_block<TypeParam>(block, 0);
  }
}

// Sums up to their limit: long rows of the largest scores, where clb's reciprocal loses bits.
TYPED_TEST(Interleaved, LargeSums) {
  for (const unsigned n : {513u, 4096u, 65536u}) {
    for (const int offset : {256, 511, 16384, 32767}) {
      Block block{{offset, {{1, 127}}}, n, {std::vector<int8_t>(n, 5), std::vector<int8_t>(n, 4)}};
      block.rows[1][n - 1] = 127;
      expect_block<TypeParam>(block, 0);
    }
  }
}

// Every distance from the row's maximum, at both ends of int8.
TYPED_TEST(Interleaved, EveryDistance) {
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

// The ends of what it serves, and kernels for more knees than the head has.
TYPED_TEST(Interleaved, ExtremeHeads) {
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
                                    {256, {{1, 1}, {1, 2}, {0, 3}, {1, 127}}}};
  for (const hccs::HeadParams& head : heads) {
    ASSERT_TRUE(hccs::check_aie(head, 4096).ok());
    for (const unsigned n : {32u, 96u, 1000u}) {
      Block block = draw_block(random, 1, 5, n);
      block.params = head;
      for (auto knees = static_cast<unsigned>(head.knee_count); knees <= 4; ++knees) {
        expect_block<TypeParam>(block, n, knees);
      }
    }
  }
}

TYPED_TEST(Interleaved, PlainFunctions) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  const auto functions = plain_functions<TypeParam>();
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
        block, TypeParam::kNormalisation, layout_of(block), i,
        [&](const int8* x, typename TypeParam::Out* p, const hccs_kernels::RowMasks& masks, int8* scratch) {
          if (kind == MaskKind::kNone) return functions.none(x, p, rows, n, head, scratch);
          if (kind == MaskKind::kLimits) {
            return functions.limits(x, p, rows, n, head, scratch, block.valid_length, causal_offset);
          }
          functions.bits(x, p, rows, n, head, scratch, block.valid_length, causal_offset, masks.bits);
        });
  }
}

TYPED_TEST(Interleaved, GoldenRows) {
  const auto blocks = golden_blocks([](const hccs::HeadParams&, unsigned) { return true; });
  if (blocks.empty()) GTEST_SKIP() << "no golden rows: set HCCS_DATA";
  for (unsigned i = 0; i < blocks.size(); ++i) expect_block<TypeParam>(blocks[i], i);
}

}  // namespace
