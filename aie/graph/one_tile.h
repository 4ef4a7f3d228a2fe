// SPDX-License-Identifier: Apache-2.0
//
// Row softmax on one tile, of one head or of several.
//
// The graphs of this folder take the ADF kernel class as a template argument and need nothing but its declaration:
// PaperRowsSoftmax, HeadSoftmax, or a class of the user's own that has the same ports. `heads`: the heads' words
// (heads.h), one head after another.
#ifndef HCCS_AIE_GRAPH_ONE_TILE_H_
#define HCCS_AIE_GRAPH_ONE_TILE_H_

#include <adf.h>

#include <string>
#include <vector>

#include "tile_kernel.h"

namespace hccs_graphs {

// `Softmax` without masks. A block of the logits of all its heads goes in, a block of results comes out.
template <class Softmax>
class OneTile : public adf::graph {
 public:
  adf::input_port logits;
  adf::output_port out;

  explicit OneTile(const std::vector<int16>& heads, const std::string& source_file = "softmax.cc") {
    make_kernel<Softmax>(softmax_, heads, source_file);
    adf::connect(logits, softmax_.in[0]);
    adf::connect(softmax_.out[0], out);
  }

 private:
  adf::kernel softmax_;
};

// `Softmax` with MaskKind::kLength: both are asynchronous run-time parameters, which need a value before the first run.
template <class Softmax>
class OneTileMasked : public adf::graph {
 public:
  adf::input_port logits;
  adf::input_port valid_length;   // int32; n or more: all positions
  adf::input_port causal_offset;  // int32: row r of a block sees the positions up to r + causal_offset
  adf::output_port out;

  explicit OneTileMasked(const std::vector<int16>& heads, const std::string& source_file = "softmax.cc") {
    make_kernel<Softmax>(softmax_, heads, source_file);
    adf::connect(logits, softmax_.in[0]);
    adf::connect<adf::parameter>(valid_length, adf::async(softmax_.in[1]));
    adf::connect<adf::parameter>(causal_offset, adf::async(softmax_.in[2]));
    adf::connect(softmax_.out[0], out);
  }

 private:
  adf::kernel softmax_;
};

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_ONE_TILE_H_
