// SPDX-License-Identifier: Apache-2.0
//
// What the graphs of this folder do for each of their tiles.
#ifndef HCCS_AIE_GRAPH_TILE_KERNEL_H_
#define HCCS_AIE_GRAPH_TILE_KERNEL_H_

#include <adf.h>

#include <cstddef>
#include <string>
#include <vector>

namespace hccs_graphs {

// Makes `kernel` an object of the class `Kernel` with the words of these heads, on a tile of its own.
template <class Kernel>
void make_kernel(adf::kernel& kernel, const std::vector<int16>& heads, const std::string& source_file) {
  kernel = adf::kernel::create_object<Kernel>(heads);
  adf::source(kernel) = source_file;
  adf::runtime<adf::ratio>(kernel) = 0.9;
}

// Of the words of all heads, those of the heads of tile `tile` of `tiles`.
inline std::vector<int16> heads_of_tile(const std::vector<int16>& heads, unsigned tile, unsigned tiles) {
  const auto words = static_cast<std::ptrdiff_t>(heads.size() / tiles);
  return {heads.begin() + tile * words, heads.begin() + (tile + 1) * words};
}

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_TILE_KERNEL_H_
