// SPDX-License-Identifier: Apache-2.0
//
// Tokens that are looked for in a text as they are, before WordPiece sees the rest: what `tokenizers` calls added
// tokens.
#ifndef HCCS_FORMATS_ADDED_TOKENS_H_
#define HCCS_FORMATS_ADDED_TOKENS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/tokenizer.h"

namespace hccs::internal {

class AddedTokenFinder {
 public:
  // Looks for token.content; among tokens of one content the first added wins. It must not be empty.
  void add(AddedToken token);

  bool empty() const noexcept { return tokens_.empty(); }

  // Calls on_text(piece) for what is between tokens, where that is not empty, and on_token(id) for each, in order. The
  // leftmost token is taken, of those that begin there the longest. A single_word token inside a word is passed over;
  // lstrip and rstrip take the white space beside a token.
  template <class OnText, class OnToken>
  void split(std::string_view text, const OnText& on_text, const OnToken& on_token) const {
    size_t done = 0;
    for (size_t i = 0; i < text.size();) {
      const AddedToken* token = longest_at(text.substr(i));
      if (token == nullptr) {
        ++i;
        continue;
      }
      size_t begin = i;
      size_t end = i += token->content.size();
      if (token->single_word && (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) continue;
      if (token->lstrip) begin = std::max(done, begin - white_space_at_end(text.substr(0, begin)));
      if (token->rstrip) end += white_space_at_start(text.substr(end));
      if (done < begin) on_text(text.substr(done, begin - done));
      on_token(token->id);
      done = end;
    }
    if (done < text.size()) on_text(text.substr(done));
  }

 private:
  const AddedToken* longest_at(std::string_view text) const;
  static bool ends_with_word(std::string_view text);
  static bool starts_with_word(std::string_view text);
  static size_t white_space_at_end(std::string_view text);
  static size_t white_space_at_start(std::string_view text);

  std::vector<AddedToken> tokens_;
  std::array<std::vector<size_t>, 256> by_first_byte_;  // longest first
};

}  // namespace hccs::internal

#endif  // HCCS_FORMATS_ADDED_TOKENS_H_
