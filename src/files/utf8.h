// SPDX-License-Identifier: Apache-2.0
//
// Text is UTF-8 where it enters, or it does not enter: read in another encoding it would be other words.
#ifndef HCCS_FILES_UTF8_H_
#define HCCS_FILES_UTF8_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "hccs/status.h"

namespace hccs::internal {

// Ok if `text` is UTF-8 without NUL bytes. Otherwise kBadData, which begins with `where`, gives line, offset and byte,
// and names the likely encoding: UTF-16 or UTF-32 (by its byte order mark or its zero bytes), or Windows-1252.
Status check_utf8(std::string_view text, std::string_view where);

// `text` without the byte order mark that some programs put before UTF-8.
std::string_view without_byte_order_mark(std::string_view text) noexcept;

// A whole file as UTF-8, without a byte order mark. Errors: those of read_file() and check_utf8().
Expected<std::string> read_utf8_file(const std::filesystem::path& path);

// For messages: in double quotes, shortened, in such a way that texts which differ look different. Characters that are
// not to be seen (control characters, all blanks but the space, U+FEFF and its like) are escaped as in JSON; so are
// accents that stand for themselves, as they could be part of the letter before; bytes that are not UTF-8 are \xHH.
std::string in_quotes(std::string_view text);

// `text` with U+FFFD for every byte that is not UTF-8.
std::string to_valid_utf8(std::string_view text);

}  // namespace hccs::internal

#endif  // HCCS_FILES_UTF8_H_
