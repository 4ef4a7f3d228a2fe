// SPDX-License-Identifier: Apache-2.0
//
// Which positions of a row are valid. A mask is never encoded as a logit value: an invalid position takes no part in
// the row's maximum or sum, and its output is exactly 0.
#ifndef HCCS_MASK_H_
#define HCCS_MASK_H_

#include <cstdint>
#include <optional>

namespace hccs {

// The masks of a call. kNone: all positions are valid. kLength: each row has a length, which a valid length and a
// causal offset set. kBits: one bit a position, beside the length. Code that is compiled for a kind serves the kinds
// before it too.
enum class MaskKind { kNone, kLength, kBits };

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

// The masks of a block of rows that share a valid length and a causal offset, as those of one head do.
struct BlockMask {
  std::optional<int32_t> valid_length;   // positions below it; any value, as in RowMask
  std::optional<int32_t> causal_offset;  // row r sees the positions up to r + causal_offset
  const uint8_t* bits = nullptr;         // RowMask::bits of row 0; the other rows' follow, bits_stride bytes apart
  int64_t bits_stride = 0;

  MaskKind kind() const noexcept {
    if (bits != nullptr) return MaskKind::kBits;
    return valid_length || causal_offset ? MaskKind::kLength : MaskKind::kNone;
  }
  // The mask of row r >= 0.
  RowMask row(int64_t r) const noexcept {
    RowMask mask;
    if (valid_length) mask.valid_length = *valid_length;
    if (causal_offset) mask.last_visible = r + *causal_offset;
    if (bits != nullptr) mask.bits = bits + r * bits_stride;
    return mask;
  }
};

}  // namespace hccs

#endif  // HCCS_MASK_H_
