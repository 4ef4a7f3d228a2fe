// SPDX-License-Identifier: Apache-2.0
//
// What every function of the C interface does: errors and exceptions become a code and a message, and structures are
// read as far as the caller's version of them goes.
#ifndef HCCS_SRC_C_INTERFACE_CALL_H_
#define HCCS_SRC_C_INTERFACE_CALL_H_

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/hccs.h"
#include "hccs/reference.h"
#include "hccs/status.h"
#include "hccs/version.h"

namespace hccs::internal {

// Whether a text may be cut before `byte`: not within a character of UTF-8.
inline bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

// The text and a 0 byte. What has no room is left out of the middle: a message begins with a path and ends with a rule.
inline void copy_message(std::string_view text, std::span<char> out) {
  constexpr std::string_view kCut = "...";
  const size_t room = out.size() - 1;
  if (text.size() > room) {
    size_t head = (room - kCut.size()) / 2;
    size_t tail = text.size() - (room - kCut.size() - head);
    while (head > 0 && !begins_character(text[head])) --head;
    while (tail < text.size() && !begins_character(text[tail])) ++tail;
    char* end = std::copy_n(text.begin(), head, out.data());
    end = std::copy(kCut.begin(), kCut.end(), end);
    *std::copy(text.begin() + static_cast<std::ptrdiff_t>(tail), text.end(), end) = '\0';
    return;
  }
  *std::copy(text.begin(), text.end(), out.data()) = '\0';
}

// Writes `result` to *status, unless that is null, and returns its code. Inline, as check_not_null() is: libraries of
// the model have C functions too, and the shared library shows public symbols alone.
inline hccs_code report(const Status& result, hccs_status* status) noexcept {
  const auto code = static_cast<hccs_code>(result.code());
  if (status != nullptr) {
    status->code = code;
    copy_message(result.message(), status->message);
  }
  return code;
}

// The C structure is read as the C++ one.
static_assert(sizeof(hccs_rescale) == sizeof(Rescale) && offsetof(hccs_rescale, shift) == offsetof(Rescale, shift));

inline Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// Runs `f`, which returns a Status. `what` begins the message about an exception.
template <class F>
hccs_code call(std::string_view what, hccs_status* status, const F& f) noexcept {
  try {
    return report(f(), status);
  } catch (...) {
    return report(status_of_exception(what), status);
  }
}

// Ok, or kInvalidArgument that names the first argument that is null.
struct Argument {
  std::string_view name;
  const void* pointer = nullptr;
};
inline Status check_not_null(std::initializer_list<Argument> arguments) {
  for (const Argument& argument : arguments) {
    if (argument.pointer == nullptr) return invalid(fmt::format("{} is NULL", argument.name));
  }
  return {};
}

// The size that the caller's structure begins with. `first_size`: of the structure in the first version of this
// interface. Errors: kInvalidArgument for null, or a size that is none.
Expected<size_t> struct_size(const void* given, size_t first_size, std::string_view name);

// Ok, or kUnsupported if one of the bytes that this library does not know is not 0.
Status check_unknown(const void* given, size_t size, size_t known, std::string_view name);

// The caller's structure; fields that its version lacks are 0.
template <class T>
Expected<T> read_struct(const T* given, size_t first_size, std::string_view name) {
  HCCS_ASSIGN_OR_RETURN(const size_t size, struct_size(given, first_size, name));
  HCCS_RETURN_IF_ERROR(check_unknown(given, size, sizeof(T), name));
  T known{};
  std::memcpy(&known, given, std::min(size, sizeof(T)));
  return known;
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_C_INTERFACE_CALL_H_
