// SPDX-License-Identifier: Apache-2.0
//
// Row softmax on several tiles: each has the same heads and its own part of the rows. What goes to and comes from a
// tile is a block of kHeads heads, each of kElements elements: the rows of one head on one tile, in the kernel's
// layout, of which kElements of the kernel (RowsKernel, TilesKernel) or rows * n (PaperRowsSoftmax) are as
// many.
#ifndef HCCS_AIE_GRAPH_SPLIT_ROWS_H_
#define HCCS_AIE_GRAPH_SPLIT_ROWS_H_

#include <adf.h>

#include <string>
#include <vector>

#include "tile_kernel.h"

namespace hccs_graphs {

// Row softmax on kTiles tiles, each with an input and an output of its own.
template <class Softmax, unsigned kTiles>
class SplitRows : public adf::graph {
 public:
  adf::input_port logits[kTiles];
  adf::output_port out[kTiles];

  explicit SplitRows(const std::vector<int16>& heads, const std::string& source_file = "softmax.cc") {
    for (unsigned t = 0; t < kTiles; ++t) {
      make_kernel<Softmax>(softmax_[t], heads, source_file);
      adf::connect(logits[t], softmax_[t].in[0]);
      adf::connect(softmax_[t].out[0], out[t]);
    }
  }

 private:
  adf::kernel softmax_[kTiles];
};

// Tiles with one input and one output for all: a memory tile deals the rows out, another collects the results. A block
// is, head after head, the elements of tile 0, of tile 1, ...: a head with kTiles times the rows, where these are whole
// bands of the layout.
template <class Softmax, typename Out, unsigned kTiles, unsigned kHeads, unsigned kElements>
class SplitRowsMemoryTile : public adf::graph {
  static constexpr unsigned kBlock = kTiles * kHeads * kElements;
  static_assert(kTiles <= 6, "a memory tile has 6 channels in and 6 out");
  static_assert(2 * kBlock * sizeof(Out) <= 512 * 1024, "a memory tile has 512 KiB, and holds two blocks");

 public:
  adf::input_port logits;
  adf::output_port out;

  explicit SplitRowsMemoryTile(const std::vector<int16>& heads, const std::string& source_file = "softmax.cc") {
    dealer_ = adf::shared_buffer<int8>::create({kElements, kTiles, kHeads}, 1, kTiles);
    collector_ = adf::shared_buffer<Out>::create({kElements, kTiles, kHeads}, kTiles, 1);
    adf::num_buffers(dealer_) = 2;
    adf::num_buffers(collector_) = 2;
    adf::connect(logits, dealer_.in[0]);
    adf::connect(collector_.out[0], out);
    adf::write_access(dealer_.in[0]) = part(0, kTiles);
    adf::read_access(collector_.out[0]) = part(0, kTiles);
    for (unsigned t = 0; t < kTiles; ++t) {
      make_kernel<Softmax>(softmax_[t], heads, source_file);
      adf::connect(dealer_.out[t], softmax_[t].in[0]);
      adf::connect(softmax_[t].out[0], collector_.in[t]);
      adf::read_access(dealer_.out[t]) = part(t, 1);
      adf::write_access(collector_.in[t]) = part(t, 1);
    }
  }

 private:
  // The elements of `tiles` tiles from `first` on, of all heads.
  static adf::tiling_parameters part(unsigned first, unsigned tiles) {
    return adf::tiling({.buffer_dimension = {kElements, kTiles, kHeads},
                        .tiling_dimension = {kElements, tiles, kHeads},
                        .offset = {0, static_cast<int>(first), 0}});
  }

  adf::kernel softmax_[kTiles];
  adf::shared_buffer<int8> dealer_;
  adf::shared_buffer<Out> collector_;
};

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_SPLIT_ROWS_H_
