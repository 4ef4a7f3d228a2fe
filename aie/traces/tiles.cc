// SPDX-License-Identifier: Apache-2.0
// Compiled for each number of knees, HCCS_KNEES.
#include "aie/kernels/tiles.h"

#include "aie/traces/on_device.h"

namespace aie_traces {

template <>
void run_tiles<__AIE_ARCH__, HCCS_KNEES>(SoftmaxCall& call) {
  using namespace hccs_kernels;
  const unsigned rows = call.rows;
  const unsigned n = call.n;
  const HccsHead head = kernel_head(call.head);
  using Scratch = TilesScratch<HCCS_KNEES>;
  const auto index = [n](unsigned r, unsigned i) { return std::size_t{tiles_index(r, i, n, kArch)}; };
  with_mode(call, [&]<Normalisation kNormalisation, typename Out>() {
    with_mask(call.mask, [&]<MaskKind kMask>() {
      run_softmax<Out>(call, tiles_elements(rows, n, kArch), sizeof(Scratch), index,
                       [&](const int8* x, Out* p, const BlockMask& mask, std::byte* scratch) {
                         softmax_tiles<kNormalisation, Out, HCCS_KNEES, kMask>(x, p, rows, n, head, mask,
                                                                               *reinterpret_cast<Scratch*>(scratch));
                       });
    });
  });
}

}  // namespace aie_traces
