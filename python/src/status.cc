// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include <nanobind/nanobind.h>

#include <system_error>

namespace hccs::python {

namespace nb = nanobind;

void refuse(const std::string& message) { throw nb::value_error(message.c_str()); }
void refuse_type(const std::string& message) { throw nb::type_error(message.c_str()); }

namespace {

[[noreturn]] void raise(PyObject* type, const std::string& message) {
  PyErr_SetString(type, message.c_str());
  throw nb::python_error();
}

}  // namespace

void check(const Status& status, const std::filesystem::path& path) {
  switch (status.code()) {
    case StatusCode::kOk:
      return;
    case StatusCode::kOutOfMemory:
      raise(PyExc_MemoryError, status.message());
    case StatusCode::kCancelled:
      throw Cancelled(status.message());
    case StatusCode::kIo: {
      std::error_code ignored;
      const bool absent = !path.empty() && !std::filesystem::exists(path, ignored);
      raise(absent ? PyExc_FileNotFoundError : PyExc_OSError, status.message());
    }
    case StatusCode::kInvalidArgument:
    case StatusCode::kBadData:
    case StatusCode::kMismatch:
    case StatusCode::kUnsupported:
      break;
  }
  refuse(status.message());
}

}  // namespace hccs::python
