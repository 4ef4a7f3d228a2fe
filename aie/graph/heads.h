// SPDX-License-Identifier: Apache-2.0
//
// Parameters of heads as the kernels' constructors take them, refused with a message where the graph is built.
#ifndef HCCS_AIE_GRAPH_HEADS_H_
#define HCCS_AIE_GRAPH_HEADS_H_

#include <stdexcept>
#include <string>
#include <vector>

#include "../kernels/hccs_head.h"

namespace hccs_graphs {

// The words of `heads`, one head after another, for a kernel that is compiled for `knees` knees and rows of n
// positions. `error` is the kernel's predicate: head_error, or attention_error. Throws std::invalid_argument with the
// head's number and the rule that it breaks.
inline std::vector<int16> checked_words(const std::vector<hccs_kernels::HccsHead>& heads, unsigned knees, unsigned n,
                                        const char* (*error)(const hccs_kernels::HccsHead&, unsigned,
                                                             unsigned) = hccs_kernels::head_error) {
  std::vector<int16> words(heads.size() * hccs_kernels::kHeadWords);
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

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_HEADS_H_
