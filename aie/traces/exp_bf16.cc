// SPDX-License-Identifier: Apache-2.0
#include "aie/kernels/exp_bf16.h"

#include "aie/traces/on_device.h"

namespace aie_traces {
namespace {

template <hccs_kernels::Exponential kExponential>
void run(ExpCall& call) try {
  const std::size_t elements = std::size_t{call.rows} * call.n;
  Memory memory(2 * Memory::padded(2 * elements));
  using aie_cycles::BufferUse;
  aie_host::Tile tile("modelled");
  auto* logits = memory.take<bfloat16>(tile, elements, "logits", BufferUse::kIn);
  auto* out = memory.take<bfloat16>(tile, elements, "out", BufferUse::kOut);
  for (const auto* table : {&hccs_kernels::exp_fractions_ab, &hccs_kernels::exp_fractions_cd,
                            &hccs_kernels::exp_integers_ab, &hccs_kernels::exp_integers_cd}) {
    aie_host::add_region(tile, table, sizeof *table, "table", false);
  }
  for (std::size_t i = 0; i < elements; ++i) logits[i] = bfloat16(call.logits[i]);
  observe(tile, call.observer, [&] { hccs_kernels::softmax_exp_bf16<kExponential>(logits, out, call.rows, call.n); });
  call.buffers = memory.buffers();
  call.results.assign(out, out + elements);
  call.error_of_exponential = hccs_kernels::kExpError<kExponential>;
} catch (const aie_host::Error& error) {
  call.error = error.what();
}

}  // namespace

template <>
void run_exp_bf16<__AIE_ARCH__>(ExpCall& call) {
  using hccs_kernels::Exponential;
  if (call.exponential == ExpCall::Exponential::kBits) return run<Exponential::kBits>(call);
#if __AIE_ARCH__ == 20
  run<Exponential::kTables>(call);
#else
  run<Exponential::kExp2>(call);
#endif
}

}  // namespace aie_traces
