// SPDX-License-Identifier: Apache-2.0
#include "aie/kernels/attention.h"

#include "aie/traces/on_device.h"

namespace aie_traces {
namespace {

template <unsigned kKnees, unsigned kDimension>
void run(AttentionCall& call) try {
  const std::size_t rows = hccs_kernels::attention_rows(call.rows);
  const std::size_t n = hccs_kernels::attention_positions(call.n);
  const std::size_t pitch = hccs_kernels::attention_mask_pitch(call.n);
  const std::size_t words = call.mask.bits == nullptr ? 0 : hccs_kernels::attention_mask_words(call.rows, call.n);
  const std::size_t scratch_bytes = hccs_kernels::attention_scratch_bytes(call.n, kDimension);
  // Where number i of a matrix is.
  const auto place = [](std::size_t i) {
    const auto at = static_cast<unsigned>(i);
    return hccs_kernels::attention_index(at / kDimension, at % kDimension, kDimension);
  };
  Memory memory(2 * Memory::padded(rows * kDimension) + 2 * Memory::padded(n * kDimension) + Memory::padded(4 * rows) +
                Memory::padded(4 * words) + Memory::padded(scratch_bytes));
  using aie_cycles::BufferUse;
  aie_host::Tile tile("modelled");
  auto* q = memory.take<int8>(tile, rows * kDimension, "q", BufferUse::kIn);
  auto* k = memory.take<int8>(tile, n * kDimension, "k", BufferUse::kIn);
  auto* v = memory.take<int8>(tile, n * kDimension, "v", BufferUse::kIn);
  auto* rescales = memory.take<int16>(tile, 2 * rows, "rescales", BufferUse::kIn);
  auto* o = memory.take<int8>(tile, rows * kDimension, "o", BufferUse::kOut);
  auto* bits = memory.take<uint32>(tile, words, "mask words", BufferUse::kIn);
  auto* scratch = memory.take<int8>(tile, scratch_bytes, "scratch", BufferUse::kScratch);
  const auto fill = [&place](int8* to, const std::vector<std::int8_t>& from) {
    for (std::size_t i = 0; i < from.size(); ++i) to[place(i)] = from[i];
  };
  fill(q, call.q);
  fill(k, call.k);
  fill(v, call.v);
  for (std::size_t r = 0; r < rows; ++r) {
    const hccs::Rescale& rescale = call.rescales[r % call.rows];
    rescales[2 * r] = static_cast<int16>(rescale.multiplier);
    rescales[2 * r + 1] = static_cast<int16>(rescale.shift);
  }
  for (std::size_t r = 0; r < call.rows && words > 0; ++r) {
    for (unsigned i = 0; i < call.n; ++i) {
      const bool valid = (call.mask.bits[r * call.mask.bits_stride + i / 8] >> (i % 8) & 1) != 0;
      uint32& word = bits[r * pitch + i / 32];
      const uint32 bit = uint32{1} << (i % 32);
      word = valid ? word | bit : word & ~bit;
    }
  }
  const hccs_kernels::BlockMask mask = kernel_mask(call.mask, words == 0 ? nullptr : bits);
  const hccs_kernels::HccsHead head = kernel_head(call.head);
  observe(tile, call.observer, [&] {
    hccs_kernels::AttentionHead<kKnees, kDimension, kDimension>(head).run(q, k, v, rescales, o, call.rows, call.n, mask,
                                                                          scratch);
  });
  call.buffers = memory.buffers();
  call.results.resize(std::size_t{call.rows} * kDimension);
  for (std::size_t i = 0; i < call.results.size(); ++i) {
    int8& result = o[place(i)];
    call.results[i] = result;
    result = 0;
  }
  if (std::any_of(o, o + rows * kDimension, [](int8 x) { return x != 0; })) call.error = "not 0 beside the rows";
} catch (const aie_host::Error& error) {
  call.error = error.what();
}

template <unsigned kKnees>
void run_dimension(AttentionCall& call) {
  call.dimension == 32 ? run<kKnees, 32>(call) : run<kKnees, 64>(call);
}

}  // namespace

template <>
void run_attention<__AIE_ARCH__>(AttentionCall& call) {
  switch (call.head.knee_count) {
    case 1:
      return run_dimension<1>(call);
    case 2:
      return run_dimension<2>(call);
    case 3:
      return run_dimension<3>(call);
    default:
      return run_dimension<4>(call);
  }
}

}  // namespace aie_traces
