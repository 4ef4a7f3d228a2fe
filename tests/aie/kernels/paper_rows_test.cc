// SPDX-License-Identifier: Apache-2.0
//
// paper_rows against the contract, tolerance 0.
#include "aie/kernels/paper_rows.h"

#include "kernels/softmax_block.h"

extern "C" {
void hccs_paper_rows_div_u8(const int8*, uint8*, int32, int32, const int16*, int16*);
void hccs_paper_rows_div_i16(const int8*, int16*, int32, int32, const int16*, int16*);
void hccs_paper_rows_clb_u8(const int8*, uint8*, int32, int32, const int16*, int16*);
void hccs_paper_rows_clb_i16(const int8*, int16*, int32, int32, const int16*, int16*);
}

namespace {

using namespace kernel_test;
using hccs_kernels::Normalisation;

template <Normalisation kNormalisation_, typename Out_>
struct Mode {
  static constexpr Normalisation kNormalisation = kNormalisation_;
  using Out = Out_;
};

void call(Mode<Normalisation::kDiv, uint8>, const int8* x, uint8* p, int32 rows, int32 n, const int16* h, int16* s) {
  hccs_paper_rows_div_u8(x, p, rows, n, h, s);
}
void call(Mode<Normalisation::kDiv, int16>, const int8* x, int16* p, int32 rows, int32 n, const int16* h, int16* s) {
  hccs_paper_rows_div_i16(x, p, rows, n, h, s);
}
void call(Mode<Normalisation::kClb, uint8>, const int8* x, uint8* p, int32 rows, int32 n, const int16* h, int16* s) {
  hccs_paper_rows_clb_u8(x, p, rows, n, h, s);
}
void call(Mode<Normalisation::kClb, int16>, const int8* x, int16* p, int32 rows, int32 n, const int16* h, int16* s) {
  hccs_paper_rows_clb_i16(x, p, rows, n, h, s);
}

template <typename M>
void expect_block(const Block& block, unsigned mode) {
  const unsigned n = block.n;
  const Layout layout{[n](unsigned r, unsigned i) { return r * n + i; }, block.rows.size() * n, 2 * n};
  int16 words[hccs_kernels::kHeadWords];
  hccs_kernels::head_to_words(kernel_head(block.params), words);
  expect_equals_contract<typename M::Out>(block, M::kNormalisation, layout, mode,
                                          [&](const int8* x, auto* p, const hccs_kernels::BlockMask&, int8* scratch) {
                                            call(M{}, x, p, static_cast<int32>(block.rows.size()),
                                                 static_cast<int32>(n), words, reinterpret_cast<int16*>(scratch));
                                          });
}

template <typename M>
class PaperRows : public testing::Test {};
using Modes = testing::Types<Mode<Normalisation::kDiv, uint8>, Mode<Normalisation::kDiv, int16>,
                             Mode<Normalisation::kClb, uint8>, Mode<Normalisation::kClb, int16>>;
TYPED_TEST_SUITE(PaperRows, Modes, );

TYPED_TEST(PaperRows, RandomRowsInEveryMode) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (unsigned mode = 0; mode < 30; ++mode) {
    expect_block<TypeParam>(draw_block(random, 1, 5, 32 * (1 + mode % 5)), mode);
  }
  for (const unsigned n : {512u, 1024u, 4096u}) expect_block<TypeParam>(draw_block(random, 1, 2, n), n);
}

// Every distance from the row's maximum, at both ends of int8.
TYPED_TEST(PaperRows, EveryDistance) {
  Random random(1);
  for (int top = -128; top <= 127; top += 5) {
    Block block{draw_head(random, 1), 256, {}};
    block.rows.emplace_back();
    for (int i = 0; i < 256; ++i) block.rows[0].push_back(static_cast<int8_t>(std::max(-128, top - i)));
    expect_block<TypeParam>(block, 0);
  }
}

// The ends of what it serves: the least and the largest offset, slope and position.
TYPED_TEST(PaperRows, ExtremeHeads) {
  Random random(2);
  const hccs::HeadParams heads[] = {{256, {{0, 1}}},       {256, {{127, 2}}},     {256, {{2, 127}}},
                                    {16129, {{127, 127}}}, {32767, {{127, 127}}}, {32767, {{0, 127}}},
                                    {32767, {{127, 1}}}};
  for (const hccs::HeadParams& head : heads) {
    ASSERT_TRUE(hccs::check_aie(head, 32, hccs::AieRows::kFull).ok());
    for (const unsigned n : {32u, 96u, 4096u}) {
      Block block = draw_block(random, 1, 3, n);
      block.params = head;
      expect_block<TypeParam>(block, n);
    }
  }
}

// B below 256: random heads, those with the least sums that are served, and the paper's for long rows.
TYPED_TEST(PaperRows, OffsetsBelow256) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (unsigned i = 0; i < 30; ++i) {
    const unsigned n = 32 * (1 + i % 5);
    Block block = draw_block(random, 1, 2, n);
    block.params = draw_low_head(random, 1, n);
    for (auto& row : extreme_rows(n)) block.rows.push_back(row);
    expect_block<TypeParam>(block, i);
  }
  unsigned least = 0;
  for (const auto& [params, n] : kLeastFullRows) {
    if (params.knee_count > 1 || n % 32 != 0) continue;
    expect_block<TypeParam>(Block{params, n, extreme_rows(n)}, n);
    ++least;
  }
  EXPECT_GE(least, 2u);
  for (const auto& [params, n] : kPaperLongRows) expect_block<TypeParam>(Block{params, n, extreme_rows(n)}, n);
}

TYPED_TEST(PaperRows, GoldenRows) {
  const auto blocks =
      golden_blocks([](const hccs::HeadParams& p, unsigned n) { return p.knee_count == 1 && n % 32 == 0; });
  unsigned compared = 0;
  for (const Block& block : blocks) {
    if (!block.bits.empty()) continue;
    expect_block<TypeParam>(block, compared++);
  }
  EXPECT_GT(compared, 0u);
}

}  // namespace
