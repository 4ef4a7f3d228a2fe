// SPDX-License-Identifier: Apache-2.0
//
// encode_lines VOCABULARY uncased|cased: texts in, token ids out, for compare_tokenizers.py. Texts may hold any byte,
// so both streams are binary, little-endian: a uint32 count of bytes, then the text; a uint32 count of ids, then int32
// ids.
#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>

#include "hccs/tokenizer.h"

int main(int argc, char** argv) {
  const std::string_view mode = argc == 3 ? argv[2] : "";
  if (mode != "uncased" && mode != "cased") {
    std::fputs("usage: encode_lines VOCABULARY uncased|cased\n", stderr);
    return 2;
  }
  const auto tokenizer = hccs::WordPieceTokenizer::load(argv[1], {.lower_case = mode == "uncased"});
  if (!tokenizer) {
    std::fprintf(stderr, "encode_lines: %s\n", tokenizer.status().message().c_str());
    return 1;
  }
  uint32_t size = 0;
  std::string text;
  while (std::fread(&size, sizeof size, 1, stdin) == 1) {
    text.resize(size);
    if (std::fread(text.data(), 1, size, stdin) != size) {
      std::fputs("encode_lines: the last text is cut off\n", stderr);
      return 1;
    }
    const auto ids = tokenizer->encode(text, std::numeric_limits<int64_t>::max()).ids;
    size = static_cast<uint32_t>(ids.size());
    std::fwrite(&size, sizeof size, 1, stdout);
    std::fwrite(ids.data(), sizeof ids[0], ids.size(), stdout);
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
