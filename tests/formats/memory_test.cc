// SPDX-License-Identifier: Apache-2.0
//
// Hostile files cost no more memory than a small multiple of their size. Each is read in a process of its own, whose
// peak says what it took.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

#include "hccs/model_folder.h"
#include "hccs/npy.h"
#include "hccs/param_file.h"
#include "hccs/safetensors.h"
#include "temporary_folder.h"

#if defined(__SANITIZE_ADDRESS__)
#define HCCS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HCCS_SANITIZED 1
#endif
#endif

namespace hccs {
namespace {

namespace fs = test::fs;

constexpr size_t kHeaderBytes = 24'000'000;
constexpr size_t kFormatLimit = 100'000'000;
// Pages of code and of the C++ library that a reader touches first in its process, whatever the file.
constexpr double kProgramBytes = 8'000'000;

int64_t peak_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

class MemoryTest : public test::WithFolder {
 protected:
  void SetUp() override {
#ifdef HCCS_SANITIZED
    GTEST_SKIP() << "AddressSanitizer's own memory is not the library's";
#endif
  }

  // The file: `before`, then unit(0), unit(1), ... as far as there is one and `size` bytes go, then `after`. Written as
  // it is made, so that it is never in this process's memory.
  fs::path write(size_t size, std::string_view before, const std::function<std::string(size_t)>& unit,
                 std::string_view after, bool safetensors) const {
    fs::path path = folder() / "hostile";
    std::ofstream stream(path, std::ios::binary);
    uint64_t length = 0;
    if (safetensors) stream.write(reinterpret_cast<const char*>(&length), sizeof length);
    stream << before;
    length = before.size() + after.size();
    for (size_t i = 0;; ++i) {
      const std::string text = unit(i);
      if (text.empty() || length + text.size() > size) break;
      stream << text;
      length += text.size();
    }
    stream << after;
    if (safetensors) {
      stream.seekp(0);
      stream.write(reinterpret_cast<const char*>(&length), sizeof length);
    }
    EXPECT_TRUE(stream.flush().good());
    return path;
  }

  // Reads the file in a child and compares its peak with `multiple` times the file, beside the program's own pages.
  // Returns the code and the message.
  static std::string read(const fs::path& path, const std::function<Status()>& reader, double multiple) {
    const auto size = static_cast<double>(fs::file_size(path));
    return test::in_child([&] {
      const int64_t before = peak_bytes();
      const Status status = reader();
      const auto used = static_cast<double>(peak_bytes() - before);
      std::string told = fmt::format("{} {}", name(status.code()), status.message());
      if (used <= kProgramBytes + multiple * size) return told;
      return fmt::format("{:.0f} bytes for a file of {:.0f} (at most {:.0f} and {} times the file): {}", used, size,
                         kProgramBytes, multiple, told);
    });
  }

