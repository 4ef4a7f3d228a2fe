// SPDX-License-Identifier: Apache-2.0
//
// The masks of the rows of one head, as all kernels take them. Plain C++: nothing here needs the AIE API.
#ifndef HCCS_AIE_KERNELS_MASKS_H_
#define HCCS_AIE_KERNELS_MASKS_H_

#include <cstdint>

namespace hccs_kernels {

// Which masks a kernel is compiled for: none, valid length and causal offset, or those and bit masks.
enum class MaskKind { kNone, kLength, kBits };

// Which positions of the rows of one head are valid: all that are set, intersected. A row without a valid position
// gives zeros.
struct BlockMask {
  // Positions below it. The row length or more: all; 0 or less: none.
  int32_t valid_length = INT32_MAX;
  // If `causal`: row r sees the positions up to r + causal_offset.
  bool causal = false;
  int32_t causal_offset = 0;
  // Bit i % 32 of word i / 32 of a row's words is position i. Null: no bit mask. Each row has as many words as its
  // pitch (see the kernel) has groups of 32 positions; bits at and beyond the row length are ignored.
  const uint32_t* bits = nullptr;
};

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_MASKS_H_
