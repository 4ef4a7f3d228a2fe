// SPDX-License-Identifier: Apache-2.0
//
// Parameters of heads as the kernels' constructors take them, refused with a message where the graph is built.
#ifndef HCCS_AIE_GRAPH_HEADS_H_
#define HCCS_AIE_GRAPH_HEADS_H_

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "../kernels/head.h"

namespace hccs_graphs {

// The words of `heads`, one head after another, for a kernel that is compiled for `knees` knees and rows of n
// positions. `error` is the kernel's predicate: attention_error, or one with its signature. Throws
// std::invalid_argument with the head's number and the rule that it breaks.
template <typename Error>
std::vector<int16_t> checked_words(const std::vector<hccs_kernels::HccsHead>& heads, unsigned knees, unsigned n,
                                   Error error) {
  std::vector<int16_t> words(heads.size() * hccs_kernels::kHeadWords);
  for (size_t h = 0; h < heads.size(); ++h) {
    if (const char* rule = error(heads[h], knees, n)) {
      throw std::invalid_argument("head " + std::to_string(h) + " with B = " + std::to_string(heads[h].offset) +
                                  " and K = " + std::to_string(heads[h].knee_count) + " for a kernel of " +
                                  std::to_string(knees) + " knees and n = " + std::to_string(n) + ": " + rule);
    }
    hccs_kernels::head_to_words(heads[h], words.data() + h * hccs_kernels::kHeadWords);
  }
  return words;
}

// The words of `heads` for a kernel of row softmax under `mask`, whose predicate is head_error.
inline std::vector<int16_t> checked_words(const std::vector<hccs_kernels::HccsHead>& heads, unsigned knees, unsigned n,
                                          hccs_kernels::MaskKind mask = hccs_kernels::MaskKind::kBits) {
  return checked_words(heads, knees, n, [mask](const hccs_kernels::HccsHead& head, unsigned k, unsigned length) {
    return hccs_kernels::head_error(head, k, length, mask);
  });
}

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_HEADS_H_
