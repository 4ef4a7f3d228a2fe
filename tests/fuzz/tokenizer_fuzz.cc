// SPDX-License-Identifier: Apache-2.0
//
// Two bytes of options, then the vocabulary, NUL, a text, NUL and a second text, which may hold NULs.
#include <algorithm>
#include <limits>

#include "hccs/tokenizer.h"
#include "scratch.h"

namespace hccs::fuzz {
namespace {

void check_encoding(const WordPieceTokenizer& tokenizer, const Encoding& encoding, int64_t max_length) {
  check(std::ssize(encoding.ids) <= max_length, "at most max_length ids");
  check(encoding.untruncated_size >= std::ssize(encoding.ids), "cutting makes a text shorter");
  check(std::all_of(encoding.ids.begin(), encoding.ids.end(),
                    [&](int32_t id) { return id >= 0 && id < tokenizer.vocabulary_size(); }),
        "every id is in the vocabulary");
}

void encode(const WordPieceTokenizer& tokenizer, std::string_view first, std::string_view second, int64_t max_length) {
  const Encoding whole = tokenizer.encode(first, std::numeric_limits<int64_t>::max());
  check_encoding(tokenizer, whole, std::numeric_limits<int64_t>::max());
  check(!whole.truncated() && whole.ids.size() >= 2, "a text has a beginning and an end");
  const Encoding cut = tokenizer.encode(first, max_length);
  check_encoding(tokenizer, cut, max_length);
  check(cut.untruncated_size == whole.untruncated_size, "the size without the limit does not depend on it");
  check(cut.ids.back() == whole.ids.back() && std::equal(cut.ids.begin(), cut.ids.end() - 1, whole.ids.begin()),
        "a text that is cut is a beginning of the text");

  const int64_t pair_length = std::max<int64_t>(max_length, 3);
  const Encoding pair = tokenizer.encode_pair(first, second, pair_length);
  check_encoding(tokenizer, pair, pair_length);
  check(pair.second_begin && *pair.second_begin >= 2 && *pair.second_begin < std::ssize(pair.ids),
        "a pair says where its second text begins");
}

}  // namespace
}  // namespace hccs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hccs::fuzz;
  std::string_view input = text_of(data, size);
  const uint8_t options = take_byte(input);
  const int64_t max_length = 2 + take_byte(input);
  // Most vocabularies have what every vocabulary needs.
  std::string vocabulary = options % 4 == 0 ? "" : "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  vocabulary += take_part(input);
  const auto tokenizer =
      hccs::WordPieceTokenizer::load(scratch().put("vocab.txt", vocabulary), {.lower_case = options / 4 % 2 == 0});
  if (!accepted(tokenizer.status())) return 0;
  const std::string_view first = take_part(input);
  encode(*tokenizer, first, input, max_length);
  return 0;
}
