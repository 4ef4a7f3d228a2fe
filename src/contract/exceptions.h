// SPDX-License-Identifier: Apache-2.0
//
// Where exceptions end. The standard library, oneDNN and callers' callbacks throw; a public function that can fail
// catches that at its end and returns it as a Status:
//
//   Expected<T> load(const std::filesystem::path& path) try {
//     ...
//   } catch (...) {
//     return internal::status_of_exception(path.native());
//   }
#ifndef HCCS_SRC_CONTRACT_EXCEPTIONS_H_
#define HCCS_SRC_CONTRACT_EXCEPTIONS_H_

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "hccs/status.h"

namespace hccs::internal {

// kOutOfMemory: "WHAT: out of memory"; "out of memory" alone if there is none for the message either.
inline Status out_of_memory(std::string_view what) noexcept {
  try {
    return {StatusCode::kOutOfMemory, std::string(what) + ": out of memory"};
  } catch (const std::exception&) {
    return {StatusCode::kOutOfMemory, "out of memory"};  // short enough to need no allocation
  }
}

// The exception that is being handled. Memory that cannot be had is kOutOfMemory; what the operating system refuses
// (to start a thread, say) is kIo; any other exception comes from a callback of the caller and is kInvalidArgument.
// `what` begins the message. To be called in a handler only.
inline Status status_of_exception(std::string_view what) noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return out_of_memory(what);
    } catch (const std::length_error&) {  // more elements than a container can have
      return out_of_memory(what);
    } catch (const std::system_error& error) {
      return {StatusCode::kIo, std::string(what) + ": " + error.what()};
    } catch (const std::exception& error) {
      return {StatusCode::kInvalidArgument, std::string(what) + ": " + error.what()};
    } catch (...) {
      return {StatusCode::kInvalidArgument, std::string(what) + ": an exception of a type that is none of std"};
    }
  } catch (const std::exception&) {  // of making the message
    return out_of_memory(what);
  }
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_CONTRACT_EXCEPTIONS_H_
