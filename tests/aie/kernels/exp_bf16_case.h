// SPDX-License-Identifier: Apache-2.0
//
// What the tests of exp_bf16 share: its variants, and runs of them.
#ifndef HCCS_TESTS_AIE_KERNELS_EXP_BF16_CASE_H_
#define HCCS_TESTS_AIE_KERNELS_EXP_BF16_CASE_H_

#include "aie/kernels/exp_bf16.h"
#include "kernels/softmax_block.h"

extern "C" {
void hccs_exp_bf16_bits(const bfloat16*, bfloat16*, int32, int32);
#if __AIE_ARCH__ == 20
void hccs_exp_bf16_tables(const bfloat16*, bfloat16*, int32, int32);
#else
void hccs_exp_bf16_exp2(const bfloat16*, bfloat16*, int32, int32);
#endif
}

namespace kernel_test {

using hccs_kernels::Exponential;

struct Bits {
  static constexpr Exponential kExponential = Exponential::kBits;
  static constexpr auto kRun = hccs_exp_bf16_bits;
};
#if __AIE_ARCH__ == 20
struct Native {
  static constexpr Exponential kExponential = Exponential::kTables;
  static constexpr auto kRun = hccs_exp_bf16_tables;
};
#else
struct Native {
  static constexpr Exponential kExponential = Exponential::kExp2;
  static constexpr auto kRun = hccs_exp_bf16_exp2;
};
#endif

// Rows in memory that ends at an inaccessible page; the tile's modes as the kernel finds them.
template <typename V>
std::vector<float> softmax(const std::vector<float>& logits, unsigned rows, unsigned n, unsigned mode) {
  GuardedArray<bfloat16> in(logits.size());
  GuardedArray<bfloat16> out(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) in[i] = bfloat16(logits[i]);
  aie_host::Tile tile("tested");
  in.add_to(tile, "logits", false);
  out.add_to(tile, "out", true);
  for (const auto* table : {&hccs_kernels::exp_fractions_ab, &hccs_kernels::exp_fractions_cd,
                            &hccs_kernels::exp_integers_ab, &hccs_kernels::exp_integers_cd}) {
    aie_host::add_region(tile, table, sizeof *table, "table", false);
  }
  tile.rounding = static_cast<uint8_t>(kRoundings[mode % std::size(kRoundings)]);
  tile.saturation = static_cast<uint8_t>(kSaturations[mode / std::size(kRoundings) % std::size(kSaturations)]);
  const auto before = std::pair(tile.rounding, tile.saturation);
  {
    const aie_host::TileScope scope(tile);
    V::kRun(in.data(), out.data(), static_cast<int32>(rows), static_cast<int32>(n));
  }
  EXPECT_EQ(std::pair(tile.rounding, tile.saturation), before);
  std::vector<float> p;
  for (size_t i = 0; i < out.size(); ++i) p.push_back(static_cast<float>(out[i]));
  return p;
}

}  // namespace kernel_test

#endif  // HCCS_TESTS_AIE_KERNELS_EXP_BF16_CASE_H_
