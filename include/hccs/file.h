// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_FILE_H_
#define HCCS_FILE_H_

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "hccs/export.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

// Replaces `path` by the concatenated parts: written to a temporary in the same folder, synced, renamed. On any
// error (kIo: unwritable folder, a directory in the way, full disk) an earlier file is left whole and the temporary is
// removed; the message names the path and the reason of the operating system.
Status write_file_atomically(const std::filesystem::path& path, std::initializer_list<std::string_view> parts);

// Ok if write_file_atomically(path) could succeed now: `path` is no directory, its folder exists and lets us create a
// file. Lets a program refuse before hours of work.
Status check_writable(const std::filesystem::path& path);

// The whole file. kIo if it cannot be read or is no regular file (a directory, say).
Expected<std::string> read_file(const std::filesystem::path& path);

// Whether there is an entry at `path`. Only "no such entry" counts as absent. Errors, kIo: a link, at the end of the
// path or on the way, that leads nowhere (named with its target); a file where the path needs a folder; what the
// operating system refuses to look at.
Expected<bool> is_present(const std::filesystem::path& path);

// Ok if nothing is at `path`, not even a dangling link; else kInvalidArgument.
Status check_absent(const std::filesystem::path& path);

// A folder that others see when it is complete, or never: its files are written into a temporary beside it, which goes
// with this object unless finish() gave it its name.
class NewFolder {
 public:
  // Errors: those of check_absent(final_path); kIo.
  static Expected<NewFolder> create(const std::filesystem::path& final_path);
  NewFolder(NewFolder&& other) noexcept;
  NewFolder& operator=(NewFolder&&) = delete;
  ~NewFolder();

  // The temporary.
  const std::filesystem::path& path() const noexcept { return path_; }

  // Errors: those of create(), for what has come to be there in the meantime.
  Status finish();

 private:
  NewFolder(std::filesystem::path path, std::filesystem::path final_path);
  std::filesystem::path path_;  // empty: finished
  std::filesystem::path final_path_;
};

// The folder's own name as UTF-8, also of "." and "model/", links resolved. Empty for the root.
std::string folder_name(const std::filesystem::path& folder);

}  // namespace hccs

#endif  // HCCS_FILE_H_
