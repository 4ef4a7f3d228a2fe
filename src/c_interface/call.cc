// SPDX-License-Identifier: Apache-2.0
#include "c_interface/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>

namespace hccs::internal {
namespace {

constexpr size_t kMostStructBytes = 4096;
constexpr std::string_view kCut = "...";

// Whether a text may be cut before `byte`: not within a character of UTF-8.
bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

// The text and a 0 byte. What has no room is left out of the middle: a message begins with a path and ends with a rule.
void copy(std::string_view text, std::span<char> out) {
  const size_t room = out.size() - 1;
  if (text.size() > room) {
    size_t head = (room - kCut.size()) / 2;
    size_t tail = text.size() - (room - kCut.size() - head);
    while (head > 0 && !begins_character(text[head])) --head;
    while (tail < text.size() && !begins_character(text[tail])) ++tail;
    char* end = std::copy_n(text.begin(), head, out.begin().base());
    end = std::copy(kCut.begin(), kCut.end(), end);
    *std::copy(text.begin() + static_cast<std::ptrdiff_t>(tail), text.end(), end) = '\0';
    return;
  }
  *std::copy(text.begin(), text.end(), out.data()) = '\0';
}

static_assert(static_cast<int>(StatusCode::kOk) == HCCS_OK);
static_assert(static_cast<int>(StatusCode::kInvalidArgument) == HCCS_INVALID_ARGUMENT);
static_assert(static_cast<int>(StatusCode::kBadData) == HCCS_BAD_DATA);
static_assert(static_cast<int>(StatusCode::kMismatch) == HCCS_MISMATCH);
static_assert(static_cast<int>(StatusCode::kUnsupported) == HCCS_UNSUPPORTED);
static_assert(static_cast<int>(StatusCode::kIo) == HCCS_IO);
static_assert(static_cast<int>(StatusCode::kCancelled) == HCCS_CANCELLED);
static_assert(static_cast<int>(StatusCode::kOutOfMemory) == HCCS_OUT_OF_MEMORY);

}  // namespace

hccs_code report(const Status& result, hccs_status* status) noexcept {
  const auto code = static_cast<hccs_code>(result.code());
  if (status != nullptr) {
    status->code = code;
    copy(result.message(), status->message);
  }
  return code;
}

Status check_not_null(std::initializer_list<Argument> arguments) {
  for (const Argument& argument : arguments) {
    if (argument.pointer == nullptr) return invalid(fmt::format("{} is NULL", argument.name));
  }
  return {};
}

Expected<size_t> struct_size(const void* given, size_t first_size, std::string_view name) {
  HCCS_RETURN_IF_ERROR(check_not_null({{name, given}}));
  size_t size = 0;
  std::memcpy(&size, given, sizeof(size));
  if (size < first_size || size > kMostStructBytes) {
    return invalid(
        fmt::format("{}: struct_size = {}, but the structure has {} to {} bytes: begin with "
                    "hccs_..._default(), or set it to sizeof",
                    name, size, first_size, kMostStructBytes));
  }
  return size;
}

Status check_unknown(const void* given, size_t size, size_t known, std::string_view name) {
  const auto* const bytes = static_cast<const unsigned char*>(given);
  for (size_t i = known; i < size; ++i) {
    if (bytes[i] != 0) {
      return {StatusCode::kUnsupported,
              fmt::format("{}: struct_size = {}, and byte {} is set, but this library, {}, knows {} bytes", name, size,
                          i, kVersion, known)};
    }
  }
  return {};
}

}  // namespace hccs::internal

extern "C" {

const char* hccs_code_name(hccs_code code) {
  return hccs::name(static_cast<hccs::StatusCode>(code)).data();  // of a literal, so that a 0 byte follows
}

const char* hccs_version(void) { return hccs::kVersion; }

}  // extern "C"
