// SPDX-License-Identifier: Apache-2.0
// Compiled for each number of knees, HCCS_KNEES.
#include "aie/kernels/interleaved.h"

#include "aie/traces/on_device.h"

namespace aie_traces {

template <>
void run_interleaved<__AIE_ARCH__, HCCS_KNEES>(SoftmaxCall& call) {
  using namespace hccs_kernels;
  const unsigned rows = call.rows;
  const unsigned n = call.n;
  const HccsHead head = kernel_head(call.head);
  const auto index = [n](unsigned r, unsigned i) { return std::size_t{r} * interleaved_pitch(n) + i; };
  with_mode(call, [&]<Normalisation kNormalisation, typename Out>() {
    with_mask(call.masks, [&]<MaskKind kMask>() {
      run_softmax<Out>(call, interleaved_elements(rows, n), interleaved_scratch<HCCS_KNEES>(rows, n), index,
                       [&](const int8* x, Out* p, const RowMasks& masks, std::byte* scratch) {
                         softmax_interleaved<kNormalisation, Out, HCCS_KNEES, kMask>(x, p, rows, n, head, masks,
                                                                                     scratch);
                       });
    });
  });
}

}  // namespace aie_traces
