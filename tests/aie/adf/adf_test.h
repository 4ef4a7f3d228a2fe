// SPDX-License-Identifier: Apache-2.0
//
// What the tests of ADF share: files in a folder of the test's own, a kernel, and messages that must name what went
// wrong.
#ifndef HCCS_TESTS_AIE_ADF_ADF_TEST_H_
#define HCCS_TESTS_AIE_ADF_ADF_TEST_H_

#include <adf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

namespace adf_test {

class Files;

// The files of the test that runs, for its graphs.
inline const Files* files = nullptr;

// A fixture with its own folder, which goes with it.
class Files : public testing::Test {
 protected:
  Files() : folder_(std::filesystem::temp_directory_path() / ("hccs-adf-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    files = this;
  }
  ~Files() override {
    files = nullptr;
    std::filesystem::remove_all(folder_);
  }

 public:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
    return path(name);
  }
  // The values from, from + 1, ... of type T, so many to a line.
  std::string write_range(const std::string& name, int from, int n, int per_line) const {
    std::ostringstream text;
    for (int i = 0; i < n; ++i) text << from + i << ((i + 1) % per_line == 0 ? '\n' : ' ');
    return write(name, text.str());
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::vector<int> read_values(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istream_iterator<int>(file), {}};
  }

 private:
  std::filesystem::path folder_;
};

// A kernel for graphs of any kind: blocks of four, times a number.
template <int kFactor>
void scale(adf::input_buffer<int32, adf::extents<4>>& in, adf::output_buffer<int32, adf::extents<4>>& out) {
  for (unsigned i = 0; i < in.size(); ++i) out.data()[i] = kFactor * in.data()[i];
}

// `action` must stop with a message that contains all of `parts`.
template <typename Action>
void expect_stop(Action action, std::initializer_list<std::string> parts) {
  try {
    action();
    FAIL() << "did not stop";
  } catch (const aie_host::Error& error) {
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << "no '" << part << "' in: " << error.what();
    }
  }
}

}  // namespace adf_test

#endif  // HCCS_TESTS_AIE_ADF_ADF_TEST_H_
