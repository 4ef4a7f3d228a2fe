// SPDX-License-Identifier: Apache-2.0
//
// The kernels' tests run them on tiles of aie/host. Here a tile is its modes: where the tests name aie_host, they find
// this.
#ifndef HCCS_TESTS_AIE_API_TILE_H_
#define HCCS_TESTS_AIE_API_TILE_H_

#include "modes.h"

namespace aie_host {

using Error = std::logic_error;

struct Tile {
  explicit Tile(const std::string&) {}
  uint8_t rounding = rnd_floor;
  uint8_t saturation = 0;
};
template <typename T>
void add_region(Tile&, const T*, size_t, const std::string&, bool) {}

inline unsigned long runs = 0;

// What runs while it lives finds the tile's modes, and leaves its own.
class TileScope {
 public:
  explicit TileScope(Tile& tile) : tile_(tile) {
    emulated::rounding = tile.rounding;
    emulated::saturation = tile.saturation;
    ++runs;
  }
  ~TileScope() {
    tile_.rounding = static_cast<uint8_t>(emulated::rounding);
    tile_.saturation = static_cast<uint8_t>(emulated::saturation);
  }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  Tile& tile_;
};

}  // namespace aie_host

#endif  // HCCS_TESTS_AIE_API_TILE_H_
