// SPDX-License-Identifier: Apache-2.0
//
// What the sources that are compiled for a device share: buffers in one piece of memory, and how a kernel is run on
// them. Everything is in an unnamed namespace: the other device's is another.
#ifndef HCCS_AIE_TRACES_ON_DEVICE_H_
#define HCCS_AIE_TRACES_ON_DEVICE_H_

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

#include "aie/kernels/device.h"
#include "aie/kernels/head.h"
#include "aie/kernels/layout.h"
#include "aie/kernels/masks.h"
#include "aie/traces/device.h"
#include "aie_host/memory.h"

namespace aie_traces {
namespace {  // NOLINT(google-build-namespaces)

[[maybe_unused]] hccs_kernels::HccsHead kernel_head(const hccs::HeadParams& params) {
  hccs_kernels::HccsHead head;
  head.offset = static_cast<std::int16_t>(params.offset);
  head.knee_count = static_cast<std::int16_t>(params.knee_count);
  for (unsigned k = 0; k < params.active_knees().size(); ++k) {
    head.slope[k] = static_cast<std::int8_t>(params.active_knees()[k].slope);
    head.position[k] = static_cast<std::int8_t>(params.active_knees()[k].position);
  }
  return head;
}

// A mask as the kernels read it; `words` are its bits in their layout, or null.
[[maybe_unused]] hccs_kernels::BlockMask kernel_mask(const hccs::BlockMask& mask, const uint32* words) {
  return {mask.valid_length.value_or(INT32_MAX), mask.causal_offset.has_value(), mask.causal_offset.value_or(0), words};
}

// Buffers one after another, each aligned to 64 and apart from the next, so that their distances are the same in every
// run. They begin filled with a pattern.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : bytes_(static_cast<std::byte*>(::operator new(bytes, kAlignment))), end_(bytes) {
    for (std::size_t i = 0; i < bytes; ++i) bytes_[i] = static_cast<std::byte>(0x5b + 37 * i);
  }
  ~Memory() { ::operator delete(bytes_, kAlignment); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // `count` elements, which kernels on `tile` may then touch.
  template <typename T>
  T* take(aie_host::Tile& tile, std::size_t count, const char* name, aie_cycles::BufferUse use) {
    const std::size_t bytes = count * sizeof(T);
    T* const first = reinterpret_cast<T*>(bytes_ + used_);
    used_ += padded(bytes);
    if (used_ > end_) throw aie_host::Error("a call's buffers need more memory than was set aside");
    aie_host::add_region(tile, first, bytes, name, use != aie_cycles::BufferUse::kIn);
    const auto begin = reinterpret_cast<std::uintptr_t>(first);
    buffers_.push_back({use, begin, begin + bytes});
    return first;
  }
  const std::vector<aie_cycles::Buffer>& buffers() const { return buffers_; }
  static constexpr std::size_t padded(std::size_t bytes) { return (bytes + 63) / 64 * 64 + 64; }

 private:
  static constexpr std::align_val_t kAlignment{4096};
  std::byte* bytes_;
  std::size_t used_ = 0;
  std::size_t end_;
  std::vector<aie_cycles::Buffer> buffers_;
};

// Runs `kernel` on `tile` under `observer`.
template <typename Run>
void observe(aie_host::Tile& tile, aie_host::Observer* observer, Run kernel) {
  const aie_host::TileScope on_tile(tile);
  const aie_host::ObserverScope observed(observer);
  kernel();
}

// A softmax kernel whose buffers have `elements` elements, position i of row r at index(r, i), and which uses `scratch`
// bytes. Bit j of mask word w is element 32 w + j. run(logits, out, mask, scratch).
template <typename Out, typename Index, typename Run>
void run_softmax(SoftmaxCall& call, std::size_t elements, std::size_t scratch, Index index, Run run) try {
  const std::size_t words = call.mask.bits == nullptr ? 0 : (elements + 31) / 32;
  Memory memory(Memory::padded(elements) + Memory::padded(elements * sizeof(Out)) + Memory::padded(4 * words) +
                Memory::padded(scratch));
  using aie_cycles::BufferUse;
  aie_host::Tile tile("modelled");
  auto* logits = memory.take<int8>(tile, elements, "logits", BufferUse::kIn);
  auto* out = memory.take<Out>(tile, elements, "out", BufferUse::kOut);
  auto* bits = memory.take<uint32>(tile, words, "mask words", BufferUse::kIn);
  auto* work = memory.take<std::byte>(tile, scratch, "scratch", BufferUse::kScratch);
  for (unsigned r = 0; r < call.rows; ++r) {
    for (unsigned i = 0; i < call.n; ++i) {
      const std::size_t at = index(r, i);
      logits[at] = call.logits[r * call.n + i];
      if (words == 0) continue;
      const bool valid = (call.mask.bits[r * call.mask.bits_stride + i / 8] >> (i % 8) & 1) != 0;
      const uint32 bit = uint32{1} << (at % 32);
      bits[at / 32] = valid ? bits[at / 32] | bit : bits[at / 32] & ~bit;
    }
  }
  const hccs_kernels::BlockMask mask = kernel_mask(call.mask, words == 0 ? nullptr : bits);
  observe(tile, call.observer, [&] { run(static_cast<const int8*>(logits), out, mask, work); });
  call.buffers = memory.buffers();
  call.results.resize(std::size_t{call.rows} * call.n);
  for (unsigned r = 0; r < call.rows; ++r) {
    for (unsigned i = 0; i < call.n; ++i) {
      Out& result = out[index(r, i)];
      call.results[r * call.n + i] = result;
      result = 0;
    }
  }
  if (std::any_of(out, out + elements, [](Out x) { return x != 0; })) call.error = "not 0 beside the rows";
} catch (const aie_host::Error& error) {
  call.error = error.what();
}

// The call's output type and normalisation as template arguments of `run`.
template <typename Run>
void with_mode(const SoftmaxCall& call, Run run) {
  using hccs_kernels::Normalisation;
  const auto with_output = [&]<Normalisation kNormalisation>() {
    if (call.output == hccs::OutputType::kUint8) {
      run.template operator()<kNormalisation, uint8>();
    } else {
      run.template operator()<kNormalisation, int16>();
    }
  };
  if (call.normalisation == hccs::Normalisation::kDiv) return with_output.template operator()<Normalisation::kDiv>();
  if (call.normalisation == hccs::Normalisation::kClb) return with_output.template operator()<Normalisation::kClb>();
  with_output.template operator()<Normalisation::kScaled>();
}

// The kind of the call's mask as a template argument of `run`.
template <typename Run>
void with_mask(const hccs::BlockMask& mask, Run run) {
  using hccs_kernels::MaskKind;
  switch (mask.kind()) {
    case hccs::MaskKind::kBits:
      return run.template operator()<MaskKind::kBits>();
    case hccs::MaskKind::kLength:
      return run.template operator()<MaskKind::kLength>();
    case hccs::MaskKind::kNone:
      return run.template operator()<MaskKind::kNone>();
  }
}

}  // namespace
}  // namespace aie_traces

#endif  // HCCS_AIE_TRACES_ON_DEVICE_H_
