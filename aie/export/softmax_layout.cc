// SPDX-License-Identifier: Apache-2.0
#include "aie/export/softmax_layout.h"

#include <algorithm>

#include "aie/export/iron_project.h"
#include "aie/kernels/layout.h"

namespace aie_export {

int64_t knees(const SoftmaxProject& p) {
  int64_t most = 1;
  for (const ExportedHead& head : p.heads) most = std::max<int64_t>(most, head.params.knee_count);
  return most;
}

SoftmaxLayout::SoftmaxLayout(const SoftmaxProject& p)
    : kernel_(p.kernel),
      rows_(static_cast<unsigned>(p.tile_rows)),
      n_(static_cast<unsigned>(p.length)),
      knees_(static_cast<unsigned>(knees(p))),
      arch_(facts(p.device).arch),
      is_clb_uint8_(p.normalisation == hccs::Normalisation::kClb && p.output == hccs::OutputType::kUint8) {}

int64_t SoftmaxLayout::elements() const {
  switch (kernel_) {
    case Kernel::kRows:
      return hccs_kernels::rows_elements(rows_, n_);
    case Kernel::kTiles:
      return hccs_kernels::tiles_elements(rows_, n_, arch_);
    case Kernel::kPaperRows:
      return hccs_kernels::paper_rows_elements(rows_, n_);
  }
  return 0;
}

int64_t SoftmaxLayout::index(unsigned row, unsigned i) const {
  switch (kernel_) {
    case Kernel::kRows:
      return hccs_kernels::rows_index(row, i, n_);
    case Kernel::kTiles:
      return hccs_kernels::tiles_index(row, i, n_, arch_);
    case Kernel::kPaperRows:
      return hccs_kernels::paper_rows_index(row, i, n_);
  }
  return 0;
}

int64_t SoftmaxLayout::scratch_bytes() const {
  switch (kernel_) {
    case Kernel::kRows:
      return hccs_kernels::round_up(hccs_kernels::rows_scratch_bytes(rows_, n_, knees_, arch_, is_clb_uint8_), 64);
    case Kernel::kTiles:
      return hccs_kernels::round_up(hccs_kernels::tiles_scratch_bytes(knees_, arch_), 64);
    case Kernel::kPaperRows:
      return hccs_kernels::round_up(hccs_kernels::paper_rows_scratch_bytes(n_), 64);
  }
  return 0;
}

int64_t SoftmaxLayout::constant_bytes() const {
  return kernel_ == Kernel::kRows ? hccs_kernels::rows_prefix_bytes(n_, knees_) : 0;
}

int64_t iron_block_bytes(const SoftmaxProject& p) {
  return tile_heads(p) * SoftmaxLayout(p).elements() + (masked(p) ? kIronAlignment : 0);
}

}  // namespace aie_export
