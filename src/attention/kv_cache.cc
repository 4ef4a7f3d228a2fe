// SPDX-License-Identifier: Apache-2.0
#include "attention/kv_cache.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>

#include "contract/exceptions.h"

namespace hccs {
namespace {

using internal::kPage;

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

Status check_rows(std::string_view what, const AttentionRows<const int8_t>& rows) {
  if (rows.data == nullptr) return invalid(fmt::format("{} must not be null", what));
  constexpr int64_t kMost = int64_t{1} << 44;
  for (const auto& [stride, which] :
       {std::pair{rows.head_stride, "head_stride"}, std::pair{rows.position_stride, "position_stride"}}) {
    if (stride < 0 || stride > kMost) {
      return invalid(fmt::format("{} {} {}, but a stride is 0 to 2^44", what, which, stride));
    }
  }
  return {};
}

}  // namespace

Expected<KvCache> KvCache::make(const AttentionPlan& plan, int64_t key_heads, int64_t head_dimension,
                                int64_t value_dimension) try {
  for (const auto& [value, most, what] : {std::tuple{key_heads, int64_t{1} << 20, "key heads"},
                                          std::tuple{head_dimension, kMaxAttentionDimension, "elements of a key"},
                                          std::tuple{value_dimension, kMaxAttentionDimension, "elements of a value"}}) {
    if (value < 1 || value > most) return invalid(fmt::format("{} {}, but a cache has 1 to {}", value, what, most));
  }
  auto impl = std::make_unique<Impl>();
  impl->target = plan.impl().target;
  impl->layout = impl->target.layout(head_dimension, value_dimension);
  impl->key_heads = key_heads;
  return KvCache(std::move(impl));
} catch (...) {
  return internal::status_of_exception("key-value cache");
}

Status KvCache::append(const AttentionRows<const int8_t>& keys, const AttentionRows<const int8_t>& values,
                       int64_t positions) try {
  Impl& c = *impl_;
  if (positions < 0 || positions > kMaxRowLength - c.length) {
    return invalid(fmt::format("{} positions after {}, but a cache holds 0 to {}", positions, c.length, kMaxRowLength));
  }
  if (positions == 0) return {};
  HCCS_RETURN_IF_ERROR(check_rows("keys", keys));
  HCCS_RETURN_IF_ERROR(check_rows("values", values));
  const auto blocks = static_cast<size_t>((c.length + positions + kPage - 1) / kPage);
  const auto bytes = static_cast<size_t>(c.block_bytes());
  c.blocks.reserve(blocks);
  c.table.reserve(blocks);
  while (c.blocks.size() < blocks) {
    c.blocks.emplace_back(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{internal::kAlignment})));
    std::memset(c.blocks.back().get(), 0, bytes);
    c.table.push_back(c.blocks.back().get());
  }
  for (int64_t done = 0; done < positions;) {
    const int64_t at = (c.length + done) % kPage;
    const int64_t count = std::min(kPage - at, positions - done);
    std::byte* block = c.blocks[static_cast<size_t>((c.length + done) / kPage)].get();
    for (int64_t h = 0; h < c.key_heads; ++h) {
      const auto rows = [&](const AttentionRows<const int8_t>& all) {
        return internal::Int8Rows{all.data + h * all.head_stride + done * all.position_stride, all.position_stride,
                                  count};
      };
      std::byte* page = block + h * c.head_bytes();
      c.target.pack_keys(c.layout, rows(keys), at, page);
      c.target.pack_values(c.layout, rows(values), at, page + c.layout.key_bytes());
    }
    done += count;
  }
  c.length += positions;
  return {};
} catch (...) {
  return internal::status_of_exception("key-value cache");
}

Status KvCache::truncate(int64_t length) {
  if (length < 0 || length > impl_->length) {
    return invalid(fmt::format("length {}, but the cache has {} positions", length, impl_->length));
  }
  impl_->length = length;
  return {};
}

KvCache::KvCache(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
KvCache::KvCache(KvCache&&) noexcept = default;
KvCache& KvCache::operator=(KvCache&&) noexcept = default;
KvCache::~KvCache() = default;

int64_t KvCache::length() const noexcept { return impl_->length; }
int64_t KvCache::key_heads() const noexcept { return impl_->key_heads; }
int64_t KvCache::head_dimension() const noexcept { return impl_->layout.head_dimension; }
int64_t KvCache::value_dimension() const noexcept { return impl_->layout.value_dimension; }
int64_t KvCache::allocated_bytes() const noexcept { return std::ssize(impl_->blocks) * impl_->block_bytes(); }
std::string_view KvCache::target() const noexcept { return impl_->target.name; }

}  // namespace hccs
