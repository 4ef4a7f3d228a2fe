// SPDX-License-Identifier: Apache-2.0
//
// Row softmax of many heads on several tiles: each has as many heads as the others, all their rows, and an input and an
// output of its own. `heads`: the words of all heads (heads.h), those of tile 0's first.
#ifndef HCCS_AIE_GRAPH_SPLIT_HEADS_H_
#define HCCS_AIE_GRAPH_SPLIT_HEADS_H_

#include <adf.h>

#include <string>
#include <vector>

#include "tile_kernel.h"

namespace hccs_graphs {

// `Softmax` without masks.
template <class Softmax, unsigned kTiles>
class SplitHeads : public adf::graph {
 public:
  adf::input_port logits[kTiles];
  adf::output_port out[kTiles];

  explicit SplitHeads(const std::vector<int16>& heads, const std::string& source_file = "softmax.cc") {
    for (unsigned t = 0; t < kTiles; ++t) {
      make_kernel<Softmax>(softmax_[t], heads_of_tile(heads, t, kTiles), source_file);
      adf::connect(logits[t], softmax_[t].in[0]);
      adf::connect(softmax_[t].out[0], out[t]);
    }
  }

 private:
  adf::kernel softmax_[kTiles];
};

// `Softmax` with MaskKind::kLength: asynchronous run-time parameters of each tile (one_tile.h says which), which need a
// value before the first run.
template <class Softmax, unsigned kTiles>
class SplitHeadsMasked : public adf::graph {
 public:
  adf::input_port logits[kTiles];
  adf::input_port valid_length[kTiles];
  adf::input_port causal_offset[kTiles];
  adf::output_port out[kTiles];

  explicit SplitHeadsMasked(const std::vector<int16>& heads, const std::string& source_file = "softmax.cc") {
    for (unsigned t = 0; t < kTiles; ++t) {
      make_kernel<Softmax>(softmax_[t], heads_of_tile(heads, t, kTiles), source_file);
      adf::connect(logits[t], softmax_[t].in[0]);
      adf::connect<adf::parameter>(valid_length[t], adf::async(softmax_[t].in[1]));
      adf::connect<adf::parameter>(causal_offset[t], adf::async(softmax_[t].in[2]));
      adf::connect(softmax_[t].out[0], out[t]);
    }
  }

 private:
  adf::kernel softmax_[kTiles];
};

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_SPLIT_HEADS_H_
