// SPDX-License-Identifier: Apache-2.0
//
// The BERT tokeniser: normalisation (control characters, CJK spacing, NFD, accent stripping, lower case), splitting at
// white space and punctuation, then WordPiece. Token ids equal those of Hugging Face's `tokenizers`.
// Source: Devlin et al., arXiv 1810.04805, and https://github.com/huggingface/tokenizers.
#ifndef HCCS_TOKENIZER_H_
#define HCCS_TOKENIZER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "hccs/status.h"

namespace hccs {

struct TokenizerOptions {
  bool lower_case = true;  // also strips accents, as BERT's uncased models do
};

struct Encoding {
  std::vector<int32_t> ids;               // [CLS] ... [SEP], or of two texts [CLS] ... [SEP] ... [SEP]
  int64_t untruncated_size = 0;           // what ids.size() would have been without the limit
  std::optional<int64_t> second_begin{};  // of two texts: where the second begins (token type 1 from there on)
  bool truncated() const noexcept { return untruncated_size > static_cast<int64_t>(ids.size()); }
};

class WordPieceTokenizer {
 public:
  // Reads a vocab.txt: one token a line, its id the line's number from 0. Errors: kIo; kBadData for an empty file, a
  // duplicate token, or a missing [UNK], [CLS], [SEP] or [PAD].
  static Expected<WordPieceTokenizer> load(const std::filesystem::path& vocabulary, TokenizerOptions options = {});

  // Any bytes are accepted: what is not UTF-8 reads as U+FFFD (dropped by BERT's clean-up). The names of
  // the special tokens in the text ([MASK], ...) become those tokens, as in `tokenizers`. Words over 100 characters are
  // [UNK]. At most max_length ids, 2 or more, special tokens included; the encoding says how many there would have
  // been. Thread-safe.
  Encoding encode(std::string_view text, int64_t max_length) const;

  // Two texts as one sequence, 3 ids or more at most: `max_length` >= 3. Where they do not fit, the longer one loses
  // its last tokens first, as in `tokenizers`' "longest_first".
  Encoding encode_pair(std::string_view first, std::string_view second, int64_t max_length) const;

  int64_t vocabulary_size() const noexcept;

 private:
  struct Data;
  explicit WordPieceTokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

}  // namespace hccs

#endif  // HCCS_TOKENIZER_H_
