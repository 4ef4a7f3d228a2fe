// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "contract/exceptions.h"
#include "files/descriptor.h"
#include "hccs/file.h"

namespace hccs {

namespace fs = std::filesystem;

Status check_absent(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return {};
  return {StatusCode::kInvalidArgument, fmt::format("{}: exists already, but a new folder is written", path.string())};
}

Expected<NewFolder> NewFolder::create(const fs::path& final_path) try {
  // "folder/" names the same folder as "folder".
  const fs::path place = final_path.has_filename() ? final_path : final_path.parent_path();
  HCCS_RETURN_IF_ERROR(check_absent(place));
  const fs::path parent = place.has_parent_path() ? place.parent_path() : fs::path(".");
  std::string pattern = (parent / ".hccs-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    return internal::io_error(place, "make a folder beside it", errno);
  }
  std::error_code error;
  fs::permissions(pattern,
                  fs::perms::others_read | fs::perms::others_exec | fs::perms::group_read | fs::perms::group_exec,
                  fs::perm_options::add, error);
  return NewFolder(pattern, place);
} catch (...) {
  return internal::status_of_exception(final_path.native());
}

NewFolder::NewFolder(fs::path path, fs::path final_path) : path_(std::move(path)), final_path_(std::move(final_path)) {}

NewFolder::NewFolder(NewFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), final_path_(std::move(other.final_path_)) {}

NewFolder::~NewFolder() {
  std::error_code error;
  if (!path_.empty()) fs::remove_all(path_, error);
}

Status NewFolder::finish() {
  HCCS_RETURN_IF_ERROR(check_absent(final_path_));
  std::error_code error;
  fs::rename(path_, final_path_, error);
  if (error) return internal::io_error(final_path_, "write", error.value());
  path_.clear();
  return {};
}

}  // namespace hccs
