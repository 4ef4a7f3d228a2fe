// SPDX-License-Identifier: Apache-2.0
#include "tasks/visible_text.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace hccs::internal {
namespace {

constexpr UChar32 kReplacement = 0xFFFD;

// The character at `position`, which moves on; negative for a byte that is not UTF-8, which is then one alone.
UChar32 next_character(std::string_view text, size_t& position) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(text.data()) + position;
  // A character has at most four bytes.
  const auto size = static_cast<int32_t>(std::min<size_t>(text.size() - position, U8_MAX_LENGTH));
  int32_t taken = 0;
  UChar32 c = 0;
  U8_NEXT(bytes, taken, size, c);
  position += c < 0 ? 1 : static_cast<size_t>(taken);
  return c;
}

}  // namespace

std::string visible_text(std::string_view text) {
  std::string kept;
  size_t size = 0;  // of `kept` up to its last character that is no blank
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const UChar32 c = next_character(text, position);
    const bool blank = c >= 0 && u_isUWhiteSpace(c) != 0;
    if (blank && kept.empty()) continue;
    if (c >= 0 && !blank && u_isgraph(c) == 0) continue;
    if (blank) {
      kept += ' ';
    } else {
      kept += text.substr(begin, position - begin);
      size = kept.size();
    }
  }
  kept.resize(size);
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return kept;
  std::string composed;
  icu::StringByteSink<std::string> sink(&composed);
  nfc->normalizeUTF8(0, icu::StringPiece(kept.data(), static_cast<int32_t>(kept.size())), sink, nullptr, error);
  return U_FAILURE(error) ? kept : composed;
}

std::string folded_case(std::string_view text) {
  std::string folded;
  for (size_t position = 0; position < text.size();) {
    const UChar32 c = next_character(text, position);
    std::array<uint8_t, U8_MAX_LENGTH> bytes;
    int32_t size = 0;
    U8_APPEND_UNSAFE(bytes, size, c < 0 ? kReplacement : u_foldCase(c, U_FOLD_CASE_DEFAULT));
    folded.append(bytes.begin(), bytes.begin() + size);
  }
  return folded;
}

}  // namespace hccs::internal
