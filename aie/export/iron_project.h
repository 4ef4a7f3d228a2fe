// SPDX-License-Identifier: Apache-2.0
//
// Projects for NPUs: a kernel as IRON (mlir-aie) links it, a design in Python, a NumPy reference, and the test's data.
#ifndef HCCS_AIE_EXPORT_IRON_PROJECT_H_
#define HCCS_AIE_EXPORT_IRON_PROJECT_H_

#include <cstdint>
#include <vector>

#include "aie/export/attention_project.h"
#include "aie/export/softmax_project.h"
#include "hccs/status.h"

namespace aie_export {

// Buffers of a core are whole multiples of this, so that each begins at a multiple of it.
inline constexpr int64_t kIronAlignment = 64;
// int16 of the words of a core's heads, filled up.
int64_t iron_parameter_words(int64_t tile_heads);

// All files of a project that check() takes, for an NPU. Errors: those of the reference and the templates.
hccs::Expected<std::vector<ProjectFile>> iron_files(const SoftmaxProject& project);
hccs::Expected<std::vector<ProjectFile>> iron_files(const AttentionProject& project);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_IRON_PROJECT_H_
