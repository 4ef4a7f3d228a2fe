// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TESTS_FORMATS_TEMPORARY_FOLDER_H_
#define HCCS_TESTS_FORMATS_TEMPORARY_FOLDER_H_

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/status.h"

namespace hccs::test {

namespace fs = std::filesystem;

// A test with a folder of its own, removed afterwards.
class WithFolder : public ::testing::Test {
 protected:
  WithFolder() {
    std::string name = (fs::temp_directory_path() / "hccs-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
  }
  ~WithFolder() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  const fs::path& folder() const { return folder_; }

  // Plain, unlike the code under test.
  fs::path put(const std::string& name, std::string_view content) const {
    fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    fs::remove(path);  // some file systems sync a file that is truncated and written again
    std::ofstream stream(path, std::ios::binary);
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    if (!stream.flush()) std::abort();
    return path;
  }

  static std::string get(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }

 private:
  fs::path folder_;
};

// What `run` returns in a process of its own, for which limits may be set.
inline std::string in_child(const std::function<std::string()>& run) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t child = ::fork();
  if (child < 0) return "no child";
  if (child == 0) {
    const std::string report = run();
    const bool written = ::write(ends[1], report.data(), report.size()) == static_cast<ssize_t>(report.size());
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  std::string report(4096, '\0');
  report.resize(static_cast<size_t>(std::max<ssize_t>(0, ::read(ends[0], report.data(), report.size()))));
  ::close(ends[0]);
  int exit_status = 0;
  return ::waitpid(child, &exit_status, 0) == child && exit_status == 0 ? report : "the child failed: " + report;
}

// A Status with that code whose message holds each part.
inline ::testing::AssertionResult fails(const Status& status, StatusCode code, const std::vector<std::string>& parts) {
  if (status.code() != code) {
    return ::testing::AssertionFailure() << "code " << name(status.code()) << ", wanted " << name(code)
                                         << "; message: " << status.message();
  }
  for (const std::string& part : parts) {
    if (status.message().find(part) == std::string::npos) {
      return ::testing::AssertionFailure() << "no \"" << part << "\" in: " << status.message();
    }
  }
  return ::testing::AssertionSuccess();
}

template <class T>
::testing::AssertionResult fails(const Expected<T>& result, StatusCode code, const std::vector<std::string>& parts) {
  return fails(result.status(), code, parts);
}

}  // namespace hccs::test

#endif  // HCCS_TESTS_FORMATS_TEMPORARY_FOLDER_H_
