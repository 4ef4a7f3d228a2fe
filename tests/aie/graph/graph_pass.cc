// SPDX-License-Identifier: Apache-2.0
//
// Graphs as the compiler of graphs sees them: no vector types (no_vectors/), and of the kernels their declarations.
// Compiled, not linked or run.
#include <adf.h>

#include "aie/graph/attention_tile.h"
#include "aie/graph/attention_tiles.h"
#include "aie/graph/heads.h"
#include "aie/graph/one_tile.h"
#include "aie/graph/split_heads.h"
#include "aie/graph/split_rows.h"
#include "aie/graph/three_tiles.h"

#ifdef HCCS_ALSO  // a header that must not compile here
#include HCCS_ALSO
#endif

// The host has these; the real adf.h has no vectors either where graphs are compiled.
#ifdef AIE_API_VECTOR_HPP_
#error "the vector types are visible, so that this file proves nothing"
#endif

namespace graph_pass {

constexpr unsigned kElements = 256;
constexpr unsigned kHeads = 2;

template <typename Out>
class Softmax {
 public:
  explicit Softmax(const int16 (&heads)[kHeads * hccs_kernels::kHeadWords]);
  void run(adf::input_buffer<int8, adf::extents<kHeads * kElements>>& logits,
           adf::output_buffer<Out, adf::extents<kHeads * kElements>>& out);
  static void registerKernelClass() { REGISTER_FUNCTION(Softmax::run); }
};

class Masked {
 public:
  explicit Masked(const int16 (&heads)[kHeads * hccs_kernels::kHeadWords]);
  void run(adf::input_buffer<int8, adf::extents<kHeads * kElements>>& logits,
           adf::output_buffer<uint8, adf::extents<kHeads * kElements>>& out, int32 valid_length, int32 causal_offset);
  static void registerKernelClass() { REGISTER_FUNCTION(Masked::run); }
};

class Attention {
 public:
  explicit Attention(const int16 (&head)[hccs_kernels::kHeadWords]);
  void run(adf::input_buffer<int8, adf::extents<512>>& q, adf::input_buffer<int8, adf::extents<512>>& k,
           adf::input_buffer<int8, adf::extents<512>>& v, adf::input_buffer<int16, adf::extents<32>>& rescales,
           adf::output_buffer<int8, adf::extents<512>>& o, int32 valid_length, int32 causal_offset);
  static void registerKernelClass() { REGISTER_FUNCTION(Attention::run); }
};

}  // namespace graph_pass

template class hccs_graphs::OneTile<graph_pass::Softmax<uint8>>;
template class hccs_graphs::OneTileMasked<graph_pass::Masked>;
template class hccs_graphs::SplitRows<graph_pass::Softmax<int16>, 3>;
template class hccs_graphs::SplitRowsMemoryTile<graph_pass::Softmax<int16>, int16, 3, graph_pass::kHeads,
                                                graph_pass::kElements>;
template class hccs_graphs::SplitHeads<graph_pass::Softmax<uint8>, 3>;
template class hccs_graphs::SplitHeadsMasked<graph_pass::Masked, 3>;
template class hccs_graphs::AttentionTile<graph_pass::Attention>;
template class hccs_graphs::AttentionTiles<graph_pass::Attention, 3>;
template class hccs_graphs::ThreeTiles<graph_pass::Softmax<uint8>, 16, 32, 32, 32, 5>;
