// SPDX-License-Identifier: Apache-2.0
//
// Differential fuzzer: bytes choose parameters, shape, strides, masks and rows; every target must equal the reference.
// `make fuzz` runs it with libFuzzer, starting from tests/softmax/corpus.
#include <cstdio>
#include <cstdlib>

#include "softmax_case.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hccs::ByteChoices choose(data, size);
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
