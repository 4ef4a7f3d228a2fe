// SPDX-License-Identifier: Apache-2.0
//
// Errors of the library as Python's exceptions, with the library's message.
#ifndef HCCS_PYTHON_STATUS_H_
#define HCCS_PYTHON_STATUS_H_

#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include "hccs/status.h"

namespace hccs::python {

// hccs.Cancelled: the caller's progress callback returned False.
class Cancelled : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// ValueError with this message.
[[noreturn]] void refuse(const std::string& message);
// TypeError with this message.
[[noreturn]] void refuse_type(const std::string& message);

// Nothing for Ok. MemoryError for kOutOfMemory, hccs.Cancelled for kCancelled; for kIo FileNotFoundError where `path`
// is not there and OSError otherwise; ValueError for everything else.
void check(const Status& status, const std::filesystem::path& path = {});

// The value, or the error as an exception.
template <class T>
T value_of(Expected<T> expected, const std::filesystem::path& path = {}) {
  check(expected.status(), path);
  return std::move(*expected);
}

}  // namespace hccs::python

#endif  // HCCS_PYTHON_STATUS_H_
