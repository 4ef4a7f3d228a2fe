// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_DIGEST_H_
#define HCCS_TOOLS_DIGEST_H_

#define XXH_INLINE_ALL
#include <fmt/core.h>
#include <xxhash.h>

#include <memory>
#include <string>
#include <string_view>

namespace hccs::tool {

// XXH3-128 over a sequence of byte strings, each preceded by its length, so that their borders count too.
class Digest {
 public:
  Digest() { XXH3_128bits_reset(state_.get()); }

  void add(std::string_view bytes) {
    const uint64_t size = bytes.size();
    XXH3_128bits_update(state_.get(), &size, sizeof(size));
    XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
  }

  // "xxh3-128:" and 32 hexadecimal digits.
  std::string text() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return fmt::format("xxh3-128:{:016x}{:016x}", hash.high64, hash.low64);
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_DIGEST_H_
