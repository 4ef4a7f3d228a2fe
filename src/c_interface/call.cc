// SPDX-License-Identifier: Apache-2.0
#include "c_interface/call.h"

#include <fmt/format.h>

#include <cstddef>

namespace hccs::internal {
namespace {

constexpr size_t kMostStructBytes = 4096;

static_assert(static_cast<int>(StatusCode::kOk) == HCCS_OK);
static_assert(static_cast<int>(StatusCode::kInvalidArgument) == HCCS_INVALID_ARGUMENT);
static_assert(static_cast<int>(StatusCode::kBadData) == HCCS_BAD_DATA);
static_assert(static_cast<int>(StatusCode::kMismatch) == HCCS_MISMATCH);
static_assert(static_cast<int>(StatusCode::kUnsupported) == HCCS_UNSUPPORTED);
static_assert(static_cast<int>(StatusCode::kIo) == HCCS_IO);
static_assert(static_cast<int>(StatusCode::kCancelled) == HCCS_CANCELLED);
static_assert(static_cast<int>(StatusCode::kOutOfMemory) == HCCS_OUT_OF_MEMORY);

}  // namespace

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
