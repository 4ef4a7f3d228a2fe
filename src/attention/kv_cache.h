// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_ATTENTION_KV_CACHE_H_
#define HCCS_SRC_ATTENTION_KV_CACHE_H_

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "attention/plan.h"

namespace hccs {

struct KvCache::Impl {
  struct Free {
    void operator()(std::byte* p) const noexcept { ::operator delete (p, std::align_val_t{internal::kAlignment}); }
  };
  using Block = std::unique_ptr<std::byte, Free>;

  internal::AttentionTarget target;
  internal::PageLayout layout;
  int64_t key_heads = 1;
  int64_t length = 0;
  std::vector<Block> blocks;            // of each key head a page of keys, then one of values
  std::vector<const std::byte*> table;  // where the blocks are

  int64_t head_bytes() const noexcept { return layout.key_bytes() + layout.value_bytes(); }
  int64_t block_bytes() const noexcept { return key_heads * head_bytes(); }
};

}  // namespace hccs

#endif  // HCCS_SRC_ATTENTION_KV_CACHE_H_
