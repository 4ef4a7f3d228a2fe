// SPDX-License-Identifier: Apache-2.0
//
// The state of one AI Engine tile that outlives a kernel call: its control registers and the memory that
// its kernels may touch. A thread runs on one tile at a time; without a TileScope it runs on a default tile
// of its own, so that a plain function called from main() works.
#ifndef AIE_HOST_TILE_H_
#define AIE_HOST_TILE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "aie_host/arch.h"

namespace aie_host {

// A range of data memory that kernels on a tile may access (see aie_host/memory.h).
struct Region {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;  // one past the last byte
  std::string name;
  bool writable = true;
};

struct Tile {
  std::string name = "default";
  std::string kernel;  // the kernel that is running; empty between calls
  // Control registers crRnd and crSat, in the device's codes (aie::rounding_mode, aie::saturation_mode). They keep
  // their value from one kernel to the next. A tile starts with floor and none (UG1603).
  std::uint8_t rounding = 0;
  std::uint8_t saturation = 0;
  std::vector<Region> regions;

  Tile() = default;
  explicit Tile(std::string tile_name) : name(std::move(tile_name)) {}
};

namespace detail {
inline constinit thread_local Tile* active_tile = nullptr;

inline Tile& default_tile() {
  static thread_local Tile tile;
  return tile;
}
}  // namespace detail

// The tile that this thread runs on.
inline Tile& current_tile() { return detail::active_tile ? *detail::active_tile : detail::default_tile(); }

// Makes `tile` current on this thread until the scope ends. Scopes nest. `tile` must outlive the scope.
class TileScope {
 public:
  explicit TileScope(Tile& tile) : previous_(detail::active_tile) { detail::active_tile = &tile; }
  ~TileScope() { detail::active_tile = previous_; }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  Tile* previous_;
};

// Names the kernel that runs on the current tile, for messages, until the scope ends.
class KernelScope {
 public:
  explicit KernelScope(std::string name)
      : tile_(current_tile()), previous_(std::exchange(tile_.kernel, std::move(name))) {}
  ~KernelScope() { tile_.kernel = std::move(previous_); }
  KernelScope(const KernelScope&) = delete;
  KernelScope& operator=(const KernelScope&) = delete;

 private:
  Tile& tile_;
  std::string previous_;
};

}  // namespace aie_host

#endif  // AIE_HOST_TILE_H_
