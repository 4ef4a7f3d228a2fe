// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_C_INTERFACE_STRIDES_H_
#define HCCS_SRC_C_INTERFACE_STRIDES_H_

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "hccs/status.h"

namespace hccs::internal {

// A stride of a batch over `size` things.
struct Stride {
  std::string_view name;
  int64_t* value = nullptr;
  int64_t size = 0;
  std::string_view things;  // "heads"
};

// Makes strides that are not set 0 where they multiply nothing but 0. Those of an array that is not there (`used`
// false) are not looked at. Errors: kInvalidArgument for one that is needed and not set, or negative.
Status settle_strides(bool used, std::initializer_list<Stride> strides);

}  // namespace hccs::internal

#endif  // HCCS_SRC_C_INTERFACE_STRIDES_H_
