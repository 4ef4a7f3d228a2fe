// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_DIGEST_H_
#define HCCS_DIGEST_H_

#include <memory>
#include <string>
#include <string_view>

namespace hccs {

// Identifies data: XXH3-128 over a sequence of byte strings, each preceded by its length (8 bytes, little endian), so
// that their borders count too. Not cryptographic. Source: https://github.com/Cyan4973/xxHash.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  void add(std::string_view bytes);

  // "xxh3-128:" and 32 hexadecimal digits, of what was added so far.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hccs

#endif  // HCCS_DIGEST_H_
