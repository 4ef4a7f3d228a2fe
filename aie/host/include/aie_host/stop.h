// SPDX-License-Identifier: Apache-2.0
//
// How the host reports a kernel's mistake: what a device would silently get wrong stops here.
#ifndef AIE_HOST_STOP_H_
#define AIE_HOST_STOP_H_

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "aie_host/tile.h"

namespace aie_host {

// what(): "tile 'T', kernel 'K': the rule that was broken". Not caught, it ends the program with that message.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Stops the running kernel: throws Error with the tile's and the kernel's name before `message`.
[[noreturn]] inline void stop(const std::string& message) {
  const Tile& tile = current_tile();
  throw Error("tile '" + tile.name + "', kernel '" + (tile.kernel.empty() ? "(none)" : tile.kernel) + "': " + message);
}

// An address as messages show it.
inline std::string format_address(std::uintptr_t address) {
  char text[2 + 2 * sizeof(void*) + 1];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return text;
}
inline std::string format_address(const void* address) {
  return format_address(reinterpret_cast<std::uintptr_t>(address));
}

}  // namespace aie_host

#endif  // AIE_HOST_STOP_H_
