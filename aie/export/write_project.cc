// SPDX-License-Identifier: Apache-2.0
#include "aie/export/write_project.h"

#include <fmt/core.h>

#include <system_error>

#include "hccs/file.h"

namespace aie_export {

namespace fs = std::filesystem;
using hccs::Status;
using hccs::StatusCode;

Status write_project(std::span<const ProjectFile> files, const fs::path& folder, const hccs::Progress& progress) {
  HCCS_ASSIGN_OR_RETURN(hccs::NewFolder target, hccs::NewFolder::create(folder));
  for (size_t i = 0; i < files.size(); ++i) {
    if (progress && !progress(static_cast<int64_t>(i), std::ssize(files))) {
      return {StatusCode::kCancelled, "interrupted"};
    }
    const fs::path path = target.path() / files[i].path;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return {StatusCode::kIo, fmt::format("{}: {}", path.parent_path().string(), error.message())};
    HCCS_RETURN_IF_ERROR(hccs::write_file_atomically(path, {files[i].text}));
  }
  return target.finish();
}

}  // namespace aie_export
