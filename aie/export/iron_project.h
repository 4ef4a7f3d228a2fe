// SPDX-License-Identifier: Apache-2.0
//
// Projects for NPUs: a kernel as IRON (mlir-aie) links it, a design in Python, a NumPy reference, and the test's data.
#ifndef HCCS_AIE_EXPORT_IRON_PROJECT_H_
#define HCCS_AIE_EXPORT_IRON_PROJECT_H_

#include <vector>

#include "aie/export/softmax_project.h"
#include "hccs/status.h"

namespace aie_export {

// All files of a project that check() takes, for an NPU. Errors: those of the reference and the templates.
hccs::Expected<std::vector<ProjectFile>> iron_files(const SoftmaxProject& project);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_IRON_PROJECT_H_
