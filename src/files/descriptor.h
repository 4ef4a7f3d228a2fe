// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_FILES_DESCRIPTOR_H_
#define HCCS_FILES_DESCRIPTOR_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "hccs/status.h"

namespace hccs::internal {

// kIo, or kOutOfMemory for ENOMEM: "PATH: cannot ACTION: what errno means".
Status io_error(const std::filesystem::path& path, std::string_view action, int error_number);

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const noexcept { return fd_; }
  int close() noexcept;  // 0 or errno: a write error may surface only here

 private:
  int fd_;
};

struct OpenedFile {
  Descriptor descriptor;
  uint64_t size = 0;
};

// Opens a regular file for reading. kIo for anything else; the message names a link on the way that leads nowhere.
// kBadData for a Git LFS pointer, which stands for a file that was not fetched.
Expected<OpenedFile> open_regular_file(const std::filesystem::path& path);

// Ok unless a link in `path` leads nowhere; else kIo with the link and its target.
Status check_links(const std::filesystem::path& path);

// Resizes a container to the `size` bytes that a file is to fill. kOutOfMemory where there is no memory for them: sizes
// come from files, so the message names the size.
template <class Bytes>
Status allocate(const std::filesystem::path& path, uint64_t size, Bytes& bytes) {
  try {
    bytes.resize(size);
  } catch (const std::exception&) {  // bad_alloc, length_error
    return io_error(path, "read: " + std::to_string(size) + " bytes", ENOMEM);
  }
  return {};
}

// Reads until `buffer` is full or the file ends; the number of bytes read.
Expected<size_t> read_up_to(const OpenedFile& file, const std::filesystem::path& path, std::span<std::byte> buffer);

}  // namespace hccs::internal

#endif  // HCCS_FILES_DESCRIPTOR_H_
