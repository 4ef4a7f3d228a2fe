// SPDX-License-Identifier: Apache-2.0
#include "hccs/digest.h"

#include <fmt/core.h>

#include <array>
#include <cstdint>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace hccs {

struct Digest::State {
  XXH3_state_t hash{};
};

Digest::Digest() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->hash); }
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::add(std::string_view bytes) {
  std::array<uint8_t, 8> size{};
  for (size_t i = 0; i < size.size(); ++i) size[i] = static_cast<uint8_t>(uint64_t{bytes.size()} >> (8 * i));
  XXH3_128bits_update(&state_->hash, size.data(), size.size());
  XXH3_128bits_update(&state_->hash, bytes.data(), bytes.size());
}

std::string Digest::text() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->hash);
  return fmt::format("xxh3-128:{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace hccs
