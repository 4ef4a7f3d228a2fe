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
#include <string>
#include <string_view>
#include <vector>

#include "hccs/status.h"

namespace hccs {

// A token that is looked for in the text itself, before WordPiece sees what is between such tokens.
struct AddedToken {
  std::string content;  // not empty
  int32_t id = 0;       // may be beyond the vocabulary
  bool single_word = false;
  bool lstrip = false;  // also takes the white space before it
  bool rstrip = false;
  bool normalized = false;  // looked for in the normalised text, its content normalised too
};

struct TokenizerOptions {
  bool lower_case = true;
  std::optional<bool> strip_accents{};  // not said: as lower_case, like BERT's uncased models
  bool separate_ideographs = true;      // each Chinese character is a word
  bool pair_types = true;               // the second text of a pair has token type 1
  // [UNK], [CLS], [SEP], [PAD] and [MASK] need not be listed, unless they have one of AddedToken's properties.
  std::vector<AddedToken> added_tokens{};
};

struct Encoding {
  std::vector<int32_t> ids;      // [CLS] ... [SEP], or of two texts [CLS] ... [SEP] ... [SEP]
  int64_t untruncated_size = 0;  // what ids.size() would have been without the limit
  // Of two texts: where the second begins (token type 1 from there on); none where all tokens have type 0.
  std::optional<int64_t> second_begin{};
  bool truncated() const noexcept { return untruncated_size > static_cast<int64_t>(ids.size()); }
};

class WordPieceTokenizer {
 public:
  // Reads a vocab.txt: one token a line, its id the line's number from 0. Errors: kIo; kBadData for an empty file, a
  // duplicate token, or a missing [UNK], [CLS], [SEP] or [PAD].
  static Expected<WordPieceTokenizer> load(const std::filesystem::path& vocabulary, TokenizerOptions options = {});

  // The same from the tokens themselves, by id. `where` begins messages. Errors: kBadData as above; kUnsupported for an
  // added token that normalisation empties.
  static Expected<WordPieceTokenizer> make(std::vector<std::string> tokens, const std::string& where,
                                           TokenizerOptions options = {});

  // Any bytes are accepted: what is not UTF-8 reads as U+FFFD (dropped by BERT's clean-up). The names of the special
  // tokens in the text ([MASK], ...) and added tokens become those tokens, as in `tokenizers`. Words over 100
  // characters are [UNK]. At most max_length ids, 2 or more, special tokens included; the encoding says how many there
  // would have been. Thread-safe.
  Encoding encode(std::string_view text, int64_t max_length) const;

  // Two texts as one sequence, 3 ids or more at most: `max_length` >= 3. Where they do not fit, the longer one loses
  // its last tokens first, as in `tokenizers`' "longest_first".
  Encoding encode_pair(std::string_view first, std::string_view second, int64_t max_length) const;

  int64_t vocabulary_size() const noexcept;  // ids: the vocabulary's and those of added tokens beyond it

  // What it was made of.
  const std::vector<std::string>& tokens() const noexcept;
  const TokenizerOptions& options() const noexcept;

  // Identifies all that ids depend on: options, vocabulary, added tokens.
  std::string digest() const;

 private:
  struct Data;
  explicit WordPieceTokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

}  // namespace hccs

#endif  // HCCS_TOKENIZER_H_
