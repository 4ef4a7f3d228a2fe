// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_EVALUATE_DUMPS_H_
#define HCCS_TOOLS_EVALUATE_DUMPS_H_

#include <filesystem>
#include <vector>

#include "hccs/calibration.h"
#include "hccs/status.h"
#include "json_option.h"
#include "softmax_modes.h"

namespace hccs::tool {

struct DumpsOptions {
  std::filesystem::path logits;               // a folder of dumps
  std::vector<std::filesystem::path> params;  // at least one
  ChosenOutput chosen;
  OnImplausible on_implausible = OnImplausible::kStop;
  int threads = 1;
  JsonOption json;
};

// Prints, for every parameter file, what its integers do to the logits of each head and of all.
Status evaluate_dumps(const DumpsOptions& options);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_EVALUATE_DUMPS_H_
