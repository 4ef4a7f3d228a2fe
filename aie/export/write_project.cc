// SPDX-License-Identifier: Apache-2.0
#include "aie/export/write_project.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include "hccs/file.h"

namespace aie_export {

namespace fs = std::filesystem;
using hccs::Expected;
using hccs::Status;
using hccs::StatusCode;

namespace {

// A folder that goes with its files unless it took its final name.
class TemporaryFolder {
 public:
  static Expected<TemporaryFolder> create(const fs::path& final_path) {
    const fs::path parent = final_path.has_parent_path() ? final_path.parent_path() : fs::path(".");
    std::string pattern = (parent / ".hccs-export-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      return Status(StatusCode::kIo, fmt::format("{}: cannot make a folder beside it: {}", final_path.string(),
                                                 std::generic_category().message(errno)));
    }
    std::error_code error;
    fs::permissions(pattern,
                    fs::perms::others_read | fs::perms::others_exec | fs::perms::group_read | fs::perms::group_exec,
                    fs::perm_options::add, error);
    return TemporaryFolder(pattern);
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }

  const fs::path& path() const { return path_; }
  Status rename_to(const fs::path& final_path) {
    std::error_code error;
    fs::rename(path_, final_path, error);
    if (error) return {StatusCode::kIo, fmt::format("{}: cannot write: {}", final_path.string(), error.message())};
    path_.clear();
    return {};
  }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

}  // namespace

Status check_new(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(folder, error))) return {};
  return {StatusCode::kInvalidArgument, fmt::format("{}: exists already; export writes a new folder", folder.string())};
}

Status write_project(std::span<const ProjectFile> files, const fs::path& folder, const hccs::Progress& progress) {
  HCCS_RETURN_IF_ERROR(check_new(folder));
  HCCS_ASSIGN_OR_RETURN(TemporaryFolder temporary, TemporaryFolder::create(folder));
  for (size_t i = 0; i < files.size(); ++i) {
    if (progress && !progress(static_cast<int64_t>(i), std::ssize(files))) {
      return {StatusCode::kCancelled, "interrupted"};
    }
    const fs::path path = temporary.path() / files[i].path;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return {StatusCode::kIo, fmt::format("{}: {}", path.parent_path().string(), error.message())};
    HCCS_RETURN_IF_ERROR(hccs::write_file_atomically(path, {files[i].text}));
  }
  HCCS_RETURN_IF_ERROR(check_new(folder));
  return temporary.rename_to(folder);
}

}  // namespace aie_export
