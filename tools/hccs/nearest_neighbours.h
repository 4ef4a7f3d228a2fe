// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_NEAREST_NEIGHBOURS_H_
#define HCCS_TOOLS_NEAREST_NEIGHBOURS_H_

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace hccs::tool {

// Row-major unit vectors, [rows, width].
struct Vectors {
  std::span<const float> data;
  int64_t width = 0;
  int64_t rows() const { return static_cast<int64_t>(data.size()) / width; }
  std::span<const float> row(int64_t r) const { return data.subspan(r * width, width); }
};

// For each query, the indices of its k most similar (largest dot product) references, most similar first; equal
// similarities in order of index. k <= references.rows().
std::vector<std::vector<int32_t>> nearest_neighbours(const Vectors& references, const Vectors& queries, int k);

// The label that most neighbours have; among equals the one whose first neighbour is nearest.
int32_t majority_label(std::span<const int32_t> neighbours, std::span<const int32_t> labels);

// Wilson's 95 % interval for a share (Wilson, J. Am. Stat. Assoc. 22, 1927). 0 <= hits <= n, n >= 1.
std::pair<double, double> wilson_interval(int64_t hits, int64_t n);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_NEAREST_NEIGHBOURS_H_
