// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_AIE_CYCLES_BUFFER_H_
#define HCCS_AIE_CYCLES_BUFFER_H_

#include <cstdint>

namespace aie_cycles {

enum class BufferUse : std::uint8_t { kIn, kOut, kScratch };

// A range of the host's memory that stands for a buffer of a tile.
struct Buffer {
  BufferUse use = BufferUse::kScratch;
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
};

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_BUFFER_H_
