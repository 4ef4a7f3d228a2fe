// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_ALL_DEPLOYMENTS_H_
#define HCCS_TOOLS_ALL_DEPLOYMENTS_H_

#include <vector>

#include "report/deployment.h"

namespace hccs::tool {

// deployments() and aie4ml, in the order of the answers: CPU, AI Engine, AI Engine with masks, aie4ml, paper.
std::vector<Deployment> all_deployments(const ParamFile& file, int64_t n);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_ALL_DEPLOYMENTS_H_
