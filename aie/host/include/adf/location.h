// SPDX-License-Identifier: Apache-2.0
//
// Location constraints (UG1603 "Location Constraints"). Of these only a kernel's tile means something here: kernels on
// one tile share its rounding and saturation modes and never run at the same time. The others are accepted.
#ifndef ADF_LOCATION_H_
#define ADF_LOCATION_H_

#include <initializer_list>
#include <optional>
#include <type_traits>
#include <utility>

namespace adf {

class kernel;

namespace host {

// A tile by its coordinates, or the tile of another kernel.
struct Placement {
  std::optional<std::pair<int, int>> tile;
};

struct IgnoredPlacement {};

}  // namespace host

struct tile : host::Placement {
  tile(int column, int row) { host::Placement::tile = std::pair(column, row); }
};
struct bank : host::IgnoredPlacement {
  bank(int, int, int) {}
};
struct address : host::IgnoredPlacement {
  address(int, int, int) {}
};
struct offset : host::IgnoredPlacement {
  explicit offset(int) {}
};
struct shim : host::IgnoredPlacement {
  explicit shim(int) {}
  shim(int, int) {}
};
struct bounding_box : host::IgnoredPlacement {
  bounding_box(int, int, int, int) {}
};
enum tile_type { aie_tile, shim_tile, memory_tile };
struct dma_channel : host::IgnoredPlacement {
  dma_channel(tile_type, int, int, int) {}
};

// What a constraint is about.
struct buffer {};
struct stack {};
struct fifo {};
struct dma {};
struct PLIO {};

namespace host {

const Placement& placement_of(const kernel& k);
void place(kernel& k, const Placement& placement);

class KernelLocation {
 public:
  explicit KernelLocation(kernel& k) : kernel_(k) {}
  KernelLocation(const KernelLocation&) = default;
  KernelLocation& operator=(const Placement& placement) {
    place(kernel_, placement);
    return *this;
  }
  KernelLocation& operator=(const KernelLocation& other) { return *this = placement_of(other.kernel_); }
  operator IgnoredPlacement() const { return {}; }

 private:
  kernel& kernel_;
};

struct IgnoredLocation {
  IgnoredLocation& operator=(const IgnoredPlacement&) { return *this; }
  IgnoredLocation& operator=(std::initializer_list<IgnoredPlacement>) { return *this; }
  IgnoredLocation& operator=(const Placement&) { return *this; }
  operator IgnoredPlacement() const { return {}; }
};

}  // namespace host

template <typename About, typename Object>
auto location(Object& object) {
  if constexpr (std::is_same_v<About, kernel>) {
    return host::KernelLocation(object);
  } else {
    static_cast<void>(object);
    return host::IgnoredLocation();
  }
}

}  // namespace adf

#endif  // ADF_LOCATION_H_
