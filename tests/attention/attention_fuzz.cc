// SPDX-License-Identifier: Apache-2.0
//
// Differential fuzzer: bytes choose parameters, shape, strides, masks and rows of attention; every target must equal
// the reference. `make fuzz` runs it with libFuzzer, starting from tests/attention/corpus.
#include <cstdio>
#include <cstdlib>

#include "attention_case.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hccs::ByteChoices choose(data, size);
  hccs::AttentionShape shape;
  shape.keys = choose.one_in(4) ? choose.between(1, 300) : choose.between(1, 80);
  shape.texts = choose.between(1, 2);
  shape.key_heads = choose.between(1, 2);
  shape.query_heads = shape.key_heads * choose.between(1, 3);
  shape.queries = choose.between(1, 9);
  shape.head_dimension = choose.one_in(4) ? choose.between(1, 512) : choose.between(1, 70);
  shape.value_dimension = choose.one_in(4) ? choose.between(1, 512) : choose.between(1, 70);
  const hccs::AttentionCase c = hccs::choose_attention_case(choose, shape);
  hccs::AttentionOutputs expected;
  if (const auto error = hccs::expected_outputs(c, expected)) {
    std::fprintf(stderr, "%s\n", error->c_str());
    std::abort();
  }
  for (const std::string_view target : hccs::attention_targets()) {
    if (const auto found = hccs::difference(c, expected, target)) {
      std::fprintf(stderr, "%s\n", found->c_str());
      std::abort();
    }
  }
  return 0;
}
