// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_FILE_H_
#define HCCS_FILE_H_

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "hccs/status.h"

namespace hccs {

// Replaces `path` by the concatenated parts: written to a temporary in the same folder, synced, renamed. On any
// error (kIo: unwritable folder, a directory in the way, full disk) an earlier file is left whole and the temporary is
// removed; the message names the path and the reason of the operating system.
Status write_file_atomically(const std::filesystem::path& path, std::initializer_list<std::string_view> parts);

// Ok if write_file_atomically(path) could succeed now: `path` is no directory, its folder exists and lets us create a
// file. Lets a program refuse before hours of work.
Status check_writable(const std::filesystem::path& path);

// The whole file. kIo if it cannot be read or is no regular file (a directory, say).
Expected<std::string> read_file(const std::filesystem::path& path);

// The folder's own name as UTF-8, also of "." and "model/", links resolved. Empty for the root.
std::string folder_name(const std::filesystem::path& folder);

}  // namespace hccs

#endif  // HCCS_FILE_H_
