// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_C_INTERFACE_PARAM_FILE_H_
#define HCCS_SRC_C_INTERFACE_PARAM_FILE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "hccs/hccs.h"
#include "hccs/param_file.h"
#include "hccs/status.h"

struct hccs_param_file {
  hccs::ParamFile file;
};

namespace hccs::internal {

HeadParams from_c(const hccs_head_params& params);

// The parameters of `count` heads, and those of a layer. Errors: kInvalidArgument for null, no head, or a layer that
// the file lacks.
Expected<std::vector<HeadParams>> heads_of(const hccs_head_params* heads, int64_t count);
Expected<std::vector<HeadParams>> heads_of(const hccs_param_file* file, int64_t layer);

// `count` steps. Errors: kInvalidArgument for null or none.
Expected<std::span<const double>> steps_of(const double* steps, int64_t count);

}  // namespace hccs::internal

#endif  // HCCS_SRC_C_INTERFACE_PARAM_FILE_H_
