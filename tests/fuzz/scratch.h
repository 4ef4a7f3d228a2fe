// SPDX-License-Identifier: Apache-2.0
//
// What the fuzzers share: a folder for the files that the readers are given, and checks that end the process.
#ifndef HCCS_TESTS_FUZZ_SCRATCH_H_
#define HCCS_TESTS_FUZZ_SCRATCH_H_

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "hccs/status.h"

namespace hccs::fuzz {

// Ends the process unless `holds`.
inline void check(bool holds, std::string_view rule) {
  if (holds) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(rule.size()), rule.data());
  std::abort();
}

// An error must say something; success is for the caller to look into.
inline bool accepted(const Status& status) {
  check(status.ok() || !status.message().empty(), "an error has a message");
  check(status.code() != StatusCode::kOutOfMemory, "a small file needs little memory");
  return status.ok();
}

// A folder in memory where there is one, removed at the end of the process.
class Scratch {
 public:
  Scratch() {
    std::error_code error;
    const std::filesystem::path memory = "/dev/shm";
    std::string name =
        ((std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path()) /
         "hccs-fuzz-XXXXXX")
            .string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  const std::filesystem::path& folder() const { return folder_; }

  std::filesystem::path put(std::string_view name, std::string_view content) const {
    std::filesystem::path path = folder_ / name;
    std::ofstream stream(path, std::ios::binary);
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    stream.close();
    if (!stream) std::abort();
    return path;
  }

 private:
  std::filesystem::path folder_;
};

inline const Scratch& scratch() {
  static const Scratch folder;
  return folder;
}

// Takes apart an input of several parts: what comes before the next NUL, or all that is left.
inline std::string_view take_part(std::string_view& input) {
  const std::string_view part = input.substr(0, input.find('\0'));
  input.remove_prefix(part.size() == input.size() ? part.size() : part.size() + 1);
  return part;
}

// The first byte, 0 if there is none.
inline uint8_t take_byte(std::string_view& input) {
  if (input.empty()) return 0;
  const auto byte = static_cast<uint8_t>(input.front());
  input.remove_prefix(1);
  return byte;
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace hccs::fuzz

#endif  // HCCS_TESTS_FUZZ_SCRATCH_H_
