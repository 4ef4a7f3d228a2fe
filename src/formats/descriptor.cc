// SPDX-License-Identifier: Apache-2.0
#include "formats/descriptor.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

namespace hccs::internal {

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
  if (file.descriptor.get() < 0) return io_error(path, "open", errno);
  struct stat info {};
  if (::fstat(file.descriptor.get(), &info) != 0) return io_error(path, "read", errno);
  if (S_ISDIR(info.st_mode)) return io_error(path, "read", EISDIR);
  if (!S_ISREG(info.st_mode)) {
    return Status(StatusCode::kIo, fmt::format("{}: cannot read: it is no regular file", path.string()));
  }
  file.size = static_cast<uint64_t>(info.st_size);
  return file;
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
