// SPDX-License-Identifier: Apache-2.0
//
// Differential fuzzer: bytes choose parameters, shape, strides, masks and rows; every target must equal the reference.
// `make fuzz` runs it with libFuzzer for a minute, starting from tests/softmax/corpus. Built without libFuzzer
// (HCCS_REPLAY), it replays the folders and files that it is given.
#include <cstdio>
#include <cstdlib>

#include "softmax_case.h"

#ifdef HCCS_REPLAY
#include <filesystem>
#include <fstream>
#include <iterator>
#endif

namespace {

// Choices out of the input's bytes; zeros when they run out.
class ByteChoices final : public hccs::Choices {
 public:
  ByteChoices(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  int64_t below(int64_t bound) override {
    uint64_t value = 0;
    for (int64_t range = bound - 1; range > 0; range >>= 8) {
      value = value << 8 | (size_ > 0 ? *data_ : 0);
      if (size_ > 0) {
        ++data_;
        --size_;
      }
    }
    return static_cast<int64_t>(value % static_cast<uint64_t>(bound));
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ByteChoices choose(data, size);
  const int64_t keys = choose.one_in(4) ? choose.between(1, 600) : choose.between(1, 80);
  const hccs::SoftmaxCase c =
      hccs::choose_case(choose, {.keys = keys, .heads = choose.between(1, 3), .queries = choose.between(1, 20)});
  for (const std::string_view target : hccs::targets()) {
    if (const auto found = hccs::difference(c, target)) {
      std::fprintf(stderr, "%s\n", found->c_str());
      std::abort();
    }
  }
  return 0;
}

#ifdef HCCS_REPLAY
int main(int argc, char** argv) {
  int replayed = 0;
  const auto replay = [&](const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++replayed;
  };
  for (int i = 1; i < argc; ++i) {
    if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) replay(entry.path());
    } else {
      replay(argv[i]);
    }
  }
  std::printf("replayed %d inputs\n", replayed);
  return replayed > 0 ? 0 : 1;
}
#endif
