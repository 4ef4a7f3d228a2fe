// SPDX-License-Identifier: Apache-2.0
//
// Differential fuzzer: bytes choose parameters, shape, strides, masks and rows; every target must equal the reference.
// `make fuzz` runs it with libFuzzer, starting from tests/softmax/corpus.
#include <cstdio>
#include <cstdlib>

#include "softmax_case.h"

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
  const auto input = choose.one_in(2) ? hccs::CaseInput::kSums : hccs::CaseInput::kLogits;
  const hccs::SoftmaxCase c = hccs::choose_case(
      choose, {.keys = keys, .heads = choose.between(1, 3), .queries = choose.between(1, 20), .input = input});
  for (const std::string_view target : hccs::targets()) {
    if (const auto found = hccs::difference(c, target)) {
      std::fprintf(stderr, "%s\n", found->c_str());
      std::abort();
    }
  }
  return 0;
}
