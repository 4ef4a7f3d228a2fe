// SPDX-License-Identifier: Apache-2.0
//
// Element types that cross the ports of a graph, and how a value of each is read from and written to text.
#ifndef ADF_TYPES_H_
#define ADF_TYPES_H_

#include <cxxabi.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>

#include "aie_api/types.hpp"
#include "aie_host/stop.h"

using int64 = std::int64_t;
using uint64 = std::uint64_t;

namespace adf {

enum class direction { in, out, inout };
inline constexpr direction input = direction::in;
inline constexpr direction output = direction::out;
inline constexpr direction inout = direction::inout;

// What the host needs and the ADF interface does not have.
namespace host {

[[noreturn]] inline void fail(const std::string& message) { throw aie_host::Error(message); }

inline std::string demangle(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? name.get() : type.name();
}

inline std::string count(std::size_t n, std::string_view noun) {
  return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

struct ElementType {
  std::string name;
  unsigned bytes;
  const std::type_info* type;
  bool (*parse)(std::string_view token, void* value);  // false: the token is no value of this type
  void (*format)(const void* value, std::string& text);
};

template <typename T>
bool parse_element(std::string_view token, void* value) {
  if constexpr (std::is_integral_v<T>) {
    return std::from_chars(token.data(), token.data() + token.size(), *static_cast<T*>(value)) ==
           std::from_chars_result{token.data() + token.size(), std::errc{}};
  } else {
    float real = 0;
    const auto result = std::from_chars(token.data(), token.data() + token.size(), real);
    *static_cast<T*>(value) = static_cast<T>(real);
    return result == std::from_chars_result{token.data() + token.size(), std::errc{}};
  }
}

// Integers in decimal; real types as the shortest decimal that reads back as the same float.
template <typename T>
void format_element(const void* value, std::string& text) {
  char digits[64];
  const T element = *static_cast<const T*>(value);
  std::to_chars_result end{};
  if constexpr (std::is_integral_v<T>) {
    end = std::to_chars(digits, digits + sizeof digits, element);
  } else {
    end = std::to_chars(digits, digits + sizeof digits, static_cast<float>(element));
  }
  text.append(digits, end.ptr);
}

template <typename T>
std::string element_name() {
  if constexpr (std::is_integral_v<T>) {
    return (std::is_signed_v<T> ? "int" : "uint") + std::to_string(8 * sizeof(T));
  } else {
    return demangle(typeid(T));
  }
}

template <typename T>
const ElementType& element_type() {
  static const ElementType type{element_name<T>(), sizeof(T), &typeid(T), parse_element<T>, format_element<T>};
  return type;
}

}  // namespace host
}  // namespace adf

#endif  // ADF_TYPES_H_
