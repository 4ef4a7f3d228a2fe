// SPDX-License-Identifier: Apache-2.0
//
// microtile against the contract, tolerance 0: the tests are in masked_softmax_test.h.
#include "aie/kernels/microtile.h"

#include "kernels/masked_softmax_test.h"

HCCS_DECLARE_ALL_PLAIN(hccs_microtile)

namespace kernel_test {
namespace {

template <Normalisation kNormalisation_, typename Out_>
struct Microtile {
  static constexpr Normalisation kNormalisation = kNormalisation_;
  using Out = Out_;
  static constexpr unsigned kLongest =
      kNormalisation == Normalisation::kScaled && std::is_same_v<Out, int16> ? hccs_kernels::kScaledWideLongest : 65536;
  static Layout layout(const Block& block, unsigned knees) {
    const auto rows = static_cast<unsigned>(block.rows.size());
    const unsigned n = block.n;
    const size_t scratch[] = {sizeof(hccs_kernels::MicrotileScratch<1>), sizeof(hccs_kernels::MicrotileScratch<2>),
                              sizeof(hccs_kernels::MicrotileScratch<3>), sizeof(hccs_kernels::MicrotileScratch<4>)};
    return {[n](unsigned r, unsigned i) { return hccs_kernels::microtile_index(r, i, n); },
            hccs_kernels::microtile_elements(rows, n), scratch[knees - 1]};
  }
  template <unsigned kKnees, MaskKind kMask>
  static void run(const int8* x, Out* p, unsigned rows, unsigned n, const HccsHead& head,
                  const hccs_kernels::RowMasks& masks, int8* scratch) {
    hccs_kernels::softmax_microtile<kNormalisation, Out, kKnees, kMask>(
        x, p, rows, n, head, masks, *reinterpret_cast<hccs_kernels::MicrotileScratch<kKnees>*>(scratch));
  }
  static PlainFunctions<Out> plain_functions() { return HCCS_PLAIN_TABLE(hccs_microtile, kNormalisation, Out); }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Microtile, MaskedSoftmax, AllModes<Microtile>, );

}  // namespace
}  // namespace kernel_test
