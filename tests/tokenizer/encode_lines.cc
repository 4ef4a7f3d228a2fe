// SPDX-License-Identifier: Apache-2.0
//
// encode_lines VOCABULARY uncased|cased [LENGTH], or encode_lines FOLDER folder for the tokeniser that a model's folder
// describes: texts in, token ids out, for compare_tokenizers.py. Texts may hold any byte, so both streams are binary,
// little-endian: a uint32 count of bytes, then the text; a uint32 count of ids, then int32 ids. With LENGTH two texts
// are a pair, cut to so many tokens, and before its ids comes where the second begins.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "formats/model_folder_parts.h"
#include "hccs/tokenizer.h"

int main(int argc, char** argv) {
  const std::string_view mode = argc == 3 || argc == 4 ? argv[2] : "";
  const int64_t pair_length = argc == 4 ? std::atoll(argv[3]) : 0;
  if ((mode != "uncased" && mode != "cased" && mode != "folder") || (argc == 4 && pair_length < 3)) {
    std::fputs("usage: encode_lines VOCABULARY uncased|cased [LENGTH]\n       encode_lines FOLDER folder\n", stderr);
    return 2;
  }
  const auto tokenizer = [&]() -> hccs::Expected<hccs::WordPieceTokenizer> {
    if (mode != "folder") return hccs::WordPieceTokenizer::load(argv[1], {.lower_case = mode == "uncased"});
    HCCS_ASSIGN_OR_RETURN(auto files, hccs::internal::read_tokenizer_files(argv[1], hccs::internal::Json::object(), 2));
    return std::move(files.tokenizer);
  }();
  if (!tokenizer) {
    std::fprintf(stderr, "encode_lines: %s\n", tokenizer.status().message().c_str());
    return 1;
  }
  const auto read = [](std::string& text) {
    uint32_t size = 0;
    if (std::fread(&size, sizeof size, 1, stdin) != 1) return false;
    text.resize(size);
    if (std::fread(text.data(), 1, size, stdin) == size) return true;
    std::fputs("encode_lines: the last text is cut off\n", stderr);
    std::exit(1);
  };
  const auto write = [](const hccs::Encoding& encoding) {
    const auto size = static_cast<uint32_t>(encoding.ids.size());
    std::fwrite(&size, sizeof size, 1, stdout);
    std::fwrite(encoding.ids.data(), sizeof encoding.ids[0], encoding.ids.size(), stdout);
  };
  std::string text;
  std::string second;
  while (read(text)) {
    if (pair_length == 0) {
      write(tokenizer->encode(text, std::numeric_limits<int64_t>::max()));
    } else if (read(second)) {
      const hccs::Encoding pair = tokenizer->encode_pair(text, second, pair_length);
      const auto begin = static_cast<uint32_t>(pair.second_begin.value_or(0));
      std::fwrite(&begin, sizeof begin, 1, stdout);
      write(pair);
    }
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}
