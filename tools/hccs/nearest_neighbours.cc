// SPDX-License-Identifier: Apache-2.0
#include "nearest_neighbours.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace hccs::tool {

std::vector<std::vector<int32_t>> nearest_neighbours(const Vectors& references, const Vectors& queries, int k) {
  const int64_t count = references.rows();
  const int64_t width = references.width;
  // [width, count]: the inner loop then runs over references, and vectorises without reordering any sum.
  std::vector<float> transposed(references.data.size());
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t j = 0; j < width; ++j) transposed[j * count + r] = references.data[r * width + j];
  }
  std::vector<std::vector<int32_t>> result;
  std::vector<float> similarity(count);
  std::vector<int32_t> order(count);
  for (int64_t q = 0; q < queries.rows(); ++q) {
    std::fill(similarity.begin(), similarity.end(), 0.0F);
    const auto query = queries.row(q);
    for (int64_t j = 0; j < width; ++j) {
      const float weight = query[j];
      const float* column = &transposed[j * count];
      for (int64_t r = 0; r < count; ++r) similarity[r] += weight * column[r];
    }
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int32_t a, int32_t b) {
      return similarity[a] != similarity[b] ? similarity[a] > similarity[b] : a < b;
    });
    result.emplace_back(order.begin(), order.begin() + k);
  }
  return result;
}

int32_t majority_label(std::span<const int32_t> neighbours, std::span<const int32_t> labels) {
  std::map<int32_t, int> votes;
  for (int32_t neighbour : neighbours) ++votes[labels[neighbour]];
  int32_t best = labels[neighbours[0]];
  for (int32_t neighbour : neighbours) {
    if (votes[labels[neighbour]] > votes[best]) best = labels[neighbour];
  }
  return best;
}

std::pair<double, double> wilson_interval(int64_t hits, int64_t n) {
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5 % quantile
  const auto count = static_cast<double>(n);
  const double share = static_cast<double>(hits) / count;
  const double denominator = 1 + kZ * kZ / count;
  const double centre = (share + kZ * kZ / (2 * count)) / denominator;
  const double half = kZ * std::sqrt(share * (1 - share) / count + kZ * kZ / (4 * count * count)) / denominator;
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

}  // namespace hccs::tool
