// SPDX-License-Identifier: Apache-2.0
//
// rows against the contract, tolerance 0: the tests are in masked_softmax_test.h.
#include "aie/kernels/rows.h"

#include "kernels/masked_softmax_test.h"

HCCS_DECLARE_ALL_PLAIN(hccs_rows)

namespace kernel_test {
namespace {

template <Normalisation kNormalisation_, typename Out_>
struct Rows {
  static constexpr Normalisation kNormalisation = kNormalisation_;
  using Out = Out_;
  static constexpr unsigned kLongest = 65536;
  static Layout layout(const Block& block, unsigned knees) {
    const auto rows = static_cast<unsigned>(block.rows.size());
    const unsigned n = block.n;
    return {[n](unsigned r, unsigned i) { return hccs_kernels::rows_index(r, i, n); },
            hccs_kernels::rows_elements(rows, n),
            hccs_kernels::rows_scratch_bytes(rows, n, knees, hccs_kernels::kArch,
                                             kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>)};
  }
  template <unsigned kKnees, MaskKind kMask>
  static void run(const int8* x, Out* p, unsigned rows, unsigned n, const HccsHead& head,
                  const hccs_kernels::BlockMask& masks, int8* scratch) {
    hccs_kernels::softmax_rows<kNormalisation, Out, kKnees, kMask>(x, p, rows, n, head, masks, scratch);
  }
  static PlainFunctions<Out> plain_functions() { return HCCS_PLAIN_TABLE(hccs_rows, kNormalisation, Out); }
};

// Pairs of rows of every length, with scores that wait: where the length ends in its line of eight positions, in each
// of the four lines; what lies beyond is above what is valid. Thresholds that fit 8 bits, and that do not.
TEST(RowsOfTheSameLength, PairsWithScores) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (unsigned length = 0; length <= 32; ++length) {
    for (const int knees : {3, 4}) {
      for (const int top : {90, -100}) {
        Block block = draw_block(random, knees, length % 2 == 0 ? 34 : 6, 32);
        block.valid_length = static_cast<int32_t>(length);
        for (auto& row : block.rows) {
          for (unsigned i = 0; i < 32; ++i) {
            row[i] = static_cast<int8_t>(i < length ? std::min<int>(row[i], top) : random.between(top + 1, 127));
          }
        }
        expect_block<Rows<Normalisation::kScaled, uint8>>(block, length);
        expect_block<Rows<Normalisation::kScaled, int16>>(block, length);
        expect_block<Rows<Normalisation::kClb, int16>>(block, length);
        expect_block<Rows<Normalisation::kDiv, uint8>>(block, length);
      }
    }
  }
}

INSTANTIATE_TYPED_TEST_SUITE_P(Rows, MaskedSoftmax, AllModes<Rows>, );

}  // namespace
}  // namespace kernel_test
