// SPDX-License-Identifier: Apache-2.0
#include "formats/added_tokens.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <utility>

namespace hccs::internal {
namespace {

// The regular expressions' \w: letters, marks, decimal digits, connectors and joiners.
bool is_word_character(UChar32 c) {
  return u_isUAlphabetic(c) != 0 || (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) != 0;
}

UChar32 first_character(std::string_view text, size_t* size) {
  UChar32 c = 0;
  int32_t i = 0;
  U8_NEXT_OR_FFFD(text.data(), i, static_cast<int32_t>(std::min<size_t>(text.size(), U8_MAX_LENGTH)), c);
  *size = static_cast<size_t>(i);
  return c;
}

UChar32 last_character(std::string_view text, size_t* size) {
  const std::string_view end = text.substr(text.size() - std::min<size_t>(text.size(), U8_MAX_LENGTH));
  UChar32 c = 0;
  auto i = static_cast<int32_t>(end.size());
  U8_PREV_OR_FFFD(end.data(), 0, i, c);
  *size = end.size() - static_cast<size_t>(i);
  return c;
}

}  // namespace

void AddedTokenFinder::add(AddedToken token) {
  std::vector<size_t>& rivals = by_first_byte_[static_cast<uint8_t>(token.content.front())];
  const size_t size = token.content.size();
  const auto place =
      std::find_if(rivals.begin(), rivals.end(), [&](size_t rival) { return tokens_[rival].content.size() < size; });
  rivals.insert(place, tokens_.size());
  tokens_.push_back(std::move(token));
}

const AddedToken* AddedTokenFinder::longest_at(std::string_view text) const {
  for (const size_t candidate : by_first_byte_[static_cast<uint8_t>(text.front())]) {
    if (text.starts_with(tokens_[candidate].content)) return &tokens_[candidate];
  }
  return nullptr;
}

bool AddedTokenFinder::starts_with_word(std::string_view text) {
  size_t size = 0;
  return !text.empty() && is_word_character(first_character(text, &size));
}

bool AddedTokenFinder::ends_with_word(std::string_view text) {
  size_t size = 0;
  return !text.empty() && is_word_character(last_character(text, &size));
}

size_t AddedTokenFinder::white_space_at_start(std::string_view text) {
  size_t done = 0;
  for (size_t size = 0; done < text.size(); done += size) {
    if (u_isUWhiteSpace(first_character(text.substr(done), &size)) == 0) break;
  }
  return done;
}

size_t AddedTokenFinder::white_space_at_end(std::string_view text) {
  size_t left = text.size();
  for (size_t size = 0; left > 0; left -= size) {
    if (u_isUWhiteSpace(last_character(text.substr(0, left), &size)) == 0) break;
  }
  return text.size() - left;
}

}  // namespace hccs::internal
