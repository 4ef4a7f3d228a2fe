// SPDX-License-Identifier: Apache-2.0
#include "files/descriptor.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <system_error>

namespace hccs::internal {
namespace {

namespace fs = std::filesystem;

// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: a pointer is a text of less than 1024 bytes.
constexpr std::string_view kLfsVersion = "version https://git-lfs.github.com/spec/v1\n";
constexpr std::string_view kLfsSize = "\nsize ";
constexpr size_t kLfsPointerBytes = 1024;

Status check_no_lfs_pointer(const OpenedFile& file, const fs::path& path) {
  if (file.size < kLfsVersion.size() || file.size >= kLfsPointerBytes) return {};
  std::array<char, kLfsPointerBytes> bytes;
  const ssize_t got = ::pread(file.descriptor.get(), bytes.data(), file.size, 0);
  const std::string_view text(bytes.data(), got > 0 ? static_cast<size_t>(got) : 0);
  if (!text.starts_with(kLfsVersion)) return {};
  std::string_view size;
  if (const size_t found = text.find(kLfsSize); found != std::string_view::npos) {
    size = text.substr(found + kLfsSize.size());
    size = size.substr(0, size.find_first_not_of("0123456789"));
  }
  return {StatusCode::kBadData, fmt::format("{}: a Git LFS pointer, not the file itself ({} bytes): fetch it with `git "
                                            "lfs pull`, or download it",
                                            path.string(), size.empty() ? "?" : size)};
}

}  // namespace

Status io_error(const std::filesystem::path& path, std::string_view action, int error_number) {
  return {error_number == ENOMEM ? StatusCode::kOutOfMemory : StatusCode::kIo,
          fmt::format("{}: cannot {}: {}", path.string(), action, std::generic_category().message(error_number))};
}

int Descriptor::close() noexcept {
  const int fd = std::exchange(fd_, -1);
  return fd >= 0 && ::close(fd) != 0 && errno != EINTR ? errno : 0;
}

Expected<OpenedFile> open_regular_file(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  OpenedFile file{Descriptor(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC))};
  if (file.descriptor.get() < 0) {
    const int error = errno;
    HCCS_RETURN_IF_ERROR(check_links(path));
    return io_error(path, "open", error);
  }
  struct stat info {};
  if (::fstat(file.descriptor.get(), &info) != 0) return io_error(path, "read", errno);
  if (S_ISDIR(info.st_mode)) return io_error(path, "read", EISDIR);
  if (!S_ISREG(info.st_mode)) {
    return Status(StatusCode::kIo, fmt::format("{}: cannot read: it is no regular file", path.string()));
  }
  file.size = static_cast<uint64_t>(info.st_size);
  HCCS_RETURN_IF_ERROR(check_no_lfs_pointer(file, path));
  return file;
}

Status check_links(const fs::path& path) {
  fs::path way;
  for (const fs::path& part : path) {
    way /= part;
    std::error_code error;
    if (!fs::is_symlink(way, error)) continue;
    if (fs::exists(way, error)) continue;
    std::error_code unreadable;
    const fs::path target = fs::read_symlink(way, unreadable);
    const std::string why = error ? error.message() : "nothing is there";
    return {StatusCode::kIo, way == path ? fmt::format("{}: a link to {}, but {}", path.string(), target.string(), why)
                                         : fmt::format("{}: {} is a link to {}, but {}", path.string(), way.string(),
                                                       target.string(), why)};
  }
  return {};
}

Expected<size_t> read_up_to(const OpenedFile& file, const std::filesystem::path& path, std::span<std::byte> buffer) {
  size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::read(file.descriptor.get(), buffer.data() + done, buffer.size() - done);
    if (got < 0 && errno != EINTR) return io_error(path, "read", errno);
    if (got == 0) break;
    if (got > 0) done += static_cast<size_t>(got);
  }
  return done;
}

}  // namespace hccs::internal
