// SPDX-License-Identifier: Apache-2.0
//
// Attention (kernels/attention.h) on one tile, of one head or of several.
#ifndef HCCS_AIE_GRAPH_ATTENTION_TILE_H_
#define HCCS_AIE_GRAPH_ATTENTION_TILE_H_

#include <adf.h>

#include <string>
#include <vector>

#include "tile_kernel.h"

namespace hccs_graphs {

// `Attention`: hccs_kernels::Attention, or a class with the same ports. `heads`: the words of its heads (heads.h with
// attention_error). The layouts of the ports, and what the masks mean, are the kernel's; the masks are asynchronous
// run-time parameters, which need a value before the first run.
template <class Attention>
class AttentionTile : public adf::graph {
 public:
  adf::input_port q, k, v;
  adf::input_port rescales;
  adf::input_port valid_length, causal_offset;
  adf::output_port o;

  explicit AttentionTile(const std::vector<int16>& heads, const std::string& source_file = "attention.cc") {
    make_kernel<Attention>(attention_, heads, source_file);
    adf::connect(q, attention_.in[0]);
    adf::connect(k, attention_.in[1]);
    adf::connect(v, attention_.in[2]);
    adf::connect(rescales, attention_.in[3]);
    adf::connect<adf::parameter>(valid_length, adf::async(attention_.in[4]));
    adf::connect<adf::parameter>(causal_offset, adf::async(attention_.in[5]));
    adf::connect(attention_.out[0], o);
  }

 private:
  adf::kernel attention_;
};

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_ATTENTION_TILE_H_
