// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_C_INTERFACE_PARAM_FILE_H_
#define HCCS_SRC_C_INTERFACE_PARAM_FILE_H_

#include <cstdint>
#include <vector>

#include "hccs/hccs.h"
#include "hccs/param_file.h"
#include "hccs/status.h"

struct hccs_param_file {
  hccs::ParamFile file;
};

namespace hccs::internal {

// Ok if the file has that layer.
Status check_layer(const ParamFile& file, int64_t layer);

HeadParams from_c(const hccs_head_params& params);

}  // namespace hccs::internal

#endif  // HCCS_SRC_C_INTERFACE_PARAM_FILE_H_
