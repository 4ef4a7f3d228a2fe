// SPDX-License-Identifier: Apache-2.0
#include "hccs/digest.h"

#include <gtest/gtest.h>

namespace hccs {
namespace {

std::string digest_of(std::initializer_list<std::string_view> parts) {
  Digest digest;
  for (const std::string_view part : parts) digest.add(part);
  return digest.text();
}

TEST(DigestTest, IsXxh3Of128Bits) {
  // XXH3_128bits of no bytes, as https://github.com/Cyan4973/xxHash tests it.
  EXPECT_EQ(digest_of({}), "xxh3-128:99aa06d3014798d86001c324468d497f");
}

TEST(DigestTest, BordersAndOrderCount) {
  EXPECT_EQ(digest_of({"ab", "c"}), digest_of({"ab", "c"}));
  EXPECT_NE(digest_of({"ab", "c"}), digest_of({"a", "bc"}));
  EXPECT_NE(digest_of({"ab", "c"}), digest_of({"c", "ab"}));
  EXPECT_NE(digest_of({"ab"}), digest_of({"ab", ""}));
}

}  // namespace
}  // namespace hccs
