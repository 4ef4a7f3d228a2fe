// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_ATTENTION_PIECE_H_
#define HCCS_SRC_ATTENTION_PIECE_H_

#include "attention/plan.h"

namespace hccs::internal {

int64_t piece_count(const AttentionShape& shape) noexcept;

int64_t scratch_bytes(const AttentionPlan::Impl& plan, const AttentionShape& shape, int64_t longest) noexcept;

// What of a piece is done. kProducts, for measurements: packing and the two matrix products, which write no result.
enum class Work { kAll, kProducts };

// A piece of a valid batch. `scratch` has scratch_bytes().
void run_piece(const AttentionPlan::Impl& plan, const AttentionBatch& batch, int64_t piece, std::byte* scratch,
               Work work = Work::kAll);

// All of them, on one thread: keys and values are packed once for all rows that share them.
void run_batch(const AttentionPlan::Impl& plan, const AttentionBatch& batch, std::byte* scratch,
               Work work = Work::kAll);

}  // namespace hccs::internal

#endif  // HCCS_SRC_ATTENTION_PIECE_H_
