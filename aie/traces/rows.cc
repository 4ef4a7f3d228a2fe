// SPDX-License-Identifier: Apache-2.0
// Compiled for each number of knees, HCCS_KNEES.
#include "aie/kernels/rows.h"

#include "aie/traces/on_device.h"

namespace aie_traces {

template <>
void run_rows<__AIE_ARCH__, HCCS_KNEES>(SoftmaxCall& call) {
  using namespace hccs_kernels;
  const unsigned rows = call.rows;
  const unsigned n = call.n;
  const HccsHead head = kernel_head(call.head);
  const auto index = [n](unsigned r, unsigned i) { return std::size_t{rows_index(r, i, n)}; };
  with_mode(call, [&]<Normalisation kNormalisation, typename Out>() {
    with_mask(call.mask, [&]<MaskKind kMask>() {
      constexpr bool kClbUint8 = kNormalisation == Normalisation::kClb && std::is_same_v<Out, uint8>;
      run_softmax<Out>(call, rows_elements(rows, n), rows_scratch_bytes(rows, n, HCCS_KNEES, kArch, kClbUint8), index,
                       [&](const int8* x, Out* p, const BlockMask& mask, std::byte* scratch) {
                         softmax_rows<kNormalisation, Out, HCCS_KNEES, kMask>(x, p, rows, n, head, mask, scratch);
                       });
    });
  });
}

}  // namespace aie_traces
