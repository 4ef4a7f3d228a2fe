// SPDX-License-Identifier: Apache-2.0
//
// Checks of vector loads and stores against the memory that a tile has.
#ifndef AIE_HOST_MEMORY_H_
#define AIE_HOST_MEMORY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "aie_host/stop.h"
#include "aie_host/tile.h"

namespace aie_host {

// Registers `bytes` bytes from `begin` under `name`. From the first region on, every access that check_access sees
// on this tile must lie within one region: whatever a kernel touches with vectors (scratch and constants too) has to
// be registered.
inline void add_region(Tile& tile, const void* begin, std::size_t bytes, std::string name, bool writable) {
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  tile.regions.push_back({first, first + bytes, std::move(name), writable});
}

// Removes the region that was last registered with this first byte, if there is one.
inline void remove_region(Tile& tile, const void* begin) {
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  const auto it = std::find_if(tile.regions.rbegin(), tile.regions.rend(),
                               [first](const Region& region) { return region.begin == first; });
  if (it != tile.regions.rend()) tile.regions.erase(std::next(it).base());
}

// Whether [address, address + bytes) lies within one region of the current tile, a writable one for a write. Always on
// a tile without regions.
inline bool is_accessible(const void* address, std::size_t bytes, bool write) {
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  const Tile& tile = current_tile();
  if (tile.regions.empty()) return true;
  for (const Region& region : tile.regions) {
    if (first >= region.begin && first + bytes <= region.end && (region.writable || !write)) return true;
  }
  return false;
}

namespace detail {
[[noreturn]] inline void stop_misaligned(const void* address, std::size_t bytes, std::size_t alignment, bool write) {
  stop(std::string(write ? "store" : "load") + " of " + std::to_string(bytes) + " bytes at " + format_address(address) +
       " is not aligned to " + std::to_string(alignment) + " bytes");
}

[[noreturn]] inline void stop_out_of_bounds(const void* address, std::size_t bytes, bool write) {
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  std::string message =
      std::string(write ? "store" : "load") + " of " + std::to_string(bytes) + " bytes at " + format_address(first);
  for (const Region& region : current_tile().regions) {
    if (first >= region.end || first + bytes <= region.begin) continue;
    const bool inside = first >= region.begin && first + bytes <= region.end;
    stop(message + (inside ? " writes to the read-only buffer '" : " crosses an end of the buffer '") + region.name +
         "' (" + std::to_string(region.end - region.begin) + " bytes at " + format_address(region.begin) + ")");
  }
  stop(message + " is outside every buffer of the tile");
}
}  // namespace detail

// Stops unless [address, address + bytes) is aligned and, on a tile with regions, lies within one region
// (a writable one for a write). A tile without regions checks the alignment only, so that plain code works.
inline void check_access(const void* address, std::size_t bytes, std::size_t alignment, bool write) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(address) % alignment == 0;
  if (!aligned) detail::stop_misaligned(address, bytes, alignment, write);
  if (!is_accessible(address, bytes, write)) detail::stop_out_of_bounds(address, bytes, write);
}

}  // namespace aie_host

#endif  // AIE_HOST_MEMORY_H_
