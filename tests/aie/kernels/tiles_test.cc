// SPDX-License-Identifier: Apache-2.0
//
// tiles against the contract, tolerance 0: the tests are in masked_softmax_test.h.
#include "aie/kernels/tiles.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/masked_softmax_test.h"

HCCS_DECLARE_ALL_PLAIN(hccs_tiles)

namespace kernel_test {
namespace {

template <Normalisation kNormalisation_, typename Out_>
struct Tiles {
  static constexpr Normalisation kNormalisation = kNormalisation_;
  using Out = Out_;
  static constexpr unsigned kLongest =
      kNormalisation == Normalisation::kScaled && std::is_same_v<Out, int16> ? hccs_kernels::kScaledWideLongest : 65536;
  static Layout layout(const Block& block, unsigned knees) {
    const auto rows = static_cast<unsigned>(block.rows.size());
    const unsigned n = block.n;
    return {[n](unsigned r, unsigned i) { return hccs_kernels::tiles_index(r, i, n, hccs_kernels::kArch); },
            hccs_kernels::tiles_elements(rows, n, hccs_kernels::kArch),
            hccs_kernels::tiles_scratch_bytes(knees, hccs_kernels::kArch)};
  }
  template <unsigned kKnees, MaskKind kMask>
  static void run(const int8* x, Out* p, unsigned rows, unsigned n, const HccsHead& head,
                  const hccs_kernels::BlockMask& masks, int8* scratch) {
    hccs_kernels::softmax_tiles<kNormalisation, Out, kKnees, kMask>(
        x, p, rows, n, head, masks, *reinterpret_cast<hccs_kernels::TilesScratch<kKnees>*>(scratch));
  }
  static PlainFunctions<Out> plain_functions() { return HCCS_PLAIN_TABLE(hccs_tiles, kNormalisation, Out); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Tiles, MaskedSoftmax, AllModes<Tiles>, );

template <typename Mode>
class TilesForms : public testing::Test {};
TYPED_TEST_SUITE(TilesForms, AllModes<Tiles>);

int log2_floor(int64_t z) { return 63 - std::countl_zero(static_cast<uint64_t>(z)); }

// Heads of offset B for full rows of n that are the last ones, and the first ones not, for which the kernel may put
// 255 * 2^range * S or 2^range * B into 16 bits.
std::vector<hccs::HeadParams> heads_at_limits(int n, int offset) {
  struct Best {
    int64_t value = 0;
    hccs::HeadParams head;
  };
  Best slope_below, slope_above{1 << 30}, offset_below, offset_above{1 << 30};
  for (int slope = 1; slope <= 127; ++slope) {
    for (int position = 1; position <= 127 && slope * position <= offset; position += 3) {
      const hccs::HeadParams head{offset, {{slope, position}}};
      const int64_t floor = offset - slope * position;
      const int64_t least = offset + (n - 1) * floor;
      if (least < 256) continue;
      const int range = log2_floor(int64_t{n} * offset) - log2_floor(least);
      const int64_t scaled_slope = int64_t{255} * slope << range;
      const int64_t scaled_offset = int64_t{offset} << range;
      if (scaled_slope < 1 << 16 && scaled_slope > slope_below.value) slope_below = {scaled_slope, head};
      if (scaled_slope >= 1 << 16 && scaled_slope < slope_above.value) slope_above = {scaled_slope, head};
      if (scaled_offset < 1 << 15 && scaled_offset > offset_below.value) offset_below = {scaled_offset, head};
      if (scaled_offset >= 1 << 15 && scaled_offset < offset_above.value) offset_above = {scaled_offset, head};
    }
  }
  std::vector<hccs::HeadParams> heads;
  for (const Best& best : {slope_below, slope_above, offset_below, offset_above}) {
    if (best.head.knee_count > 0 && best.value > 0 && best.value < 1 << 30) heads.push_back(best.head);
  }
  return heads;
}

// Blocks of every segment, of one and several blocks of 64 rows, with heads at the ends of the short forms. The maxima
// of the rows are high, so that the thresholds fit, or anywhere.
TYPED_TEST(TilesForms, AtTheirLimits) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  unsigned number = 0;
  for (const int n : {16, 32, 48, 64, 128, 256, 384, 640}) {
    for (const int offset : {65535 / n, 65535 / n + 1, 32767 / n, 8000 / n + 7}) {
      for (const hccs::HeadParams& head : heads_at_limits(n, std::min(offset, 32767))) {
        const unsigned rows = number % 3 == 0 ? 64 : number % 3 == 1 ? 72 : 136;
        Block block{head, static_cast<unsigned>(n), {}};
        for (unsigned r = 0; r < rows; ++r) {
          const int top = number % 2 == 0 ? random.between(0, 127) : random.between(-128, 127);
          const int width = random.between(0, 160);
          block.rows.emplace_back();
          for (int i = 0; i < n; ++i) {
            const int x = i == static_cast<int>(r) % n ? top : top - random.between(0, width);
            block.rows.back().push_back(static_cast<int8_t>(std::max(-128, x)));
          }
        }
        if (number % 5 == 4 && head.offset >= 256) block.valid_length = random.between(1, n);
        expect_block<TypeParam>(block, number++);
      }
    }
  }
  EXPECT_GT(number, 60u);
}

}  // namespace
}  // namespace kernel_test
