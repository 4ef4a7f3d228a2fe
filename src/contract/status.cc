// SPDX-License-Identifier: Apache-2.0
#include "hccs/status.h"

#include <cstdio>
#include <cstdlib>

namespace hccs::internal {

void abort_without_value(const Status& error) noexcept {
  const std::string_view code = name(error.code());
  std::fprintf(stderr, "hccs: the value of a failed Expected was used: %.*s: %s\n", static_cast<int>(code.size()),
               code.data(), error.message().c_str());
  std::abort();
}

}  // namespace hccs::internal
