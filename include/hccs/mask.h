// SPDX-License-Identifier: Apache-2.0
//
// Which positions of a row are valid. A mask is never encoded as a logit value: an invalid position
// takes no part in the row's maximum or sum, and its output is exactly 0.
#ifndef HCCS_MASK_H_
#define HCCS_MASK_H_

#include <cstdint>
#include <optional>

namespace hccs {

// The mask of one row. Whatever is set combines by intersection; nothing set means all valid.
struct RowMask {
  // Positions i < valid_length. Any value is accepted: <= 0 leaves none, >= n leaves all.
  std::optional<int64_t> valid_length;

  // Positions i <= last_visible. For query q of a causal block with offset C, last_visible = q + C.
  // Any value is accepted: < 0 leaves none.
  std::optional<int64_t> last_visible;

  // Positions whose bit is 1: bit i % 8 (least significant first) of byte i / 8; (n + 7) / 8 bytes,
  // owned by the caller. Null: no bit mask.
  const uint8_t* bits = nullptr;

  bool valid(int64_t i) const noexcept {
    return (!valid_length || i < *valid_length) && (!last_visible || i <= *last_visible) &&
           (bits == nullptr || ((bits[i >> 3] >> (i & 7)) & 1) != 0);
  }
};

}  // namespace hccs

#endif  // HCCS_MASK_H_
