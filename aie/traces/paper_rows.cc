// SPDX-License-Identifier: Apache-2.0
#include "aie/kernels/paper_rows.h"

#include "aie/traces/on_device.h"

namespace aie_traces {

template <>
void run_paper_rows<__AIE_ARCH__>(SoftmaxCall& call) {
  using hccs_kernels::Normalisation;
  const unsigned rows = call.rows;
  const unsigned n = call.n;
  const hccs_kernels::HccsHead head = kernel_head(call.head);
  const auto index = [n](unsigned r, unsigned i) { return std::size_t{hccs_kernels::paper_rows_index(r, i, n)}; };
  const auto run = [&]<Normalisation kNormalisation, typename Out>() {
    run_softmax<Out>(call, hccs_kernels::paper_rows_elements(rows, n), hccs_kernels::paper_rows_scratch_bytes(n), index,
                     [&](const int8* x, Out* p, const hccs_kernels::BlockMask&, std::byte* scratch) {
                       hccs_kernels::softmax_paper_rows<kNormalisation>(x, p, rows, n, head,
                                                                        reinterpret_cast<int16*>(scratch));
                     });
  };
  if (call.normalisation == hccs::Normalisation::kDiv) {
    call.output == hccs::OutputType::kUint8 ? run.template operator()<Normalisation::kDiv, uint8>()
                                            : run.template operator()<Normalisation::kDiv, int16>();
  } else {
    call.output == hccs::OutputType::kUint8 ? run.template operator()<Normalisation::kClb, uint8>()
                                            : run.template operator()<Normalisation::kClb, int16>();
  }
}

}  // namespace aie_traces
