// SPDX-License-Identifier: Apache-2.0
//
// Packing of pages in vectors of 16 bytes, which every CPU of the SIMD targets has.
#ifndef HCCS_SRC_ATTENTION_PACK_H_
#define HCCS_SRC_ATTENTION_PACK_H_

#include "attention/plan.h"

namespace hccs::internal {

// AttentionTarget::pack_keys and pack_values; `..._unsigned` adds 128 to each element (modulo 256), for instructions
// that multiply bytes of which one is unsigned.
void pack_keys(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page);
void pack_keys_unsigned(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page);
void pack_values(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page);
void pack_values_unsigned(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page);

}  // namespace hccs::internal

#endif  // HCCS_SRC_ATTENTION_PACK_H_
