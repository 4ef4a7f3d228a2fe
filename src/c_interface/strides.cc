// SPDX-License-Identifier: Apache-2.0
#include "c_interface/strides.h"

#include <fmt/core.h>

#include "c_interface/call.h"

namespace hccs::internal {

Status settle_strides(bool used, std::initializer_list<Stride> strides) {
  for (const Stride& stride : strides) {
    if (!used || (*stride.value == HCCS_NO_STRIDE && stride.size <= 1)) {
      *stride.value = 0;
    } else if (*stride.value == HCCS_NO_STRIDE) {
      return invalid(fmt::format("batch: {} is not set, but there are {} {}", stride.name, stride.size, stride.things));
    } else if (*stride.value < 0) {
      return invalid(fmt::format("batch: {} = {}, but a stride is 0 or more", stride.name, *stride.value));
    }
  }
  return {};
}

}  // namespace hccs::internal
