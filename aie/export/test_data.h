// SPDX-License-Identifier: Apache-2.0
//
// Data for the tests of projects: drawn, the same for the same seed, or from a file.
#ifndef HCCS_AIE_EXPORT_TEST_DATA_H_
#define HCCS_AIE_EXPORT_TEST_DATA_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "aie/export/attention_project.h"
#include "aie/export/softmax_project.h"
#include "hccs/status.h"

namespace aie_export {

// So many blocks of logits of several widths around several centres, so that every part of the heads' curves is met.
void draw_logits(int64_t blocks, uint64_t seed, SoftmaxProject& project);

// The logits of a .npy file, int8 [heads, rows of all blocks, n] or for one head [rows, n], which also says how many
// blocks there are. Errors: those of read_npy(); kMismatch for another type or shape.
hccs::Status read_logits(const std::filesystem::path& file, SoftmaxProject& project);

// Masks of the blocks that the project has, none if it is not masked. The first block's show all.
void draw_masks(uint64_t seed, SoftmaxProject& project);

// q, k and v from .npy files: int8 [heads, rows of all blocks, head dimension] for q, [heads, n of all blocks, head
// dimension] for k and v, without the first dimension for one head; and what one unit of q times one unit of k is
// worth, the product of their scales, of all heads or of each.
struct AttentionFiles {
  std::filesystem::path q, k, v;
  std::vector<double> scales;
};

// These, with the one rescale of all rows of a head that its scale, the head dimension and its step make; masks are
// drawn. Errors: those of read_npy(); kMismatch for another type, shape, number of blocks or of scales;
// kInvalidArgument for a scale whose rescale the contract does not have.
hccs::Status read_attention(const AttentionFiles& files, uint64_t seed, AttentionProject& project);

// The logits of a .npy file, as read_logits() takes them, for a kernel that makes its logits of q and k: rows of which
// q . k, times the rescale, is each given logit. Where a block has no more rows than the head dimension, q are unit
// vectors and k the columns of the logits; else, if n is no more than it, q are the logits and k unit vectors. Values
// are those of `values` (as in AttentionFiles), drawn if that is empty; masks are drawn. Errors: those of read_npy();
// kMismatch for another type, shape or number of blocks; kInvalidArgument with the three numbers if both the rows of a
// block and n are more than the head dimension.
hccs::Status read_attention_logits(const std::filesystem::path& logits, const std::filesystem::path& values,
                                   uint64_t seed, AttentionProject& project);

// So many blocks of q, k and v, masks, of which the first block's show all, and rescales that spread the products of a
// row over what the knees tell apart.
void draw_attention(int64_t blocks, uint64_t seed, AttentionProject& project);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_TEST_DATA_H_
