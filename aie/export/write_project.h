// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_AIE_EXPORT_WRITE_PROJECT_H_
#define HCCS_AIE_EXPORT_WRITE_PROJECT_H_

#include <filesystem>
#include <span>

#include "aie/export/project.h"
#include "hccs/progress.h"
#include "hccs/status.h"

namespace aie_export {

// Writes the files into `folder`, which must not exist: into a folder beside it first, so that on any error nothing is
// left. `progress` counts files. Errors: those of hccs::NewFolder; kIo; kCancelled.
hccs::Status write_project(std::span<const ProjectFile> files, const std::filesystem::path& folder,
                           const hccs::Progress& progress = {});

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_WRITE_PROJECT_H_
