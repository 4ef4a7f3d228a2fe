// SPDX-License-Identifier: Apache-2.0
//
// Attention of many heads on several tiles: each has as many heads as the others, and inputs and an output of its own.
#ifndef HCCS_AIE_GRAPH_ATTENTION_TILES_H_
#define HCCS_AIE_GRAPH_ATTENTION_TILES_H_

#include <adf.h>

#include <string>
#include <vector>

#include "tile_kernel.h"

namespace hccs_graphs {

// `Attention` as for AttentionTile (attention_tile.h), whose ports each tile has. `heads`: the words of all heads,
// those of tile 0's first.
template <class Attention, unsigned kTiles>
class AttentionTiles : public adf::graph {
 public:
  adf::input_port q[kTiles], k[kTiles], v[kTiles];
  adf::input_port rescales[kTiles];
  adf::input_port valid_length[kTiles], causal_offset[kTiles];
  adf::output_port o[kTiles];

  explicit AttentionTiles(const std::vector<int16>& heads, const std::string& source_file = "attention.cc") {
    for (unsigned t = 0; t < kTiles; ++t) {
      make_kernel<Attention>(attention_[t], heads_of_tile(heads, t, kTiles), source_file);
      adf::connect(q[t], attention_[t].in[0]);
      adf::connect(k[t], attention_[t].in[1]);
      adf::connect(v[t], attention_[t].in[2]);
      adf::connect(rescales[t], attention_[t].in[3]);
      adf::connect<adf::parameter>(valid_length[t], adf::async(attention_[t].in[4]));
      adf::connect<adf::parameter>(causal_offset[t], adf::async(attention_[t].in[5]));
      adf::connect(attention_[t].out[0], o[t]);
    }
  }

 private:
  adf::kernel attention_[kTiles];
};

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_ATTENTION_TILES_H_