  static std::string open_safetensors(const fs::path& path, double multiple) {
    return read(
        path, [&] { return Safetensors::open(path).status(); }, multiple);
  }
};

std::string tiny_tensor(size_t i) {
  return fmt::format(R"(,"{:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", i);
}

bool begins_with(const std::string& text, std::string_view start) { return text.starts_with(start); }

TEST_F(MemoryTest, AHeaderOfTinyTensorsAtTheLimitOfTheFormat) {
  const fs::path path = write(kFormatLimit, R"({"__metadata__":{})", tiny_tensor, "}", true);
  EXPECT_PRED2(begins_with, open_safetensors(path, 6), "ok");
}

TEST_F(MemoryTest, AHeaderWithOneLongShape) {
  const auto one = [](size_t) { return "1,"; };
  const fs::path path =
      write(kHeaderBytes, R"({"a":{"dtype":"U8","shape":[)", one, R"(1],"data_offsets":[0,0]}})", true);
  const std::string told = open_safetensors(path, 3);
  EXPECT_PRED2(begins_with, told, "bad data");
  EXPECT_NE(told.find("more than 100000 values in \"a\""), told.npos) << told;
}

TEST_F(MemoryTest, AHeaderOfLongShapes) {
  const auto tensor = [](size_t i) {
    std::string dimensions;
    for (int d = 0; d < 10'000; ++d) dimensions += "1,";
    return fmt::format(R"(,"{:x}":{{"dtype":"U8","shape":[{}0],"data_offsets":[0,0]}})", i, dimensions);
  };
  const fs::path path = write(kHeaderBytes, R"({"__metadata__":{})", tensor, "}", true);
  EXPECT_PRED2(begins_with, open_safetensors(path, 6), "ok");
}

TEST_F(MemoryTest, AHeaderOfMetadata) {
  const auto entry = [](size_t i) { return fmt::format(R"("{:x}":"",)", i); };
  const fs::path path = write(kHeaderBytes, R"({"__metadata__":{)", entry, R"("":""}})", true);
  const std::string told = open_safetensors(path, 3);
  EXPECT_PRED2(begins_with, told, "bad data");
  EXPECT_NE(told.find("in \"__metadata__\""), told.npos) << told;
}

TEST_F(MemoryTest, AHeaderWithOneLongString) {
  const auto letters = [](size_t) { return std::string(1000, 'x'); };
  const fs::path path = write(kHeaderBytes, R"({"__metadata__":{"a":")", letters, R"("}})", true);
  EXPECT_PRED2(begins_with, open_safetensors(path, 8), "ok");
}

TEST_F(MemoryTest, AHeaderOfEmptyContainers) {
  for (const char* unit : {"[],", "{},", "[[[[[[[[[]]]]]]]]],", R"({"":{"":{"":{"":{"":[]}}}}},)", "0,", "\"\","}) {
    const fs::path path = write(
        kHeaderBytes, R"({"a":[)", [&](size_t) { return std::string(unit); }, "0]}", true);
    EXPECT_PRED2(begins_with, open_safetensors(path, 3), "bad data") << unit;
  }
}

TEST_F(MemoryTest, AHeaderThatIsNested) {
  for (const char* unit : {"[", R"({"a":)"}) {
    const fs::path path = write(
        kHeaderBytes, R"({"a":)", [&](size_t) { return std::string(unit); }, "", true);
    const std::string told = open_safetensors(path, 2);
    EXPECT_NE(told.find("nested deeper than 64 levels"), told.npos) << told;
  }
}

TEST_F(MemoryTest, AParameterFileThatSaysItHasAMillionHeads) {
  const std::string start = R"({"format":"hccs-params","version":1,"model":"m","layers":1000,"heads":1000,)"
                            R"("head_dimension":0,"sequence_length":64,"knees":1,"limits":"native","share":"head",)"
                            R"("seed":0,"data_digest":"","parameters":[)";
  const auto none = [](size_t) { return std::string(); };
  const auto zeros = [](size_t i) { return i < 1'000'000 ? "0," : ""; };
  for (const bool empty : {true, false}) {
    const fs::path path =
        empty ? write(kHeaderBytes, start, none, "]}", false) : write(kHeaderBytes, start, zeros, "0]}", false);
    const std::string told = test::in_child([&] {
      const int64_t before = peak_bytes();
      const Status status = read_param_file(path).status();
      const auto used = static_cast<double>(peak_bytes() - before);
      return fmt::format("{} {}", used < kProgramBytes, status.message());
    });
    EXPECT_PRED2(begins_with, told, "true ");
    const std::string rule = empty ? "layer 0, head 0 is missing: 1000000 of 1000000 heads" : "parameters[0]: 0, but";
    EXPECT_NE(told.find(rule), told.npos) << told;
  }

  const auto head = [](size_t i) {
    return fmt::format(R"({}{{"layer":{},"head":{},"B":100,"knees":[[0,1]],"step":1,"kl":0,"kl_continuous":0,"rows":0,)"
                       R"("max_probability":0,"default":false}})",
                       i == 0 ? "" : ",", i / 1000, i % 1000);
  };
  size_t written = 0;
  const auto a_million = [&](size_t i) { return written = i, i < 1'000'000 ? head(i) : std::string(); };
  const fs::path whole = write(2 * kFormatLimit, start, a_million, "]}", false);
  ASSERT_EQ(written, 1'000'000U);
  EXPECT_PRED2(begins_with,
               read(
                   whole, [&] { return read_param_file(whole).status(); }, 4),
               "ok");
}

TEST_F(MemoryTest, JsonFilesOfManyValues) {
  for (const char* unit : {"[],", "{},", "0,", R"({"a":0},)"}) {
    const auto units = [&](size_t) { return std::string(unit); };
    const fs::path params = write(kHeaderBytes, R"({"parameters":[[)", units, "0]]}", false);
    EXPECT_PRED2(begins_with,
                 read(
                     params, [&] { return read_param_file(params).status(); }, 4),
                 "bad data")
        << unit;
    const fs::path config = write(kHeaderBytes, R"({"architectures":[)", units, "0]}", false);
    const std::string told = read(
        config, [&] { return read_bert_config(config).status(); }, 12);
    EXPECT_PRED2(begins_with, told, "bad data") << unit;
    EXPECT_NE(told.find("more than 2000000 values"), told.npos) << told;
  }
}

// A file of version 2.0 that ends with its header.
std::string npy_file(const std::string& header) {
  std::string file = "\x93NUMPY\x02";
  file += '\0';
  const auto length = static_cast<uint32_t>(header.size());
  return file.append(reinterpret_cast<const char*>(&length), sizeof length).append(header);
}

TEST_F(MemoryTest, AnArrayThatSaysItIsLarge) {
  const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }";
  const auto path = put("large.npy", npy_file(header));
  EXPECT_PRED2(begins_with,
               read(
                   path, [&] { return read_npy(path).status(); }, 1),
               "bad data");
}

TEST_F(MemoryTest, AnArrayWithALongHeader) {
  for (const char* unit : {" ", "'", "1,", "("}) {
    std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
    while (header.size() < 1'000'000) header += unit;
    const auto path = put("long.npy", npy_file(header));
    EXPECT_PRED2(begins_with,
                 read(
                     path, [&] { return read_npy(path).status(); }, 4),
                 "bad data")
        << unit;
  }
}

}  // namespace
}  // namespace hccs
