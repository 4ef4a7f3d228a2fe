// SPDX-License-Identifier: Apache-2.0
//
// What a project of row softmax has on a tile: how many elements, where each is, and in how much memory.
#ifndef HCCS_AIE_EXPORT_SOFTMAX_LAYOUT_H_
#define HCCS_AIE_EXPORT_SOFTMAX_LAYOUT_H_

#include <cstdint>

#include "aie/export/softmax_project.h"

namespace aie_export {

inline bool masked(const SoftmaxProject& p) { return p.mask != hccs::MaskKind::kNone; }
// All heads, and those of a tile.
inline int64_t head_count(const SoftmaxProject& p) { return static_cast<int64_t>(p.heads.size()); }
inline int64_t tile_heads(const SoftmaxProject& p) { return p.split_heads ? head_count(p) / p.tiles : head_count(p); }
// Of a result.
inline int64_t out_bytes(const SoftmaxProject& p) { return p.output == hccs::OutputType::kUint8 ? 1 : 2; }
// The most that a head has.
int64_t knees(const SoftmaxProject& p);

// The kernel's layout of one head on one tile, by aie/kernels/layout.h.
class SoftmaxLayout {
 public:
  explicit SoftmaxLayout(const SoftmaxProject& p);

  int64_t elements() const;
  int64_t index(unsigned row, unsigned i) const;
  int64_t scratch_bytes() const;   // of whole vectors, as the exported project has it
  int64_t constant_bytes() const;  // tables in the program's data
  // The kernel's object, which has the scratch, is in the heap.
  int64_t heap_bytes() const { return scratch_bytes() + kOtherHeapBytes; }
  unsigned rows() const { return rows_; }
  unsigned length() const { return n_; }

 private:
  Kernel kernel_;
  unsigned rows_, n_, knees_;
  int arch_;
  bool is_clb_uint8_;  // the results
};

// Of IRON's projects: a block of logits, with masks followed by its limits, which take kIronAlignment bytes.
int64_t iron_block_bytes(const SoftmaxProject& p);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_SOFTMAX_LAYOUT_H_
