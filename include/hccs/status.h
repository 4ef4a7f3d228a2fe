// SPDX-License-Identifier: Apache-2.0
//
// Errors are values. The library never prints or exits, and whatever can fail returns a Status or an Expected<T>, whose
// message carries the value and the rule it broke. Such a function throws nothing: running out of memory is
// kOutOfMemory, and what a callback of the caller throws becomes a Status too. A function that returns a plain value (a
// name, a text's tokens) has no way to fail but to find no memory for that value; only then std::bad_alloc passes. One
// mistake of a program is fatal: using the value of an Expected that has none prints its error and aborts.
#ifndef HCCS_STATUS_H_
#define HCCS_STATUS_H_

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "hccs/export.h"

namespace HCCS_API hccs {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument,  // the caller passed a value that breaks a documented rule
  kBadData,          // a file's content breaks its format
  kMismatch,         // two valid inputs do not belong together (parameters of another model, ...)
  kUnsupported,      // valid, but outside what this library implements
  kIo,               // the operating system refused: open, read, write, sync, rename, start a thread
  kCancelled,        // the caller's progress callback asked to stop
  kOutOfMemory,      // there is no memory for what the call needs
};

// "invalid argument", "bad data", ...: for logs and tests. Never null.
constexpr std::string_view name(StatusCode code) noexcept {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kInvalidArgument:
      return "invalid argument";
    case StatusCode::kBadData:
      return "bad data";
    case StatusCode::kMismatch:
      return "mismatch";
    case StatusCode::kUnsupported:
      return "unsupported";
    case StatusCode::kIo:
      return "i/o error";
    case StatusCode::kCancelled:
      return "cancelled";
    case StatusCode::kOutOfMemory:
      return "out of memory";
  }
  return "unknown";
}

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {
    assert(code != StatusCode::kOk);
  }

  bool ok() const noexcept { return code_ == StatusCode::kOk; }
  StatusCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }  // empty when ok

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

namespace internal {
// Writes the error to stderr and aborts.
[[noreturn]] void abort_without_value(const Status& error) noexcept;
}  // namespace internal

// A T, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Expected(Status error) : state_(std::in_place_index<1>, std::move(error)) {  // NOLINT(google-explicit-constructor)
    assert(!std::get<1>(state_).ok());
  }

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  // Precondition: ok(). Without it, in every build, the error is written to stderr and the program aborts.
  T& value() & noexcept {
    require_value();
    return *std::get_if<0>(&state_);
  }
  const T& value() const& noexcept {
    require_value();
    return *std::get_if<0>(&state_);
  }
  T&& value() && noexcept { return std::move(value()); }
  T& operator*() & noexcept { return value(); }
  const T& operator*() const& noexcept { return value(); }
  T&& operator*() && noexcept { return std::move(*this).value(); }
  T* operator->() noexcept { return &value(); }
  const T* operator->() const noexcept { return &value(); }

  // The error; ok() is Status().
  Status status() const { return ok() ? Status() : *std::get_if<1>(&state_); }

 private:
  void require_value() const noexcept {
    if (const Status* error = std::get_if<1>(&state_); error != nullptr) internal::abort_without_value(*error);
  }

  std::variant<T, Status> state_;
};

}  // namespace hccs

// Returns from the enclosing function if `expr` is an error Status.
#define HCCS_RETURN_IF_ERROR(expr)                              \
  do {                                                          \
    if (::hccs::Status hccs_error = (expr); !hccs_error.ok()) { \
      return hccs_error;                                        \
    }                                                           \
  } while (false)

// HCCS_ASSIGN_OR_RETURN(auto x, f()): x = the value of f(), or returns its error. Several statements: not for the body
// of an `if` without braces.
#define HCCS_ASSIGN_OR_RETURN(lhs, expr) HCCS_ASSIGN_OR_RETURN_(lhs, expr, HCCS_CONCAT_(hccs_expected_, __LINE__))
#define HCCS_ASSIGN_OR_RETURN_(lhs, expr, tmp) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) {                             \
    return tmp.status();                       \
  }                                            \
  lhs = std::move(tmp).value()
#define HCCS_CONCAT_(a, b) HCCS_CONCAT_2_(a, b)
#define HCCS_CONCAT_2_(a, b) a##b

#endif  // HCCS_STATUS_H_
