// SPDX-License-Identifier: Apache-2.0
#include "hccs/file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <random>
#include <system_error>

#include "contract/exceptions.h"
#include "files/descriptor.h"
#include "files/json.h"

namespace hccs {
namespace {

using internal::allocate;
using internal::Descriptor;
using internal::io_error;
using internal::open_regular_file;
using internal::OpenedFile;
using internal::read_up_to;
using internal::to_valid_utf8;

constexpr int kMaxLinks = 40;  // as many as Linux follows
constexpr int kMaxNameAttempts = 100;

// Where a new version of a file goes. Everything is relative to the opened folder, so that a folder renamed meanwhile
// does no harm.
struct Target {
  std::filesystem::path path;  // symbolic links resolved
  Descriptor folder;
  std::string file_name;
  std::optional<mode_t> mode;  // of the file to be replaced
};

// Follows links at the end of `path`, also to a file that does not exist yet.
Expected<std::filesystem::path> resolve_links(const std::filesystem::path& path) {
  std::filesystem::path resolved = path;
  for (int links = 0; links <= kMaxLinks; ++links) {
    std::error_code error;
    const std::filesystem::path next = std::filesystem::read_symlink(resolved, error);
    if (error) return resolved;  // no link, or nothing there
    resolved = resolved.parent_path() / next;
  }
  return io_error(path, "write", ELOOP);
}

Expected<Target> open_target(const std::filesystem::path& path) {
  HCCS_ASSIGN_OR_RETURN(std::filesystem::path resolved, resolve_links(path));
  if (resolved.empty()) return io_error(path, "write", ENOENT);
  std::string file_name = resolved.filename().string();
  if (file_name.empty() || file_name == "." || file_name == "..") return io_error(path, "write", EISDIR);
  const std::filesystem::path folder_path = resolved.has_parent_path() ? resolved.parent_path() : ".";
  Descriptor folder(::open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return io_error(path, fmt::format("write: folder '{}'", folder_path.string()), errno);

  std::optional<mode_t> mode;
  struct stat info {};
  if (::fstatat(folder.get(), file_name.c_str(), &info, 0) == 0) {
    if (S_ISDIR(info.st_mode)) return io_error(path, "write", EISDIR);
    // Renaming over /dev/null or a pipe would destroy it.
    if (!S_ISREG(info.st_mode)) {
      return Status(StatusCode::kIo, fmt::format("{}: cannot write: it is no regular file", path.string()));
    }
    if (::faccessat(folder.get(), file_name.c_str(), W_OK, AT_EACCESS) != 0) return io_error(path, "write", errno);
    mode = info.st_mode & 07777;
  } else if (errno != ENOENT) {
    return io_error(path, "write", errno);
  }
  return Target{std::move(resolved), std::move(folder), std::move(file_name), mode};
}

// A new file in the target's folder, removed at the end of its life unless it took the target's place.
class Temporary {
 public:
  static Expected<Temporary> create(const Target& target) {
    std::random_device random;
    for (int attempt = 0; attempt < kMaxNameAttempts; ++attempt) {
      // Short, so that any legal name of a target leaves room; random, so that what killed programs left is in no way.
      std::string file_name = fmt::format(".hccs-{:08x}{:08x}.tmp", random(), random());
      const int fd = ::openat(target.folder.get(), file_name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd >= 0) return Temporary(target.folder.get(), std::move(file_name), Descriptor(fd));
      if (errno != EEXIST) break;
    }
    return io_error(target.path, "create a temporary file beside it", errno);
  }

  Temporary(Temporary&& other) noexcept
      : folder_(other.folder_),
        file_name_(std::exchange(other.file_name_, {})),
        descriptor_(std::move(other.descriptor_)) {}
  Temporary& operator=(Temporary&&) = delete;
  ~Temporary() {
    if (!file_name_.empty()) ::unlinkat(folder_, file_name_.c_str(), 0);
  }

  int descriptor() const noexcept { return descriptor_.get(); }
  int close() noexcept { return descriptor_.close(); }

  int rename_to(const std::string& file_name) noexcept {
    if (::renameat(folder_, file_name_.c_str(), folder_, file_name.c_str()) != 0) return errno;
    file_name_.clear();
    return 0;
  }

 private:
  Temporary(int folder, std::string file_name, Descriptor descriptor)
      : folder_(folder), file_name_(std::move(file_name)), descriptor_(std::move(descriptor)) {}

  int folder_;
  std::string file_name_;
  Descriptor descriptor_;
};

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace

Status write_file_atomically(const std::filesystem::path& path, std::initializer_list<std::string_view> parts) try {
  HCCS_ASSIGN_OR_RETURN(const Target target, open_target(path));
  HCCS_ASSIGN_OR_RETURN(Temporary temporary, Temporary::create(target));
  // Before the first byte: the content of a private file is never public.
  if (target.mode && ::fchmod(temporary.descriptor(), *target.mode) != 0) return io_error(path, "set the mode", errno);
  for (std::string_view part : parts) {
    if (const int error = write_all(temporary.descriptor(), part); error != 0) return io_error(path, "write", error);
  }
  if (::fsync(temporary.descriptor()) != 0) return io_error(path, "sync", errno);
  if (const int error = temporary.close(); error != 0) return io_error(path, "close", error);
  if (const int error = temporary.rename_to(target.file_name); error != 0) return io_error(path, "replace", error);
  // Some file systems cannot sync a folder and say EINVAL; the rename has happened all the same.
  if (::fsync(target.folder.get()) != 0 && errno != EINVAL) return io_error(path, "sync the folder", errno);
  return {};
} catch (...) {
  return internal::status_of_exception(path.native());
}

Status check_writable(const std::filesystem::path& path) try {
  HCCS_ASSIGN_OR_RETURN(const Target target, open_target(path));
  return Temporary::create(target).status();
} catch (...) {
  return internal::status_of_exception(path.native());
}

Expected<std::string> read_file(const std::filesystem::path& path) try {
  HCCS_ASSIGN_OR_RETURN(const OpenedFile file, open_regular_file(path));
  std::string content;
  HCCS_RETURN_IF_ERROR(allocate(path, file.size, content));
  HCCS_ASSIGN_OR_RETURN(const size_t size, read_up_to(file, path, std::as_writable_bytes(std::span(content))));
  content.resize(size);
  return content;
} catch (...) {
  return internal::status_of_exception(path.native());
}

Expected<bool> is_present(const std::filesystem::path& path) try {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status entry = fs::symlink_status(path, error);
  HCCS_RETURN_IF_ERROR(internal::check_links(path));
  if (entry.type() == fs::file_type::none) return io_error(path, "look", error.value());
  if (entry.type() != fs::file_type::not_found) return true;
  // "Not found" also covers a file on the way.
  const fs::path parent = path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  if (parent.empty() || parent == path) return false;
  HCCS_ASSIGN_OR_RETURN(const bool in_something, is_present(parent));
  if (in_something && !fs::is_directory(parent, error)) return io_error(parent, "look into it", ENOTDIR);
  return false;
} catch (...) {
  return internal::status_of_exception(path.native());
}

std::string folder_name(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::canonical(folder, error);
  return to_valid_utf8((error ? folder : canonical).filename().string());
}

}  // namespace hccs
