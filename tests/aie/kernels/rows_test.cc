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

INSTANTIATE_TYPED_TEST_SUITE_P(Rows, MaskedSoftmax, AllModes<Rows>, );

}  // namespace
}  // namespace kernel_test
