// SPDX-License-Identifier: Apache-2.0
//
// Multirate analysis (UG1603 "Buffer Port Connection for Multirate Processing"): how often each kernel runs in one
// iteration of the graph, so that every buffer that is written is read.
#ifndef ADF_RATES_H_
#define ADF_RATES_H_

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "adf/types.h"

namespace adf::host {

// `from` moves `given` words in each of its runs, `to` takes `taken` in each of its own.
struct RateEdge {
  size_t from, to;
  uint64_t given, taken;
  std::string where;
};

// The smallest repetitions with given * runs(from) == taken * runs(to) on every edge. `fixed[i]` != 0: runs(i) by the
// user. Stops where the edges contradict each other or a fixed count.
inline std::vector<uint64_t> repetitions(const std::vector<uint64_t>& fixed, const std::vector<RateEdge>& edges) {
  struct Ratio {
    uint64_t numerator = 0, denominator = 1;  // relative to the first node of the connected part
  };
  const size_t n = fixed.size();
  std::vector<Ratio> ratios(n);
  std::vector<uint64_t> runs(n, 0);
  for (size_t first = 0; first < n; ++first) {
    if (ratios[first].numerator != 0) continue;
    std::vector<size_t> part{first};
    ratios[first] = {1, 1};
    const auto reach = [&](size_t known, size_t other, uint64_t up, uint64_t down, const RateEdge& edge) {
      Ratio ratio{ratios[known].numerator * up, ratios[known].denominator * down};
      const uint64_t divisor = std::gcd(ratio.numerator, ratio.denominator);
      ratio = {ratio.numerator / divisor, ratio.denominator / divisor};
      if (ratios[other].numerator == 0) {
        ratios[other] = ratio;
        part.push_back(other);
      } else if (ratios[other].numerator != ratio.numerator || ratios[other].denominator != ratio.denominator) {
        fail(edge.where + ": the buffer sizes on this and another path between the same kernels differ; no " +
             "repetition counts satisfy both");
      }
    };
    for (size_t at = 0; at < part.size(); ++at) {
      for (const RateEdge& edge : edges) {
        if (edge.from == part[at]) reach(edge.from, edge.to, edge.given, edge.taken, edge);
        if (edge.to == part[at]) reach(edge.to, edge.from, edge.taken, edge.given, edge);
      }
    }
    uint64_t scale = 1;
    for (const size_t node : part) scale = std::lcm(scale, ratios[node].denominator);
    uint64_t factor = 0;
    for (const size_t node : part) {
      runs[node] = ratios[node].numerator * (scale / ratios[node].denominator);
      if (fixed[node] != 0 && factor == 0) factor = fixed[node] / runs[node];
    }
    for (const size_t node : part) {
      if (factor != 0) runs[node] *= factor;
    }
    for (const RateEdge& edge : edges) {
      for (const size_t end : {edge.from, edge.to}) {
        if (ratios[end].numerator != 0 && runs[end] != 0 && fixed[end] != 0 && runs[end] != fixed[end]) {
          fail(edge.where + ": moves " + std::to_string(edge.given) + " words a run into runs of " +
               std::to_string(edge.taken) +
               " words, which contradicts repetition_count() = " + std::to_string(fixed[end]));
        }
      }
    }
    if (part.size() == 1 && fixed[first] != 0) runs[first] = fixed[first];
  }
  return runs;
}

}  // namespace adf::host

#endif  // ADF_RATES_H_
